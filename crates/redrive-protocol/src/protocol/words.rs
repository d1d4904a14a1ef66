//! What the protocol is told and what it answers. The fields of a claim, an intent and a proof are private to the protocol,
//! so that nobody else can make one.

use jiff::Timestamp;

use super::key::Key;
use super::numbers::{QueueNo, RunNo};
use crate::message::{MessageId, ReceiptHandle};
use crate::target::{Reason, RuleId, TargetId};

/// A delivery as it comes from a receive.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The message.
    pub id: MessageId,
    /// The handle of this delivery.
    pub receipt: ReceiptHandle,
    /// `ApproximateReceiveCount`.
    pub receive_count: Option<u32>,
    /// `DeadLetterQueueSourceArn`, which is gone after the send: here it is kept.
    pub origin: Option<String>,
    /// When the receive was asked for; the twelve hours count from it.
    pub received: Timestamp,
    /// Until when it is surely invisible to others.
    pub until: Timestamp,
}

/// What the journal knows of a delivered message.
#[derive(Debug)]
pub enum Admitted {
    /// Nothing that hinders judging it.
    New(Claim),
    /// A send of it may have arrived.
    Doubtful(Doubtful),
    /// It is safely elsewhere: delete it, do not send it.
    Sent(Sent),
    /// This run sent it, and it came back.
    Bounced(Claim),
    /// This run parked it and has brought it back: it is what it made of a message that it has counted already.
    Returned(Claim),
    /// In a parking queue: it is none that this run parked, and nobody's to touch.
    Foreign,
    /// Another delivery of it is being handled right now. The newer handle is noted; there is nothing to do.
    Duplicate,
    /// A send of it may have arrived, and somebody decided that this run leaves it where it is.
    Released,
}

/// The right to decide about one delivered message. There is one a message at a time.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq, Eq, Hash))]
pub struct Claim {
    pub(super) delivered: Delivered,
    /// When a send of it was first intended that may have arrived.
    pub(super) doubted: Option<Timestamp>,
}

/// A message and the handle it was delivered with. The handle goes along from the claim to the proof, so that a proof does
/// not hang on the lease, which may end on the way.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct Delivered {
    pub(super) id: MessageId,
    pub(super) key: Key,
    pub(super) receipt: ReceiptHandle,
    pub(super) receive_count: Option<u32>,
    /// The queue it came from.
    pub(super) origin: Option<QueueNo>,
    /// That queue's ARN, if only the store knows it.
    pub(super) came_from: Option<Box<str>>,
}

impl Claim {
    /// The message.
    pub fn id(&self) -> &MessageId {
        &self.delivered.id
    }

    /// The `DeadLetterQueueSourceArn` that the message had before a run parked it and brought it back; SQS knows it no more.
    pub fn came_from(&self) -> Option<&str> {
        self.delivered.came_from.as_deref()
    }
}

/// A message of which a send may have arrived. Another type than [`Claim`]: it takes a decision to send it again.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq, Eq, Hash))]
pub struct Doubtful {
    pub(super) delivered: Delivered,
    pub(super) since: Timestamp,
    pub(super) this_run: bool,
    pub(super) unfinished: bool,
}

impl Doubtful {
    /// The message.
    pub fn id(&self) -> &MessageId {
        &self.delivered.id
    }

    /// When the first send of it was intended that may have arrived: a deduplication window counts from it.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// Whether all its sends were this run's, so that the next is to the same place, under the same name.
    pub fn is_of_this_run(&self) -> bool {
        self.this_run
    }

    /// Whether it is this run's to finish: nothing has become of it here since the answer was lost.
    pub fn is_unfinished(&self) -> bool {
        self.unfinished
    }

    /// Decides that the message is judged again, knowing that a copy may have arrived.
    pub fn judge_again(self) -> Claim {
        Claim { delivered: self.delivered, doubted: Some(self.since) }
    }
}

/// A decision about a claimed message.
#[derive(Debug)]
pub struct Judgement {
    /// Which message.
    pub claim: Claim,
    /// The rule that took it.
    pub rule: RuleId,
    /// Whether its retry count is exhausted.
    pub exhausted: bool,
    /// What is decided.
    pub decision: Decided,
}

/// What is decided about a message.
#[derive(Debug)]
pub enum Decided {
    /// It is to be sent to this target.
    Send(TargetId),
    /// It is deleted without being sent; the target is of the kind `drop`.
    Drop(TargetId),
    /// It stays in the source.
    Stay(Stay),
}

/// Why and how a message stays.
#[derive(Debug)]
pub enum Stay {
    /// Left where it is.
    Kept(Reason),
    /// It should move and cannot; with which path, size or name it is about.
    Blocked(Reason, String),
    /// It is in doubt, and waits for a decision; with the target a copy may be at.
    Held,
}

/// What a judgement became, on disk.
#[derive(Debug)]
pub enum Judged {
    /// It may be sent now.
    Intended(Intended),
    /// It may be deleted now.
    Sent(Sent),
    /// It stays.
    Stays,
}

/// The intent to send a message, on disk: what a send takes.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq, Eq, Hash))]
pub struct Intended {
    pub(super) delivered: Delivered,
    /// When a send of it was first intended that may have arrived.
    pub(super) doubted: Option<Timestamp>,
}

impl Intended {
    /// The message.
    pub fn id(&self) -> &MessageId {
        &self.delivered.id
    }

    /// Where it is sent once more: since when a send of it may have arrived.
    pub fn doubted_since(&self) -> Option<Timestamp> {
        self.doubted
    }
}

