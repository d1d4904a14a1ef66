//! Until when each message in the pipeline is surely ours. A message that became visible again may have gone to somebody else,
//! who handles it and deletes it, so it must not be sent. The journal has the leases, on disk; whoever is about to send looks
//! here. Times are the journal's, which count the sleep of a machine and of a process that was stopped.
//!
//! Bounded by what the pipeline takes. It knows nothing of queues.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use redrive_protocol::message::{MessageId, ReceiptHandle};
use redrive_protocol::protocol::Lease;

/// How long a message must still be ours when a request to send it is made: the time that the request takes to leave, and what a
/// clock may be off by.
const MARGIN: Duration = Duration::from_secs(1);

/// The messages in the pipeline.
#[derive(Debug, Default)]
pub(super) struct Holds(Mutex<HashMap<MessageId, Arc<Mutex<Newest>>>>);

/// The newest delivery of a message, until when it is surely ours, and until when it may be invisible.
#[derive(Debug)]
struct Newest {
    receipt: ReceiptHandle,
    until: Timestamp,
    /// The same or later, whichever delivery it was asked for with: an extension whose answer is lost may have been carried out.
    asked_until: Timestamp,
}

/// A message in the pipeline; it leaves when this is dropped.
#[derive(Debug)]
pub(super) struct Hold {
    id: MessageId,
    newest: Arc<Mutex<Newest>>,
    all: Arc<Holds>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Holds {
    /// A delivered message enters the pipeline.
    pub(super) fn enter(self: &Arc<Self>, id: &MessageId, receipt: &ReceiptHandle, until: Timestamp) -> Hold {
        let newest = Arc::new(Mutex::new(Newest { receipt: receipt.clone(), until, asked_until: until }));
        locked(&self.0).insert(id.clone(), Arc::clone(&newest));
        Hold { id: id.clone(), newest, all: Arc::clone(self) }
    }

    /// A message in the pipeline was delivered again: whatever became of the earlier delivery, it is ours by this one. Gives it back
    /// where the message has just left the pipeline, so that nobody handles it.
    pub(super) fn delivered_again(&self, lease: Lease) -> Option<Lease> {
        match locked(&self.0).get(&lease.id) {
            Some(newest) => {
                let mut newest = locked(newest);
                let asked_until = newest.asked_until.max(lease.until);
                *newest = Newest { receipt: lease.receipt, until: lease.until, asked_until };
            }
            None => return Some(lease),
        }
        None
    }

    /// Takes a message out of the pipeline, unless it is in it again already.
    fn leave(&self, hold: &Hold) {
        let mut all = locked(&self.0);
        if all.get(&hold.id).is_some_and(|newest| Arc::ptr_eq(newest, &hold.newest)) {
            all.remove(&hold.id);
        }
    }

    /// A lease of it is about to be extended.
    pub(super) fn asks(&self, id: &MessageId, until: Timestamp) {
        if let Some(newest) = locked(&self.0).get(id) {
            let mut newest = locked(newest);
            newest.asked_until = newest.asked_until.max(until);
        }
    }

    /// A lease of it was extended before its end.
    pub(super) fn extended(&self, id: &MessageId, until: Timestamp) {
        if let Some(newest) = locked(&self.0).get(id) {
            let mut newest = locked(newest);
            newest.until = newest.until.max(until);
        }
    }
}

impl Hold {
    /// Whether it is surely ours for as long as a request takes to leave.
    pub(super) fn is_sure(&self, now: Timestamp) -> bool {
        now.checked_add(MARGIN).is_ok_and(|by_then| by_then < locked(&self.newest).until)
    }

    /// Until when it may be invisible by what was asked for, whether or not that was answered.
    pub(super) fn asked_until(&self) -> Timestamp {
        locked(&self.newest).asked_until
    }

    /// Nobody handles it any more: gives what there is to give back, where it is still ours.
    pub(super) fn give_up(&self, now: Timestamp) -> Option<Lease> {
        // First of all: what is delivered from now on is none of this one's.
        self.all.leave(self);
        let newest = locked(&self.newest);
        let receipt = newest.receipt.clone();
        (now < newest.until).then(|| Lease { id: self.id.clone(), receipt, received: now, until: newest.until })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.all.leave(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn receipt(name: &str) -> ReceiptHandle {
        ReceiptHandle::new(name.to_owned())
    }

    #[test]
    fn a_message_is_ours_until_shortly_before_its_lease_ends_and_as_long_as_that_is_extended() {
        let (holds, id) = (Arc::new(Holds::default()), MessageId::new("m"));
        let hold = holds.enter(&id, &receipt("first"), at(30));
        assert!(hold.is_sure(at(28)));
        assert!(!hold.is_sure(at(29)), "the request would leave in the last moment");
        holds.extended(&id, at(90));
        assert!(hold.is_sure(at(87)) && !hold.is_sure(at(3600)));
        holds.extended(&id, at(40));
        assert!(hold.is_sure(at(87)), "an older delivery of it was extended for less");
        let again = |until| Lease { id: id.clone(), receipt: receipt("again"), received: at(0), until };
        assert!(holds.delivered_again(again(at(130))).is_none() && hold.is_sure(at(100)));
        assert_eq!(hold.asked_until(), at(130));
        holds.asks(&id, at(180));
        assert_eq!((hold.asked_until(), hold.is_sure(at(130))), (at(180), false), "nobody answered");
        assert_eq!(hold.give_up(at(129)).map(|lease| lease.receipt), Some(receipt("again")));
        assert!(hold.give_up(at(130)).is_none(), "it is nobody's to give back");
        assert!(holds.delivered_again(again(at(140))).is_some(), "nobody handles it any more");
    }

    #[test]
    fn what_left_the_pipeline_is_forgotten_unless_it_is_in_it_again() {
        let (holds, id) = (Arc::new(Holds::default()), MessageId::new("m"));
        let first = holds.enter(&id, &receipt("first"), at(30));
        let second = holds.enter(&id, &receipt("second"), at(60));
        drop(first);
        holds.extended(&id, at(120));
        assert!(second.is_sure(at(100)), "the first took nothing with it");
        drop(second);
        assert!(locked(&holds.0).is_empty());
    }
}
