//! The JSON of the two calls that carry messages. The SDK's own reader and writer go through bodies character by character,
//! which was a third of a call; these do not. All else of a call stays the SDK's: its headers, its signature, its errors.
//!
//! What is not exactly as expected is left to the SDK: an answer that this cannot read is read by the SDK, or is its error.
//! Nothing is taken here that the SDK would not take, and tests hold both against each other.

use std::borrow::Cow;
use std::collections::HashMap;

use aws_sdk_sqs::config::interceptors::BeforeSerializationInterceptorContextRef;
use aws_sdk_sqs::config::{ConfigBag, FrozenLayer, Intercept, Layer, RuntimePlugin};
use aws_sdk_sqs::error::BoxError;
use aws_sdk_sqs::operation::receive_message::{ReceiveMessage, ReceiveMessageInput, ReceiveMessageOutput};
use aws_sdk_sqs::operation::send_message_batch::{SendMessageBatch, SendMessageBatchInput, SendMessageBatchOutput};
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    Message, MessageAttributeValue, MessageSystemAttributeName, SendMessageBatchRequestEntry,
    SendMessageBatchResultEntry,
};
use aws_smithy_runtime_api::client::interceptors::context::{Input, Output, OutputOrError};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::ser_de::{
    DeserializeResponse, SerializeRequest, SharedRequestSerializer, SharedResponseDeserializer,
};
use aws_smithy_types::base64;
use aws_smithy_types::body::SdkBody;
use redrive_protocol::json::{Scanner, write_text};

/// The interceptor that puts our writer and our reader in the place of the SDK's: one on each SQS client.
#[derive(Debug)]
pub(super) struct Wire {
    /// What the SDK itself takes for these calls.
    send: FrozenLayer,
    receive: FrozenLayer,
}

impl Wire {
    pub(super) fn new() -> Self {
        let layer = |operation: &dyn RuntimePlugin| operation.config().unwrap_or_else(|| Layer::new("none").freeze());
        Self { send: layer(&SendMessageBatch::new()), receive: layer(&ReceiveMessage::new()) }
    }
}

#[dyn_dispatch_hint]
impl Intercept for Wire {
    fn name(&self) -> &'static str {
        "redrive-wire"
    }

    fn read_before_execution(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input();
        if input.downcast_ref::<SendMessageBatchInput>().is_some() {
            config.interceptor_state().store_put(SharedRequestSerializer::new(Writer(self.send.clone())));
            let reader = Reader { sdk: self.send.clone(), read: |answer| read_sent(answer).map(Output::erase) };
            config.interceptor_state().store_put(SharedResponseDeserializer::new(reader));
        } else if input.downcast_ref::<ReceiveMessageInput>().is_some() {
            let reader = Reader { sdk: self.receive.clone(), read: |answer| read_received(answer).map(Output::erase) };
            config.interceptor_state().store_put(SharedResponseDeserializer::new(reader));
        }
        Ok(())
    }
}

/// Writes the request of a batch send.
#[derive(Debug)]
struct Writer(FrozenLayer);

impl SerializeRequest for Writer {
    fn serialize_input(&self, input: Input, config: &mut ConfigBag) -> Result<HttpRequest, BoxError> {
        let sdk = self.0.load::<SharedRequestSerializer>().ok_or("the SDK does not say how it writes a batch send")?;
        let Some(body) = input.downcast_ref().and_then(write) else { return sdk.serialize_input(input, config) };
        // Method, path and headers are those that the SDK gives to any batch.
        let any = SendMessageBatchInput::builder().build()?;
        let mut request = sdk.serialize_input(Input::erase(any), config)?;
        request.headers_mut().try_insert("content-length", body.len().to_string())?;
        *request.body_mut() = SdkBody::from(body);
        Ok(request)
    }
}

/// Reads the answer to a call.
#[derive(Debug)]
struct Reader {
    sdk: FrozenLayer,
    read: fn(&str) -> Option<Output>,
}

