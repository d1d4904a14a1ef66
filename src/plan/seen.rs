//! What the sampled messages show beside the rules' verdicts: where they came from, what wraps them, what could go wrong with
//! them. Pure: looks at messages, knows no queue.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use redrive_protocol::message::Message;
use redrive_rules::rule::Types;
use serde_json::Value;

use super::document::AgeCount;

/// Where one age ends and the next begins, in seconds: a minute, ten, an hour, six, a day, three, a week, and the longest that
/// SQS keeps a message. Fixed, so that the ages of two plans can be compared.
const AGES: [u64; 8] = [60, 600, 3600, 21_600, 86_400, 259_200, 604_800, 1_209_600];

/// Counts over the sampled messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Bytes as SQS counts them.
    pub(super) bytes: u64,
    /// When the oldest was sent.
    pub(super) oldest: Option<Timestamp>,
    /// When the newest was sent.
    pub(super) newest: Option<Timestamp>,
    /// Sent so long ago as [`AGES`] say, and longer.
    ages: [u64; AGES.len() + 1],
    /// Bodies that are not JSON.
    pub(super) not_json: u64,
    /// By `DeadLetterQueueSourceArn`; empty where there is none.
    pub(super) origins: BTreeMap<String, u64>,
    /// With an `AWSTraceHeader`.
    pub(super) trace_headers: u64,
    /// Wrapped by a Lambda destination.
    pub(super) lambda_envelopes: u64,
    /// Put here by Lambda's own dead-letter queue, with its error in attributes.
    pub(super) lambda_errors: u64,
    /// Wrapped by SNS.
    pub(super) sns_envelopes: u64,
    /// Pointers of the Extended Client to a body in S3.
    pub(super) extended_client: u64,
    /// The buckets that these name.
    pub(super) payload_buckets: BTreeSet<String>,
    /// Above nine tenths of the size that was given as the limit.
    pub(super) near_limit: u64,
    /// Sent before the time that was given as the edge of retention.
    pub(super) expiring: u64,
    /// What the paths of conditions led to.
    pub(super) types: Types,
}

/// How many of these, sent at so many milliseconds, are of which age; without the empty ends.
pub fn ages(sent: &[i64], now: Timestamp) -> Vec<AgeCount> {
    let mut seen = Seen::default();
    sent.iter().filter_map(|sent| Timestamp::from_millisecond(*sent).ok()).for_each(|sent| seen.note_age(sent, now));
    seen.ages()
}

impl Seen {
    fn note_age(&mut self, sent: Timestamp, now: Timestamp) {
        let age = u64::try_from(now.duration_since(sent).as_secs()).unwrap_or(0);
        self.ages[AGES.partition_point(|end| *end <= age)] += 1;
    }

    /// How many are of which age; without the empty ends.
    pub(super) fn ages(&self) -> Vec<AgeCount> {
        let age = |(position, messages): (usize, &u64)| AgeCount {
            from: position.checked_sub(1).map_or(0, |before| AGES[before]),
            to: AGES.get(position).copied(),
            messages: *messages,
        };
        let is_empty = |age: &AgeCount| age.messages == 0;
        let mut ages: Vec<AgeCount> = self.ages.iter().enumerate().map(age).skip_while(is_empty).collect();
        while ages.last().is_some_and(is_empty) {
            ages.pop();
        }
        ages
    }

