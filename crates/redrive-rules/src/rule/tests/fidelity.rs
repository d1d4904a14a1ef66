//! What must hold for any message: what nobody changes arrives byte for byte, and what a transform does not address stays.

use std::sync::LazyLock;

use proptest::prelude::*;
use redrive_protocol::message::Body;
use serde_json::Value;

use super::*;

fn transformed(transforms: &str, message: Message) -> Verdict {
    changing(transforms).judge(message, &setting())
}

#[test]
fn transforms_by_name() {
    let body =
        r#"{ "id": 12345678901234567890, "price": 1.10, "e": [1E5, -0, 1e400], "u": "\u00e9\/", "debug": {"a": 1} }"#;
    let result = sent(transformed(
        r#"{ set = "$.replayed_by", value = "INC-4711" }, { remove = "$.debug" }, { set = "$.e[0]", value = { x = [1, 2.50, true] } },
           { set_attribute = "origin", value = "{source_queue}" }, { set_attribute = "n", value = 7 },
           { set_attribute = "labelled", value = "{sent_timestamp}", type = "Number.ms" }, { remove_attribute = "old" }, { remove_attribute = "none" }"#,
        with_attribute(message(body), "old", "String", "x"),
    ));
    assert_eq!(
        result.body,
        Body::Changed(
            r#"{ "id": 12345678901234567890, "price": 1.10, "e": [{"x":[1,2.5,true]}, -0, 1e400], "u": "\u00e9\/", "replayed_by": "INC-4711" }"#
                .to_owned()
        )
    );
    let expected =
        [("labelled", "Number.ms", "1799992800000"), ("n", "Number", "7"), ("origin", "String", "orders-dlq")];
    let attributes: Vec<_> = result
        .attributes
        .iter()
        .map(|(name, attribute)| (name.as_str(), attribute.data_type.as_str(), attribute.text().unwrap_or_default()))
        .collect();
    assert_eq!(attributes, expected);
}

