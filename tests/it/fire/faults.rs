//! Every trouble by itself and every two together. Each ends in a documented state, and goes on from there to a finished run
//! that holds against the model. `REDRIVE_FAULTS=all` tries each at every request.

use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use sqs_sandbox::Options;

use super::model::{Found, Others, total};
use super::troubles::{ACTS, Act, SILENCES, TROUBLES, Trouble, Way};
use super::{Archive, HANDS, InDoubt, Kept, Scene, Setting, tell};
use crate::support::stage::each_of;

const MESSAGES: usize = 36;

/// More requests than an untroubled run makes before it waits for the source to be dry.
const REQUESTS: u64 = 24;

fn setting(turn: u64) -> Setting {
    let in_doubt = if turn.is_multiple_of(2) { InDoubt::Resend } else { InDoubt::Hold };
    let archive = if (turn / 2).is_multiple_of(2) { Archive::S3 } else { Archive::File };
    Setting { messages: MESSAGES, in_doubt, archive, limit: None, journal: Kept::File }
}

/// Brings a run into these troubles, each at its request, and finishes it.
async fn suffered(troubles: Vec<(Trouble, u64)>, setting: Setting) -> Found {
    let at = troubles.iter().map(|(trouble, nth)| format!("{} at {nth}", trouble.name)).collect::<Vec<_>>().join(", ");
    let scene = Arc::new(Scene::new(setting).await);
    let mut acts = Vec::new();
    let mut others = Others::Nobody;
    for (trouble, nth) in troubles {
        acts.extend(scene.inflict(trouble, nth));
        if trouble.others() == Others::EmptiedIt {
            others = Others::EmptiedIt;
        }
    }
    let first = scene.apply().await;
    for act in acts {
        act.abort();
    }
    // What came of one session is mended in the next: the faults that did not hit yet are not for it.
    scene.stage.sandbox.faults().clear();
    let ran = if matches!(first.code, Some(0 | 6)) { first } else { scene.finish(&at).await };
    scene.assert_holds(&ran, others, &at).await
}

/// At how many requests each single trouble is tried.
fn requests() -> Vec<u64> {
    if all() { (1..=REQUESTS).collect() } else { vec![5, 8, 11, 14] }
}

fn all() -> bool {
    std::env::var("REDRIVE_FAULTS").is_ok_and(|asked| asked == "all")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_alone_loses_nothing_and_repeats_nothing_that_is_not_listed() {
    let acts = ACTS.into_iter().filter(|trouble| matches!(trouble.way, Way::Act(Act::StepClock | Act::Purge)));
    let troubles = TROUBLES.into_iter().chain(SILENCES).chain(acts);
    let cases = troubles.enumerate().flat_map(|(position, trouble)| {
        requests().into_iter().map(move |nth| (trouble, nth, setting(position as u64 + nth)))
    });
    let found =
        each_of(HANDS, cases.collect(), |(trouble, nth, setting)| suffered(vec![(trouble, nth)], setting)).await;
    tell(&format!("{} runs with one trouble: {}", found.len(), total(found).told()));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_two_faults_together_lose_nothing_and_repeat_nothing_that_is_not_listed() {
    let mut random = SmallRng::seed_from_u64(7);
    let mut cases = Vec::new();
    for (position, one) in TROUBLES.into_iter().enumerate() {
        for two in TROUBLES.into_iter().skip(position) {
            let rounds = if all() { 8 } else { 1 };
            for _ in 0..rounds {
                let mut nth = || random.random_range(4..=REQUESTS);
                cases.push((vec![(one, nth()), (two, nth())], setting(nth())));
            }
        }
    }
    let found = each_of(HANDS, cases, |(troubles, setting)| suffered(troubles, setting)).await;
    tell(&format!("{} runs with two troubles: {}", found.len(), total(found).told()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_deleted_in_mid_run_ends_it_in_words_and_nothing_was_deleted_unproven() {
    let gone = [(Act::Delete, "orders-dlq"), (Act::DeleteDestination, "audit")];
    each_of(
        HANDS,
        gone.into_iter().flat_map(|gone| [8, 12].map(|nth| (gone, nth))).collect(),
        |((act, queue), nth)| async move {
            let scene = Arc::new(Scene::new(setting(nth)).await);
            let trouble =
                ACTS.into_iter().find(|one| matches!(one.way, Way::Act(other) if other == act)).expect("listed");
            let task = scene.inflict(trouble, nth).expect("a task");
            let ran = scene.apply().await;
            task.abort();
            if matches!(ran.code, Some(0 | 6)) {
                // It was quicker.
                return;
            }
            let said = ran.expect(3).summary()["error"].to_string();
            assert!(said.contains(queue) && said.contains("does not exist"), "{said}");
            scene.assert_deletes_are_proven(trouble.name);
            // And so it is with every apply that follows: no run can be finished without its queues.
            let again = scene.stage.redrive(&["apply", "plan.json"]).await.expect(3);
            assert!(again.stderr.contains(queue), "{}", again.stderr);
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_in_flight_than_a_queue_allows_halts_the_run_and_loses_nothing() {
    // Twelve of these messages stay, so that in the end no more than the limit is in flight, with nothing left to receive.
    let options = Options { in_flight_limit: 8, ..Options::default() };
    // Its plan is made where the sample is no more than may be in flight.
    drop(Scene::new(setting(0)).await);
    let scene = Scene::with_options(setting(0), options).await;
    let ran = scene.apply().await.expect(5);
    let said = ran.summary()["error"].to_string();
    assert!(said.contains("in flight"), "{said}");
    scene.assert_deletes_are_proven("in flight");
    let (all, visible) = scene.stage.counts("orders-dlq");
    assert_eq!(all, visible, "everything is given back");
}
