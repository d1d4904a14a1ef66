//! How much is read of an answer, whatever its server sends: one HTTP client for everything that goes out, the SDK's own calls
//! for credentials included. What is longer than any right answer breaks off, and is an answer that could not be read.
//!
//! How long an answer may take is bounded where the call is made, its body included.

use aws_sdk_sqs::config::http::HttpRequest;
use aws_sdk_sqs::config::{ConfigBag, RuntimeComponents};
use aws_sdk_sqs::error::BoxError;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;

/// The longest answer to any call but two. The longest right one is a page of a thousand queue URLs.
pub(super) const MOST: usize = 1 << 20;

/// The longest answer to a receive: ten messages of 1 MiB, each byte of which JSON may write as six (`\u0026`), and what comes
/// with them.
const MOST_RECEIVED: usize = 10 * 6 * (1 << 20) + MOST;

/// A client that bounds the answers of another one.
#[derive(Debug)]
pub(super) struct Bounded(SharedHttpClient);

impl Bounded {
    pub(super) fn new(client: SharedHttpClient) -> Self {
        Self(client)
    }
}

impl HttpClient for Bounded {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(BoundedConnector(self.0.http_connector(settings, components)))
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.validate_base_client_config(components, config)
    }

    fn validate_final_config(&self, components: &RuntimeComponents, config: &ConfigBag) -> Result<(), BoxError> {
        self.0.validate_final_config(components, config)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}

#[derive(Debug)]
struct BoundedConnector(SharedHttpConnector);

impl HttpConnector for BoundedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let most = most(&request);
        let call = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let mut answer = call.await?;
            // An error is short, whatever was asked for.
            if let Some(most) = if answer.status().is_success() { most } else { Some(MOST) } {
                let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
                *answer.body_mut() = SdkBody::from_body_1_x(Limited::new(body, most));
            }
            Ok(answer)
        })
    }
}

/// How long the answer to a request may be, where it succeeds; `None` where its reader bounds it.
fn most(request: &HttpRequest) -> Option<usize> {
    match request.headers().get("x-amz-target") {
        Some("AmazonSQS.ReceiveMessage") => Some(MOST_RECEIVED),
        None if request.method() == "GET" && request.uri().contains("x-id=GetObject") => None,
        _ => Some(MOST),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use redrive_protocol::message::ReceiptHandle;

    use super::super::canned::{Answer, serve};
    use super::super::{Access, Aws};
    use super::*;
    use crate::sqs::{CallError, Fault};

    /// What the sockets of both ends may hold that nobody has read.
    const IN_SOCKETS: usize = 24 << 20;

    const HEADS: [&str; 3] = [
        "HTTP/1.1 500 Internal Server Error\r\n\r\n",
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 536870912\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\n\r\n",
    ];

    /// A server whose answers never end, and how much of them was taken.
    async fn endless(head: &'static str) -> (Aws, Arc<AtomicUsize>) {
        let taken = Arc::new(AtomicUsize::new(0));
        (Aws::local(serve(Answer::Endless(head, Arc::clone(&taken))).await), taken)
    }

    fn assert_bounded(error: &CallError, fault: Fault, taken: &AtomicUsize, most: usize) {
        assert_eq!(error.fault, fault, "{error}");
        assert!(error.message.contains("longer than"), "{error}");
        let taken = taken.load(Ordering::Relaxed);
        assert!(taken <= most + IN_SOCKETS, "{taken} bytes were taken: {error}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_answer_without_end_is_read_as_far_as_a_right_one_could_go() {
        const URL: &str = "http://elsewhere.test/000000000000/orders";
        for head in HEADS {
            let succeeds = head.contains("200");
            let (aws, taken) = endless(head).await;
            let queue = aws.queue(URL, &Access::default()).await.unwrap();
            let error = queue.change_visibility(&[ReceiptHandle::new("r")], Duration::ZERO).await.unwrap_err();
            assert_bounded(&error, Fault::NoAnswer, &taken, MOST);

            let (aws, taken) = endless(head).await;
            let queue = aws.queue(URL, &Access::default()).await.unwrap();
            let error = queue.receive(10, Duration::ZERO, Duration::from_secs(30)).await.unwrap_err();
            assert_bounded(&error, Fault::NoAnswer, &taken, if succeeds { MOST_RECEIVED } else { MOST });

            let (aws, taken) = endless(head).await;
            let bucket = aws.bucket("archive", &Access::default()).await.unwrap();
            let error = bucket.get("k", 1000).await.unwrap_err();
            assert_bounded(&error, if succeeds { Fault::TooLong } else { Fault::NoAnswer }, &taken, MOST);
        }
    }

    #[tokio::test]
    async fn the_longest_answer_to_a_receive_is_read_whole() {
        // Ten messages of 1 MiB, whose every byte JSON writes as six.
        let body = "\\u0026".repeat(1 << 20);
        let digest = crate::md5::of_body(&"&".repeat(1 << 20));
        let message = |number: usize| {
            format!(r#"{{"MessageId":"m{number}","ReceiptHandle":"r","Body":"{body}","MD5OfBody":"{digest}"}}"#)
        };
        let messages: Vec<String> = (0..10).map(message).collect();
        let answer = Answer::json(&format!(r#"{{"Messages":[{}]}}"#, messages.join(",")));
        let aws = Aws::local(serve(answer).await);
        let queue = aws.queue("http://elsewhere.test/000000000000/orders", &Access::default()).await.unwrap();
        let received = queue.receive(10, Duration::ZERO, Duration::from_secs(30)).await.unwrap();
        assert_eq!(received.iter().map(|one| one.message.body.len()).collect::<Vec<_>>(), [1 << 20; 10]);
    }
}
