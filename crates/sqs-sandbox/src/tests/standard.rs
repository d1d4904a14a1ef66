//! Standard queues: what a message goes through from send to delete.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, MessageAttributeValue, MessageSystemAttributeName as System,
    MessageSystemAttributeNameForSends, MessageSystemAttributeValue, QueueAttributeName as Name,
};

use super::{Stage, bodies, entry};
use crate::{Options, Seed, Whereabouts};

fn text(kind: &str, value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type(kind).string_value(value).build().unwrap()
}

#[tokio::test]
async fn a_message_arrives_with_everything() {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[]).await;
    let picture = MessageAttributeValue::builder().data_type("Binary.png").binary_value(Blob::new([0, 255, 7])).build();
    let trace = MessageSystemAttributeValue::builder().data_type("String").string_value("Root=1-5-6").build().unwrap();
    let sent = stage
        .sqs
        .send_message()
        .queue_url(&url)
        .message_body("äöü \u{1F600} \t\n")
        .message_attributes("tenant", text("String", "eu-1"))
        .message_attributes("count", text("Number.int", "3"))
        .message_attributes("picture", picture.unwrap())
        .message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace)
        .message_group_id("fair")
        .send()
        .await
        .unwrap();
    let received = stage.receive(&url).await;
    let message = &received[0];
    assert_eq!(message.message_id, sent.message_id);
    assert_eq!(message.body.as_deref(), Some("äöü \u{1F600} \t\n"));
    assert_eq!(message.md5_of_body, sent.md5_of_message_body);
    assert_eq!(message.md5_of_message_attributes, sent.md5_of_message_attributes);
    let attributes = message.message_attributes.as_ref().unwrap();
    assert_eq!(attributes["count"].data_type, "Number.int");
    assert_eq!(attributes["picture"].binary_value.as_ref().unwrap().as_ref(), [0, 255, 7]);
    let system = message.attributes.as_ref().unwrap();
    assert_eq!(system[&System::AwsTraceHeader], "Root=1-5-6");
    assert_eq!(system[&System::MessageGroupId], "fair");
    assert_eq!(system[&System::ApproximateReceiveCount], "1");
    assert!(!system.contains_key(&System::SequenceNumber) && !system.contains_key(&System::DeadLetterQueueSourceArn));
}

#[tokio::test]
async fn md5s_are_those_that_others_compute() {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[]).await;
    let message = stage.sqs.send_message().queue_url(&url).message_body("hello");
    let sent = message.message_attributes("a", text("String", "b")).send().await.unwrap();
    // Of "hello", and of 00000001 'a' 00000006 'String' 01 00000001 'b', by md5sum.
    assert_eq!(sent.md5_of_message_body.as_deref(), Some("5d41402abc4b2a76b9719d911017c592"));
    assert_eq!(sent.md5_of_message_attributes.as_deref(), Some("bef8bf215374a0a228d67533b1a488be"));
}

#[tokio::test]
async fn only_attributes_that_are_asked_for_come() {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[]).await;
    let send = stage.sqs.send_message().queue_url(&url).message_body("x");
    let send =
        send.message_attributes("trace.id", text("String", "1")).message_attributes("tenant", text("String", "2"));
    send.message_attributes("other", text("String", "3")).send().await.unwrap();
    let receive = || stage.sqs.receive_message().queue_url(&url).wait_time_seconds(1).visibility_timeout(0);
    let plain = receive().send().await.unwrap().messages.unwrap();
    assert!(plain[0].attributes.is_none() && plain[0].message_attributes.is_none());
    assert!(plain[0].md5_of_message_attributes.is_none());
    let some = receive().message_attribute_names("trace.*").message_attribute_names("tenant");
    let some = some.message_system_attribute_names(System::SentTimestamp).send().await.unwrap().messages.unwrap();
    let names: BTreeSet<&String> = some[0].message_attributes.as_ref().unwrap().keys().collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["tenant", "trace.id"]);
    assert_eq!(some[0].attributes.as_ref().unwrap().len(), 1);
}

#[tokio::test]
async fn visibility_handles_and_deletes() {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[]).await;
    stage.send(&url, "x").await;
    let first = stage.receive_for(&url, 5).await.remove(0);
    assert!(stage.receive(&url).await.is_empty(), "in flight");
    stage.wait(6);
    let second = stage.receive_for(&url, 5).await.remove(0);
    assert_eq!(second.attributes.as_ref().unwrap()[&System::ApproximateReceiveCount], "2");
    assert_eq!(
        first.attributes.as_ref().unwrap()[&System::ApproximateFirstReceiveTimestamp],
        second.attributes.as_ref().unwrap()[&System::ApproximateFirstReceiveTimestamp]
    );
    assert_ne!(first.receipt_handle, second.receipt_handle);
    // The old handle does, and once more is as good.
    for _ in 0..2 {
        let handle = first.receipt_handle.as_deref().unwrap();
        stage.sqs.delete_message().queue_url(&url).receipt_handle(handle).send().await.unwrap();
    }
    assert!(stage.sandbox.queue("orders").unwrap().messages.is_empty());
    let garbage = stage.sqs.delete_message().queue_url(&url).receipt_handle("garbage").send().await;
    assert!(garbage.unwrap_err().into_service_error().is_receipt_handle_is_invalid());
}

