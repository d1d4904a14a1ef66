//! Message move tasks: AWS's own redrive.

use aws_sdk_sqs::types::{ListMessageMoveTasksResultEntry as Task, MessageSystemAttributeName as System};

use super::Check;
use super::stand::{Failure, Outcome, Stand, bodies, ensure, number, pause, refused, same, sorted};

pub(super) const CHECKS: &[Check] = &[
    check!(a_task_moves_messages_to_their_source, "API_StartMessageMoveTask", "back to where they came from"),
    check!(a_moved_message_has_a_new_id, "sqs-configure-dead-letter-queue-redrive", "it is a new message"),
    check!(
        a_moved_message_has_a_new_time_of_sending,
        "sqs-configure-dead-letter-queue-redrive",
        "its retention begins anew"
    ),
    check!(a_task_can_have_another_destination, "API_StartMessageMoveTask", "DestinationArn"),
    check!(a_task_says_what_it_did, "API_ListMessageMoveTasks", "COMPLETED, moved and to move, source, times"),
    check!(
        only_a_dead_letter_queue_can_be_a_source,
        "API_StartMessageMoveTask",
        "SourceArn of another queue is refused"
    ),
    check!(a_source_that_is_missing_is_typed, "API_StartMessageMoveTask", "ResourceNotFoundException"),
    check!(one_task_at_a_time_for_a_source, "API_StartMessageMoveTask", "a second one is refused while one runs"),
    check!(a_task_keeps_to_its_velocity, "API_StartMessageMoveTask", "MaxNumberOfMessagesPerSecond"),
    check!(a_velocity_over_500_is_refused, "API_StartMessageMoveTask", "1 to 500"),
    check!(a_running_task_can_be_cancelled, "API_CancelMessageMoveTask", "what it has moved stays moved"),
    check!(a_task_that_ended_cannot_be_cancelled, "API_CancelMessageMoveTask", "ResourceNotFoundException"),
    check!(the_newest_task_is_listed, "API_ListMessageMoveTasks", "one without MaxResults, the newest first"),
    check!(
        a_message_without_a_source_fails_the_task,
        "sqs-configure-dead-letter-queue-redrive",
        "FAILED, CouldNotDetermineMessageSource"
    ),
];

/// A source queue, and its dead-letter queue with messages that came from it; the URLs of both.
async fn with_dead(stand: &Stand, count: usize) -> Result<(String, String), Failure> {
    let (url, dlq) = stand.with_dlq(1).await?;
    for number in 0..count {
        stand.send(&url, &number.to_string()).await?;
    }
    for _ in 0..count.div_ceil(10) + 2 {
        for message in stand.poll(&url, 20, 1).await? {
            stand.give_back(&url, &message).await?;
        }
    }
    stand.is_empty(&url).await?;
    Ok((url, dlq))
}

async fn start(stand: &Stand, dlq: &str) -> Result<Option<String>, Failure> {
    let arn = stand.arn(dlq).await?;
    Ok(stand.sqs.start_message_move_task().source_arn(arn).send().await?.task_handle)
}

async fn newest(stand: &Stand, dlq: &str) -> Result<Task, Failure> {
    let arn = stand.arn(dlq).await?;
    let listed = stand.sqs.list_message_move_tasks().source_arn(arn).send().await?;
    listed.results.unwrap_or_default().into_iter().next().ok_or_else(|| Failure("no task is listed".to_owned()))
}

/// The newest task, when it does not run any more.
async fn ended(stand: &Stand, dlq: &str) -> Result<Task, Failure> {
    for _ in 0..60 {
        let task = newest(stand, dlq).await?;
        if !matches!(task.status(), Some("RUNNING" | "CANCELLING")) {
            return Ok(task);
        }
        pause(0.5).await;
    }
    Err(Failure("the task did not end within half a minute".to_owned()))
}

async fn a_task_moves_messages_to_their_source(stand: Stand) -> Outcome {
    let (url, dlq) = with_dead(&stand, 12).await?;
    start(&stand, &dlq).await?;
    let moved = stand.receive(&url, 12).await?;
    let expected = (0..12).map(|number| number.to_string()).collect();
    same("the bodies", sorted(bodies(&moved)), sorted::<String>(expected).iter().map(String::as_str).collect())?;
    stand.is_empty(&dlq).await
}

async fn a_moved_message_has_a_new_id(stand: Stand) -> Outcome {
    let (url, dlq) = stand.with_dlq(1).await?;
    let sent = stand.send(&url, "x").await?;
    stand.kill(&url, 1, 1).await?;
    start(&stand, &dlq).await?;
    let moved = stand.one(&url).await?;
    ensure!(moved.message_id != sent.message_id, "it has its old ID");
    same("the body", moved.body.as_deref(), Some("x"))
}

async fn a_moved_message_has_a_new_time_of_sending(stand: Stand) -> Outcome {
    let (url, dlq) = stand.with_dlq(1).await?;
    stand.send(&url, "x").await?;
    let alive = stand.one(&url).await?;
    stand.give_back(&url, &alive).await?;
    stand.is_empty(&url).await?;
    pause(1.2).await;
    start(&stand, &dlq).await?;
    let moved = stand.one(&url).await?;
    let (old, new) = (number(&alive, &System::SentTimestamp)?, number(&moved, &System::SentTimestamp)?);
    ensure!(new >= old + 1_000, "sent at {new}, and before at {old}");
    Ok(())
}

async fn a_task_can_have_another_destination(stand: Stand) -> Outcome {
    let (url, dlq) = with_dead(&stand, 2).await?;
    let other = stand.queue("other", &[]).await?;
    let (from, to) = (stand.arn(&dlq).await?, stand.arn(&other).await?);
    stand.sqs.start_message_move_task().source_arn(from).destination_arn(to).send().await?;
    same("the bodies", sorted(bodies(&stand.receive(&other, 2).await?)), vec!["0", "1"])?;
    stand.is_empty(&url).await
}

