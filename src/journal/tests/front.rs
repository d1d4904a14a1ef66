//! Messages on their way lie apart from those at rest, and nobody sees a difference.

use super::*;

/// Enough for done ones to be moved on.
pub(super) const MANY: usize = 2_060;

async fn sent(journal: &Journal, ids: impl Iterator<Item = usize>) -> Vec<Sent> {
    let deliveries = ids.map(|number| delivery(&format!("m{number}"), &format!("h{number}"))).collect();
    let judgements = journal.admit(deliveries).await.expect("admit").into_iter().map(|admitted| match admitted {
        Admitted::New(claim) => Judgement { claim, rule: RULE, exhausted: false, decision: Decided::Send(TARGET) },
        other => panic!("{other:?}"),
    });
    let settlements =
        journal.judge(judgements.collect()).await.expect("judge").into_iter().map(|judged| match judged {
            Judged::Intended(intended) => {
                let sent_as = MessageId::new(intended.id().as_str().replace('m', "n"));
                Settlement { intended, end: SendEnd::Acknowledged(Some(sent_as)) }
            }
            other => panic!("{other:?}"),
        });
    let settled =
        journal.settle(settlements.collect()).await.expect("settle").into_iter().map(|settled| match settled {
            Settled::Sent(sent) => sent,
            other => panic!("{other:?}"),
        });
    settled.collect()
}

/// Messages at rest, on their way, or both (`message`).
fn rows(place: &Place, table: &str) -> usize {
    let connection = Connection::open(place.path()).expect("open");
    assert!(crate::journal::front::show(&connection).expect("shown"));
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).expect("a count")
}

#[tokio::test]
async fn wherever_a_message_lies_it_is_known_for_what_it_is() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let mut all = sent(&journal, 0..MANY).await;
    let kept_back = all.split_off(MANY - 2);
    let last_done = all.pop().expect("one");
    let deletes = |sent: Vec<Sent>| sent.into_iter().map(|sent| (sent, DeleteEnd::Confirmed)).collect();
    journal.deleted(deletes(all)).await.expect("deleted");
    assert_eq!(
        (rows(&place, "rested"), rows(&place, "on_the_way")),
        (MANY - 3, 3),
        "the done ones moved on, and no other"
    );
    assert_eq!(rows(&place, "segment"), 1, "as one");
    journal.deleted(deletes(vec![last_done])).await.expect("deleted");
    let one = claim(&journal, "intended").await;
    let _ = intend(&journal, one).await;

    // A reader of another process sees all of them.
    let reader = Reader::open(&place.location()).expect("open").expect("there");
    let mut doubts = Vec::new();
    let each = |trouble: Trouble| {
        doubts.push(trouble.id.to_string());
        Ok(())
    };
    reader.doubts("run", each).expect("doubts");
    assert_eq!(doubts, ["intended"]);
    assert_eq!(
        (reader.tally("run").expect("figures").received(), rows(&place, "message")),
        (MANY as u64 + 1, MANY + 1)
    );

    // What comes back is known by the ID that its send returned, moved on or not; each look-up here moves the others on.
    for sent_as in [format!("n{}", MANY - 1), "n0".to_owned()] {
        assert!(matches!(admit(&journal, &sent_as, "h").await, Admitted::Bounced(_)), "{sent_as}");
        assert_eq!(rows(&place, "rested"), MANY + 1, "the first was in front");
    }
    drop((journal, kept_back));
    let (journal, begun) = place.begin("run").await;
    assert_eq!(rows(&place, "on_the_way"), 0, "what was on its way has moved on");
    let to_delete: Vec<String> = begun.to_delete.iter().map(|sent| sent.id().to_string()).collect();
    assert_eq!((begun.in_doubt, to_delete.len(), begun.to_release.len()), (1, 2, 3), "{to_delete:?}");
    for number in [0, MANY - 3] {
        assert!(matches!(admit(&journal, &format!("m{number}"), "again").await, Admitted::Sent(_)), "{number}");
    }
}

