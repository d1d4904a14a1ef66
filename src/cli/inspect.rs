//! The command lines of `redrive inspect` and `redrive init`: a queue, how it is reached, and how much of it is looked at.

use std::path::PathBuf;

use clap::Args;

use super::{ReachArgs, ReportFormat, SampleSize, sample_size};

/// `redrive inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The queue: a name, a URL or an ARN.
    #[arg(required_unless_present = "from")]
    pub queue: Option<String>,
    /// Look at the messages in a file instead, without a network: an archive of redrive (also `.gz` and `.zst`), or
    /// what `aws sqs receive-message` prints. `-` is stdin.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["queue", "sample", "extended_client"])]
    pub from: Option<PathBuf>,
    /// Group by this value instead of by what went wrong: a path (`$.error.type`), a message attribute, a system
    /// attribute, or `jq:` and an expression.
    #[arg(long, value_name = "WHAT")]
    pub by: Option<String>,
    /// Show the examples whole. A page (`--format html`) and `--format json` do so in any case.
    #[arg(long)]
    pub full: bool,
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    pub format: ReportFormat,
    /// What to look at.
    #[command(flatten)]
    pub look: LookArgs,
}

/// `redrive init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The queue: a name, a URL or an ARN.
    pub queue: String,
    /// Write the job here instead of to stdout.
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write over a file that is there.
    #[arg(long, requires = "out")]
    pub force: bool,
    /// What to look at.
    #[command(flatten)]
    pub look: LookArgs,
}

/// How a queue is reached, and how much of it is looked at.
#[derive(Debug, Args)]
pub struct LookArgs {
    /// How many messages to look at, at the most; `all` for as many as can be in flight at once, about 120,000. Without it,
    /// the whole queue if SQS counts no more than 10,000 messages, and else 10,000 of them.
    #[arg(long, value_name = "N|all", value_parser = sample_size)]
    pub sample: Option<SampleSize>,
    /// Sample although the queue has a redrive policy of its own, so that receiving may move messages to its
    /// dead-letter queue.
    #[arg(long)]
    pub sample_despite_redrive_policy: bool,
    /// Hide the values at this path into the body, or of this message attribute, besides what looks like a secret. Can be given
    /// again.
    #[arg(long, value_name = "PATH|ATTRIBUTE")]
    pub redact: Vec<String>,
    /// Follow the pointers of the SQS Extended Client, and look at the bodies in S3.
    #[arg(long)]
    pub extended_client: bool,
    /// The AWS region, where the default chain has another.
    #[arg(long)]
    pub region: Option<String>,
    /// The profile of the shared AWS configuration.
    #[arg(long)]
    pub profile: Option<String>,
    /// A role to assume, by ARN.
    #[arg(long, value_name = "ARN")]
    pub role_arn: Option<String>,
    /// The endpoint's URL, for a server that is not AWS.
    #[arg(long, value_name = "URL")]
    pub endpoint_url: Option<String>,
    /// Which AWS it is.
    #[command(flatten)]
    pub reach: ReachArgs,
}
