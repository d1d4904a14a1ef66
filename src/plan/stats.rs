//! From a sample to the queue: intervals that say how little a sample knows, and the bounds that apply must not pass.
//! Pure arithmetic over counts; it knows nothing of messages or queues.
//!
//! For `hits` among `n` messages looked at, out of `N` in the queue, the interval is Wilson's, with the finite-population
//! correction put into the quantile, because the `n` were taken without putting back:
//!
//! ```text
//! p = hits / n        f = (N - n) / (N - 1)        q = z² f
//!
//!          p + q/2n  ±  sqrt( q (p (1 - p) / n  +  q / 4n²) )
//! share =  --------------------------------------------------
//!                             1 + q/n
//! ```
//!
//! Its ends times `N` are rounded outwards and then cut to what is certain: the hits are there, and so are the others. With
//! `n = N`, `f` is zero and the interval is the count itself; with no hits it still has an upper end. The one assumption is
//! that SQS hands out messages without regard to their content; a FIFO queue does not, and the plan says so as a hazard.

use super::document::Estimate;

/// The two-sided 95 % quantile of the normal distribution: for what is shown.
pub(super) const Z_95: f64 = 1.959_963_984_540_054;

/// The two-sided 99.9 % quantile: for bounds.
pub(super) const Z_999: f64 = 3.290_526_731_491_926;

/// The least that a bound lies above the figure it is made from, in messages.
pub(super) const MIN_TOLERANCE: u64 = 10;

/// What `[plan] tolerance` is where the job does not say, in percent.
pub(super) const DEFAULT_TOLERANCE: u32 = 5;

/// How many messages were looked at, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    sampled: u64,
    population: u64,
}

impl Size {
    /// `population` is approximate and may lag behind; what was seen is there in any case.
    pub(super) fn new(sampled: u64, population: u64) -> Self {
        Self { sampled, population: population.max(sampled) }
    }

    /// Messages that the figures are projected on.
    pub(super) fn population(self) -> u64 {
        self.population
    }

    /// Whether nothing is left to estimate.
    pub(super) fn is_exact(self) -> bool {
        self.sampled == self.population
    }
}

/// The interval of the number of messages in the queue of which the sample holds `hits`.
pub(super) fn interval(hits: u64, size: Size, z: f64) -> (u64, u64) {
    let hits = hits.min(size.sampled);
    if size.is_exact() {
        return (hits, hits);
    }
    if size.sampled == 0 {
        return (0, size.population);
    }
    let (n, population) = (float(size.sampled), float(size.population));
    let p = float(hits) / n;
    let q = z * z * (population - n) / (population - 1.0);
    let centre = p + q / (2.0 * n);
    let half = (q * (p * (1.0 - p) / n + q / (4.0 * n * n))).sqrt();
    let scale = population / (1.0 + q / n);
    let others = size.sampled - hits;
    let low = integer(((centre - half) * scale).floor()).max(hits);
    let high = integer(((centre + half) * scale).ceil()).min(size.population - others);
    // Rounding of very large floats may pass the certain ends; they win.
    (low.min(high), high.max(hits))
}

/// The projection of `hits` on the queue, with its 95 % interval.
pub(super) fn estimate(hits: u64, size: Size) -> Estimate {
    let (low, high) = interval(hits, size, Z_95);
    Estimate { sampled: hits, total: project(hits, size).clamp(low, high), low, high }
}

/// The most messages that may leave by a rule of which the sample holds `hits`: the upper end of the 99.9 % interval, or the
/// exact count, and `tolerance` percent of it, at least [`MIN_TOLERANCE`].
pub(super) fn bound(hits: u64, size: Size, tolerance: u32) -> u64 {
    let (_, high) = interval(hits, size, Z_999);
    let margin = u128::from(high) * u128::from(tolerance);
    let margin = u64::try_from(margin.div_ceil(100)).unwrap_or(u64::MAX);
    high.saturating_add(margin.max(MIN_TOLERANCE))
}

