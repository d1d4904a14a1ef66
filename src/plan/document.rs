//! The plan as it is saved: one JSON document, format 1. Field order is the order of a review: what it is, what was looked
//! at, what would happen, what speaks against it.

use jiff::Timestamp;
use redrive_protocol::target::{Reason, RuleId, Target, TargetId, TargetKind};
use serde::{Deserialize, Serialize};

use super::code::{HazardCode, Severity};
use super::evenness::Basis;
use super::exact::Pins;
use crate::sqs::QueueAttributes;

/// The version of the plan format that this program reads and writes.
pub const FORMAT: u32 = 1;

/// The value of `type` in a plan file.
pub const TYPE: &str = "redrive.plan";

/// A saved plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Always [`TYPE`].
    #[serde(rename = "type")]
    pub kind: String,
    /// Always [`FORMAT`].
    pub format: u32,
    /// `sha256:` and the digest of the document with this field and the examples empty.
    pub digest: String,
    /// The version of redrive that made it.
    pub tool_version: String,
    /// Who made it, where that was said.
    pub author: Option<String>,
    /// When it was made, by the server's clock.
    pub created: Timestamp,
    /// Until when it may be applied.
    pub expires: Timestamp,
    /// The job, whole.
    pub job: JobText,
    /// Only messages sent before this.
    pub sent_before: Timestamp,
    /// Only messages sent after this.
    pub sent_after: Option<Timestamp>,
    /// The source queue.
    pub source: QueueAttributes,
    /// Where messages can go; a [`TargetId`] is a position in it.
    pub targets: Vec<Target>,
    /// Who calls are made as, by place.
    pub callers: Vec<Caller>,
    /// What the sampling looked at, and what it did.
    pub sample: Sample,
    /// The messages that the plan is pinned to, where it is exact: apply moves these and no others.
    pub pins: Option<Pins>,
    /// The rules in the job's order, then what no rule took.
    pub rules: Vec<RuleFigures>,
    /// What apply costs.
    pub cost: Cost,
    /// Why apply refuses this plan; empty on a plan that can be applied.
    pub refusals: Vec<Hazard>,
    /// What a reviewer should know.
    pub hazards: Vec<Hazard>,
    /// The SHA-256 of the examples, hexadecimal. The digest covers it in their place, so that a plan can be kept without them,
    /// since they hold bodies, and be checked all the same.
    pub examples_sha256: String,
    /// Messages before and after, redacted.
    pub examples: Vec<Example>,
}

/// The job inside a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobText {
    /// The job's name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The file's name when the plan was made.
    pub file: String,
    /// The SHA-256 of the text, hexadecimal.
    pub sha256: String,
    /// The text; apply runs this, not the file on disk.
    pub text: String,
}

/// Who calls to a place of the job are made as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    /// `source`, or the destination's name.
    pub place: String,
    /// The region that calls are signed for.
    pub region: String,
    /// The endpoint, if it is not the region's own.
    pub endpoint: Option<String>,
    /// Which credentials are used, in words: a profile, a role, the environment.
    pub credentials: String,
    /// The account and ARN that STS knows these credentials as; `None` if it did not say in time.
    pub identity: Option<Identity>,
}

/// Whose credentials these are, by STS's `GetCallerIdentity`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The account.
    pub account: String,
    /// The ARN of the user or the session of a role.
    pub arn: String,
}

/// What the sampling looked at, and what it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Distinct messages looked at.
    pub messages: u64,
    /// Whether that was every message that could be received: repeated long polls came back empty.
    pub whole_queue: bool,
    /// What the figures rest on.
    pub basis: Basis,
    /// Messages the figures are projected on: `messages` where it was the whole queue, else SQS's approximate count.
    pub population: u64,
    /// Receive calls made. Each raised the receive count of what it received.
    pub receives: u64,
    /// Messages that could not be given back at once; they are visible again after the visibility timeout.
    pub not_given_back: u64,
    /// When the oldest and the newest of the sample were sent.
    pub oldest: Option<Timestamp>,
    /// See `oldest`.
    pub newest: Option<Timestamp>,
    /// How old they were at the time of the plan, from the youngest; without the empty ends.
    pub ages: Vec<AgeCount>,
    /// How many bodies were not JSON.
    pub not_json: u64,
    /// How many came by a redrive policy from which queue (ARN; empty: no `DeadLetterQueueSourceArn`).
    pub origins: Vec<OriginCount>,
}

/// How many messages of the sample are of about one age.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgeCount {
    /// At least so many seconds old.
    pub from: u64,
    /// Younger than this, in seconds; `None`: however old.
    pub to: Option<u64>,
    /// Messages of the sample.
    pub messages: u64,
}

/// How many messages of the sample came from which queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OriginCount {
    /// The ARN; empty where the message had none.
    pub arn: String,
    /// Messages of the sample.
    pub messages: u64,
}

/// What one rule took of the sample, and what that means for the queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleFigures {
    /// Which rule.
    pub rule: RuleId,
    /// Its name; `unmatched` and `out of scope` for the two that are none.
    pub name: String,
    /// What it took.
    pub estimate: Estimate,
    /// No more than this many may leave the source by this rule; passing it is drift. `None`: what was seen bounds nothing.
    pub bound: Option<u64>,
    /// No more than this many may stay by this rule, kept or blocked; passing it is drift, too. `None`: however many.
    pub bound_staying: Option<u64>,
    /// The same by outcome.
    pub outcomes: Vec<OutcomeFigures>,
}

