//! Apply: carries out a plan.
//!
//! The story of one message: a receiver takes it from the source and asks the journal what is known of it (`intake`); the
//! rules judge it; its intent goes on disk; the lane of its target gathers a batch (`lane`, `batch`) and delivers it
//! (`deliver`, `archive`); the end of the send goes on disk, which gives the proof that a delete takes (`remove`).
//! Meanwhile `lease` keeps invisible what waits or stays, and gives it back at the end.
//!
//! It may use the rules, the journal and the seams; it knows nothing of AWS, of views, or of the command line.

mod archive;
mod batch;
mod deliver;
mod events;
mod files;
mod gate;
mod intake;
mod lane;
mod lease;
mod limits;
mod remove;
mod retry;
mod shared;
mod stop;
mod summary;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub use events::{Event, Events, Progress};
pub use files::FileArchive;
pub use shared::{Options, Outlet};
pub use stop::{Signal, Stop};
pub use summary::{Destined, Figures, Outcome, RuleSummary, Summary, Totals};

use crate::error::Result;
use crate::job::InDoubt;
use crate::journal::{Begun, Journal, SessionEnd};
use crate::plan::Plan;
use crate::rule::Rules;
use crate::sqs::Queue;
use crate::target::{TargetId, TargetKind};
use deliver::Parcel;
use shared::{Halt, Shared};

/// Everything that carrying out a plan needs.
pub struct Apply {
    /// The plan.
    pub plan: Plan,
    /// The rules of the job inside the plan.
    pub rules: Rules,
    /// The source queue.
    pub source: Arc<dyn Queue>,
    /// Where messages go, by [`TargetId`].
    pub outlets: Vec<Outlet>,
    /// The journal.
    pub journal: Journal,
    /// What [`Journal::begin`] said.
    pub begun: Begun,
    /// How to go about it.
    pub options: Options,
    /// Tells when to stop.
    pub stop: Stop,
    /// Where progress is told.
    pub events: Events,
    /// How many SQS requests this process has made.
    pub requests: Arc<dyn Fn() -> u64 + Send + Sync>,
}

/// How many batches may wait for a lane: enough to keep it busy, few enough that a slow target slows the receivers.
const LANE_DEPTH: usize = 64;

/// Carries out the plan, or what is left of it, and says how it ended. An error is returned only where nothing can be said
/// of the run any more, which is when the journal has failed.
pub async fn run(apply: Apply) -> Result<Summary> {
    let started = std::time::Instant::now();
    let Apply { plan, rules, source, outlets, journal, begun, options, stop, events, requests } = apply;
    let earlier = (begun.requests, begun.elapsed_ms);
    let shared = Arc::new(Shared::new(&plan, rules, source, outlets, journal, options, stop, events, &begun));

    recover(&shared, begun).await;
    let ticker = tokio::spawn(events::tick(Arc::clone(&shared)));
    let keeper = tokio::spawn(lease::keep(Arc::clone(&shared)));
    move_messages(&shared).await;
    keeper.abort();
    ticker.abort();
    let not_released = lease::release_all(&shared).await;

    let tally = shared.journal.tally();
    let halt = shared.take_halt();
    let unfinished = tally.count(|key| summary::is_unfinished(key.state));
    let outcome = match halt {
        Some(Halt::Signal) => Outcome::Interrupted,
        Some(Halt::Drift(words)) => Outcome::Drifted(words),
        Some(Halt::InFlight(words)) => Outcome::Guarded(words),
        Some(Halt::Failed(error)) => Outcome::Failed(error),
        None if unfinished > 0 => Outcome::Unfinished,
        None => Outcome::Finished,
    };
    let totals = Totals {
        requests: earlier.0 + requests(),
        elapsed_ms: earlier.1 + u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        not_released,
        still_visible: shared.still_visible.load(Ordering::Relaxed),
        in_flight_elsewhere: shared.in_flight_elsewhere.load(Ordering::Relaxed),
    };
    let end = SessionEnd {
        finished: matches!(outcome, Outcome::Finished),
        outcome: outcome.code().to_owned(),
        requests: totals.requests,
        elapsed_ms: totals.elapsed_ms,
    };
    let summary = Summary { outcome, figures: Figures::new(&plan, &tally, totals) };
    // A journal that failed cannot note the end; the run is resumable all the same, and its failure is the outcome already.
    let ended = shared.journal.end(end).await;
    if !matches!(summary.outcome, Outcome::Failed(_)) {
        ended?;
    }
    Ok(summary)
}

