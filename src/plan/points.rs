//! What a reader should see of a message first: what the conditions found in it, and what in it looks like an error. Pure; it
//! takes the message as it may be shown, so what is redacted is redacted here, too.
//!
//! An error is told by the name of a member or attribute (`error`, `exception`, `ErrorMessage`, `failureReason`, ...), not by its
//! value: values are in any language. Which names these are, `redrive_groups` knows. The same message gives the same points, in
//! the order of its text.

use redrive_groups::names_an_error;
use redrive_rules::rule::ExplainedCondition;
use serde_json::Value;

use super::document::Point;

/// Points of either kind at the most.
const MOST: usize = 4;

/// Characters of a value that are kept: the first line of a stack trace says what it is.
const VALUE: usize = 120;

/// Bytes of a body at the most that are looked into.
pub(super) const LARGEST: usize = 256 * 1024;

/// Bytes of a condition, and of what it found, that are kept.
const OF_CONDITION: usize = 256;

/// What conditions found, those of a group one by one, each once.
pub fn asked(conditions: impl IntoIterator<Item = ExplainedCondition>) -> Vec<Point> {
    fn leaves(conditions: impl IntoIterator<Item = ExplainedCondition>, points: &mut Vec<Point>) {
        for ExplainedCondition { text, found, parts, .. } in conditions {
            let point = Point { of: shorten(text, OF_CONDITION), found: shorten(found, OF_CONDITION) };
            if parts.is_empty() && !points.contains(&point) {
                points.push(point);
            }
            leaves(parts, points);
        }
    }
    let mut points = Vec::new();
    leaves(conditions, &mut points);
    points.truncate(MOST);
    points
}

/// Cuts a text off at the end and says how much is missing.
pub(super) fn shorten(mut text: String, max: usize) -> String {
    if text.len() <= max {
        return text;
    }
    let end = text.floor_char_boundary(max);
    let missing = text.len() - end;
    text.truncate(end);
    format!("{text} [{missing} bytes more]")
}

/// What looks like an error in a message, the body first.
pub fn errors(body: &str, attributes: &[String]) -> Vec<Point> {
    let mut points = Vec::new();
    if let Ok(root) = serde_json::from_str::<Value>(body) {
        walk(&root, "$", false, &mut points);
    }
    for attribute in attributes {
        if let Some((name, value)) = attribute.split_once(" = ")
            && names_an_error(name.split(' ').next().unwrap_or(name))
        {
            push(format!("attribute {name}"), value, &mut points);
        }
    }
    points
}

/// What makes two messages look alike: the places and the values of their errors, digits aside.
pub(super) fn likeness(points: &[Point]) -> String {
    let mut text = String::new();
    for Point { of, found } in points {
        text.extend([of.as_str(), " ", found.as_str(), "\n"]);
    }
    text.chars().map(|character| if character.is_ascii_digit() { '0' } else { character }).collect()
}

fn walk(value: &Value, path: &str, within_error: bool, points: &mut Vec<Point>) {
    if points.len() >= MOST {
        return;
    }
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                walk(member, &step(path, name), within_error || names_an_error(name), points);
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                walk(element, &format!("{path}[{index}]"), within_error, points);
            }
        }
        Value::String(text) if within_error && !text.is_empty() => push(path.to_owned(), text, points),
        Value::Number(_) | Value::Bool(true) if within_error => push(path.to_owned(), &value.to_string(), points),
        // Neither `null` nor `false` says that something went wrong.
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Number(_) => {}
    }
}

fn push(of: String, value: &str, points: &mut Vec<Point>) {
    if points.len() < MOST {
        let line = value.lines().next().unwrap_or_default();
        let mut found: String = line.chars().take(VALUE).collect();
        if found.len() < value.len() {
            found.push('…');
        }
        points.push(Point { of, found });
    }
}

/// A member's path, as a `JSONPath` of a job has it.
fn step(path: &str, name: &str) -> String {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty();
    if is_plain { format!("{path}.{name}") } else { format!("{path}['{name}']") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(body: &str) -> Vec<String> {
        errors(body, &[]).into_iter().map(|point| format!("{} {}", point.of, point.found)).collect()
    }

    #[test]
    fn an_error_is_found_however_deep_it_is() {
        let body = r#"{"a":[{"detail":{"lastException":{"type":"Timeout","code":504,"message":"no answer\n at x"}}}]}"#;
        let at = "$.a[0].detail.lastException";
        assert_eq!(
            found(body),
            [format!("{at}.type Timeout"), format!("{at}.code 504"), format!("{at}.message no answer…")]
        );
        assert_eq!(found(r#"{"failure_reason":"card declined"}"#), ["$.failure_reason card declined"]);
        assert_eq!(found(r#"{"error":null,"hasError":false,"errors":[],"terror":"x"}"#), ["$.terror x"]);
        assert_eq!(found("no JSON: error"), [""; 0]);
    }

    #[test]
    fn attributes_are_looked_at_and_few_points_are_kept() {
        let attributes = ["ErrorMessage (String) = boom".to_owned(), "tenant (String) = eu".to_owned()];
        let points = errors(r#"{"error":[1,2,3,4,5,6]}"#, &attributes);
        assert_eq!(points.len(), MOST);
        let points = errors("{}", &attributes);
        assert_eq!((points.len(), points[0].found.as_str()), (1, "boom"));
    }

    #[test]
    fn two_messages_that_differ_in_numbers_only_are_alike() {
        let of = |body: &str| likeness(&errors(body, &[]));
        assert_eq!(of(r#"{"error":"order 17 is late"}"#), of(r#"{"error":"order 92 is late"}"#));
        assert_ne!(of(r#"{"error":"late"}"#), of(r#"{"error":"lost"}"#));
    }
}
