//! What the journal knows of archive files: each write of this run, as a piece with its place, its length and its digest. A
//! piece is on disk here before its bytes are in the file, so that what a crash leaves can be told from what others wrote;
//! and it is marked as whole in the commit that settles its messages.

use std::collections::HashSet;

use rusqlite::params;

use super::key::{pack, unpack};
use super::state::{Event, State};
use super::table::state_column;
use super::writer::Writer;
use super::{Resolution, Settled, Settlement};
use crate::error::{Error, Result};
use redrive_protocol::message::MessageId;
use redrive_protocol::target::TargetId;

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

/// Messages that were archived and are not in their archive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Missing {
    /// Not deleted from the source, as far as the journal knows. They are in doubt now.
    pub in_source: Vec<MessageId>,
    /// Deleted from the source.
    pub gone: Vec<MessageId>,
}

/// What happens to a piece.
#[derive(Debug)]
pub(super) enum Change {
    /// Its bytes are about to be written.
    Write(Piece),
    /// All of it is on disk.
    Keep { target: TargetId, start: u64 },
    /// Nothing of it is.
    Forget { target: TargetId, start: u64 },
}

impl Writer {
    pub(super) fn archive(&mut self, change: &Change) -> Result<()> {
        let run = self.table.run;
        let changed = self.table.direct(|c| match change {
            // In the place of one that never came to be; what is on disk is never replaced.
            Change::Write(piece) => c
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
            Change::Keep { target, start } => c
                .prepare_cached("UPDATE piece SET beginnings = NULL WHERE run = ?1 AND target = ?2 AND start = ?3")?
                .execute(params![run, target.0, start]),
            Change::Forget { target, start } => c
                .prepare_cached(
                    "DELETE FROM piece WHERE run = ?1 AND target = ?2 AND start = ?3 AND beginnings IS NOT NULL",
                )?
                .execute(params![run, target.0, start]),
        })?;
        if changed == 1 {
            return Ok(());
        }
        Err(Error::failed(format!("the journal does not know what was written to an archive: {change:?}")).hint(
            "this is a mistake in redrive; nothing was deleted without proof, and the same command goes on from the journal",
        ))
    }

    /// Settles messages, and with them the piece that has their lines.
    pub(super) fn settle_all(
        &mut self,
        settlements: Vec<Settlement>,
        piece: Option<(TargetId, u64)>,
    ) -> Result<Vec<Settled>> {
        if let Some((target, start)) = piece {
            self.archive(&Change::Keep { target, start })?;
        }
        settlements.into_iter().map(|settlement| self.settle(settlement)).collect()
    }

    pub(super) fn pieces(&self, target: TargetId, from: u64, most: usize) -> Result<Vec<Piece>> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.table.direct(|c| {
            c.prepare_cached(
                "SELECT start, length, device, inode, digest, beginnings FROM piece
                 WHERE run = ?1 AND target = ?2 AND start >= ?3 ORDER BY start LIMIT ?4",
            )?
            .query_map(params![self.table.run, target.0, from, most], |row| {
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

    /// What was in doubt is not any more if its line was found. It may be deleted.
    pub(super) fn found(&mut self, messages: &[MessageId]) -> Result<()> {
        for id in messages {
            if self.table.row(id)?.is_some_and(|row| row.state == State::InDoubt) {
                self.change(id, Event::Find, None, |row| row.reason = None)?;
            }
        }
        Ok(())
    }

    pub(super) fn missing(&mut self, target: TargetId, found: &HashSet<MessageId>) -> Result<Missing> {
        // What somebody has seen at its destination is that person's word, not a line's.
        let archived: Vec<(i64, MessageId, State)> = self.table.sql(|c| {
            c.prepare(
                "SELECT source, id, state FROM rested WHERE run = ?1 AND target = ?2 AND state IN (?3, ?4)
                 AND NOT EXISTS (SELECT 1 FROM resolution WHERE resolution.run = rested.run AND resolution.id = rested.id
                 AND resolution.source = rested.source AND decision = ?5)",
            )?
            .query_map(
                params![
                    self.table.run,
                    target.0,
                    State::Sent as u8,
                    State::Done as u8,
                    Resolution::Discard as u8
                ],
                |row| Ok((row.get(0)?, unpack(&row.get::<_, Vec<u8>>(1)?), state_column(row, 2)?)),
            )?
            .collect()
        })?;
        let mut missing = Missing::default();
        let source = self.table.source;
        for (queue, id, state) in archived.into_iter().filter(|(_, id, _)| !found.contains(id)) {
            if state == State::Done {
                missing.gone.push(id);
                continue;
            }
            self.table.source = queue;
            self.change(&id, Event::Lose, None, |_| {})?;
            self.claimed.remove(&pack(&id));
            missing.in_source.push(id);
        }
        self.table.source = source;
        Ok(missing)
    }
}
