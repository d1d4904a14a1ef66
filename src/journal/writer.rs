//! The thread that owns the database: gathers waiting commands, carries them out in one transaction, commits, answers.
//!
//! Nothing is answered before the commit of what it saw. After a failure of the database the writer refuses everything: the
//! run stops, and what was committed is where it goes on. A command that asks for what cannot be is answered with an error and
//! changes nothing; the others of its transaction are committed.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::{Clock, Measured, Meter};
use crate::crash_point::CrashPoint;
use crate::error::{Error, Result};
use redrive_protocol::message::MessageId;
use redrive_protocol::protocol::{
    Admitted, Begun, Bounce, DeleteEnd, Delivery, GuardEvent, Happened, Judged, Judgement, Keeper, Lease, Missing,
    Piece, PieceChange, Problem, Protocol, Refusal, Resolve, RunSpec, Sent, SessionEnd, Settled, Settlement, State,
    Tally, Timeline,
};
use redrive_protocol::target::TargetId;

/// How many commands one transaction gathers at the most: enough to share a commit, few enough to answer soon.
const MAX_GROUP: usize = 512;

/// A commit costs the same for one change and for hundreds, so it waits for more of them while there is much under way: until
/// there are so many, or half of the messages that are claimed; and not longer than [`LINGER`].
const WORTH_A_COMMIT: usize = 512;

/// How long a change waits for others at the most.
const LINGER: Duration = Duration::from_millis(8);

/// Once so many identities are noted, those that nobody needs are forgotten.
const MANY_IDENTITIES: usize = 10_000;

const MISTAKE: &str =
    "this is a bug in redrive; nothing was deleted without proof, and the same command continues from the journal";

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
    Archive { change: PieceChange, reply: Reply<()> },
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
    TakeControls { reply: Reply<Vec<(i64, String)>> },
    AnswerControl { number: i64, answer: String, reply: Reply<()> },
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

pub(super) struct Writer<K> {
    protocol: Protocol<K>,
    clock: Clock,
    /// The figures that everybody else sees: those that are on disk.
    published: Arc<Mutex<Tally>>,
    failure: Option<Error>,
    crash_point: CrashPoint,
    session: Option<Session>,
    /// How many identities were noted since those that nobody needs were forgotten.
    identified: usize,
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
    fn new<K: Keeper>(meter: Meter, protocol: &mut Protocol<K>) -> Result<Self, K::Error> {
        let run = protocol.run();
        let timeline = protocol.store_mut().timeline(run)?;
        Ok(Self { meter, throttled: timeline.all().throttled, timeline, changed: false, written: 0 })
    }

    /// Puts on disk what the run has cost, and, once a second or at the end, how it goes.
    fn note<K: Keeper>(&mut self, protocol: &mut Protocol<K>, clock: &Clock, is_end: bool) -> Result<(), K::Error> {
        let (run, tally) = (protocol.run(), protocol.tally());
        let Measured { requests, elapsed_ms, throttled } = (self.meter)();
        let until_now = Happened {
            left: tally.count(|key| key.state == State::Done && !key.rule.is_parking()),
            in_doubt: tally.doubted,
            throttled: self.throttled + throttled,
            ..Happened::default()
        };
        let keeper = protocol.store_mut();
        keeper.note_effort(run, requests, elapsed_ms)?;
        let second = clock().as_second();
        self.changed |= self.timeline.note(second, until_now);
        if self.changed && (is_end || second != self.written) {
            keeper.write_timeline(run, &self.timeline)?;
            (self.changed, self.written) = (false, second);
        }
        Ok(())
    }
}

impl<K: Keeper<Error: Into<Error>>> Writer<K> {
    pub(super) fn new(keeper: K, clock: Clock, published: Arc<Mutex<Tally>>) -> Self {
        Self {
            protocol: Protocol::new(keeper),
            clock,
            published,
            failure: None,
            crash_point: CrashPoint::from_environment("REDRIVE_CRASH_AT_COMMIT"),
            session: None,
            identified: 0,
        }
    }

