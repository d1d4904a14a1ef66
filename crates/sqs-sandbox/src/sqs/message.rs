//! A message as the sandbox keeps it, the limits that SQS sets on one, and the MD5s that it answers with.
//! Pure data: no queue, no clock, no HTTP.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::failure::Failure;

/// Milliseconds since the epoch, by the sandbox's clock.
pub(crate) type Millis = u64;

/// The most attributes on one message.
const MAX_ATTRIBUTES: usize = 10;

/// A message attribute as it travels in JSON.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireAttribute {
    /// `String`, `Number` or `Binary`, with an optional custom label after a full stop.
    #[serde(rename = "DataType")]
    pub data_type: String,
    /// The value of a `String` or `Number`.
    #[serde(rename = "StringValue", default, skip_serializing_if = "Option::is_none")]
    pub string_value: Option<String>,
    /// The value of a `Binary`, in base64.
    #[serde(rename = "BinaryValue", default, skip_serializing_if = "Option::is_none")]
    pub binary_value: Option<String>,
}

// Values are other people's data: they must not reach a log through `{:?}`.
impl fmt::Debug for WireAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageAttribute({})", self.data_type)
    }
}

/// A message attribute.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Attribute {
    data_type: Box<str>,
    value: Value,
}

#[derive(Clone, PartialEq, Eq)]
enum Value {
    Text(Box<str>),
    Binary(Box<[u8]>),
}

/// Message attributes by name, in the order in which their MD5 takes them.
pub(crate) type Attributes = BTreeMap<Box<str>, Attribute>;

/// What few messages have, kept apart to keep the others small.
#[derive(Clone, Default)]
pub(crate) struct Extra {
    pub(crate) trace: Option<Box<str>>,
    pub(crate) group: Option<Arc<str>>,
    /// The ARN of the queue whose redrive policy moved it here.
    pub(crate) source_arn: Option<Arc<str>>,
    pub(crate) deduplication: Option<Box<str>>,
    /// On FIFO queues; zero elsewhere.
    pub(crate) sequence: u64,
}

impl Extra {
    /// As a message keeps it: nothing where there is nothing.
    pub(crate) fn into_stored(self) -> Option<Arc<Self>> {
        let is_empty = self.trace.is_none()
            && self.group.is_none()
            && self.source_arn.is_none()
            && self.deduplication.is_none()
            && self.sequence == 0;
        (!is_empty).then(|| Arc::new(self))
    }
}

/// A message that is sent, judged and digested, but not yet in a queue.
pub(crate) struct Incoming {
    pub(crate) body: Box<str>,
    pub(crate) body_md5: [u8; 16],
    pub(crate) attributes: Option<Arc<Attributes>>,
    pub(crate) extra: Extra,
    /// Its own delay in seconds, where it has one.
    pub(crate) delay: Option<u32>,
}

/// Where a message is in its queue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Visible,
    Delayed {
        until: Millis,
    },
    /// `held` is from the receive until then: twelve hours at most.
    InFlight {
        until: Millis,
        held: u32,
    },
}

impl State {
    pub(crate) fn in_flight(received: Millis, until: Millis) -> Self {
        Self::InFlight { until, held: u32::try_from(until.saturating_sub(received)).unwrap_or(u32::MAX) }
    }
}

/// A message in a queue.
#[derive(Clone)]
pub(crate) struct Stored {
    pub(crate) id: Uuid,
    // Not shared, though each delivery copies it then: with a counter in front, a body of 1,024 bytes takes 1,280 of the allocator.
    pub(crate) body: Box<str>,
    pub(crate) body_md5: [u8; 16],
    pub(crate) attributes: Option<Arc<Attributes>>,
    pub(crate) extra: Option<Arc<Extra>>,
    pub(crate) sent: Millis,
    /// Zero until it is received.
    pub(crate) first_received: Millis,
    pub(crate) receive_count: u32,
    /// Its place among all that ever came to this queue.
    pub(crate) arrival: u64,
    /// The number of the newest receipt handle.
    pub(crate) receipt: u32,
    pub(crate) state: State,
}

impl Stored {
    pub(crate) fn group(&self) -> Option<&Arc<str>> {
        self.extra.as_ref()?.group.as_ref()
    }
}

/// Whether SQS takes this character in a body or a text attribute.
fn is_valid_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Refuses a text with a character that SQS does not take.
pub(crate) fn check_characters(text: &str) -> Result<(), Failure> {
    // Nearly all text is printable ASCII, which needs no decoding.
    if text.bytes().all(|byte| (0x20..0x80).contains(&byte)) || text.chars().all(is_valid_char) {
        Ok(())
    } else {
        Err(Failure::invalid_characters())
    }
}

fn check_name(name: &str) -> Result<(), Failure> {
    let lower = name.to_ascii_lowercase();
    // Letters of any script: the documentation has only those of English, but SQS takes others.
    let characters = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
    let dots = name.starts_with('.') || name.ends_with('.') || name.contains("..");
    let reserved = lower.starts_with("aws.") || lower.starts_with("amazon.");
    if name.is_empty() || name.len() > 256 || !characters || dots || reserved {
        return Err(Failure::invalid_value(format!(
            "Invalid message attribute name \"{name}\": 1 to 256 letters, digits, _ - . are allowed, no full stop at \
             either end or twice in a row, and neither AWS. nor Amazon. in front."
        )));
    }
    Ok(())
}

