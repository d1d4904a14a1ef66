//! What is explored: the job, the destination, how much may go wrong, and which safeguard is taken away.

use std::fmt;

use super::super::State;
use super::world::{Faults, Item, Place, Queue, World};
use crate::target::TargetKind;

/// What the rules say of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Send,
    Keep,
    Drop,
    /// No rule takes it, and such messages are parked until the source has been gone through.
    Park,
}

/// What copies do at the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Destination {
    /// Each is one more.
    Standard,
    /// A second one of the same run is recognised, within the deduplication window.
    Fifo,
    /// A second one of the same run is the first, for ever.
    Archive,
}

/// What the protocol does lest something goes wrong, each of which a model can do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Safeguard {
    IntentFirst,
    Synced,
    CommitBeforeDelete,
    FailedEntries,
    DamagedIsDoubt,
    NoBlindRetry,
    RecoveryDoubts,
    OtherRunsIntents,
    OtherRunsSends,
    OneClaim,
    HoldIsKept,
    Window,
    EveryHandle,
    RefusalCounts,
    BackIsNotDone,
    OrphansAwaited,
    LeftIsGivenBack,
    Gone,
    Gate,
    GroupStops,
    OnlyOurs,
    CopyIsKnown,
    BackIsKnown,
}

impl fmt::Display for Safeguard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IntentFirst => "the intent is on disk before the send",
            Self::Synced => "a commit is on disk when it returns",
            Self::CommitBeforeDelete => "the result is on disk before the delete",
            Self::FailedEntries => "an entry that failed in a batch that succeeded is no acknowledgement",
            Self::DamagedIsDoubt => "a wrong digest says that something arrived",
            Self::NoBlindRetry => "a send without an answer is not sent again before the doubt is on disk",
            Self::RecoveryDoubts => "what was on its way at a kill is in doubt",
            Self::OtherRunsIntents => "intents of an abandoned run are doubts for every other",
            Self::OtherRunsSends => "what another run sent is not sent again",
            Self::OneClaim => "one delivery of a message is handled at a time",
            Self::HoldIsKept => "what is in doubt is held where the job says so",
            Self::Window => "to a FIFO queue nothing is sent again after its deduplication window",
            Self::EveryHandle => "a message is deleted with every handle that is known",
            Self::RefusalCounts => "where one handle is refused, the success of another is no deletion",
            Self::BackIsNotDone => "what is delivered again after its delete is no longer done",
            Self::OrphansAwaited => "what a killed process had received is waited for",
            Self::LeftIsGivenBack => "what an earlier session left is given back",
            Self::Gone => "what is no longer in the source is counted as gone",
            Self::Gate => "of a message group one message is on its way at a time",
            Self::OnlyOurs => "what may be somebody else's by now is not sent",
            Self::GroupStops => "behind a message that stays its group stays",
            Self::CopyIsKnown => "a copy of a parked message is known as the same message",
            Self::BackIsKnown => "what was parked is known when it is back",
        })
    }
}

/// A model to explore.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setup {
    /// One a message; with a FIFO source both are of one message group.
    pub(super) verdicts: &'static [Verdict],
    /// How many runs over the same source.
    pub(super) runs: usize,
    pub(super) destination: Destination,
    /// The job says that what is in doubt is sent again.
    pub(super) resend: bool,
    pub(super) fifo_source: bool,
    pub(super) faults: Faults,
    pub(super) off: Option<Safeguard>,
}

/// Nothing goes wrong.
pub(super) const NONE: Faults =
    Faults { stops: 0, lost: 0, failures: 0, deliveries: 0, gone: 0, sleeps: 0, taken: 0, windows: 0, decisions: 0 };

/// One message to a standard queue, and nothing that goes wrong.
pub(super) const PLAIN: Setup = Setup {
    verdicts: &[Verdict::Send],
    runs: 1,
    destination: Destination::Standard,
    resend: true,
    fifo_source: false,
    faults: NONE,
    off: None,
};

