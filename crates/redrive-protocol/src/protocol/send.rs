//! Decisions and the ends of sends: what turns a claim into an intent, and an intent into the proof that a delete takes.

use super::admit::doubted_since;
use super::state::{Event, State};
use super::store::Store;
use super::words::{
    Claim, Decided, Delivered, Doubtful, Intended, Judged, Judgement, SendEnd, Sent, Settled, Settlement, Stay,
};
use super::{Problem, Protocol, Step};
use crate::target::Reason;

impl<S: Store> Protocol<S> {
    /// Notes decisions. Answers by position; all of them or, if one of them cannot be, none.
    pub fn judge(&mut self, judgements: Vec<Judgement>) -> Result<Vec<Judged>, Problem<S::Error>> {
        let mut steps = Vec::with_capacity(judgements.len());
        for Judgement { claim: Claim { delivered, doubted }, decision, .. } in &judgements {
            let event = match decision {
                Decided::Send(_) => Event::Intend,
                Decided::Drop(_) => Event::Drop,
                Decided::Stay(Stay::Kept(_)) => Event::Keep,
                Decided::Stay(Stay::Blocked(..)) => Event::Block,
                Decided::Stay(Stay::Held) => Event::Hold,
            };
            steps.push(self.step(self.queue, &delivered.key, &[event], doubted.is_some())?);
        }
        let judged = judgements.into_iter().zip(steps).map(|(judgement, step)| self.judge_one(judgement, step));
        Ok(judged.collect::<Result<_, _>>()?)
    }

    fn judge_one(&mut self, judgement: Judgement, step: Step) -> Result<Judged, S::Error> {
        let Judgement { claim: Claim { delivered, doubted }, rule, exhausted, decision } = judgement;
        let (target, reason, note) = match decision {
            Decided::Send(target) | Decided::Drop(target) => (Some(Some(target)), None, None),
            Decided::Stay(Stay::Kept(reason)) => (Some(None), Some(reason), None),
            Decided::Stay(Stay::Blocked(reason, detail)) => (Some(None), Some(reason), Some(detail)),
            // A held message keeps the target that a copy may be at.
            Decided::Stay(Stay::Held) => (None, Some(Reason::AnswerLost), None),
        };
        let state = self.change(&delivered.key, step, doubted, |row| {
            row.rule = rule;
            row.exhausted = exhausted;
            row.reason = reason;
            row.receive_count = delivered.receive_count.or(row.receive_count);
            row.origin = delivered.origin.or(row.origin);
            row.target = target.unwrap_or(row.target);
        })?;
        if let Some(note) = note {
            self.store.note(self.run, self.queue, &delivered.key, &note)?;
        }
        Ok(match state {
            State::Sending | State::Resending => Judged::Intended(Intended { delivered, doubted }),
            State::Sent => Judged::Sent(self.proof(delivered)?),
            _ => {
                self.claims.remove(&delivered.key);
                Judged::Stays
            }
        })
    }

    /// The proof that a message of this run is safely elsewhere, with the newest handle that is known.
    fn proof(&mut self, mut delivered: Delivered) -> Result<Sent, S::Error> {
        if !self.claims.is_only_delivery(&delivered.key)
            && let Some(newest) = self.store.leases_of(self.queue, &delivered.key)?.into_iter().next()
        {
            delivered.receipt = newest.receipt;
        }
        Ok(Sent { delivered, run: self.run, confirmed: None })
    }

    /// Notes the ends of sends. Answers by position; all of them or, if one of them cannot be, none.
    pub fn settle(&mut self, settlements: Vec<Settlement>) -> Result<Vec<Settled>, Problem<S::Error>> {
        let mut steps = Vec::with_capacity(settlements.len());
        for Settlement { intended, end } in &settlements {
            let events: &[Event] = match end {
                SendEnd::Acknowledged(_) => &[Event::Acknowledge],
                SendEnd::Refused(..) => &[Event::Refuse],
                SendEnd::AnswerLost => &[Event::LoseAnswer],
                SendEnd::Withdrawn | SendEnd::Lapsed => &[Event::Withdraw],
                SendEnd::Behind => &[Event::Withdraw, Event::Keep],
            };
            steps.push(self.step(self.queue, &intended.delivered.key, events, false)?);
        }
        let settled = settlements.into_iter().zip(steps).map(|(settlement, step)| self.settle_one(settlement, step));
        Ok(settled.collect::<Result<_, _>>()?)
    }

    fn settle_one(&mut self, settlement: Settlement, step: Step) -> Result<Settled, S::Error> {
        let Settlement { intended: Intended { delivered, .. }, end } = settlement;
        let (reason, note, sent_as) = match end {
            SendEnd::Acknowledged(sent_as) => (None, None, sent_as),
            SendEnd::Refused(reason, words) => (Some(reason), Some(words), None),
            SendEnd::AnswerLost | SendEnd::Withdrawn | SendEnd::Lapsed => (None, None, None),
            SendEnd::Behind => (Some(Reason::GroupStopped), None, None),
        };
        let state = self.change(&delivered.key, step, None, |row| {
            row.reason = reason;
            row.sent_as = sent_as.as_ref().map(super::Key::of).or_else(|| row.sent_as.take());
        })?;
        if let Some(note) = note {
            self.store.note(self.run, self.queue, &delivered.key, &note)?;
        }
        if state == State::Sent {
            return Ok(Settled::Sent(self.proof(delivered)?));
        }
        if state == State::InDoubt
            && let Some((since, this_run)) = doubted_since(&self.store.rows(self.queue, &delivered.key)?, self.run)
        {
            return Ok(Settled::Doubtful(Doubtful { delivered, since, this_run, unfinished: true }));
        }
        // Also a second attempt that did not happen, if somebody has decided about the doubt.
        self.claims.remove(&delivered.key);
        Ok(Settled::Stays)
    }
}
