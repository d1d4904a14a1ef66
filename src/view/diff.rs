//! A message before and after, as a diff: JSON bodies are laid out line by line first, then the message attributes follow. Pure;
//! the lines still hold text from outside and are neutralised where they are shown.

use serde::de::IgnoredAny;
use similar::{ChangeTag, TextDiff};

use crate::plan::Shown;

/// Unchanged lines that are shown around a change.
const CONTEXT: usize = 2;

/// What a line of a diff is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// In both.
    Same,
    /// Only before.
    Removed,
    /// Only after.
    Added,
    /// Stands for lines that are left out.
    Gap,
}

impl Kind {
    /// The line's first character; the diff reads without colour.
    pub(super) fn mark(self) -> char {
        match self {
            Self::Same => ' ',
            Self::Removed => '-',
            Self::Added => '+',
            Self::Gap => '@',
        }
    }
}

/// A line of a diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) kind: Kind,
    pub(super) text: String,
}

/// What changes between before and after.
pub(super) fn changes(before: &Shown, after: &Shown) -> Vec<Line> {
    let (old, new) = (lines(before), lines(after));
    let (old, new): (Vec<&str>, Vec<&str>) =
        (old.iter().map(String::as_str).collect(), new.iter().map(String::as_str).collect());
    let diff = TextDiff::from_slices(&old, &new);
    let mut shown = Vec::new();
    let mut next = 0;
    for group in diff.grouped_ops(CONTEXT) {
        let start = group.first().map_or(0, |op| op.old_range().start);
        gap(start.saturating_sub(next), &mut shown);
        for op in &group {
            shown.extend(diff.iter_changes(op).map(|change| Line {
                kind: match change.tag() {
                    ChangeTag::Equal => Kind::Same,
                    ChangeTag::Delete => Kind::Removed,
                    ChangeTag::Insert => Kind::Added,
                },
                text: change.value().to_owned(),
            }));
            next = op.old_range().end;
        }
    }
    if shown.is_empty() {
        // Both were cut off before the first difference, or what differs is redacted.
        return vec![Line { kind: Kind::Gap, text: "it changes where it is not shown".to_owned() }];
    }
    gap(old.len().saturating_sub(next), &mut shown);
    shown
}

/// A message that stays as it is, whole.
pub(super) fn whole(message: &Shown) -> Vec<Line> {
    lines(message).into_iter().map(|text| Line { kind: Kind::Same, text }).collect()
}

fn gap(length: usize, shown: &mut Vec<Line>) {
    if length > 0 {
        let lines = if length == 1 { "line" } else { "lines" };
        shown.push(Line { kind: Kind::Gap, text: format!("{length} {lines} the same") });
    }
}

fn lines(message: &Shown) -> Vec<String> {
    let body = laid_out(&message.body).unwrap_or_else(|| message.body.clone());
    let attributes = message.attributes.iter().map(|attribute| format!("attribute {attribute}"));
    body.split('\n').map(str::to_owned).chain(attributes).collect()
}

/// JSON with a line for each value, `None` for what is not JSON. Only white space between values changes: digits, escapes, order
/// and repeated keys stay as they are in the text, which no detour over parsed values could promise.
fn laid_out(body: &str) -> Option<String> {
    serde_json::from_str::<IgnoredAny>(body).ok()?;
    let mut text = String::with_capacity(body.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    // Set after an opening bracket: only what follows says whether it is empty.
    let mut opened = false;
    for character in body.chars() {
        if in_string {
            text.push(character);
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
            continue;
        }
        if matches!(character, ' ' | '\t' | '\n' | '\r') {
            continue;
        }
        let closes = matches!(character, '}' | ']');
        if closes {
            depth = depth.saturating_sub(1);
        }
        if opened != closes {
            // The first value of a container, or the end of one that is not empty.
            line(&mut text, depth);
        }
        opened = matches!(character, '{' | '[');
        text.push(character);
        match character {
            '{' | '[' => depth += 1,
            ',' => line(&mut text, depth),
            ':' => text.push(' '),
            '"' => in_string = true,
            _ => {}
        }
    }
    Some(text)
}

fn line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(body: &str, attributes: &[&str]) -> Shown {
        Shown { body: body.to_owned(), attributes: attributes.iter().map(|&attribute| attribute.to_owned()).collect() }
    }

    fn text(lines: &[Line]) -> String {
        lines.iter().flat_map(|line| [line.kind.mark().to_string(), line.text.clone(), "\n".to_owned()]).collect()
    }

    #[test]
    fn a_change_is_shown_with_its_neighbours() {
        let before = shown(r#"{"a":1,"b":{"c":1.10,"d":[]},"e":2,"f":3,"g":4,"h":5}"#, &["tenant (String) = eu"]);
        let after = shown(
            r#"{"a":1,"b":{"c":1.10,"d":[],"x":"y z"},"e":2,"f":3,"g":4,"h":5}"#,
            &["n (Number) = 1", "tenant (String) = eu"],
        );
        insta::assert_snapshot!(text(&changes(&before, &after)), @r#"
        @2 lines the same
           "b": {
             "c": 1.10,
        -    "d": []
        +    "d": [],
        +    "x": "y z"
           },
           "e": 2,
        @2 lines the same
           "h": 5
         }
        +attribute n (Number) = 1
         attribute tenant (String) = eu
        "#);
    }

    #[test]
    fn what_is_not_json_is_compared_by_lines() {
        let lines = changes(&shown("one\ntwo", &[]), &shown("one\nthree", &[]));
        assert_eq!(text(&lines), " one\n-two\n+three\n");
    }

    #[test]
    fn a_change_that_was_cut_off_or_redacted_is_not_shown_as_none() {
        let same = shown("{}", &[]);
        assert_eq!(text(&changes(&same, &same)), "@it changes where it is not shown\n");
    }

    #[test]
    fn the_layout_changes_white_space_only() {
        let body =
            r#"{ "a" : [ 1 , 2.50 , [ ] , { } ] , "a" : "x \" { , } \\" , "n" : 12345678901234567890123 , "e" : "" }"#;
        insta::assert_snapshot!(laid_out(body).expect("it is JSON"), @r#"
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
            assert_eq!(laid_out(body), None, "{body}");
        }
        assert_eq!(laid_out(" \"text\" "), Some("\"text\"".to_owned()));
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
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
        fn the_layout_is_that_of_a_json_library(value in json()) {
            let pretty = serde_json::to_string_pretty(&value).expect("plain data");
            prop_assert_eq!(laid_out(&value.to_string()), Some(pretty));
        }

        #[test]
        fn any_two_texts_can_be_compared(before: String, after: String) {
            prop_assert!(!changes(&shown(&before, &[]), &shown(&after, &[])).is_empty());
        }
    }
}
