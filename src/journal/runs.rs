//! Runs and their sessions in the database.

use rusqlite::params;

use super::table::Table;
use crate::error::Result;
use redrive_protocol::protocol::{ABANDONED, QueueNo, RunNo, RunSpec, RunState, SessionEnd, Store, Totals};

impl Table {
    pub(super) fn begin_run(&mut self, spec: &RunSpec, source: QueueNo, at: i64) -> Result<RunState> {
        let is_new = self.sql(|c| {
            c.execute(
                "INSERT OR IGNORE INTO run (name, source, job_sha256, plan, started) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![spec.name, source.0, spec.job_sha256, spec.plan, at],
            )
        })? == 1;
        // Whichever run its process was killed at: what it had in flight is this source's.
        let interrupted = self.direct(|c| {
            c.query_row("SELECT max(in_session) FROM run WHERE source = ?1", [source.0], |row| row.get(0))
        })?;
        let run =
            RunNo(self.direct(|c| {
                c.query_row("SELECT id FROM run WHERE name = ?1", [&spec.name], |row| row.get::<_, i64>(0))
            })?);
        let (requests, elapsed_ms, drained) = self.direct(|c| {
            c.execute("UPDATE run SET in_session = (id = ?2) WHERE source = ?1", [source.0, run.0])?;
            c.execute(
                "UPDATE run SET ended = NULL, outcome = NULL, error = NULL, hint = NULL, not_released = 0, still_visible = 0,
                 in_flight_elsewhere = 0, not_notified = NULL, approvals = ?2, command = ?3, directory = ?4, sandbox = ?5, pid = ?6 WHERE id = ?1",
                params![run.0, spec.approvals, spec.command, spec.directory, spec.sandbox, std::process::id()],
            )?;
            c.execute("INSERT OR IGNORE INTO effort VALUES (?1, 0, 0)", [run.0])?;
            let of_run = "SELECT effort.requests, elapsed_ms, drained FROM run JOIN effort ON effort.run = id WHERE id = ?1";
            c.query_row(of_run, [run.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        })?;
        let given_up = self.is_given_up(run)?;
        Ok(RunState { run, is_new, interrupted, drained, given_up, requests, elapsed_ms })
    }

    pub(super) fn end_run(&self, run: RunNo, end: &SessionEnd, at: i64) -> Result<()> {
        let ended = end.finished.then_some(at);
        let Totals { requests, elapsed_ms, not_released, still_visible, in_flight_elsewhere } = end.totals;
        self.note_effort_of(run, requests, elapsed_ms)?;
        let (error, hint) = end.cause.clone().map(|cause| (cause.error, cause.hint)).unzip();
        self.sql(|c| {
            // By whichever clock it started.
            c.execute(
                "UPDATE run SET ended = max(?2, started), outcome = ?3, in_session = ?4, error = ?5, hint = ?6, pid = NULL
                 WHERE id = ?1",
                params![run.0, ended, end.outcome, end.has_orphans, error, hint.flatten()],
            )?;
            c.execute(
                "UPDATE run SET not_released = ?2, still_visible = ?3, in_flight_elsewhere = ?4 WHERE id = ?1",
                params![run.0, not_released, still_visible, in_flight_elsewhere],
            )?;
            // What was on its way leaves much room, for a small journal.
            c.pragma_query(None, "incremental_vacuum", |_| Ok(()))
        })
    }

    /// Notes the SQS requests and the milliseconds of a run so far.
    pub(super) fn note_effort_of(&self, run: RunNo, requests: u64, elapsed_ms: u64) -> Result<()> {
        self.direct(|c| {
            c.execute(
                "UPDATE effort SET requests = ?2, elapsed_ms = ?3 WHERE run = ?1",
                params![run.0, requests, elapsed_ms],
            )
        })
        .map(drop)
    }

    pub(super) fn note_not_notified_of(&self, run: RunNo, words: &str) -> Result<()> {
        self.direct(|c| c.execute("UPDATE run SET not_notified = ?2 WHERE id = ?1", params![run.0, words])).map(drop)
    }

    pub(super) fn close_given_up(&self, run: RunNo, ended: Option<i64>) -> Result<()> {
        self.sql(|c| {
            c.execute(
                "UPDATE run SET ended = max(?2, started), outcome = ?3 WHERE id = ?1",
                params![run.0, ended, ABANDONED],
            )
        })
        .map(drop)
    }

    pub(super) fn reopen_run(&self, run: RunNo, given_up: bool) -> Result<()> {
        self.sql(|c| {
            c.execute(
                "UPDATE run SET ended = NULL, outcome = iif(outcome = 'finished', 'unfinished', outcome)
                 WHERE id = ?1 AND (outcome = 'finished' OR outcome = ?2 AND ?3)",
                params![run.0, ABANDONED, given_up],
            )
        })
        .map(drop)
    }
}
