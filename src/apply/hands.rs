//! How many requests of one kind are under way at once. Begins modestly, grows while that makes more of them end in a
//! second, and shrinks where the service asks to slow down. What is set by hand stays.
//!
//! Decides about numbers only: it makes no calls.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::sqs::Fault;

/// Under way at once in the beginning: receives, each of which is one too many where the queue is small.
pub(super) const FIRST_RECEIVES: usize = 16;

/// The same of a FIFO queue, of which others get nothing behind what is on its way in each group.
pub(super) const FIRST_RECEIVES_FIFO: usize = 8;

/// Under way at once in the beginning: sends and deletes, which keep their hand until the journal has noted them.
pub(super) const FIRST: usize = 24;

/// Under way at once at the most.
pub(super) const MOST: usize = 64;

/// The least time over which the effect of a change is measured.
const WINDOW: Duration = Duration::from_millis(250);

/// How long nothing is tried after a growth that did not help, or after a shrinking.
const REST: Duration = Duration::from_secs(5);

/// Requests of one kind, each of which needs a hand.
#[derive(Debug)]
pub(super) struct Hands {
    free: Arc<Semaphore>,
    course: Mutex<Course>,
}

/// One request's permission to be under way; given back when dropped.
#[derive(Debug)]
pub(super) struct Hand {
    hands: Arc<Hands>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Hands {
    /// As many as the job says, or as prove good, from so many on.
    pub(super) fn new(by_hand: Option<usize>, first: usize) -> Arc<Self> {
        match by_hand {
            Some(number) => Self::fixed(number),
            None => Self::with(Course::new(first, MOST)),
        }
    }

    /// Always so many.
    pub(super) fn fixed(number: usize) -> Arc<Self> {
        Self::with(Course { least: number, ..Course::new(number, number) })
    }

    fn with(course: Course) -> Arc<Self> {
        Arc::new(Self { free: Arc::new(Semaphore::new(course.limit)), course: Mutex::new(course) })
    }

    /// The most that there can be.
    pub(super) fn most(&self) -> usize {
        self.course.lock().unwrap_or_else(PoisonError::into_inner).most
    }

    /// Waits for a free hand.
    pub(super) async fn take(self: &Arc<Self>) -> Hand {
        let permit = if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            Some(permit)
        } else {
            self.change(|course, _| {
                course.waited = true;
                None
            });
            // It is never closed.
            Arc::clone(&self.free).acquire_owned().await.ok()
        };
        Hand { hands: Arc::clone(self), permit }
    }

    /// Slows down where that is what the service asks for by this fault.
    pub(super) fn heed(&self, fault: Fault) {
        if fault == Fault::Throttled {
            self.change(Course::throttled);
        }
    }

    /// Changes the course, and the number of hands to what it then is. Those that are busy and too many go when they are done.
    fn change(&self, change: impl FnOnce(&mut Course, Instant) -> Option<usize>) {
        let mut course = self.course.lock().unwrap_or_else(PoisonError::into_inner);
        let before = course.limit;
        let Some(after) = change(&mut course, Instant::now()) else { return };
        if after >= before {
            let back = course.surplus.min(after - before);
            course.surplus -= back;
            self.free.add_permits(after - before - back);
        } else {
            course.surplus += before - after - self.free.forget_permits(before - after);
        }
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        let permit = self.permit.take();
        {
            let mut course = self.hands.course.lock().unwrap_or_else(PoisonError::into_inner);
            if course.surplus > 0 {
                course.surplus -= 1;
                permit.into_iter().for_each(OwnedSemaphorePermit::forget);
            }
        }
        self.hands.change(Course::ended);
    }
}

/// The way to the right number. Pure: the time comes in.
#[derive(Debug)]
struct Course {
    limit: usize,
    least: usize,
    most: usize,
    /// Busy hands that go when they are done.
    surplus: usize,
    /// Where the window began, and what ended in it.
    window: Option<Instant>,
    ended: usize,
    /// Whether anything had to wait for a hand since the window began.
    waited: bool,
    /// What the last growth began from: how many, and how many ended in a second.
    grown_from: Option<(usize, f64)>,
    /// Whether growing has ever failed to help; from then on it goes in small steps.
    is_careful: bool,
    rest_until: Option<Instant>,
}

impl Course {
    fn new(first: usize, most: usize) -> Self {
        Self {
            limit: first,
            least: 1,
            most,
            surplus: 0,
            window: None,
            ended: 0,
            waited: false,
            grown_from: None,
            is_careful: false,
            rest_until: None,
        }
    }

    fn rests(&self, now: Instant) -> bool {
        self.rest_until.is_some_and(|until| now < until)
    }

    fn rest(&mut self, now: Instant) {
        self.is_careful = true;
        self.rest_until = Some(now + REST);
        self.grown_from = None;
    }

    fn begin_window(&mut self, now: Instant) {
        self.window = Some(now);
        self.ended = 0;
        self.waited = false;
    }

