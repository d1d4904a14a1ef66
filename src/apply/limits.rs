//! The bounds a run keeps within: the plan's bounds, the job's `max_messages`, and what guards allow.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use redrive_protocol::target::RuleId;

use super::drift;
use crate::plan::RuleFigures;
use redrive_protocol::protocol::Tally;

/// How many messages of a rule may leave, and how many may stay.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// `None`: any number.
    leaving: Option<u64>,
    staying: Option<u64>,
}

impl Bounds {
    /// The plan's bounds of a rule.
    pub(super) fn of(rule: &RuleFigures) -> Self {
        Self { leaving: rule.bound, staying: rule.bound_staying }
    }
}

/// How many messages may still leave: by rule within the plan's bounds, and in all within `max_messages`. And how many may stay.
#[derive(Debug)]
pub(super) struct Budget {
    bounds: HashMap<RuleId, Bounds>,
    max_messages: Option<u64>,
    allow_drift: bool,
    left: Mutex<HashMap<RuleId, u64>>,
    /// What guards allow.
    guarded: Mutex<Guarded>,
    /// Whether a message was refused because of `max_messages`.
    refused: AtomicBool,
}

/// What guards allow to leave.
#[derive(Debug, Default)]
struct Guarded {
    /// How many messages of each rule may leave until the canary is judged, earlier ones included.
    canary: Option<BTreeMap<RuleId, u64>>,
    /// Rules of which nothing leaves any more.
    stopped: HashSet<RuleId>,
}

/// Whether one more message may leave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// It may.
    Granted,
    /// `max_messages` is reached.
    LimitReached,
    /// Its rule would pass the plan's bound, which is this.
    Drift(u64),
    /// Not before the canary is judged.
    Withheld,
    /// A guard stopped its rule.
    RuleStopped,
}

impl Budget {
    pub(super) fn new(
        left: HashMap<RuleId, u64>,
        bounds: HashMap<RuleId, Bounds>,
        max_messages: Option<u64>,
        allow_drift: bool,
    ) -> Self {
        Self {
            bounds,
            max_messages,
            allow_drift,
            left: Mutex::new(left),
            guarded: Mutex::default(),
            refused: AtomicBool::new(false),
        }
    }

    fn guarded(&self) -> MutexGuard<'_, Guarded> {
        self.guarded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets only so many messages of each rule leave until it is called again, earlier ones included, and only to a queue.
    pub(super) fn set_canary(&self, shares: Option<BTreeMap<RuleId, u64>>) {
        self.guarded().canary = shares;
    }

    /// Lets nothing of a rule leave any more; says whether it did before.
    pub(super) fn stop_rule(&self, rule: RuleId) -> bool {
        self.guarded().stopped.insert(rule)
    }

    /// Whether nothing of a rule may leave any more.
    pub(super) fn is_rule_stopped(&self, rule: RuleId) -> bool {
        self.guarded().stopped.contains(&rule)
    }

    /// How many messages left by each rule, or are about to.
    pub(super) fn left(&self) -> HashMap<RuleId, u64> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the whole canary has left, or is about to.
    pub(super) fn canary_has_left(&self) -> bool {
        let left = self.left();
        let has_left = |(rule, most): (&RuleId, &u64)| left.get(rule).is_some_and(|count| count >= most);
        self.guarded().canary.as_ref().is_some_and(|shares| shares.iter().all(has_left))
    }

    /// Asks for one message of a rule to leave, and counts it where it may. `to_queue`: where it goes, somebody consumes it.
    pub(super) fn leave(&self, rule: RuleId, to_queue: bool) -> Leave {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let guarded = self.guarded();
        if guarded.stopped.contains(&rule) {
            return Leave::RuleStopped;
        }
        if let Some(shares) = &guarded.canary
            && !(to_queue && shares.get(&rule).is_some_and(|most| left.get(&rule).copied().unwrap_or(0) < *most))
        {
            return Leave::Withheld;
        }
        if self.max_messages.is_some_and(|most| left.values().sum::<u64>() >= most) {
            self.refused.store(true, Ordering::Relaxed);
            return Leave::LimitReached;
        }
        let bound = self.bounds.get(&rule).map_or(Some(0), |bounds| bounds.leaving);
        let count = left.entry(rule).or_default();
        if let Some(bound) = bound.filter(|bound| *count >= *bound && !self.allow_drift) {
            return Leave::Drift(bound);
        }
        *count += 1;
        Leave::Granted
    }