#[tokio::test]
async fn visibility_can_be_changed_while_in_flight_and_within_twelve_hours() {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[]).await;
    stage.send(&url, "x").await;
    let message = stage.receive_for(&url, 5).await.remove(0);
    let handle = message.receipt_handle.unwrap();
    let change = |seconds| {
        stage.sqs.change_message_visibility().queue_url(&url).receipt_handle(&handle).visibility_timeout(seconds).send()
    };
    change(100).await.unwrap();
    stage.wait(50);
    assert!(stage.receive(&url).await.is_empty());
    assert!(change(43_200).await.is_err(), "beyond 12 hours from the receive");
    change(43_100).await.unwrap();
    change(0).await.unwrap();
    assert_eq!(stage.sandbox.queue("orders").unwrap().messages[0].state, Whereabouts::Visible);
    change(10).await.expect("no error while nobody has received it since");
    assert_eq!(stage.receive_for(&url, 5).await.len(), 1, "and no effect");
    stage.wait(6);
    assert!(change(10).await.unwrap_err().into_service_error().is_message_not_inflight(), "an older handle");
}

#[tokio::test]
async fn a_message_that_is_received_too_often_moves_to_the_dead_letter_queue_as_it_is() {
    let stage = Stage::new().await;
    let dlq = stage.queue("dlq", &[]).await;
    let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:000000000000:dlq","maxReceiveCount":2}"#;
    let url = stage.queue("orders", &[(Name::RedrivePolicy, policy)]).await;
    let id = stage.send(&url, "poison").await;
    let sent = stage.sandbox.queue("orders").unwrap().messages[0].sent_timestamp;
    for _ in 0..2 {
        assert_eq!(stage.receive_for(&url, 1).await.len(), 1);
        stage.wait(2);
    }
    assert!(stage.receive(&url).await.is_empty());
    let dead = stage.receive(&dlq).await.remove(0);
    assert_eq!(dead.message_id.unwrap(), id);
    let system = dead.attributes.unwrap();
    assert_eq!(system[&System::DeadLetterQueueSourceArn], "arn:aws:sqs:eu-west-1:000000000000:orders");
    assert_eq!(system[&System::SentTimestamp], sent.to_string());
    assert_eq!(system[&System::ApproximateReceiveCount], "3", "a move carries the count on");
}

#[tokio::test]
async fn a_long_poll_wakes_at_once() {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[]).await;
    let started = Instant::now();
    let waiting = tokio::spawn(stage.sqs.receive_message().queue_url(&url).wait_time_seconds(20).send());
    tokio::time::sleep(Duration::from_millis(300)).await;
    stage.send(&url, "x").await;
    assert_eq!(waiting.await.unwrap().unwrap().messages.unwrap().len(), 1);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_long_poll_sees_a_delay_run_out() {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[]).await;
    stage.sqs.send_message().queue_url(&url).message_body("x").delay_seconds(1).send().await.unwrap();
    assert_eq!(stage.sandbox.queue("orders").unwrap().attributes["ApproximateNumberOfMessagesDelayed"], "1");
    let started = Instant::now();
    let received = stage.sqs.receive_message().queue_url(&url).wait_time_seconds(10).send().await.unwrap();
    assert_eq!(received.messages.unwrap().len(), 1);
    assert!((Duration::from_millis(800)..Duration::from_secs(5)).contains(&started.elapsed()));
}

#[tokio::test]
async fn messages_expire_by_their_original_time_of_sending() {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[(Name::MessageRetentionPeriod, "60")]).await;
    stage.send(&url, "x").await;
    stage.receive_for(&url, 0).await;
    stage.wait(59);
    assert_eq!(stage.sandbox.queue("orders").unwrap().messages.len(), 1);
    stage.wait(2);
    assert!(stage.sandbox.queue("orders").unwrap().messages.is_empty());
}

#[tokio::test]
async fn a_batch_fails_by_entry() {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[(Name::MaximumMessageSize, "2000")]).await;
    let mut eleven = entry("eleven", "x");
    eleven.message_attributes = Some((0..11).map(|n| (format!("a{n}"), text("String", "v"))).collect());
    let mut number = entry("number", "x");
    number.message_attributes = Some([("n".to_owned(), text("Number", "many"))].into());
    let batch = stage
        .sqs
        .send_message_batch()
        .queue_url(&url)
        .entries(entry("fine", "x"))
        .entries(entry("long", &"x".repeat(2001)));
    let batch = batch.entries(entry("control", "a\u{1}b")).entries(entry("empty", "")).entries(eleven).entries(number);
    let answer = batch.send().await.unwrap();
    assert_eq!(answer.successful.iter().map(|done| done.id.as_str()).collect::<Vec<_>>(), ["fine"]);
    let failed: BTreeMap<&str, &str> =
        answer.failed.iter().map(|entry| (entry.id.as_str(), entry.code.as_str())).collect();
    assert_eq!(failed.len(), 5);
    assert_eq!(failed["control"], "InvalidMessageContents");
    assert_eq!(failed["long"], "InvalidParameterValue");
    assert!(answer.failed.iter().all(|entry| entry.sender_fault));
    assert_eq!(bodies(&stage.receive(&url).await), ["x"]);
}

