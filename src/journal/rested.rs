//! Messages at rest: rows in the order in which they came to rest, and beside them where to find one by its ID and by the ID that
//! its send returned. Part of the table; no logic.
//!
//! Keys that are as good as random make each new row touch a page of its own, in each index. So the rows have no such key, the
//! two indexes are as narrow as they can be, and many messages come to rest at once, sorted.

use rusqlite::{Connection, OptionalExtension, Statement, ToSql, params, params_from_iter};

use super::key::{Packed, pack};
use super::table::{Row, Table, state_column};
use crate::error::Result;
use crate::message::MessageId;
use crate::target::{Reason, RuleId, TargetId};

/// So many bytes of an ID are in an index; `substr(…, 1, 8)` where rows are looked for.
const PREFIX: usize = 8;

/// The queue, the message and the run of a row, and when it changed.
pub(super) struct At<'a> {
    pub(super) source: i64,
    pub(super) id: &'a Packed,
    pub(super) run: i64,
    pub(super) time: i64,
}

/// The statement that [`Row::insert`] carries out, for a table that has the columns of `rested`.
pub(super) fn insert_into(table: &str) -> String {
    format!(
        "INSERT INTO {table} (state, rule, target, exhausted, reason, doubts, since, sent_as, receive_count, origin, at,
         source, id, run) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
    )
}

impl Row {
    /// Carries out a statement whose first eleven parameters are a row and its time, followed by its key.
    fn write(&self, statement: &mut Statement<'_>, at: i64, key: &[&dyn ToSql]) -> rusqlite::Result<()> {
        let (state, target, reason) =
            (self.state as u8, self.target.map(|target| target.0), self.reason.map(|reason| reason as u8));
        let values: [&dyn ToSql; 11] = [
            &state,
            &self.rule.0,
            &target,
            &self.exhausted,
            &reason,
            &self.doubts,
            &self.since,
            &self.sent_as,
            &self.receive_count,
            &self.origin,
            &at,
        ];
        statement.execute(params_from_iter(values.into_iter().chain(key.iter().copied()))).map(drop)
    }

    /// Adds it, by the statement of [`insert_into`].
    pub(super) fn insert(&self, statement: &mut Statement<'_>, at: &At<'_>) -> rusqlite::Result<()> {
        self.write(statement, at.time, &[&at.source, at.id, &at.run])
    }
}

/// Puts messages to rest that no row is known of.
pub(super) fn rest<'a>(connection: &Connection, rows: impl Iterator<Item = (&'a Row, At<'a>)>) -> rusqlite::Result<()> {
    let (mut ids, mut sent_as) = (Vec::new(), Vec::new());
    let mut insert = connection.prepare_cached(&insert_into("rested"))?;
    for (row, at) in rows {
        row.insert(&mut insert, &at)?;
        let seq = connection.last_insert_rowid();
        ids.push((prefix(at.id), seq));
        sent_as.extend(row.sent_as.as_ref().map(|id| (prefix(id), seq)));
    }
    ids.sort_unstable();
    sent_as.sort_unstable();
    let mut by_id = connection.prepare_cached("INSERT INTO by_id (prefix, seq) VALUES (?1, ?2)")?;
    for (prefix, seq) in ids {
        by_id.execute(params![prefix, seq])?;
    }
    let mut by_sent_as = connection.prepare_cached(BY_SENT_AS)?;
    for (prefix, seq) in sent_as {
        by_sent_as.execute(params![prefix, seq])?;
    }
    Ok(())
}

const BY_SENT_AS: &str = "INSERT OR IGNORE INTO by_sent_as (prefix, seq) VALUES (?1, ?2)";

fn prefix(id: &Packed) -> &[u8] {
    &id[..id.len().min(PREFIX)]
}

impl Table {
    /// Writes a message's row, wherever it is.
    pub(super) fn put(&self, id: &MessageId, row: &Row, at: i64) -> Result<()> {
        let id = pack(id);
        if self.put_in_front(&id, row, at) {
            return Ok(());
        }
        self.direct(|c| {
            let found: Option<i64> = c
                .prepare_cached(
                    "SELECT seq FROM known WHERE prefix = substr(?2, 1, 8) AND source = ?1 AND id = ?2 AND run = ?3",
                )?
                .query_row(params![self.source, id, self.run], |row| row.get(0))
                .optional()?;
            let Some(seq) = found else {
                let at = At { source: self.source, id: &id, run: self.run, time: at };
                return rest(c, std::iter::once((row, at)));
            };
            let mut update = c.prepare_cached(
                "UPDATE rested SET state = ?1, rule = ?2, target = ?3, exhausted = ?4, reason = ?5, doubts = ?6, since = ?7,
                 sent_as = ?8, receive_count = ?9, origin = ?10, at = ?11 WHERE seq = ?12",
            )?;
            row.write(&mut update, at, &[&seq])?;
            if let Some(id) = &row.sent_as {
                c.prepare_cached(BY_SENT_AS)?.execute(params![prefix(id), seq])?;
            }
            Ok(())
        })
    }

    /// A message's row in this run, where the run has met it.
    pub(super) fn row(&self, id: &MessageId) -> Result<Option<Row>> {
        self.row_of(self.run, id)
    }

    pub(super) fn row_of(&self, run: i64, id: &MessageId) -> Result<Option<Row>> {
        self.about(id, |c| {
            c.prepare_cached(
                "SELECT state, rule, target, exhausted, reason, doubts, since, receive_count, origin, sent_as FROM known
                 WHERE prefix = substr(?2, 1, 8) AND source = ?1 AND id = ?2 AND run = ?3",
            )?
            .query_row(params![self.source, pack(id), run], |row| {
                Ok(Row {
                    state: state_column(row, 0)?,
                    rule: RuleId(row.get(1)?),
                    target: row.get::<_, Option<u16>>(2)?.map(TargetId),
                    exhausted: row.get(3)?,
                    reason: row.get::<_, Option<u8>>(4)?.and_then(Reason::from_number),
                    doubts: row.get(5)?,
                    since: row.get(6)?,
                    receive_count: row.get(7)?,
                    origin: row.get(8)?,
                    sent_as: row.get::<_, Option<Vec<u8>>>(9)?.map(Packed::from),
                })
            })
            .optional()
        })
    }
}
