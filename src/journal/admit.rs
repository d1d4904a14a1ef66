//! Admission: a delivery is noted, and what is known of its message decides what may be done with it. Part of the writer.

use redrive_protocol::message::MessageId;
use redrive_protocol::target::Reason;

use super::leases::{Met, Seen};
use super::parked::{Parked, SentAs};
use super::types::Delivered;
use super::writer::Writer;
use super::{Admitted, Claim, Delivery, Doubtful, Sent};
use crate::error::Result;

impl Writer {
    pub(super) fn admit(&mut self, delivery: Delivery) -> Result<Admitted> {
        let seen = self.table.seen(&delivery.id)?;
        let sent_as = if seen.may_be_sent_as { self.table.sent_as(&delivery.id)? } else { None };
        let (mut origin, mut came_from) = (None, None);
        if let Some(arn) = &delivery.origin {
            origin = Some(self.table.queue(arn)?);
        } else if let Some(SentAs { brought_back: true, origin: Some(queue), .. }) = sent_as {
            (origin, came_from) = (Some(queue), Some(self.table.arn(queue)?));
        }
        let admitted = self.admit_from(delivery, &seen, origin, came_from)?;
        Ok(match (admitted, sent_as.filter(|sent| sent.by_this_run)) {
            (Admitted::New(claim), Some(SentAs { brought_back: true, .. })) => Admitted::Returned(claim),
            (Admitted::New(claim), Some(_)) => Admitted::Bounced(claim),
            (admitted, _) => admitted,
        })
    }

    /// A parked message goes by the ID it had in the source, so that a copy of it, from a send whose answer was lost, is known
    /// as the same message.
    pub(super) fn admit_parked(&mut self, mut delivery: Delivery, mark: Option<MessageId>) -> Result<Admitted> {
        let parked = match &mark {
            Some(id) => self.table.parked(id, &delivery.id)?,
            None => None,
        };
        if let (Some(id), Some(Parked { origin })) = (mark, parked) {
            delivery.id = id;
            let seen = self.table.seen(&delivery.id)?;
            return self.admit_from(delivery, &seen, origin, None);
        }
        self.table.lease(&delivery, &self.table.seen(&delivery.id)?)?;
        Ok(Admitted::Foreign)
    }

    fn admit_from(
        &mut self,
        delivery: Delivery,
        seen: &Seen,
        origin: Option<i64>,
        came_from: Option<String>,
    ) -> Result<Admitted> {
        // The newest handle is the one that is sure, for a message that is already being handled too.
        let Met { is_only, is_known } = self.table.lease(&delivery, seen)?;
        let Delivery { id, receipt, receive_count, .. } = delivery;
        if !self.claimed.insert(seen.id.clone(), is_known, is_only) {
            return Ok(Admitted::Duplicate);
        }
        let delivered = Delivered { id, receipt, receive_count, origin, came_from };
        let id = &delivered.id;
        if is_known && let Some(run) = self.table.sent_by(id)? {
            self.reappear(id, run)?;
            return Ok(Admitted::Sent(Sent { delivered, run, confirmed: None }));
        }
        if is_known && let Some((since, this_run)) = self.table.doubted_since(id)? {
            if self.table.row(id)?.is_some_and(|row| row.reason == Some(Reason::Released)) {
                self.claimed.remove(&seen.id);
                return Ok(Admitted::Released);
            }
            return Ok(Admitted::Doubtful(Doubtful { delivered, since, this_run }));
        }
        Ok(Admitted::New(Claim { delivered, doubted: None }))
    }
}