/// Every message of a run that is done, in segments of the indexes.
pub(super) async fn at_rest(place: &Place, run: &str, ids: std::ops::Range<usize>) {
    let (journal, _) = place.begin(run).await;
    for first in ids.clone().step_by(MANY) {
        let sent = sent(&journal, first..ids.end.min(first + MANY)).await;
        journal.deleted(sent.into_iter().map(|sent| (sent, DeleteEnd::Confirmed)).collect()).await.expect("deleted");
    }
}

#[tokio::test]
async fn what_is_at_rest_is_found_among_others_when_the_journal_is_opened_again() {
    let place = Place::new();
    // Of each, the first three and the last two thousand share a segment.
    for run in 0..3 {
        at_rest(&place, &format!("run {run}"), run * 5 * MANY..(run + 1) * 5 * MANY).await;
    }
    assert_eq!((rows(&place, "segment"), counted_anew(&place).0), (6, 15 * MANY as u64));
    let (journal, _) = place.begin("run").await;
    for number in (0..15 * MANY).step_by(97) {
        let known = admit(&journal, &format!("m{number}"), "again").await;
        assert!(matches!(known, Admitted::Sent(_)), "m{number}");
        let new = admit(&journal, &format!("o{number}"), "h").await;
        assert!(matches!(new, Admitted::New(_)), "o{number}");
    }
}

#[tokio::test]
async fn what_was_put_to_rest_before_it_was_done_is_in_each_index_once() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let sent = sent(&journal, 0..MANY).await;
    // Leases that are due are looked for among those of messages at rest, so all go there.
    assert!(journal.leases(Timestamp::MIN, 1).await.expect("none").is_empty());
    assert_eq!((rows(&place, "rested"), rows(&place, "on_the_way")), (0, MANY), "none is due, and all stay");
    assert_eq!(journal.leases(Timestamp::MAX, 1).await.expect("of sent ones").len(), 1);
    assert_eq!((rows(&place, "rested"), rows(&place, "on_the_way")), (MANY, 0));
    journal.deleted(sent.into_iter().map(|sent| (sent, DeleteEnd::Confirmed)).collect()).await.expect("deleted");
    drop(journal);
    assert_eq!((rows(&place, "segment"), counted_anew(&place).0), (1, MANY as u64));
}

#[tokio::test]
async fn the_room_of_what_was_on_its_way_is_given_back_at_the_end() {
    let place = Place::new();
    let free = || {
        let connection = Connection::open(place.path()).expect("open");
        connection.pragma_query_value(None, "freelist_count", |row| row.get::<_, u32>(0)).expect("a count")
    };
    let (journal, _) = place.begin("run").await;
    let sent = sent(&journal, 0..MANY).await;
    journal.deleted(sent.into_iter().map(|sent| (sent, DeleteEnd::Confirmed)).collect()).await.expect("deleted");
    let used = free();
    assert!(used > 50, "{used}");
    let outcome = "finished".to_owned();
    let totals = Totals::default();
    let end = SessionEnd { finished: true, has_orphans: false, outcome, cause: None, totals };
    journal.end(end).await.expect("ended");
    drop(journal);
    assert_eq!(free(), 0);
}

#[tokio::test]
async fn what_is_pruned_is_out_of_the_indexes_and_what_is_not_is_still_known() {
    let place = Place::new();
    for run in 0..2 {
        at_rest(&place, &format!("run {run}"), run * MANY..(run + 1) * MANY).await;
        // One that comes to rest by itself.
        at_rest(&place, &format!("run {run}"), 10 * MANY + run..10 * MANY + run + 1).await;
    }
    let pruned = prune(&place.location(), &["run 0".to_owned()]).expect("pruned");
    assert_eq!((pruned.messages, rows(&place, "segment")), (MANY as u64 + 1, 1));
    assert_eq!(counted_anew(&place).0, MANY as u64 + 1);
    let (journal, _) = place.begin("run").await;
    for (number, is_known) in [(0, false), (10 * MANY, false), (MANY, true), (10 * MANY + 1, true)] {
        let admitted = admit(&journal, &format!("m{number}"), "again").await;
        assert_eq!(matches!(admitted, Admitted::Sent(_)), is_known, "m{number}");
    }
}

