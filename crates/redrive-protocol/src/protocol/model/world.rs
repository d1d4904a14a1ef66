//! What the model is made of: the queues and what is in them, the destination, the journal, and what the process that is at work
//! has in memory. The journal is the program's own [`Protocol`] over a store in memory.

use jiff::Timestamp;

use super::super::{
    Claim, DeleteEnd, Doubt, Doubtful, Intended, Key, Lease, Protocol, QueueNo, Row, RunNo, Sent, State,
};
use super::sabotage::Sabotaged;
use crate::message::{MessageId, ReceiptHandle};

/// How many runs over the same source, at the most.
pub(super) const RUNS: usize = 2;

/// The time at which everything happens that happens within the deduplication window, and how long that is. Leases last far
/// beyond both, or are over.
const NOW: i64 = 1_800_000_000_000;
const WINDOW: i64 = 5 * 60_000;
const LASTS: i64 = NOW + 1000 * WINDOW;
pub(super) const OVER: i64 = NOW - 1;

pub(super) fn time(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).expect("a time")
}

/// Where a message is in its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Visible,
    InFlight,
    Deleted,
}

/// The queues that messages are received from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Queue {
    Source,
    Parking,
}

impl Queue {
    pub(super) fn number(self) -> QueueNo {
        QueueNo(match self {
            Self::Source => 0,
            Self::Parking => 1,
        })
    }
}

/// A request that nobody waits for any more: of which run, where to, and of which copy.
pub(super) type Late = (usize, Towards, u8);

/// Where a send goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Towards {
    Destination,
    Parking,
    /// From the parking queue back to the source.
    Home,
}

/// Of a delivery, the number of its handle and whether its visibility timeout is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Received {
    pub(super) handle: u8,
    pub(super) over: bool,
}

/// Receipt handles have small numbers, which are used again if nobody knows them any more.
pub(super) fn receipt(handle: u8) -> ReceiptHandle {
    ReceiptHandle::new(["0", "1", "2", "3", "4", "5"][usize::from(handle)])
}

pub(super) fn number(receipt: &ReceiptHandle) -> u8 {
    receipt.as_str().as_bytes()[0] - b'0'
}

/// How a send ended, as the process knows it before the journal does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum End {
    Acknowledged(Option<u8>),
    Lost,
    Refused,
    Damaged,
}

/// What admission said of a message that is to be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Met {
    New,
    /// This run had parked it and brought it back.
    Returned,
    Doubtful(Doubt),
}

/// How far the process is with a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    Claimed(Claim, Met),
    /// Its intent is on disk.
    Intended(Intended, Towards),
    /// The request is made.
    OnWire(Intended, Towards),
    Answered(Intended, Towards, End),
    /// The lost answer is on disk.
    Doubtful(Doubtful, Towards),
    /// The proof is on disk.
    Proven(Sent),
    /// The delete was answered; not on disk.
    Deleted(Sent, DeleteEnd),
}

impl Stage {
    pub(super) fn handle(&self) -> u8 {
        number(match self {
            Self::Claimed(Claim { delivered, .. }, _)
            | Self::Intended(Intended { delivered, .. }, _)
            | Self::OnWire(Intended { delivered, .. }, _)
            | Self::Answered(Intended { delivered, .. }, ..)
            | Self::Doubtful(Doubtful { delivered, .. }, _) => &delivered.receipt,
            Self::Proven(sent) | Self::Deleted(sent, _) => sent.receipt(),
        })
    }

    pub(super) fn is_on_its_way(&self) -> bool {
        !matches!(self, Self::Proven(_) | Self::Deleted(..))
    }
}

/// A message in a queue: one that was there from the start, or what a send of one made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Item {
    /// Which of the messages that were there from the start it is, or is a copy of.
    pub(super) of: usize,
    /// Which copy; the first is the one that was there.
    pub(super) copy: u8,
    /// The copy that a parked message was in the source.
    pub(super) was: u8,
    pub(super) queue: Queue,
    pub(super) place: Place,
    /// It went by itself: its retention ended, or somebody else deleted it.
    pub(super) gone: bool,
    /// The handle that is sure, if somebody knows it; what older ones do, nobody promises.
    pub(super) newest: Option<u8>,
    /// All of its handles that somebody knows.
    pub(super) handles: Vec<u8>,
    /// What was received and is not in the journal yet.
    pub(super) received: Vec<Received>,
    pub(super) works: Vec<Stage>,
    /// What an earlier session left and is to be given back.
    pub(super) give_back: Vec<Lease>,
}

