//! Receiving and judging: takes messages from the source, asks the journal what is known of each, judges, puts the
//! decisions on disk, and hands what is to be sent to its lane. Decides when the source is dry.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc::Sender;
use tokio::time::timeout;

use super::deliver::{Content, Parcel, Ticket, resumable, stopped};
use super::events::Event;
use super::gate::Enter;
use super::limits::{Leave, Place};
use super::remove::Removal;
use super::shared::{Halt, Shared};
use super::{Doubt, retry};
use crate::journal::{Admitted, Claim, Decided, Delivery, Judged, Judgement, SendEnd, Settlement, Stay};
use crate::message::{Message, Received};
use crate::rule::Decision;
use crate::sqs::{Fault, MAX_BATCH, MAX_IN_FLIGHT};
use crate::target::{Reason, RuleId};

/// How long one receive waits for messages. A long poll asks all of SQS's servers, so that an empty answer means something.
const WAIT: Duration = Duration::from_secs(1);

/// How many messages one receive may give: [`MAX_BATCH`], as the room counts.
const MAX_RECEIVED: u32 = 10;
const _: () = assert!(MAX_RECEIVED as usize == MAX_BATCH);

/// Empty long polls in a row before SQS's counts are asked whether the source is dry.
const EMPTY_ENOUGH: u64 = 3;

/// Empty long polls in a row after which the source is taken as dry whatever the counts say: they lag by a minute, and on a
/// FIFO queue they count messages that wait behind one that stays.
const EMPTY_AT_MOST: u64 = 12;

/// One receiver's work, until the source is dry or the run halts. Receiver 0 is the one that goes on asking a source that
/// seems dry; the others rest meanwhile.
pub(super) async fn receive(shared: Arc<Shared>, number: usize, lanes: Vec<Sender<Parcel>>, removals: Sender<Removal>) {
    let is_over = || shared.is_halting() || shared.drained.load(Ordering::Acquire);
    let rests = || number > 0 && shared.empty_receives.load(Ordering::Acquire) > 0;
    while !is_over() {
        if rests() {
            // The wait is bounded, so that a wake-up between the look and the wait costs half a second at most.
            let _ = timeout(Duration::from_millis(500), shared.refilled.notified()).await;
            continue;
        }
        // Kept until what is received has its places: it is in memory until then, and no bound but this one holds it.
        let hand = shared.hands.receives.take().await;
        if is_over() || rests() {
            continue;
        }
        let reservation = tokio::select! {
            reservation = shared.room.reserve(MAX_RECEIVED) => reservation,
            () = shared.halting() => break,
        };
        let Some(reservation) = reservation else { break };
        let asked = shared.journal.now();
        let Some(messages) = receive_once(&shared).await else { break };
        if messages.is_empty() {
            if number == 0 && is_dry(&shared).await {
                shared.drain();
            } else if number > 0 {
                // The last word is receiver 0's, with a poll that began after these. In a FIFO queue what is on its way hides
                // the rest of its group, so that others' polls say less.
                let most = if shared.source_fifo { 1 } else { EMPTY_ENOUGH - 1 };
                let more = |empty| (empty < most).then_some(empty + 1);
                let _ = shared.empty_receives.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
            }
            continue;
        }
        if shared.empty_receives.swap(0, Ordering::AcqRel) > 0 {
            shared.refilled.notify_waiters();
        }
        let size = |message: &Message| message.size() + shared.rules.pointer(message).map_or(0, |at| at.size);
        let sizes: Vec<usize> = messages.iter().map(|received| size(&received.message)).collect();
        let places = shared.room.places(reservation, &sizes).await;
        drop(hand);
        let received = messages.into_iter().zip(places).collect();
        if handle(&shared, asked, received, &lanes, &removals).await.is_none() {
            break;
        }
    }
}

/// Receives, with patience for what passes; `None` where the run halts.
async fn receive_once(shared: &Shared) -> Option<Vec<Received>> {
    let mut tries = 1;
    loop {
        match shared.source.receive(MAX_BATCH, WAIT, shared.options.visibility).await {
            Ok(messages) => return Some(messages),
            Err(error) if error.fault.is_transient() && tries < retry::MAX_TRIES => {
                if error.fault == Fault::Throttled {
                    shared.hands.receives.throttled();
                }
                if error.fault == Fault::NoAnswer {
                    shared.expect_orphans();
                }
                tokio::select! {
                    () = shared.retries.wait(tries) => {}
                    () = shared.halting() => return None,
                }
                tries += 1;
            }
            Err(error) if error.fault == Fault::OverLimit => {
                shared.halt(Halt::InFlight(format!("{error}: too many messages of the source are in flight")));
                return None;
            }
            Err(error) => {
                shared.fail(stopped(error));
                return None;
            }
        }
    }
}

