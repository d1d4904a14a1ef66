//! The seam to a queue service: one queue, the seven calls a redrive needs, and what can go wrong with them.
//! `aws` implements it; plan and apply use it. No SDK type crosses it.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use redrive_protocol::message::{MessageId, Outgoing, ReceiptHandle, Received};
pub use redrive_protocol::queue::{Counts, QueueAttributes, RedrivePolicy};

use crate::policy::action_of;
use crate::words::{count, thousands};
use redrive_protocol::protocol::Sent;

/// The most entries one batch call takes, and the most messages one receive gives.
pub const MAX_BATCH: usize = 10;

/// The longest visibility timeout, counted from the receive: 12 hours.
pub const MAX_VISIBILITY: Duration = Duration::from_hours(12);

/// About how many messages may be in flight at once from one queue.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html>
pub const MAX_IN_FLIGHT: u64 = 120_000;

/// One queue. The calls that only look, `attributes`, `dead_letter_sources` and `move_task`, are made again as long as their failure
/// may pass. No other call is: whether it may be made again is the caller's to decide, by [`Fault`].
#[async_trait]
pub trait Queue: Send + Sync + fmt::Debug {
    /// The queue's URL.
    fn url(&self) -> &str;

    /// Its attributes, as far as plan and apply look at them, and its approximate counts.
    async fn attributes(&self) -> Result<QueueAttributes, CallError>;

    /// URLs of the queues that name this one as their dead-letter queue, all pages.
    async fn dead_letter_sources(&self) -> Result<Vec<String>, CallError>;

    /// The message move task of AWS's own that is at work on this queue, whose ARN this is.
    async fn move_task(&self, arn: &str) -> Result<Option<MoveTask>, CallError>;

    /// Receives up to `max` (1 to 10) messages with all their attributes, waiting up to `wait` (0 to 20 s) for the first.
    /// What is received stays invisible for `visibility` (0 to 12 h).
    async fn receive(&self, max: usize, wait: Duration, visibility: Duration) -> Result<Vec<Received>, CallError>;

    /// Sends up to ten messages in one request. Answers by position; an entry is `Ok` only when the service acknowledged
    /// it with the MD5s that were computed here.
    async fn send(&self, entries: &[Outgoing]) -> Result<Vec<Result<Acknowledged, EntryFault>>, CallError>;

    /// Deletes up to ten messages that are proven to be elsewhere. Answers by position.
    async fn delete(&self, entries: &[Sent]) -> Result<Vec<Result<(), EntryFault>>, CallError>;

    /// Sets what is left of the visibility timeout of up to ten messages; zero gives them back at once. Answers by position.
    async fn change_visibility(
        &self,
        entries: &[ReceiptHandle],
        timeout: Duration,
    ) -> Result<Vec<Result<(), EntryFault>>, CallError>;
}

/// A message move task of AWS's own (`StartMessageMoveTask`) that is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MoveTask {
    /// About how many messages it has moved.
    pub moved: u64,
    /// About how many there were to move when it began, if the service says so.
    pub to_move: Option<u64>,
}

impl fmt::Display for MoveTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moved = thousands(self.moved);
        match self.to_move {
            Some(to_move) => write!(f, "about {moved} of {} moved so far", count(to_move, "message")),
            None => write!(f, "about {} moved so far", count(self.moved, "message")),
        }
    }
}

/// What the service said when it took a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// The new message's ID, under which it may come back one day.
    pub message_id: MessageId,
}

/// One entry of a batch that was not carried out, inside an answer that says success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryFault {
    /// The service's code.
    pub code: String,
    /// The service's words.
    pub message: String,
    /// What it means for the entry.
    pub kind: EntryFaultKind,
}

/// What an entry's fault means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryFaultKind {
    /// The sender's fault: the same entry would be refused again.
    Sender,
    /// The service's fault: not carried out, and may be tried again.
    Service,
    /// It was taken, but the digest in the answer is not that of what was sent.
    DigestMismatch,
    /// The answer does not say what became of it: it may have been carried out.
    Unanswered,
}

/// A whole call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// What is known about its effect, and what it means.
    pub fault: Fault,
    /// The API action, such as `SendMessageBatch`.
    pub action: &'static str,
    /// What it was called on: a queue's or bucket's name.
    pub resource: String,
    /// The service's code, where an answer came.
    pub code: Option<String>,
    /// The service's words, or the client's.
    pub message: String,
}

