//! Hazards that lie in the queues and in how they could be looked at.

use jiff::Timestamp;
use redrive_protocol::target::{ORIGIN, RuleId};
use redrive_rules::job::Destination;

use super::refusals::{name_of, room_in_flight, stays_in_flight};
use super::{Facts, Hazard, HazardCode, are, hazard, list};
use crate::plan::{Basis, End, Unevenness};
use crate::sqs::MAX_IN_FLIGHT;
use crate::words::{count, duration, thousands};

pub(super) fn consumer_active(facts: &Facts) -> Option<Hazard> {
    let in_flight = facts.source.counts.in_flight.filter(|in_flight| *in_flight > 0)?;
    hazard(
        HazardCode::ConsumerActive,
        format!(
            "{} in flight with somebody else: they could not be looked at. If a consumer works on {}, this plan is a \
             guess; stop it first.",
            are(in_flight, "message"),
            facts.source.name()
        ),
    )
}

/// The destination's own dead-letter queue is the source: what fails again comes back.
pub(super) fn loop_back(facts: &Facts) -> Option<Hazard> {
    let names: Vec<String> = facts
        .used_queues()
        .filter(|(_, queue, _)| {
            queue.redrive_policy.as_ref().is_some_and(|policy| policy.dead_letter_target_arn == facts.source.arn)
        })
        .map(|(_, queue, _)| queue.name().to_owned())
        .collect();
    if names.is_empty() {
        return None;
    }
    let guard = match &facts.job.retry {
        Some(retry) => format!(
            "the cap ends it after {} ([retry] max, counted in {})",
            count(retry.max.into(), "round"),
            retry.attribute
        ),
        None => {
            "no cap ends it: without [retry] each later run moves them again. This run never moves what it sent itself"
                .to_owned()
        }
    };
    hazard(
        if facts.job.retry.is_some() { HazardCode::LoopCapped } else { HazardCode::LoopUncapped },
        format!(
            "{} is the dead-letter queue of {}: if the consumer is not fixed, messages come back; {guard}.",
            facts.source.name(),
            list(names)
        ),
    )
}

/// Only said where the sampling was allowed nevertheless.
pub(super) fn source_redrives(facts: &Facts) -> Option<Hazard> {
    let policy = facts.source.redrive_policy.as_ref()?;
    hazard(
        HazardCode::SourceRedrives,
        format!(
            "{} has a redrive policy: messages that were received {} move to {} at the next receive. Sampling may have \
             moved some, and apply may move more.",
            facts.source.name(),
            count(policy.max_receive_count.into(), "time"),
            name_of(&policy.dead_letter_target_arn)
        ),
    )
}

/// Several queues share the dead-letter queue, and the job does not send each message to its own.
pub(super) fn several_origins(facts: &Facts) -> Option<Hazard> {
    let origins: Vec<_> = facts.sample.origins.iter().filter(|origin| !origin.arn.is_empty()).collect();
    if origins.len() < 2 {
        return None;
    }
    let names = list(origins.iter().map(|origin| format!("{} ({})", name_of(&origin.arn), thousands(origin.messages))));
    let fixed: Vec<String> = facts
        .used_queues()
        .filter(|(target, ..)| target.destination != ORIGIN)
        .map(|(target, ..)| target.label())
        .collect();
    if fixed.is_empty() {
        return None;
    }
    hazard(
        HazardCode::SeveralOrigins,
        format!(
            "The sampled messages come from several queues: {names}. {} takes them from all of these unless a rule tells \
             them apart; `to = \"origin\"` sends each to its own.",
            list(fixed)
        ),
    )
}

pub(super) fn origins_unreachable(facts: &Facts) -> Option<Hazard> {
    let (_, why) = facts.unreachable_origins.first()?;
    let names = list(facts.unreachable_origins.iter().map(|(queue, _)| queue.clone()));
    hazard(
        HazardCode::OriginUnreachable,
        format!("Messages whose origin is {names} are blocked: it cannot be opened ({why})."),
    )
}

pub(super) fn origins_not_listed(facts: &Facts) -> Option<Hazard> {
    let why = facts.origins_not_listed?;
    hazard(
        HazardCode::OriginsNotListed,
        format!(
            "The queues that redrive to {} could not be listed ({why}). Only origins seen in the sample are in this plan; \
             messages from others are blocked.",
            facts.source.name()
        ),
    )
}

