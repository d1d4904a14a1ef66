//! What is newer than `sent_before`. A producer that never pauses would keep a run going for ever: receives never come back empty.
//! So it is noted since when nothing else was met. Pure; `dry` decides.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Since when a run has met nothing but such messages.
#[derive(Debug, Default)]
pub(super) struct OnlyNewer(Mutex<Option<Course>>);

/// A time in which nothing else was met.
#[derive(Debug)]
struct Course {
    since: Instant,
    /// How many of them were met.
    met: u64,
}

impl OnlyNewer {
    fn change<T>(&self, change: impl FnOnce(&mut Option<Course>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A message was met that is newer than the bound.
    pub(super) fn met_newer(&self, now: Instant) {
        self.change(|course| course.get_or_insert(Course { since: now, met: 0 }).met += 1);
    }

    /// Another message was met.
    pub(super) fn met_other(&self) {
        self.change(|course| *course = None);
    }

    /// For how long nothing else was met, and how many of them were; `None` where it is another that was met last.
    pub(super) fn lasts(&self, now: Instant) -> Option<(Duration, u64)> {
        self.change(|course| course.as_ref().map(|course| (now.saturating_duration_since(course.since), course.met)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_counts_from_the_first_after_another() {
        let (newer, start) = (OnlyNewer::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(newer.lasts(at(0)), None);
        newer.met_newer(at(1));
        newer.met_newer(at(5));
        assert_eq!(newer.lasts(at(9)), Some((Duration::from_secs(8), 2)));
        newer.met_other();
        assert_eq!(newer.lasts(at(9)), None);
        newer.met_newer(at(10));
        assert_eq!(newer.lasts(at(12)), Some((Duration::from_secs(2), 1)));
    }
}