/// Whether the source is dry, after one more empty receive: enough of them in a row, and SQS's counts agree or were asked
/// often enough.
async fn is_dry(shared: &Shared) -> bool {
    let empty = shared.empty_receives.fetch_add(1, Ordering::AcqRel) + 1;
    if empty < EMPTY_ENOUGH {
        return false;
    }
    if !shared.room.is_empty() {
        if shared.source_fifo {
            // What is on its way hides the rest of its group: empty receives say nothing before it is gone.
            shared.empty_receives.fetch_min(1, Ordering::AcqRel);
        }
        return false;
    }
    let counts = match shared.source.attributes().await {
        Ok(attributes) => attributes.counts,
        Err(error) if error.fault.is_transient() => return false,
        Err(error) => {
            shared.fail(stopped(error));
            return false;
        }
    };
    let Some(ours) = shared.journaled(shared.journal.lease_count().await) else { return false };
    let elsewhere = counts.in_flight.saturating_sub(ours);
    let until = shared.orphans_until();
    if elsewhere > 0 && shared.journal.now() < until {
        shared.events.send(Event::WaitingForOrphans { messages: elsewhere, until });
        return false;
    }
    if counts.visible > 0 && empty < EMPTY_AT_MOST {
        return false;
    }
    // A FIFO queue has no error for it: its receives just come back empty.
    if counts.visible > 0 && shared.source_fifo && counts.in_flight >= MAX_IN_FLIGHT {
        shared.halt(Halt::InFlight(format!(
            "{} messages of the source are in flight, and a FIFO queue gives no more than that",
            counts.in_flight
        )));
        return false;
    }
    shared.still_visible.store(counts.visible, Ordering::Relaxed);
    shared.in_flight_elsewhere.store(elsewhere, Ordering::Relaxed);
    shared.is_dry.store(counts.visible == 0 && counts.delayed == 0 && elsewhere == 0, Ordering::Relaxed);
    true
}

/// A message that is judged, on its way to the journal.
struct Pending {
    judgement: Judgement,
    content: Option<Content>,
    group: Option<String>,
    place: Place,
}

/// Takes received messages from admission to their lanes; `None` where the run halts.
async fn handle(
    shared: &Shared,
    asked: Timestamp,
    mut received: Vec<(Received, Place)>,
    lanes: &[Sender<Parcel>],
    removals: &Sender<Removal>,
) -> Option<()> {
    let until = asked.checked_add(shared.options.visibility).unwrap_or(Timestamp::MAX);
    let delivery = |received: &Received| Delivery {
        id: received.message.id.clone(),
        receipt: received.receipt.clone(),
        receive_count: received.message.system.receive_count(),
        origin: received.message.system.dead_letter_queue_source_arn().map(str::to_owned),
        received: asked,
        until,
    };
    let deliveries = received.iter().map(|(received, _)| delivery(received)).collect();
    let admitted = shared.journaled(shared.journal.admit(deliveries).await)?;
    if let Some(payloads) = &shared.options.payloads {
        let messages = received.iter_mut().map(|(received, _)| &mut received.message);
        if let Err(error) = payloads.fetch(&shared.rules, messages).await {
            shared.fail(resumable(&error));
        }
    }
    let halting = shared.is_halting();
    let (mut pending, mut unclaimed) = (Vec::with_capacity(received.len()), Vec::new());
    let mut stopped_groups: HashSet<String> = HashSet::new();
    for (admitted, (Received { message, .. }, place)) in admitted.into_iter().zip(received) {
        let group = shared.source_fifo.then(|| message.system.message_group_id().map(str::to_owned)).flatten();
        let (claim, known) = match admitted {
            Admitted::Duplicate => continue,
            Admitted::Released => {
                stopped_groups.extend(group);
                continue;
            }
            Admitted::Sent(sent) => {
                // The lane of deletes outlives every receiver.
                let _ = removals.send(Removal { sent, place: Some(place) }).await;
                continue;
            }
            Admitted::New(claim) => (claim, Known::Nothing),
            Admitted::Bounced(claim) => (claim, Known::Bounced),
            Admitted::Doubtful(doubtful) => {
                let doubt = Doubt::of(&doubtful, shared.journal.now());
                (doubtful.judge_again(), Known::Doubtful(doubt))
            }
        };
        let behind =
            group.as_ref().is_some_and(|group| stopped_groups.contains(group) || shared.gate.is_stopped(group));
        // A drift stops the run; what was received with it is given back unjudged.
        let judged =
            if halting || shared.is_halting() { Err(claim) } else { judge(shared, claim, message, &known, behind) };
        match judged {
            Ok((judgement, content)) => {
                if let (Decided::Stay(_), Some(group)) = (&judgement.decision, &group) {
                    stopped_groups.insert(group.clone());
                }
                pending.push(Pending { judgement, content, group, place });
            }
            Err(claim) => unclaimed.push(claim.id().clone()),
        }
    }
    let leaving = pending.iter().filter(|one| !matches!(one.judgement.decision, Decided::Stay(_))).count();
    tokio::select! {
        () = shared.rate.pass(leaving) => {}
        // At a low rate the wait is long; what is not intended yet is given back at once.
        () = shared.halting() => unclaimed.extend(pending.drain(..).map(|one| one.judgement.claim.id().clone())),
    }
    shared.journaled(shared.journal.unclaim(unclaimed).await)?;
    dispatch(shared, pending, lanes, removals).await?;
    shared.look_at_what_came();
    for group in stopped_groups {
        shared.gate.stop(&group);
    }
    Some(())
}

