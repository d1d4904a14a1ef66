//! Judging: which rule takes a message, what it becomes, and where it goes. Pure and synchronous: time comes in as an
//! argument, nothing is read or sent, and plan and apply call the same code.
//!
//! Everything is compiled once, in [`Rules::compile`]; judging parses nothing but the message's body, and that only where a
//! rule looks into it.
//!
//! `compile` makes the rules; `filter` asks conditions, with `path` and `query` for `JSONPath` and `number` for exact numbers;
//! `jq` runs programs; `transform` and `edit` change a message, with `wrapping` for AWS's envelopes and `pointer`
//! for bodies in S3; `cap` counts how often it went round; `check` knows what SQS would refuse;
//! `envelope` is the archived form; `explain` says why; `types` finds tests that can never hold; `select` asks conditions without a job;
//! `redact` hides what reports must not show.

mod cap;
mod check;
mod compile;
mod context;
mod deliver;
mod edit;
mod envelope;
mod explain;
mod filter;
mod identify;
mod jq;
mod json;
mod number;
mod path;
mod pointer;
mod query;
mod redact;
mod select;
#[cfg(test)]
mod tests;
mod transform;
mod types;
mod wrapping;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use redrive_protocol::message::{Attributes, Message, Outgoing, Payload};
use redrive_protocol::target::{DROP, ORIGIN, Reason, RuleId, Target, TargetId};

use self::cap::{Cap, Count};
use self::context::Context;
use self::deliver::{Changes, carry_out};
pub use self::envelope::read_envelope;
pub use self::explain::{ExplainedCondition, ExplainedRule, ExplainedStep, Explanation, explain_conditions};
use self::filter::{Condition, Subject};
use self::identify::{Mark, identify};
pub use self::json::{Member, Node, is_json, parse as parse_json};
pub use self::pointer::{MAX_PAYLOAD, Pointer};
use self::redact::Redaction;
pub use self::redact::{REDACTED, Veil};
pub use self::select::{Finder, Selection, condition_toml};
use self::transform::Transform;
pub use self::types::{Met, Types};
use crate::job::{Job, Placeholder, Problem, Template};

/// A job's rules, cap and templates, compiled.
#[derive(Debug)]
pub struct Rules {
    job: String,
    ordered: Vec<CompiledRule>,
    unmatched: Route,
    fallback: Option<Route>,
    cap: Option<Cap>,
    destinations: BTreeMap<String, Destination>,
    redaction: Redaction,
    /// What helps to find a message.
    marks: Vec<Mark>,
    /// Whether pointers of the Extended Client are followed.
    reads_payloads: bool,
    /// Where they may lead to; `None`: anywhere.
    payload_buckets: Option<BTreeSet<String>>,
}

#[derive(Debug)]
struct CompiledRule {
    id: RuleId,
    name: String,
    when: Vec<Condition>,
    transforms: Vec<Transform>,
    to: Route,
}

/// Where the job says that messages go.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Route {
    Keep,
    Drop,
    Origin,
    Named(String),
}

/// What judging needs to know of a destination.
#[derive(Debug)]
enum Destination {
    Sqs { group: Option<Template>, deduplication: Option<Template> },
    S3 { key: Template },
    File { path: Template },
}

/// Why a message cannot go.
#[derive(Debug)]
struct Blocked {
    reason: Reason,
    detail: String,
}

impl Blocked {
    fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

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

impl Setting {
    /// The source queue's name.
    fn source_queue(&self) -> &str {
        self.source_arn.rsplit(':').next().unwrap_or(&self.source_arn)
    }

    /// Why a message is not judged at all. One without `SentTimestamp` is: nothing says that it is out of bounds.
    fn out_of_scope(&self, message: &Message) -> Option<Reason> {
        let sent = message.system.sent_timestamp()?;
        if sent >= self.sent_before {
            Some(Reason::SentTooLate)
        } else if self.sent_after.is_some_and(|after| sent <= after) {
            Some(Reason::SentTooEarly)
        } else {
            None
        }
    }
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
        compile::compile(job)
    }

