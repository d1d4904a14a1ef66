//! What metrics there are: their names, types and words, for the files and for the reference page alike.

use std::collections::BTreeMap;

use jiff::Timestamp;
use redrive_protocol::target::TargetKind;

use crate::apply::{Figures, RuleSummary};
use crate::plan::Plan;

/// The outcome of a run that goes on.
pub(super) const RUNNING: &str = "running";

/// All outcomes of a run, by the codes of its summary.
pub(super) const OUTCOMES: [&str; 8] =
    [RUNNING, "finished", "unfinished", "abandoned", "interrupted", "drifted", "guarded", "failed"];

/// What became of messages that left the source.
const LEFT: [&str; 3] = ["moved", "archived", "dropped"];

/// What is known of a run at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Snapshot<'a> {
    pub(super) plan: &'a Plan,
    pub(super) figures: &'a Figures,
    pub(super) outcome: &'static str,
    /// When this session began.
    pub(super) started: Timestamp,
    pub(super) ended: Option<Timestamp>,
}

/// A kind of metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Never falls while a process lives.
    Counter,
    Gauge,
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

/// What a series is called, label by label, and its value.
type Labelled = (Vec<String>, f64);

/// One metric in all its series: beside `run` and `job`, which every series has, the labels and the value of each.
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
    pub(super) series: fn(&Snapshot<'_>) -> Vec<Labelled>,
}

/// All of them, in the order in which they are written.
pub(super) const FAMILIES: [Family; 10] = [
    Family {
        name: "redrive_run_info",
        kind: Kind::Gauge,
        labels: &["source", "version"],
        help: "The run: its source queue, and the version of redrive. Always 1.",
        series: |of| vec![(vec![of.figures.source.clone(), env!("CARGO_PKG_VERSION").to_owned()], 1.0)],
    },
    Family {
        name: "redrive_run_outcome",
        kind: Kind::Gauge,
        labels: &["outcome"],
        help: "1 for the outcome that the run has now, 0 for all others.",
        series: |of| {
            OUTCOMES.iter().map(|code| (vec![(*code).to_owned()], f64::from(u8::from(*code == of.outcome)))).collect()
        },
    },
    Family {
        name: "redrive_run_start_time_seconds",
        kind: Kind::Gauge,
        labels: &[],
        help: "When this session of the run began, in seconds since 1970.",
        series: |of| one(seconds(of.started)),
    },
    Family {
        name: "redrive_run_end_time_seconds",
        kind: Kind::Gauge,
        labels: &[],
        help: "When this session of the run ended, in seconds since 1970. Not there while it goes on, or if it was killed.",
        series: |of| of.ended.map(|ended| (Vec::new(), seconds(ended))).into_iter().collect(),
    },
    Family {
        name: "redrive_run_duration_seconds",
        kind: Kind::Gauge,
        labels: &[],
        help: "How long the run took so far, over all its sessions.",
        series: |of| one(number(of.figures.elapsed_ms) / 1000.0),
    },
    Family {
        name: "redrive_messages_total",
        kind: Kind::Counter,
        labels: &["rule", "outcome", "destination"],
        help: "Messages that left the source over all sessions of the run, by rule and by what became of them: moved, archived or dropped.",
        series: |of| by_rule(of, |outcome| LEFT.contains(&outcome), true),
    },
    Family {
        name: "redrive_messages_remaining",
        kind: Kind::Gauge,
        labels: &["rule", "outcome"],
        help: "Messages that were met and have not left: kept, blocked, held, failed, or unfinished.",
        series: |of| by_rule(of, |outcome| !LEFT.contains(&outcome), false),
    },
    Family {
        name: "redrive_messages_parked",
        kind: Kind::Gauge,
        labels: &[],
        help: "Messages in the parking queue.",
        series: |of| one(number(of.figures.parked)),
    },
    Family {
        name: "redrive_messages_in_doubt",
        kind: Kind::Gauge,
        labels: &[],
        help: "Of all messages, those of which the answer to some send never came.",
        series: |of| one(number(of.figures.in_doubt)),
    },
    Family {
        name: "redrive_sqs_requests_total",
        kind: Kind::Counter,
        labels: &[],
        help: "SQS requests over all sessions of the run.",
        series: |of| one(number(of.figures.requests)),
    },
];

fn one(value: f64) -> Vec<(Vec<String>, f64)> {
    vec![(Vec::new(), value)]
}

#[expect(clippy::cast_precision_loss, reason = "exact up to nine quadrillion")]
pub(super) fn number(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds are far from where it loses any")]
fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

/// The messages by rule and outcome, and where they went, of such outcomes.
fn by_rule(of: &Snapshot<'_>, such: fn(&str) -> bool, with_destination: bool) -> Vec<(Vec<String>, f64)> {
    let mut sums: BTreeMap<Vec<String>, u64> = BTreeMap::new();
    for row in &of.figures.rules {
        let outcome = outcome(of.plan, row);
        if such(outcome) {
            let destination = with_destination.then(|| row.became.to.clone().unwrap_or_default());
            let labels = [row.rule.clone(), outcome.to_owned()].into_iter().chain(destination);
            *sums.entry(labels.collect()).or_default() += row.messages;
        }
    }
    sums.into_iter().map(|(labels, messages)| (labels, number(messages))).collect()
}

/// What became of a rule's messages, in the words of the summary.
fn outcome(plan: &Plan, row: &RuleSummary) -> &'static str {
    let target = plan.targets.iter().find(|target| Some(target.label()) == row.became.to);
    match (row.became.state, target.map(|target| target.kind)) {
        ("done", Some(TargetKind::S3 | TargetKind::File)) => "archived",
        ("done", Some(TargetKind::Drop)) => "dropped",
        ("done", _) => "moved",
        (state @ ("kept" | "blocked" | "held" | "failed"), _) => state,
        _ => "unfinished",
    }
}
