//! What a plan shows a person: who calls are made as, what to review first, and examples in which the error is seen.

use crate::support::stage::{Stage, failed};
use crate::support::terminal::Terminal;

const JOB: &str = r#"
version = 1
name = "reading"

[source]
queue = "orders-dlq"

[report]
redact = ["$.error.card"]

[destination.orders]
sqs = { queue = "orders" }

[[rule]]
name = "codes that are text"
when = [{ body = "$.order.total", prefix = "1" }]
to = "orders"

[[rule]]
name = "all with an order"
when = [{ body = "$.order.id", exists = true }]
to = "orders"
"#;

/// A body of some forty lines with the error at its end.
fn order(number: usize, error: &str) -> String {
    let items: Vec<String> = (0..12).map(|item| format!(r#"{{"sku":"sku-{item}","price":{item}.50}}"#)).collect();
    format!(
        r#"{{"order":{{"id":{number},"total":17.5,"items":[{}]}},"meta":{{"lastException":{{"message":"{error}"}}}},"error":{{"card":"4711-secret"}}}}"#,
        items.join(",")
    )
}

/// Nine of one error and then one of another.
async fn seeded() -> Stage {
    let stage = Stage::with_queues().await;
    let bodies = (0..10).map(|number| order(number, if number == 9 { "card declined" } else { "gateway timeout" }));
    stage.sandbox.seed("orders-dlq", bodies.map(failed)).expect("seeded");
    stage.file("job.toml", JOB);
    stage
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_deep_in_a_body_is_seen_and_so_is_each_kind_of_it() {
    let stage = seeded().await;
    let shown = words(&stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0).stdout);
    for seen in [
        "error $.meta.lastException.message: gateway timeout",
        "error $.meta.lastException.message: card declined",
        "asked { body = \"$.order.id\", exists = true }: found",
        "error $.error.card: [redacted]",
        "the whole message (shown with --full)",
    ] {
        assert!(shown.contains(seen), "{seen}: {shown}");
    }
    assert!(!shown.contains("4711-secret") && !shown.contains("sku-0"), "{shown}");
    let full = stage.redrive(&["show", "plan.json", "--full", "--examples", "1"]).await.expect(0).stdout;
    // Which of the two it is lies in their IDs, as they were sent at once.
    assert!(full.contains("\"sku\": \"sku-11\""), "{full}");
    assert_eq!(full.matches("error  $.meta.lastException.message: ").count(), 1, "{full}");
    let none = stage.redrive(&["plan", "job.toml", "--examples", "0"]).await.expect(0).stdout;
    assert!(!none.contains("lastException"), "{none}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_be_reviewed_is_counted_at_the_top_and_notes_are_folded() {
    let stage = seeded().await;
    let plan = stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    let headline = plan.stdout.lines().nth(1).expect("a headline").trim();
    // The rule that took nothing is a caution, and so is the loop, for which there is no cap: that is a danger.
    assert_eq!(headline, "Moves 10, leaves 0; 1 danger, 1 caution.");
    let text = words(&plan.stdout);
    let (danger, caution) = (text.find("danger: loop_uncapped"), text.find("caution: idle_rule"));
    assert!(danger.is_some() && danger < caution, "{text}");
    assert!(text.contains("The path $.order.total held 10 numbers and no text."), "{text}");
    assert!(text.contains("notes (shown with --full)") && !text.contains("note: sent_anew"), "{text}");
    let full = words(&stage.redrive(&["show", "plan.json", "--full"]).await.expect(0).stdout);
    assert!(full.contains("note: sent_anew") && full.contains("note: sampling_effect"), "{full}");
    let page = stage.redrive(&["show", "plan.json", "--format", "html"]).await.expect(0).stdout;
    assert!(page.contains("<details>") && page.contains("sent_anew"), "{page}");
    let json = stage.redrive(&["show", "plan.json", "--format", "json"]).await.expect(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let hazard = &json["hazards"][0];
    assert_eq!((hazard["code"].as_str(), hazard["severity"].as_str()), (Some("loop_uncapped"), Some("danger")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_question_before_an_apply_says_what_it_is_about() {
    let stage = seeded().await;
    let mut terminal = Terminal::new();
    let child = terminal.spawn(&stage, &["apply", "job.toml"]);
    terminal.until("Only 'yes' is taken as approval").await;
    terminal.types("no\n");
    assert_eq!(terminal.ended(child).await, Some(1), "{}", terminal.shown);
    let (_, asked) = terminal.shown.rsplit_once("Moves 10, leaves 0; 1 danger, 1 caution.").expect("said again");
    assert!(asked.trim_start().starts_with("Apply this plan?"), "{asked}");
}
