//! Receipt handles of what is in flight with us: noted, looked for, extended, ended. Part of the table; no logic.

use jiff::Timestamp;
use redrive_protocol::message::{MessageId, ReceiptHandle};
use rusqlite::{OptionalExtension, params};

use super::entries::Index;
use super::key::{Packed, pack, unpack};
use super::schema::broken;
use super::state::State;
use super::table::Table;
use super::{Delivery, Lease};
use crate::error::Result;

/// What is known of a message that is delivered.
pub(super) struct Met {
    /// No other delivery of it has a lease.
    pub(super) is_only: bool,
    /// Some run may have met it before.
    pub(super) is_known: bool,
}

/// What a first look says of an ID. That something may be is said too often by two IDs that begin alike, never too seldom.
pub(super) struct Seen {
    pub(super) id: Packed,
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
        let before = before.as_millisecond();
        // Mostly nothing there is due.
        if self.front.borrow().has_lease_before(before) {
            self.clear_front()?;
        }
        let sql = |error| broken(&self.path, &error);
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT id, handle, received, until FROM lease WHERE source = ?1 AND until < ?2 ORDER BY until",
            )
            .map_err(sql)?;
        let time = |millis| Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH);
        let all = statement.query_map(params![self.source, before], |row| {
            Ok(Lease {
                id: unpack(&row.get::<_, Vec<u8>>(0)?),
                receipt: ReceiptHandle::new(row.get::<_, String>(1)?),
                received: time(row.get(2)?),
                until: time(row.get(3)?),
            })
        });
        let mut leases = Vec::new();
        for lease in all.map_err(sql)? {
            let lease = lease.map_err(sql)?;
            if !(releasable && self.is_sent(&lease.id)?) {
                leases.push(lease);
            }
            if leases.len() == most {
                break;
            }
        }
        Ok(leases)
    }

    /// Notes the new end of the lease with this handle; `None` ends it.
    pub(super) fn leased(&self, id: &MessageId, receipt: &ReceiptHandle, until: Option<Timestamp>) -> Result<()> {
        if until.is_none() && self.front.borrow_mut().end_lease(&pack(id), receipt) {
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
        let segments = self.segments.borrow();
        let is_in = |index| self.direct(|c| Ok(!segments.with(index, &id).rows(c, index, &id)?.is_empty()));
        let may_be_known = is_here || is_in(Index::Ids)?;
        let may_be_sent_as = is_sent_as || is_in(Index::SentAs)?;
        let is_leased = is_here
            || (may_be_known || self.may_have_leases.get())
                && self.direct(|c| {
                    c.prepare_cached("SELECT EXISTS (SELECT 1 FROM lease WHERE source = ?1 AND id = ?2)")?
                        .query_row(params![self.source, id], |row| row.get(0))
                })?;
        Ok(Seen { id, is_leased, may_be_known, may_be_sent_as })
    }

    /// Notes a delivery's handle. Earlier ones whose time was over when it was asked for are of no use any more.
    pub(super) fn lease(&self, delivery: &Delivery, seen: &Seen) -> Result<Met> {
        let Seen { ref id, is_leased, may_be_known: is_known, .. } = *seen;
        if !is_leased && !is_known {
            self.meet(delivery, id)?;
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
        let leased: Vec<Vec<u8>> = self.sql(|c| {
            let mut rows = c.prepare("SELECT DISTINCT id FROM lease WHERE source = ?1")?;
            rows.query_map([self.source], |row| row.get(0))?.collect()
        })?;
        let mut count = 0;
        for id in leased {
            count += u64::from(self.sent_by(&unpack(&id))?.is_none());
        }
        Ok(count)
    }

    /// Notes whether any are left, now that many messages came to rest: where there are none, nobody has to look for one.
    pub(super) fn look_for_leases(&self) -> Result<()> {
        let any =
            self.direct(|c| c.prepare_cached("SELECT EXISTS (SELECT 1 FROM lease)")?.query_row([], |row| row.get(0)))?;
        self.may_have_leases.set(any);
        Ok(())
    }

    /// Whether a message of the source is sent and not yet deleted, by whichever run.
    fn is_sent(&self, id: &MessageId) -> Result<bool> {
        let found =
            self.known((self.source, &pack(id)), "1", "state = ?4 LIMIT 1", &[&(State::Sent as u8)], |_| Ok(()))?;
        Ok(found.is_some())
    }
}
