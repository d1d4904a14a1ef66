//! Delivering a batch to its target, and putting on disk how that ended. What the destination did not surely take is never
//! counted as sent; what it may have taken is in doubt.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use redrive_protocol::protocol::{Doubt, SendEnd};
use redrive_protocol::target::{Reason, TargetId};
use tokio::sync::mpsc::Sender;

use super::batch::halves;
use super::hands::Hands;
use super::outlets::Outlet;
use super::parcel::{Content, Ended, Parcel, Ticket, sealed, stopped};
use super::remove::Removal;
use super::settle::conclude;
use super::shared::Shared;
use super::{archive, offload};
use crate::retry;
use crate::sqs::{EntryFaultKind, Fault, Queue};

/// Delivers a batch to its target, then whatever of their groups may go next.
pub(super) async fn deliver(shared: Arc<Shared>, target: TargetId, parcels: Vec<Parcel>, removals: Sender<Removal>) {
    let mut work = VecDeque::from([(target, parcels, 0)]);
    while let Some((target, parcels, doubts)) = work.pop_front() {
        // What is parked, or comes back, does not leave.
        let leaving = parcels.iter().filter(|parcel| !parcel.ticket.rule.is_parking()).count();
        let may_leave = async {
            shared.outflow.pass(leaving).await;
            shared.guards.valve.may_send().await;
        };
        tokio::select! {
            biased;
            () = may_leave => {}
            () = shared.halting() => {}
        }
        let mut written = None;
        let ended = if shared.is_halting() {
            withdrawn(parcels).collect()
        } else {
            let at = usize::from(target.0);
            match shared.outlets.get(at).zip(shared.hands.targets.get(at)) {
                Some((Outlet::Queue { queue, .. } | Outlet::Park { queue, .. }, hands)) => {
                    let (parcels, mut ended) = offload::put(&shared, hands, parcels).await;
                    ended.extend(send(&shared, queue.as_ref(), hands, parcels).await);
                    ended
                }
                Some((Outlet::Bucket(bucket), hands)) => {
                    let (sealed, mut ended) = sealed(parcels);
                    ended.extend(archive::put(&shared, bucket.as_ref(), hands, sealed).await);
                    ended
                }
                Some((Outlet::File(file), _)) => {
                    let mut ended = Vec::new();
                    let (sealed, others) = sealed(ours(&shared, parcels, &mut ended));
                    ended.extend(others);
                    let (appended, piece) = archive::append(&shared, file, sealed).await;
                    written = piece;
                    ended.extend(appended);
                    ended
                }
                Some((Outlet::Drop, _)) | None => withdrawn(parcels).collect(),
            }
        };
        let Some((next, again)) = conclude(&shared, ended, written, doubts + 1, &removals).await else { return };
        let mut by_target: BTreeMap<TargetId, Vec<Parcel>> = BTreeMap::new();
        for parcel in next {
            by_target.entry(parcel.ticket.target).or_default().push(parcel);
        }
        work.extend(by_target.into_iter().map(|(target, parcels)| (target, parcels, 0)));
        if !again.is_empty() {
            shared.retries.wait(doubts + 1).await;
            work.push_front((target, again, doubts + 1));
        }
    }
}

fn withdrawn(parcels: Vec<Parcel>) -> impl Iterator<Item = Ended> {
    parcels.into_iter().map(|parcel| (parcel, SendEnd::Withdrawn))
}

/// Takes out what may no longer be ours. To be asked right before each request: whatever comes between is time in which somebody
/// else may be given the message.
fn ours(shared: &Shared, parcels: Vec<Parcel>, ended: &mut Vec<Ended>) -> Vec<Parcel> {
    let now = shared.journal.now();
    let (ours, lapsed): (Vec<_>, Vec<_>) = parcels.into_iter().partition(|parcel| parcel.ticket.hold.is_sure(now));
    ended.extend(lapsed.into_iter().map(|parcel| (parcel, SendEnd::Lapsed)));
    ours
}

