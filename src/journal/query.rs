//! Reading a journal without writing to it: runs, their figures, and the messages that need somebody's attention.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::key::unpack;
use super::schema::{broken, open_to_read};
use super::state::State;
use super::table::state_column;
use super::tally::{Tally, TallyKey};
use crate::error::Result;
use crate::message::MessageId;
use crate::target::{Reason, RuleId, TargetId};

/// A journal, open to read from while another process may write to it.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    connection: Connection,
}

/// One run, as the journal knows it.
#[derive(Debug, Clone)]
pub struct RunRecord {
    /// The plan's identity.
    pub name: String,
    /// The source queue's ARN.
    pub source_arn: String,
    /// The SHA-256 of the job's text.
    pub job_sha256: String,
    /// The plan document.
    pub plan: String,
    /// When it was first begun.
    pub started: Timestamp,
    /// When it was finished; `None` while it is not.
    pub ended: Option<Timestamp>,
    /// How its last session ended; `None` while one is under way, or after one that was killed.
    pub outcome: Option<String>,
    /// SQS requests, over all sessions; of one that was killed, what it noted last.
    pub requests: u64,
    /// Milliseconds, likewise.
    pub elapsed_ms: u64,
    /// Who had approved the plan, as JSON.
    pub approvals: String,
}

/// A message that somebody should look at: blocked, held, failed, or once in doubt.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// The message.
    pub id: MessageId,
    /// Where it stands.
    pub state: State,
    /// The rule that took it.
    pub rule: RuleId,
    /// Where it went or was to go.
    pub target: Option<TargetId>,
    /// Why it stays.
    pub reason: Option<Reason>,
    /// How often the answer to a send of it never came.
    pub doubts: u32,
    /// The ID that its send returned.
    pub sent_as: Option<MessageId>,
    /// Which path, size or name it is about, or the destination's words.
    pub note: Option<String>,
    /// When it last changed.
    pub at: Timestamp,
}

const RUN: &str =
    "SELECT run.name, queue.arn, run.job_sha256, run.plan, run.started, run.ended, run.outcome, run.requests,
    run.elapsed_ms, run.approvals FROM run JOIN queue ON queue.id = run.source";

impl Reader {
    /// Opens an existing journal; `None` where there is none yet.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        Ok(open_to_read(path)?.map(|connection| Self { path: path.to_owned(), connection }))
    }

    /// All runs, the newest first.
    pub fn runs(&self) -> Result<Vec<RunRecord>> {
        self.sql(|c| c.prepare(&format!("{RUN} ORDER BY run.id DESC"))?.query_map([], run_record)?.collect())
    }

    /// Runs whose name begins with this, the newest first.
    pub fn runs_like(&self, prefix: &str) -> Result<Vec<RunRecord>> {
        Ok(self.runs()?.into_iter().filter(|run| run.name.starts_with(prefix)).collect())
    }

    /// The figures of a run.
    pub fn tally(&self, run: &str) -> Result<Tally> {
        self.sql(|c| {
            let id = c.query_row("SELECT id FROM run WHERE name = ?1", [run], |row| row.get(0))?;
            tally(c, id)
        })
    }

    /// Messages of a run that are blocked, held or failed, and those once in doubt, at most so many.
    pub fn troubles(&self, run: &str, most: usize) -> Result<Vec<Trouble>> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.sql(|c| {
            let mut statement = c.prepare(
                "SELECT message.id, state, rule, target, reason, doubts, sent_as, note.text, at
                 FROM message JOIN run ON run.id = message.run
                 LEFT JOIN note ON note.source = message.source AND note.id = message.id AND note.run = message.run
                 WHERE run.name = ?1 AND (doubts > 0 OR state IN (?2, ?3, ?4, ?5)) ORDER BY state, at LIMIT ?6",
            )?;
            let states = [State::Blocked, State::Held, State::Failed, State::InDoubt].map(|state| state as u8);
            statement
                .query_map(params![run, states[0], states[1], states[2], states[3], most], |row| {
                    Ok(Trouble {
                        id: unpack(&row.get::<_, Vec<u8>>(0)?),
                        state: state_column(row, 1)?,
                        rule: RuleId(row.get(2)?),
                        target: row.get::<_, Option<u16>>(3)?.map(TargetId),
                        reason: row.get::<_, Option<u8>>(4)?.and_then(Reason::from_number),
                        doubts: row.get(5)?,
                        sent_as: row.get::<_, Option<Vec<u8>>>(6)?.map(|id| unpack(&id)),
                        note: row.get(7)?,
                        at: time(row, 8)?,
                    })
                })?
                .collect()
        })
    }

    fn sql<T>(&self, action: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        action(&self.connection).map_err(|error| broken(&self.path, &error))
    }
}

/// The figures of a run, counted from its rows.
pub(super) fn tally(connection: &Connection, run: i64) -> rusqlite::Result<Tally> {
    let of_run = "SELECT deleted_for_others FROM run WHERE id = ?1";
    let deleted_for_other_runs = connection.query_row(of_run, [run], |row| row.get(0))?;
    let mut tally = Tally { deleted_for_other_runs, ..Tally::default() };
    let mut statement = connection.prepare(
        "SELECT state, rule, target, exhausted, reason, count(*), sum(doubts > 0) FROM message WHERE run = ?1
         GROUP BY state, rule, target, exhausted, reason",
    )?;
    let mut rows = statement.query([run])?;
    while let Some(row) = rows.next()? {
        let key = TallyKey {
            state: state_column(row, 0)?,
            rule: RuleId(row.get(1)?),
            target: row.get::<_, Option<u16>>(2)?.map(TargetId),
            exhausted: row.get(3)?,
            reason: row.get::<_, Option<u8>>(4)?.and_then(Reason::from_number),
        };
        tally.counts.insert(key, row.get(5)?);
        tally.doubted += row.get::<_, u64>(6)?;
    }
    Ok(tally)
}

fn run_record(row: &Row<'_>) -> rusqlite::Result<RunRecord> {
    Ok(RunRecord {
        name: row.get(0)?,
        source_arn: row.get(1)?,
        job_sha256: row.get(2)?,
        plan: row.get(3)?,
        started: time(row, 4)?,
        ended: row.get::<_, Option<i64>>(5)?.and_then(|millis| Timestamp::from_millisecond(millis).ok()),
        outcome: row.get(6)?,
        requests: row.get(7)?,
        elapsed_ms: row.get(8)?,
        approvals: row.get(9)?,
    })
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Ok(Timestamp::from_millisecond(row.get(column)?).unwrap_or(Timestamp::UNIX_EPOCH))
}
