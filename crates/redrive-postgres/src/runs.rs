//! Runs and their sessions in the database.

use redrive_protocol::protocol::{ABANDONED, QueueNo, RunNo, RunRef, RunSpec, RunState, SessionEnd, Store, Totals};
use tokio_postgres::types::Type;

use super::link::Parameter;
use super::reads::value;
use super::store::PostgresStore;
use super::{Error, Result};

/// A process of which nothing was heard for so long is taken for dead; in milliseconds. Every session commits each five seconds at
/// least.
pub(super) const PATIENCE: i64 = 20_000;

/// The server's clock, in milliseconds since 1970.
pub(super) const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000)::int8";

/// The process at work on a run, as it was last heard of.
struct Holder {
    run: String,
    host: String,
    pid: i64,
    silent_ms: i64,
}

impl Holder {
    /// Whether it may still be at work. One of this machine that is gone is not.
    fn may_live(&self) -> bool {
        let pid = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw);
        let is_gone = self.host == host()
            && pid.is_none_or(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH));
        self.silent_ms < PATIENCE && !is_gone
    }
}

/// The name of this machine.
fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

impl PostgresStore {
    /// Whoever else is at work on the source; two that begin at the same moment wait for each other here.
    fn holder(&self, source: QueueNo) -> Result<Option<Holder>> {
        self.link.row("SELECT 1 FROM queue WHERE id = $1 FOR UPDATE", &[(&source.0, Type::INT8)])?;
        let sql = format!(
            "SELECT name, coalesce(host, ''), coalesce(pid, 0), {NOW} - coalesce(beat, 0) FROM run
             WHERE source = $1 AND in_session AND epoch IS NOT NULL AND epoch <> $2"
        );
        let found = self.link.row(&sql, &[(&source.0, Type::INT8), (&self.epoch, Type::INT8)])?;
        let holder = |row| {
            Ok(Holder { run: value(&row, 0)?, host: value(&row, 1)?, pid: value(&row, 2)?, silent_ms: value(&row, 3)? })
        };
        found.map(holder).transpose()
    }

    /// Fails if another process is at work on the source.
    pub(super) fn refuse_if_busy(&self, source: QueueNo) -> Result<()> {
        let Some(holder) = self.holder(source)?.filter(Holder::may_live) else { return Ok(()) };
        let Holder { run, host, pid, silent_ms } = holder;
        Err(Error::busy(format!(
            "another redrive (process {pid} on {host}) is at work on run {run} over this source, and was heard of {} s ago",
            silent_ms / 1000
        )))
    }

    pub(super) fn begin_run(&mut self, spec: &RunSpec, source: QueueNo, at: i64) -> Result<RunState> {
        self.refuse_if_busy(source)?;
        let mut is_new = false;
        let run = loop {
            if let Some(run) = self.run_named(&spec.name)? {
                break run.run;
            }
            let RunSpec { name, job_sha256, plan, approvals, command, directory, sandbox, .. } = spec;
            let parameters: [Parameter<'_>; 9] = [
                (name, Type::TEXT),
                (&source.0, Type::INT8),
                (job_sha256, Type::TEXT),
                (plan, Type::TEXT),
                (approvals, Type::TEXT),
                (&at, Type::INT8),
                (command, Type::TEXT),
                (directory, Type::TEXT),
                (sandbox, Type::BOOL),
            ];
            let sql =
                "INSERT INTO run (id, name, source, job_sha256, plan, approvals, started, command, directory, sandbox)
                SELECT coalesce(max(id), 0) + 1, $1, $2, $3, $4, $5, $6, $7, $8, $9 FROM run ON CONFLICT DO NOTHING";
            is_new = self.link.run(sql, &parameters)? == 1;
        };
        // Whichever run its process was killed at: what it had in flight is this source's.
        let sql = "SELECT 1 FROM run WHERE source = $1 AND in_session";
        let interrupted = self.link.row(sql, &[(&source.0, Type::INT8)])?.is_some();
        // Nor does a process that was at work on another run of this source commit any more.
        let sql = "UPDATE run SET in_session = (id = $2), epoch = NULL WHERE source = $1";
        self.link.run(sql, &[(&source.0, Type::INT8), (&run.0, Type::INT8)])?;
        // Whoever asked an earlier process for something has the answer, or was told that nobody heard it.
        self.link.run("DELETE FROM control WHERE run = $1", &[(&run.0, Type::INT8)])?;
        let RunSpec { approvals, command, directory, sandbox, .. } = spec;
        let (host, pid) = (host(), i64::from(std::process::id()));
        let parameters: [Parameter<'_>; 8] = [
            (&run.0, Type::INT8),
            (approvals, Type::TEXT),
            (command, Type::TEXT),
            (directory, Type::TEXT),
            (sandbox, Type::BOOL),
            (&self.epoch, Type::INT8),
            (&host, Type::TEXT),
            (&pid, Type::INT8),
        ];
        let sql = format!(
            "UPDATE run SET ended = NULL, outcome = NULL, error = NULL, hint = NULL, not_released = 0, still_visible = 0,
             in_flight_elsewhere = 0, not_notified = NULL, approvals = $2, command = $3, directory = $4, sandbox = $5,
             epoch = $6, host = $7, pid = $8, beat = {NOW} WHERE id = $1"
        );
        self.link.run(&sql, &parameters)?;
        let found =
            self.link.row("SELECT requests, elapsed_ms, drained FROM run WHERE id = $1", &[(&run.0, Type::INT8)])?;
        let row = found.ok_or_else(|| unknown(run))?;
        let (requests, elapsed_ms) = (value::<i64>(&row, 0)?.cast_unsigned(), value::<i64>(&row, 1)?.cast_unsigned());
        let (drained, given_up) = (value(&row, 2)?, self.is_given_up(run)?);
        Ok(RunState { run, is_new, interrupted, drained, given_up, requests, elapsed_ms })
    }

