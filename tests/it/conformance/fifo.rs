//! FIFO queues: order, message groups, deduplication, and their dead-letter queues.

use aws_sdk_sqs::types::{
    MessageSystemAttributeName as System, QueueAttributeName as Name, SendMessageBatchRequestEntry,
};

use super::Check;
use super::stand::{Failure, Outcome, Stand, bodies, ensure, number, pause, policy, refused, same, sorted, system};

pub(super) const CHECKS: &[Check] = &[
    check!(a_group_keeps_its_order, "FIFO-queues-understanding-logic", "messages come as they were sent"),
    check!(a_group_is_blocked_while_in_flight, "FIFO-queues-understanding-logic", "no later message of it comes"),
    check!(
        what_is_in_front_is_not_held_back,
        "FIFO-queues-understanding-logic",
        "a message in flight holds back those behind it, not one before it"
    ),
    check!(other_groups_go_on, "FIFO-queues-understanding-logic", "a blocked group holds up no other"),
    check!(a_delete_unblocks_the_group, "FIFO-queues-understanding-logic", "the next message can be received"),
    check!(redelivery_keeps_the_order, "FIFO-queues-understanding-logic", "what comes back comes first"),
    check!(a_batch_keeps_its_order, "API_SendMessageBatch", "within a group"),
    check!(sequence_numbers_grow, "API_SendMessage", "20 digits, larger with each message"),
    check!(group_and_deduplication_id_are_shown, "API_ReceiveMessage", "and the sequence number that the send gave"),
    check!(
        a_repetition_is_taken_but_not_delivered,
        "using-messagededuplicationid-property",
        "success, and one message"
    ),
    check!(
        a_repetition_gets_the_first_answer,
        "FIFO-queues-exactly-once-processing",
        "message ID and sequence number of the first"
    ),
    check!(deduplication_outlives_the_delete, "using-messagededuplicationid-property", "within five minutes"),
    check!(deduplication_is_for_the_whole_queue, "high-throughput-fifo", "DeduplicationScope queue: across groups"),
    check!(deduplication_can_be_for_each_group, "high-throughput-fifo", "DeduplicationScope messageGroup"),
    check!(
        contents_can_be_the_deduplication_id,
        "FIFO-queues-exactly-once-processing",
        "ContentBasedDeduplication: SHA-256 of the body"
    ),
    check!(a_send_needs_a_group, "API_SendMessage", "MessageGroupId is required"),
    check!(a_send_needs_a_deduplication_id, "API_SendMessage", "unless the contents are it"),
    check!(
        a_batch_that_lacks_an_id_fails_as_a_whole,
        "API_SendMessageBatch",
        "and nothing is sent, as recorded at AWS; the page does not say"
    ),
    check!(
        a_purge_forgets_deduplication_ids,
        "API_PurgeQueue",
        "what was sent before may be sent again, as recorded at AWS; the page does not say"
    ),
    check!(a_send_has_no_delay_of_its_own, "API_SendMessage", "DelaySeconds is for the whole queue"),
    check!(bad_groups_are_refused, "using-messagegroupid-property", "letters, digits, punctuation, at most 128"),
    check!(a_fifo_queue_shows_that_it_is_one, "API_GetQueueAttributes", "FifoQueue and its like"),
    check!(a_fifo_queue_stays_one, "API_SetQueueAttributes", "FifoQueue cannot be changed"),
    check!(a_fifo_message_moves_to_its_dlq, "sqs-dead-letter-queues", "with ID and group, naming its source"),
    check!(a_fifo_dlq_replaces_the_deduplication_id, "sqs-dead-letter-queues", "by the message's original ID"),
];

async fn with(stand: &Stand, messages: &[(&str, &str)]) -> Result<String, Failure> {
    let url = stand.fifo("q", &[]).await?;
    for (group, body) in messages {
        stand.send_to(&url, group, body).await?;
    }
    Ok(url)
}

