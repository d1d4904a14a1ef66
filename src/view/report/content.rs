//! What a report says, whatever its form: what happened at a glance, the figures, what stays, and how to go on. Pure.

use super::super::document::{Block, Column, Line, Row, Severity, heading, ours, plain, row, theirs};
use super::super::run::Report;
use super::super::units::{self, counted, grouped, messages};
use crate::apply::{Destined, Figures, PinnedFigures, RuleSummary};
use crate::journal::Process;
use crate::plan::{Estimate, Outcome, Plan};
use crate::words::quoted;
use redrive_protocol::protocol::{Cause, Resolved};
use redrive_protocol::target::{Reason, TargetKind};

/// How the run stands: its outcome by the journal's code, why it stopped, what is safe.
pub(super) fn glance(outcome: &str, cause: Option<&Cause>, figures: &Figures) -> Vec<Block> {
    let attention = figures.blocked + figures.held + figures.failed;
    let all_stay = gone(figures) + figures.archive_lost == 0;
    let safe = if figures.archive_lost == 0 { SAFE } else { MISSING };
    let why = |line: Line| match cause {
        Some(cause) => line.ours(": ").theirs(&cause.error).ours(". "),
        None => line.ours(". "),
    };
    let line = match outcome {
        "finished" if attention == 0 => ours("Done. Every message received is where the plan wanted it."),
        "finished" => ours("Done, but ")
            .plain(messages(attention))
            .ours(if attention == 1 { " needs attention (" } else { " need attention (" })
            .number(figures.blocked)
            .ours(" blocked, ")
            .number(figures.held)
            .ours(" held, ")
            .number(figures.failed)
            .ours(if all_stay { " failed); they were left in the source." } else { " failed)." })
            .ours(" Every other message is where the plan wanted it."),
        "interrupted" => ours("Stopped on request. ").ours(safe),
        "drifted" if cause.is_some() => why(ours("Stopped as drifted")).ours(safe),
        "drifted" => ours("Stopped because the queue does not hold what was planned. ").ours(safe),
        "abandoned" => ours("Abandoned. Confirmed sends are known to every later run and are not repeated."),
        "guarded" => why(ours("Halted by a guard")).ours(safe),
        "failed" => why(ours("Stopped by a failure")),
        "unfinished" if cause.is_some() => why(ours("Not finished")).ours(safe),
        "unfinished" => ours("The source is empty, but some messages are still in transit. ").ours(safe),
        other => ours("Ended as ").theirs(other).ours(". ").ours(safe),
    };
    // The hint of a failure says what is safe as well.
    let (line, hint) = match (outcome, cause.and_then(|cause| cause.hint.as_ref())) {
        ("failed", Some(hint)) => (line, Some(Block::Paragraph(theirs(hint)))),
        ("failed", None) => (line.ours(safe), None),
        _ => (line, None),
    };
    [Block::Headline(urgency(outcome, figures), line)].into_iter().chain(hint).collect()
}

/// How urgent that is.
fn urgency(outcome: &str, figures: &Figures) -> Severity {
    match outcome {
        "finished" if figures.blocked + figures.held + figures.failed == 0 => Severity::Good,
        "failed" | "guarded" | "drifted" => Severity::Danger,
        "interrupted" | "abandoned" | "unfinished" | "running" => Severity::Note,
        _ => Severity::Caution,
    }
}

/// What holds at every stop.
const SAFE: &str = "Nothing is lost: the journal knows where every message is, and the run can be continued.";

/// What holds at a stop where an archive does not hold what was written to it.
const MISSING: &str = "What was archived is missing from its archive. Nothing more is deleted before it is back.";

/// What happened, in figures: every account of a run has this.
pub(in crate::view) fn accounts(outcome: &str, figures: &Figures, plan: Option<&Plan>) -> Vec<Block> {
    let sum = Block::Paragraph(sum(figures));
    [heading("What happened"), sum, table(figures, plan)].into_iter().chain(pinned(outcome, figures)).collect()
}

