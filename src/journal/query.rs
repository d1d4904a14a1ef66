//! Reading a journal without writing to it: runs, their figures, and the messages that need somebody's attention.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::entries::{Candidates, Index};
use super::front::show;
use super::guards;
use super::lock;
use super::rested::json;
use super::schema::{broken, damaged, open_to_read};
use super::table::state_column;
use super::timeline;
use super::{Location, server};
use crate::error::Result;
use redrive_postgres::PostgresReader;
use redrive_protocol::message::MessageId;
use redrive_protocol::protocol::{
    CameBack, Cause, GuardEvent, Key, Process, Resolution, Resolved, RunRecord, State, Tally, TallyKey, Timeline,
    Totals, Trouble, URGENCY,
};
use redrive_protocol::target::{Reason, RuleId, TargetId};

/// A journal, open to read from while another process may write to it.
#[derive(Debug)]
pub enum Reader {
    /// A file.
    File(FileReader),
    /// On a server.
    Server(PostgresReader),
}

impl Reader {
    /// Opens an existing journal; `None` where there is none yet.
    pub fn open(location: &Location) -> Result<Option<Self>> {
        Ok(match location {
            Location::File(path) => FileReader::open(path)?.map(Self::File),
            Location::Server(url) => server::open_to_read(url)?.map(Self::Server),
        })
    }

    /// All runs, the newest first.
    pub fn runs(&self) -> Result<Vec<RunRecord>> {
        match self {
            Self::File(reader) => reader.runs(),
            Self::Server(reader) => Ok(reader.runs()?),
        }
    }

    /// Runs whose name begins with this, the newest first.
    pub fn runs_like(&self, prefix: &str) -> Result<Vec<RunRecord>> {
        Ok(self.runs()?.into_iter().filter(|run| run.name.starts_with(prefix)).collect())
    }

    /// The figures of a run.
    pub fn tally(&self, run: &str) -> Result<Tally> {
        match self {
            Self::File(reader) => reader.tally(run),
            Self::Server(reader) => Ok(reader.tally(run)?),
        }
    }

    /// The `DeadLetterQueueSourceArn` that a message had before a run parked it and brought it back under this ID.
    pub fn came_from(&self, id: &MessageId) -> Result<Option<String>> {
        match self {
            Self::File(reader) => reader.came_from(id),
            Self::Server(reader) => Ok(reader.came_from(id)?),
        }
    }

    /// How a run went over time.
    pub fn timeline(&self, run: &str) -> Result<Timeline> {
        match self {
            Self::File(reader) => reader.timeline(run),
            Self::Server(reader) => Ok(reader.timeline(run)?),
        }
    }

    /// What guards and people did to a run, in order.
    pub fn guard_events(&self, run: &str) -> Result<Vec<GuardEvent>> {
        match self {
            Self::File(reader) => reader.guard_events(run),
            Self::Server(reader) => Ok(reader.guard_events(run)?),
        }
    }

    /// What came back of a run's messages, by rule.
    pub fn came_back(&self, run: &str) -> Result<Vec<CameBack>> {
        match self {
            Self::File(reader) => reader.came_back(run),
            Self::Server(reader) => Ok(reader.came_back(run)?),
        }
    }

    /// How many of the last messages that a run sent came back, and of how many that is: of so many at the most.
    pub fn came_back_of_last(&self, run: &str, most: u64) -> Result<(u64, u64)> {
        match self {
            Self::File(reader) => reader.came_back_of_last(run, most),
            Self::Server(reader) => Ok(reader.came_back_of_last(run, most)?),
        }
    }

    /// Messages of a run that are blocked, held or failed, and those once in doubt; one after the other, the most urgent first.
    pub fn troubles(&self, run: &str, each: impl FnMut(Trouble) -> Result<()>) -> Result<()> {
        self.messages(run, &[State::Blocked, State::Held, State::Failed, State::InDoubt], true, each)
    }

    /// Messages of a run about which somebody can decide: in doubt, held, or on the way of a process that may be dead.
    pub fn doubts(&self, run: &str, each: impl FnMut(Trouble) -> Result<()>) -> Result<()> {
        self.messages(run, &[State::Sending, State::Resending, State::Held, State::InDoubt], false, each)
    }

    fn messages(
        &self,
        run: &str,
        states: &[State],
        and_doubted: bool,
        each: impl FnMut(Trouble) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::File(reader) => reader.messages(run, states, and_doubted, each),
            Self::Server(reader) => reader.messages(run, states, and_doubted, each),
        }
    }
}

