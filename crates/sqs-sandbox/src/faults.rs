//! Misbehaviour on command: rules that say which requests are hit and what happens to them. Seeded, so that a run can be had
//! again. This module decides; the server and the SQS side carry it out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

/// Which requests, and what happens to them. A request is hit where everything that is given holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The action, such as `SendMessageBatch` or, of S3, `PutObject`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The queue or bucket, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The request with this number, counted from 1 over all requests of SQS and S3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The nth request of this action and resource since the rule was added, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    /// Each with this probability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// At most so often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// What happens.
    pub fault: Fault,
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// It takes longer: this many milliseconds and up to `jitter_ms` more.
    Latency {
        /// Milliseconds.
        ms: u64,
        /// At most so many more, at random.
        #[serde(default)]
        jitter_ms: u64,
        /// Before or after its effect.
        #[serde(default)]
        when: When,
    },
    /// It is throttled, without effect.
    Throttle,
    /// It is answered with a server's error.
    Status {
        /// The HTTP status, 500 or 503.
        code: u16,
        /// Before its effect, that is without one, or after.
        #[serde(default)]
        when: When,
    },
    /// The connection is closed without an answer.
    Cut {
        /// Before its effect, that is without one, or after.
        #[serde(default)]
        when: When,
    },
    /// No answer ever comes; the connection stays open.
    Silence {
        /// Before its effect, that is without one, or after.
        #[serde(default)]
        when: When,
    },
    /// One entry of a batch fails without effect, inside an answer that says success.
    FailEntry {
        /// Its place in the request, from 0.
        index: usize,
        /// Whether it is called the sender's fault.
        #[serde(default)]
        sender_fault: bool,
        /// Its code; else `InternalError`.
        #[serde(default = "internal_error")]
        code: String,
    },
    /// The MD5 of the body in the answer is wrong.
    CorruptMd5,
    /// What is received stays visible to others.
    Duplicate,
    /// A delete with an older receipt handle answers success and deletes nothing.
    IgnoreStaleHandle,
    /// The caller lacks the permission.
    AccessDenied,
    /// The caller's session has expired.
    ExpiredToken,
    /// The queue or bucket is not there.
    NotFound,
    /// A process of this machine gets a signal. After `KILL` the connection is cut. Only where the options allow signals.
    Kill {
        /// The process.
        pid: u32,
        /// Which signal.
        #[serde(default)]
        signal: Signal,
        /// Before the request's effect, that is without one, or after. Other signals than `KILL` leave the request alone.
        #[serde(default)]
        when: When,
    },
}

/// Before or after the effect of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Before: the request has no effect, where the fault ends it.
    #[default]
    Before,
    /// After: the request has had its effect.
    After,
}

/// A signal to a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Signal {
    /// Ends it at once.
    #[default]
    Kill,
    /// Asks it to end.
    Term,
    /// As Ctrl-C does.
    Int,
    /// Holds it.
    Stop,
    /// Lets it go on.
    Cont,
}

impl Signal {
    /// As `kill` wants it.
    pub(super) fn option(self) -> &'static str {
        match self {
            Self::Kill => "-KILL",
            Self::Term => "-TERM",
            Self::Int => "-INT",
            Self::Stop => "-STOP",
            Self::Cont => "-CONT",
        }
    }
}

fn internal_error() -> String {
    "InternalError".to_owned()
}

impl Rule {
    /// A rule that hits every request.
    pub fn new(fault: Fault) -> Self {
        Self { action: None, resource: None, number: None, nth: None, probability: None, times: None, fault }
    }

    /// Only requests of this action.
    #[must_use]
    pub fn action(mut self, action: impl Into<String>) -> Self {
        self.action = Some(action.into());
        self
    }

    /// Only requests on this queue or bucket.
    #[must_use]
    pub fn resource(mut self, name: impl Into<String>) -> Self {
        self.resource = Some(name.into());
        self
    }

    /// Only the request with this number among all.
    #[must_use]
    pub fn number(mut self, number: u64) -> Self {
        self.number = Some(number);
        self
    }

    /// Only the nth request of the action and resource, from 1.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.nth = Some(nth);
        self
    }

    /// Each request with this probability.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = Some(probability);
        self
    }

    /// At most so often.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }
}

impl Fault {
    /// Its name in the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Latency { .. } => "latency",
            Self::Throttle => "throttle",
            Self::Status { when: When::Before, .. } => "status before",
            Self::Status { when: When::After, .. } => "status after",
            Self::Cut { when: When::Before } => "cut before",
            Self::Cut { when: When::After } => "cut after",
            Self::Silence { when: When::Before } => "silence before",
            Self::Silence { when: When::After } => "silence after",
            Self::FailEntry { .. } => "fail entry",
            Self::CorruptMd5 => "corrupt md5",
            Self::Duplicate => "duplicate",
            Self::IgnoreStaleHandle => "ignore stale handle",
            Self::AccessDenied => "access denied",
            Self::ExpiredToken => "expired token",
            Self::NotFound => "not found",
            Self::Kill { when: When::Before, .. } => "kill before",
            Self::Kill { when: When::After, .. } => "kill after",
        }
    }
}

struct Active {
    id: u64,
    rule: Rule,
    seen: u64,
    hit: u64,
}

struct Inner {
    rules: Vec<Active>,
    rng: SmallRng,
    next_id: u64,
}

