//! From a job's words to the real queues, buckets and files behind them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redrive_protocol::target::{DROP, ORIGIN, PARKING, Target, TargetId, TargetKind};
use redrive_rules::job::{self, Destination, Job};
use redrive_rules::rule::Rules;

use crate::apply::{Examined, Outlet, open_archive};
use crate::aws::{self, Access, Aws};
use crate::cli::ReachArgs;
use crate::error::{Error, Result};
use crate::journal::Journal;
use crate::payload::Payloads;
use crate::plan::{self, Caller, Identity, Opener, Place, Plan};
use crate::sqs::{Queue, QueueAttributes};
use crate::store::{Bucket, Buckets};
use redrive_protocol::protocol::Begun;

/// The largest batch that SQS takes, in bytes with attributes; older servers take a quarter of it, and say so by the
/// largest message they take.
const BATCH_BYTES: u64 = 1024 * 1024;

/// What a command talks to: AWS, or an embedded sandbox that lives as long as this.
pub(super) struct Reach {
    pub(super) aws: Arc<Aws>,
    #[cfg(feature = "sandbox")]
    sandbox: Option<sqs_sandbox::Sandbox>,
}

impl Reach {
    #[cfg(feature = "sandbox")]
    pub(super) async fn new(args: &ReachArgs) -> Result<Self> {
        let sandbox = if args.sandbox { Some(super::sandbox::start_seeded().await?) } else { None };
        let aws = sandbox.as_ref().map_or_else(Aws::new, |sandbox| Aws::local(sandbox.endpoint_url()));
        Ok(Self { aws: Arc::new(aws), sandbox })
    }

    #[cfg(not(feature = "sandbox"))]
    #[expect(clippy::unused_async, reason = "as it is with a sandbox to start")]
    pub(super) async fn new(_: &ReachArgs) -> Result<Self> {
        Ok(Self { aws: Arc::new(Aws::new()) })
    }

    /// Whether it is a sandbox that goes with this process.
    pub(super) fn is_embedded(&self) -> bool {
        #[cfg(feature = "sandbox")]
        return self.sandbox.is_some();
        #[cfg(not(feature = "sandbox"))]
        false
    }
}

/// How a part of the job is reached, as calls to AWS take it.
pub(super) fn access(part: job::Access<'_>) -> Access {
    Access {
        region: part.region.map(str::to_owned),
        profile: part.profile.map(str::to_owned),
        endpoint_url: part.endpoint_url.map(str::to_owned),
        role_arn: part.role_arn.map(str::to_owned),
    }
}

/// The source queue of a job.
pub(super) async fn source(aws: &Aws, job: &Job) -> Result<Arc<dyn Queue>> {
    let opened = aws.queue(&job.source.queue, &access(job.source.access())).await;
    opened.map_err(|error| error.and_hint("nothing was received or sent"))
}

/// The destinations of a job and its parking queue, opened; `plan` looks at them.
pub(super) async fn places(aws: &Aws, job: &Job) -> Result<Vec<(String, Place)>> {
    let mut places = Vec::with_capacity(job.destination.len());
    for (name, destination) in &job.destination {
        let place = match destination {
            Destination::Sqs(sqs) => aws.queue(&sqs.queue, &access(sqs.access())).await.map(Place::Queue),
            Destination::S3(s3) => aws.bucket(&s3.bucket, &access(s3.access())).await.map(Place::Bucket),
            Destination::File(file) => Ok(Place::File(file.path.clone())),
        };
        places.push((name.clone(), place.map_err(|error| about(name, error))?));
    }
    if let Some(park) = &job.unmatched.park {
        let queue = aws.queue(&park.queue, &access(park.access())).await.map_err(|error| about(PARKING, error))?;
        places.push((PARKING.to_owned(), Place::Queue(queue)));
    }
    Ok(places)
}

/// How long the question who we are may take, for all places together.
const WHO: Duration = Duration::from_secs(5);

