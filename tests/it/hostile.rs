//! What is hostile: text from outside, which drives neither terminal nor page, and gets into no journal and no log; plans of
//! somebody else, which hide nothing; links, through which nothing is written. And files are for their owner alone.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use sqs_sandbox::{Fault, MessageAttribute, Rule, When};
use tokio::process::Command;

use crate::commands::lines;
use crate::end_to_end::JOB;
use crate::support::stage::{Ran, Stage, failed};

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
    let whole = stage.redrive(&["show", "plan.json", "--full"]).await.expect(0).stdout;
    assert_tame("the whole plan", &whole);
    assert!(whole.contains(MARK), "it is an example: {whole}");
    let markdown = stage.redrive(&["show", "plan.json", "--format", "markdown"]).await.expect(0).stdout;
    assert_tame("plan as Markdown", &markdown);
    assert_no_markup("plan as Markdown", &outside_of_fences(&markdown));
    let json = stage.redrive(&["show", "plan.json", "--format", "json"]).await.expect(0).stdout;
    assert_tame("plan as JSON", &json);
    stage.file("shown.json", &json);
    stage.redrive(&["show", "shown.json"]).await.expect(0);

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
        let path = entry.expect("an entry").path();
        // The socket of a run that was killed holds nothing.
        if path.is_file() {
            all.extend(std::fs::read(path).expect("readable"));
        }
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

const TO_A_FILE: &str = r#"
version = 1
name = "files"
[source]
queue = "orders-dlq"
visibility_timeout = "30s"
[destination.evidence]
file = { path = "out/evidence.jsonl" }
[unmatched]
to = "evidence"
"#;

/// The program with a umask that takes nothing away.
async fn with_an_open_umask(stage: &Stage, arguments: &[&str]) -> Ran {
    let command = stage.command(arguments);
    let inner = command.as_std();
    let output = Command::new("/bin/sh")
        .args(["-c", "umask 000; exec \"$0\" \"$@\""])
        .arg(inner.get_program())
        .args(inner.get_args())
        .current_dir(stage.directory.path())
        .env_clear()
        .envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .output()
        .await;
    Ran::of(output.expect("the program runs"))
}

