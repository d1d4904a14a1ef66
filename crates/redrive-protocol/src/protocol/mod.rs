//! The protocol: what may happen to a message, and what has to be on record before it does.
//!
//! The types tell the story, and what they do not allow cannot be written:
//! a delivery is admitted ([`Protocol::admit`]) and gives a [`Claim`], or a [`Doubtful`] if a send of it may have arrived;
//! judging a claim ([`Protocol::judge`]) gives an [`Intended`], without which nothing is sent; settling an intent
//! ([`Protocol::settle`]) gives a [`Sent`], without which nothing is deleted. States move by one total function, [`next`].
//!
//! Pure: no SQL, no clock, no async, no AWS. What is known is kept by a [`Store`]; a database is one (the journal), memory is another
//! ([`MemoryStore`]). What is answered here holds once the store has committed; whoever drives the protocol answers after that.
//!
//! A batch of operations means the same in every store: its messages are taken in order, and if one of them cannot happen the
//! whole batch is refused with nothing changed ([`Problem::Illegal`]). Only a failure of the store itself ([`Problem::Store`])
//! leaves a batch half done, and then nothing may be committed.

mod admit;
mod archives;
mod claims;
mod doubt;
mod ends;
mod keeper;
mod key;
mod memory;
#[cfg(test)]
mod model;
mod numbers;
mod records;
mod removal;
mod resolve;
mod send;
mod session;
mod state;
mod store;
mod tally;
mod timeline;
mod words;

use jiff::Timestamp;

pub use archives::Missing;
pub use doubt::Doubt;
pub use ends::{Cause, SessionEnd, Totals};
pub use keeper::{BOUNDARY, Figures, Keeper, Piece, PieceChange};
pub use key::Key;
pub use memory::MemoryStore;
pub use numbers::{QueueNo, RunNo};
pub use records::{Bounce, CameBack, GuardEvent, Process, RunRecord, Trouble, URGENCY};
pub use resolve::{ABANDONED, Refusal};
pub use state::{Event, Illegal, State, next};
pub use store::{Glance, Known, Row, RunRef, RunState, SentAs, Store, Which};
pub use tally::{Tally, TallyKey};
pub use timeline::{Happened, Timeline};
pub use words::{
    Admitted, Begun, Claim, Decided, DeleteEnd, Delivery, Doubtful, Intended, Judged, Judgement, Lease, Resolution,
    Resolve, Resolved, RunSpec, SendEnd, Sent, Settled, Settlement, Stay,
};

use crate::message::MessageId;
use crate::target::RuleId;
use claims::Claims;

/// What can be wrong with an operation.
#[derive(Debug)]
pub enum Problem<E> {
    /// The store failed: nothing since its last commit holds.
    Store(E),
    /// The caller asked for what cannot happen to this message: a mistake in the program. Nothing was changed.
    Illegal(MessageId, Illegal),
    /// The caller said of a piece of an archive what cannot be of it: a mistake in the program. Nothing may be committed.
    NoSuchPiece(String),
    /// A person's decision about this run cannot be carried out. Nothing was changed.
    Refused(String, Refusal),
}

impl<E> From<E> for Problem<E> {
    fn from(error: E) -> Self {
        Self::Store(error)
    }
}

/// One run over one source, and what is known of its messages.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq, Eq, Hash))]
pub struct Protocol<S> {
    store: S,
    run: RunNo,
    /// The queue that messages are taken from: the run's source, or its parking queue once it has turned to that.
    queue: QueueNo,
    /// The run's source, once it has turned to its parking queue.
    home: Option<QueueNo>,
    /// Whether `queue` is a FIFO queue.
    fifo: bool,
    /// Whether a session over this source has not ended in good order.
    interrupted: bool,
    claims: Claims,
    tally: Tally,
    /// The figures as the store has them.
    noted: Tally,
    /// The time of the operation, in milliseconds since 1970.
    now: i64,
}

/// What a change would lead to, found before anything is changed.
struct Step {
    queue: QueueNo,
    before: Option<Row>,
    /// The last of the events that lead there.
    event: Event,
    after: State,
}

