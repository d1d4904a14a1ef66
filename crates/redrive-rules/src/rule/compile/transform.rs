//! Transforms of the job file to transforms that can be carried out.

use serde_json::Value;

use super::super::number::Decimal;
use super::super::path::{Key, Place};
use super::super::transform::Transform;
use super::super::wrapping::Wrapping;
use super::{At, Problems, literal};
use crate::job::{self, Job, TransformKind};

/// Compiles a list of transforms. What cannot be compiled is reported and left out.
pub(super) fn all(rule: &job::Rule, job: &Job, at: &At, problems: &mut Problems) -> Vec<Transform> {
    let transforms = rule.transform.iter().enumerate();
    transforms.filter_map(|(index, transform)| single(transform, job, &at.index(index), problems)).collect()
}

fn single(transform: &job::Transform, job: &Job, at: &At, problems: &mut Problems) -> Option<Transform> {
    let [(kind, subject)] = transform.kinds()[..] else {
        problems.add(at, "expected exactly one kind of transform", None);
        return None;
    };
    match kind {
        TransformKind::Set => set(subject, transform.value.as_ref(), at, problems),
        TransformKind::Remove => remove(subject, at, problems),
        TransformKind::Rename => rename(subject, transform.to.as_deref(), at, problems),
        TransformKind::Unwrap => unwrap(subject, &at.key(kind.key()), problems),
        TransformKind::Jq => {
            let program = problems.program(&at.key(kind.key()), subject)?;
            Some(Transform::Jq { program, allow_duplicate_keys: job.allow_duplicate_keys })
        }
        TransformKind::SetAttribute => set_attribute(subject, transform, at, problems),
        TransformKind::RemoveAttribute => Some(Transform::RemoveAttribute { name: subject.to_owned() }),
        TransformKind::RemoveTraceHeader => Some(Transform::RemoveTraceHeader),
    }
}

fn place(path: &str, at: &At, problems: &mut Problems) -> Option<Place> {
    Place::parse(path).map_err(|error| problems.path(at, error)).ok()
}

fn set(path: &str, value: Option<&Value>, at: &At, problems: &mut Problems) -> Option<Transform> {
    let place = place(path, &at.key("set"), problems);
    let Some(value) = value else {
        problems.add(at, "set needs a value", None);
        return None;
    };
    let sound = literal(value, &at.key("value"), problems);
    Some(Transform::Set { place: place.filter(|_| sound)?, path: path.to_owned(), value: value.to_string() })
}

fn remove(path: &str, at: &At, problems: &mut Problems) -> Option<Transform> {
    let at = at.key("remove");
    let place = place(path, &at, problems)?;
    if place.keys.is_empty() {
        problems.add(&at, "the body itself cannot be removed", Some("a message has a body"));
        return None;
    }
    Some(Transform::Remove { place, path: path.to_owned() })
}

fn rename(path: &str, to: Option<&str>, at: &At, problems: &mut Problems) -> Option<Transform> {
    let Some(to_path) = to else {
        problems.add(at, "rename needs a to", None);
        return None;
    };
    let from = place(path, &at.key("rename"), problems);
    let to_at = at.key("to");
    let to = place(to_path, &to_at, problems)?;
    let from = from?;
    let message = match (&from.keys[..], &to.keys[..]) {
        ([], _) => "the body itself cannot be renamed",
        (_, [] | [.., Key::Index(_)]) => "expected a path that ends in a name: the new one",
        (from, to) if to.starts_with(from) => "a value cannot be moved into itself",
        (from, to) if from.starts_with(to) => "a value cannot take the place of what holds it",
        _ => return Some(Transform::Rename { from, path: path.to_owned(), to, to_path: to_path.to_owned() }),
    };
    let at = if from.keys.is_empty() { at.key("rename") } else { to_at };
    problems.add(&at, message, Some("the value of \"$.a\" becomes that of \"$.b\", or of \"$.other.b\""));
    None
}

fn unwrap(subject: &str, at: &At, problems: &mut Problems) -> Option<Transform> {
    if let Some(wrapping) = Wrapping::ALL.into_iter().find(|wrapping| wrapping.name() == subject) {
        return Some(Transform::TakeOff(wrapping));
    }
    if !subject.starts_with('$') {
        let names = Wrapping::ALL.map(|wrapping| format!("\"{}\"", wrapping.name())).join(", ");
        let help = format!("the envelopes are {names}; anything else is a JSONPath, which begins with $");
        problems.add(at, format!("no envelope is called {subject:?}"), Some(&help));
        return None;
    }
    Some(Transform::Unwrap { place: place(subject, at, problems)?, path: subject.to_owned() })
}

fn set_attribute(name: &str, transform: &job::Transform, at: &At, problems: &mut Problems) -> Option<Transform> {
    let value_at = at.key("value");
    let (text, is_number) = match &transform.value {
        Some(Value::String(text)) => (text.clone(), false),
        // Braces are a template's; a number has none.
        Some(Value::Number(number)) => (number.to_string(), true),
        Some(_) => {
            problems.add(&value_at, "expected a text or a number", Some("an attribute is one text; put it in quotes"));
            return None;
        }
        None => {
            problems.add(at, "set_attribute needs a value", None);
            return None;
        }
    };
    let data_type =
        transform.data_type.clone().unwrap_or_else(|| if is_number { "Number" } else { "String" }.to_owned());
    let kind = data_type.split('.').next().unwrap_or_default();
    if !matches!(kind, "String" | "Number") {
        problems.add(&at.key("type"), "expected String or Number, with or without a label such as Number.int", None);
        return None;
    }
    let value = problems.template(&value_at, &text)?;
    let fixed = value.placeholders().next().is_none().then(|| value.render(|_| "".into()));
    match fixed {
        Some(text) if text.is_empty() => {
            problems.add(&value_at, "an attribute cannot be empty", Some("to take it away there is remove_attribute"));
            return None;
        }
        Some(text) if kind == "Number" && Decimal::parse(&text).is_none() => {
            problems.add(&value_at, format!("the attribute is a {data_type}, and this is no number"), None);
            return None;
        }
        _ => {}
    }
    Some(Transform::SetAttribute { name: name.to_owned(), data_type, value })
}
