//! A body as JSON: read once per message into a tree that borrows from its text, numbers kept as they are written, and
//! equality by value. `reader` reads it, and says what is JSON.

mod reader;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use redrive_protocol::json::write_text;
use serde_json::Value;

pub(super) use self::reader::{Document, read};
use super::number::Decimal;

/// A value of a body.
#[derive(Debug, Clone, PartialEq)]
pub enum Node<'b> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// As it is written.
    Number(Cow<'b, str>),
    /// Without its escapes.
    Text(Cow<'b, str>),
    /// In order.
    Array(Vec<Node<'b>>),
    /// Each name once, in the order of the text.
    Object(Vec<Member<'b>>),
}

/// A member of an object.
pub type Member<'b> = (Cow<'b, str>, Node<'b>);

/// Whether a body is JSON, as conditions and transforms see it.
pub fn is_json(body: &str) -> bool {
    parse(body).is_some()
}

/// Reads a body; `None` if it is not JSON.
pub fn parse(body: &str) -> Option<Node<'_>> {
    read(body).map(|document| document.root)
}

impl<'b> Node<'b> {
    /// The member of this name.
    pub fn get(&self, name: &str) -> Option<&Node<'b>> {
        match self {
            Self::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, member)| member),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A value of the job file.
impl From<&Value> for Node<'static> {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Number(number.as_str().to_owned().into()),
            Value::String(text) => Self::Text(text.clone().into()),
            Value::Array(elements) => Self::Array(elements.iter().map(Self::from).collect()),
            Value::Object(members) => {
                Self::Object(members.iter().map(|(key, member)| (key.clone().into(), member.into())).collect())
            }
        }
    }
}

/// As JSON without spaces.
impl fmt::Display for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = |index| if index > 0 { "," } else { "" };
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(text) => f.write_str(text),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Array(elements) => {
                f.write_str("[")?;
                for (index, element) in elements.iter().enumerate() {
                    write!(f, "{}{element}", separator(index))?;
                }
                f.write_str("]")
            }
            Self::Object(members) => {
                f.write_str("{")?;
                for (index, (key, member)) in members.iter().enumerate() {
                    write!(f, "{}{}:{member}", separator(index), quoted(key))?;
                }
                f.write_str("}")
            }
        }
    }
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    write_text(&mut quoted, text);
    quoted
}

/// Objects up to this size are searched from end to end.
const FEW: usize = 16;

/// Equality by value: numbers exactly and however written, objects without regard to order.
pub(super) fn equal(a: &Node<'_>, b: &Node<'_>) -> bool {
    match (a, b) {
        (Node::Number(a), Node::Number(b)) => match (Decimal::parse(a), Decimal::parse(b)) {
            (Some(a), Some(b)) => a.compare(&b).is_eq(),
            _ => false,
        },
        (Node::Array(a), Node::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Node::Object(members), Node::Object(others)) if members.len() != others.len() => false,
        (Node::Object(members), Node::Object(others)) if others.len() > FEW => {
            let others: HashMap<&str, &Node<'_>> = others.iter().map(|(key, member)| (&**key, member)).collect();
            members.iter().all(|(key, member)| others.get(&**key).is_some_and(|other| equal(member, other)))
        }
        (Node::Object(members), other) => {
            members.iter().all(|(key, member)| other.get(key).is_some_and(|other| equal(member, other)))
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equality_is_by_value() {
        let equal = |a: &Value, b: &Value| equal(&a.into(), &b.into());
        assert!(equal(&json!({"a": [1, {"b": null}], "c": "x"}), &json!({"c": "x", "a": [1, {"b": null}]})));
        let many = |of: &mut dyn Iterator<Item = u32>| of.map(|n| (format!("k{n}"), Value::from(n))).collect::<Value>();
        assert!(equal(&many(&mut (0..40)), &many(&mut (0..40).rev())));
        assert!(!equal(&many(&mut (0..40)), &many(&mut (1..41))));
        for (a, b) in [
            (json!(1), json!("1")),
            (json!([1]), json!([1, 2])),
            (json!({"a": 1}), json!({"b": 1})),
            (json!(null), json!(false)),
            (json!(0), json!(false)),
        ] {
            assert!(!equal(&a, &b), "{a} {b}");
        }
    }
}
