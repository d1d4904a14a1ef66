//! Sending: contents, limits, attributes, delays, and the digests that SQS answers with.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_sdk_sqs::operation::send_message::builders::SendMessageFluentBuilder;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeName as System, MessageSystemAttributeNameForSends as ForSends,
    MessageSystemAttributeValue, QueueAttributeName as Name,
};
use redrive::md5;
use redrive_protocol::message::{Attribute, AttributeValue};

use super::Check;
use super::stand::{Failure, Outcome, Stand, ensure, refused, same, system, text};

/// SQS's limit on a message, in bytes.
const MIB: usize = 1_048_576;

pub(super) const CHECKS: &[Check] = &[
    check!(a_body_arrives_byte_for_byte, "API_SendMessage", "any Unicode that SQS takes, and its MD5"),
    check!(an_empty_body_is_refused, "API_SendMessage", "the shortest message has one character"),
    check!(control_characters_are_refused, "API_SendMessage", "InvalidMessageContents"),
    check!(a_message_of_1_mib_is_taken, "quotas-messages", "1,048,576 bytes, and not one more"),
    check!(attributes_count_towards_the_size, "quotas-messages", "name, type and value are part of the size"),
    check!(a_trace_header_does_not_count, "API_SendMessage", "its size is no part of the message's"),
    check!(a_queues_own_limit_holds, "API_SetQueueAttributes", "a message over MaximumMessageSize is refused"),
    check!(attributes_arrive_with_their_types, "sqs-message-metadata", "String, Number and Binary, custom labels kept"),
    check!(
        the_md5_of_attributes_is_as_documented,
        "sqs-message-metadata",
        "the documented digest, in send and receive"
    ),
    check!(ten_attributes_and_no_more, "quotas-messages", "an eleventh is refused"),
    check!(
        bad_attribute_names_are_refused,
        "sqs-message-metadata",
        "no AWS. in front, no full stop at an end or twice"
    ),
    check!(
        letters_of_any_script_are_taken,
        "sqs-message-metadata",
        "in an attribute's name, as recorded at AWS; the page has English ones"
    ),
    check!(bad_attribute_values_are_refused, "sqs-message-metadata", "empty, of no type, or a Number that is none"),
    check!(a_trace_header_comes_along, "API_MessageSystemAttributeValue", "AWSTraceHeader, with an MD5 of its own"),
    check!(other_system_attributes_are_refused, "API_SendMessage", "only AWSTraceHeader can be sent"),
    check!(a_message_timer_delays_one_message, "sqs-message-timers", "invisible for DelaySeconds, then there"),
    check!(a_delay_queue_delays_every_message, "sqs-delay-queues", "a message's own delay of 0 goes before it"),
    check!(a_delay_over_15_minutes_is_refused, "API_SendMessage", "0 to 900 seconds"),
    check!(a_standard_queue_takes_a_group_id, "sqs-fair-queues", "it is handed on to the receiver"),
    check!(a_standard_queue_takes_no_deduplication_id, "API_SendMessage", "the parameter is for FIFO queues only"),
    check!(a_send_to_a_missing_queue_is_typed, "API_SendMessage", "QueueDoesNotExist"),
];

fn sending(stand: &Stand, url: &str, body: impl Into<String>) -> SendMessageFluentBuilder {
    stand.sqs.send_message().queue_url(url).message_body(body)
}

fn trace(value: &str) -> MessageSystemAttributeValue {
    MessageSystemAttributeValue::builder().data_type("String").string_value(value).build().expect("a data type")
}

fn binary(data_type: &str, value: &[u8]) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type(data_type).binary_value(Blob::new(value)).build().expect("a data type")
}

async fn a_body_arrives_byte_for_byte(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let body = " \t\r\n{\"a\" : 1.10, \"\u{e4}\":\"\\u00e4\"} <&> \u{1F600}\u{E000}\u{FFFD} ";
    let sent = stand.send(&url, body).await?;
    same("the digest sent", sent.md5_of_message_body, Some(md5::of_body(body)))?;
    let message = stand.one(&url).await?;
    same("the body", message.body.as_deref(), Some(body))?;
    same("the digest received", message.md5_of_body, Some(md5::of_body(body)))?;
    same("the ID", message.message_id, sent.message_id)
}

