//! The seams to SQS and S3 against servers that others wrote: what redrive believes of a queue, they have to bear out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName as Name;
use jiff::Timestamp;
use redrive::aws::{Access, Aws};
use redrive::error::Kind;
use redrive::sqs::{EntryFaultKind, Fault, Queue};
use redrive::store::{NewObject, Put};
use redrive_protocol::message::{
    Attribute, AttributeValue, Attributes, Body, MAX_ATTRIBUTES, Outgoing, ReceiptHandle, Received,
};

use crate::support::admin::Admin;
use crate::support::judges::Judge;

/// Every test here runs against each of the servers.
macro_rules! on_every_judge {
    ($($test:ident),+ $(,)?) => {
        on_every_judge!(ministack Ministack $($test)+);
        on_every_judge!(localstack LocalStack $($test)+);
    };
    ($module:ident $judge:ident $($test:ident)+) => {
        mod $module {
            use super::Bench;
            use crate::support::judges::Judge;

            $(#[tokio::test]
            async fn $test() {
                if let Some(bench) = Bench::on(Judge::$judge, stringify!($test)) {
                    super::$test(bench).await;
                }
            })+
        }
    };
}

on_every_judge!(
    a_queue_is_found_by_name_url_and_arn,
    a_message_arrives_as_it_was_sent,
    ten_attributes_arrive,
    a_fifo_queue_keeps_group_and_deduplicates,
    a_message_that_is_given_back_is_there_at_once,
    a_bad_receipt_handle_is_the_senders_fault,
    attributes_tell_of_redrive_policies_both_ways,
    a_dead_letter_queue_says_where_its_messages_come_from,
    what_is_not_there_is_not_found,
    too_much_in_one_batch_is_refused_as_a_whole,
    an_object_is_never_overwritten,
    requests_are_counted_and_the_clock_is_read,
);

/// A server, clients to it, and names that are this test's own.
struct Bench {
    aws: Aws,
    admin: Admin,
    endpoint: &'static str,
    prefix: String,
    judge: Judge,
}

impl Bench {
    fn on(judge: Judge, test: &str) -> Option<Self> {
        let endpoint = judge.endpoint()?;
        let prefix = test.replace('_', "-").chars().take(50).collect();
        Some(Self { aws: Aws::local(endpoint), admin: Admin::at(endpoint), endpoint, prefix, judge })
    }

    fn name(&self, what: &str) -> String {
        format!("{}-{what}", self.prefix.trim_end_matches('-'))
    }

    async fn queue(&self, what: &str, attributes: &[(Name, &str)]) -> Arc<dyn Queue> {
        let name = self.name(what);
        self.admin.queue(&name, attributes).await;
        self.aws.queue(&name, &Access::default()).await.unwrap()
    }
}

fn message(body: &str) -> Outgoing {
    Outgoing {
        body: Body::Untouched(body.to_owned()),
        attributes: Attributes::new(),
        message_group_id: None,
        message_deduplication_id: None,
        trace_header: None,
        payload: None,
    }
}

fn typed(data_type: &str, value: AttributeValue) -> Attribute {
    Attribute { data_type: data_type.to_owned(), value }
}

/// Receives until `count` messages are there, or nothing comes any more.
async fn receive(queue: &dyn Queue, count: usize) -> Vec<Received> {
    let mut all = Vec::new();
    while all.len() < count {
        let some = queue.receive(10, Duration::from_secs(2), Duration::from_mins(5)).await.unwrap();
        if some.is_empty() {
            break;
        }
        all.extend(some);
    }
    all
}

async fn send(queue: &dyn Queue, messages: &[Outgoing]) {
    for answer in queue.send(messages).await.unwrap() {
        answer.unwrap();
    }
}

async fn a_queue_is_found_by_name_url_and_arn(bench: Bench) {
    let by_name = bench.queue("q", &[]).await;
    let arn = by_name.attributes().await.unwrap().arn;
    let access = Access::default();
    for reference in [by_name.url(), &arn] {
        let queue = bench.aws.queue(reference, &access).await.unwrap();
        assert_eq!(queue.attributes().await.unwrap().arn, arn, "{reference}");
    }
    let by_arn = bench.aws.queue_by_arn(&arn, &access).await.unwrap();
    assert_eq!(by_arn.url(), by_name.url());
    // The host of a queue's URL need not be one that can be reached from here.
    let elsewhere =
        by_name.url().replace("127.0.0.1", "sqs.not-a-host.test").replace("localhost", "sqs.not-a-host.test");
    let queue = bench.aws.queue_by_url(&elsewhere, &access).await.unwrap();
    assert_eq!(queue.attributes().await.unwrap().arn, arn);
}

