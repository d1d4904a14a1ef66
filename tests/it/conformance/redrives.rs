//! Dead-letter queues: the policies both ways, and the move after too many receives.

use aws_sdk_sqs::types::{MessageSystemAttributeName as System, QueueAttributeName as Name};
use serde_json::Value;

use super::Check;
use super::stand::{Outcome, Stand, bodies, ensure, number, pause, policy, refused, same, sorted, system, text};

pub(super) const CHECKS: &[Check] = &[
    check!(
        a_message_moves_after_too_many_receives,
        "sqs-dead-letter-queues",
        "after maxReceiveCount receives, not before"
    ),
    check!(a_moved_message_is_the_same_message, "sqs-dead-letter-queues", "message ID, body and attributes stay"),
    check!(
        a_moved_message_keeps_its_time_of_sending,
        "sqs-dead-letter-queues",
        "on standard queues, for its retention"
    ),
    check!(a_moved_message_names_its_source, "API_ReceiveMessage", "DeadLetterQueueSourceArn"),
    check!(a_message_sent_by_hand_names_no_source, "API_ReceiveMessage", "DeadLetterQueueSourceArn is absent"),
    check!(a_policy_needs_a_queue_that_is_there, "API_SetQueueAttributes", "deadLetterTargetArn must exist"),
    check!(a_policy_needs_a_queue_of_the_same_type, "API_SetQueueAttributes", "a FIFO queue's must be FIFO"),
    check!(a_policy_counts_from_1_to_1000, "API_SetQueueAttributes", "maxReceiveCount, and both parts are needed"),
    check!(a_policy_is_shown, "API_GetQueueAttributes", "target and count, as JSON"),
    check!(a_queue_can_refuse_to_be_a_target, "API_SetQueueAttributes", "RedriveAllowPolicy denyAll"),
    check!(a_queue_can_choose_its_sources, "API_SetQueueAttributes", "RedriveAllowPolicy byQueue"),
    check!(sources_are_listed, "API_ListDeadLetterSourceQueues", "all queues whose policy names this one"),
];

async fn a_message_moves_after_too_many_receives(stand: Stand) -> Outcome {
    let (url, dlq) = stand.with_dlq(2).await?;
    stand.send(&url, "x").await?;
    stand.receive_for(&url, 1, 1).await?;
    stand.receive_for(&url, 1, 1).await?;
    let all = stand.attributes(&dlq).await?;
    same("before", all.get(&Name::ApproximateNumberOfMessages).map(String::as_str), Some("0"))?;
    pause(1.2).await;
    stand.is_empty(&url).await?;
    same("after", bodies(&stand.receive(&dlq, 1).await?), vec!["x"])
}

async fn a_moved_message_is_the_same_message(stand: Stand) -> Outcome {
    let (url, dlq) = stand.with_dlq(1).await?;
    let call = stand.sqs.send_message().queue_url(&url).message_body("x");
    let sent = call.message_attributes("tenant", text("String.id", "eu-1")).send().await?;
    stand.kill(&url, 1, 1).await?;
    let dead = stand.one(&dlq).await?;
    same("the ID", dead.message_id, sent.message_id)?;
    same("the digest of the attributes", dead.md5_of_message_attributes, sent.md5_of_message_attributes)?;
    same("the digest of the body", dead.md5_of_body, sent.md5_of_message_body)
}

async fn a_moved_message_keeps_its_time_of_sending(stand: Stand) -> Outcome {
    let (url, dlq) = stand.with_dlq(1).await?;
    stand.send(&url, "x").await?;
    let alive = stand.one(&url).await?;
    pause(1.2).await;
    stand.give_back(&url, &alive).await?;
    stand.is_empty(&url).await?;
    let dead = stand.one(&dlq).await?;
    same("the time", number(&dead, &System::SentTimestamp)?, number(&alive, &System::SentTimestamp)?)
}

async fn a_moved_message_names_its_source(stand: Stand) -> Outcome {
    let (url, dlq) = stand.with_dlq(1).await?;
    stand.send(&url, "x").await?;
    stand.kill(&url, 1, 1).await?;
    let dead = stand.one(&dlq).await?;
    same("the source", system(&dead, &System::DeadLetterQueueSourceArn), Some(stand.arn(&url).await?.as_str()))
}

