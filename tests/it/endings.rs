//! How a run ends: not before its work is done, not long after it was asked to, and finished where nothing more can be done.

use std::time::Duration;

use sqs_sandbox::{Fault, Options, Rule, Seed, When};

use crate::end_to_end::{JOB, assert_adds_up, assert_all_in_place, message};
use crate::support::admin::Admin;
use crate::support::stage::{Ran, Stage, each};

const FIFO_JOB: &str = r#"
version = 1
name = "fifo"
[source]
queue = "in.fifo"
visibility_timeout = "30s"
[destination.out]
sqs = { queue = "out.fifo" }
[unmatched]
to = "out"
"#;

/// A FIFO queue with numbered messages in groups, and one to move them to; planned.
async fn fifo_stage(messages: usize, groups: usize) -> Stage {
    let stage = Stage::new().await;
    let fifo = [("FifoQueue", "true"), ("ContentBasedDeduplication", "true")];
    stage.queue("in.fifo", &fifo);
    stage.queue("out.fifo", &fifo);
    let seeds = (0..messages).map(|number| {
        let mut seed = Seed::new(format!("{number}"));
        seed.group = Some(format!("group-{}", number % groups));
        seed.deduplication = Some(format!("d{number}"));
        seed
    });
    stage.sandbox.seed("in.fifo", seeds).expect("seeded");
    stage.file("job.toml", FIFO_JOB);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    stage.sandbox.clear_log();
    stage
}