/// FIFO drops a message in silence whose deduplication ID it saw within five minutes.
pub(super) fn deduplication_reused(facts: &Facts) -> Option<Hazard> {
    let names: Vec<String> = facts
        .used_queues()
        .filter(|(target, queue, _)| {
            let template = match facts.job.destination.get(&target.destination) {
                Some(Destination::Sqs(sqs)) => sqs.message_deduplication_id.as_deref(),
                _ => None,
            };
            queue.fifo && template.is_some_and(|template| !template.contains("{message_id}"))
        })
        .map(|(target, ..)| target.label())
        .collect();
    if names.is_empty() {
        return None;
    }
    hazard(
        HazardCode::DeduplicationReused,
        format!(
            "The deduplication ID for {} does not hold {{message_id}}: a FIFO queue drops a message, and reports success, \
             when it saw the same ID within five minutes.",
            list(names)
        ),
    )
}

pub(super) fn mixed_types(facts: &Facts) -> Option<Hazard> {
    let source = facts.source.fifo;
    let names: Vec<String> =
        facts.used_queues().filter(|(_, queue, _)| queue.fifo != source).map(|(target, ..)| target.label()).collect();
    if names.is_empty() {
        return None;
    }
    let (code, meaning) = if source {
        (HazardCode::FifoToStandard, "a FIFO queue; order and deduplication end there")
    } else {
        (
            HazardCode::StandardToFifo,
            "a standard queue; the order in which messages arrive in their groups is the one in which SQS hands them out",
        )
    };
    let kind = if source { "standard" } else { "FIFO" };
    hazard(code, format!("{} is {kind}, and the source {} is {meaning}.", list(names), facts.source.name()))
}

/// Where one message of a group stays, those behind it stay too.
pub(super) fn groups_stop(facts: &Facts) -> Option<Hazard> {
    let groups = facts.groups?;
    let stopped = groups.stopped();
    let total: u64 = stopped.values().sum();
    if total == 0 {
        return None;
    }
    let name = |wanted: RuleId| facts.rules.iter().find(|rule| rule.rule == wanted).map_or("?", |rule| &rule.name);
    let places = stopped.iter().map(|((rule, reason), number)| {
        format!("{} at a message of \"{}\" ({})", thousands(*number), name(*rule), reason.text())
    });
    hazard(
        HazardCode::GroupsStop,
        format!(
            "{} of {} of the sample stop: {}. Of each, what is behind that message stays too, to keep the order: {} of the \
             sample.",
            thousands(total),
            count(groups.count(), "message group"),
            list(places),
            count(groups.behind, "message")
        ),
    )
}

pub(super) fn encryption_differs(facts: &Facts) -> Option<Hazard> {
    let shown = |key: &Option<String>| key.clone().unwrap_or_else(|| "no KMS key".to_owned());
    let differing: Vec<String> = facts
        .used_queues()
        .filter(|(_, queue, _)| queue.kms_key != facts.source.kms_key)
        .map(|(target, queue, _)| format!("{} ({})", target.label(), shown(&queue.kms_key)))
        .collect();
    if differing.is_empty() {
        return None;
    }
    hazard(
        HazardCode::EncryptionDiffers,
        format!(
            "The encryption differs: {} is encrypted with {}, {}. Apply needs kms:Decrypt on the source's key and \
             kms:GenerateDataKey on the destination's, and who may read the messages may change.",
            facts.source.name(),
            shown(&facts.source.kms_key),
            list(differing)
        ),
    )
}

/// Not expected, but within the interval; the refusal speaks where it is expected.
pub(super) fn many_may_stay(facts: &Facts) -> Option<Hazard> {
    let room = room_in_flight(facts);
    let staying = facts.staying();
    let (expected, at_most) = (stays_in_flight(facts, staying.total), stays_in_flight(facts, staying.high));
    if expected > room || at_most <= room {
        return None;
    }
    hazard(
        HazardCode::ManyMayStay,
        format!(
            "Up to {} may stay in {} and be held in flight until apply ends; there is room for {}. Apply halts before it \
             is full.",
            count(at_most, "message"),
            facts.source.name(),
            thousands(room)
        ),
    )
}

pub(super) fn delayed(facts: &Facts) -> Option<Hazard> {
    let delayed = facts.source.counts.delayed.filter(|delayed| *delayed > 0)?;
    hazard(
        HazardCode::Delayed,
        format!(
            "{} delayed and could not be examined; those that become visible while apply runs are moved like the others.",
            are(delayed, "message")
        ),
    )
}

