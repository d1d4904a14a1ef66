//! Receiving: takes messages from the source as long as there is room for them, with patience for what passes, until the source is dry.
//! What was received goes to `intake`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redrive_protocol::message::{Message, Received};
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, timeout};

use super::dry::{EMPTY_ENOUGH, is_dry, only_newer_is_left};
use super::intake::handle;
use super::parcel::{Parcel, stopped};
use super::park;
use super::remove::Removal;
use super::shared::Shared;
use crate::error::{Error, Kind};
use crate::retry;
use crate::sqs::{CallError, Fault, MAX_BATCH};

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
    let mut patience = Patience::default();
    while !is_over() {
        tokio::select! {
            () = shared.guards.valve.may_receive() => {}
            () = shared.halting() => break,
        }
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
        let (asked, waited) = (shared.journal.now(), shared.guards.is_canary_open());
        shared.receiving.fetch_add(1, Ordering::AcqRel);
        let received = receive_once(&shared, &mut patience).await;
        shared.receiving.fetch_sub(1, Ordering::AcqRel);
        let Some(messages) = received else { break };
        if messages.is_empty() {
            if number == 0 && (is_dry(&shared).await || only_newer_is_left(&shared).await) {
                shared.ran_dry(waited);
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
        if number == 0 && only_newer_is_left(&shared).await {
            shared.ran_dry(waited);
        }
    }
}

/// How many answers to a receiver were lost since the run last received a message. An empty answer in between settles nothing: it
/// may be that just the answers with messages in them cannot be read, and each of them makes messages invisible for a while.
#[derive(Debug, Default)]
struct Patience {
    lost: u32,
    /// How many receives had brought messages when the first of them was lost.
    brought: u64,
}

impl Patience {
    /// One more was lost; gives how many that are.
    fn lose(&mut self, brought: u64) -> u32 {
        if self.brought != brought {
            *self = Self { lost: 0, brought };
        }
        self.lost += 1;
        self.lost
    }
}

/// Receives, with patience for what passes; `None` where the run halts.
async fn receive_once(shared: &Shared, patience: &mut Patience) -> Option<Vec<Received>> {
    let (mut tries, mut over_limit_since) = (1, None);
    loop {
        match shared.source.receive(MAX_BATCH, WAIT, shared.options.visibility).await {
            Ok(messages) => {
                if !messages.is_empty() {
                    shared.brought.fetch_add(1, Ordering::Relaxed);
                    shared.lost_answers.store(0, Ordering::Relaxed);
                }
                return Some(messages);
            }
            Err(error) if error.fault.is_transient() && tries < retry::MAX_TRIES => {
                shared.heed(&shared.hands.receives, error.fault);
                if error.fault == Fault::NoAnswer {
                    shared.expect_orphans();
                    let lost = shared.lost_answers.fetch_add(1, Ordering::Relaxed) + 1;
                    if patience.lose(shared.brought.load(Ordering::Relaxed)) >= retry::MAX_TRIES {
                        shared.fail(fruitless(error, lost));
                        return None;
                    }
                }
                tokio::select! {
                    () = shared.retries.wait(tries) => {}
                    () = shared.halting() => return None,
                }
                tries += 1;
            }
            // What is on its way makes room when it is deleted; what is newer than the plan's bound when its time is over.
            Err(error) if error.fault == Fault::OverLimit => {
                let now = Instant::now();
                let waited = now - *over_limit_since.get_or_insert(now);
                if shared.room.is_empty() && shared.budget.has_refused() {
                    // It was only looking for what is in doubt, and can look no further.
                    shared.drain();
                    return None;
                }
                if shared.room.is_empty() && (!shared.has_met_newer() || waited > shared.comes_back_within()) {
                    let stay = shared.journaled(shared.journal.lease_count().await)?;
                    shared.halt(park::no_room(&error, stay));
                    return None;
                }
                tokio::select! {
                    () = shared.retries.wait(3) => {}
                    () = shared.halting() => return None,
                }
            }
            Err(error) => {
                shared.fail(stopped(error));
                return None;
            }
        }
    }
}

/// Why a run stops that cannot read what it receives.
fn fruitless(error: CallError, lost: u64) -> Error {
    let resource = error.resource.clone();
    let plain = Error::from(error);
    let words = format!(
        "{lost} answers to receives on {resource} were lost or could not be read, and no other brought a message; the last one: {}",
        plain.message()
    );
    let hint = "what they received becomes visible again when its visibility timeout ends";
    Error::new(Kind::Stopped, words).hint(hint).resumable()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_message_makes_up_for_lost_answers() {
        let mut patience = Patience::default();
        assert_eq!([patience.lose(0), patience.lose(0), patience.lose(0)], [1, 2, 3]);
        assert_eq!([patience.lose(5), patience.lose(5)], [1, 2], "some receive brought one meanwhile");
    }
}
