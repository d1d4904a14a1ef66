//! Sampling: receives some messages, holds them so that each is seen once, and gives every one of them back, whether the
//! sampling went well, failed or was interrupted. It judges nothing and writes nothing.
//!
//! Receiving is not reading: each receive raises a message's receive count. So no message is received twice on purpose, and
//! what the sampling did is part of its result.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use redrive_protocol::message::{Message, MessageId, ReceiptHandle, Received};
use redrive_rules::job::{Age, Job};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::give_back::give_back;
use crate::error::{Error, Kind, Result};
use crate::sqs::{CallError, Fault, MAX_BATCH, Queue, QueueAttributes};

/// Long polls under way at once for a sample, and where as much as possible is to be looked at.
const CONCURRENCY: usize = 4;
pub(super) const CONCURRENCY_FOR_ALL: usize = 16;

/// Rounds without a new message after which an approximate count of zero is believed.
const QUIET_ROUNDS: u32 = 3;

/// Rounds without a new message after which sampling stops whatever the count says; it lags by up to a minute.
const MAX_QUIET_ROUNDS: u32 = 20;

/// Transient faults in a row after which sampling fails.
const MAX_FAULTS: u32 = 6;

/// For how long a received message stays invisible where the job does not say.
const VISIBILITY: Duration = Duration::from_mins(5);

/// For how long a sample of this job's source stays invisible, should it not be given back.
pub(crate) fn visibility_of(job: &Job) -> Duration {
    job.source.visibility_timeout.map_or(VISIBILITY, |age| age.0)
}

/// How much is sampled, and how.
#[derive(Debug, Clone)]
pub struct SampleOptions {
    /// Distinct messages at most.
    pub messages: usize,
    /// Bytes of messages in memory at most; the round that passes it is the last.
    pub bytes: usize,
    /// How long one poll waits for a message.
    pub wait: Duration,
    /// For how long messages stay invisible, should they not be given back.
    pub visibility: Duration,
    /// The first wait before something is tried again; it doubles each time.
    pub pause: Duration,
    /// Polls under way at once.
    pub concurrency: usize,
}

impl Default for SampleOptions {
    fn default() -> Self {
        Self {
            messages: 1000,
            bytes: 64 * 1024 * 1024,
            wait: Duration::from_secs(1),
            visibility: VISIBILITY,
            pause: Duration::from_millis(200),
            concurrency: CONCURRENCY,
        }
    }
}

impl SampleOptions {
    /// How many messages of this source that is, as far as its count says.
    pub(super) fn expected(&self, source: &QueueAttributes) -> Option<u64> {
        let most = u64::try_from(self.messages).unwrap_or(u64::MAX);
        source.counts.visible.map(|visible| visible.min(most))
    }
}

/// Why sampling ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As many messages as were asked for, or as can be in flight.
    Enough,
    /// Every message that could be received: repeated long polls came back empty, and the approximate count is zero.
    WholeQueue,
    /// As many bytes as may be held in memory.
    Memory,
    /// Nothing more came, although SQS counts more: they are in flight with others, behind others of their group, or the
    /// count lags.
    NothingMore,
}

/// A message that was not received before.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) message: Message,
    /// The number of the receive that brought it, in the order in which they were begun.
    pub(super) receive: u64,
}

/// What a scan did; every message was given back.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) end: End,
    pub(super) receives: u64,
    pub(super) answers_lost: u64,
    pub(super) not_given_back: u64,
}

/// The sampled messages, all given back, and what the sampling did.
#[derive(Debug)]
pub struct Sampled {
    /// Distinct messages, the oldest first.
    pub messages: Vec<Message>,
    /// Why it ended.
    pub end: End,
    /// Receive calls made.
    pub receives: u64,
    /// Receive calls whose answer never came; each may have made up to ten messages invisible.
    pub answers_lost: u64,
    /// Messages that could not be given back at once.
    pub not_given_back: u64,
}

