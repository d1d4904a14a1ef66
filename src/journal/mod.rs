//! The journal: what happened to each message, on disk before it matters.
//!
//! One thread owns the database and takes commands through a bounded channel; it gathers what is waiting, changes it in one
//! transaction, commits, and only then answers. So an answer from here means: it is on disk.
//!
//! What may happen to a message is the [`protocol`](redrive_protocol::protocol)'s business, of which this is a store on disk (`store`), and
//! the thread that commits (`writer`).
//!
//! Locking: a journal has one writing process, held off others by a lock file beside it. Readers (`runs`, `status`,
//! `report`) need no lock. The journal must be on a local disk.

mod archives;
mod changes;
mod clock;
mod control;
mod entries;
mod filter;
mod front;
mod guards;
mod identity;
mod keeper;
mod location;
mod lock;
mod mark;
mod place;
mod prefix;
mod prune;
mod query;
mod rested;
mod runs;
mod schema;
mod server;
mod standing;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod timeline;
mod writer;

use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use redrive_protocol::target::TargetId;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

pub use clock::{Clock, system_clock};
pub use control::{Heard, control};
pub use location::Location;
pub use mark::{Mark, Marks};
pub use prune::{Pruned, prune};
pub use query::Reader;
pub use redrive_protocol::protocol::{
    BOUNDARY, Bounce, CameBack, GuardEvent, Happened, Piece, Process, RunRecord, Timeline, Trouble,
};
pub use standing::{Health, check, init};

use crate::error::{Error, Kind, Result};
use redrive_protocol::message::MessageId;
use redrive_protocol::protocol::{
    Admitted, Begun, DeleteEnd, Delivery, Judged, Judgement, Keeper, Lease, Missing, PieceChange, Resolve, RunSpec,
    Sent, SessionEnd, Settled, Settlement, Tally,
};
use table::Table;
use writer::Command;

/// Tells what a run has cost until now.
pub type Meter = Arc<dyn Fn() -> Measured + Send + Sync>;

/// What a run has cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Measured {
    /// SQS requests, over all sessions.
    pub requests: u64,
    /// Milliseconds, over all sessions.
    pub elapsed_ms: u64,
    /// Requests of this session that were throttled.
    pub throttled: u64,
}

/// The journal, open for writing by this process alone.
pub struct Journal {
    location: Location,
    clock: Clock,
    commands: mpsc::Sender<Command>,
    tally: Arc<Mutex<Tally>>,
    thread: Option<std::thread::JoinHandle<()>>,
    /// Of the run that is under way, outside of the journal.
    mark: Mutex<Option<Mark>>,
    /// Of a file: which one is open, by device and inode.
    file: Option<(u64, u64)>,
    // Held until the writer has ended. On a server each commit asks whether it is still ours.
    _lock: Option<lock::Lock>,
}

impl Journal {
    /// Opens the journal, creating it where there is none. Fails where another process writes to it, and on a file that is
    /// damaged, foreign or of a newer version.
    pub fn open(location: &Location, clock: Clock) -> Result<Self> {
        match location {
            Location::File(path) => {
                let lock = lock::Lock::take(path)?;
                let connection = schema::open(path)?;
                Self::of_file(path, lock, connection, clock)
            }
            Location::Server(url) => {
                let url = url.clone();
                Self::start(location, None, clock, move || server::open(&url))
            }
        }
    }

    fn of_file(path: &Path, lock: lock::Lock, connection: Connection, clock: Clock) -> Result<Self> {
        let table = Table::new(path.to_owned(), connection)?;
        Self::start(&path.to_owned().into(), Some((lock, identity(path)?)), clock, || Ok(table))
    }

