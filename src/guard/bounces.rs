//! How many of the messages that were sent came back. Pure.
//!
//! A message that a consumer fails comes back some minutes after it was sent, and by then thousands may have been sent behind
//! it. So the share is not taken of the newest messages, of which nothing can be known yet, but of the last thousand up to the
//! newest that came back.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use redrive_protocol::message::MessageId;
use redrive_protocol::target::RuleId;
use redrive_rules::job::Percent;

/// Of how many messages the share is taken at the most.
pub const WINDOW: u64 = 1_000;

/// So many have to come back before they can be too many.
pub const AT_LEAST: u64 = 5;

/// Sends that are remembered, to know where among them a message was that came back. One that is older counts for no share.
const REMEMBERED: usize = 200_000;

/// The messages that a session sent, and which of them came back.
#[derive(Debug)]
pub struct Bounces {
    limit: Option<Percent>,
    /// Whether each rule has its own share.
    per_rule: bool,
    windows: HashMap<Option<RuleId>, Window>,
}

/// A share of messages that came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The rule that sent them, if only that one is looked at.
    pub rule: Option<RuleId>,
    /// How many came back.
    pub bounced: u64,
    /// Of how many.
    pub of: u64,
}

#[derive(Debug, Default)]
struct Window {
    /// The sends that are remembered, in their order: a digest of the ID, and whether it came back.
    sends: VecDeque<(u64, bool)>,
    positions: HashMap<u64, u64>,
    /// How many were sent.
    sent: u64,
    /// The position behind the newest that came back.
    newest: u64,
}

fn digest(id: &MessageId) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.as_str().hash(&mut hasher);
    hasher.finish()
}

impl Window {
    fn first(&self) -> u64 {
        self.sent - self.sends.len() as u64
    }

    fn sent(&mut self, id: u64) {
        if self.sends.len() == REMEMBERED
            && let Some((oldest, _)) = self.sends.pop_front()
        {
            self.positions.remove(&oldest);
        }
        self.sends.push_back((id, false));
        self.positions.insert(id, self.sent);
        self.sent += 1;
    }

    fn came_back(&mut self, id: u64) -> bool {
        let Some(position) = self.positions.get(&id).copied() else { return false };
        let index = usize::try_from(position - self.first()).unwrap_or(usize::MAX);
        if let Some(send) = self.sends.get_mut(index) {
            send.1 = true;
        }
        self.newest = self.newest.max(position + 1);
        true
    }

    fn share(&self) -> (u64, u64) {
        let end = self.newest.max(self.sent.min(WINDOW));
        let start = end.saturating_sub(WINDOW);
        let index = |position: u64| usize::try_from(position.saturating_sub(self.first())).unwrap_or(usize::MAX);
        let inside = self.sends.range(index(start)..index(end).min(self.sends.len()));
        (inside.filter(|(_, bounced)| *bounced).count() as u64, end - start)
    }
}

impl Bounces {
    /// Counts from here on.
    pub fn new(limit: Option<Percent>, per_rule: bool) -> Self {
        Self { limit, per_rule, windows: HashMap::new() }
    }

    fn window(&mut self, rule: RuleId) -> &mut Window {
        self.windows.entry(self.per_rule.then_some(rule)).or_default()
    }

    /// A rule's message was sent under this ID.
    pub fn sent(&mut self, rule: RuleId, id: &MessageId) {
        if self.limit.is_some() {
            self.window(rule).sent(digest(id));
        }
    }

    /// It came back. Says which share is too large now, if one is.
    pub fn came_back(&mut self, rule: RuleId, id: &MessageId) -> Option<Share> {
        let limit = self.limit?;
        let of_rule = self.per_rule.then_some(rule);
        let window = self.window(rule);
        if !window.came_back(digest(id)) {
            return None;
        }
        let (bounced, of) = window.share();
        let is_too_much = bounced >= AT_LEAST && limit.is_passed_by(bounced, of);
        is_too_much.then_some(Share { rule: of_rule, bounced, of })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: RuleId = RuleId(0);

    fn id(number: u64) -> MessageId {
        MessageId::new(format!("m{number}"))
    }

    /// Sends so many, `lag` of them before each one of which `fails` says so comes back; gives how many were sent by the stop.
    fn sent_before_the_stop(most: u64, lag: u64, fails: impl Fn(u64) -> bool) -> Option<u64> {
        let mut bounces = Bounces::new(Some(Percent(200)), false);
        (0..most).find(|number| {
            bounces.sent(RULE, &id(*number));
            let due = number.checked_sub(lag).filter(|due| fails(*due));
            due.is_some_and(|due| bounces.came_back(RULE, &id(due)).is_some())
        })
    }

    #[test]
    fn a_consumer_that_fails_everything_stops_the_run_after_what_was_sent_meanwhile() {
        assert_eq!(sent_before_the_stop(100, 0, |_| true), Some(4), "at the fifth");
        // However much is sent in the time that a message takes to come back: it needs the first 21 to do so.
        for lag in [100, 1_000, 18_000, 150_000] {
            let sent = sent_before_the_stop(200_000, lag, |_| true).expect("a stop");
            assert!(sent <= lag + 21, "{sent} with a lag of {lag}");
        }
    }

    #[test]
    fn what_the_limit_allows_does_not_stop_it() {
        for lag in [0, 500, 5_000] {
            assert_eq!(sent_before_the_stop(50_000, lag, |number| number % 50 == 49), None, "two in a hundred");
            let sent = sent_before_the_stop(50_000, lag, |number| number % 40 == 39).expect("a stop");
            assert!(sent <= lag + 1_000, "five in two hundred, {sent} with a lag of {lag}");
        }
    }

    #[test]
    fn four_are_never_too_many_and_none_counts_twice() {
        let mut bounces = Bounces::new(Some(Percent(1)), false);
        (0..10).for_each(|number| bounces.sent(RULE, &id(number)));
        for _ in 0..3 {
            (0..4).for_each(|number| assert_eq!(bounces.came_back(RULE, &id(number)), None));
        }
        assert_eq!(bounces.came_back(RULE, &id(99)), None, "this session did not send it");
        assert_eq!(bounces.came_back(RULE, &id(4)), Some(Share { rule: None, bounced: 5, of: 10 }));
    }

    #[test]
    fn each_rule_has_its_own_share_if_the_job_says_so() {
        let mut bounces = Bounces::new(Some(Percent(200)), true);
        for number in 0..1_000 {
            bounces.sent(RuleId(u16::from(number % 10 == 0)), &id(number));
        }
        let stopped: Vec<_> =
            (0..50).filter_map(|n| bounces.came_back(RuleId(u16::from(n % 10 == 0)), &id(n))).collect();
        assert_eq!(stopped.first().map(|share| share.rule), Some(Some(RuleId(0))), "19 of its 900 are too many");
        let share = bounces.came_back(RuleId(1), &id(50)).expect("its sixth");
        assert_eq!((share.rule, share.of), (Some(RuleId(1)), 100));
    }

    #[test]
    fn without_a_limit_nothing_is_remembered() {
        let mut bounces = Bounces::new(None, false);
        (0..10).for_each(|number| bounces.sent(RULE, &id(number)));
        assert!((0..10).all(|number| bounces.came_back(RULE, &id(number)).is_none()) && bounces.windows.is_empty());
    }
}
