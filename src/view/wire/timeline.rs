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
}

impl TimelineObject {
    pub(super) fn new(timeline: &Timeline) -> Self {
        let slice = |(start, Happened { left, in_doubt, throttled }): &(i64, Happened)| SliceObject {
            start: Timestamp::from_second(*start).unwrap_or_default(),
            left: *left,
            in_doubt: *in_doubt,
            throttled: *throttled,
        };
        Self { seconds: timeline.seconds, slices: timeline.slices.iter().map(slice).collect() }
    }
}
