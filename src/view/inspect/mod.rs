//! What is in a queue, as a document and, in `json`, as JSON: groups of messages by what went wrong, and the rule for each. Takes
//! what `redrive_groups` found; `example` redacts messages before anything is made of them.

mod example;
mod json;

use std::fmt::Write as _;

use jiff::Timestamp;
use redrive_groups::{Fact, Finding, Group, Split, Spread, Suggestion, opened, rule_toml};
use redrive_protocol::message::{Attributes, Message, MessageId, SystemAttributes};
use redrive_protocol::target::KEEP;
use redrive_rules::job::Condition;
use redrive_rules::rule::Veil;

use self::example::Example;
use super::document::{Block, Column, Document, Line, Severity, heading, ours, plain, prose, row, theirs};
use super::plan::label;
use super::units::{grouped, messages, time};
use crate::error::{Error, Result};
use crate::plan::{Basis, Estimate, Sample, ages};
use crate::sqs::QueueAttributes;
use crate::words::{bytes, count, thousands};

pub use self::json::{groups, looked};

/// A split that explains less than this share is not worth a word.
const LEAST_EXPLAINED: f64 = 0.01;

/// Queues that messages of a group came from, by name.
const MOST_SOURCES: usize = 5;

/// Messages that were looked at, and what was found.
#[derive(Debug)]
pub struct Inspection {
    /// Where they are.
    pub source: Source,
    /// When they were looked at.
    pub now: Timestamp,
    /// What the figures rest on.
    pub sample: Sample,
    /// The groups.
    pub finding: Finding,
    /// Paths and attributes whose values are hidden.
    pub redact: Vec<String>,
}

/// Where messages were looked at.
#[derive(Debug)]
pub enum Source {
    /// A queue, as it was just before.
    Queue(Box<QueueAttributes>),
    /// A file, by its name.
    File(String),
}

impl Source {
    fn name(&self) -> &str {
        match self {
            Self::Queue(queue) => queue.name(),
            Self::File(name) => name,
        }
    }
}

/// Refuses paths that are none before anything is received.
pub fn check_redaction(redact: &[String]) -> Result<()> {
    let nothing = Message {
        id: MessageId::new(""),
        body: String::new(),
        attributes: Attributes::new(),
        system: SystemAttributes::default(),
        payload: None,
    };
    Veil::with(redact, &nothing, |_| ()).map_err(|why| Error::usage(format!("--redact {why}")))
}

/// The document for a person, with the examples whole or their first lines.
pub fn document(inspection: &Inspection, full: bool) -> Document {
    let Inspection { source, finding, sample, .. } = inspection;
    let mut blocks = vec![Block::Title(ours("What is in ").theirs(source.name())), headline(finding)];
    blocks.push(Block::Paragraph(prose(basis(inspection))));
    if !finding.groups.is_empty() {
        blocks.push(overview(inspection));
        blocks.extend(told_apart(&finding.splits));
    }
    for (position, group) in finding.groups.iter().enumerate() {
        let title = plain(grouped(position as u64 + 1)).ours(". ").theirs(&group.name);
        blocks.push(Block::Card(title, card(inspection, group, full)));
    }
    if let Some(others) = &finding.others {
        let mut card =
            vec![Block::Paragraph(ours("Messages that are too few of a kind, or have nothing in common with others."))];
        card.extend(figures(inspection, others));
        card.extend(Example::of(inspection, others).map(|one| one.block(full)));
        blocks.push(Block::Card(ours("Other"), card));
    }
    if let (Source::Queue(queue), true) = (source, sample.messages > 0) {
        let named = if queue.url.is_empty() { queue.arn.as_str() } else { queue.name() };
        blocks.extend([
            heading("Next step"),
            Block::Paragraph(ours(
                "A job with these rules, each of which keeps its messages until you say where they go:",
            )),
            Block::Command(format!("redrive init {} --out job.toml", crate::words::quoted(named))),
        ]);
    }
    Document::new(blocks)
}

fn headline(finding: &Finding) -> Block {
    let groups = finding.groups.len() as u64;
    let Some(largest) = finding.groups.first() else {
        return Block::Headline(
            Severity::Good,
            match finding.looked {
                0 => ours("No messages were found."),
                looked => plain(messages(looked)).ours(", no two of a kind."),
            },
        );
    };
    let line = plain(messages(finding.looked)).ours(" in ").prose(count(groups, "group")).ours("; the largest: ");
    let line = line.theirs(&largest.name).ours(", ").prose(share(largest.messages, finding.grouped())).ours(".");
    Block::Headline(Severity::Note, line)
}

