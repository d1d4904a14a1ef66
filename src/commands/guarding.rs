//! What a run is guarded by: from the job, the plan's queues, and the command line.

use std::sync::Arc;

use redrive_protocol::target::{Target, TargetKind};
use redrive_rules::job::{Destination, Job};
use redrive_rules::rule::Rules;

use super::{resolve, wiring};
use crate::apply::{Guarding, Outlet};
use crate::aws::{Access, Aws};
use crate::error::{Error, Kind, Result};
use crate::guard::{DeadLetters, Watched, socket_of};
use crate::journal::Location;
use crate::plan::Plan;
use crate::sqs::{Queue, QueueAttributes};
use crate::view::output;

/// What is watched of a run that has begun. Queues are opened only if the job asks for something that looks at them.
pub(super) async fn of(
    aws: &Aws,
    (job, rules): (&Job, &Rules),
    plan: &Plan,
    source: &Arc<dyn Queue>,
    outlets: &[Outlet],
    skip_canary: Option<String>,
    journal: &Location,
) -> Result<Guarding> {
    let guard = job.guard.clone().unwrap_or_default();
    let mut watched = Watched::default();
    if guard.canary.is_some() || guard.max_bounced.is_some() {
        watched.dead_letters = dead_letters(aws, (job, rules), plan, source).await?;
    }
    if guard.canary.is_some() || guard.max_backlog.is_some() {
        for (target, outlet) in plan.targets.iter().zip(outlets) {
            if let (Some(attributes), Outlet::Queue { queue, .. }) = (consumed(target, rules), outlet) {
                let name = attributes.name().to_owned();
                watched.destinations.push(crate::guard::Destination { name, queue: Arc::clone(queue) });
            }
        }
    }
    let skip_canary = skip_canary.map(|why| (resolve::user(), why));
    Ok(Guarding { guard, watched, skip_canary, beside: None, socket: journal.file().map(socket_of) })
}

/// Refuses a session while AWS's own redrive takes messages from the source, unless somebody accepts that and says why. Gives who
/// does, and what the journal says of it. If it cannot be seen, the session goes on, and that is said.
pub(super) async fn beside(
    source: &dyn Queue,
    attributes: &QueueAttributes,
    accepted: Option<&str>,
) -> Result<Option<(String, String)>> {
    let name = attributes.name();
    match (source.move_task(&attributes.arn).await, accepted) {
        (Ok(None), _) => Ok(None),
        (Ok(Some(task)), Some(why)) => {
            let words =
                format!("goes on beside AWS's own redrive, which is moving messages out of {name} ({task}): {why}");
            Ok(Some((resolve::user(), words)))
        }
        (Ok(Some(task)), None) => Err(Error::new(
            Kind::Guarded,
            format!("AWS's own redrive (StartMessageMoveTask) is moving messages out of {name}: {task}"),
        )
        .hint(
            "nothing was received or sent; wait for its end, or end it with `aws sqs cancel-message-move-task`; \
             --accept-move-task REASON goes on beside it, with what it leaves",
        )),
        (Err(error), _) => {
            output::note(&format!("whether AWS's own redrive is at work on {name} could not be seen ({error})"));
            Ok(None)
        }
    }
}

/// A queue that the job sends to and that a consumer takes messages from.
fn consumed<'a>(target: &'a Target, rules: &Rules) -> Option<&'a QueueAttributes> {
    let is_sent_to = target.kind == TargetKind::Sqs && rules.destinations_used().contains(target.destination.as_str());
    target.queue.as_ref().filter(|_| is_sent_to)
}

/// The queues where messages end that no consumer of the destinations can process, each once.
pub(super) async fn dead_letters(
    aws: &Aws,
    (job, rules): (&Job, &Rules),
    plan: &Plan,
    source: &Arc<dyn Queue>,
) -> Result<Vec<DeadLetters>> {
    let (mut found, mut seen) = (Vec::new(), Vec::new());
    for target in &plan.targets {
        let Some(attributes) = consumed(target, rules) else { continue };
        let Some(policy) = &attributes.redrive_policy else { continue };
        let arn = &policy.dead_letter_target_arn;
        if seen.contains(&arn) {
            continue;
        }
        seen.push(arn);
        let is_source = *arn == plan.source.arn;
        let queue = if is_source {
            Arc::clone(source)
        } else {
            let opened = aws.queue_by_arn(arn, &access(job, target)).await;
            opened.map_err(|error| error.about(&format!("the dead-letter queue of {}", attributes.name())))?
        };
        let name = arn.rsplit(':').next().unwrap_or(arn).to_owned();
        found.push(DeadLetters { name, queue, is_source });
    }
    Ok(found)
}

/// A queue and its dead-letter queue are of one account and region, and reached alike.
fn access(job: &Job, target: &Target) -> Access {
    match job.destination.get(&target.destination) {
        Some(Destination::Sqs(sqs)) => wiring::access(sqs.access()),
        _ => wiring::access(job.source.access()),
    }
}
