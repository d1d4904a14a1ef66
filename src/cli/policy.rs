//! The command line of `redrive policy`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::ReachArgs;

/// `redrive policy`.
#[derive(Debug, Args)]
pub struct PolicyArgs {
    /// The job file.
    pub job: PathBuf,
    /// Only what this command needs. Default: what both need.
    #[arg(long = "for", value_enum, value_name = "COMMAND")]
    pub phase: Option<PolicyPhase>,
    /// Only the policy of this identity: `default`, a profile's name or a role's ARN. Needed for a job with several, if
    /// their policies are to be JSON.
    #[arg(long, value_name = "WHO")]
    pub identity: Option<String>,
    /// Ask AWS nothing: what only it knows stands there as REPLACE-….
    #[arg(long)]
    pub offline: bool,
    /// How to print.
    #[arg(long, value_enum, default_value = "json")]
    pub format: PolicyFormat,
    /// Which AWS it is.
    #[command(flatten)]
    pub reach: ReachArgs,
}

/// What a policy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PolicyPhase {
    /// `redrive plan`.
    Plan,
    /// `redrive apply` of a saved plan.
    Apply,
}

/// How a policy is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PolicyFormat {
    /// An IAM policy document.
    Json,
    /// `aws_iam_policy_document` data sources.
    Terraform,
    /// Tables with a reason for each statement.
    Markdown,
}
