//! What the journal knows of parked messages: the two ways of each, copies, strangers, and what came of them.

use super::*;

const PARKING: &str = "arn:aws:sqs:eu-west-1:000000000000:parking";

/// Parks a message under another ID and deletes it from the source.
async fn park(journal: &Journal, id: &str, parked_as: &str) {
    let claim = claim(journal, id).await;
    let (rule, decision) = (RuleId::PARKED, Decided::Send(TARGET));
    let judged = journal.judge(vec![Judgement { claim, rule, exhausted: false, decision }]).await.expect("judge");
    let Some(Judged::Intended(intended)) = judged.into_iter().next() else { panic!("not intended") };
    finish(journal, intended, parked_as).await;
}

async fn finish(journal: &Journal, intended: Intended, sent_as: &str) {
    let end = SendEnd::Acknowledged(Some(MessageId::new(sent_as)));
    let settled = journal.settle(vec![Settlement { intended, end }]).await.expect("settle");
    let Some(Settled::Sent(sent)) = settled.into_iter().next() else { panic!("not sent") };
    assert!(journal.deleted(vec![(sent, DeleteEnd::Confirmed)]).await.expect("deleted").is_empty());
}

/// What a delivery from the parking queue is admitted as.
async fn met(journal: &Journal, id: &str, mark: Option<&str>) -> Admitted {
    let delivery = Delivery { origin: None, ..delivery(id, &format!("handle of {id}")) };
    let admitted = journal.admit_parked(vec![(delivery, mark.map(MessageId::new))]).await.expect("admit");
    admitted.into_iter().next().expect("an answer")
}

async fn bring_back(journal: &Journal, claim: Claim, sent_as: &str) {
    let (rule, decision) = (RuleId::RETURNED, Decided::Send(TARGET));
    let judged = journal.judge(vec![Judgement { claim, rule, exhausted: false, decision }]).await.expect("judge");
    let Some(Judged::Intended(intended)) = judged.into_iter().next() else { panic!("not intended") };
    finish(journal, intended, sent_as).await;
}

fn standing(journal: &Journal) -> (u64, u64, u64, u64) {
    let tally = journal.tally();
    (tally.received(), tally.parked, tally.returned, tally.count(|key| key.state == State::Kept))
}

#[tokio::test]
async fn a_parked_message_is_counted_once_whichever_way_it_is_on() {
    let place = Place::new();
    let (journal, begun) = place.begin("run").await;
    assert!(!begun.drained);
    park(&journal, "a", "a parked").await;
    park(&journal, "b", "b parked").await;
    assert_eq!(standing(&journal), (2, 2, 0, 0));
    journal.turn(PARKING.to_owned(), true).await.expect("turn");
    let Admitted::New(claim) = met(&journal, "a parked", Some("a")).await else { panic!("it is parked") };
    bring_back(&journal, claim, "a again").await;
    assert_eq!(standing(&journal), (2, 1, 1, 1));
    drop(journal);

    let (journal, begun) = place.begin("run").await;
    assert!(begun.drained, "the source need not be gone through again");
    assert_eq!(standing(&journal), (2, 1, 1, 1), "counted anew");
    let again = journal.admit(vec![Delivery { origin: None, ..delivery("a again", "h") }]).await.expect("admit");
    let Some(Admitted::Returned(claim)) = again.into_iter().next() else { panic!("it was brought back") };
    assert_eq!(claim.came_from(), Some("arn:aws:sqs:eu-west-1:000000000000:orders"));
    let decision = Decided::Stay(Stay::Kept(Reason::Unmatched));
    journal.judge(vec![Judgement { claim, rule: RuleId::RETURNED, exhausted: false, decision }]).await.expect("judge");
    assert_eq!(standing(&journal), (2, 1, 1, 1), "and not once more");

    // The other one is gone from the parking queue.
    journal.turn(PARKING.to_owned(), true).await.expect("turn");
    journal.vanish().await.expect("vanish");
    assert_eq!(standing(&journal), (2, 0, 1, 1));
    assert_eq!(journal.tally().count(|key| key.reason == Some(Reason::ParkedGone)), 1);
    drop(journal);
    assert!(!place.begin("run").await.1.drained, "nothing is parked any more");
}

