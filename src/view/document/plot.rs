//! Counts as a plot: beside each other as bars in a text, and over time as a line of blocks in a text or as bars in a page.

use std::fmt::Write as _;

use crate::words::thousands;

/// The longest bar in a text.
const BAR: usize = 40;

/// Counts by slice of time; `None` is a longer time in which nothing happened.
pub(super) type Counts = [Option<u64>];

/// From few to many.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Bars with their numbers, for a text with room for so many columns.
pub(super) fn bars(bars: &[(String, u64)], room: usize) -> Vec<String> {
    let rows: Vec<(&str, String, u64)> =
        bars.iter().map(|(label, number)| (label.as_str(), thousands(*number), *number)).collect();
    let label = rows.iter().map(|row| row.0.chars().count()).max().unwrap_or(0);
    let number = rows.iter().map(|row| row.1.len()).max().unwrap_or(0);
    let most = rows.iter().map(|row| row.2).max().unwrap_or(0).max(1);
    let longest = room.saturating_sub(label + number + 3).clamp(1, BAR);
    let bar = |value| "█".repeat(share(value, most, longest));
    rows.iter().map(|(name, count, value)| format!("{name:label$}  {count:>number$} {}", bar(*value))).collect()
}

/// For a text with room for so many columns: as many slices as it takes are put together in one.
pub(super) fn line(counts: &Counts, room: usize) -> String {
    let columns: Vec<Option<u64>> = counts
        .chunks(counts.len().div_ceil(room.max(1)).max(1))
        .map(|slices| slices.iter().flatten().copied().reduce(u64::saturating_add))
        .collect();
    let most = columns.iter().flatten().copied().max().unwrap_or(0).max(1);
    let block = |column: &Option<u64>| match column {
        None => '┊',
        Some(0) => '·',
        // Few are still seen.
        Some(count) => BLOCKS[share(*count, most, BLOCKS.len()) - 1],
    };
    columns.iter().map(block).collect()
}

/// For a page.
pub(super) fn svg(counts: &Counts) -> String {
    const WIDTH: usize = 720;
    const HEIGHT: usize = 48;
    let most = counts.iter().flatten().copied().max().unwrap_or(0).max(1);
    let width = (WIDTH / counts.len().max(1)).max(1);
    let mut page = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n");
    for (position, count) in counts.iter().enumerate() {
        let left = position * width;
        let (class, height) = match count {
            None => (" class=\"pause\"", HEIGHT),
            Some(0) => continue,
            Some(count) => ("", share(*count, most, HEIGHT)),
        };
        let (top, bar) = (HEIGHT - height, (width * 4 / 5).max(1));
        // Writing to a string cannot fail.
        let _ = writeln!(page, "<rect{class} x=\"{left}\" y=\"{top}\" width=\"{bar}\" height=\"{height}\"/>");
    }
    page + "</svg>\n"
}

/// How much of the whole so many of the most are: nothing only for none.
fn share(count: u64, most: u64, whole: usize) -> usize {
    let share = (u128::from(count) * whole as u128).div_ceil(u128::from(most));
    usize::try_from(share).unwrap_or(whole).min(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_seen_and_nothing_is_nothing() {
        let counts = [Some(0), Some(1), Some(400), None, Some(800), Some(799)];
        assert_eq!(line(&counts, 80), "·▁▄┊██");
        assert_eq!(line(&counts, 3), "▁▃█", "two in one column");
        assert_eq!(line(&[None, None, Some(1)], 2), "┊█");
        assert_eq!((line(&[], 10), line(&[Some(0)], 0)), (String::new(), "·".to_owned()));
        assert_eq!(line(&[Some(u64::MAX), Some(u64::MAX), Some(1)], 2), "█▁");
        let page = svg(&counts);
        assert_eq!(page.matches("<rect").count(), 5, "{page}");
        assert!(page.contains("height=\"1\"/>") && page.contains("class=\"pause\""), "{page}");
    }
}
