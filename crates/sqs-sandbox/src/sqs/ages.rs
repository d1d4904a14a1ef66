//! Messages by age, for retention. Nearly all come in the order of their sending, and a list through the slots keeps those:
//! eight bytes a message, and no searching. Those that do not (moved with their old time, or planted) are in an ordered set.

use std::collections::BTreeSet;

use super::message::Millis;

/// No slot.
const NONE: u32 = u32::MAX;

/// In place of a neighbour: the message is in the set.
const STRAY: u32 = u32::MAX - 1;

#[derive(Clone, Copy)]
struct Link {
    older: u32,
    newer: u32,
}

/// See the module.
pub(super) struct Ages {
    /// By slot.
    links: Vec<Link>,
    oldest: u32,
    newest: u32,
    /// When the newest of the list was sent, or one that was newer.
    newest_sent: Millis,
    strays: BTreeSet<(Millis, u32)>,
    len: usize,
}

impl Default for Ages {
    fn default() -> Self {
        Self { links: Vec::new(), oldest: NONE, newest: NONE, newest_sent: 0, strays: BTreeSet::new(), len: 0 }
    }
}

impl Ages {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds the message in a slot.
    pub(super) fn insert(&mut self, sent: Millis, slot: u32) {
        self.len += 1;
        let at = slot as usize;
        if self.links.len() <= at {
            self.links.resize(at + 1, Link { older: NONE, newer: NONE });
        }
        if self.newest != NONE && sent < self.newest_sent {
            self.links[at] = Link { older: STRAY, newer: STRAY };
            self.strays.insert((sent, slot));
            return;
        }
        self.links[at] = Link { older: self.newest, newer: NONE };
        if self.newest == NONE {
            self.oldest = slot;
        } else {
            self.links[self.newest as usize].newer = slot;
        }
        (self.newest, self.newest_sent) = (slot, sent);
    }

    /// Takes the message in a slot out, which must be in.
    pub(super) fn remove(&mut self, sent: Millis, slot: u32) {
        self.len -= 1;
        let Link { older, newer } = self.links[slot as usize];
        if older == STRAY {
            self.strays.remove(&(sent, slot));
            return;
        }
        if older == NONE {
            self.oldest = newer;
        } else {
            self.links[older as usize].newer = newer;
        }
        if newer == NONE {
            self.newest = older;
        } else {
            self.links[newer as usize].older = older;
        }
    }

    /// The slot of the oldest message of the list, and that of the set.
    pub(super) fn oldest(&self) -> [Option<u32>; 2] {
        [(self.oldest != NONE).then_some(self.oldest), self.strays.first().map(|&(_, slot)| slot)]
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        /// Against a plain map from slots to times.
        #[test]
        fn the_oldest_is_always_among_the_two(ops in prop::collection::vec((any::<bool>(), 0..40_u32, 0..50_u64), 1..200)) {
            let (mut ages, mut model) = (Ages::default(), BTreeMap::new());
            for (is_insert, slot, sent) in ops {
                match model.get(&slot).copied() {
                    None if is_insert => {
                        ages.insert(sent, slot);
                        model.insert(slot, sent);
                    }
                    Some(old) if !is_insert => {
                        ages.remove(old, slot);
                        model.remove(&slot);
                    }
                    _ => {}
                }
                prop_assert_eq!(ages.len(), model.len());
                let found = ages.oldest().into_iter().flatten().map(|slot| model[&slot]).min();
                prop_assert_eq!(found, model.values().copied().min());
            }
        }
    }
}
