//! A batch of operations means the same in every store: random histories are carried out with the journal on disk and with the
//! store in memory, side by side, and each has to answer what the other does.

use std::collections::BTreeMap;
use std::convert::Infallible;

use proptest::prelude::*;

use super::*;
use redrive_protocol::protocol::{Doubtful, MemoryStore, Problem, Protocol};

/// The last is what a send of the one before returns.
const IDS: [&str; 3] = ["4f6d1b1e-0000-4c0e-9a3b-00000000000a", "b", "sent as b"];

/// What is done next. Numbers choose among what there is.
#[derive(Debug, Clone)]
enum Act {
    /// These messages are delivered in one batch, some perhaps twice.
    Deliver(Vec<usize>),
    /// All claims are decided about in one batch, each as its number says.
    Judge([u8; 3]),
    /// All sends end in one batch, each as its number says.
    Settle([u8; 3]),
    /// All deletes end in one batch.
    Delete([u8; 3]),
    /// The process ends without a word, or in good order; a session of this run begins.
    Restart { in_order: bool, run: usize },
    /// So many seconds pass.
    Wait(i64),
    /// The source is dry.
    Vanish,
    /// Between two sessions somebody decides about everything in doubt.
    Resolve(u8),
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
                _ => Decided::Send(TARGET),
            };
            Judgement { claim, rule: RULE, exhausted: how > 200, decision }
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

fn run_spec(run: usize) -> RunSpec {
    spec(["first", "second"][run])
}

fn end(finished: bool) -> SessionEnd {
    SessionEnd {
        finished,
        has_orphans: false,
        outcome: "interrupted".to_owned(),
        cause: None,
        totals: Totals::default(),
    }
}

fn sure<T>(result: Result<T, Problem<Infallible>>) -> T {
    result.unwrap_or_else(|problem| panic!("{problem:?}"))
}

/// Carries out a history with both, and compares after every act.
async fn compare(acts: &[Act]) {
    let place = Place::new();
    let seconds = Arc::new(std::sync::atomic::AtomicI64::new(0));
    let clock: Clock = {
        let seconds = Arc::clone(&seconds);
        Arc::new(move || at(seconds.load(std::sync::atomic::Ordering::Relaxed)))
    };
    let (mut disk, mut memory) = (Side::new(), Side::new());
    let mut run = 0;
    let (journal, begun) = place.begin_at("first", Arc::clone(&clock)).await;
    let mut journal = Some(journal);
    disk.begun(begun);
    let mut protocol = Protocol::new(MemoryStore::default());
    protocol.set_time(at(0).as_millisecond());
    memory.begun(sure(protocol.begin(&run_spec(0))));
    let mut handles = 0;
    for act in acts {
        let now = seconds.load(std::sync::atomic::Ordering::Relaxed);
        protocol.set_time(at(now).as_millisecond());
        let open = journal.as_ref().expect("open");
        match act {
            Act::Deliver(which) => {
                let deliveries: Vec<_> = which
                    .iter()
                    .map(|which| {
                        handles += 1;
                        let (received, until) = (at(now), at(now + 300));
                        Delivery { received, until, ..delivery(IDS[*which], &format!("handle {handles}")) }
                    })
                    .collect();
                disk.admitted(open.admit(deliveries.clone()).await.expect("admitted"));
                memory.admitted(protocol.admit(deliveries).expect("sure"));
            }
            Act::Judge(how) => {
                let (on_disk, in_memory) = (disk.judgements(*how), memory.judgements(*how));
                disk.judged(open.judge(on_disk).await.expect("judged"));
                memory.judged(sure(protocol.judge(in_memory)));
            }
            Act::Settle(how) => {
                let (on_disk, in_memory) = (disk.settlements(*how), memory.settlements(*how));
                disk.settled(open.settle(on_disk).await.expect("settled"));
                memory.settled(sure(protocol.settle(in_memory)));
            }
            Act::Delete(how) => {
                let (on_disk, in_memory) = (disk.deletes(*how), memory.deletes(*how));
                disk.again(open.deleted(on_disk).await.expect("deleted"));
                memory.again(sure(protocol.deleted(in_memory)));
            }
            Act::Wait(by) => seconds.store(now + by, std::sync::atomic::Ordering::Relaxed),
            Act::Vanish => {
                open.vanish().await.expect("vanished");
                sure(protocol.vanish());
            }
            Act::Restart { .. } | Act::Resolve(_) => {
                if let Act::Restart { in_order: true, .. } = act {
                    let unfinished = open.tally().count(|key| key.state.is_unfinished());
                    open.end(end(unfinished == 0)).await.expect("ended");
                    protocol.end(&end(unfinished == 0)).expect("sure");
                }
                drop(journal.take());
                let mut store = protocol.store().clone();
                if let Act::Resolve(how) = act {
                    let resolution = [Resolution::Resend, Resolution::Discard, Resolution::Release][usize::from(*how)];
                    let resolve = Resolve {
                        run: ["first", "second"][run].to_owned(),
                        messages: None,
                        resolution,
                        who: "somebody".to_owned(),
                        reason: None,
                    };
                    let open = Journal::open(&place.path(), Arc::clone(&clock)).expect("open");
                    let count = open.resolve(resolve.clone()).await.expect("resolved");
                    protocol = Protocol::new(store);
                    protocol.set_time(at(now).as_millisecond());
                    assert_eq!(sure(protocol.resolve(&resolve)), count);
                    store = protocol.store().clone();
                }
                if let Act::Restart { run: next, .. } = act {
                    run = *next;
                }
                let (again, begun) = place.begin_at(["first", "second"][run], Arc::clone(&clock)).await;
                journal = Some(again);
                disk.begun(begun);
                protocol = Protocol::new(store);
                protocol.set_time(at(now).as_millisecond());
                memory.begun(sure(protocol.begin(&run_spec(run))));
            }
        }
        let open = journal.as_ref().expect("open");
        assert_eq!(disk.answers, memory.answers, "after {act:?}");
        assert_eq!(open.tally(), protocol.tally().folded(), "after {act:?}");
        // Whose lease lasts depends on the time.
        protocol.set_time(at(seconds.load(std::sync::atomic::Ordering::Relaxed)).as_millisecond());
        let leased = open.lease_count().await.expect("leases");
        assert_eq!(leased, protocol.lease_count().expect("sure"), "after {act:?}");
        disk.answers.clear();
        memory.answers.clear();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_history_means_the_same_on_disk_and_in_memory(acts in proptest::collection::vec(act(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(compare(&acts));
    }
}