/// The sum of the figures, written out so that everybody can check it.
fn sum(figures: &Figures) -> Line {
    let parts = [
        ("moved ", figures.moved),
        ("archived ", figures.archived),
        ("dropped ", figures.dropped),
        ("kept ", figures.kept),
        ("blocked ", figures.blocked),
        ("held ", figures.held),
        ("failed ", figures.failed),
    ];
    let mut line = ours("received ").number(figures.received);
    for (position, (name, number)) in parts.into_iter().enumerate() {
        line = line.ours(if position == 0 { " = " } else { " + " }).ours(name).number(number);
    }
    if figures.unfinished > 0 {
        line = line.ours(" + unfinished ").number(figures.unfinished);
    }
    if figures.parked > 0 {
        line = line.ours(" + parked ").number(figures.parked);
    }
    if !figures.add_up() {
        line =
            line.ours(". THESE FIGURES DO NOT ADD UP. This is a bug in redrive: please keep the journal and report it");
    }
    line
}

/// What the run met of the messages that its plan is pinned to; nothing where it is not.
fn pinned(outcome: &str, figures: &Figures) -> Option<Block> {
    let PinnedFigures { planned, gone, changed, others } = figures.pinned?;
    let line = ours("Of ").plain(messages(planned)).ours(" in the plan, ").number(gone);
    let line = line.ours(if outcome == "finished" { " were gone" } else { " were not met" });
    let line = line.ours(" and ").number(changed).ours(" had changed.");
    Some(Block::Paragraph(if others == 0 {
        line
    } else {
        line.ours(" ").plain(messages(others)).ours(" not in the plan: left where they were.")
    }))
}

/// What became of the messages, by rule and destination, in the plan's order of rules.
fn table(figures: &Figures, plan: Option<&Plan>) -> Block {
    let in_plan = |name: &str| plan.and_then(|plan| plan.rules.iter().position(|rule| rule.name == name));
    let in_figures = |name: &str| figures.rules.iter().position(|row| row.rule == name);
    let position = |row: &RuleSummary| in_plan(&row.rule).or_else(|| in_figures(&row.rule));
    let mut rows: Vec<&RuleSummary> = figures.rules.iter().collect();
    rows.sort_by_key(|row| (position(row), std::cmp::Reverse(row.messages)));
    let mut rows: Vec<Row> = rows
        .into_iter()
        .map(|of| row(vec![theirs(&of.rule), became(&of.became, plan), plain(grouped(of.messages))]))
        .collect();
    rows.push(row(vec![ours("all"), ours("received"), plain(grouped(figures.received))]));
    Block::Table(vec![Column::text("rule"), Column::text("outcome"), Column::number("messages")], rows)
}

/// What became of messages, in words.
fn became(destined: &Destined, plan: Option<&Plan>) -> Line {
    // A label stands for one kind: destinations have names of their own, and an origin is always a queue.
    let kind = destined.to.as_ref().and_then(|to| {
        plan.and_then(|plan| plan.targets.iter().find(|target| target.label() == *to)).map(|target| target.kind)
    });
    let at = |verb: &'static str| match &destined.to {
        Some(to) => ours(verb).theirs(to),
        None => ours(verb).ours("an unknown destination"),
    };
    let why = |verb: &'static str| ours(verb).ours(destined.reason.map_or("no reason is noted", Reason::text));
    let line = match (destined.state, kind) {
        ("done", Some(TargetKind::Sqs)) => at("moved to "),
        ("done", Some(TargetKind::S3 | TargetKind::File)) => at("archived to "),
        ("done", Some(TargetKind::Drop)) => ours("dropped"),
        ("done", Some(TargetKind::Park) | None) => at("went to "),
        ("sent", _) => at("unfinished: still to be deleted here, safely at "),
        ("sending" | "resending", _) => at("unfinished: on the way to "),
        ("in_doubt", _) => at("unfinished: in doubt at "),
        ("returned", _) => ours("unfinished: not sent, will be evaluated again"),
        ("held", _) => why("held: "),
        ("kept", _) => return why("kept: "),
        ("blocked", _) => why("blocked: "),
        ("failed", _) if matches!(destined.reason, Some(Reason::Gone | Reason::ParkedGone)) => why("failed: "),
        ("failed", _) if destined.reason == Some(Reason::ArchiveLost) => why("lost: "),
        ("failed", _) => at("refused by ").ours(": ").ours(destined.reason.map_or("no reason is noted", Reason::text)),
        (other, _) => ours(other),
    };
    if destined.exhausted { line.ours(" (retry count exhausted)") } else { line }
}

