//! Looking at a queue without a job: the sampling of a plan with its effects, its refusals and its giving back, for whoever wants
//! to see messages. It judges nothing; [`Surveyed::sample`] says what the sample stands for, once it is known of what kinds
//! its messages are.

use std::sync::Arc;

use jiff::Timestamp;
use redrive_protocol::message::Message;
use tokio::sync::watch;

use super::document::{OriginCount, Sample};
use super::evenness::{Basis, Trace, Unevenness};
use super::exact::{room_in_flight, room_to_look};
use super::hazards::sampling_refusal;
use super::sample::{CONCURRENCY_FOR_ALL, End, Fresh, SampleOptions, Scanned, scan};
use super::seen::Seen;
use super::stats::Size;
use crate::error::{Error, Result};
use crate::sqs::{Queue, QueueAttributes};

/// A queue of which SQS counts no more messages than this is looked at whole, and of a larger one this many are looked at, if
/// nobody says how many.
const WHOLE_QUEUE: u64 = 10_000;

/// How many are looked at for a whole queue: the count lags, and messages go on arriving.
const ROOM_FOR_WHOLE: u64 = 2 * WHOLE_QUEUE;

/// How much of the source is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The whole queue, or a sample of a large one.
    Auto,
    /// So many messages at the most.
    Sample(u64),
    /// As many as can be in flight at once.
    All,
    /// Every message, and the plan is pinned to them.
    Exact,
}

/// What is looked at, and how.
pub struct Survey<'a> {
    /// The queue.
    pub source: Arc<dyn Queue>,
    /// As the caller named it.
    pub named: &'a str,
    /// How much of it.
    pub extent: Extent,
    /// Sample even where that could move messages.
    pub sample_anyway: bool,
    /// The server's clock; asked once, after the first call has been answered.
    pub clock: &'a (dyn Fn() -> Timestamp + Sync),
    /// Told how many were looked at so far, and how many that is to be, as far as anybody knows.
    pub progress: &'a (dyn Fn(u64, Option<u64>) + Sync),
    /// Becomes true when looking is to end early.
    pub cancel: watch::Receiver<bool>,
}

impl std::fmt::Debug for Survey<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Survey").field("named", &self.named).field("extent", &self.extent).finish_non_exhaustive()
    }
}

/// A queue that was looked at; everything was given back.
#[derive(Debug)]
pub struct Surveyed {
    /// Its attributes just before.
    pub source: QueueAttributes,
    /// The time just before, by the server's clock.
    pub now: Timestamp,
    messages: u64,
    seen: Seen,
    scanned: Scanned,
}

/// Looks at messages. `take` gets each once, with the number of the receive that brought it.
pub async fn survey(
    survey: Survey<'_>,
    mut take: impl AsyncFnMut(Vec<(Message, u64)>) -> Result<()>,
) -> Result<Surveyed> {
    let Survey { source, named, extent, sample_anyway, clock, progress, cancel } = survey;
    let attributes = source.attributes().await.map_err(|error| untouched(error.into()))?;
    check_arn(named, &attributes)?;
    check_sampling(&attributes, sample_anyway)?;
    let now = clock();
    let options = reach(extent, &attributes, &SampleOptions::default())?;
    let expected = options.expected(&attributes);
    let (mut seen, mut messages) = (Seen::default(), 0);
    let scanned = scan(&source, &attributes, &options, cancel, async |fresh: Vec<Fresh>| {
        for Fresh { message, .. } in &fresh {
            seen.take(message, u64::MAX, Timestamp::MIN, now);
        }
        messages += fresh.len() as u64;
        take(fresh.into_iter().map(|fresh| (fresh.message, fresh.receive)).collect()).await?;
        progress(messages, expected);
        Ok(())
    })
    .await?;
    Ok(Surveyed { source: attributes, now, messages, seen, scanned })
}

impl Surveyed {
    /// What the sample stands for. Each of its messages is given as the receive that brought it, when it was sent, and its kind.
    pub fn sample<K: Ord>(&self, kinds: impl Iterator<Item = (u64, i64, K)>) -> Sample {
        let mut trace = Trace::default();
        kinds.for_each(|(receive, sent, kind)| trace.note(receive, sent, kind));
        sample(&self.source, self.messages, &self.seen, &self.scanned, trace, false).0
    }
}

