//! The journal as its users meet it: what a killed process left, what comes back, what is refused.

mod accounts;
mod doubts;
mod fire;
mod front;
mod parking;
mod resolve;
mod stores;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::entries::{Candidates, Index};
use super::*;
use redrive_protocol::message::ReceiptHandle;
use redrive_protocol::protocol::{
    Cause, Claim, Decided, Intended, Key, Resolution, SendEnd, State, Stay, TallyKey, Totals,
};
use redrive_protocol::target::{Reason, RuleId, TargetId};

const RULE: RuleId = RuleId(0);
const TARGET: TargetId = TargetId(0);

struct Place {
    directory: tempfile::TempDir,
    source_arn: &'static str,
}

impl Place {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("directory"),
            source_arn: "arn:aws:sqs:eu-west-1:000000000000:dlq",
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join(".redrive/journal.db")
    }

    fn location(&self) -> Location {
        self.path().into()
    }

    async fn begin(&self, run: &str) -> (Journal, Begun) {
        self.begin_at(run, system_clock(|| None)).await
    }

    async fn begin_at(&self, run: &str, clock: Clock) -> (Journal, Begun) {
        let journal = Journal::open(&self.location(), clock).expect("open");
        let spec = RunSpec { source_arn: self.source_arn.to_owned(), ..spec(run) };
        let begun = journal.begin(spec).await.expect("begin");
        (journal, begun)
    }
}

fn spec(run: &str) -> RunSpec {
    RunSpec {
        name: run.to_owned(),
        source_arn: "arn:aws:sqs:eu-west-1:000000000000:dlq".to_owned(),
        job_sha256: "00".to_owned(),
        plan: "{}".to_owned(),
        approvals: "[]".to_owned(),
        command: "[]".to_owned(),
        directory: String::new(),
        sandbox: false,
    }
}

fn delivery(id: &str, handle: &str) -> Delivery {
    let now = Timestamp::now();
    Delivery {
        id: MessageId::new(id),
        receipt: ReceiptHandle::new(handle),
        receive_count: Some(1),
        origin: Some("arn:aws:sqs:eu-west-1:000000000000:orders".to_owned()),
        received: now,
        until: now.checked_add(Duration::from_mins(5)).expect("time"),
    }
}

async fn admit(journal: &Journal, id: &str, handle: &str) -> Admitted {
    journal.admit(vec![delivery(id, handle)]).await.expect("admit").remove(0)
}

async fn intend(journal: &Journal, claim: Claim) -> Intended {
    let judgement = Judgement { claim, rule: RULE, exhausted: false, decision: Decided::Send(TARGET) };
    match journal.judge(vec![judgement]).await.expect("judge").remove(0) {
        Judged::Intended(intended) => intended,
        other => panic!("{other:?}"),
    }
}

async fn claim(journal: &Journal, id: &str) -> Claim {
    match admit(journal, id, "handle").await {
        Admitted::New(claim) => claim,
        other => panic!("{other:?}"),
    }
}

