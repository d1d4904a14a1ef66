//! Receiving: its limits, long polling, and which attributes an answer shows. What is delivered is `queue`'s.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::account::{Account, Cell};
use super::call::ReceiveMessage;
use super::deliver::{Ask, Delivery};
use super::failure::Failure;
use super::message::{Attribute, Extra, Stored, WireAttribute, hex, md5_of_attributes};
use super::{Outcome, Tamper, Touched};

/// The system attributes that a receive can ask for.
const SYSTEM_ATTRIBUTES: [&str; 9] = [
    "AWSTraceHeader",
    "ApproximateFirstReceiveTimestamp",
    "ApproximateReceiveCount",
    "DeadLetterQueueSourceArn",
    "MessageDeduplicationId",
    "MessageGroupId",
    "SenderId",
    "SentTimestamp",
    "SequenceNumber",
];

#[derive(Serialize)]
struct Answer {
    #[serde(rename = "Messages", skip_serializing_if = "Vec::is_empty")]
    messages: Vec<Shown>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Shown {
    message_id: String,
    receipt_handle: String,
    #[serde(rename = "MD5OfBody")]
    md5_of_body: String,
    body: Box<str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    message_attributes: BTreeMap<String, WireAttribute>,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    md5_of_attributes: Option<String>,
}

/// The parameters of a receive, judged.
struct Request {
    ask: Ask,
    wait: Option<u32>,
}

fn within(parameter: &str, value: Option<i64>, least: u32, most: u32, reason: &str) -> Result<Option<u32>, Failure> {
    let Some(value) = value else { return Ok(None) };
    let number = u32::try_from(value).ok().filter(|number| (least..=most).contains(number)).ok_or_else(|| {
        Failure::invalid_value(format!("Value {value} for parameter {parameter} is invalid. Reason: {reason}"))
    })?;
    Ok(Some(number))
}

fn judge(request: &ReceiveMessage, tamper: &Tamper) -> Result<Request, Failure> {
    let max =
        within("MaxNumberOfMessages", request.max_number_of_messages, 1, 10, "Must be between 1 and 10, if provided.")?;
    let wait = within("WaitTimeSeconds", request.wait_time_seconds, 0, 20, "Must be >= 0 and <= 20, if provided.")?;
    let visibility = within(
        "VisibilityTimeout",
        request.visibility_timeout,
        0,
        43_200,
        "Must be between 0 and 43200, if provided.",
    )?;
    for name in request.attribute_names.iter().chain(&request.message_system_attribute_names) {
        if name != "All" && !SYSTEM_ATTRIBUTES.contains(&name.as_str()) {
            return Err(Failure::unknown_attribute(name));
        }
    }
    let ask = Ask {
        max: max.unwrap_or(1) as usize,
        visibility,
        thorough: false,
        has_target: false,
        duplicate: tamper.duplicate,
    };
    Ok(Request { ask, wait })
}

impl Account {
    /// Receives, waiting for the first message where the call or the queue says so.
    pub(super) async fn receive(&self, request: &ReceiveMessage, tamper: &Tamper) -> Result<Outcome, Failure> {
        let cell = self.by_url(&request.queue_url)?;
        let judged = judge(request, tamper)?;
        let wait = judged.wait.unwrap_or_else(|| cell.lock().settings.wait);
        let give_up = Instant::now() + Duration::from_secs(u64::from(wait));
        let ask = Ask { thorough: wait > 0, ..judged.ask };
        loop {
            let woken = cell.wake.notified();
            tokio::pin!(woken);
            // Listening begins before looking, so that nothing that comes in between is missed.
            woken.as_mut().enable();
            if cell.is_gone() {
                return Err(Failure::no_such_queue());
            }
            let (deliveries, sleep) = self.receive_now(&cell, ask)?;
            if !deliveries.is_empty() || Instant::now() >= give_up {
                return Ok(answer(deliveries, request, tamper));
            }
            let until = sleep.map_or(give_up, |sleep| give_up.min(Instant::now() + sleep));
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    /// One look at the queue, and how long until something becomes visible by itself.
    fn receive_now(&self, cell: &Cell, ask: Ask) -> Result<(Vec<Delivery>, Option<Duration>), Failure> {
        let target_arn = cell.lock().settings.target_arn().map(str::to_owned);
        let target = target_arn.and_then(|arn| self.by_arn(&arn));
        let now = self.now();
        let mut queue = cell.lock();
        let received = queue.receive(now, Ask { has_target: target.is_some(), ..ask })?;
        let has_more = queue.has_visible();
        let sleep = queue.next_deadline().map(|at| Duration::from_millis(at.saturating_sub(now)));
        drop(queue);
        if has_more && !received.deliveries.is_empty() {
            // One notice wakes one receiver; it may not have taken all that there is.
            cell.wake.notify_one();
        }
        if let Some(target) = target
            && !received.dead.is_empty()
        {
            let mut queue = target.lock();
            for dead in received.dead {
                queue.bury(now, dead, &cell.arn);
            }
            drop(queue);
            target.wake.notify_one();
        }
        Ok((received.deliveries, sleep))
    }
}

fn answer(deliveries: Vec<Delivery>, request: &ReceiveMessage, tamper: &Tamper) -> Outcome {
    let touched = deliveries
        .iter()
        .map(|delivery| Touched { id: delivery.message.id, body_md5: Some(delivery.message.body_md5) })
        .collect();
    let entries = deliveries.len();
    let messages = deliveries.into_iter().map(|delivery| show(delivery, request, tamper.corrupt_md5)).collect();
    Outcome { entries, touched, ..Outcome::json(&Answer { messages }) }
}

fn show(Delivery { handle, message }: Delivery, request: &ReceiveMessage, corrupt_md5: bool) -> Shown {
    let chosen: Vec<(&str, &Attribute)> = message
        .attributes
        .iter()
        .flat_map(|attributes| attributes.iter())
        .map(|(name, attribute)| (name.as_ref(), attribute))
        .filter(|(name, _)| request.message_attribute_names.iter().any(|pattern| matches_name(pattern, name)))
        .collect();
    let mut md5 = message.body_md5;
    if corrupt_md5 {
        md5[0] ^= 1;
    }
    Shown {
        message_id: message.id.to_string(),
        md5_of_body: hex(&md5),
        attributes: system_attributes(&message, |name| {
            let asked = request.attribute_names.iter().chain(&request.message_system_attribute_names);
            asked.into_iter().any(|pattern| pattern == "All" || pattern == name)
        }),
        md5_of_attributes: (!chosen.is_empty()).then(|| hex(&md5_of_attributes(chosen.iter().copied()))),
        message_attributes: chosen.into_iter().map(|(name, attribute)| (name.to_owned(), attribute.wire())).collect(),
        receipt_handle: handle,
        body: message.body,
    }
}

fn matches_name(pattern: &str, name: &str) -> bool {
    match pattern {
        "All" | "*" | ".*" => true,
        _ => match pattern.strip_suffix(".*") {
            // `foo.*` asks for all names that begin with `foo`, with or without a full stop after it.
            Some(prefix) => name.starts_with(prefix),
            None => pattern == name,
        },
    }
}

fn system_attributes(message: &Stored, wanted: impl Fn(&str) -> bool) -> BTreeMap<&'static str, String> {
    let none = Extra::default();
    let extra = message.extra.as_deref().unwrap_or(&none);
    let mut shown = BTreeMap::new();
    let mut put = |name: &'static str, value: Option<String>| {
        if let Some(value) = value.filter(|_| wanted(name)) {
            shown.insert(name, value);
        }
    };
    put("SenderId", Some("AIDASANDBOXSANDBOXSAN".to_owned()));
    put("SentTimestamp", Some(message.sent.to_string()));
    put("ApproximateReceiveCount", Some(message.receive_count.to_string()));
    put("ApproximateFirstReceiveTimestamp", Some(message.first_received.to_string()));
    put("MessageGroupId", extra.group.as_deref().map(str::to_owned));
    put("MessageDeduplicationId", extra.deduplication.as_deref().map(str::to_owned));
    put("SequenceNumber", (extra.sequence > 0).then(|| extra.sequence.to_string()));
    put("AWSTraceHeader", extra.trace.as_deref().map(str::to_owned));
    put("DeadLetterQueueSourceArn", extra.source_arn.as_deref().map(str::to_owned));
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attribute_names_are_matched_as_sqs_does() {
        for (pattern, name, expected) in [
            ("All", "tenant", true),
            ("*", "tenant", true),
            (".*", "tenant", true),
            ("tenant", "tenant", true),
            ("tenant", "tenants", false),
            ("trace.*", "trace.id", true),
            ("trace.*", "tracer", true),
            ("trace.*", "tenant", false),
            ("trace*", "trace.id", false),
            ("", "tenant", false),
        ] {
            assert_eq!(matches_name(pattern, name), expected, "{pattern} against {name}");
        }
    }
}
