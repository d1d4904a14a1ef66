//! What the workers of a run share: the parts they use, the counts they keep within, and why the run halts.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use redrive_protocol::target::{Reason, TargetId, TargetKind};
use redrive_rules::job::InDoubt;
use redrive_rules::rule::{Rules, Setting};
use tokio::sync::{Notify, watch};

use super::drift;
use super::events::Events;
use super::gate::Gate;
use super::guarded::Guards;
use super::hands::Hands;
use super::hold::Holds;
use super::limits::{Bounds, Budget};
use super::newer::OnlyNewer;
use super::options::Options;
use super::orphans::Orphans;
use super::outlets::{Crew, Outlet};
use super::parcel::Content;
use super::park::{Leg, Parking};
use super::pinned::PinnedMessages;
use super::rate::RateLimit;
use super::room::Room;
use super::stop::{Halt, Stop};
use crate::error::Error;
use crate::journal::{Journal, Measured};
use crate::plan::Plan;
use crate::retry::Retries;
use crate::sqs::{Fault, Queue};
use redrive_protocol::protocol::{Begun, Doubt, State};

/// What the run has cost until now, earlier sessions included.
pub(super) struct Effort {
    /// SQS requests and milliseconds of earlier sessions.
    pub(super) earlier: (u64, u64),
    pub(super) started: Instant,
    /// SQS requests of this process.
    pub(super) requests: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Requests of this process that were throttled.
    pub(super) throttled: AtomicU64,
}

impl Effort {
    pub(super) fn measured(&self) -> Measured {
        let throttled = self.throttled.load(Ordering::Relaxed);
        Measured { requests: self.requests(), elapsed_ms: self.elapsed_ms(), throttled }
    }

    pub(super) fn requests(&self) -> u64 {
        self.earlier.0 + (self.requests)()
    }

    pub(super) fn elapsed_ms(&self) -> u64 {
        self.earlier.1 + u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl fmt::Debug for Effort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Effort").field("earlier", &self.earlier).field("started", &self.started).finish_non_exhaustive()
    }
}

/// What the workers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) rules: Arc<Rules>,
    pub(super) setting: Arc<Setting>,
    pub(super) leg: Leg,
    /// The queue that messages are taken from.
    pub(super) source: Arc<dyn Queue>,
    pub(super) source_fifo: bool,
    pub(super) outlets: Vec<Outlet>,
    pub(super) journal: Arc<Journal>,
    pub(super) hands: Crew,
    pub(super) options: Options,
    pub(super) stop: Stop,
    pub(super) events: Events,
    pub(super) room: Room,
    /// What may be intended.
    pub(super) rate: RateLimit,
    /// What may be delivered: what was held up on its way there must not leave all at once.
    pub(super) outflow: RateLimit,
    pub(super) budget: Budget,
    pub(super) gate: Gate,
    pub(super) guards: Arc<Guards>,
    /// Until when what is in the pipeline is ours.
    pub(super) holds: Arc<Holds>,
    pub(super) retries: Retries,
    pub(super) effort: Arc<Effort>,
    /// The messages that the plan is pinned to, where it is.
    pub(super) pinned: Option<PinnedMessages>,
    /// Empty receives in a row, over all receivers.
    pub(super) empty_receives: AtomicU64,
    /// Receives that brought messages.
    pub(super) brought: AtomicU64,
    /// Receives that are under way: nobody knows yet what they bring, or whether their answers are lost.
    pub(super) receiving: AtomicU64,
    /// Answers to receives that were lost or could not be read, since one brought messages.
    pub(super) lost_answers: AtomicU64,
    /// Since when nothing was met but what is newer than the plan's bound.
    pub(super) only_newer: OnlyNewer,
    /// Wakes receivers that rest because the source seemed dry.
    pub(super) refilled: Notify,
    /// Messages in flight of which nobody has the handles.
    pub(super) orphans: Orphans,
    /// What SQS still said to be visible when the run ended for want of messages.
    pub(super) still_visible: AtomicU64,
    /// What was in flight with somebody else when the run ended.
    pub(super) in_flight_elsewhere: AtomicU64,
    /// Whether receiving is over.
    pub(super) drained: AtomicBool,
    /// Whether it is over because all that the run is about had been met, with more in the source.
    pub(super) cut_short: AtomicBool,
    /// Whether the source is gone through once more for what had been met and did not reach its end.
    pub(super) seeks_rest: AtomicBool,
    /// Whether it is over because the source has nothing any more, seen by us or by others.
    pub(super) is_dry: AtomicBool,
    /// Whether the source stopped answering: nothing more is asked of it, so that the run ends soon.
    pub(super) source_lost: AtomicBool,
    halt: Mutex<Option<Halt>>,
    halted: watch::Sender<bool>,
}

