//! A plan as a comment on a pull request: what speaks against it first, then tables, the examples folded.
//!
//! A page that renders this must show what is meant and nothing else: outside tables and fences every piece of text from outside
//! is escaped, so that it makes no markup, no link and mentions nobody.

use std::fmt::Write as _;

use super::super::text::neutral;
use super::text::lines_of;
use super::{
    ages, basis, cost_words, counts, interval, next_step, projected, properties, scope, shown_rules, totals, words_of,
};
use crate::plan::{Estimate, Hazard, Plan};
use crate::words::{moment, thousands};

/// The plan as Markdown. `file` is where it was saved.
pub fn markdown(plan: &Plan, file: Option<&str>) -> String {
    let mut page = String::new();
    let _ = writeln!(page, "## Redrive plan {} for job {}\n", prose(plan.id()), prose(&plan.job.name));
    if let Some(description) = &plan.job.description {
        let _ = writeln!(page, "{}\n", prose(description));
    }
    if !plan.refusals.is_empty() {
        page.push_str("### Refused: apply will not carry this plan out\n\n");
        hazards(&plan.refusals, &mut page);
    }
    if !plan.hazards.is_empty() {
        page.push_str("### What to know\n\n");
        hazards(&plan.hazards, &mut page);
    }
    figures(plan, &mut page);
    queues(plan, &mut page);
    let _ = writeln!(page, "Applying it costs {}.\n", cost_words(&plan.cost));
    examples(plan, &mut page);
    match next_step(plan, file) {
        Ok(command) => {
            page.push_str("Apply it:\n\n");
            fenced("sh", &neutral(&command), &mut page);
        }
        Err(why) => {
            let _ = writeln!(page, "{why}\n");
        }
    }
    let _ = writeln!(
        page,
        "<sub>{}, SHA-256 {}; planned {} by redrive {}, can be applied until {}</sub>",
        prose(&plan.job.file),
        prose(plan.job.sha256.get(..12).unwrap_or_default()),
        moment(plan.created),
        prose(&plan.tool_version),
        moment(plan.expires)
    );
    page
}

fn hazards(hazards: &[Hazard], page: &mut String) {
    for hazard in hazards {
        let _ = writeln!(page, "- **{}**: {}", prose(&hazard.code), prose(&hazard.text));
    }
    page.push('\n');
}

fn figures(plan: &Plan, page: &mut String) {
    let _ = writeln!(page, "### What would happen\n\n{}.\n", basis(plan));
    page.push_str("| rule | outcome | sampled | total | 95 % interval | bytes |\n");
    page.push_str("| --- | --- | ---: | ---: | ---: | ---: |\n");
    for rule in shown_rules(plan) {
        let bound = if rule.bound > 0 { format!("at most {} leave", thousands(rule.bound)) } else { String::new() };
        row(&format!("**{}**", prose(&rule.name)), &bound, rule.estimate, "", page);
        for figures in &rule.outcomes {
            let outcome = prose(&words_of(plan, figures.outcome));
            row("", &outcome, figures.estimate, &projected(plan, figures.bytes), page);
        }
    }
    for (what, estimate) in totals(plan) {
        row("**in all**", what, estimate, "", page);
    }
    page.push('\n');
}

fn row(rule: &str, outcome: &str, estimate: Estimate, bytes: &str, page: &mut String) {
    let _ = writeln!(
        page,
        "| {rule} | {outcome} | {} | {} | {} | {bytes} |",
        thousands(estimate.sampled),
        thousands(estimate.total),
        interval(estimate)
    );
}

fn queues(plan: &Plan, page: &mut String) {
    page.push_str("### Queues\n\n| | what | where | properties |\n| --- | --- | --- | --- |\n");
    let mut source = format!("{}; {}; {}", counts(plan), properties(&plan.source), scope(plan));
    if let Some(ages) = ages(plan) {
        let _ = write!(source, "; {ages}");
    }
    let mut line = |way: &str, what: &str, place: &str, about: &str| {
        let _ = writeln!(page, "| {way} | {} | {} | {} |", prose(what), prose(place), prose(about));
    };
    line("from", plan.source.name(), &plan.source.arn, &source);
    for target in &plan.targets {
        match (&target.queue, &target.location) {
            (Some(queue), _) => line("to", &target.label(), &queue.arn, &properties(queue)),
            (None, Some(location)) => line("to", &target.label(), location, "archive"),
            (None, None) => line("to", &target.label(), "", "deleted, with no copy"),
        }
    }
    page.push('\n');
}

fn examples(plan: &Plan, page: &mut String) {
    if plan.examples.is_empty() {
        return;
    }
    page.push_str("### Examples\n\n");
    for example in &plan.examples {
        let rule = plan.rules.iter().find(|rule| rule.rule == example.rule).map_or("", |rule| &rule.name);
        let title = format!("{rule}, {}: {}", words_of(plan, example.outcome), example.message_id);
        let _ = writeln!(page, "<details><summary>{}</summary>\n", prose(&title));
        if let Some(detail) = &example.detail {
            let _ = writeln!(page, "{}\n", prose(detail));
        }
        let lines: Vec<String> =
            lines_of(example).iter().map(|line| format!("{} {}", line.kind.mark(), line.text)).collect();
        fenced("diff", &lines.join("\n"), page);
        page.push_str("</details>\n\n");
    }
}

/// A code block whose fence is longer than every run of backticks in it.
fn fenced(language: &str, content: &str, page: &mut String) {
    let longest = content.split(|character| character != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let _ = writeln!(page, "{fence}{language}\n{content}\n{fence}\n");
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

    #[test]
    fn a_fence_is_longer_than_what_it_holds() {
        let mut page = String::new();
        fenced("diff", "a\n````\nb", &mut page);
        assert!(page.starts_with("`````diff\n") && page.ends_with("\n`````\n\n"));
    }
}