/// Receives a sample and gives it back. `before` is what the queue's attributes were just before; `progress` is told how many
/// messages have been received; `cancel` becoming true ends it with an error of the kind [`Kind::Stopped`].
pub async fn sample(
    queue: &Arc<dyn Queue>,
    before: &QueueAttributes,
    options: &SampleOptions,
    progress: &(dyn Fn(u64) + Sync),
    cancel: watch::Receiver<bool>,
) -> Result<Sampled> {
    let mut messages = Vec::new();
    let scanned = scan(queue, before, options, cancel, async |fresh| {
        messages.extend(fresh);
        progress(messages.len() as u64);
        Ok(())
    })
    .await?;
    in_order(&mut messages);
    let messages = messages.into_iter().map(|fresh| fresh.message).collect();
    let Scanned { end, receives, answers_lost, not_given_back } = scanned;
    Ok(Sampled { messages, end, receives, answers_lost, not_given_back })
}

/// SQS delivers in any order; the plan must not depend on it. In a FIFO queue the sequence number says which of a group is before
/// which; it has as many digits as it needs.
fn in_order(messages: &mut [Fresh]) {
    messages.sort_by_cached_key(|Fresh { message, .. }| {
        let sequence = message.system.get("SequenceNumber").map(|number| (number.len(), number.to_owned()));
        (message.system.sent_timestamp(), sequence, message.id.clone())
    });
}

/// The same, without keeping what was received: `look` gets each message once, some at a time.
pub(super) async fn scan(
    queue: &Arc<dyn Queue>,
    before: &QueueAttributes,
    options: &SampleOptions,
    mut cancel: watch::Receiver<bool>,
    look: impl AsyncFnMut(Vec<Fresh>) -> Result<()>,
) -> Result<Scanned> {
    let mut held = Held::default();
    // No `?` before the giving back: it must be reached on every way out.
    let ended = receive(queue, before, options, &mut cancel, &mut held, look).await;
    let Held { taken, receives, answers_lost, .. } = held;
    let messages = taken.len();
    let not_given_back = give_back(queue, taken.into_values().collect(), Duration::ZERO, options.pause).await;
    let end = ended.map_err(|error| after_failure(error, messages, not_given_back, options.visibility))?;
    Ok(Scanned { end, receives, answers_lost, not_given_back })
}

/// What is in our hands while sampling.
#[derive(Default)]
struct Held {
    taken: HashMap<MessageId, ReceiptHandle>,
    /// Received and not looked at yet.
    fresh: Vec<Fresh>,
    bytes: usize,
    receives: u64,
    answers_lost: u64,
}

impl Held {
    /// Takes a batch in; returns how many of it are new. A message that comes again brings the handle that is sure.
    fn take(&mut self, batch: Vec<Received>, receive: u64) -> usize {
        let before = self.taken.len();
        for Received { message, receipt } in batch {
            if self.taken.insert(message.id.clone(), receipt).is_none() {
                self.bytes += message.size();
                self.fresh.push(Fresh { message, receive });
            }
        }
        self.taken.len() - before
    }
}

async fn receive(
    queue: &Arc<dyn Queue>,
    before: &QueueAttributes,
    options: &SampleOptions,
    cancel: &mut watch::Receiver<bool>,
    held: &mut Held,
    mut look: impl AsyncFnMut(Vec<Fresh>) -> Result<()>,
) -> Result<End> {
    let mut started = Instant::now();
    let (mut quiet, mut empty, mut faults) = (0, 0, 0);
    loop {
        if *cancel.borrow() {
            return Err(Error::new(Kind::Stopped, "planning was interrupted; no plan was written"));
        }
        let wanted = options.messages.saturating_sub(held.taken.len());
        if wanted == 0 {
            return Ok(End::Enough);
        }
        if held.bytes >= options.bytes {
            return Ok(End::Memory);
        }
        if started.elapsed() > options.visibility / 2 {
            // What cannot be extended comes again, and is known then.
            started = Instant::now();
            give_back(queue, held.taken.values().cloned().collect(), options.visibility, options.pause).await;
        }
        let round = poll(queue, wanted, options, held).await;
        in_order(&mut held.fresh);
        look(std::mem::take(&mut held.fresh)).await?;
        if let Some(error) = round.fault {
            faults += 1;
            if error.fault == Fault::OverLimit {
                return Ok(End::Enough);
            }
            if !error.fault.is_transient() || faults >= MAX_FAULTS {
                return Err(error.into());
            }
            pause(backoff(options.pause, faults - 1), cancel).await;
            continue;
        }
        faults = 0;
        empty = if round.received == 0 { empty + 1 } else { 0 };
        quiet = if round.fresh == 0 { quiet + 1 } else { 0 };
        if quiet < QUIET_ROUNDS {
            continue;
        }
        // A count that cannot be had is no proof of an empty queue, and no reason to fail either.
        let counted = queue.attributes().await.ok().and_then(|attributes| attributes.counts.visible);
        // On a FIFO queue messages can hide behind those in our own hands, so what was counted must have come as well.
        let all_came = !before.fifo || before.counts.visible.is_some_and(|visible| held.taken.len() as u64 >= visible);
        if empty >= QUIET_ROUNDS && counted == Some(0) && all_came {
            return Ok(End::WholeQueue);
        }
        // What hides there, no further poll will bring.
        if before.fifo || quiet >= MAX_QUIET_ROUNDS {
            return Ok(End::NothingMore);
        }
    }
}

