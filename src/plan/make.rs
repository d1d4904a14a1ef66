//! Making a plan, from the first look at the queues to the seal. The queues and buckets are opened by the caller; everything that
//! is missing or forbidden is found before the first message is received.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use redrive_protocol::message::{Message, MessageId};
use redrive_protocol::target::{DROP, ORIGIN, PARKING, Target, TargetKind};
use redrive_rules::job::{Destination, Job};
use redrive_rules::rule::Rules;
use tokio::sync::watch;

use super::build::{Input, build};
use super::document::{Caller, Plan};
use super::exact::saw_enough;
use super::look::Look;
use super::origins::{Opener, Origins, resolve};
use super::sample::{Fresh, SampleOptions, Scanned, scan, visibility_of};
use super::survey::{Extent, check_arn, check_sampling, reach, untouched};
use crate::error::{Error, Result};
use crate::guard;
use crate::payload::Payloads;
use crate::sqs::{MAX_BATCH, Queue, QueueAttributes};
use crate::store::Bucket;

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
    /// The `DeadLetterQueueSourceArn` that a message had before a run parked it, as far as the journal knows it.
    pub came_from: &'a (dyn Fn(&MessageId) -> Option<String> + Sync),
    /// How much is looked at.
    pub extent: Extent,
    /// How it is received. How many messages is the extent's to say, and the visibility timeout the job's.
    pub sample: SampleOptions,
    /// Examples of each rule and outcome, if somebody said how many.
    pub examples: Option<usize>,
    /// Told how many messages were looked at, and how many that is to be, if that is known.
    pub progress: &'a (dyn Fn(u64, Option<u64>) + Sync),
    /// Who calls are made as, by place.
    pub callers: Vec<Caller>,
    /// Sample even where that could move messages.
    pub sample_anyway: bool,
    /// The host of the webhook that the job names, if the environment holds its URL.
    pub notifies: Option<&'a str>,
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
        let named = match job.destination.get(&target.destination) {
            Some(Destination::Sqs(sqs)) => Some(&sqs.queue),
            _ => job.unmatched.park.as_ref().filter(|_| target.kind == TargetKind::Park).map(|park| &park.queue),
        };
        if let (Some(named), Some(found)) = (named, &target.queue) {
            check_arn(named, found)?;
        }
        targets.push(target);
    }
    check_sampling(&attributes, request.sample_anyway)?;
    let move_task = source.move_task(&attributes.arn).await.map_err(|error| error.to_string());
    // Before sampling: what is sent from here on is not part of what was planned.
    let now = clock();
    options.visibility = visibility_of(job);
    let (payloads, came_from, callers) = (request.payloads.as_ref(), request.came_from, request.callers);
    let (examples, progress) = (request.examples, request.progress);
    let view = View {
        job,
        rules,
        source: &source,
        attributes: &attributes,
        opener,
        now,
        payloads,
        came_from,
        examples,
        progress,
    };
    let looked = look_at_messages(&view, targets, request.extent, options, request.cancel).await?;
    let Looked { look, origins, scanned } = looked;
    let tool_version = env!("CARGO_PKG_VERSION");
    let input = Input {
        job,
        file,
        text,
        author,
        notifies: request.notifies,
        command_missing: job.guard.as_ref().and_then(|guard| guard::missing(guard.command.as_deref()?)),
        tool_version,
        source: attributes.clone(),
        move_task,
        origins,
        look,
        scanned,
        callers,
    };
    Ok(build(input).seal())
}

/// What there is to look with.
struct View<'a> {
    job: &'a Job,
    rules: &'a Rules,
    source: &'a Arc<dyn Queue>,
    attributes: &'a QueueAttributes,
    opener: &'a dyn Opener,
    now: Timestamp,
    payloads: Option<&'a Arc<Payloads>>,
    came_from: &'a (dyn Fn(&MessageId) -> Option<String> + Sync),
    examples: Option<usize>,
    progress: &'a (dyn Fn(u64, Option<u64>) + Sync),
}

/// What was looked at.
struct Looked<'a> {
    look: Look<'a>,
    origins: Origins,
    scanned: Scanned,
}

/// Looks at messages as they come, and keeps none. An origin that nobody listed is opened when the first message from it comes.
async fn look_at_messages<'a>(
    view: &View<'a>,
    mut targets: Vec<Target>,
    extent: Extent,
    options: SampleOptions,
    cancel: watch::Receiver<bool>,
) -> Result<Looked<'a>> {
    let options = reach(extent, view.attributes, &options)?;
    let expected = options.expected(view.attributes);
    let mut origins = Origins::default();
    if view.rules.uses_origin() {
        origins = resolve(view.source, view.opener).await.map_err(untouched)?;
        targets.append(&mut origins.targets);
    }
    targets.extend(drop_target(view.job));
    let is_exact = extent == Extent::Exact;
    let mut look = Look::new(view.job, view.rules, view.attributes, targets, view.now, is_exact, view.examples);
    let looking = async |mut messages: Vec<Fresh>| {
        for Fresh { message: Message { id, system, .. }, .. } in &mut messages {
            // Of those that a run parked once, as far as the journal knows.
            system.restore_origin(|| (view.came_from)(id));
        }
        if view.rules.uses_origin() {
            let more = origins.learn(view.opener, &messages, &look.setting.targets).await;
            look.setting.targets.extend(more);
        }
        // What the Extended Client keeps in S3 is large: ten bodies at a time, as apply has them in a batch.
        for ten in messages.chunks_mut(MAX_BATCH) {
            if let Some(payloads) = view.payloads {
                payloads.fetch(view.rules, ten.iter_mut().map(|fresh| &mut fresh.message)).await?;
            }
            look.take(ten);
            for fresh in ten {
                fresh.message.payload = None;
            }
            (view.progress)(look.messages, expected);
        }
        Ok(())
    };
    let scanned = scan(view.source, view.attributes, &options, cancel, looking).await?;
    if is_exact {
        saw_enough(view.attributes, &look, scanned.end)?;
    }
    Ok(Looked { look, origins, scanned })
}

fn drop_target(job: &Job) -> Option<Target> {
    let target = Target { destination: DROP.to_owned(), kind: TargetKind::Drop, queue: None, location: None };
    job.allow_drop.then_some(target)
}

/// Looks at a destination: one that is missing or forbidden is an error now, not in the middle of apply.
async fn target(destination: String, place: Place) -> Result<Target> {
    debug_assert_ne!(destination, ORIGIN, "the job's own destinations have other names");
    let failed = |error: Error| untouched(error).about(&format!("destination {destination:?}"));
    let (kind, queue, location) = match place {
        Place::Queue(queue) => {
            let attributes = queue.attributes().await.map_err(|error| failed(error.into()))?;
            let kind = if destination == PARKING { TargetKind::Park } else { TargetKind::Sqs };
            (kind, Some(attributes), None)
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