#[tokio::test]
async fn a_damaged_filter_is_refused_in_words_and_left_as_it_is() {
    let place = Place::new();
    at_rest(&place, "run", 0..MANY).await;
    let connection = Connection::open(place.path()).expect("open");
    connection.execute_batch("UPDATE segment SET ids = substr(ids, 2)").expect("cut");
    let error = Journal::open(&place.location(), system_clock(|| None)).expect_err("refused");
    assert!(error.message().contains("is damaged") && error.message().contains("a filter was cut"), "{error}");
}

#[tokio::test]
async fn an_index_that_does_not_lead_to_each_message_is_refused_in_words_and_left_as_it_is() {
    let place = Place::new();
    at_rest(&place, "run", 0..MANY).await;
    // One by itself, which the next to open the journal puts to rest.
    at_rest(&place, "run", MANY..MANY + 1).await;
    drop(place.begin("run").await);
    let incomplete = "its indexes do not have all messages";
    for (damage, words) in [
        ("UPDATE entries SET ids = substr(ids, 2)", "an entry was cut"),
        ("UPDATE entries SET first = first + 1", incomplete),
        ("UPDATE entries SET segment = segment + 1", incomplete),
        ("UPDATE entries SET bucket = 128 WHERE bucket = 5", incomplete),
        ("DELETE FROM entries WHERE bucket = 5", incomplete),
        ("UPDATE segment SET ids = zeroblob(length(ids))", incomplete),
        ("UPDATE segment SET sent_as = ids", incomplete),
        ("UPDATE by_id SET seq = seq + 1", incomplete),
        ("DELETE FROM by_sent_as", incomplete),
    ] {
        let damaged = Place::new();
        std::fs::create_dir(damaged.path().parent().expect("its directory")).expect("made");
        std::fs::copy(place.path(), damaged.path()).expect("a copy");
        let connection = Connection::open(damaged.path()).expect("open");
        assert!(connection.execute(damage, []).expect("damaged") > 0, "{damage}");
        drop(connection);
        let before = std::fs::read(damaged.path()).expect("the journal");
        let error = Journal::open(&damaged.location(), system_clock(|| None)).expect_err(damage);
        assert!(error.message().contains("is damaged") && error.message().contains(words), "{damage}: {error}");
        assert_eq!(std::fs::read(damaged.path()).expect("the journal"), before, "{damage}");
    }
    Journal::open(&place.location(), system_clock(|| None)).expect("the whole one is taken");
}

#[tokio::test]
async fn what_is_done_in_front_and_delivered_again_is_deleted_again() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let one = sent(&journal, 0..1).await.remove(0);
    journal.deleted(vec![(one, DeleteEnd::Confirmed)]).await.expect("deleted");
    assert_eq!((rows(&place, "rested"), rows(&place, "on_the_way")), (0, 1));
    let Admitted::Sent(again) = admit(&journal, "m0", "newer").await else { panic!("not recognised") };
    assert_eq!((again.receipt().as_str(), rows(&place, "on_the_way")), ("newer", 0));
    journal.deleted(vec![(again, DeleteEnd::Confirmed)]).await.expect("deleted");
    assert_eq!((journal.tally().received(), rows(&place, "lease")), (1, 0));
}

#[tokio::test]
async fn a_handle_that_a_message_at_rest_was_given_later_is_known_when_it_comes_again() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let sent = sent(&journal, 0..MANY).await;
    journal.deleted(sent.into_iter().map(|sent| (sent, DeleteEnd::Confirmed)).collect()).await.expect("deleted");
    assert_eq!((rows(&place, "on_the_way"), rows(&place, "lease")), (0, 0), "all are at rest, and none is in flight");
    let Admitted::Sent(one) = admit(&journal, "m0", "older").await else { panic!("not recognised") };
    journal.deleted(vec![(one, DeleteEnd::Unknown)]).await.expect("noted");
    let Admitted::Sent(again) = admit(&journal, "m0", "newer").await else { panic!("not recognised") };
    let left = journal.deleted(vec![(again, DeleteEnd::Confirmed)]).await.expect("deleted");
    assert_eq!(left.iter().map(|sent| sent.receipt().as_str()).collect::<Vec<_>>(), ["older"]);
}

