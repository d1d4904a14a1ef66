//! Judging: which rule takes a message, what it becomes, and where it goes. Pure and synchronous: time comes in as an
//! argument, nothing is read or sent, and plan and apply call the same code.
//!
//! Everything is compiled once, in [`Rules::compile`]; judging parses nothing but the message's body, and that only where a
//! rule looks into it.

use jiff::Timestamp;

use crate::job::{Job, Problem};
use crate::message::{Message, Outgoing};
use crate::target::{Reason, RuleId, Target, TargetId};

/// A job's rules, cap and templates, compiled.
#[derive(Debug)]
pub struct Rules;

/// What judging needs to know beside the job and the message. All of it comes from the plan, so that plan and apply agree.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The time of the plan; ages count from it.
    pub now: Timestamp,
    /// Only messages sent before this.
    pub sent_before: Timestamp,
    /// Only messages sent after this.
    pub sent_after: Option<Timestamp>,
    /// The run's identity, for `{run}`.
    pub run: String,
    /// The source queue's ARN; its last part is `{source_queue}`.
    pub source_arn: String,
    /// Where messages can go; [`TargetId`] is the position.
    pub targets: Vec<Target>,
}

/// What is to become of one message.
#[derive(Debug)]
pub struct Verdict {
    /// The rule that took it.
    pub rule: RuleId,
    /// Whether its retry count had reached the cap.
    pub exhausted: bool,
    /// What to do with it.
    pub decision: Decision,
}

/// What to do with a message.
#[derive(Debug)]
pub enum Decision {
    /// Send it to a queue.
    Send {
        /// The queue.
        target: TargetId,
        /// What to send.
        outgoing: Outgoing,
    },
    /// Write it to S3 or a file.
    Archive {
        /// The bucket or file.
        target: TargetId,
        /// The object's key; empty for a file.
        key: String,
        /// The JSON envelope, one line without a line end.
        envelope: String,
    },
    /// Delete it.
    Drop {
        /// The target of kind `drop`.
        target: TargetId,
    },
    /// Leave it in the source.
    Keep(Reason),
    /// It should move and cannot.
    Block {
        /// Why.
        reason: Reason,
        /// Which path, size or name it is about.
        detail: String,
    },
}

impl Rules {
    /// Compiles a job; all problems at once.
    pub fn compile(job: &Job) -> Result<Self, Vec<Problem>> {
        let _ = job;
        Ok(Self)
    }

    /// A rule's name, for reports.
    pub fn rule_name(&self, rule: RuleId) -> &str {
        let _ = rule;
        ""
    }

    /// Judges one message.
    pub fn judge(&self, message: Message, setting: &Setting) -> Verdict {
        let _ = (message, setting);
        Verdict { rule: RuleId::UNMATCHED, exhausted: false, decision: Decision::Keep(Reason::Unmatched) }
    }
}
