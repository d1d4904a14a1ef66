//! How fast a run goes, over the last seconds, and how long it will take at that. Pure: time comes in as an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::plan::{Outcome, Plan};
use redrive_protocol::protocol::{State, Tally};
use redrive_protocol::target::RuleId;

/// Long enough to be calm, short enough to show that a destination has slowed down.
const WINDOW: Duration = Duration::from_secs(10);

/// Over a shorter time the first batches would look like a rate.
const LEAST: Duration = Duration::from_secs(1);

/// The pace of a run.
#[derive(Debug, Default)]
pub(super) struct Pace {
    seen: VecDeque<(Instant, u64)>,
}

impl Pace {
    /// Notes how many messages have left by now.
    pub(super) fn note(&mut self, now: Instant, gone: u64) {
        self.seen.push_back((now, gone));
        // The one before the window stays, so that the window is always covered.
        while self.seen.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW) {
            self.seen.pop_front();
        }
    }

    /// How many went by in how many milliseconds; `None` where it is too early to tell.
    pub(super) fn measure(&self) -> Option<(u64, u64)> {
        let ((first, before), (last, gone)) = (self.seen.front()?, self.seen.back()?);
        let time = last.duration_since(*first);
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        (time >= LEAST).then_some((gone.saturating_sub(*before), millis))
    }

    /// Milliseconds until so many have left; `None` where nobody can tell.
    pub(super) fn millis_left(&self, expected: u64) -> Option<u64> {
        let (moved, millis) = self.measure()?;
        let left = expected.checked_sub(self.seen.back()?.1).filter(|left| *left > 0)?;
        let millis = (u128::from(left) * u128::from(millis)).checked_div(u128::from(moved))?;
        Some(u64::try_from(millis).unwrap_or(u64::MAX))
    }
}

/// How many messages of each rule are expected to leave the source, for those of which any are.
pub(super) fn expected(plan: &Plan) -> Vec<(RuleId, &str, u64)> {
    let leaving = |outcome: &Outcome| matches!(outcome, Outcome::To(_) | Outcome::Exhausted(_));
    let rules = plan.rules.iter().map(|rule| {
        let outcomes = rule.outcomes.iter().filter(|figures| leaving(&figures.outcome));
        (rule.rule, rule.name.as_str(), outcomes.map(|figures| figures.estimate.total).sum())
    });
    rules.filter(|(_, _, total)| *total > 0).collect()
}

pub(super) fn expected_in_all(plan: &Plan) -> u64 {
    expected(plan).iter().map(|(_, _, total)| total).sum()
}

/// Messages that have left the source.
pub(super) fn gone(tally: &Tally) -> u64 {
    tally.count(|key| key.state == State::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_that_of_the_last_seconds() {
        let (start, mut pace) = (Instant::now(), Pace::default());
        assert_eq!(pace.measure(), None);
        pace.note(start, 5_000);
        assert_eq!(pace.measure(), None, "what an earlier session did is no pace");
        for second in 1..=60 {
            // Fast for half a minute, then slow.
            let gone = if second <= 30 { second * 100 } else { 3_000 + (second - 30) * 10 };
            pace.note(start + Duration::from_secs(second), 5_000 + gone);
        }
        assert_eq!(pace.measure(), Some((100, 10_000)));
        assert_eq!(pace.millis_left(8_400), Some(10_000));
        assert!(pace.seen.len() < 20, "memory does not grow");
    }

    #[test]
    fn nobody_guesses_where_nothing_moves_or_nothing_is_left() {
        let (start, mut pace) = (Instant::now(), Pace::default());
        pace.note(start, 10);
        pace.note(start + Duration::from_secs(2), 10);
        assert_eq!(pace.millis_left(100), None);
        pace.note(start + Duration::from_secs(3), 20);
        assert_eq!(pace.millis_left(20), None);
        assert_eq!(pace.millis_left(5), None, "more left than was expected");
        assert!(pace.millis_left(u64::MAX).is_some());
    }
}
