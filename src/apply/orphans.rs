//! Messages that may be in flight of which nobody has the handles: they were received by a killed process, or by a receive whose
//! answer never came. They become visible again by themselves, and a run that may have such waits for them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

/// How much later than it should a message may be visible again: for what lies between asking for a receive and its being carried out,
/// and for a server that is late.
pub(super) const LATE: Duration = Duration::from_secs(10);

/// Until when they are expected.
#[derive(Debug)]
pub(super) struct Orphans {
    until: Mutex<Timestamp>,
    /// Until when the last of the messages that were deleted would have stayed invisible.
    removed_until: Mutex<Timestamp>,
}

impl Default for Orphans {
    fn default() -> Self {
        Self { until: Mutex::new(Timestamp::MIN), removed_until: Mutex::new(Timestamp::MIN) }
    }
}

fn raise(time: &Mutex<Timestamp>, to: Timestamp) {
    let mut time = time.lock().unwrap_or_else(PoisonError::into_inner);
    *time = to.max(*time);
}

fn read(time: &Mutex<Timestamp>) -> Timestamp {
    *time.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Orphans {
    /// Messages may have been received, invisible until then, of which nobody has the handles. Some of them may have been deleted
    /// already, with the handle of another delivery: then nothing was deleted, and what had extended that lease keeps the message
    /// invisible until it ends.
    pub(super) fn expect_received(&self, until: Timestamp) {
        self.expect(until.max(read(&self.removed_until)));
    }

    /// The same, if it is known until when the last of them is surely invisible.
    pub(super) fn expect(&self, until: Timestamp) {
        raise(&self.until, until.checked_add(LATE).unwrap_or(Timestamp::MAX));
    }

    /// Messages are deleted that would have stayed invisible until then.
    pub(super) fn removes(&self, until: Timestamp) {
        raise(&self.removed_until, until);
    }

    /// Whether there were such messages in this session.
    pub(super) fn are_expected(&self) -> bool {
        self.until() > Timestamp::MIN
    }

    /// Until when such messages are to be waited for; long past if there are none.
    pub(super) fn until(&self) -> Timestamp {
        read(&self.until)
    }
}
