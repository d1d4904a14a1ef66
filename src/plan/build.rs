//! From sampled messages to a plan: judges each with the code that apply uses, counts, projects, and writes down what it means.
//! Pure: the same input makes the same plan, to the byte.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::cost::cost;
use super::document::{FORMAT, JobText, OriginCount, Outcome, OutcomeFigures, Plan, RuleFigures, Sample, TYPE};
use super::examples::Examples;
use super::file::sha256;
use super::groups::Groups;
use super::hazards::{self, EXPIRES_SOON, Facts, target_of};
use super::origins::Origins;
use super::sample::{End, Sampled};
use super::seen::Seen;
use super::stats::{DEFAULT_TOLERANCE, Size, bound, estimate};
use crate::job::{Job, KEEP};
use crate::message::{Message, size};
use crate::rule::{Decision, Rules, Setting};
use crate::sqs::QueueAttributes;
use crate::target::{Reason, RuleId, Target};

/// Stands for `{run}` while the plan is made: the run is named after the plan's digest, which is not known before the end. As
/// long as a real one, so that sizes are right.
const RUN_TO_BE: &str = "<the-run-id>";

/// For how long a plan may be applied where the job does not say.
const EXPIRES_AFTER: Duration = Duration::from_hours(24);

/// The smallest size limit that any SQS queue has had as its maximum, in bytes: for jobs without a queue as destination.
const SIZE_LIMIT: u64 = 1024 * 1024;

/// Everything a plan is made of.
pub(super) struct Input<'a> {
    pub(super) job: &'a Job,
    pub(super) rules: &'a Rules,
    pub(super) file: &'a str,
    pub(super) text: &'a str,
    pub(super) author: Option<&'a str>,
    pub(super) tool_version: &'a str,
    pub(super) now: Timestamp,
    pub(super) source: QueueAttributes,
    pub(super) targets: Vec<Target>,
    pub(super) origins: Origins,
    pub(super) sampled: Sampled,
}

/// Figures of one rule while they are counted.
#[derive(Default)]
struct Tally {
    taken: u64,
    outcomes: BTreeMap<Outcome, (u64, u64)>,
}

/// Makes the plan. It is not sealed yet.
pub(super) fn build(input: Input<'_>) -> Plan {
    let Input { job, rules, source, targets, origins, sampled, now, .. } = input;
    let sent_before = job.source.sent_before.map_or(now, |bound| bound.resolve(now));
    let sent_after = job.source.sent_after.map(|bound| bound.resolve(now));
    let setting =
        Setting { now, sent_before, sent_after, run: RUN_TO_BE.to_owned(), source_arn: source.arn.clone(), targets };
    let seen = Seen::look(&sampled.messages, size_limit(&setting.targets), expiry_edge(&source, now), now);
    let (messages, whole_queue) = (sampled.messages.len() as u64, sampled.end == End::WholeQueue);
    let extent = Size::new(messages, if whole_queue { messages } else { source.counts.visible });

    let mut tallies: BTreeMap<RuleId, Tally> = BTreeMap::new();
    let mut examples = Examples::new(rules);
    let mut groups = source.fifo.then(Groups::default);
    for message in &sampled.messages {
        judge(message, rules, &setting, &mut groups, &mut tallies, &mut examples);
    }
    let figures = figures(job, &tallies, extent);
    let sample = Sample {
        messages,
        whole_queue,
        population: extent.population(),
        receives: sampled.receives,
        not_given_back: sampled.not_given_back,
        oldest: seen.oldest,
        newest: seen.newest,
        ages: seen.ages(),
        not_json: seen.not_json,
        origins: seen.origins.iter().map(|(arn, n)| OriginCount { arn: arn.clone(), messages: *n }).collect(),
    };
    let facts = Facts {
        job,
        now,
        source: &source,
        targets: &setting.targets,
        rules: &figures,
        sample: &sample,
        seen: &seen,
        groups: groups.as_ref(),
        end: sampled.end,
        answers_lost: sampled.answers_lost,
        unreachable_origins: &origins.unreachable,
        origins_not_listed: origins.not_listed.as_deref(),
    };
    let (refusals, hazards) = (hazards::refusals(&facts), hazards::hazards(&facts));
    let cost = cost(source.fifo, &setting.targets, &figures, extent, seen.bytes, &job.limits);
    let expires_after = job.plan.expires_after.map_or(EXPIRES_AFTER, |age| age.0);
    Plan {
        kind: TYPE.to_owned(),
        format: FORMAT,
        digest: String::new(),
        tool_version: input.tool_version.to_owned(),
        author: input.author.map(str::to_owned),
        created: now,
        expires: now.checked_add(expires_after).unwrap_or(Timestamp::MAX),
        job: JobText {
            name: job.name.clone(),
            description: job.description.clone(),
            file: input.file.to_owned(),
            sha256: sha256(input.text.as_bytes()),
            text: input.text.to_owned(),
        },
        sent_before,
        sent_after,
        source,
        targets: setting.targets,
        sample,
        rules: figures,
        cost,
        refusals,
        hazards,
        examples_sha256: String::new(),
        examples: examples.finish(),
    }
}

