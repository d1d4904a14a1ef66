//! FIFO sources: order within message groups, in the plan, under failures, and through a kill at any request.

use std::collections::BTreeMap;

use sqs_sandbox::{Options, Seed, When};

use crate::end_to_end::assert_adds_up;
use crate::support::stage::{Stage, each};

const JOB: &str = r#"
version = 1
name = "fifo"
[source]
queue = "in.fifo"
visibility_timeout = "10s"
sent_after = "30d"
[destination.out]
sqs = { queue = "out.fifo" }
[[rule]]
name = "stays"
when = [{ body = "$.stop", equals = true }]
to = "keep"
[[rule]]
name = "marked"
when = [{ body = "$.mark", exists = true }]
transform = [{ remove = "$.mark.of" }]
to = "out"
[unmatched]
to = "out"
"#;

/// Two FIFO queues, and numbered messages in groups, round by round; `body` says what is beside the number.
async fn stage(groups: usize, rounds: usize, body: fn(usize, usize) -> &'static str) -> Stage {
    let stage = Stage::with_options(Options { signals: true, ..Options::default() }).await;
    let fifo = [("FifoQueue", "true"), ("ContentBasedDeduplication", "true")];
    stage.queue("in.fifo", &fifo);
    stage.queue("out.fifo", &fifo);
    let seeds = (0..groups * rounds).map(|number| {
        let (group, round) = (number % groups, number / groups);
        let mut seed = Seed::new(format!("{{\"round\":{round}{}}}", body(group, round)));
        seed.group = Some(format!("group-{group}"));
        seed.deduplication = Some(format!("d{number}"));
        seed
    });
    stage.sandbox.seed("in.fifo", seeds).expect("seeded");
    stage.file("job.toml", JOB);
    stage
}

/// The rounds that arrived, by group, in the order in which they did.
fn arrived(stage: &Stage) -> BTreeMap<String, Vec<u64>> {
    let mut arrived: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for message in stage.sandbox.queue("out.fifo").expect("queue").messages {
        let body: serde_json::Value = serde_json::from_str(&message.body).expect("JSON");
        arrived.entry(message.message_group_id.expect("a group")).or_default().push(body["round"].as_u64().expect("n"));
    }
    arrived
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_says_how_many_groups_stop_where_and_apply_does_so() {
    // Of nine groups, two stop at their first message, one at a first that cannot be changed, and one at its third, which
    // no sample needs to show: what is behind a message in flight of its group cannot be received.
    let stage = stage(9, 4, |group, round| match (group, round) {
        (1 | 5, 0) | (7, 2) => ",\"stop\":true",
        (3, 0) => ",\"mark\":{}",
        _ => "",
    })
    .await;
    let plan = stage.redrive(&["plan", "job.toml", "--out", "plan.json", "--format", "json"]).await.expect(0).stdout;
    let plan: serde_json::Value = serde_json::from_str(&plan).expect("JSON");
    let hazards = plan["hazards"].as_array().expect("a list");
    let text = hazards.iter().find(|one| one["code"] == "groups_stop").expect("groups stop")["text"].to_string();
    let by_rule = ["2 at a message of \\\"stays\\\"", "3 at a message of \\\"stays\\\""];
    assert!(text.contains("of 9 message groups") && by_rule.iter().any(|part| text.contains(part)), "{text}");
    assert!(text.contains("1 at a message of \\\"marked\\\" (a transform's path is not there)"), "{text}");

    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(6).summary();
    assert_adds_up(&summary);
    // What waits behind a message that stays in flight may not be met at all.
    assert_eq!((&summary["moved"], &summary["blocked"]), (&22.into(), &1.into()), "{summary}");
    let expected: BTreeMap<String, Vec<u64>> = [(0, 4), (2, 4), (4, 4), (6, 4), (7, 2), (8, 4)]
        .map(|(group, rounds)| (format!("group-{group}"), (0..rounds).collect()))
        .into();
    assert_eq!(arrived(&stage), expected);
    assert_eq!(stage.counts("in.fifo"), (14, 14), "what stays is visible again");
}

/// Kills one apply at its request number `nth` and resumes it until it is finished; gives whether it came that far.
async fn killed_at(nth: u64, when: When) -> bool {
    let stage = stage(3, 3, |group, round| if (group, round) == (1, 1) { ",\"stop\":true" } else { "" }).await;
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    let killed = stage.killed_at(when, |rule| rule.nth(nth)).await;

    let ran = stage.redrive(&["apply", "plan.json", "--format", "json"]).await;
    let at = format!("killed at {nth} {when:?}: {}\n{}", ran.stdout, ran.stderr);
    assert_eq!(ran.code, Some(0), "{at}");
    let summary = ran.summary();
    assert_adds_up(&summary);
    // Each once, in doubt or not: the queue knows a deduplication ID that it saw a moment ago.
    let expected = [(0, 3), (1, 1), (2, 3)].map(|(group, rounds)| (format!("group-{group}"), (0..rounds).collect()));
    assert_eq!(arrived(&stage), BTreeMap::from(expected), "{at}");
    assert_eq!(stage.counts("in.fifo"), (2, 2), "{at}");
    killed
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_request_groups_keep_their_order_and_stop_where_they_stop() {
    // More requests than the run makes, so that the sweep passes its end.
    let cases = (1..=30).flat_map(|nth| [(nth, When::Before), (nth, When::After)]);
    let killed = each(cases.collect(), |(nth, when)| killed_at(nth, when)).await;
    let killed = killed.into_iter().filter(|killed| *killed).count();
    assert!(killed > 24, "only {killed} of the kills came before the end of the run");
    assert!(killed < 60, "the sweep did not reach the end of the run");
}
