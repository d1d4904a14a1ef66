//! The JSON forms of runs: one flat, versioned object for the end of an apply (`summary`), its `progress`, a `report`, a
//! `status` and a `run` of the list, so that what reads one reads all. And the one way to JSON text: a line that cannot drive a terminal.

mod process;
mod timeline;

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use self::process::ProcessObject;
use self::timeline::TimelineObject;
use super::run::Report;
use super::text::neutral;
use crate::apply::{Destined, Figures, PinnedFigures, RuleDrift};
use crate::journal::{GuardEvent, Trouble};
use crate::plan::{Approver, Plan};
use redrive_protocol::protocol::{Cause, Resolved};

/// The version of every JSON form of this program's output.
pub const VERSION: u32 = 1;

/// A run's figures, with what else its kind of object says. Fields are only ever added.
#[derive(Debug, Serialize)]
pub(super) struct RunObject<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    run: &'a str,
    job: &'a str,
    source: &'a str,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pace: Option<PaceObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    given_up: Option<ResolvedObject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<ProcessObject<'a>>,
    /// The words of the command that goes on with it, and where it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    directory: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sandbox: Option<bool>,
    /// What the webhook could not be told of the last session, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_notified: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<PlanObject<'a>>,
    received: u64,
    moved: u64,
    archived: u64,
    dropped: u64,
    kept: u64,
    blocked: u64,
    held: u64,
    failed: u64,
    unfinished: u64,
    parked: u64,
    returned: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned: Option<PinnedFigures>,
    in_doubt: u64,
    bounced: u64,
    archive_lost: u64,
    deleted_for_other_runs: u64,
    requests: u64,
    elapsed_ms: u64,
    not_released: u64,
    still_visible: u64,
    in_flight_elsewhere: u64,
    rules: Vec<RuleObject<'a>>,
    /// Messages that the run sent and that came back to a dead-letter queue, as far as anybody looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    came_back: Option<u64>,
    /// What guards and people did to the run, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    guards: Vec<GuardItem<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeline: Option<TimelineObject>,
    /// By rule, what was met against what was planned, where that stopped the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    drift: Option<&'a [RuleDrift]>,
    /// Empty, and last: [`Listing`] writes what belongs into it.
    #[serde(skip_serializing_if = "Option::is_none")]
    troubles: Option<[(); 0]>,
}

/// What a guard or a person did to a run.
#[derive(Debug, Serialize)]
struct GuardItem<'a> {
    at: Timestamp,
    kind: &'a str,
    who: Option<&'a str>,
    words: &'a str,
}

/// How a run that goes on gets along.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct PaceObject {
    /// How many messages the plan expects to leave the source.
    pub(super) expected: u64,
    /// How many left it in each of the last seconds.
    pub(super) messages_per_second: Option<u64>,
    pub(super) seconds_left: Option<u64>,
}

/// What of the plan belongs to a report.
#[derive(Debug, Serialize)]
struct PlanObject<'a> {
    digest: &'a str,
    created: Timestamp,
    tool_version: &'a str,
    job_file: &'a str,
    job_sha256: &'a str,
    description: Option<&'a str>,
    author: Option<&'a str>,
    approvals: &'a [Approver],
}

#[derive(Debug, Serialize)]
struct RuleObject<'a> {
    rule: &'a str,
    state: &'static str,
    to: Option<&'a str>,
    exhausted: bool,
    reason: Option<&'static str>,
    messages: u64,
}

/// One message that somebody should look at.
#[derive(Debug, Serialize)]
struct TroubleObject<'a> {
    message_id: &'a str,
    state: &'static str,
    rule: Option<&'a str>,
    to: Option<String>,
    reason: Option<&'static str>,
    doubts: u32,
    sent_as: Option<&'a str>,
    note: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<&'a str>,
    at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved: Option<ResolvedObject<'a>>,
}

/// What somebody decided.
#[derive(Debug, Serialize)]
struct ResolvedObject<'a> {
    decision: &'static str,
    at: Timestamp,
    who: &'a str,
    reason: Option<&'a str>,
}

