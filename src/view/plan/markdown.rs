//! A plan as a comment on a pull request: what speaks against it first, then tables, the examples folded.
//!
//! A page that renders this must show what is meant and nothing else: outside tables and fences every piece of text from outside
//! is escaped, so that it makes no markup, no link and mentions nobody.

use std::fmt::Write as _;

use super::super::approvals;
use super::super::diff::lines;
use super::super::report::{MAX_COMMENT, fenced, render_markdown};
use super::super::text::neutral;
use super::{
    ages, basis, bounds, cost_words, counts, histogram, interval, maker, next_step, projected, properties, scope,
    shown_rules, totals,
};
use crate::plan::{Approver, Estimate, Hazard, Plan};
use crate::words::{count, moment, thousands};

/// What is at the end needs room, too.
const MAX_BYTES: usize = MAX_COMMENT - RESERVE;
const RESERVE: usize = 8 * 1024;

/// Bytes of a name or a description at most; escaping makes up to six of one.
const MAX_NAME: usize = 200;
const MAX_WORDS: usize = 1000;

/// A page that stays within what a comment may be: what does not fit is left out and counted.
struct Page {
    text: String,
    left_out: u64,
}

impl Page {
    /// Adds a piece, whole or not at all. After one that did not fit, none of what follows is added: a list with holes in it
    /// reads as a whole one.
    fn add(&mut self, piece: &str) {
        if self.left_out == 0 && self.text.len() + piece.len() <= MAX_BYTES {
            self.text.push_str(piece);
        } else {
            self.left_out += 1;
        }
    }

    /// Ends a list: says how many of `what` did not fit.
    fn end(&mut self, what: &str) {
        match std::mem::take(&mut self.left_out) {
            0 => {}
            left_out => {
                let _ = write!(self.text, "\n{} more: they do not fit into a comment.\n", count(left_out, what));
            }
        }
        self.text.push('\n');
    }
}

/// The plan as Markdown. `file` is where it was saved, `approvers` who said yes to it.
pub fn markdown(plan: &Plan, file: Option<&str>, approvers: &[Approver]) -> String {
    let mut page = Page { text: String::new(), left_out: 0 };
    let text = &mut page.text;
    let _ = writeln!(text, "## Redrive plan {} for job {}\n", name(plan.id()), name(&plan.job.name));
    if let Some(description) = &plan.job.description {
        let _ = writeln!(text, "{}\n", prose(&cut(description, MAX_WORDS)));
    }
    if !plan.refusals.is_empty() {
        text.push_str("### Refused: apply will not carry this plan out\n\n");
        hazards(&plan.refusals, &mut page);
    }
    if !plan.hazards.is_empty() {
        page.text.push_str("### What to know\n\n");
        hazards(&plan.hazards, &mut page);
    }
    let approvals = approvals::blocks(approvers);
    if !approvals.is_empty() {
        page.add(&render_markdown(&approvals));
        page.end("list of approvals");
    }
    figures(plan, &mut page);
    queues(plan, &mut page);
    let _ = writeln!(page.text, "Applying it costs {}.\n", cost_words(&plan.cost));
    examples(plan, &mut page);
    let Page { mut text, .. } = page;
    match next_step(plan, file) {
        Ok(command) => {
            text.push_str("Apply it:\n\n");
            text.push_str(&fenced("sh", &neutral(&cut(&command, MAX_WORDS))));
            text.push('\n');
        }
        Err(why) => {
            let _ = writeln!(text, "{why}\n");
        }
    }
    let _ = writeln!(
        text,
        "<sub>{}, SHA-256 {}; planned {} {}, can be applied until {}</sub>",
        name(&plan.job.file),
        name(plan.job.sha256.get(..12).unwrap_or_default()),
        moment(plan.created),
        prose(&cut(&maker(plan), 2 * MAX_NAME)),
        moment(plan.expires)
    );
    text
}

fn hazards(hazards: &[Hazard], page: &mut Page) {
    for hazard in hazards {
        let words = prose(&cut(&hazard.text, MAX_WORDS));
        page.add(&format!("- **{}**: {words}\n", name(&hazard.code)));
    }
    page.end("hazard");
}

fn figures(plan: &Plan, page: &mut Page) {
    let _ = writeln!(page.text, "### What would happen\n\n{}.\n", basis(plan));
    page.text.push_str("| rule | outcome | sampled | total | 95 % interval | bytes |\n");
    page.text.push_str("| --- | --- | ---: | ---: | ---: | ---: |\n");
    for (what, estimate) in totals(plan) {
        page.text.push_str(&row("**in all**", what, estimate, ""));
    }
    for rule in shown_rules(plan) {
        let bounds = bounds(rule).unwrap_or_default();
        let mut rows = row(&format!("**{}**", name(&rule.name)), &bounds, rule.estimate, "");
        for figures in &rule.outcomes {
            let outcome = prose(&cut(&plan.words_of(figures.outcome), MAX_NAME));
            rows.push_str(&row("", &outcome, figures.estimate, &projected(plan, figures.bytes)));
        }
        page.add(&rows);
    }
    page.end("rule");
}

