//! FIFO deduplication: for five minutes a deduplication ID gives the first message's answer again, also after that message
//! was deleted.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use uuid::Uuid;

use super::message::Millis;

/// How long a deduplication ID is remembered.
pub(super) const WINDOW: Millis = 5 * 60 * 1000;

/// What the first send was answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct First {
    pub(super) id: Uuid,
    pub(super) sequence: u64,
}

/// The deduplication IDs of the last five minutes.
#[derive(Default)]
pub(super) struct Recent {
    by_id: HashMap<Arc<str>, First>,
    by_age: VecDeque<(Millis, Arc<str>)>,
}

impl Recent {
    /// What the first send with this ID was answered with, where it is not too long ago.
    pub(super) fn find(&mut self, now: Millis, id: &str) -> Option<First> {
        while self.by_age.front().is_some_and(|(at, _)| at + WINDOW <= now) {
            if let Some((_, old)) = self.by_age.pop_front() {
                self.by_id.remove(&old);
            }
        }
        self.by_id.get(id).copied()
    }

    /// Remembers the first send with this ID.
    pub(super) fn remember(&mut self, now: Millis, id: &str, first: First) {
        let id: Arc<str> = id.into();
        self.by_id.insert(Arc::clone(&id), first);
        self.by_age.push_back((now, id));
    }
}