impl Attribute {
    fn parse(name: &str, wire: WireAttribute) -> Result<Self, Failure> {
        let empty = |kind: &str| {
            Failure::invalid_value(format!(
                "Message (user) attribute '{name}' must contain a non-empty value of type '{kind}'."
            ))
        };
        let kind = wire.data_type.split('.').next().unwrap_or_default();
        let value = match (kind, wire.string_value, wire.binary_value) {
            ("String" | "Number", Some(text), None) if !text.is_empty() => {
                check_characters(&text).map_err(|failure| Failure::invalid_value(failure.message))?;
                if kind == "Number" && !text.trim().parse::<f64>().is_ok_and(f64::is_finite) {
                    return Err(Failure::invalid_value(format!(
                        "Can't cast the value of message (user) attribute '{name}' to a number."
                    )));
                }
                Value::Text(text.into())
            }
            ("Binary", None, Some(encoded)) if !encoded.is_empty() => {
                let bytes = STANDARD.decode(&encoded).map_err(|_| {
                    Failure::invalid_value(format!("The value of message (user) attribute '{name}' is not base64."))
                })?;
                Value::Binary(bytes.into())
            }
            ("String" | "Number" | "Binary", ..) => return Err(empty(kind)),
            _ => {
                return Err(Failure::invalid_value(format!(
                    "The message (user) attribute '{name}' has an invalid message attribute type, the set of \
                     supported type prefixes is Binary, Number, and String."
                )));
            }
        };
        if wire.data_type.len() > 256 {
            return Err(Failure::invalid_value(format!(
                "The data type of message (user) attribute '{name}' is too long."
            )));
        }
        Ok(Self { data_type: wire.data_type.into(), value })
    }

    /// The attribute as it travels.
    pub(crate) fn wire(&self) -> WireAttribute {
        let (string_value, binary_value) = match &self.value {
            Value::Text(text) => (Some(text.to_string()), None),
            Value::Binary(bytes) => (None, Some(STANDARD.encode(bytes))),
        };
        WireAttribute { data_type: self.data_type.to_string(), string_value, binary_value }
    }

    fn bytes(&self) -> &[u8] {
        match &self.value {
            Value::Text(text) => text.as_bytes(),
            Value::Binary(bytes) => bytes,
        }
    }
}

/// Judges and takes over the attributes of a message.
pub(crate) fn parse_attributes(wire: BTreeMap<String, WireAttribute>) -> Result<Option<Arc<Attributes>>, Failure> {
    if wire.is_empty() {
        return Ok(None);
    }
    if wire.len() > MAX_ATTRIBUTES {
        return Err(Failure::invalid_value(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{MAX_ATTRIBUTES}].",
            wire.len()
        )));
    }
    let mut attributes = Attributes::new();
    for (name, attribute) in wire {
        check_name(&name)?;
        let parsed = Attribute::parse(&name, attribute)?;
        attributes.insert(name.into(), parsed);
    }
    Ok(Some(Arc::new(attributes)))
}

/// Size in bytes as SQS counts it.
pub(crate) fn size(body: &str, attributes: Option<&Attributes>) -> usize {
    let of_attributes = attributes
        .into_iter()
        .flatten()
        .map(|(name, attribute)| name.len() + attribute.data_type.len() + attribute.bytes().len());
    body.len() + of_attributes.sum::<usize>()
}

/// The MD5 of a body.
pub(crate) fn md5_of_body(body: &str) -> [u8; 16] {
    Md5::digest(body.as_bytes()).into()
}

/// The MD5 of attributes, which must come sorted by name.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>
pub(crate) fn md5_of_attributes<'a>(attributes: impl Iterator<Item = (&'a str, &'a Attribute)>) -> [u8; 16] {
    fn part(digest: &mut Md5, bytes: &[u8]) {
        digest.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        digest.update(bytes);
    }
    let mut digest = Md5::new();
    for (name, attribute) in attributes {
        part(&mut digest, name.as_bytes());
        part(&mut digest, attribute.data_type.as_bytes());
        digest.update([if matches!(attribute.value, Value::Text(_)) { 1 } else { 2 }]);
        part(&mut digest, attribute.bytes());
    }
    digest.finalize().into()
}

/// The MD5 of the one system attribute that can be sent.
pub(crate) fn md5_of_trace(trace: &str) -> [u8; 16] {
    let attribute = Attribute { data_type: "String".into(), value: Value::Text(trace.into()) };
    md5_of_attributes(std::iter::once(("AWSTraceHeader", &attribute)))
}

/// Bytes as lower-case hexadecimal digits. Every message that is sent or received has an MD5, so not by `format!`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |four: u8| char::from(b"0123456789abcdef"[usize::from(four)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
