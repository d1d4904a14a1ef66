//! The messages that somebody should look at: in doubt, failed, blocked. Grouped by what they mean, each by its ID. Pure.

use std::collections::BTreeMap;

use super::super::document::{Block, Column, Line, MOST_LISTED, heading, ours, plain, row, theirs};
use super::super::run::Report;
use super::super::troubles::{Doubt, Kind, Listed};
use super::super::units::{grouped, messages};
use super::content::{gone, signed};
use crate::apply::Figures;
use crate::journal::Trouble;
use redrive_protocol::protocol::State;
use redrive_protocol::target::{Reason, TargetId};

/// Everything there is to say of them.
pub(super) fn blocks(report: &Report) -> Vec<Block> {
    let mut blocks = lost(report);
    blocks.extend(in_doubt(report));
    blocks.extend(failed(report));
    blocks.extend(blocked(report));
    blocks.extend(all_of_them(report, "report"));
    blocks
}

/// The command that lists every message, if a form for people shortens a list.
pub(in crate::view) fn all_of_them(report: &Report, command: &str) -> Vec<Block> {
    if !report.troubles.has_more_than(MOST_LISTED) {
        return Vec::new();
    }
    let words = ours("Long lists are shortened here. This lists every message, the most urgent first:");
    vec![Block::Paragraph(words), Block::Command(format!("redrive {command} {} --format json", report.figures.run))]
}

fn listed(listed: &Listed) -> Block {
    Block::Long(listed.first.iter().map(item).collect(), listed.all)
}

/// What a doubt means, and what to do.
fn meaning(doubt: Doubt, to: &Line) -> Line {
    let to = |before: &'static str| ours(before).line(to.clone());
    match doubt {
        Doubt::Held => to("Held, waiting for your decision: it is unknown whether these arrived at ").ours(
            ". They stay in the source. Look for them there, and decide: ",
        )
        .code("redrive resolve")
        .ours(" takes ")
        .code("--discard")
        .ours(" for those that arrived and ")
        .code("--resend")
        .ours(" for the others."),
        Doubt::Open => to("Not settled: these were in transit to ").ours(
            ". When the run continues, they are sent again or held, as the job says; nothing is deleted before that.",
        ),
        Doubt::Resend => to("To be sent again, by decision: the next apply sends these to ").ours("."),
        Doubt::Discarded => to("Not sent again, by decision: these had arrived at ").ours("."),
        Doubt::Stays => to("A copy of these may have arrived at ").ours(
            " although they stay in the source. Look for it there before they are moved by another plan.",
        ),
        Doubt::Gone => to("It is unknown whether these arrived at ").ours(
            ", and they are no longer in the source: they expired, or another consumer deleted them. Look for them there.",
        ),
        Doubt::PerhapsMore => to("Sent again after the answer was lost: these are certainly at ").ours(
            ", perhaps more than once: each lost answer can be one more copy. Nothing is lost. If its consumer is not \
             idempotent, look for more copies of each.",
        ),
        Doubt::HeldParked => to("Held, waiting for your decision: it is unknown whether these came back from ").ours(
            ". They wait there. Look for them in the source; delete from the parking queue those that came back.",
        ),
        Doubt::PerhapsMoreHere => to("Sent again after the answer was lost: these are certainly back from ").ours(
            ", perhaps more than once: each lost answer can be one more copy. Nothing is lost. If the source's consumer is \
             not idempotent, look for more copies of each.",
        ),
        Doubt::Deduplicated => to("Sent again under the same deduplication ID: these are certainly at ").ours(
            ". SQS drops a second copy that comes within five minutes; a run that continued later than that may have made one.",
        ),
        Doubt::SamePlace => to("Written again to the same place: these are certainly at ").ours(", once. There is nothing to do."),
        Doubt::Dropped => ours("Dropped, as the job says; a copy from an earlier send may have arrived."),
    }
}

/// How many messages are missing from their archive, for an account that does not list them.
pub(in crate::view) fn missing(figures: &Figures) -> Option<Block> {
    let words = plain(messages(figures.archive_lost));
    let words = words.ours(" archived and deleted from the source are no longer in their archive. ");
    (figures.archive_lost > 0).then(|| Block::Paragraph(words.code("redrive report").ours(" lists them first.")))
}

/// Messages that are nowhere any more, as far as this program can see.
fn lost(report: &Report) -> Vec<Block> {
    if report.figures.archive_lost == 0 {
        return Vec::new();
    }
    let words = plain(messages(report.figures.archive_lost)).ours(
        " archived and deleted from the source are no longer in their archive. Put the file back, from a backup, and run the \
         same command again.",
    );
    let mut blocks = vec![heading("Missing from the archive"), Block::Paragraph(words)];
    for ((kind, target), of_group) in &report.troubles.groups {
        if *kind == Kind::Lost {
            let words = ours("Written to ").line(place(report, *target)).ours(":");
            blocks.extend([Block::Paragraph(words), listed(of_group)]);
        }
    }
    blocks
}

