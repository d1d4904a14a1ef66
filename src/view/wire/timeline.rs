//! How a run went over time, in the JSON of a report.

use jiff::Timestamp;
use serde::Serialize;

use crate::journal::{Happened, Timeline};

/// How a run went over time: only slices in which something happened.
#[derive(Debug, Serialize)]
pub(super) struct TimelineObject {
    seconds: i64,
    slices: Vec<SliceObject>,
}

#[derive(Debug, Serialize)]
struct SliceObject {
    start: Timestamp,
    left: u64,
    in_doubt: u64,
    throttled: u64,
    #[serde(skip_serializing_if = "is_none")]
    came_back: u64,
    #[serde(skip_serializing_if = "is_none")]
    guarded: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks it")]
fn is_none(number: &u64) -> bool {
    *number == 0
}

impl TimelineObject {
    pub(super) fn new(timeline: &Timeline) -> Self {
        let slice = |(start, happened): &(i64, Happened)| SliceObject {
            start: Timestamp::from_second(*start).unwrap_or_default(),
            left: happened.left,
            in_doubt: happened.in_doubt,
            throttled: happened.throttled,
            came_back: happened.came_back,
            guarded: happened.guarded,
        };
        Self { seconds: timeline.seconds, slices: timeline.slices.iter().map(slice).collect() }
    }
}
