//! The messages that somebody should look at, gathered one by one as the journal gives them. Pure.

use std::collections::BTreeMap;

use crate::journal::Trouble;
use crate::plan::Plan;
use redrive_protocol::protocol::{Resolution, State};
use redrive_protocol::target::{Reason, RuleId, TargetId, TargetKind};

/// What kind of trouble it is, and where: what is said once of all messages of a group.
type Group = (Kind, Option<TargetId>);

/// The order is that in which they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Lost,
    Doubt(Doubt),
    Failed(Option<Reason>),
    Blocked(Option<Reason>),
}

/// What a doubt came to. The order is that of urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doubt {
    Held,
    HeldParked,
    Open,
    Resend,
    Stays,
    Gone,
    PerhapsMore,
    PerhapsMoreHere,
    Deduplicated,
    SamePlace,
    Dropped,
    Discarded,
}

fn doubt(plan: &Plan, trouble: &Trouble) -> Doubt {
    let target = trouble.target.and_then(|target| plan.target(target));
    let decided = trouble.resolved.as_ref().map(|resolved| resolved.resolution);
    match trouble.state {
        State::Held if trouble.rule == RuleId::RETURNED => Doubt::HeldParked,
        State::Held => Doubt::Held,
        State::InDoubt if decided == Some(Resolution::Resend) => Doubt::Resend,
        State::Sent | State::Done if decided == Some(Resolution::Discard) => Doubt::Discarded,
        State::Sending | State::InDoubt | State::Resending | State::Returned => Doubt::Open,
        State::Failed if matches!(trouble.reason, Some(Reason::Gone | Reason::ParkedGone)) => Doubt::Gone,
        State::Kept | State::Blocked | State::Failed => Doubt::Stays,
        State::Sent | State::Done => match target.map(|target| (target.kind, target.queue.as_ref())) {
            Some((TargetKind::S3 | TargetKind::File, _)) => Doubt::SamePlace,
            // A second copy in the parking queue is deleted when the first is brought back.
            Some((TargetKind::Park, _)) if trouble.rule == RuleId::PARKED => Doubt::SamePlace,
            Some((TargetKind::Park, _)) => Doubt::PerhapsMoreHere,
            Some((TargetKind::Drop, _)) => Doubt::Dropped,
            Some((TargetKind::Sqs, Some(queue))) if queue.fifo => Doubt::Deduplicated,
            Some((TargetKind::Sqs, _)) | None => Doubt::PerhapsMore,
        },
    }
}

/// The messages that somebody should look at: of each group how many there are, and the first ones. So it takes as much memory
/// for a million of them as for some thousand.
#[derive(Debug, Default)]
pub struct Troubles {
    most: usize,
    pub(super) groups: BTreeMap<Group, Listed>,
}

/// A group of them.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) all: u64,
    pub(super) first: Vec<Trouble>,
}

impl Troubles {
    /// None yet. Of each group at most so many are kept.
    pub fn new(most: usize) -> Self {
        Self { most, groups: BTreeMap::new() }
    }

    /// One more, of a run with this plan. One that was in doubt and failed in the end is told of as both.
    pub fn add(&mut self, plan: &Plan, trouble: &Trouble) {
        let is_doubt = trouble.doubts > 0 || matches!(trouble.state, State::Sending | State::Resending);
        let doubt = is_doubt.then(|| Kind::Doubt(doubt(plan, trouble)));
        let stays = match trouble.state {
            State::Failed if trouble.reason == Some(Reason::ArchiveLost) => Some(Kind::Lost),
            State::Failed => Some(Kind::Failed(trouble.reason)),
            State::Blocked => Some(Kind::Blocked(trouble.reason)),
            _ => None,
        };
        for kind in [doubt, stays].into_iter().flatten() {
            let listed = self.groups.entry((kind, trouble.target)).or_default();
            listed.all += 1;
            if listed.first.len() < self.most {
                listed.first.push(trouble.clone());
            }
        }
    }

    /// How many messages are in doubt or on their way.
    pub(super) fn doubts(&self) -> u64 {
        let doubts = self.groups.iter().filter(|((kind, _), _)| matches!(kind, Kind::Doubt(_)));
        doubts.map(|(_, listed)| listed.all).sum()
    }

    /// Whether a group has more messages than this.
    pub(super) fn has_more_than(&self, most: usize) -> bool {
        self.groups.values().any(|listed| listed.all > most as u64)
    }
}