    /// Whether more messages were met than `max_messages` lets leave.
    pub(super) fn has_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// A rule of which more messages stay, by its verdict, than its bound, which comes with it. Nothing is harmed by them; but
    /// what the run meets is not what was planned.
    pub(super) fn too_many_stay(&self, tally: &Tally) -> Option<(RuleId, u64)> {
        let passed = drift::stayed(tally).into_iter().filter_map(|(rule, count)| {
            let bound = self.bounds.get(&rule)?.staying?;
            (count > bound).then_some((rule, bound))
        });
        passed.min().filter(|_| !self.allow_drift)
    }

    /// Gives back what was granted to a message that did not leave after all.
    pub(super) fn stayed(&self, rule: RuleId) {
        if let Some(count) = self.left.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&rule) {
            *count = count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redrive_protocol::protocol::{State, TallyKey};
    use redrive_protocol::target::Reason;

    const RULE: RuleId = RuleId(0);

    #[test]
    fn the_bound_of_a_rule_is_kept_to_the_message() {
        let bounds = Bounds { leaving: Some(5), staying: None };
        let budget = Budget::new(HashMap::from([(RULE, 3)]), HashMap::from([(RULE, bounds)]), None, false);
        assert_eq!([budget.leave(RULE, true), budget.leave(RULE, true)], [Leave::Granted, Leave::Granted]);
        assert_eq!(budget.leave(RULE, true), Leave::Drift(5));
        budget.stayed(RULE);
        assert_eq!(budget.leave(RULE, true), Leave::Granted);
        assert_eq!(budget.leave(RuleId(1), true), Leave::Drift(0), "a rule the plan does not know");
        let bounds = Bounds { leaving: None, staying: None };
        let budget = Budget::new(HashMap::from([(RULE, 9)]), HashMap::from([(RULE, bounds)]), None, false);
        assert_eq!(budget.leave(RULE, true), Leave::Granted, "a rule that the plan does not bound");
    }

    #[test]
    fn the_bound_of_what_stays_is_kept_to_the_message_too() {
        let budget = |allow| {
            let bounds = Bounds { leaving: Some(0), staying: Some(5) };
            Budget::new(HashMap::new(), HashMap::from([(RULE, bounds)]), None, allow)
        };
        let key = |state, reason| TallyKey { state, rule: RULE, target: None, exhausted: false, reason: Some(reason) };
        let tally = |blocked| {
            let mut tally = Tally::default();
            tally.counts.insert(key(State::Kept, Reason::Unmatched), 3);
            tally.counts.insert(key(State::Blocked, Reason::NotJson), blocked);
            // Not for what they are, so not counted.
            tally.counts.insert(key(State::Kept, Reason::GroupStopped), 100);
            tally.counts.insert(key(State::Failed, Reason::Refused), 100);
            tally
        };
        assert_eq!(budget(false).too_many_stay(&tally(2)), None);
        assert_eq!(budget(false).too_many_stay(&tally(3)), Some((RULE, 5)));
        assert_eq!(budget(true).too_many_stay(&tally(3)), None);
    }

    #[test]
    fn until_the_canary_is_judged_only_its_share_of_each_rule_leaves_and_only_to_a_queue() {
        let bounds = Bounds { leaving: None, staying: None };
        let budget = Budget::new(HashMap::from([(RULE, 3)]), HashMap::from([(RULE, bounds)]), None, true);
        budget.set_canary(Some(BTreeMap::from([(RULE, 5), (RuleId(1), 1)])));
        assert_eq!(budget.leave(RULE, false), Leave::Withheld, "an archive has no consumer");
        assert_eq!([budget.leave(RULE, true), budget.leave(RULE, true)], [Leave::Granted, Leave::Granted]);
        assert_eq!((budget.leave(RULE, true), budget.canary_has_left()), (Leave::Withheld, false));
        assert_eq!(budget.leave(RuleId(2), true), Leave::Withheld, "a rule without a share");
        assert_eq!((budget.leave(RuleId(1), true), budget.canary_has_left()), (Leave::Granted, true));
        budget.stayed(RULE);
        assert!(!budget.canary_has_left(), "one did not leave after all");
        budget.set_canary(None);
        assert_eq!(budget.leave(RuleId(2), false), Leave::Granted);
        budget.stop_rule(RULE);
        assert_eq!([budget.leave(RULE, true), budget.leave(RuleId(1), true)], [Leave::RuleStopped, Leave::Granted]);
    }

    #[test]
    fn max_messages_counts_over_all_rules_and_earlier_sessions() {
        let budget = Budget::new(HashMap::from([(RULE, 2)]), HashMap::new(), Some(3), true);
        assert_eq!(budget.leave(RuleId(1), true), Leave::Granted);
        assert_eq!(budget.leave(RULE, true), Leave::LimitReached);
    }
}
