//! A plan as people read it: [`text`] for a terminal, [`markdown`] for a pull request, [`json`] for programs. Pure: a plan goes in,
//! a string comes out. Whatever a plan holds came from outside, from messages, servers or a file that anybody may have written,
//! so nothing reaches a string without being neutralised.

mod markdown;
mod text;

use std::fmt::Write as _;

use crate::error::Result;
use crate::plan::{AgeCount, Cost, Estimate, Plan, RuleFigures};
use crate::sqs::QueueAttributes;
use crate::words::{bytes, count, dollars, duration, moment, thousands};

pub use markdown::markdown;
use redrive_protocol::target::RuleId;
pub use text::text;

/// The document itself, as `--out` writes it.
pub fn json(plan: &Plan) -> Result<String> {
    crate::plan::to_text(plan)
}

/// Rules that a reader wants to see: all but `out of scope`, where nothing is.
fn shown_rules(plan: &Plan) -> impl Iterator<Item = &RuleFigures> {
    plan.rules.iter().filter(|rule| rule.rule != RuleId::OUT_OF_SCOPE || rule.estimate.sampled > 0)
}

/// The bounds of a rule: with one message more, apply stops as drifted.
fn bounds(rule: &RuleFigures) -> Option<String> {
    match (rule.bound, rule.bound_staying.map(thousands)) {
        (0, None) => None,
        (0, Some(staying)) => Some(format!("at most {staying} may stay by it")),
        (leaving, None) => Some(format!("at most {} may leave by it", thousands(leaving))),
        (leaving, Some(staying)) => Some(format!("at most {} may leave by it, and {staying} stay", thousands(leaving))),
    }
}

/// The 95 % interval, or that there is none to give.
fn interval(estimate: Estimate) -> String {
    if estimate.low == estimate.high {
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
        format!("exact: {} looked at, and apply moves none but these", count(messages, "message"))
    } else if plan.sample.whole_queue {
        format!("{} looked at: the whole queue", count(messages, "message"))
    } else {
        let population = count(plan.sample.population, "message");
        format!("{} of about {population} looked at; totals with their 95 % interval", thousands(messages))
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
    let mut text = format!("about {}", count(counts.visible, "message"));
    for (number, what) in [(counts.in_flight, "in flight"), (counts.delayed, "delayed")] {
        if number > 0 {
            let _ = write!(text, ", {} {what}", thousands(number));
        }
    }
    text
}

/// When messages were sent, and when the oldest is gone.
fn ages(plan: &Plan) -> Option<String> {
    let (oldest, newest) = (plan.sample.oldest?, plan.sample.newest?);
    let keeps = std::time::Duration::from_secs(plan.source.message_retention_seconds);
    let gone = oldest.checked_add(keeps).map_or_else(|_| "never".to_owned(), moment);
    Some(format!("sampled ones sent {} to {}; the oldest expires {gone}", moment(oldest), moment(newest)))
}

/// How old the sampled messages were, as bars: one line an age. Made of numbers alone.
fn histogram(plan: &Plan) -> Vec<String> {
    /// The longest bar.
    const BAR: u64 = 40;
    let ages = &plan.sample.ages;
    let label = |age: &AgeCount| match (age.from, age.to) {
        (0, Some(to)) => format!("under {}", duration(to)),
        (from, Some(to)) => format!("{} to {}", duration(from), duration(to)),
        (from, None) => format!("over {}", duration(from)),
    };
    let most = ages.iter().map(|age| age.messages).max().unwrap_or(0).max(1);
    let line = |age: &AgeCount| {
        // What is there is seen, however few they are.
        let length = (u128::from(age.messages) * u128::from(BAR)).div_ceil(u128::from(most));
        let bar = "█".repeat(usize::try_from(length).unwrap_or_default());
        format!("{:10} {:>9} {bar}", label(age), thousands(age.messages)).trim_end().to_owned()
    };
    ages.iter().map(line).collect()
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
    let mut text = format!("about {}", count(cost.sqs_requests, "SQS request"));
    if cost.s3_requests > 0 {
        let _ = write!(text, " and {}", count(cost.s3_requests, "S3 request"));
    }
    let pace = cost
        .seconds_at_rate
        .map_or_else(|| "no rate limit".to_owned(), |seconds| format!("{} at the job's rate", duration(seconds)));
    format!("{text}, {} at list price, {pace}", dollars(cost.micro_usd))
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

/// Bytes of an outcome, projected on the queue.
fn projected(plan: &Plan, sampled: u64) -> String {
    bytes(plan.projected_bytes(sampled))
}

/// The command that applies the plan, or why there is none.
fn next_step(plan: &Plan, file: Option<&str>) -> Result<String, &'static str> {
    if !plan.refusals.is_empty() {
        return Err("Apply refuses this plan; the reasons are above.");
    }
    file.map(|file| format!("redrive apply {}", quoted(file)))
        .ok_or("This plan is not saved; `redrive plan --out FILE` saves one that can be reviewed and applied.")
}

/// A file name as a shell takes it.
fn quoted(file: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "/._-+,=@%".contains(character);
    if !file.is_empty() && !file.starts_with('-') && file.chars().all(plain) {
        file.to_owned()
    } else if file.starts_with('-') {
        format!("'./{}'", file.replace('\'', r"'\''"))
    } else {
        format!("'{}'", file.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests;
