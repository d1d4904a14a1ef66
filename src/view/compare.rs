//! What changed since another plan, as text, Markdown and JSON. Pure; what comes from the plans is escaped by the renderers.

use serde::Serialize;

use super::document::{Block, Column, Line, ours, plain, theirs};
use super::report::{MAX_COMMENT, render_markdown, render_text};
use super::units::grouped;
use super::wire;
use crate::plan::{Comparison, Estimate, Hazard, short_digest};

/// One line, one object of type `plan_comparison`.
pub fn json(comparison: &Comparison) -> String {
    #[derive(Serialize)]
    struct Object<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        version: u32,
        changed: bool,
        comparison: &'a Comparison,
    }
    let changed = !comparison.is_empty();
    wire::line(&Object { kind: "plan_comparison", version: wire::VERSION, changed, comparison })
}

/// For a terminal.
pub fn text(comparison: &Comparison) -> String {
    render_text(&blocks(comparison))
}

/// Bytes of lines and rows at most; titles and headings need room, too.
const MAX_BYTES: usize = MAX_COMMENT - 4 * 1024;

/// For a pull request. What does not fit into a comment is left out and counted.
pub fn markdown(comparison: &Comparison) -> String {
    let mut room = MAX_BYTES;
    let fitted = blocks(comparison).into_iter().flat_map(|block| match block {
        Block::List(lines) => fitted(lines, Block::List, &mut room),
        Block::Diff(lines) => fitted(lines, Block::Diff, &mut room),
        Block::Table(columns, rows) => fitted(rows, |rows| Block::Table(columns.clone(), rows), &mut room),
        other => vec![other],
    });
    render_markdown(&fitted.collect::<Vec<_>>())
}

/// As much of a block as there is room for.
fn fitted<T: Clone>(mut items: Vec<T>, block: impl Fn(Vec<T>) -> Block, room: &mut usize) -> Vec<Block> {
    let mut fits = |item: &T| {
        let left = room.checked_sub(render_markdown(&[block(vec![item.clone()])]).len());
        *room = left.unwrap_or_default();
        left.is_some()
    };
    let kept = items.iter().take_while(|item| fits(item)).count();
    let left_out = (items.len() - kept) as u64;
    items.truncate(kept);
    let mut blocks = if items.is_empty() { Vec::new() } else { vec![block(items)] };
    if left_out > 0 {
        blocks.push(Block::Paragraph(plain(grouped(left_out)).ours(" more: they do not fit into a comment.")));
    }
    blocks
}

fn blocks(comparison: &Comparison) -> Vec<Block> {
    let Comparison { before, after, job, places, figures, limits, hazards_gone, hazards_new } = comparison;
    let title = ours("Plan ").theirs(short_digest(after)).ours(", compared with plan ").theirs(short_digest(before));
    let mut blocks = vec![Block::Title(title)];
    if comparison.is_empty() {
        blocks.push(Block::Paragraph(ours(
            "Nothing changed beyond what chance explains: job, queues, figures, hazards.",
        )));
    }
    let hazard = |hazard: &Hazard| theirs(&hazard.code).ours(": ").theirs(&hazard.text);
    section("New refusals and hazards", hazards_new.iter().map(hazard), &mut blocks);
    section("No longer", hazards_gone.iter().map(hazard), &mut blocks);
    if !job.is_empty() {
        blocks.extend([Block::Heading("Job"), Block::Diff(job.clone())]);
    }
    section("Queues and other places", places.iter().map(theirs), &mut blocks);
    let table = |name, rows: Vec<Vec<Line>>, blocks: &mut Vec<Block>| {
        if !rows.is_empty() {
            let columns = vec![Column::text("what"), Column::number("before"), Column::number("after")];
            blocks.extend([Block::Heading(name), Block::Table(columns, rows)]);
        }
    };
    let estimated = |estimate: Option<Estimate>| match estimate {
        None => ours("-"),
        Some(exact) if exact.low == exact.high => plain(grouped(exact.total)),
        Some(of) => plain(grouped(of.total)).ours(" (").number(of.low).ours(" to ").number(of.high).ours(")"),
    };
    let rows = figures.iter().map(|of| vec![theirs(&of.of), estimated(of.before), estimated(of.after)]);
    table("Figures whose 95 % intervals do not meet", rows.collect(), &mut blocks);
    let number = |number: Option<u64>| number.map_or_else(|| ours("-"), |number| plain(grouped(number)));
    let rows = limits.iter().map(|of| vec![theirs(&of.of), number(of.before), number(of.after)]);
    table("Limits", rows.collect(), &mut blocks);
    blocks
}

