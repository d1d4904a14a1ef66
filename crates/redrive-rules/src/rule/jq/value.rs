//! JSON to jaq's values and back, with every number's text. What jaq has and JSON has not is refused on the way back.

use jaq_json::{Num, Rc, Val};
use redrive_protocol::message::{Attribute, AttributeValue, SystemAttributes};
use serde_json::Number;

use super::super::json::{Node, quoted};

/// Integers up to this many digits are integers in jq. Longer ones keep their text too, and are floats in arithmetic.
const LONGEST_INTEGER: usize = 1000;

/// As deep as a body can be nested.
const DEEPEST: usize = 127;

/// A JSON value for jaq.
pub(super) fn read(node: &Node<'_>) -> Val {
    match node {
        Node::Null => Val::Null,
        Node::Bool(value) => Val::Bool(*value),
        Node::Number(number) => Val::Num(number_of(number)),
        Node::Text(value) => text(value),
        Node::Array(elements) => elements.iter().map(read).collect(),
        Node::Object(members) => object(members.iter().map(|(key, member)| (&**key, read(member)))),
    }
}

/// A number by its text. jaq's own reader makes 0 of -0.
fn number_of(text: &str) -> Num {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_integer =
        text != "-0" && digits.len() <= LONGEST_INTEGER && digits.bytes().all(|byte| byte.is_ascii_digit());
    let integer = if is_integer { Num::from_str_radix(text, 10) } else { None };
    integer.unwrap_or_else(|| Num::Dec(Rc::new(text.to_owned())))
}

pub(super) fn text(text: &str) -> Val {
    Val::utf8_str(text.to_owned())
}

pub(super) fn object<'k>(members: impl Iterator<Item = (&'k str, Val)>) -> Val {
    Val::obj(members.map(|(key, value)| (text(key), value)).collect())
}

/// A message attribute's value: a number where it is one, text, and null for what is binary.
pub(super) fn attribute(attribute: &Attribute) -> Val {
    match &attribute.value {
        AttributeValue::Binary(_) => Val::Null,
        AttributeValue::Text(value) if attribute.is_number() => number_or_text(value),
        AttributeValue::Text(value) => text(value),
    }
}

/// A system attribute's value: a number where SQS means one.
pub(super) fn system(name: &str, value: &str) -> Val {
    if SystemAttributes::is_numeric(name) { number_or_text(value) } else { text(value) }
}

fn number_or_text(value: &str) -> Val {
    value.parse::<Number>().map_or_else(|_| text(value), |_| Val::Num(number_of(value)))
}

/// A value of jaq as a JSON text, or what about it is not JSON.
pub(super) fn write(value: &Val) -> Result<String, &'static str> {
    let mut json = String::new();
    append(value, 0, &mut json)?;
    Ok(json)
}

fn append(value: &Val, depth: usize, json: &mut String) -> Result<(), &'static str> {
    if depth > DEEPEST {
        return Err("its value is nested deeper than a body can be");
    }
    match value {
        Val::Null => json.push_str("null"),
        Val::Bool(value) => json.push_str(if *value { "true" } else { "false" }),
        Val::Num(Num::Float(float)) if !float.is_finite() => return Err("its value holds nan or infinite"),
        Val::Num(number) => json.push_str(&number.to_string()),
        Val::TStr(bytes) => {
            let text = std::str::from_utf8(bytes).map_err(|_| "its value holds a text that is not UTF-8")?;
            json.push_str(&quoted(text));
        }
        Val::BStr(_) => return Err("its value holds bytes"),
        Val::Arr(elements) => {
            json.push('[');
            for (index, element) in elements.iter().enumerate() {
                json.push_str(if index > 0 { "," } else { "" });
                append(element, depth + 1, json)?;
            }
            json.push(']');
        }
        Val::Obj(members) => {
            json.push('{');
            for (index, (key, member)) in members.iter().enumerate() {
                json.push_str(if index > 0 { "," } else { "" });
                if !matches!(key, Val::TStr(_)) {
                    return Err("its value has a key that is not text");
                }
                append(key, depth + 1, json)?;
                json.push(':');
                append(member, depth + 1, json)?;
            }
            json.push('}');
        }
    }
    Ok(())
}