async fn a_message_arrives_as_it_was_sent(bench: Bench) {
    let queue = bench.queue("q", &[]).await;
    let bodies =
        ["plain", " \t\r\n", "{\"n\": 1.10, \"big\": 12345678901234567890123}", "\u{e4}\u{1f600}\u{fffd} <&>\"'\\"];
    let all_bytes: Vec<u8> = (0..=255).collect();
    let attributes = Attributes::from([
        ("string".to_owned(), Attribute::string("\u{e4}\u{1f600} \"quoted\"")),
        ("string.label".to_owned(), typed("String.uuid", AttributeValue::Text("x".to_owned()))),
        ("number".to_owned(), Attribute::number("1.10")),
        ("number_label".to_owned(), typed("Number.int", AttributeValue::Text("-7".to_owned()))),
        ("binary".to_owned(), typed("Binary", AttributeValue::Binary(all_bytes))),
        ("Binary-label".to_owned(), typed("Binary.png", AttributeValue::Binary(vec![0xff, 0xfe, 0]))),
    ]);
    let trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1";
    let outgoing: Vec<Outgoing> = bodies
        .iter()
        .map(|body| Outgoing { attributes: attributes.clone(), trace_header: Some(trace.to_owned()), ..message(body) })
        .collect();
    let ids: Vec<_> =
        queue.send(&outgoing).await.unwrap().into_iter().map(|answer| answer.unwrap().message_id).collect();

    let came: BTreeMap<_, _> =
        receive(&*queue, bodies.len()).await.into_iter().map(|r| (r.message.id.clone(), r.message)).collect();
    assert_eq!(came.len(), bodies.len());
    for (id, body) in ids.iter().zip(bodies) {
        let message = &came[id];
        assert_eq!(message.body, body);
        assert!(message.attributes == attributes, "{:?}", message.attributes);
        assert_eq!(message.system.trace_header(), bench.judge.keeps_trace_headers().then_some(trace));
        assert_eq!(message.system.receive_count(), Some(1));
        let age = Timestamp::now().duration_since(message.system.sent_timestamp().unwrap());
        assert!(age.as_secs().abs() < 60, "{age}");
    }
}

async fn ten_attributes_arrive(bench: Bench) {
    let queue = bench.queue("q", &[]).await;
    let attributes: Attributes = (0..MAX_ATTRIBUTES).map(|n| (format!("a{n:02}"), Attribute::number(n))).collect();
    send(&*queue, &[Outgoing { attributes: attributes.clone(), ..message("hello") }]).await;
    let came = receive(&*queue, 1).await;
    assert!(came[0].message.attributes == attributes);
}

async fn a_fifo_queue_keeps_group_and_deduplicates(bench: Bench) {
    let queue = bench.queue("q.fifo", &[(Name::FifoQueue, "true")]).await;
    assert!(queue.attributes().await.unwrap().fifo);
    let once = |body: &str, id: &str| Outgoing {
        message_group_id: Some("customer-7".to_owned()),
        message_deduplication_id: Some(id.to_owned()),
        ..message(body)
    };
    send(&*queue, &[once("first", "1"), once("second", "2")]).await;
    send(&*queue, &[once("first", "1")]).await;
    let came = receive(&*queue, 3).await;
    let bodies: Vec<_> = came.iter().map(|received| received.message.body.as_str()).collect();
    assert_eq!(bodies, ["first", "second"]);
    assert_eq!(came[0].message.system.message_group_id(), Some("customer-7"));
    assert_eq!(came[0].message.system.get("MessageDeduplicationId"), Some("1"));
}

async fn a_message_that_is_given_back_is_there_at_once(bench: Bench) {
    let queue = bench.queue("q", &[]).await;
    send(&*queue, &[message("a"), message("b")]).await;
    let first = receive(&*queue, 2).await;
    assert_eq!(first.len(), 2);
    assert!(queue.receive(10, Duration::ZERO, Duration::from_secs(30)).await.unwrap().is_empty());
    let handles: Vec<_> = first.into_iter().map(|received| received.receipt).collect();
    for answer in queue.change_visibility(&handles, Duration::ZERO).await.unwrap() {
        answer.unwrap();
    }
    let again = receive(&*queue, 2).await;
    assert_eq!(again.len(), 2);
    assert!(again.iter().all(|received| received.message.system.receive_count() == Some(2)));
}

async fn a_bad_receipt_handle_is_the_senders_fault(bench: Bench) {
    let queue = bench.queue("q", &[]).await;
    send(&*queue, &[message("a")]).await;
    let good = receive(&*queue, 1).await.remove(0).receipt;
    let bad = ReceiptHandle::new("not-a-handle");
    let answers = queue.change_visibility(&[bad, good], Duration::from_mins(1)).await.unwrap();
    assert_eq!(answers[0].as_ref().unwrap_err().kind, EntryFaultKind::Sender);
    assert_eq!(answers[1], Ok(()));
}

