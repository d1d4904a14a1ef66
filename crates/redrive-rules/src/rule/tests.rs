//! Judging as a whole: conditions by name, the way from a rule to a decision, and what must hold for any message.

mod conditions;
mod decisions;
pub(super) mod fidelity;
mod jq;
mod pointers;
mod problems;
mod reference;
mod wrappings;

use std::collections::BTreeMap;

use jiff::Timestamp;
use redrive_protocol::message::{Attribute, AttributeValue, Attributes, MessageId, SystemAttributes};
use redrive_protocol::queue::{Counts, QueueAttributes};
use redrive_protocol::target::TargetKind;

use super::*;

/// The time of every plan here, in milliseconds since 1970.
const NOW: i64 = 1_800_000_000_000;

const HEADER: &str = r#"
version = 1
name = "orders-dlq"
[source]
queue = "orders-dlq"
[destination.archive]
s3 = { bucket = "b", key = "dead/{date}/{rule}/{sent_timestamp}_{message_id}.json" }
[destination.evidence]
file = { path = "evidence/{run}-{job}.jsonl" }
[destination.fifo]
sqs = { queue = "orders.fifo" }
[destination.grouped]
sqs = { queue = "grouped.fifo", message_group_id = "{source_queue}", message_deduplication_id = "{run}.{rule}" }
[destination.orders]
sqs = { queue = "orders" }
"#;

/// A job of these lines behind the common ones.
fn job(lines: &str) -> Job {
    toml::from_str(&format!("{HEADER}{lines}")).unwrap_or_else(|error| panic!("{error}\n{lines}"))
}

fn rules(lines: &str) -> Rules {
    Rules::compile(&job(lines)).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn queue(name: &str) -> QueueAttributes {
    QueueAttributes {
        arn: arn(name),
        url: format!("https://sqs.eu-west-1.amazonaws.com/123456789012/{name}"),
        fifo: name.strip_suffix(".fifo").is_some(),
        created: None,
        redrive_policy: None,
        redrive_allow_policy: None,
        maximum_message_size: 262_144,
        message_retention_seconds: 345_600,
        visibility_timeout_seconds: 30,
        kms_key: None,
        content_based_deduplication: false,
        counts: Counts::default(),
    }
}

fn arn(name: &str) -> String {
    format!("arn:aws:sqs:eu-west-1:123456789012:{name}")
}

fn setting() -> Setting {
    let target = |destination: &str, kind, name: Option<&str>| Target {
        destination: destination.to_owned(),
        kind,
        queue: name.map(queue),
        location: None,
    };
    Setting {
        now: at(NOW),
        sent_before: at(NOW),
        sent_after: None,
        run: "0123456789ab".to_owned(),
        source_arn: arn("orders-dlq"),
        targets: vec![
            target("archive", TargetKind::S3, None),
            target("evidence", TargetKind::File, None),
            target("fifo", TargetKind::Sqs, Some("orders.fifo")),
            target("grouped", TargetKind::Sqs, Some("grouped.fifo")),
            target("orders", TargetKind::Sqs, Some("orders")),
            target("origin", TargetKind::Sqs, Some("payments")),
            target("origin", TargetKind::Sqs, Some("refunds.fifo")),
            target("drop", TargetKind::Drop, None),
        ],
    }
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).expect("in range")
}

/// A message sent two hours before the plan.
fn message(body: &str) -> Message {
    let system = [("SentTimestamp", (NOW - 7_200_000).to_string()), ("ApproximateReceiveCount", "4".to_owned())];
    Message {
        id: MessageId::new("5fea7756-0ea4-451a-a703-a558b933e274"),
        body: body.to_owned(),
        attributes: Attributes::new(),
        system: SystemAttributes(BTreeMap::from(system.map(|(name, value)| (name.to_owned(), value)))),
        payload: None,
    }
}

fn with_attribute(mut message: Message, name: &str, data_type: &str, value: &str) -> Message {
    let value = AttributeValue::Text(value.to_owned());
    message.attributes.insert(name.to_owned(), Attribute { data_type: data_type.to_owned(), value });
    message
}

fn with_system(mut message: Message, name: &str, value: &str) -> Message {
    message.system.0.insert(name.to_owned(), value.to_owned());
    message
}

/// A verdict in a few words.
fn words(verdict: &Verdict) -> String {
    let exhausted = if verdict.exhausted { "exhausted, " } else { "" };
    let decision = match &verdict.decision {
        Decision::Send { target, .. } => format!("send to {}", target.0),
        Decision::Archive { target, key, .. } => format!("archive in {} as {key:?}", target.0),
        Decision::Drop { target } => format!("drop by {}", target.0),
        Decision::Keep(reason) => format!("keep: {}", reason.code()),
        Decision::Block { reason, detail } => format!("block: {} ({detail})", reason.code()),
    };
    format!("{exhausted}{decision}")
}

fn sent(verdict: Verdict) -> Outgoing {
    match verdict.decision {
        Decision::Send { outgoing, .. } => outgoing,
        other => panic!("expected a send, found {other:?}"),
    }
}
