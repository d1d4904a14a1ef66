//! What a queue's type demands of a send: group and deduplication IDs on FIFO queues, neither deduplication nor its like on
//! standard ones.

use sha2::{Digest, Sha256};

use super::call::SendEntry;
use super::failure::Failure;
use super::message::{Incoming, hex};
use super::settings::Settings;

const GROUP_MISSING: &str = "The request must contain the parameter MessageGroupId.";
const DEDUPLICATION_MISSING: &str =
    "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly";

fn check_id(parameter: &str, id: &str) -> Result<(), Failure> {
    let valid = !id.is_empty() && id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_graphic());
    if valid {
        return Ok(());
    }
    Err(Failure::invalid_value(format!(
        "Value {id} for parameter {parameter} is invalid. Reason: {parameter} can only include alphanumeric and \
         punctuation characters. 1 to 128 in length."
    )))
}

/// Refuses a batch in which an entry lacks what a FIFO queue needs of each: as a whole, unlike for other flaws.
pub(super) fn check_batch(settings: &Settings, entries: &[SendEntry]) -> Result<(), Failure> {
    if !settings.fifo {
        return Ok(());
    }
    if entries.iter().any(|entry| entry.message_group_id.is_none()) {
        return Err(Failure::invalid_value(GROUP_MISSING));
    }
    if !settings.content_deduplication && entries.iter().any(|entry| entry.message_deduplication_id.is_none()) {
        return Err(Failure::invalid_value(DEDUPLICATION_MISSING));
    }
    Ok(())
}

/// Judges the parameters that depend on the queue's type, and gives a message without a deduplication ID the digest of its
/// body where the queue says so. Answers the key to deduplicate by: none on standard queues.
pub(super) fn check(settings: &Settings, incoming: &mut Incoming) -> Result<Option<String>, Failure> {
    let extra = &mut incoming.extra;
    if let Some(group) = &extra.group {
        check_id("MessageGroupId", group)?;
    }
    if let Some(id) = &extra.deduplication {
        check_id("MessageDeduplicationId", id)?;
    }
    if !settings.fifo {
        return match &extra.deduplication {
            None => Ok(None),
            Some(id) => Err(Failure::invalid_value(format!(
                "Value {id} for parameter MessageDeduplicationId is invalid. Reason: The request includes a parameter \
                 that is not valid for this queue type."
            ))),
        };
    }
    let Some(group) = extra.group.clone() else { return Err(Failure::missing(GROUP_MISSING)) };
    if let Some(delay) = incoming.delay.filter(|&delay| delay > 0) {
        return Err(Failure::invalid_value(format!(
            "Value {delay} for parameter DelaySeconds is invalid. Reason: The request include parameter that is not \
             valid for this queue type."
        )));
    }
    incoming.delay = None;
    if extra.deduplication.is_none() && settings.content_deduplication {
        extra.deduplication = Some(hex(&Sha256::digest(incoming.body.as_bytes())).into());
    }
    let Some(id) = &extra.deduplication else {
        return Err(Failure::invalid_value(DEDUPLICATION_MISSING));
    };
    // A line feed can be in neither ID.
    Ok(Some(if settings.deduplicates_by_group { format!("{group}\n{id}") } else { id.to_string() }))
}