pub(super) fn counts_approximate(facts: &Facts) -> Option<Hazard> {
    if facts.sample.whole_queue || facts.exact {
        return None;
    }
    hazard(
        HazardCode::CountsApproximate,
        format!(
            "The totals rest on SQS's approximate count of {}, which lags by up to a minute.",
            thousands(facts.sample.population)
        ),
    )
}

pub(super) fn fifo_sample(facts: &Facts) -> Option<Hazard> {
    if !facts.source.fifo || facts.sample.whole_queue {
        return None;
    }
    hazard(
        HazardCode::FifoSample,
        format!(
            "{} is a FIFO queue: messages behind one in flight of their group cannot be seen, so only the first messages of \
             the groups were looked at. They say nothing about those behind them.",
            facts.source.name()
        ),
    )
}

/// What was looked at says nothing about the rest.
pub(super) fn sample_uneven(facts: &Facts) -> Option<Hazard> {
    let Basis::Uneven(why) = facts.sample.basis else { return None };
    let differ = |order| {
        format!(
            "What becomes of messages changes along the sample: parts of it in order of {order} differ more than chance \
             explains (permutation test of chi-square, level 1 %)"
        )
    };
    let why = match why {
        Unevenness::ByReceipt => differ("receipt"),
        Unevenness::ByAge => differ("age"),
        Unevenness::OneKind => {
            "The sample holds next to nothing but messages of one kind: SQS hands out the oldest first, \
             and kinds of failure come in waves"
                .to_owned()
        }
        // It has a hazard of its own.
        Unevenness::GroupHeads => return None,
    };
    let left = facts.sample.population.saturating_sub(facts.sample.messages);
    let remedy = if facts.sample.population <= MAX_IN_FLIGHT {
        "--sample all looks at every message, and --exact pins the plan to them"
    } else {
        "[limits] max_messages caps a run"
    };
    hazard(
        HazardCode::SampleUneven,
        format!(
            "{why}. What the other {} are, nobody knows: figures are of what was seen, and no interval and no bound is given. \
             {remedy}.",
            count(left, "message")
        ),
    )
}

/// Which of the ages a sample saw, as far as that can be known.
pub(super) fn ages_seen(facts: &Facts) -> Option<Hazard> {
    let (Some(oldest), Some(newest)) = (facts.sample.oldest, facts.sample.newest) else { return None };
    if facts.sample.basis == Basis::Whole {
        return None;
    }
    let seconds = |from, to: Timestamp| u64::try_from(to.duration_since(from).as_secs()).unwrap_or(0);
    let (span, possible) = (seconds(oldest, newest), seconds(oldest, facts.now));
    let share = (span.saturating_mul(100) / possible.max(1)).min(100);
    hazard(
        HazardCode::AgesSeen,
        format!(
            "The sample was sent within {}, which is {share} % of the {} from its oldest message to this plan. SQS does not say \
             when the others were sent, so nobody knows which share of their ages that is.",
            duration(span),
            duration(possible)
        ),
    )
}

pub(super) fn sample_cut(facts: &Facts) -> Option<Hazard> {
    let why = match facts.end {
        End::Enough | End::WholeQueue | End::Memory => return None,
        // A FIFO queue has its own hazard for it.
        End::NothingMore if facts.source.fifo => return None,
        End::NothingMore => "nothing more came, although SQS counts more",
    };
    hazard(HazardCode::SampleCut, format!("Sampling ended after {}: {why}.", count(facts.sample.messages, "message")))
}

pub(super) fn sampling_effect(facts: &Facts) -> Option<Hazard> {
    let sample = facts.sample;
    if sample.messages == 0 && facts.answers_lost == 0 {
        return None;
    }
    let timeout = duration(crate::plan::visibility_of(facts.job).as_secs());
    let back = match sample.not_given_back {
        0 => "All were given back at once.".to_owned(),
        left => format!("{} could not be given back; they are visible again after {timeout}.", thousands(left)),
    };
    let lost = match facts.answers_lost {
        0 => String::new(),
        lost => format!(
            " {} got no answer: up to {} may be invisible for {timeout}.",
            count(lost, "receive"),
            count(lost.saturating_mul(10), "message")
        ),
    };
    let whole = sample.not_given_back == 0 && facts.answers_lost == 0;
    hazard(
        if whole { HazardCode::SamplingEffect } else { HazardCode::NotGivenBack },
        format!(
            "Sampling raised the receive count of {} ({}). {back}{lost}",
            count(sample.messages, "message"),
            count(sample.receives, "receive")
        ),
    )
}
