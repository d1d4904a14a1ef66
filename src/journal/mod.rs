//! The journal: what happened to each message, on disk before it matters.
//!
//! One thread owns the database and takes commands through a bounded channel; it gathers what is waiting, changes it in one
//! transaction, commits, and only then answers. So an answer from here means: it is on disk.
//!
//! The types tell the story, and what they do not allow cannot be written:
//! a delivery is admitted ([`Journal::admit`]) and gives a [`Claim`], or a [`Doubtful`] where a send of it may have
//! arrived; judging a claim ([`Journal::judge`]) gives an [`Intended`], without which nothing is sent; settling an intent
//! ([`Journal::settle`]) gives a [`Sent`], without which nothing is deleted.
//!
//! Locking: a journal has one writing process, held off others by a lock file beside it. Readers (`runs`, `status`,
//! `report`) need no lock. The journal must be on a local disk.

mod key;
mod lock;
mod query;
mod schema;
mod state;
mod table;
mod tally;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

pub use query::{Reader, RunRecord, Trouble};
pub use state::{Event, Illegal, State, next};
pub use tally::{Tally, TallyKey};

use crate::error::{Error, Result};
use crate::message::{MessageId, ReceiptHandle};
use crate::target::{Reason, RuleId, TargetId};
use writer::Command;

/// Tells the time; an argument, so that tests can turn it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The clock of the machine.
pub fn system_clock() -> Clock {
    Arc::new(Timestamp::now)
}

/// A delivery as it comes from a receive.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The message.
    pub id: MessageId,
    /// The handle of this delivery.
    pub receipt: ReceiptHandle,
    /// `ApproximateReceiveCount`.
    pub receive_count: Option<u32>,
    /// `DeadLetterQueueSourceArn`, which is gone after the send: here it is kept.
    pub origin: Option<String>,
    /// When the receive was asked for; the twelve hours count from it.
    pub received: Timestamp,
    /// Until when it is surely invisible to others.
    pub until: Timestamp,
}

/// What the journal knows of a delivered message.
#[derive(Debug)]
pub enum Admitted {
    /// Nothing that hinders judging it.
    New(Claim),
    /// A send of it may have arrived.
    Doubtful(Doubtful),
    /// It is safely elsewhere: delete it, do not send it.
    Sent(Sent),
    /// This run sent it, and it came back.
    Bounced(Claim),
    /// Another delivery of it is being handled right now. The newer handle is noted; there is nothing to do.
    Duplicate,
}

/// The right to decide about one delivered message. There is one a message at a time.
#[derive(Debug)]
pub struct Claim {
    delivered: Delivered,
    /// When a send of it was first intended that may have arrived.
    doubted: Option<Timestamp>,
}

/// A message and the handle it was delivered with. The handle goes along from the claim to the proof, so that a proof does
/// not hang on the lease, which may end on the way.
#[derive(Debug)]
struct Delivered {
    id: MessageId,
    receipt: ReceiptHandle,
    receive_count: Option<u32>,
    /// The number of the queue it came from, in the journal.
    origin: Option<i64>,
}

impl Claim {
    /// The message.
    pub fn id(&self) -> &MessageId {
        &self.delivered.id
    }
}

/// A message of which a send may have arrived. Another type than [`Claim`]: it takes a decision to send it again.
#[derive(Debug)]
pub struct Doubtful {
    delivered: Delivered,
    since: Timestamp,
    this_run: bool,
}

impl Doubtful {
    /// The message.
    pub fn id(&self) -> &MessageId {
        &self.delivered.id
    }

    /// When the first send of it was intended that may have arrived: a deduplication window counts from it.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// Whether all its sends were this run's, so that the next is to the same place, under the same name.
    pub fn is_of_this_run(&self) -> bool {
        self.this_run
    }

    /// Decides that the message is judged again, knowing that a copy may have arrived.
    pub fn judge_again(self) -> Claim {
        Claim { delivered: self.delivered, doubted: Some(self.since) }
    }
}

/// A decision about a claimed message.
#[derive(Debug)]
pub struct Judgement {
    /// Which message.
    pub claim: Claim,
    /// The rule that took it.
    pub rule: RuleId,
    /// Whether its retry count is exhausted.
    pub exhausted: bool,
    /// What is decided.
    pub decision: Decided,
}

/// What is decided about a message.
#[derive(Debug)]
pub enum Decided {
    /// It is to be sent to this target.
    Send(TargetId),
    /// It is deleted without being sent; the target is of the kind `drop`.
    Drop(TargetId),
    /// It stays in the source.
    Stay(Stay),
}

