//! The thread that owns the database: gathers waiting commands, carries them out in one transaction, commits, answers.
//!
//! Nothing is answered before the commit of what it saw. After a failure of the database the writer refuses everything: the
//! run stops, and what was committed is where it goes on. A command that asks for what cannot be is answered with an error and
//! changes nothing; the others of its transaction are committed.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::archives::{Change, Piece};
use super::guards::{Bounce, GuardEvent};
use super::table::Table;
use super::timeline::{Happened, Timeline};
use super::{Clock, Measured, Meter};
use crate::crash_point::CrashPoint;
use crate::error::{Error, Result};
use redrive_protocol::message::MessageId;
use redrive_protocol::protocol::{
    Admitted, Begun, DeleteEnd, Delivery, Judged, Judgement, Lease, Missing, Problem, Protocol, Refusal, Resolve,
    RunSpec, Sent, SessionEnd, Settled, Settlement, State, Tally,
};
use redrive_protocol::target::TargetId;

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
    NotNotified { words: String, reply: Reply<()> },
    Measure { meter: Meter, reply: Reply<()> },
    Admit { deliveries: Vec<Delivery>, reply: Reply<Vec<Admitted>> },
    AdmitParked { deliveries: Vec<(Delivery, Option<MessageId>)>, reply: Reply<Vec<Admitted>> },
    Turn { parking_arn: String, drained: bool, reply: Reply<Begun> },
    Identify { identities: Vec<(MessageId, String)>, reply: Reply<()> },
    Judge { judgements: Vec<Judgement>, reply: Reply<Vec<Judged>> },
    Settle { settlements: Vec<Settlement>, piece: Option<(TargetId, u64)>, reply: Reply<Vec<Settled>> },
    Archive { change: Change, reply: Reply<()> },
    Pieces { target: TargetId, from: u64, most: usize, reply: Reply<Vec<Piece>> },
    Found { messages: Vec<MessageId>, reply: Reply<()> },
    Missing { target: TargetId, found: HashSet<MessageId>, reply: Reply<Missing> },
    Deleted { deletes: Vec<(Sent, DeleteEnd)>, reply: Reply<Vec<Sent>> },
    Leases { before: Timestamp, most: usize, reply: Reply<Vec<Lease>> },
    Releasable { most: usize, reply: Reply<Vec<Lease>> },
    Leased { changes: Vec<(Lease, Option<Timestamp>)>, reply: Reply<()> },
    LeaseCount { reply: Reply<u64> },
    Vanish { reply: Reply<()> },
    KeepReturned { reply: Reply<()> },
    Unclaim { claims: Vec<MessageId>, reply: Reply<()> },
    Resolve { resolve: Resolve, reply: Reply<u64> },
    Guard { run: String, event: GuardEvent, reply: Reply<()> },
    GuardEvents { run: String, reply: Reply<Vec<GuardEvent>> },
    Bounced { run: String, messages: Vec<MessageId>, reply: Reply<Vec<Option<Bounce>>> },
}

impl Command {
    /// How many messages it changes; more than any commit waits for where it is none of those that come by the thousand.
    fn changes(&self) -> usize {
        match self {
            Self::Admit { deliveries, .. } => deliveries.len(),
            Self::AdmitParked { deliveries, .. } => deliveries.len(),
            Self::Identify { .. } => 0,
            Self::Judge { judgements, .. } => judgements.len(),
            Self::Settle { settlements, .. } => settlements.len(),
            Self::Deleted { deletes, .. } => deletes.len(),
            _ => WORTH_A_COMMIT,
        }
    }
}

pub(super) struct Writer {
    protocol: Protocol<Table>,
    clock: Clock,
    /// The figures that everybody else sees: those that are on disk.
    published: Arc<Mutex<Tally>>,
    failure: Option<Error>,
    crash_point: CrashPoint,
    session: Option<Session>,
}

/// A session that is under way: what it costs so far, and how its run goes over time.
struct Session {
    meter: Meter,
    timeline: Timeline,
    /// Requests that earlier sessions saw throttled.
    throttled: u64,
    /// Whether the timeline has changed since it was written, and the second in which that was.
    changed: bool,
    written: i64,
}

impl Session {
    fn new(meter: Meter, protocol: &Protocol<Table>) -> Result<Self> {
        let timeline = protocol.store().timeline(protocol.run().0)?;
        Ok(Self { meter, throttled: timeline.all().throttled, timeline, changed: false, written: 0 })
    }

