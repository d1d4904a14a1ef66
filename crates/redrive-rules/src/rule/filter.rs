//! Conditions, compiled, and how they hold for a message. The body is read at most once per message, and only when a
//! condition or transform looks into it. Compiling is `compile`'s business; nothing here can fail.

use std::cell::{Cell, OnceCell};
use std::ops::Range;

use jiff::Timestamp;
use redrive_protocol::message::{Attribute, AttributeValue, Message, SystemAttributes};
use regex::Regex;

use super::jq::{Bound, Program, Trouble};
use super::json::{self, Node};
use super::number::Decimal;
use super::path::Path;
use crate::job::{Age, MessageFact};

/// One subject and one test, or a group.
#[derive(Debug)]
pub(super) enum Condition {
    Any(Vec<Condition>),
    All(Vec<Condition>),
    Not(Box<Condition>),
    Body(Path, Test),
    Attribute(String, Test),
    System(String, Test),
    Fact(MessageFact, Test),
    Jq(Program),
}

/// A test of one thing that was found.
#[derive(Debug)]
pub(super) enum Test {
    Exists(bool),
    Equals(Node<'static>),
    AnyOf(Vec<Node<'static>>),
    AnythingBut(Vec<Node<'static>>),
    Prefix(String),
    Suffix(String),
    Contains(String),
    Regex(Regex),
    Range { above: Option<Limit>, below: Option<Limit> },
    Time { older: Option<Age>, newer: Option<Age> },
}

/// One end of a range.
#[derive(Debug)]
pub(super) struct Limit {
    /// As it is written.
    pub(super) number: String,
    /// Whether the number itself is in.
    pub(super) inclusive: bool,
}

/// A message under judgement.
pub(super) struct Subject<'m> {
    pub(super) message: &'m Message,
    now: Timestamp,
    /// The source queue's name.
    queue: &'m str,
    json: OnceCell<Option<Node<'m>>>,
    blind: Cell<bool>,
    gave_up: Cell<bool>,
}

impl<'m> Subject<'m> {
    pub(super) fn new(message: &'m Message, now: Timestamp, queue: &'m str) -> Self {
        Self { message, now, queue, json: OnceCell::new(), blind: Cell::new(false), gave_up: Cell::new(false) }
    }

    pub(super) fn json(&self) -> Option<&Node<'m>> {
        self.json.get_or_init(|| json::parse(self.body()?)).as_ref()
    }

    fn body(&self) -> Option<&'m str> {
        let body = self.message.meant();
        self.blind.set(body.is_none());
        body
    }

    /// Whether something had to look at a body that cannot be read, so that what it found means nothing.
    pub(super) fn is_blind(&self) -> bool {
        self.blind.get()
    }

    pub(super) fn is_json(&self) -> bool {
        self.json().is_some()
    }

    /// Whether a jq program ran out of its bounds: what its condition says of the message is not known then.
    pub(super) fn gave_up(&self) -> bool {
        self.gave_up.get()
    }

    /// What a program makes of the message; `None` where the body is not JSON.
    pub(super) fn run(&self, program: &Program) -> Option<Result<String, Trouble>> {
        let body = self.json()?;
        let Message { id, attributes, system, .. } = self.message;
        let bound = Bound { attributes, system, message_id: id.as_str(), queue: self.queue };
        let outcome = program.run(body, self.message.shown().len(), bound);
        self.gave_up.set(self.gave_up.get() || outcome == Err(Trouble::GaveUp));
        Some(outcome)
    }
}

/// Something found in a message that a test can look at.
#[derive(Clone, Copy)]
enum Seen<'v> {
    Node(&'v Node<'v>),
    Text(&'v str),
    /// Text that SQS carries for a number: both tests of text and of numbers apply.
    NumberText(&'v str),
    Number(&'v str),
    Bool(bool),
    /// Binary: it is there, and no more can be said.
    Opaque,
}

impl Condition {
    /// Whether it looks at the body.
    pub(super) fn needs_body(&self) -> bool {
        match self {
            Self::Any(conditions) | Self::All(conditions) => conditions.iter().any(Self::needs_body),
            Self::Not(condition) => condition.needs_body(),
            Self::Body(..) | Self::Jq(_) | Self::Fact(MessageFact::Text | MessageFact::IsJson, _) => true,
            Self::Attribute(..) | Self::System(..) | Self::Fact(MessageFact::Id | MessageFact::Size, _) => false,
        }
    }

    pub(super) fn holds(&self, subject: &Subject<'_>) -> bool {
        match self {
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds(subject)),
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds(subject)),
            Self::Not(condition) => !condition.holds(subject),
            Self::Body(path, test) => subject.json().is_some_and(|body| match test {
                Test::Exists(wanted) => path.any(body, |_| true) == *wanted,
                test => path.any(body, |node| test.holds(Seen::Node(node), subject.now)),
            }),
            Self::Attribute(name, test) => {
                test.holds_for(subject.message.attributes.get(name).map(Seen::attribute), subject.now)
            }
            Self::System(name, test) => {
                test.holds_for(subject.message.system.get(name).map(|value| Seen::system(name, value)), subject.now)
            }
            Self::Fact(fact, test) => {
                let now = subject.now;
                match fact {
                    MessageFact::Id => test.holds(Seen::Text(subject.message.id.as_str()), now),
                    MessageFact::Text => subject.body().is_some_and(|body| test.holds(Seen::Text(body), now)),
                    MessageFact::Size => test.holds(Seen::Number(&subject.message.size().to_string()), now),
                    MessageFact::IsJson => test.holds(Seen::Bool(subject.is_json()), now),
                }
            }
            Self::Jq(program) => subject.run(program) == Some(Ok("true".to_owned())),
        }
    }
}