async fn send(journal: &Journal, id: &str, sent_as: &str) -> Sent {
    let claim = claim(journal, id).await;
    let intended = intend(journal, claim).await;
    let end = SendEnd::Acknowledged(Some(MessageId::new(sent_as)));
    match journal.settle(vec![Settlement { intended, end }]).await.expect("settle").remove(0) {
        Settled::Sent(sent) => sent,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_was_sent_is_deleted_by_whichever_run_meets_it_and_never_sent_again() {
    let place = Place::new();
    let (journal, _) = place.begin("first").await;
    let sent = send(&journal, "a", "a2").await;
    drop((sent, journal));
    // Another run over the same source: it gets the proof, with the handle that was known, and with a newer one.
    let (journal, mut begun) = place.begin("second").await;
    assert_eq!(begun.to_delete.len(), 1);
    assert_eq!(begun.to_delete[0].receipt().as_str(), "handle");
    journal.deleted(vec![(begun.to_delete.remove(0), DeleteEnd::HandleRefused)]).await.expect("deleted");
    let Admitted::Sent(sent) = admit(&journal, "a", "newer").await else { panic!("not recognised") };
    assert_eq!(sent.receipt().as_str(), "newer");
    journal.deleted(vec![(sent, DeleteEnd::Confirmed)]).await.expect("deleted");
    assert_eq!(journal.tally().deleted_for_other_runs, 1);
    let reader = Reader::open(&place.location()).expect("open").expect("there");
    assert_eq!(reader.tally("second").expect("tally"), journal.tally(), "a later report says the same");
    assert_eq!(journal.tally().received(), 0, "it is no message of the second run");
    // SQS may give it once more after a good delete.
    assert!(matches!(admit(&journal, "a", "latest").await, Admitted::Sent(_)));
}

#[tokio::test]
async fn a_send_that_was_under_way_at_a_kill_is_in_doubt_for_every_later_run() {
    let place = Place::new();
    let (journal, _) = place.begin("first").await;
    let one = claim(&journal, "a").await;
    let _ = intend(&journal, one).await;
    drop(journal);
    let (journal, begun) = place.begin("second").await;
    assert!(!begun.resumed);
    let Admitted::Doubtful(doubtful) = admit(&journal, "a", "h2").await else { panic!("taken for new") };
    journal.unclaim(vec![doubtful.id().clone()]).await.expect("unclaim");
    drop(journal);
    let (journal, begun) = place.begin("first").await;
    assert!(begun.resumed && begun.interrupted);
    assert_eq!((begun.in_doubt, begun.doubtful.len()), (1, 1));
    let Admitted::Doubtful(doubtful) = admit(&journal, "a", "h3").await else { panic!("taken for new") };
    // Held: it stays in doubt, and is counted so.
    let held =
        Judgement { claim: doubtful.judge_again(), rule: RULE, exhausted: false, decision: Decided::Stay(Stay::Held) };
    journal.judge(vec![held]).await.expect("held");
    assert_eq!(journal.tally().count(|key| key.state == State::Held), 1);
    assert_eq!(journal.tally().doubted, 1);
    assert!(matches!(admit(&journal, "a", "h4").await, Admitted::Doubtful(_)));
}

#[tokio::test]
async fn two_deliveries_at_once_give_one_claim_and_the_newest_handle() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let first = claim(&journal, "a").await;
    assert!(matches!(admit(&journal, "a", "newest").await, Admitted::Duplicate));
    let intended = intend(&journal, first).await;
    assert!(matches!(admit(&journal, "a", "newest of all").await, Admitted::Duplicate));
    let settlement = Settlement { intended, end: SendEnd::Acknowledged(None) };
    let Settled::Sent(sent) = journal.settle(vec![settlement]).await.expect("settle").remove(0) else { panic!("sent") };
    assert_eq!(sent.receipt().as_str(), "newest of all");
}

#[tokio::test]
async fn what_this_run_sent_is_recognised_when_it_comes_back() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let _ = send(&journal, "a", "b").await;
    assert!(matches!(admit(&journal, "b", "h").await, Admitted::Bounced(_)));
    drop(journal);
    let (journal, _) = place.begin("another").await;
    assert!(matches!(admit(&journal, "b", "h").await, Admitted::New(_)), "another run may move it");
}

#[tokio::test]
async fn leases_of_a_killed_process_are_given_back_but_not_what_is_kept_or_to_be_deleted() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let _ = claim(&journal, "judged by nobody").await;
    let kept = Judgement {
        claim: claim(&journal, "kept").await,
        rule: RULE,
        exhausted: false,
        decision: Decided::Stay(Stay::Kept(Reason::RuleKeeps)),
    };
    journal.judge(vec![kept]).await.expect("kept");
    let _ = send(&journal, "sent", "s2").await;
    drop(journal);
    let (journal, begun) = place.begin("run").await;
    let released: Vec<&str> = begun.to_release.iter().map(|lease| lease.id.as_str()).collect();
    assert_eq!(released, ["judged by nobody"]);
    assert_eq!(begun.to_delete.len(), 1);
    assert_eq!(journal.lease_count().await.expect("count"), 2, "what is to be deleted may be gone already");
    let releasable = journal.releasable(10).await.expect("leases");
    assert_eq!(releasable.len(), 2, "what is to be deleted is not given back");
}