/// Why and how a message stays.
#[derive(Debug)]
pub enum Stay {
    /// Left where it is.
    Kept(Reason),
    /// It should move and cannot; with which path, size or name it is about.
    Blocked(Reason, String),
    /// It is in doubt, and waits for a decision; with the target a copy may be at.
    Held,
}

/// What a judgement became, on disk.
#[derive(Debug)]
pub enum Judged {
    /// It may be sent now.
    Intended(Intended),
    /// It may be deleted now.
    Sent(Sent),
    /// It stays.
    Stays,
}

/// The intent to send a message, on disk: what a send takes.
#[derive(Debug)]
pub struct Intended {
    delivered: Delivered,
}

impl Intended {
    /// The message.
    pub fn id(&self) -> &MessageId {
        &self.delivered.id
    }
}

/// How a send ended.
#[derive(Debug)]
pub struct Settlement {
    /// Which one.
    pub intended: Intended,
    /// How.
    pub end: SendEnd,
}

/// How a send ended.
#[derive(Debug)]
pub enum SendEnd {
    /// The destination acknowledged it, under this new ID where it is a queue.
    Acknowledged(Option<MessageId>),
    /// The destination will not have it, with the words it used.
    Refused(Reason, String),
    /// The answer never came.
    AnswerLost,
    /// It was surely not sent and will not be now; the next session judges it again.
    Withdrawn,
    /// It was surely not sent, and stays because one before it in its message group stays.
    Behind,
}

/// What a settlement became, on disk.
#[derive(Debug)]
pub enum Settled {
    /// It may be deleted now.
    Sent(Sent),
    /// Nobody can say whether it arrived.
    Doubtful(Doubtful),
    /// It stays in the source.
    Stays,
}

/// The proof that a message is safely elsewhere, on disk in the journal: what a delete takes. Only the journal makes it.
#[derive(Debug)]
pub struct Sent {
    delivered: Delivered,
    run: i64,
    /// Whether its deletion was confirmed with another handle.
    confirmed: bool,
}

impl Sent {
    /// The message.
    pub fn id(&self) -> &MessageId {
        &self.delivered.id
    }

    /// The newest receipt handle of it that is known.
    pub fn receipt(&self) -> &ReceiptHandle {
        &self.delivered.receipt
    }
}

/// How a delete ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteEnd {
    /// The source confirmed it.
    Confirmed,
    /// The source would not have the handle: the message comes back, and is deleted then.
    HandleRefused,
    /// No answer, or none that counts; the handle may still be good.
    Unknown,
}

/// A message in flight with us.
#[derive(Debug, Clone)]
pub struct Lease {
    /// The message.
    pub id: MessageId,
    /// The newest receipt handle that is known.
    pub receipt: ReceiptHandle,
    /// When it was received.
    pub received: Timestamp,
    /// Until when it is surely invisible to others.
    pub until: Timestamp,
}

/// Which run to begin or to go on with.
#[derive(Debug, Clone)]
pub struct RunSpec {
    /// The plan's identity.
    pub name: String,
    /// The source queue's ARN.
    pub source_arn: String,
    /// The SHA-256 of the job's text.
    pub job_sha256: String,
    /// The plan document, without its examples.
    pub plan: String,
}

/// A run that was begun, with what an earlier session left behind.
#[derive(Debug)]
pub struct Begun {
    /// Whether it had been begun before.
    pub resumed: bool,
    /// Whether an earlier process was ended in the midst of it, and may have messages in flight that no journal knows.
    pub interrupted: bool,
    /// Sends whose answers were lost with that process.
    pub in_doubt: u64,
    /// Messages whose last send may have arrived, with where it went.
    pub doubtful: Vec<(MessageId, Option<TargetId>)>,
    /// Messages that are safely elsewhere and still to be deleted, with the handles that are known.
    pub to_delete: Vec<Sent>,
    /// Messages in flight that are to be given back at once.
    pub to_release: Vec<Lease>,
    /// SQS requests of earlier sessions.
    pub requests: u64,
    /// Milliseconds of earlier sessions.
    pub elapsed_ms: u64,
}

/// How a session of a run ended.
#[derive(Debug, Clone)]
pub struct SessionEnd {
    /// Whether the run is finished.
    pub finished: bool,
    /// The outcome's code.
    pub outcome: String,
    /// SQS requests of the run so far.
    pub requests: u64,
    /// Milliseconds of the run so far.
    pub elapsed_ms: u64,
}

/// The journal, open for writing by this process alone.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    commands: mpsc::Sender<Command>,
    tally: Arc<Mutex<Tally>>,
    thread: Option<std::thread::JoinHandle<()>>,
    // Held until the writer has ended.
    _lock: lock::Lock,
}

