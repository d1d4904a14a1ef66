//! A plan as people read it. Pure: a plan goes in, a document comes out.

mod risks;

pub use risks::headline;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::document::{Block, Column, Document, Line, Row};
use super::document::{heading, ours, plain, prose, row, theirs};
use super::units::{grouped, time};
use super::wire::escape;
use super::{approvals, diff};
use crate::error::Result;
use crate::plan::{AgeCount, Approver, Basis, Caller, Cost, Estimate, Example, Identity, Plan, Point, RuleFigures};
use crate::sqs::QueueAttributes;
use crate::words::{bytes, count, dollars, duration, moment, number_or_unknown, quoted, thousands};
use redrive_protocol::target::RuleId;

/// The document itself, for a program: as `--out` writes it, but for escapes of what could drive a terminal, which mean the same.
pub fn json(plan: &Plan) -> Result<String> {
    crate::plan::to_text(plan).map(|text| escape(&text))
}

/// How much of a plan is shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct Detail {
    /// The notes as well, and examples whole.
    pub full: bool,
    /// Examples of each rule and outcome; `None`: as many as the plan holds.
    pub examples: Option<usize>,
}

/// The plan for a person. `file` is where it was saved, `approvers` who approved it.
pub fn document(plan: &Plan, file: Option<&str>, approvers: &[Approver], detail: Detail) -> Document {
    let mut blocks = vec![Block::Title(ours("Plan ").theirs(plan.id()).ours(" for job ").theirs(&plan.job.name))];
    blocks.push(risks::headline_block(plan));
    blocks.extend(plan.job.description.as_ref().map(|text| Block::Paragraph(prose(text))));
    blocks.extend(risks::blocks(plan, detail));
    blocks.extend(figures(plan));
    blocks.extend([heading("Cost of applying it"), Block::Paragraph(prose(cost_words(&plan.cost)))]);
    blocks.extend(places(plan));
    if !plan.examples.is_empty() {
        blocks.push(heading("Examples"));
        let mut of_one = BTreeMap::new();
        blocks.extend(plan.examples.iter().filter_map(|example| {
            let number = of_one.entry((example.rule, example.outcome)).or_insert(0);
            *number += 1;
            (*number <= detail.examples.unwrap_or(usize::MAX)).then(|| shown(plan, example, detail))
        }));
    }
    blocks.extend(approvals::blocks(approvers));
    blocks.extend([heading("About this plan"), Block::Facts(facts(plan)), heading("Next step")]);
    blocks.extend(next_step(plan, file));
    Document::new(blocks)
}

/// What would happen, in numbers.
fn figures(plan: &Plan) -> [Block; 3] {
    let columns = vec![
        Column::text("rule and outcome"),
        Column::number("sampled"),
        Column::number("total"),
        Column::number("95 % interval"),
        Column::number("bytes"),
    ];
    let cells = |label: Line, estimate: Estimate, bytes: String| -> Row {
        let sampled = plain(grouped(estimate.sampled));
        let total = if estimate.is_interval { plain(grouped(estimate.total)) } else { ours("unknown") };
        row(vec![label, sampled, total, prose(interval(estimate)), prose(bytes)])
    };
    let mut rows = Vec::new();
    for rule in shown_rules(plan) {
        rows.push(cells(theirs(&rule.name), rule.estimate, String::new()));
        for figures in &rule.outcomes {
            let bytes = bytes(plan.projected_bytes(figures.bytes));
            rows.push(cells(prose(plan.words_of(figures.outcome)), figures.estimate, bytes).nested());
        }
        rows.extend(limits(rule).map(|limits| Row::remark(prose(limits))));
    }
    let all = totals(plan).map(|(what, estimate)| cells(ours("all rules: ").ours(what), estimate, String::new()));
    rows.extend(all);
    [heading("What would happen"), Block::Paragraph(prose(basis(plan))), Block::Table(columns, rows)]
}

/// Where messages come from and go to.
fn places(plan: &Plan) -> Vec<Block> {
    let mut from = vec![
        (ours("queue"), theirs(plan.source.name()).ours(", ").prose(counts(plan))),
        (ours("ARN"), theirs(&plan.source.arn)),
        (ours("properties"), prose(properties(&plan.source))),
        (ours("scope"), prose(scope(plan))),
    ];
    from.extend(ages(plan).map(|ages| (ours("ages"), prose(ages))));
    let to = plan.targets.iter().map(|target| {
        let place = match (&target.queue, &target.location) {
            (Some(queue), _) => theirs(&queue.arn).ours(": ").prose(properties(queue)),
            (None, Some(location)) => theirs(location),
            (None, None) => ours("deleted, without a copy"),
        };
        (prose(target.label()), place)
    });
    let mut blocks = vec![heading("From"), Block::Facts(from)];
    if !plan.sample.ages.is_empty() {
        blocks.push(Block::Paragraph(ours("Ages of the sampled messages:")));
        blocks.push(Block::Bars(plan.sample.ages.iter().map(|age| (label(age), age.messages)).collect()));
    }
    blocks.push(heading("To"));
    blocks.push(if plan.targets.is_empty() {
        Block::Paragraph(ours("Nowhere: every message stays."))
    } else {
        Block::Facts(to.collect())
    });
    if !plan.callers.is_empty() {
        blocks.extend([heading("Called as"), Block::Facts(callers(plan))]);
    }
    blocks
}

