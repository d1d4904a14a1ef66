//! Giving sampled messages back: visibility timeout 0 for every receipt handle, whatever happened before; or, in the midst of a
//! long scan, holding them for longer. It never fails; it counts what it could not give back, for SQS shows those again by
//! itself when their visibility timeout ends.

use std::sync::Arc;
use std::time::Duration;

use redrive_protocol::message::ReceiptHandle;
use tokio::task::JoinSet;

use super::sample::backoff;
use crate::sqs::{EntryFaultKind, MAX_BATCH, Queue};

/// How often one batch is tried.
const ATTEMPTS: u32 = 6;

/// Batches under way at once.
const CONCURRENCY: usize = 16;

/// Makes every message visible after `timeout`, zero being at once, and returns of how many that failed. `pause` is the first
/// wait before a retry.
pub(super) async fn give_back(
    queue: &Arc<dyn Queue>,
    receipts: Vec<ReceiptHandle>,
    timeout: Duration,
    pause: Duration,
) -> u64 {
    let mut not_given_back = 0;
    let mut batches = JoinSet::new();
    for batch in receipts.chunks(MAX_BATCH) {
        if batches.len() == CONCURRENCY {
            not_given_back += joined(batches.join_next().await);
        }
        batches.spawn(give_back_batch(Arc::clone(queue), batch.to_vec(), timeout, pause));
    }
    while !batches.is_empty() {
        not_given_back += joined(batches.join_next().await);
    }
    not_given_back
}

/// A batch whose task died is counted as not given back: nobody knows better.
fn joined(batch: Option<Result<u64, tokio::task::JoinError>>) -> u64 {
    batch.map_or(0, |count| count.unwrap_or(MAX_BATCH as u64))
}

async fn give_back_batch(
    queue: Arc<dyn Queue>,
    mut left: Vec<ReceiptHandle>,
    timeout: Duration,
    pause: Duration,
) -> u64 {
    let mut refused = 0;
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            tokio::time::sleep(backoff(pause, attempt - 1)).await;
        }
        match queue.change_visibility(&left, timeout).await {
            Ok(answers) => {
                // An entry without an answer is as open as one the service failed on.
                let mut again = left.split_off(answers.len().min(left.len()));
                for (receipt, answer) in left.drain(..).zip(answers) {
                    match answer {
                        Ok(()) => {}
                        // Its visibility timeout is over: it is visible already, which is all that was wanted.
                        Err(fault) if fault.code.ends_with("MessageNotInflight") => {}
                        Err(fault) if fault.kind == EntryFaultKind::Service => again.push(receipt),
                        Err(_) => refused += 1,
                    }
                }
                left = again;
            }
            // Setting a timeout twice does no harm, so a lost answer may be tried again too.
            Err(error) if error.fault.is_transient() => {}
            Err(_) => break,
        }
        if left.is_empty() {
            break;
        }
    }
    refused + left.len() as u64
}

#[cfg(test)]
mod tests {
    use super::super::fake::{FakeQueue, call_error, entry_fault};
    use super::*;
    use crate::sqs::Fault;

    async fn take(fake: &Arc<FakeQueue>, count: usize) -> Vec<ReceiptHandle> {
        let mut receipts = Vec::new();
        while receipts.len() < count {
            let batch = fake.receive(10, Duration::ZERO, Duration::from_mins(1)).await.expect("no fault is set");
            assert!(!batch.is_empty());
            receipts.extend(batch.into_iter().map(|received| received.receipt));
        }
        receipts
    }

    async fn give(fake: &Arc<FakeQueue>, receipts: Vec<ReceiptHandle>) -> u64 {
        let queue: Arc<dyn Queue> = Arc::clone(fake) as Arc<dyn Queue>;
        give_back(&queue, receipts, Duration::ZERO, Duration::ZERO).await
    }

    #[tokio::test]
    async fn transient_faults_and_partial_failures_are_tried_again() {
        let fake = FakeQueue::filled(35);
        let receipts = take(&fake, 35).await;
        fake.fail_change(call_error(Fault::Throttled));
        fake.fail_change(call_error(Fault::NoAnswer));
        fake.fail_change_entry(3, entry_fault(EntryFaultKind::Service, "InternalError"));
        assert_eq!(give(&fake, receipts).await, 0);
        assert_eq!((fake.visible(), fake.in_flight()), (35, 0));
    }

    #[tokio::test]
    async fn what_is_refused_is_counted_and_the_rest_given_back() {
        let fake = FakeQueue::filled(20);
        let receipts = take(&fake, 20).await;
        fake.fail_change_entry(0, entry_fault(EntryFaultKind::Sender, "ReceiptHandleIsInvalid"));
        assert_eq!(give(&fake, receipts).await, 1);
        assert_eq!(fake.visible(), 19);
    }

    #[tokio::test]
    async fn a_message_that_is_visible_already_counts_as_given_back() {
        let fake = FakeQueue::filled(2);
        let receipts = take(&fake, 2).await;
        fake.fail_change_entry(1, entry_fault(EntryFaultKind::Sender, "AWS.SimpleQueueService.MessageNotInflight"));
        assert_eq!(give(&fake, receipts).await, 0);
    }

    #[tokio::test]
    async fn a_service_that_stays_down_is_given_up() {
        let fake = FakeQueue::filled(12);
        let receipts = take(&fake, 12).await;
        for _ in 0..2 * ATTEMPTS {
            fake.fail_change(call_error(Fault::Unreachable));
        }
        assert_eq!(give(&fake, receipts).await, 12);
    }

    #[tokio::test]
    async fn a_permanent_fault_is_not_tried_again() {
        let fake = FakeQueue::filled(4);
        let receipts = take(&fake, 4).await;
        fake.fail_change(call_error(Fault::Denied));
        assert_eq!(give(&fake, receipts).await, 4);
        assert_eq!(fake.calls("ChangeMessageVisibilityBatch"), 1);
    }
}
