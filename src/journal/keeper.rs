//! The tables as a [`Keeper`].

use jiff::Timestamp;
use redrive_protocol::message::MessageId;
use redrive_protocol::protocol::{Bounce, Figures, GuardEvent, Keeper, Piece, PieceChange, RunNo, Timeline};
use redrive_protocol::target::TargetId;

use super::table::Table;
use crate::error::Result;

impl Keeper for Table {
    fn begin(&mut self) -> Result<()> {
        self.direct(|connection| connection.execute_batch("BEGIN IMMEDIATE"))
    }

    /// A few rows, however many messages there were.
    fn write(&mut self, run: RunNo, (changes, doubted): &Figures) -> Result<()> {
        self.write_front()?;
        for (key, by) in changes {
            self.recount(run.0, key, *by)?;
        }
        if *doubted != 0 {
            let sql = "UPDATE run SET doubted = doubted + ?2 WHERE id = ?1";
            self.direct(|connection| connection.execute(sql, [run.0, *doubted]))?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        self.direct(|connection| connection.execute_batch("COMMIT"))
    }

    fn roll_back(&mut self) {
        // What made it necessary is what is reported; that there may be nothing to roll back is no second failure.
        let _ = self.connection.execute_batch("ROLLBACK");
    }

    fn note_effort(&mut self, run: RunNo, requests: u64, elapsed_ms: u64) -> Result<()> {
        self.note_effort_of(run, requests, elapsed_ms)
    }

    fn note_not_notified(&mut self, run: RunNo, words: &str) -> Result<()> {
        self.note_not_notified_of(run, words)
    }

    fn timeline(&mut self, run: RunNo) -> Result<Timeline> {
        self.timeline_of(run.0)
    }

    fn write_timeline(&mut self, run: RunNo, timeline: &Timeline) -> Result<()> {
        self.write_timeline_of(run.0, timeline)
    }

    fn note_guard(&mut self, run: &str, event: &GuardEvent) -> Result<()> {
        self.note_guard_of(run, event)
    }

    fn guard_events(&mut self, run: &str) -> Result<Vec<GuardEvent>> {
        self.guard_events_of(run)
    }

    fn bounced(&mut self, run: &str, messages: &[MessageId], now: Timestamp) -> Result<Vec<Option<Bounce>>> {
        self.bounces_of(run, messages, now)
    }

    fn identify(&mut self, run: RunNo, identities: &[(MessageId, String)]) -> Result<()> {
        self.note_identities(run, identities)
    }

    fn forget_identities(&mut self, run: RunNo) -> Result<()> {
        self.forget_needless_identities(run)
    }

    fn change_piece(&mut self, run: RunNo, change: &PieceChange) -> Result<bool> {
        self.note_piece(run, change)
    }

    fn pieces(&mut self, run: RunNo, target: TargetId, from: u64, most: usize) -> Result<Vec<Piece>> {
        self.pieces_of(run, target, from, most)
    }
}
