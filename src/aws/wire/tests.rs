//! Our JSON against the SDK's, on random requests and random answers.

use aws_sdk_sqs::types::{MessageSystemAttributeNameForSends, MessageSystemAttributeValue};
use proptest::prelude::*;

use super::*;

/// Letters of every kind that JSON treats in its own way.
fn text() -> impl Strategy<Value = String> {
    "([\\x00-\\x22\\\\/a-c\u{7f}é€\u{1f600}]|[ -~]{8}){0,12}"
}

fn attribute() -> impl Strategy<Value = MessageAttributeValue> {
    let lists = prop::option::weighted(0.02, prop::collection::vec(text(), 0..2));
    let binary = prop::option::of(prop::collection::vec(any::<u8>(), 0..9).prop_map(Blob::new));
    (text(), prop::option::of(text()), binary, lists).prop_map(|(data_type, text, binary, lists)| {
        let value = MessageAttributeValue::builder().data_type(data_type).set_string_value(text);
        value.set_binary_value(binary).set_string_list_values(lists).build().unwrap()
    })
}

prop_compose! {
    fn entry()(
        texts in (text(), text(), prop::option::of(text()), prop::option::of(text())),
        attributes in prop::option::of(prop::collection::hash_map(text(), attribute(), 0..4)),
        trace in prop::option::of(text()),
        delay in prop::option::weighted(0.02, any::<i32>()),
    ) -> SendMessageBatchRequestEntry {
        let trace = trace.map(|header| {
            let value = MessageSystemAttributeValue::builder().data_type("String").string_value(header).build().unwrap();
            HashMap::from([(MessageSystemAttributeNameForSends::AwsTraceHeader, value)])
        });
        let entry = SendMessageBatchRequestEntry::builder().id(texts.0).message_body(texts.1);
        let entry = entry.set_message_group_id(texts.2).set_message_deduplication_id(texts.3).set_delay_seconds(delay);
        entry.set_message_attributes(attributes).set_message_system_attributes(trace).build().unwrap()
    }
}

fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![9 => Just(""), 1 => Just(" "), 1 => Just("\r\n\t")]
}

/// Mostly texts, written in every way that JSON has.
fn value() -> BoxedStrategy<String> {
    prop_oneof![
        60 => text().prop_map(|text| serde_json::to_string(&text).unwrap()),
        4 => r#""(\\/|[a-zA-Z0-9+]){4}""#,
        4 => r#""(\\[\\"/bnx]|\\u[0-9a-fD]{4}|\\ud83d\\ude00|[a-zA-Z0-9+/=]{4}){0,3}""#,
        1 => Just("null".to_owned()),
        1 => "-?[0-9]{1,3}",
        1 => Just("[{}]".to_owned()),
    ]
    .boxed()
}

fn object(member: impl Strategy<Value = (String, String)> + 'static) -> BoxedStrategy<String> {
    let member = (member, space(), space());
    let member = member.prop_map(|((name, value), a, b)| format!("{a}\"{name}\"{b}:{a}{value}{b}"));
    prop::collection::vec(member, 0..7).prop_map(|members| format!("{{{}}}", members.join(","))).boxed()
}

fn list(element: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    prop::collection::vec(element, 0..4).prop_map(|elements| format!("[{}]", elements.join(", ")))
}

/// Cut off, or followed by something, now and then.
fn broken(whole: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let cut = prop::option::weighted(0.1, any::<prop::sample::Index>());
    (whole, cut, prop_oneof![9 => Just(""), 1 => Just("}"), 1 => Just(" ")]).prop_map(|(whole, cut, after)| match cut {
        Some(cut) => whole.chars().take(cut.index(whole.chars().count())).collect(),
        None => whole + after,
    })
}

fn received() -> impl Strategy<Value = String> {
    let attribute = object(("StringValue|BinaryValue|DataType", value()));
    let texts = "MessageId|ReceiptHandle|MD5OfBody|Body|B\\\\u006fdy|MD5OfMessageAttributes";
    let message = object(prop_oneof![
        60 => (texts, value()),
        20 => (Just("Attributes".to_owned()), object(("SenderId|SentTimestamp|New|a", value()))),
        20 => (Just("MessageAttributes".to_owned()), object(("[a-c]|\\\\\\\\|é", attribute))),
        1 => (Just("Other".to_owned()), value()),
    ]);
    broken(object((Just("Messages".to_owned()), list(message))))
}

fn sent() -> impl Strategy<Value = String> {
    let texts = "Id|MessageId|MD5OfMessageBody|MD5OfMessageAttributes|MD5OfMessageSystemAttributes|SequenceNumber";
    let entry = object(prop_oneof![60 => (texts, value()), 1 => (Just("Other".to_owned()), value())]);
    let failed = object(("Id|Code|Message", value()));
    broken(object(prop_oneof![
        8 => (Just("Successful".to_owned()), list(entry)),
        1 => (Just("Failed".to_owned()), list(failed)),
        1 => (Just("Failed".to_owned()), Just("[]".to_owned())),
    ]))
}

