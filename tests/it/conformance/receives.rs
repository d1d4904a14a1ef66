//! Receiving: polling, what comes with a message, and how long it stays away from others.

use std::time::{Duration, Instant};

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName as System, QueueAttributeName as Name};
use redrive::md5;

use super::Check;
use super::stand::{Failure, Outcome, Stand, ensure, handle, number, pause, refused, same, sorted, system, text};

pub(super) const CHECKS: &[Check] = &[
    check!(the_first_receive_is_told, "API_ReceiveMessage", "count 1, times of sending and first receive in ms"),
    check!(the_receive_count_grows, "API_ReceiveMessage", "2 at the second receive; the first one's time stays"),
    check!(each_receive_has_a_new_handle, "sqs-queue-message-identifiers", "the same message, another receipt handle"),
    check!(system_attributes_come_only_when_asked_for, "API_ReceiveMessage", "those named, by either parameter"),
    check!(message_attributes_come_only_when_asked_for, "API_ReceiveMessage", "none without a name"),
    check!(message_attributes_are_chosen_by_name_and_prefix, "API_ReceiveMessage", "a name, `prefix.*`, `.*`"),
    check!(a_receive_gives_at_most_what_is_asked, "API_ReceiveMessage", "one without MaxNumberOfMessages"),
    check!(eleven_messages_at_once_are_refused, "API_ReceiveMessage", "1 to 10"),
    check!(a_wait_over_20_seconds_is_refused, "API_ReceiveMessage", "0 to 20"),
    check!(
        a_long_poll_answers_when_a_message_comes,
        "sqs-short-and-long-polling",
        "at once, not at the end of its wait"
    ),
    check!(a_long_poll_on_nothing_waits, "sqs-short-and-long-polling", "and comes back empty when its time is over"),
    check!(a_queues_own_wait_makes_a_poll_long, "API_SetQueueAttributes", "ReceiveMessageWaitTimeSeconds"),
    check!(a_wait_of_zero_goes_before_the_queues_own, "sqs-short-and-long-polling", "a short poll answers at once"),
    check!(a_received_message_is_invisible, "sqs-visibility-timeout", "to others, while its timeout runs"),
    check!(an_invisible_message_comes_back, "sqs-visibility-timeout", "after the receive's own timeout"),
    check!(a_queues_own_visibility_timeout_holds, "sqs-visibility-timeout", "where the receive names none"),
    check!(a_visibility_of_zero_hides_nothing, "API_ReceiveMessage", "the message can be received again at once"),
    check!(a_visibility_over_12_hours_is_refused, "API_ReceiveMessage", "0 to 43,200"),
    check!(a_timeout_can_be_ended, "API_ChangeMessageVisibility", "0 makes the message visible at once"),
    check!(a_timeout_can_be_extended, "API_ChangeMessageVisibility", "the message stays away longer"),
    check!(a_timeout_cannot_pass_12_hours_in_all, "API_ChangeMessageVisibility", "counted from the receive"),
    check!(
        a_change_after_the_timeout_is_no_error,
        "API_ChangeMessageVisibility",
        "while nobody has received it since, as recorded at AWS; the page has an error"
    ),
    check!(a_made_up_handle_has_no_timeout, "API_ChangeMessageVisibility", "ReceiptHandleIsInvalid"),
];

async fn the_first_receive_is_told(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let before = u64::try_from(jiff::Timestamp::now().as_millisecond())?;
    stand.send(&url, "x").await?;
    let message = stand.one(&url).await?;
    let (sent, first) =
        (number(&message, &System::SentTimestamp)?, number(&message, &System::ApproximateFirstReceiveTimestamp)?);
    // A server may count in whole seconds.
    ensure!((before - 1_000..before + 60_000).contains(&sent), "sent at {sent}, after {before}");
    ensure!(first + 1_000 >= sent && first < sent + 60_000, "first received at {first}, sent at {sent}");
    ensure!(system(&message, &System::SenderId).is_some_and(|id| !id.is_empty()), "SenderId is missing");
    same("the count", number(&message, &System::ApproximateReceiveCount)?, 1)
}

async fn the_receive_count_grows(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    stand.send(&url, "x").await?;
    let first = stand.one(&url).await?;
    pause(1.1).await;
    stand.give_back(&url, &first).await?;
    let second = stand.one(&url).await?;
    same("the count", number(&second, &System::ApproximateReceiveCount)?, 2)?;
    let at = |message| number(message, &System::ApproximateFirstReceiveTimestamp);
    same("the first receive", at(&second)?, at(&first)?)
}

