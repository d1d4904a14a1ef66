//! Message groups of a FIFO source, as far as the sample shows them: where one of their messages stays, those behind it stay
//! too, in the plan as in apply. Pure; messages come in the order in which their groups have them.

use std::collections::BTreeMap;

use redrive_protocol::message::Message;
use redrive_protocol::target::{Reason, RuleId};

use super::document::Outcome;
use super::hazards::target_of;

/// The groups met so far, and where each stopped.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// By message group ID; `None` goes on.
    groups: BTreeMap<String, Option<(RuleId, Reason)>>,
    /// Messages that would go, were it not for one before them.
    pub(super) behind: u64,
}

impl Groups {
    /// What becomes of a message after those before it in its group.
    pub(super) fn pass(&mut self, message: &Message, rule: RuleId, outcome: Outcome) -> Outcome {
        let Some(group) = message.system.message_group_id() else { return outcome };
        let stopped = self.groups.entry(group.to_owned()).or_default();
        match outcome {
            Outcome::Kept(reason) | Outcome::Blocked(reason) => {
                stopped.get_or_insert((rule, reason));
            }
            _ if stopped.is_some() && target_of(outcome).is_some() => {
                self.behind += 1;
                return Outcome::Kept(Reason::GroupStopped);
            }
            _ => {}
        }
        outcome
    }

    /// How many groups there are.
    pub(super) fn count(&self) -> u64 {
        self.groups.len() as u64
    }

    /// How many groups stop, by the rule that took the message which stays and why it stays.
    pub(super) fn stopped(&self) -> BTreeMap<(RuleId, Reason), u64> {
        let mut stopped = BTreeMap::new();
        for at in self.groups.values().flatten() {
            *stopped.entry(*at).or_default() += 1;
        }
        stopped
    }
}
