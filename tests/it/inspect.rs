//! What is in a queue: groups, the rule for each, and the job made of them, through the whole program.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sqs_sandbox::{MessageAttribute, Seed};

use crate::support::admin::Admin;
use crate::support::stage::{Ran, Stage};

/// Messages of four kinds, 60 in all: timeouts, validations that SNS wrapped, what Lambda gave up, and lines of text.
pub(crate) fn kinds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for n in 0..30 {
        let error = json!({"type": "Timeout", "message": format!("gateway {n} did not answer within {} ms", 900 + n)});
        seeds.push(Seed::new(
            json!({"order": {"id": n, "mail": format!("c{n}@example.com")}, "error": error}).to_string(),
        ));
    }
    for n in 0..15 {
        let inner =
            json!({"order": n, "error": {"code": "E1042", "message": format!("field 'zip' of order {n} is empty")}});
        let topic = "arn:aws:sns:eu-west-1:000000000000:orders";
        seeds.push(Seed::new(
            json!({"Type": "Notification", "TopicArn": topic, "Message": inner.to_string()}).to_string(),
        ));
    }
    for n in 0..10 {
        let message = format!(
            "2026-11-20T10:00:{n:02}.000Z e4b46cbf-b738-4880-8880-a18cdf6120{n:02} Task timed out after 3.00 seconds"
        );
        seeds.push(
            Seed::new(json!({"invoice": n}).to_string())
                .attribute("RequestID", MessageAttribute::string(format!("e4b46cbf-b738-4880-8880-a18cdf6120{n:02}")))
                .attribute("ErrorCode", MessageAttribute::number("200"))
                .attribute("ErrorMessage", MessageAttribute::string(message)),
        );
    }
    for n in 0..5 {
        seeds.push(Seed::new(format!("2026-11-20 ERROR worker-{n}: cannot parse order {n}{n}")));
    }
    seeds
}

async fn stage() -> Stage {
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", kinds()).expect("seeded");
    stage
}

fn objects(ran: &Ran) -> Vec<Value> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_in_s3_are_looked_at_only_when_that_is_asked_for() {
    let stage = Stage::with_queues().await;
    let admin = Admin::at(&stage.sandbox.endpoint_url());
    for n in 0..6 {
        let class = if n % 2 == 0 { "Timeout" } else { "Conflict" };
        let body = json!({"error": {"type": class}}).to_string().into_bytes();
        let put = admin.s3.put_object().bucket("archive").key(format!("{n}")).body(body.into());
        put.send().await.expect("an object");
    }
    let pointers = (0..6).map(|n| {
        let class = "software.amazon.payloadoffloading.PayloadS3Pointer";
        Seed::new(json!([class, {"s3BucketName": "archive", "s3Key": format!("{n}")}]).to_string())
            .attribute("ExtendedPayloadSize", MessageAttribute::number("40"))
    });
    stage.sandbox.seed("orders-dlq", pointers).expect("seeded");
    let pointers = stage.redrive(&["inspect", "orders-dlq", "--format", "json"]).await.expect(0);
    assert_eq!(sizes(&objects(&pointers)), [6]);
    assert_eq!(stage.requests("GetObject"), 0);
    let bodies = stage.redrive(&["inspect", "orders-dlq", "--extended-client", "--format", "json"]).await.expect(0);
    assert_eq!(sizes(&objects(&bodies)), [3, 3], "{}", bodies.stdout);
    assert!(bodies.stdout.contains("$.error.type"));
}

