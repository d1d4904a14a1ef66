//! Queues: creation, attributes, lists, deletion, and the typed exceptions of the SDK.

use aws_sdk_sqs::error::ProvideErrorMetadata as _;
use aws_sdk_sqs::types::QueueAttributeName as Name;

use super::Stage;

#[tokio::test]
async fn creating_a_queue_is_idempotent_and_other_attributes_are_refused() {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[(Name::VisibilityTimeout, "60")]).await;
    assert_eq!(stage.queue("orders", &[(Name::VisibilityTimeout, "60")]).await, url);
    assert_eq!(stage.queue("orders", &[]).await, url);
    let error = stage.sqs.create_queue().queue_name("orders").attributes(Name::VisibilityTimeout, "61").send().await;
    assert!(error.unwrap_err().into_service_error().is_queue_name_exists());
    let got = stage.sqs.get_queue_url().queue_name("orders").send().await.unwrap();
    assert_eq!(got.queue_url.as_deref(), Some(url.as_str()));
}

#[tokio::test]
async fn a_missing_queue_is_a_typed_exception_everywhere() {
    let stage = Stage::new().await;
    let url = format!("{}/000000000000/nowhere", stage.sandbox.endpoint_url());
    let sqs = &stage.sqs;
    assert!(
        sqs.get_queue_url()
            .queue_name("nowhere")
            .send()
            .await
            .unwrap_err()
            .into_service_error()
            .is_queue_does_not_exist()
    );
    assert!(
        sqs.receive_message().queue_url(&url).send().await.unwrap_err().into_service_error().is_queue_does_not_exist()
    );
    assert!(
        sqs.send_message()
            .queue_url(&url)
            .message_body("x")
            .send()
            .await
            .unwrap_err()
            .into_service_error()
            .is_queue_does_not_exist()
    );
    assert!(
        sqs.get_queue_attributes()
            .queue_url(&url)
            .send()
            .await
            .unwrap_err()
            .into_service_error()
            .is_queue_does_not_exist()
    );
    let other_account = url.replace("000000000000", "111111111111");
    let error = sqs.purge_queue().queue_url(other_account).send().await.unwrap_err().into_service_error();
    assert!(error.is_queue_does_not_exist());
}

#[tokio::test]
async fn attributes_are_set_shown_and_absent() {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[]).await;
    stage.queue("dlq", &[]).await;
    let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:000000000000:dlq","maxReceiveCount":"3"}"#;
    let set = stage.sqs.set_queue_attributes().queue_url(&url);
    set.attributes(Name::RedrivePolicy, policy).attributes(Name::KmsMasterKeyId, "alias/k").send().await.unwrap();
    let all = stage.sqs.get_queue_attributes().queue_url(&url).attribute_names(Name::All).send().await.unwrap();
    let all = all.attributes.unwrap();
    assert_eq!(all[&Name::QueueArn], "arn:aws:sqs:eu-west-1:000000000000:orders");
    assert_eq!(all[&Name::RedrivePolicy], policy.replace("\"3\"", "3"));
    assert_eq!(all[&Name::KmsMasterKeyId], "alias/k");
    assert_eq!(all[&Name::MaximumMessageSize], "1048576");
    assert!(!all.contains_key(&Name::FifoQueue) && !all.contains_key(&Name::RedriveAllowPolicy));
    let one = stage.sqs.get_queue_attributes().queue_url(&url).attribute_names(Name::FifoQueue).send().await.unwrap();
    assert!(one.attributes.unwrap_or_default().is_empty());
    let unknown = stage.sqs.get_queue_attributes().queue_url(&url).attribute_names("Colour".into()).send().await;
    assert!(unknown.unwrap_err().into_service_error().is_invalid_attribute_name());
    let bad = stage.sqs.set_queue_attributes().queue_url(&url).attributes(Name::DelaySeconds, "901").send().await;
    assert!(bad.unwrap_err().into_service_error().is_invalid_attribute_value());
}

#[tokio::test]
async fn a_redrive_policy_needs_a_dead_letter_queue_that_is_there_allows_it_and_is_of_its_type() {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[]).await;
    let deny = r#"{"redrivePermission":"denyAll"}"#;
    stage.queue("closed", &[(Name::RedriveAllowPolicy, deny)]).await;
    stage.queue("dlq.fifo", &[(Name::FifoQueue, "true")]).await;
    stage.queue("open", &[]).await;
    for (target, is_fine) in [("missing", false), ("closed", false), ("dlq.fifo", false), ("open", true)] {
        let policy =
            format!(r#"{{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:000000000000:{target}","maxReceiveCount":1}}"#);
        let set = stage.sqs.set_queue_attributes().queue_url(&url).attributes(Name::RedrivePolicy, policy).send().await;
        assert_eq!(set.is_ok(), is_fine, "{target}");
    }
    let dlq = stage.sqs.get_queue_url().queue_name("open").send().await.unwrap().queue_url.unwrap();
    let sources = stage.sqs.list_dead_letter_source_queues().queue_url(dlq).send().await.unwrap();
    assert_eq!(sources.queue_urls, [url]);
}

