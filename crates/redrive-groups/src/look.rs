//! Looking at one message: takes off the envelopes that AWS and others put around a body, and finds what is said about an error.
//! Whoever wants to know gets each find as it is met ([`Sink`]); nothing is kept here.
//!
//! Bounded for each message, whatever it holds: so deep, so many values, so many members of an object.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use redrive_protocol::message::{AttributeValue, Message};
use redrive_rules::rule::{Node, parse_json};

use crate::envelope::{self, Envelope};
use crate::place::{Place, Step};
use crate::roles::{self, Role};
use crate::{bounded, stack};

/// A body longer than any that SQS delivers is taken for text.
const LONGEST_BODY: usize = 1 << 20;

/// What a body is called that begins like JSON and is none.
const BROKEN_JSON: &str = "broken JSON";

/// How deep a body is looked into, how many values of it, members of an object and elements of an array.
const DEEPEST: usize = 12;
const MOST_VALUES: usize = 2000;
const MOST_MEMBERS: usize = 200;
const MOST_ELEMENTS: usize = 3;

/// How often JSON may be text within JSON.
const MOST_WRAPPINGS: usize = 4;

/// Bytes of a stack trace that comes as a list of lines.
const TRACE: usize = 4096;

/// Down to this depth the shape of a body is looked at.
const SHAPE_DEPTH: usize = 4;