/// Everything below the stage's directory, but for what the test put there.
fn written(stage: &Stage) -> Vec<PathBuf> {
    let (mut found, mut directories) = (Vec::new(), vec![stage.directory.path().to_owned()]);
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path.clone());
            }
            if !path.ends_with("job.toml") {
                found.push(path);
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_that_is_written_is_for_its_owner_alone() {
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..6).map(|number| failed(format!("{number}")))).expect("seeded");
    stage.file("job.toml", TO_A_FILE);
    with_an_open_umask(&stage, &["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    // In the midst of it, so that what SQLite keeps beside the journal is there.
    let slow = Fault::Latency { ms: 3_000, jitter_ms: 0, when: When::Before };
    stage.sandbox.faults().add(Rule::new(slow).action("DeleteMessageBatch").times(1));
    let apply = with_an_open_umask(&stage, &["apply", "plan.json"]);
    let looked = async {
        let wal = stage.path(".redrive/journal.db-wal");
        while !(wal.exists() && std::fs::read(stage.path("out/evidence.jsonl")).is_ok_and(|lines| !lines.is_empty())) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        written(&stage)
    };
    let looked = tokio::time::timeout(Duration::from_mins(1), looked);
    let (applied, during) = tokio::join!(apply, async {
        let files = looked.await.expect("it writes");
        files
            .into_iter()
            .filter_map(|path| Some((path.metadata().ok()?.permissions().mode(), path)))
            .collect::<Vec<_>>()
    });
    applied.expect(0);
    for name in ["plan.json", "journal.db", "journal.db-wal", "journal.db-shm", "journal.db-lock", "evidence.jsonl"] {
        assert!(during.iter().any(|(_, path)| path.ends_with(name)), "{name} of {during:?}");
    }
    let after = written(&stage).into_iter().map(|path| (path.metadata().expect("there").permissions().mode(), path));
    for (mode, path) in during.into_iter().chain(after) {
        assert_eq!(mode & 0o077, 0, "{} is open to others: {mode:o}", path.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_body_and_no_attribute_is_in_an_output_or_a_log() {
    let stage = Stage::with_queues().await;
    let attribute = MessageAttribute::string(format!("{MARK} too"));
    let seeds = (0..12).map(|number| {
        let body = serde_json::json!({"error": if number < 6 { "Timeout" } else { "Other" }, "text": MARK}).to_string();
        failed(body).attribute("tenant", if number == 7 { MessageAttribute::string("us-1") } else { attribute.clone() })
    });
    stage.sandbox.seed("orders-dlq", seeds.chain([failed(MARK)])).expect("seeded");
    stage.file("job.toml", JOB);
    let loud = [("RUST_LOG", "trace"), ("AWS_LOG", "trace"), ("AWS_SDK_LOG", "debug"), ("RUST_BACKTRACE", "full")];
    let planned = stage.redrive_with(&["plan", "job.toml", "--out", "plan.json"], &loud).await.expect(0);
    assert!(!planned.stderr.contains(MARK), "{}", planned.stderr);
    // Some refused, some without an answer, then one that ends the session.
    let refused = Fault::FailEntry { index: 0, sender_fault: true, code: "Because".to_owned() };
    stage.sandbox.faults().add(Rule::new(refused).action("SendMessageBatch").nth(1));
    stage.sandbox.faults().add(Rule::new(Fault::Cut { when: When::After }).action("SendMessageBatch").nth(2));
    stage.sandbox.faults().add(Rule::new(Fault::AccessDenied).action("DeleteMessageBatch").times(1));
    let mut said = String::new();
    for arguments in [
        &["apply", "plan.json"][..],
        &["status"],
        &["report"],
        &["apply", "plan.json", "--format", "json"],
        &["runs", "--format", "json"],
        &["status", "--format", "json"],
        &["report", "--format", "json"],
        &["report", "--format", "markdown"],
        &["report", "--format", "html"],
    ] {
        let ran = stage.redrive_with(arguments, &loud).await;
        said.extend([arguments.join(" "), ran.stdout, ran.stderr]);
    }
    assert!(said.contains("Because") && said.contains("timeouts"), "it says much: {said}");
    assert!(!said.contains(MARK), "a body or an attribute is in there: {said}");
    // The plan shows examples, and the bucket is not below the directory.
    for path in written(&stage).iter().filter(|path| path.is_file() && !path.ends_with("plan.json")) {
        let bytes = std::fs::read(path).expect("readable");
        assert!(!bytes.windows(MARK.len()).any(|window| window == MARK.as_bytes()), "{}", path.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_somebody_else_says_where_it_reaches_and_cannot_hide_it() {
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..3).map(|number| failed(format!("{number}")))).expect("seeded");
    let server = stage.sandbox.endpoint_url();
    let job =
        TO_A_FILE.replace("queue = \"orders-dlq\"", &format!("queue = \"orders-dlq\"\nendpoint_url = \"{server}\""));
    let outside = format!("../{}-outside", stage.directory.path().file_name().expect("a name").display());
    stage.file("job.toml", &job.replace("out/evidence", &format!("{outside}/evidence")));
    let said = [
        format!("how to reach the source by endpoint_url {server}"),
        format!("written by destination evidence to {outside}/evidence.jsonl"),
    ];
    let planned = stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    let shown = stage.redrive(&["show", "plan.json", "--format", "json"]).await.expect(0);
    // Text wraps.
    let text = planned.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in &said {
        assert!(text.contains(words) && shown.stdout.contains(words), "{words}: {text}");
    }

    let honest = redrive::plan::parse(&std::fs::read(stage.path("plan.json")).expect("there"), "plan").expect("a plan");
    let mut silent = honest.clone();
    silent.hazards.clear();
    let mut lying = honest.clone();
    lying.targets[0].location = Some("evidence.jsonl".to_owned());
    // The seal is a digest: whoever can write the file can seal it anew.
    for (forged, words) in [(silent, "does not say what its job says"), (lying, "is not what its job says")] {
        redrive::plan::write(&forged.seal(), &stage.path("forged.json")).expect("written");
        let refused = stage.redrive(&["apply", "forged.json"]).await.expect(4);
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
        assert_eq!(stage.counts("orders-dlq"), (3, 3));
        assert!(!stage.path(".redrive").exists() && !stage.path(&outside).exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_through_a_link() {
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", [failed("x")]).expect("seeded");
    stage.file("job.toml", TO_A_FILE);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    stage.file("precious", "");
    // The archive last: a run that has begun wants its own journal.
    for link in [".redrive/journal.db-lock", ".redrive/journal.db", "out/evidence.jsonl"] {
        std::fs::create_dir_all(stage.path(link).parent().expect("below")).expect("a directory");
        std::os::unix::fs::symlink(stage.path("precious"), stage.path(link)).expect("a link");
        let refused = stage.redrive(&["apply", "plan.json"]).await.expect(1);
        assert!(refused.stderr.contains("not a regular file"), "{link}: {}", refused.stderr);
        assert_eq!(std::fs::read_to_string(stage.path("precious")).expect("there"), "", "{link}");
        std::fs::remove_file(stage.path(link)).expect("removed");
    }
    stage.redrive(&["apply", "plan.json"]).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_behind_a_link_is_refused_and_what_the_link_leads_to_stays() {
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", [failed("x")]).expect("seeded");
    stage.file("job.toml", TO_A_FILE);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    let refused = async |words: &str| {
        for arguments in [&["apply", "plan.json"][..], &["runs"], &["status"], &["runs", "prune", "--older-than", "1s"]]
        {
            let ran = stage.redrive(arguments).await.expect(1);
            assert!(ran.stderr.contains(words), "{arguments:?}: {}", ran.stderr);
        }
    };
    std::fs::create_dir(stage.path("elsewhere")).expect("a directory");
    std::os::unix::fs::symlink(stage.path("elsewhere"), stage.path(".redrive")).expect("a link");
    refused("symbolic link").await;
    assert_eq!(std::fs::read_dir(stage.path("elsewhere")).expect("there").count(), 0);
    std::fs::remove_file(stage.path(".redrive")).expect("removed");
    std::fs::create_dir(stage.path(".redrive")).expect("a directory");
    stage.file("precious", "words of somebody else");
    std::fs::hard_link(stage.path("precious"), stage.path(".redrive/journal.db-lock")).expect("a link");
    refused("hard link").await;
    assert_eq!(std::fs::read_to_string(stage.path("precious")).expect("there"), "words of somebody else");
}
