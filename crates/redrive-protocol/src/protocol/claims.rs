//! The messages that are being handled right now, and what need not be asked of the store again for them. Bounded by what apply
//! lets into its pipeline.

use std::collections::hash_map::Entry;

// Fast rather than hard to provoke collisions in: a queue has the IDs that SQS gives.
use foldhash::HashMap;

use super::key::Key;
use super::store::Row;

/// A message's row in this run.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq, Eq, Hash))]
enum Looked {
    /// Nobody has looked for it.
    NotYet,
    /// There is none.
    None,
    /// This is it.
    Row(Row),
}

/// What is known of a claimed message.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq, Eq, Hash))]
struct Claimed {
    row: Looked,
    /// Whether the delivery that the claim began with is the only one with a lease.
    is_only_delivery: bool,
}

/// The claims.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone, PartialEq, Eq))]
pub(super) struct Claims(HashMap<Key, Claimed>);

impl Claims {
    /// How many messages are being handled.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Claims a delivered message, of which some run may know and another delivery may have a lease; `false` if it is claimed
    /// already, so that now there are two deliveries.
    pub(super) fn insert(&mut self, key: Key, is_known: bool, is_only_delivery: bool) -> bool {
        match self.0.entry(key) {
            Entry::Occupied(mut claimed) => {
                claimed.get_mut().is_only_delivery = false;
                false
            }
            Entry::Vacant(place) => {
                let row = if is_known { Looked::NotYet } else { Looked::None };
                place.insert(Claimed { row, is_only_delivery });
                true
            }
        }
    }

    pub(super) fn remove(&mut self, key: &Key) {
        self.0.remove(key);
    }

    /// Its row in this run, which is looked for if that is not known here.
    pub(super) fn row<E>(&self, key: &Key, look: impl FnOnce() -> Result<Option<Row>, E>) -> Result<Option<Row>, E> {
        match self.0.get(key).map(|claimed| &claimed.row) {
            Some(Looked::Row(row)) => Ok(Some(row.clone())),
            Some(Looked::None) => Ok(None),
            Some(Looked::NotYet) | None => look(),
        }
    }

    /// Notes its row as it is in the store.
    pub(super) fn note_row(&mut self, key: &Key, row: Row) {
        if let Some(claimed) = self.0.get_mut(key) {
            claimed.row = Looked::Row(row);
        }
    }

    /// Whether its claim's delivery is surely the only one, so that no other handle has to be looked for.
    pub(super) fn is_only_delivery(&self, key: &Key) -> bool {
        self.0.get(key).is_some_and(|claimed| claimed.is_only_delivery)
    }
}

#[cfg(test)]
impl std::hash::Hash for Claims {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let mut claims: Vec<_> = self.0.iter().collect();
        claims.sort_by_key(|(key, _)| *key);
        claims.hash(state);
    }
}
