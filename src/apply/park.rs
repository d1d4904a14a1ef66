//! Parking: where more messages stay than can be in flight, those that no rule takes wait in a queue of their own.
//!
//! A parked message goes two ways, and each is an ordinary move with intent, send, proof and delete: out, from the source to
//! the parking queue, and back, when the source has been gone through. For the way back the parking queue is the source and
//! the source the only target: the same receivers, lanes, leases and journal, under the same promises, and no state of its own.
//! Nothing rests on memory: what is parked and not back is what the journal has as gone out (`RuleId::PARKED`, done) without a
//! way back (`RuleId::RETURNED`).
//!
//! On its way a message carries a mark, a message attribute with the run and the message ID it had. It goes by that ID on the
//! way back, so that a copy of it from a send whose answer was lost is known as the same message and deleted, not brought back
//! twice. What has no mark of this run, or one that the journal does not bear out, is foreign: it is never touched. A message
//! that has no room for the mark is not parked but held in flight, as without parking.
//!
//! Pure: what a message looks like on each way. `mod` turns a run round; receivers and lanes do the work.

use redrive_protocol::message::{Attribute, Body, MAX_ATTRIBUTES, Message, MessageId, Outgoing};
use redrive_protocol::target::{TargetId, TargetKind};

use super::stop::Halt;
use crate::plan::Plan;
use crate::sqs::CallError;

/// The message attribute that is a parked message's mark: its run, a space, and the message ID it had in the source.
const MARK: &str = "redrive.parked";

/// Which way messages go.
#[derive(Debug, Clone)]
pub(super) enum Leg {
    /// From the source to where the rules say; with the parking queue, where there is one.
    Out(Option<Parking>),
    /// From the parking queue back to the source, which is the outlet of this target.
    Back(TargetId),
}

/// What parking needs to know of the parking queue.
#[derive(Debug, Clone)]
pub(super) struct Parking {
    pub(super) target: TargetId,
    pub(super) arn: String,
    pub(super) maximum_message_size: u64,
}

impl Parking {
    /// The parking queue of a plan, where its job names one.
    pub(super) fn of(plan: &Plan) -> Option<Self> {
        let position = plan.targets.iter().position(|target| target.kind == TargetKind::Park)?;
        let queue = plan.targets[position].queue.as_ref()?;
        let (arn, maximum_message_size) = (queue.arn.clone(), queue.maximum_message_size);
        Some(Self { target: TargetId(u16::try_from(position).ok()?), arn, maximum_message_size })
    }
}

/// A message as it is parked; `None` where it has no room for the mark.
pub(super) fn out(message: &Message, to: &Parking, run: &str) -> Option<Outgoing> {
    if message.attributes.len() == MAX_ATTRIBUTES || message.attributes.contains_key(MARK) {
        return None;
    }
    let mut outgoing = unchanged(message.clone());
    outgoing.attributes.insert(MARK.to_owned(), Attribute::string(format!("{run} {}", message.id)));
    u64::try_from(outgoing.size()).is_ok_and(|size| size <= to.maximum_message_size).then_some(outgoing)
}

/// A parked message as it comes back: what it was.
pub(super) fn back(mut message: Message) -> Outgoing {
    message.attributes.remove(MARK);
    unchanged(message)
}

fn unchanged(message: Message) -> Outgoing {
    Outgoing {
        message_group_id: message.system.message_group_id().map(str::to_owned),
        message_deduplication_id: None,
        trace_header: message.system.trace_header().map(str::to_owned),
        body: Body::Untouched(message.body),
        attributes: message.attributes,
        // A pointer to a body in S3 goes as it came.
        payload: None,
    }
}

/// The ID that a parked message had in the source, if its mark says that this run parked it.
pub(super) fn marked(message: &Message, run: &str) -> Option<MessageId> {
    let mark = message.attributes.get(MARK)?.text()?;
    let (by, id) = mark.split_once(' ')?;
    (by == run).then(|| MessageId::new(id))
}

/// Why a run halts when no more messages can be in flight, with what to do.
pub(super) fn no_room(error: &CallError, staying: u64) -> Halt {
    Halt::InFlight(format!(
        "{error}: SQS lets no more messages of the source be in flight; {staying} of them stay and are held by this run, \
         which gives them back now. What was moved is moved. Send some elsewhere with a rule, or plan with a parking queue \
         ([unmatched] park)"
    ))
}
