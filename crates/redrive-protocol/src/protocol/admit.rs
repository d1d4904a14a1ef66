//! Admission: a delivery is noted, and what is known of its message decides what may be done with it.

use jiff::Timestamp;

use super::key::Key;
use super::numbers::{QueueNo, RunNo};
use super::state::State;
use super::store::{Glance, Known, Row, SentAs, Store};
use super::words::{Admitted, Claim, Delivered, Delivery, Doubtful, Sent};
use super::{Protocol, sent_by};
use crate::message::MessageId;
use crate::target::{Reason, RuleId};

impl<S: Store> Protocol<S> {
    /// Notes deliveries and says what is known of each message. Answers by position.
    pub fn admit(&mut self, deliveries: Vec<Delivery>) -> Result<Vec<Admitted>, S::Error> {
        self.store.look_ahead(self.queue, &deliveries)?;
        deliveries.into_iter().map(|delivery| self.admit_one(delivery)).collect()
    }

    /// The same for what is received from the parking queue, each with the ID of the message that its mark says it is.
    pub fn admit_parked(&mut self, deliveries: Vec<(Delivery, Option<MessageId>)>) -> Result<Vec<Admitted>, S::Error> {
        deliveries.into_iter().map(|(delivery, mark)| self.admit_one_parked(delivery, mark)).collect()
    }

    fn admit_one(&mut self, delivery: Delivery) -> Result<Admitted, S::Error> {
        let key = Key::of(&delivery.id);
        let glance = self.store.glance(self.queue, &key)?;
        let sent_as = if glance.may_be_sent_as { self.sent_as(&key)? } else { None };
        let (mut origin, mut came_from) = (None, None);
        if let Some(arn) = &delivery.origin {
            origin = Some(self.store.queue_no(arn)?);
        } else if let Some(SentAs { rule: RuleId::RETURNED, origin: Some(queue), .. }) = sent_as {
            (origin, came_from) = (Some(queue), Some(self.store.queue_arn(queue)?.into_boxed_str()));
        }
        let admitted = self.admit_as(key, delivery, glance, origin, came_from)?;
        Ok(match (admitted, sent_as.filter(|sent| sent.run == self.run)) {
            (Admitted::New(claim), Some(SentAs { rule: RuleId::RETURNED, .. })) => Admitted::Returned(claim),
            (Admitted::New(claim), Some(_)) => Admitted::Bounced(claim),
            (admitted, _) => admitted,
        })
    }

    /// The send that returned this ID, this run's first.
    fn sent_as(&mut self, key: &Key) -> Result<Option<SentAs>, S::Error> {
        let sends = self.store.sends_as(key)?;
        Ok(sends.iter().find(|sent| sent.run == self.run).or(sends.first()).copied())
    }

    /// A parked message goes by the ID it had in the source, so that a copy of it, from a send whose answer was lost, is known
    /// as the same message.
    fn admit_one_parked(&mut self, mut delivery: Delivery, mark: Option<MessageId>) -> Result<Admitted, S::Error> {
        if let (Some(id), Some(home)) = (mark, self.home) {
            let (key, parked_as) = (Key::of(&id), Key::of(&delivery.id));
            if let Some(parked) = self.parked(home, &key, &parked_as)? {
                delivery.id = id;
                let glance = self.store.glance(self.queue, &key)?;
                return self.admit_as(key, delivery, glance, parked.origin, None);
            }
        }
        let key = Key::of(&delivery.id);
        let glance = self.store.glance(self.queue, &key)?;
        self.lease(&key, &delivery, glance)?;
        Ok(Admitted::Foreign)
    }

    /// A message that this run parked, if it did and this is it: the one that the send returned, or a copy of one whose answer
    /// was lost.
    fn parked(&mut self, home: QueueNo, key: &Key, parked_as: &Key) -> Result<Option<Row>, S::Error> {
        let run = self.run;
        let is_it = |known: &Known| {
            let Row { state, rule, sent_as, doubts, .. } = &known.row;
            known.run == run
                && *rule == RuleId::PARKED
                && *state == State::Done
                && (sent_as.as_ref() == Some(parked_as) || *doubts > 0)
        };
        Ok(self.store.rows(home, key)?.into_iter().find(is_it).map(|known| known.row))
    }

    /// Notes a delivery's handle. Earlier ones whose time was over when it was asked for are of no use any more.
    fn lease(&mut self, key: &Key, delivery: &Delivery, glance: Glance) -> Result<(), S::Error> {
        let is_new = !glance.is_leased && !glance.may_be_known;
        if glance.is_leased {
            for lease in self.store.leases_of(self.queue, key)? {
                let is_over = lease.until.as_millisecond() <= delivery.received.as_millisecond();
                if is_over || lease.receipt == delivery.receipt {
                    self.store.set_lease(self.queue, key, &lease.receipt, None)?;
                }
            }
        }
        self.store.add_lease(self.run, self.queue, key, delivery, is_new)
    }

    fn admit_as(
        &mut self,
        key: Key,
        delivery: Delivery,
        glance: Glance,
        origin: Option<QueueNo>,
        came_from: Option<Box<str>>,
    ) -> Result<Admitted, S::Error> {
        // The newest handle is the one that is sure, for a message that is already being handled too.
        self.lease(&key, &delivery, glance)?;
        let Delivery { id, receipt, receive_count, .. } = delivery;
        if !self.claims.insert(key.clone(), glance.may_be_known, !glance.is_leased) {
            return Ok(Admitted::Duplicate);
        }
        let rows = if glance.may_be_known { self.store.rows(self.queue, &key)? } else { Vec::new() };
        let delivered = Delivered { id, key, receipt, receive_count, origin, came_from };
        if let Some(run) = sent_by(&rows) {
            self.reappear(&delivered.key, run)?;
            return Ok(Admitted::Sent(Sent { delivered, run, confirmed: None }));
        }
        if let Some((since, this_run)) = doubted_since(&rows, self.run) {
            let own = rows.iter().find(|known| known.run == self.run);
            if own.is_some_and(|known| known.row.reason == Some(Reason::Released)) {
                self.claims.remove(&delivered.key);
                return Ok(Admitted::Released);
            }
            let unfinished = own.is_some_and(|known| known.row.state == State::InDoubt);
            return Ok(Admitted::Doubtful(Doubtful { delivered, since, this_run, unfinished }));
        }
        Ok(Admitted::New(Claim { delivered, doubted: None }))
    }
}

/// Since when sends of a message, by whichever runs, may have arrived, and whether all were this run's. What became of the
/// message since settles no doubt, unless it was sent after all, or somebody decided that it is sent again. A process that
/// died with a send under way lost the answer too, so an abandoned run's intents count; and a wrong digest says that
/// something arrived.
pub(super) fn doubted_since(rows: &[Known], run: RunNo) -> Option<(Timestamp, bool)> {
    let is_doubted = |known: &&Known| match known.row.state {
        State::Sending | State::Resending => true,
        State::Sent | State::Done => false,
        _ => known.row.reason == Some(Reason::DigestMismatch) || known.row.doubts > known.settled_doubts,
    };
    let doubted = || rows.iter().filter(is_doubted);
    let since = doubted().map(|known| known.row.since.unwrap_or(known.at)).min()?;
    let this_run = doubted().all(|known| known.run == run);
    Some((Timestamp::from_millisecond(since).unwrap_or(Timestamp::UNIX_EPOCH), this_run))
}
