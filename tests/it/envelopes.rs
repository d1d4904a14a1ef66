//! What others wrap around a body or put in its place, through the whole program: Lambda's two ways into a queue, with the
//! job of `jobs/`, and the Extended Client's pointers to S3.

use std::collections::BTreeMap;

use sqs_sandbox::{MessageAttribute, Options, Seed, When};

use crate::support::admin::Admin;
use crate::support::stage::{Stage, content, count, each};

fn text(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// As Lambda's own dead-letter queue has it.
fn from_lambda(body: &str, code: u32, message: &str) -> Seed {
    Seed::new(body)
        .attribute("RequestID", MessageAttribute::string("e4b46cbf-b738-4880-8880-a18cdf61200e"))
        .attribute("ErrorCode", MessageAttribute::number(code.to_string()))
        .attribute("ErrorMessage", MessageAttribute::string(message))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lambda_gave_up_goes_back_as_the_event_it_was() {
    let stage = Stage::new().await;
    stage.queue("invoices-failed", &[]);
    stage.queue("invoices-retry", &[]);
    stage.sandbox.create_bucket("redrive-archive").expect("a bucket");
    let record = r#"{"version":"1.0","requestContext":{"condition":"RetriesExhausted","approximateInvokeCount":3},"requestPayload":{"invoice": 4.10},"responseContext":{"statusCode":200,"functionError":"Unhandled"},"responsePayload":{}}"#;
    let seeds = [
        from_lambda("{\"invoice\": 1.10}", 200, "2026-11-20T10:00:00.000Z e4b46cbf Task timed out after 3.00 seconds"),
        from_lambda("{\"invoice\": 2}", 429, "Rate Exceeded."),
        from_lambda("{\"invoice\": 3}", 200, "division by zero"),
        Seed::new(record),
        Seed::new("{\"requestContext\":{\"condition\":\"RetriesExhausted\"}}"),
        Seed::new("sent by hand"),
    ];
    stage.sandbox.seed("invoices-failed", seeds).expect("seeded");
    let job = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/jobs/lambda-dlq.toml")).expect("the job");
    stage.file("job.toml", &job);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(6).summary();
    let figures = ["moved", "archived", "kept", "blocked"].map(|name| summary[name].as_u64().expect(name));
    assert_eq!(figures, [3, 1, 1, 1], "{summary}");
    let counted = text(&[("retryCount", "Number:1")]);
    let expected = ["{\"invoice\": 1.10}", "{\"invoice\": 2}", "{\"invoice\": 4.10}"]
        .map(|body| (body.to_owned(), counted.clone()));
    assert_eq!(stage.inventory("invoices-retry"), count(expected));
    let archived: Vec<_> = stage.envelopes("redrive-archive").iter().map(content).collect();
    assert_eq!(archived.len(), 1);
    assert_eq!(archived[0].1["ErrorMessage"], "String:division by zero");
}

/// A message as the Extended Client sends it, with the body where it says.
async fn offloaded(s3: &aws_sdk_s3::Client, key: &str, body: Option<&str>) -> Seed {
    if let Some(body) = body {
        s3.put_object().bucket("bodies").key(key).body(body.as_bytes().to_vec().into()).send().await.unwrap();
    }
    Seed::new(pointer(key))
        .attribute("ExtendedPayloadSize", MessageAttribute::number(body.map_or(9, str::len).to_string()))
}

fn pointer(key: &str) -> String {
    format!(r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{{"s3BucketName":"bodies","s3Key":"{key}"}}]"#)
}

const EXTENDED: &str = r#"
version = 1
name = "extended"
[source]
queue = "in"
visibility_timeout = "10s"
extended_client = true
[destination.out]
sqs = { queue = "out" }
[destination.archive]
file = { path = "archive.jsonl" }
[[rule]]
name = "timeouts"
when = [{ body = "$.error", equals = "Timeout" }]
transform = [{ set = "$.again", value = true }]
to = "out"
[[rule]]
name = "as they are"
when = [{ body = "$.error", equals = "Other" }]
to = "out"
[[rule]]
name = "for the archive"
when = [{ message = "text", contains = "news" }]
to = "archive"
"#;

async fn object(s3: &aws_sdk_s3::Client, key: &str) -> Option<String> {
    let answer = s3.get_object().bucket("bodies").key(key).send().await.ok()?;
    Some(String::from_utf8(answer.body.collect().await.unwrap().to_vec()).unwrap())
}

/// A stage with messages that point to bodies: changed, as they are, for the archive, missing, and one with its body.
async fn extended_stage() -> (Stage, Admin) {
    let stage = Stage::with_options(Options { signals: true, ..Options::default() }).await;
    stage.queue("in", &[]);
    stage.queue("out", &[]);
    stage.sandbox.create_bucket("bodies").expect("a bucket");
    let admin = Admin::at(&stage.sandbox.endpoint_url());
    let mut seeds = vec![Seed::new("{\"error\": \"Timeout\", \"small\": 1.10}")];
    for (key, body) in [
        ("p/changed", Some("{\"error\": \"Timeout\", \"large\": 1.10}")),
        ("p/same", Some("{\"error\": \"Other\"}")),
        ("p/old", Some("old news")),
        ("p/missing", None),
    ] {
        seeds.push(offloaded(&admin.s3, key, body).await);
    }
    stage.sandbox.seed("in", seeds).expect("seeded");
    stage.file("job.toml", EXTENDED);
    (stage, admin)
}

/// What must be so at the end, by the ID of the run.
async fn assert_extended(stage: &Stage, admin: &Admin, run: &str, at: &str) {
    let messages = stage.sandbox.queue("out").expect("out").messages;
    let by = |part: &str| messages.iter().find(|message| message.body.contains(part));
    let mut bodies: Vec<_> = messages.iter().map(|message| message.body.clone()).collect();
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 3, "{bodies:?} {at}");
    assert_eq!(by("small").expect("with its body").body, "{\"error\": \"Timeout\", \"small\": 1.10, \"again\": true}");
    assert!(bodies.contains(&pointer("p/same")), "{at}");
    let changed = by("p/changed").expect("the changed one");
    let key = changed.body.split('"').find(|part| part.starts_with("p/changed")).expect("a key").to_owned();
    assert!(key.starts_with(&format!("p/changed.redrive-{run}-")), "{key}");
    let body = object(&admin.s3, &key).await.expect("a new object");
    assert_eq!(body, "{\"error\": \"Timeout\", \"large\": 1.10, \"again\": true}", "{at}");
    let size = changed.attributes["ExtendedPayloadSize"].string_value.clone();
    assert_eq!(size, Some(body.len().to_string()));
    let old = object(&admin.s3, "p/changed").await;
    assert_eq!(old.as_deref(), Some("{\"error\": \"Timeout\", \"large\": 1.10}"), "the old object is as it was");
    let archive = std::fs::read_to_string(stage.path("archive.jsonl")).expect("the archive");
    assert_eq!(archive.lines().count(), 1, "{at}");
    assert!(archive.contains("p/old") && !archive.contains("old news"), "the archive has the pointer");
    assert_eq!(stage.counts("in"), (1, 1), "the one whose body is missing stays: {at}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pointers_of_the_extended_client_are_followed_moved_and_never_written_over() {
    let (stage, admin) = extended_stage().await;
    let plan = stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0).stdout;
    for part in ["4 of 5 sampled messages point to a body in S3", "its body in S3 cannot be read", "\"large\": 1.10"] {
        let plan = plan.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(plan.contains(part), "{part}: {plan}");
    }
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(6).summary();
    let figures = ["moved", "archived", "blocked"].map(|name| summary[name].as_u64().expect(name));
    assert_eq!(figures, [3, 1, 1], "{summary}");
    assert_extended(&stage, &admin, summary["run"].as_str().expect("a run"), "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_being_told_nobody_follows_a_pointer() {
    let (stage, _) = extended_stage().await;
    stage.file("job.toml", &EXTENDED.replace("extended_client = true", ""));
    let plan = stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0).stdout;
    assert!(
        plan.split_whitespace().collect::<Vec<_>>().join(" ").contains("`extended_client = true` in [source]"),
        "{plan}"
    );
    stage.sandbox.clear_log();
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
    assert_eq!((&summary["moved"], &summary["kept"]), (&1.into(), &4.into()), "{summary}");
    assert_eq!(stage.requests("GetObject"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exact_plan_is_pinned_to_the_bodies_in_s3_too() {
    let (stage, admin) = extended_stage().await;
    stage.redrive(&["plan", "job.toml", "--exact", "--out", "plan.json"]).await.expect(0);
    let other = "{\"error\": \"Other\", \"by\": \"somebody\"}".to_owned().into_bytes();
    admin.s3.put_object().bucket("bodies").key("p/same").body(other.into()).send().await.expect("put");
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(6).summary();
    let figures = ["moved", "archived", "kept", "blocked"].map(|name| summary[name].as_u64().expect(name));
    assert_eq!(figures, [2, 1, 1, 1], "{summary}");
    assert_eq!(summary["pinned"]["changed"], 1, "{summary}");
    assert!(stage.inventory("out").keys().all(|(body, _)| *body != pointer("p/same")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pointer_to_a_bucket_that_the_job_does_not_name_is_not_followed() {
    let (stage, _) = extended_stage().await;
    let bound = "extended_client = true\nextended_client_buckets = [\"ours\"]";
    stage.file("job.toml", &EXTENDED.replace("extended_client = true", bound));
    stage.sandbox.clear_log();
    let plan = stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0).stdout;
    let plan = plan.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["name \"bodies\"; only those in ours are read", "the bucket bodies is not among the job's"] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(6).summary();
    assert_eq!((&summary["moved"], &summary["blocked"]), (&1.into(), &4.into()), "{summary}");
    assert_eq!(stage.requests("GetObject"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_follows_a_pointer_where_the_job_does() {
    let (stage, _) = extended_stage().await;
    stage.file("message", &pointer("p/changed"));
    let arguments = ["explain", "job.toml", "--message", "message", "--attribute", "ExtendedPayloadSize=44"];
    let explained = stage.redrive(&arguments).await.expect(0).stdout;
    assert!(explained.contains("timeouts") && explained.contains("\"large\": 1.10"), "{explained}");
    stage.sandbox.clear_log();
    stage.file("message", "{\"error\": \"Timeout\"}");
    stage.redrive(&arguments[..4]).await.expect(0);
    assert_eq!(stage.sandbox.log().len(), 0, "without a pointer it makes no connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_body_is_one_object_however_often_the_process_dies() {
    let killed =
        each((1..=24).flat_map(|nth| [(nth, When::Before), (nth, When::After)]).collect(), |(nth, when)| async move {
            let (stage, admin) = extended_stage().await;
            stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
            let killed = stage.killed_at(when, |rule| rule.nth(nth)).await;
            let ran = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(6);
            let at = format!("killed at {nth} {when:?}: {}", ran.stdout);
            assert_extended(&stage, &admin, ran.summary()["run"].as_str().expect("a run"), &at).await;
            let objects = admin.s3.list_objects_v2().bucket("bodies").send().await.unwrap();
            assert_eq!(objects.contents().len(), 4, "{at}");
            killed
        })
        .await;
    assert!(killed.into_iter().filter(|killed| *killed).count() > 20);
}
