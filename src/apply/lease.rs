//! Leases: what we received stays invisible to others while it waits or until the run ends, and is given back then.
//! They are in the journal, not in memory, so that a run may keep more messages than it remembers, and the next session
//! can give back what a killed one held.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::batch::halves;
use super::parcel::stopped;
use super::shared::Shared;
use crate::retry;
use crate::sqs::{EntryFaultKind, Fault, MAX_BATCH, MAX_VISIBILITY};
use redrive_protocol::protocol::Lease;

/// Leases read from the journal at once.
const PAGE: usize = 1000;

/// Changes of visibility under way at once, where the job does not say.
const CONCURRENCY: usize = 16;

/// How many times the visibility timeout the first extension is.
const FIRST_EXTENSION: u32 = 5;

/// Extends leases that come near their end, until the messages are moved.
pub(super) async fn keep(shared: Arc<Shared>, mut moved: oneshot::Receiver<()>) {
    let visibility = shared.options.visibility;
    let pause = (visibility / 8).clamp(Duration::from_millis(200), Duration::from_secs(5));
    // Enough for a machine that is busy, with the shortest timeout too.
    let margin = (visibility / 3).clamp(Duration::from_secs(5), Duration::from_secs(15)) + pause;
    let mut more = false;
    loop {
        tokio::select! {
            biased;
            _ = &mut moved => return,
            () = tokio::time::sleep(if more { Duration::ZERO } else { pause }) => {}
        }
        // A process that is killed has at least said this much of what it cost.
        let effort = &shared.effort;
        shared.journaled(shared.journal.effort(effort.requests(), effort.elapsed_ms()).await);
        let now = shared.journal.now();
        let within = |time| now.checked_add(time).unwrap_or(Timestamp::MAX);
        let Some(mut due) = shared.journaled(shared.journal.leases(within(margin), PAGE).await) else { return };
        let full = due.len() == PAGE;
        if !due.len().is_multiple_of(MAX_BATCH) {
            // A request takes ten: the next ones to come near their end fill the last one.
            let most = due.len().next_multiple_of(MAX_BATCH);
            let Some(next) = shared.journaled(shared.journal.leases(within(visibility), most).await) else { return };
            due = next;
        }
        let not_extended = in_batches(&shared, due, Change::Extend).await.len();
        // A full page is followed by the next at once: with very many kept messages a pause for each would be too slow.
        more = full && not_extended == 0;
    }
}

/// Gives back everything that can be; says how many could not be. These keep their leases, for the next session to give back,
/// or come back by themselves.
pub(super) async fn release_all(shared: &Arc<Shared>) -> u64 {
    loop {
        let Some(leases) = shared.journaled(shared.journal.releasable(PAGE).await) else { return 0 };
        let count = leases.len();
        if in_batches(shared, leases, Change::Release).await.len() == count {
            // None is left, or none of those that are can be given back.
            let left = shared.journaled(shared.journal.releasable(usize::MAX).await).unwrap_or_default();
            return left.len() as u64;
        }
    }
}

/// Gives back what an earlier session had. What cannot be given back is waited for: it comes back by itself.
pub(super) async fn release(shared: &Arc<Shared>, leases: Vec<Lease>) {
    let not_released = in_batches(shared, leases, Change::Release).await;
    if let Some(last) = not_released.iter().map(|lease| lease.until).max() {
        shared.orphans.expect(last);
        let given_up = not_released.into_iter().map(|lease| (lease, None)).collect();
        shared.journaled(shared.journal.leased(given_up).await);
    }
}

/// What is to be done with a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// It is to go on.
    Extend,
    /// The message is given back at once.
    Release,
}

/// How much longer a message stays invisible, from now: several times the visibility timeout at first, since its handle is on disk and
/// no resume has to wait for it; later twice as long as it has been, so that one which stays long is extended seldom; never past
/// twelve hours from its receive. `None`: no longer at all.
fn extension(lease: &Lease, now: Timestamp, visibility: Duration) -> Option<Duration> {
    let age = Duration::try_from(now.duration_since(lease.received)).unwrap_or_default();
    let left = MAX_VISIBILITY.checked_sub(age + Duration::from_secs(5))?;
    let wanted = (age * 2).max(visibility.saturating_mul(FIRST_EXTENSION));
    // SQS takes whole seconds.
    Some(Duration::from_secs(wanted.min(left).as_secs())).filter(|extension| !extension.is_zero())
}