/// Who is told what was found.
pub(crate) trait Sink {
    /// A name of something: the class or code of an error, an event's type.
    fn word(&mut self, place: &Place<'_>, role: Role, value: &str);

    /// A sentence.
    fn text(&mut self, place: &Place<'_>, role: Role, value: &str);

    /// There is something at this place.
    fn shape(&mut self, place: &Place<'_>);

    /// What is around the body.
    fn envelope(&mut self, envelope: Envelope);
}

/// Looks at a message.
pub(crate) fn look(message: &Message, sink: &mut impl Sink) {
    let mut look = Look { sink, values: 0, wrappings: 0 };
    if envelope::is_of_lambda(message) {
        look.sink.envelope(Envelope::LambdaDeadLetter);
    }
    if envelope::is_pointer(message) {
        look.sink.envelope(Envelope::ExtendedClient);
    }
    for (name, attribute) in &message.attributes {
        let place = Place::attribute(name);
        look.sink.shape(&place);
        let name = roles::of(name);
        if let (AttributeValue::Text(text), Some(role), true) = (&attribute.value, name.role, name.is_error) {
            look.about_an_error(&place, role, text);
        }
    }
    let body = Place::body();
    match message.meant() {
        None => {}
        Some(text) if text.len() > LONGEST_BODY => look.plain(&body, text),
        Some(text) => match parse_json(text) {
            Some(Node::Text(inner)) => {
                if !look.wrapped(&body, &inner, Around::default()) {
                    look.plain(&body, &inner);
                }
            }
            Some(root @ (Node::Object(_) | Node::Array(_))) => look.value(&body, &root, 0, Around::default()),
            // Numbers and words of JSON tell as much as other text.
            Some(_) => look.plain(&body, text),
            None => {
                if !look.in_base64(&body, text, Around::default()) {
                    look.sink.envelope(Envelope::NotJson);
                    if was_json(text) {
                        // Words of what was cut off say nothing.
                        look.sink.word(&body.then(Step::Part("form")), Role::Type, BROKEN_JSON);
                    } else {
                        look.plain(&body, text);
                    }
                }
            }
        },
    }
}

/// What is known of a value from what is around it.
#[derive(Debug, Clone, Copy, Default)]
struct Around {
    /// It belongs to an error.
    error: bool,
    depth: usize,
}

struct Look<'s, S> {
    sink: &'s mut S,
    values: usize,
    wrappings: usize,
}

impl<S: Sink> Look<'_, S> {
    fn value(&mut self, place: &Place<'_>, value: &Node<'_>, depth: usize, around: Around) {
        self.values += 1;
        if depth > DEEPEST || self.values > MOST_VALUES {
            return;
        }
        match value {
            Node::Object(members) => {
                if around.depth == depth
                    && let Some(found) = envelope::of(value)
                {
                    self.sink.envelope(found);
                    if found == Envelope::Sns
                        && let Some(Node::Text(text)) = value.get("Message")
                    {
                        let place = place.then(Step::Key("Message"));
                        self.sink.shape(&place);
                        if !self.wrapped(&place, text, Around { depth: 0, ..around }) {
                            self.plain(&place, text);
                        }
                        return;
                    }
                }
                let error = around.error || tells_of_an_error(members);
                for (key, member) in members.iter().take(MOST_MEMBERS) {
                    let place = place.then(Step::Key(key));
                    if depth < SHAPE_DEPTH && !key.bytes().any(|byte| byte.is_ascii_digit()) {
                        self.sink.shape(&place);
                    }
                    self.member(&place, key, member, depth, Around { error, ..around });
                }
            }
            Node::Array(elements) => {
                let place = place.then(Step::Element);
                for element in elements.iter().take(MOST_ELEMENTS) {
                    if let Node::Object(_) | Node::Array(_) = element {
                        self.value(&place, element, depth + 1, around);
                    }
                }
            }
            _ => {}
        }
    }

    fn member(&mut self, place: &Place<'_>, key: &str, value: &Node<'_>, depth: usize, around: Around) {
        self.values += 1;
        let name = roles::of(key);
        let is_error = name.is_error || around.error;
        let below = Around { error: is_error && !matches!(value, Node::Text(_)) || name.is_error, depth: around.depth };
        match (value, name.role) {
            (Node::Text(text), role) => {
                if looks_like_json(text) && self.wrapped(place, text, Around { error: below.error, depth: 0 })
                    || matches!(key, "data" | "payload" | "body")
                        && self.in_base64(place, text, Around { depth: 0, ..around })
                {
                    return;
                }
                match role {
                    Some(role) if is_error && role != Role::Event => self.about_an_error(place, role, text),
                    Some(Role::Event) if depth < SHAPE_DEPTH => self.sink.word(place, Role::Event, text),
                    // A `type` says what the message is about, and one further down what some part of it is.
                    Some(Role::Type) if depth == 0 && key != "name" => self.sink.word(place, Role::Event, text),
                    _ => {}
                }
            }
            (Node::Number(number), Some(Role::Code)) if is_error => self.sink.word(place, Role::Code, number),
            (Node::Array(lines), Some(Role::Trace)) if is_error => {
                let lines = lines.iter().filter_map(Node::text);
                let mut trace = String::new();
                for line in lines.take_while(|_| true) {
                    if trace.len() + line.len() > TRACE {
                        break;
                    }
                    trace.push_str(line.trim_end());
                    trace.push('\n');
                }
                if !trace.is_empty() {
                    self.about_an_error(&place.then(Step::Element), Role::Trace, &trace);
                }
            }
            (Node::Object(_) | Node::Array(_), _) => self.value(place, value, depth + 1, below),
            _ => {}
        }
    }

    /// JSON that is written as text. Gives whether it is that.
    fn wrapped(&mut self, place: &Place<'_>, text: &str, around: Around) -> bool {
        if self.wrappings >= MOST_WRAPPINGS || text.len() > LONGEST_BODY {
            return false;
        }
        if !looks_like_json(text) {
            return self.in_base64(place, text, around);
        }
        let Some(root) = parse_json(text) else { return false };
        self.wrappings += 1;
        self.sink.envelope(Envelope::JsonInText);
        self.value(&place.then(Step::Json), &root, 0, around);
        self.wrappings -= 1;
        true
    }

    /// The same in Base64.
    fn in_base64(&mut self, place: &Place<'_>, text: &str, around: Around) -> bool {
        if self.wrappings >= MOST_WRAPPINGS {
            return false;
        }
        let Some(text) = decoded(text) else { return false };
        let Some(root) = parse_json(&text) else { return false };
        self.wrappings += 1;
        self.sink.envelope(Envelope::Base64);
        self.value(&place.then(Step::Base64), &root, 0, around);
        self.wrappings -= 1;
        true
    }

    /// A body that is words alone.
    fn plain(&mut self, place: &Place<'_>, text: &str) {
        self.parts(place, Role::Plain, text);
    }

    /// A text that is about an error.
    fn about_an_error(&mut self, place: &Place<'_>, role: Role, text: &str) {
        if looks_like_json(text) && self.wrapped(place, text, Around { error: true, depth: 0 }) {
            return;
        }
        let of_a_name =
            |letter: char| letter.is_alphanumeric() || matches!(letter, '.' | '_' | '-' | ':' | '$' | '/' | '#');
        let is_name = |text: &str| text.len() <= 100 && !text.is_empty() && text.chars().all(of_a_name);
        match role {
            Role::Type | Role::Code | Role::Message if is_name(text) => {
                self.sink.word(place, if role == Role::Message { Role::Type } else { role }, text);
            }
            Role::Trace => self.parts(place, Role::Trace, text),
            _ => self.parts(place, Role::Message, text),
        }
    }

    /// What a text of several lines, or a line, is made of.
    fn parts(&mut self, place: &Place<'_>, role: Role, text: &str) {
        let parts = stack::read(text);
        if let Some(class) = parts.class {
            self.sink.word(&place.then(Step::Part("class")), Role::Type, class);
        }
        if let Some(frame) = parts.frame {
            self.sink.word(&place.then(Step::Part("function")), Role::Frame, frame);
        }
        if let Some((class, line)) = parts.root {
            let place = place.then(Step::Part("cause"));
            self.sink.word(&place, Role::Type, class);
            self.sink.text(&place, Role::Message, line);
        }
        if role != Role::Trace || parts.class.is_some() {
            self.sink.text(place, if role == Role::Trace { Role::Message } else { role }, parts.line);
        }
    }
}

/// Whether members of an object say that it is about an error although its own name does not.
fn tells_of_an_error(members: &[redrive_rules::rule::Member<'_>]) -> bool {
    let mut has_level = false;
    let mut has_message = false;
    for (key, value) in members.iter().take(MOST_MEMBERS) {
        match &**key {
            "level" | "severity" | "stack" | "logger" => has_level = true,
            "message" | "msg" => has_message = true,
            // As in an answer over HTTP.
            "status" | "statusCode" | "httpStatus" if matches!(value, Node::Number(number) if number.len() == 3 && matches!(number.as_bytes()[0], b'4' | b'5')) =>
            {
                return true;
            }
            "status" | "state" | "result" | "outcome" | "Status" | "condition"
                if value.text().is_some_and(roles::is_bad) =>
            {
                return true;
            }
            _ => {}
        }
    }
    has_level && has_message
}

/// Whether a text begins like JSON, and not like a line of a log such as `[worker] …`.
fn was_json(text: &str) -> bool {
    let mut start = text.bytes().filter(|byte| !byte.is_ascii_whitespace());
    match (start.next(), start.next()) {
        (Some(b'{'), next) => matches!(next, Some(b'"') | None),
        (Some(b'['), next) => matches!(next, Some(b'{' | b'[' | b'"')),
        _ => false,
    }
}

/// Whether a text begins as an object or an array of JSON does.
pub(crate) fn looks_like_json(text: &str) -> bool {
    let start = text.trim_start().as_bytes();
    start.len() > 1 && matches!(start[0], b'{' | b'[')
}

/// A body that is JSON in Base64, decoded: for people to read.
pub fn opened(body: &str) -> Option<String> {
    decoded(body).filter(|text| parse_json(text).is_some()).map(Cow::into_owned)
}

/// Text that is JSON in Base64, decoded.
fn decoded(text: &str) -> Option<Cow<'static, str>> {
    let text = text.trim_end();
    // `{"` and `[{` and their like begin with these letters.
    let begins = text.starts_with("ey") || text.starts_with("ew") || text.starts_with('W');
    if !begins || text.len() < 16 || text.len() > LONGEST_BODY || !text.len().is_multiple_of(4) {
        return None;
    }
    if !bounded(text, 64).bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')) {
        return None;
    }
    String::from_utf8(BASE64_STANDARD.decode(text).ok()?).ok().map(Cow::Owned)
}
