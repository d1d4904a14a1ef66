//! FIFO sources: order within message groups, in the plan, under failures, and through a kill at any request.

use std::collections::BTreeMap;
use std::time::Duration;

use sqs_sandbox::{Fault, Options, Rule, Seed, When};

use crate::bounds::{Blame, that_refuses};
use crate::end_to_end::assert_adds_up;
use crate::support::admin::Admin;
use crate::support::stage::{HARSH, Stage, each};

pub(crate) const JOB: &str = r#"
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
    let stage = Stage::with_options(Options { signals: true, short_poll_miss: HARSH, ..Options::default() }).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_refused_as_a_whole_costs_only_the_message_that_is_to_blame_and_those_behind_it() {
    let stage = stage(9, 3, |_, _| "").await;
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    // As SQS answers a batch for a FIFO queue in which one entry lacks an ID.
    let member = "MessageDeduplicationId";
    let blame = Blame { action: "SendMessageBatch", member, status: 400, code: "InvalidParameterValue" };
    let url = that_refuses(&stage, blame, 1).await;
    let arguments = ["apply", "plan.json", "--format", "json"];
    let ran = stage.redrive_with(&arguments, &[("AWS_ENDPOINT_URL", url.as_str())]).await;
    let summary = ran.expect(6).summary();
    assert_adds_up(&summary);
    assert_eq!(summary["failed"], 1, "{summary}");
    let arrived = arrived(&stage);
    let (whole, cut): (Vec<_>, Vec<_>) = arrived.values().partition(|rounds| **rounds == [0, 1, 2]);
    assert_eq!(whole.len(), 8, "{arrived:?}");
    assert!(cut.iter().all(|rounds| **rounds == [0] || **rounds == [0, 1]), "{arrived:?}");
    let left: usize = 3 - cut.first().map_or(0, |rounds| rounds.len());
    assert_eq!(
        (summary["moved"].as_u64(), stage.counts("in.fifo")),
        (Some(27 - left as u64), (left, left)),
        "{summary}"
    );
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

/// Waits until this holds.
async fn until(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(2), waiting).await.expect("it comes to hold");
}

/// The message IDs of the source, in the order in which they arrived.
fn ids(stage: &Stage) -> Vec<String> {
    stage.sandbox.queue("in.fifo").expect("queue").messages.into_iter().map(|message| message.id).collect()
}

/// The messages of each receive that brought some, in order.
fn receives(stage: &Stage) -> Vec<Vec<String>> {
    let log = stage.sandbox.log().into_iter().filter(|entry| entry.action == "ReceiveMessage" && entry.entries > 0);
    log.map(|entry| entry.messages.into_iter().map(|message| message.id).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_gives_back_is_moved_while_they_hold_what_is_behind_it() {
    let stage = stage(1, 3, |_, _| "").await;
    let other = Admin::at(&stage.sandbox.endpoint_url()).sqs;
    let url = format!("{}/000000000000/in.fifo", stage.sandbox.endpoint_url());
    let receive = other.receive_message().queue_url(&url).max_number_of_messages(10).visibility_timeout(3_600);
    let held = receive.send().await.expect("an answer").messages.expect("messages");
    assert_eq!(held.len(), 3);
    // The third is behind one that is still away, so that there is nothing to plan with; then that one comes back too.
    for (given_back, code, moved) in [(0, 0, 1), (2, 4, 1), (1, 0, 3)] {
        let handle = held[given_back].receipt_handle.as_deref().expect("a handle");
        let change = other.change_message_visibility().queue_url(&url).receipt_handle(handle).visibility_timeout(0);
        change.send().await.expect("given back");
        stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
        let ran = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(code);
        let rounds: Vec<u64> = (0..moved).collect();
        assert_eq!(arrived(&stage)["group-0"], rounds, "{given_back} is back\n{}\n{}", ran.stdout, ran.stderr);
    }
    assert_eq!(stage.counts("in.fifo"), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_first_after_a_kill_is_moved_first_and_the_rest_is_waited_for() {
    let stage = stage(1, 3, |_, round| if round == 1 { ",\"stop\":true" } else { "" }).await;
    // Long enough for any machine; in the end the servers' clock is moved.
    stage.file("job.toml", &JOB.replace("10s", "90s"));
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    assert!(stage.killed_at(When::Before, |rule| rule.action("SendMessageBatch")).await);
    assert_eq!(stage.counts("in.fifo"), (3, 0), "the dead process holds the group");
    let group = ids(&stage);

    // Of what it held only the first comes back at once. What the next apply gives back is refused.
    assert!(stage.sandbox.reappear("in.fifo", &group[0]));
    for index in 0..3 {
        let refused = Fault::FailEntry { index, sender_fault: true, code: "ReceiptHandleIsInvalid".to_owned() };
        stage.sandbox.faults().add(Rule::new(refused).action("ChangeMessageVisibilityBatch").nth(1));
    }
    stage.sandbox.clear_log();
    let passes = async {
        until(|| arrived(&stage).contains_key("group-0")).await;
        stage.sandbox.advance(Duration::from_secs(90));
    };
    let (ran, ()) = tokio::join!(stage.redrive(&["apply", "plan.json", "--format", "json"]), passes);
    let summary = ran.expect(0).summary();
    assert_adds_up(&summary);
    assert_eq!(receives(&stage).first(), Some(&vec![group[0].clone()]), "it is met while the others are away");
    assert_eq!(arrived(&stage)["group-0"], [0]);
    assert_eq!((&summary["moved"], &summary["kept"]), (&1.into(), &2.into()), "{summary}");
    assert_eq!(stage.counts("in.fifo"), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_message_that_comes_back_in_mid_run_overtakes_nothing_and_is_moved_once() {
    let stage = stage(1, 3, |_, _| "").await;
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    stage.sandbox.clear_log();
    let slow = Fault::Latency { ms: 6_000, jitter_ms: 0, when: When::Before };
    stage.sandbox.faults().add(Rule::new(slow).action("SendMessageBatch").nth(1));
    let child = stage.spawn(&["apply", "plan.json", "--format", "json"]);
    // While the first is on its way and the others wait for it, SQS gives it out again.
    until(|| stage.counts("in.fifo") == (3, 0)).await;
    let group = ids(&stage);
    assert!(stage.sandbox.reappear("in.fifo", &group[0]));
    let ran = crate::support::stage::Ran::of(child.wait_with_output().await.expect("ended"));
    let summary = ran.expect(0).summary();
    assert_adds_up(&summary);
    assert_eq!(receives(&stage)[..2], [group.clone(), vec![group[0].clone()]]);
    let log = stage.sandbox.log().into_iter().filter(|entry| entry.entries > 0);
    let actions: Vec<String> = log.map(|entry| entry.action).collect();
    assert_eq!(actions[..2], ["ReceiveMessage"; 2], "again, before the first send has ended: {actions:?}");
    assert_eq!(arrived(&stage)["group-0"], [0, 1, 2]);
    assert_eq!(summary["moved"], 3, "{summary}");
    assert_eq!(stage.counts("in.fifo"), (0, 0));
}