async fn an_empty_body_is_refused(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    refused!(sending(&stand, &url, ""));
    Ok(())
}

async fn control_characters_are_refused(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    for character in ['\u{1}', '\u{1b}', '\u{fffe}'] {
        refused!(sending(&stand, &url, format!("a{character}b")), is_invalid_message_contents);
    }
    Ok(())
}

async fn a_message_of_1_mib_is_taken(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    refused!(sending(&stand, &url, "x".repeat(MIB + 1)));
    stand.send(&url, &"x".repeat(MIB)).await?;
    let message = stand.one(&url).await?;
    same("the length", message.body.unwrap_or_default().len(), MIB)
}

async fn attributes_count_towards_the_size(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[(Name::MaximumMessageSize, "2000")]).await?;
    // "name", "String" and "value" are 15 bytes.
    let with =
        |length: usize| sending(&stand, &url, "x".repeat(length)).message_attributes("name", text("String", "value"));
    with(1985).send().await?;
    refused!(with(1986));
    Ok(())
}

async fn a_trace_header_does_not_count(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[(Name::MaximumMessageSize, "2000")]).await?;
    let full = sending(&stand, &url, "x".repeat(2000));
    full.message_system_attributes(ForSends::AwsTraceHeader, trace("Root=1-5-6")).send().await?;
    Ok(())
}

async fn a_queues_own_limit_holds(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[(Name::MaximumMessageSize, "1024")]).await?;
    stand.send(&url, &"x".repeat(1024)).await?;
    refused!(sending(&stand, &url, "x".repeat(1025)));
    Ok(())
}

async fn attributes_arrive_with_their_types(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let sent = BTreeMap::from([
        ("text".to_owned(), text("String", "\u{e4}\n")),
        ("label".to_owned(), text("String.json", "{}")),
        ("number".to_owned(), text("Number", "12345678901234567890.10")),
        ("whole".to_owned(), text("Number.int", "-7")),
        ("bytes".to_owned(), binary("Binary", &[0, 255, 128, 10])),
        ("picture".to_owned(), binary("Binary.png", &[137, 80, 78, 71])),
    ]);
    let call = sending(&stand, &url, "x").set_message_attributes(Some(sent.clone().into_iter().collect()));
    call.send().await?;
    let received = stand.one(&url).await?.message_attributes.unwrap_or_default();
    same("the attributes", received.into_iter().collect::<BTreeMap<_, _>>(), sent)
}

async fn the_md5_of_attributes_is_as_documented(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let attribute = |data_type: &str, value| Attribute { data_type: data_type.to_owned(), value };
    let attributes = BTreeMap::from([
        ("b".to_owned(), attribute("Number.int", AttributeValue::Text("3".to_owned()))),
        ("B".to_owned(), attribute("String", AttributeValue::Text("\u{e4}".to_owned()))),
        ("a.1".to_owned(), attribute("Binary.png", AttributeValue::Binary(vec![0, 255]))),
    ]);
    let expected = md5::of_attributes(&attributes);
    let call = sending(&stand, &url, "x").message_attributes("b", text("Number.int", "3"));
    let call = call.message_attributes("B", text("String", "\u{e4}"));
    let sent = call.message_attributes("a.1", binary("Binary.png", &[0, 255])).send().await?;
    same("the digest sent", sent.md5_of_message_attributes, expected.clone())?;
    same("the digest received", stand.one(&url).await?.md5_of_message_attributes, expected)
}

async fn ten_attributes_and_no_more(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let with = |count: usize| {
        let attributes = (0..count).map(|number| (format!("a{number}"), text("String", "v"))).collect();
        sending(&stand, &url, "x").set_message_attributes(Some(attributes))
    };
    with(10).send().await?;
    refused!(with(11));
    same("the attributes", stand.one(&url).await?.message_attributes.unwrap_or_default().len(), 10)
}

