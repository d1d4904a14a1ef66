//! What a reviewer must know before saying yes: one pure function per hazard, over facts that are already there. Each has a
//! stable code with a severity, and a sentence with the numbers. Refusals are hazards that apply may not pass.
//!
//! A hazard is said only if it applies, so that a plan without hazards is a short one; a new one is a code, a function here, a
//! line in one of the two lists, and a row in its table test.

mod guards;
mod messages;
mod move_tasks;
mod parking;
mod queues;
mod reach;
mod refusals;

use jiff::Timestamp;
use redrive_protocol::target::{Reason, Target, TargetId, TargetKind};
use redrive_rules::job::Job;

use super::code::HazardCode;
use super::document::{Estimate, Hazard, Outcome, RuleFigures, Sample};
use super::groups::Groups;
use super::sample::End;
use super::seen::Seen;
use crate::sqs::{MoveTask, QueueAttributes};
use crate::words::{count, thousands};

pub(super) use messages::EXPIRES_SOON;
pub use parking::parking_in_use;
pub use reach::reach;
pub(super) use refusals::sampling_refusal;

/// Everything that hazards are found in.
pub(super) struct Facts<'a> {
    pub(super) job: &'a Job,
    pub(super) now: Timestamp,
    /// The host of the job's webhook, if that is known.
    pub(super) notifies: Option<&'a str>,
    /// Why the guard's command could not be run here, if it could not.
    pub(super) command_missing: Option<&'a str>,
    pub(super) source: &'a QueueAttributes,
    pub(super) targets: &'a [Target],
    pub(super) rules: &'a [RuleFigures],
    pub(super) sample: &'a Sample,
    pub(super) seen: &'a Seen,
    /// The message groups, where the source is a FIFO queue.
    pub(super) groups: Option<&'a Groups>,
    /// Whether the plan is about what was looked at and nothing else.
    pub(super) exact: bool,
    pub(super) end: End,
    pub(super) answers_lost: u64,
    /// Origin queues that could not be opened, and why.
    pub(super) unreachable_origins: &'a [(String, String)],
    /// The message move task of AWS's own that is at work on the source, or why that could not be seen.
    pub(super) move_task: &'a Result<Option<MoveTask>, String>,
    /// Why the queues that redrive to the source could not be listed.
    pub(super) origins_not_listed: Option<&'a str>,
}

/// Why apply would refuse.
pub(super) fn refusals(facts: &Facts) -> Vec<Hazard> {
    let checks: [fn(&Facts) -> Option<Hazard>; 9] = [
        refusals::not_counted,
        refusals::nothing_sampled,
        refusals::destination_is_source,
        refusals::too_many_stay,
        refusals::group_missing,
        parking::is_destination,
        parking::in_use,
        parking::redrives,
        parking::keeps_too_short,
    ];
    checks.iter().filter_map(|check| check(facts)).collect()
}

/// What a reviewer should know, the dangers first.
pub(super) fn hazards(facts: &Facts) -> Vec<Hazard> {
    let checks: [fn(&Facts) -> Option<Hazard>; 43] = [
        reach::reached_by_job,
        reach::file_outside,
        guards::runs_command,
        guards::command_missing,
        guards::nothing_comes_back,
        move_tasks::at_work,
        move_tasks::unseen,
        messages::dropped,
        queues::sample_uneven,
        queues::consumer_active,
        queues::delayed,
        queues::loop_back,
        messages::expiring,
        queues::source_redrives,
        queues::several_origins,
        messages::origin_missing,
        queues::origins_unreachable,
        queues::origins_not_listed,
        messages::in_doubt_resend,
        queues::deduplication_reused,
        queues::groups_stop,
        queues::mixed_types,
        queues::encryption_differs,
        queues::many_may_stay,
        parking::parked,
        messages::extended_client,
        messages::lambda_envelope,
        messages::lambda_error,
        messages::sns_envelope,
        messages::trace_header,
        messages::near_size_limit,
        messages::not_json,
        messages::newer_excluded,
        messages::idle_rules,
        messages::sent_anew,
        queues::counts_approximate,
        queues::ages_seen,
        queues::fifo_sample,
        queues::sample_cut,
        queues::sampling_effect,
        reach::notifies,
        guards::guards,
        move_tasks::aws_could,
    ];
    let mut found: Vec<_> = checks.iter().filter_map(|check| check(facts)).collect();
    found.sort_by_key(|hazard| hazard.severity);
    found
}

