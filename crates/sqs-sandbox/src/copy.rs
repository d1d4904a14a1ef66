//! Messages from a file into a queue: what `aws sqs receive-message` prints, or what redrive itself archived, one JSON
//! document after the other. A copy is a new message, with an ID of its own: a journal that knows the copy must not take
//! the original for it.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;

use super::scenario::Seed;
use super::{MessageAttribute, Sandbox};
use crate::error::{Error, Result};

/// One document of the file: an answer of the AWS CLI, or an envelope of redrive.
#[derive(Deserialize)]
struct Document {
    #[serde(rename = "Messages", default)]
    messages: Vec<Received>,
    body: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, Archived>,
    #[serde(default)]
    system_attributes: BTreeMap<String, String>,
}

/// A message as the AWS CLI shows it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Received {
    body: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default)]
    message_attributes: BTreeMap<String, MessageAttribute>,
}

/// A message attribute as redrive archives it.
#[derive(Deserialize)]
struct Archived {
    #[serde(rename = "type")]
    data_type: String,
    value: Option<String>,
    binary: Option<String>,
}

impl Sandbox {
    /// Puts copies of a file's messages into a queue, which is made where there is none; answers how many.
    pub fn load(&self, queue: &str, file: &Path) -> Result<usize> {
        let shown = file.display();
        let bytes = std::fs::read(file).map_err(|error| Error::usage(format!("{shown} cannot be read: {error}")))?;
        let now = self.account().now();
        let seeds = seeds(&bytes, i64::try_from(now).unwrap_or(i64::MAX))
            .map_err(|why| Error::usage(format!("{shown} holds no messages that can be read: {why}")).hint(HINT))?;
        let is_fifo = queue.strip_suffix(".fifo").is_some();
        if is_fifo && let Some(at) = seeds.iter().position(|seed| seed.group.is_none()) {
            return Err(Error::usage(format!(
                "message {} of {shown} has no MessageGroupId, and {queue} is FIFO",
                at + 1
            ))
            .hint("receive with --message-system-attribute-names All, so that the copy has it"));
        }
        let mut attributes = vec![("MessageRetentionPeriod", "1209600")];
        attributes.extend(is_fifo.then_some(("FifoQueue", "true")));
        self.create_queue(queue, &attributes, None)?;
        Ok(self.seed(queue, seeds)?.len())
    }
}

/// Older than this no copy is: SQS keeps nothing for more than fourteen days, and the rehearsal is to find it there.
const OLDEST_MS: u64 = 13 * 24 * 60 * 60 * 1000;

const HINT: &str = "it takes what `aws sqs receive-message --output json` prints and what redrive archives, one document after \
                    the other; nothing compressed";

fn seeds(bytes: &[u8], now: i64) -> std::result::Result<Vec<Seed>, String> {
    if bytes.starts_with(&[0x1f, 0x8b]) || bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return Err("it is compressed".to_owned());
    }
    let mut seeds = Vec::new();
    for document in serde_json::Deserializer::from_slice(bytes).into_iter::<Document>() {
        // serde_json's own words may hold a value, and bodies are private: only the place is told.
        let document = document.map_err(|error| {
            let what = if error.is_data() { "what is there is no message" } else { "it is not JSON" };
            format!("{what}, at line {} column {}", error.line(), error.column())
        })?;
        for message in document.messages {
            seeds.push(seed(message.body, message.message_attributes, &message.attributes, now));
        }
        if let Some(body) = document.body {
            let attributes = document.attributes.into_iter().map(|(name, attribute)| {
                let Archived { data_type, value, binary } = attribute;
                (name, MessageAttribute { data_type, string_value: value, binary_value: binary })
            });
            seeds.push(seed(body, attributes.collect(), &document.system_attributes, now));
        }
    }
    Ok(seeds)
}

