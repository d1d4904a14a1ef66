//! What is hard to know: sends that may have arrived, leases that end on the way, deliveries that come twice.

use std::sync::Mutex;

use redrive_protocol::target::Reason;

use super::*;

/// A clock that stands until it is turned.
#[derive(Clone)]
struct Turned(Arc<Mutex<Timestamp>>);

impl Turned {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Timestamp::from_second(1_000_000).expect("time"))))
    }

    fn now(&self) -> Timestamp {
        *self.0.lock().expect("clock")
    }

    fn turn(&self, seconds: u64) {
        let later = self.now().checked_add(Duration::from_secs(seconds)).expect("time");
        *self.0.lock().expect("clock") = later;
    }

    async fn begin(&self, place: &Place, run: &str) -> Journal {
        let clock = self.clone();
        place.begin_at(run, Arc::new(move || clock.now())).await.0
    }
}

async fn settle(journal: &Journal, intended: Intended, end: SendEnd) -> Settled {
    journal.settle(vec![Settlement { intended, end }]).await.expect("settle").remove(0)
}

async fn keep(journal: &Journal, claim: Claim) {
    let decision = Decided::Stay(Stay::Kept(Reason::LimitReached));
    journal.judge(vec![Judgement { claim, rule: RULE, exhausted: false, decision }]).await.expect("kept");
}

#[tokio::test]
async fn a_proof_does_not_hang_on_a_lease_that_ended_on_the_way() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let intended = intend(&journal, claim(&journal, "a").await).await;
    // As the keeper does when SQS no longer takes the handle, or after twelve hours.
    let leases = journal.leases(Timestamp::MAX, 10).await.expect("leases");
    journal.leased(leases.into_iter().map(|lease| (lease, None)).collect()).await.expect("leased");
    let Settled::Sent(sent) = settle(&journal, intended, SendEnd::Acknowledged(None)).await else { panic!("sent") };
    assert_eq!(sent.receipt().as_str(), "handle", "the one it was delivered with");
    assert!(journal.deleted(vec![(sent, DeleteEnd::Confirmed)]).await.expect("deleted").is_empty());
    assert_eq!(journal.tally().count(|key| key.state == State::Done), 1);
}

#[tokio::test]
async fn what_was_delivered_twice_is_deleted_with_both_handles_and_done_where_neither_is_refused() {
    use DeleteEnd::{Confirmed, HandleRefused};
    let fifo = "arn:aws:sqs:eu-west-1:000000000000:dlq.fifo";
    let standard = Place::new().source_arn;
    for (source_arn, ends, is_done) in [
        (standard, [Confirmed, Confirmed], true),
        // SQS says success for an older handle too, and may have deleted nothing.
        (standard, [Confirmed, HandleRefused], false),
        (standard, [HandleRefused, Confirmed], false),
        (standard, [HandleRefused, HandleRefused], false),
        // A FIFO queue refuses the older.
        (fifo, [HandleRefused, Confirmed], true),
        (fifo, [HandleRefused, HandleRefused], false),
    ] {
        let place = Place { source_arn, ..Place::new() };
        let (journal, _) = place.begin("run").await;
        // The other delivery comes before the first delete, or while it is under way.
        let intended = intend(&journal, claim(&journal, "a").await).await;
        assert!(matches!(admit(&journal, "a", "newer").await, Admitted::Duplicate));
        let Settled::Sent(before) = settle(&journal, intended, SendEnd::Acknowledged(None)).await else {
            panic!("sent")
        };
        assert_eq!(before.receipt().as_str(), "newer");
        let meanwhile = send(&journal, "b", "b2").await;
        assert!(matches!(admit(&journal, "b", "newer").await, Admitted::Duplicate));
        for (sent, other) in [(before, "handle"), (meanwhile, "newer")] {
            let id = sent.id().as_str().to_owned();
            let again = journal.deleted(vec![(sent, ends[0])]).await.expect("deleted").pop().expect("the other handle");
            assert_eq!(again.receipt().as_str(), other);
            assert!(matches!(admit(&journal, &id, other).await, Admitted::Duplicate), "still being deleted");
            assert!(journal.deleted(vec![(again, ends[1])]).await.expect("deleted").is_empty());
        }
        let count = |state| journal.tally().count(|key| key.state == state);
        let expected = if is_done { (0, 2) } else { (2, 0) };
        assert_eq!((count(State::Sent), count(State::Done)), expected, "{source_arn} {ends:?}");
        assert!(matches!(admit(&journal, "a", "later").await, Admitted::Sent(_)), "deleted when it comes back");
    }
}

