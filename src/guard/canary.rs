//! The canary: a few messages go first, and the others wait until it is known how the consumer takes them. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use redrive_protocol::queue::QueueAttributes;
use redrive_protocol::target::{RuleId, Target, TargetKind};
use redrive_rules::job::{Guard, Percent, Wait};

/// What is added to the time that a message needs to reach the dead-letter queue: SQS's counts lag by up to a minute.
const SLACK: Duration = Duration::from_mins(1);

/// The longest wait that attributes ask for.
const LONGEST: Duration = Duration::from_hours(12);

/// How many messages of each rule go first: in proportion to what is expected of them, and at least one of each of which anything
/// is.
fn shares(messages: u32, expected: &[(RuleId, u64)]) -> BTreeMap<RuleId, u64> {
    let all: u64 = expected.iter().map(|(_, count)| count).sum();
    let exact = |count: u64| u128::from(messages) * u128::from(count);
    let mut shares = BTreeMap::new();
    let mut rests = Vec::new();
    for (rule, count) in expected.iter().filter(|(_, count)| *count > 0) {
        let whole = u64::try_from(exact(*count) / u128::from(all)).unwrap_or(u64::MAX);
        shares.insert(*rule, whole.clamp(1, *count));
        rests.push((exact(*count) % u128::from(all), *rule, *count));
    }
    // What rounding left goes to those from whom it took most.
    rests.sort_by_key(|(rest, rule, _)| (std::cmp::Reverse(*rest), *rule));
    let mut left = u64::from(messages).saturating_sub(shares.values().sum());
    for (_, rule, count) in rests {
        if let Some(share) = shares.get_mut(&rule).filter(|share| left > 0 && **share < count) {
            *share += 1;
            left -= 1;
        }
    }
    shares
}

/// How long a message that fails takes to reach the dead-letter queue of one of these, and some slack.
fn auto_wait<'a>(destinations: impl Iterator<Item = &'a QueueAttributes>) -> Duration {
    let needs = |queue: &QueueAttributes| {
        let receives = queue.redrive_policy.as_ref().map_or(1, |policy| policy.max_receive_count.max(1));
        Duration::from_secs(queue.visibility_timeout_seconds).saturating_mul(receives)
    };
    destinations.map(needs).max().unwrap_or_default().saturating_add(SLACK).min(LONGEST)
}

/// The canary of a job, as a plan knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// How many messages of each rule go first.
    pub shares: BTreeMap<RuleId, u64>,
    /// For how long the others wait then.
    pub wait: Duration,
}

impl Planned {
    /// The canary, if the job asks for one. `expected`: how many messages of each rule go to a queue among the targets.
    pub fn of(guard: &Guard, expected: &[(RuleId, u64)], targets: &[Target]) -> Option<Self> {
        let queues = targets.iter().filter(|target| target.kind == TargetKind::Sqs);
        let canary = guard.canary?;
        let wait = match canary.wait {
            Wait::For(age) => age.0,
            Wait::Auto => auto_wait(queues.filter_map(|target| target.queue.as_ref())),
        };
        Some(Self { shares: shares(canary.messages, expected), wait })
    }
}

/// How far the canary has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// There is none, or it is over: messages go as they come.
    Over,
    /// The first messages go.
    Sending,
    /// They have gone, and the others wait until this time.
    Waiting(Timestamp),
}

/// What is known of the canary at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation {
    /// How many were sent.
    pub sent: u64,
    /// How many of them came back.
    pub bounced: u64,
    /// Whether each destination was seen to hold no more than before.
    pub drained: bool,
    /// Whether a dead-letter queue grew, and not all of it could be looked at.
    pub blind: bool,
    /// The time.
    pub now: Timestamp,
    /// When the wait is over.
    pub until: Timestamp,
}

/// What an observation means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Too early to say.
    Wait,
    /// The others may go.
    Passed,
    /// Too many came back.
    Bounced,
    /// They were not consumed in that time.
    NotConsumed,
    /// Something came to a dead-letter queue, and nobody can say what.
    Unknown,
}

impl Observation {
    /// Judges the canary. All of it is counted: a canary that is too small for the share allows none to come back.
    pub fn judge(&self, limit: Percent) -> Verdict {
        // How many were sent is fixed by now, so that more cannot make it better.
        if limit.is_passed_by(self.bounced, self.sent) {
            return Verdict::Bounced;
        }
        match (self.now < self.until, self.drained, self.blind) {
            _ if self.sent == 0 => Verdict::Passed,
            (true, ..) => Verdict::Wait,
            (false, false, _) => Verdict::NotConsumed,
            (false, true, true) => Verdict::Unknown,
            (false, true, false) => Verdict::Passed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_canary_is_spread_in_proportion_and_every_rule_has_at_least_one() {
        let of = |messages, expected: &[u64]| {
            let expected: Vec<_> = (0..).map(RuleId).zip(expected.iter().copied()).collect();
            shares(messages, &expected).into_values().collect::<Vec<_>>()
        };
        assert_eq!(of(50, &[1_000_000]), [50]);
        assert_eq!(of(50, &[900, 90, 10]), [45, 4, 1], "4.5 is rounded down, as 0.5 became one");
        assert_eq!(of(10, &[1, 1, 1]), [1, 1, 1], "no more than there are");
        assert_eq!(
            of(2, &[500, 300, 1, 0]),
            [1, 1, 1],
            "at least one of each, even if that is more than was asked for"
        );
        assert_eq!(of(7, &[100, 100, 100]), [3, 2, 2]);
        assert!(of(5, &[]).is_empty() && of(5, &[0, 0]).is_empty());
        assert_eq!(of(u32::MAX, &[u64::MAX]), [u64::from(u32::MAX)]);
    }

    #[test]
    fn a_canary_is_judged_when_its_time_is_over_or_too_many_are_back() {
        let seen = Observation { sent: 50, bounced: 0, drained: true, blind: false, now: at(9), until: at(10) };
        let limit = Percent(200);
        let judged = |seen: Observation| seen.judge(limit);
        assert_eq!(judged(seen), Verdict::Wait);
        assert_eq!(judged(Observation { bounced: 2, ..seen }), Verdict::Bounced, "before its time");
        let seen = Observation { now: at(10), ..seen };
        assert_eq!(judged(seen), Verdict::Passed);
        assert_eq!(judged(Observation { bounced: 1, ..seen }), Verdict::Passed, "two per cent are not more than two");
        assert_eq!(judged(Observation { drained: false, ..seen }), Verdict::NotConsumed);
        assert_eq!(judged(Observation { blind: true, ..seen }), Verdict::Unknown);
        assert_eq!(judged(Observation { sent: 3, bounced: 1, ..seen }), Verdict::Bounced, "one of three");
        assert_eq!(judged(Observation { sent: 0, drained: false, now: at(0), ..seen }), Verdict::Passed);
    }
}
