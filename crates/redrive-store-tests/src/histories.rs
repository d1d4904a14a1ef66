//! Random histories, by which a store is held against the plainest one, [`MemoryStore`]: a batch of operations means the same in
//! every store. For the tests of stores.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;

use crate::subject::{InMemory, Subject};
use redrive_protocol::message::{MessageId, ReceiptHandle};
use redrive_protocol::protocol::{
    Admitted, Begun, Claim, Decided, DeleteEnd, Delivery, Doubtful, Intended, Judged, Judgement, Resolution, Resolve,
    RunSpec, SendEnd, Sent, SessionEnd, Settled, Settlement, Stay, Totals,
};
use redrive_protocol::target::{Reason, RuleId, TargetId};

/// The ARN of the source.
const SOURCE: &str = "arn:aws:sqs:us-east-1:000000000000:orders-dlq";

/// The last is what a send of the one before returns.
const IDS: [&str; 3] = ["4f6d1b1e-0000-4c0e-9a3b-00000000000a", "b", "sent as b"];

/// What is done next. Numbers choose among what there is.
#[derive(Debug, Clone)]
pub enum Act {
    /// These messages are delivered in one batch, some perhaps twice.
    Deliver(Vec<usize>),
    /// All claims are decided about in one batch, each as its number says.
    Judge([u8; 3]),
    /// All sends end in one batch, each as its number says.
    Settle([u8; 3]),
    /// All deletes end in one batch.
    Delete([u8; 3]),
    /// The process ends without a word, or in good order; a session of this run begins.
    Restart {
        /// Whether the session ended in good order.
        in_order: bool,
        /// The run whose session begins.
        run: usize,
    },
    /// So many seconds pass.
    Wait(i64),
    /// The source is dry.
    Vanish,
    /// Between two sessions somebody decides about everything in doubt.
    Resolve(u8),
}

