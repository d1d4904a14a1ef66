//! What SQS refuses, judged before sending: a refusal that is known beforehand costs no request and takes no neighbour of the
//! batch with it.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>

use redrive_protocol::message::{AttributeValue, MAX_ATTRIBUTES, Outgoing};
use redrive_protocol::queue::QueueAttributes;
use redrive_protocol::target::Reason;

use super::Blocked;

/// The most that one message can be, whatever a queue's `MaximumMessageSize` says.
const MAX_SIZE: u64 = 1 << 20;

/// The longest message group ID and deduplication ID.
const MAX_ID: usize = 128;

/// Whether the queue will take it, as far as can be known.
pub(super) fn sendable(outgoing: &Outgoing, queue: &QueueAttributes) -> Result<(), Blocked> {
    let count = outgoing.attributes.len();
    if count > MAX_ATTRIBUTES {
        return Err(Blocked::new(Reason::TooManyAttributes, format!("{count} message attributes")));
    }
    let body = outgoing.body.as_str();
    if body.is_empty() {
        return Err(Blocked::new(Reason::EmptyBody, ""));
    }
    if let Some(forbidden) = forbidden(body) {
        return Err(Blocked::new(Reason::ForbiddenCharacters, format!("{} in the body", shown(forbidden))));
    }
    for (name, attribute) in &outgoing.attributes {
        let empty = match &attribute.value {
            AttributeValue::Text(text) => {
                if let Some(forbidden) = forbidden(text) {
                    let detail = format!("{} in attribute {name}", shown(forbidden));
                    return Err(Blocked::new(Reason::ForbiddenCharacters, detail));
                }
                text.is_empty()
            }
            AttributeValue::Binary(bytes) => bytes.is_empty(),
        };
        if empty {
            return Err(Blocked::new(Reason::EmptyAttribute, format!("attribute {name}")));
        }
    }
    let (size, most) = (outgoing.size(), queue.maximum_message_size.min(MAX_SIZE));
    if u64::try_from(size).is_ok_and(|size| size <= most) {
        Ok(())
    } else {
        Err(Blocked::new(Reason::TooLarge, format!("{size} bytes, {} takes {most}", queue.name())))
    }
}

/// Whether it is a message group ID or deduplication ID: up to 128 letters, digits and punctuation marks.
pub(super) fn is_id(text: &str) -> bool {
    (1..=MAX_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The first character that SQS does not take in a text.
fn forbidden(text: &str) -> Option<char> {
    // Nearly every text has none: controls are bytes below a space, and U+FFFE and U+FFFF begin with 0xEF. A look at all
    // bytes without a branch is much cheaper than one at each character.
    if text.bytes().fold(0, |any, byte| any | u8::from(byte < b' ') | u8::from(byte == 0xEF)) == 0 {
        return None;
    }
    text.chars().find(|c| {
        !matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
    })
}

fn shown(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_characters() {
        for text in ["", "plain\t\r\n", "é\u{7f}\u{85}", "\u{D7FF}\u{E000}\u{FFFD}\u{10000}\u{10FFFF}"] {
            assert_eq!(forbidden(text), None, "{text:?}");
        }
        for (text, found) in [
            ("a\0", '\0'),
            ("\u{1b}[0m", '\u{1b}'),
            ("\u{b}", '\u{b}'),
            ("x\u{FFFE}", '\u{FFFE}'),
            ("\u{FFFF}", '\u{FFFF}'),
        ] {
            assert_eq!(forbidden(text), Some(found), "{text:?}");
        }
    }

    #[test]
    fn ids() {
        assert!(is_id("a-1_!\"#~"));
        assert!(is_id(&"x".repeat(128)));
        for text in ["", " ", "a b", "é", "a\n"] {
            assert!(!is_id(text), "{text:?}");
        }
        assert!(!is_id(&"x".repeat(129)));
    }
}
