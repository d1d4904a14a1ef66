//! What goes to a target, with all that is needed to end its story; and the failures that end a run resumably. No logic.

use redrive_protocol::message::Outgoing;
use redrive_protocol::protocol::{Intended, SendEnd};
use redrive_protocol::target::{RuleId, TargetId};

use super::hold::Hold;
use super::room::Place;
use crate::error::Error;
use crate::sqs::CallError;

/// What goes to a target.
#[derive(Debug)]
pub(super) enum Content {
    /// To a queue.
    Message(Outgoing),
    /// To S3 or a file: the key, and the JSON envelope.
    Envelope { key: String, envelope: String },
}

/// A message that is intended to be sent, with all that is needed to end the story.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) content: Content,
    pub(super) ticket: Ticket,
}

/// What stays with us of a parcel while its content is on the way.
#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) intended: Intended,
    pub(super) target: TargetId,
    pub(super) rule: RuleId,
    pub(super) exhausted: bool,
    /// The message group at a FIFO source.
    pub(super) group: Option<String>,
    pub(super) place: Place,
    /// Until when it is ours to send.
    pub(super) hold: Hold,
}

impl Parcel {
    /// Bytes as the target counts them.
    pub(super) fn size(&self) -> usize {
        match &self.content {
            Content::Message(outgoing) => outgoing.size(),
            Content::Envelope { envelope, .. } => envelope.len(),
        }
    }

    pub(super) fn group(&self) -> Option<&str> {
        self.ticket.group.as_deref()
    }
}

/// A parcel that is surely an envelope: all that an archive takes.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) key: String,
    pub(super) envelope: String,
    pub(super) ticket: Ticket,
}

impl From<Sealed> for Parcel {
    fn from(Sealed { key, envelope, ticket }: Sealed) -> Self {
        Self { content: Content::Envelope { key, envelope }, ticket }
    }
}

/// The envelopes of these parcels. The rules give an archive nothing else; if they did, it would not be sent.
pub(super) fn sealed(parcels: Vec<Parcel>) -> (Vec<Sealed>, Vec<Ended>) {
    let (mut sealed, mut ended) = (Vec::with_capacity(parcels.len()), Vec::new());
    for Parcel { content, ticket } in parcels {
        match content {
            Content::Envelope { key, envelope } => sealed.push(Sealed { key, envelope, ticket }),
            message @ Content::Message(_) => ended.push((Parcel { content: message, ticket }, SendEnd::Withdrawn)),
        }
    }
    (sealed, ended)
}

/// A parcel and how its send ended.
pub(super) type Ended = (Parcel, SendEnd);

/// A call's failure in the midst of a run: resumable.
pub(super) fn stopped(error: CallError) -> Error {
    Error::from(error).resumable()
}