async fn a_group_keeps_its_order(stand: Stand) -> Outcome {
    let url = with(&stand, &[("g", "1"), ("g", "2"), ("g", "3"), ("g", "4")]).await?;
    let mut found = Vec::new();
    for _ in 0..8 {
        for message in stand.poll(&url, 60, 2).await? {
            stand.delete(&url, &message).await?;
            found.extend(message.body);
        }
        if found.len() >= 4 {
            break;
        }
    }
    same("the order", found.iter().map(String::as_str).collect(), vec!["1", "2", "3", "4"])
}

/// Receives one message only.
async fn first(stand: &Stand, url: &str) -> Result<aws_sdk_sqs::types::Message, Failure> {
    let call = stand.sqs.receive_message().queue_url(url).visibility_timeout(60).wait_time_seconds(5);
    let received = call.message_system_attribute_names(System::All).send().await?.messages.unwrap_or_default();
    received.into_iter().next().ok_or_else(|| Failure("nothing came".to_owned()))
}

async fn a_group_is_blocked_while_in_flight(stand: Stand) -> Outcome {
    let url = with(&stand, &[("g", "1"), ("g", "2")]).await?;
    same("the first", first(&stand, &url).await?.body.as_deref(), Some("1"))?;
    stand.is_empty(&url).await
}

async fn what_is_in_front_is_not_held_back(stand: Stand) -> Outcome {
    let url = with(&stand, &[("g", "1"), ("g", "2"), ("g", "3")]).await?;
    let all = stand.receive(&url, 3).await?;
    let front = all.iter().find(|message| message.body.as_deref() == Some("1"));
    stand.give_back(&url, front.ok_or_else(|| Failure("the first did not come".to_owned()))?).await?;
    same("what comes", bodies(&stand.poll(&url, 60, 2).await?), vec!["1"])
}

async fn a_batch_that_lacks_an_id_fails_as_a_whole(stand: Stand) -> Outcome {
    let url = stand.fifo("q", &[]).await?;
    let entry = |id: &str, group: Option<&str>, deduplication: Option<&str>| {
        let entry = SendMessageBatchRequestEntry::builder().id(id).message_body("x");
        let entry = entry.set_message_group_id(group.map(str::to_owned));
        entry.set_message_deduplication_id(deduplication.map(str::to_owned)).build().expect("an ID and a body")
    };
    for broken in [entry("b", None, Some("b")), entry("b", Some("g"), None)] {
        let batch = stand.sqs.send_message_batch().queue_url(&url);
        refused!(batch.entries(entry("a", Some("g"), Some("a"))).entries(broken));
    }
    stand.is_empty(&url).await
}

async fn a_purge_forgets_deduplication_ids(stand: Stand) -> Outcome {
    let url = with(&stand, &[("g", "1")]).await?;
    stand.sqs.purge_queue().queue_url(&url).send().await?;
    pause(1.0).await;
    stand.send_to(&url, "g", "1").await?;
    same("the first", first(&stand, &url).await?.body.as_deref(), Some("1"))
}

async fn other_groups_go_on(stand: Stand) -> Outcome {
    let url = with(&stand, &[("g", "1"), ("g", "2")]).await?;
    first(&stand, &url).await?;
    stand.send_to(&url, "h", "other").await?;
    same("the next", first(&stand, &url).await?.body.as_deref(), Some("other"))
}

async fn a_delete_unblocks_the_group(stand: Stand) -> Outcome {
    let url = with(&stand, &[("g", "1"), ("g", "2")]).await?;
    let message = first(&stand, &url).await?;
    stand.delete(&url, &message).await?;
    same("the next", first(&stand, &url).await?.body.as_deref(), Some("2"))
}

async fn redelivery_keeps_the_order(stand: Stand) -> Outcome {
    let url = with(&stand, &[("g", "1"), ("g", "2"), ("g", "3")]).await?;
    let message = first(&stand, &url).await?;
    stand.give_back(&url, &message).await?;
    same("the first again", first(&stand, &url).await?.body.as_deref(), Some("1"))
}

