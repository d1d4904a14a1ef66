//! How a journal stands, as a document and JSON. Pure.

use serde::Serialize;

use super::document::{Block, Document, Severity, ours, plain, theirs};
use super::units;
use super::wire::{self, VERSION};
use crate::journal::Health;

/// How a journal stands.
#[derive(Debug)]
pub struct Standing {
    /// Where it is.
    pub location: String,
    /// Of one on a server: how that is.
    pub server: Option<Health>,
    /// What is in it; `None` where there is none yet.
    pub content: Option<Content>,
}

/// What is in a journal.
#[derive(Debug, Default, Serialize)]
pub struct Content {
    /// Runs.
    pub runs: u64,
    /// Those that have not ended.
    pub unfinished: u64,
    /// Those that a process is at work on.
    pub at_work: u64,
    /// Messages that are in doubt, held, or on their way.
    pub in_doubt: u64,
}

impl Standing {
    /// Whether a run can begin or go on with it.
    pub fn is_usable(&self) -> bool {
        self.server.as_ref().is_none_or(|server| !server.is_read_only)
    }
}

/// For a person.
pub fn standing(standing: &Standing) -> Document {
    let mut blocks = vec![Block::Title(ours("The journal ").theirs(&standing.location))];
    let mut facts = Vec::new();
    if let Some(server) = &standing.server {
        facts.push((ours("server"), ours("PostgreSQL ").theirs(&server.version)));
        facts.push((ours("schema"), theirs(&server.schema)));
        let standbys = if server.waits_for_standbys { " and for its standbys" } else { "" };
        facts.push((ours("commits"), ours("wait for the server's disk").ours(standbys)));
    }
    facts.push(match &standing.content {
        None => (ours("runs"), ours("none; the first apply makes the journal, or ").code("redrive journal init")),
        Some(Content { runs, unfinished, at_work, in_doubt }) => (
            ours("runs"),
            plain(units::grouped(*runs))
                .ours(", unfinished ")
                .plain(units::grouped(*unfinished))
                .ours(", at work ")
                .plain(units::grouped(*at_work))
                .ours("; messages in doubt, held or on their way: ")
                .plain(units::grouped(*in_doubt)),
        ),
    });
    blocks.push(Block::Facts(facts));
    if let Some(server) = &standing.server {
        if server.is_read_only {
            let words = "nothing can be written here: it is a standby, or default_transaction_read_only is on";
            blocks.push(Block::Notice(Severity::Danger, ours("read-only"), ours(words)));
        }
        if !server.is_synced {
            let words =
                "the server has fsync off: if its machine stops, commits can be lost, and what was sent is sent again";
            blocks.push(Block::Notice(Severity::Danger, ours("not durable"), ours(words)));
        }
    }
    Document::new(blocks)
}

#[derive(Debug, Serialize)]
struct StandingObject<'a> {
    r#type: &'static str,
    version: u32,
    journal: &'a str,
    usable: bool,
    server: Option<&'a str>,
    schema: Option<&'a str>,
    durable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a Content>,
}

/// For a program: one line, one object of type `journal`.
pub fn standing_json(standing: &Standing) -> String {
    let server = standing.server.as_ref();
    wire::line(&StandingObject {
        r#type: "journal",
        version: VERSION,
        journal: &standing.location,
        usable: standing.is_usable(),
        server: server.map(|server| server.version.as_str()),
        schema: server.map(|server| server.schema.as_str()),
        durable: server.map(|server| server.is_synced),
        content: standing.content.as_ref(),
    })
}