#[tokio::test]
async fn what_is_over_in_front_leaves_the_next_session_nothing_to_do() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let one = sent(&journal, 0..1).await.remove(0);
    journal.deleted(vec![(one, DeleteEnd::Confirmed)]).await.expect("deleted");
    assert_eq!(rows(&place, "on_the_way"), 1);
    drop(journal);
    let (_, begun) = place.begin("run").await;
    assert_eq!((begun.to_delete.len(), begun.to_release.len(), counted_anew(&place)), (0, 0, (1, 0)));
}

#[tokio::test]
async fn what_was_put_to_rest_early_leaves_the_others_where_they_are() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let early = sent(&journal, 0..1).await;
    // A due lease is looked for among those of messages at rest.
    journal.leases(Timestamp::MAX, 1).await.expect("one");
    let later = sent(&journal, 1..2).await;
    journal.deleted(early.into_iter().map(|sent| (sent, DeleteEnd::Confirmed)).collect()).await.expect("deleted");
    assert_eq!((rows(&place, "rested"), rows(&place, "on_the_way")), (1, 1), "the second is still on its way");
    journal.deleted(later.into_iter().map(|sent| (sent, DeleteEnd::Confirmed)).collect()).await.expect("deleted");
    drop(journal);
    let _ = place.begin("run").await;
    assert_eq!(counted_anew(&place), (2, 0));
}

#[tokio::test]
async fn changes_that_come_together_share_a_commit() {
    const WORKERS: usize = 40;
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let journal = Arc::new(journal);
    let mut admissions = tokio::task::JoinSet::new();
    for worker in 0..WORKERS {
        let deliveries = (0..10).map(|number| delivery(&format!("m{worker}-{number}"), "h")).collect();
        let journal = Arc::clone(&journal);
        admissions.spawn(async move { journal.admit(deliveries).await.expect("admitted").len() });
    }
    assert_eq!(admissions.join_all().await, [10; WORKERS]);
    let commits: usize = Connection::open(place.path())
        .and_then(|c| c.query_row("SELECT count(*) FROM front", [], |row| row.get(0)))
        .expect("a count");
    assert!(commits < WORKERS / 2, "{commits} commits for {WORKERS}");
}

#[tokio::test]
async fn a_damaged_log_of_what_was_on_its_way_is_refused_in_words_and_left_as_it_is() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let sent = sent(&journal, 0..2).await;
    drop((journal, sent));
    let connection = Connection::open(place.path()).expect("open");
    let changes: Vec<u8> = connection
        .query_row("SELECT changes FROM front ORDER BY seq DESC LIMIT 1", [], |row| row.get(0))
        .expect("a row");
    for damaged in [&changes[..changes.len() - 1], &changes[1..], b"\xff"] {
        connection
            .execute("UPDATE front SET changes = ?1 WHERE seq = (SELECT max(seq) FROM front)", [damaged])
            .expect("cut");
        let error = Journal::open(&place.location(), system_clock(|| None)).expect_err("refused");
        assert!(error.message().contains("what was on its way cannot be read"), "{error}");
        let reader = Reader::open(&place.location()).expect("open").expect("there");
        assert!(reader.troubles("run", |_| Ok(())).expect_err("refused").message().contains("cannot be read"));
    }
    connection
        .execute("UPDATE front SET changes = ?1 WHERE seq = (SELECT max(seq) FROM front)", [changes])
        .expect("mended");
    drop(connection);
    let (_, begun) = place.begin("run").await;
    assert_eq!(begun.to_delete.len(), 2, "nothing was lost");
}