async fn bad_attribute_names_are_refused(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    for name in [".a", "a.", "a..b", "AWS.a", "Amazon.a", "a b", &"n".repeat(257)] {
        let sent = sending(&stand, &url, "x").message_attributes(name, text("String", "v")).send().await;
        ensure!(sent.is_err(), "the name {name} was taken");
    }
    Ok(())
}

async fn letters_of_any_script_are_taken(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    sending(&stand, &url, "x").message_attributes("größe.1-ж", text("String", "v")).send().await?;
    let message = stand.one(&url).await?;
    let names = message.message_attributes.unwrap_or_default().into_keys().collect::<Vec<_>>();
    same("the attributes", names, vec!["größe.1-ж".to_owned()])
}

async fn bad_attribute_values_are_refused(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    for (what, attribute) in [
        ("an empty String", text("String", "")),
        ("an unknown type", text("Text", "v")),
        ("a Number that is none", text("Number", "many")),
        ("a String with a control character", text("String", "a\u{1}")),
        ("a Binary without a value", binary("Binary", &[])),
    ] {
        let sent = sending(&stand, &url, "x").message_attributes("a", attribute).send().await;
        ensure!(sent.is_err(), "{what} was taken");
    }
    Ok(())
}

async fn a_trace_header_comes_along(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1";
    let sent =
        sending(&stand, &url, "x").message_system_attributes(ForSends::AwsTraceHeader, trace(header)).send().await?;
    same("the digest", sent.md5_of_message_system_attributes, Some(md5::of_trace_header(header)))?;
    same("the header", system(&stand.one(&url).await?, &System::AwsTraceHeader), Some(header))
}

async fn other_system_attributes_are_refused(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    refused!(sending(&stand, &url, "x").message_system_attributes("SenderId".into(), trace("me")));
    Ok(())
}

async fn a_message_timer_delays_one_message(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let started = Instant::now();
    sending(&stand, &url, "later").delay_seconds(2).send().await?;
    let early = stand.poll(&url, 30, 0).await?;
    ensure!(early.is_empty() || started.elapsed() > Duration::from_secs(2), "it came before its time");
    same("the body", stand.one(&url).await?.body.as_deref(), Some("later"))?;
    // Servers may count by whole seconds.
    ensure!(started.elapsed() >= Duration::from_secs(1), "it came after {:?}", started.elapsed());
    Ok(())
}

async fn a_delay_queue_delays_every_message(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[(Name::DelaySeconds, "600")]).await?;
    stand.send(&url, "later").await?;
    sending(&stand, &url, "now").delay_seconds(0).send().await?;
    let message = stand.one(&url).await?;
    same("the body", message.body.as_deref(), Some("now"))?;
    stand.is_empty(&url).await
}

async fn a_delay_over_15_minutes_is_refused(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    sending(&stand, &url, "x").delay_seconds(900).send().await?;
    refused!(sending(&stand, &url, "x").delay_seconds(901));
    refused!(sending(&stand, &url, "x").delay_seconds(-1));
    Ok(())
}

async fn a_standard_queue_takes_a_group_id(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    sending(&stand, &url, "x").message_group_id("tenant-1").send().await?;
    same("the group", system(&stand.one(&url).await?, &System::MessageGroupId), Some("tenant-1"))
}

async fn a_standard_queue_takes_no_deduplication_id(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    refused!(sending(&stand, &url, "x").message_deduplication_id("d"));
    Ok(())
}

async fn a_send_to_a_missing_queue_is_typed(stand: Stand) -> Outcome {
    let url = stand.queue("q", &[]).await?;
    let Some((base, _)) = url.rsplit_once('/') else { return Err(Failure(format!("{url} is no queue URL"))) };
    let call = sending(&stand, &format!("{base}/{}", stand.name("nowhere")), "x");
    refused!(call, is_queue_does_not_exist);
    Ok(())
}
