//! Reads JSON: the only judge of what is JSON here. It is our own for two reasons. Others make of a number what it was not: in
//! ours its text is the value. And a tree that borrows costs a fraction of one that copies each key, text and number.
//!
//! It takes what `serde_json` takes, which a test holds. So lone surrogates are not JSON, nor is nesting deeper than 127, which
//! bounds every recursion over a body. Where an object has two members of one name, the last one counts, as in most readers.

use std::collections::{HashMap, HashSet};

use redrive_protocol::json::Scanner;

use super::{FEW, Member, Node};

/// A body that was read.
#[derive(Debug)]
pub(in crate::rule) struct Document<'b> {
    pub(in crate::rule) root: Node<'b>,
    /// Whether an object somewhere in it has two members of one name.
    pub(in crate::rule) duplicate_keys: bool,
}

/// Reads a body, and says what of it the tree does not show; `None` where it is not JSON.
pub(in crate::rule) fn read(body: &str) -> Option<Document<'_>> {
    let mut scanner = Scanner::new(body);
    let mut duplicate_keys = false;
    scanner.peek();
    let root = value(&mut scanner, DEEPEST, &mut duplicate_keys)?;
    scanner.peek().is_none().then_some(Document { root, duplicate_keys })
}

/// As deep as a body can be nested.
const DEEPEST: usize = 127;

/// A value that may be nested so deep.
fn value<'b>(scanner: &mut Scanner<'b>, deep: usize, duplicate_keys: &mut bool) -> Option<Node<'b>> {
    Some(match scanner.peek()? {
        b'"' => Node::Text(scanner.string()?),
        b'{' => {
            let deep = deep.checked_sub(1)?;
            let mut members = Vec::new();
            scanner.members(|scanner, name| {
                members.push((name, value(scanner, deep, duplicate_keys)?));
                Some(())
            })?;
            if has_twice(&members) {
                *duplicate_keys = true;
                members = last_of_each(members);
            }
            Node::Object(members)
        }
        b'[' => {
            let deep = deep.checked_sub(1)?;
            let mut elements = Vec::new();
            scanner.elements(|scanner| {
                elements.push(value(scanner, deep, duplicate_keys)?);
                Some(())
            })?;
            Node::Array(elements)
        }
        b'n' => scanner.word("null").map(|()| Node::Null)?,
        b't' => scanner.word("true").map(|()| Node::Bool(true))?,
        b'f' => scanner.word("false").map(|()| Node::Bool(false))?,
        _ => Node::Number(scanner.number()?.into()),
    })
}

/// Whether two members have one name.
fn has_twice(members: &[Member<'_>]) -> bool {
    if members.len() <= FEW {
        let before = |at: usize, key: &str| members[..at].iter().any(|(other, _)| other == key);
        return members.iter().enumerate().any(|(at, (key, _))| before(at, key));
    }
    let mut seen = HashSet::with_capacity(members.len());
    !members.iter().all(|(key, _)| seen.insert(&**key))
}

/// Of the members of one name the last, where the first was.
fn last_of_each(members: Vec<Member<'_>>) -> Vec<Member<'_>> {
    let mut places = HashMap::new();
    let mut each: Vec<Member<'_>> = Vec::new();
    for (key, member) in members {
        let place = *places.entry(key.clone()).or_insert(each.len());
        match each.get_mut(place) {
            Some((_, earlier)) => *earlier = member,
            None => each.push((key, member)),
        }
    }
    each
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::super::tests::fidelity::json_text;
    use super::super::{equal, is_json, parse};
    use super::*;

    #[test]
    fn numbers_keep_their_text() {
        for text in ["1.10", "12345678901234567890123", "1e+400", "-0", "-0.0", "0.1e-7", "18446744073709551616", "-5"]
        {
            let body = format!("[{text}]");
            assert_eq!(parse(&body), Some(Node::Array(vec![Node::Number(text.into())])));
        }
        assert!(equal(&parse("[1E5,1e400]").expect("is JSON"), &parse("[100000.0,10E399]").expect("is JSON")));
    }

    #[test]
    fn an_object_that_looks_like_serdes_number_stays_an_object() {
        for value in ["\"5\"", "\"x\"", "5", "1.5", "null", "{}", "[1]", "true", r#""\u0035""#] {
            for key in ["$serde_json::private::Number", r"\u0024serde_json::private::Number"] {
                let body = format!(r#"{{"{key}":{value},"b":1}}"#);
                let value = parse(&body).expect("is JSON");
                assert!(matches!(&value, Node::Object(members) if members.len() == 2), "{body}");
                let text = value.to_string();
                assert!(equal(&value, &parse(&text).expect("is JSON")));
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
        for depth in [126, 127, 128] {
            assert_eq!(is_json(&nested(depth)), serde_json::from_str::<Value>(&nested(depth)).is_ok(), "{depth}");
        }
        assert!(is_json(&nested(127)));
        assert!(!is_json(&nested(128)));
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
            assert_eq!(read(body).expect("is JSON").duplicate_keys, expected, "{body}");
        }
    }

    #[test]
    fn of_two_members_of_one_name_the_last_counts_where_the_first_was() {
        let many: Vec<String> = (0..40).map(|n| format!("\"k{}\":{n}", n % 20)).collect();
        let many = format!("{{{}}}", many.join(","));
        for body in [r#"{"a":1,"b":2,"\u0061":3}"#.to_owned(), many] {
            let theirs = serde_json::from_str::<Value>(&body).expect("is JSON");
            assert_eq!(parse(&body).expect("is JSON").to_string(), theirs.to_string());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn agrees_with_serde(body in r#"[\[\]{}",:\\0-9a-ent\-+.E u]{0,24}"#, body_of_json in json_text()) {
            for body in [body, body_of_json] {
                let theirs = serde_json::from_str::<Value>(&body).ok().map(|value| value.to_string());
                // It makes `1e+5` of `1E5`, and ours stays: so what we read is written, and read again by it.
                let ours = parse(&body).map(|ours| serde_json::from_str::<Value>(&ours.to_string()).expect("JSON"));
                prop_assert_eq!(ours.map(|value| value.to_string()), theirs, "{}", body);
            }
        }
    }
}
