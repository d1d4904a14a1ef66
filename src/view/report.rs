//! The report of a run, as a document and as JSON.
//!
//! Pure data in, a document out. It knows what apply, the journal's reader and the plan publish; it reads no database, no file and
//! no clock, and it prints nothing.

mod content;
#[cfg(test)]
pub(super) mod sample;
mod summary;
#[cfg(test)]
mod tests;
mod troubles;

pub use super::run::Report;
pub use summary::{summary, summary_json};

pub(super) use content::{command, drift, head, resume, sum, table};
pub(super) use troubles::doubts;

use super::document::{Block, Document, heading, ours, theirs};
use super::units;
use super::wire::{self, RunObject};

/// For a program: one line, one object of type `report`.
pub fn json(report: &Report) -> String {
    wire::line(&RunObject::of("report", report).with_plan(report).with_troubles(report))
}

/// For a person.
pub fn document(report: &Report) -> Document {
    let (figures, job) = (&report.figures, &report.plan.job);
    let mut plan = vec![
        (ours("plan"), ours("made ").plain(units::time(report.plan.created)).ours(" from ").theirs(&job.file)),
        (ours("digest"), theirs(&report.plan.digest)),
        (ours("job"), ours("SHA-256 ").theirs(&job.sha256)),
    ];
    if let Some(author) = &report.plan.author {
        plan.push((ours("author"), theirs(author)));
    }
    let mut blocks = head(report, plan);
    blocks.extend([heading("What happened"), Block::Paragraph(sum(figures)), table(figures, Some(&report.plan))]);
    blocks.extend(content::outcomes(figures));
    blocks.extend(content::pinned(report.outcome(), figures));
    blocks.extend(content::compared(report));
    blocks.extend(super::approvals::blocks(&report.approvers));
    blocks.extend(troubles::blocks(report));
    blocks.extend(content::left(figures));
    blocks.extend(drift(report.outcome(), figures));
    blocks.extend(resume(report.outcome(), figures, &command(report)));
    Document::new(blocks)
}
