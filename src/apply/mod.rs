//! Apply: carries out a plan.
//!
//! The story of one message: a receiver takes it from the source (`receive`), asks the journal what is known of it, and the rules
//! judge it (`intake`); its intent goes on disk; the lane of its target gathers a batch (`lane`, `batch`) and delivers it
//! (`deliver`, `archive`); the end of the send goes on disk, which gives the proof that a delete takes (`remove`).
//! Meanwhile `lease` keeps invisible what waits or stays, and gives it back at the end. `park` is for more than can be held.
//!
//! It may use the rules, the journal and the seams; it knows nothing of AWS, of views, or of the command line.

mod archive;
mod batch;
mod canary;
mod deliver;
mod drift;
mod dry;
mod events;
mod files;
mod gate;
mod guarded;
mod hands;
mod hold;
mod intake;
mod lane;
mod lease;
mod limits;
mod newer;
mod noted;
mod offload;
mod options;
mod orphans;
mod outlets;
mod over;
mod parcel;
mod park;
mod pieces;
mod pinned;
mod rate;
mod receive;
mod remove;
mod resume;
mod room;
mod settle;
mod shared;
mod stop;
mod summary;
mod valve;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redrive_protocol::target::TargetId;
use redrive_rules::rule::Rules;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

pub use drift::{Drift, RuleDrift};
pub use events::{Event, Events, Progress};
pub use files::{Examined, FileArchive};
pub use guarded::Guarding;
pub use options::{Options, VISIBILITY};
pub use outlets::Outlet;
pub use redrive_protocol::protocol::Totals;
pub use resume::open_archive;
pub use stop::{Signal, Stop};
pub use summary::{Destined, Figures, Outcome, PinnedFigures, RuleSummary, Summary};

use crate::error::Result;
use crate::journal::Journal;
use crate::plan::Plan;
use crate::sqs::Queue;
use guarded::Guards;
use parcel::Parcel;
use park::Leg;
use redrive_protocol::protocol::{Begun, SessionEnd};
use shared::{Effort, Shared};
use stop::Halt;
use watch::Watch;

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
    pub journal: Arc<Journal>,
    /// What [`Journal::begin`] said.
    pub begun: Begun,
    /// How to go about it.
    pub options: Options,
    /// What it is guarded by.
    pub guarding: Guarding,
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
    let Apply { plan, rules, source, outlets, journal, begun, options, guarding, stop, events, requests } = apply;
    let earlier = (begun.requests, begun.elapsed_ms);
    let effort = Effort { earlier, started: Instant::now(), requests, throttled: AtomicU64::new(0) };
    let guards = Arc::new(Guards::new(&plan, guarding));
    let shared = Shared::new(&plan, rules, source, outlets, journal, options, guards, stop, events, effort, &begun);
    let shared = Arc::new(shared);

    let effort = Arc::clone(&shared.effort);
    let meter = Arc::new(move || effort.measured());
    shared.journaled(shared.journal.measure(meter).await);
    let ticker = tokio::spawn(tick(Arc::clone(&shared)));
    let (drained, given_up) = (begun.drained, begun.given_up);
    let mut not_released = pass(&shared, begun, drained).await;
    let (mut halt, mut orphans_until) = (shared.take_halt(), shared.orphans.until());
    if let Some((back, begun)) = way_back(&shared, &mut halt, drained).await {
        not_released += pass(&back, begun, false).await;
        halt = back.take_halt().or(halt);
        orphans_until = orphans_until.max(back.orphans.until());
    }
    // A run is not finished before its archives are seen to hold what was written to them.
    if (halt.is_none() || !shared.archives_hold())
        && let Err(error) = resume::verify(&shared).await
    {
        halt = Some(Halt::Failed(error));
    }
    ticker.abort();
    let tally = shared.journal.tally();
    let unfinished = tally.parked + tally.count(|key| key.state.is_unfinished());
    let totals = Totals {
        requests: shared.effort.requests(),
        elapsed_ms: shared.effort.elapsed_ms(),
        not_released,
        still_visible: shared.still_visible.load(Ordering::Relaxed),
        in_flight_elsewhere: shared.in_flight_elsewhere.load(Ordering::Relaxed),
    };
    let outcome = match halt {
        Some(Halt::Signal) => Outcome::Interrupted,
        Some(Halt::Drift(words)) => Outcome::Drifted(words),
        Some(Halt::InFlight(words) | Halt::Guard(words)) => Outcome::Guarded(words),
        Some(Halt::Failed(error)) => Outcome::Failed(error),
        // What else it left on its way is every later run's.
        None if given_up && tally.away() == 0 => Outcome::Abandoned,
        None if unfinished > 0 => Outcome::Unfinished(summary::unfinished_because(&tally, totals)),
        None => Outcome::Finished,
    };
    let end = SessionEnd {
        finished: matches!(outcome, Outcome::Finished | Outcome::Abandoned),
        has_orphans: shared.journal.now() < orphans_until,
        outcome: outcome.code().to_owned(),
        cause: outcome.cause(),
        totals,
    };
    let summary = Summary { outcome, figures: Figures::new(&plan, &tally, totals) };
    // A journal that failed cannot note the end; the run is resumable all the same, and its failure is the outcome already.
    let ended = shared.journal.end(end).await;
    if !matches!(summary.outcome, Outcome::Failed(_)) {
        ended?;
    }
    Ok(summary)
}

/// Tells the figures five times a second, until it is aborted.
async fn tick(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    loop {
        ticks.tick().await;
        shared.events.send(&Event::Progress(Progress {
            tally: shared.journal.tally(),
            requests: shared.effort.requests(),
            elapsed_ms: shared.effort.elapsed_ms(),
        }));
    }
}

