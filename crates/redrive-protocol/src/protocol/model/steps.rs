//! What can happen next: the steps of the process at work, of the services, of people, and everything that goes wrong.

use super::super::{DeleteEnd, Protocol, Resolution, Row, SendEnd, State};
use super::acts::{Act, Step};
use super::driver::At;
use super::explore::Model;
use super::sabotage::Sabotaged;
use super::setup::{Safeguard, Setup};
use super::world::{End, Item, Place, Process, Queue, RUNS, Sends, Stage, World};

impl Model for Setup {
    type State = World;
    type Step = Step;

    fn start(&self) -> World {
        let messages = 0..self.verdicts.len();
        World {
            journal: Protocol::new(Sabotaged::new(self.off)),
            disk: None,
            items: messages.clone().map(|of| Item::new(of, 0, 0, Queue::Source)).collect(),
            sends: messages.map(|_| Sends::default()).collect(),
            process: None,
            begun: [false; RUNS],
            finished: [false; RUNS],
            aged: false,
            faults: self.faults,
            broken: None,
        }
    }

    fn steps(&self, world: &World) -> Vec<(Step, World)> {
        let mut steps = Steps { setup: self, world, found: Vec::new() };
        match world.process {
            None => steps.between_sessions(),
            Some(process) => steps.of_process(process),
        }
        for at in 0..world.items.len() {
            steps.of_services(at);
        }
        steps.found
    }

    fn wrong(&self, world: &World) -> Option<&'static str> {
        Setup::wrong(self, world)
    }

    fn is_only_waiting(&self, step: Step) -> bool {
        step.act == Act::Expire
    }

    fn bad_end(&self, world: &World) -> Option<&'static str> {
        Setup::bad_end(self, world)
    }
}

/// The steps from one moment.
struct Steps<'s> {
    setup: &'s Setup,
    world: &'s World,
    found: Vec<(Step, World)>,
}

