//! `redrive runs`, `status` and `report`.

use clap::{Args, Subcommand};

use super::{Format, ReportFormat};

/// `redrive runs`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct RunsArgs {
    /// What else to do with them.
    #[command(subcommand)]
    pub command: Option<RunsCommand>,
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// What `redrive runs` does beside listing.
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// Forget old runs, and make the journal smaller. What a forgotten run had sent is not recognised any more.
    #[command(after_help = "Example:\n  redrive runs prune --older-than 90d")]
    Prune(PruneArgs),
}

/// `redrive runs prune`.
#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Forget finished runs that ended longer ago than this, such as `90d`.
    #[arg(long, value_name = "AGE", required_unless_present = "run", conflicts_with = "run")]
    pub older_than: Option<String>,
    /// Forget this run.
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
    /// Forget it although it is not finished, or has messages in doubt.
    #[arg(long, requires = "run")]
    pub force: bool,
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// `redrive status`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The run's identity, or the beginning of it. Default: the newest run.
    pub run: Option<String>,
    /// Show it again whenever it has changed, until no process is at work on the run.
    #[arg(long)]
    pub watch: bool,
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// `redrive report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The run's identity, or the beginning of it. Default: the newest run.
    pub run: Option<String>,
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    pub format: ReportFormat,
}
