//! Holds the model against the real journal: what the model does to its rows is done to a database, step by step, and the
//! journal has to answer the same. So what the model knows of admission and recovery is what the program does.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use redrive_protocol::message::{MessageId, ReceiptHandle};
use redrive_protocol::target::{Reason, RuleId, TargetId};

use super::acts::{Act, Step};
use super::explore::Model;
use super::setup::Setup;
use super::world::{End, Handle, Message, Process, Row, Stage, Work, World};
use crate::journal::Journal;
use redrive_protocol::protocol::{
    Admitted, Claim, Decided, DeleteEnd, Delivery, Doubtful, Intended, Judged, Judgement, Lease, RunSpec, SendEnd,
    Sent, SessionEnd, Settled, Settlement, State, Stay, Totals,
};

/// What the process has in hand of the one message.
enum InHand {
    Nothing,
    Claimed(Claim),
    Intended(Intended),
    Doubtful(Doubtful),
    Proven(Sent, DeleteEnd),
}

/// A journal, and what the process at work on it remembers.
pub(super) struct Replay {
    directory: tempfile::TempDir,
    seconds: Arc<AtomicI64>,
    journal: Option<Journal>,
    in_hand: InHand,
    /// By number; and when they were received.
    received: Vec<(u32, i64)>,
    handles: u32,
    newest: Option<u32>,
    to_release: Vec<Lease>,
}

