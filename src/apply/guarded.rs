//! What guards know of a run and hold of it: what the workers tell (sends, bounces, what the canary withholds) and what they ask
//! (may I go on, how fast). What follows from it is decided beside the pipeline, in `watch`.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redrive_protocol::message::MessageId;
use redrive_protocol::protocol::Lease;
use redrive_protocol::target::RuleId;
use redrive_rules::job::Guard;

use super::rate::Cap;
use super::valve::{By, Valve};
use crate::guard::{Bounces, Planned, Share, Watched};
use crate::plan::{self, Plan};

/// So many messages are withheld before the canary is judged as it is, at the least, and for each message of it.
const WITHHELD: (usize, usize) = (1_000, 10);

/// What a run is guarded by.
#[derive(Debug, Default)]
pub struct Guarding {
    /// As the job says.
    pub guard: Guard,
    /// The queues that are looked at.
    pub watched: Watched,
    /// Who goes without the canary, and why.
    pub skip_canary: Option<(String, String)>,
    /// Who lets the run go on beside AWS's own redrive, and what the journal says of it.
    pub beside: Option<(String, String)>,
    /// Where a person's word is listened for.
    pub socket: Option<PathBuf>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Guards {
    pub(super) guard: Guard,
    pub(super) watched: Watched,
    pub(super) skip_canary: Option<(String, String)>,
    pub(super) beside: Option<(String, String)>,
    pub(super) socket: Option<PathBuf>,
    /// How many messages of each rule go first.
    pub(super) shares: BTreeMap<RuleId, u64>,
    /// For how long the others wait then.
    pub(super) wait: Duration,
    pub(super) valve: Valve,
    pub(super) cap: Arc<Cap>,
    bounces: Mutex<Bounces>,
    /// Messages that came back and were met by the run's own receives.
    met: Mutex<Vec<MessageId>>,
    withheld: Mutex<Withheld>,
    /// Whether there is a canary that is not judged yet.
    is_open: AtomicBool,
    /// Whether the canary goes, so that all others are withheld.
    is_sending: AtomicBool,
    /// Whether no more of it is to be had.
    is_all: AtomicBool,
}

/// What waits for the canary's end, in flight with us.
#[derive(Debug, Default)]
struct Withheld {
    leases: Vec<Lease>,
    /// Message groups of a FIFO source that have to wait.
    groups: HashSet<String>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Guards {
    pub(super) fn new(plan: &Plan, guarding: Guarding) -> Self {
        let Guarding { guard, watched, skip_canary, beside, socket } = guarding;
        let canary = Planned::of(&guard, &plan::to_queues(&plan.rules, &plan.targets), &plan.targets);
        let (shares, wait) = canary.map(|canary| (canary.shares, canary.wait)).unwrap_or_default();
        Self {
            bounces: Mutex::new(Bounces::new(guard.max_bounced, guard.per_rule)),
            guard,
            watched,
            skip_canary,
            beside,
            socket,
            shares,
            wait,
            valve: Valve::default(),
            cap: Arc::default(),
            met: Mutex::default(),
            withheld: Mutex::default(),
            is_open: AtomicBool::new(false),
            is_sending: AtomicBool::new(false),
            is_all: AtomicBool::new(false),
        }
    }

    /// A rule's message was sent under this ID.
    pub(super) fn sent(&self, rule: RuleId, id: &MessageId) {
        if self.guard.max_bounced.is_some() && !rule.is_parking() {
            locked(&self.bounces).sent(rule, id);
        }
    }

    /// A message came back, and was met where messages are taken from.
    pub(super) fn met(&self, id: &MessageId) {
        locked(&self.met).push(id.clone());
    }

    /// What came back since this was asked last.
    pub(super) fn take_met(&self) -> Vec<MessageId> {
        std::mem::take(&mut *locked(&self.met))
    }

    /// A rule's message came back; says which share is too large now, if one is.
    pub(super) fn came_back(&self, rule: RuleId, id: &MessageId) -> Option<Share> {
        locked(&self.bounces).came_back(rule, id)
    }

    /// There is a canary to be judged, or no longer.
    pub(super) fn open_canary(&self, is_open: bool) {
        self.is_open.store(is_open, Ordering::Release);
    }

    /// Whether there is a canary that is not judged yet: what waits for it is in flight with us, and no receive finds it.
    pub(super) fn is_canary_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// The canary goes now, or no longer.
    pub(super) fn send_canary(&self, goes: bool) {
        self.is_sending.store(goes, Ordering::Release);
        self.is_all.store(false, Ordering::Release);
    }

    /// Whether the canary goes, so that all others are withheld.
    pub(super) fn is_canary_sending(&self) -> bool {
        self.is_sending.load(Ordering::Acquire)
    }

    /// No more messages are to be had for the canary, or none are needed: nothing more is received until it is judged.
    pub(super) fn canary_is_all(&self) {
        self.is_all.store(true, Ordering::Release);
        self.valve.close(By::Canary, "waiting for what becomes of the canary");
    }

    /// Whether that was said.
    pub(super) fn is_canary_all(&self) -> bool {
        self.is_all.load(Ordering::Acquire)
    }

    /// A message waits for the canary's end, and with it its message group.
    pub(super) fn withhold(&self, lease: Lease, group: Option<String>) {
        let mut withheld = locked(&self.withheld);
        withheld.leases.push(lease);
        withheld.groups.extend(group);
        let canary = usize::try_from(self.shares.values().sum::<u64>()).unwrap_or(usize::MAX);
        let is_enough = withheld.leases.len() >= WITHHELD.0.max(canary.saturating_mul(WITHHELD.1));
        drop(withheld);
        if is_enough {
            self.canary_is_all();
        }
    }

    /// Whether a message of this group waits for the canary's end.
    pub(super) fn withholds(&self, group: &str) -> bool {
        locked(&self.withheld).groups.contains(group)
    }

    /// What waited for the canary's end, to be given back.
    pub(super) fn take_withheld(&self) -> Vec<Lease> {
        std::mem::take(&mut *locked(&self.withheld)).leases
    }
}
