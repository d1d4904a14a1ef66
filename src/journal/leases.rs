//! Receipt handles of what is in flight with us: noted, looked for, extended, ended. Part of the table; no logic.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::key::{pack, unpack};
use super::state::State;
use super::table::Table;
use super::{Delivery, Lease};
use crate::error::Result;
use crate::message::{MessageId, ReceiptHandle};

/// What is known of a message that is delivered.
pub(super) struct Met {
    /// No other delivery of it has a lease.
    pub(super) is_only: bool,
    /// Some run may have met it before.
    pub(super) is_known: bool,
}

/// What a first look says of an ID. That something may be is said too often by two IDs that begin alike, never too seldom.
pub(super) struct Seen {
    is_leased: bool,
    may_be_known: bool,
    /// A send may have returned it.
    pub(super) may_be_sent_as: bool,
}

impl Table {
    /// The handle of what seems the newest delivery, while its lease lasts.
    pub(super) fn newest_receipt(&self, id: &MessageId) -> Result<Option<ReceiptHandle>> {
        let handle: Option<String> = self.about(id, |c| {
            c.prepare_cached(
                "SELECT handle FROM lease WHERE source = ?1 AND id = ?2 ORDER BY received DESC, rowid DESC LIMIT 1",
            )?
            .query_row(params![self.source, pack(id)], |row| row.get(0))
            .optional()
        })?;
        Ok(handle.map(ReceiptHandle::new))
    }

    /// Leases that end before this, the earliest first; `releasable`: without those of messages that are to be deleted.
    pub(super) fn leases(&self, before: Timestamp, most: usize, releasable: bool) -> Result<Vec<Lease>> {
        let rows: Vec<(Vec<u8>, String, i64, i64)> = self.sql(|c| {
            let mut statement = c.prepare_cached(
                "SELECT id, handle, received, until FROM lease
                 WHERE source = ?1 AND until < ?2 AND NOT (?4 AND EXISTS (
                     SELECT 1 FROM known WHERE prefix = substr(lease.id, 1, 8) AND known.source = lease.source AND known.id = lease.id
                     AND state = ?5))
                 ORDER BY until LIMIT ?3",
            )?;
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            statement
                .query_map(params![self.source, before.as_millisecond(), most, releasable, State::Sent as u8], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })?
                .collect()
        })?;
        let time = |millis| Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH);
        let lease = |(id, handle, received, until): (Vec<u8>, String, i64, i64)| Lease {
            id: unpack(&id),
            receipt: ReceiptHandle::new(handle),
            received: time(received),
            until: time(until),
        };
        Ok(rows.into_iter().map(lease).collect())
    }

    /// Notes the new end of the lease with this handle; `None` ends it.
    pub(super) fn leased(&self, id: &MessageId, receipt: &ReceiptHandle, until: Option<Timestamp>) -> Result<()> {
        if until.is_none() && self.end_lease_in_front(id, receipt) {
            return Ok(());
        }
        self.about(id, |c| match until {
            Some(until) => c
                .prepare_cached("UPDATE lease SET until = ?4 WHERE source = ?1 AND id = ?2 AND handle = ?3")?
                .execute(params![self.source, pack(id), receipt.as_str(), until.as_millisecond()]),
            None => c
                .prepare_cached("DELETE FROM lease WHERE source = ?1 AND id = ?2 AND handle = ?3")?
                .execute(params![self.source, pack(id), receipt.as_str()]),
        })?;
        Ok(())
    }

    /// Ends all leases of a message.
    pub(super) fn end_leases(&self, id: &MessageId) -> Result<()> {
        self.about(id, |c| {
            c.prepare_cached("DELETE FROM lease WHERE source = ?1 AND id = ?2")?.execute(params![self.source, pack(id)])
        })?;
        Ok(())
    }

    /// Takes a first look, in one go: for nearly all messages it is the only one.
    pub(super) fn seen(&self, id: &MessageId) -> Result<Seen> {
        let id = pack(id);
        let front = self.front.borrow();
        let (is_here, is_sent_as) = (front.contains(&id), front.knows_sent_as(&id));
        let (is_leased, may_be_known, may_be_sent_as): (bool, bool, bool) = self.direct(|c| {
            c.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM lease WHERE source = ?1 AND id = ?2),
                 EXISTS (SELECT 1 FROM by_id WHERE prefix = substr(?2, 1, 8)),
                 EXISTS (SELECT 1 FROM by_sent_as WHERE prefix = substr(?2, 1, 8))",
            )?
            .query_row(params![self.source, id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        })?;
        Ok(Seen {
            is_leased: is_leased || is_here,
            may_be_known: may_be_known || is_here,
            may_be_sent_as: may_be_sent_as || is_sent_as,
        })
    }

    /// Notes a delivery's handle. Earlier ones whose time was over when it was asked for are of no use any more.
    pub(super) fn lease(&self, delivery: &Delivery, seen: &Seen) -> Result<Met> {
        let id = pack(&delivery.id);
        let Seen { is_leased, may_be_known: is_known, .. } = *seen;
        if !is_leased && !is_known {
            self.meet(delivery)?;
            return Ok(Met { is_only: true, is_known });
        }
        let (received, until) = (delivery.received.as_millisecond(), delivery.until.as_millisecond());
        self.about(&delivery.id, |c| {
            c.prepare_cached("DELETE FROM lease WHERE source = ?1 AND id = ?2 AND (until <= ?3 OR handle = ?4)")?
                .execute(params![self.source, id, received, delivery.receipt.as_str()])?;
            c.prepare_cached(
                "INSERT INTO lease (source, id, run, handle, received, until) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![self.source, id, self.run, delivery.receipt.as_str(), received, until])
        })?;
        Ok(Met { is_only: !is_leased, is_known })
    }

    /// How many messages are in flight with us for sure: of one whose delete was not answered nobody knows.
    pub(super) fn lease_count(&self) -> Result<u64> {
        let states = (State::Sent as u8, State::Done as u8);
        self.sql(|c| {
            c.query_row(
                "SELECT count(DISTINCT id) FROM lease WHERE source = ?1 AND NOT EXISTS (
                 SELECT 1 FROM known WHERE prefix = substr(lease.id, 1, 8) AND known.source = lease.source AND known.id = lease.id
                 AND state IN (?2, ?3))",
                params![self.source, states.0, states.1],
                |row| row.get(0),
            )
        })
    }
}
