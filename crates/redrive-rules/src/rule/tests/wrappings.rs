//! Envelopes of SNS, Lambda and `EventBridge` in the shapes that AWS documents, taken off whole or not at all.

use redrive_protocol::message::Body;

use super::*;

const SNS: &str = r#"{
  "Type" : "Notification",
  "MessageId" : "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
  "TopicArn" : "arn:aws:sns:us-west-2:123456789012:orders",
  "Subject" : "A subject",
  "Message" : "{\"order\": {\"total\": 1.10}}\n",
  "Timestamp" : "2026-11-02T00:54:06.655Z",
  "SignatureVersion" : "1",
  "Signature" : "EXAMPLEw6JRN=",
  "SigningCertURL" : "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-x.pem",
  "UnsubscribeURL" : "https://sns.us-west-2.amazonaws.com/?Action=Unsubscribe",
  "MessageAttributes" : {
    "tenant" : {"Type":"String","Value":"eu-1"},
    "attempt" : {"Type":"Number","Value":"3"},
    "pixel" : {"Type":"Binary","Value":"AAH/"},
    "tags" : {"Type":"String.Array","Value":"[\"a\",\"b\"]"}
  }
}"#;

const LAMBDA: &str = r#"{"version":"1.0","timestamp":"2026-11-14T18:16:05.568Z",
 "requestContext":{"requestId":"e4b46cbf-b738-xmpl-8880-a18cdf61200e","functionArn":"arn:aws:lambda:us-east-2:123456789012:function:f:$LATEST","condition":"RetriesExhausted","approximateInvokeCount":3},
 "requestPayload":{"ORDER_IDS":["9e07af03", 12345678901234567890], "price": 1.10},
 "responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},
 "responsePayload":{"errorMessage":"RequestId: e4b46cbf-b738-xmpl-8880-a18cdf61200e Process exited before completing request"}}"#;

const EVENTBRIDGE: &str = r#"{"version":"0","id":"6a7e8feb-b491-4cf7-a9f1-bf3703467718","detail-type":"EC2 Instance State-change Notification",
 "source":"aws.ec2","account":"111122223333","time":"2026-12-22T18:43:48Z","region":"us-west-1",
 "resources":["arn:aws:ec2:us-west-1:123456789012:instance/i-1234567890abcdef0"],
 "detail":{"instance-id": "i-1234567890abcdef0","state": "terminated"}}"#;

fn unwrapped(name: &str, message: Message) -> Verdict {
    let when = "when = [{ message = \"id\", exists = true }]";
    rules(&format!("[[rule]]\nname = \"r\"\n{when}\ntransform = [{{ unwrap = \"{name}\" }}]\nto = \"orders\"\n"))
        .judge(message, &setting())
}

#[test]
fn what_was_wrapped_comes_out_as_it_was() {
    for (name, body, expected) in [
        ("sns", SNS, "{\"order\": {\"total\": 1.10}}\n"),
        ("lambda-destination", LAMBDA, r#"{"ORDER_IDS":["9e07af03", 12345678901234567890], "price": 1.10}"#),
        ("eventbridge", EVENTBRIDGE, r#"{"instance-id": "i-1234567890abcdef0","state": "terminated"}"#),
    ] {
        assert_eq!(sent(unwrapped(name, message(body))).body, Body::Changed(expected.to_owned()));
    }
}

#[test]
fn attributes_of_a_notification_are_the_messages_again() {
    let own = with_attribute(message(SNS), "attempt", "Number", "7");
    let attributes = sent(unwrapped("sns", with_attribute(own, "kept", "String", "x"))).attributes;
    let text = |data_type: &str, text: &str| Attribute {
        data_type: data_type.to_owned(),
        value: AttributeValue::Text(text.to_owned()),
    };
    let expected = Attributes::from([
        ("tenant".to_owned(), text("String", "eu-1")),
        // The message's own stays: it is younger.
        ("attempt".to_owned(), text("Number", "7")),
        ("kept".to_owned(), text("String", "x")),
        (
            "pixel".to_owned(),
            Attribute { data_type: "Binary".to_owned(), value: AttributeValue::Binary(vec![0, 1, 255]) },
        ),
        ("tags".to_owned(), text("String.Array", "[\"a\",\"b\"]")),
    ]);
    assert_eq!(attributes, expected);
}

#[test]
fn what_is_not_that_envelope_is_blocked() {
    let eleven: Vec<_> = (0..11).map(|n| format!("\"a{n}\":{{\"Type\":\"String\",\"Value\":\"x\"}}")).collect();
    let eleven = format!(
        r#"{{"Type":"Notification","TopicArn":"t","Message":"m","MessageAttributes":{{{}}}}}"#,
        eleven.join(",")
    );
    let attribute = |attribute: &str| {
        format!(r#"{{"Type":"Notification","TopicArn":"t","Message":"m","MessageAttributes":{{"a":{attribute}}}}}"#)
    };
    for (name, body, expected) in [
        ("sns", "plain text", "block: not_json (sns)"),
        ("sns", "[]", "block: not_wrapped (sns: no Type in it)"),
        ("sns", EVENTBRIDGE, "block: not_wrapped (sns: no Type in it)"),
        (
            "sns",
            r#"{"Type":"SubscriptionConfirmation","TopicArn":"t","Message":"m","Token":"x"}"#,
            "block: not_wrapped (sns: Type is not Notification)",
        ),
        (
            "sns",
            r#"{"Type":"Notification","TopicArn":"t","Message":{}}"#,
            "block: not_wrapped (sns: Message is no text)",
        ),
        ("sns", r#"{"Type":"Notification","TopicArn":"t","Message":""}"#, "block: empty_body ()"),
        (
            "sns",
            r#"{"Type":"Notification","TopicArn":"t","Message":"\u0000"}"#,
            "block: forbidden_characters (U+0000 in the body)",
        ),
        (
            "sns",
            r#"{"Type":"Notification","TopicArn":"t","Message":"a","Message":"b"}"#,
            "block: duplicate_keys ($.Message)",
        ),
        ("sns", &eleven, "block: too_many_attributes (11 message attributes)"),
        (
            "sns",
            &attribute(r#"{"Type":"Binary","Value":"?"}"#),
            "block: transform_failed (sns: attribute a is none that a message can have)",
        ),
        (
            "sns",
            &attribute(r#"{"Type":"Map","Value":"x"}"#),
            "block: transform_failed (sns: attribute a is none that a message can have)",
        ),
        ("sns", &attribute("1"), "block: transform_failed (sns: attribute a is none that a message can have)"),
        ("sns", &attribute(r#"{"Type":"String","Value":""}"#), "block: empty_attribute (attribute a)"),
        ("lambda-destination", EVENTBRIDGE, "block: not_wrapped (lambda-destination: no requestContext in it)"),
        ("eventbridge", LAMBDA, "block: not_wrapped (eventbridge: no detail-type in it)"),
    ] {
        assert_eq!(words(&unwrapped(name, message(body))), expected, "{body}");
    }
}

#[test]
fn a_name_that_is_none_is_a_problem() {
    let lines = "[[rule]]\nname = \"r\"\nwhen = [{ message = \"id\", exists = true }]\ntransform = [{ unwrap = \"SNS\" }]\nto = \"orders\"\n";
    let problems = Rules::compile(&job(lines)).expect_err("no such envelope");
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].message, "no envelope is called \"SNS\"");
}