impl Journal {
    /// Opens the journal, creating it where there is none. Fails where another process writes to it, and on a file that is
    /// damaged, foreign or of a newer version.
    pub fn open(path: &Path, clock: Clock) -> Result<Self> {
        let lock = lock::Lock::take(path)?;
        let connection = schema::open(path)?;
        // Enough for every worker to have one command waiting; more would only queue memory.
        let (commands, inbox) = mpsc::channel(256);
        let tally = Arc::new(Mutex::new(Tally::default()));
        let writer = writer::Writer::new(path.to_owned(), connection, clock, Arc::clone(&tally));
        let thread = std::thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run(inbox));
        let thread =
            thread.map_err(|error| Error::failed(format!("the journal's thread cannot be started: {error}")))?;
        Ok(Self { path: path.to_owned(), commands, tally, thread: Some(thread), _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins a run, or goes on with it: what was on its way becomes in doubt, through the transition function.
    pub async fn begin(&self, spec: RunSpec) -> Result<Begun> {
        self.ask(|reply| Command::Begin { spec, reply }).await
    }

    /// Ends this session of the run.
    pub async fn end(&self, end: SessionEnd) -> Result<()> {
        self.ask(|reply| Command::End { end, reply }).await
    }

    /// Notes the SQS requests and the milliseconds of the run so far, for the case that its process does not come to its end.
    pub async fn effort(&self, requests: u64, elapsed_ms: u64) -> Result<()> {
        self.ask(|reply| Command::Effort { requests, elapsed_ms, reply }).await
    }

    /// Notes deliveries and says what is known of each message. Answers by position.
    pub async fn admit(&self, deliveries: Vec<Delivery>) -> Result<Vec<Admitted>> {
        self.ask(|reply| Command::Admit { deliveries, reply }).await
    }

    /// Puts decisions on disk. Answers by position.
    pub async fn judge(&self, judgements: Vec<Judgement>) -> Result<Vec<Judged>> {
        self.ask(|reply| Command::Judge { judgements, reply }).await
    }

    /// Puts the ends of sends on disk. Answers by position.
    pub async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>> {
        self.ask(|reply| Command::Settle { settlements, reply }).await
    }

    /// Notes how deletes ended. What was not confirmed is deleted by the next session, or when it comes back. Gives what was
    /// delivered more than once and is to be deleted with another handle, too: only the newest is sure to delete, and which
    /// one that is cannot be known where two deliveries came at once.
    pub async fn deleted(&self, deletes: Vec<(Sent, DeleteEnd)>) -> Result<Vec<Sent>> {
        self.ask(|reply| Command::Deleted { deletes, reply }).await
    }

    /// Messages in flight with us that become visible before this, at most so many, the earliest first.
    pub async fn leases(&self, before: Timestamp, most: usize) -> Result<Vec<Lease>> {
        self.ask(|reply| Command::Leases { before, most, releasable: false, reply }).await
    }

    /// Messages in flight with us that can be given back: all but those that are still to be deleted.
    pub async fn releasable(&self, most: usize) -> Result<Vec<Lease>> {
        self.ask(|reply| Command::Leases { before: Timestamp::MAX, most, releasable: true, reply }).await
    }

    /// Notes new ends of leases; `None` ends a lease: the message is given back or lost to us. A lease whose message was
    /// delivered anew meanwhile is another one, and stays as it is.
    pub async fn leased(&self, changes: Vec<(Lease, Option<Timestamp>)>) -> Result<()> {
        self.ask(|reply| Command::Leased { changes, reply }).await
    }

    /// Gives up claims that were never judged; their leases stay until they are released.
    pub async fn unclaim(&self, claims: Vec<MessageId>) -> Result<()> {
        self.ask(|reply| Command::Unclaim { claims, reply }).await
    }

    /// How many messages are in flight with us.
    pub async fn lease_count(&self) -> Result<u64> {
        self.ask(|reply| Command::LeaseCount { reply }).await
    }

    /// The figures of the run, as they are on disk.
    pub fn tally(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<Result<T>>) -> Command) -> Result<T> {
        let gone = || Error::failed(format!("the journal {} has stopped", self.path.display()));
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Closing the channel ends the writer, which closes the database before the lock is given up.
        let (closed, _) = mpsc::channel(1);
        self.commands = closed;
        if let Some(thread) = self.thread.take() {
            // A panic in the writer was reported on stderr already, and every caller got an error.
            let _ = thread.join();
        }
    }
}