/// One outcome of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutcomeFigures {
    /// What happens to them.
    pub outcome: Outcome,
    /// How many.
    pub estimate: Estimate,
    /// Bytes of the sampled ones as SQS counts them, after transforms.
    pub bytes: u64,
}

/// What happens to messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// They go to a target by the rule.
    To(TargetId),
    /// Their retry count is exhausted, and they go to a target.
    Exhausted(TargetId),
    /// They stay.
    Kept(Reason),
    /// They should go and cannot.
    Blocked(Reason),
}

/// A count in the sample, projected on the queue.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// Messages of the sample.
    pub sampled: u64,
    /// The projection.
    pub total: u64,
    /// The lower end of its 95 % interval; where there is no interval, the least that is certain.
    pub low: u64,
    /// The upper end of its 95 % interval; where there is no interval, the most that is possible.
    pub high: u64,
    /// Whether the ends are a 95 % interval, or exact. If not, `total` is what the sample would mean if it spoke for the queue.
    pub is_interval: bool,
}

/// What apply is expected to cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// SQS requests.
    pub sqs_requests: u64,
    /// S3 requests.
    pub s3_requests: u64,
    /// US dollars at the list price the docs name, in millionths. An estimate: prices differ by region.
    pub micro_usd: u64,
    /// Seconds at the rate limit; `None` without one.
    pub seconds_at_rate: Option<u64>,
}

/// Something a reviewer should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hazard {
    /// What it is about.
    pub code: HazardCode,
    /// How much attention it needs.
    pub severity: Severity,
    /// In words.
    pub text: String,
}

/// One message before and after, redacted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// The rule that took it.
    pub rule: RuleId,
    /// What happens to it.
    pub outcome: Outcome,
    /// The message ID.
    pub message_id: String,
    /// When it was sent.
    pub sent: Option<Timestamp>,
    /// What the rules' conditions found in it.
    pub asked: Vec<Point>,
    /// What looks like an error in it.
    pub errors: Vec<Point>,
    /// Body and attributes before.
    pub before: Shown,
    /// Body and attributes after; `None` where nothing changes.
    pub after: Option<Shown>,
    /// Which path, size or name a block is about.
    pub detail: Option<String>,
}

/// Something that was found in a message, redacted and shortened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// The place, or the condition that asked.
    pub of: String,
    /// What is there.
    pub found: String,
}

/// A body and attributes as they may be shown: redacted and shortened, not yet neutralised for a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// The body.
    pub body: String,
    /// `name (type) = value`, sorted by name.
    pub attributes: Vec<String>,
}

/// How many messages of each rule are expected to go to a queue, where a consumer takes them.
pub fn to_queues(rules: &[RuleFigures], targets: &[Target]) -> Vec<(RuleId, u64)> {
    let is_queue = |outcome: Outcome| match outcome {
        Outcome::To(target) => targets.get(usize::from(target.0)).is_some_and(|to| to.kind == TargetKind::Sqs),
        Outcome::Exhausted(_) | Outcome::Kept(_) | Outcome::Blocked(_) => false,
    };
    let of = |rule: &RuleFigures| {
        let outcomes = rule.outcomes.iter().filter(|of| is_queue(of.outcome));
        (rule.rule, outcomes.map(|of| of.estimate.total).sum())
    };
    rules.iter().map(of).collect()
}

impl Hazard {
    /// One with the severity of its code.
    pub fn new(code: HazardCode, text: impl Into<String>) -> Self {
        Self { code, severity: code.severity(), text: text.into() }
    }
}

/// The first twelve digits of a digest.
pub fn short_digest(digest: &str) -> &str {
    digest.strip_prefix("sha256:").and_then(|digits| digits.get(..12)).unwrap_or(digest)
}

impl Plan {
    /// The identity of the plan and of its run: the first twelve digits of the digest.
    pub fn id(&self) -> &str {
        short_digest(&self.digest)
    }

    /// The target with this ID.
    pub fn target(&self, id: TargetId) -> Option<&Target> {
        self.targets.get(usize::from(id.0))
    }

    /// What happens to messages, in a few words. Not neutralised: a name from the job may be in it.
    pub fn words_of(&self, outcome: Outcome) -> String {
        let target = |target| self.target(target).map_or_else(|| "an unknown target".to_owned(), Target::label);
        match outcome {
            Outcome::To(id) if self.target(id).is_some_and(|target| target.kind == TargetKind::Drop) => {
                "dropped".to_owned()
            }
            Outcome::To(id) => format!("to {}", target(id)),
            Outcome::Exhausted(id) => format!("cap reached, to {}", target(id)),
            Outcome::Kept(reason) => format!("stays: {reason}"),
            Outcome::Blocked(reason) => format!("blocked: {reason}"),
        }
    }

    /// What judging needs to know.
    pub fn setting(&self) -> redrive_rules::rule::Setting {
        redrive_rules::rule::Setting {
            now: self.created,
            sent_before: self.sent_before,
            sent_after: self.sent_after,
            run: self.id().to_owned(),
            source_arn: self.source.arn.clone(),
            targets: self.targets.clone(),
        }
    }
}