    /// Starts the thread, and has it open the database.
    fn start<K: Keeper<Error: Into<Error>>>(
        location: &Location,
        held: Option<(lock::Lock, (u64, u64))>,
        clock: Clock,
        open: impl FnOnce() -> Result<K> + Send + 'static,
    ) -> Result<Self> {
        // Enough for every worker to have one command waiting; more would only queue memory.
        let (commands, inbox) = mpsc::channel(256);
        let tally = Arc::new(Mutex::new(Tally::default()));
        let unstarted = |error| Error::failed(format!("the journal's thread cannot be started: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(unstarted)?;
        let (opened, is_open) = std::sync::mpsc::channel();
        let (by, published) = (Arc::clone(&clock), Arc::clone(&tally));
        let works = move || match open() {
            Ok(keeper) => {
                // Whoever opens it waits for this.
                let _ = opened.send(Ok(()));
                writer::Writer::new(keeper, by, published).run(&runtime, inbox);
            }
            Err(error) => drop(opened.send(Err(error))),
        };
        let thread = std::thread::Builder::new().name("journal".to_owned()).spawn(works).map_err(unstarted)?;
        is_open.recv().unwrap_or_else(|_| Err(Error::failed("the journal's thread has ended")))?;
        let (location, mark, (lock, file)) = (location.clone(), Mutex::new(None), held.unzip());
        Ok(Self { file, location, clock, commands, tally, thread: Some(thread), mark, _lock: lock })
    }

    /// Has a mark follow what the journal knows of the run: see [`Marks`].
    pub fn follow(&self, mark: Mark) {
        *self.mark.lock().unwrap_or_else(PoisonError::into_inner) = Some(mark);
    }

    /// Where it is.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The time by the journal's clock, by which it is judged how old a doubt is.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Begins a run, or goes on with it: what was on its way becomes in doubt, through the transition function.
    pub async fn begin(&self, spec: RunSpec) -> Result<Begun> {
        self.ask(|reply| Command::Begin { spec, reply }).await
    }

    /// Ends this session of the run.
    pub async fn end(&self, end: SessionEnd) -> Result<()> {
        let (finished, requests) = (end.finished, end.totals.requests);
        self.ask(|reply| Command::End { end, reply }).await?;
        match self.mark.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(mark) if finished => mark.remove(),
            Some(mut mark) => mark.note(requests),
            None => {}
        }
        Ok(())
    }

    /// Has each commit note what the session costs so far, until it ends.
    pub async fn measure(&self, meter: Meter) -> Result<()> {
        self.ask(|reply| Command::Measure { meter, reply }).await
    }

    /// Notes the SQS requests and the milliseconds of the run so far, for the case that its process does not come to its end.
    /// Fails where the file was deleted or replaced meanwhile: what is committed goes with this process then.
    pub async fn effort(&self, requests: u64, elapsed_ms: u64) -> Result<()> {
        self.ask(|reply| Command::Effort { requests, elapsed_ms, reply }).await?;
        if let Some(mark) = self.mark.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            mark.note(requests);
        }
        let is_there = |path: &Path| identity(path).ok() == self.file;
        if self.location.file().is_none_or(is_there) {
            return Ok(());
        }
        Err(Error::new(Kind::Stopped, format!("the journal {} was deleted or replaced while the run was under way", self.location))
            .hint("what was under way is finished, and what can be is given back. Put the file back before the next apply, or accept \
                   that what is in doubt or held is forgotten"))
    }

    /// Notes for the report what the webhook could not be told of this session, and why.
    pub async fn not_notified(&self, words: String) -> Result<()> {
        self.ask(|reply| Command::NotNotified { words, reply }).await
    }

    /// Notes deliveries and says what is known of each message. Answers by position.
    pub async fn admit(&self, deliveries: Vec<Delivery>) -> Result<Vec<Admitted>> {
        self.tell(deliveries, |deliveries, reply| Command::Admit { deliveries, reply }).await
    }

    /// The same for what is received from the parking queue, each with the ID of the message that its mark says it is.
    pub async fn admit_parked(&self, deliveries: Vec<(Delivery, Option<MessageId>)>) -> Result<Vec<Admitted>> {
        self.tell(deliveries, |deliveries, reply| Command::AdmitParked { deliveries, reply }).await
    }