async fn each_receive_has_a_new_handle(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    stand.send(&url, "x").await?;
    let first = stand.one(&url).await?;
    stand.give_back(&url, &first).await?;
    let second = stand.one(&url).await?;
    ensure!(handle(&first) != handle(&second), "the handle is the same");
    same("the message", second.message_id, first.message_id)
}

async fn system_attributes_come_only_when_asked_for(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    stand.send(&url, "x").await?;
    let receive = || stand.sqs.receive_message().queue_url(&url).visibility_timeout(0).wait_time_seconds(3);
    let newer = receive().message_system_attribute_names(System::SentTimestamp);
    #[expect(deprecated, reason = "the older name of the parameter, which clients still send")]
    let older = receive().attribute_names(Name::from("SentTimestamp"));
    for (call, expected) in [(newer, 1), (older, 1), (receive(), 0)] {
        let message = call.send().await?.messages.unwrap_or_default().pop();
        let shown = message.ok_or_else(|| Failure("nothing came".to_owned()))?.attributes.unwrap_or_default();
        same("the attributes", shown.len(), expected)?;
    }
    Ok(())
}

/// The names of the attributes that come with these patterns.
async fn named(stand: &Stand, url: &str, patterns: &[&str]) -> Result<Vec<String>, Failure> {
    let mut call = stand.sqs.receive_message().queue_url(url).visibility_timeout(0).wait_time_seconds(3);
    for pattern in patterns {
        call = call.message_attribute_names(*pattern);
    }
    let message = call.send().await?.messages.unwrap_or_default().pop();
    let message: Message = message.ok_or_else(|| Failure("nothing came".to_owned()))?;
    Ok(sorted(message.message_attributes.unwrap_or_default().into_keys().collect()))
}

async fn with_attributes(stand: &Stand) -> Result<String, Failure> {
    let url = stand.queue("q", &[]).await?;
    let call = stand.sqs.send_message().queue_url(&url).message_body("x");
    let call =
        call.message_attributes("trace.id", text("String", "1")).message_attributes("trace.b", text("String", "2"));
    call.message_attributes("tracer", text("String", "3"))
        .message_attributes("tenant", text("String", "4"))
        .send()
        .await?;
    Ok(url)
}

async fn message_attributes_come_only_when_asked_for(stand: Stand) -> Outcome {
    let url = with_attributes(&stand).await?;
    same("the names", named(&stand, &url, &[]).await?, Vec::new())?;
    same("the names", named(&stand, &url, &["All"]).await?.len(), 4)
}

async fn message_attributes_are_chosen_by_name_and_prefix(stand: Stand) -> Outcome {
    let url = with_attributes(&stand).await?;
    for (patterns, expected) in [
        (&["tenant"][..], &["tenant"][..]),
        (&["trace.*"], &["trace.b", "trace.id", "tracer"]),
        (&["trace.*", "tenant", "missing"], &["tenant", "trace.b", "trace.id", "tracer"]),
        (&[".*"], &["tenant", "trace.b", "trace.id", "tracer"]),
        (&["TENANT"], &[]),
    ] {
        let found = named(&stand, &url, patterns).await?;
        ensure!(found == expected, "{patterns:?} gave {found:?}");
    }
    let call = stand.sqs.receive_message().queue_url(&url).wait_time_seconds(3).message_attribute_names("tenant");
    let message = call.send().await?.messages.unwrap_or_default().pop();
    let attribute = redrive_protocol::message::Attribute::string("4");
    let expected = md5::of_attributes(&[("tenant".to_owned(), attribute)].into());
    same("the digest, of those that came", message.and_then(|message| message.md5_of_message_attributes), expected)
}

async fn a_receive_gives_at_most_what_is_asked(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    for number in 0..6 {
        stand.send(&url, &number.to_string()).await?;
    }
    let receive = || stand.sqs.receive_message().queue_url(&url).visibility_timeout(0).wait_time_seconds(3);
    same("without a number", receive().send().await?.messages().len(), 1)?;
    let four = receive().max_number_of_messages(4).send().await?;
    ensure!((1..=4).contains(&four.messages().len()), "{} of at most 4 came", four.messages().len());
    Ok(())
}

async fn eleven_messages_at_once_are_refused(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    for count in [0, 11] {
        refused!(stand.sqs.receive_message().queue_url(&url).max_number_of_messages(count));
    }
    Ok(())
}

async fn a_wait_over_20_seconds_is_refused(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    stand.send(&url, "x").await?;
    for seconds in [-1, 21] {
        refused!(stand.sqs.receive_message().queue_url(&url).wait_time_seconds(seconds));
    }
    Ok(())
}

