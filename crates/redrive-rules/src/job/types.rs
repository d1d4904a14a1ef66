//! The job file, version 1, as types: what TOML may say. Free of spans and of meaning; `load` reads it and points at what is
//! wrong. The doc comments here become the JSON Schema and the reference page.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::guard::Guard;
use super::notify::Notify;
use super::unmatched::Unmatched;
use super::values::{Age, Bound, Rate, Scalar};

/// A redrive job: which messages of a queue go where, what changes on the way, and how often one may be redriven.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "redrive job file, version 1")]
pub struct Job {
    /// The version of the format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub version: u32,
    /// A short name, for reports and templates (`{job}`): letters, digits, `-` and `_`.
    pub name: String,
    /// What it is for, such as the incident's number.
    pub description: Option<String>,
    /// The queue that messages are taken from.
    pub source: Source,
    /// Where messages go, by name. `origin`, `keep` and `drop` are built in.
    #[serde(default)]
    pub destination: BTreeMap<String, Destination>,
    /// How `origin` finds a message's source queue.
    #[serde(default)]
    pub origin: Origin,
    /// How often one message may be redriven.
    pub retry: Option<Retry>,
    /// Rules in order; the first that matches takes the message.
    #[serde(default)]
    pub rule: Vec<Rule>,
    /// What happens to messages that no rule takes.
    #[serde(default)]
    pub unmatched: Unmatched,
    /// Whether messages may be deleted without going anywhere (destination `drop`).
    #[serde(default)]
    pub allow_drop: bool,
    /// Whether `jq` may rewrite a body in which an object has two keys of one name, the last of which stays.
    #[serde(default)]
    pub allow_duplicate_keys: bool,
    /// Bounds on what one run does.
    #[serde(default)]
    pub limits: Limits,
    /// What a run looks at while it goes on, and when that slows or stops it.
    pub guard: Option<Guard>,
    /// Bounds on what the plan promises.
    #[serde(default)]
    pub plan: PlanOptions,
    /// What plans and reports may show.
    #[serde(default)]
    pub report: ReportOptions,
    /// Who is told when a run begins and ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notify: Option<Notify>,
}

/// The queue that messages are taken from.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// A queue name, a queue URL or an ARN.
    pub queue: String,
    /// The AWS region, where the default chain has another.
    pub region: Option<String>,
    /// The profile of the shared AWS configuration.
    pub profile: Option<String>,
    /// The endpoint's URL, for a server that is not AWS.
    pub endpoint_url: Option<String>,
    /// A role to assume, by ARN.
    pub role_arn: Option<String>,
    /// Only messages sent before this: RFC 3339 or an age such as `"6h"`. Default: the time of the plan.
    pub sent_before: Option<Bound>,
    /// Only messages sent after this: RFC 3339 or an age such as `"6h"`.
    pub sent_after: Option<Bound>,
    /// Follow the SQS Extended Client's pointers: rules see the body in S3, and a changed body becomes a new object.
    #[serde(default)]
    pub extended_client: bool,
    /// Follow such pointers to these buckets only: it is the message that names the bucket. Default: any that can be read.
    pub extended_client_buckets: Option<Vec<String>>,
    /// For how long a received message stays invisible before it is extended, `"10s"` to `"12h"`: for so long an apply may have to wait
    /// for what a killed one had received. A plan's sample, which is not extended, is taken with five minutes unless this says otherwise.
    #[schemars(extend("default" = "1m"))]
    pub visibility_timeout: Option<Age>,
}

/// Where messages go. Tagged by its key: `sqs`, `s3` or `file`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Destination {
    /// An SQS queue.
    Sqs(SqsDestination),
    /// One object per message in an S3 bucket.
    S3(S3Destination),
    /// A local file of JSON Lines.
    File(FileDestination),
}

