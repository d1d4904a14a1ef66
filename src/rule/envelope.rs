//! The archived form of a message: one JSON object on one line, keys in this order, version 1. The same message archived by
//! the same run gives the same bytes, however often it was received: that is how a resumed run knows its own object.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde::Serialize;

use super::context::Context;
use crate::message::{AttributeValue, Attributes, SystemAttributes};

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
        kind: "redrive.message",
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
