//! The figures of a run: how many messages are in which state, by rule, target and reason.

use std::collections::BTreeMap;

use crate::target::{Reason, RuleId, TargetId};

use super::state::State;

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
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Tally {
    /// Messages by where they stand.
    pub counts: BTreeMap<TallyKey, u64>,
    /// Messages of which the answer to some send never came, whatever became of them.
    pub doubted: u64,
    /// Messages that another run had sent and this one deleted.
    pub deleted_for_other_runs: u64,
    /// Messages that are in the parking queue, and whose way back has not begun.
    pub parked: u64,
    /// Of those kept, messages that were parked and are back in the source, under new IDs.
    pub returned: u64,
}

impl Tally {
    /// Messages that the run met.
    pub fn received(&self) -> u64 {
        self.counts.values().sum::<u64>() + self.parked
    }

    /// Messages that are parked, or not yet all the way back.
    pub fn away(&self) -> u64 {
        self.parked + self.count(|key| key.rule == RuleId::RETURNED && key.state.is_unfinished())
    }

    /// The figures with each parked message counted once: the journal has a row for its way out, one for its way back, and one
    /// where the run met it after that.
    #[must_use]
    pub fn folded(&self) -> Self {
        let mut folded = Self { counts: BTreeMap::new(), ..self.clone() };
        for (key, count) in &self.counts {
            match (key.rule, key.state) {
                (RuleId::PARKED, State::Done) => folded.parked += count,
                (RuleId::RETURNED, State::Done) => folded.returned += count,
                // It is one of those that are back.
                (RuleId::RETURNED, State::Kept) => {}
                _ => drop(folded.counts.insert(*key, *count)),
            }
        }
        let on_the_way_back = folded.count(|key| key.rule == RuleId::RETURNED);
        let back = folded.returned + on_the_way_back;
        // One that is back, and reappeared in the source after it was parked, is counted as what is still to be deleted there.
        folded.returned = folded.returned.saturating_sub(back.saturating_sub(folded.parked));
        folded.parked = folded.parked.saturating_sub(back);
        if folded.returned > 0 {
            let kept = TallyKey {
                state: State::Kept,
                rule: RuleId::UNMATCHED,
                target: None,
                exhausted: false,
                reason: Some(Reason::Unmatched),
            };
            *folded.counts.entry(kept).or_default() += folded.returned;
        }
        folded
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_is_back_and_reappears_where_it_was_parked_from_is_counted_once() {
        let key = |state, rule| TallyKey { state, rule, target: None, exhausted: false, reason: None };
        let mut tally = Tally::default();
        // Its row of the way out is to be deleted once more; its row of the way back is done.
        tally.shift(None, key(State::Sent, RuleId::PARKED));
        tally.shift(None, key(State::Done, RuleId::RETURNED));
        let folded = tally.folded();
        assert_eq!((folded.received(), folded.parked, folded.returned), (1, 0, 0), "{folded:?}");
        // Another one is parked, and a third is back.
        tally.shift(None, key(State::Done, RuleId::PARKED));
        tally.shift(None, key(State::Done, RuleId::PARKED));
        tally.shift(None, key(State::Done, RuleId::RETURNED));
        assert_eq!(tally.folded().received(), 3);
    }
}
