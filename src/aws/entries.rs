//! Between our messages and the SDK's: entries of a batch on the way out, messages on the way in, and answers by position.
//! Pure; makes no calls.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_sqs::error::BuildError;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, Message as SdkMessage, MessageAttributeValue, MessageSystemAttributeNameForSends,
    MessageSystemAttributeValue, SendMessageBatchRequestEntry, SendMessageBatchResultEntry,
};
use redrive_protocol::message::{
    Attribute, AttributeValue, Attributes, Message, MessageId, Outgoing, ReceiptHandle, Received, SystemAttributes,
};

use crate::md5;
use crate::sqs::{Acknowledged, EntryFault, EntryFaultKind};

/// The entry of a batch send for a message. Its ID is its position.
pub(super) fn outgoing(position: usize, message: &Outgoing) -> Result<SendMessageBatchRequestEntry, BuildError> {
    let mut entry = SendMessageBatchRequestEntry::builder()
        .id(position.to_string())
        .message_body(message.body.as_str())
        .set_message_group_id(message.message_group_id.clone())
        .set_message_deduplication_id(message.message_deduplication_id.clone());
    for (name, attribute) in &message.attributes {
        entry = entry.message_attributes(name, sdk_attribute(attribute)?);
    }
    if let Some(header) = &message.trace_header {
        let value = MessageSystemAttributeValue::builder().data_type("String").string_value(header).build()?;
        entry = entry.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, value);
    }
    entry.build()
}

fn sdk_attribute(attribute: &Attribute) -> Result<MessageAttributeValue, BuildError> {
    let value = MessageAttributeValue::builder().data_type(&attribute.data_type);
    match &attribute.value {
        AttributeValue::Text(text) => value.string_value(text),
        AttributeValue::Binary(bytes) => value.binary_value(Blob::new(bytes.clone())),
    }
    .build()
}

/// What the service said of one message of a batch send, held against what was sent.
pub(super) fn acknowledged(sent: &Outgoing, answer: SendMessageBatchResultEntry) -> Result<Acknowledged, EntryFault> {
    let body = md5::of_body(sent.body.as_str());
    if answer.md5_of_message_body != body {
        return Err(mismatch("body", &body, Some(&answer.md5_of_message_body)));
    }
    let attributes = md5::of_attributes(&sent.attributes);
    let theirs = answer.md5_of_message_attributes.as_deref().filter(|digest| !digest.is_empty());
    if attributes.as_deref() != theirs {
        return Err(mismatch("message attributes", attributes.as_deref().unwrap_or("none"), theirs));
    }
    // Not every server says what it made of the trace header; it is no part of the customer's message.
    let trace = sent.trace_header.as_deref().map(md5::of_trace_header);
    let theirs = answer.md5_of_message_system_attributes.as_deref().filter(|digest| !digest.is_empty());
    if let (Some(ours), Some(theirs)) = (&trace, theirs)
        && ours != theirs
    {
        return Err(mismatch("system attributes", ours, Some(theirs)));
    }
    if answer.message_id.is_empty() {
        return Err(unanswered("the answer names no message ID"));
    }
    Ok(Acknowledged { message_id: MessageId::new(answer.message_id) })
}

fn mismatch(what: &str, ours: &str, theirs: Option<&str>) -> EntryFault {
    let theirs = theirs.unwrap_or("none");
    EntryFault {
        code: "DigestMismatch".to_owned(),
        message: format!("the service's MD5 of the {what} is {theirs}, ours is {ours}"),
        kind: EntryFaultKind::DigestMismatch,
    }
}

fn unanswered(message: &str) -> EntryFault {
    EntryFault { code: "Unanswered".to_owned(), message: message.to_owned(), kind: EntryFaultKind::Unanswered }
}

/// Sorts an answer's entries by the position that their IDs are. A position that the answer leaves out, names twice, or
/// names as both carried out and failed is unanswered: nobody can say what became of it.
pub(super) fn by_position<S, T>(
    count: usize,
    successful: Vec<S>,
    failed: Vec<BatchResultErrorEntry>,
    id: impl Fn(&S) -> &str,
    success: impl Fn(usize, S) -> Result<T, EntryFault>,
) -> Vec<Result<T, EntryFault>> {
    let mut answers: Vec<Option<Result<T, EntryFault>>> = (0..count).map(|_| None).collect();
    let named = successful.into_iter().map(|entry| (id(&entry).parse().ok(), Ok(entry)));
    let named = named.chain(failed.into_iter().map(|entry| (entry.id.parse().ok(), Err(entry))));
    for (position, answer) in named {
        let Some((position, slot)) = position.and_then(|at: usize| Some((at, answers.get_mut(at)?))) else { continue };
        *slot = Some(match (slot.take(), answer) {
            (None, Ok(entry)) => success(position, entry),
            (None, Err(entry)) => Err(failure(entry)),
            (Some(_), _) => Err(unanswered("the answer names this entry twice")),
        });
    }
    answers
        .into_iter()
        .map(|answer| answer.unwrap_or_else(|| Err(unanswered("the answer leaves this entry out"))))
        .collect()
}

