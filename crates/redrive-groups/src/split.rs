//! What tells groups apart, and how much of it. Groups are messages of one identity, and an identity is made of what stands at
//! several places; here these places are put in order. The first is the one that explains most: of the entropy of the groups, the
//! share that is gone once it is known what stands there. The next is the one that explains most of what is left, and so on.
//!
//! Only counts go in, so the order of the messages changes nothing.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::group::{Label, Members};

/// Less than this share is a rounding error.
const NOTHING: f64 = 1e-9;

/// A place at which groups differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// Where: a path, an attribute.
    pub place: String,
    /// The share of what tells the groups apart that it explains, beyond those before it.
    pub explains: f64,
}

/// What tells groups apart in the order of what it explains. `key` gives places their name; those of one name are one, and one
/// without a name is left out. Of two that explain the same, the one with the lower key is first.
pub(crate) fn splits<K: Ord>(groups: &[Members], key: impl Fn(u32) -> Option<K>) -> Vec<(K, f64)> {
    // What stands there, for each group.
    let mut left: BTreeMap<K, Vec<Vec<Label>>> = BTreeMap::new();
    for (number, group) in groups.iter().enumerate() {
        for label in &group.labels {
            if let Some(key) = key(label.0) {
                left.entry(key).or_insert_with(|| vec![Vec::new(); groups.len()])[number].push(*label);
            }
        }
    }
    let mut left: Vec<(K, Vec<Vec<Label>>)> = left.into_iter().collect();
    let sizes: Vec<usize> = groups.iter().map(|group| group.records.len()).collect();
    let all = entropy(&(0..groups.len()).collect::<Vec<_>>(), &sizes);
    let mut parts = vec![0; groups.len()];
    let mut known = 0.0;
    let mut splits = Vec::new();
    while !left.is_empty() {
        let finer: Vec<Vec<usize>> = left.iter().map(|(_, labels)| split(&parts, labels)).collect();
        let entropies: Vec<f64> = finer.iter().map(|parts| entropy(parts, &sizes)).collect();
        // The first of those that explain the same.
        let by_entropy = |one: &usize, other: &usize| match entropies[*one].total_cmp(&entropies[*other]) {
            Ordering::Equal => other.cmp(one),
            different => different,
        };
        let Some(best) = (0..left.len()).max_by(by_entropy) else { break };
        if entropies[best] - known <= NOTHING * all {
            break;
        }
        splits.push((left.remove(best).0, (entropies[best] - known) / all));
        known = entropies[best];
        parts.clone_from(&finer[best]);
    }
    splits
}

/// The parts of these that differ in what stands at a place.
fn split(parts: &[usize], labels: &[Vec<Label>]) -> Vec<usize> {
    let mut numbers: BTreeMap<(usize, &[Label]), usize> = BTreeMap::new();
    let mut finer = Vec::with_capacity(parts.len());
    for (part, labels) in parts.iter().zip(labels) {
        let next = numbers.len();
        finer.push(*numbers.entry((*part, labels.as_slice())).or_insert(next));
    }
    finer
}

/// Of parts, weighted by the messages in them.
#[expect(clippy::cast_precision_loss, reason = "at most as many as messages are remembered")]
fn entropy(parts: &[usize], sizes: &[usize]) -> f64 {
    let mut counts = vec![0_usize; parts.len()];
    for (part, size) in parts.iter().zip(sizes) {
        counts[*part] += size;
    }
    // In one order, so that the same parts have the same sum to the last digit, however they are numbered.
    counts.sort_unstable();
    let all: usize = sizes.iter().sum();
    let share = |count: usize| count as f64 / all as f64;
    counts.into_iter().filter(|count| *count > 0).map(share).map(|share| -share * share.log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(messages: usize, labels: &[(u32, u32)]) -> Members {
        Members { labels: labels.to_vec(), records: (0..messages).collect() }
    }

    #[test]
    fn the_split_that_explains_most_comes_first_and_what_it_explains_is_not_counted_twice() {
        // Place 1 is nearly always the same, 2 tells all apart but two, 3 is as fine as 1, and 4 has no name.
        let named = |place| (place != 4).then_some(place);
        let groups = [
            group(400, &[(1, 1), (2, 1), (3, 1), (4, 1)]),
            group(300, &[(1, 1), (2, 2), (3, 1), (4, 2)]),
            group(200, &[(1, 1), (2, 3), (3, 1), (4, 3)]),
            group(100, &[(1, 2), (2, 3), (4, 4)]),
        ];
        let found = splits(&groups, named);
        assert_eq!(found.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [2, 1]);
        let all: f64 = [0.4_f64, 0.3, 0.2, 0.1].iter().map(|share| -share * share.log2()).sum();
        let first: f64 = [0.4_f64, 0.3, 0.3].iter().map(|share| -share * share.log2()).sum();
        assert!((found[0].1 - first / all).abs() < 1e-12, "{found:?}");
        assert!((found[0].1 + found[1].1 - 1.0).abs() < 1e-12, "{found:?}");
        let mut turned = groups;
        turned.reverse();
        assert_eq!(splits(&turned, named), found);
        // Which of two equal ones is first, their keys say.
        let equal = [group(10, &[(7, 1), (8, 1)]), group(10, &[(7, 2), (8, 2)])];
        assert_eq!(splits(&equal, |place| Some(10 - place)), [(2, 1.0)]);
        // Two places of one name are one.
        let two = [group(10, &[(7, 1)]), group(10, &[(7, 2)]), group(10, &[(7, 1), (8, 1)])];
        assert_eq!(splits(&two, |_| Some("one")), [("one", 1.0)]);
    }

    #[test]
    fn one_group_has_no_split() {
        assert_eq!(splits(&[group(10, &[(1, 1)])], Some), []);
        assert_eq!(splits(&[], Some), []);
    }
}
