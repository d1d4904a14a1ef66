//! What a plan knows of a queue, and what becomes of a run that meets another one: small queues are looked at whole, samples that
//! do not speak for the rest bound nothing and say so, and a stop for drift says what was met and which commands go on.

use serde_json::Value;
use sqs_sandbox::Seed;

use crate::end_to_end::{JOB, message};
use crate::support::stage::{Ran, Stage, failed};

/// A job that takes one per cent, those that came first.
const FIRST: &str = r#"
version = 1
name = "first"
[source]
queue = "orders-dlq"
[destination.out]
sqs = { queue = "audit" }
[[rule]]
name = "wanted"
when = [{ body = "$.wanted", equals = true }]
to = "out"
"#;

/// A queue of which the first are wanted, one a second.
async fn first_wanted(total: u64, wanted: u64) -> Stage {
    let stage = Stage::with_queues().await;
    let seed = |number: u64| {
        let seed = failed(format!("{{\"wanted\": {}, \"n\": {number}}}", number < wanted));
        Seed { age_ms: (total - number) * 1000, ..seed }
    };
    stage.sandbox.seed("orders-dlq", (0..total).map(seed)).expect("seeded");
    stage.file("job.toml", FIRST);
    stage
}

fn plan(stage: &Stage, name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(stage.path(name)).expect("a plan")).expect("JSON")
}