fn seed(
    body: String,
    attributes: BTreeMap<String, MessageAttribute>,
    system: &BTreeMap<String, String>,
    now: i64,
) -> Seed {
    let text = |name: &str| system.get(name).cloned();
    let number = |name: &str| system.get(name).and_then(|value| value.parse::<i64>().ok());
    // The AWS CLI shows epoch milliseconds; an archive may hold a time in words.
    let sent = number("SentTimestamp")
        .or_else(|| Some(system.get("SentTimestamp")?.parse::<Timestamp>().ok()?.as_millisecond()));
    Seed {
        body,
        attributes,
        age_ms: sent.map_or(0, |sent| u64::try_from(now.saturating_sub(sent)).unwrap_or(0).min(OLDEST_MS)),
        receive_count: number("ApproximateReceiveCount").and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        source_arn: text("DeadLetterQueueSourceArn"),
        group: text("MessageGroupId"),
        deduplication: text("MessageDeduplicationId"),
        trace_header: text("AWSTraceHeader"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIVED: &str = r#"{"Messages": [
        {"MessageId": "1", "ReceiptHandle": "h", "MD5OfBody": "m", "Body": "first",
         "Attributes": {"SentTimestamp": "1000", "ApproximateReceiveCount": "4", "DeadLetterQueueSourceArn": "arn:x"},
         "MessageAttributes": {"n": {"DataType": "Number", "StringValue": "3"}, "b": {"DataType": "Binary", "BinaryValue": "AP8="}}},
        {"Body": "second"}]}
        {}
        {"Messages": [{"Body": "third"}]}"#;

    const ARCHIVED: &str = r#"{"type":"redrive.message","version":1,"message_id":"1","body":"fourth","attributes":{"t":{"type":"String.x","value":"v"}},"system_attributes":{"SentTimestamp":"2000","MessageGroupId":"g"}}
{"type":"redrive.message","version":1,"body":"fifth","attributes":{},"system_attributes":{}}
"#;

    #[test]
    fn both_forms_are_read() {
        let seeds = seeds(format!("{RECEIVED}\n{ARCHIVED}").as_bytes(), 61_000).unwrap();
        let bodies: Vec<&str> = seeds.iter().map(|seed| seed.body.as_str()).collect();
        assert_eq!(bodies, ["first", "second", "third", "fourth", "fifth"]);
        assert_eq!((seeds[0].age_ms, seeds[0].receive_count), (60_000, 4));
        assert_eq!(seeds[0].source_arn.as_deref(), Some("arn:x"));
        assert_eq!(seeds[0].attributes["b"].binary_value.as_deref(), Some("AP8="));
        assert_eq!(seeds[3].attributes["t"].data_type, "String.x");
        assert_eq!((seeds[3].age_ms, seeds[3].group.as_deref()), (59_000, Some("g")));
    }

    #[test]
    fn what_is_no_copy_is_refused_without_its_contents() {
        for bad in ["{", "[1]", "{\"Messages\":[{\"Body\":{\"secret\":1}}]}", "{\"body\":7}", "secret", "\u{1f}\u{8b}"]
        {
            let why = seeds(bad.as_bytes(), 0).err();
            let expected = bad.starts_with('\u{1f}').then_some("it is compressed");
            match (why, expected) {
                (Some(why), _) => assert!(!why.contains("secret"), "{bad}: {why}"),
                (None, _) => panic!("{bad}"),
            }
        }
        assert_eq!(seeds(&[0x1f, 0x8b, 8], 0).err().as_deref(), Some("it is compressed"));
    }

    #[tokio::test]
    async fn a_copy_is_a_new_message() {
        let sandbox = Sandbox::start(super::super::Options::default()).await.unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), ARCHIVED).unwrap();
        assert_eq!(sandbox.load("orders-dlq", file.path()).unwrap(), 2);
        let state = sandbox.queue("orders-dlq").unwrap();
        assert!(state.messages.iter().all(|message| message.id != "1" && message.id.len() == 36));
        let error = sandbox.load("orders.fifo", file.path()).unwrap_err();
        assert!(error.message().contains("message 2") && error.hint_text().is_some(), "{error}");
        assert!(sandbox.load("orders-dlq", std::path::Path::new("/nowhere")).is_err());
    }
}