/// How many of the failed are no longer in the source, without having been archived.
pub(super) fn gone(figures: &Figures) -> u64 {
    let is_gone = |rule: &&RuleSummary| matches!(rule.became.reason, Some(Reason::Gone | Reason::ParkedGone));
    figures.rules.iter().filter(is_gone).map(|rule| rule.messages).sum()
}

/// What is left in the source, and what there is to know of it.
pub(in crate::view) fn left(figures: &Figures) -> Vec<Block> {
    let stay = figures.kept + figures.blocked + figures.held + figures.failed - gone(figures) - figures.archive_lost;
    let mut lines = vec![plain(messages(stay)).ours(" received by this run and left there.")];
    let mut note = |number: u64, line: Line| {
        if number > 0 {
            lines.push(line);
        }
    };
    note(
        figures.unfinished,
        plain(messages(figures.unfinished)).ours(" in transit when it stopped; they stay until the run continues."),
    );
    note(
        figures.parked,
        plain(messages(figures.parked)).ours(" in the parking queue until the same command brings them back."),
    );
    note(
        figures.returned,
        ours("Of the kept, ")
            .plain(messages(figures.returned))
            .ours(" were parked and are back under new message IDs, which are in the journal."),
    );
    note(
        figures.not_released,
        plain(messages(figures.not_released))
            .ours(" could not be given back; they are visible again when the visibility timeout ends."),
    );
    note(
        figures.still_visible,
        ours("SQS still counted ")
            .plain(messages(figures.still_visible))
            .ours(" as visible at the end, though receives came back empty; its counts lag by about a minute."),
    );
    note(
        figures.in_flight_elsewhere,
        plain(messages(figures.in_flight_elsewhere))
            .ours(" were in flight with another consumer at the end; this run could not see them."),
    );
    note(
        figures.bounced,
        ours("Of the kept, ")
            .plain(messages(figures.bounced))
            .ours(" came back after this run moved them: the consumer may still be failing."),
    );
    note(
        figures.deleted_for_other_runs,
        ours("Beside these, ")
            .plain(messages(figures.deleted_for_other_runs))
            .ours(" were sent by an earlier run and deleted again now."),
    );
    vec![heading("Left in the source"), Block::List(lines)]
}

/// The sum as a plot; nothing where there is nothing.
pub(super) fn outcomes(figures: &Figures) -> Option<Block> {
    let bars: Vec<_> =
        figures.outcomes().into_iter().filter(|(_, number)| *number > 0).map(|(name, n)| (ours(name), n)).collect();
    (!bars.is_empty()).then_some(Block::Bars(bars))
}

