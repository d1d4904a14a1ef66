//! Receiving and judging: takes messages from the source, asks the journal what is known of each, judges, puts the
//! decisions on disk, and hands what is to be sent to its lane.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use redrive_protocol::message::{Message, Received};
use redrive_protocol::target::{Reason, RuleId};
use redrive_rules::rule::Decision;
use tokio::sync::mpsc::Sender;
use tokio::time::timeout;

use super::deliver::{Content, Parcel, Ticket, stopped};
use super::dry::{EMPTY_ENOUGH, is_dry};
use super::gate::Enter;
use super::limits::{Leave, Place};
use super::park::Leg;
use super::remove::Removal;
use super::shared::{Halt, Shared};
use super::{Doubt, park};
use crate::retry;
use crate::sqs::{Fault, MAX_BATCH};
use redrive_protocol::protocol::{Admitted, Claim, Decided, Delivery, Judged, Judgement, SendEnd, Settlement, Stay};

/// How long one receive waits for messages. A long poll asks all of SQS's servers, so that an empty answer means something.
const WAIT: Duration = Duration::from_secs(1);

/// How many messages one receive may give: [`MAX_BATCH`], as the room counts.
const MAX_RECEIVED: u32 = 10;
const _: () = assert!(MAX_RECEIVED as usize == MAX_BATCH);

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
        let reservation = tokio::select! {
            reservation = shared.room.reserve(MAX_RECEIVED) => reservation,
            () = shared.halting() => break,
        };
        let Some(reservation) = reservation else { break };
        // While it waited for both, others may have found the source to be dry.
        if is_over() || rests() {
            continue;
        }
        let asked = shared.journal.now();
        let Some(messages) = receive_once(&shared).await else { break };
        if messages.is_empty() {
            if number == 0 && is_dry(&shared).await {
                shared.drain();
            } else if number > 0 {
                // The last word is receiver 0's, with a poll that began after these. In a FIFO queue what is on its way hides what
                // is behind it in its group, so that others' polls say less.
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
                shared.hands.receives.heed(error.fault);
                if error.fault == Fault::NoAnswer {
                    shared.expect_orphans();
                }
                tokio::select! {
                    () = shared.retries.wait(tries) => {}
                    () = shared.halting() => return None,
                }
                tries += 1;
            }
            // What is on its way makes room when it is deleted.
            Err(error) if error.fault == Fault::OverLimit && !shared.room.is_empty() => {
                tokio::select! {
                    () = shared.retries.wait(3) => {}
                    () = shared.halting() => return None,
                }
            }
            Err(error) if error.fault == Fault::OverLimit => {
                let stay = shared.journaled(shared.journal.lease_count().await)?;
                shared.halt(park::no_room(&error, stay));
                return None;
            }
            Err(error) => {
                shared.fail(stopped(error));
                return None;
            }
        }
    }
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
    let deliveries = received.iter().map(|(received, _)| delivery(received));
    let admitted = match shared.leg {
        Leg::Out(_) => shared.journal.admit(deliveries.collect()).await,
        Leg::Back(_) => {
            let marks = received.iter().map(|(received, _)| park::marked(&received.message, &shared.setting.run));
            shared.journal.admit_parked(deliveries.zip(marks).collect()).await
        }
    };
    let admitted = shared.journaled(admitted)?;
    if let (Leg::Out(_), Some(payloads)) = (&shared.leg, &shared.options.payloads) {
        let messages = received.iter_mut().map(|(received, _)| &mut received.message);
        if let Err(error) = payloads.fetch(&shared.rules, messages).await {
            shared.fail(error.resumable());
        }
    }
    let halting = shared.is_halting();
    let (mut pending, mut unclaimed) = (Vec::with_capacity(received.len()), Vec::new());
    let mut stopped_groups: HashSet<String> = HashSet::new();
    for (admitted, (Received { mut message, .. }, place)) in admitted.into_iter().zip(received) {
        let group = shared.source_fifo.then(|| message.system.message_group_id().map(str::to_owned)).flatten();
        let (claim, known) = match admitted {
            Admitted::Duplicate | Admitted::Foreign => continue,
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
            Admitted::Returned(claim) => (claim, Known::Returned),
            Admitted::Doubtful(doubtful) => {
                let doubt = Doubt::of(&doubtful, shared.journal.now());
                (doubtful.judge_again(), Known::Doubtful(doubt))
            }
        };
        message.system.restore_origin(|| claim.came_from().map(str::to_owned));
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
    let leaves =
        |one: &&Pending| !matches!(one.judgement.decision, Decided::Stay(_)) && !one.judgement.rule.is_parking();
    let leaving = pending.iter().filter(leaves).count();
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
    /// This run parked it and brought it back.
    Returned,
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
    let send = |claim, rule, target, outgoing| {
        let judgement = Judgement { claim, rule, exhausted: false, decision: Decided::Send(target) };
        Ok((judgement, Some(Content::Message(outgoing))))
    };
    let mut parked = None;
    match (&shared.leg, known) {
        (_, Known::Bounced) => return stay(claim, RuleId::OUT_OF_SCOPE, false, Stay::Kept(Reason::Bounced)),
        (_, Known::Returned) => return stay(claim, RuleId::RETURNED, false, Stay::Kept(Reason::Unmatched)),
        (Leg::Back(target), Known::Doubtful(doubt)) if !shared.may_resend(*target, None, *doubt) => {
            return stay(claim, RuleId::RETURNED, false, Stay::Held);
        }
        (Leg::Back(target), _) => return send(claim, RuleId::RETURNED, *target, park::back(message)),
        // A copy of it may be elsewhere, and only its ID tells a later run so.
        (Leg::Out(_), Known::Doubtful(Doubt { this_run: false, .. })) => {}
        (Leg::Out(parking), _) => {
            parked = parking.as_ref().and_then(|to| Some((to.target, park::out(&message, to, &shared.setting.run)?)));
        }
    }
    if let Some(Err(reason)) = shared.pinned.as_ref().map(|pinned| pinned.meet(&message)) {
        return stay(claim, RuleId::OUT_OF_SCOPE, false, Stay::Kept(reason));
    }
    let verdict = shared.rules.judge(message, &shared.setting);
    let (rule, exhausted) = (verdict.rule, verdict.exhausted);
    if let (Decision::Keep(Reason::Unmatched), Some((target, outgoing))) = (&verdict.decision, parked) {
        return send(claim, RuleId::PARKED, target, outgoing);
    }
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
                .halt(Halt::Drift(format!("rule {name:?} moves more than the {bound} messages that the plan allows")));
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
