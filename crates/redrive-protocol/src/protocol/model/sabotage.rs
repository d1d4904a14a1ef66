//! The store that the model explores with: memory, in which one safeguard can be taken away.

use std::convert::Infallible;

use jiff::Timestamp;

use super::super::{
    Delivery, Glance, Key, Known, Lease, MemoryStore, QueueNo, Resolution, Resolve, Row, RunNo, RunRef, RunSpec,
    RunState, SentAs, SessionEnd, State, Store, Tally, Which,
};
use super::setup::Safeguard;
use super::world::Queue;
use crate::message::{MessageId, ReceiptHandle};
use crate::target::{Reason, RuleId, TargetId};

/// A store that answers what is not so if a safeguard is off that rests on what it answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Sabotaged {
    pub(super) memory: MemoryStore,
    off: Option<Safeguard>,
    /// The run under way.
    run: RunNo,
}

type Answer<T> = Result<T, Infallible>;

impl Sabotaged {
    pub(super) fn new(off: Option<Safeguard>) -> Self {
        Self { memory: MemoryStore::default(), off, run: RunNo(0) }
    }

    /// What is known of a message, as the protocol is told.
    fn told(&self, queue: QueueNo, mut known: Known) -> Option<Known> {
        let is_other = known.run != self.run;
        let is_sent = matches!(known.row.state, State::Sent | State::Done);
        match self.off {
            Some(Safeguard::OtherRunsIntents) if is_other && !is_sent => return None,
            Some(Safeguard::OtherRunsSends) if is_other && is_sent => return None,
            Some(Safeguard::CopyIsKnown) if is_sent && queue == Queue::Parking.number() => return None,
            Some(Safeguard::DamagedIsDoubt) if known.row.reason == Some(Reason::DigestMismatch) => {
                known.row.reason = Some(Reason::Refused);
            }
            _ => {}
        }
        Some(known)
    }
}

impl Store for Sabotaged {
    type Error = Infallible;

    fn rows(&mut self, queue: QueueNo, key: &Key) -> Answer<Vec<Known>> {
        let rows = self.memory.rows(queue, key)?;
        Ok(rows.into_iter().filter_map(|known| self.told(queue, known)).collect())
    }

    fn put(&mut self, run: RunNo, queue: QueueNo, key: &Key, row: &Row, at: i64) -> Answer<()> {
        let is_back = row.state == State::Sent
            && self.memory.rows(queue, key)?.iter().any(|known| known.run == run && known.row.state == State::Done);
        if is_back && self.off == Some(Safeguard::BackIsNotDone) {
            return Ok(());
        }
        self.memory.put(run, queue, key, row, at)
    }

    fn leases_of(&mut self, queue: QueueNo, key: &Key) -> Answer<Vec<Lease>> {
        if self.off == Some(Safeguard::EveryHandle) {
            return Ok(Vec::new());
        }
        self.memory.leases_of(queue, key)
    }

    fn begin_session(&mut self, spec: &RunSpec, source: QueueNo, at: i64) -> Answer<RunState> {
        let begun = self.memory.begin_session(spec, source, at)?;
        self.run = begun.run;
        if self.off == Some(Safeguard::RecoveryDoubts) {
            for (queue, key, state) in self.memory.open(begun.run)? {
                if matches!(state, State::Sending | State::Resending) {
                    self.memory.put_of_other_run(begun.run, queue, &key, State::Returned, at)?;
                }
            }
        }
        Ok(begun)
    }

    fn glance(&mut self, queue: QueueNo, key: &Key) -> Answer<Glance> {
        let glance = self.memory.glance(queue, key)?;
        let may_be_sent_as = glance.may_be_sent_as && self.off != Some(Safeguard::BackIsKnown);
        Ok(Glance { may_be_sent_as, ..glance })
    }

    fn queue_no(&mut self, arn: &str) -> Answer<QueueNo> {
        self.memory.queue_no(arn)
    }

