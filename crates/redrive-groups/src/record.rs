//! What is remembered of a message for grouping: hashes of what was found in it, and no text. So a hundred thousand messages are
//! some tens of megabytes, however new each of them is.

use redrive_protocol::message::Message;
use redrive_rules::rule::Finder;

use crate::envelope::Envelope;
use crate::hash::{hash, wide};
use crate::look::{Sink, look};
use crate::mask::{self, WILD};
use crate::place::{OwnedPlace, Place};
use crate::roles::Role;

/// Names, texts and places of one message at most.
const MOST_WORDS: usize = 16;
const MOST_TEXTS: usize = 4;
const MOST_PLACES: usize = 40;

/// A message as grouping sees it.
#[derive(Debug)]
pub(crate) struct Record {
    /// The order in which messages are drawn and looked at: by a hash of their IDs.
    pub(crate) draw: u64,
    pub(crate) sent: Option<i64>,
    /// The number of the receive that brought it.
    pub(crate) receive: u64,
    pub(crate) receives: u32,
    pub(crate) size: u32,
    pub(crate) origin: u32,
    /// A bit for each envelope.
    pub(crate) envelopes: u16,
    /// Something in it is about an error.
    pub(crate) tells: bool,
    /// Names: place, role, value.
    pub(crate) words: Box<[(u32, Role, u32)]>,
    /// Sentences: place, words.
    pub(crate) texts: Box<[(u32, Box<[u32]>)]>,
    /// Places where there is something, in order.
    pub(crate) shape: Box<[u32]>,
    /// The value that the caller groups by.
    pub(crate) by_hand: Option<u32>,
}

impl Record {
    /// Looks at a message.
    pub(crate) fn of(message: &Message, receive: u64, by: Option<&Finder>) -> Self {
        let mut found = Found::default();
        look(message, &mut found);
        found.shape.sort_unstable();
        found.shape.dedup();
        found.shape.truncate(MOST_PLACES);
        Self {
            draw: wide(message.id.as_str()),
            sent: message.system.sent_timestamp().map(jiff::Timestamp::as_millisecond),
            receive,
            receives: message.system.receive_count().unwrap_or(0),
            size: u32::try_from(message.size()).unwrap_or(u32::MAX),
            origin: hash(message.system.dead_letter_queue_source_arn().unwrap_or_default()),
            envelopes: found.envelopes,
            tells: found.tells,
            words: found.words.into(),
            texts: found.texts.into(),
            shape: found.shape.into(),
            by_hand: by.map(|by| by.find(message).map_or(0, |value| hash(&value).max(1))),
        }
    }
}

#[derive(Default)]
struct Found {
    words: Vec<(u32, Role, u32)>,
    texts: Vec<(u32, Box<[u32]>)>,
    shape: Vec<u32>,
    envelopes: u16,
    tells: bool,
}

/// The hash of a name, which is the same for all that are identifiers.
pub(crate) fn word(value: &str) -> u32 {
    if mask::is_identifier(value) { WILD } else { hash(value).max(1) }
}

impl Sink for Found {
    fn word(&mut self, place: &Place<'_>, role: Role, value: &str) {
        self.tells |= role != Role::Event;
        if self.words.len() < MOST_WORDS {
            self.words.push((place.hash, role, word(value)));
        }
    }

    fn text(&mut self, place: &Place<'_>, _: Role, value: &str) {
        self.tells = true;
        if self.texts.len() < MOST_TEXTS {
            self.texts.push((place.hash, mask::words(value).into_iter().map(|word| word.hash).collect()));
        }
    }

    fn shape(&mut self, place: &Place<'_>) {
        if self.shape.len() < 4 * MOST_PLACES {
            self.shape.push(place.hash);
        }
    }

    fn envelope(&mut self, envelope: Envelope) {
        self.envelopes |= envelope.bit();
    }
}

/// The same finds with their words, for a message that is at hand.
#[derive(Debug, Default)]
pub(crate) struct Named {
    pub(crate) words: Vec<(OwnedPlace, Role, String)>,
    pub(crate) texts: Vec<(OwnedPlace, Role, String)>,
    pub(crate) places: Vec<OwnedPlace>,
}

impl Named {
    /// Looks at a message.
    pub(crate) fn of(message: &Message) -> Self {
        let mut named = Self::default();
        look(message, &mut named);
        named
    }
}

impl Sink for Named {
    fn word(&mut self, place: &Place<'_>, role: Role, value: &str) {
        if self.words.len() < MOST_WORDS {
            self.words.push((place.owned(), role, value.to_owned()));
        }
    }

    fn text(&mut self, place: &Place<'_>, role: Role, value: &str) {
        if self.texts.len() < MOST_TEXTS {
            self.texts.push((place.owned(), role, crate::bounded(value, mask::MAX_TEXT).to_owned()));
        }
    }

    fn shape(&mut self, place: &Place<'_>) {
        if self.places.len() < 4 * MOST_PLACES {
            self.places.push(place.owned());
        }
    }

    fn envelope(&mut self, _: Envelope) {}
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use redrive_protocol::message::{Attribute, MessageId, SystemAttributes};
    use serde_json::{Map, Value, json};

    use super::*;

    #[test]
    fn what_is_remembered_of_a_message_is_little_whatever_it_holds() {
        let words = (0..1000).map(|n| format!("w{}x", n % 7)).collect::<Vec<_>>().join(" ");
        let error = json!({"errorType": "Refused", "errorMessage": words, "code": "E_ONE"});
        let members: Map<String, Value> = (1..100).map(|n| ("a".repeat(n), error.clone())).collect();
        let body = Value::Object(members).to_string();
        let attribute = |n: usize| (format!("error{}", "a".repeat(n)), Attribute::string(&words));
        let message = Message {
            id: MessageId::new("m"),
            body,
            attributes: (0..10).map(attribute).collect::<BTreeMap<_, _>>(),
            system: SystemAttributes::default(),
            payload: None,
        };
        let record = Record::of(&message, 0, None);
        assert_eq!((record.words.len(), record.texts.len(), record.shape.len()), (MOST_WORDS, MOST_TEXTS, MOST_PLACES));
        assert!(record.texts.iter().all(|(_, words)| words.len() <= mask::MAX_WORDS));
    }
}
