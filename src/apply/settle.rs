//! Putting on disk how sends ended, and what follows from it: what is to be deleted, what goes next in its message group, what is sent
//! once more although a copy may have arrived, and what is given back because it may no longer be ours.

use std::sync::Arc;

use redrive_protocol::protocol::{Decided, Doubt, Doubtful, Judged, Judgement, SendEnd, Settled, Settlement, Stay};
use redrive_protocol::target::{RuleId, TargetId};
use tokio::sync::mpsc::Sender;

use super::archive::Written;
use super::hold::Hold;
use super::lease;
use super::parcel::{Content, Ended, Parcel, Ticket};
use super::remove::Removal;
use super::room::Place;
use super::shared::Shared;
use crate::error::{Error, Kind};

/// How often one message may be sent again after a lost answer before the run stops: each time may make a copy.
const MAX_DOUBTS: u32 = 3;

/// Puts ends on disk and decides what is to be done about those in doubt. Gives the parcels whose turn it is now, and those that
/// are sent once more; `None` where the journal has failed.
pub(super) async fn conclude(
    shared: &Arc<Shared>,
    mut ended: Vec<Ended>,
    mut written: Written,
    doubts: u32,
    removals: &Sender<Removal>,
) -> Option<(Vec<Parcel>, Vec<Parcel>)> {
    let (mut next, mut again) = (Vec::new(), Vec::new());
    while !ended.is_empty() {
        let (arrived, doubtful) = settle(shared, ended, written.take(), removals).await?;
        next.extend(arrived);
        let (resent, stopped) = decide_doubts(shared, doubtful, doubts).await?;
        again.extend(resent);
        ended = stopped;
    }
    Some((next, again))
}

/// A message whose answer was lost, with its content.
type Unanswered = (Doubtful, Content, TicketRest);

/// A ticket without its intent, which the settlement took.
#[derive(Debug)]
struct TicketRest {
    target: TargetId,
    rule: RuleId,
    exhausted: bool,
    group: Option<String>,
    place: Place,
    hold: Hold,
    /// It was not sent because it may no longer be ours.
    lapsed: bool,
}

/// Puts ends on disk, and with them what was written to an archive. Gives the parcels whose turn it is now, and those in doubt;
/// `None` where the journal has failed.
async fn settle(
    shared: &Arc<Shared>,
    ended: Vec<Ended>,
    mut written: Written,
    removals: &Sender<Removal>,
) -> Option<(Vec<Parcel>, Vec<Unanswered>)> {
    let (mut next, mut doubtful, mut ours, mut places) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut ended = ended;
    // Those that waited behind one that stays come in turn.
    while !ended.is_empty() {
        let mut rests = Vec::with_capacity(ended.len());
        let mut settlements = Vec::with_capacity(ended.len());
        for (Parcel { content, ticket }, end) in std::mem::take(&mut ended) {
            let Ticket { intended, target, rule, exhausted, group, place, hold } = ticket;
            let lapsed = matches!(end, SendEnd::Lapsed);
            if let SendEnd::Acknowledged(Some(sent_as)) = &end {
                shared.guards.sent(rule, sent_as);
            }
            settlements.push(Settlement { intended, end });
            rests.push((content, TicketRest { target, rule, exhausted, group, place, hold, lapsed }));
        }
        let settled = match written.take() {
            Some((target, start)) => shared.journal.settle_archived(settlements, target, start).await,
            None => shared.journal.settle(settlements).await,
        };
        let settled = shared.journaled(settled)?;
        for (settled, (content, rest)) in settled.into_iter().zip(rests) {
            match settled {
                Settled::Sent(sent) => {
                    next.extend(rest.group.as_deref().and_then(|group| shared.gate.arrived(group)));
                    // The lane of deletes outlives every lane of a target.
                    let _ = removals.send(Removal { sent, place: Some(rest.place), hold: Some(rest.hold) }).await;
                }
                Settled::Doubtful(doubt) => doubtful.push((doubt, content, rest)),
                Settled::Stays => {
                    shared.budget.stayed(rest.rule);
                    if rest.lapsed {
                        lapsed(shared);
                        // By whichever clock: it comes back within a visibility timeout, unless somebody else has it.
                        shared.expect_orphans();
                        ours.extend(rest.hold.give_up(shared.journal.now()));
                        // Until it is given back, the source is not dry.
                        places.push(rest.place);
                    }
                    ended.extend(behind(shared, rest.group.as_deref()));
                }
            }
        }
    }
    // What was delivered to us again meanwhile, or waited behind another: nobody handles it any more, so that it has to come anew.
    lease::release(shared, ours).await;
    drop(places);
    Some((next, doubtful))
}