    /// Turns to the parking queue, by ARN: from here on it is what the run takes messages from, to bring them back.
    /// `drained`: the source has been gone through, so that a later session need not.
    pub async fn turn(&self, parking_arn: String, drained: bool) -> Result<Begun> {
        self.ask(|reply| Command::Turn { parking_arn, drained, reply }).await
    }

    /// Notes what helps to find these messages, should they come into doubt: on disk before anything that is asked for later.
    pub async fn identify(&self, identities: Vec<(MessageId, String)>) -> Result<()> {
        if identities.is_empty() {
            return Ok(());
        }
        self.ask(|reply| Command::Identify { identities, reply }).await
    }

    /// Puts decisions on disk. Answers by position.
    pub async fn judge(&self, judgements: Vec<Judgement>) -> Result<Vec<Judged>> {
        self.tell(judgements, |judgements, reply| Command::Judge { judgements, reply }).await
    }

    /// Puts the ends of sends on disk. Answers by position.
    pub async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>> {
        self.tell(settlements, |settlements, reply| Command::Settle { settlements, piece: None, reply }).await
    }

    /// Puts on disk which bytes are about to be written to an archive file, so that they can be told from everybody else's.
    pub async fn writing(&self, piece: Piece) -> Result<()> {
        self.ask(|reply| Command::Archive { change: PieceChange::Write(piece), reply }).await
    }

    /// Puts on disk what became of a piece whose process died: it is all in the file, or nothing of it is.
    pub async fn recovered(&self, target: TargetId, start: u64, written: bool) -> Result<()> {
        let change = if written { PieceChange::Keep { target, start } } else { PieceChange::Forget { target, start } };
        self.ask(|reply| Command::Archive { change, reply }).await
    }

    /// Puts the ends of sends on disk, and in the same commit that this piece is whole and synced. Answers by position.
    pub async fn settle_archived(
        &self,
        settlements: Vec<Settlement>,
        target: TargetId,
        start: u64,
    ) -> Result<Vec<Settled>> {
        self.ask(|reply| Command::Settle { settlements, piece: Some((target, start)), reply }).await
    }

    /// What this run wrote to the file behind a target, from this place on, at most so many pieces in their order.
    pub async fn pieces(&self, target: TargetId, from: u64, most: usize) -> Result<Vec<Piece>> {
        self.ask(|reply| Command::Pieces { target, from, most, reply }).await
    }

    /// Settles the doubts about messages whose lines were found in their archive.
    pub async fn found(&self, messages: Vec<MessageId>) -> Result<()> {
        self.tell(messages, |messages, reply| Command::Found { messages, reply }).await
    }

    /// Compares the messages that this run archived to a target with those that are there. What is missing and was not
    /// deleted yet becomes in doubt, so that nothing deletes it.
    pub async fn missing(&self, target: TargetId, found: HashSet<MessageId>) -> Result<Missing> {
        self.ask(|reply| Command::Missing { target, found, reply }).await
    }

    /// Notes how deletes ended. What was not confirmed is deleted by the next session, or when it comes back. Gives what was
    /// delivered more than once and is to be deleted with another handle, too: only the newest is sure to delete, and which
    /// one that is cannot be known where two deliveries came at once.
    pub async fn deleted(&self, deletes: Vec<(Sent, DeleteEnd)>) -> Result<Vec<Sent>> {
        self.tell(deletes, |deletes, reply| Command::Deleted { deletes, reply }).await
    }

    /// Messages in flight with us that become visible before this, at most so many, the earliest first. Of one whose lease is over
    /// already nobody knows whose it is; one that is newer than the plan's bound comes back by itself.
    pub async fn leases(&self, before: Timestamp, most: usize) -> Result<Vec<Lease>> {
        self.ask(|reply| Command::Leases { before, most, reply }).await
    }

