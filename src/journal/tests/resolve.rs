//! What a person decides about doubts, and about a run that will not be gone on with.

use super::*;
use crate::error::Kind;

async fn decide(journal: &Journal, run: &str, ids: &[&str], resolution: Resolution) -> Result<u64> {
    let messages = (!ids.is_empty()).then(|| ids.iter().copied().map(MessageId::new).collect());
    let (run, who) = (run.to_owned(), "ada".to_owned());
    journal.resolve(Resolve { run, messages, resolution, who, reason: Some("looked".to_owned()) }).await
}

/// A journal whose run was killed with these on the way, opened anew.
async fn killed_with(place: &Place, ids: &[&str]) -> Journal {
    let (journal, _) = place.begin("run").await;
    for id in ids {
        let _ = intend(&journal, claim(&journal, id).await).await;
    }
    drop(journal);
    Journal::open(&place.location(), system_clock(|| None)).expect("open")
}

fn states(place: &Place) -> Vec<(String, State, Option<Resolution>)> {
    let troubles = troubles(&Reader::open(&place.location()).expect("open").expect("there"));
    let mut states: Vec<_> = troubles
        .into_iter()
        .map(|one| (one.id.to_string(), one.state, one.resolved.map(|resolved| resolved.resolution)))
        .collect();
    states.sort_by(|a, b| a.0.cmp(&b.0));
    states
}

#[tokio::test]
async fn each_decision_is_carried_out_when_the_message_is_met_again() {
    let place = Place::new();
    let journal = killed_with(&place, &["a", "b", "c", "d"]).await;
    for (id, resolution) in [("a", Resolution::Resend), ("b", Resolution::Discard), ("c", Resolution::Release)] {
        assert_eq!(decide(&journal, "run", &[id], resolution).await.expect("decided"), 1);
        assert_eq!(decide(&journal, "run", &[id], resolution).await.expect("again"), 1, "it changes nothing");
    }
    drop(journal);
    let (journal, begun) = place.begin("run").await;
    assert_eq!(begun.to_delete.len(), 1, "what was discarded is deleted with the handle that is known");
    assert_eq!(begun.to_delete[0].id().as_str(), "b");
    drop(begun);
    assert!(matches!(admit(&journal, "a", "h2").await, Admitted::New(_)), "no longer doubtful");
    assert!(matches!(admit(&journal, "c", "h2").await, Admitted::Released));
    assert!(matches!(admit(&journal, "d", "h2").await, Admitted::Doubtful(_)), "nothing was decided about it");
    drop(journal);
    let (journal, begun) = place.begin("another").await;
    assert_eq!(begun.to_delete[0].id().as_str(), "b", "by whichever run goes on");
    assert!(matches!(admit(&journal, "a", "h3").await, Admitted::New(_)), "whichever run meets it");
    assert!(matches!(admit(&journal, "c", "h3").await, Admitted::Doubtful(_)), "released by that run alone");
}

#[tokio::test]
async fn a_decision_settles_the_doubts_there_are_and_not_the_next_one() {
    let place = Place::new();
    let journal = killed_with(&place, &["a"]).await;
    decide(&journal, "run", &[], Resolution::Resend).await.expect("decided");
    drop(journal);
    let (journal, _) = place.begin("run").await;
    // Not sent after all: it is still decided.
    let intended = intend(&journal, claim(&journal, "a").await).await;
    let withdrawn = vec![Settlement { intended, end: SendEnd::Withdrawn }];
    assert!(matches!(journal.settle(withdrawn).await.expect("settle").remove(0), Settled::Stays));
    // Sent, and the answer is lost once more.
    let intended = intend(&journal, claim(&journal, "a").await).await;
    let lost = vec![Settlement { intended, end: SendEnd::AnswerLost }];
    assert!(matches!(journal.settle(lost).await.expect("settle").remove(0), Settled::Doubtful(_)));
    drop(journal);
    let journal = Journal::open(&place.location(), system_clock(|| None)).expect("open");
    decide(&journal, "run", &["a"], Resolution::Discard).await.expect("decided otherwise");
    assert_eq!(states(&place), [("a".to_owned(), State::Sent, Some(Resolution::Discard))]);
}

#[tokio::test]
async fn a_decision_about_what_is_not_in_doubt_changes_nothing_at_all() {
    let place = Place::new();
    let journal = killed_with(&place, &["a"]).await;
    let error = decide(&journal, "run", &["a", "b"], Resolution::Discard).await.expect_err("refused");
    assert_eq!((error.kind(), error.message()), (Kind::Usage, "run run has no such message in doubt: b"));
    drop(journal);
    assert_eq!(states(&place), [], "not even the recovery of what was on its way is kept");
    let tally = Reader::open(&place.location()).expect("open").expect("there").tally("run").expect("tally");
    assert_eq!(tally.received(), 1, "nothing is counted anew");
}

#[tokio::test]
async fn a_run_that_is_given_up_stays_so_and_what_it_sent_stays_known() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let sent = send(&journal, "a", "a2").await;
    let _ = intend(&journal, claim(&journal, "b").await).await;
    drop((sent, journal));
    let journal = Journal::open(&place.location(), system_clock(|| None)).expect("open");
    decide(&journal, "run", &[], Resolution::Abandon).await.expect("given up");
    decide(&journal, "run", &[], Resolution::Abandon).await.expect("again");
    drop(journal);
    let record = Reader::open(&place.location()).expect("open").expect("there").runs().expect("runs").remove(0);
    assert_eq!(record.outcome.as_deref(), Some("abandoned"));
    assert!(record.ended.is_some() && record.given_up.is_some_and(|given_up| given_up.who == "ada"));
    let (journal, begun) = place.begin("another").await;
    assert!(begun.interrupted, "what the killed process had received comes back by itself");
    assert_eq!(begun.to_delete.len(), 1);
    assert!(matches!(admit(&journal, "b", "h").await, Admitted::Doubtful(_)));
    journal
        .end(SessionEnd {
            finished: true,
            has_orphans: false,
            outcome: "finished".to_owned(),
            cause: None,
            totals: Totals::default(),
        })
        .await
        .expect("end");
    let error = decide(&journal, "another", &[], Resolution::Abandon).await.expect_err("refused");
    assert!(error.message().contains("finished"), "{error}");
}