/// Who calls to the places of a job are made as.
pub(super) async fn callers(aws: &Aws, job: &Job) -> Result<Vec<Caller>> {
    let destinations = job.destination.iter().filter_map(|(name, destination)| match destination {
        Destination::Sqs(sqs) => Some((name.as_str(), Some(sqs.queue.as_str()), access(sqs.access()))),
        Destination::S3(s3) => Some((name.as_str(), None, access(s3.access()))),
        Destination::File(_) => None,
    });
    let source = ("source", Some(job.source.queue.as_str()), access(job.source.access()));
    let parking = job.unmatched.park.as_ref();
    let parking = parking.map(|park| (PARKING, Some(park.queue.as_str()), access(park.access())));
    let deadline = tokio::time::Instant::now() + WHO;
    let mut callers = Vec::new();
    for (place, queue, access) in std::iter::once(source).chain(destinations).chain(parking) {
        let aws::Caller { region, endpoint, credentials, identity } = aws.caller(queue, &access, deadline).await?;
        let identity = identity.map(|(account, arn)| Identity { account, arn });
        callers.push(Caller { place: place.to_owned(), region, endpoint, credentials, identity });
    }
    Ok(callers)
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

/// Buckets that messages name, reached as the source is.
struct Named {
    aws: Arc<Aws>,
    access: Access,
}

impl std::fmt::Debug for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Named").field("access", &self.access).finish_non_exhaustive()
    }
}

#[async_trait]
impl Buckets for Named {
    async fn bucket(&self, name: &str) -> Result<Arc<dyn Bucket>> {
        self.aws.bucket(name, &self.access).await
    }
}

/// Where bodies are that the Extended Client keeps in S3, for a job that looks at them.
pub(super) fn payloads(aws: &Arc<Aws>, job: &Job, rules: &Rules) -> Option<Arc<Payloads>> {
    rules.reads_payloads().then(|| payloads_at(aws, access(job.source.access())))
}

/// The same for whoever has no job.
pub(super) fn payloads_at(aws: &Arc<Aws>, access: Access) -> Arc<Payloads> {
    Arc::new(Payloads::new(Arc::new(Named { aws: Arc::clone(aws), access })))
}

/// An error about a destination before anything was touched.
fn about(destination: &str, error: Error) -> Error {
    error.and_hint("nothing was received or sent").about(&format!("destination {destination:?}"))
}

/// How far a run has come whose plan is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    New,
    Begun,
    /// All that is left to do is to bring back what is parked.
    GivenUp,
}

/// Refuses a queue that is not as it was when the plan was made. To bring messages back it only has to be the same one.
pub(super) fn check(stage: Stage, planned: &QueueAttributes, now: &QueueAttributes) -> Result<()> {
    if stage == Stage::GivenUp && planned.arn == now.arn {
        return Ok(());
    }
    plan::check_fingerprint(planned, now)
}

/// What is behind a target, found to be there and as it was planned.
pub(super) enum Opened {
    Ready(Outlet),
    /// A file, which is opened only once the journal says what is in it; of a new run, as it was found before.
    File(PathBuf, Option<Examined>),
}

