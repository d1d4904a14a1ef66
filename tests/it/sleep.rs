//! A process that sleeps for longer than its visibility timeout, as a laptop does, or a container that is paused: what it had
//! received is others' when it wakes, and it must not send it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rustix::process::Signal;
use sqs_sandbox::Options;
use tokio::process::Child;

use crate::end_to_end::{JOB, assert_adds_up, message};
use crate::stops::{signal, until_held};
use crate::support::admin::Admin;
use crate::support::stage::{Ran, Stage, each};
use crate::two::{everywhere, on_another_machine};

const TOTAL: usize = 120;

/// The usual job at a rate that leaves a second between batches, to S3 or to a file.
fn job(archive: &str) -> String {
    let s3 = r#"s3 = { bucket = "archive", key = "{date}/{message_id}.json" }"#;
    assert!(JOB.contains(s3));
    format!("{}\n[limits]\nrate = \"10/s\"\n", JOB.replace(s3, archive))
}

const TO_S3: &str = r#"s3 = { bucket = "archive", key = "{date}/{message_id}.json" }"#;
const TO_A_FILE: &str = r#"file = { path = "archive.jsonl" }"#;

/// A run that is held once it has sent and deleted something and has much in hand. Everything that it has received is visible
/// again. Gives the bodies that it had sent and not deleted, too: nothing can be done about those.
async fn asleep(archive: &str) -> (Stage, Child, BTreeSet<String>) {
    let stage = Stage::with_options(Options { signals: true, ..Options::default() }).await;
    stage.orders();
    stage.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    stage.file("job.toml", &job(archive));
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    let child = stage.spawn(&["apply", "plan.json", "--format", "json"]);
    let twice = |stage: &Stage| {
        let bodies = everywhere(stage).into_iter().filter(|(_, number)| *number > 1);
        bodies.map(|(body, _)| body).collect::<BTreeSet<String>>()
    };
    let idle = async {
        // Between two batches, so that none is on its way when it is held.
        while stage.requests("DeleteMessageBatch") == 0 || !twice(&stage).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(2), idle).await.expect("it sends and deletes");
    signal(child.id().expect("running"), Signal::STOP);
    until_held(child.id().expect("running")).await;
    let (all, visible) = stage.counts("orders-dlq");
    assert!(all - visible > 10, "it had only {} in hand", all - visible);
    let expired = async {
        while stage.counts("orders-dlq").1 < all {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(2), expired).await.expect("all are visible again");
    // Now, when whatever was on the wire has arrived.
    let limbo = twice(&stage);
    (stage, child, limbo)
}

async fn wakes(child: Child) -> Ran {
    signal(child.id().expect("running"), Signal::CONT);
    let ran = Ran::of(child.wait_with_output().await.expect("ended"));
    // What is gone from the source counts as failed.
    assert!(matches!(ran.code, Some(0 | 6)), "{:?}\n{}\n{}", ran.code, ran.stdout, ran.stderr);
    assert_adds_up(&ran.summary());
    assert_eq!(ran.summary()["in_doubt"], 0, "{}", ran.stdout);
    ran
}

fn assert_once(bodies: &BTreeMap<String, usize>, limbo: &BTreeSet<String>, ran: &Ran) {
    assert_eq!(bodies.len(), TOTAL, "nothing is lost: {}", ran.stdout);
    let twice: Vec<_> = bodies.iter().filter(|(body, number)| **number > 1 && !limbo.contains(*body)).collect();
    assert!(twice.is_empty(), "{} are there twice: {}", twice.len(), ran.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_second_machine_moved_meanwhile_is_not_sent_by_one_that_slept() {
    each(vec![TO_S3, TO_A_FILE], |archive| async move {
        let (stage, child, limbo) = asleep(archive).await;
        on_another_machine(&stage).await.expect(0);
        let ran = wakes(child).await;
        let mut bodies = everywhere(&stage);
        for path in ["archive.jsonl", "another-machine/archive.jsonl"] {
            let lines = std::fs::read_to_string(stage.path(path)).unwrap_or_default();
            for line in lines.lines() {
                let envelope = serde_json::from_str(line).expect("a whole line");
                *bodies.entry(crate::support::stage::content(&envelope).0).or_default() += 1;
            }
        }
        assert_once(&bodies, &limbo, &ran);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_consumer_took_meanwhile_is_not_sent_by_one_that_slept() {
    let (stage, child, limbo) = asleep(TO_S3).await;
    let admin = Admin::at(&stage.sandbox.endpoint_url());
    let url = admin.sqs.get_queue_url().queue_name("orders-dlq").send().await.unwrap().queue_url.unwrap();
    let mut taken = Vec::new();
    while stage.counts("orders-dlq").0 > 0 {
        let received = admin.sqs.receive_message().queue_url(&url).max_number_of_messages(10).send().await.unwrap();
        for message in received.messages.unwrap_or_default() {
            let handle = message.receipt_handle.unwrap();
            admin.sqs.delete_message().queue_url(&url).receipt_handle(handle).send().await.unwrap();
            taken.push(message.body.unwrap());
        }
    }
    let ran = wakes(child).await;
    let mut bodies = everywhere(&stage);
    for body in taken {
        *bodies.entry(body).or_default() += 1;
    }
    assert_once(&bodies, &limbo, &ran);
}
