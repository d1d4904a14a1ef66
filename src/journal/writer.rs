//! The thread that owns the database: gathers waiting commands, changes in one transaction, commits, answers.
//!
//! Nothing is answered before the commit of what it saw. After a failure of the database the writer refuses everything: the
//! run stops, and what was committed is where it goes on.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use redrive_protocol::message::MessageId;
use redrive_protocol::target::{Reason, RuleId, TargetId};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::archives::{Change, Missing, Piece};
use super::claims::Claims;
use super::filter::Segments;
use super::key::pack;
use super::schema::broken;
use super::state::{Event, State, next};
use super::table::{Row, Table};
use super::tally::{Tally, TallyKey};
use super::types::Delivered;
use super::{
    Admitted, Begun, Claim, Clock, Decided, DeleteEnd, Delivery, Doubtful, Intended, Judged, Judgement, Lease, Resolve,
    RunSpec, SendEnd, Sent, SessionEnd, Settled, Settlement, Stay,
};
use crate::crash_point::CrashPoint;
use crate::error::{Error, Result};

/// How many commands one transaction gathers at the most: enough to share a commit, few enough to answer soon.
const MAX_GROUP: usize = 512;

/// A commit costs the same for one change and for hundreds, so it waits for more of them while there is much under way: until
/// there are so many, or half of the messages that are claimed; and not longer than [`LINGER`].
const WORTH_A_COMMIT: usize = 512;

/// How long a change waits for others at the most.
const LINGER: Duration = Duration::from_millis(8);

type Reply<T> = oneshot::Sender<Result<T>>;

pub(super) enum Command {
    Begin { spec: RunSpec, reply: Reply<Begun> },
    End { end: SessionEnd, reply: Reply<()> },
    Effort { requests: u64, elapsed_ms: u64, reply: Reply<()> },
    Admit { deliveries: Vec<Delivery>, reply: Reply<Vec<Admitted>> },
    AdmitParked { deliveries: Vec<(Delivery, Option<MessageId>)>, reply: Reply<Vec<Admitted>> },
    Turn { parking_arn: String, drained: bool, reply: Reply<Begun> },
    Judge { judgements: Vec<Judgement>, reply: Reply<Vec<Judged>> },
    Settle { settlements: Vec<Settlement>, piece: Option<(TargetId, u64)>, reply: Reply<Vec<Settled>> },
    Archive { change: Change, reply: Reply<()> },
    Pieces { target: TargetId, from: u64, most: usize, reply: Reply<Vec<Piece>> },
    Found { messages: Vec<MessageId>, reply: Reply<()> },
    Missing { target: TargetId, found: HashSet<MessageId>, reply: Reply<Missing> },
    Deleted { deletes: Vec<(Sent, DeleteEnd)>, reply: Reply<Vec<Sent>> },
    Leases { before: Timestamp, most: usize, releasable: bool, reply: Reply<Vec<Lease>> },
    Leased { changes: Vec<(Lease, Option<Timestamp>)>, reply: Reply<()> },
    LeaseCount { reply: Reply<u64> },
    Vanish { reply: Reply<()> },
    Unclaim { claims: Vec<MessageId>, reply: Reply<()> },
    Resolve { resolve: Resolve, reply: Reply<u64> },
}

impl Command {
    /// How many messages it changes; more than any commit waits for where it is none of those that come by the thousand.
    fn changes(&self) -> usize {
        match self {
            Self::Admit { deliveries, .. } => deliveries.len(),
            Self::AdmitParked { deliveries, .. } => deliveries.len(),
            Self::Judge { judgements, .. } => judgements.len(),
            Self::Settle { settlements, .. } => settlements.len(),
            Self::Deleted { deletes, .. } => deletes.len(),
            _ => WORTH_A_COMMIT,
        }
    }
}

pub(super) struct Writer {
    pub(super) table: Table,
    /// Whether the source is a FIFO queue.
    pub(super) fifo: bool,
    clock: Clock,
    /// When the command that is being carried out was taken up, in milliseconds since 1970.
    pub(super) now: i64,
    pub(super) claimed: Claims,
    /// Whether the run's last process was ended in its midst.
    pub(super) interrupted: bool,
    /// The figures with the open transaction's changes, and what everybody else sees: those that are on disk.
    pub(super) tally: Tally,
    published: Arc<Mutex<Tally>>,
    failure: Option<Error>,
    crash_point: CrashPoint,
}