/// Messages of each group.
fn sizes(objects: &[Value]) -> Vec<u64> {
    let groups = objects.iter().filter(|object| object["type"] == "group" && object["is_other"] == false);
    groups.map(|group| group["messages"].as_u64().expect("a number")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_is_shown_in_groups_and_every_message_is_given_back() {
    let stage = stage().await;
    let before = stage.inventory("orders-dlq");
    let ran = stage.redrive(&["inspect", "orders-dlq", "--format", "json"]).await.expect(0);
    let objects = objects(&ran);
    let looked = &objects[0];
    assert_eq!(
        (&looked["type"], &looked["messages"], &looked["whole_queue"]),
        (&json!("inspection"), &json!(60), &json!(true))
    );
    assert_eq!(sizes(&objects), [30, 15, 10, 5], "{}", ran.stdout);
    for group in &objects[1..] {
        assert_eq!(group["rule"]["precision"], 1.0, "{group}");
        assert_eq!(group["rule"]["recall"], 1.0, "{group}");
        assert_eq!(group["version"], 1);
    }
    assert_eq!(
        objects[1]["rule"]["toml"],
        "[[rule]]\nname = \"Timeout: gateway … did not answer within … ms\"\nwhen = [{ body = \"$.error.type\", equals = \"Timeout\" }]\nto = \"keep\"\n"
    );
    assert_eq!(stage.inventory("orders-dlq"), before);
    assert_eq!(stage.counts("orders-dlq"), (60, 60), "all can be received again");
    assert_eq!((stage.requests("DeleteMessageBatch"), stage.requests("SendMessageBatch")), (0, 0));
    let splits = looked["splits"].as_array().expect("splits");
    let explains = |split: &Value| split["explains"].as_f64().expect("a share");
    assert!(splits.is_sorted_by(|one, next| explains(one) >= explains(next)), "{looked}");
    assert_eq!(splits[0]["at"], "$.error.type", "{looked}");
    let text = stage.redrive(&["inspect", "orders-dlq"]).await.expect(0).stdout;
    assert!(text.contains("What tells them apart: $.error.type ("), "{text}");
    assert!(
        text.contains("60 messages in 4 groups; the largest: Timeout: gateway … did not answer within … ms, 50.0 %."),
        "{text}"
    );
    assert!(text.contains("Examining them raised the receive count of each by one"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_has_the_groups_and_a_page_stands_alone() {
    let stage = stage().await;
    let html = stage.redrive(&["inspect", "orders-dlq", "--format", "html"]).await.expect(0).stdout;
    assert_eq!(html.matches("<section>").count(), 4, "{html}");
    assert!(html.contains("<details>") && !html.contains("<script") && !html.contains("src="));
    let markdown = stage.redrive(&["inspect", "orders-dlq", "--format", "markdown"]).await.expect(0).stdout;
    assert_eq!(markdown.matches("```toml").count(), 4, "{markdown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_by_hand_are_by_what_is_named() {
    let stage = Stage::with_queues().await;
    let received = (0..).zip(kinds()).map(|(n, seed)| Seed { receive_count: (n % 3) / 2, ..seed });
    stage.sandbox.seed("orders-dlq", received).expect("seeded");
    for (by, expected) in [
        ("$.error.type", vec![30, 30]),
        ("ErrorCode", vec![50, 10]),
        ("ApproximateReceiveCount", vec![40, 20]),
        ("jq:.Message | fromjson | .error.code", vec![45, 15]),
    ] {
        let ran = stage.redrive(&["inspect", "orders-dlq", "--by", by, "--format", "json"]).await.expect(0);
        assert_eq!(sizes(&objects(&ran)), expected, "{by}: {}", ran.stdout);
    }
    let refused = stage.redrive(&["inspect", "orders-dlq", "--by", "$.a["]).await.expect(2);
    assert!(refused.stderr.contains("--by \"$.a[\": the JSONPath ends in the middle"), "{}", refused.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_whose_messages_could_move_on_is_not_looked_at_unless_that_is_wanted() {
    let stage = stage().await;
    stage.sandbox.seed("orders", kinds()).expect("seeded");
    let refused = stage.redrive(&["inspect", "orders"]).await.expect(4);
    assert!(refused.stderr.contains("--sample-despite-redrive-policy"), "{}", refused.stderr);
    assert_eq!(stage.requests("ReceiveMessage"), 0);
    stage.redrive(&["inspect", "orders", "--sample-despite-redrive-policy"]).await.expect(0);
    assert_eq!(stage.counts("orders"), (60, 60));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_inspected_without_a_network() {
    let stage = Stage::new().await;
    let mut envelopes = String::new();
    for n in 0..40 {
        let body = json!({"error": {"type": if n % 4 == 0 { "Conflict" } else { "Timeout" }}}).to_string();
        let envelope = json!({"type": "redrive.message", "version": 1, "message_id": format!("m{n}"), "body": body, "attributes": {}, "system_attributes": {"SentTimestamp": "1795000000000"}});
        writeln!(envelopes, "{envelope}").expect("written");
    }
    let printed = json!({"Messages": [{"MessageId": "1", "ReceiptHandle": "x", "Body": "{\"error\":\"E_ONE\"}", "Attributes": {"SentTimestamp": "1795000000000"},
        "MessageAttributes": {"tenant": {"DataType": "String", "StringValue": "eu"}}}]});
    stage.file("archive.jsonl", &envelopes);
    stage.file("printed.json", &serde_json::to_string_pretty(&printed).expect("JSON"));
    std::fs::write(stage.path("archive.jsonl.zst"), zstd::encode_all(envelopes.as_bytes(), 1).expect("zstd"))
        .expect("a file");
    for (file, expected) in
        [("archive.jsonl", vec![30, 10]), ("archive.jsonl.zst", vec![30, 10]), ("printed.json", vec![1])]
    {
        // No endpoint and no credentials.
        let ran = stage
            .command(&["inspect", "--from", file, "--format", "json"])
            .env_clear()
            .output()
            .await
            .expect("it runs");
        assert_eq!(sizes(&objects(&Ran::of(ran).expect(0))), expected, "{file}");
    }
    stage.file("job.toml", "version = 1\n");
    let refused = stage.redrive(&["inspect", "--from", "job.toml"]).await.expect(2);
    assert!(refused.stderr.contains("line 1 of job.toml is no message"), "{}", refused.stderr);
    assert_eq!(stage.sandbox.log().len(), 0, "nothing was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_from_a_queue_moves_nothing_and_a_changed_to_moves_one_group() {
    let stage = stage().await;
    stage.redrive(&["init", "orders-dlq", "--out", "job.toml"]).await.expect(0);
    stage.redrive(&["check", "job.toml"]).await.expect(0);
    stage.redrive(&["plan", "job.toml", "--detailed-exitcode"]).await.expect(0);
    let job = std::fs::read_to_string(stage.path("job.toml")).expect("the job");
    assert!(job.contains("redact = [\"$.order.mail\"]"), "{job}");
    assert!(job.contains("Messages come here from orders: to = \"origin\""), "{job}");
    let timeout = job.find("name = \"Timeout").expect("the rule");
    let to = timeout + job[timeout..].find("to = \"keep\"").expect("its destination");
    // They were sent here by hand, so `origin` does not know where from.
    let changed = format!(
        "{}to = \"again\"{}\n[destination.again]\nsqs = {{ queue = \"orders\" }}\n",
        &job[..to],
        &job[to + "to = \"keep\"".len()..]
    );
    stage.file("job.toml", &changed);
    let ran = stage.redrive(&["apply", "job.toml", "--auto-approve", "--format", "json"]).await.expect(0);
    let summary = ran.summary();
    assert_eq!((&summary["moved"], &summary["kept"]), (&json!(30), &json!(30)), "{summary}");
    assert!(stage.inventory("orders").keys().all(|(body, _)| body.contains("Timeout")));
    let again = stage.redrive(&["init", "orders-dlq", "--out", "job.toml"]).await.expect(2);
    assert!(again.stderr.contains("job.toml is there already"), "{}", again.stderr);
    assert_eq!(std::fs::read_to_string(stage.path("job.toml")).expect("the job"), changed);
    stage.redrive(&["init", "orders-dlq", "--out", "job.toml", "--force"]).await.expect(0);
    assert_ne!(std::fs::read_to_string(stage.path("job.toml")).expect("the job"), changed);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_not_shown_in_any_form() {
    let stage = Stage::with_queues().await;
    let secrets = [
        "anna@example.com",
        "4111 1111 1111 1111",
        "AKIAIOSFODNN7EXAMPLE",
        "hunter22",
        "s3cr3t-of-mine",
        "s3cr3t-of-yours",
        "Bearer abcdefgh12345678",
    ];
    let seeds = (0..12).map(|n| {
        let body = json!({"error": {"type": "Declined", "message": format!("card {} of {} was declined", secrets[1], secrets[0])},
            "key": secrets[2], "password": secrets[3], "note": {"mine": secrets[4 + n % 2]}, "header": secrets[6], "n": n});
        Seed::new(body.to_string()).attribute("contact", MessageAttribute::string(secrets[0]))
    });
    stage.sandbox.seed("orders-dlq", seeds).expect("seeded");
    for format in ["text", "json", "markdown", "html"] {
        let ran =
            stage.redrive(&["inspect", "orders-dlq", "--redact", "$.note.mine", "--format", format]).await.expect(0);
        for secret in secrets {
            assert!(!ran.stdout.contains(secret), "{format} shows {secret}\n{}", ran.stdout);
        }
        assert!(ran.stdout.contains("Declined"), "{format}");
    }
    let job = stage.redrive(&["init", "orders-dlq"]).await.expect(0).stdout;
    for secret in secrets {
        assert!(!job.contains(secret), "{job}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_bodies_are_shown_neutralised_and_take_no_more_than_others() {
    let stage = Stage::with_queues().await;
    let keys: serde_json::Map<String, Value> = (0..10_000).map(|n| (format!("k{n}e{n}"), json!(n))).collect();
    let evil = "\u{1b}[2J\u{7}\u{9b}2J\u{202e}gnp.exe\u{2066}</script><script>alert(1)</script><img src=x onerror=alert(1)>\n````\n~~~\n";
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let mut bodies = vec![
        deep.clone(),
        "{\"a\":".repeat(10_000) + "1" + &"}".repeat(10_000),
        json!({"Type": "Notification", "TopicArn": "arn", "Message": deep.as_str()}).to_string(),
        json!({"error": deep.as_str()}).to_string(),
        BASE64_STANDARD.encode(&deep),
        Value::Object(keys).to_string(),
        "x".repeat(1_000_000),
        format!("{{\"error\":{{\"type\":\"Long\",\"message\":\"{}\"}}}}", "é ".repeat(300_000)),
        json!({"error": {"type": evil, "message": evil.repeat(200)}}).to_string(),
        "'".repeat(10_000),
        "{\"error\":\"".repeat(5000),
    ];
    for n in 0..20 {
        bodies
            .push(json!({"error": {"type": "Evil", "message": format!("{evil} {n}")}, evil: {evil: evil}}).to_string());
        bodies.push(format!("ERROR {n}: \u{202e}<img src=x onerror=alert(1)>\n````\n<script>alert({n})</script>\n"));
    }
    let mut archive = String::new();
    for (n, body) in bodies.iter().enumerate() {
        let envelope = json!({"type": "redrive.message", "version": 1, "message_id": format!("{n} {evil}"), "body": body,
            "attributes": {"note": {"type": "String", "value": evil}}, "system_attributes": {"SentTimestamp": evil}});
        writeln!(archive, "{envelope}").expect("written");
    }
    stage.file("evil.jsonl", &archive);
    stage.sandbox.seed("orders-dlq", bodies.iter().map(Seed::new)).expect("seeded");
    let (queue, file) = (&["orders-dlq"][..], &["--from", "evil.jsonl", "--full"][..]);
    for (format, from) in [("text", queue), ("json", queue), ("text", file), ("markdown", file), ("html", file)] {
        let ran = stage.redrive(&[&["inspect", "--format", format], from].concat()).await.expect(0);
        assert!(!ran.stdout.contains(DRIVES), "{format} can drive a terminal");
        match format {
            "html" => holds_no_markup(&ran.stdout, format),
            "markdown" => holds_no_markup(&outside_of_fences(&ran.stdout), format),
            "json" => assert!(!objects(&ran).is_empty()),
            _ => {}
        }
        assert!(ran.stdout.contains("Evil"), "{format}");
        assert!(ran.stdout.len() < 3_000_000, "{format}: {} bytes", ran.stdout.len());
    }
    stage.redrive(&["init", "orders-dlq", "--out", "job.toml"]).await.expect(0);
    let job = std::fs::read_to_string(stage.path("job.toml")).expect("the job");
    assert!(!job.contains(DRIVES), "{job}");
    stage.redrive(&["check", "job.toml"]).await.expect(0);
    assert_eq!(stage.counts("orders-dlq"), (51, 51));
}

/// What a terminal takes for a command, or for a change of the direction of writing.
const DRIVES: [char; 5] = ['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}', '\u{2066}'];

fn holds_no_markup(text: &str, shown: &str) {
    for markup in ["<script", "<img", "onerror=alert(1)>"] {
        assert!(!text.contains(markup), "{shown} holds {markup}\n{text}");
    }
}

/// Markdown without what is shown as it is written: code spans, and fenced blocks, each of which ends at a line that is its
/// own fence.
fn outside_of_fences(markdown: &str) -> String {
    let mut outside = String::new();
    let mut within: Option<String> = None;
    for line in markdown.lines() {
        let fence: String = line.chars().take_while(|letter| *letter == '`').collect();
        match &within {
            Some(open) if *open == line => within = None,
            // A longer one would end it as well.
            Some(open) => assert!(fence.len() < open.len(), "{line}"),
            None if fence.len() >= 3 => within = Some(fence),
            None => outside.push_str(&outside_of_spans(line)),
        }
    }
    assert_eq!(within, None, "a fence stays open");
    outside
}

fn outside_of_spans(line: &str) -> String {
    let mut outside = String::new();
    let mut rest = line;
    while let Some(start) = rest.find('`') {
        let span = &rest[start..];
        let inner = span.trim_start_matches('`');
        let ticks = &span[..span.len() - inner.len()];
        let end = inner
            .match_indices(ticks)
            .map(|(at, _)| at)
            .find(|at| !inner[..*at].ends_with('`') && !inner[at + ticks.len()..].starts_with('`'));
        outside.push_str(&rest[..start]);
        rest = end.map_or(inner, |end| &inner[end + ticks.len()..]);
    }
    outside + rest + "\n"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_for_bodies_in_base64_takes_them_and_where_there_is_none_that_is_said() {
    let stage = Stage::with_queues().await;
    let seeds = (0..40).map(|n| {
        let body = match n % 4 {
            0 | 1 => json!({"pad": "x".repeat(n), "error": {"type": "ClockSkew"}}),
            2 => json!({"id": n * 7919, "alpha": 1}),
            _ => json!({"id": n * 7919, "beta": 1}),
        };
        Seed::new(BASE64_STANDARD.encode(body.to_string()))
    });
    stage.sandbox.seed("orders-dlq", seeds).expect("seeded");
    let text = stage.redrive(&["inspect", "orders-dlq"]).await.expect(0).stdout;
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("The pattern is a word of it as Base64 writes it"), "{text}");
    assert_eq!(words.matches("No rule takes it: its bodies are JSON in Base64").count(), 2, "{text}");
    stage.redrive(&["init", "orders-dlq", "--out", "job.toml"]).await.expect(0);
    let job = std::fs::read_to_string(stage.path("job.toml")).expect("the job");
    let rule = job.find("[[rule]]").expect("a rule");
    let to = rule + job[rule..].find("to = \"keep\"").expect("its destination");
    let end = to + "to = \"keep\"".len();
    let (before, after) = (&job[..to], &job[end..]);
    stage.file(
        "job.toml",
        &format!("{before}to = \"again\"{after}\n[destination.again]\nsqs = {{ queue = \"orders\" }}\n"),
    );
    let ran = stage.redrive(&["apply", "job.toml", "--auto-approve", "--format", "json"]).await.expect(0);
    assert_eq!((&ran.summary()["moved"], &ran.summary()["kept"]), (&json!(20), &json!(20)), "{job}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_rule_matched_is_shown_however_far_down_it_stands() {
    let stage = Stage::with_queues().await;
    let log = |n: usize| -> String {
        let lines = (0..30).map(|step| format!("2026-11-20T10:00:{step:02}Z INFO order {n}: step {step} is done\n"));
        lines.collect::<String>()
    };
    let seeds = (0..20).map(|n| match n % 2 {
        0 => {
            Seed::new(format!("{}\nFATAL the ledger refused order {n}: period is closed\nthe very end of {n}", log(n)))
        }
        _ => Seed::new(
            json!({"log": log(n), "failure": {"class": "LedgerError", "stage": "posting"}, "n": n}).to_string(),
        ),
    });
    stage.sandbox.seed("orders-dlq", seeds).expect("seeded");
    let by = ["inspect", "orders-dlq", "--by", "jq:.failure.class"];
    let short = stage.redrive(&by).await.expect(0).stdout;
    assert!(short.contains("asked") && short.contains("yields true"), "{short}");
    assert!(short.contains("$.failure.class: LedgerError"), "{short}");
    assert!(!short.contains("the very end") && short.contains("lines more"), "{short}");
    let full = stage.redrive(&[&by[..], &["--full"]].concat()).await.expect(0).stdout;
    assert!(full.contains("FATAL the ledger refused order") && full.contains("the very end of"), "{full}");
    let found = stage.redrive(&["inspect", "orders-dlq", "--format", "json"]).await.expect(0);
    let objects = objects(&found);
    let of_json =
        objects.iter().find(|object| object["name"].as_str().is_some_and(|name| name.contains("LedgerError")));
    let asked = &of_json.expect("a group")["example"]["asked"][0];
    assert_eq!(asked["of"], "{ body = \"$.failure.class\", equals = \"LedgerError\" }", "{}", found.stdout);
    assert_eq!(asked["found"], "found \"LedgerError\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_of_a_queue_has_totals_only_if_it_is_of_one_piece() {
    let stage = Stage::with_queues().await;
    let seeds = (0..600).map(|n| {
        let class = if n < 300 { "Early" } else { "Late" };
        Seed { age_ms: (7200 - n * 10) * 1000, ..Seed::new(json!({"error": {"type": class}}).to_string()) }
    });
    stage.sandbox.seed("orders-dlq", seeds).expect("seeded");
    let ran = stage.redrive(&["inspect", "orders-dlq", "--sample", "450", "--format", "json"]).await.expect(0);
    let objects = objects(&ran);
    // Whichever order is looked at first shows it.
    assert!(objects[0]["basis"]["uneven"].is_string(), "{}", ran.stdout);
    assert_eq!(objects[1]["estimate"]["is_interval"], false);
    let text = stage.redrive(&["inspect", "orders-dlq", "--sample", "450"]).await.expect(0).stdout;
    assert!(text.contains("which say nothing about the others: no totals"), "{text}");
    assert_eq!(stage.counts("orders-dlq"), (600, 600));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_knows_the_queues_on_both_sides_and_names_the_source_as_it_was_named() {
    let stage = Stage::with_queues().await;
    let from = Some("arn:aws:sqs:eu-west-1:000000000000:orders".to_owned());
    let seeds = kinds().into_iter().map(|seed| Seed { source_arn: from.clone(), ..seed });
    stage.sandbox.seed("orders-dlq", seeds).expect("seeded");
    let arn = "arn:aws:sqs:eu-west-1:000000000000:orders-dlq";
    let job = stage.redrive(&["init", arn, "--region", "eu-west-1"]).await.expect(0).stdout;
    assert!(job.contains(&format!("queue = \"{arn}\"\nregion = \"eu-west-1\"")), "{job}");
    assert!(job.contains("come here from orders"), "{job}");
    stage.sandbox.seed("orders", kinds()).expect("seeded");
    let job = stage.redrive(&["init", "orders", "--sample-despite-redrive-policy"]).await.expect(0).stdout;
    assert!(
        job.contains("[destination.orders-dlq]\nsqs = { queue = \"arn:aws:sqs:eu-west-1:000000000000:orders-dlq\" }"),
        "{job}"
    );
    // An empty queue, and a FIFO queue.
    stage.queue("empty.fifo", &[("FifoQueue", "true")]);
    let job = stage.redrive(&["init", "empty.fifo", "--out", "job.toml"]).await.expect(0);
    assert!(job.stderr.contains("0 rules"), "{}", job.stderr);
    stage.redrive(&["plan", "job.toml"]).await.expect(0);
}
