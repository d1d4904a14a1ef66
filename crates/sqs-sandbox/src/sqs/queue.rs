//! One queue and SQS's rules for it: visibility, receive counts, delays, retention, the move to a dead-letter queue, FIFO.
//! Synchronous and without a clock: the time comes in with each call, and whoever holds a queue holds its lock. Everything is
//! O(log n) in the number of messages: what must happen at a time waits in an ordered set and is never searched for.

use std::collections::BTreeSet;
use std::hash::RandomState;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use super::ages::Ages;
use super::dedup::{First, Recent};
use super::failure::Failure;
use super::handle::Handle;
use super::message::{Incoming, Millis, State, Stored, size};
use super::order::{Groups, Place, Shards};
use super::settings::{AttributeMap, Counts, Settings};

/// The longest that a message may stay invisible, counted from its receive.
const MAX_VISIBILITY: Millis = 12 * 60 * 60 * 1000;

/// The first sequence number of a FIFO queue: twenty digits, as SQS's have.
const FIRST_SEQUENCE: u64 = 18_000_000_000_000_000_000;

/// How a queue behaves that is not an attribute of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) seed: u64,
    pub(crate) shuffle: bool,
    /// How likely a short poll of a shuffled standard queue leaves out each shard, and a receive of a FIFO queue the first group.
    pub(crate) short_poll_miss: f64,
    pub(crate) in_flight_limit: usize,
}

/// What a send is answered with.
pub(crate) struct Accepted {
    pub(crate) id: Uuid,
    /// On FIFO queues.
    pub(crate) sequence: Option<u64>,
}

pub(super) enum Order {
    Standard(Shards),
    Fifo(Groups),
}

/// A queue with its messages.
pub(crate) struct Queue {
    pub(crate) settings: Settings,
    pub(crate) tags: AttributeMap,
    pub(crate) purged: Option<Millis>,
    pub(super) manner: Manner,
    pub(super) rng: SmallRng,
    ids: SmallRng,
    pub(super) secret: RandomState,
    pub(super) slots: Vec<Option<Box<Stored>>>,
    free: Vec<u32>,
    pub(super) order: Order,
    /// When delayed and in-flight messages become visible.
    pub(super) deadlines: BTreeSet<(Millis, u32)>,
    /// All messages by age.
    ages: Ages,
    pub(super) in_flight: usize,
    delayed: usize,
    arrivals: u64,
    recent: Recent,
}

impl Queue {
    pub(crate) fn new(settings: Settings, manner: Manner) -> Self {
        let order =
            if settings.fifo { Order::Fifo(Groups::default()) } else { Order::Standard(Shards::new(manner.shuffle)) };
        Self {
            settings,
            tags: AttributeMap::new(),
            purged: None,
            manner,
            rng: SmallRng::seed_from_u64(manner.seed),
            ids: rand::make_rng(),
            secret: RandomState::new(),
            slots: Vec::new(),
            free: Vec::new(),
            order,
            deadlines: BTreeSet::new(),
            ages: Ages::default(),
            in_flight: 0,
            delayed: 0,
            arrivals: 0,
            recent: Recent::default(),
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            visible: self.ages.len() - self.in_flight - self.delayed,
            in_flight: self.in_flight,
            delayed: self.delayed,
        }
    }

