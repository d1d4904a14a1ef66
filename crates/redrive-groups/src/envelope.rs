//! The envelopes that messages come in, told by their shape.

use redrive_protocol::message::Message;
use redrive_rules::rule::Node;

/// What is around a body, or what a body is if it is no JSON of its sender's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Envelope {
    /// A notification of SNS without raw message delivery.
    Sns,
    /// An event of `EventBridge`.
    EventBridge,
    /// A failed execution of Step Functions.
    StepFunctions,
    /// What Lambda sends to a destination after an asynchronous invocation.
    LambdaDestination,
    /// Lambda's own dead-letter queue: its error is in attributes.
    LambdaDeadLetter,
    /// A notification of S3 about objects.
    S3,
    /// A pointer of the Extended Client to a body in S3.
    ExtendedClient,
    /// JSON that is written as text within JSON.
    JsonInText,
    /// JSON in Base64.
    Base64,
    /// No JSON.
    NotJson,
}

impl Envelope {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Sns,
        Self::EventBridge,
        Self::StepFunctions,
        Self::LambdaDestination,
        Self::LambdaDeadLetter,
        Self::S3,
        Self::ExtendedClient,
        Self::JsonInText,
        Self::Base64,
        Self::NotJson,
    ];

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Sns => "SNS notification",
            Self::EventBridge => "EventBridge event",
            Self::StepFunctions => "failed Step Functions execution",
            Self::LambdaDestination => "Lambda destination record",
            Self::LambdaDeadLetter => "Lambda dead-letter queue",
            Self::S3 => "S3 event",
            Self::ExtendedClient => "pointer of the Extended Client",
            Self::JsonInText => "JSON written as text",
            Self::Base64 => "JSON in Base64",
            Self::NotJson => "not JSON",
        }
    }

    /// One bit each.
    pub(crate) fn bit(self) -> u16 {
        1 << (self as u16)
    }
}

/// The envelope that an object is.
pub(crate) fn of(object: &Node<'_>) -> Option<Envelope> {
    let has = |name: &str| object.get(name).is_some();
    let text = |name: &str| object.get(name).and_then(Node::text);
    if text("Type") == Some("Notification") && has("TopicArn") && has("Message") {
        return Some(Envelope::Sns);
    }
    if has("detail-type") && has("source") && has("detail") {
        return Some(if text("source") == Some("aws.states") {
            Envelope::StepFunctions
        } else {
            Envelope::EventBridge
        });
    }
    if has("requestContext") && (has("requestPayload") || has("responsePayload")) {
        return Some(Envelope::LambdaDestination);
    }
    if text("Error").is_some() && text("Cause").is_some() {
        return Some(Envelope::StepFunctions);
    }
    match object.get("Records") {
        Some(Node::Array(records)) => {
            let source = records.first()?.get("eventSource").and_then(Node::text);
            (source == Some("aws:s3")).then_some(Envelope::S3)
        }
        _ => None,
    }
}

/// Whether Lambda's own dead-letter queue put it here.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>
pub(crate) fn is_of_lambda(message: &Message) -> bool {
    ["RequestID", "ErrorCode", "ErrorMessage"].iter().all(|name| message.attributes.contains_key(*name))
}

/// Whether its body is in S3.
pub(crate) fn is_pointer(message: &Message) -> bool {
    ["ExtendedPayloadSize", "SQSLargePayloadSize"].iter().any(|name| message.attributes.contains_key(*name))
}
