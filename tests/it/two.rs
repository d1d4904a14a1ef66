//! Two at once: two processes at one journal, one plan on two machines, and others at work on the source meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use sqs_sandbox::{Fault, Options, Rule, When};

use crate::end_to_end::{JOB, assert_adds_up, expected_at, message};
use crate::support::admin::Admin;
use crate::support::stage::{Ran, Stage, content};

const TOTAL: usize = 120;

async fn planned(job: &str) -> Stage {
    let stage = Stage::with_options(Options { signals: true, ..Options::default() }).await;
    stage.orders();
    stage.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    stage.file("job.toml", job);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    stage
}

/// How often each body is anywhere: in the queues, the bucket, the archive files of this machine and of another.
pub(crate) fn everywhere(stage: &Stage) -> BTreeMap<String, usize> {
    let queued = stage.sandbox.state().into_iter().flat_map(|queue| queue.messages).map(|message| message.body);
    let files = [stage.path("archive.jsonl"), stage.path(ANOTHER).join("archive.jsonl")]
        .map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let lines = files.iter().flat_map(|file| file.lines());
    let lines = lines.map(|line| serde_json::from_str(line).expect("a whole line"));
    let archived = stage.envelopes("archive").into_iter().chain(lines).map(|envelope| content(&envelope).0);
    let mut bodies = BTreeMap::new();
    for body in queued.chain(archived) {
        *bodies.entry(body).or_default() += 1;
    }
    bodies
}

/// The home of another machine.
pub(crate) const ANOTHER: &str = "another-machine";

/// Applies the plan as another machine would: with a journal and a home of its own.
pub(crate) async fn on_another_machine(stage: &Stage) -> Ran {
    let home = stage.path(ANOTHER);
    std::fs::create_dir_all(&home).expect("a directory");
    std::fs::copy(stage.path("plan.json"), home.join("plan.json")).expect("a copy");
    there(stage, &["apply", "plan.json", "--allow-drift", "--format", "json"]).await
}

/// Runs the program on the other machine.
pub(crate) async fn there(stage: &Stage, arguments: &[&str]) -> Ran {
    let home = stage.path(ANOTHER);
    let mut command = stage.command(arguments);
    Ran::of(command.current_dir(&home).env("HOME", &home).env_remove("REDRIVE_JOURNAL").output().await.expect("runs"))
}

