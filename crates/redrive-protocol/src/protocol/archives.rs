//! What is in an archive, against what is on record: found lines settle doubts, and missing ones bring them back.

use std::collections::HashSet;

use super::state::{Event, State};
use super::store::Store;
use super::{Key, Problem, Protocol};
use crate::message::MessageId;
use crate::target::{Reason, TargetId};

/// Messages that were archived and are not in their archive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Missing {
    /// Not deleted from the source, as far as is known. They are in doubt now.
    pub in_source: Vec<MessageId>,
    /// Deleted from the source.
    pub gone: Vec<MessageId>,
}

impl<S: Store> Protocol<S> {
    /// Settles the doubts about messages whose lines were found in their archive: they may be deleted.
    pub fn found(&mut self, messages: &[MessageId]) -> Result<(), Problem<S::Error>> {
        for key in messages.iter().map(Key::of) {
            if self.row(self.queue, &key)?.is_some_and(|row| row.state == State::InDoubt) {
                let step = self.step(self.queue, &key, &[Event::Find], false)?;
                self.change(&key, step, None, |row| row.reason = None)?;
            }
        }
        Ok(())
    }

    /// Compares the messages that this run archived to a target with those that are there. What is missing and was not
    /// deleted yet becomes in doubt, so that nothing deletes it; what was deleted counts as failed until it is there again.
    pub fn missing(&mut self, target: TargetId, found: &HashSet<MessageId>) -> Result<Missing, Problem<S::Error>> {
        let mut missing = Missing::default();
        for (queue, key, state) in self.store.archived(self.run, target)? {
            let id = key.id();
            let is_there = found.contains(&id);
            match (state, is_there) {
                (State::Failed, true) => {
                    let step = self.step(queue, &key, &[Event::Find], false)?;
                    self.change(&key, step, None, |row| row.reason = None)?;
                }
                (_, true) => {}
                (State::Failed, false) => missing.gone.push(id),
                (State::Done, false) => {
                    let step = self.step(queue, &key, &[Event::Lose], false)?;
                    self.change(&key, step, None, |row| row.reason = Some(Reason::ArchiveLost))?;
                    missing.gone.push(id);
                }
                (_, false) => {
                    let step = self.step(queue, &key, &[Event::Lose], false)?;
                    self.change(&key, step, None, |_| {})?;
                    self.claims.remove(&key);
                    missing.in_source.push(id);
                }
            }
        }
        Ok(missing)
    }
}
