//! What the protocol needs of a place that keeps what is known of messages: look-ups and writes, and no decision.
//!
//! A store keeps rows (what a run knows of a message), leases (receipt handles of what is in flight), and runs. Queues and runs
//! have numbers, so that rows stay small. Every operation names the queue, the run and the message it is about; none is
//! "current". Whoever drives the protocol decides when what was written is committed: see the journal's writer.

use jiff::Timestamp;

use super::ends::SessionEnd;
use super::key::Key;
use super::numbers::{QueueNo, RunNo};
use super::state::State;
use super::tally::{Tally, TallyKey};
use super::words::{Delivery, Lease, Resolution, Resolve, RunSpec};
use crate::message::{MessageId, ReceiptHandle};
use crate::target::{Reason, RuleId, TargetId};

/// What a run knows of a message. Times in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Row {
    /// Where it stands.
    pub state: State,
    /// The rule that took it.
    pub rule: RuleId,
    /// Where it went or was to go.
    pub target: Option<TargetId>,
    /// Whether its retry count is exhausted.
    pub exhausted: bool,
    /// Why it stays.
    pub reason: Option<Reason>,
    /// How often the answer to a send of it never came.
    pub doubts: u32,
    /// When the first send was intended that may have arrived.
    pub since: Option<i64>,
    /// The ID that its send returned.
    pub sent_as: Option<Key>,
    /// `ApproximateReceiveCount` at the last delivery.
    pub receive_count: Option<u32>,
    /// The queue it came from, by `DeadLetterQueueSourceArn`.
    pub origin: Option<QueueNo>,
}

impl Row {
    /// What it is counted by.
    pub fn key(&self) -> TallyKey {
        TallyKey {
            state: self.state,
            rule: self.rule,
            target: self.target,
            exhausted: self.exhausted,
            reason: self.reason,
        }
    }
}

/// A row of a message, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The run that knows this of the message.
    pub run: RunNo,
    /// What it knows.
    pub row: Row,
    /// When the row last changed, in milliseconds since 1970.
    pub at: i64,
    /// How many doubts were settled when somebody decided to send the message again.
    pub settled_doubts: u32,
}

/// A first look at a delivered message; for nearly all messages it is the only one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance {
    /// Whether a delivery of it has a lease.
    pub is_leased: bool,
    /// Whether some run may know it. Said too often by a store that only compares digests, never too seldom.
    pub may_be_known: bool,
    /// Whether a send may have returned this ID.
    pub may_be_sent_as: bool,
}

/// A send that returned an ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentAs {
    /// The run that sent it.
    pub run: RunNo,
    /// The rule by which it was sent.
    pub rule: RuleId,
    /// The queue that the message came from.
    pub origin: Option<QueueNo>,
}

/// A run as a session of it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about what was found")]
pub struct RunState {
    /// Its number.
    pub run: RunNo,
    /// Whether this is its first session.
    pub is_new: bool,
    /// Whether a session over this source, of whichever run, has not ended or left messages in flight that no store knows.
    pub interrupted: bool,
    /// Whether an earlier session has gone through the source.
    pub drained: bool,
    /// Whether somebody gave the run up.
    pub given_up: bool,
    /// SQS requests of earlier sessions.
    pub requests: u64,
    /// Milliseconds of earlier sessions.
    pub elapsed_ms: u64,
}

/// How a run stands, for a person's decisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRef {
    /// Its number.
    pub run: RunNo,
    /// Its source queue.
    pub source: QueueNo,
    /// Whether it has ended with nothing left to do.
    pub ended: bool,
    /// How its last session ended.
    pub outcome: Option<String>,
}

/// Which leases are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// Without those of messages that some run has sent and not yet deleted.
    Releasable,
    /// Those that last beyond this time, without those of messages that this run found to be newer than the plan's bound: they come
    /// back by themselves.
    Extendable(RunNo, i64),
}

/// A place that keeps what is known. After an error of a store nothing more may be asked of the protocol over it: what was
/// written since the last commit is undone by whoever commits.
pub trait Store {
    /// What can go wrong with the place itself.
    type Error;

    /// The number of the queue with this ARN; a new one gets one.
    fn queue_no(&mut self, arn: &str) -> Result<QueueNo, Self::Error>;
    /// The ARN of a queue.
    fn queue_arn(&mut self, queue: QueueNo) -> Result<String, Self::Error>;

