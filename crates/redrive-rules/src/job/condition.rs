//! Conditions, parsed: what one asks, once it is known to be one subject and one test, or one group. Reading a job and compiling
//! it both begin here, so that what is wrong with a condition is said in one place.

use redrive_protocol::message::SystemAttributes;
use serde_json::Value;

use super::finding::{Finding, Findings, Place, did_you_mean, one_of};
use super::text;
use super::types::{Condition, MessageFact};
use super::values::Age;

const SUBJECTS: &str = "`body`, `attribute`, `system`, `message` or `jq`";

/// What a condition asks.
pub(crate) enum Parsed<'c> {
    Any(&'c [Condition]),
    All(&'c [Condition]),
    Not(&'c Condition),
    Jq(&'c str),
    /// The test is `None` if something is wrong with it, which is then among the findings.
    Test(Subject<'c>, Option<Test<'c>>),
}

/// What a test looks at.
pub(crate) enum Subject<'c> {
    Body(&'c str),
    Attribute(&'c str),
    System(&'c str),
    Fact(MessageFact),
}

/// What must be so.
pub(crate) enum Test<'c> {
    Exists(bool),
    Equals(&'c Value),
    AnyOf(&'c [Value]),
    AnythingBut(&'c [Value]),
    Prefix(&'c str),
    Suffix(&'c str),
    Contains(&'c str),
    Regex(&'c str),
    Range { above: Option<Limit<'c>>, below: Option<Limit<'c>> },
    Time { older: Option<Age>, newer: Option<Age> },
}

/// One end of a range.
#[derive(Clone)]
pub(crate) struct Limit<'c> {
    pub(crate) number: &'c Value,
    /// Whether the number itself is in.
    pub(crate) inclusive: bool,
}

/// The keys of the subjects and groups that are written here.
fn heads(condition: &Condition) -> Vec<&'static str> {
    [
        ("body", condition.body.is_some()),
        ("attribute", condition.attribute.is_some()),
        ("system", condition.system.is_some()),
        ("message", condition.message.is_some()),
        ("jq", condition.jq.is_some()),
        ("any", condition.any.is_some()),
        ("all", condition.all.is_some()),
        ("not", condition.not.is_some()),
    ]
    .into_iter()
    .filter_map(|(key, there)| there.then_some(key))
    .collect()
}

/// The tests that are written here, by their keys.
fn tests(condition: &Condition) -> Vec<(&'static str, Test<'_>)> {
    fn above(number: Option<&Value>, inclusive: bool) -> Option<Test<'_>> {
        Some(Test::Range { above: Some(Limit { number: number?, inclusive }), below: None })
    }
    fn below(number: Option<&Value>, inclusive: bool) -> Option<Test<'_>> {
        Some(Test::Range { above: None, below: Some(Limit { number: number?, inclusive }) })
    }
    [
        ("exists", condition.exists.map(Test::Exists)),
        ("equals", condition.equals.as_ref().map(Test::Equals)),
        ("any_of", condition.any_of.as_deref().map(Test::AnyOf)),
        ("anything_but", condition.anything_but.as_deref().map(Test::AnythingBut)),
        ("prefix", condition.prefix.as_deref().map(Test::Prefix)),
        ("suffix", condition.suffix.as_deref().map(Test::Suffix)),
        ("contains", condition.contains.as_deref().map(Test::Contains)),
        ("regex", condition.regex.as_deref().map(Test::Regex)),
        ("lt", below(condition.lt.as_ref(), false)),
        ("lte", below(condition.lte.as_ref(), true)),
        ("gt", above(condition.gt.as_ref(), false)),
        ("gte", above(condition.gte.as_ref(), true)),
        ("older_than", condition.older_than.map(|age| Test::Time { older: Some(age), newer: None })),
        ("newer_than", condition.newer_than.map(|age| Test::Time { older: None, newer: Some(age) })),
    ]
    .into_iter()
    .filter_map(|(key, test)| Some((key, test?)))
    .collect()
}

/// Parses a condition; not the members of a group.
pub(crate) fn parse<'c>(condition: &'c Condition, place: &Place, findings: &mut Findings) -> Option<Parsed<'c>> {
    let tests = tests(condition);
    let head = match heads(condition)[..] {
        [head] => head,
        [] => {
            let help = format!("expected {SUBJECTS}; or a group: `any`, `all` or `not`");
            findings.add(Finding::new(place, "a condition needs a subject").needs(place.clone()).help(help));
            return None;
        }
        [first, second, ..] => {
            let message = format!("a condition has one subject or is one group; this one has `{first}` already");
            let help = "write two conditions; a rule's conditions must all hold";
            findings.add(Finding::new(&place.key(second), message).on_key().help(help));
            return None;
        }
    };
    if let Some(parsed) = group(condition) {
        if let Some((test, _)) = tests.first() {
            let message = format!("a group has no test of its own; `{test}` belongs with a subject");
            findings.add(Finding::new(&place.key(test), message).on_key());
        }
        if matches!(parsed, Parsed::Any([]) | Parsed::All([])) {
            let at = place.key(head);
            findings.add(Finding::new(&at, format!("`{head}` needs at least one condition")).needs(at.clone()));
        }
        return Some(parsed);
    }
    if let Some(program) = &condition.jq {
        if let Some((test, _)) = tests.first() {
            let message = format!("a `jq` condition has no test; write `{test}` into the program");
            findings.add(Finding::new(&place.key(test), message).on_key());
        }
        return findings.check(text::program(program), &place.key("jq")).map(|()| Parsed::Jq(program));
    }
    if tests.is_empty() {
        let message = format!("a condition needs a test beside `{head}`");
        let help = "for example `exists = true`, `equals = \"…\"`, `any_of = […]`, `prefix = \"…\"` or `lt = 100`";
        findings.add(Finding::new(place, message).needs(place.clone()).help(help));
    }
    let subject = subject(condition, place, findings)?;
    Some(Parsed::Test(subject, one(tests, place, findings)))
}

/// Says what is wrong with a condition and the members of its group, and which tests can never hold for what they test.
pub(super) fn check(condition: &Condition, place: &Place, findings: &mut Findings) {
    match parse(condition, place, findings) {
        Some(Parsed::Any(members)) => check_all(members, &place.key("any"), findings),
        Some(Parsed::All(members)) => check_all(members, &place.key("all"), findings),
        Some(Parsed::Not(member)) => check(member, &place.key("not"), findings),
        Some(Parsed::Test(Subject::Fact(fact), _)) => fits(fact, &tests(condition), place, findings),
        Some(Parsed::Jq(_) | Parsed::Test(..)) | None => {}
    }
}

fn check_all(members: &[Condition], place: &Place, findings: &mut Findings) {
    for (index, member) in members.iter().enumerate() {
        check(member, &place.index(index), findings);
    }
}

fn group(condition: &Condition) -> Option<Parsed<'_>> {
    let any = condition.any.as_deref().map(Parsed::Any);
    let all = || condition.all.as_deref().map(Parsed::All);
    any.or_else(all).or_else(|| condition.not.as_deref().map(Parsed::Not))
}

fn subject<'c>(condition: &'c Condition, place: &Place, findings: &mut Findings) -> Option<Subject<'c>> {
    if let Some(path) = &condition.body {
        return findings.check(text::not_empty(path, "a JSONPath"), &place.key("body")).map(|()| Subject::Body(path));
    }
    if let Some(name) = &condition.attribute {
        findings.check(text::attribute_name(name), &place.key("attribute"));
        return Some(Subject::Attribute(name));
    }
    if let Some(name) = &condition.system {
        if !SystemAttributes::NAMES.contains(&name.as_str()) {
            let known = || SystemAttributes::NAMES.iter().copied();
            let help = did_you_mean(name, known()).unwrap_or_else(|| format!("expected {}", one_of(known())));
            let message = format!("SQS has no system attribute {name:?}");
            findings.add(Finding::new(&place.key("system"), message).help(help));
        }
        return Some(Subject::System(name));
    }
    condition.message.map(Subject::Fact)
}

/// Whether the tests can hold for a fact about the message.
fn fits(fact: MessageFact, tests: &[(&'static str, Test<'_>)], place: &Place, findings: &mut Findings) {
    const OF_TEXT: &[&str] = &["equals", "any_of", "anything_but", "prefix", "suffix", "contains", "regex"];
    const OF_NUMBERS: &[&str] = &["equals", "any_of", "anything_but", "lt", "lte", "gt", "gte"];
    let at = place.key("message");
    let (name, takes, literal, fits): (_, _, _, fn(&Value) -> bool) = match fact {
        MessageFact::Id => ("id", OF_TEXT, "text", Value::is_string),
        MessageFact::Text => ("text", OF_TEXT, "text", Value::is_string),
        MessageFact::Size => ("size", OF_NUMBERS, "a number", Value::is_number),
        MessageFact::IsJson => ("is_json", &["equals"], "true or false", Value::is_boolean),
    };
    for (key, test) in tests {
        let value_at = place.key(key);
        if !takes.contains(key) {
            let message = format!("`message = \"{name}\"` has no test `{key}`");
            let help = format!("expected {}", one_of(takes.iter().copied()));
            findings.add(Finding::new(&value_at, message).on_key().help(help).needs(at.clone()));
            continue;
        }
        let values: Vec<(Place, &Value)> = match test {
            Test::Equals(value) => vec![(value_at, value)],
            Test::AnyOf(values) | Test::AnythingBut(values) => {
                values.iter().enumerate().map(|(index, value)| (value_at.index(index), value)).collect()
            }
            _ => Vec::new(),
        };
        for (value_at, value) in values.into_iter().filter(|(_, value)| !fits(value)) {
            let message = format!("`message = \"{name}\"` is {literal}; found {value}");
            findings.add(Finding::new(&value_at, message).needs(at.clone()));
        }
    }
}

/// The one test, or the range that two bounds make.
fn one<'c>(tests: Vec<(&'static str, Test<'c>)>, place: &Place, findings: &mut Findings) -> Option<Test<'c>> {
    for (key, test) in &tests {
        if matches!(test, Test::AnyOf([]) | Test::AnythingBut([])) {
            let at = place.key(key);
            findings.add(Finding::new(&at, format!("`{key}` needs at least one value")).needs(at.clone()));
        }
    }
    let mut tests = tests.into_iter();
    let (first, mut test) = tests.next()?;
    let mut joined = false;
    for (key, next) in tests {
        let Some(both) = test.joined(next).filter(|_| !joined) else {
            let message = format!("a condition has one test, and this one has `{first}` already");
            let help = "write two conditions with the same subject; only two bounds of a range may stand together";
            findings.add(Finding::new(&place.key(key), message).on_key().help(help));
            return None;
        };
        (test, joined) = (both, true);
    }
    if test.is_empty() {
        findings.add(Finding::new(place, "no value is inside both bounds: this condition can never hold"));
        return None;
    }
    Some(test)
}

impl Test<'_> {
    /// Both ends of a range, or of a span of time, as one test.
    fn joined(&self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Range { above: Some(above), below: None }, Self::Range { above: None, below }) => {
                Some(Self::Range { above: Some(above.clone()), below })
            }
            (Self::Range { above: None, below: Some(below) }, Self::Range { above, below: None }) => {
                Some(Self::Range { above, below: Some(below.clone()) })
            }
            (Self::Time { older, newer: None }, Self::Time { older: None, newer }) => {
                Some(Self::Time { older: *older, newer })
            }
            _ => None,
        }
    }

    /// A range that holds nothing is a mistake, not a rule that happens to take no message.
    fn is_empty(&self) -> bool {
        match self {
            Self::Range { above: Some(above), below: Some(below) } => {
                let (Some(low), Some(high)) = (above.number.as_f64(), below.number.as_f64()) else { return false };
                low > high || above.number == below.number && !(above.inclusive && below.inclusive)
            }
            Self::Time { older: Some(older), newer: Some(newer) } => older >= newer,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(toml: &str) -> String {
        let condition: Condition = toml::from_str(toml).expect("a condition");
        let mut findings = Findings::default();
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
