//! What guards a run, and what a guard cannot see.

use redrive_protocol::target::TargetKind;
use redrive_rules::job::{Guard, Job, Wait};

use super::super::document::to_queues;
use super::{Facts, Hazard, HazardCode, hazard, list};
use crate::guard::Planned;
use crate::words::{count, duration, thousands};

/// All guards of the job, with the figures that the plan gives them.
pub(super) fn guards(facts: &Facts) -> Option<Hazard> {
    let guard = facts.job.guard.as_ref().filter(|guard| guard.is_set())?;
    let stops = if guard.per_rule { "stop the rule that sent them" } else { "halt the run" };
    let bounced = guard.max_bounced.map(|most| format!("more than {most} that come back {stops}"));
    let backlog =
        guard.max_backlog.map(|most| format!("sending slows while a destination holds more than {}", thousands(most)));
    let command = guard.command.as_ref().map(|words| format!("{} is asked every 15 seconds", words.join(" ")));
    let parts: Vec<String> = [goes_first(facts, guard), bounced, backlog, command].into_iter().flatten().collect();
    hazard(HazardCode::Guarded, format!("The run is guarded: {}.", parts.join("; ")))
}

/// `a canary of 5 goes first (4 of "a", 1 of "b"), and the others wait 2m 30s for what becomes of it`.
fn goes_first(facts: &Facts, guard: &Guard) -> Option<String> {
    let planned = Planned::of(guard, &to_queues(facts.rules, facts.targets), facts.targets)?;
    if planned.shares.is_empty() {
        return Some("no canary goes first, since nothing is expected to go to a queue".to_owned());
    }
    let name = |rule| facts.rules.iter().find(|of| of.rule == rule).map_or("", |of| of.name.as_str());
    let of = planned.shares.iter().map(|(rule, share)| format!("{} of {:?}", thousands(*share), name(*rule)));
    let of: Vec<String> = of.collect();
    let because = match guard.canary?.wait {
        Wait::For(_) => "",
        Wait::Auto => ", as long as a message that fails needs to reach its dead-letter queue, and a minute",
    };
    Some(format!(
        "a canary of {} goes first ({}), and the others wait {} for what becomes of it{because}",
        count(planned.shares.values().sum(), "message"),
        of.join(", "),
        duration(planned.wait.as_secs())
    ))
}

/// A destination of which no message that fails can be seen to come back.
pub(super) fn nothing_comes_back(facts: &Facts) -> Option<Hazard> {
    let guard = facts.job.guard.as_ref()?;
    if guard.canary.is_none() && guard.max_bounced.is_none() {
        return None;
    }
    let consumed = facts.used_queues().filter(|(target, ..)| target.kind == TargetKind::Sqs);
    let without = consumed.filter(|(_, queue, _)| queue.redrive_policy.is_none());
    let without = list(without.map(|(_, queue, _)| queue.name().to_owned()));
    if without.is_empty() {
        return None;
    }
    let text = format!(
        "No redrive policy moves on what fails in {without}: such messages are never seen to come back, by the canary or by \
         `max_bounced`."
    );
    hazard(HazardCode::NothingComesBack, text)
}

/// A command that could not be run where the plan was made. It is not run there: a plan may be made of anybody's job.
pub(super) fn command_missing(facts: &Facts) -> Option<Hazard> {
    let why = facts.command_missing?;
    let text = format!("The guard's command cannot be run where this plan was made: {why}.");
    hazard(HazardCode::CommandMissing, text)
}

/// A program of the job's on the machine of whoever applies it.
pub(super) fn runs_command(facts: &Facts) -> Option<Hazard> {
    runs(facts.job)
}

pub(super) fn runs(job: &Job) -> Option<Hazard> {
    let words = job.guard.as_ref()?.command.as_ref()?;
    let text = format!("Wherever it is applied, the job runs this program as whoever applies it: {}", words.join(" "));
    hazard(HazardCode::RunsCommand, text)
}
