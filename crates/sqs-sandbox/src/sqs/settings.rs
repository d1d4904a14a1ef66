//! A queue's attributes: SQS's defaults and ranges, taking them from a request and showing them. Whether a dead-letter queue
//! exists is for `account` to say. <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::failure::Failure;
use super::message::Millis;

/// Attributes by SQS's names, as they travel.
pub(crate) type AttributeMap = BTreeMap<String, String>;

/// The shortest `MaximumMessageSize`.
const LEAST_MAXIMUM_SIZE: usize = 1024;

/// What a queue is set to.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "SQS's own attributes, each true or false and independent")]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) fifo: bool,
    pub(crate) created: Millis,
    pub(crate) modified: Millis,
    pub(crate) delay: u32,
    pub(crate) maximum_size: usize,
    pub(crate) retention: u32,
    pub(crate) wait: u32,
    pub(crate) visibility: u32,
    pub(crate) redrive: Option<Redrive>,
    pub(crate) allow: Option<Allow>,
    pub(crate) content_deduplication: bool,
    pub(crate) deduplicates_by_group: bool,
    throughput_by_group: bool,
    pub(super) policy: Option<String>,
    pub(crate) kms_key: Option<String>,
    kms_reuse: u32,
    managed_encryption: bool,
}

/// A redrive policy.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Redrive {
    pub(crate) target_arn: String,
    pub(crate) max_receive_count: u32,
}

/// A redrive allow policy, as it was given and as it is meant.
#[derive(Clone)]
pub(crate) struct Allow {
    text: String,
    permission: Permission,
}

#[derive(Clone, Deserialize)]
#[serde(tag = "redrivePermission", rename_all = "camelCase")]
enum Permission {
    AllowAll,
    DenyAll,
    ByQueue {
        #[serde(rename = "sourceQueueArns")]
        sources: Vec<String>,
    },
}

impl Allow {
    /// Whether a queue may name the one with this policy as its dead-letter queue.
    pub(crate) fn permits(&self, source_arn: &str) -> bool {
        match &self.permission {
            Permission::AllowAll => true,
            Permission::DenyAll => false,
            Permission::ByQueue { sources } => sources.iter().any(|arn| arn == source_arn),
        }
    }
}

/// Approximate counts; here they are exact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) visible: usize,
    pub(crate) in_flight: usize,
    pub(crate) delayed: usize,
}

fn invalid(name: &str) -> Failure {
    Failure::invalid_attribute_value(format!("Invalid value for the parameter {name}."))
}

fn number(name: &str, text: &str, least: u32, most: u32) -> Result<u32, Failure> {
    text.parse().ok().filter(|n| (least..=most).contains(n)).ok_or_else(|| invalid(name))
}

fn boolean(name: &str, text: &str) -> Result<bool, Failure> {
    text.to_ascii_lowercase().parse().map_err(|_| invalid(name))
}

fn optional(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn one_of(name: &str, text: &str, whole: &str, grouped: &str) -> Result<bool, Failure> {
    match text {
        _ if text == whole => Ok(false),
        _ if text == grouped => Ok(true),
        _ => Err(invalid(name)),
    }
}

fn redrive_policy(text: &str) -> Result<Option<Redrive>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    let refuse = |reason: &str| {
        Failure::invalid_value(format!("Value {text} for parameter RedrivePolicy is invalid. Reason: {reason}"))
    };
    let value: Value = serde_json::from_str(text).map_err(|_| refuse("Redrive policy is not a valid JSON map."))?;
    let map = value.as_object().ok_or_else(|| refuse("Redrive policy is not a valid JSON map."))?;
    let target = map.get("deadLetterTargetArn").and_then(Value::as_str);
    let count = map.get("maxReceiveCount").and_then(|count| match count {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    });
    let target_arn = target
        .ok_or_else(|| refuse("Redrive policy does not contain mandatory attribute: deadLetterTargetArn."))?
        .to_owned();
    let max_receive_count = count
        .and_then(|count| u32::try_from(count).ok())
        .filter(|count| (1..=1000).contains(count))
        .ok_or_else(|| refuse("Invalid value for maxReceiveCount: must be between 1 and 1000, both inclusive."))?;
    Ok(Some(Redrive { target_arn, max_receive_count }))
}

fn allow_policy(text: &str) -> Result<Option<Allow>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    let refuse = || Failure::invalid_value(format!("Value {text} for parameter RedriveAllowPolicy is invalid."));
    let permission: Permission = serde_json::from_str(text).map_err(|_| refuse())?;
    if matches!(&permission, Permission::ByQueue { sources } if sources.is_empty() || sources.len() > 10) {
        return Err(refuse());
    }
    Ok(Some(Allow { text: text.to_owned(), permission }))
}

/// Whether a name is one of a FIFO queue. SQS knows it in small letters only.
pub(super) fn is_fifo_name(name: &str) -> bool {
    name.strip_suffix(".fifo").is_some()
}

