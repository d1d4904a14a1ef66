//! FIFO queues: order, blocked groups, deduplication.

use aws_sdk_sqs::types::{MessageSystemAttributeName as System, QueueAttributeName as Name};

use super::{Stage, bodies};
use crate::Options;

const FIFO: (Name, &str) = (Name::FifoQueue, "true");

async fn send(stage: &Stage, url: &str, group: &str, body: &str) -> (String, String) {
    let message = stage.sqs.send_message().queue_url(url).message_body(body).message_group_id(group);
    let sent = message.message_deduplication_id(format!("{group}-{body}")).send().await.unwrap();
    (sent.message_id.unwrap(), sent.sequence_number.unwrap())
}

#[tokio::test]
async fn a_group_keeps_its_order_and_is_blocked_while_in_flight() {
    let stage = Stage::new().await;
    let url = stage.queue("q.fifo", &[FIFO]).await;
    let mut sequences = Vec::new();
    for body in ["1", "2", "3"] {
        sequences.push(send(&stage, &url, "a", body).await.1);
    }
    assert!(sequences.is_sorted() && sequences.iter().all(|number| number.len() == 20));
    let receive = || stage.sqs.receive_message().queue_url(&url).visibility_timeout(5).wait_time_seconds(1);
    let first = receive().send().await.unwrap().messages.unwrap().remove(0);
    assert_eq!(first.body.as_deref(), Some("1"));
    assert!(stage.receive(&url).await.is_empty(), "the group is blocked");
    send(&stage, &url, "b", "other").await;
    assert_eq!(bodies(&stage.receive(&url).await), ["other"]);
    stage.wait(6);
    let again = stage.receive_for(&url, 5).await;
    assert_eq!(bodies(&again), ["1", "2", "3"], "redelivery in order");
    let old_handle = first.receipt_handle.unwrap();
    assert!(stage.sqs.delete_message().queue_url(&url).receipt_handle(old_handle).send().await.is_err());
    let handle = again[0].receipt_handle.as_deref().unwrap();
    stage.sqs.delete_message().queue_url(&url).receipt_handle(handle).send().await.unwrap();
    stage.wait(6);
    let expired = again[1].receipt_handle.as_deref().unwrap();
    assert!(stage.sqs.delete_message().queue_url(&url).receipt_handle(expired).send().await.is_err());
    let rest = stage.receive(&url).await;
    assert_eq!(bodies(&rest).iter().filter(|body| **body != "other").copied().collect::<Vec<_>>(), ["2", "3"]);
}

#[tokio::test]
async fn a_message_in_flight_holds_back_only_those_behind_it() {
    let stage = Stage::new().await;
    let url = stage.queue("q.fifo", &[FIFO]).await;
    for body in ["1", "2", "3"] {
        send(&stage, &url, "a", body).await;
    }
    let taken = stage.receive(&url).await;
    assert_eq!(bodies(&taken), ["1", "2", "3"]);
    let give_back = async |nth: usize| {
        let handle = taken[nth].receipt_handle.as_deref().unwrap();
        let change = stage.sqs.change_message_visibility().queue_url(&url).receipt_handle(handle);
        change.visibility_timeout(0).send().await.unwrap();
    };
    give_back(2).await;
    assert!(stage.receive(&url).await.is_empty(), "it is behind two that are away");
    give_back(0).await;
    assert_eq!(bodies(&stage.receive(&url).await), ["1"], "in front of one that is away");
    give_back(1).await;
    assert!(stage.receive(&url).await.is_empty(), "the first is away again");
    assert!(stage.sandbox.reappear("q.fifo", taken[0].message_id.as_deref().unwrap()));
    assert!(!stage.sandbox.reappear("q.fifo", taken[0].message_id.as_deref().unwrap()), "it is visible already");
    assert_eq!(bodies(&stage.receive(&url).await), ["1", "2", "3"]);
}

#[tokio::test]
async fn a_group_that_comes_back_comes_behind_the_others() {
    let stage = Stage::with(Options { shuffle: false, ..Options::default() }).await;
    let url = stage.queue("q.fifo", &[FIFO]).await;
    for (group, body) in [("a", "a1"), ("b", "b1"), ("a", "a2"), ("c", "c1")] {
        send(&stage, &url, group, body).await;
    }
    let receive = stage.sqs.receive_message().queue_url(&url).max_number_of_messages(2).visibility_timeout(0);
    assert_eq!(bodies(&receive.send().await.unwrap().messages.unwrap()), ["a1", "a2"]);
    assert_eq!(bodies(&stage.receive(&url).await), ["b1", "c1", "a1", "a2"]);
}

#[tokio::test]
async fn deduplication_lasts_five_minutes_and_outlives_the_delete() {
    let stage = Stage::new().await;
    let url = stage.queue("q.fifo", &[FIFO]).await;
    let first = send(&stage, &url, "a", "x").await;
    let handle = stage.receive(&url).await.remove(0).receipt_handle.unwrap();
    stage.sqs.delete_message().queue_url(&url).receipt_handle(handle).send().await.unwrap();
    assert_eq!(send(&stage, &url, "a", "x").await, first, "the first one's answer");
    assert!(stage.sandbox.queue("q.fifo").unwrap().messages.is_empty());
    stage.wait(301);
    assert_ne!(send(&stage, &url, "a", "x").await.0, first.0);
    assert_eq!(stage.sandbox.queue("q.fifo").unwrap().messages.len(), 1);
}