async fn attributes_tell_of_redrive_policies_both_ways(bench: Bench) {
    let dlq = bench.queue("dlq", &[]).await;
    let arn = dlq.attributes().await.unwrap().arn;
    let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":3}}"#);
    let source = bench.queue("source", &[(Name::RedrivePolicy, &policy), (Name::VisibilityTimeout, "7")]).await;
    let attributes = source.attributes().await.unwrap();
    assert_eq!(attributes.name(), bench.name("source"));
    assert_eq!(attributes.visibility_timeout_seconds, 7);
    assert!(!attributes.fifo);
    assert!(attributes.created.is_some());
    let policy = attributes.redrive_policy.unwrap();
    assert_eq!((policy.dead_letter_target_arn, policy.max_receive_count), (arn, 3));
    if bench.judge.lists_dead_letter_sources() {
        assert_eq!(dlq.dead_letter_sources().await.unwrap(), [source.url()]);
        assert!(source.dead_letter_sources().await.unwrap().is_empty());
    } else {
        let error = dlq.dead_letter_sources().await.unwrap_err();
        assert_eq!((error.fault, error.code.as_deref()), (Fault::Refused, Some("InvalidAction")));
    }
}

async fn a_dead_letter_queue_says_where_its_messages_come_from(bench: Bench) {
    let dlq = bench.queue("dlq", &[]).await;
    let arn = dlq.attributes().await.unwrap().arn;
    let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":1}}"#);
    let source = bench.queue("source", &[(Name::RedrivePolicy, &policy)]).await;
    let id = source.send(&[message("poison")]).await.unwrap().remove(0).unwrap().message_id;
    // One failed attempt, and the next receive moves it.
    let failed = receive(&*source, 1).await.remove(0).receipt;
    source.change_visibility(&[failed], Duration::ZERO).await.unwrap().remove(0).unwrap();
    assert!(source.receive(10, Duration::from_secs(1), Duration::ZERO).await.unwrap().is_empty());
    let dead = receive(&*dlq, 1).await.remove(0).message;
    assert_eq!(dead.id, id, "SQS keeps the ID when it moves a message");
    assert_eq!(dead.system.dead_letter_queue_source_arn(), Some(source.attributes().await.unwrap().arn.as_str()));
}

async fn what_is_not_there_is_not_found(bench: Bench) {
    let access = Access::default();
    let error = bench.aws.queue("no-such-queue", &access).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Failed);
    assert!(error.message().contains("no-such-queue") && error.hint_text().is_some(), "{error}");
    let url = format!("{}/000000000000/no-such-queue", bench.endpoint);
    let queue = bench.aws.queue(&url, &access).await.unwrap();
    assert_eq!(queue.attributes().await.unwrap_err().fault, Fault::NotFound);
    assert_eq!(queue.send(&[message("a")]).await.unwrap_err().fault, Fault::NotFound);
    let bucket = bench.aws.bucket("no-such-bucket", &access).await.unwrap();
    assert_eq!(bucket.check().await.unwrap_err().fault, Fault::NotFound);
}

async fn too_much_in_one_batch_is_refused_as_a_whole(bench: Bench) {
    let queue = bench.queue("q", &[]).await;
    let eleven: Vec<_> = (0..11).map(|n| message(&n.to_string())).collect();
    assert_eq!(queue.send(&eleven).await.unwrap_err().fault, Fault::Refused);
    let long = message(&"x".repeat(900_000));
    let error = queue.send(&[long.clone(), long]).await.unwrap_err();
    assert_eq!(error.fault, Fault::TooLong, "{error}");
    assert!(queue.receive(10, Duration::from_secs(1), Duration::ZERO).await.unwrap().is_empty());
}

async fn an_object_is_never_overwritten(bench: Bench) {
    let name = "an-object-is-never-overwritten";
    bench.admin.bucket(name).await;
    let bucket = bench.aws.bucket(name, &Access::default()).await.unwrap();
    bucket.check().await.unwrap();
    let key = "unprocessed/2026-11-22/1763800000000_m 1+\u{e4}.json";
    let object = |content: &str| NewObject {
        key: key.to_owned(),
        content: content.as_bytes().to_vec(),
        content_type: "application/json",
        metadata: BTreeMap::from([("redrive-message-id", "m1".to_owned())]),
    };
    assert_eq!(bucket.get(key, 100).await.unwrap(), None);
    assert_eq!(bucket.put_new(&object("{\"n\":1}")).await.unwrap(), Put::Created);
    assert_eq!(bucket.put_new(&object("{\"n\":2}")).await.unwrap(), Put::Exists);
    assert_eq!(bucket.get(key, 100).await.unwrap().unwrap(), b"{\"n\":1}");
    let head = bench.admin.s3.head_object().bucket(name).key(key).send().await.unwrap();
    assert_eq!(head.content_type(), Some("application/json"));
    assert_eq!(head.metadata().unwrap()["redrive-message-id"], "m1");
}

async fn requests_are_counted_and_the_clock_is_read(bench: Bench) {
    let queue = bench.queue("q", &[]).await;
    let before = bench.aws.requests().sqs;
    send(&*queue, &[message("a"), message("b")]).await;
    receive(&*queue, 2).await;
    let requests = bench.aws.requests();
    assert!(requests.sqs >= before + 2 && requests.s3 == 0, "{requests:?}");
    let ahead = bench.aws.server_time(queue.url()).unwrap().duration_since(Timestamp::now());
    assert!((-1..=2).contains(&ahead.as_secs()), "{ahead}");
}
