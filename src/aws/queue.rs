//! One SQS queue through the SDK: the calls of the seam, each one request, each bounded in time. Those that only look are repeated.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::Client;

use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageSystemAttributeName,
    QueueAttributeName,
};
use redrive_protocol::message::{Outgoing, ReceiptHandle, Received};

use super::answer::{ANSWER, within};
use super::fault::Site;
use super::{attributes, entries};
use crate::retry::Retries;
use crate::sqs::{
    Acknowledged, CallError, EntryFault, Fault, MAX_BATCH, MAX_VISIBILITY, MoveTask, Queue, QueueAttributes,
};
use redrive_protocol::protocol::Sent;

/// The longest that a receive may wait for a message.
const MAX_WAIT: Duration = Duration::from_secs(20);

/// One queue.
#[derive(Clone)]
pub(super) struct SqsQueue {
    pub(super) client: Client,
    pub(super) url: String,
    pub(super) region: String,
    pub(super) site: Site,
    pub(super) retries: Arc<Retries>,
}

impl fmt::Debug for SqsQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqsQueue({})", self.url)
    }
}

#[async_trait]
impl Queue for SqsQueue {
    fn url(&self) -> &str {
        &self.url
    }

    async fn attributes(&self) -> Result<QueueAttributes, CallError> {
        const ACTION: &str = "GetQueueAttributes";
        let call = || {
            let call = self.client.get_queue_attributes().queue_url(&self.url).attribute_names(QueueAttributeName::All);
            async {
                let answer = within(&self.site, ACTION, ANSWER, call.send()).await?;
                // Every queue has attributes, and all of them were asked for.
                let said = answer.attributes.filter(|said| !said.is_empty());
                said.ok_or_else(|| self.site.unreadable(ACTION, "the answer has no attributes"))
            }
        };
        let said = self.retries.repeat(call).await?;
        attributes::read(&said, &self.url, &self.region)
            .map_err(|message| self.site.error(Fault::Refused, ACTION, None, message))
    }

