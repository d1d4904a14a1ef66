//! The sandbox driven over HTTP by the official SDKs, which know nothing of it, and by raw bytes, which no SDK would send.

mod faults;
mod fifo;
mod hostile;
mod objects;
mod policies;
mod query;
mod queues;
mod raw;
mod readme;
mod signatures;
mod standard;
mod tasks;
mod uploads;

use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry};

use super::{Options, Sandbox};

/// A sandbox, and a client of each service that retries nothing.
struct Stage {
    sandbox: Sandbox,
    sqs: aws_sdk_sqs::Client,
    s3: aws_sdk_s3::Client,
}

impl Stage {
    async fn new() -> Self {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> Self {
        let sandbox = Sandbox::start(options).await.unwrap();
        Self::of(sandbox, "tester", "secret")
    }

    /// Clients with this key.
    fn of(sandbox: Sandbox, access_key: &str, secret_key: &str) -> Self {
        let credentials = aws_sdk_sqs::config::Credentials::new(access_key, secret_key, None, None, "test");
        let sqs = aws_sdk_sqs::Config::builder()
            .behavior_version_latest()
            .region(aws_sdk_sqs::config::Region::new("eu-west-1"))
            .credentials_provider(credentials.clone())
            .endpoint_url(sandbox.endpoint_url())
            .retry_config(RetryConfig::disabled())
            .build();
        let s3 = aws_sdk_s3::Config::builder()
            .behavior_version_latest()
            .region(aws_sdk_s3::config::Region::new("eu-west-1"))
            .credentials_provider(credentials)
            .endpoint_url(sandbox.endpoint_url())
            .force_path_style(true)
            .retry_config(RetryConfig::disabled())
            .build();
        Self { sandbox, sqs: aws_sdk_sqs::Client::from_conf(sqs), s3: aws_sdk_s3::Client::from_conf(s3) }
    }

    async fn queue(&self, name: &str, attributes: &[(QueueAttributeName, &str)]) -> String {
        let mut request = self.sqs.create_queue().queue_name(name);
        for (attribute, value) in attributes {
            request = request.attributes(attribute.clone(), *value);
        }
        request.send().await.unwrap().queue_url.unwrap()
    }

    async fn send(&self, url: &str, body: &str) -> String {
        self.sqs.send_message().queue_url(url).message_body(body).send().await.unwrap().message_id.unwrap()
    }

    /// A long poll for up to ten messages with everything.
    async fn receive(&self, url: &str) -> Vec<aws_sdk_sqs::types::Message> {
        self.receive_for(url, 30).await
    }

    async fn receive_for(&self, url: &str, visibility: i32) -> Vec<aws_sdk_sqs::types::Message> {
        self.sqs
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(10)
            .wait_time_seconds(1)
            .visibility_timeout(visibility)
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .send()
            .await
            .unwrap()
            .messages
            .unwrap_or_default()
    }

    /// Waits out a second and some, by the sandbox's clock.
    fn wait(&self, seconds: u64) {
        self.sandbox.advance(Duration::from_secs(seconds));
    }
}

fn entry(id: &str, body: &str) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().unwrap()
}

fn bodies(messages: &[aws_sdk_sqs::types::Message]) -> Vec<&str> {
    messages.iter().filter_map(|message| message.body.as_deref()).collect()
}
