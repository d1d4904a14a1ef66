//! Sessions of a run: beginning one settles what an earlier process left, ending one notes how it went.

use jiff::Timestamp;

use super::claims::Claims;
use super::ends::SessionEnd;
use super::numbers::{QueueNo, RunNo};
use super::state::{Event, State};
use super::store::{RunState, Store, Which};
use super::words::{Begun, Delivered, Lease, RunSpec, Sent};
use super::{Key, Problem, Protocol, sent_by};
use crate::target::{Reason, RuleId};

/// What an earlier session had in flight: see [`Begun`].
struct LeftBehind {
    to_delete: Vec<Sent>,
    /// Of what is to be deleted.
    until: Option<Timestamp>,
    to_release: Vec<Lease>,
}

impl<S: Store> Protocol<S> {
    /// Begins a run, or goes on with it: what was on its way becomes in doubt.
    pub fn begin(&mut self, spec: &RunSpec) -> Result<Begun, Problem<S::Error>> {
        let source = self.store.queue_no(&spec.source_arn)?;
        let RunState { run, is_new, interrupted, drained, given_up, requests, elapsed_ms } =
            self.store.begin_session(spec, source, self.now)?;
        self.fifo = spec.source_arn.strip_suffix(".fifo").is_some();
        self.interrupted = interrupted;
        self.take_up(run, source)?;
        let in_doubt = self.recover()?;
        let doubtful = self.store.doubtful(run)?;
        let LeftBehind { to_delete, until: to_delete_until, to_release } = self.left_behind()?;
        Ok(Begun {
            resumed: !is_new,
            interrupted,
            in_doubt,
            doubtful,
            to_delete,
            to_delete_until,
            to_release,
            // If nothing is parked any more, what else is unfinished is in the source.
            drained: (drained || given_up) && self.tally.folded().away() > 0,
            given_up,
            requests,
            elapsed_ms,
        })
    }

    /// Takes up a run that the store knows, with its figures.
    pub(super) fn take_up(&mut self, run: RunNo, source: QueueNo) -> Result<(), S::Error> {
        (self.run, self.queue, self.home) = (run, source, None);
        self.tally = self.store.tally(run)?;
        self.noted.clone_from(&self.tally);
        Ok(())
    }

    /// Turns to the parking queue, and settles what an earlier session left there. `drained`: the source has been gone through.
    pub fn turn(&mut self, parking_arn: &str, drained: bool) -> Result<Begun, S::Error> {
        let parking = self.store.queue_no(parking_arn)?;
        self.home = Some(std::mem::replace(&mut self.queue, parking));
        // They were about messages of the source, whose IDs the parked ones go by.
        self.claims = Claims::default();
        self.store.set_drained(self.run, drained)?;
        self.fifo = false;
        let LeftBehind { to_delete, until: to_delete_until, to_release } = self.left_behind()?;
        Ok(Begun {
            resumed: false,
            interrupted: self.interrupted,
            in_doubt: 0,
            doubtful: Vec::new(),
            to_delete,
            to_delete_until,
            to_release,
            drained: false,
            given_up: false,
            requests: 0,
            elapsed_ms: 0,
        })
    }

    /// What was on its way when the process ended, out or back, has lost its answer.
    pub(super) fn recover(&mut self) -> Result<u64, Problem<S::Error>> {
        let mut lost = 0;
        for (queue, key, state) in self.store.open(self.run)? {
            if matches!(state, State::Sending | State::Resending) {
                let step = self.step(queue, &key, &[Event::LoseAnswer], false)?;
                self.change(&key, step, None, |_| {})?;
                lost += 1;
            }
        }
        Ok(lost)
    }

    /// Leases of an earlier session, of this run or another over the same source: what is safely elsewhere is to be
    /// deleted with its handle, what stays keeps its lease while that lasts, all else is to be given back. Out of a FIFO queue
    /// what stays is given back too, so that a group is judged again from its first message on: if that comes back, what was
    /// behind it may go now. Servers that hide a whole group while one of its messages is in flight, as SQS did until November
    /// 2025, would not even give the first.
    fn left_behind(&mut self) -> Result<LeftBehind, S::Error> {
        let (mut to_delete, mut until, mut to_release) = (Vec::new(), None, Vec::new());
        for lease in self.store.leases(self.queue, Which::All, Timestamp::MAX, usize::MAX)? {
            let key = Key::of(&lease.id);
            let rows = self.store.rows(self.queue, &key)?;
            if let Some(run) = sent_by(&rows) {
                self.reappear(&key, run)?;
                until = until.max(Some(lease.until));
                // Once, however many handles there are: the others come when the first is done.
                if self.claims.insert(key.clone(), true, false) {
                    let (receive_count, origin, came_from) = (None, None, None);
                    let Lease { id, receipt, .. } = lease;
                    let delivered = Delivered { id, key, receipt, receive_count, origin, came_from };
                    to_delete.push(Sent { delivered, run, confirmed: None });
                }
                continue;
            }
            let own = rows.iter().find(|known| known.run == self.run);
            let stays = own.is_some_and(|known| {
                matches!(known.row.state, State::Kept | State::Blocked | State::Failed | State::Held)
            });
            if self.fifo || !stays || lease.until.as_millisecond() <= self.now {
                to_release.push(lease);
            }
        }
        Ok(LeftBehind { to_delete, until, to_release })
    }

    /// `max_messages` is reached: what was to be sent, and surely was not, is not looked for any more, and stays.
    pub fn keep_returned(&mut self) -> Result<(), Problem<S::Error>> {
        for (queue, key, state) in self.store.open(self.run)? {
            if state != State::Returned || queue != self.queue {
                continue;
            }
            let step = self.step(queue, &key, &[Event::Keep], false)?;
            self.change(&key, step, None, |row| {
                if row.rule.is_parking() {
                    row.rule = RuleId::UNMATCHED;
                }
                (row.target, row.reason) = (None, Some(Reason::LimitReached));
            })?;
        }
        Ok(())
    }

    /// Whether a message is in flight with us by a lease that lasts.
    fn is_leased(&mut self, queue: QueueNo, key: &Key) -> Result<bool, S::Error> {
        Ok(self.store.leases_of(queue, key)?.iter().any(|lease| lease.until.as_millisecond() > self.now))
    }

    /// The queue is dry: what is not finished and not in flight with us is gone from it.
    pub fn vanish(&mut self) -> Result<(), Problem<S::Error>> {
        for (queue, key, state) in self.store.open(self.run)? {
            let is_settled = !matches!(state, State::InDoubt | State::Returned | State::Sent);
            if is_settled || queue != self.queue || self.is_leased(queue, &key)? {
                continue;
            }
            let step = self.step(queue, &key, &[Event::Vanish], false)?;
            self.change(&key, step, None, |row| {
                let gone = if row.rule == RuleId::RETURNED { Reason::ParkedGone } else { Reason::Gone };
                row.reason = (row.state == State::Failed).then_some(gone);
            })?;
        }
        let Some(home) = self.home else { return Ok(()) };
        // What was parked and is not in the parking queue.
        for key in self.store.done_by(self.run, home, RuleId::PARKED)? {
            if self.row(self.queue, &key)?.is_none() {
                let step = self.step(self.queue, &key, &[Event::Vanish], false)?;
                self.change(&key, step, None, |row| {
                    row.rule = RuleId::RETURNED;
                    row.reason = Some(Reason::ParkedGone);
                })?;
            }
        }
        Ok(())
    }

    /// Ends this session of the run.
    pub fn end(&mut self, end: &SessionEnd) -> Result<(), S::Error> {
        self.store.end_session(self.run, end, self.now)
    }
}
