//! Small names that rule, plan, journal and apply share: which rule took a message, where it goes, and why it stays.
//! They are numbers so that the journal stays small; the plan holds the names behind them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::queue::QueueAttributes;

/// The built-in destination that is each message's own source queue.
pub const ORIGIN: &str = "origin";
/// The built-in destination that leaves a message in the source queue.
pub const KEEP: &str = "keep";
/// The built-in destination that deletes a message.
pub const DROP: &str = "drop";
/// What plans call the parking queue; no destination can have this name.
pub const PARKING: &str = "unmatched.park";

/// Which rule took a message: its position in the job, or one of two that are no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RuleId(pub u16);

impl RuleId {
    /// No rule matched: `[unmatched]` applies.
    pub const UNMATCHED: Self = Self(u16::MAX);
    /// Not judged at all: outside the bounds on `SentTimestamp`, or sent by this very run.
    pub const OUT_OF_SCOPE: Self = Self(u16::MAX - 1);
    /// No rule matched, and the job parks such messages: the way of one to the parking queue.
    pub const PARKED: Self = Self(u16::MAX - 2);
    /// The way of a parked message back to the source, and the message that came of it where the run meets it again.
    pub const RETURNED: Self = Self(u16::MAX - 3);

    /// Whether it is no rule but a way to the parking queue or back.
    pub fn is_parking(self) -> bool {
        matches!(self, Self::PARKED | Self::RETURNED)
    }
}

/// One place messages can go, by its position in the plan's list of targets: the job's destinations in their order, the
/// parking queue, then every origin queue the plan knows, then `drop`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TargetId(pub u16);

/// One place messages can go, as the plan found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The name in the job: a destination's, `origin`, `drop`, or `unmatched.park`.
    pub destination: String,
    /// What kind of place it is.
    pub kind: TargetKind,
    /// The queue, where it is one.
    pub queue: Option<QueueAttributes>,
    /// `s3://bucket` or the path of the file, where it is one.
    pub location: Option<String>,
}

impl Target {
    /// How it is called where people read: the destination, and for an origin its queue.
    pub fn label(&self) -> String {
        match &self.queue {
            Some(queue) if self.destination == ORIGIN => format!("origin {}", queue.name()),
            Some(queue) if self.kind == TargetKind::Park => format!("parking queue {}", queue.name()),
            _ => self.destination.clone(),
        }
    }
}

