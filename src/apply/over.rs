//! When a run receives no more: the source is dry, or all that the run is about has been met. Whether the source is dry is in `dry`.

use std::sync::atomic::Ordering;

use redrive_protocol::protocol::{State, TallyKey};

use super::pinned::PinnedMessages;
use super::shared::Shared;
use super::stop::Halt;

impl Shared {
    /// Nothing more is received: there is nothing more, or nothing more that this run is about.
    pub(super) fn drain(&self) {
        self.drained.store(true, Ordering::Release);
        self.refilled.notify_waiters();
    }

    /// There is nothing more to receive for now. While others wait for the canary, that means no more than that it is all there is
    /// of it. `waited`: they did when it was looked.
    pub(super) fn ran_dry(&self, waited: bool) {
        if !waited && !self.guards.is_canary_open() {
            return self.drain();
        }
        self.is_dry.store(false, Ordering::Relaxed);
        self.empty_receives.store(0, Ordering::Release);
        if self.guards.is_canary_sending() {
            self.guards.canary_is_all();
        }
    }

    /// Ends the receiving where what came shows that it is over, and halts where it shows that it is not what was planned.
    pub(super) fn look_at_what_came(&self) {
        let tally = self.journal.tally();
        let has_met_all = if self.budget.has_refused() {
            // What is in doubt is still looked for.
            tally.count(|key| key.state == State::InDoubt && !key.rule.is_parking()) == 0
        } else {
            self.pinned.as_ref().is_some_and(PinnedMessages::all_met)
        };
        if has_met_all && !(self.seeks_rest.load(Ordering::Relaxed) && self.has_unsettled()) {
            self.cut_short.store(true, Ordering::Relaxed);
            self.ran_dry(false);
        }
        if let Some((rule, bound)) = self.budget.too_many_stay(&tally) {
            let name = self.rules.rule_name(rule);
            self.halt(Halt::Drift(format!(
                "rule {name:?} leaves more messages in the source, kept or blocked, than the {bound} that the plan allows"
            )));
        }
    }

    /// Whether messages were met that have to come again: their sends were withdrawn, or their deletes refused.
    fn has_unsettled(&self) -> bool {
        let is_unsettled = |key: &TallyKey| match key.state {
            State::InDoubt | State::Sent => true,
            // When `max_messages` is reached, what was withdrawn stays.
            State::Returned => !self.budget.has_refused(),
            _ => false,
        };
        self.journal.tally().count(|key| !key.rule.is_parking() && is_unsettled(key)) > 0
    }

    /// Lets the receiving begin once more if it was cut short and something that had been met did not reach its end: a run that ends
    /// as soon as it has met enough would meet others each time, and might never come to those.
    pub(super) fn goes_on_for_the_rest(&self) -> bool {
        let goes_on = self.cut_short.load(Ordering::Relaxed) && !self.is_halting() && self.has_unsettled();
        if goes_on {
            self.seeks_rest.store(true, Ordering::Relaxed);
            self.empty_receives.store(0, Ordering::Release);
            self.drained.store(false, Ordering::Release);
        }
        goes_on
    }
}
