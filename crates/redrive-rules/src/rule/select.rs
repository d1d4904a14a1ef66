//! Conditions without a job: which messages they take, and what a subject finds in a message. For whoever looks for the
//! conditions of a rule; they are asked by the code that judges.

use jiff::Timestamp;
use redrive_protocol::message::{AttributeValue, Message, SystemAttributes};
use serde_json::Value;

use super::filter::{Condition, Subject};
use super::jq::Program;
use super::json::Node;
use super::path::Path;
use super::{Veil, compile, redact::Redaction};
use crate::job::finding::{Findings, Place};
use crate::job::{self, Problem};

/// Lists of conditions, compiled; of each list all must hold.
#[derive(Debug)]
pub struct Selection(Vec<Vec<Condition>>);

impl Selection {
    /// Compiles lists of conditions; all problems at once.
    pub fn compile(lists: &[Vec<job::Condition>]) -> Result<Self, Vec<Problem>> {
        let mut findings = Findings::default();
        let rules = Place::root().key("rule");
        let compiled = lists
            .iter()
            .enumerate()
            .map(|(index, list)| compile::conditions(list, &rules.index(index).key("when"), &mut findings));
        let compiled = compiled.collect();
        if findings.0.is_empty() {
            Ok(Self(compiled))
        } else {
            Err(findings.0.into_iter().map(|finding| finding.problem).collect())
        }
    }

    /// Which of the lists take this message, in their order. Its body is read once.
    pub fn takes(&self, message: &Message, now: Timestamp) -> Vec<bool> {
        let subject = Subject::new(message, now, "");
        self.0.iter().map(|list| list.iter().all(|condition| condition.holds(&subject))).collect()
    }
}

/// Finds one value in a message.
#[derive(Debug)]
pub struct Finder {
    written: String,
    what: What,
}

#[derive(Debug)]
enum What {
    Body(Path),
    Attribute(String),
    System(String),
    Jq(Program),
}

impl Finder {
    /// Reads what to look at: a `JSONPath` (it begins with `$`), `jq:` and an expression, the name of a system attribute, or that
    /// of a message attribute. An error is for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let what = if text.starts_with('$') {
            What::Body(Path::parse(text).map_err(|error| error.message)?)
        } else if let Some(code) = text.strip_prefix("jq:") {
            let program = Program::parse(code);
            What::Jq(
                program
                    .map_err(|errors| errors.into_iter().map(|error| error.message).collect::<Vec<_>>().join("; "))?,
            )
        } else if SystemAttributes::NAMES.contains(&text) {
            What::System(text.to_owned())
        } else {
            What::Attribute(text.to_owned())
        };
        Ok(Self { written: text.to_owned(), what })
    }

    /// As it was written.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// The value in this message, if there is one.
    pub fn find(&self, message: &Message) -> Option<String> {
        let subject = Subject::new(message, Timestamp::UNIX_EPOCH, "");
        match &self.what {
            What::Body(path) => {
                let mut found = None;
                path.each(subject.json()?, |node| {
                    found.get_or_insert_with(|| node.text().map_or_else(|| node.to_string(), str::to_owned));
                });
                found
            }
            What::Attribute(name) => match &message.attributes.get(name)?.value {
                AttributeValue::Text(text) => Some(text.clone()),
                AttributeValue::Binary(_) => None,
            },
            What::System(name) => message.system.get(name).map(str::to_owned),
            What::Jq(program) => subject.run(program)?.ok().map(|value| match super::json::parse(&value) {
                Some(Node::Text(text)) => text.into_owned(),
                _ => value,
            }),
        }
    }

    /// The condition that takes messages in which it finds this, or in which it finds nothing.
    pub fn condition(&self, value: Option<&str>) -> job::Condition {
        let mut condition = job::Condition::default();
        let written = Some(self.written.clone());
        match &self.what {
            What::Body(_) => condition.body = written,
            What::Attribute(_) => condition.attribute = written,
            What::System(_) => condition.system = written,
            What::Jq(_) => {
                let code = self.written.trim_start_matches("jq:");
                let value = Value::from(value.unwrap_or_default());
                condition.jq = Some(format!("({code}) | tostring == {value}"));
                return condition;
            }
        }
        match value {
            // Whether it is a number or the text of one, the body alone says.
            Some(value) => match serde_json::from_str(value) {
                Ok(number @ (Value::Number(_) | Value::Bool(_))) => {
                    condition.any_of = Some(vec![Value::from(value), number]);
                }
                _ => condition.equals = Some(Value::from(value)),
            },
            None => condition.exists = Some(false),
        }
        condition
    }
}

