//! The front: messages on their way, in memory, and as a log of changes on disk. Part of the table; no logic.
//!
//! A message changes four times within seconds: delivered, intended, sent, done. By the key of a table, which is as good as
//! random, each change would touch a page of its own, and each page that was touched is written twice. Here the changes of a
//! commit are one row, after the last one. Done messages go to `rested` by the thousand; all go there when anything but what
//! concerns them alone is asked for, and when a journal is opened.
//!
//! A message that any run knew before, or that is delivered twice, is never here: what is here has one delivery and at most
//! one row.

use foldhash::{HashMap, HashSet};
use rusqlite::{Connection, TransactionBehavior, params};

use super::changes::{Change, Changes, read};
use super::filter::{FULL, Segments};
use super::rested::{At, insert, insert_into, rest};
use super::table::Table;
use crate::error::Result;
use redrive_protocol::message::ReceiptHandle;
use redrive_protocol::protocol::{Delivery, Key, Row, State};

/// How many done messages wait for going to rest together: so many that the log, which begins anew with what is left, is not
/// mostly that; so few that nobody waits long meanwhile. Four times as many, and those of the last commit, fill a segment.
const RESTED_AT_ONCE: usize = FULL / 4 - 128;

/// How many messages may be here, done or not. Each takes less than a kilobyte.
const MOST: usize = RESTED_AT_ONCE + 8_192;

/// What is here. What is written down of it, the open transaction's changes aside, is on disk, too.
#[derive(Debug, Default)]
pub(super) struct Front {
    /// The source and the run of all of them.
    of: (i64, i64),
    places: HashMap<Key, Place>,
    /// The IDs that their sends returned.
    sent_as: HashSet<Key>,
    /// How many are done.
    done: usize,
    changes: Changes,
}

#[derive(Debug)]
struct Place {
    row: Option<(Row, i64)>,
    lease: Option<Lease>,
}

/// The only delivery. Times in milliseconds since 1970.
#[derive(Debug)]
struct Lease {
    handle: String,
    received: i64,
    until: i64,
}

impl Place {
    /// Its row, where it has one, and what it is the row of.
    fn rest<'a>(&'a self, (source, run): (i64, i64), id: &'a Key) -> Option<(&'a Row, At<'a>)> {
        self.row.as_ref().map(|(row, at)| (row, At { source, id, run, time: *at }))
    }

    fn is_done(&self) -> bool {
        self.lease.is_none() && self.row.as_ref().is_some_and(|(row, _)| row.state == State::Done)
    }
}

impl Front {
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether what is here is, or would be, of this source and run.
    pub(super) fn is_of(&self, of: (i64, i64)) -> bool {
        self.of == of
    }

    pub(super) fn contains(&self, id: &Key) -> bool {
        self.places.contains_key(id)
    }

    /// Whether a message is here whose lease ends before this, in milliseconds since 1970.
    pub(super) fn has_lease_before(&self, time: i64) -> bool {
        self.places.values().any(|place| place.lease.as_ref().is_some_and(|lease| lease.until < time))
    }

    pub(super) fn knows_sent_as(&self, id: &Key) -> bool {
        self.sent_as.contains(id)
    }

    /// Makes a change here; `false` where it is about a message that is not here.
    fn make(&mut self, change: Change) -> bool {
        match change {
            Change::Met { id, handle, received, until } => {
                self.places.insert(id, Place { row: None, lease: Some(Lease { handle, received, until }) });
                true
            }
            Change::Row { id, row, at } => {
                self.sent_as.extend(row.sent_as.clone());
                self.change(&id, |place| place.row = Some((row, at)))
            }
            Change::Released { id } => self.change(&id, |place| place.lease = None),
        }
    }

    fn change(&mut self, id: &Key, change: impl FnOnce(&mut Place)) -> bool {
        let Some(place) = self.places.get_mut(id) else { return false };
        let was_done = place.is_done();
        change(place);
        self.done += usize::from(place.is_done());
        self.done -= usize::from(was_done);
        true
    }

    /// Writes the row of a message; `false` where it is not here.
    pub(super) fn put(&mut self, id: &Key, row: &Row, at: i64) -> bool {
        let mut is_newly_sent = false;
        let is_here = self.change(id, |place| {
            let before = place.row.replace((row.clone(), at));
            is_newly_sent = before.is_none_or(|(before, _)| before.sent_as != row.sent_as);
        });
        if is_here {
            self.changes.row(id, row, at);
        }
        if is_newly_sent {
            self.sent_as.extend(row.sent_as.clone());
        }
        is_here
    }

    /// Ends the lease of a message, where it has this handle; `false` where the message is not here.
    pub(super) fn end_lease(&mut self, source: i64, id: &Key, receipt: &ReceiptHandle) -> bool {
        if self.of.0 != source {
            return false;
        }
        let mut had = false;
        let is_here = self.change(id, |place| {
            had = place.lease.take_if(|lease| lease.handle == receipt.as_str()).is_some();
        });
        if had {
            self.changes.released(id);
        }
        is_here
    }

