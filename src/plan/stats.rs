//! From a sample to the queue: intervals that say how little a sample knows, and the bounds that apply must not pass.
//! Pure arithmetic over counts; it knows nothing of messages or queues.
//!
//! The interval is exact, as that of Clopper and Pearson, for a finite population: of `n` messages looked at, out of `N`, without
//! putting back, `hits` were of one kind. Its upper end is the largest number `K` of that kind in the queue with which a sample
//! of `n` holds no more than `hits` with more than half of the probability that is left to error:
//!
//! ```text
//! P(X <= hits) > tail,    P(X = x) = C(K, x) C(N - K, n - x) / C(N, n)
//! ```
//!
//! The lower end is the same for the messages of the other kind. So it holds the truth at least as often as it says, however
//! small the sample and however rare the kind: no hits among 30 still mean up to a tenth of the queue. With `n = N` it is
//! the count itself. The one assumption is that the sample speaks for the queue, which `evenness` tests. Where it does not, there
//! is no interval, and the ends are what is certain: no fewer than were seen, and no more than are left. Where it is worth fewer
//! messages than it holds, the interval is that of a sample of as many, out of a queue that is smaller by the same factor.

use super::document::{Estimate, Sample};
use super::evenness::Basis;

/// What lies beyond each end of a 95 % interval: for what is shown.
pub(super) const TAIL_95: f64 = 0.05 / 2.0;

/// What lies beyond each end of a 99.9 % interval: for bounds. A rule whose plan is right passes its bound by chance less often
/// than once in two thousand plans.
pub(super) const TAIL_999: f64 = 0.001 / 2.0;

/// Larger queues are computed as one of this size: their factorials would leave no digits for the probabilities.
const MOST: u64 = 1 << 30;

/// The least that a bound lies above the figure it is made from, in messages.
pub(super) const MIN_TOLERANCE: u64 = 10;

/// What `[plan] tolerance` is where the job does not say, in percent.
pub(super) const DEFAULT_TOLERANCE: u32 = 5;

/// How many messages were looked at, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    sampled: u64,
    population: u64,
    /// How many messages the sample is worth; none if it does not speak for the queue.
    effective: u64,
}

impl Size {
    /// `population` is approximate and may lag behind; what was seen is there in any case.
    pub(super) fn new(sampled: u64, population: u64) -> Self {
        Self { sampled, population: population.max(sampled), effective: sampled }
    }

    /// The same, resting on this.
    pub(super) fn on(self, basis: Basis) -> Self {
        let effective = match basis {
            Basis::Whole => self.sampled,
            Basis::Even { effective } => effective.min(self.sampled),
            Basis::Uneven(_) => 0,
        };
        Self { effective, ..self }
    }

    /// What a plan says that it looked at.
    pub(super) fn of(sample: &Sample) -> Self {
        Self::new(sample.messages, sample.population).on(sample.basis)
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

/// The interval of the number of messages in the queue of which the sample holds `hits`, with a probability of `tail` beyond
/// each end.
pub(super) fn interval(hits: u64, size: Size, tail: f64) -> (u64, u64) {
    let Size { sampled, population, effective } = size;
    let hits = hits.min(sampled);
    let others = sampled - hits;
    if size.is_exact() {
        return (hits, hits);
    }
    if effective == 0 || sampled > MOST {
        return (hits, population - others);
    }
    // Rounded up, of either kind, so that rounding widens the interval.
    let worth = |number: u64, round: u64| {
        let worth = (u128::from(number) * u128::from(effective) + u128::from(round)) / u128::from(sampled);
        u64::try_from(worth).unwrap_or(u64::MAX)
    };
    let least = worth(population, 0).clamp(effective, MOST);
    let computed = Size { sampled: effective, population: least, effective };
    let most = |number: u64| computed.most(worth(number, sampled - 1).min(effective), tail);
    let scaled = |number: u64, round: u64| {
        let scaled =
            (u128::from(number) * u128::from(population) + u128::from(round)) / u128::from(computed.population);
        u64::try_from(scaled).unwrap_or(u64::MAX)
    };
    let low = scaled(computed.population - most(others), 0);
    let high = scaled(most(hits), computed.population - 1);
    // Rounding of a scaled number may pass the certain ends; they win.
    (low.clamp(hits, population - others), high.clamp(hits, population - others))
}

impl Size {
    /// The most messages of one kind that the queue can hold, where a sample holds `hits` of them.
    fn most(self, hits: u64, tail: f64) -> u64 {
        // Below, the sample is surely possible; above, it holds more others than the queue.
        let (mut possible, mut end) = (hits, self.population - (self.sampled - hits) + 1);
        while end - possible > 1 {
            let middle = possible + (end - possible) / 2;
            if self.is_likelier(hits, middle, tail) { possible = middle } else { end = middle }
        }
        possible
    }

    /// Whether a sample holds no more than `hits` of `kind` messages in the queue with a probability above `tail`.
    fn is_likelier(self, hits: u64, kind: u64, tail: f64) -> bool {
        let (n, all, kind) = (float(self.sampled), float(self.population), float(kind));
        let mut x = float(hits);
        if x >= n * kind / all {
            // The median lies between the two whole numbers beside the mean.
            return true;
        }
        let mut term = (ln_choose(kind, x) + ln_choose(all - kind, n - x) - ln_choose(all, n)).exp();
        let mut sum = term;
        // Below the mean each term is smaller than the one before it.
        while sum <= tail && x > 0.0 && term > sum * f64::EPSILON {
            term *= x * (all - kind - n + x) / ((kind - x + 1.0) * (n - x + 1.0));
            sum += term;
            x -= 1.0;
        }
        sum > tail
    }
}

/// The logarithm of the number of ways to take `k` out of `n`.
fn ln_choose(n: f64, k: f64) -> f64 {
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}

/// Stirling's series; the few small numbers for which it is not precise are multiplied.
fn ln_factorial(n: f64) -> f64 {
    if n < 16.0 {
        let (mut product, mut factor) = (1.0, 2.0);
        while factor <= n {
            product *= factor;
            factor += 1.0;
        }
        return product.ln();
    }
    let inverse = 1.0 / n;
    let square = inverse * inverse;
    let series = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square / 1260.0));
    n * n.ln() - n + 0.5 * (std::f64::consts::TAU * n).ln() + series
}