fn moved(summary: &Value) -> u64 {
    assert_adds_up(summary);
    summary["moved"].as_u64().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_on_one_journal_is_refused_and_told_who_is_at_work() {
    let stage = planned(&format!("{JOB}\n[limits]\nrate = \"4/s\"\n")).await;
    let mut first = stage.spawn(&["apply", "plan.json"]);
    stage.until_requested("SendMessageBatch").await;
    for arguments in [
        &["apply", "plan.json"][..],
        &["apply", "job.toml", "--auto-approve"],
        &["runs", "prune", "--older-than", "0s"],
    ] {
        let second = stage.redrive(arguments).await;
        if arguments[0] == "runs" {
            assert!(second.stdout.contains("nothing was forgotten"), "{}", second.stdout);
            continue;
        }
        let second = second.expect(1);
        let holder = format!("(process {})", first.id().expect("running"));
        assert!(second.stderr.contains(&holder) && second.stderr.contains("nothing was touched"), "{}", second.stderr);
    }
    stage.redrive(&["status"]).await.expect(0);
    first.kill().await.expect("killed");
}

/// Applies one plan on two machines at once: nothing is lost, each says what it did, and nothing is at its destination more
/// often than `most`.
async fn assert_two_machines_at_once(stage: &Stage, most: usize) {
    let (one, other) =
        tokio::join!(stage.redrive(&["apply", "plan.json", "--format", "json"]), on_another_machine(stage));
    let sum = moved(&one.expect(0).summary()) + moved(&other.expect(0).summary());
    assert_eq!(sum, (stage.counts("orders").0 + stage.counts("audit").0) as u64, "each says what it did");
    let bodies = everywhere(stage);
    assert_eq!(bodies.len(), TOTAL, "nothing is lost");
    assert!(bodies.values().all(|number| *number <= most), "{bodies:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_plan_on_two_machines_moves_each_message_once_as_long_as_sqs_gives_it_to_one() {
    assert_two_machines_at_once(&planned(JOB).await, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_plan_on_two_machines_moves_no_message_more_often_than_sqs_gives_it_to_both() {
    let stage = planned(JOB).await;
    stage.sandbox.faults().add(Rule::new(Fault::Duplicate).action("ReceiveMessage").probability(0.3));
    assert_two_machines_at_once(&stage, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_machine_had_sent_and_not_deleted_is_sent_again_by_one_without_its_journal() {
    let stage = planned(JOB).await;
    assert!(stage.killed_at(When::Before, |rule| rule.action("DeleteMessageBatch").nth(2)).await, "it was killed");
    stage.sandbox.advance(Duration::from_mins(1));
    // Sent, and still in the source.
    let limbo = everywhere(&stage).into_values().filter(|number| *number == 2).count();
    assert!(limbo > 0);
    on_another_machine(&stage).await.expect(0);
    let bodies = everywhere(&stage);
    assert_eq!(bodies.len(), TOTAL, "nothing is lost");
    let twice = bodies.values().filter(|number| **number == 2).count();
    assert!(bodies.values().all(|number| *number <= 2) && twice <= limbo, "{twice} of {limbo}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_on_the_source_takes_its_share_and_nothing_is_lost_or_doubled() {
    let stage = planned(&format!("{JOB}\n[limits]\nrate = \"40/s\"\nconcurrency = 1\n")).await;
    let admin = Admin::at(&stage.sandbox.endpoint_url());
    let url = admin.sqs.get_queue_url().queue_name("orders-dlq").send().await.unwrap().queue_url.unwrap();
    let consumer = tokio::spawn(async move {
        let mut taken = Vec::new();
        while taken.len() < 20 {
            let received = admin.sqs.receive_message().queue_url(&url).max_number_of_messages(2).send().await.unwrap();
            for message in received.messages.unwrap_or_default() {
                let handle = message.receipt_handle.unwrap();
                admin.sqs.delete_message().queue_url(&url).receipt_handle(handle).send().await.unwrap();
                taken.push(message.body.unwrap());
            }
        }
        taken
    });
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
    assert_adds_up(&summary);
    // What the run kept is visible again, so that the consumer finds enough.
    let taken = consumer.await.expect("consumed");
    let mut bodies = everywhere(&stage);
    for body in &taken {
        *bodies.entry(body.clone()).or_default() += 1;
    }
    assert_eq!(bodies.len(), TOTAL, "nothing is lost: {summary}");
    assert!(bodies.values().all(|number| *number == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_to_the_source_meanwhile_stays_there() {
    const NEW: usize = 60;
    let stage = planned(&format!("{JOB}\n[limits]\nrate = \"40/s\"\nconcurrency = 2\n")).await;
    let admin = Admin::at(&stage.sandbox.endpoint_url());
    let url = admin.sqs.get_queue_url().queue_name("orders-dlq").send().await.unwrap().queue_url.unwrap();
    let producer = tokio::spawn(async move {
        for number in 0..NEW {
            let body = format!("{{\"error\":\"Timeout\",\"new\":{number}}}");
            admin.sqs.send_message().queue_url(&url).message_body(body).send().await.unwrap();
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    });
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
    assert_adds_up(&summary);
    producer.await.expect("sent");
    let kept = expected_at("orders-dlq", TOTAL).values().sum::<usize>();
    assert_eq!(stage.counts("orders-dlq"), (kept + NEW, kept + NEW), "{summary}");
    assert_eq!(everywhere(&stage).len(), TOTAL + NEW);
}
