//! Whether a sample speaks for the rest of the queue. SQS hands out roughly the oldest messages first and a batch from one
//! shard, and failures come in waves: a sample is no random draw. So its figures get an interval only after this test.
//!
//! A kind is what a rule makes of a message. The sample is put in two orders, of receipt and of age, and each is cut into two,
//! seven and twenty consecutive parts. The statistic is Pearson's chi-square of kinds against parts, standardised by its
//! degrees of freedom, the largest of the three cuts. Its distribution where kinds do not depend on the order is that over permutations
//! of the sample, which needs no minimum of expected counts. The level is 1 %, 0.5 % for each order (Bonferroni).
//!
//! A sample of next to nothing but one kind passes that test whatever the rest holds, and so it is no evidence: without
//! [`LEAST_OTHERS`] messages of other kinds, nothing is concluded. A wave that is much longer than the sample cannot be seen in it
//! at all; the plan says which ages it saw.
//!
//! Messages of one receive may be more alike than others are. Where they are, the sample is worth fewer messages than it holds:
//! its size is divided by the design effect (Rao and Scott's first-order correction), estimated over receives.
//! Pure; the same sample gives the same answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What the figures of a plan rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Basis {
    /// Everything was looked at: they are counts.
    Whole,
    /// A sample of one piece: they come with intervals.
    Even {
        /// How many messages, drawn one by one, would say as much; fewer than it holds where those of a receive are alike.
        effective: u64,
    },
    /// A sample that does not speak for the rest: they are what was seen, and nothing more.
    Uneven(Unevenness),
}

/// Why a sample does not speak for the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Unevenness {
    /// What becomes of messages depends on when they were received.
    ByReceipt,
    /// What becomes of messages depends on when they were sent.
    ByAge,
    /// Next to nothing but one kind was seen, which is no evidence about others.
    OneKind,
    /// Of a FIFO queue only the first messages of its groups can be seen.
    GroupHeads,
}

/// Random permutations that the order as it came is compared with.
const PERMUTATIONS: u32 = 399;

/// How many of them may be as uneven: with the one that came, 2 of 400, which is half a percent.
const AS_UNEVEN: u32 = 1;

/// Into how many parts an order is cut. Two show a slow change, the others waves; one that is as long as two parts of one cut
/// can hide in that, and not in the others.
const CUTS: [usize; 3] = [2, 7, 20];

/// The least number of messages that are not of the most frequent kind, for any conclusion.
const LEAST_OTHERS: usize = 10;

/// What is remembered of each message of a sample.
#[derive(Debug)]
pub(super) struct Trace<K> {
    kinds: BTreeMap<K, usize>,
    messages: Vec<Sighting>,
}

#[derive(Debug, Clone, Copy)]
struct Sighting {
    /// The number of the receive that brought it.
    receive: u64,
    /// When it was sent, in milliseconds.
    sent: i64,
    kind: usize,
}

impl<K> Default for Trace<K> {
    fn default() -> Self {
        Self { kinds: BTreeMap::new(), messages: Vec::new() }
    }
}

impl<K: Ord> Trace<K> {
    /// Notes a message: the receive that brought it, when it was sent, and its kind.
    pub(super) fn note(&mut self, receive: u64, sent: i64, kind: K) {
        let next = self.kinds.len();
        let kind = *self.kinds.entry(kind).or_insert(next);
        self.messages.push(Sighting { receive, sent, kind });
    }

    /// What the figures of this sample may rest on, if it is not the whole queue.
    pub(super) fn basis(mut self) -> Basis {
        let kinds = self.kinds.len();
        let mut of_kind = vec![0; kinds];
        for message in &self.messages {
            of_kind[message.kind] += 1;
        }
        let others = self.messages.len() - of_kind.iter().max().copied().unwrap_or(0);
        if others < LEAST_OTHERS {
            return Basis::Uneven(Unevenness::OneKind);
        }
        let in_order = |messages: &[Sighting]| messages.iter().map(|message| message.kind).collect::<Vec<_>>();
        self.messages.sort_by_key(|message| message.receive);
        if is_uneven(in_order(&self.messages), kinds) {
            return Basis::Uneven(Unevenness::ByReceipt);
        }
        let receives = self.messages.chunk_by(|one, other| one.receive == other.receive).map(in_order);
        let effective = effective(&receives.collect::<Vec<_>>(), kinds, self.messages.len());
        self.messages.sort_by_key(|message| message.sent);
        if is_uneven(in_order(&self.messages), kinds) {
            return Basis::Uneven(Unevenness::ByAge);
        }
        Basis::Even { effective }
    }
}

/// Whether kinds depend on their place in this order more than chance explains.
fn is_uneven(mut order: Vec<usize>, kinds: usize) -> bool {
    let found = unevenness(&order, kinds);
    // One that is always the same: the same sample makes the same plan.
    let mut random = SplitMix(order.len() as u64);
    let mut as_uneven = 0;
    for _ in 0..PERMUTATIONS {
        for last in (1..order.len()).rev() {
            order.swap(last, random.below(last + 1));
        }
        as_uneven += u32::from(unevenness(&order, kinds) >= found);
        if as_uneven > AS_UNEVEN {
            return false;
        }
    }
    true
}

fn unevenness(order: &[usize], kinds: usize) -> f64 {
    let of_cut = |parts: usize| {
        let edge = |part: usize| order.len() * part / parts;
        let parts: Vec<_> = (0..parts).map(|part| &order[edge(part)..edge(part + 1)]).collect();
        let (square, freedom) = chi_square(&parts, kinds);
        (square - freedom) / (2.0 * freedom).sqrt()
    };
    CUTS.into_iter().map(of_cut).fold(f64::MIN, f64::max)
}

