//! Envelopes that AWS puts around a body on its way to a queue, and taking them off: what was wrapped becomes the body. Knows
//! the three shapes and nothing of rules; a body of another shape is refused, never guessed at.

use redrive_protocol::message::{Attribute, AttributeValue, Attributes};

use super::edit::{self, Fault};
use super::json::{self, Node};
use super::path::Key;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// An envelope by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrapping {
    /// A notification of SNS without raw message delivery.
    /// <https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>
    Sns,
    /// The record of an asynchronous invocation that Lambda sends to a destination.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>
    LambdaDestination,
    /// An event of `EventBridge`.
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html>
    EventBridge,
}

/// Why an envelope cannot be taken off.
#[derive(Debug)]
pub(super) enum Unwrapping {
    /// The body is none, for want of this.
    NotWrapped(String),
    /// A member stands twice.
    Twice(&'static str),
    /// An attribute in it cannot be one of the message.
    Attribute(String),
}

impl Wrapping {
    pub(super) const ALL: [Self; 3] = [Self::Sns, Self::LambdaDestination, Self::EventBridge];

    /// The name in the job file.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sns => "sns",
            Self::LambdaDestination => "lambda-destination",
            Self::EventBridge => "eventbridge",
        }
    }

    /// What tells it from other JSON, and the member that was wrapped.
    fn shape(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Sns => (&["Type", "TopicArn"], "Message"),
            Self::LambdaDestination => (&["requestContext"], "requestPayload"),
            Self::EventBridge => (&["detail-type", "source"], "detail"),
        }
    }

    /// The wrapped value as it is written in a body that is JSON, and the attributes that were wrapped with it.
    pub(super) fn unwrap(self, body: &str) -> Result<(&str, Attributes), Unwrapping> {
        let (marks, wrapped) = self.shape();
        for mark in marks {
            member(body, mark)?;
        }
        let value = member(body, wrapped)?;
        if self != Self::Sns {
            return Ok((value, Attributes::new()));
        }
        // What SNS asks a subscriber to confirm has a Message as well.
        if json::parse(member(body, "Type")?).as_ref().and_then(Node::text) != Some("Notification") {
            return Err(Unwrapping::NotWrapped("Type is not Notification".to_owned()));
        }
        if !value.starts_with('"') {
            return Err(Unwrapping::NotWrapped("Message is no text".to_owned()));
        }
        let attributes = match member(body, "MessageAttributes") {
            Ok(attributes) => restored(attributes)?,
            Err(Unwrapping::NotWrapped(_)) => Attributes::new(),
            Err(other) => return Err(other),
        };
        Ok((value, attributes))
    }
}

fn member<'t>(body: &'t str, name: &'static str) -> Result<&'t str, Unwrapping> {
    edit::value(body, &[Key::Name(name.to_owned())]).map_err(|fault| match fault {
        Fault::DuplicateKeys => Unwrapping::Twice(name),
        _ => Unwrapping::NotWrapped(format!("no {name} in it")),
    })
}

/// The message attributes that a notification carries: `{"name": {"Type": "Number", "Value": "1"}}`.
fn restored(text: &str) -> Result<Attributes, Unwrapping> {
    let Some(Node::Object(members)) = json::parse(text) else {
        return Err(Unwrapping::NotWrapped("MessageAttributes is no object".to_owned()));
    };
    let attribute = |member: &Node<'_>| {
        let text = |key: &str| member.get(key).and_then(Node::text);
        let (data_type, value) = text("Type").zip(text("Value"))?;
        let value = match data_type.split('.').next() {
            Some("String" | "Number") => AttributeValue::Text(value.to_owned()),
            Some("Binary") => AttributeValue::Binary(BASE64_STANDARD.decode(value).ok()?),
            _ => return None,
        };
        Some(Attribute { data_type: data_type.to_owned(), value })
    };
    let restored = members.into_iter().map(|(name, member)| match attribute(&member) {
        Some(attribute) => Ok((name.into_owned(), attribute)),
        None => Err(Unwrapping::Attribute(name.into_owned())),
    });
    restored.collect()
}
