//! Texts with rules of their own: names, attribute names, data types, and templates.

use super::finding::{Finding, Findings, Place};
use super::template::{Placeholder, Template};

/// Names of jobs and destinations: they stand in plans, file names and S3 keys.
pub(super) fn name(name: &str) -> Result<(), String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match name.chars().find(|c| !is_allowed(*c)) {
        Some(c) => Err(format!("a name is letters, digits, `-` and `_`; found {c:?}")),
        None if name.is_empty() => Err("a name is not empty".to_owned()),
        None if name.len() > 80 => Err(format!("a name has at most 80 characters; this one has {}", name.len())),
        None => Ok(()),
    }
}

/// What SQS takes as the name of a message attribute: letters of any script, although its documentation has only those of English.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>
pub(super) fn attribute_name(name: &str) -> Result<(), String> {
    let is_allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if let Some(c) = name.chars().find(|c| !is_allowed(*c)) {
        return Err(format!("an attribute's name is letters, digits, `-`, `_` and `.`; found {c:?}"));
    }
    if name.is_empty() || name.len() > 256 {
        return Err(format!("an attribute's name has 1 to 256 characters; this one has {}", name.len()));
    }
    if name.starts_with('.') || name.ends_with('.') || name.contains("..") {
        return Err("an attribute's name neither begins nor ends with `.`, nor has two in a row".to_owned());
    }
    let lower = name.to_ascii_lowercase();
    if lower.starts_with("aws.") || lower.starts_with("amazon.") {
        return Err("names that begin with `AWS.` or `Amazon.` are AWS's own".to_owned());
    }
    Ok(())
}

/// A data type that `set_attribute` can give.
pub(super) fn data_type(text: &str) -> Result<(), String> {
    let (base, label) = text.split_once('.').map_or((text, None), |(base, label)| (base, Some(label)));
    let expected = "expected `String` or `Number`, with a label of your own after a `.` if you like";
    match base {
        "String" | "Number" if label.is_some_and(str::is_empty) => Err(format!("{expected}; the label is missing")),
        "String" | "Number" if text.len() > 256 => Err(format!("{expected}; at most 256 characters")),
        "String" | "Number" if text.chars().any(char::is_control) => {
            Err(format!("{expected}; found a control character"))
        }
        "String" | "Number" => Ok(()),
        "Binary" => Err(format!("{expected}; binary attributes are passed on as they are, and not made here")),
        _ => Err(format!("{expected}; found {text:?}")),
    }
}

/// Parses a template and refuses placeholders that mean nothing where it stands.
pub(super) fn template(
    text: &str,
    allowed: &[Placeholder],
    place: &Place,
    findings: &mut Findings,
) -> Option<Template> {
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err((bytes, message)) => {
            findings.add(Finding::new(place, message).within(bytes));
            return None;
        }
    };
    for (placeholder, bytes) in template.placeholders() {
        if !allowed.contains(&placeholder) {
            let names: Vec<_> = allowed.iter().map(|allowed| format!("`{{{}}}`", allowed.name())).collect();
            let message = format!(
                "`{{{}}}` differs between messages; here stand only {}",
                placeholder.name(),
                names.join(" and ")
            );
            findings.add(Finding::new(place, message).within(bytes));
        }
    }
    Some(template)
}

/// A jq program. It may have several lines.
pub(super) fn program(text: &str) -> Result<(), String> {
    if text.trim().is_empty() { Err("a jq program is not empty".to_owned()) } else { Ok(()) }
}

/// Text that must not be empty.
pub(super) fn not_empty(text: &str, what: &str) -> Result<(), String> {
    match text.chars().find(|c| c.is_control()) {
        Some(c) => Err(format!("{what} holds no control characters; found {c:?}")),
        None if text.trim().is_empty() => Err(format!("{what} is not empty")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attribute_names_are_as_sqs_takes_them() {
        for name in ["retryCount", "a", "A.b-c_9", "aws", "Amazonas.x", "attr.1øßä"] {
            assert_eq!(attribute_name(name), Ok(()), "{name}");
        }
        for name in ["", ".a", "a.", "a..b", "AWS.x", "aws.x", "AMAZON.x", "a b", "€", "a\u{1b}", &"x".repeat(257)] {
            assert!(attribute_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn data_types_are_text_or_number() {
        for text in ["String", "Number", "String.uuid", "Number.int"] {
            assert_eq!(data_type(text), Ok(()), "{text}");
        }
        for text in ["", "string", "Binary", "Binary.png", "Number.", "Numbers", "String.\u{7}"] {
            assert!(data_type(text).is_err(), "{text}");
        }
    }
}