#[tokio::test]
async fn a_batch_is_refused_as_a_whole() {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[]).await;
    let batch = |entries| {
        let sending = stage.sqs.send_message_batch().queue_url(&url).set_entries(Some(entries)).send();
        async { sending.await.unwrap_err().into_service_error() }
    };
    assert!(batch(vec![]).await.is_empty_batch_request());
    assert!(batch(vec![entry("a", "x"), entry("a", "y")]).await.is_batch_entry_ids_not_distinct());
    assert!(batch(vec![entry("a b", "x")]).await.is_invalid_batch_entry_id());
    let many = (0..11).map(|number| entry(&number.to_string(), "x")).collect();
    assert!(batch(many).await.is_too_many_entries_in_batch_request());
    let half = "x".repeat(524_289);
    assert!(batch(vec![entry("a", &half), entry("b", &half)]).await.is_batch_request_too_long());
    assert!(stage.sandbox.queue("orders").unwrap().messages.is_empty());
    let exactly = "x".repeat(524_288);
    let fits =
        stage.sqs.send_message_batch().queue_url(&url).entries(entry("a", &exactly)).entries(entry("b", &exactly));
    assert_eq!(fits.send().await.unwrap().successful.len(), 2);
}

#[tokio::test]
async fn a_delete_batch_fails_by_entry() {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[]).await;
    stage.send(&url, "x").await;
    let handle = stage.receive(&url).await.remove(0).receipt_handle.unwrap();
    let of = |id: &str, handle: &str| DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle).build();
    let batch = stage.sqs.delete_message_batch().queue_url(&url);
    let answer = batch.entries(of("a", &handle).unwrap()).entries(of("b", "garbage").unwrap()).send().await.unwrap();
    assert_eq!(answer.successful.len(), 1);
    assert_eq!((answer.failed[0].code.as_str(), answer.failed[0].sender_fault), ("ReceiptHandleIsInvalid", true));
}

#[tokio::test]
async fn the_in_flight_limit_holds() {
    let stage = Stage::with(Options { in_flight_limit: 12, ..Options::default() }).await;
    let url = stage.queue("orders", &[]).await;
    stage.sandbox.seed("orders", (0..30).map(|number| Seed::new(number.to_string()))).unwrap();
    assert_eq!(stage.receive(&url).await.len(), 10);
    assert_eq!(stage.receive(&url).await.len(), 2);
    let over = stage.sqs.receive_message().queue_url(&url).send().await.unwrap_err();
    assert_eq!(
        over.raw_response().unwrap().status().as_u16(),
        403,
        "as a second purge is, whatever the reference says"
    );
    assert!(over.into_service_error().is_over_limit());
}

#[tokio::test]
async fn delivery_is_shuffled_and_short_polls_miss_messages() {
    let stage = Stage::with(Options { short_poll_miss: 0.25, ..Options::default() }).await;
    let url = stage.queue("orders", &[]).await;
    stage.sandbox.seed("orders", (0..100).map(|number| Seed::new(format!("{number:03}")))).unwrap();
    let mut order = Vec::new();
    while order.len() < 100 {
        order.extend(stage.receive(&url).await.into_iter().map(|message| message.body.unwrap()));
    }
    let mut sorted = order.clone();
    sorted.sort();
    assert_ne!(order, sorted);
    sorted.dedup();
    assert_eq!(sorted.len(), 100);

    let one = stage.queue("one", &[]).await;
    stage.send(&one, "x").await;
    let mut empty = 0;
    for _ in 0..40 {
        let poll = stage.sqs.receive_message().queue_url(&one).visibility_timeout(0).send().await.unwrap();
        empty += usize::from(poll.messages.unwrap_or_default().is_empty());
    }
    assert!((1..40).contains(&empty), "{empty} of 40 short polls came back empty");
}

#[tokio::test]
async fn limits_of_a_receive_are_judged() {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[]).await;
    let receive = || stage.sqs.receive_message().queue_url(&url);
    for (what, request) in [
        ("0 messages", receive().max_number_of_messages(0)),
        ("11 messages", receive().max_number_of_messages(11)),
        ("21 seconds", receive().wait_time_seconds(21)),
        ("negative visibility", receive().visibility_timeout(-1)),
        ("13 hours", receive().visibility_timeout(43_201)),
        ("an unknown attribute", receive().message_system_attribute_names("Colour".into())),
    ] {
        assert!(request.send().await.is_err(), "{what}");
    }
}
