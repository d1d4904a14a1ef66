//! The rate at which messages leave.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redrive_rules::job::RAMP_FROM;
use tokio::time::Instant;

/// A second, and by how much more one request may be held up on its way than the next: so who counts where they arrive does not
/// find more in a second, either.
const WINDOW: Duration = Duration::from_millis(1_005);

/// Messages a second that guards and people allow; each has its own word, and the lowest counts.
#[derive(Debug, Default)]
pub(super) struct Cap {
    /// By a person.
    asked: AtomicU32,
    /// By what the consumer has not taken yet.
    backlog: AtomicU32,
}

impl Cap {
    /// A person's word; `None` takes it back.
    pub(super) fn ask(&self, per_second: Option<u32>) {
        self.asked.store(per_second.unwrap_or(0), Ordering::Relaxed);
    }

    /// What the backlog allows; `None` for as much as else.
    pub(super) fn slow(&self, per_second: Option<u32>) {
        self.backlog.store(per_second.unwrap_or(0), Ordering::Relaxed);
    }

    fn lowest(&self) -> Option<f64> {
        let set = [&self.asked, &self.backlog].map(|cap| cap.load(Ordering::Relaxed));
        set.into_iter().filter(|cap| *cap > 0).min().map(f64::from)
    }
}

/// Spaces messages out in time: never above the rate in any second by more than one batch. With a ramp the rate begins at a
/// part of itself and rises evenly.
#[derive(Debug)]
pub(super) struct RateLimit {
    per_second: Option<f64>,
    /// What guards and people allow beneath that.
    cap: Arc<Cap>,
    ramp: Duration,
    /// When the first message left, and when the next may.
    course: Mutex<Option<(Instant, Instant)>>,
    /// What left within the last [`WINDOW`], each time as many, and how many in all.
    left: Mutex<(VecDeque<(Instant, u32)>, u32)>,
}

impl RateLimit {
    pub(super) fn new(per_second: Option<u32>, ramp: Duration, cap: Arc<Cap>) -> Self {
        Self {
            cap,
            per_second: per_second.map(|rate| f64::from(rate.max(1))),
            ramp,
            course: Mutex::default(),
            left: Mutex::default(),
        }
    }

    /// Messages a second, as of now.
    fn rate(&self) -> Option<f64> {
        match (self.per_second, self.cap.lowest()) {
            (Some(rate), Some(cap)) => Some(rate.min(cap)),
            (rate, cap) => rate.or(cap),
        }
    }

