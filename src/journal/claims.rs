//! The messages that are being handled right now, and what the writer need not ask the database of them again: nobody else
//! writes to it. Bounded by what apply lets into its pipeline.

use std::collections::hash_map::Entry;

// Fast rather than hard to provoke collisions in: a queue has the IDs that SQS gives.
use foldhash::HashMap;

use super::key::Packed;
use super::table::Row;
use crate::error::Result;

/// What is known of a claimed message.
#[derive(Debug)]
struct Claimed {
    /// Its row in this run, where it has one and that is known.
    row: Option<Row>,
    is_row_known: bool,
    /// Whether the delivery that the claim began with is the only one with a lease.
    is_only_delivery: bool,
}

/// The claims.
#[derive(Debug, Default)]
pub(super) struct Claims(HashMap<Packed, Claimed>);

impl Claims {
    /// How many messages are being handled.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Claims a delivered message, of which some run may know and another delivery may have a lease; `false` where it is claimed
    /// already, so that now there are two deliveries.
    pub(super) fn insert(&mut self, id: Packed, is_known: bool, is_only_delivery: bool) -> bool {
        match self.0.entry(id) {
            Entry::Occupied(mut claimed) => {
                claimed.get_mut().is_only_delivery = false;
                false
            }
            Entry::Vacant(place) => {
                place.insert(Claimed { row: None, is_row_known: !is_known, is_only_delivery });
                true
            }
        }
    }

    pub(super) fn remove(&mut self, id: &Packed) {
        self.0.remove(id);
    }

    /// Its row in this run, which is looked up where it is not known here.
    pub(super) fn row(&self, id: &Packed, look_up: impl FnOnce() -> Result<Option<Row>>) -> Result<Option<Row>> {
        match self.0.get(id) {
            Some(claimed) if claimed.is_row_known => Ok(claimed.row.clone()),
            _ => look_up(),
        }
    }

    /// Notes its row as it is in the database.
    pub(super) fn note_row(&mut self, id: &Packed, row: Row) {
        if let Some(claimed) = self.0.get_mut(id) {
            (claimed.row, claimed.is_row_known) = (Some(row), true);
        }
    }

    /// Whether its claim's delivery is surely the only one, so that no other handle has to be looked for.
    pub(super) fn is_only_delivery(&self, id: &Packed) -> bool {
        self.0.get(id).is_some_and(|claimed| claimed.is_only_delivery)
    }
}
