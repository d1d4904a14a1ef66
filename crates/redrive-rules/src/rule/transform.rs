//! Changes to a message, compiled, and how they are made: all of them or none. Bodies are edited in place (`edit`), so that
//! what a transform does not address stays byte for byte.
//!
//! Removing what is not there differs on purpose: in a body it blocks the message, because a path that misses usually means a
//! body of another shape than the job's author had in mind; a message attribute that is not there is as good as removed.

use redrive_protocol::message::{Attribute, AttributeValue, Attributes, Body, SystemAttributes};
use redrive_protocol::target::Reason;

use super::Blocked;
use super::context::Context;
use super::edit::{self, Fault};
use super::jq::{Bound, Program, Trouble};
use super::json::{self, Document};
use super::number::Decimal;
use super::path::Place;
use super::wrapping::{Unwrapping, Wrapping};
use crate::job::Template;

/// One change to a message.
#[derive(Debug)]
pub(super) enum Transform {
    Set {
        place: Place,
        /// The path as the job has it, to name in a block.
        path: String,
        /// A JSON text.
        value: String,
    },
    Remove {
        place: Place,
        path: String,
    },
    Rename {
        from: Place,
        path: String,
        to: Place,
        to_path: String,
    },
    Unwrap {
        place: Place,
        path: String,
    },
    TakeOff(Wrapping),
    Jq {
        program: Program,
        /// Whether an object may have two members of one name, of which the last counts.
        allow_duplicate_keys: bool,
    },
    SetAttribute {
        name: String,
        data_type: String,
        value: Template,
    },
    RemoveAttribute {
        name: String,
    },
    /// No change to body or attributes: the message is sent without the header.
    RemoveTraceHeader,
}

impl Transform {
    /// Whether it looks into the body.
    pub(super) fn needs_json(&self) -> bool {
        !matches!(self, Self::SetAttribute { .. } | Self::RemoveAttribute { .. } | Self::RemoveTraceHeader)
    }

    /// Which path or attribute it is about.
    pub(super) fn subject(&self) -> &str {
        match self {
            Self::Set { path, .. }
            | Self::Remove { path, .. }
            | Self::Rename { path, .. }
            | Self::Unwrap { path, .. } => path,
            Self::TakeOff(wrapping) => wrapping.name(),
            Self::SetAttribute { name, .. } | Self::RemoveAttribute { name } => name,
            Self::Jq { .. } => "jq",
            Self::RemoveTraceHeader => "AWSTraceHeader",
        }
    }
}

