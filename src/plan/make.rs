//! Making a plan, from the first look at the queues to the seal. The queues and buckets are opened by the caller; everything that
//! is missing or forbidden is found before the first message is received.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use super::build::{Input, build};
use super::document::Plan;
use super::hazards::sampling_refusal;
use super::origins::{Opener, Origins, resolve};
use super::sample::{End, SampleOptions, sample};
use crate::error::{Error, Result};
use crate::job::{DROP, Destination, Job, ORIGIN};
use crate::payload::Payloads;
use crate::rule::Rules;
use crate::sqs::{Queue, QueueAttributes};
use crate::store::Bucket;
use crate::target::{Target, TargetKind};

/// For how long a received message stays invisible where the job does not say.
const VISIBILITY: Duration = Duration::from_mins(5);

/// Bytes of bodies in S3 that a plan holds in memory at most.
const PAYLOAD_BYTES: usize = 256 << 20;

/// A destination of the job, opened.
#[derive(Debug, Clone)]
pub enum Place {
    /// An SQS queue.
    Queue(Arc<dyn Queue>),
    /// A bucket.
    Bucket(Arc<dyn Bucket>),
    /// A local file, by the path in the job.
    File(String),
}

/// What a plan is made from.
pub struct Request<'a> {
    /// The job.
    pub job: &'a Job,
    /// The job, compiled.
    pub rules: &'a Rules,
    /// The job file's name.
    pub file: &'a str,
    /// The job file's text.
    pub text: &'a str,
    /// Who makes the plan, where that is known.
    pub author: Option<&'a str>,
    /// The source queue.
    pub source: Arc<dyn Queue>,
    /// The job's destinations by name, in the job's order.
    pub destinations: Vec<(String, Place)>,
    /// Opens origin queues.
    pub opener: &'a dyn Opener,
    /// The server's clock; asked once, after the first call has been answered.
    pub clock: &'a (dyn Fn() -> Timestamp + Sync),
    /// How much is sampled. The visibility timeout of the job wins over the one in here.
    pub sample: SampleOptions,
    /// Sample even where that could move messages.
    pub sample_anyway: bool,
    /// Where bodies are read from that the Extended Client keeps in S3, for a job that follows its pointers.
    pub payloads: Option<Arc<Payloads>>,
    /// Becomes true when planning is to end early.
    pub cancel: watch::Receiver<bool>,
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("file", &self.file).field("source", &self.source).finish_non_exhaustive()
    }
}

/// Makes a plan and seals it. Whatever happens, what was received is given back.
pub async fn make(request: Request<'_>) -> Result<Plan> {
    let Request { job, rules, file, text, author, source, destinations, opener, clock, sample: mut options, .. } =
        request;
    let attributes = source.attributes().await.map_err(|error| untouched(error.into()))?;
    check_arn(&job.source.queue, &attributes)?;
    let mut targets = Vec::with_capacity(destinations.len());
    for (name, place) in destinations {
        let target = target(name, place).await?;
        if let (Some(Destination::Sqs(named)), Some(found)) = (job.destination.get(&target.destination), &target.queue)
        {
            check_arn(&named.queue, found)?;
        }
        targets.push(target);
    }
    if let Some(refusal) = sampling_refusal(&attributes)
        && !request.sample_anyway
    {
        return Err(Error::guarded(refusal.text).hint(
            "nothing was received; --sample-despite-redrive-policy samples nevertheless, and a queue without a redrive policy needs no flag",
        ));
    }
    // Before sampling: what is sent from here on is not part of what was planned.
    let now = clock();
    options.visibility = visibility_of(job);
    let mut sampled = sample(&source, &attributes, &options, request.cancel).await?;
    if let Some(payloads) = request.payloads {
        let fetched = payloads.fetch_sample(rules, &mut sampled.messages, PAYLOAD_BYTES).await;
        let whole =
            fetched.map_err(|error| error.and_hint("the sampled messages were given back, and no plan was written"))?;
        if !whole {
            sampled.end = End::Memory;
        }
    }
    let mut origins = Origins::default();
    if rules.uses_origin() {
        let given_back = match sampled.not_given_back {
            0 => "every sampled message was given back, and no plan was written",
            _ => "some sampled messages come back by themselves, and no plan was written",
        };
        let resolved = resolve(&source, opener, &sampled.messages).await;
        origins = resolved.map_err(|error| error.and_hint(given_back))?;
        targets.append(&mut origins.targets);
    }
    if job.allow_drop {
        targets.push(Target { destination: DROP.to_owned(), kind: TargetKind::Drop, queue: None, location: None });
    }
    let tool_version = env!("CARGO_PKG_VERSION");
    let input =
        Input { job, rules, file, text, author, tool_version, now, source: attributes, targets, origins, sampled };
    Ok(build(input).seal())
}

/// A queue that the job names by ARN is that one and no other. AWS keeps to this; a server behind an endpoint that somebody
/// set may know one region only, and answer with what goes by the same name there.
fn check_arn(named: &str, found: &QueueAttributes) -> Result<()> {
    if !named.starts_with("arn:") || named == found.arn {
        return Ok(());
    }
    Err(Error::failed(format!("the job names the queue {named}, and the server answers with {}", found.arn))
        .hint("no message was received; check the ARN, and the endpoint (endpoint_url, AWS_ENDPOINT_URL)"))
}

/// For how long messages of this job's source stay invisible once received.
pub(crate) fn visibility_of(job: &Job) -> Duration {
    job.source.visibility_timeout.map_or(VISIBILITY, |age| age.0)
}

/// An error before the first receive.
fn untouched(error: Error) -> Error {
    error.and_hint("nothing was received or sent")
}

/// Looks at a destination: one that is missing or forbidden is an error now, not in the middle of apply.
async fn target(destination: String, place: Place) -> Result<Target> {
    debug_assert_ne!(destination, ORIGIN, "the job's own destinations have other names");
    let failed = |error: Error| untouched(error).about(&format!("destination {destination:?}"));
    let (kind, queue, location) = match place {
        Place::Queue(queue) => {
            let attributes = queue.attributes().await.map_err(|error| failed(error.into()))?;
            (TargetKind::Sqs, Some(attributes), None)
        }
        Place::Bucket(bucket) => {
            bucket.check().await.map_err(|error| failed(error.into()))?;
            (TargetKind::S3, None, Some(format!("s3://{}", bucket.name())))
        }
        Place::File(path) => (TargetKind::File, None, Some(path)),
    };
    Ok(Target { destination, kind, queue, location })
}

#[cfg(test)]
mod tests;
