//! The messages that somebody should look at: in doubt, failed, blocked. Grouped by what they mean, each by its ID. Pure.

use std::collections::BTreeMap;

use redrive_protocol::target::{Reason, RuleId, TargetId, TargetKind};

use super::super::document::{Block, Column, Line, ours, plain, theirs};
use super::super::units::{grouped, messages, time};
use super::Report;
use super::content::gone;
use crate::journal::{Resolution, Resolved, State, Trouble};

/// Everything there is to say of them. Of each group that is not in doubt at most `most` are listed.
pub(super) fn blocks(report: &Report, most: usize) -> Vec<Block> {
    let mut blocks = in_doubt(report);
    blocks.extend(failed(report, most));
    blocks.extend(blocked(report, most));
    blocks
}

/// Says how many of a kind there are beyond those that the report was given.
fn beyond(report: &Report, all: u64, is_kind: impl Fn(&Trouble) -> bool) -> Option<Block> {
    let given = report.troubles.iter().filter(|trouble| is_kind(trouble)).count() as u64;
    (all > given).then(|| Block::Paragraph(ours("Not listed here: ").plain(messages(all - given)).ours(" more.")))
}

/// What a doubt came to. The order is that of urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Doubt {
    Held,
    HeldParked,
    Open,
    Resend,
    Stays,
    Gone,
    PerhapsMore,
    PerhapsMoreHere,
    Deduplicated,
    SamePlace,
    Dropped,
    Discarded,
}

fn doubt(report: &Report, trouble: &Trouble) -> Doubt {
    let target = trouble.target.and_then(|target| report.plan.target(target));
    let decided = trouble.resolved.as_ref().map(|resolved| resolved.resolution);
    match trouble.state {
        State::Held if trouble.rule == RuleId::RETURNED => Doubt::HeldParked,
        State::Held => Doubt::Held,
        State::InDoubt if decided == Some(Resolution::Resend) => Doubt::Resend,
        State::Sent | State::Done if decided == Some(Resolution::Discard) => Doubt::Discarded,
        State::Sending | State::InDoubt | State::Resending | State::Returned => Doubt::Open,
        State::Failed if matches!(trouble.reason, Some(Reason::Gone | Reason::ParkedGone)) => Doubt::Gone,
        State::Kept | State::Blocked | State::Failed => Doubt::Stays,
        State::Sent | State::Done => match target.map(|target| (target.kind, target.queue.as_ref())) {
            Some((TargetKind::S3 | TargetKind::File, _)) => Doubt::SamePlace,
            // A second copy in the parking queue is deleted when the first is brought back.
            Some((TargetKind::Park, _)) if trouble.rule == RuleId::PARKED => Doubt::SamePlace,
            Some((TargetKind::Park, _)) => Doubt::PerhapsMoreHere,
            Some((TargetKind::Drop, _)) => Doubt::Dropped,
            Some((TargetKind::Sqs, Some(queue))) if queue.fifo => Doubt::Deduplicated,
            Some((TargetKind::Sqs, _)) | None => Doubt::PerhapsMore,
        },
    }
}

/// What a doubt means, and what to do.
fn meaning(doubt: Doubt, to: &Line) -> Line {
    let to = |before: &'static str| Line([ours(before).0, to.0.clone()].concat());
    match doubt {
        Doubt::Held => to("Held: nobody can say whether these arrived at ").ours(
            ". They stay in the source. Look for them there, and decide: ",
        )
        .code("redrive resolve")
        .ours(" takes ")
        .code("--discard")
        .ours(" for those that arrived and ")
        .code("--resend")
        .ours(" for the others."),
        Doubt::Open => to("Not settled: these were on the way to ").ours(
            ". When the run goes on, they are sent again or held, as the job says, and nothing is deleted before.",
        ),
        Doubt::Resend => to("To be sent again, as somebody decided: the next apply sends these to ").ours("."),
        Doubt::Discarded => to("Not sent again, as somebody decided: these had arrived at ").ours("."),
        Doubt::Stays => to("A copy of these may have arrived at ").ours(
            " although they stay in the source. Look for it there before they are moved by another plan.",
        ),
        Doubt::Gone => to("Nobody can say whether these arrived at ").ours(
            ", and they are no longer in the source: they expired, or somebody else deleted them. Look for them there.",
        ),
        Doubt::PerhapsMore => to("Sent again after the answer was lost: these are surely at ").ours(
            ", perhaps more than once: each lost answer can be one more copy. Nothing is lost. If its consumer is not \
             idempotent, look for more copies of each.",
        ),
        Doubt::HeldParked => to("Held: nobody can say whether these came back from ").ours(
            ". They wait there. Look for them in the source; delete from the parking queue those that came back.",
        ),
        Doubt::PerhapsMoreHere => to("Sent again after the answer was lost: these are surely back from ").ours(
            ", perhaps more than once: each lost answer can be one more copy. Nothing is lost. If the source's consumer is \
             not idempotent, look for more copies of each.",
        ),
        Doubt::Deduplicated => to("Sent again under the same deduplication ID: these are surely at ").ours(
            ". SQS drops a second copy that comes within five minutes; a run that went on later than that may have made one.",
        ),
        Doubt::SamePlace => to("Written again to the same place: these are surely at ").ours(", once. There is nothing to do."),
        Doubt::Dropped => ours("Dropped in the end, as the job says; a copy of an earlier send may have arrived."),
    }
}

