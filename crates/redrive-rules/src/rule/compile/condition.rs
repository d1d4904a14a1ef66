//! Conditions of the job file to conditions that can be asked.

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::super::filter::{Condition, Limit, Test};
use super::super::json::Node;
use super::super::path::{MAX_REGEX, Path};
use super::{At, Problems, literal};
use crate::job;

/// Compiles a list of conditions. What cannot be compiled is reported and left out.
pub(super) fn group(conditions: &[job::Condition], at: &At, problems: &mut Problems) -> Vec<Condition> {
    if conditions.is_empty() {
        problems.add(at, "expected at least one condition", None);
    }
    let conditions = conditions.iter().enumerate();
    conditions.filter_map(|(index, condition)| single(condition, &at.index(index), problems)).collect()
}

fn single(condition: &job::Condition, at: &At, problems: &mut Problems) -> Option<Condition> {
    let before = problems.0.len();
    let tests = tests(condition, at, problems);
    let sound = problems.0.len() == before;
    let groups = [
        condition.any.as_ref().map(|list| Condition::Any(group(list, &at.key("any"), problems))),
        condition.all.as_ref().map(|list| Condition::All(group(list, &at.key("all"), problems))),
        condition
            .not
            .as_ref()
            .and_then(|inner| single(inner, &at.key("not"), problems))
            .map(|inner| Condition::Not(Box::new(inner))),
    ];
    let is_group = condition.any.is_some() || condition.all.is_some() || condition.not.is_some();
    let body = condition.body.as_ref().and_then(|text| match Path::parse(text) {
        Ok(path) => Some(path),
        Err(error) => {
            problems.path(&at.key("body"), error);
            None
        }
    });
    let subjects = [
        condition.body.is_some(),
        condition.attribute.is_some(),
        condition.system.is_some(),
        condition.message.is_some(),
        condition.jq.is_some(),
        condition.any.is_some(),
        condition.all.is_some(),
        condition.not.is_some(),
    ];
    match subjects.iter().filter(|there| **there).count() {
        1 => {}
        0 => {
            let help = "a subject is body, attribute, system, message or jq; a group is any, all or not";
            problems.add(at, "the condition has no subject", Some(help));
            return None;
        }
        _ => {
            problems.add(at, "the condition has more than one subject", Some("write one condition for each"));
            return None;
        }
    }
    if is_group {
        if !tests.is_empty() {
            problems.add(at, "a group of conditions has no test of its own", None);
        }
        return groups.into_iter().flatten().next();
    }
    if let Some(code) = &condition.jq {
        if !tests.is_empty() {
            problems.add(at, "a jq condition has no test beside it", None);
        }
        return problems.program(&at.key("jq"), code).map(Condition::Jq);
    }
    let test = match one(tests) {
        Ok(Some(test)) => test,
        Ok(None) => {
            if sound {
                problems.add(at, "the condition has no test", Some("such as exists, equals, any_of, prefix or lt"));
            }
            return None;
        }
        Err(message) => {
            problems.add(at, message, Some("write one condition for each"));
            return None;
        }
    };
    if let Some(path) = body {
        Some(Condition::Body(path, test))
    } else if let Some(name) = &condition.attribute {
        Some(Condition::Attribute(name.clone(), test))
    } else if let Some(name) = &condition.system {
        Some(Condition::System(name.clone(), test))
    } else {
        condition.message.map(|fact| Condition::Fact(fact, test))
    }
}

/// The one test: two bounds of a range, or of a span of time, make one.
fn one(tests: Vec<Test>) -> Result<Option<Test>, &'static str> {
    let mut tests = tests.into_iter();
    let Some(first) = tests.next() else {
        return Ok(None);
    };
    tests
        .try_fold(first, |first, next| match (first, next) {
            (Test::Range { above: Some(above), below: None }, Test::Range { above: None, below })
            | (Test::Range { above: None, below }, Test::Range { above: Some(above), below: None }) => {
                Ok(Test::Range { above: Some(above), below })
            }
            (Test::Time { older, newer: None }, Test::Time { older: None, newer }) => Ok(Test::Time { older, newer }),
            _ => Err("the condition has more than one test"),
        })
        .map(Some)
}