#[tokio::test]
async fn what_the_journal_does_not_bear_out_is_foreign() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    park(&journal, "a", "a parked").await;
    claim(&journal, "b").await;
    journal.turn(PARKING.to_owned(), true).await.expect("turn");
    for (id, mark) in [("x", None), ("x", Some("x")), ("x", Some("b")), ("x", Some("a")), ("a parked", None)] {
        assert!(matches!(met(&journal, id, mark).await, Admitted::Foreign), "{id} {mark:?}");
    }
    assert_eq!(journal.lease_count().await.expect("count"), 2, "held, to be given back");
    assert!(matches!(met(&journal, "a parked", Some("a")).await, Admitted::New(_)));
}

#[tokio::test]
async fn a_copy_of_a_parked_message_is_deleted_when_the_message_is_back() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let claim = claim(&journal, "a").await;
    let judgement =
        |claim| Judgement { claim, rule: RuleId::PARKED, exhausted: false, decision: Decided::Send(TARGET) };
    let judged = journal.judge(vec![judgement(claim)]).await.expect("judge");
    let Some(Judged::Intended(intended)) = judged.into_iter().next() else { panic!("not intended") };
    let lost = Settlement { intended, end: SendEnd::AnswerLost };
    let Some(Settled::Doubtful(doubtful)) = journal.settle(vec![lost]).await.expect("settle").into_iter().next() else {
        panic!("not doubtful")
    };
    let judged = journal.judge(vec![judgement(doubtful.judge_again())]).await.expect("judge");
    let Some(Judged::Intended(intended)) = judged.into_iter().next() else { panic!("not intended") };
    finish(&journal, intended, "second").await;

    journal.turn(PARKING.to_owned(), true).await.expect("turn");
    let Admitted::New(claim) = met(&journal, "first", Some("a")).await else { panic!("it is parked") };
    bring_back(&journal, claim, "a again").await;
    assert!(matches!(met(&journal, "second", Some("a")).await, Admitted::Sent(_)), "to be deleted, not sent");
}

#[tokio::test]
async fn a_decision_about_the_way_out_settles_no_doubt_about_the_way_back() {
    let lose = async |journal: &Journal, claim: Claim, rule: RuleId| {
        let decision = Decided::Send(TARGET);
        let judged = journal.judge(vec![Judgement { claim, rule, exhausted: false, decision }]).await.expect("judge");
        let Some(Judged::Intended(intended)) = judged.into_iter().next() else { panic!("not intended") };
        let lost = Settlement { intended, end: SendEnd::AnswerLost };
        journal.settle(vec![lost]).await.expect("settle");
    };
    let decide = async |place: &Place, resolution: Resolution| {
        let journal = Journal::open(&place.location(), system_clock(|| None)).expect("open");
        let (run, messages, who) = ("run".to_owned(), None, "ada".to_owned());
        journal.resolve(Resolve { run, messages, resolution, who, reason: None }).await
    };
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    lose(&journal, claim(&journal, "a").await, RuleId::PARKED).await;
    drop(journal);
    assert_eq!(decide(&place, Resolution::Resend).await.expect("decided"), 1);
    let (journal, _) = place.begin("run").await;
    park(&journal, "a", "a parked").await;
    journal.turn(PARKING.to_owned(), true).await.expect("turn");
    let Admitted::New(claim) = met(&journal, "a parked", Some("a")).await else { panic!("it is parked") };
    lose(&journal, claim, RuleId::RETURNED).await;
    drop(journal);

    let (journal, _) = place.begin("run").await;
    journal.turn(PARKING.to_owned(), true).await.expect("turn");
    let again = met(&journal, "a parked", Some("a")).await;
    assert!(matches!(again, Admitted::Doubtful(_)), "nothing was decided about that");
    drop((again, journal));
    let refused = decide(&place, Resolution::Release).await.expect_err("nobody would look for it there");
    assert!(refused.message().contains("in the parking queue"), "{refused}");
    assert_eq!(decide(&place, Resolution::Discard).await.expect("decided"), 1);
    let (journal, begun) = place.begin("run").await;
    assert!(begun.drained, "it is to be deleted");
    let to_delete = journal.turn(PARKING.to_owned(), true).await.expect("turn").to_delete;
    assert_eq!(to_delete.len(), 1, "from the parking queue");
}
