//! Selective jobs: few messages of a big queue match, and all the others stay. Each is received once, held in flight at little
//! cost, and given back; a queue in which too many stay halts the run with words; a stopped message group stops no other.

use std::collections::{BTreeMap, BTreeSet};

use sqs_sandbox::{LogEntry, Options, Seed};

use crate::end_to_end::assert_adds_up;
use crate::support::stage::{Stage, failed};

const JOB: &str = r#"
version = 1
name = "pick"
[source]
queue = "orders-dlq"
visibility_timeout = "10s"
[destination.out]
sqs = { queue = "audit" }
[[rule]]
name = "wanted"
when = [{ body = "$.wanted", equals = true }]
to = "out"
"#;

/// A queue in which one of a hundred is wanted; planned.
async fn planned(total: usize, job: &str, options: Options) -> Stage {
    let stage = Stage::with_options(options).await;
    stage.orders();
    let message = |number: usize| failed(format!("{{\"wanted\": {}, \"n\": {number}}}", number.is_multiple_of(100)));
    stage.sandbox.seed("orders-dlq", (0..total).map(message)).expect("seeded");
    stage.file("job.toml", job);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json", "--sample", "10"]).await.expect(0);
    stage.sandbox.clear_log();
    stage
}

fn of<'l>(log: &'l [LogEntry], action: &'l str) -> impl Iterator<Item = &'l LogEntry> {
    log.iter().filter(move |entry| entry.action == action && entry.resource == "orders-dlq")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_a_hundred_costs_one_receive_a_message_and_a_handful_of_extensions() {
    const TOTAL: usize = 2_000;
    // Twenty at one a second: longer than the visibility timeout, so that what stays must be extended.
    let job = format!("{JOB}[limits]\nrate = \"1/s\"\n");
    let stage = planned(TOTAL, &job, Options::default()).await;
    let before: BTreeSet<String> =
        stage.sandbox.queue("orders-dlq").expect("queue").messages.into_iter().map(|one| one.id).collect();
    // The plan's tolerance would end it, since the sample was small.
    let arguments = ["apply", "plan.json", "--allow-drift", "--format", "json"];
    let summary = stage.redrive(&arguments).await.expect(0).summary();
    assert_adds_up(&summary);
    assert_eq!([&summary["received"], &summary["moved"], &summary["kept"]], [2000, 20, 1980], "{summary}");
    let left = stage.sandbox.queue("orders-dlq").expect("queue").messages;
    assert!(left.iter().all(|message| before.contains(&message.id)), "what stays is the same message");
    assert_eq!(stage.counts("orders-dlq"), (1980, 1980), "and visible again");

    let log = stage.sandbox.log();
    let received: usize = of(&log, "ReceiveMessage").map(|entry| entry.messages.len()).sum();
    assert!(received * 10 <= TOTAL * 11, "{received} receives of {TOTAL} messages");
    // One extension of each that is held for longer than the visibility timeout, as long as the run takes less than five of these, and
    // one request to give it back: all in full batches, but for a last one now and then.
    let changes = of(&log, "ChangeMessageVisibilityBatch").count();
    let touched: usize = of(&log, "ChangeMessageVisibilityBatch").map(|entry| entry.messages.len()).sum();
    assert!(touched > 1980 * 3 / 2, "hardly any was extended: the test is too short for its purpose");
    assert!(changes * 10 <= touched * 21 / 20, "{changes} requests for {touched} changes");
    let took = log.iter().map(|entry| entry.at_ms).max().zip(log.iter().map(|entry| entry.at_ms).min());
    let is_slow = took.is_some_and(|(last, first)| last - first > 45_000);
    assert!(is_slow || touched <= 1980 * 2 + 20, "{touched} changes of 1980 messages that stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_that_stay_than_can_be_in_flight_halt_the_run_with_words_and_are_given_back() {
    let stage = planned(1_000, JOB, Options { in_flight_limit: 300, ..Options::default() }).await;
    let ran = stage.redrive(&["apply", "plan.json", "--allow-drift", "--format", "json"]).await.expect(5);
    let summary = ran.summary();
    assert_adds_up(&summary);
    assert_eq!(summary["outcome"], "guarded", "{summary}");
    let words = summary["error"].as_str().expect("words");
    assert!(words.contains("OverLimit") && words.contains("held by this run") && words.contains("park"), "{words}");
    let (all, visible) = stage.counts("orders-dlq");
    assert_eq!((all, visible), (1_000 - stage.counts("audit").0, all), "everything is given back: {summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parking_queue_lets_a_run_through_a_queue_of_which_too_many_stay() {
    let job = format!("{JOB}[unmatched]\npark = {{ queue = \"parking\" }}\n");
    let stage = Stage::with_options(Options { in_flight_limit: 300, ..Options::default() }).await;
    stage.orders();
    stage.queue("parking", &[]);
    let message = |number: usize| failed(format!("{{\"wanted\": {}, \"n\": {number}}}", number.is_multiple_of(100)));
    stage.sandbox.seed("orders-dlq", (0..1_000).map(message)).expect("seeded");
    stage.file("job.toml", &job);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json", "--sample", "10"]).await.expect(0);
    let arguments = ["apply", "plan.json", "--allow-drift", "--format", "json"];
    let summary = stage.redrive(&arguments).await.expect(0).summary();
    assert_adds_up(&summary);
    assert_eq!([&summary["received"], &summary["moved"], &summary["returned"]], [1000, 10, 990], "{summary}");
    assert_eq!((stage.counts("orders-dlq"), stage.counts("parking")), ((990, 990), (0, 0)));
}

const FIFO: &str = r#"
version = 1
name = "fifo"
[source]
queue = "in.fifo"
[destination.out]
sqs = { queue = "out.fifo" }
[[rule]]
name = "wanted"
when = [{ body = "$.wanted", equals = true }]
to = "out"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_group_whose_first_message_stays_stalls_no_other_group() {
    const GROUPS: usize = 60;
    const EACH: usize = 8;
    let stage = Stage::new().await;
    for queue in ["in.fifo", "out.fifo"] {
        stage.queue(queue, &[("FifoQueue", "true"), ("ContentBasedDeduplication", "true")]);
    }
    // Of every other group the first stays. Groups come one after the other, so that the stopped ones stand before the rest.
    let seeds = (0..GROUPS).flat_map(|group| (0..EACH).map(move |number| (group, number))).map(|(group, number)| {
        let wanted = !(group.is_multiple_of(2) && number == 0);
        let mut seed = Seed::new(format!("{{\"wanted\": {wanted}, \"group\": {group}, \"n\": {number}}}"));
        (seed.group, seed.deduplication) = (Some(format!("g{group}")), Some(format!("{group}-{number}")));
        seed
    });
    stage.sandbox.seed("in.fifo", seeds).expect("seeded");
    stage.file("job.toml", FIFO);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    let arguments = ["apply", "plan.json", "--allow-drift", "--format", "json"];
    let summary = stage.redrive(&arguments).await.expect(0).summary();
    assert_adds_up(&summary);
    assert_eq!(summary["moved"], GROUPS / 2 * EACH, "{summary}");
    let mut arrived: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for message in stage.sandbox.queue("out.fifo").expect("queue").messages {
        arrived.entry(message.message_group_id.expect("a group")).or_default().push(message.body);
    }
    assert_eq!(arrived.len(), GROUPS / 2);
    for (group, bodies) in arrived {
        let numbers: Vec<bool> =
            (0..EACH).map(|number| bodies[number].contains(&format!("\"n\": {number}}}"))).collect();
        assert!(numbers.iter().all(|in_order| *in_order) && bodies.len() == EACH, "{group}: {bodies:?}");
    }
    assert_eq!(
        stage.counts("in.fifo"),
        (GROUPS / 2 * EACH, GROUPS / 2 * EACH),
        "the stopped groups are whole and visible"
    );
}