    /// All messages, in no order.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &Stored> {
        self.slots.iter().flatten().map(AsRef::as_ref)
    }

    /// When the next message becomes visible by itself.
    pub(crate) fn next_deadline(&self) -> Option<Millis> {
        self.deadlines.first().map(|&(at, _)| at)
    }

    /// Whether a receive would find something now.
    pub(crate) fn has_visible(&self) -> bool {
        match &self.order {
            Order::Standard(_) => self.counts().visible > 0,
            Order::Fifo(groups) => groups.has_ready(),
        }
    }

    /// Carries out what is due: visibility timeouts, delays, retention. Every operation begins with it.
    pub(crate) fn advance(&mut self, now: Millis) {
        while let Some(&(at, slot)) = self.deadlines.first()
            && at <= now
        {
            self.make_visible(slot);
        }
        let retention = Millis::from(self.settings.retention) * 1000;
        while let Some(slot) = self.expired(now.saturating_sub(retention)) {
            self.take(slot);
        }
    }

    /// A message that was sent at this time or before.
    fn expired(&self, latest: Millis) -> Option<u32> {
        let is_expired = |slot: &u32| self.slot(*slot).is_some_and(|stored| stored.sent <= latest);
        self.ages.oldest().into_iter().flatten().find(is_expired)
    }

    /// Takes a message in, unless it is a repetition.
    pub(crate) fn send(&mut self, now: Millis, mut incoming: Incoming) -> Result<Accepted, Failure> {
        self.advance(now);
        let length = size(&incoming.body, incoming.attributes.as_deref());
        if length > self.settings.maximum_size {
            return Err(Failure::invalid_value(format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {} bytes.",
                self.settings.maximum_size
            )));
        }
        let key = super::fifo::check(&self.settings, &mut incoming)?;
        if let Some(first) = key.as_deref().and_then(|key| self.recent.find(now, key)) {
            return Ok(Accepted { id: first.id, sequence: Some(first.sequence) });
        }
        let delay = Millis::from(incoming.delay.unwrap_or(self.settings.delay)) * 1000;
        let id = self.new_id();
        let state = if delay == 0 { State::Visible } else { State::Delayed { until: now + delay } };
        if self.settings.fifo {
            incoming.extra.sequence = self.next_sequence();
        }
        let sequence = self.settings.fifo.then_some(incoming.extra.sequence);
        if let (Some(key), Some(sequence)) = (key, sequence) {
            self.recent.remember(now, &key, First { id, sequence });
        }
        self.insert(Stored {
            id,
            body: incoming.body,
            body_md5: incoming.body_md5,
            attributes: incoming.attributes,
            extra: incoming.extra.into_stored(),
            sent: now,
            first_received: 0,
            receive_count: 0,
            arrival: 0,
            receipt: 0,
            state,
        });
        Ok(Accepted { id, sequence })
    }

    /// Takes in a message that another queue's redrive policy gives up: it keeps its ID, attributes and receive count, and on
    /// a standard queue its time of sending.
    pub(crate) fn bury(&mut self, now: Millis, mut dead: Stored, source_arn: &Arc<str>) {
        let mut extra = dead.extra.as_deref().cloned().unwrap_or_default();
        extra.source_arn = Some(Arc::clone(source_arn));
        if self.settings.fifo {
            extra.sequence = self.next_sequence();
            extra.deduplication = Some(dead.id.to_string().into());
            dead.sent = now;
        }
        dead.extra = Some(Arc::new(extra));
        dead.state = State::Visible;
        self.insert(dead);
        self.advance(now);
    }

    /// Puts a message in as it is: for scenarios.
    pub(crate) fn plant(&mut self, mut stored: Stored) {
        if self.settings.fifo {
            let mut extra = stored.extra.as_deref().cloned().unwrap_or_default();
            extra.sequence = self.next_sequence();
            stored.extra = Some(Arc::new(extra));
        }
        self.insert(stored);
    }

    /// Deletes by receipt handle. `Ok(None)` where there is nothing to delete any more.
    pub(crate) fn delete(&mut self, now: Millis, handle: &str) -> Result<Option<Stored>, Failure> {
        self.advance(now);
        let decoded = Handle::decode(handle, &self.secret).ok_or_else(|| Failure::bad_handle(handle))?;
        let Some(stored) = self.get(decoded.place) else { return Ok(None) };
        if self.settings.fifo && (stored.receipt != decoded.receipt || !matches!(stored.state, State::InFlight { .. }))
        {
            return Err(Failure::invalid_value(format!(
                "Value {handle} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired."
            )));
        }
        Ok(self.take(decoded.place.slot).map(|stored| *stored))
    }

    /// Ends the visibility timeout of a message in flight. Answers whether there was one.
    pub(crate) fn reappear(&mut self, now: Millis, id: Uuid) -> bool {
        self.advance(now);
        let is_meant = |stored: &Stored| stored.id == id && matches!(stored.state, State::InFlight { .. });
        let slot = self.slots.iter().position(|slot| slot.as_deref().is_some_and(is_meant));
        let Some(slot) = slot.and_then(|slot| u32::try_from(slot).ok()) else { return false };
        self.make_visible(slot);
        true
    }

    /// Whether a receipt handle is an older one than the newest of its message.
    pub(crate) fn is_stale(&self, handle: &str) -> bool {
        Handle::decode(handle, &self.secret)
            .and_then(|decoded| Some(self.get(decoded.place)?.receipt != decoded.receipt))
            .unwrap_or(false)
    }

    /// Sets what is left of a visibility timeout.
    pub(crate) fn change_visibility(&mut self, now: Millis, handle: &str, seconds: u32) -> Result<Uuid, Failure> {
        self.advance(now);
        let decoded = Handle::decode(handle, &self.secret).ok_or_else(|| Failure::bad_handle(handle))?;
        let fifo = self.settings.fifo;
        let refuse = |reason: &str| {
            Failure::invalid_value(format!("Value {handle} for parameter ReceiptHandle is invalid. Reason: {reason}"))
        };
        let slot = decoded.place.slot;
        let Some(stored) = self.get(decoded.place) else {
            return Err(refuse("Message does not exist or is not available for visibility timeout change."));
        };
        let id = stored.id;
        if !fifo && stored.state == State::Visible && stored.receipt == decoded.receipt {
            // Its timeout ran out, and nobody has received it since. The documentation has an error for that, but SQS gives
            // none; that it hides the message again, nobody has seen.
            return Ok(id);
        }
        let State::InFlight { until, held } = stored.state else {
            return Err(Failure::not_in_flight("The specified message is not in flight."));
        };
        if fifo && stored.receipt != decoded.receipt {
            return Err(refuse("The receipt handle has expired."));
        }
        let new_until = now + Millis::from(seconds) * 1000;
        let received = until - Millis::from(held);
        if new_until > received + MAX_VISIBILITY {
            return Err(Failure::invalid_value(format!(
                "Value {seconds} for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the \
                 message is beyond the limit [43200 seconds]."
            )));
        }
        if seconds == 0 {
            self.make_visible(slot);
        } else if let Some(stored) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) {
            stored.state = State::in_flight(received, new_until);
            self.deadlines.remove(&(until, slot));
            self.deadlines.insert((new_until, slot));
        }
        Ok(id)
    }

    /// Forgets all messages.
    pub(crate) fn purge(&mut self, now: Millis) {
        self.purged = Some(now);
        self.slots = Vec::new();
        self.free = Vec::new();
        self.deadlines.clear();
        self.ages.clear();
        self.in_flight = 0;
        self.delayed = 0;
        self.recent = Recent::default();
        match &mut self.order {
            Order::Standard(shards) => shards.clear(),
            Order::Fifo(groups) => groups.clear(),
        }
    }

    /// A new message ID: random even where the rest is seeded, as journals outlive a sandbox and know messages by it.
    pub(crate) fn new_id(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.ids.random()).into_uuid()
    }

    fn next_sequence(&self) -> u64 {
        FIRST_SEQUENCE + (self.arrivals + 1) * 256
    }

    pub(super) fn slot(&self, slot: u32) -> Option<&Stored> {
        self.slots.get(slot as usize)?.as_deref()
    }

    pub(super) fn get(&self, place: Place) -> Option<&Stored> {
        self.slot(place.slot).filter(|stored| stored.arrival == place.arrival)
    }

    fn insert(&mut self, mut stored: Stored) {
        self.arrivals += 1;
        stored.arrival = self.arrivals;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let place = Place { slot, arrival: stored.arrival };
        self.ages.insert(stored.sent, slot);
        if let State::Delayed { until } = stored.state {
            self.deadlines.insert((until, slot));
            self.delayed += 1;
        }
        let is_visible = stored.state == State::Visible;
        let group = stored.group().cloned();
        self.slots[slot as usize] = Some(Box::new(stored));
        match (&mut self.order, group) {
            (Order::Standard(shards), _) if is_visible => shards.push(&mut self.rng, place),
            (Order::Fifo(groups), Some(group)) => {
                groups.insert(&group, place);
                self.refresh(&group);
            }
            _ => {}
        }
    }

    /// Takes a message out, whatever its state.
    pub(super) fn take(&mut self, slot: u32) -> Option<Box<Stored>> {
        let stored = self.slots.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        self.ages.remove(stored.sent, slot);
        self.forget_deadline(slot, stored.state);
        if let (Order::Fifo(groups), Some(group)) = (&mut self.order, stored.group()) {
            groups.remove(group, stored.arrival);
            self.refresh(group);
        }
        Some(stored)
    }

    fn forget_deadline(&mut self, slot: u32, state: State) {
        match state {
            State::Visible => {}
            State::Delayed { until } => {
                self.deadlines.remove(&(until, slot));
                self.delayed -= 1;
            }
            State::InFlight { until, .. } => {
                self.deadlines.remove(&(until, slot));
                self.in_flight -= 1;
            }
        }
    }

    fn make_visible(&mut self, slot: u32) {
        let Some(stored) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) else { return };
        let state = std::mem::replace(&mut stored.state, State::Visible);
        let place = Place { slot, arrival: stored.arrival };
        let group = stored.group().cloned();
        self.forget_deadline(slot, state);
        match (&mut self.order, group) {
            (Order::Standard(shards), _) if matches!(state, State::Delayed { .. }) => shards.push(&mut self.rng, place),
            (Order::Standard(shards), _) => shards.push_again(&mut self.rng, place),
            (Order::Fifo(_), Some(group)) => self.refresh(&group),
            (Order::Fifo(_), None) => {}
        }
    }

    pub(super) fn refresh(&mut self, group: &Arc<str>) {
        let Order::Fifo(groups) = &mut self.order else { return };
        let slots = &self.slots;
        groups.refresh(group, |slot| {
            slots.get(slot as usize).and_then(Option::as_ref).is_some_and(|stored| stored.state == State::Visible)
        });
    }
}