    /// What is on disk; `None` where that is damaged.
    fn load(connection: &Connection) -> rusqlite::Result<Option<Self>> {
        let mut front = Self::default();
        let mut statement = connection.prepare_cached("SELECT source, run, changes FROM front ORDER BY seq")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let of = (row.get(0)?, row.get(1)?);
            let sound = front.is_empty() || of == front.of;
            front.of = of;
            if !sound || !read(row.get_ref(2)?.as_blob()?).all(|change| change.is_some_and(|it| front.make(it))) {
                return Ok(None);
            }
        }
        Ok(Some(front))
    }

    /// Puts everything to rest: rows, and handles as leases.
    fn clear(&self, connection: &Connection, segments: &mut Segments) -> rusqlite::Result<()> {
        rest(connection, segments, self.places.iter().filter_map(|(id, place)| place.rest(self.of, id)))?;
        let mut lease = connection.prepare_cached(
            "INSERT INTO lease (source, id, run, handle, received, until) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        for (id, place) in &self.places {
            if let Some(Lease { handle, received, until }) = &place.lease {
                lease.execute(params![self.of.0, id.bytes(), self.of.1, handle, received, until])?;
            }
        }
        connection.prepare_cached("DELETE FROM front")?.execute([]).map(drop)
    }
}

/// Puts to rest what was on its way when the last process ended; `false` where that is damaged.
pub(super) fn clear_left_over(connection: &mut Connection) -> rusqlite::Result<bool> {
    if connection.query_row("SELECT EXISTS (SELECT 1 FROM front)", [], |row| row.get(0))? {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let Some(front) = Front::load(&transaction)? else { return Ok(false) };
        front.clear(&transaction, &mut Segments::new())?;
        transaction.commit()?;
    }
    Ok(true)
}

/// Has a connection that only reads see messages at rest and those that are on their way as one, in `message`; `false` where
/// what is on its way is damaged.
pub(super) fn show(connection: &Connection) -> rusqlite::Result<bool> {
    let Some(front) = Front::load(connection)? else { return Ok(false) };
    connection.execute_batch(
        "CREATE TEMP TABLE IF NOT EXISTS on_the_way AS SELECT * FROM rested LIMIT 0;
         CREATE TEMP VIEW IF NOT EXISTS message AS SELECT * FROM rested UNION ALL SELECT * FROM on_the_way;
         DELETE FROM on_the_way;",
    )?;
    let mut into = connection.prepare(&insert_into("on_the_way"))?;
    for (row, at) in front.places.iter().filter_map(|(id, place)| place.rest(front.of, id)) {
        insert(row, &mut into, &at)?;
    }
    Ok(true)
}

/// The handles of what is on its way; `None` where that is damaged.
#[cfg(test)]
pub(super) fn handles(connection: &Connection) -> rusqlite::Result<Option<Vec<(Key, String)>>> {
    let handle = |(id, place): (Key, Place)| place.lease.map(|lease| (id, lease.handle));
    Ok(Front::load(connection)?.map(|front| front.places.into_iter().filter_map(handle).collect()))
}

impl Table {
    /// Puts everything to rest.
    pub(super) fn clear_front(&self) -> Result<()> {
        let front = self.front.take();
        if front.is_empty() {
            return Ok(());
        }
        self.may_have_leases.set(true);
        self.direct(|c| front.clear(c, &mut self.segments.borrow_mut()))
    }

    /// Puts done messages to rest, where there are many, and writes down what changed in the open transaction.
    pub(super) fn write_front(&self) -> Result<()> {
        if self.front.borrow().places.len() > MOST {
            return self.clear_front();
        }
        let mut front = self.front.borrow_mut();
        let front = &mut *front;
        if front.done >= RESTED_AT_ONCE {
            self.direct(|c| {
                let done = front.places.iter().filter(|(_, place)| place.is_done());
                let done = done.filter_map(|(id, place)| place.rest(front.of, id));
                rest(c, &mut self.segments.borrow_mut(), done)?;
                c.prepare_cached("DELETE FROM front")?.execute([])
            })?;
            front.places.retain(|_, place| !place.is_done());
            self.look_for_leases()?;
            front.done = 0;
            front.sent_as.clear();
            // The log begins anew, with what is still here.
            front.changes.clear();
            for (id, place) in &front.places {
                // Who is not in flight any more was, and is released after it.
                let none = Lease { handle: String::new(), received: 0, until: 0 };
                let Lease { handle, received, until } = place.lease.as_ref().unwrap_or(&none);
                front.changes.met(id, handle, *received, *until);
                if let Some((row, at)) = &place.row {
                    front.sent_as.extend(row.sent_as.clone());
                    front.changes.row(id, row, *at);
                }
                if place.lease.is_none() {
                    front.changes.released(id);
                }
            }
        }
        let ((source, run), changes) = (front.of, front.changes.as_bytes());
        if !changes.is_empty() {
            self.direct(|c| {
                c.prepare_cached("INSERT INTO front (source, run, changes) VALUES (?1, ?2, ?3)")?
                    .execute(params![source, run, changes])
            })?;
            front.changes.clear();
        }
        Ok(())
    }

    /// Takes in a delivered message that nothing is known of, of this queue and in this run.
    pub(super) fn meet(&self, of: (i64, i64), delivery: &Delivery, id: &Key) -> Result<()> {
        if self.front.borrow().of != of {
            self.clear_front()?;
            self.look_for_leases()?;
        }
        let handle = delivery.receipt.as_str();
        let (received, until) = (delivery.received.as_millisecond(), delivery.until.as_millisecond());
        let mut front = self.front.borrow_mut();
        front.of = of;
        front.changes.met(id, handle, received, until);
        front.make(Change::Met { id: id.clone(), handle: handle.to_owned(), received, until });
        Ok(())
    }
}
