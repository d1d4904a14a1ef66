//! Message IDs on disk: 16 bytes where they are UUIDs, as SQS's are, else their text.

use crate::message::MessageId;

const UUID_LENGTH: usize = 16;

/// The bytes of an ID on disk. A text never has the length of a packed UUID: a zero byte lengthens it where it would.
pub(super) fn pack(id: &MessageId) -> Vec<u8> {
    if let Some(uuid) = uuid_bytes(id.as_str()) {
        return uuid.to_vec();
    }
    let mut bytes = id.as_str().as_bytes().to_vec();
    if bytes.len() == UUID_LENGTH {
        bytes.push(0);
    }
    bytes
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
    if text.len() != 36 {
        return None;
    }
    let mut bytes = [0; UUID_LENGTH];
    let mut digits = 0;
    for (position, character) in text.bytes().enumerate() {
        if matches!(position, 8 | 13 | 18 | 23) {
            if character != b'-' {
                return None;
            }
            continue;
        }
        let value = match character {
            b'0'..=b'9' => character - b'0',
            b'a'..=b'f' => character - b'a' + 10,
            _ => return None,
        };
        bytes[digits / 2] |= if digits % 2 == 0 { value << 4 } else { value };
        digits += 1;
    }
    (digits == 32).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_back_as_they_were() {
        for text in [
            "4f6d1b1e-0000-4c0e-9a3b-0123456789ab",
            "4F6D1B1E-0000-4C0E-9A3B-0123456789AB",
            "short",
            "",
            "sixteen letters!",
        ] {
            assert_eq!(unpack(&pack(&MessageId::new(text))).as_str(), text);
        }
        assert_eq!(pack(&MessageId::new("4f6d1b1e-0000-4c0e-9a3b-0123456789ab")).len(), 16);
    }
}
