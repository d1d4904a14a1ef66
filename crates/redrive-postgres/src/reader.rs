//! Reading a journal without writing to it: runs, their figures, and the messages that need somebody's attention.

use redrive_protocol::message::MessageId;
use redrive_protocol::protocol::{
    CameBack, Cause, GuardEvent, Key, Process, Resolution, Resolved, RunRecord, State, Tally, Timeline, Totals,
    Trouble, URGENCY,
};
use redrive_protocol::target::{Reason, RuleId};
use tokio_postgres::types::Type;
use tokio_postgres::{Config, Row};

use super::link::{Link, Parameter};
use super::reads::{self, value};
use super::runs::{NOW, PATIENCE};
use super::{Error, Result, guards, schema, timeline};

const RUN: &str =
    "resolution.at, who, resolution.reason, run.name, queue.arn, run.job_sha256, run.plan, run.started, run.ended,
    run.outcome, run.requests, run.elapsed_ms, run.approvals, run.error, run.hint, run.not_released, run.still_visible,
    run.in_flight_elsewhere, run.command, run.directory, run.sandbox, run.pid, run.not_notified, run.host, run.beat";

const TROUBLE: &str = "SELECT decision, resolution.at, who, resolution.reason, message.id, state, rule, target,
    message.reason, message.doubts, sent_as, note.text, message.at, identity.text FROM message
    LEFT JOIN identity ON identity.run = message.run AND identity.id = message.id
    LEFT JOIN note ON note.source = message.source AND note.id = message.id AND note.run = message.run
    LEFT JOIN resolution ON resolution.run = message.run AND resolution.id = message.id
    AND resolution.source = message.source";

/// How many messages are fetched at once.
const PAGE: usize = 1000;

/// A journal on a server, to read from while others write to it.
#[derive(Debug)]
pub struct PostgresReader(Link);

impl PostgresReader {
    /// Connects to a journal; `None` where the database has none yet.
    pub fn open(config: &Config) -> Result<Option<Self>> {
        let link = Link::open(config)?;
        Ok(schema::is_there(&link)?.then_some(Self(link)))
    }

    /// All runs, the newest first.
    pub fn runs(&self) -> Result<Vec<RunRecord>> {
        let sql = format!(
            "SELECT decision, {RUN}, {NOW} - coalesce(run.beat, 0) < {PATIENCE} FROM run JOIN queue ON queue.id = run.source
             LEFT JOIN resolution ON resolution.run = run.id AND resolution.id = '' ORDER BY run.id DESC"
        );
        self.0.rows(&sql, &[])?.iter().map(run_record).collect()
    }

    /// The figures of a run.
    pub fn tally(&self, run: &str) -> Result<Tally> {
        let run: [Parameter<'_>; 1] = [(&run, Type::TEXT)];
        let sql = "SELECT doubted, deleted_for_others FROM run WHERE name = $1";
        let row = self.0.row(sql, &run)?.ok_or_else(|| Error::new("the run is not in the journal any more"))?;
        let mut tally = Tally {
            doubted: value::<i64>(&row, 0)?.cast_unsigned(),
            deleted_for_other_runs: value::<i64>(&row, 1)?.cast_unsigned(),
            ..Tally::default()
        };
        let sql = "SELECT state, rule, target, exhausted, reason, messages FROM tally JOIN run ON run.id = tally.run
            WHERE name = $1 AND messages > 0";
        for row in self.0.rows(sql, &run)? {
            reads::count(&mut tally, &row)?;
        }
        Ok(tally.folded())
    }

    /// The `DeadLetterQueueSourceArn` that a message had before a run parked it and brought it back under this ID.
    pub fn came_from(&self, id: &MessageId) -> Result<Option<String>> {
        let (key, returned) = (Key::of(id), i32::from(RuleId::RETURNED.0));
        let sql = "SELECT arn FROM message JOIN queue ON queue.id = origin WHERE sent_as = $1 AND rule = $2";
        let found = self.0.row(sql, &[(&key.bytes(), Type::BYTEA), (&returned, Type::INT4)])?;
        found.map(|row| value(&row, 0)).transpose()
    }

    /// How a run went over time.
    pub fn timeline(&self, run: &str) -> Result<Timeline> {
        let found = self.0.row("SELECT id FROM run WHERE name = $1", &[(&run, Type::TEXT)])?;
        found.map_or_else(|| Ok(Timeline::default()), |row| timeline::read_all(&self.0, value(&row, 0)?))
    }

    /// What guards and people did to a run, in order.
    pub fn guard_events(&self, run: &str) -> Result<Vec<GuardEvent>> {
        guards::events(&self.0, run)
    }

    /// How many of the last messages that a run sent came back, and of how many that is: of so many at the most.
    pub fn came_back_of_last(&self, run: &str, most: u64) -> Result<(u64, u64)> {
        guards::came_back_of_last(&self.0, run, most)
    }

    /// What came back of a run's messages, by rule.
    pub fn came_back(&self, run: &str) -> Result<Vec<CameBack>> {
        guards::came_back(&self.0, run)
    }

    /// Messages of a run in one of these states and, if it is said so, those once in doubt; the most urgent first.
    pub fn messages<E: From<Error>>(
        &self,
        run: &str,
        states: &[State],
        and_doubted: bool,
        mut each: impl FnMut(Trouble) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let found = self.0.row("SELECT id FROM run WHERE name = $1", &[(&run, Type::TEXT)]).map_err(E::from)?;
        let Some(row) = found else { return Ok(()) };
        let run: i64 = value(&row, 0).map_err(E::from)?;
        let numbers: Vec<String> = states.iter().map(|state| (*state as u8).to_string()).collect();
        let doubted = if and_doubted { " OR message.doubts > 0" } else { "" };
        let urgency: Vec<String> =
            URGENCY.iter().zip(0..).map(|(state, place)| format!("WHEN {} THEN {place}", *state as u8)).collect();
        // A page at a time, all of it as of one moment.
        self.0.batch(&format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; DECLARE troubles CURSOR FOR {TROUBLE}
             WHERE message.run = {run} AND (state IN ({}){doubted})
             ORDER BY message.reason IS DISTINCT FROM {}, CASE state {} ELSE 99 END, message.at, message.id",
            numbers.join(", "),
            Reason::ArchiveLost as u8,
            urgency.join(" "),
        ))?;
        loop {
            let rows = self.0.rows(&format!("FETCH {PAGE} FROM troubles"), &[])?;
            for row in &rows {
                each(trouble(row)?)?;
            }
            if rows.len() < PAGE {
                break;
            }
        }
        Ok(self.0.batch("COMMIT")?)
    }
}