async fn a_batch_keeps_its_order(stand: Stand) -> Outcome {
    let url = stand.fifo("q", &[]).await?;
    let of = |number: usize| {
        let entry = SendMessageBatchRequestEntry::builder().id(format!("e{number}")).message_body(number.to_string());
        entry.message_group_id("g").message_deduplication_id(number.to_string()).build().expect("an ID and a body")
    };
    let batch = stand.sqs.send_message_batch().queue_url(&url).set_entries(Some((0..10).map(of).collect()));
    same("the messages", batch.send().await?.successful.len(), 10)?;
    let mut found = Vec::new();
    for _ in 0..12 {
        for message in stand.poll(&url, 60, 2).await? {
            stand.delete(&url, &message).await?;
            found.extend(message.body);
        }
        if found.len() >= 10 {
            break;
        }
    }
    same("the order", found, (0..10).map(|number| number.to_string()).collect())
}

async fn sequence_numbers_grow(stand: Stand) -> Outcome {
    let url = stand.fifo("q", &[]).await?;
    let mut numbers = Vec::new();
    for (group, body) in [("g", "1"), ("g", "2"), ("h", "3")] {
        let sent = stand.send_to(&url, group, body).await?;
        numbers.push(sent.sequence_number.unwrap_or_default());
    }
    ensure!(numbers.iter().all(|number| number.len() == 20), "{numbers:?} are not of 20 digits");
    ensure!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?} do not grow");
    Ok(())
}

async fn group_and_deduplication_id_are_shown(stand: Stand) -> Outcome {
    let url = stand.fifo("q", &[]).await?;
    let sent = stand.send_to(&url, "g", "x").await?;
    let message = stand.one(&url).await?;
    same("the group", system(&message, &System::MessageGroupId), Some("g"))?;
    same("the deduplication ID", system(&message, &System::MessageDeduplicationId), Some("x"))?;
    same("the sequence number", system(&message, &System::SequenceNumber), sent.sequence_number.as_deref())
}

async fn a_repetition_is_taken_but_not_delivered(stand: Stand) -> Outcome {
    let url = with(&stand, &[("g", "x"), ("g", "x"), ("g", "y")]).await?;
    let received = stand.receive(&url, 2).await?;
    same("the bodies", bodies(&received), vec!["x", "y"])
}

async fn a_repetition_gets_the_first_answer(stand: Stand) -> Outcome {
    let url = stand.fifo("q", &[]).await?;
    let first = stand.send_to(&url, "g", "x").await?;
    let second = stand.send_to(&url, "g", "x").await?;
    same("the message ID", second.message_id, first.message_id)?;
    same("the sequence number", second.sequence_number, first.sequence_number)
}

async fn deduplication_outlives_the_delete(stand: Stand) -> Outcome {
    let url = with(&stand, &[("g", "x")]).await?;
    let message = stand.one(&url).await?;
    stand.delete(&url, &message).await?;
    stand.send_to(&url, "g", "x").await?;
    stand.is_empty(&url).await
}

async fn deduplication_is_for_the_whole_queue(stand: Stand) -> Outcome {
    let url = with(&stand, &[("g", "x"), ("h", "x"), ("h", "y")]).await?;
    same("the bodies", sorted(bodies(&stand.receive(&url, 2).await?)), vec!["x", "y"])?;
    stand.is_empty(&url).await
}

async fn deduplication_can_be_for_each_group(stand: Stand) -> Outcome {
    let throughput = (Name::FifoThroughputLimit, "perMessageGroupId");
    let url = stand.fifo("q", &[(Name::DeduplicationScope, "messageGroup"), throughput]).await?;
    for group in ["g", "h", "g"] {
        stand.send_to(&url, group, "x").await?;
    }
    same("the bodies", bodies(&stand.receive(&url, 2).await?), vec!["x", "x"])?;
    stand.is_empty(&url).await
}

async fn contents_can_be_the_deduplication_id(stand: Stand) -> Outcome {
    let url = stand.fifo("q", &[(Name::ContentBasedDeduplication, "true")]).await?;
    for body in ["x", "x", "y"] {
        stand.sqs.send_message().queue_url(&url).message_body(body).message_group_id("g").send().await?;
    }
    let received = stand.receive(&url, 2).await?;
    same("the bodies", bodies(&received), vec!["x", "y"])?;
    let digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
    same("the SHA-256 of x", system(&received[0], &System::MessageDeduplicationId), Some(digest))
}

