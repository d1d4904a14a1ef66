//! What a person decides: about messages in doubt, one by one or all of them, and about a run that is given up. Decisions are
//! events of the transition function like any other; who, when and why is noted beside them.

use rusqlite::{OptionalExtension, params};

use super::key::pack;
use super::state::{Event, State};
use super::writer::Writer;
use super::{Resolution, Resolve};
use crate::error::{Error, Result};
use crate::message::MessageId;
use crate::target::Reason;

/// How the outcome of a run that was given up is noted.
pub(super) const ABANDONED: &str = "abandoned";

impl Writer {
    pub(super) fn resolve(&mut self, resolve: &Resolve) -> Result<u64> {
        self.take_up(&resolve.run)?;
        // What was under way when its process was killed is in doubt; nobody is at work on it now, since the lock is ours.
        self.recover()?;
        let Some((event, reason)) = resolution_event(resolve.resolution) else { return self.abandon(resolve) };
        let ids = match &resolve.messages {
            Some(ids) => ids.clone(),
            None => self.table.in_doubt()?,
        };
        let mut others = Vec::new();
        for id in &ids {
            let row = self.table.row(id)?;
            if self.table.resolution(id)? == Some((resolve.resolution, row.as_ref().map_or(0, |row| row.doubts))) {
                continue;
            }
            if !row.is_some_and(|row| matches!(row.state, State::InDoubt | State::Held)) {
                others.push(id.as_str());
                continue;
            }
            self.change(id, event, None, |row| row.reason = reason)?;
            let doubts = self.table.row(id)?.map_or(0, |row| row.doubts);
            self.note_resolution(resolve, &pack(id), doubts)?;
        }
        if !others.is_empty() {
            return Err(Error::usage(format!(
                "run {} has no such message in doubt: {}",
                resolve.run,
                others.join(", ")
            ))
            .hint(format!("nothing was changed; `redrive resolve {}` lists what is in doubt", resolve.run)));
        }
        if resolve.resolution != Resolution::Release && !ids.is_empty() {
            self.table.sql(|c| {
                c.execute(
                    "UPDATE run SET ended = NULL, outcome = 'unfinished' WHERE id = ?1 AND outcome = 'finished'",
                    [self.table.run],
                )
            })?;
        }
        Ok(ids.len() as u64)
    }

    /// Ends a run that will not be gone on with. What it sent stays known to every later run.
    fn abandon(&mut self, resolve: &Resolve) -> Result<u64> {
        let (ended, outcome): (bool, Option<String>) = self.table.sql(|c| {
            c.query_row("SELECT ended IS NOT NULL, outcome FROM run WHERE id = ?1", [self.table.run], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
        })?;
        if ended && outcome.as_deref() != Some(ABANDONED) {
            return Err(Error::usage(format!("run {} is finished: there is nothing to give up", resolve.run)));
        }
        if !ended {
            let now = self.now();
            self.table.sql(|c| {
                c.execute(
                    "UPDATE run SET ended = ?2, outcome = ?3 WHERE id = ?1",
                    params![self.table.run, now, ABANDONED],
                )
            })?;
            self.note_resolution(resolve, &[], 0)?;
        }
        Ok(0)
    }

    fn note_resolution(&self, resolve: &Resolve, id: &[u8], doubts: u32) -> Result<()> {
        let now = self.now();
        self.table.sql(|c| {
            c.prepare_cached(
                "INSERT OR REPLACE INTO resolution (run, id, decision, doubts, at, who, reason)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                self.table.run,
                id,
                resolve.resolution as u8,
                doubts,
                now,
                resolve.who,
                resolve.reason
            ])
        })?;
        Ok(())
    }
}

impl super::table::Table {
    /// Messages of this run that are in doubt or held.
    fn in_doubt(&self) -> Result<Vec<MessageId>> {
        self.in_states([State::InDoubt, State::Held])
    }

    /// What was decided about a message of this run, and how many doubts that settled.
    fn resolution(&self, id: &MessageId) -> Result<Option<(Resolution, u32)>> {
        let found: Option<(u8, u32)> = self.sql(|c| {
            c.prepare_cached("SELECT decision, doubts FROM resolution WHERE run = ?1 AND id = ?2")?
                .query_row(params![self.run, pack(id)], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })?;
        Ok(found.and_then(|(number, doubts)| Some((Resolution::from_number(number)?, doubts))))
    }
}

/// The event that a decision about a message is, and the reason to note with it; `None` where it is about the run.
fn resolution_event(resolution: Resolution) -> Option<(Event, Option<Reason>)> {
    match resolution {
        Resolution::Resend => Some((Event::Resend, None)),
        Resolution::Discard => Some((Event::Discard, None)),
        Resolution::Release => Some((Event::Release, Some(Reason::Released))),
        Resolution::Abandon => None,
    }
}
