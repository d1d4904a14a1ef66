//! `redrive completions` and `redrive man`, as clap types.

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
