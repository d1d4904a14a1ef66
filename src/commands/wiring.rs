//! From a job's words to the real queues, buckets and files behind them.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use crate::apply::{FileArchive, Outlet};
use crate::aws::{Access, Aws};
use crate::error::{Error, Result};
use crate::job::{DROP, Destination, Job, ORIGIN, S3Destination, Source, SqsDestination, Template};
use crate::journal::Begun;
use crate::plan::{self, Plan};
use crate::sqs::Queue;
use crate::store::Bucket;
use crate::target::{Target, TargetId, TargetKind};

/// The largest batch that SQS takes, in bytes with attributes; older servers take a quarter of it, and say so by the
/// largest message they take.
const BATCH_BYTES: u64 = 1024 * 1024;

/// How a part of the job reaches AWS.
pub(super) trait Reached {
    fn access(&self) -> Access;
}

macro_rules! reached {
    ($($type:ty),*) => {$(
        impl Reached for $type {
            fn access(&self) -> Access {
                Access {
                    region: self.region.clone(),
                    profile: self.profile.clone(),
                    endpoint_url: self.endpoint_url.clone(),
                    role_arn: self.role_arn.clone(),
                }
            }
        }
    )*};
}

reached!(Source, SqsDestination, S3Destination);

/// The source queue of a job.
pub(super) async fn source(aws: &Aws, job: &Job) -> Result<Arc<dyn Queue>> {
    aws.queue(&job.source.queue, &job.source.access()).await
}

/// The destinations of a job, looked at: what is missing or refused is an error before anything is received.
pub(super) async fn targets(aws: &Aws, job: &Job) -> Result<Vec<Target>> {
    let mut targets = Vec::with_capacity(job.destination.len());
    for (name, destination) in &job.destination {
        let (kind, queue, location) = match destination {
            Destination::Sqs(sqs) => {
                let queue = aws.queue(&sqs.queue, &sqs.access()).await.map_err(|error| about(name, &error))?;
                let attributes = queue.attributes().await.map_err(|error| about(name, &error.into()))?;
                (TargetKind::Sqs, Some(attributes), None)
            }
            Destination::S3(s3) => {
                let bucket = aws.bucket(&s3.bucket, &s3.access()).await.map_err(|error| about(name, &error))?;
                bucket.check().await.map_err(|error| about(name, &error.into()))?;
                (TargetKind::S3, None, Some(format!("s3://{}", s3.bucket)))
            }
            Destination::File(file) => (TargetKind::File, None, Some(file.path.clone())),
        };
        targets.push(Target { destination: name.clone(), kind, queue, location });
    }
    Ok(targets)
}

fn about(destination: &str, error: &Error) -> Error {
    let plain = Error::new(error.kind(), format!("destination {destination:?}: {}", error.message()));
    match error.hint_text() {
        Some(hint) => plain.hint(format!("{hint}. Nothing was received or sent")),
        None => plain.hint("nothing was received or sent"),
    }
}

/// The real things behind a plan's targets. Each queue is compared with what the plan knows of it.
pub(super) async fn outlets(aws: &Aws, job: &Job, plan: &Plan, begun: &Begun) -> Result<Vec<Outlet>> {
    let mut outlets = Vec::with_capacity(plan.targets.len());
    for (position, target) in plan.targets.iter().enumerate() {
        let destination = job.destination.get(&target.destination);
        let outlet = match (target.kind, destination) {
            (TargetKind::Drop, _) if target.destination == DROP => Outlet::Drop,
            (TargetKind::Sqs, Some(Destination::Sqs(sqs))) => {
                queue_outlet(aws.queue(&sqs.queue, &sqs.access()).await, target).await?
            }
            // Origins are reached as the source is: a queue and its dead-letter queue are of one account and region.
            (TargetKind::Sqs, None) if target.destination == ORIGIN => {
                let arn = target.queue.as_ref().map(|queue| queue.arn.as_str()).unwrap_or_default();
                queue_outlet(aws.queue_by_arn(arn, &job.source.access()).await, target).await?
            }
            (TargetKind::S3, Some(Destination::S3(s3))) => {
                let bucket = aws.bucket(&s3.bucket, &s3.access()).await;
                let bucket: Arc<dyn Bucket> = bucket.map_err(|error| about(&target.destination, &error))?;
                bucket.check().await.map_err(|error| about(&target.destination, &error.into()))?;
                Outlet::Bucket(bucket)
            }
            (TargetKind::File, Some(Destination::File(file))) => {
                let id = TargetId(u16::try_from(position).unwrap_or(u16::MAX));
                let doubtful: HashSet<_> = begun.doubtful.iter().filter(|one| one.1 == Some(id)).map(|one| one.0.clone()).collect();
                let path = file_path(&file.path, job, plan)?;
                Outlet::File(Arc::new(FileArchive::open(Path::new(&path), begun.resumed, &doubtful)?))
            }
            _ => {
                return Err(Error::plan_refused(format!(
                    "the plan's target {:?} is not what its job says",
                    target.destination
                ))
                .hint("the plan was not made by this program from this job; make a new one"));
            }
        };
        outlets.push(outlet);
    }
    Ok(outlets)
}

async fn queue_outlet(queue: Result<Arc<dyn Queue>>, target: &Target) -> Result<Outlet> {
    let queue = queue.map_err(|error| about(&target.destination, &error))?;
    let now = queue.attributes().await.map_err(|error| about(&target.destination, &error.into()))?;
    if let Some(planned) = &target.queue {
        plan::check_fingerprint(planned, &now)?;
    }
    let batch_bytes = usize::try_from(now.maximum_message_size.min(BATCH_BYTES)).unwrap_or(usize::MAX);
    Ok(Outlet::Queue { queue, batch_bytes })
}

/// The path of a file destination, for one run.
fn file_path(template: &str, job: &Job, plan: &Plan) -> Result<String> {
    let parsed = Template::parse(template).map_err(|(_, why)| Error::usage(format!("the path {template:?}: {why}")))?;
    let values = BTreeMap::from([("run", plan.id()), ("job", job.name.as_str())]);
    Ok(parsed.render(|placeholder| values.get(placeholder.name()).copied().unwrap_or_default().into()))
}
