//! What a person decides: about messages in doubt, one by one or all of them, and about a run that is given up. Decisions are
//! events of the transition function like any other; who, when and why is noted beside them.

use std::collections::HashMap;

use redrive_protocol::message::MessageId;
use redrive_protocol::target::{Reason, RuleId};
use rusqlite::{OptionalExtension, params};

use super::key::pack;
use super::state::{Event, State};
use super::writer::Writer;
use super::{Resolution, Resolve};
use crate::error::{Error, Result};

/// How the outcome of a run that was given up is noted.
pub(super) const ABANDONED: &str = "abandoned";

impl Writer {
    pub(super) fn resolve(&mut self, resolve: &Resolve) -> Result<u64> {
        self.take_up(&resolve.run)?;
        // What was under way when its process was killed is in doubt; nobody is at work on it now, since the lock is ours.
        self.recover()?;
        let Some((event, reason)) = resolution_event(resolve.resolution) else { return self.abandon(resolve) };
        let in_doubt = self.table.in_states([State::InDoubt, State::Held])?;
        let ids = match &resolve.messages {
            Some(ids) => ids.clone(),
            None => in_doubt.iter().map(|(_, id)| id.clone()).collect(),
        };
        // One that was parked is in doubt in the parking queue, where it is on its way back.
        let queues: HashMap<&MessageId, i64> = in_doubt.iter().map(|(queue, id)| (id, *queue)).collect();
        let (mut others, mut parked) = (Vec::new(), Vec::new());
        let source = self.table.source;
        for id in &ids {
            self.table.source = queues.get(id).copied().unwrap_or(source);
            let row = self.table.row(id)?;
            if self.table.resolution(id)? == Some((resolve.resolution, row.as_ref().map_or(0, |row| row.doubts))) {
                continue;
            }
            if !row.as_ref().is_some_and(|row| matches!(row.state, State::InDoubt | State::Held)) {
                others.push(id.as_str());
                continue;
            }
            if resolve.resolution == Resolution::Release && row.is_some_and(|row| row.rule == RuleId::RETURNED) {
                parked.push(id.as_str());
                continue;
            }
            self.change(id, event, None, |row| row.reason = reason)?;
            let doubts = self.table.row(id)?.map_or(0, |row| row.doubts);
            self.note_resolution(resolve, &pack(id), doubts)?;
        }
        self.table.source = source;
        if !parked.is_empty() {
            return Err(Error::usage(format!(
                "in the parking queue nobody would look for what is left there: {}",
                parked.join(", ")
            ))
            .hint("nothing was changed. Look for each in the source: --discard where it is back, --resend where it is not"));
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
            // One that was given up goes on where something is to be brought back.
            let away = self.tally.folded().away() > 0;
            self.table.sql(|c| {
                c.execute(
                    "UPDATE run SET ended = NULL, outcome = iif(outcome = 'finished', 'unfinished', outcome)
                     WHERE id = ?1 AND (outcome = 'finished' OR outcome = ?2 AND ?3)",
                    params![self.table.run, ABANDONED, away],
                )
            })?;
        }
        Ok(ids.len() as u64)
    }

    /// Ends a run that will not be gone on with, or all of it but bringing back what is parked. What it sent stays known to
    /// every later run.
    fn abandon(&mut self, resolve: &Resolve) -> Result<u64> {
        let (ended, outcome): (bool, Option<String>) = self.table.sql(|c| {
            c.query_row("SELECT ended IS NOT NULL, outcome FROM run WHERE id = ?1", [self.table.run], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
        })?;
        if ended && outcome.as_deref() != Some(ABANDONED) {
            return Err(Error::usage(format!("run {} is finished: there is nothing to give up", resolve.run)));
        }
        if !ended && !self.is_given_up()? {
            let now = (self.tally.folded().away() == 0).then_some(self.now);
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

    pub(super) fn is_given_up(&self) -> Result<bool> {
        self.table.sql(|c| {
            c.query_row(
                "SELECT EXISTS (SELECT 1 FROM resolution WHERE run = ?1 AND id = x'')",
                [self.table.run],
                |row| row.get(0),
            )
        })
    }

    fn note_resolution(&self, resolve: &Resolve, id: &[u8], doubts: u32) -> Result<()> {
        let now = self.now;
        self.table.sql(|c| {
            c.prepare_cached(
                "INSERT OR REPLACE INTO resolution (run, id, decision, doubts, at, who, reason, source)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                self.table.run,
                id,
                resolve.resolution as u8,
                doubts,
                now,
                resolve.who,
                resolve.reason,
                self.table.source
            ])
        })?;
        Ok(())
    }
}

impl super::table::Table {
    /// What was decided about a message of this run, and how many doubts that settled.
    fn resolution(&self, id: &MessageId) -> Result<Option<(Resolution, u32)>> {
        let found: Option<(u8, u32)> = self.sql(|c| {
            c.prepare_cached("SELECT decision, doubts FROM resolution WHERE run = ?1 AND id = ?2 AND source = ?3")?
                .query_row(params![self.run, pack(id), self.source], |row| Ok((row.get(0)?, row.get(1)?)))
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