#[tokio::test]
async fn queues_are_listed_by_prefix_and_page() {
    let stage = Stage::new().await;
    for number in 0..5 {
        stage.queue(&format!("a-{number}"), &[]).await;
    }
    stage.queue("b", &[]).await;
    let mut pages = stage.sqs.list_queues().queue_name_prefix("a-").max_results(2).into_paginator().items().send();
    let mut names = Vec::new();
    while let Some(url) = pages.next().await {
        names.push(url.unwrap().rsplit('/').next().unwrap().to_owned());
    }
    assert_eq!(names, ["a-0", "a-1", "a-2", "a-3", "a-4"]);
    let none = stage.sqs.list_queues().queue_name_prefix("zzz").send().await.unwrap();
    assert!(none.queue_urls.unwrap_or_default().is_empty());
}

#[tokio::test]
async fn a_deleted_queue_is_gone_for_waiting_receivers_too_and_its_name_rests_a_minute() {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[]).await;
    let receive = stage.sqs.receive_message().queue_url(&url).wait_time_seconds(20).send();
    let waiting = tokio::spawn(receive);
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    stage.sqs.delete_queue().queue_url(&url).send().await.unwrap();
    let error = waiting.await.unwrap().unwrap_err().into_service_error();
    assert!(error.is_queue_does_not_exist());
    let again = stage.sqs.create_queue().queue_name("orders").send().await;
    assert!(again.unwrap_err().into_service_error().is_queue_deleted_recently());
    stage.wait(61);
    stage.queue("orders", &[]).await;
}

#[tokio::test]
async fn a_queue_is_purged_once_a_minute() {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[]).await;
    for _ in 0..3 {
        stage.send(&url, "x").await;
    }
    stage.receive(&url).await;
    stage.send(&url, "y").await;
    stage.sqs.purge_queue().queue_url(&url).send().await.unwrap();
    assert!(stage.sandbox.queue("orders").unwrap().messages.is_empty());
    let again = stage.sqs.purge_queue().queue_url(&url).send().await;
    assert!(again.unwrap_err().into_service_error().is_purge_queue_in_progress());
    stage.send(&url, "z").await;
    assert_eq!(stage.receive(&url).await.len(), 1);
}

#[tokio::test]
async fn tags_are_kept() {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[]).await;
    stage.sqs.tag_queue().queue_url(&url).tags("team", "payments").tags("env", "test").send().await.unwrap();
    stage.sqs.untag_queue().queue_url(&url).tag_keys("env").send().await.unwrap();
    let tags = stage.sqs.list_queue_tags().queue_url(&url).send().await.unwrap().tags.unwrap();
    assert_eq!(tags.into_iter().collect::<Vec<_>>(), [("team".to_owned(), "payments".to_owned())]);
}

#[tokio::test]
async fn tags_that_cannot_be_are_refused_and_change_nothing() {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[]).await;
    let tag = |count: usize| {
        let tags = (0..count).map(|number| (format!("key-{number}"), "x".to_owned())).collect();
        stage.sqs.tag_queue().queue_url(&url).set_tags(Some(tags)).send()
    };
    tag(50).await.unwrap();
    assert_eq!(tag(0).await.unwrap_err().code(), Some("MissingParameter"));
    let error = tag(51).await.unwrap_err();
    assert_eq!(error.message(), Some("Too many tags added for queue orders."));
    let untag = |keys: &[&str]| {
        let keys = keys.iter().map(|&key| key.to_owned()).collect();
        stage.sqs.untag_queue().queue_url(&url).set_tag_keys(Some(keys)).send()
    };
    for keys in [&[][..], &[""], &["key-0", &"k".repeat(129)]] {
        let error = untag(keys).await.unwrap_err();
        assert_eq!(error.message(), Some("Tag keys must be between 1 and 128 characters in length."), "{keys:?}");
    }
    untag(&["key-0", "of no tag"]).await.unwrap();
    assert_eq!(stage.sqs.list_queue_tags().queue_url(&url).send().await.unwrap().tags.unwrap().len(), 49);
}

#[tokio::test]
async fn names_are_judged() {
    let stage = Stage::new().await;
    for name in ["", "with space", "a.b", &"x".repeat(81), "orders.fifo", "../etc"] {
        assert!(stage.sqs.create_queue().queue_name(name).send().await.is_err(), "{name}");
    }
    let fifo = stage.sqs.create_queue().queue_name("orders").attributes(Name::FifoQueue, "true").send().await;
    assert!(fifo.is_err());
}