/// What the plan expected of each rule beside what happened.
pub(super) fn compared(report: &Report) -> [Block; 2] {
    let left = |row: &&RuleSummary| row.became.state == "done";
    let rows = report.plan.rules.iter().filter_map(|rule| {
        let leaves = |outcome: &Outcome| matches!(outcome, Outcome::To(_) | Outcome::Exhausted(_));
        let leaving: u64 = rule.outcomes.iter().filter(|of| leaves(&of.outcome)).map(|of| of.estimate.total).sum();
        let of_rule = || report.figures.rules.iter().filter(|row| row.rule == rule.name);
        let all: u64 = of_rule().map(|row| row.messages).sum();
        let gone: u64 = of_rule().filter(left).map(|row| row.messages).sum();
        let staying = rule.estimate.total.saturating_sub(leaving);
        let numbers = [leaving, gone, staying, all - gone];
        let cells = numbers.map(|number| plain(grouped(number)));
        (numbers != [0; 4]).then(|| row([vec![theirs(&rule.name)], cells.into()].concat()))
    });
    let columns = ["planned to leave", "left", "planned to stay", "stayed"].map(Column::number);
    let columns = [vec![Column::text("rule")], columns.into()].concat();
    [heading("Planned and actual"), Block::Table(columns, rows.collect())]
}

/// What it took.
pub(super) fn effort(figures: &Figures) -> Line {
    let gone = figures.moved + figures.archived + figures.dropped;
    let mut line = plain(counted(figures.requests, "SQS request", "SQS requests"));
    if let Some(ratio) = units::ratio(figures.requests, gone) {
        line = line.ours(" (").plain(ratio).ours(" for each message that left the source)");
    }
    line = line.ours(" in ").plain(units::duration(figures.elapsed_ms));
    if let Some(rate) = units::per_second(gone, figures.elapsed_ms) {
        line = line.ours(", ").plain(rate).ours(" messages a second");
    }
    line
}

/// What it is, how it stands, and the facts of the run; `more` are facts that follow.
pub(in crate::view) fn head(report: &Report, more: Vec<(Line, Line)>) -> Vec<Block> {
    let (figures, record) = (&report.figures, &report.record);
    let title =
        ours("Run ").theirs(&figures.run).ours(" of job ").theirs(&figures.job).ours(": ").theirs(report.outcome());
    let mut facts = Vec::new();
    if let Some(description) = &report.plan.job.description {
        facts.push((ours("for"), theirs(description)));
    }
    facts.extend([
        (ours("source"), theirs(&report.plan.source.arn)),
        (ours("started"), plain(units::time(record.started))),
        (ours("ended"), record.ended.map_or_else(|| ours("not finished"), |ended| plain(units::time(ended)))),
        (ours("took"), effort(figures)),
    ]);
    if let Some(resolved) = &record.given_up {
        facts.push((ours("given up"), signed(Line::default(), resolved)));
    }
    facts.extend(more);
    let mut blocks = vec![Block::Title(title)];
    blocks.extend(match &record.outcome {
        Some(outcome) => glance(outcome, record.cause.as_ref(), figures),
        None => vec![Block::Headline(urgency(report.outcome(), figures), under_way(record.process.as_ref()))],
    });
    blocks.push(Block::Facts(facts));
    blocks
}

/// Who decided it, when and why.
pub(super) fn signed(line: Line, resolved: &Resolved) -> Line {
    let line = line.ours(" by ").theirs(&resolved.who).ours(", ").plain(units::time(resolved.at));
    match resolved.reason.as_deref() {
        Some(reason) => line.ours(": ").theirs(reason),
        None => line,
    }
}

/// How a run stands whose session has not ended.
fn under_way(process: Option<&Process>) -> Line {
    let Some(Process { pid, is_alive, elsewhere }) = process else { return ours("Not finished. ").ours(SAFE) };
    let on = |line: Line| match elsewhere {
        Some((host, _)) => line.theirs(pid.to_string()).ours(" on ").theirs(host),
        None => line.theirs(pid.to_string()),
    };
    if !is_alive {
        return on(ours("Not finished: its process (")).ours(") was killed, or its machine stopped. ").ours(SAFE);
    }
    let line = on(ours("Under way: process ")).ours(" is at work on it");
    match elsewhere {
        Some((_, heard)) => line.ours(", and was last heard of at ").plain(units::time(*heard)).ours("."),
        None => line.ours("."),
    }
}

