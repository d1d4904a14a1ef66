//! Sessions of a run: how one begins, what it gives back, when it has gone through a queue, and how it ends. And what somebody
//! decides between two of them.

use std::collections::HashSet;

use super::super::{
    Lease, Protocol, Resolution, Resolve, Row, RunNo, RunSpec, Sent, SessionEnd, State, Store as _, Totals,
};
use super::setup::{Safeguard, Setup};
use super::world::{Item, Place, Process, Queue, RUNS, Stage, World, id, named, number};
use crate::message::{MessageId, ReceiptHandle};
use crate::target::Reason;

const PARKING: &str = "p";

/// Runs are begun in the order of their numbers, since what is true of one is true of any.
fn number_of(run: usize) -> RunNo {
    RunNo(i64::try_from(run).expect("few"))
}

impl World {
    /// The message that this handle is of; if none has it as its newest, one of those that the journal takes for it.
    fn with_handle(&self, id: &MessageId, receipt: &ReceiptHandle) -> usize {
        let (queue, (of, copy)) = (self.process().queue, named(id));
        let is_it = |item: &Item| (item.queue, item.of, item.known_as()) == (queue, of, copy);
        let any = self.items.iter().position(is_it).expect("the message of a handle");
        self.newest(any, number(receipt)).unwrap_or(any)
    }

    /// Nothing of the process is left.
    fn leave(&mut self) {
        let store = self.disk.take().unwrap_or_else(|| self.journal.store().clone());
        self.journal = Protocol::new(store);
        self.process = None;
    }

    pub(super) fn kill(&mut self) {
        let run = self.process().run;
        self.faults.stops -= 1;
        for item in &mut self.items {
            for work in item.works.drain(..) {
                if let Stage::OnWire(_, towards) = work {
                    self.sends[item.of].late.push((run, towards, item.copy));
                }
            }
            (item.received, item.give_back) = (Vec::new(), Vec::new());
        }
        self.sends.iter_mut().for_each(|sends| sends.late.sort_unstable());
        self.leave();
    }

    /// Somebody decides about a message of a run at which no process is at work, or about the run; says whether that can be.
    pub(super) fn resolve(&mut self, run: usize, resolution: Resolution, of: Option<usize>) -> bool {
        let resolve = Resolve {
            run: ["A", "B"][run].to_owned(),
            messages: of.map(|of| vec![id(of, 0)]),
            resolution,
            who: String::new(),
            reason: None,
        };
        let before = self.journal.store().clone();
        let mut journal = Protocol::new(self.journal.store().clone());
        journal.set_time(self.now());
        if journal.resolve(&resolve).is_err() || *journal.store() == before {
            return false;
        }
        self.faults.decisions -= 1;
        self.journal = Protocol::new(journal.store().clone());
        if let Some(of) = of {
            self.sends[of].resent |= resolution == Resolution::Resend;
        }
        for run in (0..RUNS).filter(|run| self.begun[*run]) {
            self.finished[run] = self.journal.store_mut().is_finished(number_of(run)).unwrap_or(false);
        }
        true
    }
}

impl Setup {
    pub(super) fn begin(&self, world: &mut World, run: usize) {
        // Whoever lies about the kind of queue has one refused handle count for nothing.
        let fifo = self.fifo_source || !self.has(Safeguard::RefusalCounts);
        let spec = RunSpec {
            name: ["A", "B"][run].to_owned(),
            source_arn: if fifo { "s.fifo" } else { "s" }.to_owned(),
            job_sha256: String::new(),
            plan: String::new(),
            approvals: String::new(),
            command: String::new(),
            directory: String::new(),
            sandbox: false,
        };
        world.journal = Protocol::new(world.journal.store().clone());
        let Some(begun) = self.ask(world, |journal| journal.begin(&spec)) else { return };
        world.begun[run] = true;
        let waits = begun.interrupted && self.has(Safeguard::OrphansAwaited);
        let process =
            Process { run, queue: Queue::Source, drained: begun.drained, halting: false, waits, group_stopped: false };
        world.process = Some(process);
        self.left_behind(world, begun.to_delete, begun.to_release);
    }

    fn left_behind(&self, world: &mut World, to_delete: Vec<Sent>, to_release: Vec<Lease>) {
        for sent in to_delete {
            let at = world.with_handle(sent.id(), sent.receipt());
            world.items[at].works.push(Stage::Proven(sent));
        }
        for lease in to_release.into_iter().filter(|_| self.has(Safeguard::LeftIsGivenBack)) {
            let at = world.with_handle(&lease.id, &lease.receipt);
            world.items[at].give_back.push(lease);
        }
    }

    /// Gives back what an earlier session left of a message.
    pub(super) fn give_back(&self, world: &mut World, at: usize) {
        let leases = std::mem::take(&mut world.items[at].give_back);
        self.release(world, leases, true);
    }