/// A journal's file.
#[derive(Debug)]
pub struct FileReader {
    path: PathBuf,
    connection: Connection,
}

const RUN: &str = "SELECT decision, at, who, reason, run.name, queue.arn, run.job_sha256, run.plan, run.started,
    run.ended, run.outcome, effort.requests, effort.elapsed_ms, run.approvals, run.error, run.hint, run.not_released, run.still_visible,
    run.in_flight_elsewhere, run.command, run.directory, run.sandbox, run.pid, run.not_notified
    FROM run JOIN queue ON queue.id = run.source
    JOIN effort ON effort.run = run.id
    LEFT JOIN resolution ON resolution.run = run.id AND resolution.id = x''";

const TROUBLE: &str = "SELECT decision, resolution.at, who, resolution.reason, message.id, state, rule, target,
    message.reason, message.doubts, sent_as, note.text, message.at, identity.text FROM message JOIN run ON run.id = message.run
    LEFT JOIN note ON note.source = message.source AND note.id = message.id AND note.run = message.run
    LEFT JOIN identity ON identity.run = message.run AND identity.id = message.id
    LEFT JOIN resolution ON resolution.run = message.run AND resolution.id = message.id
    AND resolution.source = message.source WHERE run.name = ?1";

impl FileReader {
    fn open(path: &Path) -> Result<Option<Self>> {
        Ok(open_to_read(path)?.map(|connection| Self { path: path.to_owned(), connection }))
    }

    fn runs(&self) -> Result<Vec<RunRecord>> {
        let mut runs: Vec<RunRecord> =
            self.sql(|c| c.prepare(&format!("{RUN} ORDER BY run.id DESC"))?.query_map([], run_record)?.collect())?;
        // After what is on disk was read: a session that ended meanwhile is not one that was killed.
        for process in runs.iter_mut().filter_map(|run| run.process.as_mut()) {
            process.is_alive = lock::is_held_by(&self.path, process.pid);
        }
        Ok(runs)
    }

    fn timeline(&self, run: &str) -> Result<Timeline> {
        self.sql(|c| {
            let id = c.query_row("SELECT id FROM run WHERE name = ?1", [run], |row| row.get(0))?;
            timeline::read_all(c, id)
        })
    }

    fn tally(&self, run: &str) -> Result<Tally> {
        self.sql(|c| {
            let id = c.query_row("SELECT id FROM run WHERE name = ?1", [run], |row| row.get(0))?;
            tally(c, id)
        })
        .map(|tally| tally.folded())
    }

    fn came_from(&self, id: &MessageId) -> Result<Option<String>> {
        let id = Key::of(id);
        self.sql(|c| {
            let rows = json(&Candidates::all(c)?.rows(c, Index::SentAs, &id)?);
            c.prepare_cached(
                "SELECT queue.arn FROM rested JOIN queue ON queue.id = rested.origin
                 WHERE seq IN (SELECT value FROM json_each(?3)) AND sent_as = ?1 AND rule = ?2",
            )?
            .query_row(params![id.bytes(), RuleId::RETURNED.0, rows], |row| row.get(0))
            .optional()
        })
    }

    fn guard_events(&self, run: &str) -> Result<Vec<GuardEvent>> {
        self.sql(|c| guards::events(c, run))
    }

    fn came_back(&self, run: &str) -> Result<Vec<CameBack>> {
        self.sql(|c| guards::came_back(c, run))
    }

    fn came_back_of_last(&self, run: &str, most: u64) -> Result<(u64, u64)> {
        self.sql(|c| guards::came_back_of_last(c, run, most))
    }

    fn messages(
        &self,
        run: &str,
        states: &[State],
        and_doubted: bool,
        mut each: impl FnMut(Trouble) -> Result<()>,
    ) -> Result<()> {
        let states: Vec<String> = states.iter().map(|state| (*state as u8).to_string()).collect();
        let doubted = if and_doubted { "message.doubts > 0 OR " } else { "" };
        let such = format!("{doubted}state IN ({})", states.join(", "));
        let urgency = URGENCY.iter().zip(0..).map(|(state, place)| format!("WHEN {} THEN {place} ", *state as u8));
        let lost = format!("message.reason IS NOT {}", Reason::ArchiveLost as u8);
        let order =
            format!("{lost}, CASE state {}ELSE {} END, message.at, message.id", urgency.collect::<String>(), u8::MAX);
        self.shown(|c| {
            let mut statement = c.prepare(&format!("{TROUBLE} AND ({such}) ORDER BY {order}"))?;
            let mut rows = statement.query([run])?;
            while let Some(row) = rows.next()? {
                if let Err(error) = each(trouble(row)?) {
                    return Ok(Err(error));
                }
            }
            Ok(Ok(()))
        })?
    }