#[tokio::test]
async fn content_can_be_the_deduplication_id() {
    let stage = Stage::new().await;
    let url = stage.queue("q.fifo", &[FIFO, (Name::ContentBasedDeduplication, "true")]).await;
    let send = |body: &str| stage.sqs.send_message().queue_url(&url).message_group_id("g").message_body(body).send();
    let first = send("x").await.unwrap().message_id;
    assert_eq!(send("x").await.unwrap().message_id, first);
    assert_ne!(send("y").await.unwrap().message_id, first);
    let received = stage.receive(&url).await;
    let system = received[0].attributes.as_ref().unwrap();
    // The SHA-256 of "x".
    assert_eq!(
        system[&System::MessageDeduplicationId],
        "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    );
}

#[tokio::test]
async fn a_send_needs_what_its_queue_type_needs() {
    let stage = Stage::new().await;
    let fifo = stage.queue("q.fifo", &[FIFO]).await;
    let standard = stage.queue("q", &[]).await;
    let send = |url: &str| stage.sqs.send_message().queue_url(url).message_body("x");
    assert!(send(&fifo).message_deduplication_id("d").send().await.is_err(), "no group");
    assert!(send(&fifo).message_group_id("g").send().await.is_err(), "no deduplication ID");
    let delayed = send(&fifo).message_group_id("g").message_deduplication_id("d").delay_seconds(1);
    assert!(delayed.send().await.is_err(), "a delay of its own");
    assert!(send(&standard).message_deduplication_id("d").send().await.is_err(), "deduplication on a standard queue");
    assert!(send(&standard).message_group_id("g").send().await.is_ok());
    assert!(send(&standard).message_group_id("with space").send().await.is_err());
}

#[tokio::test]
async fn a_fifo_dead_letter_queue_replaces_the_deduplication_id() {
    let stage = Stage::new().await;
    let dlq = stage.queue("dlq.fifo", &[FIFO]).await;
    let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:000000000000:dlq.fifo","maxReceiveCount":1}"#;
    let url = stage.queue("q.fifo", &[FIFO, (Name::RedrivePolicy, policy)]).await;
    let poison = send(&stage, &url, "a", "poison").await.0;
    send(&stage, &url, "a", "next").await;
    assert_eq!(stage.receive_for(&url, 5).await.len(), 2);
    stage.wait(6);
    assert!(stage.receive(&url).await.is_empty());
    let dead = stage.receive(&dlq).await;
    assert_eq!(bodies(&dead), ["poison", "next"]);
    let system = dead[0].attributes.as_ref().unwrap();
    assert_eq!(system[&System::MessageDeduplicationId], poison);
    assert_eq!(system[&System::MessageGroupId], "a");
    assert_eq!(dead[0].message_id.as_deref(), Some(poison.as_str()));
}

#[tokio::test]
async fn the_group_whose_turn_it_is_is_passed_over_as_often_as_the_options_say() {
    let firsts = async |short_poll_miss| {
        let stage = Stage::with(Options { short_poll_miss, ..Options::default() }).await;
        let url = stage.queue("q.fifo", &[FIFO]).await;
        for number in 0..40 {
            send(&stage, &url, &format!("group-{number}"), &format!("{number:02}")).await;
        }
        let mut all = Vec::new();
        while all.len() < 40 {
            let received = stage.receive(&url).await;
            all.extend(received.into_iter().map(|message| message.body.unwrap()));
        }
        all
    };
    let in_order: Vec<_> = (0..40).map(|number| format!("{number:02}")).collect();
    assert_eq!(firsts(0.0).await, in_order);
    let mut passed_over = firsts(0.25).await;
    assert_ne!(passed_over, in_order);
    passed_over.sort();
    assert_eq!(passed_over, in_order);
}

#[tokio::test]
async fn over_the_in_flight_limit_a_fifo_queue_gives_nothing_and_no_error() {
    let stage = Stage::with(Options { in_flight_limit: 2, ..Options::default() }).await;
    let url = stage.queue("q.fifo", &[FIFO]).await;
    for body in ["1", "2", "3"] {
        send(&stage, &url, body, body).await;
    }
    assert_eq!(stage.receive(&url).await.len(), 2);
    assert!(stage.receive(&url).await.is_empty());
}

#[tokio::test]
async fn a_delete_frees_the_group_for_a_waiting_receiver() {
    let stage = Stage::new().await;
    let url = stage.queue("q.fifo", &[FIFO]).await;
    send(&stage, &url, "a", "1").await;
    send(&stage, &url, "a", "2").await;
    let one = stage.sqs.receive_message().queue_url(&url).send().await.unwrap().messages.unwrap().remove(0);
    let waiting = tokio::spawn(stage.sqs.receive_message().queue_url(&url).wait_time_seconds(20).send());
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let started = std::time::Instant::now();
    stage.sqs.delete_message().queue_url(&url).receipt_handle(one.receipt_handle.unwrap()).send().await.unwrap();
    assert_eq!(bodies(&waiting.await.unwrap().unwrap().messages.unwrap()), ["2"]);
    assert!(started.elapsed() < std::time::Duration::from_secs(5));
}
