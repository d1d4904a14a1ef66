//! Diffs of messages, and messages laid out in lines.

use proptest::prelude::*;

use super::*;
use crate::view::document::{Block, Document};
use crate::view::text::{Screen, Style};

fn shown(body: &str, attributes: &[&str]) -> Shown {
    Shown { body: body.to_owned(), attributes: attributes.iter().map(|&attribute| attribute.to_owned()).collect() }
}

fn text(before: &Shown, after: &Shown) -> String {
    Document::new(vec![Block::Diff(lines(before, Some(after), false))])
        .text(Screen::PLAIN)
        .lines()
        .map(|line| line[2..].to_owned() + "\n")
        .collect()
}

#[test]
fn a_change_is_shown_with_its_neighbours() {
    let before = shown(r#"{"a":1,"b":{"c":1.10,"d":[]},"e":2,"f":3,"g":4,"h":5}"#, &["tenant (String) = eu"]);
    let after = shown(
        r#"{"a":1,"b":{"c":1.10,"d":[],"x":"y z"},"e":2,"f":3,"g":4,"h":5}"#,
        &["n (Number) = 1", "tenant (String) = eu"],
    );
    insta::assert_snapshot!(text(&before, &after), @r#"
    @ 3 lines the same
          "c": 1.10,
          "d": [],
    +     "x": "y z"
        },
        "e": 2,
    @ 2 lines the same
        "h": 5
      }
    + attribute n (Number) = 1
      attribute tenant (String) = eu
    "#);
}

#[test]
fn what_is_not_json_is_compared_by_lines() {
    let lines = text(&shown("one\ntwo,", &[]), &shown("one\ntwo", &[]));
    assert_eq!(lines, "  one\n- two,\n+ two\n");
}

#[test]
fn a_change_that_was_cut_off_or_redacted_is_not_shown_as_none() {
    let same = shown("{}", &[]);
    assert_eq!(text(&same, &same), "@ it changes where it is not shown\n");
}

#[test]
fn the_words_that_differ_are_marked() {
    let marked = |old: &str, new: &str| {
        let mark = |pieces: Pieces| -> String {
            pieces.into_iter().map(|(text, differs)| if differs { format!("<{text}>") } else { text }).collect()
        };
        let (old, new) = words(old, new);
        format!("{} {}", mark(old), mark(new))
    };
    assert_eq!(marked(r#""total": 1.10,"#, r#""total": 1.20,"#), r#""total": 1.<10>, "total": 1.<20>,"#);
    assert_eq!(marked(r#""debug": true"#, r#""by": "INC-1""#), r#""debug": true "by": "INC-1""#);
    assert_eq!(marked("état_1 a", "état_2 a"), "<état_1> a <état_2> a");
    let line = &lines(&shown(r#"{"a":1}"#, &[]), Some(&shown(r#"{"a":2}"#, &[])), false)[1];
    let painted = Document::new(vec![Block::Diff(vec![line.clone()])])
        .text(Screen { style: Style { colour: true }, ..Screen::PLAIN });
    assert_eq!(painted, "  \u{1b}[31m- \u{1b}[0m\u{1b}[31m  \"a\": \u{1b}[0m\u{1b}[1;7;31m1\u{1b}[0m\n");
}

#[test]
fn the_layout_changes_white_space_only() {
    let body =
        r#"{ "a" : [ 1 , 2.50 , [ ] , { } ] , "a" : "x \" { , } \\" , "n" : 12345678901234567890123 , "e" : "" }"#;
    insta::assert_snapshot!(json(body).expect("it is JSON"), @r#"
    {
      "a": [
        1,
        2.50,
        [],
        {}
      ],
      "a": "x \" { , } \\",
      "n": 12345678901234567890123,
      "e": ""
    }
    "#);
    for body in ["", "{", "text", "{\"a\":1,}", "[1] [2]"] {
        assert_eq!(json(body), None, "{body}");
    }
    assert_eq!(json(" \"text\" "), Some("\"text\"".to_owned()));
}

#[test]
fn a_body_deeper_than_we_read_is_shown_as_it_is_written_and_not_indented_by_its_depth() {
    for (open, middle, close) in [("[", "", "]"), ("{\"a\":", "1", "}")] {
        let of_depth = |depth: usize| open.repeat(depth) + middle + &close.repeat(depth);
        assert!(json(&of_depth(100)).is_some(), "{open}");
        let body = of_depth(10_000);
        assert_eq!(json(&body), None, "{open}");
        let message = shown(&body, &[]);
        assert_eq!(laid_out(&message), (vec![body.clone()], false), "{open}");
        let length =
            |lines: &[Line]| -> usize { lines.iter().flat_map(|line| &line.pieces).map(|(text, _)| text.len()).sum() };
        assert!(length(&beginning(&message)) < 200, "{open}");
        assert_eq!(length(&whole(&message)), body.len(), "{open}");
    }
}

#[test]
fn a_whole_message_is_whole_and_its_beginning_says_how_much_is_missing() {
    let body = format!("{}\n{}", "é".repeat(WIDTH * 2 + 3), "line\n".repeat(30));
    let message = shown(&body, &["tenant (String) = eu"]);
    let text = |lines: Vec<Line>| -> Vec<String> {
        lines.into_iter().map(|line| line.pieces.into_iter().map(|(text, _)| text).collect()).collect()
    };
    let all = text(whole(&message));
    assert_eq!(all.len(), 3 + 31 + 1);
    assert_eq!(
        (all[..3].concat().chars().count(), all[34].as_str()),
        (WIDTH * 2 + 3, "attribute tenant (String) = eu")
    );
    let beginning = text(beginning(&message));
    assert_eq!((beginning.len(), beginning[12].as_str()), (13, "21 lines more"));
    assert!(beginning[0].ends_with(" [163 characters more]"), "{}", beginning[0]);
}

fn values() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<i64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn the_layout_is_that_of_a_json_library(value in values()) {
        let pretty = serde_json::to_string_pretty(&value).expect("plain data");
        prop_assert_eq!(json(&value.to_string()), Some(pretty));
    }

    #[test]
    fn any_two_texts_can_be_compared(before: String, after: String) {
        prop_assert!(!lines(&shown(&before, &[]), Some(&shown(&after, &[])), false).is_empty());
    }
}
