//! What helps a person to find a message: the values that `[report] identify` names, as far as they may be shown.

use redrive_protocol::message::Message;

use super::Veil;
use super::json::{self, Node};
use super::path::Path;

/// More of a value finds nothing more.
const LONGEST: usize = 100;

/// Of a path that leads to many values, so many are shown.
const MOST: usize = 5;

/// One of the entries.
#[derive(Debug)]
pub(super) enum Mark {
    /// A path into the body, with the words of the job.
    Path(String, Path),
    /// A message attribute, with the words of the job.
    Attribute(String, String),
}

/// The marks of a message by name, those that it has; nothing if it has none.
pub(super) fn identify(marks: &[Mark], message: &Message, veil: &Veil<'_>) -> Option<String> {
    // What the job hides is hidden here by its place and by its value, as everywhere.
    let body = veil.body(message.shown());
    let root = json::parse(&body);
    let mut found = Vec::new();
    for mark in marks {
        let (name, value) = match mark {
            Mark::Path(name, path) => {
                let mut values = Vec::new();
                if let Some(root) = &root {
                    path.each(root, |node| values.push(words(node)));
                }
                values.truncate(MOST);
                (name, (!values.is_empty()).then(|| values.join(" ")))
            }
            Mark::Attribute(entry, name) => {
                (entry, message.attributes.get(name).map(|attribute| veil.attribute(name, &attribute.value)))
            }
        };
        found.extend(value.map(|value| format!("{name} = {}", cut(&value))));
    }
    (!found.is_empty()).then(|| found.join(", "))
}

fn words(node: &Node<'_>) -> String {
    match node {
        Node::Text(text) => text.clone().into_owned(),
        other => other.to_string(),
    }
}

fn cut(value: &str) -> String {
    let mut cut: String = value.chars().take(LONGEST).collect();
    if cut.len() < value.len() {
        cut.push('…');
    }
    cut
}
