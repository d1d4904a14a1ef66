//! Exact plans: the messages that were looked at, by message ID and by a digest of what is in them. Apply moves these and no
//! others, and says which of them were gone or had changed.
//!
//! Pure. The list is sorted and held once, however often a plan is copied: a hundred thousand are some 15 MB in memory, and
//! 7 MB in the plan file.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use redrive_protocol::message::{AttributeValue, Message, MessageId, Payload};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::look::Look;
use super::sample::End;
use crate::error::{Error, Result};
use crate::sqs::{MAX_IN_FLIGHT, QueueAttributes};
use crate::words::{number_or_unknown, thousands};

/// The first half of a SHA-256: nobody can make another message that has it.
pub(super) type Digest = [u8; 16];

/// The messages that a plan is pinned to, in the order of their IDs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pins(Arc<[(MessageId, Digest)]>);

/// Whether a message is one of those that were planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pinned {
    /// It is, as it was then; with its position in the list.
    Same(usize),
    /// It has the ID of one, and another content.
    Changed(usize),
    /// It is not.
    Not,
}

impl Pins {
    /// The pins of these messages.
    pub(super) fn new(mut pins: Vec<(MessageId, Digest)>) -> Self {
        pins.sort();
        pins.dedup_by(|one, other| one.0 == other.0);
        Self(pins.into())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Looks a message up.
    pub fn look(&self, message: &Message) -> Pinned {
        match self.0.binary_search_by(|(id, _)| id.cmp(&message.id)) {
            Err(_) => Pinned::Not,
            Ok(position) if self.0[position].1 == digest(message) => Pinned::Same(position),
            Ok(position) => Pinned::Changed(position),
        }
    }
}

/// How many messages can be looked at while all of them are held, so that none is seen twice.
pub(super) fn room_in_flight(source: &QueueAttributes) -> u64 {
    MAX_IN_FLIGHT.saturating_sub(source.counts.in_flight.unwrap_or_default())
}

/// The same, for all of them; fails where there is not so much room.
pub(super) fn room_to_look(source: &QueueAttributes) -> Result<u64> {
    let counts = source.counts;
    let room = room_in_flight(source);
    match counts.visible {
        Some(visible) if visible > room => {
            Err(too_many(source, &format!("about {}", thousands(visible)), "nothing was received"))
        }
        // Where it is unknown, the scan finds out.
        _ => Ok(room),
    }
}

fn too_many(source: &QueueAttributes, visible: &str, kept: &str) -> Error {
    Error::guarded(format!(
        "queue {} holds {visible} messages, and {} are in flight with others: an exact plan holds every message while it \
         looks, and about {} can be in flight at once",
        source.name(),
        number_or_unknown(source.counts.in_flight),
        thousands(MAX_IN_FLIGHT)
    ))
    .hint(format!("{kept}; plan without --exact: the rules and the plan's bounds hold then, instead of message IDs"))
}

/// Fails where a scan did not see what an exact plan must have seen: all there is to see.
pub(super) fn saw_enough(source: &QueueAttributes, look: &Look<'_>, end: End) -> Result<()> {
    let kept = "what was received is given back, and no plan was written";
    match end {
        End::Enough => Err(too_many(source, &format!("more than {}", thousands(look.messages)), kept)),
        // Behind a message in flight a FIFO queue hides the rest of its group, and nobody can say how much that is.
        End::NothingMore if source.fifo => Err(Error::guarded(format!(
            "queue {} is a FIFO queue: of {} only the first messages of their groups could be looked at",
            source.name(),
            number_or_unknown(source.counts.visible)
        ))
        .hint(format!("{kept}; plan without --exact"))),
        End::NothingMore | End::WholeQueue | End::Memory => Ok(()),
    }
}

/// The digest of body and message attributes, and of the body in S3 where that was read. Each part comes with its length, so that no two messages run into one.
pub(super) fn digest(message: &Message) -> Digest {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(message.body.as_bytes());
    for (name, attribute) in &message.attributes {
        part(name.as_bytes());
        part(attribute.data_type.as_bytes());
        match &attribute.value {
            AttributeValue::Text(text) => part(text.as_bytes()),
            AttributeValue::Binary(bytes) => part(bytes),
        }
    }
    // An attribute is three parts, so one or two more are nothing else. Where the body is in S3 and was read, it counts.
    match &message.payload {
        None => {}
        Some(Payload::Fetched(text)) => part(text.as_bytes()),
        Some(Payload::Unreadable(_)) => [b"", b""].into_iter().for_each(|none| part(none)),
    }
    let mut digest = Digest::default();
    digest.copy_from_slice(&hash.finalize()[..16]);
    digest
}

/// As a list of `ID digest`: a line for each in an indented file, which a search for an ID finds.
impl Serialize for Pins {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|(id, digest)| format!("{id} {}", STANDARD_NO_PAD.encode(digest))))
    }
}

