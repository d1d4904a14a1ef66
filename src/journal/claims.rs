//! The messages that are being handled right now, and what the writer need not ask the database of them again: nobody else
//! writes to it. Bounded by what apply lets into its pipeline.

// Fast rather than hard to provoke collisions in: a queue has the IDs that SQS gives.
use foldhash::HashMap;

use super::table::Row;
use crate::error::Result;
use crate::message::MessageId;

/// What is known of a claimed message.
#[derive(Debug, Default)]
struct Claimed {
    /// Its row in this run, where it has one and that is known.
    row: Option<Row>,
    is_row_known: bool,
    /// Whether the delivery that the claim began with is the only one with a lease.
    is_only_delivery: bool,
}

/// The claims.
#[derive(Debug, Default)]
pub(super) struct Claims(HashMap<MessageId, Claimed>);

impl Claims {
    pub(super) fn contains(&self, id: &MessageId) -> bool {
        self.0.contains_key(id)
    }

    /// How many messages are being handled.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Claims a message; `false` where it is claimed already.
    pub(super) fn insert(&mut self, id: MessageId) -> bool {
        let is_new = !self.contains(&id);
        if is_new {
            self.0.insert(id, Claimed::default());
        }
        is_new
    }

    pub(super) fn remove(&mut self, id: &MessageId) {
        self.0.remove(id);
    }

    /// Its row in this run, which is looked up where it is not known here.
    pub(super) fn row(
        &self,
        id: &MessageId,
        look_up: impl FnOnce(&MessageId) -> Result<Option<Row>>,
    ) -> Result<Option<Row>> {
        match self.0.get(id) {
            Some(claimed) if claimed.is_row_known => Ok(claimed.row.clone()),
            _ => look_up(id),
        }
    }

    /// Notes its row as it is in the database.
    pub(super) fn note_row(&mut self, id: &MessageId, row: Option<Row>) {
        if let Some(claimed) = self.0.get_mut(id) {
            (claimed.row, claimed.is_row_known) = (row, true);
        }
    }

    /// Whether its claim's delivery is surely the only one, so that no other handle has to be looked for.
    pub(super) fn is_only_delivery(&self, id: &MessageId) -> bool {
        self.0.get(id).is_some_and(|claimed| claimed.is_only_delivery)
    }

    /// Notes whether it is.
    pub(super) fn note_only_delivery(&mut self, id: &MessageId, is_only: bool) {
        if let Some(claimed) = self.0.get_mut(id) {
            claimed.is_only_delivery = is_only;
        }
    }
}
