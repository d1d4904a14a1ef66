//! Parsed transforms to transforms that can be carried out.

use super::super::path::{Key, Place};
use super::super::transform::Transform;
use super::super::wrapping::Wrapping;
use crate::job::finding::{Finding, Findings, Place as At};
use crate::job::transform::{Change, parse};
use crate::job::{self, Job};

/// Compiles a list of transforms. What cannot be compiled is reported and left out.
pub(super) fn all(rule: &job::Rule, job: &Job, at: &At, findings: &mut Findings) -> Vec<Transform> {
    let transforms = rule.transform.iter().enumerate();
    transforms.filter_map(|(index, transform)| single(transform, job, &at.index(index), findings)).collect()
}

fn single(transform: &job::Transform, job: &Job, at: &At, findings: &mut Findings) -> Option<Transform> {
    Some(match parse(transform, at, findings)? {
        Change::Set { path, value } => {
            let place = place(path, &at.key("set"), findings)?;
            Transform::Set { place, path: path.to_owned(), value: value.to_string() }
        }
        Change::Remove { path } => remove(path, &at.key("remove"), findings)?,
        Change::Rename { path, to } => rename(path, to, at, findings)?,
        Change::Unwrap { what } => unwrap(what, &at.key("unwrap"), findings)?,
        Change::Jq { program } => {
            let program = super::program(program, &at.key("jq"), findings)?;
            Transform::Jq { program, allow_duplicate_keys: job.allow_duplicate_keys }
        }
        Change::SetAttribute { name, data_type, value } => {
            Transform::SetAttribute { name: name.to_owned(), data_type, value }
        }
        Change::RemoveAttribute { name } => Transform::RemoveAttribute { name: name.to_owned() },
        Change::RemoveTraceHeader => Transform::RemoveTraceHeader,
    })
}

fn place(path: &str, at: &At, findings: &mut Findings) -> Option<Place> {
    Place::parse(path).map_err(|error| super::no_path(error, at, findings)).ok()
}

fn remove(path: &str, at: &At, findings: &mut Findings) -> Option<Transform> {
    let place = place(path, at, findings)?;
    if place.keys.is_empty() {
        findings.add(Finding::new(at, "the body itself cannot be removed").help("a message has a body"));
        return None;
    }
    Some(Transform::Remove { place, path: path.to_owned() })
}

fn rename(path: &str, to_path: &str, at: &At, findings: &mut Findings) -> Option<Transform> {
    let from = place(path, &at.key("rename"), findings);
    let to_at = at.key("to");
    let to = place(to_path, &to_at, findings)?;
    let from = from?;
    let message = match (&from.keys[..], &to.keys[..]) {
        ([], _) => "the body itself cannot be renamed",
        (_, [] | [.., Key::Index(_)]) => "expected a path that ends in a name: the new one",
        (from, to) if to.starts_with(from) => "a value cannot be moved into itself",
        (from, to) if from.starts_with(to) => "a value cannot take the place of what holds it",
        _ => return Some(Transform::Rename { from, path: path.to_owned(), to, to_path: to_path.to_owned() }),
    };
    let at = if from.keys.is_empty() { at.key("rename") } else { to_at };
    let help = "the value of \"$.a\" becomes that of \"$.b\", or of \"$.other.b\"";
    findings.add(Finding::new(&at, message).help(help));
    None
}

fn unwrap(subject: &str, at: &At, findings: &mut Findings) -> Option<Transform> {
    if let Some(wrapping) = Wrapping::ALL.into_iter().find(|wrapping| wrapping.name() == subject) {
        return Some(Transform::TakeOff(wrapping));
    }
    if !subject.starts_with('$') {
        let names = Wrapping::ALL.map(|wrapping| format!("\"{}\"", wrapping.name())).join(", ");
        let help = format!("the envelopes are {names}; anything else is a JSONPath, which begins with $");
        findings.add(Finding::new(at, format!("no envelope is called {subject:?}")).help(help));
        return None;
    }
    Some(Transform::Unwrap { place: place(subject, at, findings)?, path: subject.to_owned() })
}