impl Item {
    pub(super) fn new(of: usize, copy: u8, was: u8, queue: Queue) -> Self {
        Self {
            of,
            copy,
            was,
            queue,
            place: Place::Visible,
            gone: false,
            newest: None,
            handles: Vec::new(),
            received: Vec::new(),
            works: Vec::new(),
            give_back: Vec::new(),
        }
    }

    pub(super) fn id(&self) -> MessageId {
        id(self.of, self.copy)
    }

    /// What the journal knows it by: a parked message by the ID it had in the source.
    pub(super) fn key(&self) -> Key {
        key(self.of, self.known_as())
    }

    /// The copy by whose ID the journal knows it.
    pub(super) fn known_as(&self) -> u8 {
        if self.queue == Queue::Parking { self.was } else { self.copy }
    }

    /// Whether the journal takes both for the same message in the same queue.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (self.queue, self.of, self.known_as()) == (other.queue, other.of, other.known_as())
    }

    /// Nobody has the newest handle.
    pub(super) fn is_orphan(&self) -> bool {
        self.place == Place::InFlight && self.newest.is_none()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.works.is_empty() && self.received.is_empty() && self.give_back.is_empty()
    }
}

/// All IDs are UUIDs, as SQS's are.
pub(super) fn id(of: usize, copy: u8) -> MessageId {
    key(of, copy).id()
}

fn key(of: usize, copy: u8) -> Key {
    let mut bytes = [0; 16];
    (bytes[0], bytes[1]) = (u8::try_from(of).expect("few"), copy);
    Key::Uuid(bytes)
}

/// Which message and which copy has this ID.
pub(super) fn named(id: &MessageId) -> (usize, u8) {
    let bytes = Key::of(id);
    (usize::from(bytes[0]), bytes[1])
}

/// What became elsewhere of a message that was there from the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Sends {
    /// Copies at the destination; of a parked one, those that came back to the source.
    pub(super) arrived: u8,
    /// Copies that were made in queues of ours.
    pub(super) copies: u8,
    /// Of which runs the destination would recognise another copy.
    pub(super) remembers: [bool; RUNS],
    /// Requests that nobody waits for any more, and that may still arrive, by run; sorted.
    pub(super) late: Vec<Late>,
    /// Somebody else was given it while it was visible, has handled it and deleted it.
    pub(super) taken: bool,
    /// Somebody decided to send it again, whether it has arrived or not.
    pub(super) resent: bool,
}

/// A session of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Process {
    pub(super) run: usize,
    /// The queue that messages are taken from.
    pub(super) queue: Queue,
    /// An earlier session has gone through the source: nothing is received from it.
    pub(super) drained: bool,
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
    /// Decisions of people about what is in doubt.
    pub(super) decisions: u8,
}

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) journal: Protocol<Sabotaged>,
    /// What a power cut leaves of the store, if that is not what is in it.
    pub(super) disk: Option<Sabotaged>,
    pub(super) items: Vec<Item>,
    /// By the message that was there from the start.
    pub(super) sends: Vec<Sends>,
    pub(super) process: Option<Process>,
    pub(super) begun: [bool; RUNS],
    pub(super) finished: [bool; RUNS],
    /// The deduplication windows of all sends until now are over.
    pub(super) aged: bool,
    pub(super) faults: Faults,
    /// What happened that must not.
    pub(super) broken: Option<&'static str>,
}

impl World {
    pub(super) fn process(&self) -> Process {
        self.process.expect("a process is at work")
    }

    pub(super) fn now(&self) -> i64 {
        NOW + if self.aged { WINDOW } else { 0 }
    }