#[tokio::test]
async fn what_is_kept_of_a_fifo_queue_is_given_back_too_so_that_its_group_is_judged_anew() {
    let place = Place { source_arn: "arn:aws:sqs:eu-west-1:000000000000:dlq.fifo", ..Place::new() };
    let (journal, _) = place.begin("run").await;
    let _ = intend(&journal, claim(&journal, "first of its group").await).await;
    let decision = Decided::Stay(Stay::Kept(Reason::RuleKeeps));
    let kept = Judgement { claim: claim(&journal, "second").await, rule: RULE, exhausted: false, decision };
    journal.judge(vec![kept]).await.expect("kept");
    drop(journal);
    let (_, begun) = place.begin("run").await;
    assert_eq!((begun.in_doubt, begun.to_release.len()), (1, 2));
}

#[tokio::test]
async fn figures_follow_every_change_and_are_the_same_when_counted_anew() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    for number in 0..5 {
        let sent = send(&journal, &format!("m{number}"), &format!("n{number}")).await;
        journal.deleted(vec![(sent, DeleteEnd::Confirmed)]).await.expect("deleted");
    }
    let blocked = Judgement {
        claim: claim(&journal, "blocked").await,
        rule: RULE,
        exhausted: false,
        decision: Decided::Stay(Stay::Blocked(Reason::TooLarge, "300 KB".to_owned())),
    };
    journal.judge(vec![blocked]).await.expect("blocked");
    let intended = intend(&journal, claim(&journal, "lost").await).await;
    journal.settle(vec![Settlement { intended, end: SendEnd::AnswerLost }]).await.expect("settle");
    let tally = journal.tally();
    assert_eq!(tally.received(), 7);
    let reader = Reader::open(&place.location()).expect("open").expect("there");
    assert_eq!(reader.tally("run").expect("tally"), tally);
    assert_eq!(counted_anew(&place), (7, 1), "as many as there are rows");
    let troubles = troubles(&reader);
    assert_eq!(troubles.iter().map(|trouble| trouble.id.as_str()).collect::<Vec<_>>(), ["lost", "blocked"]);
    assert_eq!(troubles[1].note.as_deref(), Some("300 KB"));
}

/// All messages in trouble of the run.
fn troubles(reader: &Reader) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    let each = |trouble| {
        troubles.push(trouble);
        Ok(())
    };
    reader.troubles("run", each).expect("troubles");
    troubles
}

/// Messages whose figures are those of the rows, by state, and messages once in doubt; fails where a figure is another.
fn counted_anew(place: &Place) -> (u64, u64) {
    let connection = rusqlite::Connection::open(place.path()).expect("open");
    assert!(super::front::show(&connection).expect("shown"));
    let pairs = |sql: &str| -> Vec<(i64, i64, u64)> {
        let mut statement = connection.prepare(sql).expect("SQL");
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect("rows");
        rows.collect::<rusqlite::Result<_>>().expect("rows")
    };
    let rows = pairs("SELECT run, state, count(*) FROM message GROUP BY 1, 2 ORDER BY 1, 2");
    assert_eq!(
        rows,
        pairs("SELECT run, state, sum(messages) AS n FROM tally GROUP BY 1, 2 HAVING n > 0 ORDER BY 1, 2")
    );
    let everywhere = Candidates::all(&connection).expect("segments");
    for index in Index::ALL {
        let column = index.of();
        let at_rest = format!("SELECT seq, {column} FROM rested WHERE {column} IS NOT NULL");
        let mut at_rest = connection.prepare(&at_rest).expect("SQL");
        let at_rest = at_rest.query_map([], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?))).expect("rows");
        let at_rest: Vec<(i64, Vec<u8>)> = at_rest.collect::<rusqlite::Result<_>>().expect("rows");
        // One of many is looked for; the others are counted.
        for (seq, id) in at_rest.iter().step_by(1 + at_rest.len() / 1_000) {
            let found = everywhere.rows(&connection, index, &Key::from(id.clone())).expect("rows");
            assert_eq!(found.iter().filter(|found| *found == seq).count(), 1, "row {seq} is once in {index:?}");
        }
        let entries = pairs(&format!(
            "SELECT (SELECT count(*) FROM {}), (SELECT coalesce(sum(length({})), 0) FROM entries), 0",
            index.table(),
            index.column()
        ));
        let [(loose, bytes, 0)] = entries[..] else { panic!("{entries:?}") };
        let all = i64::try_from(at_rest.len()).expect("not so many");
        assert_eq!(loose + bytes / 12, all, "{index:?} has all that is at rest, and nothing else");
    }
    let doubted = "SELECT (SELECT count(*) FROM message WHERE doubts > 0), (SELECT sum(doubted) FROM run)";
    let doubted: (u64, u64) = connection.query_row(doubted, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("a row");
    assert_eq!(doubted.0, doubted.1);
    (rows.iter().map(|row| row.2).sum(), doubted.0)
}

