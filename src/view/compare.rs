//! What changed since another plan, as a document and as JSON. Pure.

use serde::Serialize;

use super::document::{Block, Column, DiffLine, Document, Line, Mark, Row, Severity};
use super::document::{heading, ours, plain, prose, row};
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

/// For a person.
pub fn document(comparison: &Comparison) -> Document {
    let Comparison { before, after, job, places, figures, limits, hazards_gone, hazards_new } = comparison;
    let title = ours("Plan ").theirs(short_digest(after)).ours(", compared with plan ").theirs(short_digest(before));
    let mut blocks = vec![Block::Title(title)];
    if comparison.is_empty() {
        blocks.push(Block::Headline(
            Severity::Good,
            ours("No changes beyond what chance explains: same job, queues, figures and risks."),
        ));
    }
    let hazard = |hazard: &Hazard| {
        ours(hazard.severity.as_str()).ours(", ").ours(hazard.code.as_str()).ours(": ").prose(&hazard.text)
    };
    section("New risks and refusals", hazards_new.iter().map(hazard), &mut blocks);
    section("Risks and refusals that are gone", hazards_gone.iter().map(hazard), &mut blocks);
    if !job.is_empty() {
        let lines = job.iter().map(|line| match line.split_at_checked(2) {
            Some(("- ", text)) => DiffLine::new(Mark::Removed, text),
            Some(("+ ", text)) => DiffLine::new(Mark::Added, text),
            _ => DiffLine::new(Mark::Same, line),
        });
        blocks.extend([heading("Changes to the job"), Block::Diff(lines.collect())]);
    }
    section("Changes to queues and other places", places.iter().map(prose), &mut blocks);
    let table = |name, rows: Vec<Row>, blocks: &mut Vec<Block>| {
        if !rows.is_empty() {
            let columns = vec![Column::text("what"), Column::number("before"), Column::number("after")];
            blocks.extend([heading(name), Block::Table(columns, rows)]);
        }
    };
    let estimated = |estimate: Option<Estimate>| match estimate {
        None => ours("-"),
        Some(exact) if exact.low == exact.high => plain(grouped(exact.total)),
        Some(of) => plain(grouped(of.total)).ours(" (").number(of.low).ours(" to ").number(of.high).ours(")"),
    };
    let rows = figures.iter().map(|of| row(vec![prose(&of.of), estimated(of.before), estimated(of.after)]));
    table("Figures that changed (their 95 % intervals do not overlap)", rows.collect(), &mut blocks);
    let number = |number: Option<u64>| number.map_or_else(|| ours("-"), |number| plain(grouped(number)));
    let rows = limits.iter().map(|of| row(vec![prose(&of.of), number(of.before), number(of.after)]));
    table("Limits that changed", rows.collect(), &mut blocks);
    Document::new(blocks)
}

fn section(name: &'static str, lines: impl Iterator<Item = Line>, blocks: &mut Vec<Block>) {
    let lines: Vec<Line> = lines.collect();
    if !lines.is_empty() {
        blocks.extend([heading(name), Block::List(lines)]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::MAX_COMMENT;
    use super::super::text::Screen;
    use super::*;
    use crate::plan::fake::plan;
    use crate::plan::{HazardCode, RuleFigures, compare};

    fn found() -> Comparison {
        let before = plan().seal();
        let mut after = plan();
        after.job.text = "version = 1\nname = \"\u{1b}[2J```|<b>\"\n".to_owned();
        after.rules[1] = RuleFigures { estimate: after.rules[0].estimate, bound: Some(7), ..after.rules[1].clone() };
        after.hazards = vec![Hazard::new(HazardCode::Dropped, "About `5`|\u{202e}.")];
        after.targets[0].location = None;
        compare(&before, &after.seal())
    }

    #[test]
    fn it_reads_as_text_and_as_markdown() {
        insta::assert_snapshot!(document(&found()).text(Screen::PLAIN), @r#"
        Plan b0d70652a40d, compared with plan c8b1a6cacf1d

        New risks and refusals
          - danger, dropped: About `5`|\u{202e}.

        Risks and refusals that are gone
          - note, counts_approximate: The counts are approximate.

        Changes to the job
          - name = "orders-dlq"
          + name = "\u{1b}[2J```|<b>"

        Changes to queues and other places
          - destination graveyard is another place

        Figures that changed (their 95 % intervals do not overlap)
          what                          before                      after
          unmatched  16,000 (14,794 to 17,229)  24,000 (22,771 to 25,206)

        Limits that changed
          what                                  before  after
          messages that may leave by unmatched       0      7
        "#);
        insta::assert_snapshot!(document(&found()).markdown(), @r#"
        ## Plan `b0d70652a40d`, compared with plan `c8b1a6cacf1d`

        ### New risks and refusals

        - danger, dropped: About &#96;5&#96;&#124;&#92;u&#123;202e&#125;.

        ### Risks and refusals that are gone

        - note, counts_approximate: The counts are approximate.

        ### Changes to the job

        ````diff
        - name = "orders-dlq"
        + name = "\u{1b}[2J```|<b>"
        ````

        ### Changes to queues and other places

        - destination graveyard is another place

        ### Figures that changed (their 95 % intervals do not overlap)

        | what | before | after |
        | --- | ---: | ---: |
        | unmatched | 16,000 (14,794 to 17,229) | 24,000 (22,771 to 25,206) |

        ### Limits that changed

        | what | before | after |
        | --- | ---: | ---: |
        | messages that may leave by unmatched | 0 | 7 |
        "#);
    }

    #[test]
    fn nothing_in_it_drives_a_terminal_or_a_page() {
        for shown in [document(&found()).text(Screen::PLAIN), document(&found()).markdown(), json(&found())] {
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
        let page = document(&found).markdown();
        assert!(page.len() < MAX_COMMENT, "{}", page.len());
        assert_eq!(page.matches("more do not fit in a comment.").count(), 4, "{page}");
        assert!(page.contains("- note, counts_approximate: ") && page.contains("+ # line 500 "), "{page}");
    }

    #[test]
    fn two_plans_of_one_queue_are_said_to_be_alike() {
        let plan = plan().seal();
        assert!(
            document(&compare(&plan, &plan)).text(Screen::PLAIN).contains("No changes beyond what chance explains")
        );
    }
}
