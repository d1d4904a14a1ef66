//! Deleting from the source what is proven to be elsewhere. A delete can be made again without harm, so it is, until it is
//! answered or the run gives up; what was not deleted is deleted by the next session, or when it comes back.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::deliver::stopped;
use super::limits::Place;
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
}

/// Batches of what an earlier session left to be deleted.
pub(super) fn batches(sent: Vec<Sent>) -> Vec<Vec<Removal>> {
    let mut batches: Vec<Vec<Removal>> = Vec::with_capacity(sent.len().div_ceil(MAX_BATCH));
    for sent in sent {
        match batches.last_mut() {
            Some(batch) if batch.len() < MAX_BATCH => batch.push(Removal { sent, place: None }),
            _ => batches.push(vec![Removal { sent, place: None }]),
        }
    }
    batches
}

pub(super) async fn remove_owned(shared: Arc<Shared>, batch: Vec<Removal>) {
    remove(&shared, batch).await;
}

/// Deletes a batch and notes how it ended, again where a message was delivered anew meanwhile.
pub(super) async fn remove(shared: &Shared, batch: Vec<Removal>) {
    // The places are kept until all of it is noted.
    let (mut left, _places): (Vec<Sent>, Vec<Option<Place>>) =
        batch.into_iter().map(|Removal { sent, place }| (sent, place)).unzip();
    while !left.is_empty() {
        let ends = delete(shared, left).await;
        left = shared.journaled(shared.journal.deleted(ends).await).unwrap_or_default();
    }
}

/// Deletes until each message has an end.
async fn delete(shared: &Shared, mut left: Vec<Sent>) -> Vec<(Sent, DeleteEnd)> {
    let mut ends = Vec::with_capacity(left.len());
    let mut tries = 1;
    while !left.is_empty() {
        // Nothing is deleted whose line may be gone from its archive.
        if shared.source_lost.load(Ordering::Relaxed) || !shared.archives_hold() {
            ends.extend(left.into_iter().map(|sent| (sent, DeleteEnd::Unknown)));
            break;
        }
        let answer = shared.source.delete(&left).await;
        let sent = std::mem::take(&mut left);
        match answer {
            Ok(results) => {
                for (sent, result) in sent.into_iter().zip(results) {
                    match result {
                        Ok(()) => ends.push((sent, DeleteEnd::Confirmed)),
                        Err(fault) if fault.kind == EntryFaultKind::Sender => {
                            ends.push((sent, DeleteEnd::HandleRefused));
                        }
                        Err(_) if tries >= retry::MAX_TRIES => ends.push((sent, DeleteEnd::Unknown)),
                        Err(_) => left.push(sent),
                    }
                }
            }
            Err(error)
                if (error.fault.is_transient() || error.fault == Fault::OverLimit) && tries < retry::MAX_TRIES =>
            {
                shared.hands.deletes.heed(error.fault);
                left = sent;
            }
            Err(error) => {
                shared.source_lost.fetch_or(error.fault.is_transient(), Ordering::Relaxed);
                shared.fail(stopped(error));
                ends.extend(sent.into_iter().map(|sent| (sent, DeleteEnd::Unknown)));
            }
        }
        if !left.is_empty() {
            shared.retries.wait(tries).await;
            tries += 1;
        }
    }
    ends
}