async fn a_send_needs_a_group(stand: Stand) -> Outcome {
    let url = stand.fifo("q", &[]).await?;
    refused!(stand.sqs.send_message().queue_url(&url).message_body("x").message_deduplication_id("d"));
    Ok(())
}

async fn a_send_needs_a_deduplication_id(stand: Stand) -> Outcome {
    let url = stand.fifo("q", &[]).await?;
    refused!(stand.sqs.send_message().queue_url(&url).message_body("x").message_group_id("g"));
    Ok(())
}

async fn a_send_has_no_delay_of_its_own(stand: Stand) -> Outcome {
    let url = stand.fifo("q", &[(Name::ContentBasedDeduplication, "true")]).await?;
    refused!(stand.sqs.send_message().queue_url(&url).message_body("x").message_group_id("g").delay_seconds(5));
    Ok(())
}

async fn bad_groups_are_refused(stand: Stand) -> Outcome {
    let url = stand.fifo("q", &[(Name::ContentBasedDeduplication, "true")]).await?;
    for group in ["a b", "\u{e4}", &"g".repeat(129)] {
        let sent = stand.sqs.send_message().queue_url(&url).message_body("x").message_group_id(group).send().await;
        ensure!(sent.is_err(), "the group {group} was taken");
    }
    let longest = stand.sqs.send_message().queue_url(&url).message_body("x").message_group_id("!".repeat(128));
    longest.send().await?;
    Ok(())
}

async fn a_fifo_queue_shows_that_it_is_one(stand: Stand) -> Outcome {
    let url = stand.fifo("q", &[]).await?;
    let all = stand.attributes(&url).await?;
    for (name, value) in [
        (Name::FifoQueue, "true"),
        (Name::ContentBasedDeduplication, "false"),
        (Name::DeduplicationScope, "queue"),
        (Name::FifoThroughputLimit, "perQueue"),
    ] {
        same(name.as_str(), all.get(&name).map(String::as_str), Some(value))?;
    }
    Ok(())
}

async fn a_fifo_queue_stays_one(stand: Stand) -> Outcome {
    let url = stand.fifo("q", &[]).await?;
    refused!(stand.sqs.set_queue_attributes().queue_url(&url).attributes(Name::FifoQueue, "false"));
    let standard = stand.queue("q", &[]).await?;
    refused!(stand.sqs.set_queue_attributes().queue_url(&standard).attributes(Name::FifoQueue, "true"));
    Ok(())
}

/// A FIFO queue and its dead-letter queue with one message from it: URL of both, and the message's ID.
async fn dead(stand: &Stand) -> Result<(String, String, Option<String>), Failure> {
    let dlq = stand.fifo("dlq", &[]).await?;
    let policy = policy(&stand.arn(&dlq).await?, 1);
    let url = stand.fifo("q", &[(Name::RedrivePolicy, &policy)]).await?;
    let sent = stand.send_to(&url, "g", "x").await?;
    stand.receive_for(&url, 1, 1).await?;
    pause(1.2).await;
    stand.is_empty(&url).await?;
    Ok((url, dlq, sent.message_id))
}

async fn a_fifo_message_moves_to_its_dlq(stand: Stand) -> Outcome {
    let (url, dlq, id) = dead(&stand).await?;
    let dead = stand.one(&dlq).await?;
    same("the ID", dead.message_id.clone(), id)?;
    same("the group", system(&dead, &System::MessageGroupId), Some("g"))?;
    same("the source", system(&dead, &System::DeadLetterQueueSourceArn), Some(stand.arn(&url).await?.as_str()))?;
    ensure!(number(&dead, &System::SequenceNumber)? > 0, "no sequence number");
    Ok(())
}

async fn a_fifo_dlq_replaces_the_deduplication_id(stand: Stand) -> Outcome {
    let (_, dlq, id) = dead(&stand).await?;
    same("the deduplication ID", system(&stand.one(&dlq).await?, &System::MessageDeduplicationId), id.as_deref())
}
