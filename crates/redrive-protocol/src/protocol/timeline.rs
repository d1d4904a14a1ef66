//! How a run went over time, in slices: what left the source, came into doubt and was throttled; and for whoever reads it, what
//! came back and when guards and people intervened, which has times of its own in the journal. However long a run takes, its
//! slices are few: if there are too many, each becomes twice as long.

/// The most slices that are kept.
const MOST: usize = 120;

/// How long a slice is at first, in seconds.
const FIRST: i64 = 1;

/// What happened in one slice, or until now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Happened {
    /// Messages that left the source.
    pub left: u64,
    /// Messages of which the answer to a send never came.
    pub in_doubt: u64,
    /// Requests that were throttled.
    pub throttled: u64,
    /// Messages that were seen to be back. Only for whoever reads.
    pub came_back: u64,
    /// What guards and people did. Only for whoever reads.
    pub guarded: u64,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// How long each slice is, in seconds.
    pub seconds: i64,
    /// The slices in which something happened, each with the second since 1970 at which it begins, the earliest first.
    pub slices: Vec<(i64, Happened)>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { seconds: FIRST, slices: Vec::new() }
    }
}

impl Timeline {
    /// All that happened.
    pub fn all(&self) -> Happened {
        self.slices.iter().fold(Happened::default(), |all, (_, slice)| all.with(*slice))
    }

    /// Puts what has happened since the last time into the slice of this second, so that a process that died in between leaves the
    /// sums right. Says whether that was anything.
    pub fn note(&mut self, second: i64, until_now: Happened) -> bool {
        let new = until_now.without(self.all());
        if new == Happened::default() {
            return false;
        }
        let start = second - second.rem_euclid(self.seconds);
        match self.slices.last_mut() {
            // A clock that was set back makes no slice before the last.
            Some((last, slice)) if *last >= start => *slice = slice.with(new),
            _ => self.slices.push((start, new)),
        }
        self.shorten();
        true
    }

    /// Makes slices longer until they are few.
    pub fn shorten(&mut self) {
        while self.slices.len() > MOST {
            self.seconds *= 2;
            let slices = std::mem::take(&mut self.slices);
            for (start, slice) in slices {
                let start = start - start.rem_euclid(self.seconds);
                match self.slices.last_mut() {
                    Some((last, longer)) if *last == start => *longer = longer.with(slice),
                    _ => self.slices.push((start, slice)),
                }
            }
        }
    }

    /// Puts something into the slice of a second, wherever that is.
    pub fn mark(&mut self, second: i64, happened: Happened) {
        let start = second - second.rem_euclid(self.seconds);
        match self.slices.binary_search_by_key(&start, |(start, _)| *start) {
            Ok(at) => self.slices[at].1 = self.slices[at].1.with(happened),
            Err(at) => self.slices.insert(at, (start, happened)),
        }
    }
}

impl Happened {
    fn with(self, other: Self) -> Self {
        Self {
            left: self.left + other.left,
            in_doubt: self.in_doubt + other.in_doubt,
            throttled: self.throttled + other.throttled,
            came_back: self.came_back + other.came_back,
            guarded: self.guarded + other.guarded,
        }
    }

    /// A message that reappears in the source has left it all the same.
    fn without(self, other: Self) -> Self {
        Self {
            left: self.left.saturating_sub(other.left),
            in_doubt: self.in_doubt.saturating_sub(other.in_doubt),
            throttled: self.throttled.saturating_sub(other.throttled),
            came_back: self.came_back.saturating_sub(other.came_back),
            guarded: self.guarded.saturating_sub(other.guarded),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(left: u64) -> Happened {
        Happened { left, ..Happened::default() }
    }

    #[test]
    fn what_happened_since_the_last_time_is_in_the_slice_of_now() {
        let mut timeline = Timeline::default();
        assert!(timeline.note(100, left(5)));
        assert!(!timeline.note(101, left(5)), "nothing happened");
        assert!(timeline.note(101, Happened { in_doubt: 2, ..left(6) }));
        // One reappeared, and the clock was set back.
        assert!(!timeline.note(102, Happened { in_doubt: 2, ..left(5) }));
        assert!(timeline.note(90, Happened { in_doubt: 2, throttled: 3, ..left(6) }));
        let second = Happened { in_doubt: 2, throttled: 3, ..left(1) };
        assert_eq!(timeline.slices, [(100, left(5)), (101, second)]);
    }

    #[test]
    fn marks_are_put_where_they_belong_and_slices_stay_few() {
        let mut timeline = Timeline { seconds: 10, slices: vec![(100, left(5)), (120, left(1))] };
        let back = Happened { came_back: 2, ..Happened::default() };
        for second in [129, 90, 115] {
            timeline.mark(second, back);
        }
        let both = Happened { came_back: 2, ..left(1) };
        assert_eq!(timeline.slices, [(90, back), (100, left(5)), (110, back), (120, both)]);
        (0..1_000).for_each(|look| timeline.mark(200 + 10 * look, back));
        timeline.shorten();
        assert_eq!((timeline.slices.len() <= MOST, timeline.all().came_back), (true, 2_006));
    }

    #[test]
    fn slices_become_longer_and_stay_few_and_lose_nothing() {
        let mut timeline = Timeline::default();
        for second in 0..100_000 {
            timeline.note(1_000_000 + second, left(10 * (1 + second.unsigned_abs())));
            assert!(timeline.slices.len() <= MOST);
        }
        assert_eq!((timeline.seconds, timeline.all()), (1024, left(1_000_000)));
        assert!(timeline.slices.len() > MOST / 2 && timeline.slices.is_sorted_by_key(|(start, _)| *start));
        // A day later it goes on.
        timeline.note(1_200_000, left(1_000_001));
        assert_eq!(timeline.slices.last(), Some(&(1_200_000 - 1_200_000 % 1024, left(1))));
    }
}
