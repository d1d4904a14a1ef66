//! Examples: a few messages of each outcome before and after, redacted and shortened before they are kept. No body reaches the
//! plan in another way.

use std::collections::BTreeMap;

use jiff::Timestamp;
use redrive_protocol::message::{Attributes, Message, MessageId, Outgoing};
use redrive_protocol::target::RuleId;
use redrive_rules::rule::Rules;

use super::document::{Example, Outcome, Shown};

/// Bytes of a body that are kept.
const MAX_BODY: usize = 4 * 1024;

/// Bytes of an attribute's value that are kept.
const MAX_VALUE: usize = 256;

/// Bytes of a detail that are kept; it may quote what was found in a message.
const MAX_DETAIL: usize = 256;

/// Examples of an outcome that changes messages, and of one that does not.
const CHANGED: usize = 3;
const UNCHANGED: usize = 2;

/// What makes one message a better example than another: it is shown whole; it is older. So the same messages give the same
/// examples, in whatever order they come.
type Rank = (bool, Option<Timestamp>, MessageId);

/// Collects examples: the best of each rule and outcome.
pub(super) struct Examples<'a> {
    rules: &'a Rules,
    taken: BTreeMap<(RuleId, Outcome), Vec<(Rank, Example)>>,
}

impl<'a> Examples<'a> {
    pub(super) fn new(rules: &'a Rules) -> Self {
        Self { rules, taken: BTreeMap::new() }
    }

    /// Offers a message. `outgoing` is what would be sent, where it goes to a queue.
    pub(super) fn offer(
        &mut self,
        rule: RuleId,
        outcome: Outcome,
        before: &Message,
        outgoing: Option<&Outgoing>,
        detail: Option<&str>,
    ) {
        let changed =
            outgoing.filter(|after| after.body.as_str() != before.body || after.attributes != before.attributes);
        let fits = |body: &str| body.len() <= MAX_BODY;
        let is_whole = fits(before.shown()) && changed.is_none_or(|after| fits(after.shown(before)));
        let rank: Rank = (!is_whole, before.system.sent_timestamp(), before.id.clone());
        let kept = self.taken.entry((rule, outcome)).or_default();
        let position = kept.partition_point(|(better, _)| *better < rank);
        if position >= CHANGED {
            return;
        }
        let (shown, after) = Shown::of(self.rules, before, changed);
        let example = Example {
            rule,
            outcome,
            message_id: before.id.to_string(),
            sent: before.system.sent_timestamp(),
            before: shown,
            after,
            detail: detail.map(|detail| shorten(detail.to_owned(), MAX_DETAIL)),
        };
        kept.insert(position, (rank, example));
        kept.truncate(CHANGED);
    }

    /// The examples in the order of the rules.
    pub(super) fn finish(self) -> Vec<Example> {
        let few = |mut kept: Vec<(Rank, Example)>| {
            if kept.iter().all(|(_, example)| example.after.is_none()) {
                kept.truncate(UNCHANGED);
            }
            kept
        };
        self.taken.into_values().flat_map(few).map(|(_, example)| example).collect()
    }
}

impl Shown {
    /// A message before and after, as both may be shown: redacted as the job says, and shortened.
    pub fn of(rules: &Rules, before: &Message, after: Option<&Outgoing>) -> (Self, Option<Self>) {
        let after = after.map(|after| (after.shown(before), &after.attributes));
        let before = (before.shown(), &before.attributes);
        let veil = rules.veil([before].into_iter().chain(after));
        let shown = |(body, attributes): (&str, &Attributes)| Self {
            body: shorten(veil.body(body), MAX_BODY),
            attributes: attributes
                .iter()
                .map(|(name, attribute)| {
                    let value = shorten(veil.attribute(name, &attribute.value), MAX_VALUE);
                    format!("{name} ({}) = {value}", attribute.data_type)
                })
                .collect(),
        };
        (shown(before), after.map(shown))
    }
}

/// Cuts a text off at the end and says how much is missing.
fn shorten(mut text: String, max: usize) -> String {
    if text.len() <= max {
        return text;
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let missing = text.len() - end;
    text.truncate(end);
    format!("{text} [{missing} bytes more]")
}
