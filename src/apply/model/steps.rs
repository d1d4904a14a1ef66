//! What can happen next: the steps of the process at work, of the services, and everything that goes wrong. The states of
//! messages are moved by the journal's own transition function, and doubts are decided about by apply's own rule.

use super::acts::{Act, Step};
use super::explore::Model;
use super::protocol::give_back;
use super::setup::{Safeguard, Setup};
use super::world::{End, Few, Handle, Lease, MOST, Message, Place, Process, Stage, Work, World};
use redrive_protocol::protocol::{Event, State};

impl Model for Setup {
    type State = World;
    type Step = Step;

    fn start(&self) -> World {
        let message = Message {
            place: Place::Visible,
            gone: false,
            taken: false,
            arrived: 0,
            remembers: [false; MOST],
            late: [0; MOST],
            rows: [None; MOST],
            synced: [None; MOST],
            leases: Few::NONE,
            aged: false,
            received: Few::NONE,
            works: Few::NONE,
            give_back: false,
        };
        let absent = Message { place: Place::Deleted, gone: true, ..message };
        World {
            messages: std::array::from_fn(|at| if at < self.verdicts.len() { message } else { absent }),
            process: None,
            in_session: [false; MOST],
            finished: [false; MOST],
            faults: self.faults,
            broken: None,
        }
    }