    fn queue_arn(&mut self, queue: QueueNo) -> Answer<String> {
        self.memory.queue_arn(queue)
    }

    fn sends_as(&mut self, key: &Key) -> Answer<Vec<SentAs>> {
        self.memory.sends_as(key)
    }

    fn put_of_other_run(&mut self, run: RunNo, queue: QueueNo, key: &Key, state: State, at: i64) -> Answer<()> {
        self.memory.put_of_other_run(run, queue, key, state, at)
    }

    // What is told to people is not explored.
    fn note(&mut self, _: RunNo, _: QueueNo, _: &Key, _: &str) -> Answer<()> {
        Ok(())
    }

    fn open(&mut self, run: RunNo) -> Answer<Vec<(QueueNo, Key, State)>> {
        self.memory.open(run)
    }

    fn doubtful(&mut self, run: RunNo) -> Answer<Vec<(MessageId, Option<TargetId>)>> {
        self.memory.doubtful(run)
    }

    fn done_by(&mut self, run: RunNo, queue: QueueNo, rule: RuleId) -> Answer<Vec<Key>> {
        self.memory.done_by(run, queue, rule)
    }

    fn archived(&mut self, run: RunNo, target: TargetId) -> Answer<Vec<(QueueNo, Key, State)>> {
        self.memory.archived(run, target)
    }

    fn add_lease(&mut self, run: RunNo, queue: QueueNo, key: &Key, delivery: &Delivery, is_new: bool) -> Answer<()> {
        self.memory.add_lease(run, queue, key, delivery, is_new)
    }

    fn set_lease(
        &mut self,
        queue: QueueNo,
        key: &Key,
        receipt: &ReceiptHandle,
        until: Option<Timestamp>,
    ) -> Answer<()> {
        self.memory.set_lease(queue, key, receipt, until)
    }

    fn leases(&mut self, queue: QueueNo, which: Which, before: Timestamp, most: usize) -> Answer<Vec<Lease>> {
        self.memory.leases(queue, which, before, most)
    }

    fn leased(&mut self, queue: QueueNo, now: i64) -> Answer<Vec<Key>> {
        self.memory.leased(queue, now)
    }

    fn end_session(&mut self, run: RunNo, end: &SessionEnd, at: i64) -> Answer<()> {
        self.memory.end_session(run, end, at)
    }

    fn find_run(&mut self, name: &str) -> Answer<Option<RunRef>> {
        self.memory.find_run(name)
    }

    fn is_finished(&mut self, run: RunNo) -> Answer<bool> {
        self.memory.is_finished(run)
    }

    fn set_drained(&mut self, run: RunNo, drained: bool) -> Answer<()> {
        self.memory.set_drained(run, drained)
    }

    fn count_deleted_for_other(&mut self, run: RunNo) -> Answer<()> {
        self.memory.count_deleted_for_other(run)
    }

    fn tally(&mut self, run: RunNo) -> Answer<Tally> {
        self.memory.tally(run)
    }

    fn resolution(&mut self, run: RunNo, queue: QueueNo, key: &Key) -> Answer<Option<(Resolution, u32)>> {
        self.memory.resolution(run, queue, key)
    }

    fn note_resolution(
        &mut self,
        run: RunNo,
        queue: QueueNo,
        message: Option<(&Key, u32)>,
        resolve: &Resolve,
        at: i64,
    ) -> Answer<()> {
        self.memory.note_resolution(run, queue, message, resolve, at)
    }

    fn is_given_up(&mut self, run: RunNo) -> Answer<bool> {
        self.memory.is_given_up(run)
    }

    fn give_up(&mut self, run: RunNo, ended: Option<i64>) -> Answer<()> {
        self.memory.give_up(run, ended)
    }

    fn reopen(&mut self, run: RunNo, given_up: bool) -> Answer<()> {
        self.memory.reopen(run, given_up)
    }
}
