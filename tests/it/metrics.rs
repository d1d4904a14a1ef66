//! The figures of a run for a monitoring system: what `--metrics` writes is in the published formats, says what the summary says,
//! and touches no file of somebody else's.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::Value;
use sqs_sandbox::{Fault, Options, Rule, Signal, When};

use crate::end_to_end::{JOB, message};
use crate::support::stage::{Ran, Stage};

const TOTAL: usize = 36;

async fn ready() -> Stage {
    let stage = Stage::with_options(Options { signals: true, ..Options::default() }).await;
    stage.orders();
    stage.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    stage.file("job.toml", JOB);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    stage
}

async fn apply(stage: &Stage, metrics: &str) -> Ran {
    stage.redrive(&["apply", "plan.json", "--format", "json", "--metrics", metrics]).await
}

/// A file in Prometheus' text format 0.0.4, read strictly: each line by the grammar, each family once, with HELP and TYPE before its
/// samples, no series twice; names as its conventions have them. Gives the value of each series.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let help = Regex::new(r"^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) \S.*$").expect("a regex");
    let kind = Regex::new(r"^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge)$").expect("a regex");
    let label = r#"[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*""#;
    let sample =
        Regex::new(&format!(r"^(([a-zA-Z_:][a-zA-Z0-9_:]*)\{{{label}(?:,{label})*\}}) (\S+)$")).expect("a regex");
    assert!(text.ends_with('\n'), "the last line has an end");
    let (mut helped, mut typed, mut series) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
    let mut current = String::new();
    for line in text.lines() {
        if let Some(found) = help.captures(line) {
            assert!(helped.insert(found[1].to_owned()), "one HELP a family: {line}");
        } else if let Some(found) = kind.captures(line) {
            found[1].clone_into(&mut current);
            assert!(helped.contains(&current), "HELP before TYPE: {line}");
            assert!(typed.insert(current.clone(), found[2].to_owned()).is_none(), "one TYPE a family: {line}");
            assert_eq!(current.ends_with("_total"), &found[2] == "counter", "a counter is a total: {line}");
            assert!(current.starts_with("redrive_"), "{line}");
        } else if let Some(found) = sample.captures(line) {
            assert_eq!(found[2], current, "samples of a family stand together: {line}");
            let value: f64 = found[3].parse().expect("a number");
            assert!(value >= 0.0 && value.is_finite(), "{line}");
            assert!(series.insert(found[1].to_owned(), value).is_none(), "a series twice: {line}");
        } else {
            assert_eq!(line, "# redrive metrics", "a line of the format");
        }
    }
    series
}

fn read(stage: &Stage, name: &str) -> BTreeMap<String, f64> {
    parse(&std::fs::read_to_string(stage.path(name)).expect("a file"))
}

