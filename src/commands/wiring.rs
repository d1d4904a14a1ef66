//! From a job's words to the real queues, buckets and files behind them.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use crate::apply::{FileArchive, Outlet};
use crate::aws::{Access, Aws};
use crate::error::{Error, Result};
use crate::job::{DROP, Destination, Job, ORIGIN, S3Destination, Source, SqsDestination};
use crate::journal::Begun;
use crate::plan::{self, Opener, Place, Plan};
use crate::rule::Rules;
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

/// The destinations of a job, opened; `plan` looks at them.
pub(super) async fn places(aws: &Aws, job: &Job) -> Result<Vec<(String, Place)>> {
    let mut places = Vec::with_capacity(job.destination.len());
    for (name, destination) in &job.destination {
        let place = match destination {
            Destination::Sqs(sqs) => aws.queue(&sqs.queue, &sqs.access()).await.map(Place::Queue),
            Destination::S3(s3) => aws.bucket(&s3.bucket, &s3.access()).await.map(Place::Bucket),
            Destination::File(file) => Ok(Place::File(file.path.clone())),
        };
        places.push((name.clone(), place.map_err(|error| about(name, &error))?));
    }
    Ok(places)
}

/// Opens origin queues as the source is opened: a queue and its dead-letter queue are of one account and region.
pub(super) struct Origins<'a> {
    pub(super) aws: &'a Aws,
    pub(super) access: Access,
}

#[async_trait]
impl Opener for Origins<'_> {
    async fn queue_by_arn(&self, arn: &str) -> Result<Arc<dyn Queue>> {
        self.aws.queue_by_arn(arn, &self.access).await
    }

    async fn queue_by_url(&self, url: &str) -> Result<Arc<dyn Queue>> {
        self.aws.queue_by_url(url, &self.access).await
    }
}

fn about(destination: &str, error: &Error) -> Error {
    let plain = Error::new(error.kind(), format!("destination {destination:?}: {}", error.message()));
    match error.hint_text() {
        Some(hint) => plain.hint(format!("{hint}. Nothing was received or sent")),
        None => plain.hint("nothing was received or sent"),
    }
}

/// The queues and buckets behind a plan's targets, each looked at and each queue compared with what the plan knows of it;
/// `None` for files, which are opened when the journal has begun the run.
pub(super) async fn outlets(aws: &Aws, job: &Job, plan: &Plan) -> Result<Vec<Option<Outlet>>> {
    let mut outlets = Vec::with_capacity(plan.targets.len());
    for target in &plan.targets {
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
            (TargetKind::File, Some(Destination::File(_))) => {
                outlets.push(None);
                continue;
            }
            _ => {
                return Err(Error::plan_refused(format!(
                    "the plan's target {:?} is not what its job says",
                    target.destination
                ))
                .hint("the plan was not made by this program from this job; make a new one"));
            }
        };
        outlets.push(Some(outlet));
    }
    Ok(outlets)
}

/// The files among the targets, opened; with what an earlier session of the run may have written looked up in them.
pub(super) fn open_files(
    outlets: Vec<Option<Outlet>>,
    rules: &Rules,
    plan: &Plan,
    begun: &Begun,
) -> Result<Vec<Outlet>> {
    let open = |(position, outlet)| match outlet {
        Some(outlet) => Ok(outlet),
        None => {
            let id = TargetId(u16::try_from(position).unwrap_or(u16::MAX));
            let doubtful: HashSet<_> =
                begun.doubtful.iter().filter(|one| one.1 == Some(id)).map(|one| one.0.clone()).collect();
            let path = plan.target(id).and_then(|target| rules.file_path(&target.destination, &plan.setting()));
            let path = path.ok_or_else(|| Error::failed("a file of the plan has no path"))?;
            Ok(Outlet::File(Arc::new(FileArchive::open(Path::new(&path), begun.resumed, &doubtful)?)))
        }
    };
    outlets.into_iter().enumerate().map(open).collect()
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