    /// When this many more messages may leave; takes their share.
    fn take(&self, messages: u32, now: Instant) -> Instant {
        let Some(rate) = self.rate() else { return now };
        let mut course = self.course.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, next) = course.unwrap_or((now, now));
        let at = next.max(now);
        let risen = if self.ramp.is_zero() { 1.0 } else { (at - first).div_duration_f64(self.ramp).min(1.0) };
        let rate = rate * (RAMP_FROM + (1.0 - RAMP_FROM) * risen);
        *course = Some((first, at + Duration::from_secs_f64(f64::from(messages) / rate)));
        at
    }

    /// Notes that this many messages leave now. Where as many as the rate allows left within the [`WINDOW`], says when they
    /// may: what left later than it might have must not be joined by the next ones, which are in time.
    fn leave(&self, messages: u32, now: Instant) -> Option<Instant> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (times, count) = &mut *left;
        while let Some((_, many)) = times.pop_front_if(|(at, _)| now.duration_since(*at) >= WINDOW) {
            *count -= many;
        }
        if self.rate().is_some_and(|rate| f64::from(*count) >= rate) {
            return times.front().map(|(at, _)| *at + WINDOW);
        }
        times.push_back((now, messages));
        *count += messages;
        None
    }

    /// Waits until this many more messages may leave.
    pub(super) async fn pass(&self, messages: usize) {
        if self.rate().is_some() && messages > 0 {
            let messages = u32::try_from(messages).unwrap_or(u32::MAX);
            let mut next = Some(self.take(messages, Instant::now()));
            while let Some(at) = next {
                tokio::time::sleep_until(at).await;
                next = self.leave(messages, Instant::now());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_never_passed_by_more_than_a_batch() {
        let limit = RateLimit::new(Some(200), Duration::ZERO, Arc::default());
        let start = Instant::now();
        let times: Vec<Instant> = (0..100).map(|_| limit.take(10, start)).collect();
        for (position, at) in times.iter().enumerate() {
            let second = times[position..].iter().take_while(|later| **later < *at + Duration::from_secs(1)).count();
            assert!(second * 10 <= 200 + 10, "{second} batches in a second");
        }
        assert_eq!(times[99] - start, Duration::from_millis(99 * 50));
    }

    #[test]
    fn a_rate_is_reached_within_two_in_a_hundred_and_no_late_wait_is_made_up_for() {
        for rate in [1, 7, 333, 3000] {
            let (limit, start) = (RateLimit::new(Some(rate), Duration::ZERO, Arc::default()), Instant::now());
            let within = (0..100_000).take_while(|_| limit.take(1, start) < start + Duration::from_secs(10)).count();
            assert!(within.abs_diff(usize::try_from(rate * 10).unwrap()) * 50 <= within, "{within} at {rate}/s");
            // Nobody came for an hour: what could have left then does not leave at once now.
            let later = start + Duration::from_hours(1);
            assert_eq!(limit.take(10, later), later);
            assert!(limit.take(1, later) >= later + Duration::from_secs(9).div_f64(f64::from(rate)));
        }
    }

    #[test]
    fn what_leaves_late_is_not_joined_by_what_is_in_time() {
        let (limit, start) = (RateLimit::new(Some(55), Duration::ZERO, Arc::default()), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        for late in [150, 330, 510, 690, 870, 909] {
            assert_eq!(limit.leave(10, at(late)), None, "sixty are a batch more than fifty-five at the most");
        }
        assert_eq!(limit.leave(10, at(1_091)), Some(at(1_155)));
        assert_eq!(limit.leave(10, at(1_154)), Some(at(1_155)));
        assert_eq!(limit.leave(10, at(1_155)), None);
        assert_eq!(limit.leave(10, at(1_155)), Some(at(1_335)));
        assert_eq!(limit.leave(10, at(9_000)), None);
    }

    #[test]
    fn a_cap_lowers_the_rate_and_never_raises_it() {
        let cap = Arc::new(Cap::default());
        let limit = RateLimit::new(Some(200), Duration::ZERO, Arc::clone(&cap));
        let within = |limit: &RateLimit| {
            let start = Instant::now() + Duration::from_hours(1);
            (0..10_000).take_while(|_| limit.take(1, start) < start + Duration::from_secs(1)).count()
        };
        cap.ask(Some(1_000));
        assert_eq!(limit.rate(), Some(200.0), "the approved rate is the upper bound");
        cap.ask(Some(50));
        cap.slow(Some(20));
        assert_eq!((limit.rate(), within(&limit)), (Some(20.0), 20));
        cap.slow(None);
        assert_eq!(limit.rate(), Some(50.0));
        cap.ask(None);
        assert_eq!(limit.rate(), Some(200.0));
        let unlimited = RateLimit::new(None, Duration::ZERO, Arc::clone(&cap));
        assert_eq!(unlimited.rate(), None);
        cap.slow(Some(7));
        assert_eq!(unlimited.rate(), Some(7.0));
    }

    #[test]
    fn a_ramp_rises_evenly_from_a_tenth_to_the_rate() {
        let (limit, start) = (RateLimit::new(Some(1000), Duration::from_mins(1), Arc::default()), Instant::now());
        let times: Vec<Duration> = (0..10_000).map(|_| limit.take(10, start) - start).collect();
        let within = |from: u64| {
            let second = Duration::from_secs(from)..Duration::from_secs(from + 1);
            times.iter().filter(|time| second.contains(*time)).count() * 10
        };
        assert_eq!(times[0], Duration::ZERO);
        for (second, messages) in [(0, 107), (29, 542), (59, 992), (60, 1000), (90, 1000)] {
            assert!(within(second).abs_diff(messages) <= 20, "{} in second {second}", within(second));
        }
    }
}
