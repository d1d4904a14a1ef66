//! Misbehaviour on command, as a client sees it.

use std::time::{Duration, Instant};

use aws_sdk_s3::error::ProvideErrorMetadata;

use super::{Stage, entry};
use crate::{Fault, Options, Rule, Signal, When};

const SEND: &str = "SendMessage";

async fn one_send(fault: Fault) -> (Stage, Result<String, aws_sdk_sqs::Error>, Duration) {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[]).await;
    stage.sandbox.faults().add(Rule::new(fault).action(SEND).resource("orders"));
    let started = Instant::now();
    let send = stage.sqs.send_message().queue_url(url).message_body("x").send().await;
    let result = send.map(|sent| sent.md5_of_message_body.unwrap()).map_err(Into::into);
    (stage, result, started.elapsed())
}

fn arrived(stage: &Stage) -> usize {
    stage.sandbox.queue("orders").unwrap().messages.len()
}

#[tokio::test]
async fn errors_before_and_after_the_effect() {
    for (fault, code, effect) in [
        (Fault::Throttle, "RequestThrottled", 0),
        (Fault::AccessDenied, "AccessDenied", 0),
        (Fault::ExpiredToken, "ExpiredToken", 0),
        (Fault::NotFound, "AWS.SimpleQueueService.NonExistentQueue", 0),
        (Fault::Status { code: 500, when: When::Before }, "InternalFailure", 0),
        (Fault::Status { code: 503, when: When::After }, "ServiceUnavailable", 1),
    ] {
        let name = fault.name();
        let (stage, result, _) = one_send(fault).await;
        assert_eq!(result.unwrap_err().code(), Some(code), "{name}");
        assert_eq!(arrived(&stage), effect, "{name}");
        let log = stage.sandbox.log();
        let last = log.last().unwrap();
        assert_eq!((last.action.as_str(), last.faults[0].as_str()), (SEND, name));
        assert_eq!(last.code.as_deref(), Some(code));
    }
}

#[tokio::test]
async fn connections_are_cut_before_and_after_the_effect() {
    for (when, effect) in [(When::Before, 0), (When::After, 1)] {
        let (stage, result, _) = one_send(Fault::Cut { when }).await;
        assert!(result.unwrap_err().code().is_none());
        assert_eq!(arrived(&stage), effect);
        assert_eq!(stage.sandbox.log().last().unwrap().status, 0);
    }
}

#[tokio::test]
async fn an_answer_that_never_comes() {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[]).await;
    stage.sandbox.faults().add(Rule::new(Fault::Silence { when: When::After }).action(SEND).times(1));
    let send = || stage.sqs.send_message().queue_url(&url).message_body("x").send();
    assert!(tokio::time::timeout(Duration::from_millis(500), send()).await.is_err());
    assert_eq!(arrived(&stage), 1);
    send().await.unwrap();
}

#[tokio::test]
async fn latency_and_a_wrong_md5() {
    let (stage, result, took) = one_send(Fault::Latency { ms: 400, jitter_ms: 0, when: When::Before }).await;
    assert!(result.is_ok() && took >= Duration::from_millis(400));
    drop(stage);
    let (stage, result, _) = one_send(Fault::CorruptMd5).await;
    // The MD5 of "x" is 9dd4e461268c8034f5c8564e155c67a6.
    assert_eq!(result.unwrap(), "9cd4e461268c8034f5c8564e155c67a6");
    assert_eq!(arrived(&stage), 1);
}

#[tokio::test]
async fn an_entry_of_a_batch_fails() {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[]).await;
    let fault = Fault::FailEntry { index: 1, sender_fault: false, code: "InternalError".to_owned() };
    stage.sandbox.faults().add(Rule::new(fault).action("SendMessageBatch").nth(2));
    for round in 1..=3 {
        let batch = stage.sqs.send_message_batch().queue_url(&url);
        let answer = batch.entries(entry("a", "x")).entries(entry("b", "y")).send().await.unwrap();
        let failed: Vec<_> = answer.failed.iter().map(|entry| (entry.id.as_str(), entry.sender_fault)).collect();
        assert_eq!(failed, if round == 2 { vec![("b", false)] } else { vec![] });
    }
    assert_eq!(arrived(&stage), 5);
}

#[tokio::test]
async fn a_message_is_delivered_twice_at_once() {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[]).await;
    stage.send(&url, "x").await;
    stage.sandbox.faults().add(Rule::new(Fault::Duplicate).action("ReceiveMessage").nth(1));
    let (first, second) = (stage.receive(&url).await.remove(0), stage.receive(&url).await.remove(0));
    assert_eq!(first.message_id, second.message_id);
    assert_ne!(first.receipt_handle, second.receipt_handle);
    stage.sandbox.faults().add(Rule::new(Fault::IgnoreStaleHandle).action("DeleteMessage"));
    let delete = |handle: Option<String>| stage.sqs.delete_message().queue_url(&url).set_receipt_handle(handle).send();
    delete(first.receipt_handle).await.unwrap();
    assert_eq!(arrived(&stage), 1, "an older handle: success, and nothing is deleted");
    delete(second.receipt_handle).await.unwrap();
    assert_eq!(arrived(&stage), 0);
}

#[tokio::test]
async fn a_process_is_killed_at_a_request() {
    let stage = Stage::with(Options { signals: true, ..Options::default() }).await;
    let url = stage.queue("orders", &[]).await;
    let mut child = tokio::process::Command::new("sleep").arg("60").kill_on_drop(true).spawn().unwrap();
    let fault = Fault::Kill { pid: child.id().unwrap(), signal: Signal::Kill, when: When::After };
    stage.sandbox.faults().add(Rule::new(fault).action(SEND).nth(2));
    let send = || stage.sqs.send_message().queue_url(&url).message_body("x").send();
    send().await.unwrap();
    assert!(child.try_wait().unwrap().is_none());
    assert!(send().await.is_err(), "cut");
    let status = tokio::time::timeout(Duration::from_secs(5), child.wait()).await.unwrap().unwrap();
    assert!(!status.success());
    assert_eq!(arrived(&stage), 2);
}

#[tokio::test]
async fn s3_misbehaves_in_its_own_words() {
    let stage = Stage::new().await;
    stage.sandbox.create_bucket("archive").unwrap();
    for (fault, code) in [
        (Fault::Throttle, "SlowDown"),
        (Fault::AccessDenied, "AccessDenied"),
        (Fault::Status { code: 500, when: When::After }, "InternalError"),
    ] {
        stage.sandbox.faults().clear();
        stage.sandbox.faults().add(Rule::new(fault).action("PutObject").resource("archive"));
        let put = stage.s3.put_object().bucket("archive").key(code).body(Vec::new().into()).send().await;
        assert_eq!(put.unwrap_err().code(), Some(code));
        let exists = stage.sandbox.objects("archive").unwrap().contains_key(code);
        assert_eq!(exists, code == "InternalError");
    }
}
