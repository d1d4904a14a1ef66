//! The command line of `redrive resolve`.

use clap::Args;

use super::Format;

/// `redrive resolve`.
#[derive(Debug, Args)]
pub struct ResolveArgs {
    /// The run's identity, or the beginning of it.
    pub run: String,
    /// The message IDs to decide about.
    #[arg(value_name = "MESSAGE", conflicts_with_all = ["all", "abandon"])]
    pub messages: Vec<String>,
    /// What is decided.
    #[command(flatten)]
    pub decision: DecisionArgs,
    /// Decide about every message of the run that is in doubt or held.
    #[arg(long, conflicts_with = "abandon")]
    pub all: bool,
    /// Why; it is noted in the journal and shown in the report, with the time and the user.
    #[arg(long, value_name = "TEXT", requires = "DecisionArgs")]
    pub reason: Option<String>,
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// What `redrive resolve` can decide.
#[derive(Debug, Args)]
#[group(multiple = false)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the command line, of which one is given")]
pub struct DecisionArgs {
    /// Judge them again and send them at the next apply, whatever the job's `in_doubt` says.
    #[arg(long)]
    pub resend: bool,
    /// They have arrived: delete them from the source at the next apply, and do not send them.
    #[arg(long)]
    pub discard: bool,
    /// Leave them in the source: this run does nothing more with them.
    #[arg(long)]
    pub release: bool,
    /// Abandon the run: it is not continued, and `apply JOB` plans anew, once it has brought back what the run had parked.
    /// What it sent is not sent again.
    #[arg(long)]
    pub abandon: bool,
}