    /// A request has ended. Gives the new number where it changes.
    #[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
    fn ended(&mut self, now: Instant) -> Option<usize> {
        if self.least == self.most {
            return None;
        }
        let Some(began) = self.window else {
            self.begin_window(now);
            return None;
        };
        self.ended += 1;
        let took = now - began;
        if took < WINDOW || self.ended < 2 * self.limit {
            return None;
        }
        let (rate, is_wanted) = (self.ended as f64 / took.as_secs_f64(), self.waited);
        self.begin_window(now);
        if !is_wanted {
            // There was nothing to do for more.
            self.grown_from = None;
            return None;
        }
        if let Some((from, before)) = self.grown_from.take() {
            // Of what so many more hands could have brought at the best, a third has to be seen.
            let wanted = before * (1.0 + (self.limit as f64 / from as f64 - 1.0) / 3.0);
            if rate < wanted {
                self.limit = from;
                self.rest(now);
                return Some(self.limit);
            }
        }
        if self.limit == self.most || self.rests(now) {
            return None;
        }
        self.grown_from = Some((self.limit, rate));
        let more = if self.is_careful { self.limit.div_ceil(4) } else { self.limit };
        self.limit = (self.limit + more).min(self.most);
        Some(self.limit)
    }

    /// The service asked to slow down. What was under way then may be told so too; one answer counts for all of them.
    fn throttled(&mut self, now: Instant) -> Option<usize> {
        let told_already = self.window.is_some_and(|began| now - began < WINDOW) && self.rests(now);
        if told_already || self.limit <= self.least {
            return None;
        }
        self.limit = (self.limit / 2).max(self.least);
        self.rest(now);
        self.begin_window(now);
        Some(self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets requests end for so long, at a server where each takes `latency` and no more than `capacity` end in a second.
    fn work(course: &mut Course, now: &mut Instant, latency: Duration, capacity: f64, seconds: u64) {
        let until = *now + Duration::from_secs(seconds);
        while *now < until {
            let by_hands = latency / u32::try_from(course.limit).unwrap();
            *now += by_hands.max(Duration::from_secs_f64(1.0 / capacity));
            course.waited = true;
            course.ended(*now);
        }
    }

    #[test]
    fn it_grows_where_each_request_takes_long() {
        let (mut course, mut now) = (Course::new(FIRST, MOST), Instant::now());
        work(&mut course, &mut now, Duration::from_millis(20), f64::INFINITY, 2);
        assert_eq!(course.limit, MOST);
    }

    #[test]
    fn it_stays_modest_where_more_does_not_help() {
        let (mut course, mut now) = (Course::new(FIRST, MOST), Instant::now());
        work(&mut course, &mut now, Duration::from_millis(1), 4000.0, 60);
        assert!(course.limit <= 2 * FIRST, "{}", course.limit);
        // The server has become slow to answer: what did not help before does now.
        work(&mut course, &mut now, Duration::from_millis(40), 4000.0, 60);
        assert_eq!(course.limit, MOST);
    }

    #[test]
    fn it_shrinks_once_for_each_wave_of_throttling_and_never_to_nothing() {
        let (mut course, mut now) = (Course::new(FIRST, MOST), Instant::now());
        work(&mut course, &mut now, Duration::from_millis(20), f64::INFINITY, 2);
        for _ in 0..MOST {
            course.throttled(now);
        }
        assert_eq!(course.limit, MOST / 2);
        for _ in 0..20 {
            now += WINDOW;
            course.throttled(now);
        }
        assert_eq!(course.limit, 1);
        work(&mut course, &mut now, Duration::from_millis(20), f64::INFINITY, 60);
        assert_eq!(course.limit, MOST, "it comes back when nothing is throttled any more");
    }

    #[test]
    fn nothing_waiting_is_no_reason_to_grow() {
        let (mut course, mut now) = (Course::new(FIRST, MOST), Instant::now());
        for _ in 0..10_000 {
            now += Duration::from_millis(5);
            course.ended(now);
        }
        assert_eq!(course.limit, FIRST);
    }

    #[tokio::test]
    async fn no_more_hands_are_busy_than_there_are() {
        let hands = Hands::with(Course::new(4, 8));
        let mut busy: Vec<Hand> = Vec::new();
        for _ in 0..4 {
            busy.push(hands.take().await);
        }
        hands.heed(Fault::Throttled);
        busy.truncate(2);
        assert_eq!(hands.free.available_permits(), 0, "two of four have gone for good");
        busy.clear();
        assert_eq!(hands.free.available_permits(), 2);
        hands.change(|course, _| {
            course.limit = 8;
            Some(8)
        });
        assert_eq!(hands.free.available_permits(), 8);
    }

    #[tokio::test]
    async fn what_is_set_by_hand_stays() {
        let hands = Hands::new(Some(3), FIRST);
        hands.heed(Fault::Throttled);
        let mut course = hands.course.lock().unwrap();
        let mut now = Instant::now();
        work(&mut course, &mut now, Duration::from_millis(20), f64::INFINITY, 10);
        assert_eq!((course.limit, course.most, hands.free.available_permits()), (3, 3, 3));
    }
}