/// How much was looked at, and what that did.
fn basis(inspection: &Inspection) -> String {
    let Inspection { sample, finding, .. } = inspection;
    let looked = count(sample.messages, "message");
    let population = thousands(sample.population);
    let mut text = match (&inspection.source, sample.basis) {
        (Source::File(_), Basis::Whole) => format!("All of the file: {looked}."),
        (Source::File(_), _) => {
            format!("{looked}, drawn at random out of {population} in the file; totals are estimates.")
        }
        (Source::Queue(_), _) if sample.whole_queue => format!("The whole queue was examined: {looked}."),
        (Source::Queue(_), Basis::Whole) => {
            format!("All that could be received was examined: {looked} of about {population}.")
        }
        (Source::Queue(_), Basis::Even { .. }) => {
            format!("{looked} of about {population} were examined; totals are estimates with their 95 % interval.")
        }
        (Source::Queue(_), Basis::Uneven(_)) => {
            format!("{looked} of about {population} were examined, which say nothing about the others: no totals.")
        }
    };
    if let Source::Queue(_) = inspection.source
        && sample.messages > 0
    {
        text.push_str(" Examining them raised the receive count of each by one; ");
        match sample.not_given_back {
            0 => text.push_str("all were given back at once."),
            some => {
                let some = count(some, "message");
                let _ = write!(text, "{some} could not be given back at once and come back by themselves.");
            }
        }
    }
    if finding.kept < finding.grouped() {
        let _ = write!(text, " Rules were tried on {} of them, drawn at random.", thousands(finding.kept));
    }
    text
}

fn overview(inspection: &Inspection) -> Block {
    let columns =
        vec![Column::text("group"), Column::number("messages"), Column::number("share"), Column::number("total")];
    let all = inspection.finding.grouped();
    let of = |name: Line, group: &Group| {
        let estimate = inspection.sample.estimate_of(group.messages);
        row(vec![name, plain(grouped(group.messages)), prose(share(group.messages, all)), prose(total(estimate))])
    };
    let groups = inspection.finding.groups.iter().enumerate();
    let mut rows: Vec<_> = groups
        .map(|(position, group)| of(plain(grouped(position as u64 + 1)).ours(". ").theirs(&group.name), group))
        .collect();
    rows.extend(inspection.finding.others.iter().map(|others| of(ours("other"), others)));
    Block::Table(columns, rows)
}

/// What tells the groups apart, the split that explains most first.
fn told_apart(splits: &[Split]) -> Option<Block> {
    let (first, others) = splits.split_first()?;
    let share = |split: &Split| format!(" ({:.1} %)", 100.0 * split.explains);
    let mut line = ours("What tells them apart: ").theirs(&first.place).prose(share(first));
    for split in others.iter().take_while(|split| split.explains >= LEAST_EXPLAINED) {
        line = line.ours(", then ").theirs(&split.place).prose(share(split));
    }
    Some(Block::Paragraph(line.ours(".")))
}

fn card(inspection: &Inspection, group: &Group, full: bool) -> Vec<Block> {
    let mut blocks = figures(inspection, group);
    match &group.rule {
        Some(rule) => {
            blocks.push(Block::Paragraph(ours("The rule that takes it, ").prose(tried(rule)).ours(":")));
            blocks.push(Block::Toml(rule_toml(&group.name, &rule.when, KEEP)));
            blocks.extend(of_base64(rule).map(|words| Block::Paragraph(ours(words))));
        }
        None => blocks.push(Block::Paragraph(ours(no_rule(group)))),
    }
    blocks.extend(Example::of(inspection, group).map(|one| one.block(full)));
    blocks
}

/// What there is to know about a rule for bodies in Base64. No other rule of ours has a pattern.
pub fn of_base64(rule: &Suggestion) -> Option<&'static str> {
    let is_pattern = |condition: &Condition| condition.message.is_some() && condition.regex.is_some();
    rule.when.iter().any(is_pattern).then_some(
        "The bodies are JSON in Base64. The pattern is a word of it as Base64 writes it, in the three forms that it has.",
    )
}

/// Why a group has no rule.
pub fn no_rule(group: &Group) -> &'static str {
    if group.example.as_ref().is_some_and(|message| opened(message.shown()).is_some()) {
        "No rule takes it: its bodies are JSON in Base64, conditions look at a body as it is written, and no word was found that all \
         of these have and no others. A message attribute that tells them apart would make a rule of it."
    } else if group.facts.iter().any(Fact::is_redacted) {
        "No rule is shown: what tells its messages apart from others is redacted."
    } else {
        "No short rule takes it."
    }
}