impl<'de> Deserialize<'de> for Pins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let lines = Vec::<String>::deserialize(deserializer)?;
        let pin = |line: &String| {
            let (id, digest) = line.rsplit_once(' ')?;
            Some((MessageId::new(id), STANDARD_NO_PAD.decode(digest).ok()?.try_into().ok()?))
        };
        let pins: Option<Vec<(MessageId, Digest)>> = lines.iter().map(pin).collect();
        let pins = pins.ok_or_else(|| D::Error::custom("a pinned message is an ID and a digest"))?;
        if !pins.is_sorted_by(|one, other| one.0 < other.0) {
            return Err(D::Error::custom("the pinned messages are not in the order of their IDs"));
        }
        Ok(Self(pins.into()))
    }
}

#[cfg(test)]
mod tests {
    use redrive_protocol::message::Attribute;

    use super::super::fake::message;
    use super::*;

    fn pins(messages: &[Message]) -> Pins {
        Pins::new(messages.iter().map(|message| (message.id.clone(), digest(message))).collect())
    }

    #[test]
    fn a_message_is_known_by_its_id_and_by_all_that_is_in_it() {
        let mut planned = message(7, "body");
        planned.attributes.insert("a".to_owned(), Attribute::string("x"));
        let pins = pins(&[message(9, "z"), planned.clone(), message(1, "y")]);
        assert_eq!(pins.look(&planned), Pinned::Same(1));
        assert_eq!(pins.look(&message(8, "body")), Pinned::Not);
        let changes: [fn(&mut Message); 7] = [
            |m| m.body.push('!'),
            |m| drop(m.attributes.remove("a")),
            |m| drop(m.attributes.insert("b".to_owned(), Attribute::string("x"))),
            |m| drop(m.attributes.insert("a".to_owned(), Attribute::number("x"))),
            |m| m.payload = Some(Payload::Fetched(String::new())),
            |m| m.payload = Some(Payload::Unreadable("gone".to_owned())),
            // The same bytes in another place.
            |m| {
                m.attributes.clear();
                m.body = "bodyaStringx".to_owned();
            },
        ];
        for change in changes {
            let mut other = planned.clone();
            change(&mut other);
            assert_eq!(pins.look(&other), Pinned::Changed(1));
        }
    }

    #[test]
    fn the_list_is_the_same_in_whatever_order_it_was_made_and_read_back() {
        let messages: Vec<Message> = (0..50).map(|number| message(number, "x")).collect();
        let mut other = messages.clone();
        other.reverse();
        other.push(messages[3].clone());
        assert_eq!(pins(&messages), pins(&other));
        let text = serde_json::to_string(&pins(&messages)).expect("JSON");
        assert_eq!(serde_json::from_str::<Pins>(&text).expect("pins"), pins(&messages));
        for no in [r#"["a"]"#, r#"["a b"]"#, r#"["a AAAAAAAAAAAAAAAAAAAAAA","a AAAAAAAAAAAAAAAAAAAAAA"]"#, "[1]", "{}"]
        {
            assert!(serde_json::from_str::<Pins>(no).is_err(), "{no}");
        }
    }
}