fn row(rule: &str, outcome: &str, estimate: Estimate, bytes: &str) -> String {
    format!(
        "| {rule} | {outcome} | {} | {} | {} | {bytes} |\n",
        thousands(estimate.sampled),
        thousands(estimate.total),
        interval(estimate)
    )
}

fn queues(plan: &Plan, page: &mut Page) {
    page.text.push_str("### Queues\n\n| | what | where | properties |\n| --- | --- | --- | --- |\n");
    let mut source = format!("{}; {}; {}", counts(plan), properties(&plan.source), scope(plan));
    if let Some(ages) = ages(plan) {
        let _ = write!(source, "; {ages}");
    }
    let mut line = |way: &str, what: &str, place: &str, about: &str| {
        let about = prose(&cut(about, MAX_WORDS));
        page.add(&format!("| {way} | {} | {} | {about} |\n", name(what), name(place)));
    };
    line("from", plan.source.name(), &plan.source.arn, &source);
    for target in &plan.targets {
        match (&target.queue, &target.location) {
            (Some(queue), _) => line("to", &target.label(), &queue.arn, &properties(queue)),
            (None, Some(location)) => line("to", &target.label(), location, "archive"),
            (None, None) => line("to", &target.label(), "", "deleted, with no copy"),
        }
    }
    page.end("queue");
    let bars = histogram(plan);
    if !bars.is_empty() {
        let _ = write!(page.text, "Ages of the sampled messages:\n\n{}\n", fenced("text", &bars.join("\n")));
    }
}

fn examples(plan: &Plan, page: &mut Page) {
    if plan.examples.is_empty() {
        return;
    }
    page.text.push_str("### Examples\n\n");
    for example in &plan.examples {
        let rule = plan.rules.iter().find(|rule| rule.rule == example.rule).map_or("", |rule| &rule.name);
        let title = format!("{rule}, {}: {}", plan.words_of(example.outcome), example.message_id);
        let mut folded = format!("<details><summary>{}</summary>\n\n", prose(&cut(&title, 2 * MAX_NAME)));
        if let Some(detail) = &example.detail {
            let _ = writeln!(folded, "{}\n", prose(&cut(detail, MAX_WORDS)));
        }
        let diff: Vec<String> =
            lines(&example.before, example.after.as_ref()).iter().map(super::super::diff::Line::plain).collect();
        folded.push_str(&fenced("diff", &diff.join("\n")));
        folded.push_str("\n</details>\n\n");
        page.add(&folded);
    }
    page.end("example");
}

/// A name as prose, cut where it is longer than names are.
fn name(text: &str) -> String {
    prose(&cut(text, MAX_NAME))
}

/// The beginning of a text that is too long.
fn cut(text: &str, most: usize) -> std::borrow::Cow<'_, str> {
    if text.len() <= most {
        return text.into();
    }
    format!("{}…", &text[..text.floor_char_boundary(most)]).into()
}

/// Text that makes no markup, no HTML, no link and mentions nobody. Character references mean the same in and outside tables.
fn prose(text: &str) -> String {
    let neutral = neutral(text);
    let mut escaped = String::with_capacity(neutral.len());
    let mut last = ' ';
    let mut characters = neutral.chars().peekable();
    while let Some(character) = characters.next() {
        let next = characters.peek().copied().unwrap_or(' ');
        let plain = match character {
            '(' | ')' | '-' | ',' | ';' | '?' | '%' | '/' | '\'' | '=' | '+' => true,
            // Not in `https://` and `www.`, which would become links.
            ':' => next != '/',
            '.' => !escaped.to_ascii_lowercase().ends_with("www"),
            // Only at the edge of a word it is markup.
            '_' => last.is_alphanumeric() && next.is_alphanumeric(),
            _ => !character.is_ascii_punctuation(),
        };
        last = character;
        match character {
            _ if plain => escaped.push(character),
            // A page looks for names and numbers after references are resolved, so an element has to part them.
            '@' | '#' => {
                escaped.push(character);
                escaped.push_str("<!-- -->");
            }
            _ => drop(write!(escaped, "&#{};", u32::from(character))),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_makes_no_markup() {
        assert_eq!(prose("orders-dlq, about 5 (in all)."), "orders-dlq, about 5 (in all).");
        assert_eq!(prose("<b>|`*_[x](y)"), "&#60;b&#62;&#124;&#96;&#42;&#95;&#91;x&#93;(y)");
        assert_eq!(prose("@team #1"), "@<!-- -->team #<!-- -->1");
        assert_eq!(prose("http://x.example Www.x.example"), "http&#58;//x.example Www&#46;x.example");
        assert_eq!(prose("too_many_stay _x_ arn:aws:sqs"), "too_many_stay &#95;x&#95; arn:aws:sqs");
        assert_eq!(prose("a\n# b"), "a&#92;n#<!-- --> b");
    }
}
