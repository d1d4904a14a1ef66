//! Text from outside is hostile until shown otherwise: in bodies, attributes and rule names. It drives neither terminal nor
//! page, and no body gets into the journal.

use std::time::Duration;

use redrive::sandbox::{Fault, MessageAttribute, Rule, When};
use serde_json::Value;

use crate::commands::lines;
use crate::end_to_end::JOB;
use crate::support::stage::{Stage, failed};

const MARK: &str = "mark-4711-of-a-body";

/// Drives a terminal, turns the direction of writing, ends lines, and opens what HTML, Markdown and tables know.
const HOSTILE: &str =
    "<script>alert(1)</script>|`x`[a](javascript:b)<!--\u{1b}[2J\u{1b}]0;t\u{7}\u{202e}\u{2066}\u{9b}1m\u{0}";

/// A stage with hostile text wherever text from outside can be: bodies, attributes, rule names, the job's description.
async fn hostile() -> Stage {
    let stage = Stage::with_queues().await;
    // SQS takes no such control characters in a body; escaped in JSON they are as bad.
    let escaped = serde_json::json!({"error": "Timeout", "text": format!("{MARK} {HOSTILE}")}).to_string();
    let plain = format!("{MARK} {}", HOSTILE.replace(['\u{0}', '\u{1b}', '\u{7}'], ""));
    let seeds = (0..6).map(|number| {
        let seed = failed(escaped.clone()).attribute("hostile", MessageAttribute::string("<b onload=x>\u{202e}`|`"));
        match number {
            // Blocked, with what was found as the reason.
            0..3 => {
                let mut counter = MessageAttribute::string("many");
                "String.<img src=x>|`".clone_into(&mut counter.data_type);
                seed.attribute("retryCount", counter)
            }
            _ => seed,
        }
    });
    stage.sandbox.seed("orders-dlq", seeds.chain([failed(plain)])).expect("seeded");
    // A rule's name holds no control characters, else the job is refused.
    let name = HOSTILE.replace(char::is_control, "").replace('\u{202e}', "\\u202e").replace('\u{2066}', "\\u2066");
    stage.file("job.toml", &JOB.replace("name = \"timeouts\"", &format!("name = \"{name}\"")));
    stage
}

#[track_caller]
fn assert_tame(what: &str, text: &str) {
    let active = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert_eq!(text.chars().find(|c| active(*c)), None, "{what}:\n{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_text_is_tame_wherever_it_is_shown_and_no_body_is_in_the_journal() {
    let stage = hostile().await;
    let planned = stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    assert_tame("plan", &planned.stdout);
    assert!(planned.stdout.contains(MARK), "it is an example: {}", planned.stdout);
    let markdown = stage.redrive(&["show", "plan.json", "--format", "markdown"]).await.expect(0).stdout;
    assert_tame("plan as Markdown", &markdown);
    assert_no_markup("plan as Markdown", &outside_of_fences(&markdown));
    let json = stage.redrive(&["show", "plan.json", "--format", "json"]).await.expect(0).stdout;
    serde_json::from_str::<Value>(&json).expect("JSON");

    let applied = stage.redrive(&["apply", "plan.json"]).await.expect(6);
    assert_tame("apply", &(applied.stdout + &applied.stderr));
    for command in [&["runs"][..], &["status"], &["report"], &["apply", "plan.json"]] {
        let ran = stage.redrive(command).await;
        assert_tame(&command.join(" "), &(ran.stdout + &ran.stderr));
    }
    for command in [&["runs"][..], &["status"], &["report"], &["apply", "plan.json"]] {
        let ran = stage.redrive(&[command, &["--format", "json"]].concat()).await;
        assert_tame(&command.join(" "), &ran.stdout);
        assert_eq!(lines(&ran).len(), 1, "{command:?}");
    }
    let markdown = stage.redrive(&["report", "--format", "markdown"]).await.expect(0).stdout;
    assert_tame("report as Markdown", &markdown);
    assert_no_markup("report as Markdown", &markdown);
    let html = stage.redrive(&["report", "--format", "html"]).await.expect(0).stdout;
    assert_tame("report as HTML", &html);
    for raw in ["<script>", "<img", "<b onload", "<!--"] {
        assert!(!html.contains(raw), "{raw} in {html}");
    }
    assert!(html.contains("&lt;img src=x&gt;"), "it is there, as text: {html}");

    assert_no_body_in_the_journal(&stage);
}

/// Not in the database, not in what `SQLite` keeps beside it, not even in pages that are free again.
#[track_caller]
fn assert_no_body_in_the_journal(stage: &Stage) {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(stage.path(".redrive")).expect("the directory") {
        all.extend(std::fs::read(entry.expect("an entry").path()).expect("readable"));
    }
    let holds = |text: &str| all.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("redrive.plan") && holds("orders-dlq"), "the run is in there");
    assert!(!holds(MARK), "a body is in there");
}

/// Without the code blocks: what is in them is shown as it is.
fn outside_of_fences(markdown: &str) -> String {
    let mut fence = None;
    let mut outside = String::new();
    for line in markdown.lines() {
        let ticks = line.chars().take_while(|c| *c == '`').count();
        match fence {
            None if ticks >= 3 => fence = Some(ticks),
            None => outside = outside + line + "\n",
            Some(open) if ticks >= open && line.trim_matches('`').is_empty() => fence = None,
            Some(_) => {}
        }
    }
    assert_eq!(fence, None, "every block is closed");
    outside
}

#[track_caller]
fn assert_no_markup(what: &str, markdown: &str) {
    for raw in ["<script>", "<img", "<b onload", "<!--", "[a](javascript:b)"] {
        assert!(!markdown.contains(raw), "{raw} in {what}:\n{markdown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_of_an_unfinished_run_holds_no_bodies_either() {
    let stage = hostile().await;
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    stage.sandbox.faults().add(Rule::new(Fault::Cut { when: When::After }).action("SendMessageBatch").nth(1));
    let child = stage.spawn(&["apply", "plan.json"]);
    let sent = async {
        while stage.requests("SendMessageBatch") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), sent).await.expect("it sends");
    drop(child);
    assert_no_body_in_the_journal(&stage);
}
