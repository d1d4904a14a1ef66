//! Sessions of a run: beginning one settles what an earlier process left, ending one notes how it went.

use jiff::Timestamp;
use redrive_protocol::target::{Reason, RuleId};
use rusqlite::params;

use super::claims::Claims;
use super::key::pack;
use super::state::{Event, State};
use super::types::Delivered;
use super::writer::Writer;
use super::{Begun, Lease, RunSpec, Sent, SessionEnd};
use crate::error::Result;

impl Writer {
    pub(super) fn begin(&mut self, spec: &RunSpec) -> Result<Begun> {
        let now = self.now;
        self.table.source = self.table.queue(&spec.source_arn)?;
        self.fifo = spec.source_arn.strip_suffix(".fifo").is_some();
        let fresh = self.table.sql(|c| {
            c.execute(
                "INSERT OR IGNORE INTO run (name, source, job_sha256, plan, started) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![spec.name, self.table.source, spec.job_sha256, spec.plan, now],
            )
        })? == 1;
        // Whichever run its process was killed at: what it had in flight is this source's.
        let interrupted = self.table.sql(|c| {
            c.query_row("SELECT max(in_session) FROM run WHERE source = ?1", [self.table.source], |row| row.get(0))
        })?;
        self.interrupted = interrupted;
        self.take_up(&spec.name)?;
        let (requests, elapsed_ms, drained): (u64, u64, bool) = self.table.sql(|c| {
            c.execute("UPDATE run SET in_session = (id = ?2) WHERE source = ?1", [self.table.source, self.table.run])?;
            c.execute(
                "UPDATE run SET ended = NULL, outcome = NULL, approvals = ?2 WHERE id = ?1",
                params![self.table.run, spec.approvals],
            )?;
            c.query_row("SELECT requests, elapsed_ms, drained FROM run WHERE id = ?1", [self.table.run], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
        })?;
        let in_doubt = self.recover()?;
        let doubtful = self.table.doubtful()?;
        let given_up = self.is_given_up()?;
        let (to_delete, to_release) = self.left_behind()?;
        Ok(Begun {
            resumed: !fresh,
            interrupted,
            in_doubt,
            doubtful,
            to_delete,
            to_release,
            // Where nothing is parked any more, what else is unfinished is in the source.
            drained: (drained || given_up) && self.tally.folded().away() > 0,
            given_up,
            requests,
            elapsed_ms,
        })
    }

    /// Takes up a run that is in the journal, with its figures.
    pub(super) fn take_up(&mut self, name: &str) -> Result<()> {
        (self.table.run, self.table.source) = self.table.sql(|c| {
            c.query_row("SELECT id, source FROM run WHERE name = ?1", [name], |row| Ok((row.get(0)?, row.get(1)?)))
        })?;
        self.load_figures()
    }

    /// Turns to the parking queue, and settles what an earlier session left there.
    pub(super) fn turn(&mut self, parking_arn: &str, drained: bool) -> Result<Begun> {
        let parking = self.table.queue(parking_arn)?;
        self.table.home = Some(std::mem::replace(&mut self.table.source, parking));
        // They were about messages of the source, whose IDs the parked ones go by.
        self.claimed = Claims::default();
        self.table.sql(|c| c.execute("UPDATE run SET drained = ?2 WHERE id = ?1", params![self.table.run, drained]))?;
        self.fifo = false;
        let (to_delete, to_release) = self.left_behind()?;
        Ok(Begun {
            resumed: false,
            interrupted: self.interrupted,
            in_doubt: 0,
            doubtful: Vec::new(),
            to_delete,
            to_release,
            drained: false,
            given_up: false,
            requests: 0,
            elapsed_ms: 0,
        })
    }

    /// What was on its way when the process ended, out or back, has lost its answer.
    pub(super) fn recover(&mut self) -> Result<u64> {
        let under_way = self.table.in_states([State::Sending, State::Resending])?;
        let source = self.table.source;
        for (queue, id) in &under_way {
            self.table.source = *queue;
            self.change(id, Event::LoseAnswer, None, |_| {})?;
        }
        self.table.source = source;
        Ok(under_way.len() as u64)
    }

    /// Leases of an earlier session, of this run or another over the same source: what is safely elsewhere is to be
    /// deleted with its handle, what stays keeps its lease while that lasts, all else is to be given back. Out of a FIFO queue
    /// what stays is given back too, so that a group is judged again from its first message on: where that comes back, what was
    /// behind it may go now. Servers that hide a whole group while one of its messages is in flight, as SQS did until November
    /// 2025, would not even give the first.
    fn left_behind(&mut self) -> Result<(Vec<Sent>, Vec<Lease>)> {
        let now = self.now;
        let (mut to_delete, mut to_release) = (Vec::new(), Vec::new());
        for lease in self.table.leases(Timestamp::MAX, usize::MAX, false)? {
            if let Some(run) = self.table.sent_by(&lease.id)? {
                self.reappear(&lease.id, run)?;
                // Once, however many handles there are: the others come when the first is done.
                if self.claimed.insert(pack(&lease.id), true, false) {
                    let (receive_count, origin, came_from) = (None, None, None);
                    let delivered =
                        Delivered { id: lease.id, receipt: lease.receipt, receive_count, origin, came_from };
                    to_delete.push(Sent { delivered, run, confirmed: None });
                }
                continue;
            }
            let row = self.table.row(&lease.id)?;
            let stays =
                row.is_some_and(|row| matches!(row.state, State::Kept | State::Blocked | State::Failed | State::Held));
            if self.fifo || !stays || lease.until.as_millisecond() <= now {
                to_release.push(lease);
            }
        }
        Ok((to_delete, to_release))
    }

    /// What is not finished and not in flight with us, when the source is dry, is gone from it.
    pub(super) fn vanish(&mut self) -> Result<()> {
        for id in self.table.unfinished_and_not_leased()? {
            self.change(&id, Event::Vanish, None, |row| {
                let gone = if row.rule == RuleId::RETURNED { Reason::ParkedGone } else { Reason::Gone };
                row.reason = (row.state == State::Failed).then_some(gone);
            })?;
        }
        if self.table.home.is_some() {
            for id in self.table.parked_and_not_met()? {
                self.change(&id, Event::Vanish, None, |row| {
                    row.rule = RuleId::RETURNED;
                    row.reason = Some(Reason::ParkedGone);
                })?;
            }
        }
        Ok(())
    }

    pub(super) fn end(&mut self, end: &SessionEnd) -> Result<()> {
        let ended = end.finished.then_some(self.now);
        self.effort(end.requests, end.elapsed_ms)?;
        self.table.sql(|c| {
            c.execute(
                "UPDATE run SET ended = ?2, outcome = ?3, in_session = ?4 WHERE id = ?1",
                params![self.table.run, ended, end.outcome, end.has_orphans],
            )?;
            // What was on its way leaves much room, for a small journal.
            c.pragma_query(None, "incremental_vacuum", |_| Ok(()))
        })
    }

    pub(super) fn effort(&mut self, requests: u64, elapsed_ms: u64) -> Result<()> {
        self.table.direct(|c| {
            c.execute(
                "UPDATE run SET requests = ?2, elapsed_ms = ?3 WHERE id = ?1",
                params![self.table.run, requests, elapsed_ms],
            )
        })?;
        Ok(())
    }
}
