//! The program killed (SIGKILL) by the server at each of its requests, before and after the request's effect, and resumed:
//! nothing is lost, and only what is listed as in doubt arrives twice; with `hold`, nothing at all does.

use std::collections::BTreeSet;

use redrive::sandbox::{Fault, Options, Rule, Signal, When};

use crate::end_to_end::{JOB, assert_adds_up, expected_at, message};
use crate::support::stage::{Stage, content, count, each};

const TOTAL: usize = 36;

/// Kills one apply at its request number `nth` and resumes it until it is finished; gives whether it came that far.
async fn killed_at(nth: u64, when: When, policy: &str) -> bool {
    let stage = Stage::with_options(Options { signals: true, ..Options::default() }).await;
    stage.orders();
    stage.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    let job = JOB.replace("exhausted = \"archive\"", &format!("exhausted = \"archive\"\nin_doubt = \"{policy}\""));
    stage.file("job.toml", &job.replace("10s", "10s\"\nsent_after = \"30d"));
    stage.redrive(&["plan", "job.toml", "--out", "plan.json", "--sample", "12"]).await.expect(0);

    let child = stage.spawn(&["apply", "plan.json"]);
    let pid = child.id().expect("running");
    stage.sandbox.faults().add(Rule::new(Fault::Kill { pid, signal: Signal::Kill, when }).nth(nth));
    let killed = child.wait_with_output().await.expect("ended").status.code().is_none();
    stage.sandbox.faults().clear();

    let ran = stage.redrive(&["apply", "plan.json", "--format", "json"]).await;
    let at = format!("killed at {nth} {when:?} {policy}: {}\n{}", ran.stdout, ran.stderr);
    assert!(matches!(ran.code, Some(0 | 6)), "{at}");
    let summary = ran.summary();
    assert_adds_up(&summary);
    assert_eq!(summary["received"], TOTAL, "{at}");
    let held = summary["held"].as_u64().expect("held");
    let in_doubt = summary["in_doubt"].as_u64().expect("in_doubt");
    assert!(policy == "hold" || held == 0, "{at}");

    let (mut surplus, mut missing) = (0, 0);
    for queue in ["orders", "audit"] {
        let (found, expected) = (stage.inventory(queue), expected_at(queue, TOTAL));
        for one in expected.keys().chain(found.keys()).collect::<BTreeSet<_>>() {
            let (found, expected) = (found.get(one).copied().unwrap_or(0), expected.get(one).copied().unwrap_or(0));
            assert!(expected > 0, "{one:?} does not belong to {queue}: {at}");
            surplus += found.saturating_sub(expected) as u64;
            missing += expected.saturating_sub(found) as u64;
        }
    }
    assert_eq!(count(stage.envelopes("archive").iter().map(content)), expected_at("archive", TOTAL), "{at}");
    assert!(missing <= held, "{missing} are lost: {at}");
    assert!(surplus <= if policy == "hold" { 0 } else { in_doubt }, "{surplus} arrived twice: {at}");
    let kept = expected_at("orders-dlq", TOTAL).values().sum::<usize>() as u64;
    let (all, visible) = stage.counts("orders-dlq");
    assert_eq!((all as u64, all), (kept + held, visible), "{at}");
    killed
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_request_it_loses_nothing_and_sends_nothing_twice_that_it_does_not_list() {
    // More requests than the run makes, so that the sweep passes its end.
    let cases = (1..=60).flat_map(|nth| [(nth, When::Before), (nth, When::After)]);
    let cases = cases.flat_map(|(nth, when)| [(nth, when, "resend"), (nth, when, "hold")]);
    let killed = each(cases.collect(), |(nth, when, policy)| killed_at(nth, when, policy)).await;
    let killed = killed.into_iter().filter(|killed| *killed).count();
    assert!(killed > 60, "only {killed} of the kills came before the end of the run");
    assert!(killed < 240, "the sweep did not reach the end of the run");
}