/// Holds a reader of ours against the SDK's; gives what ours reads without it.
fn compare<T>(sdk: &FrozenLayer, read: fn(&str) -> Option<Output>, status: u16, body: &str) -> Option<T>
where
    T: std::fmt::Debug + PartialEq + Send + Sync + 'static,
{
    let response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
    let ours = Reader { sdk: sdk.clone(), read };
    let theirs = sdk.load::<SharedResponseDeserializer>().expect("the SDK's reader");
    let read_by = |reader: &dyn DeserializeResponse| {
        let answer = reader.deserialize_nonstreaming_with_config(&response, &ConfigBag::base());
        answer.ok().map(|output| output.downcast::<T>().expect("the answer to this call"))
    };
    let theirs = read_by(theirs);
    assert_eq!(read_by(&ours), theirs, "{body}");
    let alone = read(body).map(|output| output.downcast::<T>().expect("the answer to this call"));
    assert!(status != 200 || alone.is_none() || alone == theirs, "{body}");
    alone
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_batch_is_written_as_the_sdk_writes_it(url in text(), entries in prop::collection::vec(entry(), 0..4)) {
        let input = SendMessageBatchInput::builder().queue_url(url).set_entries(Some(entries)).build().unwrap();
        let wire = Wire::new();
        let sdk = wire.send.load::<SharedRequestSerializer>().expect("the SDK's writer");
        let requests = [&Writer(wire.send.clone()) as &dyn SerializeRequest, sdk].map(|writer| {
            let request = writer.serialize_input(Input::erase(input.clone()), &mut ConfigBag::base()).unwrap();
            let headers: std::collections::BTreeMap<_, _> =
                request.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let body = String::from_utf8(request.body().bytes().expect("is in memory").to_vec()).unwrap();
            (request.method().to_owned(), request.uri().to_owned(), headers, body)
        });
        prop_assert_eq!(&requests[0], &requests[1]);
        let usual = |entry: &SendMessageBatchRequestEntry| {
            let lists = |value: &MessageAttributeValue| value.string_list_values.is_some();
            entry.delay_seconds.is_none() && !entry.message_attributes.iter().flat_map(HashMap::values).any(lists)
        };
        prop_assert_eq!(write(&input).is_some(), input.entries().iter().all(usual));
    }

    #[test]
    fn an_answer_is_read_as_the_sdk_reads_it(
        (received, sent) in (received(), sent()),
        status in prop_oneof![9 => Just(200_u16), 1 => Just(400), 1 => Just(201)],
    ) {
        let wire = Wire::new();
        let read = |answer: &str| read_received(answer).map(Output::erase);
        compare::<ReceiveMessageOutput>(&wire.receive, read, status, &received);
        let read = |answer: &str| read_sent(answer).map(Output::erase);
        compare::<SendMessageBatchOutput>(&wire.send, read, status, &sent);
    }
}

#[test]
fn what_sqs_answers_is_read_without_the_sdk() {
    let answer = r#"{"Messages":[{"MessageId":"m","ReceiptHandle":"r+/=","MD5OfBody":"5d","Body":"{\"a\":\"\u00e9\\n\"}",
        "Attributes":{"SenderId":"AIDA:i-0","SentTimestamp":"1","NotYetKnown":"x"},"MD5OfMessageAttributes":"6e",
        "MessageAttributes":{"b":{"BinaryValue":"AP8=","DataType":"Binary.png"},"n":{"DataType":"Number","StringValue":"1.10"}}}]}"#;
    let output = read_received(answer).expect("is as expected");
    assert_eq!(output.messages()[0].body(), Some("{\"a\":\"é\\n\"}"));
    assert_eq!(output.messages()[0].message_attributes().unwrap()["b"].binary_value(), Some(&Blob::new([0, 255])));
    assert_eq!(read_received("{}").expect("no message").messages, None);
    for left_to_the_sdk in [
        "",
        "[]",
        r#"{"Messages":null}"#,
        r#"{"Messages":[{"Body":null}]}"#,
        r#"{"Messages":[{"New":"x"}]}"#,
        r#"{"Messages":[{"MessageAttributes":{"b":{"BinaryValue":"\/\/\/\/"}}}]}"#,
        r#"{"Messages":[{"Body":"\ud800"}]}"#,
        r#"{"Messages":[]}{}"#,
        r#"{"Messages":[],}"#,
    ] {
        assert!(read_received(left_to_the_sdk).is_none(), "{left_to_the_sdk}");
    }
    let entry =
        r#"{"Id":"0","MessageId":"m","MD5OfMessageBody":"5d","MD5OfMessageAttributes":"6e","SequenceNumber":"1"}"#;
    let output = read_sent(&format!(r#"{{"Failed":[],"Successful":[{entry},{entry}]}}"#)).expect("is as expected");
    assert_eq!((output.successful()[1].message_id(), output.failed().len()), ("m", 0));
    assert!(read_sent(r#"{"Failed":[{"Id":"0","SenderFault":true,"Code":"x"}]}"#).is_none());
}
