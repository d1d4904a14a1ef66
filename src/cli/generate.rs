//! `redrive completions`, `redrive man` and `redrive schema`, as clap types.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `redrive completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum, required_unless_present = "values")]
    pub shell: Option<clap_complete::Shell>,
    /// Print what a command line can name here, one a line: the scripts for bash, zsh and fish ask for it.
    #[arg(long, value_enum, conflicts_with = "shell")]
    pub values: Option<Values>,
}

/// What only this machine, or the account, knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Values {
    /// The runs in the journal.
    Runs,
    /// The plan files in this directory.
    Plans,
    /// The queues of the account, if listing them is allowed.
    Queues,
}

/// `redrive man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write a page for each command into this directory, instead of one page with all of them to stdout.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// `redrive schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Of what.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = SchemaOf::Job)]
    pub of: SchemaOf,
}

/// What there is a schema of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// The job file.
    Job,
    /// A plan: what `plan --out` saves and `plan --format json` prints.
    Plan,
    /// A line of `apply --format json`.
    Events,
    /// What `report --format json` prints.
    Report,
    /// A line of `inspect --format json`.
    Inspect,
}