/// Region, endpoint and identity by place, those that are the same in one line.
fn callers(plan: &Plan) -> Vec<(Line, Line)> {
    let mut lines: Vec<(String, String)> = Vec::new();
    for Caller { place, region, endpoint, credentials, identity } in &plan.callers {
        let at = endpoint.as_ref().map(|endpoint| format!(", at {endpoint}")).unwrap_or_default();
        let who = match identity {
            Some(Identity { account, arn }) => format!("account {account}, {arn}, with {credentials}"),
            None => format!("with {credentials}; STS did not say whose they are"),
        };
        let line = format!("{region}{at}, {who}");
        match lines.iter_mut().find(|(_, known)| *known == line) {
            Some((places, _)) => places.extend([", ", place.as_str()]),
            None => lines.push((place.clone(), line)),
        }
    }
    lines.into_iter().map(|(places, line)| (prose(places), prose(line))).collect()
}

fn shown(plan: &Plan, example: &Example, detail: Detail) -> Block {
    let rule = plan.rules.iter().find(|rule| rule.rule == example.rule).map_or("", |rule| &rule.name);
    let title = format!("{rule}, {}: {}", plan.words_of(example.outcome), example.message_id);
    let title = match example.sent {
        Some(sent) => prose(title).ours(", sent ").plain(time(sent)),
        None => prose(title),
    };
    let mut blocks: Vec<Block> = example.detail.iter().map(|detail| Block::Paragraph(prose(detail))).collect();
    let point = |name, point: &Point| (ours(name), prose(format!("{}: {}", point.of, point.found)));
    let asked = example.asked.iter().map(|asked| point("asked", asked));
    let points: Vec<_> = asked.chain(example.errors.iter().map(|error| point("error", error))).collect();
    // What a message looks like is said by its points; without any, by how it begins.
    let is_closed = !points.is_empty() && example.after.is_none() && !detail.full;
    if !points.is_empty() {
        blocks.push(Block::Facts(points));
    }
    let diff = Block::Diff(diff::lines(&example.before, example.after.as_ref(), detail.full || is_closed));
    blocks.push(if is_closed { Block::Closed(ours("the whole message"), vec![diff]) } else { diff });
    Block::Fold(title, blocks)
}

fn facts(plan: &Plan) -> Vec<(Line, Line)> {
    let sha256 = plan.job.sha256.get(..12).unwrap_or(&plan.job.sha256);
    vec![
        (ours("job"), theirs(&plan.job.file).ours(", SHA-256 ").prose(sha256)),
        (ours("made"), plain(time(plan.created)).ours(" ").prose(maker(plan))),
        (ours("expires"), plain(time(plan.expires))),
    ]
}

/// Rules that a reader wants to see: all but `out of scope`, where nothing is.
fn shown_rules(plan: &Plan) -> impl Iterator<Item = &RuleFigures> {
    plan.rules.iter().filter(|rule| rule.rule != RuleId::OUT_OF_SCOPE || rule.estimate.sampled > 0)
}

/// The limits of a rule: with one message more, apply stops as drifted.
fn limits(rule: &RuleFigures) -> Option<String> {
    match (rule.bound, rule.bound_staying.map(thousands)) {
        (Some(0), None) => None,
        (Some(0), Some(staying)) => Some(format!("limit: leaves at most {staying}")),
        (Some(leaving), None) => Some(format!("limit: moves at most {}", thousands(leaving))),
        (None, _) => Some("no limit: the sample does not speak for the queue".to_owned()),
        (Some(leaving), Some(staying)) => {
            Some(format!("limit: moves at most {}, leaves at most {staying}", thousands(leaving)))
        }
    }
}

/// The 95 % interval, or that there is none to give.
fn interval(estimate: Estimate) -> String {
    if !estimate.is_interval {
        "unknown".to_owned()
    } else if estimate.low == estimate.high {
        "exact".to_owned()
    } else {
        format!("{} to {}", thousands(estimate.low), thousands(estimate.high))
    }
}

/// Who and what made the plan.
fn maker(plan: &Plan) -> String {
    match &plan.author {
        Some(author) => format!("by {author} with redrive {}", plan.tool_version),
        None => format!("by redrive {}", plan.tool_version),
    }
}