    /// Puts on disk what the run has cost, and, once a second or at the end, how it goes.
    fn note(&mut self, protocol: &Protocol<Table>, clock: &Clock, is_end: bool) -> Result<()> {
        let (run, table, tally) = (protocol.run(), protocol.store(), protocol.tally());
        let Measured { requests, elapsed_ms, throttled } = (self.meter)();
        table.note_effort(run, requests, elapsed_ms)?;
        let until_now = Happened {
            left: tally.count(|key| key.state == State::Done && !key.rule.is_parking()),
            in_doubt: tally.doubted,
            throttled: self.throttled + throttled,
            ..Happened::default()
        };
        let second = clock().as_second();
        self.changed |= self.timeline.note(second, until_now);
        if self.changed && (is_end || second != self.written) {
            table.write_timeline(run.0, &self.timeline)?;
            (self.changed, self.written) = (false, second);
        }
        Ok(())
    }
}

impl Writer {
    pub(super) fn new(
        path: PathBuf,
        connection: Connection,
        clock: Clock,
        published: Arc<Mutex<Tally>>,
    ) -> Result<Self> {
        let protocol = Protocol::new(Table::new(path, connection)?);
        Ok(Self {
            protocol,
            clock,
            published,
            failure: None,
            crash_point: CrashPoint::from_environment("REDRIVE_CRASH_AT_COMMIT"),
            session: None,
        })
    }

