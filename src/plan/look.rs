//! Looking at messages one after the other: judges each with the code that apply uses, and counts. Nothing of a message is kept
//! but the few that serve as examples, so that a whole queue can be looked at.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use redrive_protocol::message::{Message, MessageId, size};
use redrive_protocol::target::{Reason, RuleId, Target};
use redrive_rules::job::Job;
use redrive_rules::rule::{Decision, Rules, Setting};

use super::document::Outcome;
use super::evenness::Trace;
use super::exact::{Digest, digest};
use super::examples::Examples;
use super::groups::Groups;
use super::hazards::EXPIRES_SOON;
use super::sample::Fresh;
use super::seen::Seen;
use crate::sqs::QueueAttributes;

/// Stands for `{run}` while the plan is made: the run is named after the plan's digest, which is not known before the end. As
/// long as a real one, so that sizes are right.
const RUN_TO_BE: &str = "<the-run-id>";

/// The smallest size limit that any SQS queue has had as its maximum, in bytes: for jobs without a queue as destination.
const SIZE_LIMIT: u64 = 1024 * 1024;

/// What was seen and counted so far.
pub(super) struct Look<'a> {
    job: &'a Job,
    rules: &'a Rules,
    pub(super) setting: Setting,
    expiring: Timestamp,
    pub(super) messages: u64,
    pub(super) seen: Seen,
    pub(super) tallies: BTreeMap<RuleId, Tally>,
    pub(super) groups: Option<Groups>,
    pub(super) trace: Trace<(RuleId, Outcome)>,
    pub(super) examples: Examples<'a>,
    /// Where the plan is to be pinned to what is looked at.
    pub(super) pins: Option<Vec<(MessageId, Digest)>>,
}

/// Figures of one rule.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) taken: u64,
    /// How many of each outcome, and their bytes.
    pub(super) outcomes: BTreeMap<Outcome, (u64, u64)>,
}

impl<'a> Look<'a> {
    /// Nothing looked at yet.
    pub(super) fn new(
        job: &'a Job,
        rules: &'a Rules,
        source: &QueueAttributes,
        targets: Vec<Target>,
        now: Timestamp,
        exact: bool,
        examples: Option<usize>,
    ) -> Self {
        let setting = Setting {
            now,
            sent_before: job.source.sent_before.map_or(now, |bound| bound.resolve(now)),
            sent_after: job.source.sent_after.map(|bound| bound.resolve(now)),
            run: RUN_TO_BE.to_owned(),
            source_arn: source.arn.clone(),
            targets,
        };
        // What was sent before this expires soon.
        let keeps = Duration::from_secs(source.message_retention_seconds.saturating_sub(EXPIRES_SOON));
        Self {
            job,
            rules,
            setting,
            expiring: now.checked_sub(keeps).unwrap_or(Timestamp::MIN),
            messages: 0,
            seen: Seen::default(),
            tallies: BTreeMap::new(),
            groups: source.fifo.then(Groups::default),
            trace: Trace::default(),
            examples: Examples::new(job, rules, examples),
            pins: exact.then(Vec::new),
        }
    }

    /// Takes messages in, those of a group in its order, each with the number of the receive that brought it.
    pub(super) fn take(&mut self, messages: &[Fresh]) {
        let limit = size_limit(&self.setting.targets);
        for Fresh { message, receive } in messages {
            self.messages += 1;
            self.seen.take(message, limit, self.expiring, self.setting.now);
            self.rules.note_types(self.job, message, &self.setting, &mut self.seen.types);
            if let Some(pins) = &mut self.pins {
                pins.push((message.id.clone(), digest(message)));
            }
            self.judge(message, *receive);
        }
    }

    fn judge(&mut self, message: &Message, receive: u64) {
        // Judging takes the message, as apply gives it; the example needs it as it was.
        let verdict = self.rules.judge(message.clone(), &self.setting);
        let to = |target| if verdict.exhausted { Outcome::Exhausted(target) } else { Outcome::To(target) };
        let received = size(&message.body, &message.attributes);
        let (mut outcome, mut bytes, mut outgoing, detail) = match &verdict.decision {
            Decision::Send { target, outgoing } => (to(*target), outgoing.size(), Some(outgoing), None),
            Decision::Archive { target, envelope, .. } => (to(*target), envelope.len(), None, None),
            Decision::Drop { target } => (to(*target), received, None, None),
            Decision::Keep(reason) => (Outcome::Kept(*reason), received, None, None),
            Decision::Block { reason, detail } => (Outcome::Blocked(*reason), received, None, Some(detail.as_str())),
        };
        if let Some(groups) = &mut self.groups {
            outcome = groups.pass(message, verdict.rule, outcome);
            if outcome == Outcome::Kept(Reason::GroupStopped) {
                (bytes, outgoing) = (received, None);
            }
        }
        let sent = message.system.sent_timestamp().map_or(0, Timestamp::as_millisecond);
        self.trace.note(receive, sent, (verdict.rule, outcome));
        let tally = self.tallies.entry(verdict.rule).or_default();
        tally.taken += 1;
        let (count, sum) = tally.outcomes.entry(outcome).or_default();
        *count += 1;
        *sum += bytes as u64;
        self.examples.offer((verdict.rule, outcome), message, outgoing, detail, &self.setting);
    }
}

/// The smallest size that a destination queue takes.
fn size_limit(targets: &[Target]) -> u64 {
    let sizes = targets.iter().filter_map(|target| target.queue.as_ref()).map(|queue| queue.maximum_message_size);
    sizes.fold(SIZE_LIMIT, u64::min)
}
