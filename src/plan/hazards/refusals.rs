//! Refusals: what apply may not pass, however much a reviewer wants it.

use redrive_protocol::target::{ORIGIN, Reason, RuleId};
use redrive_rules::job::Destination;

use super::{Facts, Hazard, HazardCode, hazard, list, sum};
use crate::plan::Outcome;
use crate::sqs::{MAX_IN_FLIGHT, QueueAttributes};
use crate::words::{count, number_or_unknown, thousands};

/// Whether sampling this queue could move messages: to be asked before the first receive.
pub(in crate::plan) fn sampling_refusal(source: &QueueAttributes) -> Option<Hazard> {
    let policy = source.redrive_policy.as_ref()?;
    hazard(
        HazardCode::SamplingMovesMessages,
        format!(
            "queue {} has a redrive policy of its own: a message that was received {} moves to {} when it is received \
             again, by sampling as well.",
            source.name(),
            count(policy.max_receive_count.into(), "time"),
            name_of(&policy.dead_letter_target_arn),
        ),
    )
}

/// The queue's name in an ARN.
pub(super) fn name_of(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

/// A plan that saw nothing of a queue with messages in it approves nothing.
pub(super) fn nothing_sampled(facts: &Facts) -> Option<Hazard> {
    if facts.sample.messages > 0 || facts.sample.whole_queue || facts.sample.population == 0 {
        return None;
    }
    hazard(
        HazardCode::NothingSampled,
        format!(
            "No message could be received, although SQS counts about {}: they are in flight with others, or the count \
             lags. There is nothing to plan with; plan again later.",
            thousands(facts.sample.population)
        ),
    )
}

/// A sample of nobody knows how much says nothing about the whole.
pub(super) fn not_counted(facts: &Facts) -> Option<Hazard> {
    if facts.source.counts.visible.is_some() || facts.sample.whole_queue || facts.exact {
        return None;
    }
    hazard(
        HazardCode::NotCounted,
        format!(
            "The server does not say how many messages {} holds, so a sample says nothing about the whole. Plan again with \
             --exact, which looks at every message.",
            facts.source.name()
        ),
    )
}

/// A destination that turns out to be the source under another name. The URL is no sure sign, since a job may write it with
/// another host; nor is the ARN, since servers that are not AWS's all know the same account. When it was created decides.
pub(super) fn destination_is_source(facts: &Facts) -> Option<Hazard> {
    let same = |target: &&redrive_protocol::target::Target| {
        target.queue.as_ref().is_some_and(|queue| {
            let created = queue.created.is_some() && queue.created == facts.source.created;
            queue.arn == facts.source.arn && (created || queue.url == facts.source.url)
        })
    };
    let names: Vec<String> = facts.targets.iter().filter(same).map(redrive_protocol::target::Target::label).collect();
    if names.is_empty() {
        return None;
    }
    hazard(
        HazardCode::DestinationIsSource,
        format!(
            "The source queue {} is also the destination {}: what is sent there would be received again.",
            facts.source.name(),
            list(names)
        ),
    )
}

/// What stays is held in flight until apply ends, and only so much may be in flight.
pub(super) fn too_many_stay(facts: &Facts) -> Option<Hazard> {
    let staying = stays_in_flight(facts, facts.staying().total);
    let room = room_in_flight(facts);
    if staying <= room {
        return None;
    }
    hazard(
        HazardCode::TooManyStay,
        format!(
            "About {} would stay in {} and be held in flight until apply ends; there is room for {} ({} may be in flight, \
             {} are, with others). {}Send some of them to another queue with a rule, or set [limits] max_messages and apply \
             in parts.",
            count(staying, "message"),
            facts.source.name(),
            thousands(room),
            thousands(MAX_IN_FLIGHT),
            number_or_unknown(facts.source.counts.in_flight),
            if facts.parking().is_some() || facts.source.fifo {
                ""
            } else {
                "Name a queue where those that no rule takes can wait ([unmatched] park = { queue = \"…\" }). "
            },
        ),
    )
}

/// How many may be in flight beside what others have in flight.
pub(super) fn room_in_flight(facts: &Facts) -> u64 {
    MAX_IN_FLIGHT.saturating_sub(facts.source.counts.in_flight.unwrap_or_default())
}

/// How many of those that stay apply meets: all of them, or less where `max_messages` ends it early.
pub(super) fn stays_in_flight(facts: &Facts, staying: u64) -> u64 {
    let leaving = facts.leaving().total;
    match facts.job.limits.max_messages {
        Some(max) if max < leaving => {
            let part = u128::from(staying) * u128::from(max) / u128::from(leaving);
            u64::try_from(part).unwrap_or(u64::MAX)
        }
        _ => staying,
    }
}

/// A FIFO destination for which not one message has a group: the job lacks it, not the messages.
pub(super) fn group_missing(facts: &Facts) -> Option<Hazard> {
    let lacking: Vec<_> = facts
        .rules
        .iter()
        .filter(|rule| {
            let sampled = |wanted: fn(Outcome) -> bool| {
                sum(rule.outcomes.iter().filter(|of| wanted(of.outcome)).map(|of| of.estimate)).sampled
            };
            sampled(|outcome| outcome == Outcome::Blocked(Reason::GroupMissing)) > 0
                && sampled(|outcome| matches!(outcome, Outcome::To(_))) == 0
        })
        .collect();
    let (first, more) = lacking.split_first()?;
    let destination = match first.rule {
        RuleId::UNMATCHED => facts.job.unmatched.to.as_str(),
        RuleId(position) => facts.job.rule.get(usize::from(position)).map_or(ORIGIN, |rule| rule.to.as_str()),
    };
    let remedy = match facts.job.destination.get(destination) {
        Some(Destination::Sqs(_)) => format!("Set message_group_id in [destination.{destination}]"),
        _ => "Name the FIFO queue as a destination with a message_group_id".to_owned(),
    };
    let others =
        if more.is_empty() { String::new() } else { format!(" (and of {})", count(more.len() as u64, "more rule")) };
    hazard(
        HazardCode::GroupMissing,
        format!(
            "The destination {destination} is a FIFO queue, and not one message of rule \"{}\"{others} has a message group \
             ID. {remedy}.",
            first.name
        ),
    )
}