    async fn dead_letter_sources(&self) -> Result<Vec<String>, CallError> {
        const ACTION: &str = "ListDeadLetterSourceQueues";
        const PAGE: i32 = 1000;
        let mut urls = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let call = || {
                let call = self.client.list_dead_letter_source_queues().queue_url(&self.url).max_results(PAGE);
                within(&self.site, ACTION, ANSWER, call.set_next_token(token.clone()).send())
            };
            let answer = self.retries.repeat(call).await?;
            urls.extend(answer.queue_urls);
            match answer.next_token.filter(|next| !next.is_empty()) {
                None => return Ok(urls),
                // A server that hands out the same page for ever must not keep us for ever.
                Some(next) if token.as_ref() == Some(&next) => {
                    return Err(self.site.unreadable(ACTION, "the answer's next page is the page itself"));
                }
                next => token = next,
            }
        }
    }

    async fn move_task(&self, arn: &str) -> Result<Option<MoveTask>, CallError> {
        const ACTION: &str = "ListMessageMoveTasks";
        // One at a time is at work on a queue, and the newest is listed first.
        let call = || {
            let call = self.client.list_message_move_tasks().source_arn(arn).max_results(1);
            within(&self.site, ACTION, ANSWER, call.send())
        };
        let newest = self.retries.repeat(call).await?.results.unwrap_or_default().into_iter().next();
        let at_work = newest.filter(|task| matches!(task.status.as_deref(), Some("RUNNING" | "CANCELLING")));
        Ok(at_work.map(|task| MoveTask {
            moved: u64::try_from(task.approximate_number_of_messages_moved).unwrap_or(0),
            to_move: task.approximate_number_of_messages_to_move.and_then(|to_move| u64::try_from(to_move).ok()),
        }))
    }

    async fn receive(&self, max: usize, wait: Duration, visibility: Duration) -> Result<Vec<Received>, CallError> {
        const ACTION: &str = "ReceiveMessage";
        let wait = wait.min(MAX_WAIT);
        let call = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(i32::try_from(max.clamp(1, MAX_BATCH)).unwrap_or(1))
            .wait_time_seconds(whole_seconds(wait))
            .visibility_timeout(whole_seconds(visibility.min(MAX_VISIBILITY)))
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .send();
        let answer = within(&self.site, ACTION, wait + ANSWER, call).await?;
        // One message that cannot be trusted fails the receive: to leave it out in silence would lose sight of it. All of
        // them become visible again by themselves.
        let messages = entries::received(answer.messages.unwrap_or_default());
        messages.map_err(|message| self.site.unreadable(ACTION, message))
    }

    async fn send(&self, messages: &[Outgoing]) -> Result<Vec<Result<Acknowledged, EntryFault>>, CallError> {
        const ACTION: &str = "SendMessageBatch";
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let batch = messages.iter().enumerate().map(|(position, message)| entries::outgoing(position, message));
        let batch: Vec<_> = batch.collect::<Result<_, _>>().map_err(|error| self.unmade(ACTION, &error))?;
        let call = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(batch)).send();
        let answer = within(&self.site, ACTION, ANSWER, call).await?;
        Ok(entries::by_position(
            messages.len(),
            answer.successful,
            answer.failed,
            |entry| &entry.id,
            |position, entry| entries::acknowledged(&messages[position], entry),
        ))
    }

    async fn delete(&self, messages: &[Sent]) -> Result<Vec<Result<(), EntryFault>>, CallError> {
        const ACTION: &str = "DeleteMessageBatch";
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let entry = |(position, sent): (usize, &Sent)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(position.to_string())
                .receipt_handle(sent.receipt().as_str())
                .build()
        };
        let batch = messages.iter().enumerate().map(entry).collect::<Result<_, _>>();
        let batch = batch.map_err(|error| self.unmade(ACTION, &error))?;
        let call = self.client.delete_message_batch().queue_url(&self.url).set_entries(Some(batch)).send();
        let answer = within(&self.site, ACTION, ANSWER, call).await?;
        Ok(entries::by_position(messages.len(), answer.successful, answer.failed, |entry| &entry.id, |_, _| Ok(())))
    }

    async fn change_visibility(
        &self,
        handles: &[ReceiptHandle],
        timeout: Duration,
    ) -> Result<Vec<Result<(), EntryFault>>, CallError> {
        const ACTION: &str = "ChangeMessageVisibilityBatch";
        if handles.is_empty() {
            return Ok(Vec::new());
        }
        let seconds = whole_seconds(timeout.min(MAX_VISIBILITY));
        let entry = |(position, handle): (usize, &ReceiptHandle)| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(position.to_string())
                .receipt_handle(handle.as_str())
                .visibility_timeout(seconds)
                .build()
        };
        let batch = handles.iter().enumerate().map(entry).collect::<Result<_, _>>();
        let batch = batch.map_err(|error| self.unmade(ACTION, &error))?;
        let call = self.client.change_message_visibility_batch().queue_url(&self.url).set_entries(Some(batch)).send();
        let answer = within(&self.site, ACTION, ANSWER, call).await?;
        Ok(entries::by_position(handles.len(), answer.successful, answer.failed, |entry| &entry.id, |_, _| Ok(())))
    }
}

impl SqsQueue {
    fn unmade(&self, action: &'static str, error: &aws_sdk_sqs::error::BuildError) -> CallError {
        self.site.error(Fault::Refused, action, None, format!("the request could not be made: {error}"))
    }
}