impl DeserializeResponse for Reader {
    fn deserialize_nonstreaming_with_config(&self, response: &HttpResponse, config: &ConfigBag) -> OutputOrError {
        let body = response.body().bytes().filter(|_| response.status().as_u16() == 200);
        if let Some(output) = body.and_then(|body| (self.read)(str::from_utf8(body).ok()?)) {
            return Ok(output);
        }
        match self.sdk.load::<SharedResponseDeserializer>() {
            Some(sdk) => sdk.deserialize_nonstreaming_with_config(response, config),
            None => Err(OrchestratorError::other("the SDK does not say how it reads this answer")),
        }
    }
}

/// The body of a batch send, byte for byte the SDK's; `None` where there is something in it that we do not send.
fn write(input: &SendMessageBatchInput) -> Option<String> {
    let entries = input.entries.as_deref()?;
    let mut out = String::with_capacity(entries.iter().map(|entry| entry.message_body.len() * 5 / 4 + 512).sum());
    out.push_str("{\"QueueUrl\":");
    write_text(&mut out, input.queue_url.as_deref()?);
    out.push_str(",\"Entries\":[");
    for (index, entry) in entries.iter().enumerate() {
        out.push_str(if index == 0 { "{\"Id\":" } else { ",{\"Id\":" });
        write_entry(&mut out, entry)?;
        out.push('}');
    }
    out.push_str("]}");
    Some(out)
}

fn write_entry(out: &mut String, entry: &SendMessageBatchRequestEntry) -> Option<()> {
    if entry.delay_seconds.is_some() {
        return None;
    }
    write_text(out, &entry.id);
    out.push_str(",\"MessageBody\":");
    write_text(out, &entry.message_body);
    if let Some(attributes) = &entry.message_attributes {
        out.push_str(",\"MessageAttributes\":{");
        for (index, (name, value)) in attributes.iter().enumerate() {
            if value.string_list_values.is_some() || value.binary_list_values.is_some() {
                return None;
            }
            write_attribute(out, index, name, value.string_value.as_deref(), value.binary_value.as_ref());
            write_text(out, &value.data_type);
            out.push('}');
        }
        out.push('}');
    }
    if let Some(attributes) = &entry.message_system_attributes {
        out.push_str(",\"MessageSystemAttributes\":{");
        for (index, (name, value)) in attributes.iter().enumerate() {
            if value.string_list_values.is_some() || value.binary_list_values.is_some() {
                return None;
            }
            write_attribute(out, index, name.as_str(), value.string_value.as_deref(), value.binary_value.as_ref());
            write_text(out, &value.data_type);
            out.push('}');
        }
        out.push('}');
    }
    for (name, text) in [
        (",\"MessageDeduplicationId\":", &entry.message_deduplication_id),
        (",\"MessageGroupId\":", &entry.message_group_id),
    ] {
        if let Some(text) = text {
            out.push_str(name);
            write_text(out, text);
        }
    }
    Some(())
}

/// Writes an attribute up to its data type.
fn write_attribute(out: &mut String, index: usize, name: &str, text: Option<&str>, binary: Option<&Blob>) {
    if index > 0 {
        out.push(',');
    }
    write_text(out, name);
    out.push_str(":{");
    if let Some(text) = text {
        out.push_str("\"StringValue\":");
        write_text(out, text);
        out.push(',');
    }
    if let Some(binary) = binary {
        out.push_str("\"BinaryValue\":");
        write_text(out, &base64::encode(binary));
        out.push(',');
    }
    out.push_str("\"DataType\":");
}

/// The answer to a receive; `None` where it has anything that is not expected.
fn read_received(answer: &str) -> Option<ReceiveMessageOutput> {
    let mut messages = None;
    read(answer, |scanner, name| match name {
        "Messages" => {
            let messages = messages.insert(Vec::new());
            scanner.elements(|scanner| {
                messages.push(read_message(scanner)?);
                Some(())
            })
        }
        _ => None,
    })?;
    Some(ReceiveMessageOutput::builder().set_messages(messages).build())
}