async fn a_task_says_what_it_did(stand: Stand) -> Outcome {
    let (_, dlq) = with_dead(&stand, 3).await?;
    start(&stand, &dlq).await?;
    let task = ended(&stand, &dlq).await?;
    same("the status", task.status(), Some("COMPLETED"))?;
    same("moved", task.approximate_number_of_messages_moved(), 3)?;
    same("to move", task.approximate_number_of_messages_to_move(), Some(3))?;
    same("the source", task.source_arn(), Some(stand.arn(&dlq).await?.as_str()))?;
    same("the handle, of a task that does not run", task.task_handle(), None)?;
    let now = jiff::Timestamp::now().as_millisecond();
    ensure!((now - 120_000..=now + 5_000).contains(&task.started_timestamp()), "started {}", task.started_timestamp());
    Ok(())
}

async fn only_a_dead_letter_queue_can_be_a_source(stand: Stand) -> Outcome {
    let (url, _) = stand.with_dlq(1).await?;
    refused!(stand.sqs.start_message_move_task().source_arn(stand.arn(&url).await?));
    Ok(())
}

async fn a_source_that_is_missing_is_typed(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let arn = stand.arn(&url).await?.replace(&stand.name("q"), &stand.name("nowhere"));
    refused!(stand.sqs.start_message_move_task().source_arn(&arn), is_resource_not_found_exception);
    refused!(stand.sqs.list_message_move_tasks().source_arn(&arn), is_resource_not_found_exception);
    Ok(())
}

/// Starts a task that takes its time; gives its handle.
async fn slow(stand: &Stand, dlq: &str) -> Result<String, Failure> {
    let call = stand.sqs.start_message_move_task().source_arn(stand.arn(dlq).await?);
    let handle = call.max_number_of_messages_per_second(1).send().await?.task_handle;
    handle.ok_or_else(|| Failure("a task without a handle".to_owned()))
}

async fn one_task_at_a_time_for_a_source(stand: Stand) -> Outcome {
    let (_, dlq) = with_dead(&stand, 30).await?;
    slow(&stand, &dlq).await?;
    refused!(stand.sqs.start_message_move_task().source_arn(stand.arn(&dlq).await?));
    Ok(())
}

async fn a_task_keeps_to_its_velocity(stand: Stand) -> Outcome {
    let (_, dlq) = with_dead(&stand, 30).await?;
    slow(&stand, &dlq).await?;
    pause(2.5).await;
    let task = newest(&stand, &dlq).await?;
    let moved = task.approximate_number_of_messages_moved();
    same("the status", task.status(), Some("RUNNING"))?;
    same("the velocity", task.max_number_of_messages_per_second(), Some(1))?;
    ensure!(task.task_handle().is_some(), "a running task shows no handle");
    ensure!((0..30).contains(&moved), "{moved} messages were moved in seconds");
    Ok(())
}

async fn a_velocity_over_500_is_refused(stand: Stand) -> Outcome {
    let (_, dlq) = stand.with_dlq(1).await?;
    for rate in [0, 501] {
        let task = stand.sqs.start_message_move_task().source_arn(stand.arn(&dlq).await?);
        refused!(task.max_number_of_messages_per_second(rate));
    }
    Ok(())
}

async fn a_running_task_can_be_cancelled(stand: Stand) -> Outcome {
    let (_, dlq) = with_dead(&stand, 30).await?;
    let handle = slow(&stand, &dlq).await?;
    stand.sqs.cancel_message_move_task().task_handle(handle).send().await?;
    let task = ended(&stand, &dlq).await?;
    same("the status", task.status(), Some("CANCELLED"))?;
    let left = stand.receive(&dlq, 10).await?;
    ensure!(!left.is_empty(), "everything was moved");
    Ok(())
}

async fn a_task_that_ended_cannot_be_cancelled(stand: Stand) -> Outcome {
    let (_, dlq) = with_dead(&stand, 1).await?;
    let handle = start(&stand, &dlq).await?.unwrap_or_default();
    same("the status", ended(&stand, &dlq).await?.status(), Some("COMPLETED"))?;
    refused!(stand.sqs.cancel_message_move_task().task_handle(handle), is_resource_not_found_exception);
    Ok(())
}

async fn the_newest_task_is_listed(stand: Stand) -> Outcome {
    let (_, dlq) = stand.with_dlq(1).await?;
    let other = stand.arn(&stand.queue("other", &[]).await?).await?;
    start(&stand, &dlq).await?;
    ended(&stand, &dlq).await?;
    pause(1.1).await;
    let arn = stand.arn(&dlq).await?;
    stand.sqs.start_message_move_task().source_arn(&arn).destination_arn(&other).send().await?;
    let list = || stand.sqs.list_message_move_tasks().source_arn(&arn);
    let one = list().send().await?.results.unwrap_or_default();
    same("without a number", one.len(), 1)?;
    same("the newest", one[0].destination_arn(), Some(other.as_str()))?;
    same("with a number", list().max_results(10).send().await?.results.unwrap_or_default().len(), 2)
}

async fn a_message_without_a_source_fails_the_task(stand: Stand) -> Outcome {
    let (_, dlq) = stand.with_dlq(1).await?;
    stand.send(&dlq, "by hand").await?;
    start(&stand, &dlq).await?;
    let task = ended(&stand, &dlq).await?;
    same("the status", task.status(), Some("FAILED"))?;
    same("the reason", task.failure_reason(), Some("CouldNotDetermineMessageSource"))?;
    same("what stays", bodies(&stand.receive(&dlq, 1).await?), vec!["by hand"])
}