/// Whether it was to be sent once more because its queue would know the deduplication ID, and has waited too long for that:
/// it is in doubt as before, and decided about anew.
fn is_late(shared: &Shared, parcel: &Parcel) -> bool {
    let Ticket { intended, target, .. } = &parcel.ticket;
    let doubt = Doubt::of_intended(intended, shared.journal.now());
    doubt.is_some_and(|doubt| !shared.may_resend(*target, Some(&parcel.content), doubt))
}

/// Sends parcels to a queue until each has an end: entries that the service could not take are tried again, batches that
/// are refused as a whole are halved until the offending message stands alone.
async fn send(shared: &Shared, queue: &dyn Queue, hands: &Hands, parcels: Vec<Parcel>) -> Vec<Ended> {
    let mut ended = Vec::with_capacity(parcels.len());
    if parcels.is_empty() {
        return ended;
    }
    let mut work = VecDeque::from([(parcels, 1)]);
    while let Some((batch, tries)) = work.pop_front() {
        if tries > 1 && shared.is_halting() {
            ended.extend(withdrawn(batch));
            continue;
        }
        let (late, batch): (Vec<_>, Vec<_>) = batch.into_iter().partition(|parcel| is_late(shared, parcel));
        ended.extend(withdrawn(late));
        let batch = ours(shared, batch, &mut ended);
        if batch.is_empty() {
            continue;
        }
        let (mut entries, mut tickets) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        for Parcel { content, ticket } in batch {
            match content {
                Content::Message(outgoing) => {
                    entries.push(outgoing);
                    tickets.push(ticket);
                }
                // The rules give a queue nothing else.
                envelope @ Content::Envelope { .. } => {
                    ended.push((Parcel { content: envelope, ticket }, SendEnd::Withdrawn));
                }
            }
        }
        let answer = queue.send(&entries).await;
        let parcels =
            entries.into_iter().zip(tickets).map(|(entry, ticket)| Parcel { content: Content::Message(entry), ticket });
        let mut again = Vec::new();
        match answer {
            Ok(results) => {
                for (parcel, result) in parcels.zip(results) {
                    let end = match result {
                        Ok(acknowledged) => SendEnd::Acknowledged(Some(acknowledged.message_id)),
                        Err(fault) => {
                            let words = said(shared, &parcel, &format!("{}: {}", fault.code, fault.message));
                            match fault.kind {
                                EntryFaultKind::Service if tries < retry::MAX_TRIES => {
                                    again.push(parcel);
                                    continue;
                                }
                                EntryFaultKind::Sender | EntryFaultKind::Service => {
                                    SendEnd::Refused(Reason::Refused, words)
                                }
                                EntryFaultKind::DigestMismatch => SendEnd::Refused(Reason::DigestMismatch, words),
                                EntryFaultKind::Unanswered => SendEnd::AnswerLost,
                            }
                        }
                    };
                    ended.push((parcel, end));
                }
            }
            Err(error) => match error.fault {
                Fault::NoAnswer => ended.extend(parcels.map(|parcel| (parcel, SendEnd::AnswerLost))),
                Fault::Throttled | Fault::Unreachable | Fault::OverLimit if tries < retry::MAX_TRIES => {
                    shared.heed(hands, error.fault);
                    again = parcels.collect();
                }
                Fault::TooLong | Fault::Refused => match halves(parcels.collect()) {
                    Ok(halves) => halves.into_iter().rev().for_each(|half| work.push_front((half, tries))),
                    Err(parcel) => {
                        let words = said(shared, &parcel, &error.to_string());
                        ended.push((parcel, SendEnd::Refused(Reason::Refused, words)));
                    }
                },
                _ => {
                    shared.fail(stopped(error));
                    ended.extend(parcels.map(|parcel| (parcel, SendEnd::Withdrawn)));
                }
            },
        }
        if !again.is_empty() {
            shared.retries.wait(tries).await;
            work.push_front((again, tries + 1));
        }
    }
    ended
}

/// A destination's words about a message, as they may be noted: it may have quoted what the job redacts.
fn said(shared: &Shared, parcel: &Parcel, words: &str) -> String {
    match &parcel.content {
        Content::Message(outgoing) => shared.rules.veil([(outgoing.body.as_str(), &outgoing.attributes)]).text(words),
        Content::Envelope { .. } => words.to_owned(),
    }
}