/// The answer to a batch send; `None` where it has anything that is not expected, such as entries that failed.
fn read_sent(answer: &str) -> Option<SendMessageBatchOutput> {
    let mut sent = Vec::new();
    read(answer, |scanner, name| match name {
        "Successful" => {
            sent.clear();
            scanner.elements(|scanner| {
                sent.push(read_sent_entry(scanner)?);
                Some(())
            })
        }
        "Failed" => scanner.elements(|_| None),
        _ => None,
    })?;
    SendMessageBatchOutput::builder().set_successful(Some(sent)).set_failed(Some(Vec::new())).build().ok()
}

/// Reads an object that is the whole answer.
fn read<'a>(answer: &'a str, mut member: impl FnMut(&mut Scanner<'a>, &str) -> Option<()>) -> Option<()> {
    let mut scanner = Scanner::new(answer);
    scanner.peek()?;
    scanner.members(|scanner, name| member(scanner, &name))?;
    scanner.peek().is_none().then_some(())
}

fn read_sent_entry(scanner: &mut Scanner<'_>) -> Option<SendMessageBatchResultEntry> {
    let mut entry = SendMessageBatchResultEntry::builder().id("").message_id("").md5_of_message_body("");
    scanner.members(|scanner, name| {
        let value = scanner.string()?;
        let builder = std::mem::take(&mut entry);
        entry = match &*name {
            "Id" => builder.id(value),
            "MessageId" => builder.message_id(value),
            "MD5OfMessageBody" => builder.md5_of_message_body(value),
            "MD5OfMessageAttributes" => builder.md5_of_message_attributes(value),
            "MD5OfMessageSystemAttributes" => builder.md5_of_message_system_attributes(value),
            "SequenceNumber" => builder.sequence_number(value),
            _ => return None,
        };
        Some(())
    })?;
    entry.build().ok()
}

fn read_message(scanner: &mut Scanner<'_>) -> Option<Message> {
    let mut message = Message::builder().build();
    scanner.members(|scanner, name| {
        let place = match &*name {
            "MessageId" => &mut message.message_id,
            "ReceiptHandle" => &mut message.receipt_handle,
            "MD5OfBody" => &mut message.md5_of_body,
            "Body" => &mut message.body,
            "MD5OfMessageAttributes" => &mut message.md5_of_message_attributes,
            "Attributes" => {
                let attributes = message.attributes.insert(HashMap::with_capacity(8));
                return scanner.members(|scanner, name| {
                    attributes.insert(MessageSystemAttributeName::from(&*name), scanner.string()?.into_owned());
                    Some(())
                });
            }
            "MessageAttributes" => {
                let attributes = message.message_attributes.insert(HashMap::new());
                return scanner.members(|scanner, name| {
                    attributes.insert(name.into_owned(), read_attribute(scanner)?);
                    Some(())
                });
            }
            _ => return None,
        };
        *place = Some(scanner.string()?.into_owned());
        Some(())
    })?;
    Some(message)
}

fn read_attribute(scanner: &mut Scanner<'_>) -> Option<MessageAttributeValue> {
    let (mut text, mut binary, mut data_type) = (None, None, String::new());
    scanner.members(|scanner, name| {
        let value = scanner.string()?;
        match (&*name, value) {
            ("StringValue", value) => text = Some(value.into_owned()),
            // The SDK does not look for escapes here.
            ("BinaryValue", Cow::Borrowed(value)) => binary = Some(Blob::new(base64::decode(value).ok()?)),
            ("DataType", value) => data_type = value.into_owned(),
            _ => return None,
        }
        Some(())
    })?;
    let value = MessageAttributeValue::builder().set_string_value(text).set_binary_value(binary);
    value.data_type(data_type).build().ok()
}

#[cfg(test)]
mod tests;