/// The smallest size that a destination queue takes.
fn size_limit(targets: &[Target]) -> u64 {
    let sizes = targets.iter().filter_map(|target| target.queue.as_ref()).map(|queue| queue.maximum_message_size);
    sizes.fold(SIZE_LIMIT, u64::min)
}

/// What was sent before this expires soon.
fn expiry_edge(source: &QueueAttributes, now: Timestamp) -> Timestamp {
    let keeps = Duration::from_secs(source.message_retention_seconds.saturating_sub(EXPIRES_SOON));
    now.checked_sub(keeps).unwrap_or(Timestamp::MIN)
}

fn judge(
    message: &Message,
    rules: &Rules,
    setting: &Setting,
    groups: &mut Option<Groups>,
    tallies: &mut BTreeMap<RuleId, Tally>,
    examples: &mut Examples<'_>,
) {
    // Judging takes the message, as apply gives it; the example needs it as it was.
    let verdict = rules.judge(message.clone(), setting);
    let to = |target| if verdict.exhausted { Outcome::Exhausted(target) } else { Outcome::To(target) };
    let received = size(&message.body, &message.attributes);
    let (mut outcome, mut bytes, mut outgoing, detail) = match &verdict.decision {
        Decision::Send { target, outgoing } => (to(*target), outgoing.size(), Some(outgoing), None),
        Decision::Archive { target, envelope, .. } => (to(*target), envelope.len(), None, None),
        Decision::Drop { target } => (to(*target), received, None, None),
        Decision::Keep(reason) => (Outcome::Kept(*reason), received, None, None),
        Decision::Block { reason, detail } => (Outcome::Blocked(*reason), received, None, Some(detail.as_str())),
    };
    if let Some(groups) = groups {
        outcome = groups.pass(message, verdict.rule, outcome);
        if outcome == Outcome::Kept(Reason::GroupStopped) {
            (bytes, outgoing) = (received, None);
        }
    }
    let tally = tallies.entry(verdict.rule).or_default();
    tally.taken += 1;
    let (count, sum) = tally.outcomes.entry(outcome).or_default();
    *count += 1;
    *sum += bytes as u64;
    examples.offer(verdict.rule, outcome, message, outgoing, detail);
}

/// The figures of every rule of the job, also of one that took nothing, and of the two that are none.
fn figures(job: &Job, tallies: &BTreeMap<RuleId, Tally>, extent: Size) -> Vec<RuleFigures> {
    let tolerance = job.plan.tolerance.unwrap_or(DEFAULT_TOLERANCE);
    let rules =
        (0..RuleId::OUT_OF_SCOPE.0).zip(&job.rule).map(|(id, rule)| (RuleId(id), rule.name.as_str(), rule.to.as_str()));
    let none = Tally::default();
    rules
        .chain([
            (RuleId::UNMATCHED, "unmatched", job.unmatched.to.as_str()),
            (RuleId::OUT_OF_SCOPE, "out of scope", KEEP),
        ])
        .map(|(rule, name, to)| {
            let tally = tallies.get(&rule).unwrap_or(&none);
            let outcomes: Vec<_> = tally
                .outcomes
                .iter()
                .map(|(&outcome, &(count, bytes))| OutcomeFigures { outcome, estimate: estimate(count, extent), bytes })
                .collect();
            let leaving =
                outcomes.iter().filter(|of| target_of(of.outcome).is_some()).map(|of| of.estimate.sampled).sum();
            RuleFigures {
                rule,
                name: name.to_owned(),
                estimate: estimate(tally.taken, extent),
                // By a rule that keeps nothing can leave, whatever the sample did not show.
                bound: if to == KEEP { 0 } else { bound(leaving, extent, tolerance) },
                outcomes,
            }
        })
        .collect()
}