/// What the journal knows of a message that is to be judged.
enum Known {
    Nothing,
    /// This run sent it.
    Bounced,
    /// A send of it may have arrived.
    Doubtful(Doubt),
}

/// Decides about one message within the run's bounds; gives the claim back where the run halts over it.
fn judge(
    shared: &Shared,
    claim: Claim,
    message: Message,
    known: &Known,
    behind: bool,
) -> Result<(Judgement, Option<Content>), Claim> {
    let stay =
        |claim, rule, exhausted, stay| Ok((Judgement { claim, rule, exhausted, decision: Decided::Stay(stay) }, None));
    if matches!(known, Known::Bounced) {
        return stay(claim, RuleId::OUT_OF_SCOPE, false, Stay::Kept(Reason::Bounced));
    }
    if let Some(Err(reason)) = shared.pinned.as_ref().map(|pinned| pinned.meet(&message)) {
        return stay(claim, RuleId::OUT_OF_SCOPE, false, Stay::Kept(reason));
    }
    let verdict = shared.rules.judge(message, &shared.setting);
    let (rule, exhausted) = (verdict.rule, verdict.exhausted);
    let (target, content) = match verdict.decision {
        Decision::Keep(reason) => return stay(claim, rule, exhausted, Stay::Kept(reason)),
        Decision::Block { reason, detail } => return stay(claim, rule, exhausted, Stay::Blocked(reason, detail)),
        Decision::Send { target, outgoing } => (target, Some(Content::Message(outgoing))),
        Decision::Archive { target, key, envelope } => (target, Some(Content::Envelope { key, envelope })),
        Decision::Drop { target } => (target, None),
    };
    if behind {
        return stay(claim, rule, exhausted, Stay::Kept(Reason::GroupStopped));
    }
    if let Known::Doubtful(doubt) = *known
        && !shared.may_resend(target, content.as_ref(), doubt)
    {
        return stay(claim, rule, exhausted, Stay::Held);
    }
    match shared.budget.leave(rule) {
        Leave::Granted => {}
        Leave::LimitReached => {
            shared.drain();
            return stay(claim, rule, exhausted, Stay::Kept(Reason::LimitReached));
        }
        Leave::Drift(bound) => {
            let name = shared.rules.rule_name(rule);
            shared
                .halt(Halt::Drift(format!("rule {name:?} takes more than the {bound} messages that the plan allows")));
            return Err(claim);
        }
    }
    let decision = if content.is_some() { Decided::Send(target) } else { Decided::Drop(target) };
    Ok((Judgement { claim, rule, exhausted, decision }, content))
}

/// Puts decisions on disk and hands over what is to be sent or deleted; `None` where the journal has failed.
async fn dispatch(
    shared: &Shared,
    pending: Vec<Pending>,
    lanes: &[Sender<Parcel>],
    removals: &Sender<Removal>,
) -> Option<()> {
    let (mut judgements, mut rests) = (Vec::with_capacity(pending.len()), Vec::with_capacity(pending.len()));
    for Pending { judgement, content, group, place } in pending {
        let target = match judgement.decision {
            Decided::Send(target) | Decided::Drop(target) => Some(target),
            Decided::Stay(_) => None,
        };
        rests.push((content, group, place, target, judgement.rule, judgement.exhausted));
        judgements.push(judgement);
    }
    let judged = shared.journaled(shared.journal.judge(judgements).await)?;
    let mut behind = Vec::new();
    for (judged, (content, group, place, target, rule, exhausted)) in judged.into_iter().zip(rests) {
        match (judged, content, target) {
            (Judged::Stays, ..) => {}
            (Judged::Sent(sent), ..) => {
                let _ = removals.send(Removal { sent, place: Some(place) }).await;
            }
            (Judged::Intended(intended), Some(content), Some(target)) => {
                let ticket = Ticket { intended, target, rule, exhausted, group, place };
                let parcel = Parcel { content, ticket };
                match shared.gate.enter(parcel) {
                    Enter::Goes(parcel) => {
                        if let Some(lane) = lanes.get(usize::from(target.0)) {
                            // The lane outlives every receiver.
                            let _ = lane.send(parcel).await;
                        }
                    }
                    Enter::Waits => {}
                    Enter::Stopped(parcel) => behind.push(parcel),
                }
            }
            (Judged::Intended(intended), ..) => {
                shared
                    .journaled(shared.journal.settle(vec![Settlement { intended, end: SendEnd::Withdrawn }]).await)?;
            }
        }
    }
    let settlements = behind
        .into_iter()
        .map(|parcel| {
            shared.budget.stayed(parcel.ticket.rule);
            Settlement { intended: parcel.ticket.intended, end: SendEnd::Behind }
        })
        .collect();
    shared.journaled(shared.journal.settle(settlements).await)?;
    Some(())
}
