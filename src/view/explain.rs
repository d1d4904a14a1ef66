//! Why single messages are handled as they are, as a document and as JSON. Takes what `rule` found out; bodies come redacted.

use serde::Serialize;

use super::diff;
use super::document::{Block, Document, Line, Severity, heading, ours, prose};
use crate::plan::Shown;

/// One message explained: a line of JSON, and what the document is made from.
#[derive(Debug, Serialize)]
pub struct Explained {
    /// `explanation`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The version of the format: 1.
    pub version: u32,
    /// The message's ID.
    pub message_id: String,
    /// The rules that were asked.
    pub rules: Vec<Rule>,
    /// The rule that took the message.
    pub rule: String,
    /// `send`, `archive`, `drop`, `keep` or `block`.
    pub outcome: &'static str,
    /// The destination, if it has one.
    pub to: Option<String>,
    /// Whether its retry count has reached the cap.
    pub exhausted: bool,
    /// Why it stays, as a code.
    pub reason: Option<&'static str>,
    /// Why it stays, or where to, in words.
    pub words: String,
    /// The message as it is.
    pub before: Shown,
    /// The message as it would be sent, where a transform changes it.
    pub after: Option<Shown>,
    /// The transforms, one by one.
    pub transforms: Vec<Step>,
}

/// A rule that was asked.
#[derive(Debug, Serialize)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// Whether it took the message.
    pub holds: bool,
    /// Its conditions.
    pub conditions: Vec<Condition>,
}

/// A condition that was asked.
#[derive(Debug, Serialize)]
pub struct Condition {
    /// As the job has it.
    pub condition: String,
    /// Whether it holds.
    pub holds: bool,
    /// What was found in the message; empty for a group.
    pub found: String,
    /// The conditions of a group.
    pub parts: Vec<Condition>,
}

/// A transform.
#[derive(Debug, Serialize)]
pub struct Step {
    /// As the job has it.
    pub transform: String,
    /// Whether it could be carried out.
    pub done: bool,
    /// The message behind it, where it changed.
    pub after: Option<Shown>,
}

/// The explanation for a person.
pub fn document(explained: &Explained) -> Document {
    let mut verdict = ours("Rule ").theirs(&explained.rule).ours(" decides: the message ").prose(&explained.words);
    if explained.exhausted {
        verdict = verdict.ours(" (retry count exhausted)");
    }
    let severity = if explained.outcome == "block" { Severity::Caution } else { Severity::Good };
    let mut blocks = vec![
        Block::Title(ours("Message ").theirs(&explained.message_id)),
        Block::Headline(severity, verdict.ours(".")),
    ];
    let mut lines = Vec::new();
    for rule in &explained.rules {
        lines.push((0, ours(mark(rule.holds)).ours("rule ").prose(format!("{:?}", rule.name))));
        conditions(&rule.conditions, 1, &mut lines);
    }
    blocks.extend([heading("Rules, in the order they were tried"), Block::Outline(lines)]);
    if explained.transforms.is_empty() {
        blocks.extend([heading("The message"), Block::Diff(diff::lines(&explained.before, None, false))]);
    } else {
        blocks.push(heading("Transforms"));
    }
    let mut before = &explained.before;
    for step in &explained.transforms {
        let title = ours(if step.done { "done    " } else { "BLOCKS  " }).prose(&step.transform);
        let diff = step.after.iter().map(|after| Block::Diff(diff::lines(before, Some(after), false)));
        blocks.push(Block::Fold(title, diff.collect()));
        before = step.after.as_ref().unwrap_or(before);
    }
    Document::new(blocks)
}

fn conditions(conditions: &[Condition], depth: usize, lines: &mut Vec<(usize, Line)>) {
    for condition in conditions {
        lines.push((depth, ours(mark(condition.holds)).prose(&condition.condition)));
        if !condition.found.is_empty() {
            lines.push((depth + 3, prose(&condition.found)));
        }
        self::conditions(&condition.parts, depth + 3, lines);
    }
}

/// In words, so that it reads without colour; of one width.
fn mark(holds: bool) -> &'static str {
    if holds { "holds " } else { "no    " }
}

#[cfg(test)]
mod tests {
    use super::super::text::Screen;
    use super::*;

    fn explained() -> Explained {
        let condition = |condition: &str, holds, found: &str| Condition {
            condition: condition.to_owned(),
            holds,
            found: found.to_owned(),
            parts: Vec::new(),
        };
        let shown = |body: &str| Shown { body: body.to_owned(), attributes: vec!["tenant (String) = eu-1".to_owned()] };
        let rule = |name: &str, holds, conditions| Rule { name: name.to_owned(), holds, conditions };
        Explained {
            kind: "explanation",
            version: 1,
            message_id: "0b6ad0a4-2a5d-4c5b-9c7e-6a8c4f1d2e3f".to_owned(),
            rules: vec![
                rule(
                    "declined",
                    false,
                    vec![condition("{ attribute = \"tenant\", prefix = \"us-\" }", false, "found eu-1 (String)")],
                ),
                rule(
                    "gateway timeouts",
                    true,
                    vec![condition(
                        "{ body = \"$.error.type\", any_of = [\"Timeout\", \"ConnectionReset\", \"ServiceUnavailable\"] }",
                        true,
                        "found \"Timeout\"",
                    )],
                ),
            ],
            rule: "gateway timeouts".to_owned(),
            outcome: "send",
            to: Some("origin orders".to_owned()),
            exhausted: false,
            reason: None,
            words: "goes to origin orders".to_owned(),
            before: shown("{\"error\":{\"type\":\"Timeout\"},\"debug\":1}"),
            after: None,
            transforms: vec![Step {
                transform: "{ remove = \"$.debug\" }".to_owned(),
                done: true,
                after: Some(shown("{\"error\":{\"type\":\"Timeout\"}}")),
            }],
        }
    }

    #[test]
    fn terminals_of_60_80_and_120_columns_show_all_of_it() {
        for width in [60, 80, 120] {
            let text = document(&explained()).text(Screen { width, ..Screen::PLAIN });
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
            insta::assert_snapshot!(format!("an_explanation_on_{width}_columns"), text);
        }
    }
}
