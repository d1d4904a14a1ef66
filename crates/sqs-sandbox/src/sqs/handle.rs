//! Receipt handles: opaque to clients, different at each receive, recognisable as ours when they come back. The check is keyed
//! with a secret of the queue, so that a made-up or foreign handle is refused as SQS refuses it.

use std::hash::{BuildHasher, RandomState};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::order::Place;

/// What a receipt handle says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Handle {
    /// The message, by its place.
    pub(super) place: Place,
    /// Which receive of it.
    pub(super) receipt: u32,
}

const LENGTH: usize = 4 + 8 + 4 + 8;

impl Handle {
    fn check(self, secret: &RandomState) -> u64 {
        secret.hash_one((self.place.slot, self.place.arrival, self.receipt))
    }

    /// The handle as clients get it.
    pub(super) fn encode(self, secret: &RandomState) -> String {
        let mut bytes = [0; LENGTH];
        bytes[..4].copy_from_slice(&self.place.slot.to_be_bytes());
        bytes[4..12].copy_from_slice(&self.place.arrival.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.receipt.to_be_bytes());
        bytes[16..].copy_from_slice(&self.check(secret).to_be_bytes());
        STANDARD.encode(bytes)
    }

    /// Reads a handle; `None` for garbage and for another queue's.
    pub(super) fn decode(text: &str, secret: &RandomState) -> Option<Self> {
        let bytes: [u8; LENGTH] = STANDARD.decode(text).ok()?.try_into().ok()?;
        let (slot, rest) = bytes.split_first_chunk()?;
        let (arrival, rest) = rest.split_first_chunk()?;
        let (receipt, rest) = rest.split_first_chunk()?;
        let check = u64::from_be_bytes(*rest.first_chunk()?);
        let handle = Self {
            place: Place { slot: u32::from_be_bytes(*slot), arrival: u64::from_be_bytes(*arrival) },
            receipt: u32::from_be_bytes(*receipt),
        };
        (handle.check(secret) == check).then_some(handle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_handles_are_read() {
        let secret = RandomState::new();
        let handle = Handle { place: Place { slot: 7, arrival: 1 << 40 }, receipt: 3 };
        let text = handle.encode(&secret);
        assert!(Handle::decode(&text, &secret) == Some(handle));
        assert!(Handle::decode(&text, &RandomState::new()).is_none(), "another queue's handle");
        for garbage in ["", "AAAA", "not base64!", &text[1..], &format!("{text}AAAA")] {
            assert!(Handle::decode(garbage, &secret).is_none(), "{garbage}");
        }
        let mut bytes = STANDARD.decode(&text).unwrap();
        bytes[3] ^= 1;
        assert!(Handle::decode(&STANDARD.encode(bytes), &secret).is_none(), "altered");
    }
}