/// What differs between the ways of a run, and what they have in common.
struct Parts {
    rules: Arc<Rules>,
    setting: Arc<Setting>,
    leg: Leg,
    source: Arc<dyn Queue>,
    source_fifo: bool,
    outlets: Vec<Outlet>,
    journal: Arc<Journal>,
    budget: Budget,
    pinned: Option<PinnedMessages>,
    options: Options,
    guards: Arc<Guards>,
    stop: Stop,
    events: Events,
    effort: Arc<Effort>,
}

impl Parts {
    fn assemble(self, begun: &Begun) -> Shared {
        let Self { rules, setting, leg, source, source_fifo, outlets, journal, budget, .. } = self;
        let Self { pinned, options, guards, stop, events, effort, .. } = self;
        let shared = Shared {
            rules,
            setting,
            leg,
            source,
            source_fifo,
            hands: Crew::new(options.concurrency, &outlets, source_fifo),
            outlets,
            journal,
            room: Room::new(options.max_in_pipeline, options.max_pipeline_bytes),
            rate: RateLimit::new(options.rate, options.ramp, Arc::clone(&guards.cap)),
            outflow: RateLimit::new(options.rate, options.ramp, Arc::clone(&guards.cap)),
            budget,
            gate: Gate::default(),
            guards,
            holds: Arc::default(),
            pinned,
            retries: Retries::new(Arc::clone(&effort.requests)),
            effort,
            options,
            stop,
            events,
            empty_receives: AtomicU64::new(0),
            brought: AtomicU64::new(0),
            receiving: AtomicU64::new(0),
            lost_answers: AtomicU64::new(0),
            only_newer: OnlyNewer::default(),
            refilled: Notify::new(),
            orphans: Orphans::default(),
            still_visible: AtomicU64::new(0),
            in_flight_elsewhere: AtomicU64::new(0),
            drained: AtomicBool::new(false),
            cut_short: AtomicBool::new(false),
            seeks_rest: AtomicBool::new(false),
            is_dry: AtomicBool::new(false),
            source_lost: AtomicBool::new(false),
            halt: Mutex::new(None),
            halted: watch::channel(false).0,
        };
        if let Some(until) = begun.to_delete_until {
            shared.orphans.removes(until);
        }
        if begun.interrupted {
            shared.expect_orphans();
        }
        shared
    }
}

impl Shared {
    #[expect(clippy::too_many_arguments, reason = "it is the one place where a run's parts come together")]
    pub(super) fn new(
        plan: &Plan,
        rules: Rules,
        source: Arc<dyn Queue>,
        outlets: Vec<Outlet>,
        journal: Arc<Journal>,
        options: Options,
        guards: Arc<Guards>,
        stop: Stop,
        events: Events,
        effort: Effort,
        begun: &Begun,
    ) -> Self {
        let tally = journal.tally();
        let bounds = plan.rules.iter().map(|rule| (rule.rule, Bounds::of(rule))).collect();
        // What is parked has been met as well.
        let done = tally.count(|key| key.state == State::Done) + tally.parked + tally.returned;
        let budget = Budget::new(drift::left(&tally), bounds, options.max_messages, options.allow_drift);
        let leg = Leg::Out(Parking::of(plan));
        let parts = Parts {
            rules: Arc::new(rules),
            setting: Arc::new(plan.setting()),
            leg,
            source,
            source_fifo: plan.source.fifo,
            outlets,
            journal,
            budget,
            pinned: plan.pins.clone().map(|pins| PinnedMessages::new(pins, done)),
            options,
            guards,
            stop,
            events,
            effort: Arc::new(effort),
        };
        parts.assemble(begun)
    }

    /// Slows these down if that is what the service asks for.
    pub(super) fn heed(&self, hands: &Hands, fault: Fault) {
        hands.heed(fault);
        self.effort.throttled.fetch_add(u64::from(fault == Fault::Throttled), Ordering::Relaxed);
    }

