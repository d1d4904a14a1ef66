//! The front: messages on their way, in the order in which they were met. Part of the table; no logic.
//!
//! A message is written four times within seconds: delivered, intended, sent, done. By the key of the big table, which is as good
//! as random, each of these touches another page, and each page that was touched is written to the log and once more to the
//! file. Met in order, they lie together. Only done ones move on, many at once and sorted; all of them do when anything but
//! what concerns them alone is asked for, and when a journal is opened.
//!
//! A message that any run knew before, or that is delivered twice, is never here: what is here has one delivery and at most
//! one row.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, TransactionBehavior, params};

use super::Delivery;
use super::key::{Packed, pack};
use super::state::State;
use super::table::{Row, Table};
use crate::error::Result;
use crate::message::{MessageId, ReceiptHandle};

/// How many done messages wait for being moved on together.
const MOVED_AT_ONCE: usize = 4000;

/// What is known without a look at the disk: which messages are here.
#[derive(Debug, Default)]
pub(super) struct Front {
    places: HashMap<Packed, Place>,
    /// The IDs that their sends returned.
    sent_as: HashSet<Packed>,
    /// How many are done.
    done: usize,
    last: i64,
}

#[derive(Debug)]
struct Place {
    seq: i64,
    sent_as: Option<Packed>,
    is_leased: bool,
    is_done: bool,
}

impl Front {
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn contains(&self, id: &Packed) -> bool {
        self.places.contains_key(id)
    }

    pub(super) fn knows_sent_as(&self, id: &Packed) -> bool {
        self.sent_as.contains(id)
    }
}

/// Moves everything on: rows to `rested`, handles to `lease`.
fn clear(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "INSERT INTO rested ({COLUMNS}) SELECT {COLUMNS} FROM front WHERE state IS NOT NULL ORDER BY source, id, run;
         INSERT INTO lease (source, id, run, handle, received, until)
             SELECT source, id, run, handle, received, until FROM front WHERE handle IS NOT NULL ORDER BY seq;
         DELETE FROM front;"
    ))
}

/// Moves on what was on its way when the last process ended.
pub(super) fn clear_left_over(connection: &mut Connection) -> rusqlite::Result<()> {
    if connection.query_row("SELECT EXISTS (SELECT 1 FROM front)", [], |row| row.get(0))? {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        clear(&transaction)?;
        transaction.commit()?;
    }
    Ok(())
}

const COLUMNS: &str =
    "source, id, run, state, rule, target, exhausted, reason, doubts, since, sent_as, receive_count, origin, at";

impl Table {
    /// Moves everything on.
    pub(super) fn clear_front(&self) -> Result<()> {
        if !self.front.borrow().is_empty() {
            self.direct(clear)?;
            self.front.replace(Front::default());
        }
        Ok(())
    }

    /// Moves done messages on, where there are many.
    pub(super) fn move_on(&self) -> Result<()> {
        if self.front.borrow().done < MOVED_AT_ONCE {
            return Ok(());
        }
        self.direct(|c| {
            c.prepare_cached(&format!(
                "INSERT INTO rested ({COLUMNS}) SELECT {COLUMNS} FROM front WHERE state = ?1 AND handle IS NULL
                 ORDER BY source, id, run"
            ))?
            .execute([State::Done as u8])?;
            c.prepare_cached("DELETE FROM front WHERE state = ?1 AND handle IS NULL")?.execute([State::Done as u8])
        })?;
        let mut front = self.front.borrow_mut();
        let Front { places, sent_as, done, .. } = &mut *front;
        for (_, place) in places.extract_if(|_, place| place.is_done) {
            place.sent_as.map(|id| sent_as.remove(&id));
        }
        *done = 0;
        Ok(())
    }

    /// Takes in a delivered message that nothing is known of.
    pub(super) fn meet(&self, delivery: &Delivery) -> Result<()> {
        let id = pack(&delivery.id);
        let (received, until) = (delivery.received.as_millisecond(), delivery.until.as_millisecond());
        let seq = self.front.borrow().last + 1;
        self.direct(|c| {
            c.prepare_cached(
                "INSERT INTO front (seq, source, id, run, handle, received, until) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![seq, self.source, id, self.run, delivery.receipt.as_str(), received, until])
        })?;
        let mut front = self.front.borrow_mut();
        front.last = seq;
        front.places.insert(id, Place { seq, sent_as: None, is_leased: true, is_done: false });
        Ok(())
    }

    /// Writes the row of a message that is here; `false` where it is not.
    pub(super) fn put_in_front(&self, id: &Packed, row: &Row, at: i64) -> Result<bool> {
        let Some(seq) = self.front.borrow().places.get(id).map(|place| place.seq) else { return Ok(false) };
        self.write(
            "UPDATE front SET state = ?1, rule = ?2, target = ?3, exhausted = ?4, reason = ?5, doubts = ?6, since = ?7,
             sent_as = ?8, receive_count = ?9, origin = ?10, at = ?11 WHERE seq = ?12",
            row,
            at,
            &[&seq],
        )?;
        let mut front = self.front.borrow_mut();
        let Front { places, sent_as, done, .. } = &mut *front;
        if let Some(place) = places.get_mut(id) {
            if row.state == State::Done && !place.is_leased && !place.is_done {
                place.is_done = true;
                *done += 1;
            }
            if row.sent_as.is_some() && place.sent_as.is_none() {
                place.sent_as.clone_from(&row.sent_as);
                sent_as.extend(row.sent_as.clone());
            }
        }
        Ok(true)
    }

    /// Ends the lease of a message that is here; `false` where it is not.
    pub(super) fn end_lease_in_front(&self, id: &MessageId, receipt: &ReceiptHandle) -> Result<bool> {
        let id = pack(id);
        let Some(seq) = self.front.borrow().places.get(&id).map(|place| place.seq) else { return Ok(false) };
        let ended = self.direct(|c| {
            c.prepare_cached("UPDATE front SET handle = NULL WHERE seq = ?1 AND handle = ?2")?
                .execute(params![seq, receipt.as_str()])
        })?;
        if let Some(place) = self.front.borrow_mut().places.get_mut(&id) {
            place.is_leased &= ended == 0;
        }
        Ok(true)
    }
}