/// Turns to the way back, if anything is parked and nothing speaks against it: after a stop or a failure it is the next
/// session that brings back. After a drift or with too much in flight it is this one, since nobody may go on with the run.
async fn way_back(shared: &Shared, halt: &mut Option<Halt>, drained: bool) -> Option<(Arc<Shared>, Begun)> {
    let Leg::Out(Some(parking)) = &shared.leg else { return None };
    if matches!(halt, Some(Halt::Signal | Halt::Failed(_))) || shared.journal.tally().away() == 0 {
        return None;
    }
    let drained = drained || (halt.is_none() && shared.drained.load(Ordering::Relaxed));
    match shared.journal.turn(parking.arn.clone(), drained).await {
        Ok(begun) => Some((Arc::new(shared.way_back(&begun)?), begun)),
        Err(error) => {
            *halt = Some(Halt::Failed(error));
            None
        }
    }
}

/// One way through a queue: settles what an earlier session left of it, moves what is there unless that is over, and gives
/// back what stays. Says how many could not be given back.
async fn pass(shared: &Arc<Shared>, begun: Begun, is_over: bool) -> u64 {
    recover(shared, begun).await;
    if !is_over {
        let (moved, over) = oneshot::channel();
        let keeper = tokio::spawn(lease::keep(Arc::clone(shared), over));
        // Before the first message: what holds it back must do so from the start.
        let watch = if shared.is_halting() { None } else { Watch::begin(shared).await };
        let (unguarded, ended) = oneshot::channel();
        let watcher = watch.map(|watch| tokio::spawn(watch.run(ended)));
        move_messages(shared).await;
        if shared.goes_on_for_the_rest() {
            move_messages(shared).await;
        }
        // Waited for: an extension that arrived after the release would keep a message invisible for hours.
        drop((moved, unguarded));
        let tasks = [Some(keeper), watcher].into_iter().flatten();
        for task in tasks {
            if let Err(error) = task.await {
                shared.fail(crate::error::Error::failed(format!(
                    "a task beside the pipeline ended unexpectedly: {error}"
                )));
            }
        }
    }
    // Else a run whose message expired, or was deleted by somebody else, could never be finished. What is in flight with us is not gone,
    // and that can only be seen before it is given back.
    if shared.is_dry.load(Ordering::Relaxed) && !shared.is_halting() {
        shared.journaled(shared.journal.vanish().await);
    }
    if matches!(shared.leg, Leg::Out(_)) && shared.budget.has_refused() && !shared.is_halting() {
        shared.journaled(shared.journal.keep_returned().await);
    }
    lease::release_all(shared).await
}

/// Settles what an earlier session left: deletes what is safely elsewhere, and gives back the rest without waiting for its
/// visibility timeout.
async fn recover(shared: &Arc<Shared>, begun: Begun) {
    if begun.resumed {
        shared.events.send(&Event::Resumed {
            interrupted: begun.interrupted,
            in_doubt: begun.in_doubt,
            to_delete: begun.to_delete.len() as u64,
            to_release: begun.to_release.len() as u64,
        });
    }
    for batch in remove::batches(begun.to_delete) {
        if shared.is_halting() {
            return;
        }
        remove::remove(shared, batch).await;
    }
    lease::release(shared, begun.to_release).await;
}

/// Receivers, a lane for each target, and the lane of deletes; ends when all of them have.
async fn move_messages(shared: &Arc<Shared>) {
    let mut tasks = JoinSet::new();
    let (removals, to_remove) = mpsc::channel(LANE_DEPTH * 10);
    let hands = Arc::clone(&shared.hands.deletes);
    let spec = lane::Spec { items: 10, bytes: usize::MAX, linger: Duration::from_millis(200), hands };
    {
        let shared = Arc::clone(shared);
        let handle = move |batch| remove::remove_owned(Arc::clone(&shared), batch);
        tasks.spawn(lane::run(to_remove, spec, |_| 0, handle));
    }
    let mut lanes = Vec::new();
    for (position, (outlet, hands)) in shared.outlets.iter().zip(&shared.hands.targets).enumerate() {
        let target = TargetId(u16::try_from(position).unwrap_or(u16::MAX));
        let (parcels, inbox) = mpsc::channel::<Parcel>(LANE_DEPTH * 10);
        lanes.push(parcels);
        let (items, bytes, linger) = match outlet {
            Outlet::Queue { batch_bytes, .. } | Outlet::Park { batch_bytes, .. } => {
                (10, *batch_bytes, Duration::from_millis(200))
            }
            // One object a request: there is nothing to gather, only to do at once.
            Outlet::Bucket(_) => (1, usize::MAX, Duration::ZERO),
            // One sync for many lines.
            Outlet::File(_) => (500, 4 << 20, Duration::from_millis(50)),
            Outlet::Drop => continue,
        };
        let spec = lane::Spec { items, bytes, linger, hands: Arc::clone(hands) };
        let (shared, removals) = (Arc::clone(shared), removals.clone());
        let handle = move |batch| deliver::deliver(Arc::clone(&shared), target, batch, removals.clone());
        tasks.spawn(lane::run(inbox, spec, Parcel::size, handle));
    }
    for number in 0..shared.hands.receives.most() {
        tasks.spawn(receive::receive(Arc::clone(shared), number, lanes.clone(), removals.clone()));
    }
    // Each lane ends when the last sender into it is gone, so that none is left with something in it.
    drop((lanes, removals));
    while let Some(joined) = tasks.join_next().await {
        if let Err(error) = joined {
            shared.fail(crate::error::Error::failed(format!("a worker ended unexpectedly: {error}")));
        }
    }
}
