//! What is read of a journal: runs, and the messages that somebody should look at.

use jiff::Timestamp;

use super::ends::{Cause, Totals};
use super::state::State;
use super::words::Resolved;
use crate::message::MessageId;
use crate::target::{Reason, RuleId, TargetId};

/// One run, as the journal knows it.
#[derive(Debug, Clone)]
pub struct RunRecord {
    /// The plan's identity.
    pub name: String,
    /// The source queue's ARN.
    pub source_arn: String,
    /// The SHA-256 of the job's text.
    pub job_sha256: String,
    /// The plan document.
    pub plan: String,
    /// When it was first begun.
    pub started: Timestamp,
    /// When it was finished; `None` while it is not.
    pub ended: Option<Timestamp>,
    /// How its last session ended; `None` while one is under way, or after one that was killed.
    pub outcome: Option<String>,
    /// Why its last session stopped before its end.
    pub cause: Option<Cause>,
    /// The figures that are not counts of messages; of a session that was killed, what it noted last.
    pub totals: Totals,
    /// Who gave it up, when and why; `None` where nobody did.
    pub given_up: Option<Resolved>,
    /// Who had approved the plan, as JSON.
    pub approvals: String,
    /// The words of the command that goes on with it, as JSON, and the directory where it was given.
    pub command: String,
    /// See above.
    pub directory: String,
    /// Whether it was on a sandbox that ended with its process.
    pub sandbox: bool,
    /// What the webhook could not be told of its last session, and why.
    pub not_notified: Option<String>,
    /// The process of a session that did not come to its end, so far.
    pub process: Option<Process>,
}

/// A process that was at work on a run when it was last heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Whether it still is: else it was killed, or its machine stopped.
    pub is_alive: bool,
    /// The machine that it is on, and when it was last heard of; `None` in a journal that only this machine reaches.
    pub elsewhere: Option<(String, Timestamp)>,
}

/// The order of messages in trouble: what somebody has to decide, what failed, what can be mended; all others are only to be known. What
/// is lost unless a file is put back ([`Reason::ArchiveLost`]) comes before all.
pub const URGENCY: [State; 6] =
    [State::Held, State::InDoubt, State::Sending, State::Resending, State::Failed, State::Blocked];

/// A message that somebody should look at: blocked, held, failed, or once in doubt.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// The message.
    pub id: MessageId,
    /// Where it stands.
    pub state: State,
    /// The rule that took it.
    pub rule: RuleId,
    /// Where it went or was to go.
    pub target: Option<TargetId>,
    /// Why it stays.
    pub reason: Option<Reason>,
    /// How often the answer to a send of it never came.
    pub doubts: u32,
    /// The ID that its send returned.
    pub sent_as: Option<MessageId>,
    /// Which path, size or name it is about, or the destination's words.
    pub note: Option<String>,
    /// What helps to find it, if the job asks for that.
    pub identity: Option<String>,
    /// When it last changed.
    pub at: Timestamp,
    /// What somebody decided about its doubts.
    pub resolved: Option<Resolved>,
}

/// Something that a guard or a person did to a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardEvent {
    /// When.
    pub at: Timestamp,
    /// A stable code.
    pub kind: String,
    /// The person, if it was one.
    pub who: Option<String>,
    /// What happened, and why.
    pub words: String,
    /// What the next session has to know of it, as JSON.
    pub data: String,
}

/// A message of a run that came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounce {
    /// The rule that sent it.
    pub rule: RuleId,
    /// When it had been sent, at the latest.
    pub sent: Timestamp,
    /// Whether it was seen for the first time.
    pub is_new: bool,
}

/// What came back of a rule's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CameBack {
    /// The rule.
    pub rule: RuleId,
    /// How many came back.
    pub messages: u64,
    /// When the first and the last of them was seen.
    pub seen: (Timestamp, Timestamp),
}
