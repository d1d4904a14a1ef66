//! Conditions: one subject and one test, or a group; and tests that can hold for their subject.

use serde_json::Value;

use crate::job::finding::{Finding, Place, did_you_mean, one_of};
use crate::job::types::{Condition, MessageFact};

use super::{Findings, text};

/// The system attributes that SQS gives with a message.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>
const SYSTEM_ATTRIBUTES: &[&str] = &[
    "ApproximateFirstReceiveTimestamp",
    "ApproximateReceiveCount",
    "AWSTraceHeader",
    "DeadLetterQueueSourceArn",
    "MessageDeduplicationId",
    "MessageGroupId",
    "SenderId",
    "SentTimestamp",
    "SequenceNumber",
];

const SUBJECTS: &str = "`body`, `attribute`, `system`, `message` or `jq`";

/// The names of those that are there.
fn present(keys: &[(&'static str, bool)]) -> Vec<&'static str> {
    keys.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect()
}

fn heads(condition: &Condition) -> Vec<&'static str> {
    present(&[
        ("body", condition.body.is_some()),
        ("attribute", condition.attribute.is_some()),
        ("system", condition.system.is_some()),
        ("message", condition.message.is_some()),
        ("jq", condition.jq.is_some()),
        ("any", condition.any.is_some()),
        ("all", condition.all.is_some()),
        ("not", condition.not.is_some()),
    ])
}

fn tests(condition: &Condition) -> Vec<&'static str> {
    present(&[
        ("exists", condition.exists.is_some()),
        ("equals", condition.equals.is_some()),
        ("any_of", condition.any_of.is_some()),
        ("anything_but", condition.anything_but.is_some()),
        ("prefix", condition.prefix.is_some()),
        ("suffix", condition.suffix.is_some()),
        ("contains", condition.contains.is_some()),
        ("regex", condition.regex.is_some()),
        ("lt", condition.lt.is_some()),
        ("lte", condition.lte.is_some()),
        ("gt", condition.gt.is_some()),
        ("gte", condition.gte.is_some()),
        ("older_than", condition.older_than.is_some()),
        ("newer_than", condition.newer_than.is_some()),
    ])
}

pub(super) fn check(condition: &Condition, place: &Place, findings: &mut Findings) {
    let heads = heads(condition);
    let tests = tests(condition);
    let incomplete = |message: &str| Finding::new(place, message).needs(place.clone());
    let head = match heads[..] {
        [head] => head,
        [] => {
            let message = "a condition needs a subject";
            findings.add(incomplete(message).help(format!("expected {SUBJECTS}; or a group: `any`, `all` or `not`")));
            return;
        }
        [first, second, ..] => {
            let message = format!("a condition has one subject or is one group; this one has `{first}` already");
            let help = "write two conditions; a rule's conditions must all hold";
            findings.add(Finding::new(&place.key(second), message).on_key().help(help));
            return;
        }
    };
    if matches!(head, "any" | "all" | "not") {
        if let Some(test) = tests.first() {
            let message = format!("a group has no test of its own; `{test}` belongs with a subject");
            findings.add(Finding::new(&place.key(test), message).on_key());
        }
        group(condition, place, findings);
        return;
    }
    if let Some(program) = &condition.jq {
        if let Some(test) = tests.first() {
            let message = format!("a `jq` condition has no test; write `{test}` into the program");
            findings.add(Finding::new(&place.key(test), message).on_key());
        }
        findings.check(text::program(program), &place.key("jq"));
        return;
    }
    if tests.is_empty() {
        let help = "for example `exists = true`, `equals = \"…\"`, `any_of = […]`, `prefix = \"…\"` or `lt = 100`";
        findings.add(incomplete(&format!("a condition needs a test beside `{head}`")).help(help));
    }
    subject(condition, &tests, place, findings);
    combination(condition, &tests, place, findings);
    for (name, list) in [("any_of", &condition.any_of), ("anything_but", &condition.anything_but)] {
        if list.as_ref().is_some_and(Vec::is_empty) {
            let at = place.key(name);
            let message = format!("`{name}` needs at least one value");
            findings.add(Finding::new(&at, message).needs(at.clone()));
        }
    }
}

fn group(condition: &Condition, place: &Place, findings: &mut Findings) {
    for (name, members) in [("any", &condition.any), ("all", &condition.all)] {
        let Some(members) = members else { continue };
        let at = place.key(name);
        if members.is_empty() {
            let message = format!("`{name}` needs at least one condition");
            findings.add(Finding::new(&at, message).needs(at.clone()));
        }
        for (index, member) in members.iter().enumerate() {
            check(member, &at.index(index), findings);
        }
    }
    if let Some(member) = &condition.not {
        check(member, &place.key("not"), findings);
    }
}

fn subject(condition: &Condition, tests: &[&'static str], place: &Place, findings: &mut Findings) {
    if let Some(path) = &condition.body {
        findings.check(text::not_empty(path, "a JSONPath"), &place.key("body"));
    }
    if let Some(name) = &condition.attribute {
        findings.check(text::attribute_name(name), &place.key("attribute"));
    }
    if let Some(name) = &condition.system
        && !SYSTEM_ATTRIBUTES.contains(&name.as_str())
    {
        let known = || SYSTEM_ATTRIBUTES.iter().copied();
        let help = did_you_mean(name, known()).unwrap_or_else(|| format!("expected {}", one_of(known())));
        findings.add(Finding::new(&place.key("system"), format!("SQS has no system attribute {name:?}")).help(help));
    }
    let Some(fact) = condition.message else { return };
    let at = place.key("message");
    let (name, takes, literal): (_, &[&str], _) = match fact {
        MessageFact::Id => ("id", &TEXT_TESTS, "text"),
        MessageFact::Text => ("text", &TEXT_TESTS, "text"),
        MessageFact::Size => ("size", &["equals", "any_of", "anything_but", "lt", "lte", "gt", "gte"], "a number"),
        MessageFact::IsJson => ("is_json", &["equals"], "true or false"),
    };
    for test in tests.iter().filter(|test| !takes.contains(test)) {
        let message = format!("`message = \"{name}\"` has no test `{test}`");
        let help = format!("expected {}", one_of(takes.iter().copied()));
        findings.add(Finding::new(&place.key(test), message).on_key().help(help).needs(at.clone()));
    }
    let fits = |value: &Value| match literal {
        "text" => value.is_string(),
        "a number" => value.is_number(),
        _ => value.is_boolean(),
    };
    for (test, values) in [
        ("equals", condition.equals.as_slice()),
        ("any_of", condition.any_of.as_deref().unwrap_or_default()),
        ("anything_but", condition.anything_but.as_deref().unwrap_or_default()),
    ] {
        for (index, value) in values.iter().enumerate().filter(|(_, value)| takes.contains(&test) && !fits(value)) {
            let value_at = place.key(test);
            let value_at = if test == "equals" { value_at } else { value_at.index(index) };
            let message = format!("`message = \"{name}\"` is {literal}; found {value}");
            findings.add(Finding::new(&value_at, message).needs(at.clone()));
        }
    }
}

const TEXT_TESTS: [&str; 7] = ["equals", "any_of", "anything_but", "prefix", "suffix", "contains", "regex"];

/// One test, or a lower and an upper bound.
fn combination(condition: &Condition, tests: &[&'static str], place: &Place, findings: &mut Findings) {
    let side = |test: &str| match test {
        "gt" | "gte" => Some((0, true)),
        "lt" | "lte" => Some((0, false)),
        "older_than" => Some((1, true)),
        "newer_than" => Some((1, false)),
        _ => None,
    };
    let is_range = |a: &str, b: &str| match (side(a), side(b)) {
        (Some((what, low)), Some((other, high))) => what == other && low != high,
        _ => false,
    };
    match tests {
        [] | [_] => {}
        [a, b] if is_range(a, b) => range(condition, place, findings),
        [a, b] | [a, b, _, ..] => {
            let extra = if tests.len() > 2 && is_range(a, b) { tests[2] } else { b };
            let message = format!("a condition has one test, and this one has `{a}` already");
            let help = "write two conditions with the same subject; only two bounds of a range may stand together";
            findings.add(Finding::new(&place.key(extra), message).on_key().help(help));
        }
    }
}

/// A range that holds nothing is a mistake, not a rule that happens to take no message.
fn range(condition: &Condition, place: &Place, findings: &mut Findings) {
    let bound = |strict: &Option<Value>, loose: &Option<Value>| {
        let value = strict.as_ref().or(loose.as_ref())?;
        Some((value.to_string(), value.as_f64()?, strict.is_none()))
    };
    let empty = match (bound(&condition.gt, &condition.gte), bound(&condition.lt, &condition.lte)) {
        (Some((low, above, from)), Some((high, below, to))) => above > below || (low == high && !(from && to)),
        _ => match (condition.older_than, condition.newer_than) {
            (Some(older), Some(newer)) => older >= newer,
            _ => false,
        },
    };
    if empty {
        findings.add(Finding::new(place, "no value is inside both bounds: this condition can never hold"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(toml: &str) -> String {
        let condition: Condition = toml::from_str(toml).expect("a condition");
        let mut findings = Findings(Vec::new());
        check(&condition, &Place::root(), &mut findings);
        findings.0.into_iter().map(|finding| finding.problem.message + "\n").collect()
    }

    #[test]
    fn conditions_that_can_hold() {
        for toml in [
            "body = '$.a'\nexists = false",
            "body = '$.a'\ngt = 1\nlte = 2",
            "body = '$.a'\ngte = 1\nlte = 1",
            "body = '$.a'\ngt = 12345678901234567890123\nlt = 12345678901234567890124",
            "system = 'SentTimestamp'\nolder_than = '1h'\nnewer_than = '6h'",
            "attribute = 'tenant'\nanything_but = ['eu', 3, true]",
            "message = 'is_json'\nequals = false",
            "message = 'size'\ngt = 1000",
            "jq = '''.a\n| . > 1'''",
            "any = [{ body = '$.a', equals = 1 }, { not = { message = 'text', contains = 'x' } }]",
        ] {
            assert_eq!(messages(toml), "", "{toml}");
        }
    }

    #[test]
    fn conditions_that_cannot() {
        for (toml, part) in [
            ("", "needs a subject"),
            ("equals = 1", "needs a subject"),
            ("body = '$.a'", "needs a test"),
            ("body = '$.a'\nsystem = 'SenderId'\nequals = 1", "`body` already"),
            ("body = '$.a'\nany = []", "`body` already"),
            ("jq = '.a'\nbody = '$.a'", "`body` already"),
            ("jq = '.a'\nequals = 1", "has no test"),
            ("jq = ''", "not empty"),
            ("any = []", "at least one condition"),
            ("any = [{}]", "needs a subject"),
            ("not = { any = [{ body = '$' }] }", "needs a test"),
            ("not = { body = '$.a', equals = 1 }\nequals = 1", "a group has no test"),
            ("body = '$.a'\nexists = true\nequals = 1", "`exists` already"),
            ("body = '$.a'\nlt = 1\nlte = 2", "`lt` already"),
            ("body = '$.a'\nlt = 1\ngt = 2\nequals = 3", "`equals` already"),
            ("body = '$.a'\nlt = 1\nolder_than = '1h'", "`lt` already"),
            ("body = '$.a'\nlt = 1\ngt = 2", "can never hold"),
            ("body = '$.a'\nlt = 1\ngte = 1", "can never hold"),
            ("body = '$.a'\nolder_than = '6h'\nnewer_than = '1h'", "can never hold"),
            ("body = '$.a'\nany_of = []", "at least one value"),
            ("body = ''\nexists = true", "not empty"),
            ("attribute = 'AWS.x'\nexists = true", "AWS's own"),
            ("system = 'SentTimestmap'\nexists = true", "no system attribute"),
            ("message = 'is_json'\nequals = 'false'", "true or false"),
            ("message = 'is_json'\nexists = true", "no test `exists`"),
            ("message = 'size'\nany_of = [1, '2']", "is a number"),
            ("message = 'id'\nlt = 5", "no test `lt`"),
        ] {
            let found = messages(toml);
            assert!(found.contains(part), "{toml}: {found:?}");
            assert_eq!(found.lines().count(), 1, "{toml}: {found:?}");
        }
    }
}
