//! `redrive watch`: what comes back after a run has ended.

use clap::Args;

use super::Format;

/// `redrive watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// The run's identity, or the beginning of it.
    pub run: String,
    /// For how long, such as `30m`. Ends earlier, with 5, if more messages came back than the job's `max_bounced` allows.
    #[arg(long = "for", value_name = "TIME", default_value = "30m")]
    pub time: String,
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}
