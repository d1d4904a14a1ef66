//! What is said of a run afterwards: how its sessions ended, and which messages somebody should look at.

use super::*;

#[tokio::test]
async fn the_end_of_a_session_is_noted_whole_and_forgotten_when_the_next_begins() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let totals = Totals { requests: 5, elapsed_ms: 6, not_released: 7, still_visible: 8, in_flight_elsewhere: 9 };
    let cause = Some(Cause { error: "denied".to_owned(), hint: Some("ask".to_owned()) });
    let end =
        SessionEnd { finished: false, has_orphans: false, outcome: "failed".to_owned(), cause: cause.clone(), totals };
    journal.end(end).await.expect("ended");
    drop(journal);
    let record = || Reader::open(&place.location()).expect("open").expect("there").runs().expect("runs").remove(0);
    assert_eq!((record().totals, record().cause), (totals, cause));
    let (journal, _) = place.begin("run").await;
    let so_far = Totals { requests: 5, elapsed_ms: 6, ..Totals::default() };
    assert_eq!((record().totals, record().cause, record().outcome), (so_far, None, None));
    drop(journal);
}

#[tokio::test]
async fn troubles_come_one_by_one_the_most_urgent_first_and_none_is_left_out() {
    const BLOCKED: usize = 3_000;
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let deliveries = (0..BLOCKED).map(|number| delivery(&format!("blocked-{number}"), "handle")).collect();
    let judgements = journal.admit(deliveries).await.expect("admitted").into_iter().map(|admitted| {
        let Admitted::New(claim) = admitted else { panic!("{admitted:?}") };
        let decision = Decided::Stay(Stay::Blocked(Reason::TooLarge, String::new()));
        Judgement { claim, rule: RULE, exhausted: false, decision }
    });
    let judgements = judgements.collect();
    journal.judge(judgements).await.expect("blocked");
    let ends = [
        ("settled", SendEnd::AnswerLost),
        ("failed", SendEnd::Refused(Reason::Refused, String::new())),
        ("doubtful", SendEnd::AnswerLost),
    ];
    for (id, end) in ends {
        let intended = intend(&journal, claim(&journal, id).await).await;
        let settled = journal.settle(vec![Settlement { intended, end }]).await.expect("settled").remove(0);
        if let ("settled", Settled::Doubtful(doubtful)) = (id, settled) {
            let intended = intend(&journal, doubtful.judge_again()).await;
            let end = SendEnd::Acknowledged(None);
            journal.settle(vec![Settlement { intended, end }]).await.expect("settled");
        }
    }
    let reader = Reader::open(&place.location()).expect("open").expect("there");
    let ids: Vec<_> = troubles(&reader).into_iter().map(|trouble| trouble.id.to_string()).collect();
    assert_eq!(ids.len(), BLOCKED + 3);
    assert_eq!((&ids[0][..], &ids[1][..], &ids[BLOCKED + 2][..]), ("doubtful", "failed", "settled"));
    // Whoever takes them can stop.
    let mut taken = 0;
    let stopped = reader.troubles("run", |_| {
        taken += 1;
        Err(crate::error::Error::failed("enough"))
    });
    assert_eq!((stopped.expect_err("stopped").message(), taken), ("enough", 1));
}

#[tokio::test]
async fn a_run_never_ends_before_it_started_whichever_clock_said_so() {
    let place = Place::new();
    let ahead: Clock = Arc::new(|| Timestamp::now().checked_add(Duration::from_hours(1)).expect("time"));
    for (run, is_given_up) in [("finished", false), ("given up", true)] {
        drop(place.begin_at(run, Arc::clone(&ahead)).await);
        let (journal, _) = place.begin(run).await;
        if is_given_up {
            let resolve = Resolve {
                run: run.to_owned(),
                messages: None,
                resolution: Resolution::Abandon,
                who: "ada".to_owned(),
                reason: None,
            };
            journal.resolve(resolve).await.expect("given up");
        } else {
            let (outcome, totals) = ("finished".to_owned(), Totals::default());
            let end = SessionEnd { finished: true, has_orphans: false, outcome, cause: None, totals };
            journal.end(end).await.expect("ended");
        }
        drop(journal);
        let record = Reader::open(&place.location()).expect("open").expect("there").runs().expect("runs").remove(0);
        assert!(record.ended.expect("ended") >= record.started, "{record:?}");
    }
}

#[tokio::test]
async fn after_a_commit_that_failed_nothing_is_written_whatever_is_asked_and_the_next_session_counts_right() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    send(&journal, "before", "n").await;
    // As a disk that is full for a moment.
    let disk = rusqlite::Connection::open(place.path()).expect("open");
    disk.execute_batch("CREATE TRIGGER full BEFORE INSERT ON tally BEGIN SELECT RAISE(ABORT, 'full'); END")
        .expect("full");
    let claimed = claim(&journal, "a").await;
    let judgement = Judgement { claim: claimed, rule: RULE, exhausted: false, decision: Decided::Send(TARGET) };
    journal.judge(vec![judgement]).await.expect_err("not written");
    disk.execute_batch("DROP TRIGGER full").expect("room again");
    journal.effort(5, 5).await.expect_err("the journal has failed");
    journal.lease_count().await.expect_err("for good");
    drop(journal);
    assert_eq!(counted_anew(&place), (1, 0), "of the one that was not written nothing is counted");
}
