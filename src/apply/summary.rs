//! How a run ended, and its figures: the same for the end of an apply and for a report made later from the journal.

use redrive_protocol::target::{Reason, RuleId, TargetKind};
use serde::Serialize;

use super::drift::{self, RuleDrift};
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::plan::Plan;
use redrive_protocol::protocol::{Cause, State, Tally, Totals};

/// How a session of a run ended.
#[derive(Debug)]
pub enum Outcome {
    /// The source is dry, or `max_messages` is reached, and nothing is left undone.
    Finished,
    /// Nothing more was there to be received, but some messages are still on their way, in words: which, and why. The same command
    /// goes on with them.
    Unfinished(String),
    /// It was given up, and what it had parked is back.
    Abandoned,
    /// Somebody stopped it.
    Interrupted,
    /// What it met is not what was planned, in words.
    Drifted(String),
    /// A guard halted it, in words.
    Guarded(String),
    /// Something failed for good.
    Failed(Error),
}

impl Outcome {
    /// The stable code in the JSON formats and the journal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Unfinished(_) => "unfinished",
            Self::Abandoned => "abandoned",
            Self::Interrupted => "interrupted",
            Self::Drifted(_) => "drifted",
            Self::Guarded(_) => "guarded",
            Self::Failed(_) => "failed",
        }
    }

    /// Why the run stopped before its end; of a failure also what is safe.
    pub fn cause(&self) -> Option<Cause> {
        match self {
            Self::Finished | Self::Abandoned | Self::Interrupted => None,
            Self::Unfinished(words) | Self::Drifted(words) | Self::Guarded(words) => {
                Some(Cause { error: words.clone(), hint: None })
            }
            Self::Failed(error) => {
                let error = error.clone().resumable();
                Some(Cause { error: error.message().to_owned(), hint: error.hint_text().map(str::to_owned) })
            }
        }
    }
}

/// How a run ended, with its figures.
#[derive(Debug)]
pub struct Summary {
    /// How.
    pub outcome: Outcome,
    /// The figures.
    pub figures: Figures,
}

/// The figures of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// The run's identity.
    pub run: String,
    /// The job's name.
    pub job: String,
    /// The job's file when the plan was made.
    pub job_file: String,
    /// The source queue's name.
    pub source: String,
    /// Messages met: the sum of those that follow.
    pub received: u64,
    /// Sent to a queue and deleted from the source.
    pub moved: u64,
    /// Written to S3 or a file and deleted from the source.
    pub archived: u64,
    /// Deleted.
    pub dropped: u64,
    /// Left where they were.
    pub kept: u64,
    /// Could not be sent whole; left where they were.
    pub blocked: u64,
    /// In doubt, and left where they were until somebody decides.
    pub held: u64,
    /// Refused by their destination and left where they were; or not finished, and gone from the source; or lost from their archive.
    pub failed: u64,
    /// On their way when the run stopped; the same command continues with them.
    pub unfinished: u64,
    /// In the parking queue when the run stopped; the same command brings them back.
    pub parked: u64,
    /// Of the kept, messages that were parked and are back under new IDs.
    pub returned: u64,
    /// Of all these, messages of which the answer to some send never came.
    pub in_doubt: u64,
    /// Of the kept, messages that this run had sent itself.
    pub bounced: u64,
    /// Of the failed, messages that were archived, and are in their archive no more.
    pub archive_lost: u64,
    /// Where the plan is pinned to messages, what became of these.
    pub pinned: Option<PinnedFigures>,
    /// Beside all these, messages that an earlier run had sent and this one deleted.
    pub deleted_for_other_runs: u64,
    /// SQS requests.
    pub requests: u64,
    /// Milliseconds.
    pub elapsed_ms: u64,
    /// Messages that could not be given back and come back by themselves.
    pub not_released: u64,
    /// Messages that SQS said to be visible when receives came back empty.
    pub still_visible: u64,
    /// Messages in flight with somebody else at the end.
    pub in_flight_elsewhere: u64,
    /// The same by rule and by what became of them.
    pub rules: Vec<RuleSummary>,
    /// By rule, what was met against what was planned.
    pub drift: Vec<RuleDrift>,
}

/// What a run met of the messages that its plan is pinned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PinnedFigures {
    /// How many the plan names.
    pub planned: u64,
    /// Of these, not met: no longer in the source, once the run is finished; till then perhaps still to come.
    pub gone: u64,
    /// Of these, met with another content; left where they were.
    pub changed: u64,
    /// Beside these, met and left where they were, because the plan does not name them.
    pub others: u64,
}

/// What became of the messages of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleSummary {
    /// The rule's name.
    pub rule: String,
    /// Where they went, or where they stand.
    pub became: Destined,
    /// How many.
    pub messages: u64,
}

/// What became of messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Destined {
    /// The state's code: `done`, `kept`, `blocked`, ….
    pub state: &'static str,
    /// The target's label, where one was chosen.
    pub to: Option<String>,
    /// Whether their retry count was exhausted.
    pub exhausted: bool,
    /// Why they stay.
    pub reason: Option<Reason>,
}