fn failure(entry: BatchResultErrorEntry) -> EntryFault {
    let code = entry.code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(&entry.code).to_owned();
    // Nothing makes such an entry good, and not every server says whose fault it is.
    let never_good = matches!(
        code.as_str(),
        "ReceiptHandleIsInvalid" | "InvalidMessageContents" | "InvalidParameterValue" | "MissingParameter"
    );
    let kind = if entry.sender_fault || never_good { EntryFaultKind::Sender } else { EntryFaultKind::Service };
    EntryFault { code, message: entry.message.unwrap_or_default(), kind }
}

/// The received messages, or what is wrong with the answer.
pub(super) fn received(messages: Vec<SdkMessage>) -> Result<Vec<Received>, String> {
    messages.into_iter().map(received_one).collect()
}

/// The body is moved, never copied.
fn received_one(message: SdkMessage) -> Result<Received, String> {
    let id = message.message_id.filter(|id| !id.is_empty()).ok_or("a message came without a message ID")?;
    let receipt = message
        .receipt_handle
        .filter(|handle| !handle.is_empty())
        .ok_or_else(|| format!("message {id} came without a receipt handle"))?;
    let body = message.body.ok_or_else(|| format!("message {id} came without a body"))?;
    if message.md5_of_body.is_some_and(|digest| digest != md5::of_body(&body)) {
        return Err(format!("the body of message {id} does not have the MD5 that came with it"));
    }
    let attributes = attributes(message.message_attributes.unwrap_or_default(), &id)?;
    if let Some(digest) = message.md5_of_message_attributes.filter(|digest| !digest.is_empty())
        && md5::of_attributes(&attributes).as_ref() != Some(&digest)
    {
        return Err(format!("the attributes of message {id} do not have the MD5 that came with them"));
    }
    let system = message.attributes.unwrap_or_default();
    let system: BTreeMap<_, _> = system.into_iter().map(|(name, value)| (name.as_str().to_owned(), value)).collect();
    let message = Message { id: MessageId::new(id), body, attributes, system: SystemAttributes(system), payload: None };
    Ok(Received { message, receipt: ReceiptHandle::new(receipt) })
}

