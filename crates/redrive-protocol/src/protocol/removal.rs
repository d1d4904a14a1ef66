//! What deletes came to: when a message is done, and when it is no longer. A delete that succeeded is a fact about the call, not
//! about the message.

use super::Protocol;
use super::key::Key;
use super::numbers::RunNo;
use super::state::{Event, next};
use super::store::Store;
use super::words::{DeleteEnd, Sent};
use super::{Problem, Step};

impl<S: Store> Protocol<S> {
    /// A message that was sent is delivered again, or its handle is still known: it is not done before it is deleted with that.
    pub(super) fn reappear(&mut self, key: &Key, sent_by: RunNo) -> Result<(), S::Error> {
        if sent_by != self.run {
            // Nobody goes on with a finished one.
            if !self.store.is_finished(sent_by)? {
                self.change_of_other_run(key, sent_by, Event::Reappear)?;
            }
            return Ok(());
        }
        let before = self.row(self.queue, key)?;
        let event = Event::Reappear;
        // Only what is done can: else it is still to be deleted anyway.
        if let Ok(after) = next(before.as_ref().map(|row| row.state), event) {
            self.change(key, Step { queue: self.queue, before, event, after }, None, |_| {})?;
        }
        Ok(())
    }

    /// Notes what became of a message that another run had sent; says whether that is news.
    fn change_of_other_run(&mut self, key: &Key, run: RunNo, event: Event) -> Result<bool, S::Error> {
        let rows = self.store.rows(self.queue, key)?;
        let Some(known) = rows.into_iter().find(|known| known.run == run) else { return Ok(false) };
        match next(Some(known.row.state), event) {
            Ok(state) if state != known.row.state => {
                self.store.put_of_other_run(run, self.queue, key, state, self.now)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Notes how deletes ended. Gives those whose messages have another handle that is to be tried, too.
    pub fn deleted(&mut self, deletes: Vec<(Sent, DeleteEnd)>) -> Result<Vec<Sent>, Problem<S::Error>> {
        let mut again = Vec::new();
        for (sent, end) in deletes {
            again.extend(self.deleted_one(sent, end)?);
        }
        Ok(again)
    }

    fn deleted_one(&mut self, sent: Sent, end: DeleteEnd) -> Result<Option<Sent>, Problem<S::Error>> {
        let Sent { mut delivered, run, confirmed } = sent;
        if end == DeleteEnd::Unknown {
            // The handle stays for the next session.
            self.claims.remove(&delivered.key);
            return Ok(None);
        }
        let is_only = self.claims.is_only_delivery(&delivered.key);
        let done = end == DeleteEnd::Confirmed;
        // A standard queue says success for an older handle too, and may have deleted nothing; which of several is the newest
        // nobody knows for sure. So if one is refused, another's success proves nothing. A FIFO queue refuses the older.
        let confirmed = if self.fifo { confirmed.unwrap_or(false) || done } else { confirmed.unwrap_or(true) && done };
        self.store.set_lease(self.queue, &delivered.key, &delivered.receipt, None)?;
        let others = if is_only { Vec::new() } else { self.store.leases_of(self.queue, &delivered.key)? };
        if let Some(newest) = others.first() {
            delivered.receipt = newest.receipt.clone();
            if !confirmed && !self.fifo {
                // Nor would they prove anything to a later session.
                for lease in &others {
                    self.store.set_lease(self.queue, &delivered.key, &lease.receipt, None)?;
                }
            }
            return Ok(Some(Sent { delivered, run, confirmed: Some(confirmed) }));
        }
        if confirmed && run == self.run {
            let step = self.step(self.queue, &delivered.key, &[Event::Delete], false)?;
            self.change(&delivered.key, step, None, |_| {})?;
        } else if confirmed && self.change_of_other_run(&delivered.key, run, Event::Delete)? {
            self.store.count_deleted_for_other(self.run)?;
            self.tally.deleted_for_other_runs += 1;
        }
        // If it is not confirmed, it comes back and is deleted then; or it is gone already, and is not met again.
        self.claims.remove(&delivered.key);
        Ok(None)
    }
}
