//! What the process does in a step, as the journal's writer and apply do it: recovery, admission, judging, settling,
//! noting deletes, and the end of a session. [`super::replay`] holds it against the real journal.

use redrive_protocol::target::TargetKind;

use super::super::{Doubt, may_resend};
use super::setup::{Destination, Safeguard, Setup, Verdict};
use super::world::{End, Few, Handle, Lease, MOST, Message, Place, Process, Row, Stage, Work, World};
use redrive_protocol::protocol::{Event, State, next};

impl World {
    pub(super) fn run(&self) -> usize {
        self.process.expect("a process is at work").run
    }

    /// The work on a message ends, and the message stays.
    pub(super) fn stays(&mut self, at: usize, which: usize) {
        self.messages[at].works.remove(which);
        self.process = self.process.map(|process| Process { group_stopped: true, ..process });
    }

    /// The proof, with the newest handle that is known.
    fn prove(&mut self, at: usize, which: usize) {
        let own = self.messages[at].works.iter().nth(which).expect("the work").handle;
        let handle = self.messages[at].newest_known().unwrap_or(own);
        let stage = Stage::Proven { run: self.run(), confirmed: None };
        self.set(at, which, Work { handle, stage });
    }

    fn set(&mut self, at: usize, which: usize, work: Work) {
        *self.messages[at].works.iter_mut().nth(which).expect("the work") = work;
    }
}

impl Message {
    pub(super) fn delete(&mut self, handle: Handle) {
        // With another than the newest, it answers success and may delete nothing.
        if handle == Handle::Newest {
            self.place = Place::Deleted;
        }
    }

    fn newest_known(&self) -> Option<Handle> {
        let newest = self.leases.iter().rfind(|lease| !lease.over).or(self.leases.iter().next_back());
        newest.map(|lease| lease.handle)
    }
}

/// Whether the lease of an earlier session is kept: its message stays anyway.
fn is_kept(message: &Message, run: usize, lease: Lease) -> bool {
    let stays = |row: Row| matches!(row.state, State::Kept | State::Blocked | State::Failed | State::Held);
    !lease.over && message.rows[run].is_some_and(stays)
}

/// Gives back what an earlier session left of a message.
pub(super) fn give_back(message: &mut Message, run: usize) {
    let before = *message;
    message.give_back = false;
    message.leases.retain(|lease| is_kept(&before, run, *lease));
    let newest = |lease: Lease| lease.handle == Handle::Newest && !is_kept(&before, run, lease);
    if message.place == Place::InFlight && before.leases.iter().any(newest) {
        message.place = Place::Visible;
    }
}

impl Setup {
    /// A copy arrives at the destination.
    pub(super) fn arrive(&self, message: &mut Message, run: usize) {
        let recognised = self.destination != Destination::Standard && message.remembers[run];
        message.arrived += u8::from(!recognised);
        message.remembers[run] = true;
    }

    /// Whether a send may have arrived, and if so whether all such sends were this run's.
    pub(super) fn doubted(&self, message: &Message, run: usize) -> Option<bool> {
        let doubtful = |row: Row| match row.state {
            State::Sending | State::Resending => true,
            State::Sent | State::Done => false,
            _ => row.doubted || (row.damaged && self.has(Safeguard::DamagedIsDoubt)),
        };
        let runs = (0..MOST).filter(|other| *other == run || self.has(Safeguard::OtherRunsIntents));
        let mut runs = runs.filter(|other| message.rows[*other].is_some_and(doubtful)).peekable();
        runs.peek().is_some().then(|| runs.all(|other| other == run))
    }

    fn sent_by(&self, message: &Message, run: usize) -> Option<usize> {
        let sent = |row: Row| matches!(row.state, State::Sent | State::Done);
        let mut runs = (0..MOST).filter(|other| *other == run || self.has(Safeguard::OtherRunsSends));
        runs.find(|other| message.rows[*other].is_some_and(sent))
    }