impl Settings {
    /// SQS's defaults for a new queue.
    pub(crate) fn new(name: &str, arn: String, now: Millis, maximum_size: usize) -> Self {
        Self {
            name: name.to_owned(),
            arn,
            fifo: is_fifo_name(name),
            created: now,
            modified: now,
            delay: 0,
            maximum_size,
            retention: 4 * 24 * 60 * 60,
            wait: 0,
            visibility: 30,
            redrive: None,
            allow: None,
            content_deduplication: false,
            deduplicates_by_group: false,
            throughput_by_group: false,
            policy: None,
            kms_key: None,
            kms_reuse: 300,
            managed_encryption: true,
        }
    }

    /// Takes over what a request sets. On an error some of it may be set already: work on a copy.
    pub(crate) fn set(&mut self, attributes: &AttributeMap, limit: usize) -> Result<(), Failure> {
        for (name, value) in attributes {
            self.set_one(name, value, limit)?;
        }
        let gives = |name: &str| attributes.get(name).map_or("", String::as_str);
        if !gives("KmsMasterKeyId").is_empty() && gives("SqsManagedSseEnabled").eq_ignore_ascii_case("true") {
            return Err(Failure::two_encryptions());
        }
        Ok(())
    }

    fn set_one(&mut self, name: &str, value: &str, limit: usize) -> Result<(), Failure> {
        match name {
            "DelaySeconds" => self.delay = number(name, value, 0, 900)?,
            "MaximumMessageSize" => {
                let size: usize = value.parse().map_err(|_| invalid(name))?;
                if !(LEAST_MAXIMUM_SIZE..=limit).contains(&size) {
                    return Err(invalid(name));
                }
                self.maximum_size = size;
            }
            "MessageRetentionPeriod" => self.retention = number(name, value, 60, 1_209_600)?,
            "ReceiveMessageWaitTimeSeconds" => self.wait = number(name, value, 0, 20)?,
            "VisibilityTimeout" => self.visibility = number(name, value, 0, 43_200)?,
            "RedrivePolicy" => self.redrive = redrive_policy(value)?,
            "RedriveAllowPolicy" => self.allow = allow_policy(value)?,
            "Policy" => self.policy = optional(value),
            "KmsMasterKeyId" => self.kms_key = optional(value),
            "KmsDataKeyReusePeriodSeconds" => self.kms_reuse = number(name, value, 60, 86_400)?,
            "SqsManagedSseEnabled" => self.managed_encryption = boolean(name, value)?,
            // The name decides the type; the attribute may only confirm it.
            "FifoQueue" if self.fifo => {
                if !boolean(name, value)? {
                    return Err(Failure::invalid_attribute_value(
                        "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported.",
                    ));
                }
            }
            "ContentBasedDeduplication" if self.fifo => self.content_deduplication = boolean(name, value)?,
            "DeduplicationScope" if self.fifo => {
                self.deduplicates_by_group = one_of(name, value, "queue", "messageGroup")?;
            }
            "FifoThroughputLimit" if self.fifo => {
                self.throughput_by_group = one_of(name, value, "perQueue", "perMessageGroupId")?;
            }
            "DeduplicationScope" | "FifoThroughputLimit" => return Err(Failure::only_fifo(name)),
            _ => return Err(Failure::unknown_attribute(name)),
        }
        Ok(())
    }

    /// The ARN of the dead-letter queue, where there is one.
    pub(crate) fn target_arn(&self) -> Option<&str> {
        self.redrive.as_ref().map(|redrive| redrive.target_arn.as_str())
    }