/// The rules in force.
pub struct Faults {
    /// Most sandboxes never have a rule: then nothing is locked.
    any: AtomicBool,
    inner: Mutex<Inner>,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        let inner = Inner { rules: Vec::new(), rng: SmallRng::seed_from_u64(seed), next_id: 1 };
        Self { any: AtomicBool::new(false), inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a rule; answers its ID.
    pub fn add(&self, rule: Rule) -> u64 {
        let mut inner = self.lock();
        let id = inner.next_id;
        inner.next_id += 1;
        inner.rules.push(Active { id, rule, seen: 0, hit: 0 });
        self.any.store(true, Ordering::Relaxed);
        id
    }

    /// Removes a rule; answers whether it was there.
    pub fn remove(&self, id: u64) -> bool {
        let mut inner = self.lock();
        let before = inner.rules.len();
        inner.rules.retain(|active| active.id != id);
        self.any.store(!inner.rules.is_empty(), Ordering::Relaxed);
        inner.rules.len() < before
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.lock().rules.clear();
        self.any.store(false, Ordering::Relaxed);
    }

    /// The rules in force: ID, rule, and how often it hit.
    pub fn list(&self) -> Vec<(u64, Rule, u64)> {
        self.lock().rules.iter().map(|active| (active.id, active.rule.clone(), active.hit)).collect()
    }

    /// What happens to this request.
    pub(super) fn decide(&self, number: u64, action: &str, resource: &str) -> Vec<Fault> {
        if !self.any.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let mut inner = self.lock();
        let Inner { rules, rng, .. } = &mut *inner;
        let mut faults = Vec::new();
        for active in rules {
            let rule = &active.rule;
            let is_meant = rule.action.as_deref().is_none_or(|wanted| wanted == action)
                && rule.resource.as_deref().is_none_or(|wanted| wanted == resource);
            if !is_meant {
                continue;
            }
            active.seen += 1;
            let hits = rule.number.is_none_or(|wanted| wanted == number)
                && rule.nth.is_none_or(|wanted| wanted == active.seen)
                && rule.times.is_none_or(|times| active.hit < times)
                && rule.probability.is_none_or(|probability| rng.random_bool(probability.clamp(0.0, 1.0)));
            if hits {
                active.hit += 1;
                faults.push(rule.fault.clone());
            }
        }
        faults
    }

    /// Milliseconds of jitter.
    pub(super) fn jitter(&self, most: u64) -> u64 {
        if most == 0 { 0 } else { self.lock().rng.random_range(0..=most) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(faults: &Faults, requests: &[(&str, &str)]) -> Vec<usize> {
        requests
            .iter()
            .zip(1..)
            .filter(|((action, resource), number)| !faults.decide(*number, action, resource).is_empty())
            .map(|(_, number)| usize::try_from(number).unwrap())
            .collect()
    }

    const REQUESTS: [(&str, &str); 6] = [
        ("SendMessageBatch", "orders"),
        ("DeleteMessageBatch", "dlq"),
        ("SendMessageBatch", "other"),
        ("SendMessageBatch", "orders"),
        ("ReceiveMessage", "dlq"),
        ("SendMessageBatch", "orders"),
    ];

    #[test]
    fn rules_hit_what_they_say() {
        let rule = Rule::new(Fault::Throttle);
        for (rule, expected) in [
            (rule.clone(), vec![1, 2, 3, 4, 5, 6]),
            (rule.clone().action("SendMessageBatch"), vec![1, 3, 4, 6]),
            (rule.clone().action("SendMessageBatch").resource("orders"), vec![1, 4, 6]),
            (rule.clone().action("SendMessageBatch").resource("orders").nth(2), vec![4]),
            (rule.clone().action("SendMessageBatch").times(2), vec![1, 3]),
            (rule.clone().number(5), vec![5]),
            (rule.clone().number(5).action("SendMessageBatch"), vec![]),
            (rule.clone().probability(0.0), vec![]),
            (rule.clone().probability(7.0), vec![1, 2, 3, 4, 5, 6]),
        ] {
            let faults = Faults::new(1);
            faults.add(rule.clone());
            assert_eq!(hits(&faults, &REQUESTS), expected, "{rule:?}");
        }
    }

    #[test]
    fn the_same_seed_hits_the_same_requests() {
        let run = |seed| {
            let faults = Faults::new(seed);
            faults.add(Rule::new(Fault::Cut { when: When::After }).probability(0.3));
            (1..200).filter(|&number| !faults.decide(number, "SendMessage", "q").is_empty()).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        assert!((30..90).contains(&run(7).len()));
    }

    #[test]
    fn removed_rules_are_gone() {
        let faults = Faults::new(1);
        let id = faults.add(Rule::new(Fault::Throttle));
        assert!(faults.remove(id) && !faults.remove(id));
        assert!(faults.decide(1, "SendMessage", "q").is_empty());
    }

    #[test]
    fn rules_are_read_from_json() {
        let rule: Rule = serde_json::from_str(
            r#"{"action":"SendMessageBatch","nth":2,"fault":{"status":{"code":503,"when":"after"}}}"#,
        )
        .unwrap();
        assert_eq!(rule, Rule::new(Fault::Status { code: 503, when: When::After }).action("SendMessageBatch").nth(2));
        let plain: Rule = serde_json::from_str(r#"{"fault":"corrupt_md5"}"#).unwrap();
        assert_eq!(plain.fault, Fault::CorruptMd5);
        assert!(serde_json::from_str::<Rule>(r#"{"actoin":"SendMessage","fault":"throttle"}"#).is_err());
    }
}