fn attributes(sdk: HashMap<String, MessageAttributeValue>, id: &str) -> Result<Attributes, String> {
    sdk.into_iter()
        .map(|(name, attribute)| {
            let binary = attribute.data_type == "Binary" || attribute.data_type.starts_with("Binary.");
            let value = match (attribute.string_value, attribute.binary_value) {
                (_, Some(bytes)) if binary => AttributeValue::Binary(bytes.into_inner()),
                (Some(text), _) if !binary => AttributeValue::Text(text),
                _ => return Err(format!("an attribute of message {id} came without a value of its type")),
            };
            Ok((name, Attribute { data_type: attribute.data_type, value }))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use redrive_protocol::message::Body;

    use super::*;

    fn message() -> Outgoing {
        Outgoing {
            body: Body::Untouched("hello".to_owned()),
            attributes: Attributes::from([("n".to_owned(), Attribute::number(1))]),
            message_group_id: None,
            message_deduplication_id: None,
            trace_header: Some("Root=1-5759e988-bd862e3fe1be46a994272793".to_owned()),
            payload: None,
        }
    }

    fn answer(sent: &Outgoing) -> SendMessageBatchResultEntry {
        SendMessageBatchResultEntry::builder()
            .id("0")
            .message_id("new")
            .md5_of_message_body(md5::of_body(sent.body.as_str()))
            .set_md5_of_message_attributes(md5::of_attributes(&sent.attributes))
            .set_md5_of_message_system_attributes(sent.trace_header.as_deref().map(md5::of_trace_header))
            .build()
            .unwrap()
    }

    fn received(message: SdkMessage) -> Result<Received, String> {
        super::received(vec![message]).map(|mut messages| messages.remove(0))
    }

    fn kind(sent: &Outgoing, answer: SendMessageBatchResultEntry) -> EntryFaultKind {
        acknowledged(sent, answer).unwrap_err().kind
    }

    #[test]
    fn only_agreeing_digests_acknowledge() {
        let sent = message();
        assert_eq!(acknowledged(&sent, answer(&sent)).unwrap().message_id.as_str(), "new");

        let mut wrong = answer(&sent);
        wrong.md5_of_message_body = md5::of_body("hellO");
        assert_eq!(kind(&sent, wrong), EntryFaultKind::DigestMismatch);

        let mut wrong = answer(&sent);
        wrong.md5_of_message_attributes = Some(md5::of_body("other"));
        assert_eq!(kind(&sent, wrong), EntryFaultKind::DigestMismatch);

        let mut wrong = answer(&sent);
        wrong.md5_of_message_system_attributes = Some(md5::of_body("other"));
        assert_eq!(kind(&sent, wrong), EntryFaultKind::DigestMismatch);
    }

    #[test]
    fn attributes_that_the_answer_does_not_mention_may_be_lost() {
        let sent = message();
        for digest in [None, Some(String::new())] {
            let mut silent = answer(&sent);
            silent.md5_of_message_attributes = digest;
            assert_eq!(kind(&sent, silent), EntryFaultKind::DigestMismatch);
        }
        let mut plain = sent.clone();
        plain.attributes.clear();
        assert_eq!(kind(&plain, answer(&sent)), EntryFaultKind::DigestMismatch, "attributes that were not sent");
        assert!(acknowledged(&plain, answer(&plain)).is_ok());
    }

    #[test]
    fn an_answer_without_a_message_id_is_no_acknowledgement() {
        let sent = message();
        let mut nameless = answer(&sent);
        nameless.message_id.clear();
        assert_eq!(kind(&sent, nameless), EntryFaultKind::Unanswered);
    }

    fn ok(id: &str) -> String {
        id.to_owned()
    }

    fn bad(id: &str, sender_fault: bool) -> BatchResultErrorEntry {
        BatchResultErrorEntry::builder().id(id).code("X").sender_fault(sender_fault).build().unwrap()
    }

    fn sorted(
        count: usize,
        successful: Vec<String>,
        failed: Vec<BatchResultErrorEntry>,
    ) -> Vec<Option<EntryFaultKind>> {
        by_position(count, successful, failed, |id| id, |_, _| Ok(()))
            .into_iter()
            .map(|answer| answer.err().map(|fault| fault.kind))
            .collect()
    }

    #[test]
    fn answers_are_sorted_by_position_whatever_their_order() {
        let sorted = sorted(4, vec![ok("3"), ok("0")], vec![bad("2", false), bad("1", true)]);
        assert_eq!(sorted, [None, Some(EntryFaultKind::Sender), Some(EntryFaultKind::Service), None]);
    }

    #[test]
    fn a_bad_receipt_handle_is_the_senders_fault_even_where_the_server_does_not_say_so() {
        let code = "AWS.SimpleQueueService.ReceiptHandleIsInvalid";
        let entry = BatchResultErrorEntry::builder().id("0").code(code).sender_fault(false).build().unwrap();
        let fault = failure(entry);
        assert_eq!((fault.code.as_str(), fault.kind), ("ReceiptHandleIsInvalid", EntryFaultKind::Sender));
    }

    #[test]
    fn what_an_answer_leaves_out_or_contradicts_is_unanswered() {
        let doubt = Some(EntryFaultKind::Unanswered);
        assert_eq!(sorted(2, vec![], vec![]), [doubt, doubt]);
        assert_eq!(sorted(1, vec![ok("0")], vec![bad("0", true)]), [doubt]);
        assert_eq!(sorted(1, vec![ok("0"), ok("0")], vec![]), [doubt]);
        assert_eq!(sorted(1, vec![ok("0"), ok("0"), ok("0")], vec![]), [doubt]);
        // IDs that were never sent are nobody's.
        assert_eq!(sorted(1, vec![ok("1"), ok("-1"), ok("x"), ok("")], vec![bad("99", true)]), [doubt]);
    }

    fn sdk_message() -> aws_sdk_sqs::types::builders::MessageBuilder {
        SdkMessage::builder().message_id("m").receipt_handle("r").body("hello")
    }

    #[test]
    fn a_message_without_what_it_needs_is_an_error_and_no_panic() {
        assert!(received(sdk_message().build()).is_ok());
        assert!(received(sdk_message().set_message_id(None).build()).is_err());
        assert!(received(sdk_message().message_id("").build()).is_err());
        assert!(received(sdk_message().set_receipt_handle(None).build()).is_err());
        assert!(received(sdk_message().set_body(None).build()).is_err());
    }

    #[test]
    fn a_damaged_message_is_refused_without_showing_its_body() {
        let error = received(sdk_message().md5_of_body(md5::of_body("hellO")).build()).unwrap_err();
        assert!(!error.contains("hello"), "{error}");
        let error = received(sdk_message().md5_of_message_attributes(md5::of_body("x")).build()).unwrap_err();
        assert!(error.contains("attributes"), "{error}");
    }

    #[test]
    fn attributes_keep_their_label_and_kind() {
        let binary =
            MessageAttributeValue::builder().data_type("Binary.png").binary_value(Blob::new([0, 255])).build().unwrap();
        let number = MessageAttributeValue::builder().data_type("Number.int").string_value("1.10").build().unwrap();
        let came =
            received(sdk_message().message_attributes("b", binary).message_attributes("n", number).build()).unwrap();
        let attributes = came.message.attributes;
        assert_eq!(attributes["b"].data_type, "Binary.png");
        assert!(attributes["b"].value == AttributeValue::Binary(vec![0, 255]));
        assert_eq!(attributes["n"].text(), Some("1.10"));
    }

    #[test]
    fn an_attribute_whose_value_is_not_of_its_type_is_an_error() {
        let wrong = MessageAttributeValue::builder().data_type("Binary").string_value("AA==").build().unwrap();
        assert!(received(sdk_message().message_attributes("b", wrong).build()).is_err());
        let empty = MessageAttributeValue::builder().data_type("String").build().unwrap();
        assert!(received(sdk_message().message_attributes("s", empty).build()).is_err());
    }
}
