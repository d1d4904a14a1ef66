//! A store in memory: the plainest writing of what a [`Store`] is, which other stores are held against, and which the model
//! checker explores.

use std::collections::BTreeMap;
use std::convert::Infallible;

use jiff::Timestamp;

use super::ends::SessionEnd;
use super::key::Key;
use super::numbers::{QueueNo, RunNo};
use super::resolve::ABANDONED;
use super::state::State;
use super::store::{Glance, Known, Row, RunRef, RunState, SentAs, Store, Which};
use super::tally::Tally;
use super::words::{Delivery, Lease, Resolution, Resolve, RunSpec};
use crate::message::{MessageId, ReceiptHandle};
use crate::target::{Reason, RuleId, TargetId};

type Place = (QueueNo, Key, RunNo);

/// A store that is gone with the process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct MemoryStore {
    /// ARNs by number.
    queues: Vec<String>,
    /// Runs by number.
    runs: Vec<Run>,
    /// Rows, each with the time of its last change.
    rows: BTreeMap<Place, (Row, i64)>,
    notes: BTreeMap<Place, String>,
    /// In the order in which they were noted.
    leases: Vec<(QueueNo, Key, Held)>,
    /// What was decided about messages, and how many doubts each decision settled.
    resolutions: BTreeMap<Place, (Resolution, u32)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, as in a table")]
struct Run {
    name: String,
    source: QueueNo,
    in_session: bool,
    drained: bool,
    given_up: bool,
    ended: bool,
    outcome: Option<String>,
    requests: u64,
    elapsed_ms: u64,
    deleted_for_others: u64,
}

/// A lease as it is kept. Times in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Held {
    handle: String,
    received: i64,
    until: i64,
}

impl Held {
    fn lease(&self, key: &Key) -> Lease {
        let time = |millis| Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH);
        let receipt = ReceiptHandle::new(self.handle.as_str());
        Lease { id: key.id(), receipt, received: time(self.received), until: time(self.until) }
    }
}

fn number(position: usize) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

impl MemoryStore {
    fn run(&mut self, run: RunNo) -> Option<&mut Run> {
        self.runs.get_mut(usize::try_from(run.0).unwrap_or(usize::MAX))
    }

    /// What the runs know of a message, and since when.
    pub(super) fn of<'a>(&'a self, queue: QueueNo, key: &Key) -> impl Iterator<Item = (RunNo, &'a Row, i64)> + use<'a> {
        let (first, last) = ((queue, key.clone(), RunNo(i64::MIN)), (queue, key.clone(), RunNo(i64::MAX)));
        self.rows.range(first..=last).map(|((.., run), (row, at))| (*run, row, *at))
    }

    /// The handles of a message, each with the time until which it lasts.
    #[cfg(test)]
    pub(super) fn handles_of(&self, queue: QueueNo, key: Key) -> impl Iterator<Item = (&str, i64)> {
        let of = self.leases.iter().filter(move |lease| (lease.0, &lease.1) == (queue, &key));
        of.map(|(.., held)| (held.handle.as_str(), held.until))
    }

    /// As if the time of a handle had run out at this time.
    #[cfg(test)]
    pub(super) fn end_lease(&mut self, queue: QueueNo, key: &Key, receipt: &ReceiptHandle, at: i64) {
        let is_it =
            |lease: &&mut (QueueNo, Key, Held)| (lease.0, &lease.1, &*lease.2.handle) == (queue, key, receipt.as_str());
        for (.., held) in self.leases.iter_mut().filter(is_it) {
            (held.received, held.until) = (at - 1, at);
        }
    }

    fn of_run(&self, run: RunNo) -> impl Iterator<Item = (&Place, &Row)> {
        self.rows.iter().filter(move |(place, _)| place.2 == run).map(|(place, (row, _))| (place, row))
    }
}

impl Store for MemoryStore {
    type Error = Infallible;

