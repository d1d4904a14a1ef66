//! What a check stands on: a client, queue names of its own, and short ways to say what SQS has to answer.

use std::collections::HashMap;
use std::fmt::Debug;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::operation::send_message::SendMessageOutput;
use aws_sdk_sqs::types::{
    Message, MessageAttributeValue, MessageSystemAttributeName as System, QueueAttributeName as Name,
    SendMessageBatchRequestEntry,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

/// Why a check failed, in words.
#[derive(Debug)]
pub(super) struct Failure(pub(super) String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(DisplayErrorContext(error).to_string())
    }
}

/// What a check ends with.
pub(super) type Outcome = Result<(), Failure>;

/// Fails the check unless this holds.
macro_rules! ensure {
    ($holds:expr, $($words:tt)+) => {
        if !$holds {
            return Err($crate::conformance::stand::Failure(format!($($words)+)));
        }
    };
}
pub(super) use ensure;

/// Fails the check unless SQS refuses the call as the client's fault; as this typed exception, where one is named.
macro_rules! refused {
    ($call:expr) => {
        $crate::conformance::stand::refusal($call.send().await)?
    };
    ($call:expr, $is:ident) => {{
        let error = refused!($call);
        let code = aws_sdk_sqs::error::ProvideErrorMetadata::code(&error).unwrap_or("no code").to_owned();
        ensure!(error.$is(), "refused as {code}, which is not {}", stringify!($is));
    }};
}
pub(super) use refused;

/// The service's error, where a call was refused with a status of 4xx.
pub(super) fn refusal<T: Debug, E>(result: Result<T, SdkError<E, HttpResponse>>) -> Result<E, Failure>
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    match result {
        Ok(_) => Err(Failure("it was not refused".to_owned())),
        Err(SdkError::ServiceError(refused)) => {
            let status = refused.raw().status().as_u16();
            if (400..500).contains(&status) {
                Ok(refused.into_err())
            } else {
                Err(Failure(format!("refused with status {status}")))
            }
        }
        Err(other) => Err(other.into()),
    }
}

/// The two are equal, or the check fails.
#[expect(clippy::needless_pass_by_value, reason = "checks compare what they have just made")]
pub(super) fn same<T: PartialEq + Debug>(what: &str, found: T, expected: T) -> Outcome {
    ensure!(found == expected, "{what}: {found:?} where {expected:?} is expected");
    Ok(())
}

/// See the module.
#[derive(Clone)]
pub(super) struct Stand {
    pub(super) sqs: Client,
    /// What this check's queue names begin with.
    pub(super) prefix: String,
}

impl Stand {
    pub(super) fn name(&self, what: &str) -> String {
        format!("{}-{what}", self.prefix)
    }

    /// Makes a queue; gives its URL.
    pub(super) async fn queue(&self, what: &str, attributes: &[(Name, &str)]) -> Result<String, Failure> {
        let mut call = self.sqs.create_queue().queue_name(self.name(what));
        for (name, value) in attributes {
            call = call.attributes(name.clone(), *value);
        }
        let made = call.send().await?;
        made.queue_url.ok_or_else(|| Failure("a queue without a URL".to_owned()))
    }

    /// Makes a FIFO queue; gives its URL.
    pub(super) async fn fifo(&self, what: &str, attributes: &[(Name, &str)]) -> Result<String, Failure> {
        let all: Vec<_> = [(Name::FifoQueue, "true")].into_iter().chain(attributes.iter().cloned()).collect();
        self.queue(&format!("{what}.fifo"), &all).await
    }

    pub(super) async fn attributes(&self, url: &str) -> Result<HashMap<Name, String>, Failure> {
        let got = self.sqs.get_queue_attributes().queue_url(url).attribute_names(Name::All).send().await?;
        Ok(got.attributes.unwrap_or_default())
    }

    pub(super) async fn arn(&self, url: &str) -> Result<String, Failure> {
        let all = self.attributes(url).await?;
        all.get(&Name::QueueArn).cloned().ok_or_else(|| Failure("a queue without an ARN".to_owned()))
    }

    pub(super) async fn send(&self, url: &str, body: &str) -> Result<SendMessageOutput, Failure> {
        Ok(self.sqs.send_message().queue_url(url).message_body(body).send().await?)
    }

