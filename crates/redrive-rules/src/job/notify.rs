//! Who is told of a run, and of what: the types of `[notify]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What stands before the name of an environment variable.
const ENVIRONMENT: &str = "env:";

/// A webhook that is told when a run begins and ends.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// The environment variable that holds the webhook's URL, as `"env:NAME"`. The URL is a secret and cannot stand here itself.
    pub webhook: String,
    /// The shape of what is posted. Default: by the URL's host `slack` or `teams`, else `json`.
    pub format: Option<NotifyFormat>,
    /// What is told. Default: all of it.
    #[schemars(length(min = 1))]
    pub on: Option<Vec<NotifyOn>>,
}

/// The shape of what is posted to a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotifyFormat {
    /// Slack's incoming webhooks, and what takes the same.
    Slack,
    /// An Adaptive Card, as Workflows of Microsoft Teams take it.
    Teams,
    /// One JSON object with the fields of a summary.
    Json,
}

/// What a webhook is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotifyOn {
    /// The run begins, or goes on.
    Started,
    /// Somebody stopped it.
    Stopped,
    /// A bound, a guard or a failure stopped it before its end.
    Halted,
    /// It is done.
    Finished,
}

impl NotifyOn {
    /// All of them, in the order in which they can come.
    pub const ALL: [Self; 4] = [Self::Started, Self::Stopped, Self::Halted, Self::Finished];

    /// The word for it in the job file and in what is posted.
    pub fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Halted => "halted",
            Self::Finished => "finished",
        }
    }
}

impl Notify {
    /// The environment variable that holds the webhook's URL; `None` if none is named.
    pub fn variable(&self) -> Option<&str> {
        let name = self.webhook.strip_prefix(ENVIRONMENT)?;
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let begins_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        (begins_well && name.chars().all(is_word)).then_some(name)
    }

    /// What is told.
    pub fn events(&self) -> &[NotifyOn] {
        self.on.as_deref().unwrap_or(&NotifyOn::ALL)
    }
}
