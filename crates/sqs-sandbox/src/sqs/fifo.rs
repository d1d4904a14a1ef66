//! What a queue's type demands of a send: group and deduplication IDs on FIFO queues, neither deduplication nor its like on
//! standard ones.

use sha2::{Digest, Sha256};

use super::failure::Failure;
use super::message::{Incoming, hex};
use super::settings::Settings;

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
    let Some(group) = extra.group.clone() else {
        return Err(Failure::missing("The request must contain the parameter MessageGroupId."));
    };
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
        return Err(Failure::invalid_value(
            "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
        ));
    };
    // A line feed can be in neither ID.
    Ok(Some(if settings.deduplicates_by_group { format!("{group}\n{id}") } else { id.to_string() }))
}
