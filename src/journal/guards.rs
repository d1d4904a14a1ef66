//! What the journal knows of guards: what they and people did to a run, in order, and which of the messages that it sent came back.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::entries::Index;
use super::rested::json;
use super::table::Table;
use crate::error::Result;
use redrive_protocol::message::MessageId;
use redrive_protocol::protocol::{Key, RunNo};
use redrive_protocol::target::RuleId;

/// Something that a guard or a person did to a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardEvent {
    /// When.
    pub at: Timestamp,
    /// A stable code.
    pub kind: String,
    /// The person, if it was one.
    pub who: Option<String>,
    /// What happened, and why.
    pub words: String,
    /// What the next session has to know of it, as JSON.
    pub data: String,
}

/// A message of a run that came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounce {
    /// The rule that sent it.
    pub rule: RuleId,
    /// When it had been sent, at the latest.
    pub sent: Timestamp,
    /// Whether it was seen for the first time.
    pub is_new: bool,
}

/// What came back of a rule's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CameBack {
    /// The rule.
    pub rule: RuleId,
    /// How many came back.
    pub messages: u64,
    /// When the first and the last of them was seen.
    pub seen: (Timestamp, Timestamp),
}

impl Table {
    pub(super) fn note_guard(&self, run: RunNo, event: &GuardEvent) -> Result<()> {
        let GuardEvent { at, kind, who, words, data } = event;
        self.direct(|c| {
            c.execute(
                "INSERT INTO guard_event (run, at, kind, who, words, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![run.0, at.as_millisecond(), kind, who, words, data],
            )
        })
        .map(drop)
    }

    pub(super) fn guard_events(&self, run: RunNo) -> Result<Vec<GuardEvent>> {
        self.direct(|c| events(c, "?1", run.0))
    }

    pub(super) fn bounced(&self, run: RunNo, messages: &[MessageId], now: Timestamp) -> Result<Vec<Option<Bounce>>> {
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

/// What guards and people did to a run, in order. `run`: an expression for its number, of this parameter.
pub(super) fn events(
    connection: &Connection,
    run: &str,
    parameter: impl rusqlite::ToSql,
) -> rusqlite::Result<Vec<GuardEvent>> {
    let sql = format!("SELECT at, kind, who, words, data FROM guard_event WHERE run = {run} ORDER BY seq");
    let event = |row: &Row<'_>| {
        let (kind, who, words, data) = (row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
        Ok(GuardEvent { at: time(row, 0)?, kind, who, words, data })
    };
    connection.prepare(&sql)?.query_map([parameter], event)?.collect()
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

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Ok(Timestamp::from_millisecond(row.get(column)?).unwrap_or(Timestamp::UNIX_EPOCH))
}