impl Figures {
    /// What became of the messages: the parts that add up to `received`, by name.
    pub fn outcomes(&self) -> [(&'static str, u64); 8] {
        [
            ("moved", self.moved),
            ("archived", self.archived),
            ("dropped", self.dropped),
            ("kept", self.kept),
            ("blocked", self.blocked),
            ("held", self.held),
            ("failed", self.failed),
            ("unfinished", self.unfinished),
        ]
    }

    /// The figures of a run from its plan and the journal's counts.
    pub fn new(plan: &Plan, tally: &Tally, totals: Totals) -> Self {
        let kind = |target| plan.target(target).map(|target| target.kind);
        let done = |kinds: &[TargetKind]| {
            tally.count(|key| {
                key.state == State::Done && key.target.and_then(kind).is_some_and(|kind| kinds.contains(&kind))
            })
        };
        let in_state = |state| tally.count(|key| key.state == state);
        let name = |id: RuleId| {
            let id = if id.is_parking() { RuleId::UNMATCHED } else { id };
            plan.rules
                .iter()
                .find(|rule| rule.rule == id)
                .map_or_else(|| "unknown".to_owned(), |rule| rule.name.clone())
        };
        let rules = tally.counts.iter().map(|(key, messages)| RuleSummary {
            rule: name(key.rule),
            became: Destined {
                state: key.state.code(),
                to: key.target.and_then(|target| plan.target(target)).map(redrive_protocol::target::Target::label),
                exhausted: key.exhausted,
                reason: key.reason,
            },
            messages: *messages,
        });
        Self {
            run: plan.id().to_owned(),
            job: plan.job.name.clone(),
            job_file: plan.job.file.clone(),
            source: plan.source.name().to_owned(),
            received: tally.received(),
            moved: done(&[TargetKind::Sqs]),
            archived: done(&[TargetKind::S3, TargetKind::File]),
            dropped: done(&[TargetKind::Drop]),
            kept: in_state(State::Kept),
            blocked: in_state(State::Blocked),
            held: in_state(State::Held),
            failed: in_state(State::Failed),
            unfinished: tally.count(|key| key.state.is_unfinished()),
            parked: tally.parked,
            returned: tally.returned,
            in_doubt: tally.doubted,
            bounced: tally.count(|key| key.reason == Some(Reason::Bounced)),
            archive_lost: tally.count(|key| key.reason == Some(Reason::ArchiveLost)),
            pinned: plan.pins.as_ref().map(|pins| pinned(pins.len() as u64, tally)),
            deleted_for_other_runs: tally.deleted_for_other_runs,
            requests: totals.requests,
            elapsed_ms: totals.elapsed_ms,
            not_released: totals.not_released,
            still_visible: totals.still_visible,
            in_flight_elsewhere: totals.in_flight_elsewhere,
            rules: rules.collect(),
            drift: drift::by_rule(plan, tally),
        }
    }

    /// Whether every message is in exactly one of the sums.
    pub fn add_up(&self) -> bool {
        let parts = [self.moved, self.archived, self.dropped, self.kept, self.blocked, self.held, self.failed];
        self.received == parts.iter().sum::<u64>() + self.unfinished + self.parked
    }
}

fn pinned(planned: u64, tally: &Tally) -> PinnedFigures {
    let with = |reason| tally.count(|key| key.reason == Some(reason));
    let others = with(Reason::NotInPlan);
    // What came back has an ID that no plan knows.
    let met = tally.received() - others - with(Reason::Bounced);
    PinnedFigures { planned, gone: planned.saturating_sub(met), changed: with(Reason::ChangedSincePlan), others }
}

/// Which messages a run could not finish, and why.
pub(super) fn unfinished_because(tally: &Tally, totals: Totals) -> String {
    let of = |state| tally.count(|key| key.state == state);
    let parts = [
        (of(State::Sent), "safely sent and still to be deleted"),
        (of(State::InDoubt), "in doubt"),
        (of(State::Returned), "not sent yet"),
        (tally.parked, "in the parking queue"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let Totals { still_visible, in_flight_elsewhere, .. } = totals;
    format!(
        "{}: these messages did not come again. Of the source SQS counts {still_visible} as visible and {in_flight_elsewhere} as in \
         flight elsewhere, which come back at the end of their visibility timeout",
        parts.join(", ")
    )
}

impl Summary {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        let figures = &self.figures;
        match &self.outcome {
            Outcome::Finished | Outcome::Abandoned if figures.blocked + figures.held + figures.failed > 0 => {
                Exit::Partial
            }
            Outcome::Finished | Outcome::Abandoned => Exit::Done,
            Outcome::Drifted(_) | Outcome::Guarded(_) => Exit::Halted,
            Outcome::Failed(error) if error.kind() == Kind::Guarded => Exit::Halted,
            Outcome::Failed(error) if error.kind() == Kind::Lost => Exit::Failed,
            // Once a run has begun, whatever stops it leaves it resumable.
            Outcome::Unfinished(_) | Outcome::Interrupted | Outcome::Failed(_) => Exit::Stopped,
        }
    }
}