/// The sum of the series that have all of these in their names.
fn sum(series: &BTreeMap<String, f64>, parts: &[&str]) -> f64 {
    let such = series.iter().filter(|(name, _)| parts.iter().all(|part| name.contains(part)));
    such.map(|(_, value)| value).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_in_prometheus_format_and_says_what_the_summary_says() {
    let stage = ready().await;
    let summary = apply(&stage, "redrive.prom").await.expect(0).summary();
    let series = read(&stage, "redrive.prom");
    for (name, family) in [
        ("moved", "redrive_messages_total{"),
        ("archived", "redrive_messages_total{"),
        ("dropped", "redrive_messages_total{"),
        ("kept", "redrive_messages_remaining{"),
        ("blocked", "redrive_messages_remaining{"),
        ("unfinished", "redrive_messages_remaining{"),
    ] {
        let told = Some(sum(&series, &[family, &format!("outcome=\"{name}\"")]));
        assert_eq!(told, summary[name].as_f64(), "{name}: {series:#?}");
    }
    assert!(summary["moved"].as_u64() > Some(0) && summary["archived"].as_u64() > Some(0), "{summary}");
    let run = format!("run=\"{}\"", summary["run"].as_str().expect("a run"));
    assert!(series.keys().all(|name| name.contains(&run) && name.contains("job=\"main\"")), "{series:#?}");
    assert!(
        sum(&series, &["redrive_messages_total{", "rule=\"timeouts\"", "destination=\"origin"]) > 0.0,
        "{series:#?}"
    );
    assert_eq!(Some(sum(&series, &["redrive_run_outcome{"])), Some(1.0));
    assert_eq!(Some(sum(&series, &["redrive_run_outcome{", "outcome=\"finished\""])), Some(1.0));
    assert_eq!(Some(sum(&series, &["redrive_sqs_requests_total{"])), summary["requests"].as_f64());
    let (began, ended) = (sum(&series, &["redrive_run_start_time"]), sum(&series, &["redrive_run_end_time"]));
    assert!(1.7e9 < began && began <= ended, "{began} {ended}");
    let beside = std::fs::read_dir(stage.directory.path()).expect("a directory");
    let left: Vec<_> = beside
        .map(|entry| entry.expect("an entry").file_name())
        .filter(|n| n.to_string_lossy().starts_with(".redrive.prom"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_run_leaves_is_whole_and_the_next_session_goes_on_from_it() {
    let stage = ready().await;
    let child = stage.spawn(&["apply", "plan.json", "--metrics", "redrive.prom"]);
    let pid = child.id().expect("running");
    let kill = Rule::new(Fault::Kill { pid, signal: Signal::Kill, when: When::After }).action("DeleteMessageBatch");
    let rule = stage.sandbox.faults().add(kill);
    child.wait_with_output().await.expect("ended");
    stage.sandbox.faults().remove(rule);
    let series = read(&stage, "redrive.prom");
    assert_eq!(Some(sum(&series, &["redrive_run_outcome{", "outcome=\"running\""])), Some(1.0), "{series:#?}");
    assert_eq!(series.keys().filter(|name| name.starts_with("redrive_run_end_time")).count(), 0);

    let summary = apply(&stage, "redrive.prom").await.expect(0).summary();
    let series = read(&stage, "redrive.prom");
    let moved = sum(&series, &["redrive_messages_total{", "outcome=\"moved\""]);
    assert_eq!(Some(moved), summary["moved"].as_f64(), "over all sessions");
    assert_eq!(Some(sum(&series, &["redrive_run_outcome{", "outcome=\"finished\""])), Some(1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_redrives_is_never_replaced() {
    let stage = ready().await;
    std::fs::write(stage.path("other.prom"), "node_load1 0.5\n").expect("written");
    std::fs::write(stage.path("victim"), "keep me").expect("written");
    std::os::unix::fs::symlink(stage.path("victim"), stage.path("link.prom")).expect("a link");
    std::os::unix::fs::symlink(stage.path("nowhere"), stage.path("dangling.prom")).expect("a link");
    for name in ["other.prom", "link.prom", "dangling.prom", "plan.json", "job.toml", ".", "none/x.prom"] {
        stage.sandbox.clear_log();
        let refused = apply(&stage, name).await.expect(2).stderr;
        assert!(refused.contains(name), "{name}: {refused}");
        assert_eq!(stage.requests("ReceiveMessage"), 0, "{name}: {refused}");
        let job = stage.redrive(&["apply", "job.toml", "--auto-approve", "--metrics", name]).await.expect(2);
        assert_eq!(stage.requests("ReceiveMessage"), 0, "{name}: {}", job.stderr);
    }
    let read = |name: &str| std::fs::read_to_string(stage.path(name)).expect("a file");
    assert_eq!((read("other.prom").as_str(), read("victim").as_str()), ("node_load1 0.5\n", "keep me"));
    assert!(!stage.path("nowhere").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_becomes_somebody_elses_on_the_way_is_left_and_the_run_finishes() {
    let stage = ready().await;
    stage.sandbox.clear_log();
    let child = stage.spawn(&["apply", "plan.json", "--format", "json", "--metrics", "redrive.prom"]);
    let slow = stage
        .sandbox
        .faults()
        .add(Rule::new(Fault::Latency { ms: 1500, jitter_ms: 0, when: When::After }).action("SendMessageBatch"));
    stage.until_requested("ReceiveMessage").await;
    std::fs::write(stage.path("redrive.prom"), "node_load1 0.5\n").expect("written");
    let ran = Ran::of(child.wait_with_output().await.expect("ended")).expect(0);
    stage.sandbox.faults().remove(slow);
    assert_eq!(std::fs::read_to_string(stage.path("redrive.prom")).expect("a file"), "node_load1 0.5\n");
    assert_eq!(
        ran.stderr.matches("is not a metrics file of redrive; the run goes on without").count(),
        1,
        "{}",
        ran.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn emf_lines_are_on_stderr_in_cloudwatchs_format_and_add_up() {
    let stage = ready().await;
    let ran = apply(&stage, "emf").await.expect(0);
    let summary = ran.summary();
    let lines: Vec<Value> = ran.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(lines.len() >= 2 && !stage.path("emf").exists(), "{}", ran.stderr);
    for line in &lines {
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert!(line["_aws"]["Timestamp"].as_u64() > Some(1_700_000_000_000), "{line}");
        assert_eq!(directive["Namespace"], "redrive");
        // Each dimension is a text, each metric a number beside the directive, with a unit that CloudWatch knows.
        for dimension in
            directive["Dimensions"].as_array().expect("sets").iter().flat_map(|set| set.as_array().expect("a set"))
        {
            assert!(line[dimension.as_str().expect("a name")].is_string(), "{line}");
        }
        for metric in directive["Metrics"].as_array().expect("metrics") {
            assert!(line[metric["Name"].as_str().expect("a name")].is_u64() && metric["Unit"] == "Count", "{line}");
        }
    }
    let sum = |name: &str| lines.iter().filter_map(|line| line[name].as_u64()).sum::<u64>();
    for (metric, figure) in [("Moved", "moved"), ("Archived", "archived"), ("Requests", "requests")] {
        assert_eq!(Some(sum(metric)), summary[figure].as_u64(), "{metric}");
    }
    let last = lines.last().expect("a line");
    assert_eq!((&last["Kept"], &last["Outcome"]), (&summary["kept"], &Value::from("finished")));
}