/// Histories of so many acts.
pub fn histories(acts: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Act>> {
    proptest::collection::vec(act(), acts)
}

fn act() -> impl Strategy<Value = Act> {
    let ends = || proptest::array::uniform3(any::<u8>());
    prop_oneof![
        4 => proptest::collection::vec(0..IDS.len(), 1..4).prop_map(Act::Deliver),
        4 => ends().prop_map(Act::Judge),
        4 => ends().prop_map(Act::Settle),
        3 => ends().prop_map(Act::Delete),
        2 => (any::<bool>(), 0..2_usize).prop_map(|(in_order, run)| Act::Restart { in_order, run }),
        1 => (1..400_i64).prop_map(Act::Wait),
        1 => Just(Act::Vanish),
        2 => (0..3_u8).prop_map(Act::Resolve),
    ]
}

/// What the process has in hand of a message.
#[derive(Debug)]
enum InHand {
    Claim(Claim),
    Doubtful(Doubtful),
    Intended(Intended),
    Sent(Sent),
}

impl InHand {
    /// In words that do not depend on a store's numbers.
    fn words(&self) -> String {
        match self {
            Self::Claim(claim) => format!("claim of {}", claim.id()),
            Self::Doubtful(doubt) => {
                format!("doubt about {} since {} of this run {}", doubt.id(), doubt.since(), doubt.is_of_this_run())
            }
            Self::Intended(intended) => format!("intent of {} {:?}", intended.id(), intended.doubted_since()),
            Self::Sent(sent) => format!("proof of {} with {:?}", sent.id(), sent.receipt()),
        }
    }
}

/// One store, what the process has in hand by it, and what it answered.
struct Side {
    hand: BTreeMap<String, InHand>,
    answers: Vec<String>,
}

impl Side {
    fn new() -> Self {
        Self { hand: BTreeMap::new(), answers: Vec::new() }
    }

    fn put(&mut self, id: &MessageId, item: InHand) {
        self.answers.push(item.words());
        self.hand.insert(id.as_str().to_owned(), item);
    }

    fn begun(&mut self, begun: Begun) {
        self.hand.clear();
        let mut to_delete: Vec<_> = begun.to_delete.iter().map(|sent| sent.id().to_string()).collect();
        to_delete.sort();
        let mut to_release: Vec<_> = begun.to_release.iter().map(|lease| format!("{lease:?}")).collect();
        to_release.sort();
        self.answers.push(format!(
            "begun {} {} {} {} {to_delete:?} {to_release:?}",
            begun.resumed,
            begun.interrupted,
            begun.in_doubt,
            begun.doubtful.len()
        ));
        for sent in begun.to_delete {
            // Which of several handles comes first is the store's business.
            self.hand.insert(sent.id().as_str().to_owned(), InHand::Sent(sent));
        }
    }

    fn admitted(&mut self, admitted: Vec<Admitted>) {
        for admitted in admitted {
            match admitted {
                Admitted::New(claim) => self.put(&claim.id().clone(), InHand::Claim(claim)),
                Admitted::Bounced(claim) | Admitted::Returned(claim) => {
                    self.answers.push("back".to_owned());
                    self.put(&claim.id().clone(), InHand::Claim(claim));
                }
                Admitted::Doubtful(doubt) => self.put(&doubt.id().clone(), InHand::Doubtful(doubt)),
                Admitted::Sent(sent) => self.put(&sent.id().clone(), InHand::Sent(sent)),
                other => self.answers.push(format!("{other:?}")),
            }
        }
    }

    /// Takes from the hand what this takes.
    fn take<T>(&mut self, take: impl Fn(InHand) -> Result<T, InHand>) -> Vec<T> {
        let mut taken = Vec::new();
        for (id, item) in std::mem::take(&mut self.hand) {
            match take(item) {
                Ok(item) => taken.push(item),
                Err(item) => drop(self.hand.insert(id, item)),
            }
        }
        taken
    }

    fn judgements(&mut self, how: [u8; 3]) -> Vec<Judgement> {
        let claims = self.take(|item| match item {
            InHand::Claim(claim) => Ok((claim, false)),
            InHand::Doubtful(doubt) => Ok((doubt.judge_again(), true)),
            other => Err(other),
        });
        let judgement = |((claim, doubted), how): ((Claim, bool), u8)| {
            let decision = match how % 6 {
                0 => Decided::Drop(TargetId(1)),
                1 => Decided::Stay(Stay::Kept(Reason::RuleKeeps)),
                2 => Decided::Stay(Stay::Blocked(Reason::NotJson, "not JSON".to_owned())),
                3 if doubted => Decided::Stay(Stay::Held),
                _ => Decided::Send(TargetId(0)),
            };
            Judgement { claim, rule: RuleId(1), exhausted: how > 200, decision }
        };
        claims.into_iter().zip(how.into_iter().cycle()).map(judgement).collect()
    }

    fn settlements(&mut self, how: [u8; 3]) -> Vec<Settlement> {
        let intents = self.take(|item| if let InHand::Intended(intended) = item { Ok(intended) } else { Err(item) });
        let settlement = |(intended, how): (Intended, u8)| {
            let new_id = MessageId::new(format!("sent as {}", intended.id()));
            let end = match how % 6 {
                0 | 5 => SendEnd::AnswerLost,
                1 => SendEnd::Refused(Reason::DigestMismatch, "other".to_owned()),
                2 => SendEnd::Withdrawn,
                3 => SendEnd::Behind,
                _ => SendEnd::Acknowledged(Some(new_id)),
            };
            Settlement { intended, end }
        };
        intents.into_iter().zip(how.into_iter().cycle()).map(settlement).collect()
    }

    fn deletes(&mut self, how: [u8; 3]) -> Vec<(Sent, DeleteEnd)> {
        let proofs = self.take(|item| if let InHand::Sent(sent) = item { Ok(sent) } else { Err(item) });
        let end = |how: u8| match how % 4 {
            0 => DeleteEnd::Unknown,
            1 => DeleteEnd::HandleRefused,
            _ => DeleteEnd::Confirmed,
        };
        proofs.into_iter().zip(how.into_iter().cycle().map(end)).collect()
    }

    fn judged(&mut self, judged: Vec<Judged>) {
        for judged in judged {
            match judged {
                Judged::Intended(intended) => self.put(&intended.id().clone(), InHand::Intended(intended)),
                Judged::Sent(sent) => self.put(&sent.id().clone(), InHand::Sent(sent)),
                Judged::Stays => self.answers.push("stays".to_owned()),
            }
        }
    }

    fn settled(&mut self, settled: Vec<Settled>) {
        for settled in settled {
            match settled {
                Settled::Sent(sent) => self.put(&sent.id().clone(), InHand::Sent(sent)),
                Settled::Doubtful(doubt) => self.put(&doubt.id().clone(), InHand::Doubtful(doubt)),
                Settled::Stays => self.answers.push("stays".to_owned()),
            }
        }
    }

    fn again(&mut self, again: Vec<Sent>) {
        for sent in again {
            self.put(&sent.id().clone(), InHand::Sent(sent));
        }
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
}

const RUNS: [&str; 2] = ["first", "second"];

fn spec(run: usize) -> RunSpec {
    RunSpec {
        name: RUNS[run].to_owned(),
        source_arn: SOURCE.to_owned(),
        job_sha256: "00".repeat(32),
        plan: "{}".to_owned(),
        approvals: "[]".to_owned(),
        command: "[]".to_owned(),
        directory: String::new(),
        sandbox: false,
    }
}

fn end(finished: bool) -> SessionEnd {
    let (outcome, totals) = ("interrupted".to_owned(), Totals::default());
    SessionEnd { finished, has_orphans: false, outcome, cause: None, totals }
}

/// A subject, and what a process has in hand by it.
struct Pair<'a>([(&'a mut dyn Subject, Side); 2]);