async fn a_message_sent_by_hand_names_no_source(stand: Stand) -> Outcome {
    let (_, dlq) = stand.with_dlq(1).await?;
    stand.send(&dlq, "by hand").await?;
    same("the source", system(&stand.one(&dlq).await?, &System::DeadLetterQueueSourceArn), None)
}

async fn a_policy_needs_a_queue_that_is_there(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let arn = stand.arn(&url).await?.replace(&stand.name("q"), &stand.name("nowhere"));
    let set = stand.sqs.set_queue_attributes().queue_url(&url);
    refused!(set.attributes(Name::RedrivePolicy, policy(&arn, 3)));
    Ok(())
}

async fn a_policy_needs_a_queue_of_the_same_type(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let fifo = stand.arn(&stand.fifo("q", &[]).await?).await?;
    let set = stand.sqs.set_queue_attributes().queue_url(&url);
    refused!(set.attributes(Name::RedrivePolicy, policy(&fifo, 3)));
    Ok(())
}

async fn a_policy_counts_from_1_to_1000(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let dlq = stand.arn(&stand.queue("dlq", &[]).await?).await?;
    let set = |value: String| stand.sqs.set_queue_attributes().queue_url(&url).attributes(Name::RedrivePolicy, value);
    for bad in [policy(&dlq, 0), policy(&dlq, 1001), format!("{{\"deadLetterTargetArn\":\"{dlq}\"}}"), "[]".to_owned()]
    {
        let answer = set(bad.clone()).send().await;
        ensure!(answer.is_err(), "{bad} was taken");
    }
    set(policy(&dlq, 1000)).send().await?;
    set(policy(&dlq, 1)).send().await?;
    Ok(())
}

async fn a_policy_is_shown(stand: Stand) -> Outcome {
    let (url, dlq) = stand.with_dlq(7).await?;
    let all = stand.attributes(&url).await?;
    let shown: Value = serde_json::from_str(all.get(&Name::RedrivePolicy).map_or("", String::as_str))?;
    same("the target", shown["deadLetterTargetArn"].as_str(), Some(stand.arn(&dlq).await?.as_str()))?;
    let count = &shown["maxReceiveCount"];
    let count = count.as_str().map_or_else(|| count.to_string(), str::to_owned);
    same("the count", count.as_str(), "7")
}

async fn a_queue_can_refuse_to_be_a_target(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let deny = "{\"redrivePermission\":\"denyAll\"}";
    let dlq = stand.arn(&stand.queue("dlq", &[(Name::RedriveAllowPolicy, deny)]).await?).await?;
    let set = stand.sqs.set_queue_attributes().queue_url(&url);
    refused!(set.attributes(Name::RedrivePolicy, policy(&dlq, 3)));
    Ok(())
}

async fn a_queue_can_choose_its_sources(stand: Stand) -> Outcome {
    let (one, other) = (stand.queue("one", &[]).await?, stand.queue("other", &[]).await?);
    let chosen = stand.arn(&one).await?;
    let allow = format!("{{\"redrivePermission\":\"byQueue\",\"sourceQueueArns\":[\"{chosen}\"]}}");
    let dlq = stand.arn(&stand.queue("dlq", &[(Name::RedriveAllowPolicy, &allow)]).await?).await?;
    let set =
        |url: &str| stand.sqs.set_queue_attributes().queue_url(url).attributes(Name::RedrivePolicy, policy(&dlq, 3));
    set(&one).send().await?;
    refused!(set(&other));
    Ok(())
}

async fn sources_are_listed(stand: Stand) -> Outcome {
    let (url, dlq) = stand.with_dlq(3).await?;
    let policy = policy(&stand.arn(&dlq).await?, 5);
    let second = stand.queue("second", &[(Name::RedrivePolicy, &policy)]).await?;
    let listed = stand.sqs.list_dead_letter_source_queues().queue_url(&dlq).send().await?;
    same("the sources", sorted(listed.queue_urls), sorted(vec![url, second]))
}
