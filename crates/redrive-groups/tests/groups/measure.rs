//! How well groups agree with kinds: purity, recall, and the adjusted Rand index (Hubert and Arabie).

use std::collections::BTreeMap;

use jiff::Timestamp;
use redrive_groups::{Collector, Finding};
use redrive_protocol::message::Message;

use super::sets::{Labelled, Random};

pub(crate) fn now() -> Timestamp {
    Timestamp::from_millisecond(1_795_100_000_000).expect("a time")
}

pub(crate) fn found<'m>(messages: impl IntoIterator<Item = &'m Message>) -> Finding {
    let mut collector = Collector::default();
    for (position, message) in messages.into_iter().enumerate() {
        collector.take(message.clone(), position as u64 / 10);
    }
    collector.finish(now())
}

pub(crate) fn shuffled(mut set: Vec<Labelled>, seed: u64) -> Vec<Labelled> {
    let mut random = Random(seed);
    for last in (1..set.len()).rev() {
        set.swap(last, usize::try_from(random.below(last as u64 + 1)).expect("small"));
    }
    set
}

/// Of one kind: how many there are, and of the group that has the most of them, how much of the group they are and how much of
/// them is in it.
#[derive(Debug)]
pub(crate) struct Fit {
    pub(crate) messages: usize,
    pub(crate) group: Option<usize>,
    pub(crate) purity: f64,
    pub(crate) recall: f64,
}

pub(crate) struct Measured {
    pub(crate) kinds: BTreeMap<&'static str, Fit>,
    pub(crate) rand: f64,
}

pub(crate) fn measure(set: &[Labelled], finding: &Finding) -> Measured {
    let mut table: BTreeMap<(&str, Option<usize>), usize> = BTreeMap::new();
    let mut of_kind: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut of_group: BTreeMap<Option<usize>, usize> = BTreeMap::new();
    for (message, kind) in set {
        let group = finding.group_of(&message.id);
        *table.entry((kind, group)).or_default() += 1;
        *of_kind.entry(kind).or_default() += 1;
        *of_group.entry(group).or_default() += 1;
    }
    let fit = |kind: &'static str| {
        let (group, count) = table
            .iter()
            .filter(|((of, _), _)| *of == kind)
            .map(|((_, group), count)| (*group, *count))
            .max_by_key(|(_, count)| *count)
            .expect("there is one");
        let share = |of: usize| count as f64 / of as f64;
        Fit { messages: of_kind[kind], group, purity: share(of_group[&group]), recall: share(of_kind[kind]) }
    };
    let pairs = |count: usize| (count * count.saturating_sub(1)) as f64 / 2.0;
    let index: f64 = table.values().map(|count| pairs(*count)).sum();
    let (kinds, groups): (f64, f64) =
        (of_kind.values().map(|count| pairs(*count)).sum(), of_group.values().map(|count| pairs(*count)).sum());
    let expected = kinds * groups / pairs(set.len());
    let rand = (index - expected) / (f64::midpoint(kinds, groups) - expected);
    Measured { kinds: of_kind.keys().map(|kind| (*kind, fit(kind))).collect(), rand }
}
