//! The end of an apply: what the last line of the JSON output and the last words on a terminal say. Pure.

use super::super::document::{Block, Document, ours};
use super::super::wire::{self, RunObject};
use super::content::{accounts, drift, effort, glance, left, resume};
use super::troubles::missing;
use crate::apply::Summary;

/// One line, one object of type `summary`: the last of an apply.
pub fn summary_json(summary: &Summary) -> String {
    let object = RunObject::new("summary", summary.outcome.code(), &summary.figures);
    wire::line(&object.with_cause(summary.outcome.cause()))
}

/// For a person, with the words of the command that goes on after a stop.
pub fn summary(summary: &Summary, again: &[String]) -> Document {
    let (outcome, figures) = (&summary.outcome, &summary.figures);
    let title = ours("Run ").theirs(&figures.run).ours(" of job ").theirs(&figures.job).ours(": ").ours(outcome.code());
    let mut blocks = vec![Block::Title(title)];
    blocks.extend(glance(outcome.code(), outcome.cause().as_ref(), figures));
    blocks.extend(accounts(outcome.code(), figures, None));
    blocks.push(Block::Paragraph(effort(figures)));
    blocks.extend(missing(figures));
    if figures.in_doubt > 0 {
        blocks.push(Block::Paragraph(
            ours("In doubt: the answer to a send of ")
                .plain(super::super::units::messages(figures.in_doubt))
                .ours(" never came. ")
                .code("redrive report")
                .ours(" lists them and says what to do."),
        ));
    }
    blocks.extend(left(figures));
    blocks.extend(drift(outcome.code(), figures));
    blocks.extend(resume(outcome.code(), figures, again));
    Document::new(blocks)
}
