//! Where in a message something stands: an attribute, a place in the body, a place in JSON that is text within the body. Built on
//! the stack while a message is looked at, since most places are looked at once and forgotten.

use std::fmt::Write as _;

use crate::hash::{below, hash};

/// How one place follows from the one above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step<'p> {
    /// The body.
    Body,
    /// The message attribute of this name.
    Attribute(&'p str),
    /// The member of this name.
    Key(&'p str),
    /// Any element of an array.
    Element,
    /// JSON, written as text.
    Json,
    /// JSON in Base64.
    Base64,
    /// A part of a text: the class of an error, the function of a stack trace.
    Part(&'static str),
}

/// A place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'p> {
    above: Option<&'p Place<'p>>,
    step: Step<'p>,
    /// The same for the same place in all messages.
    pub(crate) hash: u32,
}

impl<'p> Place<'p> {
    /// The body.
    pub(crate) fn body() -> Self {
        Self { above: None, step: Step::Body, hash: 1 }
    }

    /// An attribute.
    pub(crate) fn attribute(name: &'p str) -> Self {
        Self { above: None, step: Step::Attribute(name), hash: below(2, hash(name)) }
    }

    /// What follows from this place.
    pub(crate) fn then(&'p self, step: Step<'p>) -> Self {
        let own = match step {
            Step::Key(name) => hash(name),
            Step::Part(name) => hash(name) ^ 3,
            Step::Element => 5,
            Step::Json => 7,
            Step::Base64 => 11,
            Step::Body | Step::Attribute(_) => 13,
        };
        Self { above: Some(self), step, hash: below(self.hash, own) }
    }

    /// The same place in words of its own.
    pub(crate) fn owned(&self) -> OwnedPlace {
        let mut steps = Vec::new();
        let mut at = Some(self);
        while let Some(place) = at {
            steps.push(match place.step {
                Step::Body => OwnedStep::Body,
                Step::Attribute(name) => OwnedStep::Attribute(name.to_owned()),
                Step::Key(name) => OwnedStep::Key(name.to_owned()),
                Step::Element => OwnedStep::Element,
                Step::Json => OwnedStep::Json,
                Step::Base64 => OwnedStep::Base64,
                Step::Part(name) => OwnedStep::Part(name),
            });
            at = place.above;
        }
        steps.reverse();
        OwnedPlace { steps, hash: self.hash }
    }
}

/// A step that outlives the message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum OwnedStep {
    Body,
    Attribute(String),
    Key(String),
    Element,
    Json,
    Base64,
    Part(&'static str),
}

/// A place that outlives the message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OwnedPlace {
    pub(crate) steps: Vec<OwnedStep>,
    pub(crate) hash: u32,
}

/// What a condition of a job can look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// A message attribute.
    Attribute(String),
    /// A `JSONPath` into the body.
    Path(String),
    /// A jq expression, for JSON that is text within the body.
    Jq(String),
    /// The raw body.
    Text,
}

impl OwnedPlace {
    /// The subject of a condition on this place, or on what it is a part of.
    pub(crate) fn subject(&self) -> Subject {
        let steps: Vec<&OwnedStep> = self.steps.iter().filter(|step| !matches!(step, OwnedStep::Part(_))).collect();
        match &steps[..] {
            [OwnedStep::Attribute(name)] => Subject::Attribute(name.clone()),
            // No program can look into a body that is not JSON itself.
            [OwnedStep::Body] | [OwnedStep::Body, OwnedStep::Base64, ..] | [OwnedStep::Attribute(_), ..] => {
                Subject::Text
            }
            steps if steps.iter().any(|step| matches!(step, OwnedStep::Json | OwnedStep::Base64)) => {
                Subject::Jq(jq(steps))
            }
            steps => Subject::Path(path(steps)),
        }
    }

    /// Whether it is a part of a text, and not all of it.
    pub(crate) fn is_part(&self) -> bool {
        matches!(self.steps.last(), Some(OwnedStep::Part(_)))
    }

    /// Whether it is in JSON that is the body in Base64, and not in text within that.
    pub(crate) fn is_in_base64(&self) -> bool {
        let is_wrapped = |step: &OwnedStep| matches!(step, OwnedStep::Json | OwnedStep::Base64);
        matches!(&self.steps[..], [OwnedStep::Body, OwnedStep::Base64, rest @ ..] if !rest.iter().any(is_wrapped))
    }

    /// For people.
    pub(crate) fn shown(&self) -> String {
        match self.steps.first() {
            Some(OwnedStep::Attribute(name)) => return format!("attribute {name}"),
            _ if self.steps.iter().all(|step| matches!(step, OwnedStep::Body | OwnedStep::Part(_))) => {
                return "the body's text".to_owned();
            }
            _ => {}
        }
        let steps: Vec<&OwnedStep> =
            self.steps.iter().filter(|step| matches!(step, OwnedStep::Key(_) | OwnedStep::Element)).collect();
        path(&steps)
    }
}

fn path(steps: &[&OwnedStep]) -> String {
    let mut path = "$".to_owned();
    for step in steps {
        match step {
            OwnedStep::Key(name) if is_simple(name) => {
                path.push('.');
                path.push_str(name);
            }
            // Writing to a string cannot fail.
            OwnedStep::Key(name) => drop(write!(path, "['{}']", name.replace('\\', "\\\\").replace('\'', "\\'"))),
            OwnedStep::Element => path.push_str("[*]"),
            _ => {}
        }
    }
    path
}

fn jq(steps: &[&OwnedStep]) -> String {
    let mut program = String::new();
    for step in steps {
        match step {
            OwnedStep::Key(name) if is_simple(name) => {
                program.push('.');
                program.push_str(name);
            }
            OwnedStep::Key(name) => drop(write!(
                program,
                "{}[{}]",
                if program.is_empty() || program.ends_with(' ') { "." } else { "" },
                quoted(name)
            )),
            OwnedStep::Element => {
                program.push_str(if program.is_empty() || program.ends_with(' ') { ".[]" } else { "[]" });
            }
            OwnedStep::Json => program.push_str(if program.is_empty() { "fromjson | " } else { " | fromjson | " }),
            OwnedStep::Base64 => program.push_str(if program.is_empty() {
                "@base64d | fromjson | "
            } else {
                " | @base64d | fromjson | "
            }),
            OwnedStep::Body | OwnedStep::Attribute(_) | OwnedStep::Part(_) => {}
        }
    }
    program
}

/// A text as jq and JSON write it.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn is_simple(name: &str) -> bool {
    let mut letters = name.bytes();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_path_or_a_program() {
        let body = Place::body();
        let records = body.then(Step::Key("Records"));
        let element = records.then(Step::Element);
        let name = element.then(Step::Key("event-name"));
        assert_eq!(name.owned().subject(), Subject::Path("$.Records[*]['event-name']".to_owned()));
        let message = body.then(Step::Key("Message"));
        let json = message.then(Step::Json);
        let error = json.then(Step::Key("error"));
        let kind = error.then(Step::Key("a b"));
        assert_eq!(kind.owned().subject(), Subject::Jq(".Message | fromjson | .error[\"a b\"]".to_owned()));
        assert_eq!(kind.owned().shown(), "$.Message.error['a b']");
        assert_eq!(Place::attribute("ErrorCode").owned().subject(), Subject::Attribute("ErrorCode".to_owned()));
    }
}