/// Changes the visibility of leases in batches, several at once, and notes the outcome. Gives those that could not be reached.
async fn in_batches(shared: &Arc<Shared>, leases: Vec<Lease>, what: Change) -> Vec<Lease> {
    let now = shared.journal.now();
    let (mut batches, mut ended): (Vec<(Duration, Vec<Lease>)>, Vec<Ended>) = (Vec::new(), Vec::new());
    for lease in leases {
        let timeout = match what {
            Change::Extend => extension(&lease, now, shared.options.visibility),
            Change::Release => Some(Duration::ZERO),
        };
        match timeout {
            None => ended.push((lease, None)),
            // One timeout serves a batch: the shortest, which is right for all.
            Some(timeout) => match batches.last_mut() {
                Some((shortest, batch)) if batch.len() < MAX_BATCH => {
                    *shortest = timeout.min(*shortest);
                    batch.push(lease);
                }
                _ => batches.push((timeout, vec![lease])),
            },
        }
    }
    let mut not_reached = Vec::new();
    let mut working = JoinSet::new();
    let mut batches = batches.into_iter();
    loop {
        while working.len() < shared.options.concurrency.unwrap_or(CONCURRENCY)
            && let Some((timeout, batch)) = batches.next()
        {
            working.spawn(change(Arc::clone(shared), what, timeout, batch));
        }
        let Some(joined) = working.join_next().await else { break };
        match joined {
            Ok((changes, left)) => {
                ended.extend(changes);
                not_reached.extend(left);
            }
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    shared.journaled(shared.journal.leased(ended).await);
    not_reached
}

/// A lease and its new end; `None`: it has none any more.
type Ended = (Lease, Option<Timestamp>);

/// Sets the visibility timeout of one batch. A message whose handle is refused is no longer ours; a batch that is refused as a whole
/// is halved until that one stands alone. The lease of one that could not be reached is given back as it is.
async fn change(shared: Arc<Shared>, what: Change, timeout: Duration, leases: Vec<Lease>) -> (Vec<Ended>, Vec<Lease>) {
    let (mut changes, mut not_reached) = (Vec::with_capacity(leases.len()), Vec::new());
    let mut work = VecDeque::from([(leases, 1)]);
    while let Some((batch, tries)) = work.pop_front() {
        if shared.source_lost.load(Ordering::Relaxed) {
            not_reached.extend(batch);
            continue;
        }
        // An extension is for the sake of a run that goes on.
        let may_again = tries < retry::MAX_TRIES && !(what == Change::Extend && shared.is_halting());
        let (mut batch, mut again, asked) = (batch, Vec::new(), shared.journal.now());
        if what == Change::Extend {
            // While it waited, it may have become somebody else's.
            batch.retain(|lease| asked < lease.until);
        }
        let until = SignedDuration::try_from(timeout).ok().filter(|timeout| !timeout.is_zero());
        let until = until.and_then(|timeout| asked.checked_add(timeout).ok());
        if let Some(until) = until {
            for lease in &batch {
                shared.holds.asks(&lease.id, until);
            }
        }
        let handles: Vec<_> = batch.iter().map(|lease| lease.receipt.clone()).collect();
        match shared.source.change_visibility(&handles, timeout).await {
            Ok(results) => {
                for (lease, result) in batch.into_iter().zip(results) {
                    match result {
                        Ok(()) => changes.extend(carried_out(&shared, lease, until)),
                        Err(fault) if fault.kind == EntryFaultKind::Sender => {
                            changes.push((refused(&shared, lease), None));
                        }
                        Err(_) if may_again => again.push(lease),
                        Err(_) => not_reached.push(lease),
                    }
                }
            }
            Err(error) if error.fault.is_transient() && may_again => again = batch,
            Err(error) if error.fault == Fault::Refused => match halves(batch) {
                Ok(halves) => halves.into_iter().rev().for_each(|half| work.push_front((half, tries))),
                Err(lease) => changes.push((refused(&shared, lease), None)),
            },
            Err(error) => {
                not_reached.extend(batch);
                match what {
                    Change::Release => drop(shared.source_lost.fetch_or(error.fault.is_transient(), Ordering::Relaxed)),
                    // What cannot be kept invisible would come back in the midst of the run, again and again.
                    Change::Extend if !error.fault.is_transient() => shared.fail(stopped(error)),
                    Change::Extend => {}
                }
            }
        }
        if !again.is_empty() {
            shared.retries.wait(tries).await;
            work.push_front((again, tries + 1));
        }
    }
    (changes, not_reached)
}

/// The new end of a lease that was changed. What was extended is ours without a gap if the answer came before the old end. Else
/// somebody else may have been given the message in between: the lease is over, and the message comes back by itself.
fn carried_out(shared: &Shared, lease: Lease, until: Option<Timestamp>) -> Option<Ended> {
    let Some(end) = until else { return Some((lease, None)) };
    if shared.journal.now() < lease.until {
        shared.holds.extended(&lease.id, end);
        return Some((lease, until));
    }
    shared.orphans.expect(end);
    None
}

/// A lease whose handle is refused. Its message is most likely visible or gone; where it is not, it comes back by itself, and
/// a run is not finished without it.
fn refused(shared: &Shared, lease: Lease) -> Lease {
    shared.orphans.expect(lease.until);
    lease
}

#[cfg(test)]
mod tests {
    use redrive_protocol::message::{MessageId, ReceiptHandle};

    use super::*;

    fn extended(age_secs: i64) -> Option<u64> {
        let received = Timestamp::from_second(1_000_000).ok()?;
        let lease = Lease { id: MessageId::new("m"), receipt: ReceiptHandle::new("r"), received, until: received };
        let now = Timestamp::from_second(1_000_000 + age_secs).ok()?;
        extension(&lease, now, Duration::from_mins(1)).map(|extension| extension.as_secs())
    }

    #[test]
    fn extensions_grow_and_end_at_twelve_hours() {
        assert_eq!(extended(40), Some(300), "five times a minute");
        assert_eq!(extended(600), Some(1200));
        assert_eq!(extended(11 * 3600), Some(3595));
        assert_eq!(extended(12 * 3600 - 6), Some(1));
        assert_eq!(extended(12 * 3600), None);
        assert_eq!(extended(13 * 3600), None);
        assert_eq!(extended(-60), Some(300), "a clock that went back");
    }

    #[test]
    fn one_extension_lasts_for_five_minutes_and_four_for_an_hour() {
        // As `keep` looks at them: fifteen seconds and a pause before the end.
        let extensions = |held_secs: i64| {
            let (mut age, mut count) = (60 - 20, 0);
            while age < held_secs {
                age += i64::try_from(extended(age).unwrap()).unwrap() - 20;
                count += 1;
            }
            count
        };
        assert_eq!([30, 60, 5 * 60, 60 * 60].map(extensions), [0, 1, 1, 4]);
    }
}
