//! The main job, whole: many messages of several kinds, two rules, a cap, an archive; nothing lost, nothing twice, byte for
//! byte; and the same with the program killed again and again.

use std::time::Duration;

use serde_json::Value;
use sqs_sandbox::{MessageAttribute, Seed};

use crate::support::stage::{Content, Inventory, Stage, content, count, failed, shown};

/// Two rules, a cap, an archive; what is left is kept.
pub(crate) const JOB: &str = r#"
version = 1
name = "main"

[source]
queue = "orders-dlq"
visibility_timeout = "10s"

[destination.audit]
sqs = { queue = "audit" }

[destination.archive]
s3 = { bucket = "archive", key = "{date}/{message_id}.json" }

[retry]
attribute = "retryCount"
max = 3
exhausted = "archive"

[[rule]]
name = "timeouts"
when = [{ body = "$.error", equals = "Timeout" }]
to = "origin"

[[rule]]
name = "not for us"
when = [{ attribute = "tenant", prefix = "us-" }]
to = "audit"
"#;

/// One message of three kinds: a timeout (some over the cap), one of another tenant, one that no rule takes. Bodies are as
/// awkward as JSON gets, so that a careless copy shows.
pub(crate) fn message(number: usize) -> Seed {
    let seed = match number % 3 {
        0 => failed(format!(
            "{{ \"n\":{number}.10, \"big\":12345678901234567890123,\t\"error\" : \"Timeout\", \"é\":\"\\u00e9\" }}"
        ))
        .attribute("tenant", MessageAttribute::string("eu-1"))
        .attribute("photo", MessageAttribute::binary(&number.to_le_bytes(), Some("png"))),
        1 => failed(format!("message {number}, which is no JSON \"<>&'\n\r\t"))
            .attribute("tenant", MessageAttribute::string("us-2"))
            .attribute(
                "price",
                MessageAttribute { data_type: "Number.cents".into(), ..MessageAttribute::number("1e2") },
            ),
        _ => failed(format!("{{\"n\":{number},\"error\":\"Other\"}}"))
            .attribute("tenant", MessageAttribute::string("eu-1")),
    };
    match number % 12 {
        // Of each kind some have been round before; four of twelve have not.
        0 | 1 => seed.attribute("retryCount", MessageAttribute::number("3")),
        3 | 4 => seed.attribute("retryCount", MessageAttribute::number("2")),
        _ => seed,
    }
}

/// Where a message of [`message`] belongs, and how it is to look there.
pub(crate) fn expected(number: usize) -> (&'static str, Content) {
    let seed = message(number);
    let retries = seed.attributes.get("retryCount").and_then(|count| count.string_value.clone());
    let mut attributes: std::collections::BTreeMap<String, String> =
        seed.attributes.iter().map(|(name, attribute)| (name.clone(), shown(attribute))).collect();
    let place = match (number % 3, retries.as_deref()) {
        (2, _) => "orders-dlq",
        (_, Some("3")) => "archive",
        (kind, count) => {
            let count = if count.is_some() { 3 } else { 1 };
            attributes.insert("retryCount".to_owned(), format!("Number:{count}"));
            if kind == 0 { "orders" } else { "audit" }
        }
    };
    (place, (seed.body, attributes))
}

/// What should be at one place of `total` messages.
pub(crate) fn expected_at(place: &str, total: usize) -> Inventory {
    count((0..total).map(expected).filter(|(at, _)| *at == place).map(|(_, content)| content))
}

/// Whether everything is where it belongs, and nothing is anywhere twice.
#[track_caller]
pub(crate) fn assert_all_in_place(stage: &Stage, total: usize) {
    for queue in ["orders", "audit", "orders-dlq"] {
        assert_eq!(differences(&stage.inventory(queue), &expected_at(queue, total)), Vec::<String>::new(), "{queue}");
    }
    let archived = count(stage.envelopes("archive").iter().map(content));
    assert_eq!(differences(&archived, &expected_at("archive", total)), Vec::<String>::new(), "archive");
    let (all, visible) = stage.counts("orders-dlq");
    assert_eq!(all, visible, "what stays is visible again");
}