#[tokio::test]
async fn what_is_delivered_again_after_its_delete_is_not_done_before_it_is_deleted_again() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let sent = send(&journal, "a", "a2").await;
    assert!(journal.deleted(vec![(sent, DeleteEnd::Confirmed)]).await.expect("deleted").is_empty());
    assert_eq!(journal.tally().count(|key| key.state == State::Done), 1);
    // Received before that delete, with a handle that makes its own an old one, and admitted after it.
    let Admitted::Sent(sent) = admit(&journal, "a", "newer").await else { panic!("not recognised") };
    assert!(journal.deleted(vec![(sent, DeleteEnd::HandleRefused)]).await.expect("deleted").is_empty());
    let Admitted::Sent(sent) = admit(&journal, "a", "newest").await else { panic!("not recognised") };
    assert_eq!(journal.tally().count(|key| key.state == State::Sent), 1, "it may still be there");
    assert!(journal.deleted(vec![(sent, DeleteEnd::Confirmed)]).await.expect("deleted").is_empty());
    let tally = journal.tally();
    assert_eq!((tally.count(|key| key.state == State::Done), tally.received()), (1, 1));
}

#[tokio::test]
async fn a_change_to_an_older_delivery_leaves_the_lease_of_a_newer_one_alone() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let claim = claim(&journal, "a").await;
    let old = journal.leases(Timestamp::MAX, 10).await.expect("leases");
    assert!(matches!(admit(&journal, "a", "newer").await, Admitted::Duplicate));
    journal.leased(old.into_iter().map(|lease| (lease, None)).collect()).await.expect("leased");
    let left = journal.leases(Timestamp::MAX, 10).await.expect("leases");
    assert_eq!(left.iter().map(|lease| lease.receipt.as_str()).collect::<Vec<_>>(), ["newer"]);
    drop(claim);
}

#[tokio::test]
async fn a_doubt_lasts_until_the_message_is_sent_whatever_else_becomes_of_it() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let intended = intend(&journal, claim(&journal, "a").await).await;
    let Settled::Doubtful(doubtful) = settle(&journal, intended, SendEnd::AnswerLost).await else { panic!("doubt") };
    // Kept for want of budget: that says nothing of the send.
    keep(&journal, doubtful.judge_again()).await;
    let Admitted::Doubtful(doubtful) = admit(&journal, "a", "h2").await else { panic!("taken for new") };
    assert!(doubtful.is_of_this_run());
    // Refused at a second try: the first may have arrived all the same.
    let intended = intend(&journal, doubtful.judge_again()).await;
    let refused = SendEnd::Refused(Reason::Refused, "no".to_owned());
    assert!(matches!(settle(&journal, intended, refused).await, Settled::Stays));
    drop(journal);
    let (journal, begun) = place.begin("run").await;
    assert_eq!(begun.doubtful.len(), 1);
    assert!(matches!(admit(&journal, "a", "h3").await, Admitted::Doubtful(_)));
    drop(journal);
    let (journal, _) = place.begin("another").await;
    let Admitted::Doubtful(doubtful) = admit(&journal, "a", "h4").await else { panic!("taken for new") };
    assert!(!doubtful.is_of_this_run());
    let intended = intend(&journal, doubtful.judge_again()).await;
    assert!(matches!(settle(&journal, intended, SendEnd::Acknowledged(None)).await, Settled::Sent(_)));
    assert_eq!(journal.tally().doubted, 1, "counted by the run that sent it again, too");
}

#[tokio::test]
async fn a_doubt_counts_from_the_first_send_that_may_have_arrived() {
    let (place, clock) = (Place::new(), Turned::new());
    let journal = clock.begin(&place, "run").await;
    let first = clock.now();
    let _ = intend(&journal, claim(&journal, "a").await).await;
    drop(journal);
    // Killed; what goes on later notes the lost answer now, and the send was then.
    clock.turn(3600);
    let journal = clock.begin(&place, "run").await;
    let Admitted::Doubtful(doubtful) = admit(&journal, "a", "h2").await else { panic!("taken for new") };
    assert_eq!(doubtful.since(), first);
    let intended = intend(&journal, doubtful.judge_again()).await;
    clock.turn(60);
    let Settled::Doubtful(doubtful) = settle(&journal, intended, SendEnd::AnswerLost).await else { panic!("doubt") };
    assert_eq!(doubtful.since(), first, "a second send does not make the first one younger");
    // One that was surely not sent leaves nothing behind.
    let intended = intend(&journal, claim(&journal, "b").await).await;
    assert!(matches!(settle(&journal, intended, SendEnd::Withdrawn).await, Settled::Stays));
    clock.turn(60);
    let second = clock.now();
    let intended = intend(&journal, claim(&journal, "b").await).await;
    let Settled::Doubtful(doubtful) = settle(&journal, intended, SendEnd::AnswerLost).await else { panic!("doubt") };
    assert_eq!(doubtful.since(), second);
}

