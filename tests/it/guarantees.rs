//! The guarantees of an apply, each under what would break it: calls that fail before or after their effect, entries that
//! fail inside a success, answers that lie, deliveries that come twice, people who press Ctrl-C.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sqs_sandbox::{Fault, Rule, Seed, When};

use crate::end_to_end::{JOB, assert_adds_up, assert_all_in_place, expected_at, message};
use crate::support::stage::{Ran, Stage, each, failed};

const TOTAL: usize = 60;

async fn stage(total: usize, job: &str) -> Stage {
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..total).map(message)).expect("seeded");
    stage.file("job.toml", job);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    stage.sandbox.clear_log();
    stage
}

async fn apply(stage: &Stage) -> Ran {
    stage.redrive(&["apply", "plan.json", "--format", "json"]).await
}

/// Applies again and again until the run is finished; gives the last answer. Every answer on the way is one of the
/// documented ones for a run that can be gone on with.
async fn apply_until_finished(stage: &Stage) -> Ran {
    for _ in 0..5 {
        let ran = apply(stage).await;
        match ran.code {
            Some(0 | 6) => return ran,
            _ => drop(ran.expect(3)),
        }
    }
    panic!("not finished after five applies");
}

/// How many more there are at the destinations than were sent in; fails where one is missing.
fn surplus(stage: &Stage, total: usize) -> usize {
    ["orders", "audit"]
        .iter()
        .map(|queue| {
            let (found, expected) = (stage.inventory(queue), expected_at(queue, total));
            for (content, number) in &expected {
                assert!(found.get(content).is_some_and(|found| found >= number), "lost: {content:?}");
            }
            found.values().sum::<usize>() - expected.values().sum::<usize>()
        })
        .sum()
}