/// Runs a command as it was printed.
async fn typed(stage: &Stage, command: &str) -> Ran {
    let words: Vec<&str> = command.split_whitespace().collect();
    assert_eq!(words[0], "redrive", "{command}");
    stage.redrive(&words[1..]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_some_thousand_messages_is_looked_at_whole_and_its_run_does_not_drift() {
    let stage = first_wanted(1_500, 15).await;
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    let sample = &plan(&stage, "plan.json")["sample"];
    assert_eq!((&sample["messages"], &sample["basis"]), (&1_500.into(), &"whole".into()));
    assert_eq!(stage.counts("orders-dlq"), (1_500, 1_500), "all are given back");
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
    assert_eq!((&summary["moved"], &summary["kept"]), (&15.into(), &1_485.into()), "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_that_does_not_speak_for_the_queue_gives_no_interval_and_apply_asks_for_more_first() {
    let stage = first_wanted(1_500, 60).await;
    let shown = stage.redrive(&["plan", "job.toml", "--out", "plan.json", "--sample", "300"]).await.expect(0).stdout;
    assert!(shown.contains("sample_uneven") && shown.contains("no totals"), "{shown}");
    let saved = plan(&stage, "plan.json");
    assert!(saved["sample"]["basis"]["uneven"].is_string(), "{saved}");
    assert_eq!(saved["rules"][0]["bound"], Value::Null);
    stage.sandbox.clear_log();

    let refused = stage.redrive(&["apply", "plan.json"]).await.expect(4).stderr;
    assert_eq!(stage.requests("ReceiveMessage"), 0, "{refused}");
    let commands: Vec<&str> = refused.split('`').filter(|part| part.starts_with("redrive ")).collect();
    assert_eq!(
        commands,
        ["redrive plan job.toml --sample all --out FILE", "redrive apply plan.json --allow-drift"],
        "{refused}"
    );
    // Without a plan file it is the same, before anybody is asked.
    stage.redrive(&["apply", "job.toml", "--auto-approve", "--sample", "300"]).await.expect(4);
    assert!(!stage.path(".redrive/journal.db").exists(), "no run has begun");

    // Either goes on; so does a cap of one's own.
    typed(&stage, commands[0]).await.expect(0);
    assert_eq!(plan(&stage, "FILE")["sample"]["basis"], "whole");
    stage.file("capped.toml", &format!("{FIRST}[limits]\nmax_messages = 20\n"));
    let arguments = ["apply", "capped.toml", "--auto-approve", "--sample", "300", "--format", "json"];
    assert_eq!(stage.redrive(&arguments).await.expect(0).summary()["moved"], 20);
    typed(&stage, commands[1]).await.expect(0);
    assert_eq!((stage.counts("audit").0, stage.counts("orders-dlq")), (60, (1_440, 1_440)));
}

/// A run that stopped as drifted; gives what it said.
async fn drifted() -> (Stage, String) {
    const TOTAL: usize = 60;
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    stage.file("job.toml", JOB);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    // Planned are 20 timeouts, and 10 more are tolerated; 40 come.
    stage.sandbox.seed("orders-dlq", (0..TOTAL).filter(|number| number % 3 == 0).map(message)).expect("seeded");
    let said = stage.redrive(&["apply", "plan.json"]).await.expect(5).stdout;
    let (all, visible) = stage.counts("orders-dlq");
    assert_eq!(all, visible, "what stays is visible again");
    (stage, said)
}

/// The commands of a summary, each on a line of its own.
fn commands(said: &str) -> Vec<&str> {
    said.lines().map(str::trim).filter(|line| line.starts_with("redrive ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_for_drift_says_what_was_met_by_rule_and_that_the_same_command_stops_again() {
    let (stage, said) = drifted().await;
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("rule \"timeouts\" moves more than the 30 messages that the plan allows"), "{said}");
    let rows: Vec<Vec<&str>> = said
        .lines()
        .skip_while(|line| !line.starts_with("Met against planned"))
        .map(|line| line.split_whitespace().collect())
        .collect();
    let met = |rule: &str, what: &str| -> Vec<&str> {
        let row = rows.iter().find(|row| row.starts_with(&[rule]) && row.contains(&what));
        row.unwrap_or_else(|| panic!("{rule} {what}: {said}"))[2..].to_vec()
    };
    let timeouts = met("timeouts", "moved");
    assert_eq!(timeouts[..2], ["20", "30"], "planned and limit");
    assert!(timeouts[2].parse::<u64>().is_ok_and(|met| met <= 30), "{said}");
    assert_eq!(met("unmatched", "stayed")[..2], ["20", "30"]);
    // The same command stops again, as it says; nothing is lost by it.
    stage.redrive(&["apply", "plan.json"]).await.expect(5);
    let json = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(5).summary();
    assert_eq!((&json["outcome"], &json["drift"][0]["moves"]["limit"]), (&"drifted".into(), &30.into()), "{json}");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ways_on_after_a_drift_lead_to_the_end() {
    let (stage, said) = drifted().await;
    let ways = commands(&said);
    assert_eq!(ways[0], "redrive apply plan.json --allow-drift", "{said}");
    typed(&stage, ways[0]).await.expect(0);
    assert_eq!(stage.counts("orders-dlq").0, 20);

    let (stage, said) = drifted().await;
    let ways = commands(&said);
    assert!(ways[1].starts_with("redrive resolve ") && ways[1].ends_with(" --abandon"), "{said}");
    assert_eq!(ways[2], "redrive plan job.toml --out FILE", "{said}");
    typed(&stage, ways[1]).await.expect(0);
    typed(&stage, ways[2]).await.expect(0);
    std::fs::rename(stage.path("FILE"), stage.path("again.json")).expect("renamed");
    stage.redrive(&["apply", "again.json"]).await.expect(0);
    assert_eq!(stage.counts("orders-dlq").0, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_after_the_plan_is_told_by_the_servers_clock() {
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..12).map(message)).expect("seeded");
    // A machine whose clock is a day late would leave all of them out.
    stage.sandbox.advance(std::time::Duration::from_hours(24));
    stage.sandbox.seed("orders-dlq", (12..24).map(message)).expect("seeded");
    stage.file("job.toml", JOB);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    let saved = plan(&stage, "plan.json");
    assert_eq!(saved["sent_before"], saved["created"]);
    let out_of_scope = &saved["rules"].as_array().expect("rules").last().expect("a rule")["estimate"];
    assert_eq!(out_of_scope["sampled"], 0, "{saved}");
    stage.sandbox.advance(std::time::Duration::from_mins(1));
    stage.sandbox.seed("orders-dlq", (24..36).map(message)).expect("seeded");
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
    let late = summary["rules"].as_array().expect("rules").iter().find(|row| row["rule"] == "out of scope");
    assert_eq!(late.expect("a row")["messages"], 12, "{summary}");
}
