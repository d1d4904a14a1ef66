//! Each known envelope, alone and within others: what is inside is found, and the rule takes it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use redrive_groups::{Collector, Envelope, Fact, Finding, MOST_RECORDS, ROOM_FOR_BODIES};
use redrive_protocol::message::{Message, MessageId, SystemAttributes};
use redrive_rules::rule::{Finder, condition_toml};
use serde_json::{Value, json};

use super::measure::{found, now};
use super::sets::Draft;

pub(crate) fn message(id: &str, draft: Draft) -> Message {
    let system = SystemAttributes(BTreeMap::from([("SentTimestamp".to_owned(), "1795000000000".to_owned())]));
    Message { id: MessageId::new(id), body: draft.body, attributes: draft.attributes, system, payload: None }
}

/// Eight messages in this form about one error, and eight about another.
fn wrapped(wrap: impl Fn(Value) -> Draft) -> Finding {
    let mut messages = Vec::new();
    for n in 0..16 {
        let class = if n % 2 == 0 { "PaymentError" } else { "AddressError" };
        let inner = json!({"n": n, "errorType": class, "errorMessage": format!("it failed for order {n}")});
        messages.push(message(&format!("{n}"), wrap(inner)));
    }
    found(&messages)
}

fn sns(inner: &str) -> Value {
    json!({"Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:eu-west-1:1:t", "Message": inner})
}

fn eventbridge(inner: &Value) -> Value {
    json!({"version": "0", "detail-type": "Order Placed", "source": "shop", "detail": inner})
}

#[track_caller]
fn holds(finding: &Finding, envelopes: &[Envelope]) {
    assert_eq!(finding.groups.len(), 2, "{:?}", finding.groups);
    for group in &finding.groups {
        assert_eq!(group.messages, 8);
        assert_eq!(group.envelopes, envelopes, "{group:?}");
        assert!(group.name.starts_with("PaymentError") || group.name.starts_with("AddressError"), "{}", group.name);
        let Some(rule) = &group.rule else { panic!("no rule for {}", group.name) };
        assert!((rule.right, rule.taken, rule.wanted) == (8, 8, 8), "{rule:?}");
    }
}

#[test]
fn what_is_in_an_envelope_is_found() {
    use Envelope::{Base64, EventBridge, JsonInText, LambdaDestination, NotJson, Sns, StepFunctions};
    holds(&wrapped(Draft::json), &[]);
    holds(&wrapped(|inner| Draft::json(sns(&inner.to_string()))), &[Sns, JsonInText]);
    holds(&wrapped(|inner| Draft::json(eventbridge(&inner))), &[EventBridge]);
    holds(&wrapped(|inner| Draft::json(Value::from(inner.to_string()))), &[JsonInText]);
    holds(&wrapped(|inner| Draft::text(BASE64_STANDARD.encode(inner.to_string()))), &[Base64]);
    let record = |inner| json!({"requestContext": {"condition": "RetriesExhausted"}, "requestPayload": {"n": 1}, "responsePayload": inner});
    holds(&wrapped(|inner| Draft::json(record(inner))), &[LambdaDestination]);
    let execution = |inner: Value| {
        json!({"detail-type": "Step Functions Execution Status Change", "source": "aws.states",
            "detail": {"status": "FAILED", "cause": inner.to_string()}})
    };
    holds(&wrapped(|inner| Draft::json(execution(inner))), &[StepFunctions, JsonInText]);
    let text = |inner: Value| format!("{}: it failed", inner["errorType"].as_str().expect("a class"));
    holds(&wrapped(|inner| Draft::text(text(inner))), &[NotJson]);
}

#[test]
fn a_body_in_base64_is_taken_by_a_word_of_it_wherever_that_stands() {
    // The word begins at each place among three bytes.
    let coded = |inner: Value| {
        let mut inner = inner;
        let n = inner["n"].as_u64().expect("a number");
        inner["aaa"] = Value::from("x".repeat(usize::try_from(n / 2).expect("small")));
        Draft::text(BASE64_STANDARD.encode(inner.to_string()))
    };
    let finding = wrapped(coded);
    holds(&finding, &[Envelope::Base64]);
    let rule = condition_toml(&finding.groups[0].rule.as_ref().expect("a rule").when[0]);
    let word = if finding.groups[0].name.starts_with("Payment") { "UGF5bWVudEVycm9y" } else { "QWRkcmVzc0Vycm9y" };
    assert!(rule.starts_with("{ message = \"text\", regex = ") && rule.contains(word), "{rule}");
}

