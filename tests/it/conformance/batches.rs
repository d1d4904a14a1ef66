//! Deletes, and batches: what is refused as a whole, and what fails by entry inside an answer that says success.

use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry as ChangeEntry,
    DeleteMessageBatchRequestEntry as DeleteEntry, SendMessageBatchRequestEntry,
};
use redrive::md5;

use super::Check;
use super::stand::{Failure, Outcome, Stand, bodies, ensure, entry, handle, pause, refused, same, sorted};

pub(super) const CHECKS: &[Check] = &[
    check!(a_deleted_message_does_not_come_back, "API_DeleteMessage", "not after its visibility timeout either"),
    check!(deletes_are_idempotent, "API_DeleteMessage", "the same handle again: success"),
    check!(an_older_handle_is_no_error, "API_DeleteMessage", "the request succeeds on a standard queue"),
    check!(a_handle_outlives_its_timeout, "API_DeleteMessage", "a late delete still deletes on a standard queue"),
    check!(a_made_up_handle_deletes_nothing, "API_DeleteMessage", "ReceiptHandleIsInvalid"),
    check!(ten_messages_go_in_one_batch, "API_SendMessageBatch", "each with its ID, its message ID and its MD5"),
    check!(an_empty_batch_is_refused, "API_SendMessageBatch", "EmptyBatchRequest"),
    check!(eleven_entries_are_refused, "API_SendMessageBatch", "TooManyEntriesInBatchRequest"),
    check!(entry_ids_must_be_distinct, "API_SendMessageBatch", "BatchEntryIdsNotDistinct"),
    check!(
        bad_entry_ids_are_refused,
        "API_SendMessageBatch",
        "InvalidBatchEntryId: letters, digits, - and _, at most 80"
    ),
    check!(a_batch_over_1_mib_is_refused, "API_SendMessageBatch", "BatchRequestTooLong, and nothing is sent"),
    check!(a_batch_of_1_mib_is_taken, "API_SendMessageBatch", "the total of all messages"),
    check!(one_bad_message_fails_alone, "API_SendMessageBatch", "the sender's fault, and the others are sent"),
    check!(one_bad_handle_fails_alone, "API_DeleteMessageBatch", "ReceiptHandleIsInvalid, the sender's fault"),
    check!(one_bad_change_fails_alone, "API_ChangeMessageVisibilityBatch", "by entry, the sender's fault"),
    check!(batches_of_handles_have_the_same_limits, "API_DeleteMessageBatch", "empty, eleven, and repeated IDs"),
];

async fn a_deleted_message_does_not_come_back(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    stand.send(&url, "x").await?;
    let message = stand.receive_for(&url, 1, 2).await?.remove(0);
    stand.delete(&url, &message).await?;
    pause(2.2).await;
    stand.is_empty(&url).await
}

async fn deletes_are_idempotent(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    stand.send(&url, "x").await?;
    let message = stand.one(&url).await?;
    stand.delete(&url, &message).await?;
    stand.delete(&url, &message).await
}

async fn an_older_handle_is_no_error(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    stand.send(&url, "x").await?;
    let message = stand.one(&url).await?;
    stand.give_back(&url, &message).await?;
    stand.one(&url).await?;
    stand.delete(&url, &message).await
}

async fn a_handle_outlives_its_timeout(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    stand.send(&url, "x").await?;
    let message = stand.receive_for(&url, 1, 1).await?.remove(0);
    pause(1.5).await;
    stand.delete(&url, &message).await?;
    stand.is_empty(&url).await
}

async fn a_made_up_handle_deletes_nothing(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let delete = stand.sqs.delete_message().queue_url(&url).receipt_handle("made-up");
    refused!(delete, is_receipt_handle_is_invalid);
    Ok(())
}

async fn ten_messages_go_in_one_batch(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let entries = (0..10).map(|number| entry(&format!("e-{number}_"), &format!("body {number}"))).collect();
    let answer = stand.sqs.send_message_batch().queue_url(&url).set_entries(Some(entries)).send().await?;
    same("the failures", answer.failed.len(), 0)?;
    let digests = answer.successful.iter().map(|done| (done.id.clone(), done.md5_of_message_body.clone())).collect();
    let expected: Vec<_> = (0..10).map(|n| (format!("e-{n}_"), md5::of_body(&format!("body {n}")))).collect();
    same("the digests", sorted(digests), expected)?;
    let received = stand.receive(&url, 10).await?;
    let ids = received.iter().filter_map(|message| message.message_id.clone()).collect();
    same("the IDs", sorted(ids), sorted(answer.successful.iter().map(|done| done.message_id.clone()).collect()))
}