const ACTIONS: [&str; 6] = [
    "ReceiveMessage",
    "SendMessageBatch",
    "DeleteMessageBatch",
    "ChangeMessageVisibilityBatch",
    "GetQueueAttributes",
    "PutObject",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_call_may_fail_once_before_or_after_its_effect() {
    let faults = [
        Fault::Throttle,
        Fault::Status { code: 500, when: When::Before },
        Fault::Status { code: 500, when: When::After },
        Fault::Cut { when: When::Before },
        Fault::Cut { when: When::After },
    ];
    let cases = ACTIONS.iter().flat_map(|action| faults.iter().map(|fault| (*action, fault.clone())));
    each(cases.collect(), |(action, fault)| async move {
        let stage = stage(TOTAL, JOB).await;
        for nth in [1, 2] {
            stage.sandbox.faults().add(Rule::new(fault.clone()).action(action).nth(nth));
        }
        let ran = apply(&stage).await;
        let ran = if ran.code == Some(1) {
            // Only the look at the queues before anything was touched may fail for good.
            assert_eq!(action, "GetQueueAttributes", "{}", ran.stderr);
            assert_eq!(stage.requests("ReceiveMessage"), 0);
            stage.sandbox.faults().clear();
            apply_until_finished(&stage).await
        } else {
            ran.expect(0)
        };
        let summary = ran.summary();
        assert_adds_up(&summary);
        assert_eq!(summary["received"], TOTAL, "{action} {fault:?}");
        let surplus = surplus(&stage, TOTAL) as u64;
        let doubts = stage.doubts().await;
        assert!(surplus <= doubts, "{action} {fault:?}: {surplus} copies more, {doubts} listed");
        if action != "SendMessageBatch" {
            assert_all_in_place(&stage, TOTAL);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_held_where_the_job_says_so_and_never_sent_twice() {
    let stage =
        stage(TOTAL, &JOB.replace("exhausted = \"archive\"", "exhausted = \"archive\"\nin_doubt = \"hold\"")).await;
    stage.sandbox.faults().add(Rule::new(Fault::Cut { when: When::After }).action("SendMessageBatch").nth(1));
    let summary = apply(&stage).await.expect(6).summary();
    assert_adds_up(&summary);
    let held = summary["held"].as_u64().expect("held");
    assert!(held > 0 && summary["in_doubt"] == held, "{summary}");
    assert_eq!(surplus(&stage, TOTAL), 0);
    let report = stage.redrive(&["report"]).await.expect(0);
    assert!(report.stdout.contains("In doubt") && report.stdout.contains("Held"), "{}", report.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_the_service_fails_is_sent_again_and_one_that_the_sender_is_blamed_for_stays() {
    for (sender_fault, code) in [(false, 0), (true, 6)] {
        let stage = stage(TOTAL, JOB).await;
        let fault = Fault::FailEntry { index: 2, sender_fault, code: "Because".to_owned() };
        stage.sandbox.faults().add(Rule::new(fault).action("SendMessageBatch").nth(1));
        let summary = apply(&stage).await.expect(code).summary();
        assert_adds_up(&summary);
        assert_eq!(summary["failed"], u64::from(sender_fault), "{summary}");
        if sender_fault {
            let report = stage.redrive(&["report"]).await.expect(0);
            assert!(report.stdout.contains("Because"), "the reason is in the report: {}", report.stdout);
            let left = expected_at("orders-dlq", TOTAL).values().sum::<usize>() + 1;
            assert_eq!(stage.counts("orders-dlq"), (left, left), "it is in the source, and visible");
        } else {
            assert_all_in_place(&stage, TOTAL);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_deletes_and_releases_may_fail_too() {
    let cases = ["DeleteMessageBatch", "ChangeMessageVisibilityBatch"].map(|action| [(action, false), (action, true)]);
    each(cases.concat(), |(action, sender_fault)| async move {
        let stage = stage(TOTAL, JOB).await;
        let code = "ReceiptHandleIsInvalid".to_owned();
        let fault = Fault::FailEntry { index: 0, sender_fault, code };
        stage.sandbox.faults().add(Rule::new(fault).action(action).nth(1));
        // A refused handle leaves the message invisible; when it comes back it is recognised.
        let mut ran = apply(&stage).await;
        while ran.code == Some(3) {
            tokio::time::sleep(Duration::from_secs(2)).await;
            ran = apply(&stage).await;
        }
        let summary = ran.expect(0).summary();
        assert_adds_up(&summary);
        assert_eq!(surplus(&stage, TOTAL), 0);
        assert_eq!(stage.inventory("orders-dlq"), expected_at("orders-dlq", TOTAL), "{action} {sender_fault}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_digest_keeps_the_message_and_is_said() {
    let stage = stage(TOTAL, JOB).await;
    stage.sandbox.faults().add(Rule::new(Fault::CorruptMd5).action("SendMessageBatch").nth(1));
    let summary = apply(&stage).await.expect(6).summary();
    assert_adds_up(&summary);
    let wrong = summary["failed"].as_u64().expect("failed");
    assert!(wrong > 0, "{summary}");
    let kept = expected_at("orders-dlq", TOTAL).values().sum::<usize>();
    assert_eq!(stage.counts("orders-dlq").0 as u64, kept as u64 + wrong, "they are still in the source");
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_that_come_twice_at_once_are_sent_once() {
    let stage = stage(600, JOB).await;
    stage.sandbox.faults().add(Rule::new(Fault::Duplicate).action("ReceiveMessage").probability(0.4).times(40));
    let summary = apply_until_finished(&stage).await.summary();
    assert_adds_up(&summary);
    assert_eq!((summary["received"].as_u64(), summary["in_doubt"].as_u64()), (Some(600), Some(0)));
    assert_all_in_place(&stage, 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deleted_before_its_destination_acknowledged_it() {
    let stage = stage(600, JOB).await;
    let bodies: BTreeMap<String, String> =
        stage.sandbox.queue("orders-dlq").expect("queue").messages.into_iter().map(|m| (m.id, m.body)).collect();
    for nth in [3, 7] {
        stage
            .sandbox
            .faults()
            .add(Rule::new(Fault::Status { code: 503, when: When::Before }).action("SendMessageBatch").nth(nth));
    }
    apply_until_finished(&stage).await;
    let (mut acknowledged, mut deletes) = (BTreeSet::new(), 0);
    for entry in stage.sandbox.log() {
        match entry.action.as_str() {
            "SendMessageBatch" if entry.status == 200 => {
                acknowledged.extend(entry.messages.into_iter().filter_map(|message| message.body_md5));
            }
            "PutObject" if entry.status == 200 => drop(acknowledged.insert(entry.key.expect("a key"))),
            "DeleteMessageBatch" => {
                for message in entry.messages {
                    let digest = redrive::md5::of_body(&bodies[&message.id]);
                    let archived = acknowledged.iter().any(|key| key.ends_with(&format!("{}.json", message.id)));
                    assert!(acknowledged.contains(&digest) || archived, "{} was deleted too early", message.id);
                    deletes += 1;
                }
            }
            _ => {}
        }
    }
    assert_eq!(deletes, 600 - expected_at("orders-dlq", 600).values().sum::<usize>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_what_is_under_way_and_gives_back_the_rest() {
    each(vec!["INT", "TERM", "HUP"], |signal| async move {
        let job = format!("{JOB}\n[limits]\nrate = \"100/s\"\n");
        let stage = stage(900, &job).await;
        let child = stage.spawn(&["apply", "plan.json", "--format", "json"]);
        stage.until_requested("DeleteMessageBatch").await;
        let pid = child.id().expect("running").to_string();
        let sent = std::process::Command::new("kill").args([format!("-{signal}"), pid]).status().expect("kill");
        assert!(sent.success());
        let output = tokio::time::timeout(Duration::from_mins(1), child.wait_with_output()).await;
        let output = output.expect("it ends soon").expect("output");
        assert_eq!(output.status.code(), Some(3), "{signal}: {}", String::from_utf8_lossy(&output.stderr));
        let (all, visible) = stage.counts("orders-dlq");
        assert_eq!(all, visible, "{signal}: the rest is visible at once");
        // The first to be deleted may be archived ones: no message need have reached a queue.
        let kept = expected_at("orders-dlq", 900).values().sum();
        assert!(all < 900 && all > kept, "{signal} in the midst: {all}");
        let summary = apply(&stage).await.expect(0).summary();
        assert_eq!((summary["received"].as_u64(), summary["in_doubt"].as_u64()), (Some(900), Some(0)), "{signal}");
        assert_all_in_place(&stage, 900);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_for_good_in_the_midst_stops_the_run_resumably() {
    let faults = [Fault::AccessDenied, Fault::ExpiredToken, Fault::NotFound];
    let actions = ["ReceiveMessage", "SendMessageBatch", "DeleteMessageBatch", "PutObject"];
    let cases = faults.iter().flat_map(|fault| actions.map(|action| (fault.clone(), action)));
    each(cases.collect(), |(fault, action)| async move {
        let stage = stage(300, JOB).await;
        // From the third on.
        for nth in 3..60 {
            stage.sandbox.faults().add(Rule::new(fault.clone()).action(action).nth(nth));
        }
        let ran = apply(&stage).await.expect(3);
        assert!(ran.summary()["error"].is_string(), "{action} {fault:?}: {}", ran.stdout);
        stage.sandbox.faults().clear();
        let summary = apply_until_finished(&stage).await.summary();
        assert_eq!(summary["in_doubt"], 0, "{action} {fault:?}");
        assert_all_in_place(&stage, 300);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_max_messages_leave_the_source() {
    let stage = stage(900, &format!("{JOB}\n[limits]\nmax_messages = 137\n")).await;
    let summary = apply(&stage).await.expect(0).summary();
    assert_adds_up(&summary);
    assert_eq!(summary["moved"].as_u64().expect("moved") + summary["archived"].as_u64().expect("archived"), 137);
    assert_eq!(stage.counts("orders-dlq"), (900 - 137, 900 - 137));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_stops_as_drifted_before_a_rule_passes_its_bound() {
    let stage = stage(TOTAL, JOB).await;
    // What was planned is 20 timeouts and 10 more as tolerance; 40 come.
    stage.sandbox.seed("orders-dlq", (0..120).filter(|number| number % 3 == 0).map(message)).expect("seeded");
    let ran = apply(&stage).await.expect(5);
    let summary = ran.summary();
    assert_eq!(summary["outcome"], "drifted");
    let (all, visible) = stage.counts("orders-dlq");
    assert_eq!(all, visible, "the rest is given back");
    let timeouts = stage.inventory("orders").values().sum::<usize>();
    assert!(timeouts <= 30, "{timeouts} is more than the bound");
    stage.redrive(&["apply", "plan.json", "--allow-drift"]).await.expect(0);
    assert_eq!(stage.counts("orders-dlq").0, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_fifo_group_arrive_in_their_order_or_stay() {
    let stage = Stage::new().await;
    let fifo = [("FifoQueue", "true"), ("ContentBasedDeduplication", "true")];
    stage.queue("in.fifo", &fifo);
    stage.queue("out.fifo", &fifo);
    let group = |number: usize| format!("group-{}", number % 7);
    let seeds = (0..210).map(|number| {
        let mut seed = Seed::new(format!("{{\"n\":{number},\"stop\":{}}}", number % 7 == 3 && number / 7 == 12));
        seed.group = Some(group(number));
        seed.deduplication = Some(format!("d{number}"));
        seed
    });
    stage.sandbox.seed("in.fifo", seeds).expect("seeded");
    stage.file(
        "job.toml",
        r#"
version = 1
name = "fifo"
[source]
queue = "in.fifo"
visibility_timeout = "30s"
[destination.out]
sqs = { queue = "out.fifo" }
[[rule]]
name = "stays"
when = [{ body = "$.stop", equals = true }]
to = "keep"
[unmatched]
to = "out"
"#,
    );
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    for nth in [2, 5, 9] {
        let fault = Fault::FailEntry { index: 0, sender_fault: false, code: "InternalError".to_owned() };
        stage.sandbox.faults().add(Rule::new(fault).action("SendMessageBatch").nth(nth));
    }
    stage.sandbox.faults().add(Rule::new(Fault::Cut { when: When::After }).action("SendMessageBatch").nth(7));
    let summary = stage.redrive(&["apply", "plan.json", "--allow-drift", "--format", "json"]).await.expect(0).summary();
    assert_adds_up(&summary);
    let number = |body: &str| -> usize {
        let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
        usize::try_from(body["n"].as_u64().expect("n")).expect("a small number")
    };
    for name in 0..7 {
        let arrived: Vec<usize> = stage
            .sandbox
            .queue("out.fifo")
            .expect("queue")
            .messages
            .iter()
            .filter(|message| message.message_group_id.as_deref() == Some(&group(name)))
            .map(|message| number(&message.body))
            .collect();
        // Group 3 stops at its thirteenth message; of the others all arrive, once and in order, lost answer or not.
        let expected: Vec<usize> = (0..if name == 3 { 12 } else { 30 }).map(|round| round * 7 + name).collect();
        assert_eq!(arrived, expected, "group {name}");
    }
    assert_eq!(stage.counts("in.fifo").0, 18);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_back_is_not_moved_twice_by_one_run() {
    // The consumer is broken: `orders` sends everything straight back to its dead-letter queue.
    let stage = Stage::new().await;
    let dlq = stage.queue("orders-dlq", &[]);
    let policy = format!("{{\"deadLetterTargetArn\":\"{dlq}\",\"maxReceiveCount\":\"1\"}}");
    stage.queue("orders", &[("RedrivePolicy", &policy), ("VisibilityTimeout", "0")]);
    stage.sandbox.seed("orders-dlq", (0..40).map(|number| failed(format!("{number}")))).expect("seeded");
    let job = "version = 1\nname = \"loop\"\n[source]\nqueue = \"orders-dlq\"\n[unmatched]\nto = \"origin\"\n[limits]\nrate = \"20/s\"\n";
    stage.file("job.toml", job);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    let child = stage.spawn(&["apply", "plan.json", "--format", "json"]);
    let consumer = redrive::aws::Aws::local(stage.sandbox.endpoint_url());
    let orders = consumer.queue("orders", &redrive::aws::Access::default()).await.expect("orders");
    let consume = tokio::spawn(async move {
        loop {
            // Two receives move a message on, since one is what the policy allows.
            let _ = orders.receive(10, Duration::ZERO, Duration::ZERO).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let output = tokio::time::timeout(Duration::from_mins(1), child.wait_with_output()).await;
    consume.abort();
    let output = output.expect("it ends").expect("output");
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    let summary = Ran { code: output.status.code(), stdout, stderr: String::new() }.expect(0).summary();
    assert_eq!(summary["moved"], 40, "each once: {summary}");
    assert!(summary["bounced"].as_u64().expect("bounced") > 0, "{summary}");
    assert_adds_up(&summary);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_larger_together_than_the_pipeline_do_not_block_it() {
    let stage = Stage::with_queues().await;
    let body = |number: usize| format!("{number}:{}", "x".repeat(700_000));
    stage.sandbox.seed("orders-dlq", (0..110).map(|number| failed(body(number)))).expect("seeded");
    let job = "version = 1\nname = \"large\"\n[source]\nqueue = \"orders-dlq\"\n[unmatched]\nto = \"origin\"\n";
    stage.file("job.toml", job);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json", "--sample", "110"]).await.expect(0);
    let ran = tokio::time::timeout(Duration::from_mins(2), apply(&stage)).await.expect("it goes on").expect(0);
    assert_eq!(ran.summary()["moved"], 110);
    assert_eq!(stage.counts("orders"), (110, 110));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_slower_than_the_visibility_timeout_gets_each_message_once() {
    let stage = stage(TOTAL, JOB).await;
    let slow = Fault::Latency { ms: 14_000, jitter_ms: 0, when: When::Before };
    stage.sandbox.faults().add(Rule::new(slow).action("SendMessageBatch").times(3));
    let summary = apply(&stage).await.expect(0).summary();
    assert_eq!((summary["received"].as_u64(), summary["in_doubt"].as_u64()), (Some(TOTAL as u64), Some(0)));
    assert_all_in_place(&stage, TOTAL);
    assert!(stage.requests("ChangeMessageVisibilityBatch") > 2, "it was extended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_a_slow_rate() {
    let stage = stage(300, &format!("{JOB}\n[limits]\nrate = \"1/s\"\n")).await;
    let child = stage.spawn(&["apply", "plan.json"]);
    stage.until_requested("SendMessageBatch").await;
    let pid = child.id().expect("running").to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
    // At the rate, what is already received would take minutes.
    let output = tokio::time::timeout(Duration::from_mins(1), child.wait_with_output()).await.expect("it ends soon");
    assert_eq!(output.expect("output").status.code(), Some(3));
    let (all, visible) = stage.counts("orders-dlq");
    assert!(all == visible && all > 200, "{all} {visible}");
}
