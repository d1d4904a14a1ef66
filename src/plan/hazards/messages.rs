//! Hazards that lie in the messages and in what the job does with them.

use std::fmt::Write as _;

use redrive_protocol::target::{ORIGIN, RuleId, TargetKind};
use redrive_rules::job::InDoubt;

use super::{Facts, Hazard, HazardCode, RuleFigures, are, hazard, list};
use crate::words::{duration, moment};

/// What expires within this many seconds is said.
pub(in crate::plan) const EXPIRES_SOON: u64 = 24 * 60 * 60;

pub(super) fn dropped(facts: &Facts) -> Option<Hazard> {
    let (_, estimate) = facts.used_targets().find(|(target, _)| target.kind == TargetKind::Drop)?;
    hazard(HazardCode::Dropped, format!("About {} deleted for good; no copy is made.", are(estimate.total, "message")))
}

/// A message keeps its `SentTimestamp` in a standard dead-letter queue, so the clock of its retention runs since then.
pub(super) fn expiring(facts: &Facts) -> Option<Hazard> {
    if facts.seen.expiring == 0 {
        return None;
    }
    let oldest = facts.seen.oldest?;
    let age = u64::try_from(facts.now.duration_since(oldest).as_secs()).unwrap_or(0);
    let retention = facts.source.message_retention_seconds;
    let left = retention.saturating_sub(age);
    hazard(
        HazardCode::Expiring,
        format!(
            "{} expire within {}, the oldest in {}: {} keeps messages for {}, counted from when they were first sent.",
            facts.of_sample(facts.seen.expiring),
            duration(EXPIRES_SOON),
            duration(left),
            facts.source.name(),
            duration(retention)
        ),
    )
}

pub(super) fn origin_missing(facts: &Facts) -> Option<Hazard> {
    let missing = *facts.seen.origins.get("")?;
    let uses_origin = facts.job.rule.iter().any(|rule| rule.to == ORIGIN) || facts.job.unmatched.to == ORIGIN;
    if !uses_origin {
        return None;
    }
    let fate = match &facts.job.origin.fallback {
        Some(fallback) => format!("where they would go to origin, they go to {fallback}"),
        None => "where they would go to origin, they are blocked; [origin] fallback names another place".to_owned(),
    };
    hazard(
        HazardCode::OriginMissing,
        format!("{} have no DeadLetterQueueSourceArn (sent by hand, or by Lambda): {fate}.", facts.of_sample(missing)),
    )
}

pub(super) fn in_doubt_resend(facts: &Facts) -> Option<Hazard> {
    let to_standard = facts.used_queues().any(|(_, queue, _)| !queue.fifo);
    let resends = facts.job.retry.as_ref().is_none_or(|retry| retry.in_doubt == InDoubt::Resend);
    if !to_standard || !resends {
        return None;
    }
    hazard(
        HazardCode::InDoubtResend,
        "A send to a standard queue whose answer is lost is sent again and may arrive more than once; it is counted and listed. \
         [retry] in_doubt = \"hold\" keeps it back instead."
            .to_owned(),
    )
}

/// Names of buckets that a hazard shows; anybody who sends can name as many as they like.
const MOST_BUCKETS: usize = 5;

pub(super) fn extended_client(facts: &Facts) -> Option<Hazard> {
    let seen = some(facts.seen.extended_client)?;
    let source = &facts.job.source;
    let effect = match &source.extended_client_buckets {
        _ if !source.extended_client => "conditions and transforms on the body see the pointer only; \
             `extended_client = true` in [source] lets them see the body"
            .to_owned(),
        permitted => {
            let named = &facts.seen.payload_buckets;
            let shown = list(named.iter().take(MOST_BUCKETS).map(|bucket| format!("\"{bucket}\"")));
            let more = named.len().saturating_sub(MOST_BUCKETS);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let bound = match permitted {
                Some(permitted) => format!("only those in {} are read", list(permitted.iter().cloned())),
                None => "the sender of a message chooses the bucket, and `extended_client_buckets` in [source] bounds \
                     that"
                    .to_owned(),
            };
            format!(
                "rules see that body. One that a transform changes becomes a new object beside the old one, which stays. \
                 The sampled ones name {shown}{more}; {bound}"
            )
        }
    };
    let seen = facts.of_sample(seen);
    hazard(
        HazardCode::ExtendedClient,
        format!("{seen} point to a body in S3 (Extended Client): the pointer is moved, and {effect}."),
    )
}