    /// Works until the last sender is gone.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        let mut answers: Vec<Box<dyn FnOnce(Result<()>)>> = Vec::new();
        while let Some(first) = inbox.recv().await {
            let begun = self.table().direct(|connection| connection.execute_batch("BEGIN IMMEDIATE"));
            let mut failure = begun.err();
            let until = Instant::now() + LINGER;
            let (mut command, mut changes) = (Some(first), 0);
            while let Some(next) = command {
                changes += next.changes();
                answers.push(self.handle(next, &mut failure));
                let is_full = answers.len() == MAX_GROUP;
                let is_worth_it = failure.is_some() || changes >= WORTH_A_COMMIT.min(self.protocol.claimed() / 2);
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

    fn table(&self) -> &Table {
        self.protocol.store()
    }

    /// Commits, or undoes everything if something failed. A commit that failed may or may not be on disk; recovery
    /// takes it as it finds it.
    fn finish(&mut self, failure: Option<Error>) -> Result<()> {
        let outcome = match failure {
            None => self.commit(),
            Some(error) => Err(error),
        };
        match &outcome {
            Ok(()) => {
                self.protocol.committed();
                self.published.lock().unwrap_or_else(PoisonError::into_inner).clone_from(self.protocol.tally());
            }
            Err(error) => {
                // The failure is what is reported; that there may be nothing to roll back is no second one.
                let _ = self.table().connection.execute_batch("ROLLBACK");
                self.failure = Some(error.clone());
            }
        }
        outcome
    }

    /// Puts on disk by how much the figures changed since the last commit: a few rows, however many messages there were.
    fn note_figures(&self) -> Result<()> {
        let (run, (changes, doubted)) = (self.protocol.run().0, self.protocol.uncommitted());
        for (key, by) in &changes {
            self.table().recount(run, key, *by)?;
        }
        if doubted != 0 {
            self.table()
                .direct(|c| c.execute("UPDATE run SET doubted = doubted + ?2 WHERE id = ?1", [run, doubted]))?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        self.table().write_front()?;
        self.note_figures()?;
        if let Some(session) = &mut self.session {
            session.note(&self.protocol, &self.clock, false)?;
        }
        self.crash_point.before();
        let committed = self.table().direct(|connection| connection.execute_batch("COMMIT"));
        self.crash_point.after();
        committed
    }

    /// Carries out one command in the open transaction. The answer is given after the commit, with its outcome.
    fn handle(&mut self, command: Command, failure: &mut Option<Error>) -> Box<dyn FnOnce(Result<()>)> {
        macro_rules! answer {
            ($reply:ident, $result:expr) => {{
                let result = match self.failure.clone().or_else(|| failure.clone()) {
                    Some(error) => Err(error),
                    None => $result.map_err(|problem| in_words(problem.into(), failure)),
                };
                // A caller that no longer waits was cancelled; the journal is right all the same.
                Box::new(move |commit: Result<()>| drop($reply.send(commit.and(result))))
            }};
        }
        let protocol = &mut self.protocol;
        protocol.set_time((self.clock)().as_millisecond());
        match command {
            Command::Begin { spec, reply } => answer!(reply, protocol.begin(&spec)),
            Command::Resolve { resolve, reply } => answer!(reply, protocol.resolve(&resolve)),
            Command::End { end, reply } => {
                let noted = self.session.take().map_or(Ok(()), |mut session| session.note(protocol, &self.clock, true));
                answer!(reply, noted.and_then(|()| protocol.end(&end)))
            }
            Command::Measure { meter, reply } => {
                let session = Session::new(meter, protocol);
                answer!(reply, session.map(|session| self.session = Some(session)))
            }
            Command::Effort { requests, elapsed_ms, reply } => {
                let run = protocol.run();
                answer!(reply, protocol.store().note_effort(run, requests, elapsed_ms))
            }
            Command::NotNotified { words, reply } => {
                let run = protocol.run();
                answer!(reply, protocol.store().note_not_notified(run, &words))
            }
            Command::Admit { deliveries, reply } => answer!(reply, protocol.admit(deliveries)),
            Command::AdmitParked { deliveries, reply } => answer!(reply, protocol.admit_parked(deliveries)),
            Command::Turn { parking_arn, drained, reply } => answer!(reply, protocol.turn(&parking_arn, drained)),
            Command::Identify { identities, reply } => {
                let run = protocol.run();
                answer!(reply, protocol.store().identify(run, &identities))
            }
            Command::Judge { judgements, reply } => answer!(reply, protocol.judge(judgements)),
            Command::Settle { settlements, piece, reply } => {
                let settled = protocol.settle(settlements);
                let (run, store) = (protocol.run(), protocol.store());
                // The piece of an archive that has their lines is whole in the same commit.
                let keep = |(target, start)| store.archive(run, &Change::Keep { target, start });
                answer!(reply, settled.and_then(|settled| Ok((settled, piece.map_or(Ok(()), keep)?).0)))
            }
            Command::Archive { change, reply } => {
                let run = protocol.run();
                answer!(reply, protocol.store().archive(run, &change))
            }
            Command::Pieces { target, from, most, reply } => {
                let run = protocol.run();
                answer!(reply, protocol.store().pieces(run, target, from, most))
            }
            Command::Found { messages, reply } => answer!(reply, protocol.found(&messages)),
            Command::Missing { target, found, reply } => answer!(reply, protocol.missing(target, &found)),
            Command::Deleted { deletes, reply } => answer!(reply, protocol.deleted(deletes)),
            Command::Leases { before, most, reply } => answer!(reply, protocol.leases(before, most)),
            Command::Releasable { most, reply } => answer!(reply, protocol.releasable(most)),
            Command::Leased { changes, reply } => answer!(reply, protocol.set_leases(&changes)),
            Command::Guard { run, event, reply } => answer!(reply, protocol.store().note_guard(&run, &event)),
            Command::GuardEvents { run, reply } => answer!(reply, protocol.store().guard_events(&run)),
            Command::Bounced { run, messages, reply } => {
                let now = (self.clock)();
                answer!(reply, protocol.store().bounced(&run, &messages, now))
            }
            Command::Vanish { reply } => answer!(reply, protocol.vanish()),
            Command::KeepReturned { reply } => answer!(reply, protocol.keep_returned()),
            Command::LeaseCount { reply } => answer!(reply, protocol.lease_count()),
            Command::Unclaim { claims, reply } => {
                protocol.unclaim(&claims);
                answer!(reply, Ok::<_, Error>(()))
            }
        }
    }
}

/// A problem as an error for people. Only a failure of the database is one of the whole transaction.
fn in_words(problem: Problem<Error>, failure: &mut Option<Error>) -> Error {
    match problem {
        Problem::Store(error) => failure.get_or_insert(error).clone(),
        Problem::Illegal(id, illegal) => Error::failed(format!("message {id}: {illegal}")).hint(
            "this is a bug in redrive; nothing was deleted without proof, and the same command continues from the journal",
        ),
        Problem::Refused(run, why) => refused(&run, &why),
    }
}

fn refused(run: &str, why: &Refusal) -> Error {
    let names = |ids: &[MessageId]| ids.iter().map(MessageId::as_str).collect::<Vec<_>>().join(", ");
    match why {
        Refusal::NoSuchRun => Error::usage(format!("there is no run {run} in the journal")),
        Refusal::Finished => Error::usage(format!("run {run} is finished: there is nothing to give up")),
        Refusal::NotInDoubt(ids) => Error::usage(format!("run {run} has no such message in doubt: {}", names(ids)))
            .hint(format!("nothing was changed; `redrive resolve {run}` lists what is in doubt")),
        Refusal::Parked(ids) => Error::usage(format!(
            "messages left in the parking queue would be forgotten: {}",
            names(ids)
        ))
        .hint("nothing was changed. Look for each in the source: --discard where it is back, --resend where it is not"),
    }
}
