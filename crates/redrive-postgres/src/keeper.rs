//! The database as a [`Keeper`]: transactions, and what is kept of a run that no message is about.

use jiff::Timestamp;
use redrive_protocol::message::MessageId;
use redrive_protocol::protocol::{Bounce, Figures, GuardEvent, Keeper, Piece, PieceChange, RunNo, Timeline};
use redrive_protocol::target::TargetId;
use tokio_postgres::types::Type;

use super::link::Parameter;
use super::reads::value;
use super::store::PostgresStore;
use super::{Error, Result, control, guards, identity, timeline};

impl Keeper for PostgresStore {
    fn begin(&mut self) -> Result<()> {
        self.looked_at.clear();
        // One that is frozen in the midst of a transaction must not keep others from taking over. What is committed is on disk, whatever
        // the server does for others; where it asks for more, such as a standby, that holds.
        self.link.batch(
            "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '15s'; SET LOCAL lock_timeout = '30s'; \
             SET LOCAL statement_timeout = '60s'; \
             SELECT set_config('synchronous_commit', 'on', TRUE) WHERE current_setting('synchronous_commit') = 'off'",
        )
    }

    fn write(&mut self, run: RunNo, figures: &Figures) -> Result<()> {
        self.pending.flush(&self.link)?;
        self.count(run, figures)
    }

    /// After this it is on disk.
    fn commit(&mut self) -> Result<()> {
        if let Some(run) = self.at_work {
            self.beat(run)?;
        }
        self.link.batch("COMMIT")
    }

    fn roll_back(&mut self) {
        self.pending.clear();
        self.looked_at.clear();
        self.queues.clear();
        self.effort = None;
        // If the connection is gone, the server has undone it by itself.
        let _ = self.link.batch("ROLLBACK");
    }

    /// With the commit, which changes the run's row anyway.
    fn note_effort(&mut self, _: RunNo, requests: u64, elapsed_ms: u64) -> Result<()> {
        self.effort = Some((requests, elapsed_ms));
        Ok(())
    }

    fn note_not_notified(&mut self, run: RunNo, words: &str) -> Result<()> {
        let sql = "UPDATE run SET not_notified = $2 WHERE id = $1";
        self.link.run(sql, &[(&run.0, Type::INT8), (&words, Type::TEXT)]).map(drop)
    }

    fn timeline(&mut self, run: RunNo) -> Result<Timeline> {
        timeline::read(&self.link, run.0)
    }

    fn write_timeline(&mut self, run: RunNo, timeline: &Timeline) -> Result<()> {
        timeline::write(&self.link, run, timeline)
    }

    fn note_guard(&mut self, run: &str, event: &GuardEvent) -> Result<()> {
        guards::note(&self.link, run, event)
    }

    fn guard_events(&mut self, run: &str) -> Result<Vec<GuardEvent>> {
        guards::events(&self.link, run)
    }

    fn take_controls(&mut self, run: RunNo) -> Result<Vec<(i64, String)>> {
        control::take(&self.link, run)
    }

    fn answer_control(&mut self, run: RunNo, number: i64, answer: &str) -> Result<()> {
        control::answer(&self.link, run, number, answer)
    }

    fn bounced(&mut self, run: &str, messages: &[MessageId], now: Timestamp) -> Result<Vec<Option<Bounce>>> {
        self.pending.flush(&self.link)?;
        guards::bounced(&self.link, run, messages, now)
    }

    fn identify(&mut self, run: RunNo, identities: &[(MessageId, String)]) -> Result<()> {
        identity::note(&self.link, run, identities)
    }

    fn forget_identities(&mut self, run: RunNo) -> Result<()> {
        self.pending.flush(&self.link)?;
        identity::forget(&self.link, run)
    }

    fn change_piece(&mut self, run: RunNo, change: &PieceChange) -> Result<bool> {
        let (target, start) = match change {
            PieceChange::Write(piece) => (piece.target, piece.start),
            PieceChange::Keep { target, start } | PieceChange::Forget { target, start } => (*target, *start),
        };
        let (target, start) = (i32::from(target.0), start.cast_signed());
        let mut parameters: Vec<Parameter<'_>> =
            vec![(&run.0, Type::INT8), (&target, Type::INT4), (&start, Type::INT8)];
        let sql = match change {
            PieceChange::Write(piece) => {
                let numbers = [piece.length, piece.file.0, piece.file.1].map(u64::cast_signed);
                let digest = &piece.digest[..];
                parameters.extend([
                    (&numbers[0] as _, Type::INT8),
                    (&numbers[1] as _, Type::INT8),
                    (&numbers[2] as _, Type::INT8),
                    (&digest as _, Type::BYTEA),
                    (&piece.beginnings as _, Type::BYTEA),
                ]);
                // In the place of one that never came to be; what is on disk is never replaced.
                let sql = "INSERT INTO piece (run, target, start, length, device, inode, digest, beginnings)
                    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (run, target, start) DO UPDATE
                    SET length = excluded.length, device = excluded.device, inode = excluded.inode, digest = excluded.digest,
                    beginnings = excluded.beginnings WHERE piece.beginnings IS NOT NULL";
                return Ok(self.link.run(sql, &parameters)? == 1);
            }
            PieceChange::Keep { .. } => {
                "UPDATE piece SET beginnings = NULL WHERE run = $1 AND target = $2 AND start = $3"
            }
            PieceChange::Forget { .. } => {
                "DELETE FROM piece WHERE run = $1 AND target = $2 AND start = $3 AND beginnings IS NOT NULL"
            }
        };
        Ok(self.link.run(sql, &parameters)? == 1)
    }

    fn pieces(&mut self, run: RunNo, target: TargetId, from: u64, most: usize) -> Result<Vec<Piece>> {
        let (number, from) = (i32::from(target.0), from.cast_signed());
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let parameters: [Parameter<'_>; 4] =
            [(&run.0, Type::INT8), (&number, Type::INT4), (&from, Type::INT8), (&most, Type::INT8)];
        let sql = "SELECT start, length, device, inode, digest, beginnings FROM piece
            WHERE run = $1 AND target = $2 AND start >= $3 ORDER BY start LIMIT $4";
        let piece = |row: &tokio_postgres::Row| {
            let number = |column| Ok::<_, Error>(value::<i64>(row, column)?.cast_unsigned());
            Ok(Piece {
                target,
                start: number(0)?,
                length: number(1)?,
                file: (number(2)?, number(3)?),
                digest: value::<Vec<u8>>(row, 4)?
                    .try_into()
                    .map_err(|_| Error::new("a digest in the journal does not have 32 bytes"))?,
                beginnings: value(row, 5)?,
            })
        };
        self.link.rows(sql, &parameters)?.iter().map(piece).collect()
    }
}
