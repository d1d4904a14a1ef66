//! Progress as lines: words now and then, or JSON. Pure: time comes in, a line comes out where one is due.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;

use super::super::guards;
use super::super::units::{duration, grouped, messages, per_second, time};
use super::super::wire::{self, PaceObject, RunObject, VERSION};
use super::pace::{Pace, expected_in_all, gone};
use crate::apply::{Event, Figures, Progress, Totals};
use crate::plan::Plan;
use redrive_protocol::protocol::{State, Tally};

/// Words are for a log that somebody reads afterwards.
const WORDS_EVERY: Duration = Duration::from_secs(10);

/// JSON is for a program that watches.
const JSON_EVERY: Duration = Duration::from_secs(1);

/// Lets something through once in a while.
#[derive(Debug)]
pub(super) struct Every {
    period: Duration,
    last: Option<Instant>,
}

impl Every {
    pub(super) fn new(period: Duration) -> Self {
        Self { period, last: None }
    }

    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let due = self.last.is_none_or(|last| now.duration_since(last) >= self.period);
        if due {
            self.last = Some(now);
        }
        due
    }

    /// Lets nothing through for a while.
    pub(super) fn hold(&mut self, now: Instant, time: Duration) {
        self.last = Some(now + time);
    }
}

/// Progress in words.
#[derive(Debug)]
pub(super) struct Words {
    expected: u64,
    pace: Pace,
    progress: Every,
    waiting: Every,
}

impl Words {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            expected: expected_in_all(plan),
            pace: Pace::default(),
            progress: Every::new(WORDS_EVERY),
            waiting: Every::new(WORDS_EVERY),
        }
    }

    pub(super) fn line(&mut self, event: &Event, now: Instant) -> Option<String> {
        match event {
            Event::Progress(progress) => {
                let gone = gone(&progress.tally);
                self.pace.note(now, gone);
                // Nothing is worth a line before the first message.
                let due = progress.tally.received() > 0 && self.progress.is_due(now);
                due.then(|| {
                    let of = grouped(self.expected);
                    let shown = grouped(gone);
                    let (shown, of) = (shown.as_str(), of.as_str());
                    format!(
                        "{shown} of about {of} have left the source; {}",
                        standing(&progress.tally, &self.pace, self.expected)
                    )
                })
            }
            Event::WaitingForOrphans { .. } if !self.waiting.is_due(now) => None,
            Event::Resumed { .. } | Event::WaitingForOrphans { .. } | Event::Guard(_) => notable(event),
        }
    }
}

/// Pace and what needs attention, in words.
pub(super) fn standing(tally: &Tally, pace: &Pace, expected: u64) -> String {
    let mut parts = Vec::new();
    if let Some(rate) = pace.measure().and_then(|(moved, millis)| per_second(moved, millis)) {
        parts.push(format!("{} a second", rate.as_str()));
    }
    if let Some(left) = pace.millis_left(expected) {
        parts.push(format!("about {} to go", duration(left).as_str()));
    }
    let state = |state| tally.count(|key| key.state == state);
    let figures = [
        ("kept", state(State::Kept)),
        ("blocked", state(State::Blocked)),
        ("in doubt", tally.doubted),
        ("failed", state(State::Failed)),
    ];
    parts.extend(figures.map(|(name, number)| format!("{name} {}", grouped(number).as_str())));
    if tally.parked > 0 {
        parts.push(format!("parked {}", grouped(tally.parked).as_str()));
    }
    parts.join(", ")
}

/// What is told whenever it happens.
pub(super) fn notable(event: &Event) -> Option<String> {
    Some(match event {
        Event::Resumed { interrupted, in_doubt, to_delete, to_release } => {
            let how = if *interrupted { ", which was interrupted" } else { "" };
            let left = [
                (in_doubt, "in doubt"),
                (to_delete, "safely delivered and still to be deleted"),
                (to_release, "to be given back"),
            ];
            let left = left.iter().filter(|(number, _)| **number > 0);
            let left: Vec<String> =
                left.map(|(number, what)| format!("{} {what}", messages(**number).as_str())).collect();
            let left = if left.is_empty() { String::new() } else { format!(": {}", left.join(", ")) };
            format!("Continuing an earlier session{how}{left}")
        }
        Event::WaitingForOrphans { messages: number, until } => format!(
            "Waiting for {} that the interrupted session may still have in flight, until {} at the latest",
            messages(*number).as_str(),
            time(*until).as_str()
        ),
        Event::Guard(event) => guards::line(event),
        Event::Progress(_) => return None,
    })
}

/// Progress as JSON Lines.
#[derive(Debug)]
pub(super) struct Json {
    plan: Plan,
    expected: u64,
    pace: Pace,
    progress: Every,
    waiting: Every,
}

#[derive(Serialize)]
struct ResumedObject<'a> {
    r#type: &'static str,
    version: u32,
    run: &'a str,
    interrupted: bool,
    in_doubt: u64,
    to_delete: u64,
    to_release: u64,
}

#[derive(Serialize)]
struct WaitingObject<'a> {
    r#type: &'static str,
    version: u32,
    run: &'a str,
    messages: u64,
    until: Timestamp,
}

impl Json {
    pub(super) fn new(plan: Plan) -> Self {
        let expected = expected_in_all(&plan);
        let (progress, waiting) = (Every::new(JSON_EVERY), Every::new(JSON_EVERY));
        Self { plan, expected, pace: Pace::default(), progress, waiting }
    }

    pub(super) fn line(&mut self, event: &Event, now: Instant) -> Option<String> {
        let run = self.plan.id();
        match event {
            Event::Progress(progress) => {
                self.pace.note(now, gone(&progress.tally));
                self.progress.is_due(now).then(|| {
                    let Progress { requests, elapsed_ms, .. } = *progress;
                    let totals = Totals { requests, elapsed_ms, ..Totals::default() };
                    let figures = Figures::new(&self.plan, &progress.tally, totals);
                    let (expected, measure) = (self.expected, self.pace.measure());
                    let pace = PaceObject {
                        expected,
                        messages_per_second: measure
                            .and_then(|(moved, millis)| moved.saturating_mul(1000).checked_div(millis)),
                        seconds_left: self.pace.millis_left(expected).map(|millis| millis / 1000),
                    };
                    wire::line(&RunObject::new("progress", "running", &figures).with_pace(pace))
                })
            }
            Event::WaitingForOrphans { messages, until } => self.waiting.is_due(now).then(|| {
                wire::line(&WaitingObject {
                    r#type: "waiting",
                    version: VERSION,
                    run,
                    messages: *messages,
                    until: *until,
                })
            }),
            Event::Guard(event) => Some(guards::json(run, event)),
            Event::Resumed { interrupted, in_doubt, to_delete, to_release } => Some(wire::line(&ResumedObject {
                r#type: "resumed",
                version: VERSION,
                run,
                interrupted: *interrupted,
                in_doubt: *in_doubt,
                to_delete: *to_delete,
                to_release: *to_release,
            })),
        }
    }
}
