//! A lane: gathers what comes in into batches and handles several at once. The lanes of targets and of deletes are alike.

use std::future::Future;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::batch::Batcher;

/// How a lane gathers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spec {
    /// The most items of a batch.
    pub(super) items: usize,
    /// The most bytes of a batch.
    pub(super) bytes: usize,
    /// How long an item waits for company.
    pub(super) linger: Duration,
    /// Batches handled at once.
    pub(super) concurrency: usize,
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
    loop {
        // With all hands busy nothing more is taken in; the channel fills, and whoever feeds it waits.
        while working.len() >= spec.concurrency {
            joined(working.join_next().await);
        }
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
            working.spawn(handle(batch));
        }
    }
    if !batcher.is_empty() {
        working.spawn(handle(batcher.take()));
    }
    while joined(working.join_next().await) {}
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