    fn steps(&self, world: &World) -> Vec<(Step, World)> {
        let mut steps = Steps { setup: self, world, found: Vec::new() };
        match world.process {
            None => {
                for run in (0..self.runs).filter(|run| !world.finished[*run]) {
                    steps.add(0, Act::Begin(run), |setup, world| setup.begin(world, run));
                }
            }
            Some(process) => steps.of_process(process),
        }
        for at in 0..self.verdicts.len() {
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
    fn add(&mut self, message: usize, act: Act, change: impl FnOnce(&Setup, &mut World)) {
        let mut world = *self.world;
        change(self.setup, &mut world);
        self.found.push((Step { message, act }, world));
    }

    /// Without the process's doing.
    fn of_services(&mut self, at: usize) {
        let (message, faults) = (self.world.messages[at], self.world.faults);
        for run in (0..MOST).filter(|run| message.late[*run] > 0) {
            self.add(at, Act::ArriveLate(run), |setup, world| {
                world.messages[at].late[run] -= 1;
                setup.arrive(&mut world.messages[at], run);
            });
        }
        if message.place == Place::InFlight && (message.is_orphan() || faults.deliveries > 0) {
            self.add(at, Act::Expire, |_, world| {
                world.faults.deliveries -= u8::from(!message.is_orphan());
                world.messages[at].expire();
            });
        }
        if message.place == Place::Deleted && !message.gone && faults.deliveries > 0 && !self.setup.fifo_source {
            self.add(at, Act::Reappear, |_, world| {
                world.faults.deliveries -= 1;
                world.messages[at].place = Place::Visible;
                world.messages[at].age_handles();
            });
        }
        if message.place != Place::Deleted && faults.gone > 0 {
            self.add(at, Act::Go, |_, world| {
                world.faults.gone -= 1;
                world.messages[at].place = Place::Deleted;
                world.messages[at].gone = true;
            });
        }
        if message.place == Place::Visible && faults.taken > 0 {
            self.add(at, Act::Take, |_, world| {
                world.faults.taken -= 1;
                let message = &mut world.messages[at];
                (message.place, message.gone, message.taken) = (Place::Deleted, true, true);
            });
        }
        let doubtful = self.setup.doubted(&message, 0).is_some();
        let waits = message.works.iter().any(|work| work.stage == Stage::OnWire);
        if doubtful && !waits && faults.windows > 0 {
            self.add(at, Act::PassWindow, |_, world| {
                world.faults.windows -= 1;
                let message = &mut world.messages[at];
                (message.aged, message.remembers, message.late) = (true, [false; MOST], [0; MOST]);
            });
        }
    }

    fn of_process(&mut self, process: Process) {
        let world = self.world;
        let messages = &world.messages[..self.setup.verdicts.len()];
        for (at, message) in messages.iter().enumerate() {
            if message.give_back {
                self.add(at, Act::GiveBack, |_, world| give_back(&mut world.messages[at], process.run));
            }
            for handle in [Handle::Newest, Handle::Older] {
                // Messages of one batch are admitted in their order.
                let first = at == 0 || !self.setup.fifo_source || messages[0].received.is_empty();
                if first && let Some(which) = message.received.iter().position(|found| found.handle == handle) {
                    self.add(at, Act::Admit(handle), |setup, world| setup.admit(world, at, which));
                }
            }
            for (which, work) in message.works.iter().enumerate() {
                self.of_work(process, at, which, work);
            }
        }
        if !process.halting && !messages.iter().any(|message| message.give_back) {
            self.receives(messages);
        }
        if world.faults.stops > 0 {
            self.add(0, Act::Kill, Setup::kill);
            if !process.halting {
                self.add(0, Act::Stop, |_, world| {
                    world.faults.stops -= 1;
                    world.process = Some(Process { halting: true, ..process });
                });
            }
        }
        if world.faults.sleeps > 0 && messages.iter().any(|message| message.place == Place::InFlight) {
            self.add(0, Act::Sleep, |_, world| {
                world.faults.sleeps -= 1;
                let in_flight = world.messages.iter_mut().filter(|message| message.place == Place::InFlight);
                in_flight.for_each(Message::expire);
            });
        }
        let idle = messages.iter().all(|m| m.works.is_empty() && m.received.is_empty() && !m.give_back);
        if idle && (process.halting || self.setup.is_dry(world, process)) {
            self.add(0, Act::End { released: true }, |setup, world| setup.end(world, process, true));
            let holds = messages.iter().any(|message| !message.leases.is_empty());
            if holds && world.faults.lost > 0 {
                self.add(0, Act::End { released: false }, |setup, world| setup.end(world, process, false));
            }
        }
    }

    fn receives(&mut self, messages: &[Message]) {
        for (at, message) in messages.iter().enumerate() {
            // A FIFO queue gives nothing of a group while a message before it is there, but in the same batch.
            let free = at == 0 || !self.setup.fifo_source || messages[0].place == Place::Deleted;
            if !free {
                continue;
            }
            if message.place == Place::Visible {
                self.add(at, Act::Receive, |_, world| receive(&mut world.messages[at]));
                if self.world.faults.lost > 0 {
                    self.add(at, Act::LoseReceive, |_, world| {
                        world.faults.lost -= 1;
                        world.messages[at].age_handles();
                        world.messages[at].place = Place::InFlight;
                        world.process = world.process.map(|process| Process { waits: true, ..process });
                    });
                }
            } else if message.place == Place::InFlight && self.world.faults.deliveries > 0 && !self.setup.fifo_source {
                self.add(at, Act::Duplicate, |_, world| {
                    world.faults.deliveries -= 1;
                    receive(&mut world.messages[at]);
                });
            }
        }
        if self.setup.fifo_source && messages.iter().all(|message| message.place == Place::Visible) {
            self.add(0, Act::ReceiveBoth, |_, world| world.messages.iter_mut().for_each(receive));
        }
    }

    fn of_work(&mut self, process: Process, at: usize, which: usize, work: Work) {
        let (setup, faults, run) = (self.setup, self.world.faults, process.run);
        let stage = move |world: &mut World, stage| {
            world.messages[at].works.iter_mut().nth(which).expect("the work").stage = stage;
        };
        match work.stage {
            Stage::Claimed(doubted) => {
                self.add(at, Act::Judge, |setup, world| setup.judge(world, at, which, doubted));
                if !setup.has(Safeguard::IntentFirst) && doubted.is_none() && !process.halting {
                    self.add(at, Act::Send, |_, world| stage(world, Stage::OnWire));
                }
            }
            Stage::Intended if process.halting => {
                self.add(at, Act::Withdraw, |setup, world| {
                    setup.change(world, at, Event::Withdraw, false);
                    world.stays(at, which);
                });
            }
            Stage::Intended if at > 0 && process.group_stopped && setup.has(Safeguard::GroupStops) => {
                self.add(at, Act::Behind, |setup, world| {
                    setup.change(world, at, Event::Withdraw, false);
                    setup.change(world, at, Event::Keep, false);
                    world.stays(at, which);
                });
            }
            Stage::Intended if self.is_too_late(at, run) => {
                self.add(at, Act::Late, |setup, world| {
                    setup.change(world, at, Event::Withdraw, false);
                    let this_run = setup.doubted(&world.messages[at], run).unwrap_or(true);
                    stage(world, Stage::Doubtful(this_run));
                });
            }
            Stage::Intended if !self.world.messages[at].is_ours() && setup.has(Safeguard::OnlyOurs) => {
                self.add(at, Act::Lapse, |setup, world| {
                    setup.change(world, at, Event::Withdraw, false);
                    setup.lapse(world, at, which);
                });
            }
            Stage::Intended => {
                let before = at == 1 && setup.fifo_source && setup.has(Safeguard::Gate);
                let on_its_way = |work: Work| !matches!(work.stage, Stage::Proven { .. } | Stage::Deleted { .. });
                if !(before && self.world.messages[0].works.iter().any(on_its_way)) {
                    self.add(at, Act::Send, |_, world| {
                        if world.messages[at].is_proven() {
                            world.broken = Some("what is known to be sent is sent again");
                        }
                        if world.messages[at].taken {
                            world.broken = Some("a message is sent that somebody else has taken and handled");
                        }
                        stage(world, Stage::OnWire);
                    });
                }
            }
            Stage::OnWire => {
                self.add(at, Act::Arrive, |setup, world| {
                    setup.arrive(&mut world.messages[at], run);
                    stage(world, Stage::Answered(End::Acknowledged));
                });
                if faults.lost > 0 {
                    self.add(at, Act::LoseAnswer, |setup, world| {
                        world.faults.lost -= 1;
                        world.messages[at].late[run] += 1;
                        let doubt = setup.has(Safeguard::NoBlindRetry);
                        stage(world, if doubt { Stage::Answered(End::Lost) } else { Stage::Intended });
                    });
                }
                if faults.failures > 0 {
                    self.failures(at, run, stage);
                }
            }
            Stage::Answered(end) => {
                self.add(at, Act::Settle, |setup, world| setup.settle(world, at, which, end));
                if end == End::Acknowledged && !setup.has(Safeguard::CommitBeforeDelete) {
                    self.add(at, Act::Delete, |_, world| world.messages[at].delete(work.handle));
                }
            }
            Stage::Doubtful(this_run) => {
                self.add(at, Act::Decide, |setup, world| setup.judge(world, at, which, Some(this_run)));
            }
            Stage::Proven { run, confirmed } => {
                let older = work.handle == Handle::Older;
                // A FIFO queue refuses an older one.
                if !(older && setup.fifo_source) {
                    self.add(at, Act::Delete, |_, world| {
                        if !world.messages[at].is_proven() {
                            world.broken = Some("a delete without a proof on disk");
                        }
                        world.messages[at].delete(work.handle);
                        stage(world, Stage::Deleted { run, confirmed, done: true });
                    });
                }
                // The newest is good; but servers fail. Not while the journal has still to hear of another delivery: it could
                // not know then which of them is the newest.
                if older || (faults.failures > 0 && self.world.messages[at].received.is_empty()) {
                    self.add(at, Act::RefuseHandle, |_, world| {
                        world.faults.failures -= u8::from(!older);
                        stage(world, Stage::Deleted { run, confirmed, done: false });
                    });
                }
                if faults.lost > 0 {
                    for done in [true, false] {
                        self.add(at, Act::LoseDelete { done }, |_, world| {
                            world.faults.lost -= 1;
                            if done {
                                world.messages[at].delete(work.handle);
                            }
                            // The handle stays for the next session.
                            world.messages[at].works.remove(which);
                        });
                    }
                }
            }
            Stage::Deleted { run, confirmed, done } => {
                self.add(at, Act::NoteDelete, |setup, world| {
                    setup.note_delete(world, at, which, (run, confirmed, done));
                });
            }
        }
    }

    /// Whether what was in doubt may no longer be sent again by the time of its turn.
    fn is_too_late(&self, at: usize, run: usize) -> bool {
        let message = &self.world.messages[at];
        let again = message.rows[run].is_some_and(|row| row.state == State::Resending);
        again && !self.setup.may_resend(at, message.aged, true)
    }

    fn failures(&mut self, at: usize, run: usize, stage: impl Fn(&mut World, Stage)) {
        self.add(at, Act::NotTaken, |setup, world| {
            world.faults.failures -= 1;
            let failed = setup.has(Safeguard::FailedEntries);
            stage(world, if failed { Stage::Intended } else { Stage::Answered(End::Acknowledged) });
        });
        self.add(at, Act::Refuse, |_, world| {
            world.faults.failures -= 1;
            stage(world, Stage::Answered(End::Refused));
        });
        self.add(at, Act::Damage, |setup, world| {
            world.faults.failures -= 1;
            setup.arrive(&mut world.messages[at], run);
            stage(world, Stage::Answered(End::Damaged));
        });
    }
}

fn receive(message: &mut Message) {
    message.age_handles();
    message.place = Place::InFlight;
    message.received.push(Lease { handle: Handle::Newest, over: false });
}