/// Opens what is behind a plan's targets, and compares each queue with what the plan knows of it. To be called before a run
/// begins: a run that is in the journal is one that may be gone on with.
pub(super) async fn open(aws: &Aws, job: &Job, rules: &Rules, plan: &Plan, stage: Stage) -> Result<Vec<Opened>> {
    let mut opened = Vec::with_capacity(plan.targets.len());
    for target in &plan.targets {
        let destination = job.destination.get(&target.destination);
        // What a reviewer was shown is what is written to.
        let is_shown = |location: &str| target.location.as_deref() == Some(location);
        let outlet = match (target.kind, destination) {
            // Nothing goes there any more, and what is there may be why it was given up.
            (kind, _) if stage == Stage::GivenUp && kind != TargetKind::Park => Outlet::Drop,
            (TargetKind::Drop, _) if target.destination == DROP => Outlet::Drop,
            (TargetKind::Sqs, Some(Destination::Sqs(sqs))) => {
                queue_outlet(aws.queue(&sqs.queue, &access(sqs.access())).await, target).await?
            }
            // Origins are reached as the source is: a queue and its dead-letter queue are of one account and region.
            (TargetKind::Sqs, None) if target.destination == ORIGIN => {
                let arn = target.queue.as_ref().map(|queue| queue.arn.as_str()).unwrap_or_default();
                queue_outlet(aws.queue_by_arn(arn, &access(job.source.access())).await, target).await?
            }
            (TargetKind::Park, None) => parking_outlet(aws, job, plan, target, stage).await?,
            (TargetKind::S3, Some(Destination::S3(s3))) if is_shown(&format!("s3://{}", s3.bucket)) => {
                let bucket = aws.bucket(&s3.bucket, &access(s3.access())).await;
                let bucket: Arc<dyn Bucket> = bucket.map_err(|error| about(&target.destination, error))?;
                bucket.check().await.map_err(|error| about(&target.destination, error.into()))?;
                Outlet::Bucket(bucket)
            }
            (TargetKind::File, Some(Destination::File(file))) if is_shown(&file.path) => {
                let path = rules.file_path(&target.destination, plan.id()).unwrap_or_else(|| file.path.clone());
                let path = PathBuf::from(path);
                let examined = if stage == Stage::New { Examined::of(&path) } else { Ok(None) };
                opened.push(Opened::File(path, examined.map_err(|error| about(&target.destination, error))?));
                continue;
            }
            _ => return Err(not_of_the_job(target)),
        };
        opened.push(Opened::Ready(outlet));
    }
    Ok(opened)
}

fn not_of_the_job(target: &Target) -> Error {
    Error::plan_refused(format!("the plan's target {:?} is not what its job says", target.destination))
        .hint("the plan was not made by this program from this job; make a new one")
}

/// The real things behind a plan's targets, once the run has begun.
pub(super) async fn outlets(opened: Vec<Opened>, journal: &Journal, begun: &Begun) -> Result<Vec<Outlet>> {
    let mut outlets = Vec::with_capacity(opened.len());
    for (position, opened) in opened.into_iter().enumerate() {
        let target = TargetId(u16::try_from(position).unwrap_or(u16::MAX));
        outlets.push(match opened {
            Opened::Ready(outlet) => outlet,
            Opened::File(path, examined) => {
                Outlet::File(Arc::new(open_archive(&path, target, journal, begun, examined).await?))
            }
        });
    }
    Ok(outlets)
}

async fn queue_outlet(queue: Result<Arc<dyn Queue>>, target: &Target) -> Result<Outlet> {
    let queue = queue.map_err(|error| about(&target.destination, error))?;
    let now = queue.attributes().await.map_err(|error| about(&target.destination, error.into()))?;
    if let Some(planned) = &target.queue {
        plan::check_fingerprint(planned, &now)?;
    }
    Ok(Outlet::Queue { queue, batch_bytes: batch_bytes(&now) })
}

/// The parking queue. What is in it when a run begins is nobody's to touch, so it must be empty; later it holds the run's own.
async fn parking_outlet(aws: &Aws, job: &Job, plan: &Plan, target: &Target, stage: Stage) -> Result<Outlet> {
    let park = job.unmatched.park.as_ref().ok_or_else(|| not_of_the_job(target))?;
    let queue = aws.queue(&park.queue, &access(park.access())).await.map_err(|error| about(PARKING, error))?;
    let now = queue.attributes().await.map_err(|error| about(PARKING, error.into()))?;
    if let Some(planned) = &target.queue {
        check(stage, planned, &now)?;
    }
    if let Some(refusal) = plan::parking_in_use(&now).filter(|_| stage == Stage::New) {
        return Err(Error::guarded(refusal.text).hint("nothing was received or sent"));
    }
    Ok(Outlet::Park { queue, batch_bytes: batch_bytes(&now), source_batch_bytes: batch_bytes(&plan.source) })
}

fn batch_bytes(queue: &QueueAttributes) -> usize {
    usize::try_from(queue.maximum_message_size.min(BATCH_BYTES)).unwrap_or(usize::MAX)
}