impl Test {
    fn holds_for(&self, seen: Option<Seen<'_>>, now: Timestamp) -> bool {
        match seen {
            Some(seen) => self.holds(seen, now),
            None => matches!(self, Self::Exists(false)),
        }
    }

    /// Whether a value of the body is of a type that the test can hold for.
    pub(super) fn fits(&self, node: &Node<'_>) -> bool {
        let seen = Seen::Node(node);
        match self {
            Self::Prefix(_) | Self::Suffix(_) | Self::Contains(_) | Self::Regex(_) => seen.text().is_some(),
            Self::Range { .. } => seen.number().is_some(),
            Self::Time { .. } => seen.time().is_some(),
            Self::Exists(_) | Self::Equals(_) | Self::AnyOf(_) | Self::AnythingBut(_) => true,
        }
    }

    /// What it can hold for, where that is not everything.
    pub(super) fn wants(&self) -> Option<&'static str> {
        match self {
            Self::Prefix(_) | Self::Suffix(_) | Self::Contains(_) | Self::Regex(_) => Some("text"),
            Self::Range { .. } => Some("numbers"),
            Self::Time { .. } => Some("times: RFC 3339 text, or milliseconds since 1970"),
            Self::Exists(_) | Self::Equals(_) | Self::AnyOf(_) | Self::AnythingBut(_) => None,
        }
    }

    /// Where in a text it matches, if it looks for a part of it.
    pub(super) fn matched(&self, text: &str) -> Option<Range<usize>> {
        match self {
            Self::Contains(part) => text.find(part).map(|start| start..start + part.len()),
            Self::Suffix(end) => text.strip_suffix(end.as_str()).map(|before| before.len()..text.len()),
            Self::Regex(regex) => regex.find(text).map(|found| found.range()),
            _ => None,
        }
    }

    fn holds(&self, seen: Seen<'_>, now: Timestamp) -> bool {
        let text = |holds: &dyn Fn(&str) -> bool| seen.text().is_some_and(holds);
        match self {
            Self::Exists(wanted) => *wanted,
            Self::Equals(value) => seen.equals(value),
            Self::AnyOf(values) => values.iter().any(|value| seen.equals(value)),
            // Of binary nothing can be said, so not that it is something else either.
            Self::AnythingBut(values) => {
                !matches!(seen, Seen::Opaque) && !values.iter().any(|value| seen.equals(value))
            }
            Self::Prefix(prefix) => text(&|text| text.starts_with(prefix)),
            Self::Suffix(suffix) => text(&|text| text.ends_with(suffix)),
            Self::Contains(part) => text(&|text| text.contains(part)),
            Self::Regex(regex) => text(&|text| regex.is_match(text)),
            Self::Range { above, below } => seen.number().is_some_and(|number| {
                above.as_ref().is_none_or(|limit| {
                    limit.order(&number).is_some_and(|order| order.is_gt() || order.is_eq() && limit.inclusive)
                }) && below.as_ref().is_none_or(|limit| {
                    limit.order(&number).is_some_and(|order| order.is_lt() || order.is_eq() && limit.inclusive)
                })
            }),
            Self::Time { older, newer } => seen.time().is_some_and(|time| {
                let before = |age: &Age| now.checked_sub(age.0).unwrap_or(Timestamp::MIN);
                older.as_ref().is_none_or(|age| time < before(age))
                    && newer.as_ref().is_none_or(|age| time > before(age))
            }),
        }
    }
}

impl Limit {
    /// How the number stands to the limit.
    fn order(&self, number: &Decimal<'_>) -> Option<std::cmp::Ordering> {
        Some(number.compare(&Decimal::parse(&self.number)?))
    }
}

impl<'v> Seen<'v> {
    fn attribute(attribute: &'v Attribute) -> Self {
        match &attribute.value {
            AttributeValue::Binary(_) => Self::Opaque,
            AttributeValue::Text(text) if attribute.is_number() => Self::NumberText(text),
            AttributeValue::Text(text) => Self::Text(text),
        }
    }

    fn system(name: &str, value: &'v str) -> Self {
        if SystemAttributes::is_numeric(name) { Self::NumberText(value) } else { Self::Text(value) }
    }

    fn text(self) -> Option<&'v str> {
        match self {
            Self::Node(Node::Text(text)) => Some(text),
            Self::Text(text) | Self::NumberText(text) => Some(text),
            _ => None,
        }
    }

    fn number(self) -> Option<Decimal<'v>> {
        match self {
            Self::Node(Node::Number(number)) => Decimal::parse(number),
            Self::NumberText(text) | Self::Number(text) => Decimal::parse(text),
            _ => None,
        }
    }

    /// RFC 3339 text, or a number of milliseconds since 1970.
    fn time(self) -> Option<Timestamp> {
        match self.number() {
            Some(number) => Timestamp::from_millisecond(number.whole()?.try_into().ok()?).ok(),
            None => self.text()?.parse().ok(),
        }
    }

    fn equals(self, wanted: &Node<'_>) -> bool {
        match (self, wanted) {
            (Self::Node(node), _) => json::equal(node, wanted),
            (Self::Bool(value), Node::Bool(wanted)) => value == *wanted,
            (_, Node::Text(wanted)) => self.text() == Some(wanted),
            (_, Node::Number(wanted)) => match (self.number(), Decimal::parse(wanted)) {
                (Some(number), Some(wanted)) => number.compare(&wanted).is_eq(),
                _ => false,
            },
            _ => false,
        }
    }
}
