//! Whether a path leads to values that its test can hold for: a test of text never holds for a number, and a rule that takes nothing
//! for that reason looks like a misspelt one.

use std::collections::BTreeMap;

use redrive_protocol::message::Message;
use redrive_protocol::target::RuleId;

use super::filter::{Condition, Subject};
use super::json::Node;
use super::{Rules, Setting};
use crate::job::{self, Job};

/// What the paths of a rule's conditions led to, by rule and path.
pub type Types = BTreeMap<(RuleId, String), Met>;

/// What a path led to, in all messages that were looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Met {
    /// What the test can hold for, in words.
    pub wanted: &'static str,
    /// Values that the test can hold for.
    pub fitting: u64,
    /// Numbers.
    pub numbers: u64,
    /// Texts.
    pub texts: u64,
}

impl Met {
    /// `held 348 numbers and no text`, if that is why its condition never holds.
    pub fn words(&self) -> Option<String> {
        let said = |number: u64, noun: &str, missing: &str| {
            let plural = if number == 1 { "" } else { "s" };
            format!("held {number} {noun}{plural} and no {missing}")
        };
        match self {
            Self { fitting: 0, wanted: "text", numbers, .. } if *numbers > 0 => Some(said(*numbers, "number", "text")),
            Self { fitting: 0, wanted: "numbers", texts, .. } if *texts > 0 => Some(said(*texts, "text", "number")),
            _ => None,
        }
    }
}

impl Rules {
    /// Notes what the paths in a message's body lead to. `job` is what these rules were compiled from.
    pub fn note_types(&self, job: &Job, message: &Message, setting: &Setting, types: &mut Types) {
        let subject = Subject::new(message, setting.now, setting.source_queue());
        for (rule, written) in self.ordered.iter().zip(&job.rule) {
            note(rule.id, &rule.when, &written.when, &subject, types);
        }
    }
}

fn note(rule: RuleId, all: &[Condition], written: &[job::Condition], subject: &Subject<'_>, types: &mut Types) {
    for (condition, written) in all.iter().zip(written) {
        match condition {
            Condition::Any(members) => note(rule, members, written.any.as_deref().unwrap_or_default(), subject, types),
            Condition::All(members) => note(rule, members, written.all.as_deref().unwrap_or_default(), subject, types),
            Condition::Body(path, test) => {
                let (Some(wanted), Some(name)) = (test.wants(), &written.body) else { continue };
                let Some(body) = subject.json() else { continue };
                let met = types.entry((rule, name.clone())).or_insert_with(|| Met { wanted, ..Met::default() });
                path.each(body, |node| {
                    met.fitting += u64::from(test.fits(node));
                    met.numbers += u64::from(matches!(node, Node::Number(_)));
                    met.texts += u64::from(matches!(node, Node::Text(_)));
                });
            }
            // A condition that is turned around holds for what its test cannot hold for.
            Condition::Not(_)
            | Condition::Attribute(..)
            | Condition::System(..)
            | Condition::Fact(..)
            | Condition::Jq(_) => {}
        }
    }
}
