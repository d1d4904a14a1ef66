//! From what was looked at to a plan: projects it on the queue, and writes down what it means.
//! Pure: the same input makes the same plan, to the byte.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use redrive_protocol::target::{KEEP, RuleId};
use redrive_rules::job::Job;
use redrive_rules::rule::Setting;

use super::cost::cost;
use super::document::{Caller, FORMAT, JobText, OutcomeFigures, Plan, RuleFigures, TYPE};
use super::evenness::{Basis, Unevenness};
use super::exact::Pins;
use super::file::sha256;
use super::hazards::{self, Facts};
use super::look::{Look, Tally};
use super::origins::Origins;
use super::sample::Scanned;
use super::stats::{DEFAULT_TOLERANCE, Size, bound, estimate};
use super::survey;
use crate::sqs::{MoveTask, QueueAttributes};

/// For how long a plan may be applied where the job does not say.
const EXPIRES_AFTER: Duration = Duration::from_hours(24);

/// Everything a plan is made of.
pub(super) struct Input<'a> {
    pub(super) job: &'a Job,
    pub(super) file: &'a str,
    pub(super) text: &'a str,
    pub(super) author: Option<&'a str>,
    pub(super) notifies: Option<&'a str>,
    pub(super) command_missing: Option<String>,
    pub(super) tool_version: &'a str,
    pub(super) source: QueueAttributes,
    pub(super) move_task: Result<Option<MoveTask>, String>,
    pub(super) origins: Origins,
    pub(super) look: Look<'a>,
    pub(super) scanned: Scanned,
    pub(super) callers: Vec<Caller>,
}

/// Makes the plan. It is not sealed yet.
pub(super) fn build(input: Input<'_>) -> Plan {
    let Input { job, source, move_task, origins, look, scanned, callers, .. } = input;
    let Look { setting, messages, seen, tallies, groups, trace, examples, pins, .. } = look;
    let Setting { now, sent_before, sent_after, .. } = setting;
    let (sample, extent) = survey::sample(&source, messages, &seen, &scanned, trace, pins.is_some());
    let mut figures = figures(job, &tallies, extent, sample.basis);
    if pins.is_some() {
        // Apply moves what the plan is pinned to and nothing else.
        for rule in &mut figures {
            rule.bound = Some(rule.moving());
        }
    }
    let facts = Facts {
        job,
        now,
        notifies: input.notifies,
        command_missing: input.command_missing.as_deref(),
        source: &source,
        targets: &setting.targets,
        rules: &figures,
        sample: &sample,
        seen: &seen,
        groups: groups.as_ref(),
        exact: pins.is_some(),
        end: scanned.end,
        answers_lost: scanned.answers_lost,
        unreachable_origins: &origins.unreachable,
        move_task: &move_task,
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
        callers,
        sample,
        pins: pins.map(Pins::new),
        rules: figures,
        cost,
        refusals,
        hazards,
        examples_sha256: String::new(),
        examples: examples.finish(),
    }
}

/// The figures of every rule of the job, also of one that took nothing, and of the two that are none.
fn figures(job: &Job, tallies: &BTreeMap<RuleId, Tally>, extent: Size, basis: Basis) -> Vec<RuleFigures> {
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
            let speaks = !matches!(basis, Basis::Uneven(_));
            // A FIFO queue cannot be looked at whole, whatever one asks for: what may leave of it is at most what may be there.
            let is_bounded = speaks || basis == Basis::Uneven(Unevenness::GroupHeads);
            let mut figures = RuleFigures {
                rule,
                name: name.to_owned(),
                estimate: estimate(tally.taken, extent),
                bound: None,
                bound_staying: None,
                outcomes,
            };
            // By a rule that keeps nothing can leave, whatever the sample did not show.
            figures.bound =
                if to == KEEP { Some(0) } else { is_bounded.then(|| bound(figures.moving(), extent, tolerance)) };
            figures.bound_staying =
                (speaks && rule != RuleId::OUT_OF_SCOPE).then(|| bound(figures.staying(), extent, tolerance));
            figures
        })
        .collect()
}
