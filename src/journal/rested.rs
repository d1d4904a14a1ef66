//! Messages at rest: rows in the order in which they came to rest, and beside them where to find one by its ID and by the ID that
//! its send returned. Part of the table; no logic.
//!
//! Keys that are as good as random make each new row touch a page of its own, in each index, the more pages the more there are.
//! So the rows have no such key; and what comes to rest together, by the thousand, is in a segment of its own of the two
//! indexes (see entries.rs), after all that was there. A message is looked for in those segments only whose filters say that
//! they may know it.

use rusqlite::{Connection, OptionalExtension, Statement, ToSql, params, params_from_iter};

use super::entries::{self, Entries, Index};
use super::filter::{FULL, Filter, Open, Segments};
use super::prefix::{number, prefix};
use super::table::Table;
use crate::error::Result;
use redrive_protocol::protocol::{Key, Row};

/// With fewer no segment is begun: with many small ones each look would be at many filters.
const WORTH_A_SEGMENT: usize = 1_024;

/// Fewer are not added to one that was begun: its filters would be written for each of them.
const WORTH_ADDING: usize = 128;

/// The queue, the message and the run of a row, and when it changed.
pub(super) struct At<'a> {
    pub(super) source: i64,
    pub(super) id: &'a Key,
    pub(super) run: i64,
    pub(super) time: i64,
}

/// The statement that [`insert`] carries out, for a table that has the columns of `rested`.
pub(super) fn insert_into(table: &str) -> String {
    format!(
        "INSERT INTO {table} (state, rule, target, exhausted, reason, doubts, since, sent_as, receive_count, origin, at,
         source, id, run) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
    )
}

/// Carries out a statement whose first eleven parameters are a row and its time, followed by its key.
fn write(row: &Row, statement: &mut Statement<'_>, at: i64, key: &[&dyn ToSql]) -> rusqlite::Result<()> {
    let (state, target, reason) =
        (row.state as u8, row.target.map(|target| target.0), row.reason.map(|reason| reason as u8));
    let values: [&dyn ToSql; 11] = [
        &state,
        &row.rule.0,
        &target,
        &row.exhausted,
        &reason,
        &row.doubts,
        &row.since,
        &row.sent_as.as_deref(),
        &row.receive_count,
        &row.origin.map(|queue| queue.0),
        &at,
    ];
    statement.execute(params_from_iter(values.into_iter().chain(key.iter().copied()))).map(drop)
}

/// Adds a row, by the statement of [`insert_into`].
pub(super) fn insert(row: &Row, statement: &mut Statement<'_>, at: &At<'_>) -> rusqlite::Result<()> {
    write(row, statement, at.time, &[&at.source, &at.id.bytes(), &at.run])
}

/// Puts messages of one run to rest that no row is known of.
pub(super) fn rest<'a>(
    connection: &Connection,
    segments: &mut Segments,
    rows: impl Iterator<Item = (&'a Row, At<'a>)>,
) -> rusqlite::Result<()> {
    let (mut ids, mut sent_as, mut of_run) = (Vec::new(), Vec::new(), None);
    let mut into = connection.prepare_cached(&insert_into("rested"))?;
    for (row, at) in rows {
        insert(row, &mut into, &at)?;
        let seq = connection.last_insert_rowid();
        ids.push((prefix(at.id), seq));
        sent_as.extend(row.sent_as.as_ref().map(|id| (prefix(id), seq)));
        of_run = Some(at.run);
    }
    let Some(run) = of_run else { return Ok(()) };
    if let Some(segment) = segment(connection, segments, run, &ids, &sent_as)? {
        return entries::add(connection, segment, &ids, &sent_as);
    }
    for (index, entries) in [(Index::Ids, ids), (Index::SentAs, sent_as)] {
        for (prefix, seq) in entries {
            entries::add_loose(connection, index, prefix, seq)?;
            segments.add_loose(index, prefix);
        }
    }
    Ok(())
}

