//! Deleting from the source what is proven to be elsewhere. A delete can be made again without harm, so it is, until it is
//! answered or the run gives up; what was not deleted is deleted by the next session, or when it comes back.

use std::sync::Arc;

use super::deliver::stopped;
use super::limits::Place;
use super::retry;
use super::shared::Shared;
use crate::journal::{DeleteEnd, Sent};
use crate::sqs::{EntryFaultKind, Fault, MAX_BATCH};

/// A message to delete, with its place in the pipeline.
#[derive(Debug)]
pub(super) struct Removal {
    pub(super) sent: Sent,
    pub(super) _place: Option<Place>,
}

/// Batches of what an earlier session left to be deleted.
pub(super) fn batches(sent: Vec<Sent>) -> Vec<Vec<Removal>> {
    let mut batches: Vec<Vec<Removal>> = Vec::with_capacity(sent.len().div_ceil(MAX_BATCH));
    for sent in sent {
        match batches.last_mut() {
            Some(batch) if batch.len() < MAX_BATCH => batch.push(Removal { sent, _place: None }),
            _ => batches.push(vec![Removal { sent, _place: None }]),
        }
    }
    batches
}

pub(super) async fn remove_owned(shared: Arc<Shared>, batch: Vec<Removal>) {
    remove(&shared, batch).await;
}

/// Deletes a batch and notes how it ended.
pub(super) async fn remove(shared: &Shared, batch: Vec<Removal>) {
    let (mut left, _places): (Vec<Sent>, Vec<Option<Place>>) =
        batch.into_iter().map(|Removal { sent, _place }| (sent, _place)).unzip();
    let mut ends: Vec<(Sent, DeleteEnd)> = Vec::with_capacity(left.len());
    let mut tries = 1;
    while !left.is_empty() {
        let answer = shared.source.delete(&left).await;
        let sent = std::mem::take(&mut left);
        match answer {
            Ok(results) => {
                for (sent, result) in sent.into_iter().zip(results) {
                    match result {
                        Ok(()) => ends.push((sent, DeleteEnd::Confirmed)),
                        Err(fault) if fault.kind == EntryFaultKind::Sender => {
                            ends.push((sent, DeleteEnd::HandleRefused))
                        }
                        Err(_) if tries >= retry::MAX_TRIES => ends.push((sent, DeleteEnd::Unknown)),
                        Err(_) => left.push(sent),
                    }
                }
            }
            Err(error)
                if (error.fault.is_transient() || error.fault == Fault::OverLimit) && tries < retry::MAX_TRIES =>
            {
                left = sent;
            }
            Err(error) => {
                shared.fail(stopped(error));
                ends.extend(sent.into_iter().map(|sent| (sent, DeleteEnd::Unknown)));
            }
        }
        if !left.is_empty() {
            retry::wait(tries).await;
            tries += 1;
        }
    }
    shared.journaled(shared.journal.deleted(ends).await);
}
