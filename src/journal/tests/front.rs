//! Messages on their way lie apart from those at rest, and nobody sees a difference.

use super::*;

/// Enough for done ones to be moved on.
const MANY: usize = 4_100;

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

fn rows(place: &Place, table: &str) -> usize {
    let connection = Connection::open(place.path()).expect("open");
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
    assert_eq!((rows(&place, "rested"), rows(&place, "front")), (MANY - 3, 3), "the done ones moved on, and no other");
    journal.deleted(deletes(vec![last_done])).await.expect("deleted");
    let one = claim(&journal, "intended").await;
    let _ = intend(&journal, one).await;

    // A reader of another process sees all of them.
    let reader = Reader::open(&place.path()).expect("open").expect("there");
    assert_eq!(
        reader.doubts("run").expect("doubts").iter().map(|one| one.id.as_str()).collect::<Vec<_>>(),
        ["intended"]
    );
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
    assert_eq!(rows(&place, "front"), 0, "what was on its way has moved on");
    let to_delete: Vec<String> = begun.to_delete.iter().map(|sent| sent.id().to_string()).collect();
    assert_eq!((begun.in_doubt, to_delete.len(), begun.to_release.len()), (1, 2, 3), "{to_delete:?}");
    for number in [0, MANY - 3] {
        assert!(matches!(admit(&journal, &format!("m{number}"), "again").await, Admitted::Sent(_)), "{number}");
    }
}

#[tokio::test]
async fn what_is_done_in_front_and_delivered_again_is_deleted_again() {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    let one = sent(&journal, 0..1).await.remove(0);
    journal.deleted(vec![(one, DeleteEnd::Confirmed)]).await.expect("deleted");
    assert_eq!((rows(&place, "rested"), rows(&place, "front")), (0, 1));
    let Admitted::Sent(again) = admit(&journal, "m0", "newer").await else { panic!("not recognised") };
    assert_eq!((again.receipt().as_str(), rows(&place, "front")), ("newer", 0));
    journal.deleted(vec![(again, DeleteEnd::Confirmed)]).await.expect("deleted");
    assert_eq!((journal.tally().received(), rows(&place, "lease")), (1, 0));
}
