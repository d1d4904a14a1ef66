//! Sessions of a run: beginning one settles what an earlier process left, ending one notes how it went.

use jiff::Timestamp;
use rusqlite::params;

use super::schema::broken;
use super::state::{Event, State};
use super::types::Delivered;
use super::writer::Writer;
use super::{Begun, Lease, RunSpec, Sent, SessionEnd};
use crate::error::Result;
use crate::target::Reason;

impl Writer {
    pub(super) fn begin(&mut self, spec: &RunSpec) -> Result<Begun> {
        let now = self.now();
        self.table.source = self.table.queue(&spec.source_arn)?;
        let fresh = self.table.sql(|c| {
            c.execute(
                "INSERT OR IGNORE INTO run (name, source, job_sha256, plan, started) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![spec.name, self.table.source, spec.job_sha256, spec.plan, now],
            )
        })? == 1;
        let (run, in_session, requests, elapsed_ms): (i64, bool, u64, u64) = self.table.sql(|c| {
            c.query_row("SELECT id, in_session, requests, elapsed_ms FROM run WHERE name = ?1", [&spec.name], |r| {
                Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?))
            })
        })?;
        self.table.run = run;
        self.table.sql(|c| {
            c.execute(
                "UPDATE run SET in_session = 1, ended = NULL, outcome = NULL, approvals = ?2 WHERE id = ?1",
                params![run, spec.approvals],
            )
        })?;
        self.load_tally()?;
        let in_doubt = self.recover()?;
        let doubtful = self.table.doubtful()?;
        let (to_delete, to_release) = self.left_behind(spec.source_arn.strip_suffix(".fifo").is_some())?;
        Ok(Begun {
            resumed: !fresh,
            interrupted: in_session,
            in_doubt,
            doubtful,
            to_delete,
            to_release,
            requests,
            elapsed_ms,
        })
    }

    /// What was on its way when the process ended has lost its answer.
    fn recover(&mut self) -> Result<u64> {
        let ids = self.table.on_their_way()?;
        for id in &ids {
            self.change(id, Event::LoseAnswer, None, |_| {})?;
        }
        Ok(ids.len() as u64)
    }

    /// Leases of an earlier session, of this run or another over the same source: what is safely elsewhere is to be
    /// deleted with its handle, what stays keeps its lease while that lasts, all else is to be given back. Out of a FIFO queue
    /// what stays is given back too: in flight, it would hide what is before it in its group and is not settled yet.
    fn left_behind(&mut self, fifo: bool) -> Result<(Vec<Sent>, Vec<Lease>)> {
        let now = self.now();
        let (mut to_delete, mut to_release) = (Vec::new(), Vec::new());
        for lease in self.table.leases(Timestamp::MAX, usize::MAX, false)? {
            if let Some(run) = self.table.sent_by(&lease.id)? {
                // Once, however many handles there are: the others come when the first is done.
                if self.claimed.insert(lease.id.clone()) {
                    let delivered =
                        Delivered { id: lease.id, receipt: lease.receipt, receive_count: None, origin: None };
                    to_delete.push(Sent { delivered, run, confirmed: None });
                }
                continue;
            }
            let row = self.table.row(&lease.id)?;
            let stays =
                row.is_some_and(|row| matches!(row.state, State::Kept | State::Blocked | State::Failed | State::Held));
            if fifo || !stays || lease.until.as_millisecond() <= now {
                to_release.push(lease);
            }
        }
        Ok((to_delete, to_release))
    }

    /// What is not finished and not in flight with us, when the source is dry, is gone from it.
    pub(super) fn vanish(&mut self) -> Result<()> {
        for id in self.table.unfinished_and_not_leased()? {
            self.change(&id, Event::Vanish, None, |row| {
                row.reason = (row.state == State::Failed).then_some(Reason::Gone);
            })?;
        }
        Ok(())
    }

    pub(super) fn end(&mut self, end: &SessionEnd) -> Result<()> {
        let ended = end.finished.then(|| self.now());
        self.effort(end.requests, end.elapsed_ms)?;
        self.table.sql(|c| {
            c.execute(
                "UPDATE run SET ended = ?2, outcome = ?3, in_session = ?4 WHERE id = ?1",
                params![self.table.run, ended, end.outcome, end.has_orphans],
            )
        })?;
        Ok(())
    }

    pub(super) fn effort(&mut self, requests: u64, elapsed_ms: u64) -> Result<()> {
        self.table.sql(|c| {
            c.execute(
                "UPDATE run SET requests = ?2, elapsed_ms = ?3 WHERE id = ?1",
                params![self.table.run, requests, elapsed_ms],
            )
        })?;
        Ok(())
    }

    fn load_tally(&mut self) -> Result<()> {
        self.tally = super::query::tally(&self.table.connection, self.table.run)
            .map_err(|error| broken(&self.table.path, &error))?;
        Ok(())
    }
}