fn in_doubt(report: &Report) -> Vec<Block> {
    if report.figures.in_doubt == 0 {
        return Vec::new();
    }
    let mut blocks = vec![
        Block::Heading("In doubt"),
        Block::Paragraph(
            ours("The answer to a send of ").plain(messages(report.figures.in_doubt)).ours(" never came."),
        ),
    ];
    blocks.extend(doubts(report));
    blocks.extend(beyond(report, report.figures.in_doubt, |trouble| trouble.doubts > 0));
    blocks
}

/// The messages once in doubt, or on their way, grouped by what that means.
pub(in crate::view) fn doubts(report: &Report) -> Vec<Block> {
    let mut groups: BTreeMap<(Doubt, Option<TargetId>), Vec<Line>> = BTreeMap::new();
    let on_its_way = |trouble: &Trouble| matches!(trouble.state, State::Sending | State::Resending);
    for trouble in report.troubles.iter().filter(|trouble| trouble.doubts > 0 || on_its_way(trouble)) {
        groups.entry((doubt(report, trouble), trouble.target)).or_default().push(item(trouble));
    }
    let blocks = groups
        .into_iter()
        .map(|((doubt, target), lines)| [Block::Paragraph(meaning(doubt, &place(report, target))), Block::List(lines)]);
    blocks.flatten().collect()
}

fn failed(report: &Report, most: usize) -> Vec<Block> {
    if report.figures.failed == 0 {
        return Vec::new();
    }
    let mut blocks = vec![Block::Heading("Failed")];
    let gone = gone(&report.figures);
    let refused = report.figures.failed - gone;
    if refused > 0 {
        blocks.push(Block::Paragraph(
            plain(messages(refused))
                .ours(" refused for good and left in the source. Correct what the destination says, and plan again."),
        ));
    }
    if gone > 0 {
        blocks.push(Block::Paragraph(plain(messages(gone)).ours(
            " no longer in the source when the run went on: expired, or deleted by somebody else. What of them is not \
             in doubt was not sent.",
        )));
    }
    blocks.extend(by_reason(report, State::Failed, most));
    blocks.extend(beyond(report, report.figures.failed, |trouble| trouble.state == State::Failed));
    blocks
}

fn blocked(report: &Report, most: usize) -> Vec<Block> {
    if report.figures.blocked == 0 {
        return Vec::new();
    }
    let mut reasons: BTreeMap<Option<Reason>, u64> = BTreeMap::new();
    for row in report.figures.rules.iter().filter(|row| row.became.state == State::Blocked.code()) {
        *reasons.entry(row.became.reason).or_default() += row.messages;
    }
    let rows = reasons.into_iter().map(|(reason, number)| vec![why(reason), plain(grouped(number))]).collect();
    let mut blocks = vec![
        Block::Heading("Blocked"),
        Block::Paragraph(plain(messages(report.figures.blocked)).ours(
            " that could not be sent whole, left in the source. Correct the job, or the messages, and plan again.",
        )),
        Block::Table(vec![Column::text("reason"), Column::number("messages")], rows),
    ];
    blocks.extend(by_reason(report, State::Blocked, most));
    blocks.extend(beyond(report, report.figures.blocked, |trouble| trouble.state == State::Blocked));
    blocks
}

/// The messages in this state, by reason, with what is noted of each.
fn by_reason(report: &Report, state: State, most: usize) -> Vec<Block> {
    let mut groups: BTreeMap<(Option<Reason>, Option<TargetId>), Vec<&Trouble>> = BTreeMap::new();
    for trouble in report.troubles.iter().filter(|trouble| trouble.state == state) {
        groups.entry((trouble.reason, trouble.target)).or_default().push(trouble);
    }
    let mut blocks = Vec::new();
    for ((reason, target), troubles) in groups {
        let mut title = why(reason);
        if target.is_some() {
            title = Line([title.ours(", at ").0, place(report, target).0].concat());
        }
        blocks.push(Block::Paragraph(title.ours(":")));
        let mut lines: Vec<Line> = troubles.iter().take(most).map(|trouble| item(trouble)).collect();
        if troubles.len() > most {
            lines.push(ours("and ").number((troubles.len() - most) as u64).ours(" more"));
        }
        blocks.push(Block::List(lines));
    }
    blocks
}

fn why(reason: Option<Reason>) -> Line {
    ours(reason.map_or("no reason is noted", Reason::text))
}

/// The ID of a message and what is noted of it.
fn item(trouble: &Trouble) -> Line {
    let mut line = theirs(trouble.id.as_str());
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

/// Who decided it, when and why.
pub(super) fn signed(line: Line, resolved: &Resolved) -> Line {
    let line = line.ours(" by ").theirs(&resolved.who).ours(", ").plain(time(resolved.at));
    match resolved.reason.as_deref() {
        Some(reason) => line.ours(": ").theirs(reason),
        None => line,
    }
}

fn place(report: &Report, target: Option<TargetId>) -> Line {
    match target.and_then(|target| report.plan.target(target)) {
        Some(target) => theirs(target.label()),
        None => ours("a destination"),
    }
}