    /// Judges one message.
    pub fn judge(&self, mut message: Message, setting: &Setting) -> Verdict {
        if message.payload.is_none() && self.pointer(&message).is_some() {
            // A pointer is never judged as if it were the body.
            message.payload = Some(Payload::Unreadable("its body in S3 was not asked for".to_owned()));
        }
        if let Some(reason) = setting.out_of_scope(&message) {
            return Verdict { rule: RuleId::OUT_OF_SCOPE, exhausted: false, decision: Decision::Keep(reason) };
        }
        // What is blocked is written about, and by then the message has gone into its transforms.
        let original = self.redaction.is_on().then(|| (message.body.clone(), message.attributes.clone()));
        let subject = Subject::new(&message, setting.now, setting.source_queue());
        let holds = |rule: &&CompiledRule| rule.when.iter().all(|condition| condition.holds(&subject));
        let rule = self.ordered.iter().find(|rule| holds(rule) || subject.is_blind() || subject.gave_up());
        let (id, to, keeps) = match rule {
            Some(rule) => (rule.id, &rule.to, Reason::RuleKeeps),
            None => (RuleId::UNMATCHED, &self.unmatched, Reason::Unmatched),
        };
        if let (true, Some(Payload::Unreadable(why))) = (subject.is_blind(), &message.payload) {
            let decision = Decision::Block { reason: Reason::PayloadUnreadable, detail: why.clone() };
            return Verdict { rule: id, exhausted: false, decision };
        }
        if subject.gave_up() {
            let decision = Decision::Block { reason: Reason::JqGaveUp, detail: "a jq condition".to_owned() };
            return Verdict { rule: id, exhausted: false, decision };
        }
        let transforms = rule.map_or(&[][..], |rule| &rule.transforms);
        let body_is_json = transforms.iter().any(Transform::needs_json) && subject.is_json();
        let mut changes = Changes { transforms, body_is_json, counter: None };
        let context = Context::new(&message, &self.job, self.rule_name(id), setting);
        let mut chosen = self.choose(to, &message.system, setting, keeps);
        let mut exhausted = false;
        if let Some(cap) = &self.cap
            && self.is_bound_for_a_queue(to, &message)
        {
            match cap.count(&message.attributes) {
                Err(blocked) => chosen = Err(blocked),
                Ok(Count::Next(counter)) => changes.counter = Some((&cap.attribute, counter)),
                // It goes as it came: what a rule makes of a message is for its next round, and there is none.
                Ok(Count::Exhausted) => {
                    exhausted = true;
                    changes = Changes::default();
                    chosen = self.choose(&cap.exhausted, &message.system, setting, Reason::ExhaustedKept);
                }
            }
        }
        let decision = chosen
            .and_then(|chosen| carry_out(&chosen, message, changes, &context, exhausted))
            .unwrap_or_else(|Blocked { reason, detail }| {
                let versions = original.iter().map(|(body, attributes)| (body.as_str(), attributes));
                Decision::Block { reason, detail: self.veil(versions).text(&detail) }
            });
        Verdict { rule: id, exhausted, decision }
    }

    /// Whether a message on this route would go to a queue, if all else is well: only there it can come back from.
    fn is_bound_for_a_queue(&self, route: &Route, message: &Message) -> bool {
        match route {
            Route::Keep | Route::Drop => false,
            Route::Named(name) => matches!(self.destinations.get(name), Some(Destination::Sqs { .. })),
            Route::Origin => match &self.fallback {
                Some(fallback) if message.system.dead_letter_queue_source_arn().is_none() => {
                    *fallback == Route::Origin || self.is_bound_for_a_queue(fallback, message)
                }
                _ => true,
            },
        }
    }

    /// The name of a rule, or of one of the two that are none.
    pub fn rule_name(&self, id: RuleId) -> &str {
        match id {
            RuleId::UNMATCHED => "unmatched",
            RuleId::OUT_OF_SCOPE => "out of scope",
            RuleId(index) => self.ordered.get(usize::from(index)).map_or("unknown", |rule| &rule.name),
        }
    }

    /// Names of the destinations that a message can reach: the job's own, `origin` and `drop`, but not `keep`.
    pub fn destinations_used(&self) -> BTreeSet<&str> {
        let mut routes: Vec<_> = self.ordered.iter().map(|rule| &rule.to).chain([&self.unmatched]).collect();
        routes.extend(self.cap.as_ref().map(|cap| &cap.exhausted));
        if routes.contains(&&Route::Origin) {
            routes.extend(&self.fallback);
        }
        routes.into_iter().filter_map(Route::destination).collect()
    }

    /// Whether some message may go back to its source queue.
    pub fn uses_origin(&self) -> bool {
        self.destinations_used().contains(ORIGIN)
    }

    /// The path of a `file` destination in the run of this identity; `None` where it is of another kind.
    pub fn file_path(&self, destination: &str, run: &str) -> Option<String> {
        match self.destinations.get(destination)? {
            Destination::File { path } => Some(path.render(|placeholder| match placeholder {
                Placeholder::Run => context::safe(run).into(),
                Placeholder::Job => context::safe(&self.job).into(),
                // One file takes the messages of a whole run: nothing of one message can be in its name.
                other => format!("{{{}}}", other.name()).into(),
            })),
            _ => None,
        }
    }

    /// What hides the secrets of one message, as `[report]` names them, in these versions of it (bodies with their attributes)
    /// and in words about it. Without redaction it changes nothing.
    pub fn veil<'v>(&self, versions: impl IntoIterator<Item = (&'v str, &'v Attributes)>) -> Veil<'_> {
        self.redaction.veil(versions)
    }

    /// What helps to find this message, as `[report] identify` names it, without what must not be shown.
    pub fn identify(&self, message: &Message) -> Option<String> {
        if self.marks.is_empty() {
            return None;
        }
        identify(&self.marks, message, &self.veil([(message.shown(), &message.attributes)]))
    }
}

impl Route {
    fn destination(&self) -> Option<&str> {
        match self {
            Self::Keep => None,
            Self::Drop => Some(DROP),
            Self::Origin => Some(ORIGIN),
            Self::Named(name) => Some(name),
        }
    }
}

// Keys and details are names; the envelope holds a body.
impl std::fmt::Debug for Decision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Send { target, outgoing } => {
                f.debug_struct("Send").field("target", target).field("outgoing", outgoing).finish()
            }
            Self::Archive { target, key, envelope } => {
                write!(f, "Archive {{ target: {target:?}, key: {key:?}, envelope: {} bytes }}", envelope.len())
            }
            Self::Drop { target } => f.debug_struct("Drop").field("target", target).finish(),
            Self::Keep(reason) => f.debug_tuple("Keep").field(reason).finish(),
            Self::Block { reason, detail } => write!(f, "Block({reason:?}, {detail:?})"),
        }
    }
}
