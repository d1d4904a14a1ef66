//! Pointers of the Extended Client: what is one, what rules see of the body behind it, and what a changed one becomes.

use redrive_protocol::message::{Body, Payload};

use super::*;

const POINTER: &str =
    r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"bodies","s3Key":"in/1f2e"}]"#;
const OLD: &str = r#"["com.amazon.sqs.javamessaging.MessageS3Pointer", {"s3Key": "1f2e", "s3BucketName": "bodies"}]"#;

const LINES: &str = r#"
[[rule]]
name = "by attribute"
when = [{ attribute = "kind", equals = "easy" }, { message = "size", lt = 400 }]
to = "orders"
[[rule]]
name = "by body"
when = [{ body = "$.error", equals = "Timeout" }]
transform = [{ set = "$.again", value = true }, { set_attribute = "by", value = "us" }]
to = "orders"
[[rule]]
name = "to the archive"
when = [{ message = "text", contains = "archive" }]
to = "archive"
[[rule]]
name = "changed on its way to the archive"
when = [{ message = "is_json", equals = true }]
transform = [{ set = "$.again", value = true }]
to = "archive"
"#;

fn following(lines: &str) -> Rules {
    let mut job = job(lines);
    job.source.extended_client = true;
    Rules::compile(&job).expect("a job")
}

fn pointing(body: &str, size: &str, payload: Option<Payload>) -> Message {
    Message { payload, ..with_attribute(message(body), size, "Number", "20") }
}

#[expect(clippy::unnecessary_wraps, reason = "the value of a field that may be empty")]
fn fetched(text: &str) -> Option<Payload> {
    Some(Payload::Fetched(text.to_owned()))
}

#[test]
fn a_pointer_has_the_mark_and_the_shape() {
    let rules = following(LINES);
    for (body, key) in [(POINTER, "in/1f2e"), (OLD, "1f2e")] {
        for size in ["ExtendedPayloadSize", "SQSLargePayloadSize"] {
            let found = rules.pointer(&pointing(body, size, None)).expect("a pointer");
            assert_eq!((found.bucket.as_str(), found.key.as_str(), found.size), ("bodies", key, 20));
        }
        assert_eq!(rules.pointer(&message(body)), None, "without the mark");
    }
    let marked = |body: &str| rules.pointer(&pointing(body, "ExtendedPayloadSize", None));
    for body in ["{}", "[]", "text", &POINTER.replace("PayloadS3Pointer", "Other"), &POINTER.replace("bodies", "")] {
        assert_eq!(marked(body), None, "{body}");
    }
    let odd = with_attribute(message(POINTER), "ExtendedPayloadSize", "Number", "1e99");
    assert_eq!(rules.pointer(&odd).map(|at| at.size), Some(MAX_PAYLOAD));
    assert_eq!(super::rules(LINES).pointer(&pointing(POINTER, SIZE, None)), None, "the job does not say so");
    let blind = "[[rule]]\nname = \"r\"\nwhen = [{ attribute = \"a\", exists = true }]\nto = \"orders\"\n";
    assert!(!following(blind).reads_payloads(), "no rule looks at bodies");
}

const SIZE: &str = "ExtendedPayloadSize";

#[test]
fn rules_see_the_body_and_the_pointer_goes() {
    let judge = |message| following(LINES).judge(message, &setting());
    let easy = with_attribute(pointing(POINTER, SIZE, fetched("text")), "kind", "String", "easy");
    assert_eq!(sent(judge(easy)).body, Body::Untouched(POINTER.to_owned()));
    let outgoing = sent(judge(pointing(POINTER, SIZE, fetched("{\"error\": \"Timeout\"}"))));
    let key = "in/1f2e.redrive-0123456789ab-5fea7756-0ea4-451a-a703-a558b933e274";
    assert_eq!(outgoing.body, Body::Changed(POINTER.replace("in/1f2e", key)));
    assert_eq!(outgoing.attributes[SIZE].text(), Some("34"));
    assert_eq!(outgoing.attributes["by"].text(), Some("us"));
    let payload = outgoing.payload.expect("a new object");
    assert_eq!((payload.bucket.as_str(), payload.key.as_str()), ("bodies", key));
    assert_eq!(payload.text, "{\"error\": \"Timeout\",\"again\": true}");
    match judge(pointing(POINTER, SIZE, fetched("archive me"))).decision {
        Decision::Archive { envelope, .. } => {
            assert!(envelope.contains("s3BucketName") && !envelope.contains("archive me"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_cannot_be_read_or_changed_is_blocked_by_the_rule_that_needs_it() {
    let judge = |message| following(LINES).judge(message, &setting());
    let unreadable = || Some(Payload::Unreadable("s3://bodies/in/1f2e is not there".to_owned()));
    let easy = with_attribute(pointing(POINTER, SIZE, unreadable()), "kind", "String", "easy");
    assert_eq!(words(&judge(easy)), "send to 4", "nobody had to look");
    let verdict = judge(pointing(POINTER, SIZE, unreadable()));
    assert_eq!(words(&verdict), "block: payload_unreadable (s3://bodies/in/1f2e is not there)");
    assert_eq!(verdict.rule, RuleId(1));
    let verdict = judge(pointing(POINTER, SIZE, None));
    assert_eq!(words(&verdict), "block: payload_unreadable (its body in S3 was not asked for)");
    let changed = judge(pointing(POINTER, SIZE, fetched("{\"a\":1}")));
    assert!(
        words(&changed).starts_with("block: transform_failed (an archive takes the pointer"),
        "{}",
        words(&changed)
    );
    let long = POINTER.replace("in/1f2e", &"k".repeat(1000));
    let long = judge(pointing(&long, SIZE, fetched("{\"error\":\"Timeout\"}")));
    assert_eq!(
        words(&long),
        "block: transform_failed (the key of the changed body would be 1058 bytes, S3 takes 1024)"
    );
}