/// The messages whose sends were not answered, with what to do.
pub(in crate::view) fn in_doubt(report: &Report) -> Vec<Block> {
    if report.figures.in_doubt == 0 {
        return Vec::new();
    }
    let mut blocks = vec![
        heading("In doubt"),
        Block::Paragraph(
            ours("The answer to a send of ").plain(messages(report.figures.in_doubt)).ours(" never came."),
        ),
    ];
    blocks.extend(doubts(report));
    blocks
}

/// The messages once in doubt, or on their way, grouped by what that means.
pub(in crate::view) fn doubts(report: &Report) -> Vec<Block> {
    let mut blocks = Vec::new();
    for ((kind, target), of_group) in &report.troubles.groups {
        if let Kind::Doubt(doubt) = kind {
            blocks.extend([Block::Paragraph(meaning(*doubt, &place(report, *target))), listed(of_group)]);
        }
    }
    blocks
}

fn failed(report: &Report) -> Vec<Block> {
    let failed = report.figures.failed - report.figures.archive_lost;
    if failed == 0 {
        return Vec::new();
    }
    let mut blocks = vec![heading("Failed")];
    let gone = gone(&report.figures);
    let refused = failed - gone;
    if refused > 0 {
        blocks.push(Block::Paragraph(
            plain(messages(refused))
                .ours(" refused by the destination and left in the source. Fix the cause it names, then plan again."),
        ));
    }
    if gone > 0 {
        blocks.push(Block::Paragraph(plain(messages(gone)).ours(
            " no longer in the source when the run continued: expired, or deleted by another consumer. Those not in \
             doubt were not sent.",
        )));
    }
    blocks.extend(by_reason(report, |kind| if let Kind::Failed(reason) = kind { Some(reason) } else { None }));
    blocks
}

fn blocked(report: &Report) -> Vec<Block> {
    if report.figures.blocked == 0 {
        return Vec::new();
    }
    let mut reasons: BTreeMap<Option<Reason>, u64> = BTreeMap::new();
    for row in report.figures.rules.iter().filter(|row| row.became.state == State::Blocked.code()) {
        *reasons.entry(row.became.reason).or_default() += row.messages;
    }
    let rows = reasons.into_iter().map(|(reason, number)| row(vec![why(reason), plain(grouped(number))])).collect();
    let mut blocks = vec![
        heading("Blocked"),
        Block::Paragraph(plain(messages(report.figures.blocked)).ours(
            " could not be sent in full and were left in the source. Fix the job or the messages, then plan again.",
        )),
        Block::Table(vec![Column::text("reason"), Column::number("messages")], rows),
    ];
    blocks.extend(by_reason(report, |kind| if let Kind::Blocked(reason) = kind { Some(reason) } else { None }));
    blocks
}

/// The messages of one kind, by reason, with what is noted of each.
fn by_reason(report: &Report, reason_of: impl Fn(Kind) -> Option<Option<Reason>>) -> Vec<Block> {
    let mut blocks = Vec::new();
    for ((kind, target), of_group) in &report.troubles.groups {
        let Some(reason) = reason_of(*kind) else { continue };
        let mut title = why(reason);
        if target.is_some() {
            title = title.ours(", at ").line(place(report, *target));
        }
        blocks.extend([Block::Paragraph(title.ours(":")), listed(of_group)]);
    }
    blocks
}

fn why(reason: Option<Reason>) -> Line {
    ours(reason.map_or("no reason is noted", Reason::text))
}

/// The ID of a message and what is noted of it.
fn item(trouble: &Trouble) -> Line {
    let mut line = theirs(trouble.id.as_str());
    if let Some(identity) = &trouble.identity {
        line = line.ours(" (").theirs(identity).ours(")");
    }
    if let Some(sent_as) = &trouble.sent_as {
        line = line.ours(", there as ").theirs(sent_as.as_str());
    }
    if trouble.doubts > 1 {
        line = line.ours(", ").number(trouble.doubts.into()).ours(" answers lost");
    }
    if let Some(note) = trouble.note.as_deref().filter(|note| !note.is_empty()) {
        line = line.ours(": ").theirs(note);
    }
    match &trouble.resolved {
        Some(resolved) => signed(line.ours("; ").ours(resolved.resolution.code()), resolved),
        None => line,
    }
}

fn place(report: &Report, target: Option<TargetId>) -> Line {
    match target.and_then(|target| report.plan.target(target)) {
        Some(target) => theirs(target.label()),
        None => ours("a destination"),
    }
}