    /// Looks at a message. `size_limit` is the smallest that a destination queue takes; what was sent before `expiring` will be
    /// gone soon. Ages count from `now`.
    pub(super) fn take(&mut self, message: &Message, size_limit: u64, expiring: Timestamp, now: Timestamp) {
        let size = message.size() as u64;
        self.bytes += size;
        self.near_limit += u64::from(size > size_limit / 10 * 9);
        if let Some(sent) = message.system.sent_timestamp() {
            self.oldest = Some(self.oldest.map_or(sent, |oldest| oldest.min(sent)));
            self.newest = Some(self.newest.map_or(sent, |newest| newest.max(sent)));
            self.expiring += u64::from(sent < expiring);
            self.note_age(sent, now);
        }
        let origin = message.system.dead_letter_queue_source_arn().unwrap_or_default();
        *self.origins.entry(origin.to_owned()).or_default() += 1;
        self.trace_headers += u64::from(message.system.trace_header().is_some());
        let has = |name: &str| message.attributes.contains_key(name);
        self.lambda_errors += u64::from(has("RequestID") && has("ErrorCode") && has("ErrorMessage"));
        match serde_json::from_str::<Value>(&message.body) {
            Ok(body) => {
                self.lambda_envelopes +=
                    u64::from(body.get("requestContext").is_some() && body.get("requestPayload").is_some());
                let is_notification = body.get("Type").and_then(Value::as_str) == Some("Notification");
                self.sns_envelopes += u64::from(is_notification && body.get("TopicArn").is_some());
                let pointer = body.get(0).and_then(Value::as_str).is_some_and(|class| {
                    class.starts_with("software.amazon.payloadoffloading.") || class.ends_with(".MessageS3Pointer")
                });
                let sized = has("ExtendedPayloadSize") || has("SQSLargePayloadSize");
                self.extended_client += u64::from(pointer || sized);
                let bucket = body.get(1).and_then(|place| place.get("s3BucketName")).and_then(Value::as_str);
                self.payload_buckets.extend(bucket.filter(|_| pointer).map(str::to_owned));
            }
            Err(_) => self.not_json += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use redrive_protocol::message::Attribute;

    use super::super::fake::{at, message};
    use super::*;

    fn seen(messages: &[Message]) -> Seen {
        let mut seen = Seen::default();
        for message in messages {
            seen.take(message, 1000, at("2026-11-01T00:00:02Z"), at("2026-11-01T00:10:05Z"));
        }
        seen
    }

    #[test]
    fn an_empty_sample_shows_nothing() {
        assert_eq!(seen(&[]), Seen::default());
    }

    #[test]
    fn times_and_sizes() {
        let large = message(9, &"x".repeat(901));
        let seen = seen(&[message(1, "{}"), message(3, "[]"), large]);
        assert_eq!(seen.bytes, 905);
        assert_eq!((seen.near_limit, seen.expiring, seen.not_json), (1, 1, 1));
        assert_eq!((seen.oldest, seen.newest), (Some(at("2026-11-01T00:00:01Z")), Some(at("2026-11-01T00:00:09Z"))));
        let age = |from, to, messages| AgeCount { from, to: Some(to), messages };
        assert_eq!(seen.ages(), [age(60, 600, 1), age(600, 3600, 2)]);
    }

    #[test]
    fn wrappings_are_told_apart() {
        let bodies = [
            r#"{"version":"1.0","requestContext":{},"requestPayload":{},"responsePayload":{}}"#,
            r#"{"Type":"Notification","TopicArn":"arn:aws:sns:eu-west-1:0:t","Message":"{}"}"#,
            r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"b","s3Key":"k"}]"#,
            r#"["com.amazon.sqs.javamessaging.MessageS3Pointer",{}]"#,
            r#"{"Type":"Notification"}"#,
            r#"{"requestContext":1}"#,
            r#"["a list"]"#,
            "\"text\"",
        ];
        let messages: Vec<Message> = bodies.iter().enumerate().map(|(n, body)| message(n, body)).collect();
        let seen = seen(&messages);
        assert_eq!((seen.lambda_envelopes, seen.sns_envelopes, seen.extended_client, seen.not_json), (1, 1, 2, 0));
    }

    #[test]
    fn attributes_and_system_attributes_count_too() {
        let mut from_lambda = message(1, "{}");
        for name in ["RequestID", "ErrorCode", "ErrorMessage"] {
            from_lambda.attributes.insert(name.to_owned(), Attribute::string("x"));
        }
        let mut moved = message(2, "{}");
        moved.system.0.insert("DeadLetterQueueSourceArn".to_owned(), "arn:a".to_owned());
        moved.system.0.insert("AWSTraceHeader".to_owned(), "Root=1".to_owned());
        let seen = seen(&[from_lambda, moved]);
        assert_eq!((seen.lambda_errors, seen.trace_headers), (1, 1));
        assert_eq!(seen.origins, BTreeMap::from([(String::new(), 1), ("arn:a".to_owned(), 1)]));
    }
}