impl<S: Store> Protocol<S> {
    /// The protocol over a store; a session begins with [`Self::begin`].
    pub fn new(store: S) -> Self {
        Self {
            store,
            run: RunNo(0),
            queue: QueueNo(0),
            home: None,
            fifo: false,
            interrupted: false,
            claims: Claims::default(),
            tally: Tally::default(),
            noted: Tally::default(),
            now: 0,
        }
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The store, for whoever commits.
    pub fn store_mut(&mut self) -> &mut S {
        &mut self.store
    }

    /// The run that is under way.
    pub fn run(&self) -> RunNo {
        self.run
    }

    /// Its figures, with what is not committed yet.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// By how much the figures differ from those that the store has, and by how many messages those once in doubt: what is to be
    /// written before a commit.
    pub fn uncommitted(&self) -> Figures {
        let count = |tally: &Tally, key: &TallyKey| tally.counts.get(key).copied().unwrap_or(0).cast_signed();
        let new = self.tally.counts.keys().filter(|key| !self.noted.counts.contains_key(key));
        let keys = self.noted.counts.keys().chain(new);
        let changes = keys.map(|key| (*key, count(&self.tally, key) - count(&self.noted, key)));
        (
            changes.filter(|(_, by)| *by != 0).collect(),
            self.tally.doubted.cast_signed() - self.noted.doubted.cast_signed(),
        )
    }

    /// The store has committed, the figures too.
    pub fn committed(&mut self) {
        self.noted.clone_from(&self.tally);
    }

    /// How many messages are being handled.
    pub fn claimed(&self) -> usize {
        self.claims.len()
    }

    /// Sets the time of the operations that follow, in milliseconds since 1970.
    pub fn set_time(&mut self, now: i64) {
        self.now = now;
    }

    /// Gives up claims that were never judged; their leases stay until they are released.
    pub fn unclaim(&mut self, messages: &[MessageId]) {
        for id in messages {
            self.claims.remove(&Key::of(id));
        }
    }

    /// Leases that last and end before this, at most so many, the earliest first; without those of messages that are newer than the
    /// plan's bound.
    pub fn leases(&mut self, before: Timestamp, most: usize) -> Result<Vec<Lease>, S::Error> {
        self.store.leases(self.queue, Which::Extendable(self.run, self.now), before, most)
    }

    /// Leases of messages that can be given back, which are all but those that are still to be deleted; at most so many. Those that
    /// are over are among them: an extension may have been carried out whose answer nobody got.
    pub fn releasable(&mut self, most: usize) -> Result<Vec<Lease>, S::Error> {
        self.store.leases(self.queue, Which::Releasable, Timestamp::MAX, most)
    }

    /// Notes new ends of leases; `None` ends a lease.
    pub fn set_leases(&mut self, changes: &[(Lease, Option<Timestamp>)]) -> Result<(), S::Error> {
        changes.iter().try_for_each(|(lease, until)| {
            self.store.set_lease(self.queue, &Key::of(&lease.id), &lease.receipt, *until)
        })
    }

    /// How many messages are in flight with us for sure. One that was sent may be deleted already, whatever the answer was; one
    /// whose lease is over may be anybody's.
    pub fn lease_count(&mut self) -> Result<u64, S::Error> {
        let mut count = 0;
        for key in self.store.leased(self.queue, self.now)? {
            count += u64::from(sent_by(&self.store.rows(self.queue, &key)?).is_none());
        }
        Ok(count)
    }

    /// This run's row of a message of a queue.
    fn row(&mut self, queue: QueueNo, key: &Key) -> Result<Option<Row>, S::Error> {
        let (run, store) = (self.run, &mut self.store);
        let mut look = || Ok(store.rows(queue, key)?.into_iter().find(|known| known.run == run).map(|known| known.row));
        if queue == self.queue { self.claims.row(key, look) } else { look() }
    }

    /// Finds out what events lead to, one after the other, and changes nothing. `doubted`: sends of the message by some run may
    /// have arrived, so that it is in doubt whatever this run's row says.
    fn step(&mut self, queue: QueueNo, key: &Key, events: &[Event], doubted: bool) -> Result<Step, Problem<S::Error>> {
        let before = self.row(queue, key)?;
        let mut state = before.as_ref().map(|row| row.state);
        if doubted && !matches!(state, Some(State::InDoubt | State::Held)) {
            state = Some(State::InDoubt);
        }
        let mut last = Err(Illegal { state, event: Event::Intend });
        for event in events {
            let after = next(state, *event).map_err(|illegal| Problem::Illegal(key.id(), illegal))?;
            state = Some(after);
            last = Ok((*event, after));
        }
        let (event, after) = last.map_err(|illegal| Problem::Illegal(key.id(), illegal))?;
        Ok(Step { queue, before, event, after })
    }

    /// Carries out a step, in the store and in the figures. `doubted`: since when sends of the message by some run may have
    /// arrived.
    fn change(
        &mut self,
        key: &Key,
        step: Step,
        doubted: Option<Timestamp>,
        edit: impl FnOnce(&mut Row),
    ) -> Result<State, S::Error> {
        let Step { queue, before, event, after } = step;
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
            None if event == Event::Intend && row.doubts == 0 => row.since = Some(self.now),
            None => {}
        }
        edit(&mut row);
        let is_doubt = matches!((event, after), (Event::LoseAnswer | Event::Lose, State::InDoubt));
        row.doubts = row.doubts.max(u32::from(doubted.is_some())) + u32::from(is_doubt);
        self.store.put(self.run, queue, key, &row, self.now)?;
        self.tally.doubted += u64::from(old_doubts == 0 && row.doubts > 0);
        self.tally.shift(from, row.key());
        if queue == self.queue {
            self.claims.note_row(key, row);
        }
        Ok(after)
    }
}

/// The run that sent a message, if one did.
fn sent_by(rows: &[Known]) -> Option<RunNo> {
    rows.iter().find(|known| matches!(known.row.state, State::Sent | State::Done)).map(|known| known.run)
}