fn run_record(row: &Row) -> Result<RunRecord> {
    let number = |column| Ok::<_, Error>(value::<i64>(row, column)?.cast_unsigned());
    let (error, hint): (Option<String>, Option<String>) = (value(row, 14)?, value(row, 15)?);
    let pid = value::<Option<i64>>(row, 22)?.and_then(|pid| u32::try_from(pid).ok());
    let (host, beat): (Option<String>, Option<i64>) = (value(row, 24)?, value(row, 25)?);
    let elsewhere = host.zip(beat.map(reads::time));
    let is_alive = value(row, 26)?;
    Ok(RunRecord {
        given_up: resolved(row)?,
        name: value(row, 4)?,
        source_arn: value(row, 5)?,
        job_sha256: value(row, 6)?,
        plan: value(row, 7)?,
        started: reads::time(value(row, 8)?),
        ended: value::<Option<i64>>(row, 9)?.map(reads::time),
        outcome: value(row, 10)?,
        cause: error.map(|error| Cause { error, hint }),
        totals: Totals {
            requests: number(11)?,
            elapsed_ms: number(12)?,
            not_released: number(16)?,
            still_visible: number(17)?,
            in_flight_elsewhere: number(18)?,
        },
        approvals: value(row, 13)?,
        command: value(row, 19)?,
        directory: value(row, 20)?,
        sandbox: value(row, 21)?,
        not_notified: value(row, 23)?,
        process: pid.map(|pid| Process { pid, is_alive, elsewhere }),
    })
}

fn trouble(row: &Row) -> Result<Trouble> {
    Ok(Trouble {
        resolved: resolved(row)?,
        id: reads::key(row, 4)?.id(),
        state: reads::state(row, 5)?,
        rule: reads::rule(row, 6)?,
        target: reads::target(row, 7)?,
        reason: value::<Option<i16>>(row, 8)?.and_then(reads::reason),
        doubts: reads::narrow(value(row, 9)?)?,
        sent_as: value::<Option<Vec<u8>>>(row, 10)?.map(|id| Key::from(id).id()),
        note: value(row, 11)?,
        identity: value(row, 13)?,
        at: reads::time(value(row, 12)?),
    })
}

/// The decision in the first columns, where there is one.
fn resolved(row: &Row) -> Result<Option<Resolved>> {
    let number = value::<Option<i16>>(row, 0)?.and_then(|number| u8::try_from(number).ok());
    let Some(resolution) = number.and_then(Resolution::from_number) else { return Ok(None) };
    Ok(Some(Resolved { resolution, at: reads::time(value(row, 1)?), who: value(row, 2)?, reason: value(row, 3)? }))
}