async fn an_empty_batch_is_refused(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let batch = stand.sqs.send_message_batch().queue_url(&url).set_entries(Some(Vec::new()));
    refused!(batch, is_empty_batch_request);
    Ok(())
}

async fn eleven_entries_are_refused(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let eleven = (0..11).map(|number| entry(&number.to_string(), "x")).collect();
    let batch = stand.sqs.send_message_batch().queue_url(&url).set_entries(Some(eleven));
    refused!(batch, is_too_many_entries_in_batch_request);
    stand.is_empty(&url).await
}

async fn entry_ids_must_be_distinct(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let batch = stand.sqs.send_message_batch().queue_url(&url).entries(entry("a", "x")).entries(entry("a", "y"));
    refused!(batch, is_batch_entry_ids_not_distinct);
    stand.is_empty(&url).await
}

async fn bad_entry_ids_are_refused(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    for id in ["", "a b", "a.b", &"a".repeat(81)] {
        let batch = stand.sqs.send_message_batch().queue_url(&url).entries(entry(id, "x"));
        refused!(batch, is_invalid_batch_entry_id);
    }
    stand.sqs.send_message_batch().queue_url(&url).entries(entry(&"a".repeat(80), "x")).send().await?;
    Ok(())
}

fn halves(extra: usize) -> [SendMessageBatchRequestEntry; 2] {
    [entry("a", &"x".repeat(524_288)), entry("b", &"x".repeat(524_288 + extra))]
}

async fn a_batch_over_1_mib_is_refused(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let batch = stand.sqs.send_message_batch().queue_url(&url).set_entries(Some(halves(1).into()));
    refused!(batch, is_batch_request_too_long);
    stand.is_empty(&url).await
}

async fn a_batch_of_1_mib_is_taken(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let batch = stand.sqs.send_message_batch().queue_url(&url).set_entries(Some(halves(0).into()));
    same("the messages", batch.send().await?.successful.len(), 2)
}

/// The one failure of a batch of two, which is the sender's fault.
fn only_failure(failed: &[BatchResultErrorEntry], successful: usize) -> Result<&BatchResultErrorEntry, Failure> {
    same("the successes", successful, 1)?;
    let [only] = failed else { return Err(Failure(format!("{} entries failed", failed.len()))) };
    same("the failed entry", only.id.as_str(), "bad")?;
    ensure!(only.sender_fault, "{} is not called the sender's fault", only.code);
    Ok(only)
}

async fn one_bad_message_fails_alone(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let batch = stand.sqs.send_message_batch().queue_url(&url).entries(entry("bad", "a\u{1}b"));
    let answer = batch.entries(entry("good", "x")).send().await?;
    let failed = only_failure(&answer.failed, answer.successful.len())?;
    same("the code", failed.code.as_str(), "InvalidMessageContents")?;
    same("the bodies", bodies(&stand.receive(&url, 1).await?), vec!["x"])
}

async fn one_bad_handle_fails_alone(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    stand.send(&url, "x").await?;
    let message = stand.one(&url).await?;
    let of = |id: &str, handle: &str| DeleteEntry::builder().id(id).receipt_handle(handle).build();
    let batch = stand.sqs.delete_message_batch().queue_url(&url).entries(of("bad", "made-up")?);
    let answer = batch.entries(of("good", handle(&message))?).send().await?;
    let failed = only_failure(&answer.failed, answer.successful.len())?;
    same("the code", failed.code.as_str(), "ReceiptHandleIsInvalid")
}

async fn one_bad_change_fails_alone(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    stand.send(&url, "x").await?;
    let message = stand.one(&url).await?;
    let of =
        |id: &str, handle: &str| ChangeEntry::builder().id(id).receipt_handle(handle).visibility_timeout(0).build();
    let batch = stand.sqs.change_message_visibility_batch().queue_url(&url).entries(of("bad", "made-up")?);
    let answer = batch.entries(of("good", handle(&message))?).send().await?;
    only_failure(&answer.failed, answer.successful.len())?;
    same("the message", stand.one(&url).await?.message_id, message.message_id)
}

async fn batches_of_handles_have_the_same_limits(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let of = |id: &str| DeleteEntry::builder().id(id).receipt_handle("h").build().expect("an ID and a handle");
    let batch = |entries| stand.sqs.delete_message_batch().queue_url(&url).set_entries(Some(entries));
    refused!(batch(Vec::new()), is_empty_batch_request);
    let eleven = (0..11).map(|number| of(&number.to_string())).collect();
    refused!(batch(eleven), is_too_many_entries_in_batch_request);
    refused!(batch(vec![of("a"), of("a")]), is_batch_entry_ids_not_distinct);
    Ok(())
}
