//! Drift: what a run met, against what its plan said, by rule. Pure; from the plan and the journal's counts, so that a report made
//! later says the same.

use std::collections::HashMap;

use serde::Serialize;

use crate::plan::{Estimate, Plan};
use redrive_protocol::protocol::{State, Tally};
use redrive_protocol::target::{Reason, RuleId};

/// What a run met of one rule, against the plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleDrift {
    /// The rule's name.
    pub rule: String,
    /// How many messages left the source, or were to.
    pub moves: Drift,
    /// How many messages stayed for what they are.
    pub leaves: Drift,
}

/// A figure against the plan.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Drift {
    /// What the plan expected.
    pub planned: Estimate,
    /// The most that it allows; `None` if it allows any number.
    pub limit: Option<u64>,
    /// What the run met.
    pub met: u64,
}

/// By rule, those that met nothing and expected nothing left out. What stopped the run is not in `met`: it is still in the source.
pub(super) fn by_rule(plan: &Plan, tally: &Tally) -> Vec<RuleDrift> {
    let (left, stayed) = (left(tally), stayed(tally));
    let of = |rule: &crate::plan::RuleFigures| {
        let figure = |sampled, limit, met: &HashMap<RuleId, u64>| Drift {
            planned: plan.estimate_of(sampled),
            limit,
            met: met.get(&rule.rule).copied().unwrap_or(0),
        };
        RuleDrift {
            rule: rule.name.clone(),
            moves: figure(rule.moving(), rule.bound, &left),
            leaves: figure(rule.staying(), rule.bound_staying, &stayed),
        }
    };
    let is_said = |drift: &RuleDrift| [drift.moves, drift.leaves].iter().any(|of| of.met > 0 || of.planned.sampled > 0);
    plan.rules.iter().filter(|rule| rule.rule != RuleId::OUT_OF_SCOPE).map(of).filter(is_said).collect()
}

/// How many messages have left the source by each rule, or may have: what is in doubt keeps its share. What is parked has not left.
pub(super) fn left(tally: &Tally) -> HashMap<RuleId, u64> {
    let mut left = HashMap::new();
    for (key, count) in &tally.counts {
        if matches!(key.state, State::Sent | State::Done | State::InDoubt) && !key.rule.is_parking() {
            *left.entry(key.rule).or_default() += count;
        }
    }
    left
}

/// How many messages stay by each rule for what they are.
pub(super) fn stayed(tally: &Tally) -> HashMap<RuleId, u64> {
    let mut stayed = HashMap::new();
    for (key, count) in &tally.counts {
        let stays = matches!(key.state, State::Kept | State::Blocked);
        if stays && key.reason.is_some_and(Reason::is_verdict) {
            *stayed.entry(key.rule).or_default() += count;
        }
    }
    // What is parked stays as well, and is not counted above until it is back.
    *stayed.entry(RuleId::UNMATCHED).or_default() += tally.parked;
    stayed
}