/// What a round of polls brought.
#[derive(Default)]
struct Round {
    received: usize,
    fresh: usize,
    /// The fault that weighs most: a permanent one before a transient one.
    fault: Option<CallError>,
}

/// A few long polls at once. They are never dropped half-way: what a dropped receive had received would stay invisible.
async fn poll(queue: &Arc<dyn Queue>, mut wanted: usize, options: &SampleOptions, held: &mut Held) -> Round {
    let mut polls = JoinSet::new();
    while wanted > 0 && polls.len() < options.concurrency {
        let max = wanted.min(MAX_BATCH);
        wanted -= max;
        let (queue, wait, visibility) = (Arc::clone(queue), options.wait, options.visibility);
        held.receives += 1;
        let number = held.receives;
        polls.spawn(async move { (number, queue.receive(max, wait, visibility).await) });
    }
    let mut round = Round::default();
    while let Some(joined) = polls.join_next().await {
        match joined {
            Ok((number, Ok(batch))) => {
                round.received += batch.len();
                round.fresh += held.take(batch, number);
            }
            Ok((_, Err(error))) => {
                held.answers_lost += u64::from(!error.fault.had_no_effect());
                let heavier = round.fault.as_ref().is_none_or(|known| known.fault.is_transient());
                if heavier {
                    round.fault = Some(error);
                }
            }
            Err(died) => {
                held.answers_lost += 1;
                round.fault = Some(CallError {
                    fault: Fault::Refused,
                    action: "ReceiveMessage",
                    resource: queue.url().to_owned(),
                    code: None,
                    message: format!("the receiving task ended early: {died}"),
                });
            }
        }
    }
    round
}

/// Waits, but not longer than until somebody cancels.
async fn pause(length: Duration, cancel: &mut watch::Receiver<bool>) {
    // An error means that nobody is left who could cancel; then only the time counts.
    tokio::select! {
        () = tokio::time::sleep(length) => {}
        Ok(_) = cancel.wait_for(|cancelled| *cancelled) => {}
    }
}

/// The wait before the try after `failed` failed ones: doubling, five seconds at most.
pub(super) fn backoff(pause: Duration, failed: u32) -> Duration {
    pause.saturating_mul(1 << failed.min(16)).min(Duration::from_secs(5))
}

/// Adds to an error what became of the messages that had been received by then.
fn after_failure(error: Error, received: usize, not_given_back: u64, visibility: Duration) -> Error {
    let fate = match (received, not_given_back) {
        (0, _) => "no message had been received".to_owned(),
        (_, 0) => format!("all {received} messages received until then were given back at once"),
        _ => format!(
            "of {received} messages received until then {not_given_back} could not be given back; they are visible again after {}",
            Age(visibility)
        ),
    };
    let hint = error.hint_text().map_or_else(|| fate.clone(), |hint| format!("{hint}; {fate}"));
    error.hint(hint)
}

#[cfg(test)]
mod tests;