/// How well a rule does on what was looked at.
fn tried(rule: &Suggestion) -> String {
    if rule.right == rule.wanted && rule.right == rule.taken {
        return format!("exactly, of the {} it was tried on", count(rule.tried, "message"));
    }
    format!(
        "tried on {}: {} of its {} messages, and {} others (precision {:.1} %, recall {:.1} %)",
        count(rule.tried, "message"),
        thousands(rule.right),
        thousands(rule.wanted),
        thousands(rule.taken - rule.right),
        100.0 * rule.precision(),
        100.0 * rule.recall()
    )
}

fn figures(inspection: &Inspection, group: &Group) -> Vec<Block> {
    let mut facts: Vec<(Line, Line)> = Vec::new();
    for fact in &group.facts {
        facts.push((ours("in common"), theirs(&fact.place).ours(": ").theirs(&fact.value)));
    }
    let all = inspection.finding.grouped();
    let estimate = inspection.sample.estimate_of(group.messages);
    let number = plain(messages(group.messages)).ours(", ").prose(share(group.messages, all));
    facts.push((
        ours("how many"),
        if estimate.is_interval && estimate.low != estimate.high {
            number.ours("; in all ").prose(total(estimate))
        } else {
            number
        },
    ));
    let at = |sent: Option<&i64>| sent.and_then(|sent| Timestamp::from_millisecond(*sent).ok());
    if let (Some(first), Some(last)) = (at(group.sent.first()), at(group.sent.last())) {
        facts.push((ours("sent"), plain(time(first)).ours(" to ").plain(time(last))));
    }
    if group.receives.most > 0 {
        facts.push((ours("receive counts"), prose(spread(group.receives, |number| number.to_string()))));
    }
    facts.push((ours("sizes"), prose(spread(group.sizes, |size| bytes(size.into())))));
    for (arn, number) in group.sources.iter().take(MOST_SOURCES) {
        let name = arn.as_deref().map_or("a queue that is not known", |arn| arn.rsplit(':').next().unwrap_or(arn));
        facts.push((ours("from"), theirs(name).ours(": ").number(*number)));
    }
    if let Some(others @ [_, ..]) = group.sources.get(MOST_SOURCES..) {
        let all = others.iter().map(|(_, number)| number).sum();
        facts.push((ours("from"), prose(count(others.len() as u64, "other queue")).ours(": ").number(all)));
    }
    if !group.envelopes.is_empty() {
        let envelopes: Vec<&str> = group.envelopes.iter().map(|envelope| envelope.words()).collect();
        facts.push((ours("form"), prose(envelopes.join(", "))));
    }
    for varies in &group.varies {
        let values =
            varies.values.iter().map(|(value, number)| format!("{value} ({})", share(*number, varies.messages)));
        let mut line = theirs(&varies.place).ours(": ").theirs(values.collect::<Vec<_>>().join(", "));
        if varies.distinct > varies.values.len() {
            line = line.ours(" and ").number((varies.distinct - varies.values.len()) as u64).ours(" more");
        }
        facts.push((ours("varies"), line));
    }
    let mut blocks = vec![Block::Facts(facts)];
    let bars: Vec<(Line, u64)> =
        ages(&group.sent, inspection.now).iter().map(|age| (label(age), age.messages)).collect();
    if bars.len() > 1 {
        blocks.extend([Block::Paragraph(ours("How long ago they were sent:")), Block::Bars(bars)]);
    }
    blocks
}

fn spread(Spread { least, middle, most }: Spread, shown: impl Fn(u32) -> String) -> String {
    if least == most {
        return shown(least);
    }
    format!("{} to {}, half of them at most {}", shown(least), shown(most), shown(middle))
}

fn share(part: u64, whole: u64) -> String {
    let tenths = (u128::from(part) * 1000 + u128::from(whole) / 2).checked_div(u128::from(whole)).unwrap_or(0);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

fn total(estimate: Estimate) -> String {
    match (estimate.is_interval, estimate.low == estimate.high) {
        (false, _) => "unknown".to_owned(),
        (true, true) => thousands(estimate.total),
        (true, false) => {
            format!("about {} ({} to {})", thousands(estimate.total), thousands(estimate.low), thousands(estimate.high))
        }
    }
}

#[cfg(test)]
mod tests;
