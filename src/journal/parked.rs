//! Look-ups about sends by the IDs that they returned, and so about parked messages: what was sent as what, where it came from,
//! and what is still away. Part of the table; no logic.

use rusqlite::{OptionalExtension, params};

use super::key::{pack, unpack};
use super::state::State;
use super::table::Table;
use crate::error::Result;
use crate::message::MessageId;
use crate::target::RuleId;

/// A send that returned an ID.
pub(super) struct SentAs {
    pub(super) by_this_run: bool,
    /// Whether it brought back a parked message.
    pub(super) brought_back: bool,
    /// The queue that the message came from.
    pub(super) origin: Option<i64>,
}

/// A message that was parked.
pub(super) struct Parked {
    /// The queue that it came from.
    pub(super) origin: Option<i64>,
}

impl Table {
    /// The send that returned this ID, where one did.
    pub(super) fn sent_as(&self, id: &MessageId) -> Result<Option<SentAs>> {
        if self.front.borrow().knows_sent_as(&pack(id)) {
            self.clear_front()?;
        }
        self.direct(|c| {
            c.prepare_cached(
                "SELECT run = ?2, rule = ?3, origin FROM known_as WHERE prefix = substr(?1, 1, 8) AND sent_as = ?1
                 ORDER BY run = ?2 DESC LIMIT 1",
            )?
            .query_row(params![pack(id), self.run, RuleId::RETURNED.0], |row| {
                Ok(SentAs { by_this_run: row.get(0)?, brought_back: row.get(1)?, origin: row.get(2)? })
            })
            .optional()
        })
    }

    /// A message that this run parked, if it did and this is it: the one that the send returned, or a copy of one whose answer
    /// was lost.
    pub(super) fn parked(&self, id: &MessageId, parked_as: &MessageId) -> Result<Option<Parked>> {
        self.about(id, |c| {
            c.prepare_cached(
                "SELECT origin FROM known WHERE prefix = substr(?2, 1, 8) AND source = ?1 AND id = ?2 AND run = ?3
                 AND rule = ?4 AND state = ?5 AND (sent_as = ?6 OR doubts > 0)",
            )?
            .query_row(
                params![self.home, pack(id), self.run, RuleId::PARKED.0, State::Done as u8, pack(parked_as)],
                |row| Ok(Parked { origin: row.get(0)? }),
            )
            .optional()
        })
    }

    /// Messages that this run parked and has not met in the parking queue.
    pub(super) fn parked_and_not_met(&self) -> Result<Vec<MessageId>> {
        self.sql(|c| {
            let mut rows = c.prepare(
                "SELECT id FROM rested WHERE source = ?1 AND run = ?2 AND rule = ?3 AND state = ?4
                 AND NOT EXISTS (SELECT 1 FROM known WHERE prefix = substr(rested.id, 1, 8) AND known.source = ?5
                     AND known.id = rested.id AND known.run = rested.run)",
            )?;
            rows.query_map(params![self.home, self.run, RuleId::PARKED.0, State::Done as u8, self.source], |row| {
                Ok(unpack(&row.get::<_, Vec<u8>>(0)?))
            })?
            .collect()
        })
    }

    /// The ARN of a queue by its number.
    pub(super) fn arn(&self, queue: i64) -> Result<String> {
        self.direct(|c| c.prepare_cached("SELECT arn FROM queue WHERE id = ?1")?.query_row([queue], |row| row.get(0)))
    }
}