/// Carries the transforms out in order. A body that no transform changed is the received text itself.
pub(super) fn apply(
    transforms: &[Transform],
    body_is_json: bool,
    body: String,
    mut attributes: Attributes,
    system: &SystemAttributes,
    context: &Context<'_>,
) -> Result<(Body, Attributes), Blocked> {
    let mut changed: Option<String> = None;
    // Edits of JSON give JSON; the text of a string can be anything.
    let mut is_json = Some(body_is_json);
    for transform in transforms {
        let text = changed.as_deref().unwrap_or(&body);
        if transform.needs_json() && !*is_json.get_or_insert_with(|| json::is_json(text)) {
            return Err(Blocked::new(Reason::NotJson, transform.subject()));
        }
        match transform {
            Transform::Set { place, path, value } => {
                changed = Some(edit::set(text, &place.keys, value).map_err(|fault| blocked(fault, path))?);
            }
            Transform::Remove { place, path } => {
                changed = Some(edit::remove(text, &place.keys).map_err(|fault| blocked(fault, path))?);
            }
            Transform::Rename { from, path, to, to_path } => {
                let renamed = edit::rename(text, &from.keys, &to.keys);
                changed = Some(renamed.map_err(|fault| blocked(fault, &format!("{path} to {to_path}")))?);
            }
            Transform::Unwrap { place, path } => {
                let value = edit::value(text, &place.keys).map_err(|fault| blocked(fault, path))?;
                changed = Some(bare(value, &mut is_json).ok_or_else(|| Blocked::new(Reason::TransformFailed, path))?);
            }
            Transform::TakeOff(wrapping) => {
                let name = wrapping.name();
                let (value, restored) = wrapping.unwrap(text).map_err(|why| still_wrapped(&why, name))?;
                changed = Some(bare(value, &mut is_json).ok_or_else(|| Blocked::new(Reason::TransformFailed, name))?);
                // What the message itself carries is younger than what was wrapped.
                for (name, attribute) in restored {
                    attributes.entry(name).or_insert(attribute);
                }
            }
            Transform::Jq { program, allow_duplicate_keys } => {
                let bound = Bound {
                    attributes: &attributes,
                    system,
                    message_id: context.id.as_str(),
                    queue: context.setting.source_queue(),
                };
                changed = jq(program, *allow_duplicate_keys, text, bound)?.or(changed);
            }
            Transform::SetAttribute { name, data_type, value } => {
                let text = value.render(|placeholder| context.value(placeholder));
                let attribute = Attribute { data_type: data_type.clone(), value: AttributeValue::Text(text) };
                if attribute.is_number() && attribute.text().and_then(Decimal::parse).is_none() {
                    return Err(Blocked::new(
                        Reason::TransformFailed,
                        format!("attribute {name} is a {data_type}, and its value would be no number"),
                    ));
                }
                attributes.insert(name.clone(), attribute);
            }
            Transform::RemoveAttribute { name } => {
                attributes.remove(name);
            }
            Transform::RemoveTraceHeader => {}
        }
    }
    let body = match changed {
        Some(text) if text != body => Body::Changed(text),
        _ => Body::Untouched(body),
    };
    Ok((body, attributes))
}

/// What the program makes of the body; `None` where that has the same value, number for number, as the body.
fn jq(program: &Program, allow_duplicate_keys: bool, text: &str, bound: Bound<'_>) -> Result<Option<String>, Blocked> {
    let Document { root: body, duplicate_keys } =
        json::read(text).ok_or_else(|| Blocked::new(Reason::NotJson, "jq"))?;
    if duplicate_keys && !allow_duplicate_keys {
        return Err(Blocked::new(Reason::DuplicateKeys, "jq writes the whole body anew"));
    }
    let value = program.run(&body, text.len(), bound).map_err(|trouble| match trouble {
        Trouble::Nothing => Blocked::new(Reason::NoValue, "jq"),
        Trouble::Several => Blocked::new(Reason::SeveralValues, "jq"),
        Trouble::Failed(what) => Blocked::new(Reason::TransformFailed, format!("jq: {what}")),
        Trouble::GaveUp => Blocked::new(Reason::JqGaveUp, "a jq transform"),
    })?;
    let unchanged = body.to_string();
    Ok((value != unchanged).then_some(value))
}

/// A value as a body: a string is its text, which can be anything; anything else is as it is written, and so JSON.
fn bare(value: &str, is_json: &mut Option<bool>) -> Option<String> {
    if !value.starts_with('"') {
        return Some(value.to_owned());
    }
    *is_json = None;
    serde_json::from_str(value).ok()
}

fn still_wrapped(why: &Unwrapping, wrapping: &str) -> Blocked {
    let (reason, detail) = match why {
        Unwrapping::NotWrapped(what) => (Reason::NotWrapped, format!("{wrapping}: {what}")),
        Unwrapping::Twice(name) => (Reason::DuplicateKeys, format!("$.{name}")),
        Unwrapping::Attribute(name) => {
            (Reason::TransformFailed, format!("{wrapping}: attribute {name} is none that a message can have"))
        }
    };
    Blocked::new(reason, detail)
}

fn blocked(fault: Fault, path: &str) -> Blocked {
    let reason = match fault {
        Fault::NoSuchPlace => Reason::NoSuchPath,
        Fault::DuplicateKeys => Reason::DuplicateKeys,
        Fault::Taken => Reason::PlaceTaken,
    };
    Blocked::new(reason, path)
}
