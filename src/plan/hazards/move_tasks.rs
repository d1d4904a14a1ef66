//! AWS's own redrive: one that is at work on the source, and one that could do what the job does.

use redrive_protocol::target::ORIGIN;

use super::{Facts, Hazard, HazardCode, hazard};
use crate::sqs::QueueAttributes;
use crate::words::duration;

/// Two that take from one queue share its messages as it happens.
pub(super) fn at_work(facts: &Facts) -> Option<Hazard> {
    let task = facts.move_task.as_ref().ok()?.as_ref()?;
    hazard(
        HazardCode::MoveTaskAtWork,
        format!(
            "AWS's own redrive (StartMessageMoveTask) is moving messages out of {}: {task}. Which of them it takes, nobody knows, so \
             these figures will not hold. Apply is refused while it is at work.",
            facts.source.name()
        ),
    )
}

pub(super) fn unseen(facts: &Facts) -> Option<Hazard> {
    let why = facts.move_task.as_ref().err()?;
    hazard(
        HazardCode::MoveTaskUnseen,
        format!("Whether AWS's own redrive is at work on {} could not be seen ({why}).", facts.source.name()),
    )
}

/// Messages a second that AWS's own redrive moves at the most.
const AWS_RATE: u64 = 500;

/// A job that does nothing that AWS's own redrive does not do: whoever reviews it may want that.
pub(super) fn aws_could(facts: &Facts) -> Option<Hazard> {
    let job = facts.job;
    let is_whole = job.limits.max_messages.is_none() && job.source.sent_after.is_none();
    let is_plain = job.rule.is_empty() && job.retry.is_none() && job.unmatched.park.is_none();
    let redrives_here = |queue: &QueueAttributes| {
        queue.redrive_policy.as_ref().is_some_and(|policy| policy.dead_letter_target_arn == facts.source.arn)
    };
    let goes_back = job.unmatched.to == ORIGIN || facts.used_queues().all(|(_, queue, _)| redrives_here(queue));
    if !is_whole || !is_plain || !goes_back || facts.used_queues().next().is_none() {
        return None;
    }
    let time = duration(facts.sample.population.div_ceil(AWS_RATE));
    let text = format!(
        "AWS's own redrive (StartMessageMoveTask) could do this job as well, in {time} at the least. It would also take what was sent \
         after this plan, and it has no journal, no guard that stops it, and nothing that tells later what came back."
    );
    hazard(HazardCode::AwsCould, text)
}