impl Writer {
    pub(super) fn new(
        path: PathBuf,
        connection: Connection,
        clock: Clock,
        published: Arc<Mutex<Tally>>,
    ) -> Result<Self> {
        let segments = Segments::load(&connection).map_err(|error| broken(&path, &error))?;
        Ok(Self {
            table: Table {
                path,
                connection,
                run: 0,
                source: 0,
                home: None,
                front: RefCell::default(),
                segments: RefCell::new(segments),
                may_have_leases: Cell::new(true),
                queues: RefCell::default(),
            },
            fifo: false,
            clock,
            now: 0,
            claimed: Claims::default(),
            interrupted: false,
            tally: Tally::default(),
            published,
            failure: None,
            crash_point: CrashPoint::from_environment("REDRIVE_CRASH_AT_COMMIT"),
        })
    }

    /// Works until the last sender is gone.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        let mut answers: Vec<Box<dyn FnOnce(Result<()>)>> = Vec::new();
        while let Some(first) = inbox.recv().await {
            let begun = self.table.direct(|connection| connection.execute_batch("BEGIN IMMEDIATE"));
            let mut failure = begun.err();
            let until = Instant::now() + LINGER;
            let (mut command, mut changes) = (Some(first), 0);
            while let Some(next) = command {
                changes += next.changes();
                answers.push(self.handle(next, &mut failure));
                let is_full = answers.len() == MAX_GROUP;
                let is_worth_it = failure.is_some() || changes >= WORTH_A_COMMIT.min(self.claimed.len() / 2);
                command = if is_full { None } else { inbox.try_recv().ok() };
                if command.is_none() && !is_full && !is_worth_it {
                    command = timeout_at(until, inbox.recv()).await.ok().flatten();
                }
            }
            let outcome = self.finish(failure);
            for answer in answers.drain(..) {
                answer(outcome.clone());
            }
        }
    }

    /// Commits, or undoes everything where something failed. A commit that failed may or may not be on disk; recovery
    /// takes it as it finds it.
    fn finish(&mut self, failure: Option<Error>) -> Result<()> {
        let outcome = match failure {
            None => self.commit(),
            Some(error) => Err(error),
        };
        match &outcome {
            Ok(()) => self.published.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&self.tally),
            Err(error) => {
                // The failure is what is reported; that there may be nothing to roll back is no second one.
                let _ = self.table.connection.execute_batch("ROLLBACK");
                self.failure = Some(error.clone());
            }
        }
        outcome
    }

    /// Puts on disk by how much the figures changed since the last commit: a few rows, however many messages there were.
    fn note_figures(&self) -> Result<()> {
        let noted = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |tally: &Tally, key: &TallyKey| tally.counts.get(key).copied().unwrap_or(0).cast_signed();
        let new = self.tally.counts.keys().filter(|key| !noted.counts.contains_key(key));
        for key in noted.counts.keys().chain(new) {
            let by = count(&self.tally, key) - count(&noted, key);
            if by != 0 {
                self.table.recount(self.table.run, key, by)?;
            }
        }
        let by = self.tally.doubted - noted.doubted;
        if by > 0 {
            self.table.direct(|c| {
                c.execute("UPDATE run SET doubted = doubted + ?2 WHERE id = ?1", [self.table.run, by.cast_signed()])
            })?;
        }
        Ok(())
    }

    /// Takes the figures of a run as they are on disk.
    pub(super) fn load_figures(&mut self) -> Result<()> {
        self.tally = super::query::tally(&self.table.connection, self.table.run)
            .map_err(|error| broken(&self.table.path, &error))?;
        self.published.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&self.tally);
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        self.table.write_front()?;
        self.note_figures()?;
        self.crash_point.before();
        let committed = self.table.direct(|connection| connection.execute_batch("COMMIT"));
        self.crash_point.after();
        committed
    }

    /// Carries out one command in the open transaction. The answer is given after the commit, with its outcome.
    fn handle(&mut self, command: Command, failure: &mut Option<Error>) -> Box<dyn FnOnce(Result<()>)> {
        macro_rules! answer {
            ($reply:ident, $result:expr) => {{
                let result = match self.failure.clone().or_else(|| failure.clone()) {
                    Some(error) => Err(error),
                    None => $result,
                };
                if let Err(error) = &result {
                    failure.get_or_insert_with(|| error.clone());
                }
                // A caller that no longer waits was cancelled; the journal is right all the same.
                Box::new(move |commit: Result<()>| drop($reply.send(commit.and(result))))
            }};
        }
        self.now = (self.clock)().as_millisecond();
        match command {
            Command::Begin { spec, reply } => answer!(reply, self.begin(&spec)),
            Command::End { end, reply } => answer!(reply, self.end(&end)),
            Command::Effort { requests, elapsed_ms, reply } => answer!(reply, self.effort(requests, elapsed_ms)),
            Command::Admit { deliveries, reply } => {
                answer!(reply, deliveries.into_iter().map(|delivery| self.admit(delivery)).collect())
            }
            Command::AdmitParked { deliveries, reply } => {
                answer!(
                    reply,
                    deliveries.into_iter().map(|(delivery, mark)| self.admit_parked(delivery, mark)).collect()
                )
            }
            Command::Turn { parking_arn, drained, reply } => answer!(reply, self.turn(&parking_arn, drained)),
            Command::Judge { judgements, reply } => {
                answer!(reply, judgements.into_iter().map(|judgement| self.judge(judgement)).collect())
            }
            Command::Settle { settlements, piece, reply } => {
                answer!(reply, self.settle_all(settlements, piece))
            }
            Command::Archive { change, reply } => answer!(reply, self.archive(&change)),
            Command::Pieces { target, from, most, reply } => answer!(reply, self.pieces(target, from, most)),
            Command::Found { messages, reply } => answer!(reply, self.found(&messages)),
            Command::Missing { target, found, reply } => answer!(reply, self.missing(target, &found)),
            Command::Deleted { deletes, reply } => {
                answer!(
                    reply,
                    deletes.into_iter().filter_map(|(sent, end)| self.deleted(sent, end).transpose()).collect()
                )
            }
            Command::Leases { before, most, releasable, reply } => {
                answer!(reply, self.table.leases(before, most, releasable))
            }
            Command::Leased { changes, reply } => {
                let mut changes = changes.iter();
                answer!(reply, changes.try_for_each(|(lease, end)| self.table.leased(&lease.id, &lease.receipt, *end)))
            }
            Command::Vanish { reply } => answer!(reply, self.vanish()),
            Command::Resolve { resolve, reply } => answer!(reply, self.resolve(&resolve)),
            Command::LeaseCount { reply } => answer!(reply, self.table.lease_count()),
            Command::Unclaim { claims, reply } => {
                for id in &claims {
                    self.claimed.remove(&pack(id));
                }
                answer!(reply, Ok(()))
            }
        }
    }

    fn judge(&mut self, judgement: Judgement) -> Result<Judged> {
        let Judgement { claim: Claim { delivered, doubted }, rule, exhausted, decision } = judgement;
        let (event, target, reason, note) = match decision {
            Decided::Send(target) => (Event::Intend, Some(target), None, None),
            Decided::Drop(target) => (Event::Drop, Some(target), None, None),
            Decided::Stay(Stay::Kept(reason)) => (Event::Keep, None, Some(reason), None),
            Decided::Stay(Stay::Blocked(reason, detail)) => (Event::Block, None, Some(reason), Some(detail)),
            Decided::Stay(Stay::Held) => (Event::Hold, None, Some(Reason::AnswerLost), None),
        };
        let state = self.change(&delivered.id, event, doubted, |row| {
            row.rule = rule;
            row.exhausted = exhausted;
            row.reason = reason;
            row.receive_count = delivered.receive_count.or(row.receive_count);
            row.origin = delivered.origin.or(row.origin);
            // A held message keeps the target that a copy may be at.
            if event != Event::Hold {
                row.target = target;
            }
        })?;
        self.table.note(&delivered.id, note.as_deref())?;
        Ok(match state {
            State::Sending | State::Resending => Judged::Intended(Intended { delivered, doubted }),
            State::Sent => Judged::Sent(self.proof(delivered)?),
            _ => {
                self.claimed.remove(&pack(&delivered.id));
                Judged::Stays
            }
        })
    }

    /// The proof that a message of this run is safely elsewhere, with the newest handle that is known.
    fn proof(&self, mut delivered: Delivered) -> Result<Sent> {
        if !self.claimed.is_only_delivery(&pack(&delivered.id))
            && let Some(newest) = self.table.newest_receipt(&delivered.id)?
        {
            delivered.receipt = newest;
        }
        Ok(Sent { delivered, run: self.table.run, confirmed: None })
    }

    pub(super) fn settle(&mut self, settlement: Settlement) -> Result<Settled> {
        let Settlement { intended: Intended { delivered, .. }, end } = settlement;
        let id = &delivered.id;
        let behind = matches!(end, SendEnd::Behind);
        let (event, reason, note, sent_as) = match end {
            SendEnd::Acknowledged(sent_as) => (Event::Acknowledge, None, None, sent_as),
            SendEnd::Refused(reason, words) => (Event::Refuse, Some(reason), Some(words), None),
            SendEnd::AnswerLost => (Event::LoseAnswer, None, None, None),
            SendEnd::Withdrawn | SendEnd::Behind => (Event::Withdraw, None, None, None),
        };
        let mut state = self.change(id, event, None, |row| {
            row.reason = reason;
            row.sent_as = sent_as.as_ref().map(pack).or_else(|| row.sent_as.take());
        })?;
        if behind {
            state = self.change(id, Event::Keep, None, |row| row.reason = Some(Reason::GroupStopped))?;
        }
        self.table.note(id, note.as_deref())?;
        Ok(match state {
            State::Sent => Settled::Sent(self.proof(delivered)?),
            State::InDoubt if let Some((since, this_run)) = self.table.doubted_since(id)? => {
                Settled::Doubtful(Doubtful { delivered, since, this_run })
            }
            // Also a second attempt that did not happen, where somebody has decided about the doubt.
            _ => {
                self.claimed.remove(&pack(id));
                Settled::Stays
            }
        })
    }

    /// Moves a message of this run through the transition function, on disk and in the figures. `doubted`: since when sends of
    /// it, by whichever run, may have arrived, so that it is no new one whatever this run's row says.
    pub(super) fn change(
        &mut self,
        id: &MessageId,
        event: Event,
        doubted: Option<Timestamp>,
        edit: impl FnOnce(&mut Row),
    ) -> Result<State> {
        let now = self.now;
        let claim = pack(id);
        let before = self.claimed.row(&claim, || self.table.row(id))?;
        let mut state = before.as_ref().map(|row| row.state);
        if doubted.is_some() && !matches!(state, Some(State::InDoubt | State::Held)) {
            state = Some(State::InDoubt);
        }
        let after = next(state, event).map_err(|illegal| {
            Error::failed(format!("message {id}: {illegal}")).hint(
                "this is a mistake in redrive; nothing was deleted without proof, and the same command goes on from the journal",
            )
        })?;
        let from = before.as_ref().map(Row::key);
        let old_doubts = before.as_ref().map_or(0, |row| row.doubts);
        let mut row = before.unwrap_or(Row {
            state: after,
            rule: RuleId::UNMATCHED,
            target: None,
            exhausted: false,
            reason: None,
            doubts: 0,
            since: None,
            sent_as: None,
            receive_count: None,
            origin: None,
        });
        row.state = after;
        match doubted.map(Timestamp::as_millisecond) {
            Some(since) => row.since = Some(row.since.map_or(since, |own| own.min(since))),
            None if event == Event::Intend && row.doubts == 0 => row.since = Some(now),
            None => {}
        }
        edit(&mut row);
        row.doubts =
            row.doubts.max(u32::from(doubted.is_some())) + u32::from(matches!(event, Event::LoseAnswer | Event::Lose));
        self.table.put(&claim, &row, now)?;
        self.tally.doubted += u64::from(old_doubts == 0 && row.doubts > 0);
        self.tally.shift(from, row.key());
        self.claimed.note_row(&claim, row);
        Ok(after)
    }
}