pub(super) const HOLD: Setup = Setup { resend: false, ..PLAIN };
pub(super) const GROUP: Setup = Setup { verdicts: &[Verdict::Send; 2], fifo_source: true, ..PLAIN };
pub(super) const PARKED: Setup = Setup { verdicts: &[Verdict::Park], ..PLAIN };
pub(super) const TO_FIFO: Setup = Setup { destination: Destination::Fifo, ..HOLD };

/// Each safeguard, with the smallest model that needs it.
pub(super) const BROKEN: &[(Setup, Safeguard)] = &[
    (Setup { faults: Faults { stops: 1, ..NONE }, ..PLAIN }, Safeguard::IntentFirst),
    (Setup { faults: Faults { stops: 1, ..NONE }, ..PLAIN }, Safeguard::Synced),
    (PLAIN, Safeguard::CommitBeforeDelete),
    (Setup { faults: Faults { failures: 1, ..NONE }, ..PLAIN }, Safeguard::FailedEntries),
    (Setup { runs: 2, faults: Faults { failures: 1, ..NONE }, ..PLAIN }, Safeguard::DamagedIsDoubt),
    (Setup { faults: Faults { lost: 1, ..NONE }, ..PLAIN }, Safeguard::NoBlindRetry),
    (Setup { faults: Faults { stops: 1, ..NONE }, ..PLAIN }, Safeguard::RecoveryDoubts),
    (Setup { runs: 2, faults: Faults { stops: 1, ..NONE }, ..PLAIN }, Safeguard::OtherRunsIntents),
    (Setup { runs: 2, faults: Faults { stops: 1, ..NONE }, ..PLAIN }, Safeguard::OtherRunsSends),
    (Setup { faults: Faults { deliveries: 1, ..NONE }, ..PLAIN }, Safeguard::OneClaim),
    (Setup { faults: Faults { lost: 1, ..NONE }, ..HOLD }, Safeguard::HoldIsKept),
    (Setup { faults: Faults { lost: 1, windows: 1, ..NONE }, ..TO_FIFO }, Safeguard::Window),
    (Setup { faults: Faults { deliveries: 1, ..NONE }, ..PLAIN }, Safeguard::EveryHandle),
    (Setup { faults: Faults { deliveries: 1, failures: 1, ..NONE }, ..PLAIN }, Safeguard::RefusalCounts),
    (Setup { faults: Faults { deliveries: 1, failures: 1, ..NONE }, ..PLAIN }, Safeguard::BackIsNotDone),
    (Setup { faults: Faults { stops: 2, ..NONE }, ..PLAIN }, Safeguard::OrphansAwaited),
    (Setup { faults: Faults { stops: 1, ..NONE }, ..PLAIN }, Safeguard::LeftIsGivenBack),
    (Setup { faults: Faults { stops: 1, gone: 1, ..NONE }, ..PLAIN }, Safeguard::Gone),
    (Setup { faults: Faults { failures: 1, ..NONE }, ..GROUP }, Safeguard::Gate),
    (Setup { faults: Faults { failures: 1, ..NONE }, ..GROUP }, Safeguard::GroupStops),
    (Setup { faults: Faults { sleeps: 1, taken: 1, ..NONE }, ..PLAIN }, Safeguard::OnlyOurs),
    (Setup { faults: Faults { lost: 1, ..NONE }, ..PARKED }, Safeguard::CopyIsKnown),
    (Setup { faults: Faults { stops: 1, ..NONE }, ..PARKED }, Safeguard::BackIsKnown),
];

impl Setup {
    pub(super) fn has(&self, safeguard: Safeguard) -> bool {
        self.off != Some(safeguard)
    }

    /// What kind of place the destination is.
    pub(super) fn kind(&self) -> TargetKind {
        if self.destination == Destination::Archive { TargetKind::S3 } else { TargetKind::Sqs }
    }

