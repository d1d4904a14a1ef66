//! What deletes came to: when a message is done, and when it is no longer. A delete that succeeded is a fact about the call, not
//! about the message.

use redrive_protocol::message::MessageId;

use super::key::pack;
use super::state::{Event, State, next};
use super::writer::Writer;
use super::{DeleteEnd, Sent};
use crate::error::Result;

impl Writer {
    /// A message that was sent is delivered again, or its handle is still known: it is not done before it is deleted with that.
    pub(super) fn reappear(&mut self, id: &MessageId, sent_by: i64) -> Result<()> {
        if sent_by != self.table.run {
            // Nobody goes on with a finished one.
            if !self.table.is_finished(sent_by)? {
                self.change_of_other_run(id, sent_by, Event::Reappear)?;
            }
        } else if self.table.row(id)?.is_some_and(|row| row.state == State::Done) {
            self.change(id, Event::Reappear, None, |_| {})?;
        }
        Ok(())
    }

    /// Notes what became of a message that another run had sent; says whether that is news.
    fn change_of_other_run(&self, id: &MessageId, run: i64, event: Event) -> Result<bool> {
        let Some(row) = self.table.row_of(run, id)? else { return Ok(false) };
        match next(Some(row.state), event) {
            Ok(state) if state != row.state => self.table.move_of_other_run(id, run, &row, state, self.now)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Notes how a delete ended; gives the message once more where another delivery of it has another handle.
    pub(super) fn deleted(&mut self, sent: Sent, end: DeleteEnd) -> Result<Option<Sent>> {
        let Sent { mut delivered, run, confirmed } = sent;
        let claim = pack(&delivered.id);
        if end == DeleteEnd::Unknown {
            // The handle stays for the next session.
            self.claimed.remove(&claim);
            return Ok(None);
        }
        let is_only = self.claimed.is_only_delivery(&claim);
        let done = end == DeleteEnd::Confirmed;
        // A standard queue says success for an older handle too, and may have deleted nothing; which of several is the newest
        // nobody knows for sure. So where one is refused, another's success proves nothing. A FIFO queue refuses the older.
        let confirmed = if self.fifo { confirmed.unwrap_or(false) || done } else { confirmed.unwrap_or(true) && done };
        self.table.leased(&delivered.id, &delivered.receipt, None)?;
        if !is_only && let Some(other) = self.table.newest_receipt(&delivered.id)? {
            if !confirmed && !self.fifo {
                // Nor would it to a later session.
                self.table.end_leases(&delivered.id)?;
            }
            delivered.receipt = other;
            return Ok(Some(Sent { delivered, run, confirmed: Some(confirmed) }));
        }
        let id = delivered.id;
        if !confirmed {
            // It comes back and is deleted then; or it is gone already, and is not met again.
            self.claimed.remove(&claim);
            return Ok(None);
        }
        if run == self.table.run {
            self.change(&id, Event::Delete, None, |_| {})?;
        } else {
            let changed = u64::from(self.change_of_other_run(&id, run, Event::Delete)?);
            self.table.add_deleted_for_others(changed)?;
            self.tally.deleted_for_other_runs += changed;
        }
        self.claimed.remove(&claim);
        Ok(None)
    }
}
