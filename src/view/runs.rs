//! The list of runs and the status of one, as documents and JSON. Pure: it takes what was read from the journal.

use serde::Serialize;

use super::document::{Block, Column, Document, ours, plain, row, theirs};
use super::report;
use super::run::Report;
use super::units;
use super::wire::{self, RunObject};
use crate::journal::Pruned;

/// The list for a person.
pub fn list(runs: &[Report]) -> Document {
    if runs.is_empty() {
        return Document::new(vec![Block::Paragraph(ours("No runs in this journal yet."))]);
    }
    let columns = vec![
        Column::text("run"),
        Column::text("job"),
        Column::text("source"),
        Column::text("started"),
        Column::text("outcome"),
        Column::number("received"),
        Column::number("left"),
        Column::number("stayed"),
    ];
    let rows = runs.iter().map(|run| {
        let figures = &run.figures;
        let gone = figures.moved + figures.archived + figures.dropped;
        row(vec![
            theirs(&figures.run),
            theirs(&figures.job),
            if run.record.sandbox { theirs(&figures.source).ours(" (sandbox)") } else { theirs(&figures.source) },
            plain(units::time(run.record.started)),
            theirs(run.outcome()),
            plain(units::grouped(figures.received)),
            plain(units::grouped(gone)),
            plain(units::grouped(figures.received.saturating_sub(gone))),
        ])
    });
    Document::new(vec![Block::Table(columns, rows.collect())])
}

/// The list for a program: a line and an object of type `run` each.
pub fn json(runs: &[Report]) -> String {
    runs.iter().map(|run| wire::line(&RunObject::of("run", run)) + "\n").collect()
}

/// What was forgotten, for a person.
pub fn pruned(runs: &[String], pruned: Pruned) -> Document {
    if runs.is_empty() {
        return Document::new(vec![Block::Paragraph(ours("No run is that old: nothing was forgotten."))]);
    }
    Document::new(vec![
        Block::Paragraph(
            ours("Forgotten: ")
                .plain(units::counted(runs.len() as u64, "run", "runs"))
                .ours(" with ")
                .plain(units::messages(pruned.messages))
                .ours(". The journal shrank from ")
                .number(pruned.before / 1024)
                .ours(" to ")
                .number(pruned.after / 1024)
                .ours(" KiB."),
        ),
        Block::List(runs.iter().map(theirs).collect()),
    ])
}

#[derive(Debug, Serialize)]
struct PrunedObject<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    runs: &'a [String],
    messages: u64,
    bytes_before: u64,
    bytes_after: u64,
}

/// The same for a program: one line, one object of type `pruned`.
pub fn pruned_json(runs: &[String], pruned: Pruned) -> String {
    let Pruned { messages, before: bytes_before, after: bytes_after } = pruned;
    wire::line(&PrunedObject { kind: "pruned", version: wire::VERSION, runs, messages, bytes_before, bytes_after })
}

/// The status of one run for a person.
pub fn status(run: &Report) -> Document {
    let figures = &run.figures;
    let mut blocks = report::head(run, Vec::new());
    blocks.extend(report::accounts(run.outcome(), figures, Some(&run.plan)));
    blocks.extend(report::missing(figures));
    blocks.extend(super::guards::section(run));
    if figures.in_doubt + figures.blocked + figures.failed > 0 {
        let all = ours("")
            .code("redrive report")
            .ours(" lists all that is in doubt, blocked or failed, and says what to do.");
        blocks.push(Block::Paragraph(all));
    }
    blocks.extend(report::in_doubt(run));
    blocks.extend(report::left(figures));
    blocks.extend(report::drift(run.outcome(), figures));
    blocks.extend(report::go_on(run));
    Document::new(blocks)
}

/// The status of one run for a program: one line, one object of type `status`.
pub fn status_json(run: &Report) -> String {
    wire::line(&RunObject::of("status", run).with_plan(run))
}

#[cfg(test)]
mod tests;
