//! What SQS says of a queue: its attributes, as far as plan and apply look at them. Plain data.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A queue's attributes, as far as plan and apply look at them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueAttributes {
    /// The ARN.
    pub arn: String,
    /// The URL.
    pub url: String,
    /// Whether it is a FIFO queue.
    pub fifo: bool,
    /// When it was created; another time under the same name is another queue.
    pub created: Option<Timestamp>,
    /// Its redrive policy, where it has one.
    pub redrive_policy: Option<RedrivePolicy>,
    /// The JSON text of its redrive allow policy, as SQS gave it.
    pub redrive_allow_policy: Option<String>,
    /// The longest message it takes, in bytes.
    pub maximum_message_size: u64,
    /// How long it keeps messages, in seconds.
    pub message_retention_seconds: u64,
    /// Its default visibility timeout, in seconds.
    pub visibility_timeout_seconds: u64,
    /// The KMS key it encrypts with, where it does.
    pub kms_key: Option<String>,
    /// Whether FIFO deduplication falls back to the body's digest.
    pub content_based_deduplication: bool,
    /// Approximate counts.
    pub counts: Counts,
}

/// Where a queue's own redrive policy sends what was received too often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedrivePolicy {
    /// The dead-letter queue's ARN.
    pub dead_letter_target_arn: String,
    /// After how many receives.
    pub max_receive_count: u32,
}

/// SQS's approximate counts of a queue; they lag by up to a minute. What an answer left out is unknown, which is not zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// `ApproximateNumberOfMessages`: can be received now.
    pub visible: Option<u64>,
    /// `ApproximateNumberOfMessagesNotVisible`: in flight with somebody.
    pub in_flight: Option<u64>,
    /// `ApproximateNumberOfMessagesDelayed`.
    pub delayed: Option<u64>,
}

impl Counts {
    /// How many messages are in the queue, in whatever state.
    pub fn all(self) -> Option<u64> {
        Some(self.visible?.saturating_add(self.in_flight?).saturating_add(self.delayed?))
    }
}

impl QueueAttributes {
    /// The queue's name: the last part of its ARN.
    pub fn name(&self) -> &str {
        self.arn.rsplit(':').next().unwrap_or(&self.arn)
    }

    /// What must not have changed between plan and apply, by SQS's names, for a comparison that can name the difference.
    pub fn fingerprint(&self) -> BTreeMap<&'static str, String> {
        let policy =
            |policy: &RedrivePolicy| format!("{} after {}", policy.dead_letter_target_arn, policy.max_receive_count);
        BTreeMap::from([
            ("QueueArn", self.arn.clone()),
            ("FifoQueue", self.fifo.to_string()),
            ("CreatedTimestamp", self.created.map(|at| at.to_string()).unwrap_or_default()),
            ("RedrivePolicy", self.redrive_policy.as_ref().map(policy).unwrap_or_default()),
            ("RedriveAllowPolicy", self.redrive_allow_policy.clone().unwrap_or_default()),
            ("KmsMasterKeyId", self.kms_key.clone().unwrap_or_default()),
        ])
    }
}
