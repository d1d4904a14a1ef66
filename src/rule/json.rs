//! A body as JSON: read once per message, numbers kept as they are written, and equality by value.
//!
//! What `serde_json` refuses is not JSON here: lone surrogates, and nesting deeper than 128, which bounds every recursion
//! over a body. Where an object has two members of one name, the last one counts, as in most readers.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::number::Decimal;

/// Whether a body is JSON, as conditions and transforms see it.
pub fn is_json(body: &str) -> bool {
    parse(body).is_some()
}

/// Reads a body; `None` where it is not JSON.
pub(super) fn parse(body: &str) -> Option<Value> {
    serde_json::from_str::<Node>(body).ok().map(|node| node.0)
}

/// Whether an object somewhere in the body has two members of one name. `value` is what [`parse`] made of it: the last of them.
pub(super) fn has_duplicate_keys(body: &str, value: &Value) -> bool {
    fn members(value: &Value) -> usize {
        match value {
            Value::Array(elements) => elements.iter().map(members).sum(),
            Value::Object(object) => object.len() + object.values().map(members).sum::<usize>(),
            _ => 0,
        }
    }
    // Outside of strings each colon is a member's.
    let (mut in_string, mut escaped, mut colons) = (false, false, 0);
    for byte in body.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            b':' if !in_string => colons += 1,
            _ => {}
        }
    }
    colons != members(value)
}

/// Equality by value: numbers exactly and however written, objects without regard to order.
pub(super) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (Decimal::parse(a.as_str()), Decimal::parse(b.as_str())) {
            (Some(a), Some(b)) => a.compare(&b).is_eq(),
            _ => false,
        },
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

/// With `arbitrary_precision`, `serde_json` hands a number over as a map with this one key. `Value`'s own reader takes an object
/// of the body that has this key for a number, so anybody could send a body that is judged as something else.
const NUMBER_KEY: &str = "$serde_json::private::Number";

/// A value read without that confusion: a number's text comes as an owned string, which no text of a body ever does.
struct Node(Value);

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor).map(Self)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Node(element)) = elements.next_element()? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            let value = if key == NUMBER_KEY {
                match members.next_value()? {
                    Marked::Number(number) => return Ok(Value::Number(number)),
                    Marked::Member(value) => value,
                }
            } else {
                members.next_value::<Node>()?.0
            };
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

/// What stands behind [`NUMBER_KEY`].
enum Marked {
    Number(Number),
    Member(Value),
}

impl<'de> Deserialize<'de> for Marked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MarkedVisitor)
    }
}

struct MarkedVisitor;

macro_rules! members {
    ($($visit:ident($type:ty);)*) => {$(
        fn $visit<E: serde::de::Error>(self, value: $type) -> Result<Marked, E> {
            NodeVisitor.$visit(value).map(Marked::Member)
        }
    )*};
}

impl<'de> Visitor<'de> for MarkedVisitor {
    type Value = Marked;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Marked, E> {
        text.parse().map(Marked::Number).map_err(E::custom)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Marked, E> {
        NodeVisitor.visit_unit().map(Marked::Member)
    }

    members! {
        visit_bool(bool);
        visit_u64(u64);
        visit_i64(i64);
        visit_str(&str);
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<Marked, A::Error> {
        NodeVisitor.visit_seq(elements).map(Marked::Member)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Marked, A::Error> {
        NodeVisitor.visit_map(members).map(Marked::Member)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_keep_their_text() {
        for text in ["1.10", "12345678901234567890123", "1e+400", "-0", "-0.0", "0.1e-7", "18446744073709551616", "-5"]
        {
            let body = format!("[{text}]");
            let value = parse(&body).expect("is JSON");
            assert_eq!(value[0].as_number().map(Number::as_str), Some(text));
            assert_eq!(value.to_string(), body);
        }
        assert!(equal(&parse("[1E5,1e400]").expect("is JSON"), &parse("[100000.0,10E399]").expect("is JSON")));
    }

    #[test]
    fn an_object_that_looks_like_serdes_number_stays_an_object() {
        for value in ["\"5\"", "\"x\"", "5", "1.5", "null", "{}", "[1]", "true", r#""\u0035""#] {
            for key in ["$serde_json::private::Number", r"\u0024serde_json::private::Number"] {
                let body = format!(r#"{{"{key}":{value},"b":1}}"#);
                let value = parse(&body).expect("is JSON");
                assert_eq!(value.as_object().map(Map::len), Some(2), "{body}");
                let again = parse(&value.to_string()).expect("is JSON");
                assert!(equal(&value, &again));
            }
        }
    }

    #[test]
    fn what_is_not_json() {
        for body in [
            "",
            " ",
            "{",
            "plain",
            "{\"a\":1}x",
            r#""\ud800""#,
            "01",
            "+1",
            "NaN",
            "'a'",
            "{a:1}",
            "[1,]",
            "\u{feff}{}",
        ] {
            assert!(!is_json(body), "{body:?}");
        }
        for body in ["1", "null", "\"a\"", " {} ", "[]", r#""\ud83d\ude00""#] {
            assert!(is_json(body), "{body:?}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_and_does_no_harm() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(is_json(&nested(127)));
        assert!(!is_json(&nested(129)));
        assert!(!is_json(&nested(100_000)));
        assert!(!is_json(&"{\"a\":".repeat(100_000)));
    }

    #[test]
    fn duplicate_keys_are_found_wherever_they_are() {
        for (body, expected) in [
            (r#"{"a":1,"b":{"a":1},"c":[{"a":":"}]}"#, false),
            (r#"{"a":1,"a":1}"#, true),
            (r#"[{"b":{"a":1,"\u0061":2}}]"#, true),
            (r#"{"a\"":1,"a":"\\","b":"\":"}"#, false),
            (r#"{"a":{"x":1,"x":2},"a":3}"#, true),
            ("5", false),
        ] {
            assert_eq!(has_duplicate_keys(body, &parse(body).expect("is JSON")), expected, "{body}");
        }
    }

    #[test]
    fn equality_is_by_value() {
        assert!(equal(&json!({"a": [1, {"b": null}], "c": "x"}), &json!({"c": "x", "a": [1, {"b": null}]})));
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

    proptest! {
        #[test]
        fn agrees_with_serde_on_what_is_json(body in r#"[\[\]{}",:\\0-9a-ent\-+.E u]{0,24}"#) {
            prop_assert_eq!(parse(&body), serde_json::from_str::<Value>(&body).ok());
        }
    }
}
