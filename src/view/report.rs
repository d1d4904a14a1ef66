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
mod timeline;
mod troubles;

pub use super::run::Report;
pub use summary::{summary, summary_json};

pub use super::troubles::Troubles;
pub use super::wire::Listing;
pub(super) use content::{accounts, drift, go_on, head, left};
pub(super) use troubles::{all_of_them, doubts, in_doubt, missing};

use super::document::{Block, Document, MOST_LISTED, ours, theirs};
use super::units;

/// How many messages of a group are kept for people; the JSON has all that are there.
pub const MANY: usize = 1000;

/// The same in a status, which has no form that shows more.
pub const FEW: usize = MOST_LISTED;

/// For a program: one line, one object of type `report`, which lists every message.
pub fn json(report: &Report) -> Listing<'_> {
    Listing::of("report", report)
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
    blocks.extend(accounts(report.outcome(), figures, Some(&report.plan)));
    blocks.extend(content::outcomes(figures));
    blocks.extend(content::compared(report));
    blocks.extend(timeline::blocks(&report.timeline));
    blocks.extend(super::approvals::blocks(&report.approvers));
    blocks.extend(super::guards::section(report));
    blocks.extend(troubles::blocks(report));
    blocks.extend(left(figures));
    blocks.extend(drift(report.outcome(), figures));
    let untold = report.record.not_notified.as_ref();
    blocks.extend(untold.map(|words| Block::Paragraph(ours("Notifications: ").theirs(words).ours("."))));
    blocks.extend(go_on(report));
    Document::new(blocks)
}
