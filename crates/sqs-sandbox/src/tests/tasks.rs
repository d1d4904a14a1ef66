//! Message move tasks.

use std::time::Duration;

use aws_sdk_sqs::types::{MessageSystemAttributeName as System, QueueAttributeName as Name};

use super::Stage;
use crate::Seed;

const DLQ: &str = "arn:aws:sqs:eu-west-1:000000000000:dlq";
const ORDERS: &str = "arn:aws:sqs:eu-west-1:000000000000:orders";

async fn stage() -> (Stage, String) {
    let stage = Stage::new().await;
    stage.queue("dlq", &[]).await;
    let policy = format!(r#"{{"deadLetterTargetArn":"{DLQ}","maxReceiveCount":1}}"#);
    let orders = stage.queue("orders", &[(Name::RedrivePolicy, &policy)]).await;
    (stage, orders)
}

async fn ended(stage: &Stage) -> aws_sdk_sqs::types::ListMessageMoveTasksResultEntry {
    for _ in 0..100 {
        let tasks = stage.sqs.list_message_move_tasks().source_arn(DLQ).send().await.unwrap();
        let task = tasks.results()[0].clone();
        if !matches!(task.status(), Some("RUNNING" | "CANCELLING")) {
            return task;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the task does not end");
}

fn from_orders(body: &str) -> Seed {
    Seed { source_arn: Some(ORDERS.to_owned()), receive_count: 3, ..Seed::new(body) }
}

#[tokio::test]
async fn a_task_moves_messages_back_under_new_ids() {
    let (stage, orders) = stage().await;
    let ids = stage.sandbox.seed("dlq", ["a", "b", "c"].map(from_orders)).unwrap();
    let started = stage.sqs.start_message_move_task().source_arn(DLQ).send().await.unwrap();
    assert!(started.task_handle.is_some());
    let task = ended(&stage).await;
    assert_eq!(task.status(), Some("COMPLETED"));
    assert_eq!(task.approximate_number_of_messages_moved(), 3);
    assert!(task.task_handle().is_none());
    let moved = stage.receive(&orders).await;
    assert_eq!(moved.len(), 3);
    for message in moved {
        assert!(!ids.contains(&message.message_id.unwrap()), "a move task gives new IDs");
        let system = message.attributes.unwrap();
        assert_eq!(system[&System::ApproximateReceiveCount], "1");
        assert!(!system.contains_key(&System::DeadLetterQueueSourceArn));
    }
}

#[tokio::test]
async fn a_message_that_came_by_no_dead_letter_queue_ends_the_task() {
    let (stage, _) = stage().await;
    stage.sandbox.seed("dlq", [Seed::new("by hand")]).unwrap();
    stage.sqs.start_message_move_task().source_arn(DLQ).send().await.unwrap();
    let task = ended(&stage).await;
    assert_eq!(task.status(), Some("FAILED"));
    assert_eq!(task.failure_reason(), Some("CouldNotDetermineMessageSource"));
    assert_eq!(stage.sandbox.queue("dlq").unwrap().messages.len(), 1, "it stays");
    stage.queue("elsewhere", &[]).await;
    let custom = "arn:aws:sqs:eu-west-1:000000000000:elsewhere";
    stage.sqs.start_message_move_task().source_arn(DLQ).destination_arn(custom).send().await.unwrap();
    assert_eq!(ended(&stage).await.status(), Some("COMPLETED"));
    assert_eq!(stage.sandbox.queue("elsewhere").unwrap().messages.len(), 1);
}

#[tokio::test]
async fn a_task_keeps_its_pace_is_alone_and_can_be_cancelled() {
    let (stage, _) = stage().await;
    stage.sandbox.seed("dlq", (0..50).map(|number| from_orders(&number.to_string()))).unwrap();
    let start = || stage.sqs.start_message_move_task().source_arn(DLQ).max_number_of_messages_per_second(5).send();
    let handle = start().await.unwrap().task_handle.unwrap();
    assert!(start().await.is_err(), "one at a time");
    tokio::time::sleep(Duration::from_millis(700)).await;
    let cancel = || stage.sqs.cancel_message_move_task().task_handle(&handle).send();
    let moved = cancel().await.unwrap().approximate_number_of_messages_moved();
    assert!((1..20).contains(&moved), "{moved}");
    assert_eq!(ended(&stage).await.status(), Some("CANCELLED"));
    assert!(cancel().await.unwrap_err().into_service_error().is_resource_not_found_exception());
}

#[tokio::test]
async fn only_a_dead_letter_queue_can_be_a_source() {
    let (stage, _) = stage().await;
    assert!(stage.sqs.start_message_move_task().source_arn(ORDERS).send().await.is_err());
    let missing = stage.sqs.start_message_move_task().source_arn(format!("{ORDERS}-not")).send().await;
    assert!(missing.unwrap_err().into_service_error().is_resource_not_found_exception());
}