/// The projection of `hits` on the queue, with its 95 % interval.
pub(super) fn estimate(hits: u64, size: Size) -> Estimate {
    let (low, high) = interval(hits, size, TAIL_95);
    let is_interval = size.is_exact() || size.effective > 0;
    Estimate { sampled: hits, total: project(hits, size).clamp(low, high), low, high, is_interval }
}

/// The most messages that may leave by a rule of which the sample holds `hits`: the upper end of the 99.9 % interval, or the
/// exact count, and `tolerance` percent of it, at least [`MIN_TOLERANCE`].
pub(super) fn bound(hits: u64, size: Size, tolerance: u32) -> u64 {
    let (_, high) = interval(hits, size, TAIL_999);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::plan::Unevenness;

    #[test]
    fn a_whole_queue_is_exact() {
        for hits in [0, 1, 200, 400] {
            let whole = estimate(hits, Size::new(400, 400));
            assert_eq!(whole, Estimate { sampled: hits, total: hits, low: hits, high: hits, is_interval: true });
        }
        let none = Estimate { sampled: 0, total: 0, low: 0, high: 0, is_interval: true };
        assert_eq!(estimate(0, Size::new(0, 0)), none);
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
        let nothing = Estimate { sampled: 0, total: 0, low: 0, high: 500, is_interval: false };
        assert_eq!(estimate(0, Size::new(0, 500)), nothing);
        assert_eq!(bound(0, Size::new(0, 500), 5), 525);
    }

    #[test]
    fn the_interval_is_that_of_clopper_and_pearson() {
        // Newcombe (1998), method 5; here in a population that is as good as endless.
        for (hits, sampled, low, high) in [
            (81, 263, 0.2527, 0.3676),
            (15, 148, 0.0578, 0.1617),
            (0, 20, 0.0, 0.1684),
            (1, 29, 0.0009, 0.1776),
            (29, 29, 0.8806, 1.0),
        ] {
            let all = 1_000_000_000;
            let found = interval(hits, Size::new(sampled, all), TAIL_95);
            let share = |number: u64| (float(number) / float(all) * 10_000.0).round() / 10_000.0;
            assert_eq!((share(found.0), share(found.1)), (low, high), "{hits} of {sampled}");
        }
        // By hand: of 4 messages 2 were looked at, and none was of the kind. Were 1 of the 4, that would happen in half of all
        // samples; were 2, in one of six; 3 cannot be.
        assert_eq!(interval(0, Size::new(2, 4), TAIL_95), (0, 2));
        assert_eq!(interval(0, Size::new(2, 4), 0.17), (0, 1));
    }

    /// The probability of each number of hits, by multiplying out.
    fn chances(kind: u64, size: Size) -> impl Iterator<Item = (u64, f64)> {
        let (n, all) = (size.sampled, size.population);
        let possible = n.saturating_sub(all - kind)..=n.min(kind);
        possible.map(move |hits| {
            let mut chance = 1.0;
            for drawn in 0..n {
                let (from, left) = if drawn < hits { (kind, drawn) } else { (all - kind, drawn - hits) };
                chance *= float(from - left) / float(all - drawn);
                if drawn < hits {
                    chance *= float(n - drawn) / float(hits - drawn);
                }
            }
            (hits, chance)
        })
    }

    #[test]
    fn a_bound_is_passed_by_chance_less_often_than_once_in_a_thousand_plans() {
        for (sampled, population) in [(1, 50), (5, 50), (30, 1_000), (100, 1_000), (100, 40_000)] {
            let size = Size::new(sampled, population);
            let shown: Vec<_> = (0..=sampled).map(|hits| interval(hits, size, TAIL_95)).collect();
            let bounds: Vec<_> = (0..=sampled).map(|hits| interval(hits, size, TAIL_999).1).collect();
            for kind in (0..=population).step_by(usize::try_from(population / 50).expect("small")) {
                let (mut missed, mut passed, mut all) = (0.0, 0.0, 0.0);
                for (hits, chance) in chances(kind, size) {
                    let at = usize::try_from(hits).expect("small");
                    all += chance;
                    missed += if (shown[at].0..=shown[at].1).contains(&kind) { 0.0 } else { chance };
                    passed += if kind > bounds[at] { chance } else { 0.0 };
                }
                assert!((all - 1.0).abs() < 1e-9, "{all}");
                assert!(missed <= 0.05 && passed <= 0.0005, "{kind} of {population}: {missed} {passed}");
            }
        }
    }

    #[test]
    fn the_correction_narrows_with_the_share_that_was_seen() {
        let widths: Vec<u64> = [10_000, 2_000, 1_250, 1_010]
            .into_iter()
            .map(|population| interval(500, Size::new(1_000, population), TAIL_95))
            .map(|(low, high)| high - low)
            .collect();
        assert!(widths.is_sorted_by(|wide, narrow| wide > narrow), "{widths:?}");
    }

    #[test]
    fn a_sample_that_does_not_speak_for_the_queue_gives_what_is_certain() {
        let size = Size::new(100, 1_000).on(Basis::Uneven(Unevenness::ByAge));
        let figure = estimate(30, size);
        assert_eq!(figure, Estimate { sampled: 30, total: 300, low: 30, high: 930, is_interval: false });
        let whole = Size::new(100, 100).on(Basis::Uneven(Unevenness::OneKind));
        assert_eq!(interval(30, whole, TAIL_95), (30, 30));
    }

    #[test]
    fn a_sample_worth_fewer_messages_has_the_interval_of_a_smaller_one() {
        let worth = |effective| interval(300, Size::new(1_000, 40_000).on(Basis::Even { effective }), TAIL_95);
        assert_eq!(worth(1_000), interval(300, Size::new(1_000, 40_000), TAIL_95));
        let (low, high) = interval(75, Size::new(250, 10_000), TAIL_95);
        assert_eq!(worth(250), (low * 4, high * 4));
        let widths = [1_000, 700, 333, 100, 1].map(|effective| worth(effective).1 - worth(effective).0);
        assert!(widths.is_sorted(), "{widths:?}");
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
        let (low, high) = interval(1, Size::new(2, u64::MAX), TAIL_95);
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
                let (low, high) = interval(hits, size, TAIL_95);
                (low..=high).contains(&truth)
            });
            assert!(shown >= 0.93, "{truth} of {population}: {shown}");
            // Passing the bound must be drift, not bad luck.
            let bounded = coverage(population, truth, |hits, size| truth <= bound(hits, size, DEFAULT_TOLERANCE));
            assert!(bounded >= 0.999, "{truth} of {population}: {bounded}");
        }
    }

    proptest! {
        #[test]
        fn an_interval_never_contradicts_what_was_seen(hits: u64, more: u64, rest: u64, tolerance: u32, effective: u64) {
            let sampled = hits.saturating_add(more);
            let size = Size::new(sampled, sampled.saturating_add(rest)).on(Basis::Even { effective });
            let figure = estimate(hits, size);
            prop_assert!(hits <= figure.low && figure.low <= figure.total && figure.total <= figure.high);
            prop_assert!(figure.high <= size.population() - (sampled - hits));
            let (low, high) = interval(hits, size, TAIL_999);
            prop_assert!(low <= figure.low && figure.high <= high);
            prop_assert!(bound(hits, size, tolerance) >= high);
        }

        #[test]
        fn more_hits_never_lower_the_ends(hits in 0_u64..500, rest in 0_u64..100_000) {
            let size = Size::new(500, 500 + rest);
            let (fewer, more) = (interval(hits, size, TAIL_95), interval(hits + 1, size, TAIL_95));
            prop_assert!(fewer.0 <= more.0 && fewer.1 <= more.1);
        }
    }
}