    fn queue_no(&mut self, arn: &str) -> Result<QueueNo, Infallible> {
        let position = self.queues.iter().position(|known| known == arn).unwrap_or_else(|| {
            self.queues.push(arn.to_owned());
            self.queues.len() - 1
        });
        Ok(QueueNo(number(position)))
    }

    fn queue_arn(&mut self, queue: QueueNo) -> Result<String, Infallible> {
        let arn = usize::try_from(queue.0).ok().and_then(|position| self.queues.get(position));
        Ok(arn.cloned().unwrap_or_default())
    }

    fn glance(&mut self, queue: QueueNo, key: &Key) -> Result<Glance, Infallible> {
        Ok(Glance {
            is_leased: self.leases.iter().any(|lease| (lease.0, &lease.1) == (queue, key)),
            may_be_known: self.of(queue, key).next().is_some(),
            may_be_sent_as: self.rows.values().any(|(row, _)| row.sent_as.as_ref() == Some(key)),
        })
    }

    fn rows(&mut self, queue: QueueNo, key: &Key) -> Result<Vec<Known>, Infallible> {
        let known = self.of(queue, key).map(|(run, row, at)| {
            let settled = match self.resolutions.get(&(queue, key.clone(), run)) {
                Some((Resolution::Resend, doubts)) => *doubts,
                _ => 0,
            };
            Known { run, row: row.clone(), at, settled_doubts: settled }
        });
        Ok(known.collect())
    }

    fn sends_as(&mut self, key: &Key) -> Result<Vec<SentAs>, Infallible> {
        let sends = self.rows.iter().filter(|(_, (row, _))| row.sent_as.as_ref() == Some(key));
        Ok(sends.map(|(place, (row, _))| SentAs { run: place.2, rule: row.rule, origin: row.origin }).collect())
    }

    fn put(&mut self, run: RunNo, queue: QueueNo, key: &Key, row: &Row, at: i64) -> Result<(), Infallible> {
        self.rows.insert((queue, key.clone(), run), (row.clone(), at));
        Ok(())
    }

    fn put_of_other_run(
        &mut self,
        run: RunNo,
        queue: QueueNo,
        key: &Key,
        state: State,
        at: i64,
    ) -> Result<(), Infallible> {
        if let Some((row, changed)) = self.rows.get_mut(&(queue, key.clone(), run)) {
            (row.state, *changed) = (state, at);
        }
        Ok(())
    }

    fn note(&mut self, run: RunNo, queue: QueueNo, key: &Key, text: &str) -> Result<(), Infallible> {
        self.notes.insert((queue, key.clone(), run), text.to_owned());
        Ok(())
    }

    fn open(&mut self, run: RunNo) -> Result<Vec<(QueueNo, Key, State)>, Infallible> {
        let open = self.of_run(run).filter(|(_, row)| row.state.is_open());
        Ok(open.map(|((queue, key, _), row)| (*queue, key.clone(), row.state)).collect())
    }

    fn doubtful(&mut self, run: RunNo) -> Result<Vec<(MessageId, Option<TargetId>)>, Infallible> {
        let is_doubtful = |row: &Row| row.doubts > 0 && !matches!(row.state, State::Sent | State::Done);
        let doubtful = self.of_run(run).filter(|(_, row)| is_doubtful(row));
        Ok(doubtful.map(|((_, key, _), row)| (key.id(), row.target)).collect())
    }

    fn done_by(&mut self, run: RunNo, queue: QueueNo, rule: RuleId) -> Result<Vec<Key>, Infallible> {
        let such = |place: &Place, row: &Row| place.0 == queue && row.rule == rule && row.state == State::Done;
        Ok(self.of_run(run).filter(|(place, row)| such(place, row)).map(|(place, _)| place.1.clone()).collect())
    }