/// Pearson's chi-square of kinds against parts, and its degrees of freedom.
fn chi_square(parts: &[impl AsRef<[usize]>], kinds: usize) -> (f64, f64) {
    let mut counts = vec![0.0; kinds];
    let mut all = vec![0.0; kinds];
    let mut sum = 0.0;
    let parts = || parts.iter().map(AsRef::as_ref).filter(|part| !part.is_empty());
    for kind in parts().flatten() {
        all[*kind] += 1.0;
    }
    let total: f64 = all.iter().sum();
    for part in parts() {
        counts.fill(0.0);
        for kind in part {
            counts[*kind] += 1.0;
        }
        let size: f64 = counts.iter().sum();
        // Sum of O²/E; less the total, that is the sum of (O - E)²/E.
        sum += counts.iter().zip(&all).map(|(count, all)| count * count * total / (size * all)).sum::<f64>();
    }
    let freedom = (parts().count().max(2) - 1) * (kinds.max(2) - 1);
    #[expect(clippy::cast_precision_loss, reason = "at most as many as messages in flight, times kinds")]
    (sum - total, freedom as f64)
}

/// How many messages drawn one by one would say as much as these, which came in these receives.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most as many as messages in flight"
)]
fn effective(receives: &[Vec<usize>], kinds: usize, messages: usize) -> u64 {
    let (square, freedom) = chi_square(receives, kinds);
    let expected = freedom * messages as f64 / (messages as f64 - 1.0);
    (messages as f64 / (square / expected).max(1.0)) as u64
}

/// Steele, Lea and Flood's generator: for choices that nobody plays against.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // The high half of the product: without the bias of a remainder that anybody could measure.
        usize::try_from((u128::from(mixed) * end as u128) >> 64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    /// A sample in batches of ten, with this kind at each place of the order of age.
    fn basis<K: Ord>(sample: usize, kind: impl FnMut(usize) -> K) -> Basis {
        let mut trace = Trace::default();
        for (place, kind) in (0..sample).map(kind).enumerate() {
            let sent = i64::try_from(place).expect("small");
            trace.note(place as u64 / 10, sent, kind);
        }
        trace.basis()
    }

    #[test]
    fn kinds_that_come_at_random_are_even_in_all_but_one_of_a_hundred_samples() {
        let mut rng = StdRng::seed_from_u64(7);
        for shares in [[0, 50, 80], [0, 10, 12]] {
            let mut uneven = 0;
            for _ in 0..300 {
                let basis = basis(300, |_| {
                    let draw = rng.random_range(0..100);
                    shares.iter().filter(|from| draw >= **from).count()
                });
                uneven += u32::from(!matches!(basis, Basis::Even { effective: 150.. }));
            }
            // 3 are expected; a level twice as high would give more than this once in a thousand times.
            assert!(uneven <= 12, "{shares:?}: {uneven} of 300");
        }
    }

    #[test]
    fn kinds_that_come_in_runs_are_uneven() {
        for run in [20, 25, 50, 100, 150, 250, 290] {
            let found = basis(300, |place| place / run % 3);
            let expected = Basis::Uneven(Unevenness::ByReceipt);
            assert_eq!(found, expected, "runs of {run}");
        }
    }

    #[test]
    fn one_kind_alone_is_no_evidence_and_neither_are_a_few_messages() {
        let one_kind = Basis::Uneven(Unevenness::OneKind);
        assert_eq!(basis(5000, |_| 0), one_kind);
        assert_eq!(basis(5000, |place| u16::from(place % 600 == 0)), one_kind);
        assert_eq!(basis(19, |place| place % 2), one_kind);
        assert_eq!(Trace::<u8>::default().basis(), one_kind);
        assert!(matches!(basis(5000, |place| u16::from(place % 499 == 0)), Basis::Even { .. }));
    }

    #[test]
    fn waves_by_age_are_found_in_whatever_order_messages_come() {
        let mut trace = Trace::default();
        for place in 0..1000_u64 {
            // A step that visits every age once, and neighbours far apart.
            let age = place * 377 % 1000;
            trace.note(place / 10, i64::try_from(age).expect("small"), age / 200 % 2);
        }
        assert_eq!(trace.basis(), Basis::Uneven(Unevenness::ByAge));
    }

    #[test]
    fn receives_whose_messages_are_alike_make_a_sample_worth_less() {
        let mut rng = StdRng::seed_from_u64(3);
        let mut receives = |alike: u32| -> Vec<Vec<usize>> {
            (0..200)
                .map(|_| {
                    let kind = rng.random_range(0..2);
                    let mut draw = || if rng.random_ratio(alike, 10) { kind } else { rng.random_range(0..2) };
                    (0..10).map(|_| draw()).collect()
                })
                .collect()
        };
        let worth = [0, 5, 10].map(|alike| effective(&receives(alike), 2, 2000));
        assert!((1700..=2000).contains(&worth[0]), "drawn one by one: {worth:?}");
        // Half of a receive of one kind: a correlation of a quarter between any two of ten.
        assert!((500..800).contains(&worth[1]), "2,000 / (1 + 9/4) is 615: {worth:?}");
        assert!((190..=210).contains(&worth[2]), "each receive is one draw: {worth:?}");
    }
}