pub(super) fn lambda_envelope(facts: &Facts) -> Option<Hazard> {
    let seen = some(facts.seen.lambda_envelopes)?;
    hazard(
        HazardCode::LambdaEnvelope,
        format!(
            "{} are records of a Lambda destination: the event that failed is in $.requestPayload. A consumer of the \
             event does not understand the record.",
            facts.of_sample(seen)
        ),
    )
}

pub(super) fn lambda_error(facts: &Facts) -> Option<Hazard> {
    let seen = some(facts.seen.lambda_errors)?;
    hazard(
        HazardCode::LambdaError,
        format!(
            "{} were put here by Lambda itself (attributes RequestID, ErrorCode, ErrorMessage): they come from an \
             asynchronous invocation, not from a queue.",
            facts.of_sample(seen)
        ),
    )
}

pub(super) fn sns_envelope(facts: &Facts) -> Option<Hazard> {
    let seen = some(facts.seen.sns_envelopes)?;
    hazard(
        HazardCode::SnsEnvelope,
        format!("{} are wrapped by SNS: the published text is in $.Message.", facts.of_sample(seen)),
    )
}

pub(super) fn trace_header(facts: &Facts) -> Option<Hazard> {
    let seen = some(facts.seen.trace_headers)?;
    hazard(
        HazardCode::TraceHeader,
        format!(
            "{} carry AWSTraceHeader, which is passed on where no rule removes it (`remove_trace_header`): Lambda counts \
             rounds by it and stops a loop at about 16.",
            facts.of_sample(seen)
        ),
    )
}

pub(super) fn near_size_limit(facts: &Facts) -> Option<Hazard> {
    let seen = some(facts.seen.near_limit)?;
    hazard(
        HazardCode::NearSizeLimit,
        format!(
            "{} are above nine tenths of the size that a destination takes; what passes it is blocked.",
            facts.of_sample(seen)
        ),
    )
}

pub(super) fn not_json(facts: &Facts) -> Option<Hazard> {
    let seen = some(facts.seen.not_json)?;
    hazard(
        HazardCode::NotJson,
        format!("{} are not JSON: they fail every condition on the body.", facts.of_sample(seen)),
    )
}

pub(super) fn newer_excluded(facts: &Facts) -> Option<Hazard> {
    if facts.job.source.sent_before.is_some() {
        return None;
    }
    hazard(
        HazardCode::NewerExcluded,
        format!(
            "Messages sent after {} stay: sent_before is the time of the plan unless the job says otherwise.",
            moment(facts.now)
        ),
    )
}

/// A rule that took nothing may have a misspelt path.
pub(super) fn idle_rules(facts: &Facts) -> Option<Hazard> {
    if facts.sample.messages == 0 {
        return None;
    }
    let is_idle = |rule: &&RuleFigures| rule.rule < RuleId::OUT_OF_SCOPE && rule.estimate.sampled == 0;
    let idle: Vec<&RuleFigures> = facts.rules.iter().filter(is_idle).collect();
    if idle.is_empty() {
        return None;
    }
    let mut text = format!(
        "{} {} matched no sampled message. Check for misspelt paths and values.",
        if idle.len() == 1 { "Rule" } else { "Rules" },
        list(idle.iter().map(|rule| format!("\"{}\"", rule.name)))
    );
    for ((rule, path), met) in &facts.seen.types {
        if let (true, Some(words)) = (idle.iter().any(|idle| idle.rule == *rule), met.words()) {
            let _ = write!(text, " The path {path} {words}.");
        }
    }
    hazard(HazardCode::IdleRule, text)
}

pub(super) fn sent_anew(facts: &Facts) -> Option<Hazard> {
    let retentions: Vec<String> = facts
        .used_queues()
        .map(|(_, queue, _)| format!("{} in {}", duration(queue.message_retention_seconds), queue.name()))
        .collect();
    if retentions.is_empty() {
        return None;
    }
    hazard(
        HazardCode::SentAnew,
        format!(
            "What is sent is a new message: a new ID and SentTimestamp, receive count from zero, retention from then on \
             ({}). DeadLetterQueueSourceArn is gone; the journal keeps it.",
            list(retentions)
        ),
    )
}

fn some(number: u64) -> Option<u64> {
    (number > 0).then_some(number)
}