    /// Works until the last sender is gone. It waits for commands by the runtime, and carries them out outside of it: a database
    /// on a server is waited for as well.
    pub(super) fn run(mut self, runtime: &Runtime, mut inbox: mpsc::Receiver<Command>) {
        let mut answers: Vec<Box<dyn FnOnce(Result<()>)>> = Vec::new();
        while let Some(first) = inbox.blocking_recv() {
            let begun = self.protocol.store_mut().begin();
            let mut failure = begun.err().map(Into::into);
            let until = Instant::now() + LINGER;
            let (mut command, mut changes) = (Some(first), 0);
            while let Some(next) = command {
                changes += next.changes();
                answers.push(self.handle(next, &mut failure));
                let is_full = answers.len() == MAX_GROUP;
                let is_worth_it = failure.is_some() || changes >= WORTH_A_COMMIT.min(self.protocol.claimed() / 2);
                command = if is_full { None } else { inbox.try_recv().ok() };
                if command.is_none() && !is_full && !is_worth_it {
                    command = runtime.block_on(async { timeout_at(until, inbox.recv()).await }).ok().flatten();
                }
            }
            let outcome = self.finish(failure);
            for answer in answers.drain(..) {
                answer(outcome.clone());
            }
        }
    }

    /// Commits, or undoes everything if something failed. A commit that failed may or may not be on disk; recovery takes it as it
    /// finds it. After a failure nothing is committed any more: what is in memory, the figures among it, is ahead of the tables.
    fn finish(&mut self, failure: Option<Error>) -> Result<()> {
        let outcome = match self.failure.clone().or(failure) {
            None => self.commit(),
            Some(error) => Err(error),
        };
        match &outcome {
            Ok(()) => {
                self.protocol.committed();
                self.published.lock().unwrap_or_else(PoisonError::into_inner).clone_from(self.protocol.tally());
            }
            Err(error) => {
                self.protocol.store_mut().roll_back();
                self.failure = Some(error.clone());
            }
        }
        outcome
    }

    fn commit(&mut self) -> Result<()> {
        let (run, figures) = (self.protocol.run(), self.protocol.uncommitted());
        self.protocol.store_mut().write(run, &figures).map_err(Into::into)?;
        if let Some(session) = &mut self.session {
            session.note(&mut self.protocol, &self.clock, false).map_err(Into::into)?;
        }
        self.crash_point.before();
        let committed = self.protocol.store_mut().commit().map_err(Into::into);
        self.crash_point.after();
        committed
    }

