//! What a person decides: about messages in doubt, one by one or all of them, and about a run that is given up. Decisions are
//! events of the transition function like any other; who, when and why is noted beside them.

use std::collections::{HashMap, HashSet};

use super::numbers::QueueNo;
use super::state::{Event, State};
use super::store::{RunRef, Store};
use super::words::{Resolution, Resolve};
use super::{Key, Problem, Protocol};
use crate::message::MessageId;
use crate::target::{Reason, RuleId};

/// Why a decision cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such run.
    NoSuchRun,
    /// The run has come to its end: there is nothing to give up.
    Finished,
    /// These messages are not in doubt in this run.
    NotInDoubt(Vec<MessageId>),
    /// These are in the parking queue, where nobody would look for what is left there.
    Parked(Vec<MessageId>),
}

/// How the outcome of a run that was given up is noted.
pub const ABANDONED: &str = "abandoned";

impl<S: Store> Protocol<S> {
    /// Notes what somebody decided about messages in doubt, or about the run; all of it or, if one of the messages is not in
    /// doubt, nothing. Made again it changes nothing. Gives how many messages it is about.
    pub fn resolve(&mut self, resolve: &Resolve) -> Result<u64, Problem<S::Error>> {
        let refused = |why| Problem::Refused(resolve.run.clone(), why);
        let found = self.store.find_run(&resolve.run)?.ok_or_else(|| refused(Refusal::NoSuchRun))?;
        self.take_up(found.run, found.source)?;
        let Some((event, reason)) = event_of(resolve.resolution) else { return self.abandon(&found, resolve) };
        let mut in_doubt = self.store.open(found.run)?;
        // What was under way when its process was killed is in doubt, too: no process is at work on it now.
        let is_on_its_way = |state| matches!(state, State::Sending | State::Resending);
        in_doubt.retain(|(.., state)| matches!(state, State::InDoubt | State::Held) || is_on_its_way(*state));
        let ids = match &resolve.messages {
            Some(ids) => ids.clone(),
            None => in_doubt.iter().map(|(_, key, _)| key.id()).collect(),
        };
        // One that was parked is in doubt in the parking queue, on its way back.
        let queues: HashMap<Key, QueueNo> = in_doubt.into_iter().map(|(queue, key, _)| (key, queue)).collect();
        let (mut others, mut parked, mut to_decide) = (Vec::new(), Vec::new(), Vec::new());
        let mut named = HashSet::new();
        for id in &ids {
            let key = Key::of(id);
            if !named.insert(key.clone()) {
                continue;
            }
            let queue = queues.get(&key).copied().unwrap_or(found.source);
            let row = self.row(queue, &key)?;
            let doubts = row.as_ref().map_or(0, |row| row.doubts + u32::from(is_on_its_way(row.state)));
            if self.store.resolution(found.run, queue, &key)? == Some((resolve.resolution, doubts)) {
                continue;
            }
            match row {
                Some(row) if resolve.resolution == Resolution::Release && row.rule == RuleId::RETURNED => {
                    parked.push(id.clone());
                }
                Some(_) if queues.contains_key(&key) => to_decide.push((queue, key, doubts)),
                _ => others.push(id.clone()),
            }
        }
        if !parked.is_empty() {
            return Err(refused(Refusal::Parked(parked)));
        }
        if !others.is_empty() {
            return Err(refused(Refusal::NotInDoubt(others)));
        }
        self.recover()?;
        for (queue, key, doubts) in to_decide {
            let step = self.step(queue, &key, &[event], false)?;
            self.change(&key, step, None, |row| row.reason = reason)?;
            self.store.note_resolution(found.run, queue, Some((&key, doubts)), resolve, self.now)?;
        }
        if resolve.resolution != Resolution::Release && !ids.is_empty() {
            // One that was given up goes on if something is to be brought back.
            self.store.reopen(found.run, self.tally.folded().away() > 0)?;
        }
        Ok(ids.len() as u64)
    }

    /// Ends a run that will not be gone on with, or all of it but bringing back what is parked. What it sent stays known to
    /// every later run.
    fn abandon(&mut self, found: &RunRef, resolve: &Resolve) -> Result<u64, Problem<S::Error>> {
        if found.ended && found.outcome.as_deref() != Some(ABANDONED) {
            return Err(Problem::Refused(resolve.run.clone(), Refusal::Finished));
        }
        self.recover()?;
        if !found.ended && !self.store.is_given_up(found.run)? {
            let is_over = self.tally.folded().away() == 0;
            self.store.give_up(found.run, is_over.then_some(self.now))?;
            self.store.note_resolution(found.run, found.source, None, resolve, self.now)?;
        }
        Ok(0)
    }
}

/// The event that a decision about a message is, and the reason to note with it; `None` for one about the run.
fn event_of(resolution: Resolution) -> Option<(Event, Option<Reason>)> {
    match resolution {
        Resolution::Resend => Some((Event::Resend, None)),
        Resolution::Discard => Some((Event::Discard, None)),
        Resolution::Release => Some((Event::Release, Some(Reason::Released))),
        Resolution::Abandon => None,
    }
}
