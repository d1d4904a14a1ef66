//! Judging what was received: asks the journal what is known of each message, judges, puts the decisions on disk, and hands what is
//! to be sent to its lane.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use redrive_protocol::message::{Message, Received};
use redrive_protocol::protocol::{
    Admitted, Claim, Decided, Delivery, Doubt, Judged, Judgement, Lease, SendEnd, Settlement, Stay,
};
use redrive_protocol::target::{Reason, RuleId};
use redrive_rules::rule::Decision;
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

use super::gate::Enter;
use super::hold::Hold;
use super::limits::Leave;
use super::outlets::Outlet;
use super::parcel::{Content, Parcel, Ticket};
use super::park::Leg;
use super::remove::Removal;
use super::room::Place;
use super::shared::Shared;
use super::stop::Halt;
use super::{lease, park};

/// A message that is judged, on its way to the journal.
struct Pending {
    judgement: Judgement,
    /// What helps to find it, if the job asks for that.
    identity: Option<String>,
    content: Option<Content>,
    group: Option<String>,
    place: Place,
    hold: Hold,
}

/// Takes received messages from admission to their lanes; `None` where the run halts.
pub(super) async fn handle(
    shared: &Arc<Shared>,
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
    let (mut pending, mut unclaimed, mut given_up) = (Vec::with_capacity(received.len()), Vec::new(), Vec::new());
    let mut stopped_groups: HashSet<String> = HashSet::new();
    for (admitted, (Received { mut message, receipt }, place)) in admitted.into_iter().zip(received) {
        let group = shared.source_fifo.then(|| message.system.message_group_id().map(str::to_owned)).flatten();
        let mut has_share = false;
        let (claim, known) = match admitted {
            Admitted::Foreign => continue,
            Admitted::Duplicate => {
                let id = match shared.leg {
                    Leg::Out(_) => Some(message.id),
                    Leg::Back(_) => park::marked(&message, &shared.setting.run),
                };
                let lease = id.map(|id| Lease { id, receipt, received: asked, until });
                given_up.extend(lease.and_then(|lease| shared.holds.delivered_again(lease)));
                continue;
            }
            Admitted::Released => {
                stopped_groups.extend(group);
                continue;
            }
            Admitted::Sent(sent) => {
                let hold = Some(shared.holds.enter(sent.id(), &receipt, until));
                // The lane of deletes outlives every receiver.
                let _ = removals.send(Removal { sent, place: Some(place), hold }).await;
                continue;
            }
            Admitted::New(claim) => (claim, Known::Nothing),
            Admitted::Bounced(claim) => (claim, Known::Bounced),
            Admitted::Returned(claim) => (claim, Known::Returned),
            Admitted::Doubtful(doubtful) => {
                let doubt = Doubt::of(&doubtful, shared.journal.now());
                has_share = doubtful.is_unfinished();
                (doubtful.judge_again(), Known::Doubtful(doubt))
            }
        };
        let hold = shared.holds.enter(claim.id(), &receipt, until);
        message.system.restore_origin(|| claim.came_from().map(str::to_owned));
        let is_withheld = group.as_ref().is_some_and(|group| shared.guards.withholds(group));
        let behind =
            group.as_ref().is_some_and(|group| stopped_groups.contains(group) || shared.gate.is_stopped(group));
        let identity = shared.rules.identify(&message);
        // A drift stops the run; what was received with it is given back unjudged.
        let judged = if halting || shared.is_halting() {
            Err(Unjudged::Halted(claim))
        } else if is_withheld {
            // Behind one of its group that waits, whatever it is.
            Err(Unjudged::Withheld(claim))
        } else {
            judge(shared, claim, message, &known, has_share, behind)
        };
        let is_newer =
            matches!(&judged, Ok((Judgement { decision: Decided::Stay(Stay::Kept(Reason::SentTooLate)), .. }, _)));
        if is_newer {
            shared.only_newer.met_newer(Instant::now());
        } else {
            shared.only_newer.met_other();
        }
        match judged {
            Ok((judgement, content)) => {
                if let Decided::Stay(_) = &judgement.decision {
                    stopped_groups.extend(group.clone());
                    if has_share {
                        shared.budget.stayed(judgement.rule);
                    }
                }
                pending.push(Pending { judgement, identity, content, group, place, hold });
            }
            Err(Unjudged::Halted(claim)) => unclaimed.push(claim.id().clone()),
            // It stays in flight with us, and nobody handles it until it is given back.
            Err(Unjudged::Withheld(claim)) => {
                let id = claim.id().clone();
                unclaimed.push(id.clone());
                shared.guards.withhold(Lease { id, receipt, received: asked, until }, group);
            }
        }
    }
    lease::release(shared, given_up).await;
    let leaves =
        |one: &&Pending| !matches!(one.judgement.decision, Decided::Stay(_)) && !one.judgement.rule.is_parking();
    let leaving = pending.iter().filter(leaves).count();
    tokio::select! {
        () = shared.rate.pass(leaving) => {}
        // At a low rate the wait is long; what is not intended yet is given back at once.
        () = shared.halting() => unclaimed.extend(pending.drain(..).map(|one| one.judgement.claim.id().clone())),
    }
    keep_of_stopped_rules(shared, &mut pending, &mut stopped_groups);
    shared.journaled(shared.journal.unclaim(unclaimed).await)?;
    dispatch(shared, pending, lanes, removals).await?;
    if shared.guards.is_canary_sending() && shared.budget.canary_has_left() {
        shared.guards.canary_is_all();
    }
    shared.look_at_what_came();
    for group in stopped_groups {
        shared.gate.stop(&group);
    }
    Some(())
}

