//! What apply does with the protocol: it asks what is known of a delivery, decides, sends, settles, and deletes. What the protocol
//! answers is the program's own; what is written here is who asks it when.

use std::convert::Infallible;

use super::super::{
    Admitted, Decided, DeleteEnd, Delivery, Doubt, Intended, Judged, Judgement, Problem, Protocol, SendEnd, Settled,
    Settlement, State, Stay,
};
use super::sabotage::Sabotaged;
use super::setup::{Destination, Safeguard, Setup, Verdict};
use super::world::{End, Item, Late, Met, Place, Process, Queue, Stage, Towards, World, id, receipt, time};
use crate::message::MessageId;
use crate::target::{Reason, RuleId, TargetId, TargetKind};

/// The work on a message, by where it is in the world.
pub(super) type At = (usize, usize);

/// The position of the target in a plan.
fn target(towards: Towards) -> TargetId {
    TargetId(towards as u16)
}

impl World {
    /// The work on a message ends, and the message stays.
    pub(super) fn stays(&mut self, (at, which): At) {
        self.items[at].works.remove(which);
        self.process = self.process.map(|process| Process { group_stopped: true, ..process });
    }

    pub(super) fn set(&mut self, (at, which): At, stage: Stage) {
        self.items[at].works[which] = stage;
    }

    fn take_intended(&self, (at, which): At) -> (Intended, Towards) {
        match &self.items[at].works[which] {
            Stage::Intended(intended, towards)
            | Stage::OnWire(intended, towards)
            | Stage::Answered(intended, towards, _) => (intended.clone(), *towards),
            _ => panic!("no intent in hand"),
        }
    }
}

impl Setup {
    /// Asks the protocol, and has what it changed committed.
    pub(super) fn ask<T>(
        &self,
        world: &mut World,
        asked: impl FnOnce(&mut Protocol<Sabotaged>) -> Result<T, Problem<Infallible>>,
    ) -> Option<T> {
        world.disk = (!self.has(Safeguard::Synced)).then(|| world.journal.store().clone());
        world.journal.set_time(world.now());
        let answer = asked(&mut world.journal);
        world.journal.committed();
        if answer.is_err() {
            world.broken = Some("the protocol refuses what it is asked");
        }
        answer.ok()
    }

    fn unclaim(&self, world: &mut World, messages: &[MessageId]) {
        self.ask(world, |journal| {
            journal.unclaim(messages);
            Ok(())
        });
    }

    /// What is sent arrives. Gives the number of the copy that is made in a queue of ours.
    pub(super) fn arrive(&self, world: &mut World, of: usize, (run, towards, was): Late) -> Option<u8> {
        let sends = &mut world.sends[of];
        let queue = match towards {
            Towards::Destination => {
                let recognised = self.destination != Destination::Standard && sends.remembers[run];
                sends.arrived += u8::from(!recognised);
                sends.remembers[run] = true;
                return None;
            }
            Towards::Parking => Queue::Parking,
            Towards::Home => Queue::Source,
        };
        sends.arrived += u8::from(towards == Towards::Home);
        sends.copies += 1;
        let copy = sends.copies;
        world.items.push(Item::new(of, copy, was, queue));
        Some(copy)
    }

    /// Admits deliveries, those of one batch together.
    pub(super) fn admit(&self, world: &mut World, batch: &[At]) {
        let queue = world.process().queue;
        let deliveries = batch.iter().map(|(at, which)| {
            let (item, found) = (&world.items[*at], world.items[*at].received[*which]);
            let (received, until) = world.times(found);
            let delivery = Delivery {
                id: item.id(),
                receipt: receipt(found.handle),
                receive_count: None,
                origin: None,
                received,
                until,
            };
            (delivery, Some(id(item.of, item.known_as())))
        });
        let deliveries = deliveries.collect::<Vec<_>>();
        let unclaimed: Vec<_> = deliveries.iter().map(|(delivery, _)| delivery.id.clone()).collect();
        let parked = queue == Queue::Parking;
        let admitted = self.ask(world, |journal| {
            if !self.has(Safeguard::OneClaim) {
                journal.unclaim(&unclaimed);
            }
            Ok(if parked {
                journal.admit_parked(deliveries)?
            } else {
                journal.admit(deliveries.into_iter().map(|(delivery, _)| delivery).collect())?
            })
        });
        for (at, which) in batch.iter().rev() {
            world.items[*at].received.remove(*which);
        }
        for ((at, _), admitted) in batch.iter().zip(admitted.unwrap_or_default()) {
            let stage = match admitted {
                Admitted::New(claim) | Admitted::Bounced(claim) => Stage::Claimed(claim, Met::New),
                Admitted::Returned(claim) => Stage::Claimed(claim, Met::Returned),
                Admitted::Doubtful(doubtful) => {
                    let doubt = Doubt::of(&doubtful, time(world.now()));
                    Stage::Claimed(doubtful.judge_again(), Met::Doubtful(doubt))
                }
                Admitted::Sent(sent) => Stage::Proven(sent),
                Admitted::Duplicate => continue,
                Admitted::Released => {
                    world.process = world.process.map(|process| Process { group_stopped: true, ..process });
                    continue;
                }
                Admitted::Foreign => {
                    world.broken = Some("what this run parked is a stranger to it");
                    continue;
                }
            };
            world.items[*at].works.push(stage);
        }
    }

