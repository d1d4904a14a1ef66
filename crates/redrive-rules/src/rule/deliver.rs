//! From a route to a decision: which target it is for this message, and the message made ready for it.

use redrive_protocol::message::{Attribute, Body, Message, Outgoing, Payload, SystemAttributes};
use redrive_protocol::queue::QueueAttributes;
use redrive_protocol::target::{ORIGIN, Reason, Target, TargetId, TargetKind};

use super::check::{is_id, sendable};
use super::context::Context;
use super::envelope::envelope;
use super::pointer::{offload, pointer};
use super::transform::{self, Transform};
use super::{Blocked, Decision, Destination, Route, Rules, Setting};
use crate::job::Template;

/// A route, resolved for one message.
pub(super) enum Chosen<'a> {
    Keep(Reason),
    Drop(TargetId),
    Queue {
        target: TargetId,
        queue: &'a QueueAttributes,
        group: Option<&'a Template>,
        deduplication: Option<&'a Template>,
    },
    S3 {
        target: TargetId,
        key: &'a Template,
    },
    File(TargetId),
}

/// What changes on a message's way.
#[derive(Default)]
pub(super) struct Changes<'a> {
    pub(super) transforms: &'a [Transform],
    /// Whether the body is JSON; only looked at where a transform needs to know.
    pub(super) body_is_json: bool,
    /// The retry counter, raised.
    pub(super) counter: Option<(&'a str, Attribute)>,
}

/// The longest key of an S3 object, in bytes.
const MAX_KEY: usize = 1024;

impl Rules {
    /// Finds the target of a route for a message with these system attributes; `kept` is why it would stay.
    pub(super) fn choose<'a>(
        &'a self,
        route: &Route,
        system: &SystemAttributes,
        setting: &'a Setting,
        kept: Reason,
    ) -> Result<Chosen<'a>, Blocked> {
        match route {
            Route::Keep => Ok(Chosen::Keep(kept)),
            Route::Drop => {
                let (target, _) =
                    find(setting, |target| target.kind == TargetKind::Drop).ok_or_else(|| not_in_plan("drop"))?;
                Ok(Chosen::Drop(target))
            }
            Route::Origin => match (system.dead_letter_queue_source_arn(), &self.fallback) {
                (Some(arn), _) => {
                    let is_it = |queue: &QueueAttributes| queue.arn == arn;
                    let found = find(setting, |target| {
                        target.destination == ORIGIN && target.queue.as_ref().is_some_and(is_it)
                    });
                    let queue = found.and_then(|(target, found)| Some((target, found.queue.as_ref()?)));
                    let (target, queue) = queue.ok_or_else(|| Blocked::new(Reason::OriginNotInPlan, arn))?;
                    Ok(Chosen::Queue { target, queue, group: None, deduplication: None })
                }
                (None, Some(fallback)) if *fallback != Route::Origin => self.choose(fallback, system, setting, kept),
                (None, _) => Err(Blocked::new(Reason::OriginMissing, "")),
            },
            Route::Named(name) => {
                let found = find(setting, |target| target.destination == *name);
                let (target, found) = found.ok_or_else(|| not_in_plan(name))?;
                match self.destinations.get(name).ok_or_else(|| not_in_plan(name))? {
                    Destination::Sqs { group, deduplication } => Ok(Chosen::Queue {
                        target,
                        queue: found.queue.as_ref().ok_or_else(|| not_in_plan(name))?,
                        group: group.as_ref(),
                        deduplication: deduplication.as_ref(),
                    }),
                    Destination::S3 { key } => Ok(Chosen::S3 { target, key }),
                    Destination::File { .. } => Ok(Chosen::File(target)),
                }
            }
        }
    }
}

fn find(setting: &Setting, is_it: impl Fn(&Target) -> bool) -> Option<(TargetId, &Target)> {
    let (at, target) = setting.targets.iter().enumerate().find(|(_, target)| is_it(target))?;
    Some((TargetId(at.try_into().ok()?), target))
}

/// A plan lists every destination of its job; one that does not is not this job's. The message stays, as it must.
fn not_in_plan(name: &str) -> Blocked {
    Blocked::new(Reason::OriginNotInPlan, format!("destination {name} is not among the plan's targets"))
}

