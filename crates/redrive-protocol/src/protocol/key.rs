//! The short form of a message ID: 16 bytes for a UUID, which is what SQS gives, and the text of any other.
//!
//! Stores keep messages by it, and maps in memory are keyed by it.

use std::hash::{Hash, Hasher};
use std::ops::Deref;

use crate::message::MessageId;

const UUID_LENGTH: usize = 16;

/// The short form of a message ID. A UUID is not on the heap: keys are copied a dozen times a message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The bytes of a UUID.
    Uuid([u8; UUID_LENGTH]),
    /// The text of any other ID, never as long as a UUID.
    Text(Vec<u8>),
}

impl Key {
    /// The short form of an ID. A zero byte lengthens a text that is as long as a UUID.
    pub fn of(id: &MessageId) -> Self {
        if let Some(uuid) = uuid_bytes(id.as_str()) {
            return Self::Uuid(uuid);
        }
        let mut bytes = id.as_str().as_bytes().to_vec();
        if bytes.len() == UUID_LENGTH {
            bytes.push(0);
        }
        Self::Text(bytes)
    }

    /// Its bytes, by which stores keep it.
    pub fn bytes(&self) -> &[u8] {
        self
    }

    /// The ID that it stands for.
    pub fn id(&self) -> MessageId {
        let uuid = match self {
            Self::Uuid(uuid) => uuid,
            Self::Text(bytes) => {
                let lengthened = bytes.len() == UUID_LENGTH + 1 && bytes.last() == Some(&0);
                let text = if lengthened { &bytes[..UUID_LENGTH] } else { bytes };
                return MessageId::new(String::from_utf8_lossy(text).into_owned());
            }
        };
        let mut text = String::with_capacity(36);
        for (position, byte) in uuid.iter().enumerate() {
            if matches!(position, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
        }
        MessageId::new(text)
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self);
    }
}

impl Deref for Key {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Uuid(bytes) => bytes,
            Self::Text(bytes) => bytes,
        }
    }
}

impl From<Vec<u8>> for Key {
    fn from(bytes: Vec<u8>) -> Self {
        bytes.try_into().map_or_else(Self::Text, Self::Uuid)
    }
}

/// Only the canonical form is shortened, so that the very text comes back.
fn uuid_bytes(text: &str) -> Option<[u8; UUID_LENGTH]> {
    /// Where in the text the digits of each byte are.
    const AT: [usize; UUID_LENGTH] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
    let text: &[u8; 36] = text.as_bytes().try_into().ok()?;
    if [8, 13, 18, 23].iter().any(|&at| text[at] != b'-') {
        return None;
    }
    let mut bytes = [0; UUID_LENGTH];
    let mut wrong = 0;
    for (byte, at) in bytes.iter_mut().zip(AT) {
        let (high, low) = (DIGITS[usize::from(text[at])], DIGITS[usize::from(text[at + 1])]);
        *byte = (high << 4) | (low & 15);
        wrong |= high | low;
    }
    (wrong < 16).then_some(bytes)
}

/// The value of each byte as a lower-case hexadecimal digit; 16 and more where it is none.
const DIGITS: [u8; 256] = {
    let mut values = [0xf0; 256];
    let mut value = 0_u8;
    while value < 16 {
        values[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_back_as_they_were() {
        for text in [
            "4f6d1b1e-0000-4c0e-9a3b-0123456789ab",
            "4F6D1B1E-0000-4C0E-9A3B-0123456789AB",
            "4f6d1b1e-0000-4c0e-9a3b-0123456789ag",
            "4f6d1b1e-0000-4c0e-9a3b-01234567é9a",
            "4f6d1b1e00000-4c0e-9a3b-0123456789ab",
            "short",
            "",
            "sixteen letters!",
        ] {
            assert_eq!(Key::of(&MessageId::new(text)).id().as_str(), text);
        }
        assert_eq!(Key::of(&MessageId::new("4f6d1b1e-0000-4c0e-9a3b-0123456789ab")).len(), 16);
    }
}