    /// Carries out one command in the open transaction. The answer is given after the commit, with its outcome.
    fn handle(&mut self, command: Command, failure: &mut Option<Error>) -> Box<dyn FnOnce(Result<()>)> {
        macro_rules! answer {
            ($reply:ident, $result:expr) => {{
                let result = match self.failure.clone().or_else(|| failure.clone()) {
                    Some(error) => Err(error),
                    None => $result.map_err(|problem| in_words::<K>(Problem::<K::Error>::from(problem), failure)),
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
                let run = protocol.run();
                let forgotten = noted.and_then(|()| protocol.store_mut().forget_identities(run));
                answer!(reply, forgotten.and_then(|()| protocol.end(&end)))
            }
            Command::Measure { meter, reply } => {
                let session = Session::new(meter, protocol);
                answer!(reply, session.map(|session| self.session = Some(session)))
            }
            Command::Effort { requests, elapsed_ms, reply } => {
                let run = protocol.run();
                answer!(reply, protocol.store_mut().note_effort(run, requests, elapsed_ms))
            }
            Command::NotNotified { words, reply } => {
                let run = protocol.run();
                answer!(reply, protocol.store_mut().note_not_notified(run, &words))
            }
            Command::Admit { deliveries, reply } => answer!(reply, protocol.admit(deliveries)),
            Command::AdmitParked { deliveries, reply } => answer!(reply, protocol.admit_parked(deliveries)),
            Command::Turn { parking_arn, drained, reply } => answer!(reply, protocol.turn(&parking_arn, drained)),
            Command::Identify { identities, reply } => {
                self.identified += identities.len();
                let are_many = self.identified >= MANY_IDENTITIES;
                self.identified = if are_many { 0 } else { self.identified };
                let (run, keeper) = (protocol.run(), protocol.store_mut());
                let forget = |keeper: &mut K| if are_many { keeper.forget_identities(run) } else { Ok(()) };
                answer!(reply, keeper.identify(run, &identities).and_then(|()| forget(keeper)))
            }
            Command::Judge { judgements, reply } => answer!(reply, protocol.judge(judgements)),
            Command::Settle { settlements, piece, reply } => {
                let settled = protocol.settle(settlements);
                // The piece of an archive that has their lines is whole in the same commit.
                let keep = |(target, start)| change_piece(protocol, &PieceChange::Keep { target, start });
                answer!(reply, settled.and_then(|settled| Ok((settled, piece.map_or(Ok(()), keep)?).0)))
            }
            Command::Archive { change, reply } => {
                answer!(reply, change_piece(protocol, &change))
            }
            Command::Pieces { target, from, most, reply } => {
                let run = protocol.run();
                answer!(reply, protocol.store_mut().pieces(run, target, from, most))
            }
            Command::Found { messages, reply } => answer!(reply, protocol.found(&messages)),
            Command::Missing { target, found, reply } => answer!(reply, protocol.missing(target, &found)),
            Command::Deleted { deletes, reply } => answer!(reply, protocol.deleted(deletes)),
            Command::Leases { before, most, reply } => answer!(reply, protocol.leases(before, most)),
            Command::Releasable { most, reply } => answer!(reply, protocol.releasable(most)),
            Command::Leased { changes, reply } => answer!(reply, protocol.set_leases(&changes)),
            Command::Guard { run, event, reply } => answer!(reply, protocol.store_mut().note_guard(&run, &event)),
            Command::TakeControls { reply } => {
                let run = protocol.run();
                answer!(reply, protocol.store_mut().take_controls(run))
            }
            Command::AnswerControl { number, answer, reply } => {
                let run = protocol.run();
                answer!(reply, protocol.store_mut().answer_control(run, number, &answer))
            }
            Command::GuardEvents { run, reply } => answer!(reply, protocol.store_mut().guard_events(&run)),
            Command::Bounced { run, messages, reply } => {
                let now = (self.clock)();
                answer!(reply, protocol.store_mut().bounced(&run, &messages, now))
            }
            Command::Vanish { reply } => answer!(reply, protocol.vanish()),
            Command::KeepReturned { reply } => answer!(reply, protocol.keep_returned()),
            Command::LeaseCount { reply } => answer!(reply, protocol.lease_count()),
            Command::Unclaim { claims, reply } => {
                protocol.unclaim(&claims);
                answer!(reply, Ok::<_, K::Error>(()))
            }
        }
    }
}

fn change_piece<K: Keeper>(protocol: &mut Protocol<K>, change: &PieceChange) -> Result<(), Problem<K::Error>> {
    let run = protocol.run();
    if protocol.store_mut().change_piece(run, change)? {
        Ok(())
    } else {
        Err(Problem::NoSuchPiece(format!("{change:?}")))
    }
}

/// A problem as an error for people. Only a failure of the database, and what would leave it half changed, is one of the whole
/// transaction.
fn in_words<K: Keeper<Error: Into<Error>>>(problem: Problem<K::Error>, failure: &mut Option<Error>) -> Error {
    match problem {
        Problem::Store(error) => failure.get_or_insert_with(|| error.into()).clone(),
        Problem::NoSuchPiece(change) => failure
            .get_or_insert_with(|| {
                Error::failed(format!("the journal does not know what was written to an archive: {change}"))
                    .hint(MISTAKE)
            })
            .clone(),
        Problem::Illegal(id, illegal) => Error::failed(format!("message {id}: {illegal}")).hint(MISTAKE),
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
