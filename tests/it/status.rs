//! What `status`, `runs` and `report` say of a run that is under way, was killed, or was begun in one way or the other: whether
//! somebody is at work on it, what it has cost, and the command that goes on with it.

use serde_json::Value;
use sqs_sandbox::{Fault, Options, Rule, When};

use crate::end_to_end::{JOB, assert_all_in_place, message};
use crate::support::stage::Stage;

const TOTAL: usize = 60;

async fn planned() -> Stage {
    let stage = Stage::with_options(Options { signals: true, ..Options::default() }).await;
    stage.orders();
    stage.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    stage.file("job.toml", JOB);
    stage.redrive(&["plan", "job.toml", "--out", "a plan.json"]).await.expect(0);
    stage.sandbox.clear_log();
    stage
}

async fn status(stage: &Stage, options: &[&str]) -> (Value, String) {
    let json = stage.redrive(&[&["status", "--format", "json"], options].concat()).await.expect(0).stdout;
    let text = stage.redrive(&[&["status"], options].concat()).await.expect(0).stdout;
    (serde_json::from_str(&json).expect("JSON"), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_under_way_has_a_process_and_what_it_cost_and_a_killed_one_the_right_command() {
    let stage = planned().await;
    let slow = Fault::Latency { ms: 600_000, jitter_ms: 0, when: When::After };
    let slow = stage.sandbox.faults().add(Rule::new(slow).action("DeleteMessageBatch"));
    let mut child = stage.spawn(&["apply", "a plan.json", "--journal", "j.db", "--allow-drift"]);
    let pid = child.id().expect("running");
    let deletes = async {
        while stage.sandbox.faults().list().iter().all(|(_, _, hits)| *hits == 0) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), deletes).await.expect("it deletes");
    let (json, text) = status(&stage, &["--journal", "j.db"]).await;
    assert_eq!((&json["outcome"], &json["process"]["alive"]), (&"running".into(), &true.into()), "{json}");
    assert_eq!(json["process"]["pid"], pid);
    assert!(
        text.contains(&format!("process {pid} is at work on it")) && text.contains(&format!("kill -INT {pid}")),
        "{text}"
    );
    assert!(json["requests"].as_u64() > Some(5) && json["elapsed_ms"].as_u64() > Some(0), "{json}");

    // Not while a send is on its way: its message would be in doubt, and be sent again.
    let is_sending =
        |json: &Value| json["rules"].as_array().expect("rules").iter().any(|rule| rule["state"] == "sending");
    let sent = async {
        while is_sending(&status(&stage, &["--journal", "j.db"]).await.0) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), sent).await.expect("all is sent");
    child.kill().await.expect("killed");
    let (json, text) = status(&stage, &["--journal", "j.db"]).await;
    assert_eq!((&json["outcome"], &json["process"]["alive"]), (&"unfinished".into(), &false.into()), "{json}");
    assert!(text.contains(&format!("its process ({pid}) was killed")), "{text}");
    assert!(text.contains("\n    redrive apply 'a plan.json' --journal j.db --allow-drift\n"), "{text}");
    assert!(json["requests"].as_u64() > Some(5), "{json}");
    let listed = stage.redrive(&["runs", "--journal", "j.db"]).await.expect(0).stdout;
    assert!(listed.contains("unfinished"), "{listed}");

    stage.sandbox.faults().remove(slow);
    stage.redrive(&["apply", "a plan.json", "--journal", "j.db", "--allow-drift"]).await.expect(0);
    let (json, text) = status(&stage, &["--journal", "j.db"]).await;
    assert!(json["process"].is_null() && !text.contains("How to"), "{text}");
    assert_all_in_place(&stage, TOTAL);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_requests_of_killed_sessions_are_in_the_sums() {
    let stage = planned().await;
    std::fs::rename(stage.path("a plan.json"), stage.path("plan.json")).expect("renamed");
    let mut made = 0;
    for _ in 0..3 {
        assert!(stage.killed_at(When::Before, |rule| rule.action("DeleteMessageBatch").nth(1)).await, "it was killed");
        let (json, _) = status(&stage, &[]).await;
        let noted = json["requests"].as_u64().expect("requests");
        let total = stage.sqs_requests() as u64;
        // A commit notes what was made before it; what was asked for and never answered is noted, and in no log.
        assert!(noted > made && noted * 2 >= total + made, "{noted} noted, {total} answered, {made} before");
        made = total;
    }
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
    let total = stage.sqs_requests() as u64;
    assert!(summary["requests"].as_u64() > Some(total / 2), "{total}: {summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_shows_when_messages_left_the_source_and_what_stood_in_their_way() {
    let stage = planned().await;
    std::fs::rename(stage.path("a plan.json"), stage.path("plan.json")).expect("renamed");
    assert!(stage.killed_at(When::After, |rule| rule.action("SendMessageBatch").nth(3)).await, "it was killed");
    // Of the session that comes to its end: one that is killed may not have noted what it heard last.
    for action in ["ReceiveMessage", "SendMessageBatch"] {
        stage.sandbox.faults().add(Rule::new(Fault::Throttle).action(action).times(1));
    }
    stage.redrive(&["apply", "plan.json"]).await.expect(0);
    let report = stage.redrive(&["report", "--format", "json"]).await.expect(0).stdout;
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let slices = report["timeline"]["slices"].as_array().expect("slices");
    let sum = |figure: &str| slices.iter().map(|slice| slice[figure].as_u64().expect("a figure")).sum::<u64>();
    let number = |figure: &str| report[figure].as_u64().expect("a figure");
    assert_eq!(sum("left"), number("moved") + number("archived") + number("dropped"), "{report}");
    assert!(sum("in_doubt") > 0 && sum("in_doubt") == number("in_doubt"), "{report}");
    assert!(sum("throttled") >= 1, "{report}");
    let page = stage.redrive(&["report", "--format", "html"]).await.expect(0).stdout;
    assert!(page.contains("<h2>Timeline</h2>") && page.contains("<p class=\"plot\">throttled: "), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_began_from_a_job_is_gone_on_with_by_the_job() {
    let stage = planned().await;
    stage.sandbox.faults().add(Rule::new(Fault::AccessDenied).action("SendMessageBatch"));
    let ran = stage.redrive(&["apply", "job.toml", "--auto-approve"]).await.expect(3);
    let (json, text) = status(&stage, &[]).await;
    for said in [&ran.stdout, &text] {
        assert!(said.contains("\n    redrive apply job.toml\n"), "{said}");
    }
    assert_eq!(json["command"], serde_json::json!(["redrive", "apply", "job.toml"]));
    assert_eq!(json["sandbox"], false);
    stage.sandbox.faults().clear();
    // As it says.
    stage.redrive(&["apply", "job.toml"]).await.expect(0);
    assert_all_in_place(&stage, TOTAL);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_on_an_embedded_sandbox_are_marked() {
    let stage = planned().await;
    let job = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/jobs/orders-dlq.toml")).expect("a job");
    stage.file("job.toml", &job);
    let ran = stage.redrive(&["apply", "job.toml", "--sandbox", "--auto-approve"]).await;
    assert!(matches!(ran.code, Some(0 | 6)), "{}", ran.stderr);
    let listed = stage.redrive(&["runs"]).await.expect(0).stdout;
    assert!(listed.contains("(sandbox)"), "{listed}");
    let (json, _) = status(&stage, &[]).await;
    assert_eq!(json["sandbox"], true);
}
