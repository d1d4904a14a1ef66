//! What the journal knows of archive files: each write of this run, as a piece with its place, its length and its digest. A
//! piece is on disk here before its bytes are in the file, so that what a crash leaves can be told from what others wrote;
//! and it is marked as whole in the commit that settles its messages.

use redrive_protocol::protocol::{Piece, PieceChange, RunNo};
use redrive_protocol::target::TargetId;
use rusqlite::params;

use super::table::Table;
use crate::error::Result;

impl Table {
    pub(super) fn note_piece(&self, run: RunNo, change: &PieceChange) -> Result<bool> {
        let run = run.0;
        let changed = self.direct(|c| match change {
            // In the place of one that never came to be; what is on disk is never replaced.
            PieceChange::Write(piece) => c
                .prepare_cached(
                    "INSERT INTO piece (run, target, start, length, device, inode, digest, beginnings)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO UPDATE SET length = ?4, device = ?5, inode = ?6,
                     digest = ?7, beginnings = ?8 WHERE piece.beginnings IS NOT NULL",
                )?
                .execute(params![
                    run,
                    piece.target.0,
                    piece.start,
                    piece.length,
                    piece.file.0.cast_signed(),
                    piece.file.1.cast_signed(),
                    piece.digest,
                    piece.beginnings,
                ]),
            PieceChange::Keep { target, start } => c
                .prepare_cached("UPDATE piece SET beginnings = NULL WHERE run = ?1 AND target = ?2 AND start = ?3")?
                .execute(params![run, target.0, start]),
            PieceChange::Forget { target, start } => c
                .prepare_cached(
                    "DELETE FROM piece WHERE run = ?1 AND target = ?2 AND start = ?3 AND beginnings IS NOT NULL",
                )?
                .execute(params![run, target.0, start]),
        })?;
        Ok(changed == 1)
    }

    pub(super) fn pieces_of(&self, run: RunNo, target: TargetId, from: u64, most: usize) -> Result<Vec<Piece>> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.direct(|c| {
            c.prepare_cached(
                "SELECT start, length, device, inode, digest, beginnings FROM piece
                 WHERE run = ?1 AND target = ?2 AND start >= ?3 ORDER BY start LIMIT ?4",
            )?
            .query_map(params![run.0, target.0, from, most], |row| {
                Ok(Piece {
                    target,
                    start: row.get(0)?,
                    length: row.get(1)?,
                    file: (row.get::<_, i64>(2)?.cast_unsigned(), row.get::<_, i64>(3)?.cast_unsigned()),
                    digest: row.get(4)?,
                    beginnings: row.get(5)?,
                })
            })?
            .collect()
        })
    }
}
