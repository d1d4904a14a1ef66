//! The thread that owns the database: gathers waiting commands, changes in one transaction, commits, answers.
//!
//! Nothing is answered before its commit but look-ups, which see their own transaction. After a failure of the database the
//! writer refuses everything: the run stops, and what was committed is where it goes on.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::{mpsc, oneshot};

use super::key::{pack, unpack};
use super::schema::broken;
use super::state::{Event, State, next};
use super::tally::{Tally, TallyKey};
use super::{
    Admitted, Begun, Claim, Clock, Decided, DeleteEnd, Delivery, Doubtful, Intended, Judged, Judgement, Lease, RunSpec,
    SendEnd, Sent, SessionEnd, Settled, Settlement, Stay,
};
use crate::error::{Error, Result};
use crate::message::{MessageId, ReceiptHandle};
use crate::target::{Reason, RuleId, TargetId};

/// How many commands one transaction gathers at the most: enough to share a commit, few enough to answer soon.
const MAX_GROUP: usize = 512;

type Reply<T> = oneshot::Sender<Result<T>>;

pub(super) enum Command {
    Begin { spec: RunSpec, reply: Reply<Begun> },
    End { end: SessionEnd, reply: Reply<()> },
    Admit { deliveries: Vec<Delivery>, reply: Reply<Vec<Admitted>> },
    Judge { judgements: Vec<Judgement>, reply: Reply<Vec<Judged>> },
    Settle { settlements: Vec<Settlement>, reply: Reply<Vec<Settled>> },
    Deleted { deletes: Vec<(Sent, DeleteEnd)>, reply: Reply<()> },
    Leases { before: Timestamp, most: usize, releasable: bool, reply: Reply<Vec<Lease>> },
    Leased { changes: Vec<(MessageId, Option<Timestamp>)>, reply: Reply<()> },
    LeaseCount { reply: Reply<u64> },
    Unclaim { claims: Vec<MessageId>, reply: Reply<()> },
}

/// The row of a message in this run.
struct Row {
    state: State,
    rule: RuleId,
    target: Option<TargetId>,
    exhausted: bool,
    reason: Option<Reason>,
    doubts: u32,
}

impl Row {
    fn key(&self) -> TallyKey {
        TallyKey {
            state: self.state,
            rule: self.rule,
            target: self.target,
            exhausted: self.exhausted,
            reason: self.reason,
        }
    }
}

pub(super) struct Writer {
    path: PathBuf,
    connection: Connection,
    clock: Clock,
    run: i64,
    source: i64,
    /// Messages that are being handled right now; bounded by what apply lets into its pipeline.
    claimed: HashSet<MessageId>,
    /// The figures with the open transaction's changes, and what everybody else sees: those that are on disk.
    tally: Tally,
    published: Arc<Mutex<Tally>>,
    failure: Option<Error>,
}

impl Writer {
    pub(super) fn new(path: PathBuf, connection: Connection, clock: Clock, published: Arc<Mutex<Tally>>) -> Self {
        Self {
            path,
            connection,
            clock,
            run: 0,
            source: 0,
            claimed: HashSet::new(),
            tally: Tally::default(),
            published,
            failure: None,
        }
    }