    /// Says which messages come to be looked at next, for a store that can look at many at once.
    fn look_ahead(&mut self, queue: QueueNo, deliveries: &[Delivery]) -> Result<(), Self::Error> {
        let _ = (queue, deliveries);
        Ok(())
    }
    /// Takes a first look at a message.
    fn glance(&mut self, queue: QueueNo, key: &Key) -> Result<Glance, Self::Error>;
    /// What every run knows of a message.
    fn rows(&mut self, queue: QueueNo, key: &Key) -> Result<Vec<Known>, Self::Error>;
    /// The sends that returned this ID.
    fn sends_as(&mut self, key: &Key) -> Result<Vec<SentAs>, Self::Error>;
    /// Writes what a run knows of a message. The figures of the run are the caller's, who writes them at the commit.
    fn put(&mut self, run: RunNo, queue: QueueNo, key: &Key, row: &Row, at: i64) -> Result<(), Self::Error>;
    /// Moves a message of another run, whose figures follow.
    fn put_of_other_run(
        &mut self,
        run: RunNo,
        queue: QueueNo,
        key: &Key,
        state: State,
        at: i64,
    ) -> Result<(), Self::Error>;
    /// Notes details in words.
    fn note(&mut self, run: RunNo, queue: QueueNo, key: &Key, text: &str) -> Result<(), Self::Error>;
    /// Messages of a run that are neither done nor at rest in the source, and those held, each with its queue and state.
    fn open(&mut self, run: RunNo) -> Result<Vec<(QueueNo, Key, State)>, Self::Error>;
    /// Messages of a run a send of which may have arrived, with where the last one went.
    fn doubtful(&mut self, run: RunNo) -> Result<Vec<(MessageId, Option<TargetId>)>, Self::Error>;
    /// Messages of a queue that a run took by this rule and that are done.
    fn done_by(&mut self, run: RunNo, queue: QueueNo, rule: RuleId) -> Result<Vec<Key>, Self::Error>;

    /// Messages that a run has sent to a target: deleted from their queue or not, or failed because they were missing there
    /// afterwards ([`Reason::ArchiveLost`](crate::target::Reason::ArchiveLost)); without those of which somebody decided that they
    /// arrived, since that is a person's word.
    fn archived(&mut self, run: RunNo, target: TargetId) -> Result<Vec<(QueueNo, Key, State)>, Self::Error>;

    /// The handles of a message that are known, the newest first.
    fn leases_of(&mut self, queue: QueueNo, key: &Key) -> Result<Vec<Lease>, Self::Error>;
    /// Notes a delivery's handle. `is_new`: neither a row nor another handle of the message is known.
    fn add_lease(
        &mut self,
        run: RunNo,
        queue: QueueNo,
        key: &Key,
        delivery: &Delivery,
        is_new: bool,
    ) -> Result<(), Self::Error>;
    /// Notes the new end of the lease with this handle; `None` ends it.
    fn set_lease(
        &mut self,
        queue: QueueNo,
        key: &Key,
        receipt: &ReceiptHandle,
        until: Option<Timestamp>,
    ) -> Result<(), Self::Error>;
    /// Leases of this kind that end before this, at most so many, the earliest first.
    fn leases(
        &mut self,
        queue: QueueNo,
        which: Which,
        before: Timestamp,
        most: usize,
    ) -> Result<Vec<Lease>, Self::Error>;
    /// The messages of a queue that have leases which last beyond this time, each once.
    fn leased(&mut self, queue: QueueNo, now: i64) -> Result<Vec<Key>, Self::Error>;

    /// Begins a session of a run over this source, at this time.
    fn begin_session(&mut self, spec: &RunSpec, source: QueueNo, at: i64) -> Result<RunState, Self::Error>;
    /// Notes how the session ended.
    fn end_session(&mut self, run: RunNo, end: &SessionEnd, at: i64) -> Result<(), Self::Error>;
    /// The run with this name.
    fn find_run(&mut self, name: &str) -> Result<Option<RunRef>, Self::Error>;
    /// Whether a run has ended with nothing left to do.
    fn is_finished(&mut self, run: RunNo) -> Result<bool, Self::Error>;
    /// Notes whether the source has been gone through.
    fn set_drained(&mut self, run: RunNo, drained: bool) -> Result<(), Self::Error>;
    /// Counts a message that was deleted for another run.
    fn count_deleted_for_other(&mut self, run: RunNo) -> Result<(), Self::Error>;
    /// The figures of a run, as they were last committed.
    fn tally(&mut self, run: RunNo) -> Result<Tally, Self::Error>;

    /// What somebody decided about a message of a run, and how many doubts that settled.
    fn resolution(&mut self, run: RunNo, queue: QueueNo, key: &Key) -> Result<Option<(Resolution, u32)>, Self::Error>;
    /// Notes a decision, about a message with so many doubts or, with `None`, about the run.
    fn note_resolution(
        &mut self,
        run: RunNo,
        queue: QueueNo,
        message: Option<(&Key, u32)>,
        resolve: &Resolve,
        at: i64,
    ) -> Result<(), Self::Error>;
    /// Whether somebody gave the run up.
    fn is_given_up(&mut self, run: RunNo) -> Result<bool, Self::Error>;
    /// Notes that a run was given up; `ended` if nothing of it is left to do.
    fn give_up(&mut self, run: RunNo, ended: Option<i64>) -> Result<(), Self::Error>;
    /// Has a finished run go on. `given_up`: one that was given up, too.
    fn reopen(&mut self, run: RunNo, given_up: bool) -> Result<(), Self::Error>;
}
