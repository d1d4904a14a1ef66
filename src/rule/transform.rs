//! Changes to a message, compiled, and how they are made: all of them or none. Bodies are edited in place (`edit`), so that
//! what a transform does not address stays byte for byte.
//!
//! Removing what is not there differs on purpose: in a body it blocks the message, because a path that misses usually means a
//! body of another shape than the job's author had in mind; a message attribute that is not there is as good as removed.

use super::Blocked;
use super::context::Context;
use super::edit::{self, Fault};
use super::number::Decimal;
use super::path::Place;
use crate::job::Template;
use crate::message::{Attribute, AttributeValue, Attributes, Body};
use crate::target::Reason;

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
    SetAttribute {
        name: String,
        data_type: String,
        value: Template,
    },
    RemoveAttribute {
        name: String,
    },
}

impl Transform {
    /// Whether it looks into the body.
    pub(super) fn needs_json(&self) -> bool {
        matches!(self, Self::Set { .. } | Self::Remove { .. })
    }

    /// Which path or attribute it is about.
    pub(super) fn subject(&self) -> &str {
        match self {
            Self::Set { path, .. } | Self::Remove { path, .. } => path,
            Self::SetAttribute { name, .. } | Self::RemoveAttribute { name } => name,
        }
    }
}

/// Carries the transforms out in order. A body that no transform changed is the received text itself.
pub(super) fn apply(
    transforms: &[Transform],
    body_is_json: bool,
    body: String,
    mut attributes: Attributes,
    context: &Context<'_>,
) -> Result<(Body, Attributes), Blocked> {
    let mut changed: Option<String> = None;
    for transform in transforms {
        if transform.needs_json() && !body_is_json {
            return Err(Blocked::new(Reason::NotJson, transform.subject()));
        }
        let text = changed.as_deref().unwrap_or(&body);
        match transform {
            Transform::Set { place, path, value } => {
                changed = Some(edit::set(text, &place.keys, value).map_err(|fault| blocked(fault, path))?);
            }
            Transform::Remove { place, path } => {
                changed = Some(edit::remove(text, &place.keys).map_err(|fault| blocked(fault, path))?);
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
        }
    }
    let body = match changed {
        Some(text) if text != body => Body::Changed(text),
        _ => Body::Untouched(body),
    };
    Ok((body, attributes))
}

fn blocked(fault: Fault, path: &str) -> Blocked {
    let reason = match fault {
        Fault::NoSuchPlace => Reason::NoSuchPath,
        Fault::DuplicateKeys => Reason::DuplicateKeys,
    };
    Blocked::new(reason, path)
}
