//! A lane: gathers what comes in into batches and handles several at once. The lanes of targets and of deletes are alike.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::batch::Batcher;
use super::hands::{Hand, Hands};

/// How a lane gathers.
#[derive(Debug)]
pub(super) struct Spec {
    /// The most items of a batch.
    pub(super) items: usize,
    /// The most bytes of a batch.
    pub(super) bytes: usize,
    /// How long an item waits for company.
    pub(super) linger: Duration,
    /// Each batch that is handled needs one.
    pub(super) hands: Arc<Hands>,
}

/// Runs until the last sender is gone and everything is handled.
pub(super) async fn run<T, F>(
    mut inbox: Receiver<T>,
    spec: Spec,
    size: impl Fn(&T) -> usize,
    handle: impl Fn(Vec<T>) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut batcher = Batcher::new(spec.items, spec.bytes);
    let mut deadline = None;
    let mut working = JoinSet::new();
    // With all hands busy nothing more is taken in; the channel fills, and whoever feeds it waits. What has waited for a hand
    // goes in full batches.
    let mut hand = spec.hands.take().await;
    loop {
        let patience = deadline.unwrap_or_else(Instant::now);
        let batch = tokio::select! {
            item = inbox.recv() => match item {
                Some(item) => {
                    let bytes = size(&item);
                    let full = batcher.push(item, bytes);
                    if full.is_some() || deadline.is_none() {
                        deadline = (!batcher.is_empty()).then(|| Instant::now() + spec.linger);
                    }
                    full
                }
                None => break,
            },
            () = sleep_until(patience), if deadline.is_some() => {
                deadline = None;
                Some(batcher.take())
            }
        };
        if let Some(batch) = batch {
            working.spawn(with(hand, handle(batch)));
            while let Some(ended) = working.try_join_next() {
                joined(Some(ended));
            }
            hand = spec.hands.take().await;
        }
    }
    if !batcher.is_empty() {
        working.spawn(with(hand, handle(batcher.take())));
    }
    while joined(working.join_next().await) {}
}

/// Keeps a hand busy until the work is done.
async fn with(hand: Hand, work: impl Future<Output = ()>) {
    work.await;
    drop(hand);
}

/// Whether one has ended. A panic goes on here: were it swallowed, the run would wait for ever for messages that were lost
/// with it.
fn joined(ended: Option<Result<(), JoinError>>) -> bool {
    match ended {
        None => false,
        Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Some(_) => true,
    }
}