    /// What the runs know of a message in its queue.
    pub(super) fn rows(&self, item: &Item) -> impl Iterator<Item = (RunNo, &Row)> {
        self.journal.store().memory.of(item.queue.number(), &item.key()).map(|(run, row, _)| (run, row))
    }

    /// What a run knows of a message in its queue.
    pub(super) fn row(&self, item: &Item, run: usize) -> Option<&Row> {
        self.rows(item).find(|(of, _)| of.0.unsigned_abs() == run as u64).map(|(_, row)| row)
    }

    pub(super) fn is_proven(&self, item: &Item) -> bool {
        self.rows(item).any(|(_, row)| matches!(row.state, State::Sent | State::Done))
    }

    /// The handles of a message that the journal knows, and until when each lasts.
    pub(super) fn leases(&self, item: &Item) -> impl Iterator<Item = (u8, i64)> {
        let leases = self.journal.store().memory.handles_of(item.queue.number(), item.key());
        leases.map(|(handle, until)| (handle.as_bytes()[0] - b'0', until))
    }

    /// Whether a lease of it lasts, by our clock.
    pub(super) fn is_ours(&self, item: &Item) -> bool {
        self.leases(item).any(|(_, until)| until > OVER)
    }

    /// Whether the journal knows the newest handle of a message.
    pub(super) fn is_at_hand(&self, item: &Item) -> bool {
        self.leases(item).any(|(handle, _)| Some(handle) == item.newest)
    }

    /// A message is delivered, with a new handle.
    pub(super) fn deliver(&mut self, at: usize) {
        let used = self.used(at);
        let handle = (0..=u8::MAX).find(|number| !used.contains(number)).expect("a number");
        let item = &mut self.items[at];
        (item.place, item.newest) = (Place::InFlight, Some(handle));
        item.handles.push(handle);
        item.handles.sort_unstable();
        item.received.push(Received { handle, over: false });
    }

    /// Handles that somebody knows, of a message and of what goes by the same ID.
    fn used(&self, at: usize) -> Vec<u8> {
        let item = &self.items[at];
        let same = self.items.iter().filter(|other| other.is_same(item));
        let in_hand = same.flat_map(|item| {
            let received = item.received.iter().map(|received| received.handle);
            let give_back = item.give_back.iter().map(|lease| number(&lease.receipt));
            received.chain(item.works.iter().map(Stage::handle)).chain(give_back)
        });
        in_hand.chain(self.leases(item).map(|(handle, _)| handle)).collect()
    }

    /// A handle that nobody knows any more is none, so that moments which differ in nothing else are one.
    pub(super) fn forget_handles(&mut self) {
        for at in 0..self.items.len() {
            if self.items[at].handles.is_empty() {
                continue;
            }
            let used = self.used(at);
            let item = &mut self.items[at];
            item.handles.retain(|handle| used.contains(handle));
            item.newest = item.newest.filter(|newest| used.contains(newest));
        }
    }

    /// Its visibility timeout has run out.
    pub(super) fn expire(&mut self, at: usize) {
        let item = &mut self.items[at];
        item.place = Place::Visible;
        item.received.iter_mut().for_each(|received| received.over = true);
        let (queue, key, handles) = (item.queue.number(), item.key(), item.handles.clone());
        for handle in handles {
            self.journal.store_mut().memory.end_lease(queue, &key, &receipt(handle), OVER);
        }
    }

    /// Which message has this as its newest handle, of those that the journal takes for this one.
    pub(super) fn newest(&self, at: usize, handle: u8) -> Option<usize> {
        let item = &self.items[at];
        self.items.iter().position(|other| other.is_same(item) && other.newest == Some(handle))
    }

    pub(super) fn delete(&mut self, at: usize, handle: u8) {
        // With another than the newest, it answers success and may delete nothing.
        if let Some(at) = self.newest(at, handle) {
            self.items[at].place = Place::Deleted;
        }
    }

    /// When a delivery was asked for, and until when it lasts.
    pub(super) fn times(&self, received: Received) -> (Timestamp, Timestamp) {
        if received.over { (time(OVER - 1), time(OVER)) } else { (time(self.now()), time(LASTS)) }
    }
}