fn section(name: &'static str, lines: impl Iterator<Item = Line>, blocks: &mut Vec<Block>) {
    let lines: Vec<Line> = lines.collect();
    if !lines.is_empty() {
        blocks.extend([Block::Heading(name), Block::List(lines)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fake::plan;
    use crate::plan::{RuleFigures, compare};

    fn found() -> Comparison {
        let before = plan().seal();
        let mut after = plan();
        after.job.text = "version = 1\nname = \"\u{1b}[2J```|<b>\"\n".to_owned();
        after.rules[1] = RuleFigures { estimate: after.rules[0].estimate, bound: 7, ..after.rules[1].clone() };
        after.hazards[0].code = "dr`o|p\u{202e}".to_owned();
        after.targets[0].location = None;
        compare(&before, &after.seal())
    }

    #[test]
    fn it_reads_as_text_and_as_markdown() {
        insta::assert_snapshot!(text(&found()), @r#"
        Plan dc0916f66491, compared with plan 9a457b3eabc1
        New refusals and hazards
          - dr`o|p\u{202e}: The counts are approximate.

        No longer
          - counts_approximate: The counts are approximate.

        Job
          - name = "orders-dlq"
          + name = "\u{1b}[2J```|<b>"

        Queues and other places
          - destination graveyard is another place

        Figures whose 95 % intervals do not meet
          what                          before                      after
          unmatched  16,000 (14,794 to 17,229)  24,000 (22,771 to 25,206)

        Limits
          what                                  before  after
          messages that may leave by unmatched       0      7
        "#);
        insta::assert_snapshot!(markdown(&found()), @r#"
        ## Plan `dc0916f66491`, compared with plan `9a457b3eabc1`

        ### New refusals and hazards

        - <code>dr&#96;o&#124;p&#92;u&#123;202e&#125;</code>: `The counts are approximate.`

        ### No longer

        - `counts_approximate`: `The counts are approximate.`

        ### Job

        ````diff
        - name = "orders-dlq"
        + name = "\u{1b}[2J```|<b>"
        ````

        ### Queues and other places

        - `destination graveyard is another place`

        ### Figures whose 95 % intervals do not meet

        | what | before | after |
        | --- | ---: | ---: |
        | `unmatched` | 16,000 (14,794 to 17,229) | 24,000 (22,771 to 25,206) |

        ### Limits

        | what | before | after |
        | --- | ---: | ---: |
        | `messages that may leave by unmatched` | 0 | 7 |
        "#);
    }

    #[test]
    fn nothing_in_it_drives_a_terminal_or_a_page() {
        for shown in [text(&found()), markdown(&found()), json(&found())] {
            assert!(!shown.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{shown}");
        }
        let json: serde_json::Value = serde_json::from_str(&json(&found())).expect("JSON");
        assert_eq!((&json["type"], &json["changed"]), (&"plan_comparison".into(), &true.into()));
    }

    #[test]
    fn a_comment_is_never_longer_than_a_page_takes() {
        let mut found = found();
        found.job = (0..3_000).map(|n| format!("+ # line {n} ````| of a long job")).collect();
        found.places = vec!["|".repeat(30_000); 2];
        let page = markdown(&found);
        assert!(page.len() < MAX_COMMENT, "{}", page.len());
        assert_eq!(page.matches("more: they do not fit into a comment.").count(), 4, "{page}");
        assert!(page.contains("- `counts_approximate`: ") && page.contains("+ # line 500 "), "{page}");
    }

    #[test]
    fn two_plans_of_one_queue_are_said_to_be_alike() {
        let plan = plan().seal();
        assert!(text(&compare(&plan, &plan)).contains("Nothing changed beyond what chance explains"));
    }
}
