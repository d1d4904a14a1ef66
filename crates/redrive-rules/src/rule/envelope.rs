//! The archived form of a message: one JSON object on one line, keys in this order, version 1. The same message archived by
//! the same run gives the same bytes, however often it was received: that is how a resumed run knows its own object.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use redrive_protocol::message::{Attribute, AttributeValue, Attributes, Message, MessageId, SystemAttributes};
use serde::{Deserialize, Serialize};

use super::context::Context;

/// What the object is called.
const KIND: &str = "redrive.message";

/// The version of the format.
const VERSION: u32 = 1;

/// These change with every receive.
const VOLATILE: [&str; 2] = ["ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp"];

#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    message_id: &'a str,
    /// The source queue's ARN.
    source: &'a str,
    run: &'a str,
    job: &'a str,
    rule: &'a str,
    exhausted: bool,
    /// RFC 3339; null where the message had none.
    sent_timestamp: Option<Timestamp>,
    body: &'a str,
    attributes: BTreeMap<&'a str, EnvelopeAttribute<'a>>,
    system_attributes: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct EnvelopeAttribute<'a> {
    #[serde(rename = "type")]
    data_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    /// Base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    binary: Option<String>,
}

/// What of an envelope makes a message again.
#[derive(Deserialize)]
struct Archived {
    #[serde(rename = "type")]
    kind: String,
    version: u32,
    message_id: String,
    body: String,
    attributes: BTreeMap<String, ArchivedAttribute>,
    system_attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct ArchivedAttribute {
    #[serde(rename = "type")]
    data_type: String,
    value: Option<String>,
    binary: Option<String>,
}

/// The message in an envelope; `None` where the text is none.
pub fn read_envelope(text: &str) -> Option<Message> {
    let archived: Archived = serde_json::from_str(text).ok()?;
    if archived.kind != KIND || archived.version != VERSION {
        return None;
    }
    let attribute = |(name, attribute): (String, ArchivedAttribute)| {
        let value = match (attribute.value, attribute.binary) {
            (Some(text), None) => AttributeValue::Text(text),
            (None, Some(base64)) => AttributeValue::Binary(BASE64_STANDARD.decode(base64).ok()?),
            _ => return None,
        };
        Some((name, Attribute { data_type: attribute.data_type, value }))
    };
    Some(Message {
        id: MessageId::new(archived.message_id),
        body: archived.body,
        attributes: archived.attributes.into_iter().map(attribute).collect::<Option<_>>()?,
        system: SystemAttributes(archived.system_attributes),
        payload: None,
    })
}

/// Writes the envelope, without a line end.
pub(super) fn envelope(
    context: &Context<'_>,
    exhausted: bool,
    body: &str,
    attributes: &Attributes,
    system: &SystemAttributes,
) -> Result<String, serde_json::Error> {
    let attributes = attributes.iter().map(|(name, attribute)| {
        let (value, binary) = match &attribute.value {
            AttributeValue::Text(text) => (Some(text.as_str()), None),
            AttributeValue::Binary(bytes) => (None, Some(BASE64_STANDARD.encode(bytes))),
        };
        (name.as_str(), EnvelopeAttribute { data_type: &attribute.data_type, value, binary })
    });
    let system = system.0.iter().filter(|(name, _)| !VOLATILE.contains(&name.as_str()));
    serde_json::to_string(&Envelope {
        kind: KIND,
        version: VERSION,
        message_id: context.id.as_str(),
        source: &context.setting.source_arn,
        run: &context.setting.run,
        job: context.job,
        rule: context.rule,
        exhausted,
        sent_timestamp: context.sent,
        body,
        attributes: attributes.collect(),
        system_attributes: system.map(|(name, value)| (name.as_str(), value.as_str())).collect(),
    })
}
