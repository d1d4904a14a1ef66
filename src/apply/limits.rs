//! The bounds a run keeps within: room in the pipeline, the rate, the plan's bounds, the job's `max_messages`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::target::RuleId;

/// Bytes are counted in these, so that their sum fits a semaphore's permits.
const UNIT: usize = 1024;

/// Room in the pipeline, in messages and in bytes. A message takes its place when it is received and gives it back when it
/// is deleted or stays; without room nothing is received, so that a slow destination slows the receiving.
#[derive(Debug)]
pub(super) struct Room {
    messages: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    units: usize,
}

/// A message's place in the pipeline; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    _message: OwnedSemaphorePermit,
    _bytes: Option<OwnedSemaphorePermit>,
}

impl Room {
    pub(super) fn new(messages: usize, bytes: usize) -> Self {
        let units = (bytes / UNIT).max(1);
        Self { messages: Arc::new(Semaphore::new(messages)), bytes: Arc::new(Semaphore::new(units)), units }
    }

    /// Waits for room for this many messages, of sizes yet unknown.
    pub(super) async fn reserve(&self, messages: u32) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.messages).acquire_many_owned(messages).await.ok()
    }

    /// Takes the places of received messages out of a reservation, once their sizes are known. The bytes of all are asked
    /// for at once: receivers that each held some and waited for more would wait for one another for ever.
    pub(super) async fn places(&self, reservation: &mut OwnedSemaphorePermit, sizes: &[usize]) -> Vec<Option<Place>> {
        let units = |size: &usize| size / UNIT + 1;
        let total = sizes.iter().map(units).sum::<usize>().min(self.units);
        let total = u32::try_from(total).unwrap_or(u32::MAX);
        let mut bytes = Arc::clone(&self.bytes).acquire_many_owned(total).await.ok();
        sizes
            .iter()
            .map(|size| {
                let message = reservation.split(1)?;
                // Where one receive is more than the whole room, the first messages take all there is.
                let bytes = bytes.as_mut().and_then(|bytes| bytes.split(units(size).min(bytes.num_permits())));
                Some(Place { _message: message, _bytes: bytes })
            })
            .collect()
    }
}

/// Spaces messages out in time: never above the rate in any second by more than one batch.
#[derive(Debug)]
pub(super) struct RateLimit {
    interval: Option<Duration>,
    next: Mutex<Option<Instant>>,
}

impl RateLimit {
    pub(super) fn new(per_second: Option<u32>) -> Self {
        Self { interval: per_second.map(|rate| Duration::from_secs(1) / rate.max(1)), next: Mutex::new(None) }
    }

    /// When this many more messages may leave; takes their share.
    fn take(&self, messages: u32, now: Instant) -> Instant {
        let Some(interval) = self.interval else { return now };
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let at = next.map_or(now, |next| next.max(now));
        *next = Some(at + interval * messages);
        at
    }

    /// Waits until this many more messages may leave.
    pub(super) async fn pass(&self, messages: u32) {
        if self.interval.is_some() && messages > 0 {
            tokio::time::sleep_until(self.take(messages, Instant::now())).await;
        }
    }
}

/// How many messages may still leave: by rule within the plan's bounds, and in all within `max_messages`.
#[derive(Debug)]
pub(super) struct Budget {
    bounds: HashMap<RuleId, u64>,
    max_messages: Option<u64>,
    allow_drift: bool,
    left: Mutex<HashMap<RuleId, u64>>,
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
}

impl Budget {
    pub(super) fn new(
        left: HashMap<RuleId, u64>,
        bounds: HashMap<RuleId, u64>,
        max_messages: Option<u64>,
        allow_drift: bool,
    ) -> Self {
        Self { bounds, max_messages, allow_drift, left: Mutex::new(left) }
    }

    /// Asks for one message of a rule to leave, and counts it where it may.
    pub(super) fn leave(&self, rule: RuleId) -> Leave {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if self.max_messages.is_some_and(|most| left.values().sum::<u64>() >= most) {
            return Leave::LimitReached;
        }
        let bound = self.bounds.get(&rule).copied().unwrap_or(0);
        let count = left.entry(rule).or_default();
        if *count >= bound && !self.allow_drift {
            return Leave::Drift(bound);
        }
        *count += 1;
        Leave::Granted
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

    #[tokio::test]
    async fn room_is_given_back_whole_whatever_the_sizes() {
        let room = Room::new(20, 64 * UNIT);
        for sizes in [vec![0, 1, UNIT], vec![100 * UNIT; 10], vec![30 * UNIT, 60 * UNIT]] {
            let mut reservation = room.reserve(10).await.expect("room");
            let places = room.places(&mut reservation, &sizes).await;
            assert!(places.iter().all(Option::is_some));
            assert_eq!(room.messages.available_permits(), 10);
            drop((reservation, places));
            assert_eq!((room.messages.available_permits(), room.bytes.available_permits()), (20, 64));
        }
    }

    const RULE: RuleId = RuleId(0);

    #[test]
    fn a_rate_is_never_passed_by_more_than_a_batch() {
        let limit = RateLimit::new(Some(200));
        let start = Instant::now();
        let times: Vec<Instant> = (0..100).map(|_| limit.take(10, start)).collect();
        for (position, at) in times.iter().enumerate() {
            let second = times[position..].iter().take_while(|later| **later < *at + Duration::from_secs(1)).count();
            assert!(second * 10 <= 200 + 10, "{second} batches in a second");
        }
        assert_eq!(times[99] - start, Duration::from_millis(99 * 50));
    }

    #[test]
    fn the_bound_of_a_rule_is_kept_to_the_message() {
        let budget = Budget::new(HashMap::from([(RULE, 3)]), HashMap::from([(RULE, 5)]), None, false);
        assert_eq!([budget.leave(RULE), budget.leave(RULE)], [Leave::Granted, Leave::Granted]);
        assert_eq!(budget.leave(RULE), Leave::Drift(5));
        budget.stayed(RULE);
        assert_eq!(budget.leave(RULE), Leave::Granted);
        assert_eq!(budget.leave(RuleId(1)), Leave::Drift(0), "a rule the plan does not know");
    }

    #[test]
    fn max_messages_counts_over_all_rules_and_earlier_sessions() {
        let budget = Budget::new(HashMap::from([(RULE, 2)]), HashMap::new(), Some(3), true);
        assert_eq!(budget.leave(RuleId(1)), Leave::Granted);
        assert_eq!(budget.leave(RULE), Leave::LimitReached);
    }
}