    /// Sends to a FIFO queue, with the body as deduplication ID.
    pub(super) async fn send_to(&self, url: &str, group: &str, body: &str) -> Result<SendMessageOutput, Failure> {
        let call = self.sqs.send_message().queue_url(url).message_body(body);
        Ok(call.message_group_id(group).message_deduplication_id(body).send().await?)
    }

    /// One long poll for ten messages, with all that they have.
    pub(super) async fn poll(&self, url: &str, visibility: i32, wait: i32) -> Result<Vec<Message>, Failure> {
        let call = self.sqs.receive_message().queue_url(url).max_number_of_messages(10).wait_time_seconds(wait);
        // Some servers know only the older name of the parameter. What each of the two does is a check of its own.
        #[expect(deprecated, reason = "see above")]
        let call = call.visibility_timeout(visibility).message_attribute_names("All").attribute_names(Name::All);
        Ok(call.message_system_attribute_names(System::All).send().await?.messages.unwrap_or_default())
    }

    /// Receives until so many messages are there, for a minute at the most each.
    pub(super) async fn receive(&self, url: &str, count: usize) -> Result<Vec<Message>, Failure> {
        self.receive_for(url, count, 60).await
    }

    pub(super) async fn receive_for(&self, url: &str, count: usize, visibility: i32) -> Result<Vec<Message>, Failure> {
        let mut all = Vec::new();
        for _ in 0..6 {
            all.extend(self.poll(url, visibility, 2).await?);
            if all.len() >= count {
                return Ok(all);
            }
        }
        Err(Failure(format!("{} of {count} messages came", all.len())))
    }

    pub(super) async fn one(&self, url: &str) -> Result<Message, Failure> {
        Ok(self.receive(url, 1).await?.remove(0))
    }

    /// Nothing can be received.
    pub(super) async fn is_empty(&self, url: &str) -> Outcome {
        let found = self.poll(url, 0, 1).await?;
        ensure!(found.is_empty(), "{} messages came where none should", found.len());
        Ok(())
    }

    /// A queue with a dead-letter queue after so many receives; gives the URLs of both.
    pub(super) async fn with_dlq(&self, receives: u32) -> Result<(String, String), Failure> {
        let dlq = self.queue("dlq", &[]).await?;
        let policy = policy(&self.arn(&dlq).await?, receives);
        let url = self.queue("source", &[(Name::RedrivePolicy, &policy)]).await?;
        Ok((url, dlq))
    }

    /// Receives a message as often as its queue allows, and once more, which moves it to the dead-letter queue.
    pub(super) async fn kill(&self, url: &str, receives: usize, count: usize) -> Outcome {
        for _ in 0..receives {
            for message in &self.receive_for(url, count, 20).await? {
                self.give_back(url, message).await?;
            }
        }
        self.is_empty(url).await
    }

    pub(super) async fn give_back(&self, url: &str, message: &Message) -> Outcome {
        let call = self.sqs.change_message_visibility().queue_url(url).visibility_timeout(0);
        call.receipt_handle(handle(message)).send().await?;
        Ok(())
    }

    pub(super) async fn delete(&self, url: &str, message: &Message) -> Outcome {
        self.sqs.delete_message().queue_url(url).receipt_handle(handle(message)).send().await?;
        Ok(())
    }
}

pub(super) fn policy(target_arn: &str, receives: u32) -> String {
    format!("{{\"deadLetterTargetArn\":\"{target_arn}\",\"maxReceiveCount\":{receives}}}")
}

pub(super) fn handle(message: &Message) -> &str {
    message.receipt_handle.as_deref().unwrap_or_default()
}

pub(super) fn system<'m>(message: &'m Message, name: &System) -> Option<&'m str> {
    message.attributes.as_ref()?.get(name).map(String::as_str)
}

/// A system attribute that is a number.
pub(super) fn number(message: &Message, name: &System) -> Result<u64, Failure> {
    let text = system(message, name).ok_or_else(|| Failure(format!("{name} is missing")))?;
    Ok(text.parse::<u64>()?)
}

pub(super) fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().filter_map(|message| message.body.as_deref()).collect()
}

pub(super) fn sorted<T: Ord>(mut all: Vec<T>) -> Vec<T> {
    all.sort();
    all
}

pub(super) fn text(data_type: &str, value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type(data_type).string_value(value).build().expect("a data type")
}

pub(super) fn entry(id: &str, body: &str) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().expect("an ID and a body")
}

pub(super) async fn pause(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}
