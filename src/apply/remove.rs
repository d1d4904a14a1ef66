//! Deleting from the source what is proven to be elsewhere. A delete can be made again without harm, so it is, until it is
//! answered or the run gives up; what was not deleted is deleted by the next session, or when it comes back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::batch::halves;
use super::hold::Hold;
use super::parcel::stopped;
use super::room::Place;
use super::shared::Shared;
use crate::retry;
use crate::sqs::{EntryFaultKind, Fault, MAX_BATCH};
use redrive_protocol::protocol::{DeleteEnd, Sent};

/// A message to delete, with its place in the pipeline.
#[derive(Debug)]
pub(super) struct Removal {
    pub(super) sent: Sent,
    /// `None` for what an earlier session left.
    pub(super) place: Option<Place>,
    /// The same; so that another delivery of it is known to be taken care of.
    pub(super) hold: Option<Hold>,
}

/// Batches of what an earlier session left to be deleted.
pub(super) fn batches(sent: Vec<Sent>) -> Vec<Vec<Removal>> {
    let mut batches: Vec<Vec<Removal>> = Vec::with_capacity(sent.len().div_ceil(MAX_BATCH));
    for sent in sent {
        match batches.last_mut() {
            Some(batch) if batch.len() < MAX_BATCH => batch.push(Removal { sent, place: None, hold: None }),
            _ => batches.push(vec![Removal { sent, place: None, hold: None }]),
        }
    }
    batches
}

pub(super) async fn remove_owned(shared: Arc<Shared>, batch: Vec<Removal>) {
    remove(&shared, batch).await;
}

/// Deletes a batch and notes how it ended, again where a message was delivered anew meanwhile.
pub(super) async fn remove(shared: &Shared, batch: Vec<Removal>) {
    // Places and holds are kept until all of it is noted.
    let (mut left, kept): (Vec<Sent>, Vec<_>) =
        batch.into_iter().map(|Removal { sent, place, hold }| (sent, (place, hold))).unzip();
    // A receive whose answer was lost, or will turn out to be, may have delivered one of these once more. Then our handle is an older
    // one: the delete may have answered success without deleting anything, and what extended the lease keeps the message invisible
    // until that ends.
    let waits_for_them = || {
        if let Some(last) = kept.iter().filter_map(|(_, hold)| hold.as_ref().map(Hold::asked_until)).max() {
            shared.orphans.removes(last);
            if shared.orphans.are_expected() {
                shared.orphans.expect(last);
            }
        }
    };
    waits_for_them();
    while !left.is_empty() {
        let ends = delete(shared, left).await;
        left = shared.journaled(shared.journal.deleted(ends).await).unwrap_or_default();
    }
    // Their leases may have been extended meanwhile.
    waits_for_them();
}

/// Deletes until each message has an end: entries that the service could not take are tried again, batches that are refused as a
/// whole are halved until the offending message stands alone.
async fn delete(shared: &Shared, sent: Vec<Sent>) -> Vec<(Sent, DeleteEnd)> {
    let mut ends = Vec::with_capacity(sent.len());
    let mut work = VecDeque::from([(sent, 1)]);
    while let Some((batch, tries)) = work.pop_front() {
        // Nothing is deleted whose line may be gone from its archive.
        if shared.source_lost.load(Ordering::Relaxed) || !shared.archives_hold() {
            ends.extend(batch.into_iter().map(|sent| (sent, DeleteEnd::Unknown)));
            continue;
        }
        let mut again = Vec::new();
        match shared.source.delete(&batch).await {
            Ok(results) => {
                for (sent, result) in batch.into_iter().zip(results) {
                    match result {
                        Ok(()) => ends.push((sent, DeleteEnd::Confirmed)),
                        Err(fault) if fault.kind == EntryFaultKind::Sender => {
                            ends.push((sent, DeleteEnd::HandleRefused));
                        }
                        Err(_) if tries >= retry::MAX_TRIES => ends.push((sent, DeleteEnd::Unknown)),
                        Err(_) => again.push(sent),
                    }
                }
            }
            Err(error)
                if (error.fault.is_transient() || error.fault == Fault::OverLimit) && tries < retry::MAX_TRIES =>
            {
                shared.heed(&shared.hands.deletes, error.fault);
                again = batch;
            }
            Err(error) if error.fault == Fault::Refused => match halves(batch) {
                Ok(halves) => halves.into_iter().rev().for_each(|half| work.push_front((half, tries))),
                Err(sent) => ends.push((sent, DeleteEnd::HandleRefused)),
            },
            Err(error) => {
                shared.source_lost.fetch_or(error.fault.is_transient(), Ordering::Relaxed);
                shared.fail(stopped(error));
                ends.extend(batch.into_iter().map(|sent| (sent, DeleteEnd::Unknown)));
            }
        }
        if !again.is_empty() {
            shared.retries.wait(tries).await;
            work.push_front((again, tries + 1));
        }
    }
    ends
}
