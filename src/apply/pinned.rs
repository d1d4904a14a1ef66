//! The messages that an exact plan is pinned to, while a run meets them. A run that has met all of them has nothing left to look
//! for, however much else has come into the queue.

use std::sync::{Mutex, PoisonError};

use redrive_protocol::message::Message;
use redrive_protocol::target::Reason;

use crate::plan::{Pinned, Pins};

/// See the module.
#[derive(Debug)]
pub(super) struct PinnedMessages {
    pins: Pins,
    met: Mutex<Met>,
}

#[derive(Debug)]
struct Met {
    /// By position in the list.
    met: Vec<bool>,
    /// How many may still come.
    open: u64,
}

impl PinnedMessages {
    /// `done` of them are known to be elsewhere from earlier sessions, and do not come again.
    pub(super) fn new(pins: Pins, done: u64) -> Self {
        let met = Met { met: vec![false; pins.len()], open: (pins.len() as u64).saturating_sub(done) };
        Self { pins, met: Mutex::new(met) }
    }

    /// Whether a message may be judged; else why it stays.
    pub(super) fn meet(&self, message: &Message) -> Result<(), Reason> {
        let (position, answer) = match self.pins.look(message) {
            Pinned::Same(position) => (position, Ok(())),
            Pinned::Changed(position) => (position, Err(Reason::ChangedSincePlan)),
            Pinned::Not => return Err(Reason::NotInPlan),
        };
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = met.met.get_mut(position)
            && !std::mem::replace(seen, true)
        {
            met.open = met.open.saturating_sub(1);
        }
        answer
    }

    /// A message that was met is given back, and comes again.
    pub(super) fn unmeet(&self, message: &Message) {
        let (Pinned::Same(position) | Pinned::Changed(position)) = self.pins.look(message) else { return };
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = met.met.get_mut(position)
            && std::mem::replace(seen, false)
        {
            met.open += 1;
        }
    }

    /// Whether all of them were met.
    pub(super) fn all_met(&self) -> bool {
        self.met.lock().unwrap_or_else(PoisonError::into_inner).open == 0
    }
}