/// What kind of place a target is; it decides whether a message counts as moved, archived or dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// An SQS queue: moved.
    Sqs,
    /// An S3 prefix: archived.
    S3,
    /// A local file: archived.
    File,
    /// Nowhere: dropped.
    Drop,
    /// The parking queue, from which they come back: kept.
    Park,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $code:literal, $text:literal;)*) => {
        /// Why a message was not moved. A closed list: codes are stable in the JSON formats, numbers in the journal.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Reason { $($(#[$doc])* $name = $number,)* }

        impl Reason {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable code in the JSON formats.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// In words, to follow the message it is about.
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

reasons! {
    // Kept: the job or the run leaves it where it is.
    /// The rule that took it says `keep`.
    RuleKeeps = 1, "rule_keeps", "the rule keeps it";
    /// No rule took it, and `[unmatched]` says `keep`.
    Unmatched = 2, "unmatched", "no rule matched";
    /// Sent after `sent_before`, which defaults to the time of the plan.
    SentTooLate = 3, "sent_too_late", "sent after the plan's bound";
    /// Sent before `sent_after`.
    SentTooEarly = 4, "sent_too_early", "sent before the job's bound";
    /// This run sent it, and it came back.
    Bounced = 5, "bounced", "this run sent it, and it came back";
    /// An earlier message of its group stays, so it stays too.
    GroupStopped = 6, "group_stopped", "an earlier message of its group stays";
    /// `max_messages` was reached.
    LimitReached = 7, "limit_reached", "max_messages was reached";
    /// The exhausted destination is `keep`.
    ExhaustedKept = 8, "exhausted_kept", "its retry count is exhausted, and the job keeps those";
    /// It was in doubt, and somebody decided that it stays.
    Released = 9, "released", "it was in doubt, and somebody decided that it stays";
    /// A guard stopped the rule.
    RuleStopped = 10, "rule_stopped", "its rule was stopped, because too many of its messages came back";

    /// The plan is pinned to other messages.
    NotInPlan = 12, "not_in_plan", "it is not in the plan";
    /// The plan is pinned to a message of its ID with another content.
    ChangedSincePlan = 13, "changed_since_plan", "it is not what it was when the plan was made";

    // Blocked: the job wants it moved, but it cannot be done whole.
    /// A transform needs JSON and the body is not.
    NotJson = 20, "not_json", "a transform needs JSON, and the body is not";
    /// A transform's path is not there, or is not one place.
    NoSuchPath = 21, "no_such_path", "a transform's path is not there";
    /// The retry counter is not a whole number.
    CounterUnreadable = 22, "counter_unreadable", "the retry counter is not a whole number";
    /// It would have more than ten message attributes.
    TooManyAttributes = 23, "too_many_attributes", "it would have more than ten message attributes";
    /// Larger than the destination takes.
    TooLarge = 24, "too_large", "larger than the destination takes";
    /// The body would be empty.
    EmptyBody = 25, "empty_body", "the body would be empty";
    /// Characters that SQS refuses.
    ForbiddenCharacters = 26, "forbidden_characters", "it holds characters that SQS refuses";
    /// No `DeadLetterQueueSourceArn`, and no fallback.
    OriginMissing = 27, "origin_missing", "it has no DeadLetterQueueSourceArn";
    /// Its origin is a queue that the plan does not know.
    OriginNotInPlan = 28, "origin_not_in_plan", "its origin is not among the plan's queues";
    /// A FIFO destination needs a message group ID.
    GroupMissing = 29, "group_missing", "a FIFO queue needs a message group ID, and it has none";
    /// Two keys of the same name in an object that a transform would rewrite.
    DuplicateKeys = 30, "duplicate_keys", "an object in the body has two keys of the same name";
    /// A transform made several values, or a value that cannot be placed.
    TransformFailed = 31, "transform_failed", "a transform could not be carried out";
    /// Something is there already, where a rename leads to.
    PlaceTaken = 32, "place_taken", "something is already where a rename leads to";
    /// The body is not in the envelope that an `unwrap` takes off.
    NotWrapped = 33, "not_wrapped", "it is not in the envelope that a transform takes off";
    /// The Extended Client keeps its body in S3, and a rule has to look at it.
    PayloadUnreadable = 34, "payload_unreadable", "its body in S3 cannot be read";
    /// A jq transform yields nothing.
    NoValue = 35, "no_value", "a jq transform yields no value for it";
    /// A jq transform yields several values, and a message has one body.
    SeveralValues = 36, "several_values", "a jq transform yields several values for it";
    /// A jq program took too many steps, or recursed too deep.
    JqGaveUp = 37, "jq_gave_up", "a jq program does not come to an end for it";
    /// A message attribute is empty, which SQS refuses.
    EmptyAttribute = 38, "empty_attribute", "a message attribute is empty";
    /// A message group ID or deduplication ID that SQS refuses.
    IdRefused = 39, "id_refused", "SQS takes no such message group ID or deduplication ID";

    // Failed: the destination would not have it.
    /// The destination refused it for good.
    Refused = 40, "refused", "the destination refused it";
    /// The destination's MD5 is not ours: what arrived may be damaged.
    DigestMismatch = 41, "digest_mismatch", "the destination's MD5 differs from ours";
    /// An object that is not this message's has its key.
    KeyTaken = 42, "key_taken", "another object has its key";
    /// It was not finished, and the source no longer has it: it expired, or somebody else deleted or moved it.
    Gone = 43, "gone", "it is no longer in the source";
    /// It was parked, and the parking queue no longer has it.
    ParkedGone = 44, "parked_gone", "it is no longer in the parking queue";
    /// It was archived and deleted from the source, and its archive no longer holds it.
    ArchiveLost = 45, "archive_lost", "its archive no longer holds it, and it was deleted from the source";

    // Held: nobody can say whether it arrived.
    /// The answer to its send never came, and the job says `in_doubt = "hold"`.
    AnswerLost = 50, "answer_lost", "the answer to its send never came";
}

impl Reason {
    /// Whether a message stays because of what it is and what the job says of it, and not because of others, or of the run.
    pub fn is_verdict(self) -> bool {
        matches!(self as u8, 20..40) || matches!(self, Self::RuleKeeps | Self::Unmatched | Self::ExhaustedKept)
    }

    /// The reason with this number in the journal.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| *reason as u8 == number)
    }

    /// The reason with this code in the JSON formats.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::from_code(&code).ok_or_else(|| serde::de::Error::custom(format!("unknown reason {code:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_codes_of_reasons_lead_back_to_them() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_number(*reason as u8), Some(*reason));
            assert_eq!(Reason::from_code(reason.code()), Some(*reason));
        }
    }
}