/// An SQS queue as destination.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqsDestination {
    /// A queue name, a queue URL or an ARN.
    pub queue: String,
    /// The AWS region, where the default chain has another.
    pub region: Option<String>,
    /// The profile of the shared AWS configuration.
    pub profile: Option<String>,
    /// The endpoint's URL, for a server that is not AWS.
    pub endpoint_url: Option<String>,
    /// A role to assume, by ARN.
    pub role_arn: Option<String>,
    /// Template of the message group ID. Default: the message's own, where it has one.
    pub message_group_id: Option<String>,
    /// Template of the deduplication ID, only on a FIFO queue; must hold `{message_id}`.
    #[schemars(extend("default" = "{message_id}"))]
    pub message_deduplication_id: Option<String>,
}

/// S3 as destination: one JSON object per message.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct S3Destination {
    /// The bucket.
    pub bucket: String,
    /// Template of the key; must hold `{message_id}`.
    pub key: String,
    /// The AWS region, where the default chain has another.
    pub region: Option<String>,
    /// The profile of the shared AWS configuration.
    pub profile: Option<String>,
    /// The endpoint's URL, for a server that is not AWS.
    pub endpoint_url: Option<String>,
    /// A role to assume, by ARN.
    pub role_arn: Option<String>,
}

/// A local file of JSON Lines as destination, one envelope a line.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileDestination {
    /// The path; `{run}` and `{job}` may stand in it. `.gz` and `.zst` at its end compress.
    pub path: String,
}

/// How `origin` finds a message's source queue.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The destination of messages without `DeadLetterQueueSourceArn`. Without it they are blocked.
    pub fallback: Option<String>,
}

/// The cap: how often one message may be redriven.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// The `Number` message attribute that counts; absent is 0; raised by one whenever the message goes to a queue.
    pub attribute: String,
    /// A message whose count has reached this goes to `exhausted` and not round again.
    pub max: u32,
    /// The destination of exhausted messages.
    pub exhausted: String,
    /// What to do where the answer to a send to a standard queue never came.
    #[serde(default)]
    pub in_doubt: InDoubt,
}

/// What to do where nobody can say whether a message arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InDoubt {
    /// Send it again: it may arrive more than once.
    #[default]
    Resend,
    /// Keep it in the source until somebody decides.
    Hold,
}

/// A rule: conditions, transforms, where to.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, in plans and reports.
    pub name: String,
    /// Conditions; all must hold.
    #[schemars(length(min = 1))]
    pub when: Vec<Condition>,
    /// Changes, in order, to what it takes.
    #[serde(default)]
    pub transform: Vec<Transform>,
    /// A destination's name, `origin`, `keep` or `drop`.
    pub to: String,
}

/// One subject and one test, or a group of conditions.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Subject: a JSONPath (RFC 9535) into the body; holds when any node it yields does.
    pub body: Option<String>,
    /// Subject: a message attribute by name.
    pub attribute: Option<String>,
    /// Subject: a system attribute by SQS's name, such as `SentTimestamp`.
    pub system: Option<String>,
    /// Subject: a fact about the message.
    pub message: Option<MessageFact>,
    /// A jq program that yields `true` and nothing else; there is no test beside it.
    pub jq: Option<String>,
    /// Group: at least one holds.
    #[schemars(length(min = 1))]
    pub any: Option<Vec<Condition>>,
    /// Group: all hold.
    #[schemars(length(min = 1))]
    pub all: Option<Vec<Condition>>,
    /// Group: it does not hold.
    pub not: Option<Box<Condition>>,
    /// Test: whether it is there at all.
    pub exists: Option<bool>,
    /// Test: equal to this.
    #[schemars(with = "Option<Scalar>")]
    pub equals: Option<Value>,
    /// Test: equal to one of these.
    #[schemars(with = "Option<Vec<Scalar>>", length(min = 1))]
    pub any_of: Option<Vec<Value>>,
    /// Test: there, and equal to none of these.
    #[schemars(with = "Option<Vec<Scalar>>", length(min = 1))]
    pub anything_but: Option<Vec<Value>>,
    /// Test: text that begins with this.
    pub prefix: Option<String>,
    /// Test: text that ends with this.
    pub suffix: Option<String>,
    /// Test: text that contains this.
    pub contains: Option<String>,
    /// Test: text in which this regular expression is found.
    pub regex: Option<String>,
    /// Test: a number below this.
    #[schemars(with = "Option<f64>")]
    pub lt: Option<Value>,
    /// Test: a number not above this.
    #[schemars(with = "Option<f64>")]
    pub lte: Option<Value>,
    /// Test: a number above this.
    #[schemars(with = "Option<f64>")]
    pub gt: Option<Value>,
    /// Test: a number not below this.
    #[schemars(with = "Option<f64>")]
    pub gte: Option<Value>,
    /// Test: a time longer ago than this at the time of the plan.
    pub older_than: Option<Age>,
    /// Test: a time less long ago than this at the time of the plan.
    pub newer_than: Option<Age>,
}

