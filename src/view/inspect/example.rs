//! One message of a group, as it may be shown: what `--redact` names and what looks like a secret is hidden before anything is cut
//! or laid out.

use std::borrow::Cow;

use redrive_groups::{Group, hide, opened};
use redrive_protocol::message::{Attribute, AttributeValue, Message};
use redrive_rules::rule::{Veil, explain_conditions};

use super::super::diff;
use super::super::document::{Block, Line, ours, prose};
use super::Inspection;
use crate::plan::{Point, Shown, asked, errors};
use crate::words::bytes;

/// Bytes of a body that are shown.
const MOST_OF_A_BODY: usize = 64 * 1024;

/// Bytes beyond them in which a secret may end that begins before.
const MARGIN: usize = 4 * 1024;

/// A message, and where to look in it.
pub(super) struct Example {
    pub(super) message_id: String,
    pub(super) shown: Shown,
    /// What the conditions of the group's rule found.
    pub(super) asked: Vec<Point>,
    /// What looks like an error.
    pub(super) errors: Vec<Point>,
}

impl Example {
    /// That of a group.
    pub(super) fn of(inspection: &Inspection, group: &Group) -> Option<Self> {
        let message = group.example.as_ref()?;
        let conditions = group.rule.as_ref().map_or(&[][..], |rule| &rule.when);
        let made = Veil::with(&inspection.redact, message, |veil| {
            let shown = shown(message, veil);
            let asked = match explain_conditions(conditions, message, inspection.now, veil, &hidden) {
                Ok(conditions) => asked(conditions),
                // They were compiled before, when they were tried.
                Err(problems) => problems
                    .into_iter()
                    .map(|problem| Point { of: "the rule".to_owned(), found: problem.message })
                    .collect(),
            };
            let errors = errors(&shown.body, &shown.attributes);
            Self { message_id: message.id.to_string(), shown, asked, errors }
        });
        // The paths were checked before; what cannot be hidden is not shown.
        Some(made.unwrap_or_else(|why| Self {
            message_id: message.id.to_string(),
            shown: Shown { body: format!("[withheld: {why}]"), attributes: Vec::new() },
            asked: Vec::new(),
            errors: Vec::new(),
        }))
    }

    /// The message whole, or its first lines. What matters may stand further down, so it comes first.
    pub(super) fn block(self, full: bool) -> Block {
        let point = |name, Point { of, found }| (ours(name), prose(format!("{of}: {found}")));
        let asked = self.asked.into_iter().map(|asked| point("asked", asked));
        let points: Vec<(Line, Line)> =
            asked.chain(self.errors.into_iter().map(|error| point("error", error))).collect();
        let mut blocks = Vec::new();
        if !points.is_empty() {
            blocks.push(Block::Facts(points));
        }
        blocks.push(Block::Diff(if full { diff::whole(&self.shown) } else { diff::beginning(&self.shown) }));
        Block::Fold(ours("Example: message ").theirs(self.message_id), blocks)
    }
}

/// Body and attributes as they may be shown.
fn shown(message: &Message, veil: &Veil<'_>) -> Shown {
    let body = veil.body(message.shown());
    let body = opened(&body).unwrap_or(body);
    let attribute = |(name, attribute): (&String, &Attribute)| {
        let value = veil.attribute(name, &attribute.value);
        // What is binary is shown in Base64, which looks like a key.
        let value = if matches!(attribute.value, AttributeValue::Binary(_)) { value.into() } else { hidden(&value) };
        format!("{name} ({}) = {value}", attribute.data_type)
    };
    Shown { attributes: message.attributes.iter().map(attribute).collect(), body: hidden(&body).into_owned() }
}

/// A text without what looks like a secret, and not too long.
fn hidden(text: &str) -> Cow<'_, str> {
    let hidden = hide(&text[..text.floor_char_boundary(MOST_OF_A_BODY + MARGIN)]);
    let more = text.len().saturating_sub(MOST_OF_A_BODY);
    if more == 0 {
        return hidden;
    }
    let shown = &hidden[..hidden.floor_char_boundary(MOST_OF_A_BODY)];
    format!("{shown} [about {} more]", bytes(more as u64)).into()
}
