//! A message as SQS delivers it and as it is sent on: identifiers, body, attributes, and its size as SQS counts it.
//! Plain data: nothing here talks to a queue or judges.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

/// The message ID that SQS gave at the send. It stays when SQS itself moves the message to a dead-letter queue, and is a
/// new one after every send, ours or AWS's own redrive.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(Arc<str>);

impl MessageId {
    /// Takes the ID as SQS wrote it.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The ID as SQS wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a receive gives to act on this delivery of the message. A new one comes with each receive; only the newest is sure.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ReceiptHandle(Arc<str>);

impl ReceiptHandle {
    /// Takes the handle as SQS wrote it.
    pub fn new(handle: impl Into<Arc<str>>) -> Self {
        Self(handle.into())
    }

    /// The handle as SQS wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ReceiptHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReceiptHandle(..)")
    }
}

/// A message attribute: its data type with the custom label (`Number.int`, `Binary.png`), and its value.
#[derive(Clone, PartialEq, Eq)]
pub struct Attribute {
    /// `String`, `Number` or `Binary`, with an optional custom label after a full stop.
    pub data_type: String,
    /// The value; binary exactly where the data type is.
    pub value: AttributeValue,
}

/// The value of a message attribute.
#[derive(Clone, PartialEq, Eq)]
pub enum AttributeValue {
    /// Of the types `String` and `Number`.
    Text(String),
    /// Of the type `Binary`, decoded.
    Binary(Vec<u8>),
}

impl Attribute {
    /// A `String` attribute.
    pub fn string(value: impl Into<String>) -> Self {
        Self { data_type: "String".to_owned(), value: AttributeValue::Text(value.into()) }
    }

    /// A `Number` attribute; SQS carries numbers as text.
    pub fn number(value: impl fmt::Display) -> Self {
        Self { data_type: "Number".to_owned(), value: AttributeValue::Text(value.to_string()) }
    }

    /// The value where it is text.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            AttributeValue::Text(text) => Some(text),
            AttributeValue::Binary(_) => None,
        }
    }

    /// Whether the data type is a number, with or without a custom label.
    pub fn is_number(&self) -> bool {
        self.data_type == "Number" || self.data_type.starts_with("Number.")
    }

    fn size(&self) -> usize {
        let value = match &self.value {
            AttributeValue::Text(text) => text.len(),
            AttributeValue::Binary(bytes) => bytes.len(),
        };
        self.data_type.len() + value
    }
}

// Values are other people's data: they must not reach a log through `{:?}`.
impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attribute({}, {} bytes)", self.data_type, self.size())
    }
}

impl fmt::Debug for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AttributeValue(..)")
    }
}

/// Message attributes by name.
pub type Attributes = BTreeMap<String, Attribute>;

/// The most message attributes that SQS takes on one message.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>
pub const MAX_ATTRIBUTES: usize = 10;

/// System attributes of a received message, by SQS's names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemAttributes(pub BTreeMap<String, String>);

impl SystemAttributes {
    /// Those that SQS gives with a message.
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>
    pub const NAMES: &[&str] = &[
        "ApproximateFirstReceiveTimestamp",
        "ApproximateReceiveCount",
        "AWSTraceHeader",
        "DeadLetterQueueSourceArn",
        "MessageDeduplicationId",
        "MessageGroupId",
        "SenderId",
        "SentTimestamp",
        "SequenceNumber",
    ];

    /// Whether SQS means a number by the text of the attribute with this name.
    pub fn is_numeric(name: &str) -> bool {
        matches!(
            name,
            "ApproximateReceiveCount" | "ApproximateFirstReceiveTimestamp" | "SentTimestamp" | "SequenceNumber"
        )
    }

    /// One system attribute by SQS's name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn millis(&self, name: &str) -> Option<Timestamp> {
        Timestamp::from_millisecond(self.get(name)?.parse().ok()?).ok()
    }

    /// When the message was sent. A standard dead-letter queue keeps the original time.
    pub fn sent_timestamp(&self) -> Option<Timestamp> {
        self.millis("SentTimestamp")
    }

    /// How often it was received, over all queues that SQS itself moved it through. No count of redrives.
    pub fn receive_count(&self) -> Option<u32> {
        self.get("ApproximateReceiveCount")?.parse().ok()
    }

    /// The message group: always on a FIFO queue, sometimes on a standard one (fair queues).
    pub fn message_group_id(&self) -> Option<&str> {
        self.get("MessageGroupId")
    }

    /// The queue whose redrive policy moved the message here, by ARN; missing on messages that were sent here.
    pub fn dead_letter_queue_source_arn(&self) -> Option<&str> {
        self.get("DeadLetterQueueSourceArn")
    }

    /// Notes where it came from, where SQS does not know it any more.
    pub fn restore_origin(&mut self, came_from: impl FnOnce() -> Option<String>) {
        if self.dead_letter_queue_source_arn().is_none()
            && let Some(arn) = came_from()
        {
            self.0.insert("DeadLetterQueueSourceArn".to_owned(), arn);
        }
    }

    /// The X-Ray trace header.
    pub fn trace_header(&self) -> Option<&str> {
        self.get("AWSTraceHeader")
    }
}

