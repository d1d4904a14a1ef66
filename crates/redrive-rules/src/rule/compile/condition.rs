//! Parsed conditions to conditions that can be asked.

use regex::{Regex, RegexBuilder};

use super::super::filter::{Condition, Limit, Test};
use super::super::path::MAX_REGEX;
use crate::job;
use crate::job::condition::{self as parsed, Parsed, Subject, parse};
use crate::job::finding::{Finding, Findings, Place};

/// Compiles a list of conditions. What cannot be compiled is reported and left out.
pub(super) fn group(conditions: &[job::Condition], place: &Place, findings: &mut Findings) -> Vec<Condition> {
    let conditions = conditions.iter().enumerate();
    conditions.filter_map(|(index, condition)| single(condition, &place.index(index), findings)).collect()
}

fn single(condition: &job::Condition, place: &Place, findings: &mut Findings) -> Option<Condition> {
    let (subject, test) = match parse(condition, place, findings)? {
        Parsed::Any(members) => return Some(Condition::Any(group(members, &place.key("any"), findings))),
        Parsed::All(members) => return Some(Condition::All(group(members, &place.key("all"), findings))),
        Parsed::Not(member) => {
            return single(member, &place.key("not"), findings).map(|member| Condition::Not(Box::new(member)));
        }
        Parsed::Jq(code) => return super::program(code, &place.key("jq"), findings).map(Condition::Jq),
        Parsed::Test(subject, test) => (subject, test),
    };
    let test = test.and_then(|test| compiled(&test, place, findings));
    match subject {
        Subject::Body(path) => {
            let path = super::path(path, &place.key("body"), findings);
            Some(Condition::Body(path?, test?))
        }
        Subject::Attribute(name) => Some(Condition::Attribute(name.to_owned(), test?)),
        Subject::System(name) => Some(Condition::System(name.to_owned(), test?)),
        Subject::Fact(fact) => Some(Condition::Fact(fact, test?)),
    }
}

fn compiled(test: &parsed::Test<'_>, place: &Place, findings: &mut Findings) -> Option<Test> {
    let limit = |limit: &parsed::Limit<'_>| Limit { number: limit.number.to_string(), inclusive: limit.inclusive };
    Some(match test {
        parsed::Test::Exists(wanted) => Test::Exists(*wanted),
        parsed::Test::Equals(value) => Test::Equals((*value).into()),
        parsed::Test::AnyOf(values) => Test::AnyOf(values.iter().map(Into::into).collect()),
        parsed::Test::AnythingBut(values) => Test::AnythingBut(values.iter().map(Into::into).collect()),
        parsed::Test::Prefix(prefix) => Test::Prefix((*prefix).to_owned()),
        parsed::Test::Suffix(suffix) => Test::Suffix((*suffix).to_owned()),
        parsed::Test::Contains(part) => Test::Contains((*part).to_owned()),
        parsed::Test::Regex(pattern) => Test::Regex(regex(pattern, &place.key("regex"), findings)?),
        parsed::Test::Range { above, below } => {
            Test::Range { above: above.as_ref().map(limit), below: below.as_ref().map(limit) }
        }
        parsed::Test::Time { older, newer } => Test::Time { older: *older, newer: *newer },
    })
}

fn regex(pattern: &str, place: &Place, findings: &mut Findings) -> Option<Regex> {
    // The parser alone knows which bytes are at fault.
    if let Err(error) = regex_syntax::Parser::new().parse(pattern) {
        let (span, message) = match &error {
            regex_syntax::Error::Parse(error) => (Some(*error.span()), error.kind().to_string()),
            regex_syntax::Error::Translate(error) => (Some(*error.span()), error.kind().to_string()),
            other => (None, other.to_string()),
        };
        let within = span.map(|span| span.start.offset..span.end.offset);
        let help = "the syntax is that of the Rust crate regex: like Perl's, without look-around and back-references";
        let finding = Finding::new(place, format!("not a regular expression: {message}"));
        findings.add(finding.maybe_within(within).help(help));
        return None;
    }
    match RegexBuilder::new(pattern).size_limit(MAX_REGEX).build() {
        Ok(regex) => Some(regex),
        Err(error) => {
            findings.add(Finding::new(place, format!("the regular expression cannot be used: {error}")));
            None
        }
    }
}