/// How a send ended.
#[derive(Debug)]
pub struct Settlement {
    /// Which one.
    pub intended: Intended,
    /// How.
    pub end: SendEnd,
}

/// How a send ended.
#[derive(Debug)]
pub enum SendEnd {
    /// The destination acknowledged it, under this new ID where it is a queue.
    Acknowledged(Option<MessageId>),
    /// The destination will not have it, with the words it used.
    Refused(Reason, String),
    /// The answer never came.
    AnswerLost,
    /// It was surely not sent and will not be now; the next session judges it again.
    Withdrawn,
    /// It was surely not sent, since it may no longer be ours: it comes again, or somebody else has taken it.
    Lapsed,
    /// It was surely not sent, and stays because one before it in its message group stays.
    Behind,
}

/// What a settlement became, on disk.
#[derive(Debug)]
pub enum Settled {
    /// It may be deleted now.
    Sent(Sent),
    /// Nobody can say whether it arrived.
    Doubtful(Doubtful),
    /// It stays in the source.
    Stays,
}

/// The proof that a message is safely elsewhere, on disk in the journal: what a delete takes. Only the journal makes it.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq, Eq, Hash))]
pub struct Sent {
    pub(super) delivered: Delivered,
    pub(super) run: RunNo,
    /// Whether its deletion is confirmed, by the handles that were tried.
    pub(super) confirmed: Option<bool>,
}

impl Sent {
    /// The message.
    pub fn id(&self) -> &MessageId {
        &self.delivered.id
    }

    /// The newest receipt handle of it that is known.
    pub fn receipt(&self) -> &ReceiptHandle {
        &self.delivered.receipt
    }
}

/// How a delete ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeleteEnd {
    /// The source confirmed it.
    Confirmed,
    /// The source would not have the handle: the message comes back, and is deleted then.
    HandleRefused,
    /// No answer, or none that counts; the handle may still be good.
    Unknown,
}

/// A message in flight with us.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The message.
    pub id: MessageId,
    /// The newest receipt handle that is known.
    pub receipt: ReceiptHandle,
    /// When it was received.
    pub received: Timestamp,
    /// Until when it is surely invisible to others.
    pub until: Timestamp,
}

/// Which run to begin or to go on with.
#[derive(Debug, Clone)]
pub struct RunSpec {
    /// The plan's identity.
    pub name: String,
    /// The source queue's ARN.
    pub source_arn: String,
    /// The SHA-256 of the job's text.
    pub job_sha256: String,
    /// The plan document, without its examples.
    pub plan: String,
    /// Who has approved it, as JSON; only kept and given back here.
    pub approvals: String,
    /// The words of the command that goes on with it, as JSON; only kept and given back here.
    pub command: String,
    /// The directory where that command was given.
    pub directory: String,
    /// Whether it is on a sandbox that ends with this process.
    pub sandbox: bool,
}

/// A run that was begun, with what an earlier session left behind.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about what was found")]
pub struct Begun {
    /// Whether it had been begun before.
    pub resumed: bool,
    /// Whether an earlier process was ended in the midst of it, and may have messages in flight that no journal knows.
    pub interrupted: bool,
    /// Sends whose answers were lost with that process.
    pub in_doubt: u64,
    /// Messages whose last send may have arrived, with where it went.
    pub doubtful: Vec<(MessageId, Option<TargetId>)>,
    /// Messages that are safely elsewhere and still to be deleted, with the handles that are known.
    pub to_delete: Vec<Sent>,
    /// Until when the last of these stays invisible, as far as it was extended.
    pub to_delete_until: Option<Timestamp>,
    /// Messages in flight that are to be given back at once.
    pub to_release: Vec<Lease>,
    /// Whether an earlier session has gone through the source, so that what is left is to bring back what is parked.
    pub drained: bool,
    /// Whether somebody gave the run up: all that is left to do is to bring back what is parked.
    pub given_up: bool,
    /// SQS requests of earlier sessions.
    pub requests: u64,
    /// Milliseconds of earlier sessions.
    pub elapsed_ms: u64,
}

/// What somebody decides about a message in doubt. The numbers are those on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Resolution {
    /// It is judged and sent again, whatever the job says of doubts.
    Resend = 1,
    /// It has arrived: it is deleted from the source and not sent.
    Discard = 2,
    /// It stays in the source, and the run leaves it alone.
    Release = 3,
    /// Not of a message: the run itself is given up.
    Abandon = 4,
}

impl Resolution {
    /// The stable code in the JSON formats.
    pub fn code(self) -> &'static str {
        match self {
            Self::Resend => "resend",
            Self::Discard => "discard",
            Self::Release => "release",
            Self::Abandon => "abandon",
        }
    }

    /// The decision with this number on disk.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Resend, Self::Discard, Self::Release, Self::Abandon].into_iter().find(|known| *known as u8 == number)
    }
}

/// A decision to put on disk, and whose it is.
#[derive(Debug, Clone)]
pub struct Resolve {
    /// The run's identity.
    pub run: String,
    /// Which messages; `None` is all that are in doubt.
    pub messages: Option<Vec<MessageId>>,
    /// What is decided.
    pub resolution: Resolution,
    /// Who decided it.
    pub who: String,
    /// Why, in words.
    pub reason: Option<String>,
}

/// A decision as it is on disk.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// What was decided.
    pub resolution: Resolution,
    /// When.
    pub at: Timestamp,
    /// Who decided it.
    pub who: String,
    /// Why, in words.
    pub reason: Option<String>,
}