    /// What the way back of parked messages shares: the same run, the other way round. `None` where there is no parking queue.
    pub(super) fn way_back(&self, begun: &Begun) -> Option<Self> {
        let Leg::Out(Some(Parking { target, .. })) = self.leg else { return None };
        let mut parking = None;
        let outlets = self.outlets.iter().map(|outlet| match outlet {
            Outlet::Park { queue, source_batch_bytes, .. } => {
                parking = Some(Arc::clone(queue));
                Outlet::Queue { queue: Arc::clone(&self.source), batch_bytes: *source_batch_bytes }
            }
            _ => Outlet::Drop,
        });
        let outlets = outlets.collect();
        let parts = Parts {
            rules: Arc::clone(&self.rules),
            setting: Arc::clone(&self.setting),
            leg: Leg::Back(target),
            source: parking?,
            source_fifo: false,
            outlets,
            journal: Arc::clone(&self.journal),
            // What comes back has not left: the plan's bounds do not count it.
            budget: Budget::new(HashMap::new(), HashMap::new(), None, true),
            pinned: None,
            options: self.options.clone(),
            guards: Arc::clone(&self.guards),
            stop: self.stop.clone(),
            events: self.events.clone(),
            effort: Arc::clone(&self.effort),
        };
        Some(parts.assemble(begun))
    }

    /// Within which time what nobody extends is visible again, with room for a server that is late.
    pub(super) fn comes_back_within(&self) -> Duration {
        self.options.visibility + super::orphans::LATE
    }

    /// Whether it has met messages that are newer than the plan's bound, which are not kept invisible for longer than one timeout.
    pub(super) fn has_met_newer(&self) -> bool {
        self.journal.tally().count(|key| key.reason == Some(Reason::SentTooLate)) > 0
    }

    /// Messages may have been received just now of which nobody has the handles.
    pub(super) fn expect_orphans(&self) {
        let received = self.journal.now().checked_add(self.options.visibility).unwrap_or(Timestamp::MAX);
        self.orphans.expect_received(received);
    }

    /// Whether a message of which a send may have arrived is sent again to this target.
    pub(super) fn may_resend(&self, target: TargetId, content: Option<&Content>, doubt: Doubt) -> bool {
        let kind = match self.outlets.get(usize::from(target.0)) {
            Some(Outlet::Queue { .. }) | None => TargetKind::Sqs,
            Some(Outlet::Bucket(_)) => TargetKind::S3,
            Some(Outlet::File(_)) => TargetKind::File,
            Some(Outlet::Drop) => TargetKind::Drop,
            Some(Outlet::Park { .. }) => TargetKind::Park,
        };
        let fifo = matches!(content, Some(Content::Message(outgoing)) if outgoing.message_deduplication_id.is_some());
        doubt.may_resend(kind, fifo, self.options.in_doubt == InDoubt::Resend)
    }

    /// Halts the run; the first reason counts.
    pub(super) fn halt(&self, halt: Halt) {
        self.halt.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(halt);
        self.halted.send_replace(true);
    }

    /// Halts the run because something failed for good.
    pub(super) fn fail(&self, error: Error) {
        self.halt(Halt::Failed(error));
    }

    /// Whether to take up nothing new.
    pub(super) fn is_halting(&self) -> bool {
        if self.stop.is_asked() && !*self.halted.borrow() {
            self.halt(Halt::Signal);
        }
        *self.halted.borrow()
    }

    /// Waits until nothing new is to be taken up.
    pub(super) async fn halting(&self) {
        let mut halted = self.halted.subscribe();
        tokio::select! {
            () = self.stop.asked() => self.halt(Halt::Signal),
            // The sender lives as long as `self`.
            _ = halted.wait_for(|halted| *halted) => {}
        }
    }

    /// Whether every archive file is where this run left it. If one is not, the run halts.
    pub(super) fn archives_hold(&self) -> bool {
        let checked = self.outlets.iter().try_for_each(|outlet| match outlet {
            Outlet::File(file) => file.check(),
            _ => Ok(()),
        });
        checked.map_err(|error| self.fail(error.resumable())).is_ok()
    }

    pub(super) fn take_halt(&self) -> Option<Halt> {
        self.halt.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The journal's answer, or a halted run where it has failed.
    pub(super) fn journaled<T>(&self, result: crate::error::Result<T>) -> Option<T> {
        result.map_err(|error| self.fail(error)).ok()
    }
}