impl Steps<'_> {
    fn add(&mut self, at: usize, act: Act, change: impl FnOnce(&Setup, &mut World)) {
        let mut world = self.world.clone();
        change(self.setup, &mut world);
        self.push(at, act, world);
    }

    fn push(&mut self, at: usize, act: Act, mut world: World) {
        world.forget_handles();
        let Item { of, copy, queue, .. } = self.world.items[at];
        let form = match queue {
            Queue::Parking => ", parked",
            Queue::Source if copy > 0 => ", back",
            Queue::Source => "",
        };
        self.found.push((Step { message: of, form, act }, world));
    }

    fn between_sessions(&mut self) {
        let world = self.world;
        // What is true of a run is true of any: they are begun in the order of their names.
        for run in (0..self.setup.runs).filter(|run| !world.finished[*run] && (*run == 0 || world.begun[run - 1])) {
            self.add(0, Act::Begin(run), |setup, world| setup.begin(world, run));
        }
        if world.faults.decisions == 0 {
            return;
        }
        for run in (0..RUNS).filter(|run| world.begun[*run]) {
            self.decide(run, Resolution::Abandon, None);
            for of in 0..self.setup.verdicts.len() {
                self.decide(run, Resolution::Resend, Some(of));
                self.decide(run, Resolution::Release, Some(of));
                // Somebody saw it there.
                if world.sends[of].arrived > 0 {
                    self.decide(run, Resolution::Discard, Some(of));
                }
            }
        }
    }

    fn decide(&mut self, run: usize, resolution: Resolution, of: Option<usize>) {
        let mut world = self.world.clone();
        if world.resolve(run, resolution, of) {
            self.push(of.unwrap_or(0), Act::Resolve(run, resolution), world);
        }
    }

    /// Without the process's doing.
    fn of_services(&mut self, at: usize) {
        let (world, faults) = (self.world, self.world.faults);
        let item = &world.items[at];
        let (of, is_first) = (item.of, item.copy == 0);
        for (which, late) in world.sends[of].late.iter().enumerate().filter(|_| is_first) {
            if which > 0 && world.sends[of].late[which - 1] == *late {
                continue;
            }
            self.add(at, Act::ArriveLate, |setup, world| {
                world.sends[of].late.remove(which);
                setup.arrive(world, of, *late);
            });
        }
        let all_over = world.process.is_none() && world.finished.iter().take(self.setup.runs).all(|finished| *finished);
        if item.place == Place::InFlight && (item.is_orphan() || all_over || faults.deliveries > 0) {
            self.add(at, Act::Expire, |_, world| {
                world.faults.deliveries -= u8::from(!item.is_orphan() && !all_over);
                world.expire(at);
            });
        }
        if item.place == Place::Deleted && !item.gone && faults.deliveries > 0 && !self.setup.fifo_source {
            self.add(at, Act::Reappear, |_, world| {
                world.faults.deliveries -= 1;
                (world.items[at].place, world.items[at].newest) = (Place::Visible, None);
            });
        }
        if item.place != Place::Deleted && faults.gone > 0 {
            self.add(at, Act::Go, |_, world| {
                world.faults.gone -= 1;
                (world.items[at].place, world.items[at].gone) = (Place::Deleted, true);
            });
        }
        if item.place == Place::Visible && faults.taken > 0 {
            self.add(at, Act::Take, |_, world| {
                world.faults.taken -= 1;
                (world.items[at].place, world.items[at].gone) = (Place::Deleted, true);
                world.sends[of].taken = true;
            });
        }
        let waits = item.works.iter().any(|work| matches!(work, Stage::OnWire(..)));
        let in_doubt = |row: &Row| row.doubts > 0 || matches!(row.state, State::Sending | State::Resending);
        if faults.windows > 0 && is_first && !waits && world.rows(item).any(|(_, row)| in_doubt(row)) {
            self.add(at, Act::PassWindow, |_, world| {
                world.faults.windows -= 1;
                world.aged = true;
                for sends in &mut world.sends {
                    (sends.remembers, sends.late) = ([false; RUNS], Vec::new());
                }
            });
        }
    }

    fn of_process(&mut self, process: Process) {
        let (world, setup) = (self.world, self.setup);
        let ours = || world.items.iter().enumerate().filter(move |(_, item)| item.queue == process.queue);
        for (at, item) in ours() {
            if !item.give_back.is_empty() {
                self.add(at, Act::GiveBack, |setup, world| setup.give_back(world, at));
            }
            for newest in [true, false] {
                // Messages of one batch are admitted in their order.
                let first = at == 0 || !setup.fifo_source || world.items[0].received.is_empty();
                let which = item.received.iter().position(|found| (Some(found.handle) == item.newest) == newest);
                if first && let Some(which) = which {
                    self.add(at, Act::Admit { newest }, |setup, world| setup.admit(world, &[(at, which)]));
                }
            }
            for (which, work) in item.works.iter().enumerate() {
                self.of_work(process, (at, which), work);
            }
        }
        self.batches();
        let idle = ours().all(|(_, item)| item.is_idle());
        if !process.halting && !process.drained && ours().all(|(_, item)| item.give_back.is_empty()) {
            self.receives(process);
        }
        if world.faults.stops > 0 {
            self.add(0, Act::Kill, |_, world| world.kill());
            if !process.halting {
                self.add(0, Act::Stop, |_, world| {
                    world.faults.stops -= 1;
                    world.process = Some(Process { halting: true, ..process });
                });
            }
        }
        if world.faults.sleeps > 0 && world.items.iter().any(|item| item.place == Place::InFlight) {
            self.add(0, Act::Sleep, |_, world| {
                world.faults.sleeps -= 1;
                let in_flight = |at: &usize| self.world.items[*at].place == Place::InFlight;
                (0..world.items.len()).filter(in_flight).for_each(|at| world.expire(at));
            });
        }
        if !idle || !(process.halting || process.drained || setup.is_dry(world)) {
            return;
        }
        let away = world.journal.tally().folded().away() > 0;
        if process.queue == Queue::Source && away && !process.halting {
            self.add(0, Act::Turn, Setup::turn);
            return;
        }
        self.add(0, Act::End { released: true }, |setup, world| setup.end(world, true));
        let holds = ours().any(|(_, item)| world.leases(item).next().is_some());
        if holds && world.faults.lost > 0 {
            self.add(0, Act::End { released: false }, |setup, world| setup.end(world, false));
        }
    }

    /// What the journal is asked about several messages at once. It has to answer as if it were asked about one after the other.
    fn batches(&mut self) {
        if self.setup.fifo_source || self.world.items.len() < 2 {
            return;
        }
        let items = || self.world.items.iter().enumerate();
        let received = items().filter(|(_, item)| !item.received.is_empty()).map(|(at, _)| (at, 0)).collect::<Vec<_>>();
        let of_stage = |is_it: fn(&Stage) -> bool| -> Vec<At> {
            items().filter_map(|(at, item)| Some((at, item.works.iter().position(is_it)?))).collect()
        };
        let claimed = of_stage(|stage| matches!(stage, Stage::Claimed(..)));
        let answered = of_stage(|stage| matches!(stage, Stage::Answered(..)));
        self.batch(Act::AdmitBatch, &received, Setup::admit);
        self.batch(Act::JudgeBatch, &claimed, Setup::judge);
        self.batch(Act::SettleBatch, &answered, Setup::settle);
    }

    fn batch(&mut self, act: Act, batch: &[At], change: fn(&Setup, &mut World, &[At])) {
        if batch.len() < 2 {
            return;
        }
        let (mut together, mut apart) = (self.world.clone(), self.world.clone());
        change(self.setup, &mut together, batch);
        for at in batch {
            change(self.setup, &mut apart, &[*at]);
        }
        if together != apart && self.setup.off.is_none() {
            together.broken = Some("a batch means something else than its messages in order");
        }
        self.push(0, act, together);
    }

    fn receives(&mut self, process: Process) {
        let (world, fifo) = (self.world, self.setup.fifo_source);
        for (at, item) in world.items.iter().enumerate().filter(|(_, item)| item.queue == process.queue) {
            // A FIFO queue gives nothing of a group while a message before it is there, but in the same batch.
            let free = at == 0 || !fifo || world.items[0].place == Place::Deleted;
            if !free {
                continue;
            }
            if item.place == Place::Visible {
                self.add(at, Act::Receive, |_, world| world.deliver(at));
                if world.faults.lost > 0 {
                    self.add(at, Act::LoseReceive, |_, world| {
                        world.faults.lost -= 1;
                        (world.items[at].place, world.items[at].newest) = (Place::InFlight, None);
                        world.process = Some(Process { waits: true, ..process });
                    });
                }
            } else if item.place == Place::InFlight && world.faults.deliveries > 0 && !fifo {
                self.add(at, Act::Duplicate, |_, world| {
                    world.faults.deliveries -= 1;
                    world.deliver(at);
                });
            }
        }
        if fifo && world.items.iter().all(|item| item.place == Place::Visible) {
            self.add(0, Act::ReceiveBoth, |_, world| (0..world.items.len()).for_each(|at| world.deliver(at)));
        }
    }

    fn of_work(&mut self, process: Process, work: At, stage: &Stage) {
        let (setup, faults, run, at) = (self.setup, self.world.faults, process.run, work.0);
        let item = &self.world.items[at];
        let (of, copy) = (item.of, item.copy);
        match stage.clone() {
            Stage::Claimed(..) => self.add(at, Act::Judge, |setup, world| setup.judge(world, &[work])),
            Stage::Intended(..) if process.halting => {
                self.add(at, Act::Withdraw, |setup, world| setup.withdraw(world, work, SendEnd::Withdrawn));
            }
            Stage::Intended(..)
                if at > 0 && setup.fifo_source && process.group_stopped && setup.has(Safeguard::GroupStops) =>
            {
                self.add(at, Act::Behind, |setup, world| setup.withdraw(world, work, SendEnd::Behind));
            }
            Stage::Intended(intended, towards) if setup.is_late(self.world, &intended, towards) => {
                self.add(at, Act::Late, |setup, world| setup.withdraw_late(world, work));
            }
            Stage::Intended(..) if !self.world.is_ours(item) && setup.has(Safeguard::OnlyOurs) => {
                self.add(at, Act::Lapse, |setup, world| setup.withdraw(world, work, SendEnd::Lapsed));
            }
            Stage::Intended(intended, towards) => {
                let before = at == 1 && setup.fifo_source && setup.has(Safeguard::Gate);
                if before && self.world.items[0].works.iter().any(Stage::is_on_its_way) {
                    return;
                }
                self.add(at, Act::Send, |_, world| {
                    if world.is_proven(&world.items[at]) {
                        world.broken = Some("what is known to be sent is sent again");
                    }
                    if world.sends[of].taken {
                        world.broken = Some("a message is sent that somebody else has taken and handled");
                    }
                    world.set(work, Stage::OnWire(intended, towards));
                });
            }
            Stage::OnWire(intended, towards) => {
                let answered =
                    |world: &mut World, end| world.set(work, Stage::Answered(intended.clone(), towards, end));
                self.add(at, Act::Arrive, |setup, world| {
                    let made = setup.arrive(world, of, (run, towards, copy));
                    answered(world, End::Acknowledged(made));
                });
                if faults.lost > 0 {
                    self.add(at, Act::LoseAnswer, |setup, world| {
                        world.faults.lost -= 1;
                        world.sends[of].late.push((run, towards, copy));
                        world.sends[of].late.sort_unstable();
                        if setup.has(Safeguard::NoBlindRetry) {
                            answered(world, End::Lost);
                        } else {
                            world.set(work, Stage::Intended(intended.clone(), towards));
                        }
                    });
                }
                if faults.failures > 0 {
                    self.add(at, Act::NotTaken, |setup, world| {
                        world.faults.failures -= 1;
                        if setup.has(Safeguard::FailedEntries) {
                            world.set(work, Stage::Intended(intended.clone(), towards));
                        } else {
                            answered(world, End::Acknowledged(None));
                        }
                    });
                    self.add(at, Act::Refuse, |_, world| {
                        world.faults.failures -= 1;
                        answered(world, End::Refused);
                    });
                    self.add(at, Act::Damage, |setup, world| {
                        world.faults.failures -= 1;
                        setup.arrive(world, of, (run, towards, copy));
                        answered(world, End::Damaged);
                    });
                }
            }
            Stage::Answered(_, _, end) => {
                self.add(at, Act::Settle, |setup, world| setup.settle(world, &[work]));
                if matches!(end, End::Acknowledged(_)) && !setup.has(Safeguard::CommitBeforeDelete) {
                    let handle = stage.handle();
                    self.add(at, Act::Delete, |_, world| world.delete(at, handle));
                }
            }
            Stage::Doubtful(..) => self.add(at, Act::Decide, |setup, world| setup.decide_anew(world, work)),
            Stage::Proven(sent) => {
                let handle = stage.handle();
                let older = self.world.newest(at, handle).is_none();
                // A FIFO queue refuses an older one.
                if !(older && setup.fifo_source) {
                    self.add(at, Act::Delete, |_, world| {
                        if !world.is_proven(&world.items[at]) {
                            world.broken = Some("a delete without a proof on disk");
                        }
                        world.delete(at, handle);
                        world.set(work, Stage::Deleted(sent.clone(), DeleteEnd::Confirmed));
                    });
                }
                // The newest is good; but servers fail. Not while the journal has still to hear of another delivery: it could
                // not know then which of them is the newest.
                if older || (faults.failures > 0 && item.received.is_empty()) {
                    self.add(at, Act::RefuseHandle, |_, world| {
                        world.faults.failures -= u8::from(!older);
                        world.set(work, Stage::Deleted(sent.clone(), DeleteEnd::HandleRefused));
                    });
                }
                if faults.lost > 0 {
                    for done in [true, false] {
                        self.add(at, Act::LoseDelete { done }, |setup, world| {
                            world.faults.lost -= 1;
                            if done {
                                world.delete(at, handle);
                            }
                            setup.note_delete(world, work, DeleteEnd::Unknown);
                        });
                    }
                }
            }
            Stage::Deleted(_, end) => {
                self.add(at, Act::NoteDelete, |setup, world| setup.note_delete(world, work, end));
            }
        }
    }
}