/// A message as it was received. The body is private data: `Debug` shows its length only.
#[derive(Clone)]
pub struct Message {
    /// The message ID.
    pub id: MessageId,
    /// The body, as it came.
    pub body: String,
    /// The message attributes.
    pub attributes: Attributes,
    /// The system attributes.
    pub system: SystemAttributes,
    /// What the body leads to, where it is a pointer of the Extended Client that was followed.
    pub payload: Option<Payload>,
}

/// The body that the Extended Client keeps in S3, for a message whose own body is the pointer to it.
#[derive(Clone, PartialEq, Eq)]
pub enum Payload {
    /// It was read.
    Fetched(String),
    /// It cannot be read, and why.
    Unreadable(String),
}

impl Message {
    /// Size in bytes as SQS counts it: body, and name, data type and value of each message attribute.
    pub fn size(&self) -> usize {
        size(&self.body, &self.attributes)
    }

    /// The body that its sender meant: what a pointer leads to. `None` where that cannot be read.
    pub fn meant(&self) -> Option<&str> {
        match &self.payload {
            None => Some(&self.body),
            Some(Payload::Fetched(text)) => Some(text),
            Some(Payload::Unreadable(_)) => None,
        }
    }

    /// The body to show to people: of a pointer, what it leads to, where that was read.
    pub fn shown(&self) -> &str {
        self.meant().unwrap_or(&self.body)
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetched(text) => write!(f, "Fetched({} bytes)", text.len()),
            Self::Unreadable(why) => write!(f, "Unreadable({why:?})"),
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({}, {} bytes)", self.id, self.size())
    }
}

/// Size in bytes of a body with attributes, as SQS counts it.
pub fn size(body: &str, attributes: &Attributes) -> usize {
    body.len() + attributes.iter().map(|(name, attribute)| name.len() + attribute.size()).sum::<usize>()
}

/// A delivery: a message and the handle to act on it.
#[derive(Clone, Debug)]
pub struct Received {
    /// The message.
    pub message: Message,
    /// The handle of this delivery.
    pub receipt: ReceiptHandle,
}

/// The body of a message on its way out. An untouched body is the received text itself: no code path re-serialises it.
#[derive(Clone, PartialEq, Eq)]
pub enum Body {
    /// Byte for byte what was received.
    Untouched(String),
    /// What a transform made of it.
    Changed(String),
}

impl Body {
    /// The text to send.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Untouched(text) | Self::Changed(text) => text,
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if matches!(self, Self::Untouched(_)) { "Untouched" } else { "Changed" };
        write!(f, "{what}({} bytes)", self.as_str().len())
    }
}

/// A message on its way to a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The body.
    pub body: Body,
    /// The message attributes.
    pub attributes: Attributes,
    /// The message group: needed on a FIFO queue, allowed on a standard one.
    pub message_group_id: Option<String>,
    /// The deduplication ID: only for a FIFO queue.
    pub message_deduplication_id: Option<String>,
    /// The X-Ray trace header, passed on as it came.
    pub trace_header: Option<String>,
    /// What must be in S3 before it is sent: the body that it points to.
    pub payload: Option<NewPayload>,
}

/// A changed body that goes to S3 before the message that points to it is sent.
#[derive(Clone, PartialEq, Eq)]
pub struct NewPayload {
    /// The bucket, which is that of the body as it was.
    pub bucket: String,
    /// The key: the same for the same message in the same run, and no other message's.
    pub key: String,
    /// The body.
    pub text: String,
}

impl fmt::Debug for NewPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewPayload({}/{}, {} bytes)", self.bucket, self.key, self.text.len())
    }
}

impl Outgoing {
    /// Size in bytes as SQS counts it. The trace header is not counted.
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>
    pub fn size(&self) -> usize {
        size(self.body.as_str(), &self.attributes)
    }

    /// The body to show to people, of what was made of this message: of a pointer, what it leads to.
    pub fn shown<'a>(&'a self, before: &'a Message) -> &'a str {
        match &self.payload {
            Some(payload) => &payload.text,
            None if self.body.as_str() == before.body => before.shown(),
            None => self.body.as_str(),
        }
    }
}