/// A command as one can give it to a shell. Its options are ours; everything else is quoted as a file's name is.
fn command_line(words: &[String]) -> String {
    let is_option = |word: &str| word.starts_with("--") && word.chars().all(|c| c == '-' || c.is_ascii_lowercase());
    let shown = words.iter().map(|word| if is_option(word) { word.clone() } else { quoted(word) });
    shown.collect::<Vec<_>>().join(" ")
}

/// What to do about a run that is not finished.
pub(in crate::view) fn go_on(report: &Report) -> Vec<Block> {
    let (outcome, record) = (report.outcome(), &report.record);
    if let Some(Process { pid, is_alive: true, elsewhere }) = &record.process {
        let command = match elsewhere {
            Some(_) => format!("redrive control {} stop", record.name),
            None => format!("kill -INT {pid}"),
        };
        return vec![
            heading("How to stop it"),
            Block::Paragraph(ours(
                "It finishes what is under way and gives back the rest; the command that started it continues later.",
            )),
            Block::Command(command),
        ];
    }
    if record.sandbox && record.ended.is_none() {
        let words = "It ran on an embedded sandbox, which ended with its process: there is nothing to continue.";
        return vec![Block::Paragraph(ours(words))];
    }
    let mut blocks = resume(outcome, &report.figures, &report.command);
    if !blocks.is_empty() && !record.directory.is_empty() {
        blocks.push(Block::Paragraph(ours("It was started in ").theirs(&record.directory).ours(".")));
    }
    blocks
}

/// How to go on after a stop, `command` being what goes on with the run; nothing where the run is finished.
pub(super) fn resume(outcome: &str, figures: &Figures, command: &[String]) -> Vec<Block> {
    let line = command_line(command);
    match outcome {
        "finished" | "abandoned" => Vec::new(),
        "drifted" => vec![
            heading("How to continue"),
            Block::Paragraph(
                ours("The same command would stop again. Look at what the queue holds first. Then either accept it, and ")
                    .ours("continue this run beyond the plan's limits; confirmed sends are not repeated:"),
            ),
            Block::Command(if command.iter().any(|word| word == "--allow-drift") { line } else { line + " --allow-drift" }),
            Block::Paragraph(ours(
                "Or give up this run and plan again; what it moved stays moved, and the next run knows it:",
            )),
            Block::Command(format!("redrive resolve {} --abandon", quoted(&figures.run))),
            Block::Command(format!("redrive plan {} --out FILE", quoted(&figures.job_file))),
        ],
        _ => vec![
            heading("How to continue"),
            Block::Paragraph(ours(
                "The same command continues where the run stopped. Confirmed sends are not repeated.",
            )),
            Block::Command(line),
        ],
    }
}

/// What was met against what was planned, by rule, for a run that stopped over it.
pub(in crate::view) fn drift(outcome: &str, figures: &Figures) -> Vec<Block> {
    if outcome != "drifted" {
        return Vec::new();
    }
    let limit = |limit: Option<u64>| limit.map_or_else(|| ours("none"), |limit| plain(grouped(limit)));
    let planned = |planned: Estimate| match planned {
        Estimate { is_interval: false, .. } => ours("unknown"),
        Estimate { low, high, total, .. } if low == high => plain(grouped(total)),
        Estimate { low, high, .. } => plain(grouped(low)).ours(" to ").number(high),
    };
    let rows =
        figures.drift.iter().flat_map(|rule| [("moved", rule.moves), ("stayed", rule.leaves)].map(|of| (rule, of)));
    let rows = rows.filter(|(_, (_, of))| of.met > 0 || of.planned.sampled > 0).map(|(rule, (what, of))| {
        row(vec![theirs(&rule.rule), ours(what), planned(of.planned), limit(of.limit), plain(grouped(of.met))])
    });
    let columns = ["planned", "limit", "met so far"].map(Column::number);
    let columns = [vec![Column::text("rule"), Column::text("")], columns.into()].concat();
    vec![heading("Met against planned"), Block::Table(columns, rows.collect())]
}