    /// Messages in flight with us that can be given back: all but those that are still to be deleted.
    pub async fn releasable(&self, most: usize) -> Result<Vec<Lease>> {
        self.ask(|reply| Command::Releasable { most, reply }).await
    }

    /// Notes new ends of leases; `None` ends a lease: the message is given back or lost to us. A lease whose message was
    /// delivered anew meanwhile is another one, and stays as it is.
    pub async fn leased(&self, changes: Vec<(Lease, Option<Timestamp>)>) -> Result<()> {
        self.tell(changes, |changes, reply| Command::Leased { changes, reply }).await
    }

    /// Gives up claims that were never judged; their leases stay until they are released.
    pub async fn unclaim(&self, claims: Vec<MessageId>) -> Result<()> {
        self.tell(claims, |claims, reply| Command::Unclaim { claims, reply }).await
    }

    /// `max_messages` is reached: what was to be sent, and surely was not, stays.
    pub async fn keep_returned(&self) -> Result<()> {
        self.ask(|reply| Command::KeepReturned { reply }).await
    }

    /// The source is dry: what is not finished and not in flight with us is gone from it.
    pub async fn vanish(&self) -> Result<()> {
        self.ask(|reply| Command::Vanish { reply }).await
    }

    /// Puts on disk what somebody decided about messages in doubt, or about the run; all of it or, where one of the messages
    /// is not in doubt, nothing. Made again it changes nothing. Gives how many messages it is about. A run that was finished
    /// goes on where there is something to send or to delete now.
    pub async fn resolve(&self, resolve: Resolve) -> Result<u64> {
        self.ask(|reply| Command::Resolve { resolve, reply }).await
    }

    /// Notes what a guard or a person did to a run.
    pub async fn guard(&self, run: &str, event: GuardEvent) -> Result<()> {
        self.ask(|reply| Command::Guard { run: run.to_owned(), event, reply }).await
    }

    /// Takes what people asked of the run by way of a journal on a server, as JSON, each with its number, the oldest first.
    pub async fn take_controls(&self) -> Result<Vec<(i64, String)>> {
        self.ask(|reply| Command::TakeControls { reply }).await
    }

    /// Notes the answer to what was taken.
    pub async fn answer_control(&self, number: i64, answer: String) -> Result<()> {
        self.ask(|reply| Command::AnswerControl { number, answer, reply }).await
    }

    /// What guards and people did to a run so far, in order.
    pub async fn guard_events(&self, run: &str) -> Result<Vec<GuardEvent>> {
        self.ask(|reply| Command::GuardEvents { run: run.to_owned(), reply }).await
    }

    /// Notes which of these messages a run had sent, and are back. Answers by position; `None` for one that it did not send.
    pub async fn bounced(&self, run: &str, messages: Vec<MessageId>) -> Result<Vec<Option<Bounce>>> {
        self.tell(messages, |messages, reply| Command::Bounced { run: run.to_owned(), messages, reply }).await
    }

    /// How many messages are in flight with us, without those that are to be deleted: they may be gone already.
    pub async fn lease_count(&self) -> Result<u64> {
        self.ask(|reply| Command::LeaseCount { reply }).await
    }

    /// The figures of the run, as they are on disk.
    pub fn tally(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).folded()
    }

    /// Asks about many; about none there is nothing to ask, nor to commit.
    async fn tell<M, T: Default>(
        &self,
        many: Vec<M>,
        command: impl FnOnce(Vec<M>, oneshot::Sender<Result<T>>) -> Command,
    ) -> Result<T> {
        if many.is_empty() { Ok(T::default()) } else { self.ask(|reply| command(many, reply)).await }
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<Result<T>>) -> Command) -> Result<T> {
        let gone = || Error::failed(format!("the journal {} has stopped", self.location));
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// Which file it is, whatever its name.
fn identity(path: &Path) -> Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path);
    metadata.map(|file| (file.dev(), file.ino())).map_err(|error| schema::unusable(path, &error.to_string()))
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Journal({})", self.location)
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