/// What is known about a failed call. Decides between trying again, giving up, and doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The service asked to slow down. It did nothing.
    Throttled,
    /// No connection was made. Nothing was done.
    Unreachable,
    /// The answer never came, or was a 5xx: it may have been carried out.
    NoAnswer,
    /// The batch as a whole is too long for the server. Nothing was done.
    TooLong,
    /// Too many messages are in flight (`OverLimit`). Nothing was done.
    OverLimit,
    /// There is no such queue, bucket or object. Nothing was done.
    NotFound,
    /// Not permitted, KMS included. Nothing was done.
    Denied,
    /// No credentials, or expired or invalid ones. Nothing was done.
    Credentials,
    /// The request was refused for another reason. Nothing was done.
    Refused,
}

impl Fault {
    /// Whether it is sure that the call had no effect.
    pub fn had_no_effect(self) -> bool {
        self != Self::NoAnswer
    }

    /// Whether the same call may succeed in a while.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Throttled | Self::Unreachable | Self::NoAnswer)
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}: ", self.action, self.resource)?;
        match &self.code {
            Some(code) => write!(f, "{code}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for CallError {}

impl CallError {
    /// What to allow so that a call that was denied succeeds.
    fn permission(&self) -> String {
        const ALL: &str = "`redrive policy JOB` prints all that a job needs";
        let is_of_key = self.code.as_deref().is_some_and(|code| code.to_ascii_lowercase().starts_with("kms"));
        match (action_of(self.action), self.denied_action()) {
            _ if is_of_key => format!("allow the use of the KMS key that the queue is encrypted with; {ALL}"),
            (own, Some(other)) if own.is_none_or(|own| !own.eq_ignore_ascii_case(other)) => {
                format!("allow {other} on what the service names; {ALL}")
            }
            (Some(own), _) => format!("allow {own} on it; {ALL}"),
            (None, _) => format!("allow it; {ALL}"),
        }
    }

    /// The action that the service says is missing. It may be another than the call's own: reading an object that is not there takes
    /// `s3:ListBucket`, and one that is encrypted `kms:Decrypt`.
    fn denied_action(&self) -> Option<&str> {
        let (_, behind) = self.message.split_once("not authorized to perform: ")?;
        let action = behind.split(' ').next()?;
        let is_action = |(service, name): (&str, &str)| {
            [service, name].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        };
        action.split_once(':').filter(|parts| is_action(*parts)).map(|_| action)
    }
}

impl From<CallError> for crate::error::Error {
    fn from(error: CallError) -> Self {
        let hint = match error.fault {
            Fault::Throttled => "the service asks to slow down; try again later, or set [limits] rate",
            Fault::Unreachable => "check the endpoint (region, endpoint_url, AWS_ENDPOINT_URL), and that it is up",
            Fault::NoAnswer => "the service failed, or its answer was lost; try again later",
            Fault::TooLong => "the message is longer than this server takes",
            Fault::OverLimit => "too many messages of the queue are in flight; wait until their consumers are done",
            Fault::NotFound => {
                "check the name, the account and the region; a queue that was just created needs a few seconds"
            }
            Fault::Denied => return Self::failed(error.to_string()).hint(error.permission()),
            Fault::Credentials => "check the credentials (AWS_PROFILE, AWS_ACCESS_KEY_ID, `aws sso login`)",
            Fault::Refused => "the service refused the request as it stands",
        };
        Self::failed(error.to_string()).hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(action: &'static str, code: &str, message: &str) -> String {
        let (resource, code) = ("bodies".to_owned(), Some(code.to_owned()));
        let denied = CallError { fault: Fault::Denied, action, resource, code, message: message.to_owned() };
        denied.permission()
    }

    #[test]
    fn the_action_that_the_service_misses_is_the_one_to_allow() {
        let says = |action: &str| format!("User: u is not authorized to perform: {action} on resource: \"r\" because");
        for (call, said, allow) in [
            ("GetObject", "s3:GetObject", "allow s3:GetObject on it;"),
            ("GetObject", "s3:ListBucket", "allow s3:ListBucket on what the service names;"),
            ("PutObject", "kms:GenerateDataKey", "allow kms:GenerateDataKey on what the service names;"),
            ("SendMessageBatch", "sqs:sendmessage", "allow sqs:SendMessage on it;"),
            ("GetObject", "\u{1b}[2J:x", "allow s3:GetObject on it;"),
        ] {
            let hint = hint(call, "AccessDenied", &says(said));
            assert!(hint.starts_with(allow), "{hint}");
        }
        assert!(hint("GetObject", "AccessDenied", "Access Denied").starts_with("allow s3:GetObject on it;"));
        let of_key = hint("ReceiveMessage", "KMS.AccessDeniedException", &says("kms:Decrypt"));
        assert!(of_key.starts_with("allow the use of the KMS key"), "{of_key}");
    }
}
