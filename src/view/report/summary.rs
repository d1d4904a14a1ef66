//! The end of an apply: what the last line of the JSON output and the last words on a terminal say. Pure.

use super::super::document::{Block, Document, Line, heading, ours, theirs};
use super::super::wire::{self, RunObject};
use super::content::{SAFE, drift, effort, glance, left, pinned, resume, sum, table, urgency};
use crate::apply::{Outcome, Summary};
use crate::error::Kind;

/// One line, one object of type `summary`: the last of an apply.
pub fn summary_json(summary: &Summary) -> String {
    let object = RunObject::new("summary", summary.outcome.code(), &summary.figures);
    let object = match &summary.outcome {
        Outcome::Finished | Outcome::Abandoned | Outcome::Unfinished | Outcome::Interrupted => object,
        Outcome::Drifted(words) | Outcome::Guarded(words) => object.with_error(words, None),
        Outcome::Failed(error) => object.with_error(error.message(), error.hint_text()),
    };
    wire::line(&object)
}

/// For a person, with the command that goes on after a stop.
pub fn summary(summary: &Summary, how_to_resume: &str) -> Document {
    let (outcome, figures) = (&summary.outcome, &summary.figures);
    let mut blocks = vec![
        Block::Title(
            ours("Run ").theirs(&figures.run).ours(" of job ").theirs(&figures.job).ours(": ").ours(outcome.code()),
        ),
        Block::Headline(urgency(outcome.code(), figures), words(summary)),
    ];
    if let Outcome::Failed(error) = outcome
        && let Some(hint) = error.hint_text()
    {
        blocks.push(Block::Paragraph(theirs(hint)));
    }
    blocks.extend([heading("What happened"), Block::Paragraph(sum(figures)), table(figures, None)]);
    blocks.extend(pinned(outcome.code(), figures));
    blocks.push(Block::Paragraph(effort(figures)));
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
    blocks.extend(resume(outcome.code(), figures, how_to_resume));
    Document::new(blocks)
}

/// What happened, and what is safe.
fn words(summary: &Summary) -> Line {
    let code = summary.outcome.code();
    match &summary.outcome {
        Outcome::Finished | Outcome::Abandoned | Outcome::Interrupted => glance(code, &summary.figures),
        // At the end of a session it is known which of the three possibilities it is.
        Outcome::Unfinished => ours("The source is empty, but some messages are still in transit. ").ours(SAFE),
        Outcome::Drifted(what) => ours("Stopped as drifted: ").theirs(what).ours(". ").ours(SAFE),
        Outcome::Guarded(what) => ours("Halted by a guard: ").theirs(what).ours(". ").ours(SAFE),
        Outcome::Failed(error) => {
            let line = ours("Stopped by a failure: ").theirs(error.message()).ours(". ");
            // An error that stops a run on the way says itself, in its hint, what is safe.
            if error.kind() == Kind::Stopped && error.hint_text().is_some() { line } else { line.ours(SAFE) }
        }
    }
}
