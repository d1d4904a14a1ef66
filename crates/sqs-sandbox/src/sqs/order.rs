//! Which visible message comes next. A standard queue is spread over shards, as SQS's is over servers: order is only roughly
//! kept, and a short poll that asks some of the shards may miss what is there. A FIFO queue keeps each group's order: a message
//! in flight holds back those behind it in its group, and only those. Works on slot numbers; the messages themselves are
//! `queue`'s.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use rand::RngExt;
use rand::rngs::SmallRng;

/// How many shards a shuffled standard queue has.
const SHARDS: usize = 8;

/// A message's place: its slot, and its arrival number, by which a slot that was used again is told apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) slot: u32,
    pub(super) arrival: u64,
}

/// The visible messages of a standard queue. Places of messages that are gone are left in and skipped when met.
pub(super) struct Shards {
    shards: Vec<VecDeque<Place>>,
}

impl Shards {
    pub(super) fn new(shuffle: bool) -> Self {
        Self { shards: vec![VecDeque::new(); if shuffle { SHARDS } else { 1 }] }
    }

    /// Adds a message that has arrived.
    pub(super) fn push(&mut self, rng: &mut SmallRng, place: Place) {
        let shard = rng.random_range(0..self.shards.len());
        self.shards[shard].push_back(place);
    }

    /// Adds a message that was here before: it is old, so it tends to come soon again, but not always.
    pub(super) fn push_again(&mut self, rng: &mut SmallRng, place: Place) {
        let shard = rng.random_range(0..self.shards.len());
        if self.shards.len() > 1 && rng.random() {
            self.shards[shard].push_back(place);
        } else {
            self.shards[shard].push_front(place);
        }
    }

    /// The shards that one receive asks, from a random one on, each left out with this probability.
    pub(super) fn asked(&self, rng: &mut SmallRng, miss: f64) -> Vec<usize> {
        let count = self.shards.len();
        let first = rng.random_range(0..count);
        (first..first + count)
            .map(|shard| shard % count)
            .filter(|_| miss == 0.0 || count == 1 || !rng.random_bool(miss))
            .collect()
    }

    /// The next place in a shard.
    pub(super) fn pop(&mut self, shard: usize) -> Option<Place> {
        self.shards[shard].pop_front()
    }

    pub(super) fn clear(&mut self) {
        for shard in &mut self.shards {
            *shard = VecDeque::new();
        }
    }
}

/// The message groups of a FIFO queue.
#[derive(Default)]
pub(super) struct Groups {
    by_name: HashMap<Arc<str>, Group>,
    /// Groups that can be received from, in the order in which they came to be so.
    ready: BTreeMap<u64, Arc<str>>,
    turns: u64,
}

#[derive(Default)]
struct Group {
    /// All its messages by arrival, those in flight too.
    messages: BTreeMap<u64, u32>,
    /// Its key in `ready`.
    ready_as: Option<u64>,
}

impl Groups {
    pub(super) fn insert(&mut self, name: &Arc<str>, place: Place) {
        self.by_name.entry(Arc::clone(name)).or_default().messages.insert(place.arrival, place.slot);
    }

    /// Takes a message out. The group is not refreshed.
    pub(super) fn remove(&mut self, name: &Arc<str>, arrival: u64) {
        if let Some(group) = self.by_name.get_mut(name) {
            group.messages.remove(&arrival);
        }
    }

    /// Puts a group behind those that can be received from, or takes it out, after something happened in it: it can be received
    /// from while its first message is visible.
    pub(super) fn refresh(&mut self, name: &Arc<str>, is_visible: impl Fn(u32) -> bool) {
        let Some(group) = self.by_name.get_mut(name) else { return };
        let is_ready = group.messages.first_key_value().is_some_and(|(_, &slot)| is_visible(slot));
        match group.ready_as {
            None if is_ready => {
                self.turns += 1;
                self.ready.insert(self.turns, Arc::clone(name));
                group.ready_as = Some(self.turns);
            }
            Some(turn) if !is_ready => {
                self.ready.remove(&turn);
                group.ready_as = None;
            }
            _ => {}
        }
        if group.messages.is_empty() {
            self.by_name.remove(name);
        }
    }

    /// A group to receive from: the first, unless it is passed over with this probability, for the order of groups is only roughly kept.
    pub(super) fn pick(&self, rng: &mut SmallRng, miss: f64) -> Option<Arc<str>> {
        let mut rest = self.ready.values();
        let mut picked = rest.next()?;
        for next in rest {
            if miss == 0.0 || !rng.random_bool(miss) {
                break;
            }
            picked = next;
        }
        Some(Arc::clone(picked))
    }

    /// The first slots of a group, in order.
    pub(super) fn first(&self, name: &Arc<str>, count: usize) -> Vec<u32> {
        self.by_name.get(name).map(|group| group.messages.values().take(count).copied().collect()).unwrap_or_default()
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