    fn archived(&mut self, run: RunNo, target: TargetId) -> Result<Vec<(QueueNo, Key, State)>, Infallible> {
        let is_lost = |row: &Row| row.state == State::Failed && row.reason == Some(Reason::ArchiveLost);
        let is_sent =
            |row: &Row| row.target == Some(target) && (matches!(row.state, State::Sent | State::Done) || is_lost(row));
        let is_decided = |place: &Place| matches!(self.resolutions.get(place), Some((Resolution::Discard, _)));
        let archived = self.of_run(run).filter(|(place, row)| is_sent(row) && !is_decided(place));
        Ok(archived.map(|((queue, key, _), row)| (*queue, key.clone(), row.state)).collect())
    }

    fn leases_of(&mut self, queue: QueueNo, key: &Key) -> Result<Vec<Lease>, Infallible> {
        let of = self.leases.iter().rev().filter(|lease| (lease.0, &lease.1) == (queue, key));
        let mut leases: Vec<_> = of.map(|(_, key, held)| held.lease(key)).collect();
        leases.sort_by_key(|lease| std::cmp::Reverse(lease.received));
        Ok(leases)
    }

    fn add_lease(
        &mut self,
        _: RunNo,
        queue: QueueNo,
        key: &Key,
        delivery: &Delivery,
        _: bool,
    ) -> Result<(), Infallible> {
        let (received, until) = (delivery.received.as_millisecond(), delivery.until.as_millisecond());
        let held = Held { handle: delivery.receipt.as_str().to_owned(), received, until };
        self.leases.push((queue, key.clone(), held));
        Ok(())
    }

    fn set_lease(
        &mut self,
        queue: QueueNo,
        key: &Key,
        receipt: &ReceiptHandle,
        until: Option<Timestamp>,
    ) -> Result<(), Infallible> {
        let is_it = |lease: &(QueueNo, Key, Held)| {
            (lease.0, &lease.1, lease.2.handle.as_str()) == (queue, key, receipt.as_str())
        };
        match until {
            None => self.leases.retain(|lease| !is_it(lease)),
            Some(until) => {
                self.leases
                    .iter_mut()
                    .filter(|lease| is_it(lease))
                    .for_each(|lease| lease.2.until = until.as_millisecond());
            }
        }
        Ok(())
    }

    fn leases(
        &mut self,
        queue: QueueNo,
        which: Which,
        before: Timestamp,
        most: usize,
    ) -> Result<Vec<Lease>, Infallible> {
        let is_asked_for = |key: &Key, held: &Held| match which {
            Which::All => true,
            Which::Releasable => !self.of(queue, key).any(|(_, row, _)| row.state == State::Sent),
            Which::Extendable(run, now) => {
                let newer = |row: &Row| row.reason == Some(Reason::SentTooLate);
                held.until > now && !self.of(queue, key).any(|(of, row, _)| of == run && newer(row))
            }
        };
        let due = self
            .leases
            .iter()
            .filter(|(of, key, held)| *of == queue && held.until < before.as_millisecond() && is_asked_for(key, held));
        let mut due: Vec<_> = due.map(|(_, key, held)| held.lease(key)).collect();
        due.sort_by_key(|lease| lease.until);
        due.truncate(most);
        Ok(due)
    }

    fn leased(&mut self, queue: QueueNo, now: i64) -> Result<Vec<Key>, Infallible> {
        let last = self.leases.iter().filter(|lease| lease.0 == queue && lease.2.until > now);
        let mut keys: Vec<_> = last.map(|lease| lease.1.clone()).collect();
        keys.sort();
        keys.dedup();
        Ok(keys)
    }

    fn begin_session(&mut self, spec: &RunSpec, source: QueueNo, _: i64) -> Result<RunState, Infallible> {
        let interrupted = self.runs.iter().any(|run| run.source == source && run.in_session);
        let found = self.runs.iter().position(|run| run.name == spec.name);
        let position = found.unwrap_or_else(|| {
            self.runs.push(Run {
                name: spec.name.clone(),
                source,
                in_session: false,
                drained: false,
                given_up: false,
                ended: false,
                outcome: None,
                requests: 0,
                elapsed_ms: 0,
                deleted_for_others: 0,
            });
            self.runs.len() - 1
        });
        for (at, run) in self.runs.iter_mut().enumerate().filter(|(_, run)| run.source == source) {
            run.in_session = at == position;
        }
        let run = &mut self.runs[position];
        (run.ended, run.outcome) = (false, None);
        Ok(RunState {
            run: RunNo(number(position)),
            is_new: found.is_none(),
            interrupted,
            drained: run.drained,
            given_up: run.given_up,
            requests: run.requests,
            elapsed_ms: run.elapsed_ms,
        })
    }