    /// What must never be at any moment, in words.
    pub(super) fn wrong(&self, world: &World) -> Option<&'static str> {
        let of_one = |of: usize| match self.verdicts[of] {
            Verdict::Park => wrong_of_parked(world, of),
            verdict => self.wrong_of_moved(world, of, verdict),
        };
        let out_of_order = self.fifo_source && world.sends[1].arrived > 0 && world.sends[0].arrived == 0;
        let out_of_order = out_of_order && !world.items[0].gone;
        let order = out_of_order.then_some("a message overtook the one before it in its group");
        world.broken.or(order).or_else(|| (0..self.verdicts.len()).find_map(of_one))
    }

    fn wrong_of_moved(&self, world: &World, of: usize, verdict: Verdict) -> Option<&'static str> {
        let (message, sends) = (&world.items[of], &world.sends[of]);
        let never_twice = !self.resend || (self.runs == 1 && self.destination != Destination::Standard);
        let deleted = message.place == Place::Deleted && !message.gone;
        let moved = world.rows(message).filter(|(_, row)| matches!(row.state, State::Sent | State::Done));
        Some(match sends.arrived {
            0 if deleted && verdict == Verdict::Send => "a message is lost",
            0 if verdict == Verdict::Send && world.is_proven(message) => "the journal says sent, and it is nowhere",
            2.. if never_twice && !sends.resent => "a message is there twice",
            2.. if !doubted(world, message) => "a message is there twice, and nothing says that it may be",
            _ if deleted && !world.is_proven(message) => "a message is deleted, and the journal has no proof",
            _ if moved.count() > 1 => "two runs count one message as moved",
            _ => return None,
        })
    }

    /// Why this is no end, where nothing can happen any more.
    pub(super) fn bad_end(&self, world: &World) -> Option<&'static str> {
        if world.process.is_some() || world.finished.iter().take(self.runs).any(|finished| !finished) {
            return Some("a run cannot come to its end");
        }
        let given_up = world.faults.decisions < self.faults.decisions;
        world.items.iter().find_map(|item| match item.place {
            Place::InFlight => Some("a message is still invisible when all is over"),
            // What reappears after a good delete is nobody's.
            Place::Visible if item.queue == Queue::Parking && !world.is_proven(item) && !Self::is_said(world, item) => {
                Some("a message is left in the parking queue")
            }
            // Behind one that stays, a FIFO source gives no more of the group. What came back need not be met.
            Place::Visible if !self.fifo_source && item.copy == 0 && !given_up && world.rows(item).next().is_none() => {
                Some("a message was never met")
            }
            _ => None,
        })
    }

    /// Whether the journal says that a copy of this message may be elsewhere.
    fn is_said(world: &World, item: &Item) -> bool {
        world.items.iter().filter(|other| other.of == item.of).any(|other| doubted(world, other))
    }
}

/// Whether the journal says that more than one copy of what is sent of this message may arrive.
fn doubted(world: &World, item: &Item) -> bool {
    world.rows(item).any(|(_, row)| row.doubts > 0)
}

fn wrong_of_parked(world: &World, of: usize) -> Option<&'static str> {
    let all = || world.items.iter().filter(|item| item.of == of);
    let is_there = |item: &&Item| item.place != Place::Deleted || item.gone;
    let back = all().filter(|item| item.copy > 0 && item.queue == Queue::Source).filter(is_there).count();
    let parked = all().find(|item| item.queue == Queue::Parking);
    // Of a send out that may have arrived twice the copies are known as one.
    let doubts = parked.is_some_and(|parked| doubted(world, parked));
    let deleted = |item: &&Item| item.place == Place::Deleted && !item.gone;
    if all().find(is_there).is_none() {
        return Some("a message is lost");
    }
    if back > 1 && !doubts {
        return Some("a message is back twice, and nothing says that it may be");
    }
    if all().filter(deleted).any(|item| !world.is_proven(item)) {
        return Some("a message is deleted, and the journal has no proof");
    }
    None
}
