//! The journal's clock: what tells how long ago a send was intended. A deduplication window must never seem younger than it
//! is, so this clock never goes back and never falls behind the time that has passed, whatever is done to the machine's.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

/// Tells the time; an argument, so that tests can turn it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The clock of the machine, or a server's where one is known and ahead. A process that comes after another has nothing else to
/// tell it that the machine's clock was set back in between.
pub fn system_clock(server: impl Fn() -> Option<Timestamp> + Send + Sync + 'static) -> Clock {
    let steady = Mutex::new(Steady { last: Timestamp::MIN, read: Instant::now() });
    Arc::new(move || {
        let shown = Timestamp::now().max(server().unwrap_or(Timestamp::MIN));
        steady.lock().unwrap_or_else(PoisonError::into_inner).advance(shown, Instant::now())
    })
}

/// The last time that was told, and when.
struct Steady {
    last: Timestamp,
    read: Instant,
}

impl Steady {
    /// The later of what clocks show and what they should show by the time that has passed: the first counts the
    /// sleep of a machine, the second goes on when the clock is set back.
    fn advance(&mut self, shown: Timestamp, now: Instant) -> Timestamp {
        let passed = SignedDuration::try_from(now.saturating_duration_since(self.read)).unwrap_or_default();
        self.last = self.last.checked_add(passed).unwrap_or(self.last).max(shown);
        self.read = now;
        self.last
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_never_goes_back_and_never_falls_behind() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let start = Instant::now();
        let mut clock = Steady { last: Timestamp::MIN, read: start };
        // After so many seconds the machine's clock shows this; what is told.
        for (passed, shown, told) in [
            (0, 1_000, 1_000),
            (60, 1_060, 1_060),
            // It is set back by an hour, and goes on from there.
            (61, -2_539, 1_061),
            (361, -2_239, 1_361),
            // The machine slept for an hour, which it alone has counted.
            (362, 4_962, 4_962),
            (363, 4_963, 4_963),
        ] {
            assert_eq!(clock.advance(at(shown), start + Duration::from_secs(passed)), at(told), "after {passed} s");
        }
    }

    #[test]
    fn it_is_no_earlier_than_the_servers_clock() {
        let ahead = Timestamp::now().checked_add(SignedDuration::from_hours(1)).unwrap();
        let told = system_clock(move || Some(ahead))();
        assert!(told >= ahead && told.duration_since(ahead) < SignedDuration::from_mins(10));
        assert!(system_clock(|| None)().duration_since(Timestamp::now()).abs() < SignedDuration::from_mins(10));
    }
}
