//! The program ended (killed, or aborted at a commit) at each of its requests and each of its commits, before and after, and
//! resumed; and ended again while it resumes. Nothing is lost, and only what is listed as in doubt arrives twice; with `hold`,
//! nothing at all does. `REDRIVE_CRASHES=all` makes the sweeps wider.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use sqs_sandbox::{Fault, Rule, Signal, When};

use crate::fire::{Archive, Crash, HANDS, InDoubt, Kept, Others, Scene, Setting, tell};
use crate::support::stage::each_of;

const MESSAGES: usize = 36;

/// Ends one apply after the other, resumes the run until it is finished; gives how many of the ends it reached.
async fn crashed(crashes: Vec<Crash>, in_doubt: InDoubt, archive: Archive, journal: Kept) -> usize {
    let at = format!("{crashes:?}");
    let scene = Scene::new(Setting { messages: MESSAGES, in_doubt, archive, limit: None, journal }).await;
    let mut reached = 0;
    for crash in crashes {
        reached += usize::from(scene.crash(crash).await);
        scene.assert_deleted_is_on_disk(&at);
    }
    let ran = scene.finish(&at).await;
    scene.assert_holds(&ran, Others::Nobody, &at).await;
    let (all, visible) = scene.stage.counts("orders-dlq");
    assert_eq!(all, visible, "what stays is visible again: {at}");
    reached
}

/// Whether the wide sweeps are asked for.
fn wide() -> bool {
    std::env::var("REDRIVE_CRASHES").is_ok_and(|asked| asked == "all")
}

/// All four jobs if the sweep is wide, else the two that differ in both respects, by turns; with the journal on a server one of
/// them.
fn jobs(case: usize, journal: Kept) -> Vec<(InDoubt, Archive)> {
    let jobs = [
        (InDoubt::Resend, Archive::S3),
        (InDoubt::Hold, Archive::File),
        (InDoubt::Resend, Archive::File),
        (InDoubt::Hold, Archive::S3),
    ];
    match journal {
        _ if wide() => jobs.to_vec(),
        Kept::File => jobs[case % 2 * 2..][..2].to_vec(),
        Kept::Server => vec![jobs[case / 2 % 4]],
    }
}

/// Ends a run at number 1, 2, 3, … of what `crash` makes of it, before and after, until it has surely passed the run's end.
async fn sweep(what: &str, crash: fn(u64, When) -> Crash, journal: Kept) {
    // The same run is not always as long. So far beyond where one was not reached, none is.
    const BEYOND: u64 = 8;
    let end = Arc::new(AtomicU64::new(u64::MAX - BEYOND));
    let cases = (1..=90).flat_map(|nth| [(nth, When::Before), (nth, When::After)]).enumerate();
    let cases: Vec<_> = cases
        .flat_map(|(case, (nth, when))| jobs(case, journal).into_iter().map(move |job| (nth, when, job)))
        .collect();
    let all = cases.len();
    let reached = each_of(HANDS, cases, |(nth, when, (in_doubt, archive))| {
        let end = Arc::clone(&end);
        async move {
            if nth > end.load(Ordering::Relaxed) + BEYOND {
                return 0;
            }
            let reached = crashed(vec![crash(nth, when)], in_doubt, archive, journal).await;
            if reached == 0 {
                end.fetch_min(nth, Ordering::Relaxed);
            }
            reached
        }
    })
    .await;
    let reached: usize = reached.into_iter().sum();
    tell(&format!("ended at a {what} and resumed: {reached} times; the first that was not reached: {end:?}"));
    assert!(reached > 40, "only {reached} of the ends came before the end of the run");
    assert!(reached < all, "the sweep did not reach the end of the run");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_request_it_loses_nothing_and_sends_nothing_twice_that_it_does_not_list() {
    sweep("request", Crash::Request, Kept::File).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_at_every_commit_it_loses_nothing_and_sends_nothing_twice_that_it_does_not_list() {
    if !cfg!(debug_assertions) {
        return;
    }
    sweep("commit", Crash::Commit, Kept::File).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_request_with_its_journal_on_a_server_it_loses_nothing_and_repeats_only_what_it_lists() {
    sweep("request, with the journal on a server,", Crash::Request, Kept::Server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_at_every_commit_to_a_server_it_loses_nothing_and_repeats_only_what_it_lists() {
    if !cfg!(debug_assertions) {
        return;
    }
    sweep("commit to a server", Crash::Commit, Kept::Server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_again_while_it_resumes_it_loses_nothing_and_sends_nothing_twice_that_it_does_not_list() {
    if !cfg!(debug_assertions) {
        return;
    }
    let rounds = if wide() { 8 } else { 1 };
    let mut random = SmallRng::seed_from_u64(5);
    let mut cases = Vec::new();
    for round in 0..rounds {
        for nth in 1..=44_u64 {
            let mut when = || if random.random_bool(0.5) { When::Before } else { When::After };
            // Where it was ended first; then twice while it resumes, at a request and at a commit: the first commits of a session
            // are its recovery.
            let first =
                if (nth + round) % 2 == 0 { Crash::Request(nth, when()) } else { Crash::Commit(nth / 2 + 1, when()) };
            let (second, third) = (when(), when());
            let resumed =
                [Crash::Commit(random.random_range(1..=8), second), Crash::Request(random.random_range(4..=24), third)];
            cases
                .push((vec![first, resumed[0], resumed[1]], jobs(usize::try_from(nth).expect("small"), Kept::File)[0]));
        }
    }
    let all = cases.len();
    let reached =
        each_of(HANDS, cases, |(crashes, (in_doubt, archive))| crashed(crashes, in_doubt, archive, Kept::File)).await;
    tell(&format!("ended three times: {all} runs, {} times", reached.iter().sum::<usize>()));
    let twice = reached.iter().filter(|reached| **reached >= 2).count();
    assert!(twice * 2 > all, "only {twice} of {all} were ended while they resumed");
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_in_the_midst_it_keeps_to_its_max_messages_over_all_sessions() {
    const MOST: usize = 13;
    // Slow enough for most of the messages not to have been met when it is ended.
    const LIMITS: &str = "[limits]\nmax_messages = 13\nrate = \"10/s\"\nconcurrency = 1\n";
    each_of(HANDS, vec![1, 2], |nth| async move {
        let setting = Setting {
            messages: MESSAGES,
            in_doubt: InDoubt::Resend,
            archive: Archive::S3,
            limit: None,
            journal: Kept::File,
        };
        let scene = Scene::with_job(setting, |job| format!("{job}\n{LIMITS}")).await;
        let child = scene.stage.spawn(&["apply", "plan.json", "--allow-drift"]);
        let pid = child.id().expect("running");
        let kill = Fault::Kill { pid, signal: Signal::Kill, when: When::After };
        scene.stage.sandbox.faults().add(Rule::new(kill).action("DeleteMessageBatch").nth(nth));
        child.wait_with_output().await.expect("ended");
        scene.stage.sandbox.faults().clear();
        assert!(scene.stage.counts("orders-dlq").0 < MESSAGES, "something left before it was ended");
        let summary = scene.finish("limited").await.summary();
        assert_eq!(scene.stage.counts("orders-dlq").0, MESSAGES - MOST, "killed at delete {nth}: {summary}");
    })
    .await;
}