    /// Works until the last sender is gone.
    pub(super) fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        let mut answers: Vec<Box<dyn FnOnce(Result<()>)>> = Vec::new();
        while let Some(first) = inbox.blocking_recv() {
            let begun = self.sql(|connection| connection.execute_batch("BEGIN IMMEDIATE"));
            let mut failure = begun.err();
            let mut command = Some(first);
            let mut gathered = 0;
            while let Some(next) = command {
                answers.push(self.handle(next, &mut failure));
                gathered += 1;
                command = if gathered < MAX_GROUP { inbox.try_recv().ok() } else { None };
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
            None => self.sql(|connection| connection.execute_batch("COMMIT")),
            Some(error) => Err(error),
        };
        match &outcome {
            Ok(()) => self.published.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&self.tally),
            Err(error) => {
                // The failure is what is reported; that there may be nothing to roll back is no second one.
                let _ = self.connection.execute_batch("ROLLBACK");
                self.failure = Some(error.clone());
            }
        }
        outcome
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
        match command {
            Command::Begin { spec, reply } => answer!(reply, self.begin(&spec)),
            Command::End { end, reply } => answer!(reply, self.end(&end)),
            Command::Admit { deliveries, reply } => {
                answer!(reply, deliveries.into_iter().map(|delivery| self.admit(delivery)).collect())
            }
            Command::Judge { judgements, reply } => {
                answer!(reply, judgements.into_iter().map(|judgement| self.judge(judgement)).collect())
            }
            Command::Settle { settlements, reply } => {
                answer!(reply, settlements.into_iter().map(|settlement| self.settle(settlement)).collect())
            }
            Command::Deleted { deletes, reply } => {
                answer!(reply, deletes.into_iter().try_for_each(|(sent, end)| self.deleted(&sent, end)))
            }
            Command::Leases { before, most, releasable, reply } => {
                answer!(reply, self.leases(before, most, releasable))
            }
            Command::Leased { changes, reply } => {
                answer!(reply, changes.into_iter().try_for_each(|(id, until)| self.leased(&id, until)))
            }
            Command::LeaseCount { reply } => answer!(reply, self.lease_count()),
            Command::Unclaim { claims, reply } => {
                for id in &claims {
                    self.claimed.remove(id);
                }
                answer!(reply, Ok(()))
            }
        }
    }

    fn sql<T>(&self, action: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        action(&self.connection).map_err(|error| broken(&self.path, &error))
    }

    fn now(&self) -> i64 {
        (self.clock)().as_millisecond()
    }

    fn begin(&mut self, spec: &RunSpec) -> Result<Begun> {
        let now = self.now();
        self.sql(|c| c.execute("INSERT OR IGNORE INTO source (arn) VALUES (?1)", [&spec.source_arn]))?;
        self.source =
            self.sql(|c| c.query_row("SELECT id FROM source WHERE arn = ?1", [&spec.source_arn], |r| r.get(0)))?;
        let fresh = self.sql(|c| {
            c.execute(
                "INSERT OR IGNORE INTO run (name, source, job_sha256, plan, started) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![spec.name, self.source, spec.job_sha256, spec.plan, now],
            )
        })? == 1;
        let (run, in_session, requests, elapsed_ms): (i64, bool, u64, u64) = self.sql(|c| {
            c.query_row("SELECT id, in_session, requests, elapsed_ms FROM run WHERE name = ?1", [&spec.name], |r| {
                Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?))
            })
        })?;
        self.run = run;
        self.sql(|c| c.execute("UPDATE run SET in_session = 1, ended = NULL, outcome = NULL WHERE id = ?1", [run]))?;
        self.load_tally()?;
        let in_doubt = self.recover()?;
        let doubtful = self.doubtful()?;
        let (to_delete, to_release) = self.left_behind()?;
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
        let ids: Vec<Vec<u8>> = self.sql(|c| {
            let mut rows = c.prepare("SELECT id FROM message WHERE source = ?1 AND run = ?2 AND state IN (?3, ?4)")?;
            let states = (State::Sending as u8, State::Resending as u8);
            rows.query_map(params![self.source, self.run, states.0, states.1], |row| row.get(0))?.collect()
        })?;
        for id in &ids {
            self.change(&unpack(id), Event::LoseAnswer, false, |_| {})?;
        }
        Ok(ids.len() as u64)
    }

    /// Messages whose last send may have arrived, with where.
    fn doubtful(&self) -> Result<Vec<(MessageId, Option<TargetId>)>> {
        self.sql(|c| {
            let mut rows = c.prepare(
                "SELECT id, target FROM message WHERE source = ?1 AND run = ?2 AND doubts > 0 AND state IN (?3, ?4)",
            )?;
            let states = (State::InDoubt as u8, State::Held as u8);
            rows.query_map(params![self.source, self.run, states.0, states.1], |row| {
                Ok((unpack(&row.get::<_, Vec<u8>>(0)?), row.get::<_, Option<u16>>(1)?.map(TargetId)))
            })?
            .collect()
        })
    }

    /// Leases of an earlier session, of this run or another over the same source: what is safely elsewhere is to be
    /// deleted with its handle, what stays keeps its lease while that lasts, all else is to be given back.
    fn left_behind(&mut self) -> Result<(Vec<Sent>, Vec<Lease>)> {
        let now = self.now();
        let (mut to_delete, mut to_release) = (Vec::new(), Vec::new());
        for lease in self.leases(Timestamp::MAX, usize::MAX, false)? {
            match self.sent_by(&lease.id)? {
                Some(run) => to_delete.push(Sent { id: lease.id, receipt: lease.receipt, run }),
                None => {
                    let row = self.row(&lease.id)?;
                    let stays = row.is_some_and(|row| {
                        matches!(row.state, State::Kept | State::Blocked | State::Failed | State::Held)
                    });
                    if !stays || lease.until.as_millisecond() <= now {
                        to_release.push(lease);
                    }
                }
            }
        }
        self.claimed.extend(to_delete.iter().map(|sent| sent.id.clone()));
        Ok((to_delete, to_release))
    }

    fn end(&mut self, end: &SessionEnd) -> Result<()> {
        let ended = end.finished.then(|| self.now());
        self.sql(|c| {
            c.execute(
                "UPDATE run SET ended = ?2, outcome = ?3, requests = ?4, elapsed_ms = ?5, in_session = 0 WHERE id = ?1",
                params![self.run, ended, end.outcome, end.requests, end.elapsed_ms],
            )
        })?;
        Ok(())
    }

    fn admit(&mut self, delivery: Delivery) -> Result<Admitted> {
        let Delivery { id, receipt, receive_count, received, until } = delivery;
        // The newest handle is the one that is sure, for a message that is already being handled too.
        self.sql(|c| {
            c.prepare_cached(
                "INSERT INTO lease (source, id, run, handle, received, until) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO UPDATE SET run = excluded.run, handle = excluded.handle, received = excluded.received,
                 until = excluded.until",
            )?
            .execute(params![
                self.source,
                pack(&id),
                self.run,
                receipt.as_str(),
                received.as_millisecond(),
                until.as_millisecond()
            ])
        })?;
        if self.claimed.contains(&id) {
            return Ok(Admitted::Duplicate);
        }
        self.claimed.insert(id.clone());
        if let Some(run) = self.sent_by(&id)? {
            return Ok(Admitted::Sent(Sent { id, receipt, run }));
        }
        if let Some(count) = receive_count {
            self.sql(|c| {
                c.prepare_cached("UPDATE message SET receive_count = ?4 WHERE source = ?1 AND id = ?2 AND run = ?3")?
                    .execute(params![self.source, pack(&id), self.run, count])
            })?;
        }
        if let Some(since) = self.doubted_since(&id)? {
            return Ok(Admitted::Doubtful(Doubtful { id, since }));
        }
        let bounced = self.sql(|c| {
            c.prepare_cached("SELECT 1 FROM message WHERE sent_as = ?1 AND run = ?2")?
                .query_row(params![pack(&id), self.run], |_| Ok(()))
                .optional()
        })?;
        let claim = Claim { id, doubted: false };
        Ok(if bounced.is_some() { Admitted::Bounced(claim) } else { Admitted::New(claim) })
    }

    /// The run that sent this message of the source, if one did.
    fn sent_by(&self, id: &MessageId) -> Result<Option<i64>> {
        self.sql(|c| {
            c.prepare_cached("SELECT run FROM message WHERE source = ?1 AND id = ?2 AND state IN (?3, ?4) LIMIT 1")?
                .query_row(params![self.source, pack(id), State::Sent as u8, State::Done as u8], |row| row.get(0))
                .optional()
        })
    }

    /// Since when a send of it, by whichever run, may have arrived. A process that died with a send under way lost the
    /// answer too, so an abandoned run's intents count.
    fn doubted_since(&self, id: &MessageId) -> Result<Option<Timestamp>> {
        let since: Option<i64> = self.sql(|c| {
            c.prepare_cached("SELECT max(at) FROM message WHERE source = ?1 AND id = ?2 AND state IN (?3, ?4, ?5, ?6)")?
                .query_row(
                    params![
                        self.source,
                        pack(id),
                        State::InDoubt as u8,
                        State::Held as u8,
                        State::Sending as u8,
                        State::Resending as u8
                    ],
                    |row| row.get(0),
                )
        })?;
        Ok(since.and_then(|at| Timestamp::from_millisecond(at).ok()))
    }

    fn judge(&mut self, judgement: Judgement) -> Result<Judged> {
        let Judgement { claim: Claim { id, doubted }, rule, exhausted, decision } = judgement;
        let (event, target, reason, note) = match decision {
            Decided::Send(target) => (Event::Intend, Some(target), None, None),
            Decided::Drop(target) => (Event::Drop, Some(target), None, None),
            Decided::Stay(Stay::Kept(reason)) => (Event::Keep, None, Some(reason), None),
            Decided::Stay(Stay::Blocked(reason, detail)) => (Event::Block, None, Some(reason), Some(detail)),
            Decided::Stay(Stay::Held) => (Event::Hold, None, Some(Reason::AnswerLost), None),
        };
        let state = self.change(&id, event, doubted, |row| {
            row.rule = rule;
            row.exhausted = exhausted;
            row.reason = reason;
            // A held message keeps the target that a copy may be at.
            if event != Event::Hold {
                row.target = target;
            }
        })?;
        self.note(&id, note.as_deref())?;
        Ok(match state {
            State::Sending | State::Resending => Judged::Intended(Intended { id }),
            State::Sent => {
                let receipt = self.newest_receipt(&id)?;
                Judged::Sent(Sent { id, receipt, run: self.run })
            }
            _ => {
                self.claimed.remove(&id);
                Judged::Stays
            }
        })
    }

    fn settle(&mut self, settlement: Settlement) -> Result<Settled> {
        let Settlement { intended: Intended { id }, end } = settlement;
        let (event, reason, note, sent_as) = match end {
            SendEnd::Acknowledged(sent_as) => (Event::Acknowledge, None, None, sent_as),
            SendEnd::Refused(reason, words) => (Event::Refuse, Some(reason), Some(words), None),
            SendEnd::AnswerLost => (Event::LoseAnswer, None, None, None),
            SendEnd::Withdrawn => (Event::Withdraw, None, None, None),
        };
        let state = self.change(&id, event, false, |row| row.reason = reason)?;
        self.note(&id, note.as_deref())?;
        if let Some(sent_as) = sent_as {
            self.sql(|c| {
                c.prepare_cached("UPDATE message SET sent_as = ?4 WHERE source = ?1 AND id = ?2 AND run = ?3")?
                    .execute(params![self.source, pack(&id), self.run, pack(&sent_as)])
            })?;
        }
        Ok(match state {
            State::Sent => {
                let receipt = self.newest_receipt(&id)?;
                Settled::Sent(Sent { id, receipt, run: self.run })
            }
            State::InDoubt => {
                let since = (self.clock)();
                Settled::Doubtful(Doubtful { id, since })
            }
            _ => {
                self.claimed.remove(&id);
                Settled::Stays
            }
        })
    }

    fn newest_receipt(&self, id: &MessageId) -> Result<ReceiptHandle> {
        let handle: String = self.sql(|c| {
            c.prepare_cached("SELECT handle FROM lease WHERE source = ?1 AND id = ?2")?
                .query_row(params![self.source, pack(id)], |row| row.get(0))
        })?;
        Ok(ReceiptHandle::new(handle))
    }

    fn deleted(&mut self, sent: &Sent, end: DeleteEnd) -> Result<()> {
        self.claimed.remove(&sent.id);
        match end {
            // The handle stays for the next session.
            DeleteEnd::Unknown => return Ok(()),
            DeleteEnd::HandleRefused => return self.leased(&sent.id, None),
            DeleteEnd::Confirmed => {}
        }
        if sent.run == self.run {
            self.change(&sent.id, Event::Delete, false, |_| {})?;
        } else {
            let done = State::Done as u8;
            let changed = self.sql(|c| {
                c.execute(
                    "UPDATE message SET state = ?4, at = ?5 WHERE source = ?1 AND id = ?2 AND run = ?3 AND state <> ?4",
                    params![self.source, pack(&sent.id), sent.run, done, self.now()],
                )
            })?;
            self.tally.deleted_for_other_runs += changed as u64;
        }
        self.leased(&sent.id, None)
    }

    fn leases(&mut self, before: Timestamp, most: usize, releasable: bool) -> Result<Vec<Lease>> {
        let rows: Vec<(Vec<u8>, String, i64, i64)> = self.sql(|c| {
            let mut statement = c.prepare_cached(
                "SELECT id, handle, received, until FROM lease
                 WHERE source = ?1 AND until < ?2 AND NOT (?4 AND EXISTS (
                     SELECT 1 FROM message WHERE source = lease.source AND id = lease.id AND state = ?5))
                 ORDER BY until LIMIT ?3",
            )?;
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            statement
                .query_map(params![self.source, before.as_millisecond(), most, releasable, State::Sent as u8], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })?
                .collect()
        })?;
        let time = |millis| Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH);
        let lease = |(id, handle, received, until): (Vec<u8>, String, i64, i64)| Lease {
            id: unpack(&id),
            receipt: ReceiptHandle::new(handle),
            received: time(received),
            until: time(until),
        };
        Ok(rows.into_iter().map(lease).collect())
    }

    fn leased(&mut self, id: &MessageId, until: Option<Timestamp>) -> Result<()> {
        self.sql(|c| match until {
            Some(until) => c
                .prepare_cached("UPDATE lease SET until = ?3 WHERE source = ?1 AND id = ?2")?
                .execute(params![self.source, pack(id), until.as_millisecond()]),
            None => c
                .prepare_cached("DELETE FROM lease WHERE source = ?1 AND id = ?2")?
                .execute(params![self.source, pack(id)]),
        })?;
        Ok(())
    }

    fn lease_count(&self) -> Result<u64> {
        self.sql(|c| c.query_row("SELECT count(*) FROM lease WHERE source = ?1", [self.source], |row| row.get(0)))
    }

    fn note(&self, id: &MessageId, text: Option<&str>) -> Result<()> {
        let Some(text) = text else { return Ok(()) };
        self.sql(|c| {
            c.prepare_cached(
                "INSERT INTO note (source, id, run, text) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET text = excluded.text",
            )?
            .execute(params![self.source, pack(id), self.run, text])
        })?;
        Ok(())
    }

    fn row(&self, id: &MessageId) -> Result<Option<Row>> {
        self.sql(|c| {
            c.prepare_cached(
                "SELECT state, rule, target, exhausted, reason, doubts FROM message
                 WHERE source = ?1 AND id = ?2 AND run = ?3",
            )?
            .query_row(params![self.source, pack(id), self.run], |row| {
                Ok(Row {
                    state: state_column(row, 0)?,
                    rule: RuleId(row.get(1)?),
                    target: row.get::<_, Option<u16>>(2)?.map(TargetId),
                    exhausted: row.get(3)?,
                    reason: row.get::<_, Option<u8>>(4)?.and_then(Reason::from_number),
                    doubts: row.get(5)?,
                })
            })
            .optional()
        })
    }

    /// Moves a message of this run through the transition function, on disk and in the figures. `doubted`: another run's
    /// send of it may have arrived, so that it is no new one even where this run knows nothing of it yet.
    fn change(&mut self, id: &MessageId, event: Event, doubted: bool, edit: impl FnOnce(&mut Row)) -> Result<State> {
        let before = self.row(id)?;
        let mut state = before.as_ref().map(|row| row.state);
        if doubted && !matches!(state, Some(State::InDoubt | State::Held)) {
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
        });
        row.state = after;
        row.doubts = row.doubts.max(u32::from(doubted)) + u32::from(event == Event::LoseAnswer);
        edit(&mut row);
        self.sql(|c| {
            c.prepare_cached(
                "INSERT INTO message (source, id, run, state, rule, target, exhausted, reason, doubts, at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 ON CONFLICT DO UPDATE SET state = excluded.state, rule = excluded.rule, target = excluded.target,
                 exhausted = excluded.exhausted, reason = excluded.reason, doubts = excluded.doubts, at = excluded.at",
            )?
            .execute(params![
                self.source,
                pack(id),
                self.run,
                row.state as u8,
                row.rule.0,
                row.target.map(|target| target.0),
                row.exhausted,
                row.reason.map(|reason| reason as u8),
                row.doubts,
                self.now()
            ])
        })?;
        self.tally.doubted += u64::from(old_doubts == 0 && row.doubts > 0);
        self.tally.shift(from, row.key());
        Ok(after)
    }

    fn load_tally(&mut self) -> Result<()> {
        self.tally = super::query::tally(&self.connection, self.run).map_err(|error| broken(&self.path, &error))?;
        Ok(())
    }
}

pub(super) fn state_column(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<State> {
    let number: u8 = row.get(column)?;
    State::from_number(number).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Integer,
            format!("no state has the number {number}").into(),
        )
    })
}