    fn end_session(&mut self, run: RunNo, end: &SessionEnd, _: i64) -> Result<(), Infallible> {
        if let Some(run) = self.run(run) {
            (run.ended, run.outcome, run.in_session) = (end.finished, Some(end.outcome.clone()), end.has_orphans);
            (run.requests, run.elapsed_ms) = (end.totals.requests, end.totals.elapsed_ms);
        }
        Ok(())
    }

    fn find_run(&mut self, name: &str) -> Result<Option<RunRef>, Infallible> {
        let found = self.runs.iter().enumerate().find(|(_, run)| run.name == name);
        Ok(found.map(|(position, run)| RunRef {
            run: RunNo(number(position)),
            source: run.source,
            ended: run.ended,
            outcome: run.outcome.clone(),
        }))
    }

    fn is_finished(&mut self, run: RunNo) -> Result<bool, Infallible> {
        Ok(self.run(run).is_some_and(|run| run.ended))
    }

    fn set_drained(&mut self, run: RunNo, drained: bool) -> Result<(), Infallible> {
        if let Some(run) = self.run(run) {
            run.drained = drained;
        }
        Ok(())
    }

    fn count_deleted_for_other(&mut self, run: RunNo) -> Result<(), Infallible> {
        if let Some(run) = self.run(run) {
            run.deleted_for_others += 1;
        }
        Ok(())
    }

    fn tally(&mut self, run: RunNo) -> Result<Tally, Infallible> {
        let deleted_for_other_runs = self.run(run).map_or(0, |run| run.deleted_for_others);
        let mut tally = Tally { deleted_for_other_runs, ..Tally::default() };
        for (_, row) in self.of_run(run) {
            *tally.counts.entry(row.key()).or_default() += 1;
            tally.doubted += u64::from(row.doubts > 0);
        }
        Ok(tally)
    }

    fn resolution(&mut self, run: RunNo, queue: QueueNo, key: &Key) -> Result<Option<(Resolution, u32)>, Infallible> {
        Ok(self.resolutions.get(&(queue, key.clone(), run)).copied())
    }

    fn note_resolution(
        &mut self,
        run: RunNo,
        queue: QueueNo,
        message: Option<(&Key, u32)>,
        resolve: &Resolve,
        _: i64,
    ) -> Result<(), Infallible> {
        match message {
            Some((key, doubts)) => {
                self.resolutions.insert((queue, key.clone(), run), (resolve.resolution, doubts));
            }
            None => {
                if let Some(run) = self.run(run) {
                    run.given_up = true;
                }
            }
        }
        Ok(())
    }

    fn is_given_up(&mut self, run: RunNo) -> Result<bool, Infallible> {
        Ok(self.run(run).is_some_and(|run| run.given_up))
    }

    fn give_up(&mut self, run: RunNo, ended: Option<i64>) -> Result<(), Infallible> {
        if let Some(run) = self.run(run) {
            (run.ended, run.outcome) = (ended.is_some(), Some(ABANDONED.to_owned()));
        }
        Ok(())
    }

    fn reopen(&mut self, run: RunNo, given_up: bool) -> Result<(), Infallible> {
        let Some(run) = self.run(run) else { return Ok(()) };
        match run.outcome.as_deref() {
            Some("finished") => (run.ended, run.outcome) = (false, Some("unfinished".to_owned())),
            Some(ABANDONED) if given_up => run.ended = false,
            _ => {}
        }
        Ok(())
    }
}