impl Pair<'_> {
    /// Does the same with both, and compares what they answer.
    fn each(&mut self, act: &dyn std::fmt::Debug, mut does: impl FnMut(&mut dyn Subject, &mut Side)) {
        for (subject, side) in &mut self.0 {
            does(*subject, side);
        }
        let [one, other] = &mut self.0;
        assert_eq!(one.1.answers, other.1.answers, "after {act:?}");
        one.1.answers.clear();
        other.1.answers.clear();
    }
}

/// Carries out a history with a subject and in memory, and compares after every act.
///
/// # Panics
/// Where they differ.
pub fn compare(acts: &[Act], subject: &mut dyn Subject) {
    let mut memory = InMemory::default();
    let mut pair = Pair([(subject, Side::new()), (&mut memory, Side::new())]);
    let (mut now, mut run, mut handles) = (0, 0, 0);
    pair.each(&"the beginning", |subject, side| side.begun(subject.begin(spec(0), at(0))));
    for act in acts {
        let time = at(now);
        match act {
            Act::Deliver(which) => {
                let delivery = |which: &usize| {
                    handles += 1;
                    Delivery {
                        id: MessageId::new(IDS[*which]),
                        receipt: ReceiptHandle::new(format!("handle {handles}")),
                        receive_count: Some(1),
                        origin: None,
                        received: time,
                        until: at(now + 300),
                    }
                };
                let deliveries: Vec<_> = which.iter().map(delivery).collect();
                pair.each(act, |subject, side| side.admitted(subject.admit(deliveries.clone(), time)));
            }
            Act::Judge(how) => pair.each(act, |subject, side| {
                let judgements = side.judgements(*how);
                side.judged(subject.judge(judgements, time));
            }),
            Act::Settle(how) => pair.each(act, |subject, side| {
                let settlements = side.settlements(*how);
                side.settled(subject.settle(settlements, time));
            }),
            Act::Delete(how) => pair.each(act, |subject, side| {
                let deletes = side.deletes(*how);
                side.again(subject.deleted(deletes, time));
            }),
            Act::Wait(by) => now += by,
            Act::Vanish => pair.each(act, |subject, _| subject.vanish(time)),
            Act::Restart { in_order, run: next } => {
                run = *next;
                pair.each(act, |subject, side| {
                    if *in_order {
                        let unfinished = subject.tally().count(|key| key.state.is_unfinished());
                        subject.end(&end(unfinished == 0), time);
                    }
                    subject.kill();
                    side.begun(subject.begin(spec(run), time));
                });
            }
            Act::Resolve(how) => {
                let resolution = [Resolution::Resend, Resolution::Discard, Resolution::Release][usize::from(*how)];
                let (run_name, who) = (RUNS[run].to_owned(), "somebody".to_owned());
                let resolve = Resolve { run: run_name, messages: None, resolution, who, reason: None };
                pair.each(act, |subject, side| {
                    subject.kill();
                    side.answers.push(format!("resolved {}", subject.resolve(&resolve, time)));
                    side.begun(subject.begin(spec(run), time));
                });
            }
        }
        // Whose lease lasts depends on the time.
        pair.each(act, |subject, side| {
            side.answers.push(format!("{:?}, {} leased", subject.tally(), subject.lease_count(at(now))));
        });
    }
}
