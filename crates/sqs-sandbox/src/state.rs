//! What is in the queues, message by message, without receiving: so that tests can compare sets and people can look.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::MessageAttribute;
use super::sqs::account::Cell;
use super::sqs::message::{Millis, State, Stored};

/// A queue and all its messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueState {
    /// The name.
    pub name: String,
    /// The ARN.
    pub arn: String,
    /// The attributes, as `GetQueueAttributes` gives them.
    pub attributes: BTreeMap<String, String>,
    /// The messages by their time of sending.
    pub messages: Vec<MessageState>,
}

/// A message in a queue.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageState {
    /// The message ID.
    pub id: String,
    /// Where it is.
    pub state: Whereabouts,
    /// How often it was received.
    pub receive_count: u32,
    /// When it was sent, in milliseconds since the epoch.
    pub sent_timestamp: u64,
    /// The body.
    pub body: String,
    /// The message attributes.
    pub attributes: BTreeMap<String, MessageAttribute>,
    /// `MessageGroupId`, where it has one.
    pub message_group_id: Option<String>,
    /// `MessageDeduplicationId`, where it has one.
    pub message_deduplication_id: Option<String>,
    /// `AWSTraceHeader`, where it has one.
    pub trace_header: Option<String>,
    /// `DeadLetterQueueSourceArn`, where it has one.
    pub dead_letter_queue_source_arn: Option<String>,
}

/// Where a message is in its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whereabouts {
    /// It can be received.
    Visible,
    /// Somebody has received it.
    InFlight,
    /// It is delayed.
    Delayed,
}

// Bodies are private data: they must not reach a log through `{:?}`.
impl fmt::Debug for MessageState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageState({}, {:?}, {} bytes)", self.id, self.state, self.body.len())
    }
}

/// The state of a queue at this time.
pub(super) fn of(cell: &Cell, now: Millis) -> QueueState {
    let mut queue = cell.lock();
    queue.advance(now);
    let mut stored: Vec<&Stored> = queue.messages().collect();
    stored.sort_by_key(|stored| (stored.sent, stored.arrival));
    QueueState {
        name: cell.name.clone(),
        arn: cell.arn.to_string(),
        attributes: queue.settings.show(queue.counts()),
        messages: stored.into_iter().map(message).collect(),
    }
}

fn message(stored: &Stored) -> MessageState {
    let extra = stored.extra.as_deref();
    let text = |text: &str| text.to_owned();
    MessageState {
        id: stored.id.to_string(),
        state: match stored.state {
            State::Visible => Whereabouts::Visible,
            State::InFlight { .. } => Whereabouts::InFlight,
            State::Delayed { .. } => Whereabouts::Delayed,
        },
        receive_count: stored.receive_count,
        sent_timestamp: stored.sent,
        body: stored.body.to_string(),
        attributes: stored
            .attributes
            .iter()
            .flat_map(|attributes| attributes.iter())
            .map(|(name, attribute)| (name.to_string(), attribute.wire()))
            .collect(),
        message_group_id: extra.and_then(|extra| extra.group.as_deref()).map(text),
        message_deduplication_id: extra.and_then(|extra| extra.deduplication.as_deref()).map(text),
        trace_header: extra.and_then(|extra| extra.trace.as_deref()).map(text),
        dead_letter_queue_source_arn: extra.and_then(|extra| extra.source_arn.as_deref()).map(text),
    }
}
