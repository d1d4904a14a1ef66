//! When the source is dry: an empty receive says little, so it takes several in a row and SQS's counts, or many in a row.
//!
//! It may ask for the queue's counts and the journal's; it receives nothing.

use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::events::Event;
use super::parcel::stopped;
use super::park::Leg;
use super::shared::Shared;
use super::stop::Halt;
use crate::error::Error;
use crate::sqs::{Counts, MAX_IN_FLIGHT};

/// Empty long polls in a row before SQS's counts are asked whether the source is dry.
pub(super) const EMPTY_ENOUGH: u64 = 3;

/// Empty long polls in a row after which the source is taken as dry whatever the counts say: they lag by a minute, and on a
/// FIFO queue they count messages that wait behind one that stays.
const EMPTY_AT_MOST: u64 = 12;

/// How many times as long as all should have come back a run goes on with a source that holds more than it meets, as far as SQS
/// counts.
const PATIENCE_WITH_NEWER: u32 = 5;

/// Whether nothing is left but what a producer sends meanwhile: for longer than anything stays invisible by itself, nothing was met but
/// messages that are newer than the plan's bound; and of these at least as many as SQS counts visible, so that whatever was there has
/// most likely had its turn. Where the producer is faster than that, it is so after some minutes.
pub(super) async fn only_newer_is_left(shared: &Shared) -> bool {
    let Some((lasts, met)) = shared.only_newer.lasts(Instant::now()) else { return false };
    if lasts < shared.comes_back_within() || !shared.room.is_empty() {
        return false;
    }
    let is_last_word = lasts >= shared.comes_back_within() * PATIENCE_WITH_NEWER;
    let Some((counts, elsewhere)) = counts(shared, !is_last_word).await else { return false };
    // What the answer left out is unknown, and so no reason to end.
    let has_met_as_many = counts.visible.is_some_and(|visible| visible <= met);
    if waits_for_orphans(shared, elsewhere) || !(has_met_as_many || is_last_word) {
        return false;
    }
    shared.still_visible.store(counts.visible.unwrap_or_default(), Ordering::Relaxed);
    shared.in_flight_elsewhere.store(elsewhere.unwrap_or_default(), Ordering::Relaxed);
    true
}

/// What SQS counts in the source, and how much of that is in flight with others, as far as the answer says; `None` without one, which
/// fails the run if that was the last try.
async fn counts(shared: &Shared, may_again: bool) -> Option<(Counts, Option<u64>)> {
    // A source that does not answer is asked again and again; a run that is to end does not wait for that.
    let counted = tokio::select! {
        counted = shared.source.attributes() => counted,
        () = shared.halting() => return None,
    };
    let counts = match counted {
        Ok(attributes) => attributes.counts,
        Err(error) if error.fault.is_transient() && may_again => return None,
        Err(error) => {
            shared.fail(stopped(error));
            return None;
        }
    };
    let ours = shared.journaled(shared.journal.lease_count().await)?;
    Some((counts, counts.in_flight.map(|in_flight| in_flight.saturating_sub(ours))))
}

/// Whether messages are, or may be, in flight that come back because nobody has their handles.
fn waits_for_orphans(shared: &Shared, elsewhere: Option<u64>) -> bool {
    let until = shared.orphans.until();
    let waits = elsewhere != Some(0) && shared.journal.now() < until;
    if let Some(messages) = elsewhere.filter(|_| waits) {
        shared.events.send(&Event::WaitingForOrphans { messages, until });
    }
    waits
}

/// Whether the source is dry, after one more empty receive: enough of them in a row, and SQS's counts agree or were asked
/// often enough.
pub(super) async fn is_dry(shared: &Shared) -> bool {
    let empty = shared.empty_receives.fetch_add(1, Ordering::AcqRel) + 1;
    let mut enough = EMPTY_ENOUGH;
    // Of what is parked it is known how much there is, unless there may be copies; and it is not given up for gone so soon.
    if matches!(shared.leg, Leg::Back(_)) {
        let tally = shared.journal.tally();
        match (tally.away(), tally.doubted) {
            (0, 0) => return true,
            (0, _) => {}
            _ => enough = EMPTY_AT_MOST,
        }
    }
    if empty < enough {
        return false;
    }
    if !shared.room.is_empty() {
        if shared.source_fifo {
            // What is on its way hides what is behind it in its group: empty receives say nothing before it is gone.
            shared.empty_receives.fetch_min(1, Ordering::AcqRel);
        }
        return false;
    }
    // What another receive has taken, or lost on the way, is in flight all the same; while the source seems dry no other begins.
    if shared.receiving.load(Ordering::Acquire) > 0 {
        return false;
    }
    let Some((counts, elsewhere)) = counts(shared, empty < EMPTY_AT_MOST).await else { return false };
    if waits_for_orphans(shared, elsewhere) {
        return false;
    }
    if counts.visible != Some(0) && empty < EMPTY_AT_MOST {
        return false;
    }
    // Without counts nobody knows whether the messages of the plan that were not met are gone or in flight with others.
    if shared.pinned.is_some() && counts.all().is_none() {
        let error = Error::failed(
            "the server does not say how many messages the source holds, and some of the plan were not met",
        );
        shared.fail(error.hint("they may be gone, or in flight with somebody else").resumable());
        return false;
    }
    // A FIFO queue has no error for it: its receives just come back empty.
    let full = counts.in_flight.filter(|in_flight| *in_flight >= MAX_IN_FLIGHT);
    if let Some(in_flight) = full.filter(|_| shared.source_fifo && counts.visible != Some(0)) {
        shared.halt(Halt::InFlight(format!(
            "{in_flight} messages of the source are in flight, and a FIFO queue gives no more than that"
        )));
        return false;
    }
    shared.still_visible.store(counts.visible.unwrap_or_default(), Ordering::Relaxed);
    shared.in_flight_elsewhere.store(elsewhere.unwrap_or_default(), Ordering::Relaxed);
    let nothing = Some(0);
    shared.is_dry.store([counts.visible, counts.delayed, elsewhere].iter().all(|n| *n == nothing), Ordering::Relaxed);
    true
}