/// Settles what an earlier session left: deletes what is safely elsewhere, and gives back the rest without waiting for its
/// visibility timeout.
async fn recover(shared: &Arc<Shared>, begun: Begun) {
    if begun.resumed {
        shared.events.send(Event::Resumed {
            interrupted: begun.interrupted,
            in_doubt: begun.in_doubt,
            to_delete: begun.to_delete.len() as u64,
            to_release: begun.to_release.len() as u64,
        });
    }
    for batch in remove::batches(begun.to_delete) {
        remove::remove(shared, batch).await;
    }
    lease::release(shared, begun.to_release).await;
}

/// Receivers, a lane for each target, and the lane of deletes; ends when all of them have.
async fn move_messages(shared: &Arc<Shared>) {
    let concurrency = shared.options.concurrency;
    let mut tasks = JoinSet::new();
    let (removals, to_remove) = mpsc::channel(LANE_DEPTH * 10);
    let spec = lane::Spec { items: 10, bytes: usize::MAX, linger: Duration::from_millis(200), concurrency };
    {
        let shared = Arc::clone(shared);
        let handle = move |batch| remove::remove_owned(Arc::clone(&shared), batch);
        tasks.spawn(lane::run(to_remove, spec, |_| 0, handle));
    }
    let mut lanes = Vec::new();
    for (position, outlet) in shared.outlets.iter().enumerate() {
        let target = TargetId(u16::try_from(position).unwrap_or(u16::MAX));
        let (parcels, inbox) = mpsc::channel::<Parcel>(LANE_DEPTH * 10);
        lanes.push(parcels);
        let spec = match outlet {
            Outlet::Queue { batch_bytes, .. } => {
                lane::Spec { items: 10, bytes: *batch_bytes, linger: Duration::from_millis(200), concurrency }
            }
            // One object a request: there is nothing to gather, only to do at once.
            Outlet::Bucket(_) => {
                lane::Spec { items: 1, bytes: usize::MAX, linger: Duration::ZERO, concurrency: 2 * concurrency }
            }
            // One sync for many lines.
            Outlet::File(_) => {
                lane::Spec { items: 500, bytes: 4 << 20, linger: Duration::from_millis(50), concurrency: 1 }
            }
            Outlet::Drop => continue,
        };
        let (shared, removals) = (Arc::clone(shared), removals.clone());
        let handle = move |batch| deliver::deliver(Arc::clone(&shared), target, batch, removals.clone());
        tasks.spawn(lane::run(inbox, spec, Parcel::size, handle));
    }
    for number in 0..concurrency {
        tasks.spawn(intake::receive(Arc::clone(shared), number, lanes.clone(), removals.clone()));
    }
    // Each lane ends when the last sender into it is gone, so that none is left with something in it.
    drop((lanes, removals));
    while let Some(joined) = tasks.join_next().await {
        if let Err(error) = joined {
            shared.fail(crate::error::Error::failed(format!("a worker ended unexpectedly: {error}")));
        }
    }
}

/// Whether a send that may have arrived is made again: to a FIFO queue inside its deduplication window, to S3 and files
/// always, since the second one cannot make a second copy; to a standard queue as the job says.
pub(crate) fn may_resend(kind: TargetKind, fifo: bool, since_secs: i64, policy: InDoubt) -> bool {
    // The window is five minutes at the destination; a minute less here leaves room for the request and for clocks.
    let inside_window = (0..4 * 60).contains(&since_secs);
    match kind {
        TargetKind::S3 | TargetKind::File | TargetKind::Drop => true,
        TargetKind::Sqs if fifo && inside_window => true,
        TargetKind::Sqs => policy == InDoubt::Resend,
    }
}