/// A message that was not judged, with its claim.
enum Unjudged {
    /// The run halts.
    Halted(Claim),
    /// It waits until the canary is judged.
    Withheld(Claim),
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

/// Decides about one message within the run's bounds, of which one in doubt has its share already; gives the claim back where the run
/// halts over it.
fn judge(
    shared: &Shared,
    claim: Claim,
    message: Message,
    known: &Known,
    has_share: bool,
    behind: bool,
) -> Result<(Judgement, Option<Content>), Unjudged> {
    let stay =
        |claim, rule, exhausted, stay| Ok((Judgement { claim, rule, exhausted, decision: Decided::Stay(stay) }, None));
    let send = |claim, rule, target, outgoing| {
        let judgement = Judgement { claim, rule, exhausted: false, decision: Decided::Send(target) };
        Ok((judgement, Some(Content::Message(outgoing))))
    };
    let mut parked = None;
    match (&shared.leg, known) {
        (_, Known::Bounced) => {
            shared.guards.met(claim.id());
            return stay(claim, RuleId::OUT_OF_SCOPE, false, Stay::Kept(Reason::Bounced));
        }
        (_, Known::Returned) => return stay(claim, RuleId::RETURNED, false, Stay::Kept(Reason::Unmatched)),
        (Leg::Back(target), Known::Doubtful(doubt)) if !shared.may_resend(*target, None, *doubt) => {
            return stay(claim, RuleId::RETURNED, false, Stay::Held);
        }
        (Leg::Back(target), _) => return send(claim, RuleId::RETURNED, *target, park::back(message)),
        // A copy of it may be elsewhere, and only its ID tells a later run so.
        (Leg::Out(_), Known::Doubtful(doubt)) if !doubt.is_of_this_run() => {}
        (Leg::Out(parking), _) => {
            parked = parking.as_ref().and_then(|to| Some((to.target, park::out(&message, to, &shared.setting.run)?)));
        }
    }
    // Kept only for a message that may be withheld: then it comes again, and must be met again.
    let pinned = shared.pinned.as_ref().filter(|_| shared.guards.is_canary_sending());
    let pinned = pinned.map(|pinned| (pinned, message.clone()));
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
    let to_queue = matches!(shared.outlets.get(usize::from(target.0)), Some(Outlet::Queue { .. }));
    match if has_share { Leave::Granted } else { shared.budget.leave(rule, to_queue) } {
        Leave::Granted => {}
        Leave::RuleStopped => return stay(claim, rule, exhausted, Stay::Kept(Reason::RuleStopped)),
        Leave::Withheld => {
            if let Some((pinned, message)) = pinned {
                pinned.unmeet(&message);
            }
            return Err(Unjudged::Withheld(claim));
        }
        Leave::LimitReached => return stay(claim, rule, exhausted, Stay::Kept(Reason::LimitReached)),
        Leave::Drift(bound) => {
            let name = shared.rules.rule_name(rule);
            shared
                .halt(Halt::Drift(format!("rule {name:?} moves more than the {bound} messages that the plan allows")));
            return Err(Unjudged::Halted(claim));
        }
    }
    let decision = if content.is_some() { Decided::Send(target) } else { Decided::Drop(target) };
    Ok((Judgement { claim, rule, exhausted, decision }, content))
}

/// Keeps what belongs to a rule that was stopped while it waited for its turn, and what is behind it in its message group.
fn keep_of_stopped_rules(shared: &Shared, pending: &mut [Pending], stopped_groups: &mut HashSet<String>) {
    let mut stopped_now = HashSet::new();
    for Pending { judgement, content, group, .. } in pending {
        if matches!(judgement.decision, Decided::Stay(_)) {
            continue;
        }
        let reason = if shared.budget.is_rule_stopped(judgement.rule) {
            Reason::RuleStopped
        } else if group.as_ref().is_some_and(|group| stopped_now.contains(group)) {
            Reason::GroupStopped
        } else {
            continue;
        };
        judgement.decision = Decided::Stay(Stay::Kept(reason));
        *content = None;
        shared.budget.stayed(judgement.rule);
        stopped_now.extend(group.clone());
    }
    stopped_groups.extend(stopped_now);
}

/// Puts decisions on disk and hands over what is to be sent or deleted; `None` where the journal has failed.
async fn dispatch(
    shared: &Shared,
    pending: Vec<Pending>,
    lanes: &[Sender<Parcel>],
    removals: &Sender<Removal>,
) -> Option<()> {
    let (mut judgements, mut rests) = (Vec::with_capacity(pending.len()), Vec::with_capacity(pending.len()));
    let mut identities = Vec::new();
    for Pending { judgement, identity, content, group, place, hold } in pending {
        if let (Decided::Send(_), Some(identity)) = (&judgement.decision, identity) {
            identities.push((judgement.claim.id().clone(), identity));
        }
        let target = match judgement.decision {
            Decided::Send(target) | Decided::Drop(target) => Some(target),
            Decided::Stay(_) => None,
        };
        rests.push((content, group, place, hold, target, judgement.rule, judgement.exhausted));
        judgements.push(judgement);
    }
    shared.journaled(shared.journal.identify(identities).await)?;
    let judged = shared.journaled(shared.journal.judge(judgements).await)?;
    let mut behind = Vec::new();
    for (judged, (content, group, place, hold, target, rule, exhausted)) in judged.into_iter().zip(rests) {
        match (judged, content, target) {
            (Judged::Stays, ..) => {}
            (Judged::Sent(sent), ..) => {
                let _ = removals.send(Removal { sent, place: Some(place), hold: Some(hold) }).await;
            }
            (Judged::Intended(intended), Some(content), Some(target)) => {
                let ticket = Ticket { intended, target, rule, exhausted, group, place, hold };
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