fn tests(condition: &job::Condition, at: &At, problems: &mut Problems) -> Vec<Test> {
    let mut tests = Vec::new();
    tests.extend(condition.exists.map(Test::Exists));
    if let Some(value) = &condition.equals
        && literal(value, &at.key("equals"), problems)
    {
        tests.push(Test::Equals(value.into()));
    }
    tests.extend(list(condition.any_of.as_ref(), &at.key("any_of"), problems).map(Test::AnyOf));
    tests.extend(list(condition.anything_but.as_ref(), &at.key("anything_but"), problems).map(Test::AnythingBut));
    tests.extend(condition.prefix.clone().map(Test::Prefix));
    tests.extend(condition.suffix.clone().map(Test::Suffix));
    tests.extend(condition.contains.clone().map(Test::Contains));
    if let Some(pattern) = &condition.regex {
        tests.extend(regex(pattern, &at.key("regex"), problems).map(Test::Regex));
    }
    let above = |limit| Test::Range { above: Some(limit), below: None };
    let below = |limit| Test::Range { above: None, below: Some(limit) };
    tests.extend(limit(condition.gt.as_ref(), false, &at.key("gt"), problems).map(above));
    tests.extend(limit(condition.gte.as_ref(), true, &at.key("gte"), problems).map(above));
    tests.extend(limit(condition.lt.as_ref(), false, &at.key("lt"), problems).map(below));
    tests.extend(limit(condition.lte.as_ref(), true, &at.key("lte"), problems).map(below));
    tests.extend(condition.older_than.map(|age| Test::Time { older: Some(age), newer: None }));
    tests.extend(condition.newer_than.map(|age| Test::Time { older: None, newer: Some(age) }));
    tests
}

fn list(values: Option<&Vec<Value>>, at: &At, problems: &mut Problems) -> Option<Vec<Node<'static>>> {
    let values = values?;
    if values.is_empty() {
        problems.add(at, "expected at least one value", None);
        return None;
    }
    let sound: Vec<bool> =
        values.iter().enumerate().map(|(index, value)| literal(value, &at.index(index), problems)).collect();
    sound.iter().all(|sound| *sound).then(|| values.iter().map(Node::from).collect())
}

fn limit(value: Option<&Value>, inclusive: bool, at: &At, problems: &mut Problems) -> Option<Limit> {
    match value? {
        Value::Number(number) => Some(Limit { number: number.to_string(), inclusive }),
        Value::Null => {
            problems.add(at, "nan and inf are nothing to compare with", None);
            None
        }
        _ => {
            problems.add(at, "expected a number", Some("for times there are older_than and newer_than"));
            None
        }
    }
}

fn regex(pattern: &str, at: &At, problems: &mut Problems) -> Option<Regex> {
    // The parser alone knows which bytes are at fault.
    if let Err(error) = regex_syntax::Parser::new().parse(pattern) {
        let (span, message) = match &error {
            regex_syntax::Error::Parse(error) => (Some(*error.span()), error.kind().to_string()),
            regex_syntax::Error::Translate(error) => (Some(*error.span()), error.kind().to_string()),
            other => (None, other.to_string()),
        };
        let within = span.map(|span| span.start.offset..span.end.offset);
        let help = "the syntax is that of the Rust crate regex: like Perl's, without look-around and back-references";
        problems.add_within(at, within, format!("not a regular expression: {message}"), Some(help));
        return None;
    }
    match RegexBuilder::new(pattern).size_limit(MAX_REGEX).build() {
        Ok(regex) => Some(regex),
        Err(error) => {
            problems.add(at, format!("the regular expression cannot be used: {error}"), None);
            None
        }
    }
}
