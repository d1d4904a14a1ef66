//! Messages in doubt that somebody decides about, and runs that are given up: the real program against the sandbox.

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;
use sqs_sandbox::{Fault, Options, Rule, When};

use crate::end_to_end::{JOB, assert_adds_up, assert_all_in_place, expected, expected_at, message};
use crate::support::admin::Admin;
use crate::support::stage::Stage;

const TOTAL: usize = 36;

fn hold() -> String {
    JOB.replace("exhausted = \"archive\"", "exhausted = \"archive\"\nin_doubt = \"hold\"")
}

fn doubts(listed: &str) -> Vec<String> {
    let listed: Value = serde_json::from_str(listed).expect("JSON");
    assert_eq!(listed["type"], "doubts");
    let ids = listed["troubles"].as_array().expect("messages").iter();
    ids.map(|one| one["message_id"].as_str().expect("an ID").to_owned()).collect()
}

/// A finished run that holds messages: their sends had the effect, or had not, and nobody answered.
async fn held(when: When) -> (Stage, String, Vec<String>) {
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    stage.file("job.toml", &hold());
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    stage.sandbox.faults().add(Rule::new(Fault::Cut { when }).action("SendMessageBatch").nth(1));
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(6).summary();
    let run = summary["run"].as_str().expect("a run").to_owned();
    let held = doubts(&stage.redrive(&["resolve", &run, "--format", "json"]).await.expect(0).stdout);
    assert!(held.len() > 2 && summary["held"] == held.len(), "{summary}");
    (stage, run, held)
}