#[tokio::test]
async fn one_process_at_a_time() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let error = Journal::open(&place.location(), system_clock(|| None)).expect_err("locked");
    assert!(error.message().contains("another redrive"), "{error}");
    drop(journal);
    Journal::open(&place.location(), system_clock(|| None)).expect("free again");
}

#[tokio::test]
async fn what_is_not_a_journal_is_refused_and_left_as_it_is() {
    let place = Place::new();
    let path = place.directory.path().join("other.db");
    std::fs::write(&path, "this is no database, whatever it is called, and it is long enough to be looked at")
        .expect("write");
    let error = Journal::open(&path.clone().into(), system_clock(|| None)).expect_err("refused");
    assert!(error.message().contains("damaged"), "{error}");
    assert!(std::fs::read_to_string(&path).expect("read").starts_with("this is no database"));

    let foreign = place.directory.path().join("foreign.db");
    rusqlite::Connection::open(&foreign).and_then(|c| c.execute_batch("CREATE TABLE t (x)")).expect("foreign");
    assert!(
        Journal::open(&foreign.into(), system_clock(|| None))
            .expect_err("refused")
            .message()
            .contains("not a redrive journal")
    );

    drop(place.begin("run").await);
    rusqlite::Connection::open(place.path()).and_then(|c| c.pragma_update(None, "user_version", 99)).expect("newer");
    let error = Journal::open(&place.location(), system_clock(|| None)).expect_err("refused");
    assert!(error.message().contains("format 99"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let _ = claim(&journal, "a").await;
    for name in ["journal.db", "journal.db-wal", "journal.db-shm", "journal.db-lock"] {
        let metadata = std::fs::metadata(place.directory.path().join(".redrive").join(name)).expect(name);
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_mistake_in_the_order_of_events_is_an_error_to_its_caller_and_changes_nothing() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let of_before = intend(&journal, claim(&journal, "a").await).await;
    drop(journal);
    let (journal, _) = place.begin("run").await;
    let second = intend(&journal, claim(&journal, "b").await).await;
    // The first lost its answer with the session: an intent of then is none now. With it the whole batch is refused.
    let acknowledged = |intended| Settlement { intended, end: SendEnd::Acknowledged(None) };
    let error = journal.settle(vec![acknowledged(second), acknowledged(of_before)]).await.expect_err("illegal");
    assert!(error.message().contains("cannot happen"), "{error}");
    // Nobody else has to suffer for it.
    intend(&journal, claim(&journal, "c").await).await;
    drop(journal);
    let reader = Reader::open(&place.location()).expect("open").expect("there");
    let tally = reader.tally("run").expect("tally");
    assert_eq!(tally.count(|key| key.state == State::Sending), 2, "{tally:?}");
    assert_eq!(tally.count(|key| key.state == State::InDoubt), 1, "{tally:?}");
}

#[tokio::test]
async fn ids_survive_in_many_commands_at_once() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let journal = Arc::new(journal);
    let tasks: Vec<_> = (0..50)
        .map(|number| {
            let journal = Arc::clone(&journal);
            tokio::spawn(async move {
                let sent = send(&journal, &format!("m{number}"), &format!("n{number}")).await;
                assert_eq!(sent.id().as_str(), format!("m{number}"));
                journal.deleted(vec![(sent, DeleteEnd::Confirmed)]).await.expect("deleted");
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("task");
    }
    assert_eq!(journal.tally().count(|key| key.state == State::Done), 50);
}
