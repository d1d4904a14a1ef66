//! The figures of a plan over all rules: what would be moved, archived, dropped, kept and blocked. Derived from the document, so
//! that no two places of a plan can disagree.

use redrive_protocol::target::TargetKind;

use super::document::{Estimate, Outcome, Plan, RuleFigures, Sample};
use super::stats::{Size, estimate, project};

/// What would become of the queue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Totals {
    /// Sent to queues.
    pub moved: Estimate,
    /// Written to S3 or files.
    pub archived: Estimate,
    /// Deleted.
    pub dropped: Estimate,
    /// Left where they are, as the job says.
    pub kept: Estimate,
    /// To be moved, but it cannot be done.
    pub blocked: Estimate,
}

impl Totals {
    /// Messages that would leave the source.
    pub fn leaving(&self) -> u64 {
        self.moved.total.saturating_add(self.archived.total).saturating_add(self.dropped.total)
    }
}

impl Sample {
    /// What so many messages of the sample mean for the queue.
    pub fn estimate_of(&self, sampled: u64) -> Estimate {
        estimate(sampled, Size::of(self))
    }
}

impl RuleFigures {
    /// Messages of the sample that leave the source by this rule.
    pub fn moving(&self) -> u64 {
        self.sampled(|outcome| matches!(outcome, Outcome::To(_) | Outcome::Exhausted(_)))
    }

    /// Messages of the sample that stay for what they are and what the job says of them, and not because of others.
    pub fn staying(&self) -> u64 {
        self.sampled(|outcome| match outcome {
            Outcome::Kept(reason) | Outcome::Blocked(reason) => reason.is_verdict(),
            Outcome::To(_) | Outcome::Exhausted(_) => false,
        })
    }

    fn sampled(&self, wanted: fn(Outcome) -> bool) -> u64 {
        self.outcomes.iter().filter(|of| wanted(of.outcome)).map(|of| of.estimate.sampled).fold(0, u64::saturating_add)
    }
}

impl Plan {
    /// The figures over all rules, each with its own interval.
    pub fn totals(&self) -> Totals {
        let of = |wanted: &dyn Fn(Outcome) -> bool| {
            let outcomes = self.rules.iter().flat_map(|rule| &rule.outcomes);
            let sampled = outcomes.filter(|of| wanted(of.outcome)).map(|of| of.estimate.sampled);
            estimate(sampled.fold(0, u64::saturating_add), self.size())
        };
        let to = |wanted: fn(TargetKind) -> bool| {
            if !self.targets.iter().any(|target| wanted(target.kind)) {
                // Not for lack of hits in the sample: the job has no such place.
                return Estimate { sampled: 0, total: 0, low: 0, high: 0, is_interval: true };
            }
            of(&|outcome| match outcome {
                Outcome::To(target) | Outcome::Exhausted(target) => {
                    self.target(target).is_some_and(|target| wanted(target.kind))
                }
                Outcome::Kept(_) | Outcome::Blocked(_) => false,
            })
        };
        Totals {
            moved: to(|kind| kind == TargetKind::Sqs),
            archived: to(|kind| matches!(kind, TargetKind::S3 | TargetKind::File)),
            dropped: to(|kind| kind == TargetKind::Drop),
            kept: of(&|outcome| matches!(outcome, Outcome::Kept(_))),
            blocked: of(&|outcome| matches!(outcome, Outcome::Blocked(_))),
        }
    }

    /// Bytes of the sample, projected on the queue.
    pub fn projected_bytes(&self, sampled: u64) -> u64 {
        project(sampled, self.size())
    }

    /// What so many messages of the sample mean for the queue.
    pub(crate) fn estimate_of(&self, sampled: u64) -> Estimate {
        estimate(sampled, self.size())
    }

    fn size(&self) -> Size {
        Size::of(&self.sample)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::plan;

    #[test]
    fn every_outcome_is_in_one_total() {
        let plan = plan();
        let totals = plan.totals();
        let sampled = [totals.moved, totals.archived, totals.dropped, totals.kept, totals.blocked]
            .map(|estimate| estimate.sampled);
        assert_eq!(sampled, [540, 50, 0, 400, 10]);
        assert_eq!(sampled.iter().sum::<u64>(), plan.sample.messages);
        assert_eq!(totals.leaving(), 23_600);
        assert_eq!(totals.dropped.high, 0, "a job without drop drops nothing");
        assert_eq!(plan.projected_bytes(330_000), 13_200_000);
    }
}
