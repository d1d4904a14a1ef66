//! What the job file says of guards: what a run looks at while it goes on, and when that slows or stops it. Plain data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::{Age, Percent, Wait};

/// What a run looks at while it goes on, and when that slows or stops it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// A few messages go first; the others wait until it is known how the consumer takes them.
    pub canary: Option<Canary>,
    /// The share of messages that may come back, such as `"2%"`: of the last 1,000 sent, and at least five. More halt the run.
    pub max_bounced: Option<Percent>,
    /// Whether too many that come back stop only the rule that sent them, whose messages stay from then on.
    #[serde(default)]
    pub per_rule: bool,
    /// While a destination holds more messages than this, visible and in flight, the run sends more slowly.
    #[schemars(range(min = 1))]
    pub max_backlog: Option<u64>,
    /// A program and its arguments, run every 15 seconds without a shell: exit code 0 goes on, 1 pauses, 2 halts.
    #[schemars(length(min = 1))]
    pub command: Option<Vec<String>>,
    /// For how long the command may run.
    #[schemars(extend("default" = "10s"))]
    pub command_timeout: Option<Age>,
    /// What to do while the command gives no answer: it cannot be started, takes too long, crashes, or exits with another code.
    #[serde(default)]
    pub no_answer: NoAnswer,
}

/// A few messages go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// How many, spread over the rules that send to a queue in proportion to what the plan expects; at least one of each.
    #[schemars(range(min = 1, max = 10_000))]
    pub messages: u32,
    /// For how long the others wait then: `"auto"`, which is as long as the destination's redrive policy needs, or a time.
    #[serde(default)]
    pub wait: Wait,
}

/// What to do while a guard gives no answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoAnswer {
    /// Pause until it answers.
    #[default]
    Pause,
    /// Halt the run.
    Halt,
    /// Go on.
    Go,
}

impl Guard {
    /// Whether anything is looked at.
    pub fn is_set(&self) -> bool {
        self.canary.is_some() || self.max_bounced.is_some() || self.max_backlog.is_some() || self.command.is_some()
    }
}
