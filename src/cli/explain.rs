//! The command line of `redrive explain`.

use std::path::PathBuf;

use clap::Args;

use super::{Format, ReachArgs};

/// `redrive explain`.
#[derive(Debug, Args)]
#[group(id = "messages", required = true, multiple = false, args = ["message", "from_queue"])]
pub struct ExplainArgs {
    /// The job file.
    pub job: PathBuf,
    /// A message: a body, or what an archive holds, one envelope a line. `-` is stdin. Connects to
    /// nothing, but to S3 for a pointer of the Extended Client where the job follows those.
    #[arg(long, value_name = "FILE")]
    pub message: Option<PathBuf>,
    /// A message attribute of type String, beside a body. Can be given again.
    #[arg(long, value_name = "NAME=VALUE", requires = "message")]
    pub attribute: Vec<String>,
    /// A system attribute, beside a body. Can be given again.
    #[arg(long, value_name = "NAME=VALUE", requires = "message")]
    pub system: Vec<String>,
    /// Receive this many messages from the source and give them back at once.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub from_queue: Option<u64>,
    /// Sample although the source has a redrive policy of its own, so that receiving may move messages to its
    /// dead-letter queue.
    #[arg(long)]
    pub sample_despite_redrive_policy: bool,
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
    /// Which AWS it is.
    #[command(flatten)]
    pub reach: ReachArgs,
}