pub(crate) fn differences(found: &Inventory, expected: &Inventory) -> Vec<String> {
    let all = found.keys().chain(expected.keys());
    let number = |inventory: &Inventory, content| inventory.get(content).copied().unwrap_or(0);
    let differing = all.filter(|content| number(found, content) != number(expected, content));
    let mut lines: Vec<String> =
        differing.map(|one| format!("{} instead of {}: {one:?}", number(found, one), number(expected, one))).collect();
    lines.dedup();
    lines.truncate(5);
    lines
}

/// The figures of a summary add up.
#[track_caller]
pub(crate) fn assert_adds_up(summary: &Value) {
    let number = |name: &str| summary[name].as_u64().expect(name);
    let parts = ["moved", "archived", "dropped", "kept", "blocked", "held", "failed", "unfinished", "parked"];
    assert_eq!(number("received"), parts.iter().map(|name| number(name)).sum::<u64>(), "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_messages_arrive_whole_and_once_for_less_than_a_third_of_a_request_each() {
    const TOTAL: usize = 10_000;
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    // As a job that says nothing of it: with ten seconds, a busy machine would extend what it has in hand.
    let job = JOB.replace("visibility_timeout = \"10s\"\n", "");
    assert_ne!(job, JOB);
    stage.file("job.toml", &job);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    assert_eq!(stage.counts("orders-dlq"), (TOTAL, TOTAL), "the sample is given back");
    assert_eq!(stage.inventory("orders").len() + stage.inventory("audit").len(), 0, "a plan moves nothing");

    stage.sandbox.clear_log();
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
    assert_all_in_place(&stage, TOTAL);
    assert_adds_up(&summary);
    let of = |place| expected_at(place, TOTAL).values().sum::<usize>();
    assert_eq!(summary["received"], TOTAL);
    assert_eq!(summary["moved"], of("orders") + of("audit"));
    assert_eq!(summary["archived"], of("archive"));
    assert_eq!(summary["kept"], of("orders-dlq"));
    assert_eq!(summary["in_doubt"], 0);
    let requests = stage.sqs_requests();
    assert_eq!(summary["requests"], requests, "the program counts its requests as the server does");
    // A kept message costs a receive and a release, a moved one a receive, a send and a delete.
    assert!(requests * 1000 <= TOTAL * 305, "{requests} requests for {TOTAL} messages");

    let again = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0);
    assert_eq!(again.summary()["moved"], summary["moved"], "a finished run only says how it went");
    assert_all_in_place(&stage, TOTAL);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_twenty_moments_it_loses_nothing_and_repeats_only_what_it_lists_as_in_doubt() {
    const TOTAL: usize = 1_200;
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    // Slow enough for the kills to fall into the work.
    let job = JOB.replace("10s", "15s") + "\n[limits]\nrate = \"150/s\"\nconcurrency = 4\n";
    stage.file("job.toml", &job);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    for kill in 0..20_u64 {
        let mut child = stage.spawn(&["apply", "plan.json"]);
        // Moments that differ: some before the first receive, most in the midst of sends and deletes.
        tokio::time::sleep(Duration::from_millis(40 + kill * 37 % 400)).await;
        child.kill().await.expect("killed");
    }
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
    assert_adds_up(&summary);
    assert_eq!(summary["received"], TOTAL, "{summary}");
    assert_eq!(summary["unfinished"], 0);
    let (all, visible) = stage.counts("orders-dlq");
    assert_eq!(all, visible, "what stays is visible again");

    let mut surplus = 0;
    for queue in ["orders", "audit"] {
        let (found, expected) = (stage.inventory(queue), expected_at(queue, TOTAL));
        for (content, number) in &expected {
            assert!(found.get(content).is_some_and(|found| found >= number), "lost: {content:?}");
        }
        assert_eq!(found.len(), expected.len(), "nothing that does not belong there");
        surplus += found.values().sum::<usize>() - expected.values().sum::<usize>();
    }
    let archived = count(stage.envelopes("archive").iter().map(content));
    assert_eq!(archived, expected_at("archive", TOTAL));
    assert_eq!(stage.inventory("orders-dlq"), expected_at("orders-dlq", TOTAL));
    let in_doubt = summary["in_doubt"].as_u64().expect("in_doubt");
    assert!(surplus as u64 <= in_doubt, "{surplus} arrived twice, {in_doubt} are listed as in doubt");
    let report = stage.redrive(&["report", "--format", "json"]).await.expect(0);
    let report: Value = serde_json::from_str(&report.stdout).expect("JSON");
    assert_eq!(report["in_doubt"], in_doubt);
}
