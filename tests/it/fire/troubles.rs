//! Everything that the sandbox and other people can do to a run, by name, each at a request of one's choice.

use std::sync::Arc;
use std::time::Duration;

use sqs_sandbox::{Fault, Rule, When};
use tokio::task::JoinHandle;

use super::Scene;
use super::model::Others;
use crate::support::admin::Admin;

/// How a trouble comes about.
#[derive(Clone, Copy)]
pub(super) enum Way {
    /// The server misbehaves; the rules, from this request on.
    Rules(fn(u64) -> Vec<Rule>),
    /// Somebody does something to the source once it has answered so many requests.
    Act(Act),
}

/// What others do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// All clocks of the servers go ten minutes ahead, and with them everything that was in flight runs out.
    StepClock,
    /// The source is purged.
    Purge,
    /// The source is deleted.
    Delete,
    /// A destination is deleted.
    DeleteDestination,
}

/// One kind of trouble.
#[derive(Clone, Copy)]
pub(super) struct Trouble {
    pub(super) name: &'static str,
    pub(super) way: Way,
}

const SEND: &str = "SendMessageBatch";
const DELETE: &str = "DeleteMessageBatch";
const CHANGE: &str = "ChangeMessageVisibilityBatch";
const RECEIVE: &str = "ReceiveMessage";

/// The same at the nth request, whichever that is.
fn any(fault: Fault, nth: u64) -> Vec<Rule> {
    vec![Rule::new(fault).nth(nth)]
}

/// At so many requests from the nth on.
fn from(fault: &Fault, nth: u64, requests: u64) -> Vec<Rule> {
    (nth..nth + requests).map(|nth| Rule::new(fault.clone()).nth(nth)).collect()
}

/// An entry of one of the first batches of each kind.
fn entry(nth: u64, sender_fault: bool, code: &str) -> Vec<Rule> {
    let index = usize::try_from(nth % 3).expect("small");
    let fault = Fault::FailEntry { index, sender_fault, code: code.to_owned() };
    [SEND, DELETE, CHANGE].map(|action| Rule::new(fault.clone()).action(action).nth(1 + nth % 4)).into()
}

const fn server(name: &'static str, rules: fn(u64) -> Vec<Rule>) -> Trouble {
    Trouble { name, way: Way::Rules(rules) }
}

const fn others(name: &'static str, act: Act) -> Trouble {
    Trouble { name, way: Way::Act(act) }
}

/// What servers do, short of never answering.
pub(super) const TROUBLES: [Trouble; 17] = [
    server("a storm of throttling", |nth| {
        let rule = Rule::new(Fault::Throttle);
        vec![rule.clone().nth(nth), rule.probability(0.5).times(40)]
    }),
    server("500 before its effect", |nth| any(Fault::Status { code: 500, when: When::Before }, nth)),
    server("500 after its effect", |nth| any(Fault::Status { code: 500, when: When::After }, nth)),
    server("503 from there on", |nth| from(&Fault::Status { code: 503, when: When::After }, nth, 6)),
    server("cut before its effect", |nth| any(Fault::Cut { when: When::Before }, nth)),
    server("cut after its effect", |nth| any(Fault::Cut { when: When::After }, nth)),
    server("every third connection cut", |nth| {
        vec![
            Rule::new(Fault::Cut { when: When::After }).nth(nth),
            Rule::new(Fault::Cut { when: When::Before }).probability(0.3).times(30),
        ]
    }),
    server("an entry failed by the service", |nth| entry(nth, false, "InternalError")),
    server("an entry failed by the sender", |nth| entry(nth, true, "InvalidParameterValue")),
    server("a handle refused", |nth| {
        let fault = Fault::FailEntry { index: 0, sender_fault: true, code: "ReceiptHandleIsInvalid".to_owned() };
        vec![Rule::new(fault).action(DELETE).nth(1 + nth % 3)]
    }),
    server("a wrong MD5", |nth| vec![Rule::new(Fault::CorruptMd5).action(SEND).nth(1 + nth % 4)]),
    server("delivered twice at once", |nth| {
        let rule = Rule::new(Fault::Duplicate).action(RECEIVE);
        vec![rule.clone().nth(1 + nth % 5), rule.probability(0.4).times(10)]
    }),
    server("stale handles that delete nothing", |nth| {
        let twice = Rule::new(Fault::Duplicate).action(RECEIVE);
        vec![
            twice.clone().nth(1 + nth % 5),
            twice.probability(0.4).times(10),
            Rule::new(Fault::IgnoreStaleHandle).action(DELETE),
        ]
    }),
    server("a destination slower than the visibility timeout", |nth| {
        vec![Rule::new(Fault::Latency { ms: 11_500, jitter_ms: 0, when: When::Before }).action(SEND).nth(1 + nth % 3)]
    }),
    server("credentials expire", |nth| from(&Fault::ExpiredToken, nth, 30)),
    server("access denied from there on", |nth| from(&Fault::AccessDenied, nth, 30)),
    server("a queue not there for a while", |nth| from(&Fault::NotFound, nth, 8)),
];

/// No answer ever: each costs its time limit of half a minute.
pub(super) const SILENCES: [Trouble; 2] = [
    server("no answer, and no effect", |nth| any(Fault::Silence { when: When::Before }, nth)),
    server("no answer after its effect", |nth| any(Fault::Silence { when: When::After }, nth)),
];

/// What other people do.
pub(super) const ACTS: [Trouble; 4] = [
    others("clocks step ahead", Act::StepClock),
    others("the source is purged", Act::Purge),
    others("the source is deleted", Act::Delete),
    others("a destination is deleted", Act::DeleteDestination),
];

impl Scene {
    /// Lets a trouble come at this request; what is done by others is done by a task, which is to be kept.
    pub(super) fn inflict(self: &Arc<Self>, trouble: Trouble, nth: u64) -> Option<JoinHandle<()>> {
        match trouble.way {
            Way::Rules(rules) => {
                for rule in rules(nth) {
                    self.stage.sandbox.faults().add(rule);
                }
                None
            }
            Way::Act(act) => {
                let scene = Arc::clone(self);
                let requests = self.stage.sandbox.log().len();
                Some(tokio::spawn(async move {
                    let due = requests + usize::try_from(nth).expect("small");
                    while scene.stage.sandbox.log().len() < due {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    scene.act(act).await;
                }))
            }
        }
    }

    async fn act(&self, act: Act) {
        let admin = Admin::at(&self.stage.sandbox.endpoint_url());
        // Known by itself: a request for it would run into the faults, too.
        let url = |name: &str| format!("{}/000000000000/{name}", self.stage.sandbox.endpoint_url());
        match act {
            Act::StepClock => self.stage.sandbox.advance(Duration::from_mins(10)),
            Act::Purge => drop(admin.sqs.purge_queue().queue_url(url("orders-dlq")).send().await),
            Act::Delete => drop(admin.sqs.delete_queue().queue_url(url("orders-dlq")).send().await),
            Act::DeleteDestination => drop(admin.sqs.delete_queue().queue_url(url("audit")).send().await),
        }
    }
}

impl Trouble {
    /// What it means for the model.
    pub(super) fn others(self) -> Others {
        match self.way {
            Way::Act(Act::Purge) => Others::EmptiedIt,
            _ => Others::Nobody,
        }
    }
}