#[expect(clippy::unnecessary_wraps, reason = "the last expression of every check, which may find nothing")]
fn hazard(code: HazardCode, text: String) -> Option<Hazard> {
    Some(Hazard::new(code, text))
}

impl Facts<'_> {
    /// The figures of all outcomes for which `wanted` holds, as one.
    fn sum(&self, wanted: impl Fn(Outcome) -> bool) -> Estimate {
        sum(self.rules.iter().flat_map(|rule| &rule.outcomes).filter(|of| wanted(of.outcome)).map(|of| of.estimate))
    }

    /// What stays in flight until apply ends: all that stays and is not parked.
    fn staying(&self) -> Estimate {
        let parks = self.parking().is_some();
        self.sum(|outcome| match outcome {
            Outcome::Kept(Reason::Unmatched) => !parks,
            Outcome::Kept(_) | Outcome::Blocked(_) => true,
            Outcome::To(_) | Outcome::Exhausted(_) => false,
        })
    }

    /// The parking queue, where the job names one.
    fn parking(&self) -> Option<&QueueAttributes> {
        self.targets.iter().find(|target| target.kind == TargetKind::Park)?.queue.as_ref()
    }

    fn leaving(&self) -> Estimate {
        self.sum(|outcome| target_of(outcome).is_some())
    }

    /// Targets that something of the sample goes to, with how much.
    fn used_targets(&self) -> impl Iterator<Item = (&Target, Estimate)> {
        self.targets.iter().enumerate().filter_map(|(position, target)| {
            let goes_there = |outcome| target_of(outcome).is_some_and(|id| usize::from(id.0) == position);
            let estimate = self.sum(goes_there);
            (estimate.sampled > 0).then_some((target, estimate))
        })
    }

    /// Queues that something of the sample goes to.
    fn used_queues(&self) -> impl Iterator<Item = (&Target, &QueueAttributes, Estimate)> {
        self.used_targets().filter_map(|(target, estimate)| Some((target, target.queue.as_ref()?, estimate)))
    }

    /// `12 of 1,000 sampled messages`.
    fn of_sample(&self, number: u64) -> String {
        format!("{} of {}", thousands(number), count(self.sample.messages, "sampled message"))
    }
}

/// Where an outcome leads, if it leads anywhere.
pub(super) fn target_of(outcome: Outcome) -> Option<TargetId> {
    match outcome {
        Outcome::To(target) | Outcome::Exhausted(target) => Some(target),
        Outcome::Kept(_) | Outcome::Blocked(_) => None,
    }
}

/// Figures of disjoint sets as one; the ends of its interval lie a little too far out, never too close.
fn sum(estimates: impl Iterator<Item = Estimate>) -> Estimate {
    let none = Estimate { sampled: 0, total: 0, low: 0, high: 0, is_interval: true };
    estimates.fold(none, |sum, one| Estimate {
        sampled: sum.sampled.saturating_add(one.sampled),
        total: sum.total.saturating_add(one.total),
        low: sum.low.saturating_add(one.low),
        high: sum.high.saturating_add(one.high),
        is_interval: sum.is_interval && one.is_interval,
    })
}

/// `1 message is`, `2 messages are`.
fn are(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun} is") } else { format!("{} {noun}s are", thousands(number)) }
}

/// Names in a sentence, each once: `a, b and c`.
fn list(all: impl IntoIterator<Item = String>) -> String {
    let mut names: Vec<String> = Vec::new();
    for name in all {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    match names.pop() {
        None => String::new(),
        Some(last) if names.is_empty() => last,
        Some(last) => format!("{} and {last}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests;
