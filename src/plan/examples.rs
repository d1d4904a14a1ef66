//! Examples: a few messages of each outcome before and after, redacted and shortened before they are kept. No body reaches the
//! plan in another way.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use redrive_protocol::message::{Attribute, Attributes, Message, MessageId, Outgoing};
use redrive_protocol::target::RuleId;
use redrive_rules::job::Job;
use redrive_rules::rule::{Explanation, Rules, Setting, Veil};

use super::document::{Example, Outcome, Point, Shown};
use super::points::{self, shorten};

/// Bytes of a body that are kept.
const MAX_BODY: usize = 4 * 1024;

/// Bytes of an attribute's value that are kept.
const MAX_VALUE: usize = 256;

/// Bytes of a detail that are kept; it may quote what was found in a message.
const MAX_DETAIL: usize = 256;

/// Examples of an outcome that changes messages, and of one that does not, if nobody says how many.
const CHANGED: usize = 3;
const UNCHANGED: usize = 2;

/// What makes one message a better example than another: it is shown whole; it is older. So the same messages give the same
/// examples, in whatever order they come.
type Rank = (bool, Option<Timestamp>, MessageId);

/// Collects examples of each rule and outcome: of messages with different errors first, the best of each.
pub(super) struct Examples<'a> {
    job: &'a Job,
    rules: &'a Rules,
    /// How many of each, if somebody said.
    most: Option<usize>,
    taken: BTreeMap<(RuleId, Outcome), Vec<Kept>>,
}

struct Kept {
    rank: Rank,
    likeness: String,
    example: Example,
}

impl<'a> Examples<'a> {
    pub(super) fn new(job: &'a Job, rules: &'a Rules, most: Option<usize>) -> Self {
        Self { job, rules, most, taken: BTreeMap::new() }
    }

    /// Offers a message. `outgoing` is what would be sent, if it goes to a queue.
    pub(super) fn offer(
        &mut self,
        (rule, outcome): (RuleId, Outcome),
        before: &Message,
        outgoing: Option<&Outgoing>,
        detail: Option<&str>,
        setting: &Setting,
    ) {
        let most = self.most.unwrap_or(CHANGED);
        let changed =
            outgoing.filter(|after| after.body.as_str() != before.body || after.attributes != before.attributes);
        let fits = |body: &str| body.len() <= MAX_BODY;
        let is_whole = fits(before.shown()) && changed.is_none_or(|after| fits(after.shown(before)));
        let rank: Rank = (!is_whole, before.system.sent_timestamp(), before.id.clone());
        let errors = errors(self.rules, before);
        let likeness = points::likeness(&errors);
        let kept = self.taken.entry((rule, outcome)).or_default();
        if !is_wanted(kept, &rank, &likeness, most) {
            return;
        }
        let (shown, after) = Shown::of(self.rules, before, changed);
        let example = Example {
            rule,
            outcome,
            message_id: before.id.to_string(),
            sent: before.system.sent_timestamp(),
            asked: asked(self.rules.explain(self.job, before, setting)),
            errors,
            before: shown,
            after,
            detail: detail.map(|detail| shorten(detail.to_owned(), MAX_DETAIL)),
        };
        kept.push(Kept { rank, likeness, example });
        kept.sort_by(|one, other| one.rank.cmp(&other.rank));
        thin_out(kept, most);
    }

    /// The examples in the order of the rules.
    pub(super) fn finish(self) -> Vec<Example> {
        let most = self.most;
        let few = |kept: Vec<Kept>| {
            let changes = kept.iter().any(|one| one.example.after.is_some());
            let most = most.unwrap_or(if changes { CHANGED } else { UNCHANGED });
            varied(kept).take(most).map(|one| one.example)
        };
        self.taken.into_values().flat_map(few).collect()
    }
}

/// Whether a message would be kept: among the best of all, or among the best of those with different errors.
fn is_wanted(kept: &[Kept], rank: &Rank, likeness: &str, most: usize) -> bool {
    let better = |one: &&Kept| one.rank < *rank;
    if kept.iter().filter(better).count() < most {
        return true;
    }
    let better: BTreeSet<&str> = kept.iter().filter(better).map(|one| one.likeness.as_str()).collect();
    !better.contains(likeness) && better.len() < most
}

/// Keeps the best of all and the best of those with different errors, `most` of each.
fn thin_out(kept: &mut Vec<Kept>, most: usize) {
    let mut seen = BTreeSet::new();
    let mut position = 0;
    kept.retain(|one| {
        let is_first = seen.len() < most && seen.insert(one.likeness.clone());
        position += 1;
        position <= most || is_first
    });
}

/// Those with different errors first.
fn varied(kept: Vec<Kept>) -> impl Iterator<Item = Kept> {
    let mut seen = BTreeSet::new();
    let (first, again): (Vec<_>, Vec<_>) = kept.into_iter().partition(|one| seen.insert(one.likeness.clone()));
    first.into_iter().chain(again)
}

/// What the conditions found: those of the rule that took the message, or, if none did, those of all.
fn asked(explanation: Explanation) -> Vec<Point> {
    let took = explanation.rules.iter().any(|rule| rule.holds);
    let rules = explanation.rules.into_iter().filter(|rule| rule.holds || !took);
    points::asked(rules.flat_map(|rule| rule.conditions))
}

/// What looks like an error in a message, as it may be shown.
fn errors(rules: &Rules, message: &Message) -> Vec<Point> {
    let veil = rules.veil([(message.shown(), &message.attributes)]);
    let is_small = message.shown().len() <= points::LARGEST;
    let body = if is_small { veil.body(message.shown()) } else { String::new() };
    points::errors(&body, &written(&message.attributes, &veil))
}

/// Attributes as they may be shown.
fn written(attributes: &Attributes, veil: &Veil<'_>) -> Vec<String> {
    let write = |(name, attribute): (&String, &Attribute)| {
        let value = shorten(veil.attribute(name, &attribute.value), MAX_VALUE);
        format!("{name} ({}) = {value}", attribute.data_type)
    };
    attributes.iter().map(write).collect()
}

impl Shown {
    /// A message before and after, as both may be shown: redacted as the job says, and shortened.
    pub fn of(rules: &Rules, before: &Message, after: Option<&Outgoing>) -> (Self, Option<Self>) {
        let after = after.map(|after| (after.shown(before), &after.attributes));
        let before = (before.shown(), &before.attributes);
        let veil = rules.veil([before].into_iter().chain(after));
        let shown = |(body, attributes): (&str, &Attributes)| Self {
            body: shorten(veil.body(body), MAX_BODY),
            attributes: written(attributes, &veil),
        };
        (shown(before), after.map(shown))
    }
}