#[tokio::test]
async fn what_arrived_with_a_wrong_digest_is_no_new_message_afterwards() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let intended = intend(&journal, claim(&journal, "a").await).await;
    let damaged = SendEnd::Refused(Reason::DigestMismatch, "other MD5".to_owned());
    assert!(matches!(settle(&journal, intended, damaged).await, Settled::Stays));
    assert_eq!(journal.tally().doubted, 0, "an answer came");
    assert!(matches!(admit(&journal, "a", "h2").await, Admitted::Doubtful(_)));
}

#[tokio::test]
async fn what_waited_behind_a_message_that_stays_is_kept_and_its_doubts_with_it() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let intended = intend(&journal, claim(&journal, "new").await).await;
    assert!(matches!(settle(&journal, intended, SendEnd::Behind).await, Settled::Stays));
    let intended = intend(&journal, claim(&journal, "doubtful").await).await;
    let Settled::Doubtful(doubtful) = settle(&journal, intended, SendEnd::AnswerLost).await else { panic!("doubt") };
    let intended = intend(&journal, doubtful.judge_again()).await;
    assert!(matches!(settle(&journal, intended, SendEnd::Behind).await, Settled::Stays));
    let kept = |key: &TallyKey| key.state == State::Kept && key.reason == Some(Reason::GroupStopped);
    assert_eq!(journal.tally().count(kept), 2);
    assert!(matches!(admit(&journal, "new", "h2").await, Admitted::New(_)));
    assert!(matches!(admit(&journal, "doubtful", "h2").await, Admitted::Doubtful(_)));
}

#[tokio::test]
async fn what_is_not_finished_and_no_longer_in_the_source_is_gone() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let lost = intend(&journal, claim(&journal, "in doubt").await).await;
    let Settled::Doubtful(doubtful) = settle(&journal, lost, SendEnd::AnswerLost).await else { panic!("doubt") };
    let returned = intend(&journal, claim(&journal, "returned").await).await;
    assert!(matches!(settle(&journal, returned, SendEnd::Withdrawn).await, Settled::Stays));
    let refused = send(&journal, "sent", "s2").await;
    assert!(journal.deleted(vec![(refused, DeleteEnd::HandleRefused)]).await.expect("deleted").is_empty());
    let unknown = send(&journal, "in flight", "s3").await;
    assert!(journal.deleted(vec![(unknown, DeleteEnd::Unknown)]).await.expect("deleted").is_empty());
    keep(&journal, claim(&journal, "kept").await).await;
    journal.vanish().await.expect("vanish");
    let gone = |key: &TallyKey| key.state == State::Failed && key.reason == Some(Reason::Gone);
    assert_eq!(journal.tally().count(gone), 0, "what is in flight with us is not gone");

    let all = journal.releasable(10).await.expect("leases");
    journal.leased(all.into_iter().map(|lease| (lease, None)).collect()).await.expect("leased");
    journal.vanish().await.expect("vanish");
    let tally = journal.tally();
    let count = |state| tally.count(|key| key.state == state);
    assert_eq!((tally.count(gone), count(State::Done), count(State::Sent), count(State::Kept)), (2, 1, 1, 1));
    assert_eq!(tally.doubted, 1);
    // Gone too soon, and met again after all: the doubt is still one.
    journal.unclaim(vec![doubtful.id().clone()]).await.expect("unclaim");
    assert!(matches!(admit(&journal, "in doubt", "h2").await, Admitted::Doubtful(_)));
    assert!(matches!(admit(&journal, "returned", "h2").await, Admitted::New(_)));
}

#[tokio::test]
async fn the_receive_count_and_the_origin_are_noted() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let delivery = Delivery { receive_count: Some(7), ..delivery("a", "h") };
    let Admitted::New(claim) = journal.admit(vec![delivery]).await.expect("admit").remove(0) else { panic!("new") };
    keep(&journal, claim).await;
    drop(journal);
    let connection = rusqlite::Connection::open(place.path()).expect("open");
    assert!(super::super::front::show(&connection).expect("shown"));
    let noted: (u32, String) = connection
        .query_row("SELECT receive_count, arn FROM message JOIN queue ON queue.id = origin", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .expect("a row");
    assert_eq!(noted, (7, "arn:aws:sqs:eu-west-1:000000000000:orders".to_owned()));
}
