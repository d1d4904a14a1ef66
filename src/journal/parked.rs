//! Look-ups about sends by the IDs that they returned, and so about parked messages: what was sent as what, where it came from,
//! and what is still away. Part of the table; no logic.

use redrive_protocol::message::MessageId;
use redrive_protocol::target::RuleId;
use rusqlite::{OptionalExtension, ToSql, params};

use super::entries::Index;
use super::key::{pack, unpack};
use super::rested::json;
use super::state::State;
use super::table::Table;
use crate::error::Result;

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
        let id = pack(id);
        if self.front.borrow().knows_sent_as(&id) {
            self.clear_front()?;
        }
        let candidates = self.segments.borrow().with(Index::SentAs, &id);
        self.direct(|c| {
            let rows = json(&candidates.rows(c, Index::SentAs, &id)?);
            c.prepare_cached(
                "SELECT run = ?3, rule = ?4, origin FROM rested WHERE seq IN (SELECT value FROM json_each(?2))
                 AND sent_as = ?1 ORDER BY run = ?3 DESC LIMIT 1",
            )?
            .query_row(params![id, rows, self.run, RuleId::RETURNED.0], |row| {
                Ok(SentAs { by_this_run: row.get(0)?, brought_back: row.get(1)?, origin: row.get(2)? })
            })
            .optional()
        })
    }

    /// A message that this run parked, if it did and this is it: the one that the send returned, or a copy of one whose answer
    /// was lost.
    pub(super) fn parked(&self, id: &MessageId, parked_as: &MessageId) -> Result<Option<Parked>> {
        let Some(home) = self.home else { return Ok(None) };
        let more: [&dyn ToSql; 4] = [&self.run, &RuleId::PARKED.0, &(State::Done as u8), &pack(parked_as)];
        let such = "run = ?4 AND rule = ?5 AND state = ?6 AND (sent_as = ?7 OR doubts > 0)";
        self.known((home, &pack(id)), "origin", such, &more, |row| Ok(Parked { origin: row.get(0)? }))
    }

    /// Messages that this run parked and has not met in the parking queue.
    pub(super) fn parked_and_not_met(&self) -> Result<Vec<MessageId>> {
        let parked: Vec<Vec<u8>> = self.sql(|c| {
            let mut rows =
                c.prepare("SELECT id FROM rested WHERE source = ?1 AND run = ?2 AND rule = ?3 AND state = ?4")?;
            let of = params![self.home, self.run, RuleId::PARKED.0, State::Done as u8];
            rows.query_map(of, |row| row.get(0))?.collect()
        })?;
        let mut not_met = Vec::new();
        for id in parked.into_iter().map(|id| unpack(&id)) {
            if self.row(&id)?.is_none() {
                not_met.push(id);
            }
        }
        Ok(not_met)
    }

    /// The ARN of a queue by its number.
    pub(super) fn arn(&self, queue: i64) -> Result<String> {
        self.direct(|c| c.prepare_cached("SELECT arn FROM queue WHERE id = ?1")?.query_row([queue], |row| row.get(0)))
    }
}
