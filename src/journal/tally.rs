//! The figures of a run: how many messages are in which state, by rule, target and reason.

use std::collections::BTreeMap;

use super::state::State;
use crate::target::{Reason, RuleId, TargetId};

/// What messages are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TallyKey {
    /// Where they stand.
    pub state: State,
    /// The rule that took them.
    pub rule: RuleId,
    /// Where they went or were to go.
    pub target: Option<TargetId>,
    /// Whether their retry count is exhausted.
    pub exhausted: bool,
    /// Why they stay.
    pub reason: Option<Reason>,
}

/// The figures of a run. Every message the run met is in exactly one count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages by where they stand.
    pub counts: BTreeMap<TallyKey, u64>,
    /// Messages of which the answer to some send never came, whatever became of them.
    pub doubted: u64,
    /// Messages that another run had sent and this one deleted.
    pub deleted_for_other_runs: u64,
}

impl Tally {
    /// Messages that the run met.
    pub fn received(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Messages in counts that the test takes.
    pub fn count(&self, test: impl Fn(&TallyKey) -> bool) -> u64 {
        self.counts.iter().filter(|(key, _)| test(key)).map(|(_, count)| count).sum()
    }

    /// Moves one message from a count to another.
    pub(super) fn shift(&mut self, from: Option<TallyKey>, to: TallyKey) {
        if let Some(from) = from
            && let Some(count) = self.counts.get_mut(&from)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&from);
            }
        }
        *self.counts.entry(to).or_default() += 1;
    }
}
