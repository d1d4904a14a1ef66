//! What is told of a run: names and figures, nothing of a message. Plain data; `shape` gives it its forms.

use jiff::Timestamp;
use redrive_protocol::protocol::Cause;
use redrive_rules::job::NotifyOn;

use crate::apply::{Figures, Outcome, Summary};
use crate::error::Error;
use crate::plan::Plan;
use crate::words::{count, duration, thousands};

/// One thing that is told.
#[derive(Debug, Clone)]
pub(super) struct Notice {
    pub(super) event: NotifyOn,
    /// Whether it goes on from an earlier session.
    pub(super) resumed: bool,
    pub(super) at: Timestamp,
    pub(super) run: String,
    pub(super) job: String,
    pub(super) description: Option<String>,
    pub(super) source: String,
    /// How it ended, by the code of the summary; `running` at its start.
    pub(super) outcome: &'static str,
    pub(super) cause: Option<Cause>,
    /// How far it came; `None` at its start.
    pub(super) figures: Option<Figures>,
}

impl Notice {
    /// That a run begins, or goes on.
    pub(super) fn of_start(plan: &Plan, resumed: bool, at: Timestamp) -> Self {
        Self {
            event: NotifyOn::Started,
            resumed,
            at,
            run: plan.id().to_owned(),
            job: plan.job.name.clone(),
            description: plan.job.description.clone(),
            source: plan.source.name().to_owned(),
            outcome: "running",
            cause: None,
            figures: None,
        }
    }

    /// How the same session ended. An error is the journal's: nothing more is known of the run then.
    pub(super) fn ended(self, ended: Result<&Summary, &Error>, at: Timestamp) -> Self {
        let (event, outcome, cause, figures) = match ended {
            Ok(Summary { outcome, figures }) => {
                (event(outcome), outcome.code(), outcome.cause(), Some(figures.clone()))
            }
            Err(error) => {
                let outcome = Outcome::Failed(error.clone());
                (event(&outcome), outcome.code(), outcome.cause(), None)
            }
        };
        Self { event, at, outcome, cause, figures, ..self }
    }

    /// One line that says it all for somebody in a hurry.
    pub(super) fn title(&self) -> String {
        let what = match (self.event, &self.figures) {
            (NotifyOn::Started, _) if self.resumed => "goes on".to_owned(),
            (NotifyOn::Finished, Some(figures)) if attention(figures) > 0 => {
                let number = attention(figures);
                format!(
                    "finished, {} attention",
                    if number == 1 {
                        "1 message needs".to_owned()
                    } else {
                        format!("{} messages need", thousands(number))
                    }
                )
            }
            (NotifyOn::Finished, _) if self.outcome == "abandoned" => "abandoned".to_owned(),
            (event, _) => event.word().to_owned(),
        };
        format!("redrive {}: {what}", self.job)
    }

    /// The rest, as names and values.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![("Run", self.run.clone()), ("Source", self.source.clone())];
        let mut more = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
        more("For", self.description.clone());
        more("Why", self.cause.as_ref().map(|cause| cause.error.clone()));
        more("Messages", self.figures.as_ref().map(sum));
        more("In doubt", self.figures.as_ref().filter(|f| f.in_doubt > 0).map(|f| count(f.in_doubt, "message")));
        more("Took", self.figures.as_ref().map(|figures| duration(figures.elapsed_ms / 1000)));
        more("Next", self.next());
        facts
    }

    /// What to do about it, if there is something to do.
    fn next(&self) -> Option<String> {
        let is_bad = self.figures.as_ref().is_some_and(|figures| attention(figures) + figures.in_doubt > 0);
        match (self.event, self.cause.as_ref().and_then(|cause| cause.hint.clone())) {
            (_, Some(hint)) => Some(hint),
            (NotifyOn::Stopped | NotifyOn::Halted, None) => {
                Some(format!("nothing is lost, and the same command continues; `redrive status {}` shows it", self.run))
            }
            (NotifyOn::Finished, None) if is_bad => Some(format!("redrive report {}", self.run)),
            (NotifyOn::Started | NotifyOn::Finished, None) => None,
        }
    }
}

/// Which event an end is.
fn event(outcome: &Outcome) -> NotifyOn {
    match outcome {
        Outcome::Finished | Outcome::Abandoned => NotifyOn::Finished,
        Outcome::Interrupted => NotifyOn::Stopped,
        Outcome::Unfinished(_) | Outcome::Drifted(_) | Outcome::Guarded(_) | Outcome::Failed(_) => NotifyOn::Halted,
    }
}

/// What the run did, after "that the run".
pub(super) fn happened(event: NotifyOn) -> &'static str {
    match event {
        NotifyOn::Started => "started",
        NotifyOn::Stopped => "was stopped",
        NotifyOn::Halted => "was halted",
        NotifyOn::Finished => "finished",
    }
}

fn attention(figures: &Figures) -> u64 {
    figures.blocked + figures.held + figures.failed
}

/// `moved 138, archived 78, kept 184`: what there is of it.
fn sum(figures: &Figures) -> String {
    let parts = figures.outcomes().into_iter().chain([("parked", figures.parked)]).filter(|(_, number)| *number > 0);
    let parts: Vec<String> = parts.map(|(name, number)| format!("{name} {}", thousands(number))).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}
