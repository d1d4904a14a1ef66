//! Why single messages are judged as they are, as text and as JSON. Takes what `rule` found out; bodies come redacted.

use serde::Serialize;

use super::diff;
use super::text::{Style, neutral};
use crate::plan::Shown;

/// One message explained: a line of JSON, and what the text is made from.
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
    /// Where it goes, where it goes somewhere.
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

/// The explanation as text.
pub fn text(explained: &Explained, style: Style) -> String {
    let mut lines = vec![format!("message {}", neutral(&explained.message_id))];
    for rule in &explained.rules {
        lines.push(format!("  {} rule {:?}", mark(rule.holds), rule.name));
        conditions(&rule.conditions, 4, &mut lines);
    }
    let exhausted = if explained.exhausted { ", its retry count is exhausted" } else { "" };
    lines.push(format!("  {:?}{exhausted}: {}", explained.rule, neutral(&explained.words)));
    let mut before = &explained.before;
    for step in &explained.transforms {
        lines.push(format!("    {} {}", if step.done { "done  " } else { "BLOCKS" }, neutral(&step.transform)));
        if let Some(after) = &step.after {
            changes(before, Some(after), style, &mut lines);
            before = after;
        }
    }
    if explained.transforms.is_empty() {
        changes(before, None, style, &mut lines);
    }
    lines.join("\n") + "\n"
}

fn conditions(conditions: &[Condition], indent: usize, lines: &mut Vec<String>) {
    for condition in conditions {
        let space = " ".repeat(indent);
        lines.push(format!("{space}{} {}", mark(condition.holds), neutral(&condition.condition)));
        if !condition.found.is_empty() {
            lines.push(format!("{space}      {}", neutral(&condition.found)));
        }
        self::conditions(&condition.parts, indent + 6, lines);
    }
}

fn changes(before: &Shown, after: Option<&Shown>, style: Style, lines: &mut Vec<String>) {
    lines.extend(diff::lines(before, after).iter().map(|line| format!("      {}", line.painted(style))));
}

/// In words, so that it reads without colour; of one width.
fn mark(holds: bool) -> &'static str {
    if holds { "holds" } else { "no   " }
}