/// Makes a message ready for its target.
pub(super) fn carry_out(
    chosen: &Chosen<'_>,
    message: Message,
    changes: Changes<'_>,
    context: &Context<'_>,
    exhausted: bool,
) -> Result<Decision, Blocked> {
    let target = match chosen {
        Chosen::Keep(reason) => return Ok(Decision::Keep(*reason)),
        Chosen::Drop(target) => return Ok(Decision::Drop { target: *target }),
        Chosen::Queue { target, .. } | Chosen::S3 { target, .. } | Chosen::File(target) => *target,
    };
    let pointer = message.payload.as_ref().and_then(|_| pointer(&message));
    let Message { id: _, body, attributes, system, payload } = message;
    let changes_body = changes.transforms.iter().any(Transform::needs_json);
    let (text, in_s3) = match (payload, pointer) {
        (Some(Payload::Unreadable(why)), _) if changes_body => {
            return Err(Blocked::new(Reason::PayloadUnreadable, why));
        }
        (Some(Payload::Fetched(text)), Some(pointer)) if changes_body => (text, Some((pointer, body))),
        _ => (body, None),
    };
    let (body, mut attributes) =
        transform::apply(changes.transforms, changes.body_is_json, text, attributes, &system, context)?;
    let (body, payload) = match (in_s3, body) {
        (None, body) => (body, None),
        (Some((_, old)), Body::Untouched(_)) => (Body::Untouched(old), None),
        (Some((pointer, old)), Body::Changed(text)) => {
            let (body, payload) = offload(&pointer, &old, text, &mut attributes, context)?;
            (body, Some(payload))
        }
    };
    // Last, so that no transform can meddle with the cap.
    attributes.extend(changes.counter.map(|(name, counter)| (name.to_owned(), counter)));

    if let Chosen::Queue { queue, group, deduplication, .. } = chosen {
        let removes = |transform: &Transform| matches!(transform, Transform::RemoveTraceHeader);
        let trace_header = system.trace_header().filter(|_| !changes.transforms.iter().any(removes));
        let outgoing = Outgoing {
            body,
            attributes,
            message_group_id: group_id(*group, queue, &system, context)?,
            message_deduplication_id: deduplication_id(*deduplication, queue, context)?,
            trace_header: trace_header.map(str::to_owned),
            payload,
        };
        sendable(&outgoing, queue)?;
        return Ok(Decision::Send { target, outgoing });
    }
    if payload.is_some() {
        let detail = "an archive takes the pointer as it is, and a transform would change the body in S3";
        return Err(Blocked::new(Reason::TransformFailed, detail));
    }
    let key = match chosen {
        Chosen::S3 { key, .. } => context.key(key),
        _ => String::new(),
    };
    if key.len() > MAX_KEY {
        let detail = format!("the object's key would be {} bytes, S3 takes {MAX_KEY}", key.len());
        return Err(Blocked::new(Reason::TooLarge, detail));
    }
    let envelope = envelope(context, exhausted, body.as_str(), &attributes, &system)
        .map_err(|error| Blocked::new(Reason::TransformFailed, format!("the envelope: {error}")))?;
    Ok(Decision::Archive { target, key, envelope })
}

/// The message group ID: the job's, else the message's own. A FIFO queue needs one; a standard queue takes one.
fn group_id(
    template: Option<&Template>,
    queue: &QueueAttributes,
    system: &SystemAttributes,
    context: &Context<'_>,
) -> Result<Option<String>, Blocked> {
    match (template, system.message_group_id()) {
        (Some(template), _) => rendered(template, "message group ID", context).map(Some),
        (None, Some(own)) => Ok(Some(own.to_owned())),
        (None, None) if queue.fifo => Err(Blocked::new(Reason::GroupMissing, queue.name())),
        (None, None) => Ok(None),
    }
}

/// The deduplication ID, for a FIFO queue only. The message's original one is never used: within five minutes of its send the
/// queue would take the message for that one, answer success and drop it.
fn deduplication_id(
    template: Option<&Template>,
    queue: &QueueAttributes,
    context: &Context<'_>,
) -> Result<Option<String>, Blocked> {
    match template {
        _ if !queue.fifo => Ok(None),
        Some(template) => rendered(template, "deduplication ID", context).map(Some),
        None => Ok(Some(context.id.as_str().to_owned())),
    }
}

fn rendered(template: &Template, what: &str, context: &Context<'_>) -> Result<String, Blocked> {
    let id = template.render(|placeholder| context.value(placeholder));
    if is_id(&id) {
        return Ok(id);
    }
    let detail = format!("the {what} would be {id:?}; up to 128 letters, digits and punctuation marks are allowed");
    Err(Blocked::new(Reason::IdRefused, detail))
}