impl Sample {
    /// So many messages, drawn at random out of all that a file holds, or all of them.
    pub fn of_file(drawn: u64, all: u64) -> Self {
        let basis = if drawn == all { Basis::Whole } else { Basis::Even { effective: drawn } };
        Self {
            messages: drawn,
            whole_queue: drawn == all,
            basis,
            population: all,
            receives: 0,
            not_given_back: 0,
            oldest: None,
            newest: None,
            ages: Vec::new(),
            not_json: 0,
            origins: Vec::new(),
        }
    }
}

/// Refuses to receive where that could move messages, unless it is wanted.
pub fn check_sampling(source: &QueueAttributes, sample_anyway: bool) -> Result<()> {
    match sampling_refusal(source) {
        Some(refusal) if !sample_anyway => Err(Error::guarded(refusal.text).hint(
            "nothing was received; --sample-despite-redrive-policy samples anyway; a queue without a redrive policy needs no flag",
        )),
        _ => Ok(()),
    }
}

/// A queue that is named by ARN is that one and no other. AWS keeps to this; a server behind an endpoint that somebody
/// set may know one region only, and answer with what goes by the same name there.
pub(super) fn check_arn(named: &str, found: &QueueAttributes) -> Result<()> {
    if !named.starts_with("arn:") || named == found.arn {
        return Ok(());
    }
    Err(Error::failed(format!("the queue {named} was asked for, and the server answers with {}", found.arn))
        .hint("no message was received; check the ARN, and the endpoint (endpoint_url, AWS_ENDPOINT_URL)"))
}

/// An error before the first receive.
pub(super) fn untouched(error: Error) -> Error {
    error.and_hint("nothing was received or sent")
}

/// How many messages are received, and how, for this much of a queue.
pub(super) fn reach(extent: Extent, source: &QueueAttributes, options: &SampleOptions) -> Result<SampleOptions> {
    let (messages, concurrency) = match extent {
        Extent::Sample(messages) => (messages, options.concurrency),
        Extent::Auto if source.counts.visible.is_some_and(|visible| visible <= WHOLE_QUEUE) => {
            (ROOM_FOR_WHOLE, options.concurrency)
        }
        Extent::Auto => (WHOLE_QUEUE, options.concurrency),
        Extent::All => (room_in_flight(source), CONCURRENCY_FOR_ALL),
        Extent::Exact => (room_to_look(source)?, CONCURRENCY_FOR_ALL),
    };
    let messages = usize::try_from(messages).unwrap_or(usize::MAX);
    Ok(SampleOptions { messages, bytes: usize::MAX, concurrency, ..options.clone() })
}

/// What was looked at of a queue, and what it stands for. A plan that is pinned is about nothing else than what it saw.
pub(super) fn sample<K: Ord>(
    source: &QueueAttributes,
    messages: u64,
    seen: &Seen,
    scanned: &Scanned,
    trace: Trace<K>,
    is_pinned: bool,
) -> (Sample, Size) {
    let whole_queue = scanned.end == End::WholeQueue;
    let population = match scanned.end {
        _ if whole_queue || is_pinned => messages,
        // More than were counted have come already, so the count says nothing about how many are left.
        End::Enough if source.counts.visible.is_none_or(|visible| messages > visible) => messages + 1,
        _ => source.counts.visible.unwrap_or(messages + 1),
    };
    let extent = Size::new(messages, population);
    let basis = match (extent.is_exact(), source.fifo) {
        (true, _) => Basis::Whole,
        (false, true) => Basis::Uneven(Unevenness::GroupHeads),
        (false, false) => trace.basis(),
    };
    let extent = extent.on(basis);
    let sample = Sample {
        messages,
        whole_queue,
        basis,
        population: extent.population(),
        receives: scanned.receives,
        not_given_back: scanned.not_given_back,
        oldest: seen.oldest,
        newest: seen.newest,
        ages: seen.ages(),
        not_json: seen.not_json,
        origins: seen.origins.iter().map(|(arn, n)| OriginCount { arn: arn.clone(), messages: *n }).collect(),
    };
    (sample, extent)
}