/// The segment that takes these, with its filters brought up to date; `None` where they are too few for one.
fn segment(
    connection: &Connection,
    segments: &mut Segments,
    run: i64,
    ids: &Entries<'_>,
    sent_as: &Entries<'_>,
) -> rusqlite::Result<Option<i64>> {
    if segments.open.as_ref().is_some_and(|open| open.run != run || open.messages + ids.len() > FULL) {
        segments.open = None;
    }
    let mut open = match segments.open.take() {
        Some(open) if ids.len() >= WORTH_ADDING => open,
        open if ids.len() < WORTH_A_SEGMENT => {
            segments.open = open;
            return Ok(None);
        }
        _ => {
            connection
                .prepare_cached("INSERT INTO segment (run, ids, sent_as) VALUES (?1, x'', x'')")?
                .execute([run])?;
            let number = connection.last_insert_rowid();
            Open { number, run, messages: 0, ids: Filter::new(), sent_as: Filter::new() }
        }
    };
    for (prefix, _) in ids {
        open.ids.add(prefix);
    }
    for (prefix, _) in sent_as {
        open.sent_as.add(prefix);
    }
    open.messages += ids.len();
    let (by_id, by_sent_as) = (open.ids.bytes(), open.sent_as.bytes());
    connection.prepare_cached("UPDATE segment SET ids = ?2, sent_as = ?3 WHERE number = ?1")?.execute(params![
        open.number,
        by_id,
        by_sent_as
    ])?;
    segments.add(open.number, by_id, by_sent_as);
    let number = open.number;
    segments.open = Some(open);
    Ok(Some(number))
}

/// Whether each message at rest is found by its ID, and by the one that its send returned. Reads all of them.
pub(super) fn are_found(connection: &Connection) -> rusqlite::Result<bool> {
    let segments = Segments::load(connection)?;
    for index in Index::ALL {
        let column = index.of();
        let entries = entries::all(connection, index)?;
        let mut rested = connection.prepare(&format!("SELECT seq, {column} FROM rested WHERE {column} IS NOT NULL"))?;
        let mut rows = rested.query([])?;
        while let Some(row) = rows.next()? {
            let (seq, id): (i64, _) = (row.get(0)?, Key::from(row.get::<_, Vec<u8>>(1)?));
            let found = entries.get(&(number(prefix(&id)), seq));
            if !found.is_some_and(|segment| segments.with(index, &id).have(*segment)) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Numbers as a JSON array, which `json_each` makes a table of.
pub(super) fn json(numbers: &[i64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(i64::to_string).collect();
    format!("[{}]", numbers.join(","))
}

impl Table {
    /// The rows that a message may have, in whichever run: the caller compares its whole ID.
    pub(super) fn candidates(&self, index: Index, id: &Key) -> Result<Vec<i64>> {
        let candidates = self.segments.borrow().with(index, id);
        self.direct(|c| candidates.rows(c, index, id))
    }

    /// The number of a message's row in a run.
    pub(super) fn seq(&self, (source, run): (i64, i64), id: &Key) -> Result<Option<(i64, Option<Vec<u8>>)>> {
        let rows = self.candidates(Index::Ids, id)?;
        if rows.is_empty() {
            return Ok(None);
        }
        self.direct(|c| {
            c.prepare_cached(
                "SELECT seq, sent_as FROM rested WHERE seq IN (SELECT value FROM json_each(?3))
                 AND source = ?1 AND id = ?2 AND run = ?4",
            )?
            .query_row(params![source, id.bytes(), json(&rows), run], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
        })
    }

    /// Writes a message's row, wherever it is.
    pub(super) fn write_row(&self, (source, run): (i64, i64), id: &Key, row: &Row, time: i64) -> Result<()> {
        let is_its_front = self.front.borrow().is_of((source, run));
        if is_its_front && self.front.borrow_mut().put(id, row, time) {
            return Ok(());
        }
        self.settle_front_about(id)?;
        let found = self.seq((source, run), id)?;
        let segments = &mut *self.segments.borrow_mut();
        self.direct(|c| {
            let Some((seq, sent_before_as)) = found else {
                return rest(c, segments, std::iter::once((row, At { source, id, run, time })));
            };
            let mut update = c.prepare_cached(
                "UPDATE rested SET state = ?1, rule = ?2, target = ?3, exhausted = ?4, reason = ?5, doubts = ?6, since = ?7,
                 sent_as = ?8, receive_count = ?9, origin = ?10, at = ?11 WHERE seq = ?12",
            )?;
            write(row, &mut update, time, &[&seq])?;
            // What has not changed is in the index already.
            if let Some(id) = row.sent_as.as_ref().filter(|id| sent_before_as.as_deref() != Some(id)) {
                entries::add_loose(c, Index::SentAs, prefix(id), seq)?;
                segments.add_loose(Index::SentAs, prefix(id));
            }
            Ok(())
        })
    }
}