#[test]
fn what_is_redacted_is_in_no_name_no_rule_and_nothing_else_that_is_said() {
    let make = |n: usize| {
        let who = ["Ottilie", "Balthasar", "Kunigunde"][n % 3];
        let body = json!({"error": {"type": "Refused", "message": who}, "who": {"name": who}, "n": n});
        message(&n.to_string(), Draft::json(body).with("customer", who))
    };
    let messages: Vec<Message> = (0..60).map(make).collect();
    let redact = ["$.who.name", "customer"].map(str::to_owned).to_vec();
    for by in [None, Some("$.who.name"), Some("customer")] {
        let mut collector = Collector::new(by.map(|by| Finder::parse(by).expect("a path")), redact.clone());
        for message in &messages {
            collector.take(message.clone(), 0);
        }
        let finding = collector.finish(now());
        assert_eq!(finding.groups.len(), 3, "they are still told apart");
        for group in &finding.groups {
            let said = format!("{} {:?} {:?} {:?}", group.name, group.facts, group.varies, group.rule);
            assert!(!["Ottilie", "Balthasar", "Kunigunde"].iter().any(|who| said.contains(who)), "{said}");
            let is_told_apart_by =
                |fact: &Fact| fact.is_redacted() && (by.is_some() || fact.place == "$.error.message");
            assert!(group.facts.iter().any(is_told_apart_by), "{said}");
        }
    }
}

#[test]
fn envelopes_within_envelopes_are_taken_off_up_to_a_depth() {
    let nested = |inner: Value| {
        let coded = BASE64_STANDARD.encode(inner.to_string());
        let event = eventbridge(&json!({"data": coded}));
        Draft::json(sns(&event.to_string()))
    };
    let finding = wrapped(nested);
    holds(&finding, &[Envelope::Sns, Envelope::EventBridge, Envelope::JsonInText, Envelope::Base64]);
    let rule = condition_toml(&finding.groups[0].rule.as_ref().expect("a rule").when[0]);
    assert!(rule.contains("jq = '") && rule.contains("@base64d | fromjson"), "{rule}");
    // So deep nobody looks.
    let deep = |inner: Value| Draft::json((0..8).fold(inner, |inner, _| json!({"data": inner.to_string()})));
    assert_eq!(wrapped(deep).groups.len(), 1);
}

#[test]
fn what_stands_too_deep_in_a_body_or_behind_too_many_values_is_not_looked_at() {
    let below =
        |levels: usize| move |inner: Value| Draft::json((0..levels).fold(inner, |inner, _| json!({"a": inner})));
    holds(&wrapped(below(10)), &[]);
    assert_eq!(wrapped(below(13)).groups.len(), 1);
    let behind = |objects: usize| {
        let object: Value =
            (0..150).map(|n| (format!("v{n}"), Value::from(n))).collect::<serde_json::Map<_, _>>().into();
        move |inner: Value| {
            let objects = (0..objects).map(|n| (format!("o{n}"), object.clone()));
            let members: serde_json::Map<_, _> = objects.chain([("z".to_owned(), inner)]).collect();
            Draft::json(Value::Object(members))
        }
    };
    holds(&wrapped(behind(5)), &[]);
    assert_eq!(wrapped(behind(15)).groups.len(), 1);
}

#[test]
fn a_rule_is_tried_on_every_message_that_is_kept_and_one_that_takes_others_too_is_not_shown() {
    let make = |n: usize| {
        let error = json!({"errorType": if n.is_multiple_of(3) { "PaymentError" } else { "AddressError" }});
        // Rules cannot look into Base64, and no word tells these two apart.
        let coded = json!({"id": n, (if n % 4 == 1 { "alpha" } else { "beta" }): 1});
        let draft = if n.is_multiple_of(2) {
            Draft::json(error)
        } else {
            Draft::text(BASE64_STANDARD.encode(coded.to_string()))
        };
        message(&n.to_string(), draft)
    };
    let finding = found(&(0..7000).map(make).collect::<Vec<_>>());
    assert_eq!((finding.groups.len(), finding.kept), (4, 7000), "{:?}", finding.groups);
    for group in &finding.groups {
        let is_coded = group.envelopes == [Envelope::Base64];
        assert_eq!(group.rule.is_none(), is_coded, "{:?}", group.rule);
        if let Some(rule) = &group.rule {
            assert_eq!(
                (rule.tried, rule.wanted, rule.right, rule.taken),
                (7000, group.messages, group.messages, group.messages)
            );
        }
    }
}

#[test]
fn memory_is_bounded_by_bytes_that_are_kept_and_by_messages_that_are_remembered() {
    const LONG: usize = 60;
    let mut collector = Collector::default();
    for n in 0..LONG {
        collector.take(message(&n.to_string(), Draft::text("x".repeat(1 << 20))), 0);
    }
    let finding = collector.finish(now());
    assert_eq!(finding.grouped(), LONG as u64);
    let most = (ROOM_FOR_BODIES >> 20) as u64;
    assert!((most / 2..=most).contains(&finding.kept), "{} are kept", finding.kept);

    let mut collector = Collector::default();
    for n in 0..MOST_RECORDS + 1000 {
        collector.take(message(&n.to_string(), Draft::text("x")), 0);
    }
    let finding = collector.finish(now());
    assert_eq!(finding.looked, MOST_RECORDS as u64 + 1000);
    assert_eq!(finding.grouped(), MOST_RECORDS as u64);
    assert!(finding.kept < MOST_RECORDS as u64, "small messages weigh something as well");
}