/// SQS counts whole seconds. Rounded up: a message that stays invisible too short would come twice.
fn whole_seconds(duration: Duration) -> i32 {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::config::http::HttpResponse;
    use aws_sdk_sqs::error::{ErrorMetadata, SdkError};
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use jiff::Timestamp;
    use redrive_protocol::message::{Attributes, Body};

    use super::super::canned::{Answer, serve};
    use super::super::{Access, Aws};
    use super::*;
    use crate::md5;
    use crate::sqs::EntryFaultKind;
    use crate::store::NewObject;

    async fn queue(answer: Answer) -> (Aws, Arc<dyn Queue>) {
        let aws = Aws::local(serve(answer).await);
        let queue = aws.queue("http://elsewhere.test/000000000000/orders", &Access::default()).await.unwrap();
        (aws, queue)
    }

    fn message(body: &str) -> Outgoing {
        Outgoing {
            body: Body::Untouched(body.to_owned()),
            attributes: Attributes::new(),
            message_group_id: None,
            message_deduplication_id: None,
            trace_header: None,
            payload: None,
        }
    }

    async fn fault_of_send(answer: Answer) -> Fault {
        let (_, queue) = queue(answer).await;
        queue.send(&[message("a")]).await.unwrap_err().fault
    }

    #[tokio::test]
    async fn a_send_without_a_clear_answer_is_in_doubt() {
        for answer in [
            Answer::HangUp,
            Answer::http("200 OK", "Content-Type: text/html\r\n", "<html>Welcome</html>"),
            Answer::json("{\"Successful\": [{\"Id\": "),
            Answer::json("[]"),
            Answer::Bytes("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}".to_owned()),
            Answer::Bytes("SSH-2.0-OpenSSH_9.2\r\n".to_owned()),
            Answer::http("502 Bad Gateway", "", "<html>"),
            Answer::http("503 Service Unavailable", "", r#"{"__type":"ServiceUnavailable"}"#),
        ] {
            assert_eq!(fault_of_send(answer).await, Fault::NoAnswer);
        }
    }

    #[tokio::test]
    async fn a_refusal_in_the_answer_is_no_doubt() {
        let error =
            |code: &str| Answer::http("400 Bad Request", "", &format!(r#"{{"__type":"com.amazonaws.sqs#{code}"}}"#));
        assert_eq!(fault_of_send(error("QueueDoesNotExist")).await, Fault::NotFound);
        assert_eq!(fault_of_send(error("BatchRequestTooLong")).await, Fault::TooLong);
        assert_eq!(fault_of_send(error("RequestThrottled")).await, Fault::Throttled);
        assert_eq!(fault_of_send(error("InvalidClientTokenId")).await, Fault::Credentials);
    }

    #[tokio::test]
    async fn a_dead_port_is_unreachable_and_nothing_else() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let aws = Aws::local(format!("http://{closed}"));
        let queue = aws.queue("http://elsewhere.test/000000000000/orders", &Access::default()).await.unwrap();
        let error = queue.send(&[message("a")]).await.unwrap_err();
        assert_eq!(error.fault, Fault::Unreachable, "{error}");
        assert!(error.message.contains(&closed.to_string()), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_or_stops_half_way_is_given_up_in_time() {
        for answer in [
            Answer::Silence,
            Answer::Stalls("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
            Answer::Stalls("HTTP/1.1 500 Internal Server Error\r\n\r\n<"),
        ] {
            let (_, queue) = queue(answer).await;
            let site =
                Site { resource: "orders".to_owned(), endpoint: "nowhere".to_owned(), whose: "nobody".to_owned() };
            let call = async {
                let _ = queue.send(&[message("a")]).await;
                Ok::<(), SdkError<ErrorMetadata, HttpResponse>>(())
            };
            let error = within(&site, "SendMessageBatch", Duration::from_millis(50), call).await.unwrap_err();
            assert_eq!(error.fault, Fault::NoAnswer, "{error}");
        }
    }

    #[tokio::test]
    async fn an_answer_without_any_attribute_is_unreadable_and_not_an_empty_queue() {
        for body in ["{}", r#"{"Attributes":{}}"#] {
            let (aws, queue) = queue(Answer::json(body)).await;
            let error = queue.attributes().await.unwrap_err();
            assert_eq!((error.fault, aws.requests().sqs), (Fault::NoAnswer, 8), "{error}");
        }
    }

    #[tokio::test]
    async fn a_partial_answer_is_read_entry_by_entry() {
        let digest = md5::of_body("a");
        let (aws, queue) = queue(Answer::json(&format!(
            r#"{{"Successful": [{{"Id":"0","MessageId":"m0","MD5OfMessageBody":"{digest}"}},
                                {{"Id":"2","MessageId":"m2","MD5OfMessageBody":"{digest}"}}],
                 "Failed": [{{"Id":"1","SenderFault":false,"Code":"InternalError"}}]}}"#
        )))
        .await;
        let answers = queue.send(&[message("a"), message("a"), message("b"), message("a")]).await.unwrap();
        let kinds: Vec<_> = answers.iter().map(|answer| answer.as_ref().err().map(|fault| fault.kind)).collect();
        let (service, mismatch, doubt) =
            (EntryFaultKind::Service, EntryFaultKind::DigestMismatch, EntryFaultKind::Unanswered);
        assert_eq!(kinds, [None, Some(service), Some(mismatch), Some(doubt)]);
        assert_eq!(aws.requests().sqs, 1);
    }

    #[tokio::test]
    async fn no_call_that_has_an_effect_is_made_twice_whatever_comes_of_it() {
        let throttled = r#"{"__type":"com.amazonaws.sqs#RequestThrottled"}"#;
        for answer in [
            Answer::HangUp,
            Answer::http("500 Internal Server Error", "", ""),
            Answer::http("503 Service Unavailable", "", "<Error><Code>SlowDown</Code></Error>"),
            Answer::http("400 Bad Request", "", throttled),
        ] {
            let (aws, queue) = queue(answer).await;
            let receipt = [ReceiptHandle::new("r")];
            let second = Duration::from_secs(1);
            assert!(queue.receive(10, second, second).await.is_err());
            assert!(queue.send(&[message("a")]).await.is_err());
            assert!(queue.change_visibility(&receipt, second).await.is_err());
            // A delete takes a proof, which only the journal makes; its client is the same.
            assert_eq!(aws.requests().sqs, 3);
            let bucket = aws.bucket("archive", &Access::default()).await.unwrap();
            let object = NewObject {
                key: "k".to_owned(),
                content: b"{}".to_vec(),
                content_type: "application/json",
                metadata: BTreeMap::new(),
            };
            assert!(bucket.get("k", 1).await.is_err() && bucket.put_new(&object).await.is_err());
            assert_eq!(aws.requests().s3, 2);
        }
    }

    #[tokio::test]
    async fn nothing_to_do_makes_no_request() {
        let (aws, queue) = queue(Answer::HangUp).await;
        assert!(queue.send(&[]).await.unwrap().is_empty());
        assert!(queue.delete(&[]).await.unwrap().is_empty());
        assert!(queue.change_visibility(&[], Duration::ZERO).await.unwrap().is_empty());
        assert_eq!(aws.requests().sqs, 0);
    }

    #[tokio::test]
    async fn a_received_message_that_is_damaged_fails_the_receive() {
        let (_, queue) = queue(Answer::json(
            r#"{"Messages":[{"MessageId":"m","ReceiptHandle":"r","Body":"hello","MD5OfBody":"00000000000000000000000000000000"}]}"#,
        ))
        .await;
        let error = queue.receive(10, Duration::ZERO, Duration::from_secs(30)).await.unwrap_err();
        assert_eq!(error.fault, Fault::NoAnswer, "{error}");
    }

    #[tokio::test]
    async fn the_servers_clock_is_read_from_any_answer() {
        let (aws, queue) =
            queue(Answer::http("400 Bad Request", "Date: Sun, 22 Nov 2026 06:39:27 GMT\r\n", "{}")).await;
        assert_eq!(aws.server_time(queue.url()), None);
        queue.attributes().await.unwrap_err();
        let time = aws.server_time(queue.url()).unwrap();
        let read: Timestamp = "2026-11-22T06:39:28Z".parse().unwrap();
        assert!(time >= read && time.duration_since(read).as_secs() < 10, "{time}");
        assert_eq!(aws.server_time("http://elsewhere.test/000000000000/other"), None);
    }

    #[tokio::test]
    async fn attributes_that_cannot_be_read_are_an_error() {
        let (_, queue) = queue(Answer::json(r#"{"Attributes":{"RedrivePolicy":"nonsense"}}"#)).await;
        assert_eq!(queue.attributes().await.unwrap_err().fault, Fault::Refused);
    }

    #[tokio::test]
    async fn a_list_that_never_ends_is_given_up() {
        let (_, queue) = queue(Answer::json(r#"{"queueUrls":["u"],"NextToken":"again"}"#)).await;
        assert_eq!(queue.dead_letter_sources().await.unwrap_err().fault, Fault::NoAnswer);
    }

    #[test]
    fn parts_of_a_second_count_as_a_whole_one() {
        assert_eq!(whole_seconds(Duration::ZERO), 0);
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(MAX_VISIBILITY), 43_200);
    }
}
