//! Calls that only look, before a run and at its end, fail now and then as all calls do: that costs neither a plan nor an apply.

use sqs_sandbox::{Fault, Rule, When};

use crate::end_to_end::{JOB, assert_all_in_place, message};
use crate::support::stage::{Stage, each_of};

const TOTAL: usize = 12;

async fn ready() -> Stage {
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    stage.file("job.toml", JOB);
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn set_up_calls_that_fail_a_few_times_are_made_again() {
    let faults = || {
        let status = Fault::Status { code: 503, when: When::Before };
        [(Fault::Throttle, 1), (Fault::Throttle, 3), (status, 3), (Fault::Cut { when: When::After }, 3)]
    };
    let actions =
        ["GetQueueUrl", "GetQueueAttributes", "ListDeadLetterSourceQueues", "ListMessageMoveTasks", "HeadBucket"];
    let cases = actions.iter().flat_map(|action| faults().map(|(fault, times)| (*action, fault, times)));
    each_of(2, cases.collect(), |(action, fault, times)| async move {
        let case = format!("{action} {fault:?} {times} times");
        let stage = ready().await;
        let rule = Rule::new(fault).action(action).times(times);
        stage.sandbox.faults().add(rule.clone());
        stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
        assert!(stage.requests(action) as u64 > times, "{case}: it was made again");
        // Apply lists no queues, and makes the other calls anew.
        stage.sandbox.faults().clear();
        stage.sandbox.faults().add(rule);
        stage.redrive(&["apply", "plan.json"]).await.expect(0);
        assert_all_in_place(&stage, TOTAL);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn set_up_calls_that_are_refused_are_not_made_again() {
    for (action, fault) in [
        ("GetQueueUrl", Fault::AccessDenied),
        ("GetQueueAttributes", Fault::ExpiredToken),
        ("HeadBucket", Fault::AccessDenied),
    ] {
        let stage = ready().await;
        stage.sandbox.faults().add(Rule::new(fault).action(action));
        stage.redrive(&["plan", "job.toml"]).await.expect(1);
        assert_eq!(stage.requests(action), 1, "{action}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_up_call_that_never_succeeds_says_how_often_it_was_tried() {
    let stage = ready().await;
    stage.sandbox.faults().add(Rule::new(Fault::Status { code: 503, when: When::Before }).action("GetQueueUrl"));
    let said = stage.redrive(&["plan", "job.toml"]).await.expect(1).stderr;
    assert!(said.contains("(8 tries)") && said.contains("try again later"), "{said}");
    assert!(!said.contains("no answer came"), "one came: {said}");
}