    /// All attributes by name. What a queue does not have is absent.
    pub(crate) fn show(&self, counts: Counts) -> AttributeMap {
        let mut shown = AttributeMap::new();
        let mut put = |name: &str, value: String| {
            shown.insert(name.to_owned(), value);
        };
        put("QueueArn", self.arn.clone());
        put("ApproximateNumberOfMessages", counts.visible.to_string());
        put("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string());
        put("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string());
        put("CreatedTimestamp", (self.created / 1000).to_string());
        put("LastModifiedTimestamp", (self.modified / 1000).to_string());
        put("VisibilityTimeout", self.visibility.to_string());
        put("MaximumMessageSize", self.maximum_size.to_string());
        put("MessageRetentionPeriod", self.retention.to_string());
        put("DelaySeconds", self.delay.to_string());
        put("ReceiveMessageWaitTimeSeconds", self.wait.to_string());
        if let Some(policy) = &self.policy {
            put("Policy", policy.clone());
        }
        if let Some(redrive) = &self.redrive {
            let policy = serde_json::json!({
                "deadLetterTargetArn": redrive.target_arn,
                "maxReceiveCount": redrive.max_receive_count,
            });
            put("RedrivePolicy", policy.to_string());
        }
        if let Some(allow) = &self.allow {
            put("RedriveAllowPolicy", allow.text.clone());
        }
        if let Some(key) = &self.kms_key {
            put("KmsMasterKeyId", key.clone());
            put("KmsDataKeyReusePeriodSeconds", self.kms_reuse.to_string());
        }
        // A queue has one sort of encryption: a key of its own turns SQS's off.
        put("SqsManagedSseEnabled", (self.managed_encryption && self.kms_key.is_none()).to_string());
        if self.fifo {
            put("FifoQueue", "true".to_owned());
            put("ContentBasedDeduplication", self.content_deduplication.to_string());
            put("DeduplicationScope", if self.deduplicates_by_group { "messageGroup" } else { "queue" }.to_owned());
            let throughput = if self.throughput_by_group { "perMessageGroupId" } else { "perQueue" };
            put("FifoThroughputLimit", throughput.to_owned());
        }
        shown
    }
}

/// All the names that `GetQueueAttributes` knows, whether or not a queue has them.
pub(crate) const KNOWN: [&str; 21] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "ContentBasedDeduplication",
    "CreatedTimestamp",
    "DeduplicationScope",
    "DelaySeconds",
    "FifoQueue",
    "FifoThroughputLimit",
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
    "LastModifiedTimestamp",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "Policy",
    "QueueArn",
    "ReceiveMessageWaitTimeSeconds",
    "RedriveAllowPolicy",
    "RedrivePolicy",
    "SqsManagedSseEnabled",
    "VisibilityTimeout",
];

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1_048_576;

    fn standard() -> Settings {
        Settings::new("orders", "arn:aws:sqs:eu-west-1:000000000000:orders".to_owned(), 1_000, LIMIT)
    }

    fn set(settings: &mut Settings, name: &str, value: &str) -> Result<(), &'static str> {
        settings.set(&AttributeMap::from([(name.to_owned(), value.to_owned())]), LIMIT).map_err(|failure| failure.code)
    }

    #[test]
    fn what_a_standard_queue_does_not_have_is_absent() {
        let shown = standard().show(Counts::default());
        for name in ["FifoQueue", "ContentBasedDeduplication", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId"]
        {
            assert!(!shown.contains_key(name), "{name}");
        }
        assert_eq!(shown["CreatedTimestamp"], "1");
        assert!(shown.keys().all(|name| KNOWN.contains(&name.as_str())));
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for (name, value) in [
            ("DelaySeconds", "901"),
            ("DelaySeconds", "-1"),
            ("MaximumMessageSize", "1023"),
            ("MaximumMessageSize", "1048577"),
            ("MessageRetentionPeriod", "59"),
            ("VisibilityTimeout", "43201"),
            ("VisibilityTimeout", "soon"),
            ("SqsManagedSseEnabled", "perhaps"),
        ] {
            assert_eq!(set(&mut standard(), name, value), Err("InvalidAttributeValue"), "{name}={value}");
        }
        for name in ["FifoQueue", "ContentBasedDeduplication", "Fifo", ""] {
            assert_eq!(set(&mut standard(), name, "true"), Err("InvalidAttributeName"), "{name}");
        }
    }

    #[test]
    fn redrive_policies_are_judged() {
        let target = "arn:aws:sqs:eu-west-1:000000000000:dlq";
        for bad in
            ["[]", "{", "{}", r#"{"deadLetterTargetArn":"x"}"#, r#"{"deadLetterTargetArn":"x","maxReceiveCount":0}"#]
        {
            assert_eq!(set(&mut standard(), "RedrivePolicy", bad), Err("InvalidParameterValue"), "{bad}");
        }
        let mut settings = standard();
        for count in ["3", "\"3\""] {
            let policy = format!(r#"{{"deadLetterTargetArn":"{target}","maxReceiveCount":{count}}}"#);
            set(&mut settings, "RedrivePolicy", &policy).unwrap();
            assert_eq!(
                settings.show(Counts::default())["RedrivePolicy"],
                format!(r#"{{"deadLetterTargetArn":"{target}","maxReceiveCount":3}}"#)
            );
        }
        set(&mut settings, "RedrivePolicy", "").unwrap();
        assert!(!settings.show(Counts::default()).contains_key("RedrivePolicy"));
    }

    #[test]
    fn allow_policies_say_who_may() {
        let mut settings = standard();
        set(&mut settings, "RedriveAllowPolicy", r#"{"redrivePermission":"byQueue","sourceQueueArns":["a"]}"#).unwrap();
        let allow = settings.allow.clone().unwrap();
        assert!(allow.permits("a") && !allow.permits("b"));
        set(&mut settings, "RedriveAllowPolicy", r#"{"redrivePermission":"denyAll"}"#).unwrap();
        assert!(!settings.allow.clone().unwrap().permits("a"));
        assert!(set(&mut settings, "RedriveAllowPolicy", r#"{"redrivePermission":"some"}"#).is_err());
    }
}