impl<'a> ResolvedObject<'a> {
    fn new(resolved: &'a Resolved) -> Self {
        let Resolved { resolution, at, who, reason } = resolved;
        Self { decision: resolution.code(), at: *at, who, reason: reason.as_deref() }
    }
}

impl<'a> RunObject<'a> {
    /// An object of this type, with what a run's record says.
    pub(super) fn of(kind: &'static str, report: &'a Report) -> Self {
        let object = Self::new(kind, report.outcome(), &report.figures);
        let back: u64 = report.came_back.iter().map(|of| of.messages).sum();
        let guard = |event: &'a GuardEvent| {
            let GuardEvent { at, kind, who, words, .. } = event;
            GuardItem { at: *at, kind, who: who.as_deref(), words }
        };
        let guards: Vec<_> = report.guards.iter().map(guard).collect();
        let given_up = report.record.given_up.as_ref().map(ResolvedObject::new);
        let object = object.with_cause(report.record.cause.clone());
        let record = &report.record;
        Self {
            started: Some(record.started),
            ended: record.ended,
            given_up,
            process: record.process.as_ref().map(ProcessObject::from),
            command: Some(&report.command),
            directory: Some(&record.directory),
            sandbox: Some(record.sandbox),
            not_notified: record.not_notified.as_deref(),
            came_back: (back > 0 || !guards.is_empty()).then_some(back),
            guards,
            ..object
        }
    }

    /// The same with the plan's facts.
    pub(super) fn with_plan(self, report: &'a Report) -> Self {
        let plan = &report.plan;
        let plan = PlanObject {
            digest: &plan.digest,
            created: plan.created,
            tool_version: &plan.tool_version,
            job_file: &plan.job.file,
            job_sha256: &plan.job.sha256,
            description: plan.job.description.as_deref(),
            author: plan.author.as_deref(),
            approvals: &report.approvers,
        };
        Self { plan: Some(plan), ..self }
    }

    /// The same with why the run did not finish.
    pub(super) fn with_cause(self, cause: Option<Cause>) -> Self {
        let (error, hint) = cause.map(|cause| (cause.error, cause.hint)).unzip();
        Self { error, hint: hint.flatten(), ..self }
    }

    /// The same with how it gets along.
    pub(super) fn with_pace(self, pace: PaceObject) -> Self {
        Self { pace: Some(pace), ..self }
    }

    /// An object of this type from the figures alone.
    pub(super) fn new(kind: &'static str, outcome: &'a str, figures: &'a Figures) -> Self {
        let Figures { run, job, source, received, moved, archived, dropped, kept, blocked, held, failed, .. } = figures;
        let rules = figures.rules.iter().map(|row| {
            let Destined { state, to, exhausted, reason } = &row.became;
            RuleObject {
                rule: &row.rule,
                state,
                to: to.as_deref(),
                exhausted: *exhausted,
                reason: reason.map(redrive_protocol::target::Reason::code),
                messages: row.messages,
            }
        });
        Self {
            kind,
            version: VERSION,
            run,
            job,
            source,
            outcome,
            error: None,
            hint: None,
            pace: None,
            started: None,
            ended: None,
            given_up: None,
            process: None,
            command: None,
            directory: None,
            sandbox: None,
            not_notified: None,
            plan: None,
            received: *received,
            moved: *moved,
            archived: *archived,
            dropped: *dropped,
            kept: *kept,
            blocked: *blocked,
            held: *held,
            failed: *failed,
            unfinished: figures.unfinished,
            parked: figures.parked,
            returned: figures.returned,
            pinned: figures.pinned,
            in_doubt: figures.in_doubt,
            bounced: figures.bounced,
            archive_lost: figures.archive_lost,
            deleted_for_other_runs: figures.deleted_for_other_runs,
            requests: figures.requests,
            elapsed_ms: figures.elapsed_ms,
            not_released: figures.not_released,
            still_visible: figures.still_visible,
            in_flight_elsewhere: figures.in_flight_elsewhere,
            rules: rules.collect(),
            came_back: None,
            guards: Vec::new(),
            timeline: None,
            drift: (outcome == "drifted").then_some(&figures.drift),
            troubles: None,
        }
    }
}

