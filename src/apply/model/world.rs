//! What the model is made of: the source and its messages, the destination, the journal on disk, and what the process that
//! is at work has in memory. Small and copied, so that millions of moments can be held.

use redrive_protocol::protocol::State;

/// How many messages, and how many runs over the same source, at the most.
pub(super) const MOST: usize = 2;

/// A few of something, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Few<T>([Option<T>; 3]);

impl<T: Copy> Few<T> {
    pub(super) const NONE: Self = Self([None; 3]);

    pub(super) fn push(&mut self, item: T) {
        let free = self.0.iter_mut().find(|place| place.is_none());
        *free.expect("the bounds of the model leave room") = Some(item);
    }

    pub(super) fn remove(&mut self, at: usize) {
        self.0[at] = None;
        self.0[at..].rotate_left(1);
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = T> {
        self.0.into_iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().flatten()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0[0].is_none()
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        let all = std::mem::replace(self, Self::NONE);
        all.iter().filter(keep).for_each(|item| self.push(item));
    }
}

/// Where a message is in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Visible,
    InFlight,
    Deleted,
}

/// A receipt handle. Only the newest is sure; what the others do, nobody promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Handle {
    Newest,
    Older,
}

/// A handle that we hold, and whether its time is over by our clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Lease {
    pub(super) handle: Handle,
    pub(super) over: bool,
}

/// A message's row of one run, on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub(super) state: State,
    pub(super) doubted: bool,
    /// It was refused because what arrived is not what was sent.
    pub(super) damaged: bool,
}

/// How a send ended, as the process knows it before the journal does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum End {
    Acknowledged,
    Lost,
    Refused,
    Damaged,
}

/// How far the process is with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// It may be judged; in doubt or not, and whether all doubtful sends were this run's.
    Claimed(Option<bool>),
    /// Its intent is on disk.
    Intended,
    /// The request is made.
    OnWire,
    Answered(End),
    /// The lost answer is on disk.
    Doubtful(bool),
    /// The proof is on disk, of this run or another; and whether the newest handle that is known has deleted it.
    Proven {
        run: usize,
        confirmed: Option<bool>,
    },
    /// The delete was answered; not on disk.
    Deleted {
        run: usize,
        confirmed: Option<bool>,
        done: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Work {
    pub(super) handle: Handle,
    pub(super) stage: Stage,
}

/// All there is to know of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Message {
    // The source.
    pub(super) place: Place,
    /// It went by itself: its retention ended, or somebody else deleted it.
    pub(super) gone: bool,
    /// Somebody else was given it while it was visible, has handled it and deleted it.
    pub(super) taken: bool,
    // The destination.
    pub(super) arrived: u8,
    /// Of which runs it would recognise another copy.
    pub(super) remembers: [bool; MOST],
    /// Requests that nobody waits for any more, and that may still arrive, by run.
    pub(super) late: [u8; MOST],
    // The journal, on disk.
    pub(super) rows: [Option<Row>; MOST],
    /// What a power cut leaves of the rows, where commits are not synced.
    pub(super) synced: [Option<Row>; MOST],
    pub(super) leases: Few<Lease>,
    /// The deduplication window of its doubtful sends is over.
    pub(super) aged: bool,
    // The process.
    /// What was received and is not in the journal yet.
    pub(super) received: Few<Lease>,
    pub(super) works: Few<Work>,
    /// An earlier session left it, and it is to be given back.
    pub(super) give_back: bool,
}

impl Message {
    pub(super) fn has(&self, any: impl Fn(State) -> bool) -> bool {
        self.rows.iter().flatten().any(|row| any(row.state))
    }

    pub(super) fn is_proven(&self) -> bool {
        self.has(|state| matches!(state, State::Sent | State::Done))
    }

    /// Whether a lease of it lasts, by our clock.
    pub(super) fn is_ours(&self) -> bool {
        self.leases.iter().any(|lease| !lease.over)
    }

    /// All handles that there are become old ones.
    pub(super) fn age_handles(&mut self) {
        self.leases.iter_mut().chain(self.received.iter_mut()).for_each(|lease| lease.handle = Handle::Older);
        self.works.iter_mut().for_each(|work| work.handle = Handle::Older);
    }

    /// Its visibility timeout has run out.
    pub(super) fn expire(&mut self) {
        self.place = Place::Visible;
        self.leases.iter_mut().chain(self.received.iter_mut()).for_each(|lease| lease.over = true);
    }

    /// Nobody has the newest handle.
    pub(super) fn is_orphan(&self) -> bool {
        let known = self.leases.iter().chain(self.received.iter()).map(|lease| lease.handle);
        let mut known = known.chain(self.works.iter().map(|work| work.handle));
        self.place == Place::InFlight && !known.any(|handle| handle == Handle::Newest)
    }
}

/// A session of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Process {
    pub(super) run: usize,
    /// It was told to stop.
    pub(super) halting: bool,
    /// Messages may be in flight whose handles nobody has.
    pub(super) waits: bool,
    /// A message of the group stays, so that those behind it stay.
    pub(super) group_stopped: bool,
}

/// How many of each may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Faults {
    /// Kills, power cuts and signals.
    pub(super) stops: u8,
    /// Answers that never come.
    pub(super) lost: u8,
    /// Sends that fail: not taken, refused, or damaged on the way.
    pub(super) failures: u8,
    /// Visibility timeouts that run out too early, deliveries of what is in flight, reappearances of what is deleted.
    pub(super) deliveries: u8,
    /// Messages that go by themselves.
    pub(super) gone: u8,
    /// Times that the process sleeps for longer than the visibility timeout.
    pub(super) sleeps: u8,
    /// Messages that somebody else takes out of the source.
    pub(super) taken: u8,
    /// Deduplication windows that pass.
    pub(super) windows: u8,
}

/// Everything at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) messages: [Message; MOST],
    pub(super) process: Option<Process>,
    /// On disk: a process is at work on the run, or died at it.
    pub(super) in_session: [bool; MOST],
    pub(super) finished: [bool; MOST],
    pub(super) faults: Faults,
    /// What happened that must not.
    pub(super) broken: Option<&'static str>,
}