/// How much of the queue the figures rest on.
fn basis(plan: &Plan) -> String {
    let messages = plan.sample.messages;
    if plan.pins.is_some() {
        format!("Exact: {} examined; apply moves only these.", count(messages, "message"))
    } else if plan.sample.whole_queue {
        format!("Exact: the whole queue was examined, {}.", count(messages, "message"))
    } else {
        let population = count(plan.sample.population, "message");
        let messages = thousands(messages);
        match plan.sample.basis {
            Basis::Whole => {
                format!("Exact: all that could be received was examined, {messages} of about {population}.")
            }
            Basis::Even { .. } => {
                format!("Estimated from {messages} of about {population}; totals with their 95 % interval.")
            }
            Basis::Uneven(_) => {
                format!(
                    "{messages} of about {population} were examined, which say nothing about the others: no totals."
                )
            }
        }
    }
}

/// What a queue is like, in a few words.
fn properties(queue: &QueueAttributes) -> String {
    let kind = if queue.fifo { "FIFO queue" } else { "standard queue" };
    let redrives = queue.redrive_policy.as_ref().map_or_else(
        || "no redrive policy".to_owned(),
        |policy| {
            let to = policy.dead_letter_target_arn.rsplit(':').next().unwrap_or_default();
            format!("redrives to {to} after {}", count(policy.max_receive_count.into(), "receive"))
        },
    );
    let key = queue.kms_key.as_ref().map_or_else(|| "no KMS key".to_owned(), |key| format!("KMS key {key}"));
    format!("{kind}, {redrives}, {key}, keeps messages {}", duration(queue.message_retention_seconds))
}

/// How full the source is.
fn counts(plan: &Plan) -> String {
    let counts = plan.source.counts;
    let mut text = match counts.visible {
        Some(visible) => format!("about {}", count(visible, "message")),
        None => "an unknown number of messages".to_owned(),
    };
    for (number, what) in [(counts.in_flight, "in flight"), (counts.delayed, "delayed")] {
        if number != Some(0) {
            let _ = write!(text, ", {} {what}", number_or_unknown(number));
        }
    }
    text
}

/// When messages were sent, and when the oldest is gone.
fn ages(plan: &Plan) -> Option<String> {
    let (oldest, newest) = (plan.sample.oldest?, plan.sample.newest?);
    let keeps = std::time::Duration::from_secs(plan.source.message_retention_seconds);
    let gone = oldest.checked_add(keeps).map_or_else(|_| "never".to_owned(), moment);
    Some(format!("sampled messages were sent {} to {}; the oldest expires {gone}", moment(oldest), moment(newest)))
}

pub(super) fn label(age: &AgeCount) -> Line {
    prose(match (age.from, age.to) {
        (0, Some(to)) => format!("under {}", duration(to)),
        (from, Some(to)) => format!("{} to {}", duration(from), duration(to)),
        (from, None) => format!("over {}", duration(from)),
    })
}

/// Which messages are in scope at all.
fn scope(plan: &Plan) -> String {
    let before = moment(plan.sent_before);
    match plan.sent_after {
        Some(after) => format!("only messages sent after {} and before {before}", moment(after)),
        None => format!("only messages sent before {before}"),
    }
}

/// Requests, money and time.
fn cost_words(cost: &Cost) -> String {
    let mut text = format!("About {}", count(cost.sqs_requests, "SQS request"));
    if cost.s3_requests > 0 {
        let _ = write!(text, " and {}", count(cost.s3_requests, "S3 request"));
    }
    let pace = cost
        .seconds_at_rate
        .map_or_else(|| "no rate limit".to_owned(), |seconds| format!("{} at the job's rate", duration(seconds)));
    format!("{text}, {} at list price, {pace}.", dollars(cost.micro_usd))
}

/// The totals by what becomes of messages; without those that cannot be.
fn totals(plan: &Plan) -> impl Iterator<Item = (&'static str, Estimate)> {
    let totals = plan.totals();
    let all = [
        ("moved", totals.moved),
        ("archived", totals.archived),
        ("dropped", totals.dropped),
        ("kept", totals.kept),
        ("blocked", totals.blocked),
    ];
    all.into_iter().filter(|(what, estimate)| *what == "moved" || estimate.high > 0)
}

/// The command that applies the plan, or why there is none.
fn next_step(plan: &Plan, file: Option<&str>) -> Vec<Block> {
    if !plan.refusals.is_empty() {
        return vec![Block::Paragraph(ours("Apply refuses this plan; the reasons are above."))];
    }
    match file {
        Some(file) => {
            vec![Block::Paragraph(ours("Apply it:")), Block::Command(format!("redrive apply {}", quoted(file)))]
        }
        None => vec![Block::Paragraph(
            ours("This plan is not saved. ").code("redrive plan --out FILE").ours(" saves one to review and apply."),
        )],
    }
}

#[cfg(test)]
mod tests;