/// Stops the group of a message that stays. Gives those that waited behind it: they stay too, for good or, where the run
/// halts, until the next session looks at all of them anew.
fn behind(shared: &Shared, group: Option<&str>) -> impl Iterator<Item = Ended> {
    let halting = shared.is_halting();
    let waiting = group.map(|group| shared.gate.stayed(group)).unwrap_or_default();
    waiting.into_iter().map(move |parcel| (parcel, if halting { SendEnd::Withdrawn } else { SendEnd::Behind }))
}

/// Out of a FIFO queue a message that lapsed comes again, maybe behind what was received after it: only a new session can keep the
/// order of its group.
fn lapsed(shared: &Shared) {
    if shared.source_fifo {
        let words = "messages of a FIFO queue became visible again before their turn: the process slept, or could not extend them";
        let hint = "Nothing is lost: what was not sent is in the source, and the same command continues in order";
        shared.fail(Error::new(Kind::Stopped, words).hint(hint));
    }
}

/// Decides about messages whose answers were lost: gives those that are sent again, and those that waited behind one that is not.
async fn decide_doubts(
    shared: &Arc<Shared>,
    doubtful: Vec<Unanswered>,
    doubts: u32,
) -> Option<(Vec<Parcel>, Vec<Ended>)> {
    if doubtful.is_empty() {
        return Some((Vec::new(), Vec::new()));
    }
    if doubts > MAX_DOUBTS {
        shared.fail(
            Error::new(Kind::Stopped, "a destination keeps taking messages without answering").hint(
                "the messages in doubt are in the journal and in the source; see `redrive status`, and run the same command \
                 again when the destination is well",
            ),
        );
    }
    let (mut judgements, mut rests, mut stopped) = (Vec::new(), Vec::new(), Vec::new());
    let (mut left, mut ours, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for (doubt, content, mut rest) in doubtful {
        let now = shared.journal.now();
        rest.lapsed |= !rest.hold.is_sure(now);
        let decision = if !shared.may_resend(rest.target, Some(&content), Doubt::of(&doubt, now)) {
            Decided::Stay(Stay::Held)
        } else if shared.is_halting() || rest.lapsed {
            // It stays in doubt; who meets it next, this session or the next, meets it as such.
            if rest.lapsed {
                lapsed(shared);
            }
            left.push(doubt.id().clone());
            stopped.extend(behind(shared, rest.group.as_deref()));
            ours.extend(rest.hold.give_up(now));
            places.push(rest.place);
            continue;
        } else {
            Decided::Send(rest.target)
        };
        judgements.push(Judgement { claim: doubt.judge_again(), rule: rest.rule, exhausted: rest.exhausted, decision });
        rests.push((content, rest));
    }
    shared.journaled(shared.journal.unclaim(left).await)?;
    lease::release(shared, ours).await;
    drop(places);
    let judged = shared.journaled(shared.journal.judge(judgements).await)?;
    let mut again = Vec::new();
    for (judged, (content, rest)) in judged.into_iter().zip(rests) {
        match judged {
            Judged::Intended(intended) => {
                let TicketRest { target, rule, exhausted, group, place, hold, .. } = rest;
                let ticket = Ticket { intended, target, rule, exhausted, group, place, hold };
                again.push(Parcel { content, ticket });
            }
            Judged::Stays | Judged::Sent(_) => {
                shared.budget.stayed(rest.rule);
                stopped.extend(behind(shared, rest.group.as_deref()));
            }
        }
    }
    Some((again, stopped))
}
