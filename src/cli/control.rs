//! `redrive control`.

use clap::{Args, ValueEnum};

use super::Format;

/// `redrive control`.
#[derive(Debug, Args)]
pub struct ControlArgs {
    /// The run's identity, or the beginning of it.
    pub run: String,
    /// What it is to do.
    #[arg(value_enum)]
    pub order: OrderName,
    /// With `rate`: messages a second, such as `50/s`; never more than the job's `[limits] rate`.
    pub rate: Option<String>,
    /// Why; it is in the report.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// What a run can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OrderName {
    /// Receive and send nothing until `resume`.
    Pause,
    /// Go on after `pause`.
    Resume,
    /// Send no more than this.
    Rate,
    /// Stop in order, as Ctrl-C does; the same command continues later.
    Stop,
}