    /// Reads with `message` in view, all of it as of one moment.
    fn shown<T>(&self, action: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let read = || {
            let moment = self.connection.unchecked_transaction()?;
            moment.pragma_update(None, "query_only", false)?;
            let shown = show(&moment)?;
            moment.pragma_update(None, "query_only", true)?;
            let found = if shown { Some(action(&moment)?) } else { None };
            moment.commit()?;
            Ok(found)
        };
        match read() {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(damaged(&self.path, "what was on its way cannot be read")),
            Err(error) => Err(broken(&self.path, &error)),
        }
    }

    fn sql<T>(&self, action: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        action(&self.connection).map_err(|error| broken(&self.path, &error))
    }
}

/// The figures of a run.
pub(super) fn tally(connection: &Connection, run: i64) -> rusqlite::Result<Tally> {
    let of_run = "SELECT doubted, deleted_for_others FROM run WHERE id = ?1";
    let (doubted, deleted_for_other_runs) =
        connection.query_row(of_run, [run], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut statement = connection.prepare(
        "SELECT state, rule, target, exhausted, reason, messages FROM tally WHERE run = ?1 AND messages > 0",
    )?;
    let counts = statement.query_map([run], |row| {
        let key = TallyKey {
            state: state_column(row, 0)?,
            rule: RuleId(row.get(1)?),
            target: u16::try_from(row.get::<_, i64>(2)?).ok().map(TargetId),
            exhausted: row.get(3)?,
            reason: Reason::from_number(row.get(4)?),
        };
        Ok((key, row.get(5)?))
    })?;
    Ok(Tally { counts: counts.collect::<rusqlite::Result<_>>()?, doubted, deleted_for_other_runs, ..Tally::default() })
}

fn run_record(row: &Row<'_>) -> rusqlite::Result<RunRecord> {
    Ok(RunRecord {
        given_up: resolved(row)?,
        name: row.get(4)?,
        source_arn: row.get(5)?,
        job_sha256: row.get(6)?,
        plan: row.get(7)?,
        started: time(row, 8)?,
        ended: row.get::<_, Option<i64>>(9)?.and_then(|millis| Timestamp::from_millisecond(millis).ok()),
        outcome: row.get(10)?,
        approvals: row.get(13)?,
        command: row.get(19)?,
        directory: row.get(20)?,
        sandbox: row.get(21)?,
        not_notified: row.get(23)?,
        process: row.get::<_, Option<u32>>(22)?.map(|pid| Process { pid, is_alive: false, elsewhere: None }),
        cause: match row.get(14)? {
            Some(error) => Some(Cause { error, hint: row.get(15)? }),
            None => None,
        },
        totals: Totals {
            requests: row.get(11)?,
            elapsed_ms: row.get(12)?,
            not_released: row.get(16)?,
            still_visible: row.get(17)?,
            in_flight_elsewhere: row.get(18)?,
        },
    })
}

fn trouble(row: &Row<'_>) -> rusqlite::Result<Trouble> {
    Ok(Trouble {
        resolved: resolved(row)?,
        id: Key::from(row.get::<_, Vec<u8>>(4)?).id(),
        state: state_column(row, 5)?,
        rule: RuleId(row.get(6)?),
        target: row.get::<_, Option<u16>>(7)?.map(TargetId),
        reason: row.get::<_, Option<u8>>(8)?.and_then(Reason::from_number),
        doubts: row.get(9)?,
        sent_as: row.get::<_, Option<Vec<u8>>>(10)?.map(|id| Key::from(id).id()),
        note: row.get(11)?,
        at: time(row, 12)?,
        identity: row.get(13)?,
    })
}

/// The decision in the first columns, where there is one.
fn resolved(row: &Row<'_>) -> rusqlite::Result<Option<Resolved>> {
    let Some(resolution) = row.get::<_, Option<u8>>(0)?.and_then(Resolution::from_number) else { return Ok(None) };
    Ok(Some(Resolved { resolution, at: time(row, 1)?, who: row.get(2)?, reason: row.get(3)? }))
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Ok(Timestamp::from_millisecond(row.get(column)?).unwrap_or(Timestamp::UNIX_EPOCH))
}