/// How many identities the journal holds.
fn identities(stage: &Stage) -> u64 {
    let journal = rusqlite::Connection::open(stage.path(".redrive/journal.db")).expect("a journal");
    journal.query_row("SELECT count(*) FROM identity", [], |row| row.get(0)).expect("a count")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doubt_is_shown_with_what_the_job_names_to_find_it_even_after_a_kill() {
    let stage = Stage::with_options(Options { signals: true, ..Options::default() }).await;
    stage.orders();
    stage.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    let report = "[report]\nidentify = [\"$.n\", \"$.big\", \"attribute:tenant\"]\nredact = [\"$.big\"]\n";
    stage.file("job.toml", &format!("{}\n{report}", hold()));
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    assert!(stage.killed_at(When::After, |rule| rule.action("SendMessageBatch").nth(1)).await, "it was killed");
    let shown = |listed: &str| {
        let listed: Value = serde_json::from_str(listed).expect("JSON");
        let troubles = listed["troubles"].as_array().expect("messages").clone();
        troubles.iter().map(|one| one["identity"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let run: Value =
        serde_json::from_str(&stage.redrive(&["status", "--format", "json"]).await.expect(0).stdout).expect("JSON");
    let run = run["run"].as_str().expect("a run").to_owned();
    let killed = shown(&stage.redrive(&["resolve", &run, "--format", "json"]).await.expect(0).stdout);
    assert!(!killed.is_empty() && killed.iter().all(|identity| identity.contains("attribute:tenant = ")), "{killed:?}");

    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(6).summary();
    let report = stage.redrive(&["report", &run]).await.expect(0).stdout;
    assert!(report.contains("attribute:tenant = "), "{report}");
    let status = stage.redrive(&["status", &run]).await.expect(0).stdout;
    assert!(status.contains("attribute:tenant = ") && status.contains("Held, waiting for your decision"), "{status}");
    assert!(status.contains("`redrive resolve`"), "{status}");
    let all = shown(&stage.redrive(&["report", &run, "--format", "json"]).await.expect(0).stdout);
    assert!(all.iter().all(|identity| !identity.contains("12345678901234567890123")), "{all:?}");
    // Nothing is kept of those that nobody has to look for.
    assert_eq!(identities(&stage), summary["in_doubt"].as_u64().expect("a number"), "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_arrived_is_deleted_and_not_sent_and_the_report_says_who_decided() {
    let (stage, run, held) = held(When::After).await;
    let text = stage.redrive(&["resolve", &run]).await.expect(0).stdout;
    assert!(text.contains(&held[0]) && text.contains("--discard"), "{text}");
    stage
        .redrive_with(&["resolve", &run, "--all", "--discard", "--reason", "they are there"], &[("USER", "ada")])
        .await
        .expect(0);
    let before = stage.inventory("orders-dlq").len();
    assert_eq!(before, expected_at("orders-dlq", TOTAL).len() + held.len(), "a decision touches no queue");
    let decided = stage.redrive(&["resolve", &run, "--all", "--discard"]).await.expect(0);
    assert!(decided.stdout.contains("0 messages"), "all is decided: {}", decided.stdout);

    let sends = stage.requests("SendMessageBatch");
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
    assert_adds_up(&summary);
    assert_eq!((&summary["outcome"], &summary["held"]), (&"finished".into(), &0.into()), "{summary}");
    assert_eq!(stage.requests("SendMessageBatch"), sends, "nothing was sent again");
    assert_all_in_place(&stage, TOTAL);
    let report = stage.redrive(&["report", &run]).await.expect(0).stdout;
    assert!(report.contains("these had arrived") && report.contains("discard by ada"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_arrived_is_sent_though_the_job_holds_and_what_is_released_stays() {
    let (stage, run, held) = held(When::Before).await;
    stage.redrive(&["resolve", &run, &held[0], "--release"]).await.expect(0);
    let wrong = stage.redrive(&["resolve", &run, &held[1], "no-such-message", "--resend"]).await.expect(2);
    assert!(
        wrong.stderr.contains("no-such-message") && wrong.stderr.contains("nothing was changed"),
        "{}",
        wrong.stderr
    );
    stage.redrive(&["resolve", &run, "--all", "--resend"]).await.expect(0);

    let summary = stage.redrive(&["apply", "job.toml", "--auto-approve", "--format", "json"]).await.expect(0).summary();
    assert_adds_up(&summary);
    assert_eq!(summary["run"], run.as_str(), "the run goes on, though it had been finished");
    assert_eq!(summary["held"], 0, "{summary}");
    let moved = |stage: &Stage| stage.counts("orders").0 + stage.counts("audit").0;
    let all = expected_at("orders", TOTAL).len() + expected_at("audit", TOTAL).len();
    assert_eq!(moved(&stage), all - 1, "{summary}");
    let report: Value =
        serde_json::from_str(&stage.redrive(&["report", "--format", "json"]).await.expect(0).stdout).expect("JSON");
    let released =
        report["troubles"].as_array().expect("troubles").iter().find(|one| one["message_id"] == held[0].as_str());
    let released = released.expect("the one that stays");
    assert_eq!((&released["state"], &released["reason"]), (&"kept".into(), &"released".into()), "{released}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_given_up_is_planned_anew_and_what_it_had_sent_is_deleted_not_sent() {
    let stage = Stage::with_options(Options { signals: true, ..Options::default() }).await;
    stage.orders();
    // Without those that go to S3: a put that is under way at the kill leaves an object that no other run takes for its own.
    let to_queues = (0..TOTAL).filter(|number| expected(*number).0 != "archive");
    stage.sandbox.seed("orders-dlq", to_queues.map(message)).expect("seeded");
    stage.file("job.toml", JOB);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    // Killed when the first messages were sent and none was deleted.
    assert!(stage.killed_at(When::Before, |rule| rule.action("DeleteMessageBatch").nth(1)).await, "it was killed");

    // A plan that no longer fits the queues: the run would be refused for ever.
    let admin = Admin::at(&stage.sandbox.endpoint_url());
    let url = admin.sqs.get_queue_url().queue_name("audit").send().await.unwrap().queue_url.unwrap();
    let policy = r#"{"redrivePermission":"denyAll"}"#;
    let policy =
        admin.sqs.set_queue_attributes().queue_url(url).attributes(QueueAttributeName::RedriveAllowPolicy, policy);
    policy.send().await.unwrap();
    let refused = stage.redrive(&["apply", "job.toml", "--auto-approve"]).await.expect(4);
    assert!(refused.stderr.contains("--abandon"), "{}", refused.stderr);
    let runs = stage.redrive(&["runs", "--format", "json"]).await.expect(0).stdout;
    let run = serde_json::from_str::<Value>(&runs).expect("JSON")["run"].as_str().expect("a run").to_owned();
    stage.redrive(&["resolve", &run, "--abandon", "--reason", "audit has another policy"]).await.expect(0);
    let given_up = stage.redrive(&["apply", "plan.json"]).await.expect(4);
    assert!(given_up.stderr.contains("given up"), "{}", given_up.stderr);
    let status = stage.redrive(&["status", &run]).await.expect(0).stdout;
    assert!(status.contains("abandoned") && status.contains("audit has another policy"), "{status}");

    let summary = stage
        .redrive(&["apply", "job.toml", "--auto-approve", "--allow-drift", "--format", "json"])
        .await
        .expect(0)
        .summary();
    assert_adds_up(&summary);
    assert_ne!(summary["run"], run.as_str());
    let deleted = summary["deleted_for_other_runs"].as_u64().expect("a number");
    assert!(deleted > 0, "{summary}");
    let mut surplus = 0;
    for queue in ["orders", "audit"] {
        let (found, expected) = (stage.inventory(queue), expected_at(queue, TOTAL));
        assert!(expected.iter().all(|(one, number)| found.get(one) >= Some(number)), "lost: {summary}");
        surplus += (found.values().sum::<usize>() - expected.values().sum::<usize>()) as u64;
    }
    assert!(surplus <= summary["in_doubt"].as_u64().expect("a number"), "{surplus} arrived twice: {summary}");
}
