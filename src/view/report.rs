//! The report of a run, for a terminal, a program, a ticket and a browser: the same content in four forms.
//!
//! Pure data in, text out. It knows what apply, the journal's reader and the plan publish; it reads no database, no file and
//! no clock, and it prints nothing.

mod content;
mod html;
mod markdown;
#[cfg(test)]
pub(super) mod sample;
mod summary;
#[cfg(test)]
mod tests;
mod text;
mod troubles;

pub use summary::{summary_json, summary_text};

pub(super) use content::{command, head, resume, sum, table};
pub(super) use markdown::{MAX_COMMENT, fenced, render as render_markdown};
pub(super) use text::render as render_text;
pub(super) use troubles::doubts;

use super::document::{Block, ours, theirs};
use super::units;
use super::wire::{self, RunObject};
use crate::apply::Figures;
use crate::journal::{RunRecord, Trouble};
use crate::plan::{Approver, Plan};

/// How many messages of a group a person gets to read; the page and the JSON have all that are there.
const MOST_LISTED: usize = 10;

/// Everything a report says.
#[derive(Debug)]
pub struct Report {
    /// The figures.
    pub figures: Figures,
    /// Messages that are in doubt, held, failed or blocked; perhaps not all of them.
    pub troubles: Vec<Trouble>,
    /// The plan that the run carried out.
    pub plan: Plan,
    /// Who had approved it.
    pub approvers: Vec<Approver>,
    /// What the journal says of the run.
    pub record: RunRecord,
}

impl Report {
    /// The code of the outcome; `unfinished` while a session is under way, or after one that was killed.
    pub(super) fn outcome(&self) -> &str {
        self.record.outcome.as_deref().unwrap_or("unfinished")
    }
}

/// For a terminal, or a mail.
pub fn text(report: &Report) -> String {
    render_text(&blocks(report, MOST_LISTED))
}

/// For a program: one line, one object of type `report`.
pub fn json(report: &Report) -> String {
    wire::line(&RunObject::of("report", report).with_plan(report).with_troubles(report))
}

/// For a ticket.
pub fn markdown(report: &Report) -> String {
    markdown::render(&blocks(report, MOST_LISTED))
}

/// For a browser: one page that stands alone.
pub fn html(report: &Report) -> String {
    html::render(&format!("redrive: run {}", report.figures.run), &blocks(report, usize::MAX))
}

fn blocks(report: &Report, most: usize) -> Vec<Block> {
    let (figures, job) = (&report.figures, &report.plan.job);
    let mut plan = vec![
        ("plan", ours("made ").plain(units::time(report.plan.created)).ours(" from ").theirs(&job.file)),
        ("digest", theirs(&report.plan.digest)),
        ("job", ours("SHA-256 ").theirs(&job.sha256)),
    ];
    if let Some(author) = &report.plan.author {
        plan.push(("author", theirs(author)));
    }
    let mut blocks = head(report, plan);
    blocks.extend([Block::Heading("Figures"), Block::Paragraph(sum(figures)), table(figures, Some(&report.plan))]);
    blocks.extend(content::pinned(report.outcome(), figures));
    blocks.extend(super::approvals::blocks(&report.approvers));
    blocks.extend(troubles::blocks(report, most));
    blocks.extend(content::left(figures));
    blocks.extend(resume(report.outcome(), &command(report)));
    blocks
}
