//! Whether a message is sent again if nobody knows whether it has arrived.

use jiff::Timestamp;

use super::words::{Doubtful, Intended};
use crate::target::TargetKind;

/// What there is to know of a send that may have arrived, to decide about the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Doubt {
    this_run: bool,
    age_secs: i64,
}

impl Doubt {
    /// The doubt about a message, by the clock that told when the send was intended.
    pub fn of(doubtful: &Doubtful, now: Timestamp) -> Self {
        Self { this_run: doubtful.is_of_this_run(), age_secs: now.duration_since(doubtful.since()).as_secs() }
    }

    /// The doubt about a message that is about to be sent once more; `None` if this is its first send. Since it was decided, time has
    /// passed; that it is sent again by this run was decided then.
    pub fn of_intended(intended: &Intended, now: Timestamp) -> Option<Self> {
        let since = intended.doubted_since()?;
        Some(Self { this_run: true, age_secs: now.duration_since(since).as_secs() })
    }

    /// Whether all sends that may have arrived were this run's.
    pub fn is_of_this_run(self) -> bool {
        self.this_run
    }

    /// Whether the message is sent again to a target of this kind. To a FIFO queue inside its deduplication window, to S3 and to
    /// files it is, since the second send cannot make a second copy there: that is so if the first was this run's, under the same
    /// name to the same place. Else it is as the job says. `fifo`: the target is a FIFO queue. `resend`: the job says to send again.
    pub fn may_resend(self, kind: TargetKind, fifo: bool, resend: bool) -> bool {
        let harmless = self.this_run
            && match kind {
                TargetKind::Sqs => fifo && self.is_inside_window(),
                // A second copy of a parked message is known by its mark, and deleted.
                TargetKind::S3 | TargetKind::File | TargetKind::Park => true,
                TargetKind::Drop => false,
            };
        // A drop sends nothing.
        harmless || kind == TargetKind::Drop || resend
    }

    /// Whether a FIFO queue surely still knows the deduplication ID. It does for five minutes; a minute less here leaves room
    /// for the request and for clocks.
    fn is_inside_window(self) -> bool {
        (0..4 * 60).contains(&self.age_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_make_a_second_copy_is_sent_again_and_the_rest_as_the_job_says() {
        let may = |kind, fifo, this_run, age_secs| Doubt { this_run, age_secs }.may_resend(kind, fifo, false);
        let (sqs, s3, file) = (TargetKind::Sqs, TargetKind::S3, TargetKind::File);
        assert!(may(s3, false, true, 9999) && may(file, false, true, 9999));
        assert!(!may(s3, false, false, 0) && !may(file, false, false, 0), "another run's key may be another");
        assert!(may(sqs, true, true, 200));
        assert!(!may(sqs, true, true, 240), "the destination may have forgotten the deduplication ID");
        assert!(!may(sqs, true, true, -1), "the clock went back");
        assert!(!may(sqs, true, false, 0) && !may(sqs, false, true, 0));
        assert!(may(TargetKind::Drop, false, false, 9999), "dropping sends nothing");
        for kind in [sqs, s3, file] {
            assert!(Doubt { this_run: false, age_secs: 9999 }.may_resend(kind, false, true));
        }
    }
}