impl Replay {
    pub(super) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a directory"),
            seconds: Arc::new(AtomicI64::new(1_800_000_000)),
            journal: None,
            in_hand: InHand::Nothing,
            received: Vec::new(),
            handles: 0,
            newest: None,
            to_release: Vec::new(),
        }
    }

    /// Goes these steps with the model and with the journal.
    pub(super) async fn follow(mut self, setup: &Setup, trace: &[Step]) {
        let mut world = setup.start();
        for step in trace {
            let (_, after) = setup.steps(&world).into_iter().find(|(found, _)| found == step).expect("a step of it");
            self.step(setup, *step, &world, &after).await;
            if let (Some(journal), Some(process)) = (&self.journal, after.process) {
                let row = after.messages[0].rows[process.run];
                let tally = journal.tally();
                for state in State::ALL {
                    let expected = u64::from(row.is_some_and(|row| row.state == state));
                    assert_eq!(tally.count(|key| key.state == state), expected, "{state:?} after {step}, of {row:?}");
                }
                assert_eq!(tally.doubted, u64::from(row.is_some_and(|row| row.doubted)), "after {step}");
            }
            world = after;
        }
    }

    fn now(&self) -> i64 {
        self.seconds.load(Ordering::Relaxed)
    }

    fn journal(&self) -> &Journal {
        self.journal.as_ref().expect("a process is at work")
    }

    async fn step(&mut self, setup: &Setup, step: Step, before: &World, after: &World) {
        let (was, is) = (&before.messages[0], &after.messages[0]);
        match step.act {
            Act::Begin(run) => self.begin(run, is).await,
            Act::GiveBack => {
                let ended = self.to_release.drain(..).map(|lease| (lease, None)).collect();
                self.journal().leased(ended).await.expect("noted");
            }
            Act::Receive | Act::Duplicate => {
                self.handles += 1;
                self.newest = Some(self.handles);
                self.received.push((self.handles, self.now()));
            }
            Act::LoseReceive | Act::Reappear => self.newest = None,
            Act::Expire | Act::Sleep => drop(self.seconds.fetch_add(6 * 60, Ordering::Relaxed)),
            Act::Admit(handle) => self.admit(handle, was, is).await,
            Act::Judge | Act::Decide => self.judge(before, is).await,
            Act::Withdraw => self.settle(SendEnd::Withdrawn, is).await,
            Act::Lapse => self.settle(SendEnd::Lapsed, is).await,
            Act::Settle => {
                let end = match was.works.iter().next() {
                    Some(Work { stage: Stage::Answered(End::Acknowledged), .. }) => SendEnd::Acknowledged(None),
                    Some(Work { stage: Stage::Answered(End::Lost), .. }) => SendEnd::AnswerLost,
                    Some(Work { stage: Stage::Answered(End::Refused), .. }) => {
                        SendEnd::Refused(Reason::Refused, String::new())
                    }
                    _ => SendEnd::Refused(Reason::DigestMismatch, String::new()),
                };
                self.settle(end, is).await;
            }
            Act::Delete | Act::RefuseHandle => {
                if let InHand::Proven(_, end) = &mut self.in_hand {
                    *end = if step.act == Act::Delete { DeleteEnd::Confirmed } else { DeleteEnd::HandleRefused };
                }
            }
            Act::LoseDelete { .. } | Act::NoteDelete => {
                let InHand::Proven(sent, end) = self.take() else { panic!("no proof in hand") };
                let end = if step.act == Act::NoteDelete { end } else { DeleteEnd::Unknown };
                let again = self.journal().deleted(vec![(sent, end)]).await.expect("noted").pop();
                assert_eq!(again.is_some(), !is.works.is_empty(), "after {step}");
                self.in_hand = again.map_or(InHand::Nothing, |sent| InHand::Proven(sent, end));
            }
            Act::End { .. } => self.end(setup, before, after).await,
            Act::Kill => {
                self.journal = None;
                self.in_hand = InHand::Nothing;
                self.received.clear();
                self.to_release.clear();
            }
            Act::ReceiveBoth | Act::Behind | Act::Late | Act::PassWindow => panic!("not with one message: {step}"),
            // The journal does not hear of it.
            _ => {}
        }
    }

    fn take(&mut self) -> InHand {
        std::mem::replace(&mut self.in_hand, InHand::Nothing)
    }

    async fn begin(&mut self, run: usize, is: &Message) {
        let seconds = Arc::clone(&self.seconds);
        let clock = move || Timestamp::from_second(seconds.load(Ordering::Relaxed)).expect("a time");
        let journal = Journal::open(&self.directory.path().join("journal.db"), Arc::new(clock)).expect("a journal");
        let spec = RunSpec {
            name: format!("run {run}"),
            source_arn: "arn:aws:sqs:eu-west-1:000000000000:dlq".to_owned(),
            job_sha256: "00".to_owned(),
            plan: "{}".to_owned(),
            approvals: String::new(),
            command: String::new(),
            directory: String::new(),
            sandbox: false,
        };
        let mut begun = journal.begin(spec).await.expect("begun");
        self.journal = Some(journal);
        assert_eq!(begun.to_delete.len(), is.works.iter().count(), "{is:?}");
        assert_eq!(!begun.to_release.is_empty(), is.give_back, "{is:?}");
        self.to_release = begun.to_release;
        if let Some(sent) = begun.to_delete.pop() {
            self.in_hand = InHand::Proven(sent, DeleteEnd::Unknown);
        }
    }

    async fn admit(&mut self, handle: Handle, was: &Message, is: &Message) {
        let newest = |number: u32| (Some(number) == self.newest) == (handle == Handle::Newest);
        let at = self.received.iter().position(|(number, _)| newest(*number)).expect("a delivery");
        let (number, received) = self.received.remove(at);
        let received = Timestamp::from_second(received).expect("a time");
        let delivery = Delivery {
            id: MessageId::new("message"),
            receipt: ReceiptHandle::new(format!("handle {number}")),
            receive_count: None,
            origin: None,
            received,
            until: received.checked_add(Duration::from_mins(5)).expect("a time"),
        };
        let admitted = self.journal().admit(vec![delivery]).await.expect("admitted").pop().expect("an answer");
        let stage = is.works.iter().next().map(|work| work.stage);
        self.in_hand = match (admitted, stage) {
            (Admitted::Duplicate, _) if !was.works.is_empty() => return,
            (Admitted::New(claim), Some(Stage::Claimed(None))) => InHand::Claimed(claim),
            (Admitted::Doubtful(doubtful), Some(Stage::Claimed(Some(this_run)))) => {
                assert_eq!(doubtful.is_of_this_run(), this_run, "{is:?}");
                InHand::Claimed(doubtful.judge_again())
            }
            (Admitted::Sent(sent), Some(Stage::Proven { .. })) => InHand::Proven(sent, DeleteEnd::Unknown),
            (admitted, _) => panic!("{admitted:?} instead of {is:?}"),
        };
    }

    async fn judge(&mut self, before: &World, is: &Message) {
        let run = before.process.expect("a process").run;
        let claim = match self.take() {
            InHand::Claimed(claim) => claim,
            InHand::Doubtful(doubtful) => doubtful.judge_again(),
            _ => panic!("nothing to judge in hand"),
        };
        let unchanged = before.messages[0].rows == is.rows;
        let decision = match is.rows[run] {
            _ if unchanged && is.works.is_empty() => {
                return self.journal().unclaim(vec![claim.id().clone()]).await.expect("given up");
            }
            Some(Row { state: State::Kept, .. }) => Decided::Stay(Stay::Kept(Reason::RuleKeeps)),
            Some(Row { state: State::Held, .. }) => Decided::Stay(Stay::Held),
            Some(Row { state: State::Sent, .. }) => Decided::Drop(TargetId(0)),
            _ => Decided::Send(TargetId(0)),
        };
        let judgement = Judgement { claim, rule: RuleId(0), exhausted: false, decision };
        let judged = self.journal().judge(vec![judgement]).await.expect("judged").pop().expect("an answer");
        self.in_hand = match judged {
            Judged::Intended(intended) => InHand::Intended(intended),
            Judged::Sent(sent) => InHand::Proven(sent, DeleteEnd::Unknown),
            Judged::Stays => InHand::Nothing,
        };
    }

    async fn settle(&mut self, end: SendEnd, is: &Message) {
        let InHand::Intended(intended) = self.take() else { panic!("no intent in hand") };
        let settled = self.journal().settle(vec![Settlement { intended, end }]).await.expect("settled");
        let stage = is.works.iter().next().map(|work| work.stage);
        self.in_hand = match (settled.into_iter().next().expect("an answer"), stage) {
            (Settled::Sent(sent), Some(Stage::Proven { .. })) => InHand::Proven(sent, DeleteEnd::Unknown),
            (Settled::Doubtful(doubtful), Some(Stage::Doubtful(this_run))) => {
                assert_eq!(doubtful.is_of_this_run(), this_run, "{is:?}");
                InHand::Doubtful(doubtful)
            }
            // The run halts: it stays in doubt.
            (Settled::Doubtful(doubtful), None) => {
                self.journal().unclaim(vec![doubtful.id().clone()]).await.expect("given up");
                InHand::Nothing
            }
            (Settled::Stays, None) => InHand::Nothing,
            (settled, _) => panic!("{settled:?} instead of {is:?}"),
        };
    }

    async fn end(&mut self, setup: &Setup, before: &World, after: &World) {
        let process: Process = before.process.expect("a process");
        let journal = self.journal.take().expect("a process is at work");
        let releasable = journal.releasable(10).await.expect("leases");
        journal.leased(releasable.into_iter().map(|lease| (lease, None)).collect()).await.expect("noted");
        if setup.vanish(before, process) {
            journal.vanish().await.expect("noted");
        }
        let row = after.messages[0].rows[process.run];
        for state in State::ALL {
            let expected = u64::from(row.is_some_and(|row| row.state == state));
            assert_eq!(journal.tally().count(|key| key.state == state), expected, "{state:?} at the end, of {row:?}");
        }
        let (finished, has_orphans) = (after.finished[process.run], after.in_session[process.run]);
        let (outcome, totals) = (String::new(), Totals::default());
        let end = SessionEnd { finished, has_orphans, outcome, cause: None, totals };
        journal.end(end).await.expect("ended");
    }
}