    /// Makes messages visible again, if the request arrives, and ends their leases.
    fn release(&self, world: &mut World, leases: Vec<Lease>, arrives: bool) {
        for lease in &leases {
            let at = world.with_handle(&lease.id, &lease.receipt);
            let item = &mut world.items[at];
            if arrives && item.place == Place::InFlight && item.newest == Some(number(&lease.receipt)) {
                item.place = Place::Visible;
            }
        }
        let ended: Vec<_> = leases.into_iter().map(|lease| (lease, None)).collect();
        self.ask(world, |journal| Ok(journal.set_leases(&ended)?));
    }

    /// Whether the queue seems to have nothing more.
    pub(super) fn is_dry(&self, world: &World) -> bool {
        let process = world.process();
        let blocked = self.fifo_source && world.items[0].place == Place::InFlight;
        // The wait has an end: by then, what nobody has the handle of is back.
        let awaited = process.waits && of_queue(world).any(Item::is_orphan);
        (none_visible(world) || blocked) && (elsewhere(world) == 0 || !awaited)
    }

    /// Gives back what stays, and says whether the queue had nothing more.
    fn end_pass(&self, world: &mut World, released: bool) -> bool {
        let process = world.process();
        let elsewhere = elsewhere(world) > 0 && self.has(Safeguard::OrphansAwaited);
        let dry = !process.halting && !process.drained && none_visible(world) && !elsewhere;
        if dry && self.has(Safeguard::Gone) {
            let is_gone = |world: &World, item: &Item| {
                world.row(item, process.run).is_some_and(|row| row.reason == Some(Reason::Gone))
            };
            let before: Vec<_> = world.items.iter().map(|item| is_gone(world, item)).collect();
            self.ask(world, Protocol::vanish);
            let still = world.items.iter().zip(before).find(|(item, before)| {
                !before && is_gone(world, item) && item.place != Place::Deleted && !world.is_proven(item)
            });
            if still.is_some() {
                world.broken = Some("counted as gone, and it is still in the source");
            }
        }
        world.faults.lost -= u8::from(!released);
        let leases = self.ask(world, |journal| Ok(journal.releasable(usize::MAX)?)).unwrap_or_default();
        self.release(world, leases, released);
        dry
    }

    /// The source has been gone through, and what is parked is brought back.
    pub(super) fn turn(&self, world: &mut World) {
        let drained = self.end_pass(world, true) || world.process().drained;
        let Some(begun) = self.ask(world, |journal| Ok(journal.turn(PARKING, drained)?)) else { return };
        world.process = world.process.map(|process| Process { queue: Queue::Parking, drained: false, ..process });
        self.left_behind(world, begun.to_delete, begun.to_release);
    }

    pub(super) fn end(&self, world: &mut World, released: bool) {
        let process = world.process();
        self.end_pass(world, released);
        let tally = world.journal.tally().folded();
        let given_up = world.journal.store_mut().is_given_up(number_of(process.run)).unwrap_or(false);
        let is_over =
            tally.parked + tally.count(|key| key.state.is_unfinished()) == 0 || (given_up && tally.away() == 0);
        let finished = is_over && !process.halting;
        let mut originals = world.items.iter().take(self.verdicts.len());
        let is_back = |item: &Item| {
            // Nobody looks at the source again for what reappears there while what is parked is brought back.
            let is_moved = |row: &Row| row.state == State::Done && !row.rule.is_parking();
            world.row(item, process.run).is_some_and(is_moved) && item.place != Place::Deleted
        };
        if finished && originals.any(is_back) {
            world.broken = Some("finished and counted as moved, and it is still in the source");
        }
        if tally.doubted == 0 && tally.received() > self.verdicts.len() as u64 {
            world.broken = Some("a message is counted twice");
        }
        let left = !released && of_queue(world).any(|item| item.place == Place::InFlight);
        let end = SessionEnd {
            finished,
            has_orphans: (process.waits || left) && self.has(Safeguard::OrphansAwaited),
            outcome: if finished { "finished" } else { "unfinished" }.to_owned(),
            cause: None,
            totals: Totals::default(),
        };
        self.ask(world, |journal| Ok(journal.end(&end)?));
        (world.finished[process.run], world.disk) = (finished, None);
        world.leave();
    }
}

fn of_queue(world: &World) -> impl Iterator<Item = &Item> {
    let queue = world.process().queue;
    world.items.iter().filter(move |item| item.queue == queue)
}

fn none_visible(world: &World) -> bool {
    of_queue(world).all(|item| item.place != Place::Visible)
}

/// How many messages SQS counts in flight beyond those that we surely hold.
fn elsewhere(world: &World) -> usize {
    let in_flight = of_queue(world).filter(|item| item.place == Place::InFlight).count();
    let keys: HashSet<_> =
        of_queue(world).filter(|item| world.is_ours(item) && !world.is_proven(item)).map(Item::key).collect();
    in_flight.saturating_sub(keys.len())
}
