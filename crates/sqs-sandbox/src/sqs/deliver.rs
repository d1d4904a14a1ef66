//! Delivery: which messages a receive gets, the move to the dead-letter queue of what was received too often, and the share of a
//! move task. The part of [`Queue`] that takes messages out of their order; the same rules hold as there.

use super::failure::Failure;
use super::handle::Handle;
use super::message::{Millis, State, Stored};
use super::order::Place;
use super::queue::{Order, Queue};

/// A receive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    pub(crate) max: usize,
    /// In seconds; else the queue's own.
    pub(crate) visibility: Option<u32>,
    /// Whether all shards are asked, as a long poll does.
    pub(crate) thorough: bool,
    /// Whether the dead-letter queue of the redrive policy is there.
    pub(crate) has_target: bool,
    /// A fault: what is delivered stays visible.
    pub(crate) duplicate: bool,
}

/// A message that was received, as it was kept then.
pub(crate) struct Delivery {
    pub(crate) handle: String,
    pub(crate) message: Stored,
}

/// What a receive did.
#[derive(Default)]
pub(crate) struct Received {
    pub(crate) deliveries: Vec<Delivery>,
    /// Messages that were received too often and belong into the dead-letter queue now.
    pub(crate) dead: Vec<Stored>,
}

impl Queue {
    /// Receives up to `ask.max` messages.
    pub(crate) fn receive(&mut self, now: Millis, ask: Ask) -> Result<Received, Failure> {
        self.advance(now);
        let room = self.manner.in_flight_limit.saturating_sub(self.in_flight);
        if room == 0 {
            // On FIFO queues SQS gives no error, only nothing.
            return if self.settings.fifo {
                Ok(Received::default())
            } else {
                Err(Failure::over_limit("The maximum number of in flight messages is reached."))
            };
        }
        let max = ask.max.min(room);
        let mut received = Received::default();
        match &self.order {
            Order::Standard(_) => self.receive_standard(now, Ask { max, ..ask }, &mut received),
            Order::Fifo(_) => self.receive_fifo(now, Ask { max, ..ask }, &mut received),
        }
        Ok(received)
    }

    fn receive_standard(&mut self, now: Millis, ask: Ask, received: &mut Received) {
        let Order::Standard(shards) = &self.order else { return };
        let miss = if ask.thorough { 0.0 } else { self.manner.short_poll_miss };
        let mut asked = shards.asked(&mut self.rng, miss);
        let mut turn = 0;
        while received.deliveries.len() < ask.max && !asked.is_empty() {
            turn %= asked.len();
            let Order::Standard(shards) = &mut self.order else { return };
            let Some(place) = shards.pop(asked[turn]) else {
                asked.remove(turn);
                continue;
            };
            // A place may be of a message that was deleted while it was visible.
            if self.get(place).is_some_and(|stored| stored.state == State::Visible) {
                self.deliver(now, place.slot, ask, received);
                turn += 1;
            }
        }
    }

    fn receive_fifo(&mut self, now: Millis, ask: Ask, received: &mut Received) {
        while received.deliveries.len() < ask.max {
            let Order::Fifo(groups) = &self.order else { return };
            let miss = if self.manner.shuffle { self.manner.short_poll_miss } else { 0.0 };
            let Some(group) = groups.pick(&mut self.rng, miss) else { return };
            for slot in groups.first(&group, ask.max - received.deliveries.len()) {
                if self.slot(slot).is_none_or(|stored| stored.state != State::Visible) {
                    break;
                }
                self.deliver(now, slot, ask, received);
            }
            self.refresh(&group);
            if ask.duplicate {
                return;
            }
        }
    }

    /// Delivers a visible message, or gives it up where it was received too often.
    fn deliver(&mut self, now: Millis, slot: u32, ask: Ask, received: &mut Received) {
        let limit = self.settings.redrive.as_ref().filter(|_| ask.has_target).map(|redrive| redrive.max_receive_count);
        let visibility = Millis::from(ask.visibility.unwrap_or(self.settings.visibility)) * 1000;
        let Some(stored) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) else { return };
        if limit.is_some_and(|limit| stored.receive_count >= limit) {
            received.dead.extend(self.take(slot).map(|stored| *stored));
            return;
        }
        stored.receive_count += 1;
        stored.receipt = stored.receipt.wrapping_add(1);
        if stored.first_received == 0 {
            stored.first_received = now;
        }
        let place = Place { slot, arrival: stored.arrival };
        received.deliveries.push(Delivery {
            handle: Handle { place, receipt: stored.receipt }.encode(&self.secret),
            message: Stored::clone(stored),
        });
        if ask.duplicate {
            if let Order::Standard(shards) = &mut self.order {
                shards.push_again(&mut self.rng, place);
            }
            return;
        }
        let until = now + visibility;
        stored.state = State::in_flight(now, until);
        self.deadlines.insert((until, slot));
        self.in_flight += 1;
    }

    /// Takes up to `max` visible messages out, for a move task.
    pub(crate) fn take_visible(&mut self, now: Millis, max: usize) -> Vec<Stored> {
        self.advance(now);
        let mut taken = Vec::new();
        while taken.len() < max {
            let next = match &mut self.order {
                Order::Standard(shards) => {
                    let asked = shards.asked(&mut self.rng, 0.0);
                    asked.into_iter().find_map(|shard| shards.pop(shard))
                }
                Order::Fifo(groups) => groups
                    .pick(&mut self.rng, 0.0)
                    .and_then(|group| groups.first(&group, 1).first().copied())
                    .and_then(|slot| Some(Place { slot, arrival: self.slots[slot as usize].as_ref()?.arrival })),
            };
            let Some(place) = next else { break };
            if self.get(place).is_some_and(|stored| stored.state == State::Visible) {
                taken.extend(self.take(place.slot).map(|stored| *stored));
            }
        }
        taken
    }
}
