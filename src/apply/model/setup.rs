//! What is explored: the job, the destination, how much may go wrong, and which safeguard is taken away.

use std::fmt;

use redrive_rules::job::InDoubt;

use super::world::{Faults, World};

/// What the rules say of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Send,
    Keep,
    Drop,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    pub(super) in_doubt: InDoubt,
    pub(super) fifo_source: bool,
    pub(super) faults: Faults,
    pub(super) off: Option<Safeguard>,
}

/// Nothing goes wrong.
pub(super) const NONE: Faults =
    Faults { stops: 0, lost: 0, failures: 0, deliveries: 0, gone: 0, sleeps: 0, taken: 0, windows: 0 };

/// One message to a standard queue, and nothing that goes wrong.
pub(super) const PLAIN: Setup = Setup {
    verdicts: &[Verdict::Send],
    runs: 1,
    destination: Destination::Standard,
    in_doubt: InDoubt::Resend,
    fifo_source: false,
    faults: NONE,
    off: None,
};

pub(super) const HOLD: Setup = Setup { in_doubt: InDoubt::Hold, ..PLAIN };
pub(super) const GROUP: Setup = Setup { verdicts: &[Verdict::Send; 2], fifo_source: true, ..PLAIN };
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
];

impl Setup {
    pub(super) fn has(&self, safeguard: Safeguard) -> bool {
        self.off != Some(safeguard)
    }

    /// What must never be at any moment, in words.
    pub(super) fn wrong(&self, world: &World) -> Option<&'static str> {
        use super::world::Place;
        use redrive_protocol::protocol::State;
        let never_twice =
            self.in_doubt == InDoubt::Hold || (self.runs == 1 && self.destination != Destination::Standard);
        let of_one = |(message, verdict): (&super::world::Message, &Verdict)| {
            let deleted = message.place == Place::Deleted && !message.gone;
            let doubted = message.rows.iter().flatten().any(|row| row.doubted);
            let moved = message.rows.iter().flatten().filter(|row| matches!(row.state, State::Sent | State::Done));
            Some(match message.arrived {
                0 if deleted && *verdict == Verdict::Send => "a message is lost",
                0 if *verdict == Verdict::Send && message.is_proven() => "the journal says sent, and it is nowhere",
                2.. if never_twice => "a message is there twice",
                2.. if !doubted => "a message is there twice, and nothing says that it may be",
                _ if deleted && !message.is_proven() => "a message is deleted, and the journal has no proof",
                _ if moved.count() > 1 => "two runs count one message as moved",
                _ => return None,
            })
        };
        let out_of_order = self.fifo_source && world.messages[1].arrived > 0 && world.messages[0].arrived == 0;
        let out_of_order = out_of_order && !world.messages[0].gone;
        let order = out_of_order.then_some("a message overtook the one before it in its group");
        world.broken.or(order).or_else(|| world.messages.iter().zip(self.verdicts).find_map(of_one))
    }

    /// Why this is no end, where nothing can happen any more.
    pub(super) fn bad_end(&self, world: &World) -> Option<&'static str> {
        use super::world::Place;
        if world.process.is_some() || world.finished.iter().take(self.runs).any(|finished| !finished) {
            return Some("a run cannot come to its end");
        }
        world.messages.iter().take(self.verdicts.len()).find_map(|message| match message.place {
            Place::InFlight => Some("a message is still invisible when all is over"),
            // Behind one that stays, a FIFO source gives no more of the group.
            Place::Visible if !self.fifo_source && message.rows.iter().all(Option::is_none) => {
                Some("a message was never met")
            }
            _ => None,
        })
    }
}