/// `amount` of the sample, scaled to the queue and rounded; zero where nothing was sampled.
pub(super) fn project(amount: u64, size: Size) -> u64 {
    if size.sampled == 0 {
        return 0;
    }
    let (amount, sampled) = (u128::from(amount), u128::from(size.sampled));
    let scaled = amount.saturating_mul(u128::from(size.population)).saturating_add(sampled / 2) / sampled;
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "beyond 2^53 messages the last digits of an estimate mean nothing")]
fn float(count: u64) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, which is what an estimate needs at both ends"
)]
fn integer(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn a_whole_queue_is_exact() {
        for hits in [0, 1, 200, 400] {
            let whole = estimate(hits, Size::new(400, 400));
            assert_eq!(whole, Estimate { sampled: hits, total: hits, low: hits, high: hits });
        }
        assert_eq!(estimate(0, Size::new(0, 0)), Estimate { sampled: 0, total: 0, low: 0, high: 0 });
    }

    #[test]
    fn no_hits_are_no_certainty() {
        let none = estimate(0, Size::new(1000, 100_000));
        assert_eq!((none.total, none.low), (0, 0));
        assert!((300..500).contains(&none.high), "{none:?}");
        let all = estimate(1000, Size::new(1000, 100_000));
        assert_eq!((all.total, all.high), (100_000, 100_000));
        assert_eq!(all.low, 100_000 - none.high);
    }

    #[test]
    fn nothing_sampled_is_nothing_known() {
        assert_eq!(estimate(0, Size::new(0, 500)), Estimate { sampled: 0, total: 0, low: 0, high: 500 });
        assert_eq!(bound(0, Size::new(0, 500), 5), 525);
    }

    #[test]
    fn the_interval_is_wilsons() {
        // Newcombe (1998): 81 of 263 gives 0.2553 to 0.3662; here in a population that is as good as endless.
        let (low, high) = interval(81, Size::new(263, 1_000_000_000), Z_95);
        assert!((255_250_000..255_350_000).contains(&low), "{low}");
        assert!((366_150_000..366_250_000).contains(&high), "{high}");
    }

    #[test]
    fn the_correction_narrows_with_the_share_that_was_seen() {
        let widths: Vec<u64> = [10_000, 2_000, 1_250, 1_010]
            .into_iter()
            .map(|population| interval(500, Size::new(1_000, population), Z_95))
            .map(|(low, high)| high - low)
            .collect();
        assert!(widths.is_sorted_by(|wide, narrow| wide > narrow), "{widths:?}");
    }

    #[test]
    fn a_bound_is_the_figure_and_its_tolerance() {
        assert_eq!(bound(100, Size::new(400, 400), 5), 110, "at least ten");
        assert_eq!(bound(1000, Size::new(1000, 1000), 5), 1050, "five percent");
        assert_eq!(bound(1001, Size::new(1001, 1001), 5), 1052, "rounded up");
        assert_eq!(bound(1000, Size::new(1000, 1000), 0), 1010, "no tolerance is still ten");
        assert_eq!(bound(0, Size::new(0, 0), 5), 10);
    }

    #[test]
    fn the_ends_of_the_integers_saturate() {
        assert_eq!(bound(u64::MAX, Size::new(u64::MAX, u64::MAX), u32::MAX), u64::MAX);
        let (low, high) = interval(1, Size::new(2, u64::MAX), Z_95);
        assert!(low >= 1 && high < u64::MAX);
        assert_eq!(project(u64::MAX, Size::new(1, u64::MAX)), u64::MAX);
    }

    /// Draws samples of 200 without putting back and counts how often what is made of the hits holds.
    fn coverage(population: u64, truth: u64, holds: impl Fn(u64, Size) -> bool) -> f64 {
        let sampled = 200;
        let mut rng = StdRng::seed_from_u64(4711);
        let runs = 1500;
        let held = (0..runs)
            .filter(|_| {
                let (mut left, mut hits_left, mut hits) = (population, truth, 0);
                for _ in 0..sampled {
                    if rng.random_range(0..left) < hits_left {
                        hits_left -= 1;
                        hits += 1;
                    }
                    left -= 1;
                }
                holds(hits, Size::new(sampled, population))
            })
            .count();
        f64::from(u32::try_from(held).expect("few runs")) / f64::from(runs)
    }

    #[test]
    fn the_intervals_hold_the_truth_as_often_as_they_say() {
        for (population, truth) in [(1_000, 10), (1_000, 300), (5_000, 2_500), (5_000, 4_950), (50_000, 500)] {
            let shown = coverage(population, truth, |hits, size| {
                let (low, high) = interval(hits, size, Z_95);
                (low..=high).contains(&truth)
            });
            assert!(shown >= 0.93, "{truth} of {population}: {shown}");
            // Passing the bound must be drift, not bad luck. Near 0 % and 100 % the interval alone holds a little less often
            // than it says; the tolerance more than makes up for it.
            let bounded = coverage(population, truth, |hits, size| truth <= bound(hits, size, DEFAULT_TOLERANCE));
            assert!(bounded >= 0.999, "{truth} of {population}: {bounded}");
        }
    }

    proptest! {
        #[test]
        fn an_interval_never_contradicts_what_was_seen(hits: u64, more: u64, rest: u64, tolerance: u32) {
            let sampled = hits.saturating_add(more);
            let size = Size::new(sampled, sampled.saturating_add(rest));
            let figure = estimate(hits, size);
            prop_assert!(hits <= figure.low && figure.low <= figure.total && figure.total <= figure.high);
            prop_assert!(figure.high <= size.population() - (sampled - hits));
            let (low, high) = interval(hits, size, Z_999);
            prop_assert!(low <= figure.low && figure.high <= high);
            prop_assert!(bound(hits, size, tolerance) >= high);
        }

        #[test]
        fn more_hits_never_lower_the_ends(hits in 0_u64..500, rest in 0_u64..100_000) {
            let size = Size::new(500, 500 + rest);
            let (fewer, more) = (interval(hits, size, Z_95), interval(hits + 1, size, Z_95));
            prop_assert!(fewer.0 <= more.0 && fewer.1 <= more.1);
        }
    }
}
