//! What there is to say of the parking queue of `[unmatched] park`: what it costs, and why it cannot be used.

use redrive_protocol::target::{Reason, TargetKind};

use super::refusals::{name_of, room_in_flight, stays_in_flight};
use super::{Facts, Hazard, HazardCode, Outcome, hazard, list};
use crate::sqs::QueueAttributes;
use crate::words::{count, duration, thousands};

/// Why a parking queue cannot be begun with: what is in it is not this run's.
pub fn parking_in_use(parking: &QueueAttributes) -> Option<Hazard> {
    let counts = parking.counts;
    let counted = match counts.all() {
        Some(0) => return None,
        Some(messages) => {
            format!("SQS counts about {} in it (the count lags by up to a minute)", count(messages, "message"))
        }
        None => "SQS does not say how many messages are in it".to_owned(),
    };
    hazard(
        HazardCode::ParkingNotEmpty,
        format!(
            "The parking queue {} must be empty, and {counted}. They may \
             be another run's: `redrive runs` lists those that are not finished, and going on with one brings its messages \
             back. Else name another queue.",
            parking.name(),
        ),
    )
}

pub(super) fn in_use(facts: &Facts) -> Option<Hazard> {
    parking_in_use(facts.parking()?)
}

/// A destination under another name; that it is the source is found with the other destinations.
pub(super) fn is_destination(facts: &Facts) -> Option<Hazard> {
    let parking = facts.parking()?;
    let same = |queue: &QueueAttributes| queue.arn == parking.arn && queue.created == parking.created;
    let others = facts.targets.iter().filter(|target| target.kind != TargetKind::Park);
    let names: Vec<String> = others
        .filter(|target| target.queue.as_ref().is_some_and(same))
        .map(redrive_protocol::target::Target::label)
        .collect();
    if names.is_empty() {
        return None;
    }
    hazard(
        HazardCode::ParkingIsDestination,
        format!(
            "The parking queue {} is also the destination {}: what is sent there could not be told from what is parked.",
            parking.name(),
            list(names)
        ),
    )
}

/// Bringing back is receiving, and a queue with a redrive policy may move what was received elsewhere.
pub(super) fn redrives(facts: &Facts) -> Option<Hazard> {
    let parking = facts.parking()?;
    let policy = parking.redrive_policy.as_ref()?;
    hazard(
        HazardCode::ParkingRedrives,
        format!(
            "The parking queue {} has a redrive policy: a run that is interrupted could lose parked messages to {}. Name a \
             queue without one.",
            parking.name(),
            name_of(&policy.dead_letter_target_arn)
        ),
    )
}

pub(super) fn keeps_too_short(facts: &Facts) -> Option<Hazard> {
    let parking = facts.parking()?;
    let (here, there) = (facts.source.message_retention_seconds, parking.message_retention_seconds);
    if there >= here {
        return None;
    }
    hazard(
        HazardCode::ParkingExpires,
        format!(
            "The parking queue {} keeps messages for {}, the source {} for {}: a run that is interrupted could lose parked \
             messages. Set the parking queue's MessageRetentionPeriod to at least that.",
            parking.name(),
            duration(there),
            facts.source.name(),
            duration(here)
        ),
    )
}

/// What parking does to a message.
pub(super) fn parked(facts: &Facts) -> Option<Hazard> {
    let parking = facts.parking()?;
    let unmatched = facts.sum(|outcome| outcome == Outcome::Kept(Reason::Unmatched));
    let expected = stays_in_flight(facts, unmatched.total);
    let room = room_in_flight(facts);
    let needed = if stays_in_flight(facts, unmatched.high) <= room {
        format!(" They would all fit in flight ({}): without park they would stay what they are.", thousands(room))
    } else {
        String::new()
    };
    hazard(
        HazardCode::Parked,
        format!(
            "About {} that no rule takes are moved to {} and, at the end, back to {}, for some 5 requests a batch of ten \
             (part of the requests above). They come back as new messages: with new message IDs, sent at that time, their \
             retention of {} begins anew, receive counts begin at zero, and DeadLetterQueueSourceArn is gone. Only this \
             journal knows where they came from: later runs with it send them to their origin, runs with another journal \
             take them as sent by hand. Until apply ends they are not in {}; where it is stopped, the same command brings \
             them back.{needed}",
            count(expected, "message"),
            parking.name(),
            facts.source.name(),
            duration(facts.source.message_retention_seconds),
            facts.source.name(),
        ),
    )
}
