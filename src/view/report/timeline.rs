//! How a run went over time, as a plot. Pure.

use jiff::Timestamp;

use super::super::document::{Block, Line, heading, ours};
use super::super::units::{self, messages, per_second};
use crate::journal::{Happened, Timeline};

/// One of the figures of a slice.
type Figure = fn(&Happened) -> u64;

/// A longer time in which nothing happened, in slices, is shown as a pause.
const PAUSE: i64 = 10;

/// The plot, and when it begins and ends; nothing if nothing happened.
pub(super) fn blocks(timeline: &Timeline) -> Vec<Block> {
    let (Some((first, _)), Some((last, _))) = (timeline.slices.first(), timeline.slices.last()) else {
        return Vec::new();
    };
    let all = timeline.all();
    let fastest = timeline.slices.iter().map(|(_, slice)| slice.left).max().unwrap_or(0);
    let rate = per_second(fastest, timeline.seconds.unsigned_abs() * 1000);
    let left = ours("left the source: ").plain(messages(all.left));
    let left = rate.map_or(left.clone(), |rate| left.ours(", at most ").plain(rate).ours(" a second"));
    let series: [(Line, Figure); 5] = [
        (left, |slice| slice.left),
        (ours("came into doubt: ").plain(messages(all.in_doubt)), |slice| slice.in_doubt),
        (ours("throttled: ").plain(units::counted(all.throttled, "request", "requests")), |slice| slice.throttled),
        (ours("came back: ").plain(messages(all.came_back)), |slice| slice.came_back),
        (ours("guards and people: ").plain(units::counted(all.guarded, "time", "times")), |slice| slice.guarded),
    ];
    let plots = series.into_iter().filter(|(_, of)| of(&all) > 0).map(|(title, of)| (title, counts(timeline, of)));
    let time = |second: i64| units::time(Timestamp::from_second(second).unwrap_or_default());
    let span =
        ours("From ").plain(time(*first)).ours(" to ").plain(time(last + timeline.seconds)).ours(", in slices of ");
    let span = span.plain(units::counted(timeline.seconds.unsigned_abs(), "second", "seconds")).ours(".");
    vec![heading("Timeline"), Block::Plots(plots.collect()), Block::Paragraph(span)]
}

/// A count for each slice from the first to the last.
fn counts(timeline: &Timeline, of: Figure) -> Vec<Option<u64>> {
    let mut counts = Vec::new();
    let mut next = timeline.slices.first().map_or(0, |(start, _)| *start);
    for (start, slice) in &timeline.slices {
        match (start - next) / timeline.seconds {
            gap @ 0..=PAUSE => counts.extend((0..gap).map(|_| Some(0))),
            _ => counts.push(None),
        }
        counts.push(Some(of(slice)));
        next = start + timeline.seconds;
    }
    counts
}
