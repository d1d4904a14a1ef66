//! `redrive journal`.

use clap::{Args, Subcommand};

use super::Format;

/// `redrive journal`.
#[derive(Debug, Args)]
pub struct JournalArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub command: JournalCommand,
}

/// What `redrive journal` does.
#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Make the journal's tables ahead of the first run. For one on a server, print the SQL that lets a role use it and do nothing else.
    #[command(
        after_help = "Example:\n  redrive journal init --journal postgres://owner@localhost/redrive --role runner > grants.sql"
    )]
    Init(InitJournalArgs),
    /// Say whether the journal can be used, how safe its commits are, and what is unfinished in it. Changes nothing.
    #[command(after_help = "Example:\n  redrive journal check --journal postgres://runner@localhost/redrive")]
    Check(CheckJournalArgs),
}

/// `redrive journal init`.
#[derive(Debug, Args)]
pub struct InitJournalArgs {
    /// The role that the SQL is for; it is not made.
    #[arg(long, value_name = "ROLE", default_value = "redrive")]
    pub role: String,
}

/// `redrive journal check`.
#[derive(Debug, Args)]
pub struct CheckJournalArgs {
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}
