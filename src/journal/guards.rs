//! What the journal knows of guards: what they and people did to a run, in order, and which of the messages that it sent came back.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::entries::Index;
use super::rested::json;
use super::table::Table;
use crate::error::Result;
use redrive_protocol::message::MessageId;
use redrive_protocol::protocol::{Bounce, CameBack, GuardEvent, Key, RunNo, State};
use redrive_protocol::target::RuleId;

impl Table {
    pub(super) fn note_guard_of(&self, run: &str, event: &GuardEvent) -> Result<()> {
        let GuardEvent { at, kind, who, words, data } = event;
        self.direct(|c| {
            c.execute(
                "INSERT INTO guard_event (run, at, kind, who, words, data)
                 SELECT id, ?2, ?3, ?4, ?5, ?6 FROM run WHERE name = ?1",
                params![run, at.as_millisecond(), kind, who, words, data],
            )
        })
        .map(drop)
    }

    pub(super) fn guard_events_of(&self, run: &str) -> Result<Vec<GuardEvent>> {
        self.direct(|c| events(c, run))
    }

    pub(super) fn bounces_of(&self, run: &str, messages: &[MessageId], now: Timestamp) -> Result<Vec<Option<Bounce>>> {
        let run = RunNo(self.direct(|c| c.query_row("SELECT id FROM run WHERE name = ?1", [run], |row| row.get(0)))?);
        messages.iter().map(|id| self.bounce(run, &Key::of(id), now)).collect()
    }

    fn bounce(&self, run: RunNo, key: &Key, now: Timestamp) -> Result<Option<Bounce>> {
        let is_on_its_way = self.front.borrow().knows_sent_as(key);
        if is_on_its_way {
            self.clear_front()?;
        }
        let rows = json(&self.candidates(Index::SentAs, key)?);
        self.direct(|c| {
            let mut look = c.prepare_cached(
                "SELECT rule, at FROM rested
                 WHERE seq IN (SELECT value FROM json_each(?3)) AND sent_as = ?1 AND run = ?2",
            )?;
            let found = look.query_row(params![key.bytes(), run.0, rows], |row| Ok((row.get(0)?, time(row, 1)?)));
            let Some((rule, sent)) = found.optional()?.filter(|(rule, _)| !RuleId(*rule).is_parking()) else {
                return Ok(None);
            };
            let noted = c.execute(
                "INSERT OR IGNORE INTO bounce (run, id, rule, sent, at) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![run.0, key.bytes(), rule, sent.as_millisecond(), now.as_millisecond()],
            )?;
            Ok(Some(Bounce { rule: RuleId(rule), sent, is_new: noted == 1 }))
        })
    }
}

/// What guards and people did to a run, in order.
pub(super) fn events(connection: &Connection, run: &str) -> rusqlite::Result<Vec<GuardEvent>> {
    let sql = "SELECT at, kind, who, words, data FROM guard_event
               WHERE run = (SELECT id FROM run WHERE name = ?1) ORDER BY seq";
    let event = |row: &Row<'_>| {
        let (kind, who, words, data) = (row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
        Ok(GuardEvent { at: time(row, 0)?, kind, who, words, data })
    };
    connection.prepare(sql)?.query_map([run], event)?.collect()
}

/// What came back of a run's messages, by rule.
pub(super) fn came_back(connection: &Connection, run: &str) -> rusqlite::Result<Vec<CameBack>> {
    let sql = "SELECT rule, count(*), min(bounce.at), max(bounce.at) FROM bounce JOIN run ON run.id = bounce.run
               WHERE run.name = ?1 GROUP BY rule ORDER BY rule";
    let of = |row: &Row<'_>| {
        Ok(CameBack { rule: RuleId(row.get(0)?), messages: row.get(1)?, seen: (time(row, 2)?, time(row, 3)?) })
    };
    connection.prepare(sql)?.query_map([run], of)?.collect()
}

/// How many of the last messages that a run sent came back, and of how many that is.
pub(super) fn came_back_of_last(connection: &Connection, run: &str, most: u64) -> rusqlite::Result<(u64, u64)> {
    let sql = "SELECT count(bounce.id), count(*) FROM
                   (SELECT run, sent_as FROM rested WHERE run = (SELECT id FROM run WHERE name = ?1)
                    AND sent_as IS NOT NULL AND state = ?3 ORDER BY seq DESC LIMIT ?2) AS sent
               LEFT JOIN bounce ON bounce.run = sent.run AND bounce.id = sent.sent_as";
    connection.query_row(sql, params![run, most, State::Done as u8], |row| Ok((row.get(0)?, row.get(1)?)))
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Ok(Timestamp::from_millisecond(row.get(column)?).unwrap_or(Timestamp::UNIX_EPOCH))
}
