//! What whoever drives the protocol needs of a store beside its operations: transactions, and what is kept of a run that no
//! message is about.

use jiff::Timestamp;

use super::numbers::RunNo;
use super::records::{Bounce, GuardEvent};
use super::store::Store;
use super::tally::TallyKey;
use super::timeline::Timeline;
use crate::message::MessageId;
use crate::target::TargetId;

/// A write that is cut short by a crash ends at a multiple of this many bytes of its file: file systems and disks know no
/// smaller block.
pub const BOUNDARY: u64 = 512;

/// One write to an archive file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The target that the file is behind.
    pub target: TargetId,
    /// Where in the file it begins.
    pub start: u64,
    /// How many bytes it has.
    pub length: u64,
    /// Device and inode of the file.
    pub file: (u64, u64),
    /// The SHA-256 of its bytes.
    pub digest: [u8; 32],
    /// Of one that may be torn: for each [`BOUNDARY`] inside of it, eight bytes of the SHA-256 of what is before that. `None`
    /// once all of it is on disk.
    pub beginnings: Option<Vec<u8>>,
}

/// What happens to a piece.
#[derive(Debug)]
pub enum PieceChange {
    /// Its bytes are about to be written.
    Write(Piece),
    /// All of it is on disk.
    Keep {
        /// The target that the file is behind.
        target: TargetId,
        /// Where it begins.
        start: u64,
    },
    /// Nothing of it is.
    Forget {
        /// The target that the file is behind.
        target: TargetId,
        /// Where it begins.
        start: u64,
    },
}

/// By how much the figures of a run changed since the last commit, and by how many messages those that were once in doubt.
pub type Figures = (Vec<(TallyKey, i64)>, i64);

/// A store that commits.
pub trait Keeper: Store {
    /// Begins a transaction.
    fn begin(&mut self) -> Result<(), Self::Error>;
    /// Sends to the database what waits for it, and the figures: all that is left to do then is to commit.
    fn write(&mut self, run: RunNo, figures: &Figures) -> Result<(), Self::Error>;
    /// Commits.
    fn commit(&mut self) -> Result<(), Self::Error>;
    /// Undoes what was written since the transaction began; that there may be nothing to undo is no error.
    fn roll_back(&mut self);
    /// Notes the SQS requests and the milliseconds of a run so far.
    fn note_effort(&mut self, run: RunNo, requests: u64, elapsed_ms: u64) -> Result<(), Self::Error>;
    /// Notes what the webhook could not be told of the last session of a run, and why.
    fn note_not_notified(&mut self, run: RunNo, words: &str) -> Result<(), Self::Error>;
    /// How a run went over time.
    fn timeline(&mut self, run: RunNo) -> Result<Timeline, Self::Error>;
    /// Writes how a run went over time.
    fn write_timeline(&mut self, run: RunNo, timeline: &Timeline) -> Result<(), Self::Error>;
    /// Notes what a guard or a person did to a run.
    fn note_guard(&mut self, run: &str, event: &GuardEvent) -> Result<(), Self::Error>;
    /// What guards and people did to a run, in order.
    fn guard_events(&mut self, run: &str) -> Result<Vec<GuardEvent>, Self::Error>;
    /// Takes what people asked of a run by way of its journal, as JSON, each with its number, the oldest first: nobody can take it back
    /// then. A store that one machine alone reaches has nothing of the kind.
    fn take_controls(&mut self, _run: RunNo) -> Result<Vec<(i64, String)>, Self::Error> {
        Ok(Vec::new())
    }
    /// Notes the answer to what was taken.
    fn answer_control(&mut self, _run: RunNo, _number: i64, _answer: &str) -> Result<(), Self::Error> {
        Ok(())
    }
    /// Notes which of these messages are of a run that sent them, under these IDs; answers by position.
    fn bounced(
        &mut self,
        run: &str,
        messages: &[MessageId],
        now: Timestamp,
    ) -> Result<Vec<Option<Bounce>>, Self::Error>;
    /// Notes what helps to find these messages, should they come into doubt.
    fn identify(&mut self, run: RunNo, identities: &[(MessageId, String)]) -> Result<(), Self::Error>;
    /// Forgets what helps to find messages that are neither open nor were ever in doubt.
    fn forget_identities(&mut self, run: RunNo) -> Result<(), Self::Error>;
    /// Notes what becomes of a piece of an archive; says whether that can be.
    fn change_piece(&mut self, run: RunNo, change: &PieceChange) -> Result<bool, Self::Error>;
    /// What a run wrote to the file behind a target, from this place on, at most so many pieces in their order.
    fn pieces(&mut self, run: RunNo, target: TargetId, from: u64, most: usize) -> Result<Vec<Piece>, Self::Error>;
}
