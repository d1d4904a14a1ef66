//! A plan for a terminal of 100 columns. It reads without colour.

use std::fmt::Write as _;

use redrive_protocol::target::Target;

use super::super::approvals;
use super::super::diff::lines;
use super::super::report::render_text;
use super::super::text::{Style, neutral, wrapped};
use super::{
    ages, basis, bounds, cost_words, counts, histogram, interval, maker, next_step, projected, properties, scope,
    shown_rules, totals,
};
use crate::plan::{Approver, Estimate, Hazard, Plan};
use crate::words::{count, moment, thousands};

const WIDTH: usize = 100;

/// Columns of the table of figures.
const LABEL: usize = 46;

/// The plan as text. `file` is where it was saved, `approvers` who said yes to it.
pub fn text(plan: &Plan, file: Option<&str>, approvers: &[Approver], style: Style) -> String {
    let mut page = Page { text: String::new(), style };
    head(plan, &mut page);
    if !plan.refusals.is_empty() {
        page.heading(&style.red("REFUSED: apply will not carry this plan out"));
        for refusal in &plan.refusals {
            page.hazard(refusal, true);
        }
    }
    queues(plan, &mut page);
    figures(plan, &mut page);
    page.heading("Cost of applying it");
    page.line(&format!("  {}", cost_words(&plan.cost)));
    if !plan.hazards.is_empty() {
        page.heading(&format!("What to know ({})", count(plan.hazards.len() as u64, "hazard")));
        for hazard in &plan.hazards {
            page.hazard(hazard, false);
        }
    }
    examples(plan, &mut page);
    let approvals = approvals::blocks(approvers);
    if !approvals.is_empty() {
        page.line("");
        page.line(&render_text(&approvals));
    }
    page.line("");
    match next_step(plan, file) {
        Ok(command) => page.line(&format!("Apply it: {}", style.bold(&neutral(&command)))),
        Err(why) => page.line(why),
    }
    page.text
}

struct Page {
    text: String,
    style: Style,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn heading(&mut self, heading: &str) {
        self.line("");
        let heading = self.style.bold(heading).into_owned();
        self.line(&heading);
    }

    /// A paragraph of words that were neutralised before.
    fn words(&mut self, words: &str, first: &str, rest: &str) {
        self.line(&wrapped(words, WIDTH, first, rest));
    }

    fn hazard(&mut self, hazard: &Hazard, refusal: bool) {
        let code = neutral(&hazard.code);
        let code = if refusal { self.style.red(&code) } else { self.style.yellow(&code) }.into_owned();
        self.line(&format!("  {code}"));
        self.words(&neutral(&hazard.text), "    ", "    ");
    }

    fn figures(&mut self, label: &str, estimate: Estimate, bytes: &str) {
        let columns = format!(
            "{:>8}{:>12}{:>23}{bytes:>11}",
            thousands(estimate.sampled),
            thousands(estimate.total),
            interval(estimate)
        );
        if label.chars().count() < LABEL {
            self.line(&format!("{label:LABEL$}{columns}"));
        } else {
            self.line(label);
            self.line(&format!("{:LABEL$}{columns}", ""));
        }
    }
}

fn head(plan: &Plan, page: &mut Page) {
    let title = format!("Plan {} for job {}", neutral(plan.id()), neutral(&plan.job.name));
    page.line(&page.style.bold(&title));
    if let Some(description) = &plan.job.description {
        page.words(&neutral(description), "  ", "  ");
    }
    let made = format!(
        "{}, planned {} {}, can be applied until {}",
        neutral(&plan.job.file),
        moment(plan.created),
        neutral(&maker(plan)),
        moment(plan.expires)
    );
    page.words(&made, "  ", "  ");
}

fn queues(plan: &Plan, page: &mut Page) {
    page.heading("From");
    page.line(&format!("  {}, {}", neutral(plan.source.name()), counts(plan)));
    page.line(&format!("    {}", neutral(&plan.source.arn)));
    page.words(&neutral(&properties(&plan.source)), "    ", "    ");
    if let Some(ages) = ages(plan) {
        page.words(&ages, "    ", "    ");
    }
    for line in histogram(plan) {
        page.line(&format!("      {line}"));
    }
    page.words(&scope(plan), "    ", "    ");
    page.heading("To");
    for target in &plan.targets {
        page.line(&format!("  {}", neutral(&target.label())));
        match target {
            Target { queue: Some(queue), .. } => {
                page.line(&format!("    {}", neutral(&queue.arn)));
                page.words(&neutral(&properties(queue)), "    ", "    ");
            }
            Target { location: Some(location), .. } => page.line(&format!("    {}", neutral(location))),
            Target { .. } => page.line("    deleted, with no copy"),
        }
    }
}

fn figures(plan: &Plan, page: &mut Page) {
    page.heading(&format!("What would happen ({})", basis(plan)));
    let head = format!("{:LABEL$}{:>8}{:>12}{:>23}{:>11}", "", "sampled", "total", "95 % interval", "bytes");
    page.line(&page.style.dim(&head));
    for rule in shown_rules(plan) {
        page.figures(&format!("  {}", neutral(&rule.name)), rule.estimate, "");
        for figures in &rule.outcomes {
            let label = format!("    {}", neutral(&plan.words_of(figures.outcome)));
            page.figures(&label, figures.estimate, &projected(plan, figures.bytes));
        }
        if let Some(bounds) = bounds(rule) {
            page.line(&page.style.dim(&format!("    {bounds}")));
        }
    }
    page.line("");
    for (what, estimate) in totals(plan) {
        page.figures(&format!("  {what}"), estimate, "");
    }
}

fn examples(plan: &Plan, page: &mut Page) {
    if plan.examples.is_empty() {
        return;
    }
    page.heading("Examples");
    for example in &plan.examples {
        let rule = plan.rules.iter().find(|rule| rule.rule == example.rule).map_or("", |rule| &rule.name);
        let mut title = format!("{rule}, {}: {}", plan.words_of(example.outcome), example.message_id);
        if let Some(sent) = example.sent {
            let _ = write!(title, ", sent {}", moment(sent));
        }
        page.words(&neutral(&title), "  ", "    ");
        if let Some(detail) = &example.detail {
            page.words(&neutral(detail), "    ", "    ");
        }
        for line in lines(&example.before, example.after.as_ref()) {
            page.line(&format!("    {}", line.painted(page.style)));
        }
    }
}
