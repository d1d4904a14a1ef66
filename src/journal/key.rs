//! Message IDs on disk: 16 bytes where they are UUIDs, as SQS's are, else their text.

use std::hash::{Hash, Hasher};
use std::ops::Deref;

use redrive_protocol::message::MessageId;
use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};

const UUID_LENGTH: usize = 16;

/// The bytes of an ID on disk. They are asked for a dozen times a message, so a UUID's are not on the heap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Packed {
    Uuid([u8; UUID_LENGTH]),
    Text(Vec<u8>),
}

impl Hash for Packed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self);
    }
}

impl Deref for Packed {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Uuid(bytes) => bytes,
            Self::Text(bytes) => bytes,
        }
    }
}

impl From<Vec<u8>> for Packed {
    fn from(bytes: Vec<u8>) -> Self {
        bytes.try_into().map_or_else(Self::Text, Self::Uuid)
    }
}

impl ToSql for Packed {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self)))
    }
}

/// Packs an ID. A text never has the length of a packed UUID: a zero byte lengthens it where it would.
pub(super) fn pack(id: &MessageId) -> Packed {
    if let Some(uuid) = uuid_bytes(id.as_str()) {
        return Packed::Uuid(uuid);
    }
    let mut bytes = id.as_str().as_bytes().to_vec();
    if bytes.len() == UUID_LENGTH {
        bytes.push(0);
    }
    Packed::Text(bytes)
}

/// What indexes have of an ID: its first bytes; `substr(…, 1, 8)` in SQL.
pub(super) fn prefix(id: &Packed) -> &[u8] {
    &id[..id.len().min(8)]
}

/// A prefix as a number. One that is shorter is taken for one that ends with zeros.
pub(super) fn number(prefix: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes.iter_mut().zip(prefix).for_each(|(byte, of_prefix)| *byte = *of_prefix);
    u64::from_le_bytes(bytes)
}

/// Mixes a number: each bit depends on all of its bits, and no two give the same. The finalizer of `SplitMix64`.
pub(super) fn mixed(number: u64) -> u64 {
    let mut mixed = number;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// The ID that these bytes stand for.
pub(super) fn unpack(bytes: &[u8]) -> MessageId {
    let Ok(uuid) = <[u8; UUID_LENGTH]>::try_from(bytes) else {
        let lengthened = bytes.len() == UUID_LENGTH + 1 && bytes.last() == Some(&0);
        let text = if lengthened { &bytes[..UUID_LENGTH] } else { bytes };
        return MessageId::new(String::from_utf8_lossy(text).into_owned());
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

/// Only the canonical form is packed, so that unpacking gives back the very text.
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
            assert_eq!(unpack(&pack(&MessageId::new(text))).as_str(), text);
        }
        assert_eq!(pack(&MessageId::new("4f6d1b1e-0000-4c0e-9a3b-0123456789ab")).len(), 16);
    }
}