    /// Moves a message of this run through the journal's transition function.
    pub(super) fn change(&self, world: &mut World, at: usize, event: Event, doubted: bool) -> Option<State> {
        let run = world.run();
        let message = &mut world.messages[at];
        if !self.has(Safeguard::Synced) {
            message.synced = message.rows;
        }
        let before = message.rows[run];
        let mut state = before.map(|row| row.state);
        if doubted && !matches!(state, Some(State::InDoubt | State::Held)) {
            state = Some(State::InDoubt);
        }
        let Ok(after) = next(state, event) else {
            world.broken = Some("the journal's transition function refuses it");
            return None;
        };
        let known = before.is_some_and(|row| row.doubted);
        if event == Event::Intend && !known && !doubted {
            message.aged = false;
        }
        let damaged = before.is_some_and(|row| row.damaged) && event == Event::LoseAnswer;
        let row = Row { state: after, doubted: known || doubted || event == Event::LoseAnswer, damaged };
        message.rows[run] = Some(row);
        Some(after)
    }

    pub(super) fn begin(&self, world: &mut World, run: usize) {
        // Whichever run its process was killed at: what it had in flight is this source's.
        let waits = world.in_session.contains(&true) && self.has(Safeguard::OrphansAwaited);
        world.process = Some(Process { run, halting: false, waits, group_stopped: false });
        world.in_session = [false; MOST];
        world.in_session[run] = true;
        for at in 0..self.verdicts.len() {
            let on_its_way = |row: Row| matches!(row.state, State::Sending | State::Resending);
            if world.messages[at].rows[run].is_some_and(on_its_way) {
                if self.has(Safeguard::RecoveryDoubts) {
                    self.change(world, at, Event::LoseAnswer, false);
                } else {
                    self.change(world, at, Event::Withdraw, false);
                }
            }
            let message = &mut world.messages[at];
            let Some(first) = message.leases.iter().next() else { continue };
            if let Some(run) = self.sent_by(message, run) {
                message.works.push(Work { handle: first.handle, stage: Stage::Proven { run, confirmed: None } });
                self.reappear(world, at, run);
            } else if message.leases.iter().any(|lease| !is_kept(message, run, lease)) {
                message.give_back = self.has(Safeguard::LeftIsGivenBack);
            }
        }
    }

    pub(super) fn admit(&self, world: &mut World, at: usize, which: usize) {
        let run = world.run();
        let message = &mut world.messages[at];
        let delivery = message.received.iter().nth(which).expect("the delivery");
        message.received.remove(which);
        // The newest handle is the one that is sure, for a message that is already being handled too.
        message.leases.retain(|lease| !lease.over || delivery.over);
        message.leases.push(delivery);
        let handle = delivery.handle;
        if !message.works.is_empty() && self.has(Safeguard::OneClaim) {
            return;
        }
        let sent_by = self.sent_by(message, run);
        let stage = match sent_by {
            Some(run) => Stage::Proven { run, confirmed: None },
            None => Stage::Claimed(self.doubted(message, run)),
        };
        message.works.push(Work { handle, stage });
        if let Some(run) = sent_by {
            self.reappear(world, at, run);
        }
    }

    fn reappear(&self, world: &mut World, at: usize, sent_by: usize) {
        if let Some(row) = &mut world.messages[at].rows[sent_by]
            && !world.finished[sent_by]
            && row.state == State::Done
            && self.has(Safeguard::BackIsNotDone)
        {
            row.state = next(Some(row.state), Event::Reappear).expect("what is done can reappear");
        }
    }

