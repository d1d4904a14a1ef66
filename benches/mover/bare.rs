//! The least that the SDK can do: each worker receives, sends and deletes in tens. No journal, no rules, no look at what an
//! answer says; what redrive adds is measured against this.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, SendMessageBatchRequestEntry};

/// Moves so many messages with so many workers.
pub(crate) fn run(endpoint: &str, from: &str, to: &str, messages: usize, workers: usize) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .endpoint_url(endpoint)
            .credentials_provider(Credentials::new("bench", "bench", None, None, "bench"))
            .build();
        let client = aws_sdk_sqs::Client::from_conf(config);
        let url = |queue: &str| format!("{endpoint}/000000000000/{queue}");
        let left = Arc::new(AtomicUsize::new(messages));
        let workers: Vec<_> =
            (0..workers).map(|_| tokio::spawn(work(client.clone(), url(from), url(to), Arc::clone(&left)))).collect();
        for worker in workers {
            worker.await.expect("a worker ends");
        }
    });
}

async fn work(client: aws_sdk_sqs::Client, from: String, to: String, left: Arc<AtomicUsize>) {
    while left.load(Ordering::Relaxed) > 0 {
        let received = client
            .receive_message()
            .queue_url(&from)
            .max_number_of_messages(10)
            .wait_time_seconds(1)
            .visibility_timeout(300)
            .message_attribute_names("All")
            .message_system_attribute_names("All".into())
            .send()
            .await
            .expect("a receive");
        let messages = received.messages.unwrap_or_default();
        if messages.is_empty() {
            continue;
        }
        let count = messages.len();
        let (mut sends, mut deletes) = (Vec::new(), Vec::new());
        for (index, message) in messages.into_iter().enumerate() {
            let send = SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .set_message_body(message.body)
                .set_message_attributes(message.message_attributes);
            sends.push(send.build().expect("an entry"));
            let delete = DeleteMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .set_receipt_handle(message.receipt_handle);
            deletes.push(delete.build().expect("an entry"));
        }
        client.send_message_batch().queue_url(&to).set_entries(Some(sends)).send().await.expect("a send");
        client.delete_message_batch().queue_url(&from).set_entries(Some(deletes)).send().await.expect("a delete");
        left.fetch_sub(count, Ordering::Relaxed);
    }
}