fn arrived(stage: &Stage, queue: &str) -> Vec<String> {
    stage.sandbox.queue(queue).expect("queue").messages.into_iter().map(|message| message.body).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_behind_a_refused_message_of_a_group_stays_and_the_run_is_finished() {
    let stage = fifo_stage(10, 1).await;
    let refused = Fault::FailEntry { index: 0, sender_fault: true, code: "Because".to_owned() };
    // The fourth: three of the group have gone, six wait behind it.
    stage.sandbox.faults().add(Rule::new(refused).action("SendMessageBatch").nth(4));
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(6).summary();
    assert_adds_up(&summary);
    assert_eq!(summary["outcome"], "finished", "{summary}");
    let figures = ["moved", "failed", "kept", "unfinished"].map(|name| summary[name].as_u64().expect(name));
    assert_eq!(figures, [3, 1, 6, 0], "{summary}");
    assert_eq!(arrived(&stage, "out.fifo"), ["0", "1", "2"]);
    assert_eq!(stage.counts("in.fifo"), (7, 7), "what stays is visible again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_not_dry_while_what_is_on_its_way_hides_the_rest_of_its_group() {
    // One group, so that a receive finds nothing until the ten before have gone, one after the other; and a destination so
    // slow that there are more empty receives meanwhile than mean a dry source.
    let stage = fifo_stage(12, 1).await;
    let slow = Fault::Latency { ms: 1_600, jitter_ms: 0, when: When::Before };
    stage.sandbox.faults().add(Rule::new(slow).action("SendMessageBatch"));
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
    assert_eq!((&summary["moved"], &summary["still_visible"]), (&12.into(), &0.into()), "{summary}");
    assert_eq!(arrived(&stage, "out.fifo"), (0..12).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_may_not_keep_messages_invisible_stops_and_says_so() {
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..60).map(message)).expect("seeded");
    stage.file("job.toml", &format!("{JOB}\n[limits]\nrate = \"2/s\"\n"));
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    stage.sandbox.faults().add(Rule::new(Fault::AccessDenied).action("ChangeMessageVisibilityBatch"));
    let ran = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(3);
    let error = ran.summary()["error"].to_string();
    assert!(error.contains("ChangeMessageVisibilityBatch"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_with_an_older_handle_is_not_the_end_of_a_message() {
    const TOTAL: usize = 600;
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    stage.file("job.toml", JOB);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    stage.sandbox.faults().add(Rule::new(Fault::Duplicate).action("ReceiveMessage").probability(0.4).times(40));
    stage.sandbox.faults().add(Rule::new(Fault::IgnoreStaleHandle).action("DeleteMessageBatch"));
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
    assert_adds_up(&summary);
    assert_all_in_place(&stage, TOTAL);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_messages_are_gone_from_the_source_is_finished_and_says_so() {
    let stage = Stage::with_options(Options { signals: true, ..Options::default() }).await;
    stage.orders();
    stage.sandbox.seed("orders-dlq", (0..60).map(message)).expect("seeded");
    stage.file("job.toml", JOB);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    assert!(stage.killed_at(When::After, |rule| rule.action("SendMessageBatch").nth(1)).await, "it was killed");

    // Somebody else empties the queue meanwhile.
    let admin = Admin::at(&stage.sandbox.endpoint_url());
    let url = admin.sqs.get_queue_url().queue_name("orders-dlq").send().await.unwrap().queue_url.unwrap();
    admin.sqs.purge_queue().queue_url(url).send().await.unwrap();

    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(6).summary();
    assert_adds_up(&summary);
    assert_eq!((&summary["outcome"], &summary["unfinished"]), (&"finished".into(), &0.into()), "{summary}");
    assert!(summary["failed"].as_u64() > Some(0) && summary["in_doubt"].as_u64() > Some(0), "{summary}");
    let report = stage.redrive(&["report"]).await.expect(0).stdout;
    assert!(report.contains("it is no longer in the source") && report.contains("Look for them there"), "{report}");
    let again = stage.redrive(&["apply", "plan.json"]).await.expect(6);
    assert!(again.stderr.contains("finished already"), "{}", again.stderr);
}

/// Applies under these faults, which stop the run while some messages are in flight, then again under the others: it is not
/// finished before it has met all of them.
async fn finishes_with_all(stopping: Vec<Rule>, resuming: Vec<Rule>) {
    const TOTAL: usize = 60;
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    // So long that a busy machine has looked at the queue before they come back.
    stage.file("job.toml", &JOB.replace("10s", "40s"));
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    for rule in stopping {
        stage.sandbox.faults().add(rule);
    }
    stage.redrive(&["apply", "plan.json"]).await.expect(3);
    let (all, visible) = stage.counts("orders-dlq");
    assert!(visible < all, "some are in flight");
    stage.sandbox.faults().clear();
    for rule in resuming {
        stage.sandbox.faults().add(rule);
    }
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
    assert_eq!(summary["received"], TOTAL, "{summary}");
    assert_all_in_place(&stage, TOTAL);
}

fn denied(action: &str) -> Rule {
    Rule::new(Fault::AccessDenied).action(action)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stopped_run_left_in_flight_is_no_reason_to_finish_without_it() {
    let lost = Rule::new(Fault::Cut { when: When::After }).action("ReceiveMessage").nth(1);
    let refused = (2..60).map(|nth| denied("ReceiveMessage").nth(nth)).chain([lost]);
    // It can neither send nor give back; it never had the handles of what the queue handed out.
    let cases = [vec![denied("SendMessageBatch"), denied("ChangeMessageVisibilityBatch")], refused.collect()];
    each(cases.into(), |stopping| finishes_with_all(stopping, Vec::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_handle_is_refused_while_it_is_given_back_is_waited_for() {
    let refused = || {
        let fault = Fault::FailEntry { index: 0, sender_fault: true, code: "ReceiptHandleIsInvalid".to_owned() };
        Rule::new(fault).action("ChangeMessageVisibilityBatch")
    };
    // As the run ends; and as the next one begins, which gives back what the first could not.
    let cases = [
        (vec![denied("SendMessageBatch"), refused()], Vec::new()),
        (vec![denied("SendMessageBatch"), denied("ChangeMessageVisibilityBatch")], vec![refused().nth(1)]),
    ];
    each(cases.into(), |(stopping, resuming)| finishes_with_all(stopping, resuming)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_flight_stays_so_for_as_long_as_the_run_takes() {
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..24).map(message)).expect("seeded");
    // Slow enough that it lasts until the clocks were turned twice, to beyond the first visibility timeout.
    stage.file("job.toml", &format!("{}\n[limits]\nrate = \"1/s\"\n", JOB.replace("10s", "60s")));
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    stage.sandbox.clear_log();
    let child = stage.spawn(&["apply", "plan.json", "--format", "json"]);
    stage.until_requested("SendMessageBatch").await;
    let touched = |action: &str| -> Vec<String> {
        let log = stage.sandbox.log().into_iter().filter(|entry| entry.action == action);
        log.flat_map(|entry| entry.messages).map(|message| message.id).collect()
    };
    let received = touched("ReceiveMessage");
    stage.sandbox.advance(Duration::from_secs(45));
    let extended = async {
        let ended = |id: &String| {
            [touched("ChangeMessageVisibilityBatch"), touched("DeleteMessageBatch")].concat().contains(id)
        };
        while !received.iter().all(ended) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), extended).await.expect("each is extended or deleted");
    stage.sandbox.advance(Duration::from_secs(30));
    Ran::of(child.wait_with_output().await.expect("ended")).expect(0);
    let mut twice = touched("ReceiveMessage");
    twice.sort();
    twice.dedup();
    assert_eq!(twice.len(), touched("ReceiveMessage").len(), "none was visible again in the midst");
    assert_all_in_place(&stage, 24);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_somebody_else_is_left_alone_and_its_message_stays() {
    let stage = Stage::with_queues().await;
    let ids = stage.sandbox.seed("orders-dlq", (0..12).map(message)).expect("seeded");
    stage.file("job.toml", &JOB.replace("{date}", "there"));
    // The first message belongs into the archive; under its key there is something else.
    let admin = Admin::at(&stage.sandbox.endpoint_url());
    let key = format!("there/{}.json", ids[0]);
    let body = aws_sdk_s3::primitives::ByteStream::from_static(b"theirs");
    admin.s3.put_object().bucket("archive").key(&key).body(body).send().await.unwrap();
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(6).summary();
    assert_eq!((&summary["failed"], &summary["in_doubt"]), (&1.into(), &0.into()), "{summary}");
    assert_eq!(stage.sandbox.objects("archive").expect("the bucket")[&key], b"theirs");
    let left = stage.sandbox.queue("orders-dlq").expect("queue").messages;
    assert!(left.iter().any(|message| message.id == ids[0]), "it is still in the source");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_apply_says_at_its_end_the_report_and_the_status_say_too() {
    let stage = Stage::new().await;
    for queue in ["in.fifo", "out.fifo"] {
        stage.queue(queue, &[("FifoQueue", "true"), ("ContentBasedDeduplication", "true")]);
    }
    let job = FIFO_JOB.replace(
        "[unmatched]\nto = \"out\"",
        "[[rule]]\nname = \"all\"\nwhen = [{ message = \"text\", anything_but = [\"b0\"] }]\nto = \"out\"",
    );
    // So long that nothing has to be extended.
    let job = job.replace("visibility_timeout = \"30s\"", "visibility_timeout = \"5m\"");
    stage.file("job.toml", &job);
    let seed = |group: &str, number: usize| {
        let body = format!("{group}{number}");
        let mut seed = Seed::new(body.clone());
        (seed.group, seed.deduplication) = (Some(group.to_owned()), Some(body));
        seed
    };
    // Another consumer has the first group; the second one's first message stays, and hides more behind it than one receive
    // gives.
    stage.sandbox.seed("in.fifo", (0..3).map(|number| seed("a", number))).expect("seeded");
    let admin = Admin::at(&stage.sandbox.endpoint_url());
    let url = admin.sqs.get_queue_url().queue_name("in.fifo").send().await.unwrap().queue_url.unwrap();
    let other = admin.sqs.receive_message().queue_url(url).max_number_of_messages(3).visibility_timeout(3_600);
    assert_eq!(other.send().await.unwrap().messages().len(), 3);
    stage.sandbox.seed("in.fifo", (0..14).map(|number| seed("b", number))).expect("seeded");
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    stage.sandbox.faults().add(denied("ChangeMessageVisibilityBatch"));
    let arguments = ["apply", "plan.json", "--allow-drift", "--format", "json"];
    let summary = stage.redrive(&arguments).await.expect(0).summary();
    let figures =
        ["not_released", "still_visible", "in_flight_elsewhere"].map(|name| summary[name].as_u64().expect(name));
    assert_eq!(figures, [10, 4, 3], "{summary}");
    for command in ["report", "status"] {
        let said = stage.redrive(&[command, "--format", "json"]).await.expect(0).stdout;
        let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
        for (name, value) in summary.as_object().expect("an object").iter().filter(|(name, _)| *name != "type") {
            assert_eq!(&said[name], value, "{name} of {command}");
        }
    }
    let again = stage.redrive(&arguments).await.expect(0);
    assert!(again.stderr.contains("finished already"), "{}", again.stderr);
    assert_eq!(again.summary(), summary);
}

/// A stage with a run that was begun and stopped, with much of it still to do.
async fn stopped_run() -> Stage {
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..60).map(message)).expect("seeded");
    stage.file("job.toml", JOB);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    stage.sandbox.faults().add(denied("SendMessageBatch"));
    stage.redrive(&["apply", "plan.json"]).await.expect(3);
    stage.sandbox.faults().clear();
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_while_an_unfinished_run_is_taken_up_leaves_it_resumable() {
    let faults = [
        Fault::Throttle,
        Fault::Status { code: 503, when: When::Before },
        Fault::Status { code: 500, when: When::After },
        Fault::Cut { when: When::Before },
        Fault::Cut { when: When::After },
        Fault::AccessDenied,
        Fault::ExpiredToken,
    ];
    let actions = ["GetQueueUrl", "GetQueueAttributes", "HeadBucket"];
    let cases = faults.iter().flat_map(|fault| actions.map(|action| (fault.clone(), action)));
    each(cases.collect(), |(fault, action)| async move {
        let at = format!("{fault:?} of {action}");
        let stage = stopped_run().await;
        stage.sandbox.faults().add(Rule::new(fault).action(action));
        for arguments in [&["apply", "plan.json"][..], &["apply", "job.toml"]] {
            let ran = stage.redrive(arguments).await;
            assert_eq!(ran.code, Some(3), "{at}: {}{}", ran.stdout, ran.stderr);
            assert!((ran.stdout + &ran.stderr).contains("Nothing is lost"), "{at}");
        }
        stage.sandbox.faults().clear();
        let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
        assert_eq!(summary["received"], 60, "{at}: {summary}");
        assert_all_in_place(&stage, 60);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_when_an_unfinished_run_is_taken_up_leaves_it_resumable() {
    let stage = stopped_run().await;
    // No file may grow at all, or past so many blocks of 512 bytes; the signal that says so is ignored: the write fails.
    for blocks in [0, 1, 20, 63] {
        let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" apply plan.json");
        let mut shell = tokio::process::Command::new("sh");
        shell.arg("-c").arg(limited).arg(env!("CARGO_BIN_EXE_redrive")).current_dir(stage.directory.path()).env_clear();
        shell.env("HOME", stage.directory.path()).envs(stage.sandbox.environment());
        let ran = Ran::of(shell.output().await.expect("runs"));
        assert_eq!(ran.code, Some(3), "{blocks}: {}{}", ran.stdout, ran.stderr);
    }
    stage.redrive(&["apply", "plan.json"]).await.expect(0);
    assert_all_in_place(&stage, 60);
}

/// `lost_after_ms`: how long it takes until the run hears that the answer with the newer handle is lost. `killed`: before it can
/// delete; the next session has only the older handle. `unanswered`: nor is the extension with the older handle ever answered.
async fn older_handle((lost_after_ms, killed, unanswered): (u64, bool, bool)) {
    let stage = Stage::with_options(Options { signals: true, ..Options::default() }).await;
    for queue in ["in", "out"] {
        stage.queue(queue, &[]);
    }
    stage.sandbox.seed("in", [Seed { age_ms: 60_000, ..Seed::new("one") }]).expect("seeded");
    stage.file(
        "job.toml",
        "version = 1\nname = \"older\"\n[source]\nqueue = \"in\"\nvisibility_timeout = \"10s\"\n\
         [destination.out]\nsqs = { queue = \"out\" }\n[unmatched]\nto = \"out\"\n",
    );
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    let rules = [
        // Delivered once more while it is handled, in an answer that never comes: nobody has the newer handle.
        Rule::new(Fault::Duplicate).action("ReceiveMessage").nth(1),
        Rule::new(Fault::Latency { ms: lost_after_ms, jitter_ms: 0, when: When::After })
            .action("ReceiveMessage")
            .nth(2),
        Rule::new(Fault::Cut { when: When::After }).action("ReceiveMessage").nth(2),
        // Sent so late that its lease is extended, with the older handle; the delete with it deletes nothing.
        Rule::new(Fault::Latency { ms: 7_000, jitter_ms: 0, when: When::Before }).action("SendMessageBatch"),
        Rule::new(Fault::IgnoreStaleHandle).action("DeleteMessageBatch"),
    ];
    for rule in rules {
        stage.sandbox.faults().add(rule);
    }
    if unanswered {
        let cut = Rule::new(Fault::Cut { when: When::After }).action("ChangeMessageVisibilityBatch").times(40);
        stage.sandbox.faults().add(cut);
    }
    if killed {
        assert!(stage.killed_at(When::Before, |rule| rule.action("DeleteMessageBatch").nth(1)).await, "it was killed");
    }
    let deletes = stage.requests("DeleteMessageBatch");
    let mut ended = tokio::spawn(stage.spawn(&["apply", "plan.json", "--format", "json"]).wait_with_output());
    let deleting = async {
        while stage.requests("DeleteMessageBatch") == deletes {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(2), deleting).await.expect("it deletes");
    tokio::time::sleep(Duration::from_millis(lost_after_ms / 2)).await;
    // Past the end of what the lost receive asked for, and not of what the extension did.
    stage.sandbox.advance(Duration::from_secs(20));
    let ended = if let Ok(early) = tokio::time::timeout(Duration::from_secs(12), &mut ended).await {
        early
    } else {
        stage.sandbox.advance(Duration::from_secs(40));
        ended.await
    };
    let summary = Ran::of(ended.expect("waited for").expect("ended")).expect(0).summary();
    assert_adds_up(&summary);
    assert_eq!(summary["moved"], 1, "{summary}");
    assert_eq!(stage.counts("in").0, 0, "it is deleted, as the summary says: {summary}");
    assert_eq!(arrived(&stage, "out"), ["one"], "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_an_older_handle_keeps_invisible_is_waited_for_and_deleted() {
    // Heard of before the delete, after it, and by a session that was killed before it.
    each(vec![(0, false, false), (9_000, false, false), (0, true, false), (0, false, true)], older_handle).await;
}