    pub(super) fn may_resend(&self, towards: Towards, doubt: Doubt) -> bool {
        let (kind, fifo) = match towards {
            Towards::Destination => (self.kind(), self.destination == Destination::Fifo),
            Towards::Parking => (TargetKind::Park, false),
            Towards::Home => (TargetKind::Sqs, false),
        };
        !self.has(Safeguard::HoldIsKept) || doubt.may_resend(kind, fifo, self.resend)
    }

    /// What is decided about a claimed message: `None` if it is left as it is.
    fn decide(&self, world: &World, (at, which): At) -> Option<(RuleId, Decided)> {
        let (item, process) = (&world.items[at], world.process());
        let Stage::Claimed(_, met) = &item.works[which] else { panic!("no claim in hand") };
        let unmatched = |reason| (RuleId::UNMATCHED, Decided::Stay(Stay::Kept(reason)));
        let send = |rule, towards| (rule, Decided::Send(target(towards)));
        if process.halting {
            return None;
        }
        let doubt = match met {
            Met::Returned => return Some((RuleId::RETURNED, Decided::Stay(Stay::Kept(Reason::Unmatched)))),
            Met::Doubtful(doubt) => Some(*doubt),
            Met::New => None,
        };
        let is_held = |towards| doubt.is_some_and(|doubt| !self.may_resend(towards, doubt));
        let of_another = doubt.is_some_and(|doubt| !doubt.is_of_this_run());
        let behind = at > 0 && self.fifo_source && process.group_stopped && self.has(Safeguard::GroupStops);
        Some(match self.verdicts[item.of] {
            _ if process.queue == Queue::Parking && is_held(Towards::Home) => {
                (RuleId::RETURNED, Decided::Stay(Stay::Held))
            }
            _ if process.queue == Queue::Parking => send(RuleId::RETURNED, Towards::Home),
            // A copy of it may be elsewhere, and only its ID tells a later run so.
            Verdict::Park if of_another => unmatched(Reason::Unmatched),
            Verdict::Park => send(RuleId::PARKED, Towards::Parking),
            Verdict::Keep => unmatched(Reason::RuleKeeps),
            _ if behind => unmatched(Reason::GroupStopped),
            Verdict::Drop => (RuleId(0), Decided::Drop(TargetId(9))),
            Verdict::Send if is_held(Towards::Destination) => (RuleId(0), Decided::Stay(Stay::Held)),
            Verdict::Send => send(RuleId(0), Towards::Destination),
        })
    }

    /// Judges claimed messages, those of one batch together.
    pub(super) fn judge(&self, world: &mut World, batch: &[At]) {
        let (mut judgements, mut judged, mut left) = (Vec::new(), Vec::new(), Vec::new());
        for (at, which) in batch {
            let Stage::Claimed(claim, _) = &world.items[*at].works[*which] else { panic!("no claim in hand") };
            let claim = claim.clone();
            match self.decide(world, (*at, *which)) {
                Some((rule, decision)) => {
                    judged.push((*at, *which));
                    judgements.push(Judgement { claim, rule, exhausted: false, decision });
                }
                None => left.push((claim.id().clone(), (*at, *which))),
            }
        }
        self.note_judged(world, judgements, &judged);
        let ids: Vec<_> = left.iter().map(|(id, _)| id.clone()).collect();
        if !ids.is_empty() {
            self.unclaim(world, &ids);
        }
        for (_, at) in left.into_iter().rev() {
            world.stays(at);
        }
    }

    fn note_judged(&self, world: &mut World, judgements: Vec<Judgement>, batch: &[At]) {
        if judgements.is_empty() {
            return;
        }
        let before = world.journal.store().clone();
        let towards: Vec<_> = judgements.iter().map(|judgement| towards_of(&judgement.decision)).collect();
        let judged = self.ask(world, |journal| journal.judge(judgements)).unwrap_or_default();
        if !self.has(Safeguard::IntentFirst) {
            world.disk = Some(before);
        }
        for ((at, towards), judged) in batch.iter().zip(towards).zip(judged).rev() {
            match judged {
                Judged::Intended(intended) => {
                    world.set(*at, Stage::Intended(intended, towards.expect("only what is sent is intended")));
                }
                Judged::Sent(sent) => world.set(*at, Stage::Proven(sent)),
                Judged::Stays => world.stays(*at),
            }
        }
    }