impl Veil<'_> {
    /// What hides the values at these paths of a body, and of attributes with these names, in one message; the paths that are none
    /// come back as errors.
    pub fn with<R>(redact: &[String], message: &Message, show: impl FnOnce(&Veil<'_>) -> R) -> Result<R, String> {
        let (paths, attributes): (Vec<&String>, Vec<&String>) = redact.iter().partition(|text| text.starts_with('$'));
        let paths =
            paths.into_iter().map(|text| Path::parse(text).map_err(|error| format!("{text}: {}", error.message)));
        let paths = paths.collect::<Result<_, _>>()?;
        let redaction = Redaction { paths, attributes: attributes.into_iter().cloned().collect() };
        Ok(show(&redaction.veil([(message.shown(), &message.attributes)])))
    }
}

/// A condition as a job has it: an inline table.
pub fn condition_toml(condition: &job::Condition) -> String {
    inline(condition)
}

/// A part of the job as an inline table. Texts with quotes or backslashes in them are literal ones if they can be.
pub(super) fn inline(part: &impl serde::Serialize) -> String {
    fn write(value: &Value) -> String {
        match value {
            Value::Object(members) => {
                let members = members.iter().filter(|(_, member)| !member.is_null());
                let members: Vec<_> = members.map(|(key, member)| format!("{key} = {}", write(member))).collect();
                format!("{{ {} }}", members.join(", "))
            }
            Value::Array(elements) => format!("[{}]", elements.iter().map(write).collect::<Vec<_>>().join(", ")),
            Value::String(text) => {
                let is_literal =
                    text.contains(['"', '\\']) && !text.contains(|found: char| found == '\'' || found.is_control());
                if is_literal { format!("'{text}'") } else { value.to_string().replace('\u{7f}', "\\u007f") }
            }
            other => other.to_string(),
        }
    }
    write(&serde_json::to_value(part).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use redrive_protocol::message::{Attribute, MessageId};

    use super::*;

    fn message(body: &str) -> Message {
        let system = SystemAttributes(BTreeMap::from([("SenderId".to_owned(), "me".to_owned())]));
        let attributes = BTreeMap::from([("tenant".to_owned(), Attribute::string("eu"))]);
        Message { id: MessageId::new("1"), body: body.to_owned(), attributes, system, payload: None }
    }

    #[test]
    fn what_a_finder_finds_its_condition_takes() {
        let message = message(r#"{"a": "x", "n": 1.10, "inner": "{\"b\": \"y'z\"}"}"#);
        for (written, found) in [
            ("$.a", Some("x")),
            ("$.n", Some("1.10")),
            ("$.none", None),
            ("tenant", Some("eu")),
            ("SenderId", Some("me")),
            ("jq:.inner | fromjson | .b", Some("y'z")),
        ] {
            let finder = Finder::parse(written).expect(written);
            assert_eq!(finder.find(&message).as_deref(), found, "{written}");
            let takes = Selection::compile(&[vec![finder.condition(found)], vec![finder.condition(Some("other"))]]);
            assert_eq!(takes.expect("conditions").takes(&message, Timestamp::UNIX_EPOCH), [true, false], "{written}");
        }
        assert!(Finder::parse("$.a[").is_err() && Finder::parse("jq:(").is_err());
    }

    #[test]
    fn a_condition_is_written_as_toml_reads_it() {
        for text in ["plain", "a \"quoted\" \\d+", "it's \"both\"", "\u{7f}\u{1b}\n"] {
            let condition =
                job::Condition { body: Some("$".to_owned()), regex: Some(text.to_owned()), ..Default::default() };
            let written = format!("c = {}", condition_toml(&condition));
            let read: toml::Table = written.parse().expect(&written);
            assert_eq!(read["c"]["regex"].as_str(), Some(text), "{written}");
        }
    }
}
