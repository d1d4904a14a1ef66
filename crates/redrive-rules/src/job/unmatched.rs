//! What happens to messages that no rule takes, and where they wait: two more of the job file's types.

use redrive_protocol::target::KEEP;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happens to messages that no rule takes.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unmatched {
    /// A destination's name, `origin`, `keep` or `drop`.
    #[serde(default = "keep")]
    pub to: String,
    /// A queue where kept messages wait until the end of the run, for more of them than can be in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub park: Option<Parking>,
}

impl Default for Unmatched {
    fn default() -> Self {
        Self { to: keep(), park: None }
    }
}

fn keep() -> String {
    KEEP.to_owned()
}

/// The parking queue: messages that no rule takes are moved there, and back when all others are dealt with.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parking {
    /// A queue name, a queue URL or an ARN: an empty standard queue that nobody else uses.
    pub queue: String,
    /// The AWS region, where the default chain has another.
    pub region: Option<String>,
    /// The profile of the shared AWS configuration.
    pub profile: Option<String>,
    /// The endpoint's URL, for a server that is not AWS.
    pub endpoint_url: Option<String>,
    /// A role to assume, by ARN.
    pub role_arn: Option<String>,
}