    /// Judges a claimed message, or decides anew about one whose answer was lost.
    pub(super) fn judge(&self, world: &mut World, at: usize, which: usize, doubted: Option<bool>) {
        let process = world.process.expect("a process is at work");
        let message = world.messages[at];
        let deciding = matches!(message.works.iter().nth(which), Some(Work { stage: Stage::Doubtful(_), .. }));
        let behind = at > 0 && self.fifo_source && process.group_stopped && self.has(Safeguard::GroupStops);
        let held = doubted.is_some_and(|this_run| !self.may_resend(at, message.aged, this_run));
        let lapsed = deciding && !message.is_ours() && self.has(Safeguard::OnlyOurs);
        let event = match self.verdicts[at] {
            // It stays in doubt, and is met again.
            _ if lapsed && !held && !process.halting => return self.lapse(world, at, which),
            // What was received is given back unjudged; what is in doubt stays so.
            _ if process.halting && !(deciding && held) => return world.stays(at, which),
            Verdict::Keep => Event::Keep,
            _ if behind && !deciding => Event::Keep,
            _ if held => Event::Hold,
            Verdict::Drop => Event::Drop,
            Verdict::Send => Event::Intend,
        };
        // A doubt that is on disk already is in the row.
        match self.change(world, at, event, doubted.is_some()) {
            Some(State::Sending | State::Resending) => {
                let handle = message.works.iter().nth(which).expect("the work").handle;
                world.set(at, which, Work { handle, stage: Stage::Intended });
            }
            Some(State::Sent) => world.prove(at, which),
            _ => world.stays(at, which),
        }
    }

    /// The work on a message that may be somebody else's ends; out of a FIFO queue the session does, too, for the sake of the order.
    pub(super) fn lapse(&self, world: &mut World, at: usize, which: usize) {
        world.messages[at].works.remove(which);
        if self.fifo_source {
            world.process = world.process.map(|process| Process { halting: true, group_stopped: true, ..process });
        }
    }

    pub(super) fn may_resend(&self, at: usize, aged: bool, this_run: bool) -> bool {
        let kind = match (self.verdicts[at], self.destination) {
            (Verdict::Drop, _) => TargetKind::Drop,
            (_, Destination::Archive) => TargetKind::S3,
            (_, Destination::Standard | Destination::Fifo) => TargetKind::Sqs,
        };
        let age_secs = if aged && self.has(Safeguard::Window) { 5 * 60 } else { 0 };
        let doubt = Doubt { this_run, age_secs };
        !self.has(Safeguard::HoldIsKept)
            || may_resend(kind, self.destination == Destination::Fifo, doubt, self.in_doubt)
    }

    pub(super) fn settle(&self, world: &mut World, at: usize, which: usize, end: End) {
        let run = world.run();
        let on_its_way = |row: Row| matches!(row.state, State::Sending | State::Resending);
        if !self.has(Safeguard::IntentFirst) && !world.messages[at].rows[run].is_some_and(on_its_way) {
            self.change(world, at, Event::Intend, false);
        }
        let event = match end {
            End::Acknowledged => Event::Acknowledge,
            End::Lost => Event::LoseAnswer,
            End::Refused | End::Damaged => Event::Refuse,
        };
        match self.change(world, at, event, false) {
            Some(State::Sent) => world.prove(at, which),
            Some(State::InDoubt) => {
                let Work { handle, .. } = world.messages[at].works.iter().nth(which).expect("the work");
                let this_run = self.doubted(&world.messages[at], run).unwrap_or(true);
                world.set(at, which, Work { handle, stage: Stage::Doubtful(this_run) });
            }
            _ => {
                if let Some(row) = &mut world.messages[at].rows[run] {
                    row.damaged = end == End::Damaged;
                }
                world.stays(at, which);
            }
        }
    }

    pub(super) fn note_delete(
        &self,
        world: &mut World,
        at: usize,
        which: usize,
        (run, confirmed, done): (usize, Option<bool>, bool),
    ) {
        let this_run = world.run();
        let message = &mut world.messages[at];
        let Work { handle, .. } = message.works.iter().nth(which).expect("the work");
        let known = message.leases;
        // Where one is refused, another's success may have deleted nothing; but out of a FIFO queue.
        let all = !self.fifo_source && self.has(Safeguard::RefusalCounts);
        let confirmed = if all { confirmed.unwrap_or(true) && done } else { confirmed.unwrap_or(false) || done };
        if let Some(used) = known.iter().position(|lease| lease.handle == handle) {
            message.leases.remove(used);
        }
        match message.newest_known() {
            Some(handle) if self.has(Safeguard::EveryHandle) => {
                if all && !confirmed {
                    message.leases = Few::NONE;
                }
                let stage = Stage::Proven { run, confirmed: Some(confirmed) };
                return world.set(at, which, Work { handle, stage });
            }
            Some(_) => message.leases = Few::NONE,
            None => {}
        }
        message.works.remove(which);
        if !confirmed {
            return;
        }
        let at_hand = known.iter().any(|lease| lease.handle == Handle::Newest);
        if message.place != Place::Deleted && at_hand {
            world.broken = Some("done, and still in the source although the handle to delete it was there");
        } else if run == this_run {
            self.change(world, at, Event::Delete, false);
        } else if let Some(row) = &mut message.rows[run] {
            row.state = State::Done;
        }
    }