#[test]
fn each_queue_that_messages_came_from_is_named_and_all_that_are_not_known_are_one() {
    let from = |n: usize| {
        let mut message = message(&n.to_string(), Draft::json(json!({"error": {"type": "Refused"}})));
        let arn = format!("arn:aws:sqs:eu-west-1:1:q{}", n / 2);
        message.system.0.extend((n >= 10).then(|| ("DeadLetterQueueSourceArn".to_owned(), arn)));
        message
    };
    for (messages, unknown) in [(210, 10), (4010, 2010)] {
        let finding = found(&(0..messages).map(from).collect::<Vec<_>>());
        let sources = &finding.groups[0].sources;
        assert_eq!(sources[0], (None, unknown));
        assert!(sources[1..].iter().all(|(arn, number)| arn.is_some() && *number == 2), "{sources:?}");
        assert_eq!(sources.iter().map(|(_, number)| number).sum::<u64>(), messages as u64);
    }
}

#[test]
fn lambda_s_own_attributes_and_pointers_of_the_extended_client_are_seen() {
    let lambda = |inner: Value| {
        let class = inner["errorType"].as_str().expect("a class");
        Draft::json(json!({"n": inner["n"]}))
            .with("RequestID", "r")
            .with("ErrorCode", "200")
            .with("ErrorMessage", &format!("{class}: no"))
    };
    holds(&wrapped(lambda), &[Envelope::LambdaDeadLetter]);
    let pointer = |inner: Value| {
        let class = "software.amazon.payloadoffloading.PayloadS3Pointer";
        Draft::json(json!([class, {"s3BucketName": "bodies", "s3Key": inner["n"].to_string()}]))
            .with("ExtendedPayloadSize", "9")
    };
    let finding = wrapped(pointer);
    assert_eq!(finding.groups.len(), 1, "a pointer says nothing about what it leads to");
    assert_eq!(finding.groups[0].envelopes, [Envelope::ExtendedClient]);
}

#[test]
fn a_few_messages_are_listed_one_by_one_and_none_is_lost() {
    for count in 0..6 {
        let kinds = ["Timeout", "Conflict", "NotFound", "Denied", "Deadlock", "Overflow"];
        let make =
            |n: usize| message(&format!("{n}"), Draft::json(json!({"error": {"type": kinds[n], "message": kinds[n]}})));
        let messages: Vec<Message> = (0..count).map(make).collect();
        let finding = found(&messages);
        assert_eq!(finding.groups.len(), count);
        assert!(finding.others.is_none());
    }
}

#[test]
fn kinds_by_the_hundred_are_the_largest_and_the_rest() {
    let mut messages = Vec::new();
    for n in 0..2000 {
        // The first kinds are frequent, and most are there once or twice.
        let kind = (n * n) % 997 % (1 + n % 300);
        messages.push(message(
            &format!("{n}"),
            Draft::json(json!({"error": {"type": format!("Kind{kind}x"), "message": "no"}})),
        ));
    }
    let finding = found(&messages);
    assert!(finding.groups.len() <= 29, "{}", finding.groups.len());
    let listed: u64 = finding.groups.iter().map(|group| group.messages).sum();
    assert_eq!(listed + finding.others.as_ref().map_or(0, |others| others.messages), 2000);
    assert!(finding.groups.is_sorted_by(|one, next| one.messages >= next.messages));
}

#[test]
fn no_rule_holds_what_looks_like_a_secret_or_turns_the_direction_of_writing() {
    for hidden in ["ops@example.com", "AKIAIOSFODNN7EXAMPLE", "safe\u{202e}txt", "\u{1b}[2J"] {
        let make = |n: usize| {
            let body = match n % 2 {
                0 => json!({"error": {"type": hidden, "message": format!("{hidden} cannot be reached")}}),
                _ => json!({"error": {"type": "Other", "message": "something else went wrong"}}),
            };
            message(&format!("{n}"), Draft::json(body))
        };
        let finding = found(&(0..12).map(make).collect::<Vec<_>>());
        for rule in finding.groups.iter().filter_map(|group| group.rule.as_ref()) {
            let written: String = rule.when.iter().map(condition_toml).collect();
            assert!(!written.contains(hidden) && !written.contains("\\u"), "{written}");
        }
        assert!(finding.groups.iter().all(|group| !group.name.contains(hidden)), "{:?}", finding.groups);
    }
}