    pub(super) fn end_run(&mut self, run: RunNo, end: &SessionEnd, at: i64) -> Result<()> {
        let ended = end.finished.then_some(at);
        let (error, hint) = end.cause.clone().map(|cause| (cause.error, cause.hint)).unzip();
        let hint = hint.flatten();
        let Totals { requests, elapsed_ms, not_released, still_visible, in_flight_elsewhere } = end.totals;
        let figures = [requests, elapsed_ms, not_released, still_visible, in_flight_elsewhere].map(u64::cast_signed);
        let parameters: [Parameter<'_>; 12] = [
            (&run.0, Type::INT8),
            (&ended, Type::INT8),
            (&end.outcome, Type::TEXT),
            (&end.has_orphans, Type::BOOL),
            (&error, Type::TEXT),
            (&hint, Type::TEXT),
            (&figures[0], Type::INT8),
            (&figures[1], Type::INT8),
            (&figures[2], Type::INT8),
            (&figures[3], Type::INT8),
            (&figures[4], Type::INT8),
            (&self.epoch, Type::INT8),
        ];
        // By whichever clock it started.
        let sql = "UPDATE run SET ended = CASE WHEN $2 IS NULL THEN NULL ELSE greatest($2, started) END, outcome = $3,
            in_session = $4, epoch = NULL, host = NULL, pid = NULL, beat = NULL, error = $5, hint = $6, requests = $7, elapsed_ms = $8, not_released = $9, still_visible = $10,
            in_flight_elsewhere = $11 WHERE id = $1 AND epoch = $12";
        if self.link.run(sql, &parameters)? == 1 { Ok(()) } else { Err(taken_over()) }
    }

    /// Says that this process is still at work on a run, and what that has cost. Fails where it was given up by somebody else meanwhile: then nothing that
    /// it wrote since may be committed.
    pub(super) fn beat(&mut self, run: RunNo) -> Result<()> {
        let (requests, elapsed_ms) = self.effort.take().unzip();
        let parameters: [Parameter<'_>; 4] = [
            (&run.0, Type::INT8),
            (&self.epoch, Type::INT8),
            (&requests.map(u64::cast_signed), Type::INT8),
            (&elapsed_ms.map(u64::cast_signed), Type::INT8),
        ];
        let sql = format!(
            "UPDATE run SET beat = {NOW}, requests = coalesce($3, requests), elapsed_ms = coalesce($4, elapsed_ms)
             WHERE id = $1 AND epoch = $2"
        );
        if self.link.run(&sql, &parameters)? == 1 { Ok(()) } else { Err(taken_over()) }
    }

    pub(super) fn run_named(&mut self, name: &str) -> Result<Option<RunRef>> {
        let sql = "SELECT id, source, ended IS NOT NULL, outcome FROM run WHERE name = $1";
        let Some(row) = self.link.row(sql, &[(&name, Type::TEXT)])? else { return Ok(None) };
        let (run, source) = (RunNo(value(&row, 0)?), QueueNo(value(&row, 1)?));
        Ok(Some(RunRef { run, source, ended: value(&row, 2)?, outcome: value(&row, 3)? }))
    }

    pub(super) fn is_ended(&self, run: RunNo) -> Result<bool> {
        let found = self.link.row("SELECT ended IS NOT NULL FROM run WHERE id = $1", &[(&run.0, Type::INT8)])?;
        found.map_or_else(|| Err(unknown(run)), |row| value(&row, 0))
    }

    pub(super) fn close_given_up(&self, run: RunNo, ended: Option<i64>) -> Result<()> {
        let sql = "UPDATE run SET ended = CASE WHEN $2 IS NULL THEN NULL ELSE greatest($2, started) END, outcome = $3
            WHERE id = $1";
        self.link.run(sql, &[(&run.0, Type::INT8), (&ended, Type::INT8), (&ABANDONED, Type::TEXT)]).map(drop)
    }

    pub(super) fn reopen_run(&self, run: RunNo, given_up: bool) -> Result<()> {
        let sql =
            "UPDATE run SET ended = NULL, outcome = CASE outcome WHEN 'finished' THEN 'unfinished' ELSE outcome END
            WHERE id = $1 AND (outcome = 'finished' OR outcome = $2 AND $3)";
        self.link.run(sql, &[(&run.0, Type::INT8), (&ABANDONED, Type::TEXT), (&given_up, Type::BOOL)]).map(drop)
    }
}

pub(super) fn unknown(run: RunNo) -> Error {
    Error::new(format!("the journal knows no run {}", run.0))
}

fn taken_over() -> Error {
    Error::new("another process has taken over, since nothing was heard of this one")
}
