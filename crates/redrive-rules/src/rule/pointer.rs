//! Pointers of the Extended Client: a body that was too long for SQS is an object in S3, and the message says where. Knows their
//! shape, who must read the object, and what a pointer to a changed body looks like; fetches and writes nothing.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-s3-messages.html>

use redrive_protocol::message::{Attribute, Attributes, Body, Message, NewPayload};
use redrive_protocol::target::Reason;

use super::context::Context;
use super::edit;
use super::json::{self, Node};
use super::path::Key;
use super::{Blocked, Rules};

/// The attributes that mark such a message, with the length of the body in S3: today's name, and the one before.
const SIZES: [&str; 2] = ["ExtendedPayloadSize", "SQSLargePayloadSize"];

/// The classes that a pointer names: today's, and those before.
const CLASSES: [&str; 3] = [
    "software.amazon.payloadoffloading.PayloadS3Pointer",
    "com.amazon.sqs.javamessaging.MessageS3Pointer",
    "com.amazonaws.services.sqs.model.MessageS3Pointer",
];

/// The longest body that is read from S3, in bytes.
pub const MAX_PAYLOAD: usize = 16 << 20;

/// The longest key of an S3 object, in bytes.
const MAX_KEY: usize = 1024;

/// Where a body is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The length that the message gives for it, in bytes; at most [`MAX_PAYLOAD`], and that where it gives none.
    pub size: usize,
}

/// The pointer in a message, where it is one: both the mark and the shape must be there, as for the client itself.
pub(super) fn pointer(message: &Message) -> Option<Pointer> {
    let size = SIZES.iter().find_map(|name| message.attributes.get(*name))?;
    let Node::Array(parts) = json::parse(&message.body)? else { return None };
    let [Node::Text(class), place] = &parts[..] else { return None };
    let text = |key: &str| place.get(key).and_then(Node::text).filter(|text| !text.is_empty()).map(str::to_owned);
    if !CLASSES.contains(&&**class) {
        return None;
    }
    let size = size.text().and_then(|text| text.parse().ok()).unwrap_or(MAX_PAYLOAD);
    Some(Pointer { bucket: text("s3BucketName")?, key: text("s3Key")?, size: size.min(MAX_PAYLOAD) })
}

impl Rules {
    /// Whether the job says in which buckets bodies are. Then who may not read one lacks a permission for all of them.
    pub fn names_buckets_of_bodies(&self) -> bool {
        self.payload_buckets.is_some()
    }

    /// Where the body of this message is to be fetched from before it is judged: where the job says `extended_client = true`,
    /// and some condition or transform looks at bodies.
    pub fn pointer(&self, message: &Message) -> Option<Pointer> {
        self.reads_payloads.then(|| pointer(message)).flatten()
    }

    /// The same where the job lets it be followed; else why not, in words. It is the sender of a message who names the bucket.
    pub fn permitted_pointer(&self, message: &Message) -> Option<Result<Pointer, String>> {
        let pointer = self.pointer(message)?;
        let permitted = self.payload_buckets.as_ref().is_none_or(|buckets| buckets.contains(&pointer.bucket));
        Some(if permitted {
            Ok(pointer)
        } else {
            Err(format!("the bucket {} is not among the job's extended_client_buckets", pointer.bucket))
        })
    }

    /// Whether any message's body may have to be fetched from S3.
    pub fn reads_payloads(&self) -> bool {
        self.reads_payloads
    }
}

/// The pointer to a body that transforms changed, and the object it leads to, beside the old one: what a bucket's policies say
/// of a prefix holds for it as well. The old object is left as it is.
pub(super) fn offload(
    pointer: &Pointer,
    old: &str,
    text: String,
    attributes: &mut Attributes,
    context: &Context<'_>,
) -> Result<(Body, NewPayload), Blocked> {
    if text.is_empty() {
        return Err(Blocked::new(Reason::EmptyBody, ""));
    }
    let key = format!("{}.redrive-{}-{}", pointer.key, context.setting.run, context.id);
    if key.len() > MAX_KEY {
        let detail = format!("the key of the changed body would be {} bytes, S3 takes {MAX_KEY}", key.len());
        return Err(Blocked::new(Reason::TransformFailed, detail));
    }
    let place = [Key::Index(1), Key::Name("s3Key".to_owned())];
    let body =
        edit::set(old, &place, &json::quoted(&key)).map_err(|_| Blocked::new(Reason::DuplicateKeys, "$[1].s3Key"))?;
    let name = SIZES.iter().find(|name| attributes.contains_key(**name)).unwrap_or(&SIZES[0]);
    attributes.insert((*name).to_owned(), Attribute::number(text.len()));
    Ok((Body::Changed(body), NewPayload { bucket: pointer.bucket.clone(), key, text }))
}