    /// Whether the source seems to have nothing more.
    pub(super) fn is_dry(&self, world: &World, process: Process) -> bool {
        let blocked = self.fifo_source && world.messages[0].place == Place::InFlight;
        let none_visible = world.messages.iter().all(|message| message.place != Place::Visible);
        // The wait has an end: by then, what nobody has the handle of is back.
        let awaited = process.waits && world.messages.iter().any(Message::is_orphan);
        (none_visible || blocked) && (elsewhere(world) == 0 || !awaited)
    }

    /// Whether what is not finished at the end is gone from the source.
    pub(super) fn vanish(&self, world: &World, process: Process) -> bool {
        let none_visible = world.messages.iter().all(|message| message.place != Place::Visible);
        !process.halting && none_visible && (elsewhere(world) == 0 || !self.has(Safeguard::OrphansAwaited))
    }

    pub(super) fn end(&self, world: &mut World, process: Process, released: bool) {
        let run = process.run;
        let dry = self.vanish(world, process);
        world.faults.lost -= u8::from(!released);
        for message in &mut world.messages {
            // What is still to be deleted is not given back.
            if message.has(|state| state == State::Sent) {
                continue;
            }
            let newest = message.leases.iter().any(|lease| lease.handle == Handle::Newest);
            if released && newest && message.place == Place::InFlight {
                message.place = Place::Visible;
            }
            message.leases = Few::NONE;
        }
        let unfinished = |row: Row| {
            use State as S;
            matches!(row.state, S::Sending | S::Resending | S::Sent | S::InDoubt | S::Returned)
        };
        for at in 0..self.verdicts.len() {
            let message = world.messages[at];
            let unsettled = message.leases.is_empty() && message.rows[run].is_some_and(unfinished);
            if dry && unsettled && self.has(Safeguard::Gone) {
                let state = self.change(world, at, Event::Vanish, false);
                if state == Some(State::Failed) && message.place != Place::Deleted && !message.is_proven() {
                    world.broken = Some("counted as gone, and it is still in the source");
                }
            }
        }
        let done = world.messages.iter().all(|message| !message.rows[run].is_some_and(unfinished));
        world.finished[run] = done && !process.halting;
        let is_back = |message: &Message| {
            let counted = message.rows[run].is_some_and(|row| row.state == State::Done);
            counted && message.place != Place::Deleted
        };
        if world.finished[run] && world.messages.iter().any(is_back) {
            world.broken = Some("finished and counted as moved, and it is still in the source");
        }
        let not_released = !released && world.messages.iter().any(|message| message.place == Place::InFlight);
        world.in_session[run] = (process.waits || not_released) && self.has(Safeguard::OrphansAwaited);
        world.process = None;
    }

    pub(super) fn kill(&self, world: &mut World) {
        let run = world.run();
        world.faults.stops -= 1;
        world.process = None;
        for message in &mut world.messages {
            let on_wire = message.works.iter().filter(|work| work.stage == Stage::OnWire).count();
            message.late[run] += u8::try_from(on_wire).expect("few");
            (message.works, message.received, message.give_back) = (Few::NONE, Few::NONE, false);
            if !self.has(Safeguard::Synced) {
                message.rows = message.synced;
            }
        }
    }
}

/// How many messages SQS counts in flight beyond those that we surely hold.
fn elsewhere(world: &World) -> usize {
    let in_flight = world.messages.iter().filter(|message| message.place == Place::InFlight).count();
    let ours = world.messages.iter().filter(|message| message.is_ours() && !message.is_proven()).count();
    in_flight.saturating_sub(ours)
}