impl<'a> TroubleObject<'a> {
    /// A message of a run, with the names that its plan has for rule and target.
    fn new(trouble: &'a Trouble, plan: &'a Plan) -> Self {
        let rule = plan.rules.iter().find(|rule| rule.rule == trouble.rule);
        Self {
            message_id: trouble.id.as_str(),
            state: trouble.state.code(),
            rule: rule.map(|rule| rule.name.as_str()),
            to: trouble.target.and_then(|target| plan.target(target)).map(redrive_protocol::target::Target::label),
            reason: trouble.reason.map(redrive_protocol::target::Reason::code),
            doubts: trouble.doubts,
            sent_as: trouble.sent_as.as_ref().map(redrive_protocol::message::MessageId::as_str),
            note: trouble.note.as_deref(),
            identity: trouble.identity.as_deref(),
            at: trouble.at,
            resolved: trouble.resolved.as_ref().map(ResolvedObject::new),
        }
    }
}

/// One object of a run with the messages that somebody should look at, piece by piece: however many there are, one is in memory.
#[derive(Debug)]
pub struct Listing<'a> {
    head: String,
    plan: &'a Plan,
    any: bool,
}

impl<'a> Listing<'a> {
    /// What ends the list and the object.
    pub const END: &'static str = "]}\n";

    pub(super) fn of(kind: &'static str, report: &'a Report) -> Self {
        let timeline = (kind == "report").then(|| TimelineObject::new(&report.timeline));
        let object = RunObject { troubles: Some([]), timeline, ..RunObject::of(kind, report).with_plan(report) };
        let mut head = line(&object);
        head.truncate(head.len() - Self::END.trim_end().len());
        Self { head, plan: &report.plan, any: false }
    }

    /// What stands before the messages.
    pub fn head(&self) -> &str {
        &self.head
    }

    /// The next message.
    pub fn item(&mut self, trouble: &Trouble) -> String {
        let comma = if std::mem::replace(&mut self.any, true) { "," } else { "" };
        format!("{comma}{}", line(&TroubleObject::new(trouble, self.plan)))
    }
}

/// One line of JSON. Whatever could drive a terminal is written as an escape, which means the same to a JSON reader.
pub(super) fn line(value: &impl Serialize) -> String {
    // Plain data with text keys always has a JSON form; should that ever cease to hold, the line still says so.
    let json = serde_json::to_string(value).unwrap_or_else(|error| {
        serde_json::json!({ "type": "error", "version": VERSION, "message": error.to_string() }).to_string()
    });
    escape(&json)
}

/// The same JSON, compact or indented, with escapes for whatever could drive a terminal. Such characters stand only inside
/// strings; but for the line ends between them, since in strings those are escapes already.
pub(super) fn escape(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut buffer = [0; 4];
    for character in json.chars() {
        let same = character.encode_utf8(&mut buffer);
        // What ASCII prints is the syntax itself and stays as it is.
        if character == '\n' || !character.is_ascii_control() && (character.is_ascii() || neutral(same) == *same) {
            text.push(character);
            continue;
        }
        let mut units = [0; 2];
        for unit in character.encode_utf16(&mut units) {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same_and_drives_no_terminal() {
        let hostile = "a\u{1b}[2J\u{9b}31m\u{202e}\u{200b}\u{7f}\n\\\"é😀";
        let text = line(&hostile);
        assert!(text.chars().all(|c| !c.is_control() && !matches!(c, '\u{202e}' | '\u{200b}')), "{text}");
        assert!(text.contains("é😀"));
        assert_eq!(serde_json::from_str::<String>(&text).expect("JSON"), hostile);
        let indented = escape(&serde_json::to_string_pretty(&[hostile]).expect("JSON"));
        assert!(
            indented.chars().all(|c| c == '\n' || !c.is_control() && !matches!(c, '\u{202e}' | '\u{200b}')),
            "{indented}"
        );
        assert_eq!(serde_json::from_str::<Vec<String>>(&indented).expect("JSON"), [hostile]);
    }
}