#[test]
fn a_transform_that_cannot_be_carried_out_blocks_the_message() {
    for (transforms, body, expected) in [
        (r#"{ set = "$.a", value = 1 }"#, "no JSON", "block: not_json ($.a)"),
        (r#"{ remove_attribute = "a" }"#, "no JSON", "send to 4"),
        (r#"{ set = "$.a.b", value = 1 }"#, "{}", "block: no_such_path ($.a.b)"),
        (r#"{ remove = "$.a" }"#, "{}", "block: no_such_path ($.a)"),
        (r#"{ set = "$[0]", value = 1 }"#, "[]", "block: no_such_path ($[0])"),
        (r#"{ rename = "$.a", to = "$.b" }"#, r#"{"a":1,"b":2}"#, "block: place_taken ($.a to $.b)"),
        (r#"{ rename = "$.b", to = "$.a" }"#, r#"{"a":1}"#, "block: no_such_path ($.b to $.a)"),
        (r#"{ rename = "$.a", to = "$.b" }"#, "x", "block: not_json ($.a)"),
        (r#"{ unwrap = "$.a" }"#, r#"{"b":1}"#, "block: no_such_path ($.a)"),
        (r#"{ unwrap = "$.a" }"#, r#"{"a":""}"#, "block: empty_body ()"),
        (r#"{ unwrap = "$.a" }, { set = "$.b", value = 1 }"#, r#"{"a":"text"}"#, "block: not_json ($.b)"),
        (r#"{ set = "$.b", value = 1 }, { remove = "$.a" }"#, "{}", "block: no_such_path ($.a)"),
        (r#"{ set = "$.a", value = 1 }"#, r#"{"a":1,"a":2}"#, "block: duplicate_keys ($.a)"),
        (r#"{ set = "$.a", value = 1 }"#, r#"{"b":1,"b":2}"#, "send to 4"),
        (r#"{ set = "$", value = "" }"#, "{}", "send to 4"),
        (r#"{ set = "$.a", value = "\u0001" }"#, "{}", "send to 4"),
        (
            r#"{ set_attribute = "n", value = "{rule}", type = "Number" }"#,
            "{}",
            "block: transform_failed (attribute n is a Number, and its value would be no number)",
        ),
    ] {
        assert_eq!(words(&transformed(transforms, message(body))), expected, "{transforms} {body}");
    }
}

#[test]
fn what_is_unwrapped_comes_out_whole() {
    for (transforms, body, expected) in [
        (r#"{ unwrap = "$.Message" }"#, r#"{"Message":"{\"a\": 1.10}\n\u00e9","b":1}"#, "{\"a\": 1.10}\né"),
        (r#"{ unwrap = "$.requestPayload" }"#, r#"{"requestPayload": { "n" : 1e400 }, "x":1}"#, r#"{ "n" : 1e400 }"#),
        (r#"{ unwrap = "$.m" }, { set = "$.a", value = 2 }"#, r#"{"m":"{\"a\": 1}"}"#, r#"{"a": 2}"#),
        (r#"{ unwrap = "$" }"#, r#" "text" "#, "text"),
        (r#"{ unwrap = "$.a[0]" }, { unwrap = "$.b" }"#, r#"{"a":["{\"b\":-0}"]}"#, "-0"),
        (r#"{ rename = "$.a", to = "$.b.c" }, { unwrap = "$.b" }"#, r#"{"a":1,"b":{ }}"#, r#"{"c":1 }"#),
    ] {
        assert_eq!(sent(transformed(transforms, message(body))).body.as_str(), expected, "{transforms} {body}");
    }
}

#[test]
fn a_transform_that_changes_nothing_leaves_the_received_text() {
    let result = sent(transformed(r#"{ set = "$.a", value = 1 }"#, message(r#"{"a": 1}"#)));
    assert_eq!(result.body, Body::Untouched(r#"{"a": 1}"#.to_owned()));
}

/// JSON as a text, with its numbers, escapes and spacing.
pub(in crate::rule) fn json_text() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,3})?",
        any::<String>().prop_map(|text| Value::from(text).to_string()),
        "\"(\\\\u00[0-7][0-9a-f]|\\\\/|é|a){0,5}\"",
    ];
    let space = "[ \n\t]{0,2}";
    scalar.prop_recursive(4, 32, 4, move |inner| {
        let key = prop_oneof![Just("a".to_owned()), Just("b".to_owned()), "[a-zé]{0,3}"];
        let member = (space, key, space, inner.clone(), space)
            .prop_map(|(before, key, colon, value, after)| format!("{before}\"{key}\"{colon}:{value}{after}"));
        let element = (space, inner, space).prop_map(|(before, value, after)| format!("{before}{value}{after}"));
        prop_oneof![
            prop::collection::vec(member, 0..4).prop_map(|members| format!("{{{}}}", members.join(","))),
            prop::collection::vec(element, 0..4).prop_map(|elements| format!("[{}]", elements.join(","))),
        ]
    })
}

/// A rule with these transforms for every message, compiled once.
fn changing(transforms: &str) -> Rules {
    rules(&format!(
        "[[rule]]\nname = \"r\"\nwhen = [{{ message = \"id\", exists = true }}]\ntransform = [{transforms}]\nto = \"orders\"\n"
    ))
}

const PATHS: [(&str, &str); 5] = [("$.a", "/a"), ("$.b", "/b"), ("$[0]", "/0"), ("$.a.b", "/a/b"), ("$[-1].a", "/L/a")];

static SETS: LazyLock<Vec<Rules>> =
    LazyLock::new(|| PATHS.iter().map(|(path, _)| changing(&format!("{{ set = \"{path}\", value = 7 }}"))).collect());
static REMOVES: LazyLock<Vec<Rules>> =
    LazyLock::new(|| PATHS.iter().map(|(path, _)| changing(&format!("{{ remove = \"{path}\" }}"))).collect());
// A longer name than any in a generated text.
static UNDONE: LazyLock<Vec<Rules>> = LazyLock::new(|| {
    let undone =
        |place: &str| changing(&format!("{{ set = \"{place}.anew\", value = [7] }}, {{ remove = \"{place}.anew\" }}"));
    let renamed = |place: &str| {
        changing(&format!(
            "{{ rename = \"{place}.a\", to = \"{place}.anew\" }}, {{ rename = \"{place}.anew\", to = \"{place}.a\" }}"
        ))
    };
    ["$", "$.a", "$[0]"].iter().flat_map(|place| [undone(place), renamed(place)]).collect()
});
static LOOKS: LazyLock<Rules> = LazyLock::new(|| {
    rules(
        "[[rule]]\nname = \"r\"\nwhen = [{ not = { body = \"$..a\", equals = \"x\" } }]\ntransform = [{ set_attribute = \"n\", value = 1 }]\nto = \"orders\"\n",
    )
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn what_is_set_and_removed_again_leaves_the_bytes(text in json_text(), rules in 0_usize..6) {
        match UNDONE[rules].judge(message(&text), &setting()).decision {
            Decision::Send { outgoing, .. } => prop_assert_eq!(outgoing.body, Body::Untouched(text)),
            Decision::Block { reason, .. } => {
                prop_assert!(matches!(reason, Reason::NoSuchPath | Reason::DuplicateKeys), "{:?}", reason);
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn what_nobody_changes_arrives_byte_for_byte(body in ".{1,60}", text in json_text(), value in any::<Vec<u8>>()) {
        for body in [body, text] {
            let mut message = message(&body);
            let attribute = Attribute { data_type: "Binary.x".to_owned(), value: AttributeValue::Binary(value.clone()) };
            message.attributes.insert("b".to_owned(), attribute.clone());
            match LOOKS.judge(message, &setting()).decision {
                Decision::Send { outgoing, .. } => {
                    prop_assert_eq!(outgoing.body, Body::Untouched(body));
                    prop_assert_eq!(&outgoing.attributes["b"], &attribute);
                }
                Decision::Block { reason, .. } => prop_assert!(matches!(
                    reason,
                    Reason::ForbiddenCharacters | Reason::EmptyAttribute | Reason::EmptyBody
                )),
                Decision::Keep(Reason::Unmatched) => {}
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }

    #[test]
    fn what_a_transform_does_not_address_is_unchanged(text in json_text(), place in 0_usize..5, remove in any::<bool>()) {
        let rules = if remove { &REMOVES[place] } else { &SETS[place] };
        let pointer = PATHS[place].1;
        let before: Value = serde_json::from_str(&text).expect("is JSON");
        let pointer = match &before {
            Value::Array(elements) => pointer.replace('L', &elements.len().wrapping_sub(1).to_string()),
            _ => pointer.to_owned(),
        };
        let Decision::Send { outgoing, .. } = rules.judge(message(&text), &setting()).decision else {
            return Ok(());
        };
        let after: Value = serde_json::from_str(outgoing.body.as_str()).expect("still JSON");
        // The same change, by other means.
        let mut expected = before;
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        match expected.pointer_mut(parent).expect("there, or it would be blocked") {
            Value::Object(members) if remove => drop(members.shift_remove(name)),
            Value::Object(members) => drop(members.insert(name.to_owned(), 7.into())),
            Value::Array(elements) if remove => drop(elements.remove(name.parse().expect("an index"))),
            Value::Array(elements) => elements[name.parse::<usize>().expect("an index")] = 7.into(),
            _ => prop_assert!(false, "nothing can be set in a scalar"),
        }
        prop_assert_eq!(after.to_string(), expected.to_string());
    }

}

proptest! {
    #[test]
    fn no_body_and_no_path_makes_it_panic(body in ".{0,40}", json in json_text(), path in r#"\$[.\[\]a-c0-9*?@'":,()<>=!&|\- é]{0,16}"#) {
        let toml = |key: &str| format!("{key} = {}", toml::Value::from(path.as_str()));
        let lines = format!(
            "[report]\nredact = [{}]\n[[rule]]\nname = \"r\"\nwhen = [{{ {}, exists = true }}]\ntransform = [{{ {}, value = 1 }}]\nto = \"orders\"\n",
            toml::Value::from(path.as_str()), toml("body"), toml("set"),
        );
        let lines = if Rules::compile(&job(&lines)).is_ok() { lines } else { lines.replace("transform", "#") };
        if let Ok(rules) = Rules::compile(&job(&lines)) {
            for body in [&body, &json] {
                let _ = rules.judge(message(body), &setting());
                let _ = rules.veil([(body.as_str(), &Attributes::new())]).body(body);
            }
        }
    }
}
