//! How fast to send while a consumer is behind: the rate is halved while its queue holds too much, and rises evenly again when it
//! does not. Pure.

/// The part of the rate at which sending was first slowed, by which it rises at each look.
const RISES_BY: f64 = 0.1;

/// The rate that a backlog allows.
#[derive(Debug, Clone)]
pub struct Backlog {
    most: u64,
    /// The rate at which sending was first slowed.
    from: f64,
    /// Messages a second; `None` while nothing is slowed.
    cap: Option<f64>,
}

impl Backlog {
    /// Nothing is slowed as long as a destination holds no more than this.
    pub fn new(most: u64) -> Self {
        Self { most, from: 0.0, cap: None }
    }

    /// The most that a destination should hold.
    pub fn most(&self) -> u64 {
        self.most
    }

    /// Whether sending is slowed.
    pub fn is_slowing(&self) -> bool {
        self.cap.is_some()
    }

    /// What the fullest destination holds now, and how many messages a second were sent since the last look: gives how many may
    /// be sent from now on, `None` for as many as else.
    pub fn look(&mut self, backlog: u64, sent_per_second: f64) -> Option<u32> {
        if backlog > self.most {
            if self.cap.is_none() {
                self.from = sent_per_second.max(1.0);
            }
            // What is not used of a rate is no reason to halve from there.
            let now = self.cap.map_or(sent_per_second, |cap| cap.min(sent_per_second.max(1.0)));
            self.cap = Some((now / 2.0).max(1.0));
        } else if let Some(cap) = self.cap {
            let risen = cap + (self.from * RISES_BY).max(1.0);
            self.cap = (risen < self.from).then_some(risen);
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate of at least one a second")]
        self.cap.map(|cap| cap.min(f64::from(u32::MAX)) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_halves_the_rate_and_an_empty_one_lets_it_rise_to_where_it_was() {
        let mut backlog = Backlog::new(100);
        assert_eq!(backlog.look(100, 200.0), None, "as much as it may hold");
        assert_eq!(backlog.look(101, 200.0), Some(100));
        assert_eq!(backlog.look(101, 100.0), Some(50));
        assert_eq!(backlog.look(101, 50.0), Some(25));
        let rising: Vec<_> = std::iter::from_fn(|| backlog.look(0, 25.0)).collect();
        assert_eq!(rising.first(), Some(&45));
        assert!(rising.is_sorted() && rising.len() == 8, "{rising:?}");
        assert_eq!(backlog.look(0, 200.0), None);
    }

    #[test]
    fn it_never_stops_altogether() {
        let mut backlog = Backlog::new(1);
        assert!((0..50).all(|_| backlog.look(1_000_000, 0.0) >= Some(1)));
    }

    /// A consumer of 50 a second and a run that could send 400: its queue stays near the limit and never runs dry for long.
    #[test]
    fn a_slow_consumer_is_kept_busy_and_not_buried() {
        let (mut backlog, mut held, mut rate) = (Backlog::new(500), 0.0_f64, 400.0_f64);
        let (mut most, mut consumed) = (0.0_f64, 0.0);
        for look in 0..500 {
            let taken = (held + rate).min(50.0);
            held += rate - taken;
            consumed += taken;
            let sent = rate;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            let cap = backlog.look(held as u64, sent);
            rate = cap.map_or(400.0, f64::from);
            most = if look > 10 { most.max(held) } else { most };
        }
        assert!(most < 1_500.0, "{most}");
        assert!(consumed > 50.0 * 500.0 * 0.9, "{consumed}");
    }
}