async fn a_long_poll_answers_when_a_message_comes(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let waiting = tokio::spawn(stand.sqs.receive_message().queue_url(&url).wait_time_seconds(20).send());
    pause(1.5).await;
    stand.send(&url, "x").await?;
    let sent = Instant::now();
    same("the messages", waiting.await??.messages().len(), 1)?;
    ensure!(sent.elapsed() < Duration::from_secs(12), "it came {:?} after the send", sent.elapsed());
    Ok(())
}

async fn a_long_poll_on_nothing_waits(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let started = Instant::now();
    let empty = stand.sqs.receive_message().queue_url(&url).wait_time_seconds(2).send().await?;
    same("the messages", empty.messages().len(), 0)?;
    ensure!(started.elapsed() >= Duration::from_millis(1_800), "it came back after {:?}", started.elapsed());
    Ok(())
}

async fn a_queues_own_wait_makes_a_poll_long(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[(Name::ReceiveMessageWaitTimeSeconds, "2")]).await?;
    let started = Instant::now();
    stand.sqs.receive_message().queue_url(&url).send().await?;
    ensure!(started.elapsed() >= Duration::from_millis(1_800), "it came back after {:?}", started.elapsed());
    Ok(())
}

async fn a_wait_of_zero_goes_before_the_queues_own(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[(Name::ReceiveMessageWaitTimeSeconds, "20")]).await?;
    let started = Instant::now();
    stand.sqs.receive_message().queue_url(&url).wait_time_seconds(0).send().await?;
    ensure!(started.elapsed() < Duration::from_secs(15), "it came back after {:?}", started.elapsed());
    Ok(())
}

async fn a_received_message_is_invisible(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    stand.send(&url, "x").await?;
    stand.one(&url).await?;
    stand.is_empty(&url).await
}

async fn an_invisible_message_comes_back(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let sent = stand.send(&url, "x").await?;
    stand.receive_for(&url, 1, 2).await?;
    same("the message", stand.one(&url).await?.message_id, sent.message_id)
}

async fn a_queues_own_visibility_timeout_holds(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[(Name::VisibilityTimeout, "3")]).await?;
    stand.send(&url, "x").await?;
    let started = Instant::now();
    let receive = || stand.sqs.receive_message().queue_url(&url).wait_time_seconds(8).send();
    same("the messages", receive().await?.messages().len(), 1)?;
    same("the messages again", receive().await?.messages().len(), 1)?;
    ensure!(started.elapsed() >= Duration::from_secs(2), "it came again after {:?}", started.elapsed());
    Ok(())
}

async fn a_visibility_of_zero_hides_nothing(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    stand.send(&url, "x").await?;
    stand.receive_for(&url, 1, 0).await?;
    same("the count", number(&stand.one(&url).await?, &System::ApproximateReceiveCount)?, 2)
}

async fn a_visibility_over_12_hours_is_refused(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    stand.send(&url, "x").await?;
    for seconds in [-1, 43_201] {
        refused!(stand.sqs.receive_message().queue_url(&url).visibility_timeout(seconds));
        let message = stand.receive_for(&url, 1, 60).await?.remove(0);
        let change = stand.sqs.change_message_visibility().queue_url(&url).receipt_handle(handle(&message));
        refused!(change.visibility_timeout(seconds));
        stand.give_back(&url, &message).await?;
    }
    Ok(())
}

async fn a_timeout_can_be_ended(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    stand.send(&url, "x").await?;
    let message = stand.one(&url).await?;
    stand.give_back(&url, &message).await?;
    same("the message", stand.one(&url).await?.message_id, message.message_id)
}

async fn a_timeout_can_be_extended(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    stand.send(&url, "x").await?;
    let message = stand.receive_for(&url, 1, 3).await?.remove(0);
    let change = stand.sqs.change_message_visibility().queue_url(&url).receipt_handle(handle(&message));
    change.visibility_timeout(60).send().await?;
    pause(3.2).await;
    stand.is_empty(&url).await
}

async fn a_timeout_cannot_pass_12_hours_in_all(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    stand.send(&url, "x").await?;
    let message = stand.one(&url).await?;
    pause(2.1).await;
    let change = stand.sqs.change_message_visibility().queue_url(&url).receipt_handle(handle(&message));
    refused!(change.visibility_timeout(43_200));
    Ok(())
}

async fn a_change_after_the_timeout_is_no_error(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    stand.send(&url, "x").await?;
    let message = stand.one(&url).await?;
    stand.give_back(&url, &message).await?;
    let change = stand.sqs.change_message_visibility().queue_url(&url).receipt_handle(handle(&message));
    change.visibility_timeout(30).send().await?;
    Ok(())
}

async fn a_made_up_handle_has_no_timeout(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let change = stand.sqs.change_message_visibility().queue_url(&url).receipt_handle("made-up");
    refused!(change.visibility_timeout(30), is_receipt_handle_is_invalid);
    Ok(())
}