    /// Decides anew about a message whose answer was lost.
    pub(super) fn decide_anew(&self, world: &mut World, (at, which): At) {
        let Stage::Doubtful(doubtful, towards) = world.items[at].works[which].clone() else {
            panic!("no doubt in hand")
        };
        let lapsed = !world.is_ours(&world.items[at]) && self.has(Safeguard::OnlyOurs);
        let now = if self.has(Safeguard::Window) { time(world.now()) } else { doubtful.since() };
        let decision = if !self.may_resend(towards, Doubt::of(&doubtful, now)) {
            Decided::Stay(Stay::Held)
        } else if world.process().halting || lapsed {
            // It stays in doubt, and is met again.
            let id = doubtful.id().clone();
            self.unclaim(world, &[id]);
            return if lapsed && !world.process().halting {
                self.lapse(world, (at, which));
            } else {
                world.stays((at, which));
            };
        } else {
            Decided::Send(target(towards))
        };
        let rule = match towards {
            Towards::Destination => RuleId(0),
            Towards::Parking => RuleId::PARKED,
            Towards::Home => RuleId::RETURNED,
        };
        let judgement = Judgement { claim: doubtful.judge_again(), rule, exhausted: false, decision };
        self.note_judged(world, vec![judgement], &[(at, which)]);
    }

    /// The work on a message that may be somebody else's ends; out of a FIFO queue the session does, too, for the sake of the order.
    fn lapse(&self, world: &mut World, (at, which): At) {
        world.items[at].works.remove(which);
        if self.fifo_source {
            world.process = world.process.map(|process| Process { halting: true, group_stopped: true, ..process });
        }
    }

    /// What is not sent after all.
    pub(super) fn withdraw(&self, world: &mut World, at: At, end: SendEnd) {
        let lapses = matches!(end, SendEnd::Lapsed);
        let (intended, _) = world.take_intended(at);
        let settled = self.ask(world, |journal| journal.settle(vec![Settlement { intended, end }]));
        if let Some(Settled::Doubtful(doubtful)) = settled.into_iter().flatten().next() {
            let id = doubtful.id().clone();
            self.unclaim(world, &[id]);
        }
        if lapses { self.lapse(world, at) } else { world.stays(at) }
    }

    /// What was to be sent once more and has waited too long for that: it is in doubt as before, and decided about anew.
    pub(super) fn withdraw_late(&self, world: &mut World, at: At) {
        let (intended, towards) = world.take_intended(at);
        let settlement = Settlement { intended, end: SendEnd::Withdrawn };
        match self.ask(world, |journal| journal.settle(vec![settlement])).into_iter().flatten().next() {
            Some(Settled::Doubtful(doubtful)) => world.set(at, Stage::Doubtful(doubtful, towards)),
            _ => world.stays(at),
        }
    }

    /// Whether what was in doubt may no longer be sent again by the time of its turn.
    pub(super) fn is_late(&self, world: &World, intended: &Intended, towards: Towards) -> bool {
        let doubt = Doubt::of_intended(intended, time(world.now()));
        self.has(Safeguard::Window) && doubt.is_some_and(|doubt| !self.may_resend(towards, doubt))
    }

    /// Notes the ends of sends, those of one batch together.
    pub(super) fn settle(&self, world: &mut World, batch: &[At]) {
        let (mut settlements, mut towards) = (Vec::new(), Vec::new());
        for at in batch {
            let Stage::Answered(intended, to, end) = world.items[at.0].works[at.1].clone() else { panic!("no answer") };
            let of = world.items[at.0].of;
            let end = match end {
                End::Acknowledged(copy) => SendEnd::Acknowledged(copy.map(|copy| id(of, copy))),
                End::Lost => SendEnd::AnswerLost,
                End::Refused => SendEnd::Refused(Reason::Refused, String::new()),
                End::Damaged => SendEnd::Refused(Reason::DigestMismatch, String::new()),
            };
            settlements.push(Settlement { intended, end });
            towards.push(to);
        }
        let settled = self.ask(world, |journal| journal.settle(settlements)).unwrap_or_default();
        for ((at, towards), settled) in batch.iter().zip(towards).zip(settled).rev() {
            match settled {
                Settled::Sent(sent) => world.set(*at, Stage::Proven(sent)),
                Settled::Doubtful(doubtful) => world.set(*at, Stage::Doubtful(doubtful, towards)),
                Settled::Stays => world.stays(*at),
            }
        }
    }

    pub(super) fn note_delete(&self, world: &mut World, (at, which): At, end: DeleteEnd) {
        let (Stage::Deleted(sent, _) | Stage::Proven(sent)) = world.items[at].works[which].clone() else {
            panic!("no proof in hand")
        };
        let at_hand = world.is_at_hand(&world.items[at]);
        let done = |world: &World| world.rows(&world.items[at]).filter(|(_, row)| row.state == State::Done).count();
        let before = done(world);
        let again = self.ask(world, |journal| journal.deleted(vec![(sent, end)])).unwrap_or_default().pop();
        match again {
            Some(sent) => world.set((at, which), Stage::Proven(sent)),
            None => drop(world.items[at].works.remove(which)),
        }
        if done(world) > before && at_hand && world.items[at].place != Place::Deleted {
            world.broken = Some("done, and still in the source although the handle to delete it was there");
        }
    }
}

fn towards_of(decision: &Decided) -> Option<Towards> {
    let Decided::Send(to) = decision else { return None };
    [Towards::Destination, Towards::Parking, Towards::Home].into_iter().find(|towards| target(*towards) == *to)
}
