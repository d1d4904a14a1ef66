//! A consumer of a queue: receives over HTTP as any does, deletes what it can process, and makes visible again what it cannot, so
//! that the queue's redrive policy moves it on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs::Client;
use tokio::task::JoinHandle;

use super::admin::Admin;
use super::stage::Stage;

/// Consumes until it is dropped.
pub(crate) struct Consumer {
    consuming: JoinHandle<()>,
    processed: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Consumer {
    /// Consumes a queue; `fails` says of a body whether it cannot be processed. `pause`: after each receive.
    pub(crate) fn start(stage: &Stage, queue: &str, pause: Duration, fails: fn(&str) -> bool) -> Self {
        let client = Admin::at(&stage.sandbox.endpoint_url()).sqs;
        let url = format!("{}/000000000000/{queue}", stage.sandbox.endpoint_url());
        let processed: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
        let consuming = tokio::spawn(consume(client, url, pause, fails, Arc::clone(&processed)));
        Self { consuming, processed }
    }

    /// How often it has processed each body.
    pub(crate) fn processed(&self) -> BTreeMap<String, u64> {
        self.processed.lock().expect("not poisoned").clone()
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.consuming.abort();
    }
}

async fn consume(
    client: Client,
    url: String,
    pause: Duration,
    fails: fn(&str) -> bool,
    processed: Arc<Mutex<BTreeMap<String, u64>>>,
) {
    loop {
        let received = client.receive_message().queue_url(&url).max_number_of_messages(10).wait_time_seconds(1);
        let messages = received.send().await.expect("received").messages.unwrap_or_default();
        for message in messages {
            let receipt = message.receipt_handle.expect("a receipt handle");
            let body = message.body.unwrap_or_default();
            if fails(&body) {
                let given_back = client.change_message_visibility().queue_url(&url).receipt_handle(receipt);
                given_back.visibility_timeout(0).send().await.expect("given back");
            } else {
                // Before it is gone: whoever sees the queue empty finds all of them counted.
                *processed.lock().expect("not poisoned").entry(body).or_default() += 1;
                client.delete_message().queue_url(&url).receipt_handle(receipt).send().await.expect("deleted");
            }
        }
        tokio::time::sleep(pause).await;
    }
}