/// A fact about a message that a condition can test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageFact {
    /// The message ID.
    Id,
    /// The raw body, as text.
    Text,
    /// The size in bytes as SQS counts it.
    Size,
    /// Whether the body is JSON.
    IsJson,
}

/// One change to a message.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transform {
    /// JSONPath of one place in the body that becomes `value`; the last step may be new.
    pub set: Option<String>,
    /// JSONPath of one place in the body that is removed.
    pub remove: Option<String>,
    /// JSONPath of one place in the body whose value goes to the place `to`.
    pub rename: Option<String>,
    /// JSONPath whose value becomes the body, a string as its text; or an envelope: `sns`, `lambda-destination`, `eventbridge`.
    pub unwrap: Option<String>,
    /// A jq program whose one value becomes the body.
    pub jq: Option<String>,
    /// Name of a message attribute that becomes `value`, a template.
    pub set_attribute: Option<String>,
    /// Name of a message attribute that is removed.
    pub remove_attribute: Option<String>,
    /// `true`: the message is sent without its `AWSTraceHeader`, so that Lambda counts its rounds anew.
    pub remove_trace_header: Option<bool>,
    /// The value of `set` or `set_attribute`.
    pub value: Option<Value>,
    /// The new place of `rename`, a JSONPath that ends in a new name.
    pub to: Option<String>,
    /// The data type of `set_attribute`. Default `String`, or `Number` where the value is one.
    #[serde(rename = "type")]
    pub data_type: Option<String>,
}

/// Bounds on what one run does.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// No more than this many messages leave the source.
    #[schemars(range(min = 1))]
    pub max_messages: Option<u64>,
    /// Messages that leave the source in a second, such as `"200/s"`.
    pub rate: Option<Rate>,
    /// A gentle start: for this time, such as `"5m"`, the rate rises evenly from a tenth to all of `rate`, at each apply.
    pub ramp: Option<Age>,
    /// Requests of each kind under way at once, 1 to 64. Default: as many as prove good, between 1 and 64.
    #[schemars(range(min = 1, max = 64))]
    pub concurrency: Option<u16>,
}

/// Bounds on what the plan promises.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanOptions {
    /// Added to each rule's upper bound, in percent; at least 10 messages.
    #[schemars(range(min = 0, max = 1000), extend("default" = 5))]
    pub tolerance: Option<u32>,
    /// For how long the plan may be applied.
    #[schemars(extend("default" = "24h"))]
    pub expires_after: Option<Age>,
}

/// What plans and reports may show.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportOptions {
    /// JSONPaths into bodies whose values are never shown or noted, wherever in the message a transform carries them.
    #[serde(default)]
    pub redact: Vec<String>,
    /// Message attributes whose values are never shown or noted, wherever in the message a transform carries them.
    #[serde(default)]
    pub redact_attributes: Vec<String>,
    /// What helps to find a message that is in doubt: JSONPaths into its body, and `attribute:NAME` for message attributes. Their values
    /// are in the journal while it is on its way, and stay if it comes into doubt; what is redacted is not among them.
    #[serde(default)]
    pub identify: Vec<String>,
}
