//! What a run is guarded by: from the job, the plan's queues, and the command line.

use std::path::Path;
use std::sync::Arc;

use redrive_protocol::target::{Target, TargetKind};
use redrive_rules::job::{Destination, Job};

use super::{resolve, wiring};
use crate::apply::{Guarding, Outlet};
use crate::aws::{Access, Aws};
use crate::error::Result;
use crate::guard::{DeadLetters, Watched, socket_of};
use crate::plan::Plan;
use crate::sqs::Queue;

/// What is watched of a run that has begun. Queues are opened only if the job asks for something that looks at them.
pub(super) async fn of(
    aws: &Aws,
    job: &Job,
    plan: &Plan,
    source: &Arc<dyn Queue>,
    outlets: &[Outlet],
    skip_canary: Option<String>,
    journal: &Path,
) -> Result<Guarding> {
    let guard = job.guard.clone().unwrap_or_default();
    let looks = guard.canary.is_some() || guard.max_bounced.is_some() || guard.max_backlog.is_some();
    let watched = if looks { watched(aws, job, plan, source, outlets).await? } else { Watched::default() };
    let skip_canary = skip_canary.map(|why| (resolve::user(), why));
    Ok(Guarding { guard, watched, skip_canary, socket: Some(socket_of(journal)) })
}

/// The queues that messages go to, and those where they end if nobody can process them.
async fn watched(aws: &Aws, job: &Job, plan: &Plan, source: &Arc<dyn Queue>, outlets: &[Outlet]) -> Result<Watched> {
    let mut watched = Watched::default();
    let mut seen = Vec::new();
    for (target, outlet) in plan.targets.iter().zip(outlets) {
        let (TargetKind::Sqs, Some(attributes), Outlet::Queue { queue, .. }) = (target.kind, &target.queue, outlet)
        else {
            continue;
        };
        let name = attributes.name().to_owned();
        watched.destinations.push(crate::guard::Destination { name, queue: Arc::clone(queue) });
        let Some(policy) = &attributes.redrive_policy else { continue };
        let arn = &policy.dead_letter_target_arn;
        if seen.contains(arn) {
            continue;
        }
        seen.push(arn.clone());
        let is_source = *arn == plan.source.arn;
        let queue = if is_source {
            Arc::clone(source)
        } else {
            let opened = aws.queue_by_arn(arn, &access(job, target)).await;
            opened.map_err(|error| error.about(&format!("the dead-letter queue of {}", attributes.name())))?
        };
        let name = arn.rsplit(':').next().unwrap_or(arn).to_owned();
        watched.dead_letters.push(DeadLetters { name, queue, is_source });
    }
    Ok(watched)
}

/// A queue and its dead-letter queue are of one account and region, and reached alike.
fn access(job: &Job, target: &Target) -> Access {
    match job.destination.get(&target.destination) {
        Some(Destination::Sqs(sqs)) => wiring::access(sqs.access()),
        _ => wiring::access(job.source.access()),
    }
}
