//! Order within the message groups of a FIFO source: of each group one message at a time is on its way, the next goes when
//! it has arrived, and where one stays, those behind it stay too.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::parcel::Parcel;

/// The groups of a FIFO source that are under way or stopped. Bounded by what may be in flight: a stopped group holds a
/// message of its own.
#[derive(Debug, Default)]
pub(super) struct Gate {
    groups: Mutex<HashMap<String, Group>>,
}

#[derive(Debug, Default)]
struct Group {
    stopped: bool,
    waiting: VecDeque<Parcel>,
}

/// What the gate says to a parcel.
#[derive(Debug)]
pub(super) enum Enter {
    /// Its group is free: it goes.
    Goes(Parcel),
    /// It waits in the gate for the one before it.
    Waits,
    /// One before it stays, so it does not go.
    Stopped(Parcel),
}

impl Gate {
    fn groups(&self) -> MutexGuard<'_, HashMap<String, Group>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a message of this group stays, so that those behind it stay.
    pub(super) fn is_stopped(&self, group: &str) -> bool {
        self.groups().get(group).is_some_and(|group| group.stopped)
    }

    /// A message of this group stays.
    pub(super) fn stop(&self, group: &str) {
        self.groups().entry(group.to_owned()).or_default().stopped = true;
    }

    /// A parcel wants to go.
    pub(super) fn enter(&self, parcel: Parcel) -> Enter {
        let Some(name) = parcel.group().map(str::to_owned) else { return Enter::Goes(parcel) };
        let mut groups = self.groups();
        match groups.get_mut(&name) {
            Some(group) if group.stopped => Enter::Stopped(parcel),
            Some(group) => {
                group.waiting.push_back(parcel);
                Enter::Waits
            }
            None => {
                groups.insert(name, Group::default());
                Enter::Goes(parcel)
            }
        }
    }

    /// The message of this group that was under way has arrived: gives the next.
    pub(super) fn arrived(&self, name: &str) -> Option<Parcel> {
        let mut groups = self.groups();
        let group = groups.get_mut(name)?;
        let next = group.waiting.pop_front();
        if next.is_none() && !group.stopped {
            groups.remove(name);
        }
        next
    }

    /// The message of this group that was under way stays: stops the group, and gives those that waited behind it.
    pub(super) fn stayed(&self, name: &str) -> VecDeque<Parcel> {
        let mut groups = self.groups();
        let group = groups.entry(name.to_owned()).or_default();
        group.stopped = true;
        std::mem::take(&mut group.waiting)
    }
}
