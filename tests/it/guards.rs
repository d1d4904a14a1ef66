//! Guards against a real consumer: one that fails everything, fails one kind, is slow, or is not there. How many messages leave
//! before a stop, that a killed run goes on where it was, and what a person's word does.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use sqs_sandbox::{Fault, Options, Rule, Seed, Signal, When};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use crate::end_to_end::assert_adds_up;
use crate::support::admin::Admin;
use crate::support::consumer::Consumer;
use crate::support::stage::{Ran, Stage, each_of};

const AT_ONCE: Duration = Duration::from_millis(1);

fn nothing(_: &str) -> bool {
    false
}

fn everything(_: &str) -> bool {
    true
}

fn kind_b(body: &str) -> bool {
    body.contains("\"b\"")
}

/// A source of so many messages, every tenth of kind b, and their consumer's queue, which moves on what fails twice.
async fn planned(messages: u64, dead_letters: &str, guard: &str) -> Stage {
    planned_on(Stage::new().await, messages, dead_letters, guard).await
}

async fn planned_on(stage: Stage, messages: u64, dead_letters: &str, guard: &str) -> Stage {
    let source = stage.queue("failed", &[]);
    let dead = if dead_letters == "failed" { source } else { stage.queue(dead_letters, &[]) };
    let policy = format!("{{\"deadLetterTargetArn\":\"{dead}\",\"maxReceiveCount\":\"2\"}}");
    stage.queue("orders", &[("RedrivePolicy", &policy), ("VisibilityTimeout", "30")]);
    let body =
        |number: u64| format!("{{\"kind\":\"{}\",\"n\":{number}}}", if number.is_multiple_of(10) { "b" } else { "a" });
    stage.sandbox.seed("failed", (0..messages).map(|number| Seed::new(body(number)))).expect("seeded");
    let job = format!(
        r#"
version = 1
name = "guarded"
[source]
queue = "failed"
visibility_timeout = "10s"
[destination.orders]
sqs = {{ queue = "orders" }}
[[rule]]
name = "kind a"
when = [{{ body = "$.kind", equals = "a" }}]
to = "orders"
[[rule]]
name = "kind b"
when = [{{ body = "$.kind", equals = "b" }}]
to = "orders"
{guard}
"#
    );
    stage.file("job.toml", &job);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    stage
}

const APPLY: [&str; 4] = ["apply", "plan.json", "--format", "json"];

/// An apply whose events are read while it goes on.
struct Run {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    read: Vec<Value>,
}

impl Run {
    fn start(stage: &Stage) -> Self {
        Self::of(stage, &APPLY)
    }

    fn of(stage: &Stage, arguments: &[&str]) -> Self {
        let mut child = stage.command(arguments).stdout(Stdio::piped()).spawn().expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, lines, read: Vec::new() }
    }

    async fn line(&mut self) -> Option<Value> {
        let line = tokio::time::timeout(Duration::from_mins(3), self.lines.next_line()).await.expect("it goes on");
        let line = line.expect("a pipe").map(|line| serde_json::from_str::<Value>(&line).expect("JSON"))?;
        self.read.push(line.clone());
        Some(line)
    }

    /// Waits for what a guard or a person does.
    async fn until(&mut self, kind: &str) -> Value {
        while let Some(line) = self.line().await {
            if line["type"] == "guard" && line["kind"] == kind {
                return line;
            }
        }
        panic!("it ended without {kind}: {:#?}", self.read);
    }

    /// Waits for its end; gives the exit code and the summary.
    async fn end(mut self, code: i32) -> Value {
        while self.line().await.is_some() {}
        let ended = self.child.wait_with_output().await.expect("ended");
        let words = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{words}\n{:#?}", self.read);
        self.read.pop().expect("a summary")
    }
}

/// The identity of the run of the stage's plan.
fn run_of(stage: &Stage) -> String {
    let plan = std::fs::read_to_string(stage.path("plan.json")).expect("a plan");
    let plan: Value = serde_json::from_str(&plan).expect("JSON");
    plan["digest"].as_str().expect("a digest")[7..19].to_owned()
}

/// Waits until the consumer has had everything.
async fn until_consumed(stage: &Stage) {
    let consumed = async {
        while stage.counts("orders").0 > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(3), consumed).await.expect("it is consumed");
}

/// Waits until the journal says that the run is finished.
async fn until_finished(stage: &Stage) {
    let finished = async {
        loop {
            let status = stage.redrive(&["status", "--format", "json"]).await.stdout;
            if status.contains("\"outcome\":\"finished\"") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(5), finished).await.expect("it finishes");
}

fn left(stage: &Stage, messages: u64) -> u64 {
    messages - stage.counts("failed").0 as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_is_consumed_lets_the_others_go() {
    let stage = planned(300, "dead", "[guard]\ncanary = { messages = 50, wait = \"10m\" }").await;
    let _consumer = Consumer::start(&stage, "orders", AT_ONCE, nothing);
    let mut run = Run::start(&stage);
    run.until("canary_waits").await;
    assert_eq!(left(&stage, 300), 50, "and no more");
    until_consumed(&stage).await;
    stage.sandbox.advance(Duration::from_mins(10));
    run.until("canary_passed").await;
    let summary = run.end(0).await;
    assert_adds_up(&summary);
    assert_eq!(summary["moved"], 300, "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_comes_back_halts_the_run_and_a_mended_consumer_gets_another() {
    let stage = planned(300, "dead", "[guard]\ncanary = { messages = 50, wait = \"10m\" }").await;
    let broken = Consumer::start(&stage, "orders", AT_ONCE, kind_b);
    let ran = stage.redrive(&APPLY).await.expect(5);
    let summary = ran.summary();
    assert_eq!((&summary["moved"], &summary["outcome"]), (&50.into(), &"guarded".into()), "{summary}");
    assert!(summary["error"].as_str().is_some_and(|words| words.contains("the canary came back")), "{summary}");
    let (all, visible) = stage.counts("failed");
    assert_eq!((all, visible), (250, 250), "the others are given back");
    drop(broken);
    let _mended = Consumer::start(&stage, "orders", AT_ONCE, nothing);
    let mut run = Run::start(&stage);
    run.until("canary_waits").await;
    assert_eq!(left(&stage, 300), 100, "another fifty go first");
    until_consumed(&stage).await;
    stage.sandbox.advance(Duration::from_mins(10));
    let summary = run.end(0).await;
    assert_eq!(summary["moved"], 300, "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_comes_back_to_the_source_itself_halts_the_run() {
    let stage = planned(300, "failed", "[guard]\ncanary = { messages = 50, wait = \"10m\" }").await;
    let _broken = Consumer::start(&stage, "orders", AT_ONCE, everything);
    let summary = stage.redrive(&APPLY).await.expect(5).summary();
    assert_eq!(summary["moved"], 50, "{summary}");
    assert!(summary["error"].as_str().is_some_and(|words| words.contains("the canary came back")), "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_nobody_consumes_is_inconclusive_and_looked_for_once_more() {
    let stage = planned(120, "dead", "[guard]\ncanary = { messages = 20, wait = \"10m\" }").await;
    let mut run = Run::start(&stage);
    run.until("canary_waits").await;
    stage.sandbox.advance(Duration::from_mins(10));
    let summary = run.end(5).await;
    assert_eq!(summary["moved"], 20, "{summary}");
    let words = summary["error"].as_str().unwrap_or_default();
    assert!(words.contains("inconclusive") && words.contains("orders holds 20 messages"), "{words}");
    let _consumer = Consumer::start(&stage, "orders", AT_ONCE, nothing);
    let mut run = Run::start(&stage);
    run.until("canary_waits").await;
    until_consumed(&stage).await;
    stage.sandbox.advance(Duration::from_mins(10));
    run.until("canary_passed").await;
    assert!(run.read.iter().all(|line| line["kind"] != "canary_began"), "no others go first: {:#?}", run.read);
    assert_eq!(run.end(0).await["moved"], 120);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_while_its_canary_waits_goes_on_waiting_for_what_is_left_of_it() {
    let stage = planned(120, "dead", "[guard]\ncanary = { messages = 20, wait = \"1h\" }").await;
    let _consumer = Consumer::start(&stage, "orders", AT_ONCE, nothing);
    let mut run = Run::start(&stage);
    let waits = run.until("canary_waits").await;
    run.child.kill().await.expect("killed");
    stage.sandbox.advance(Duration::from_mins(40));
    let mut run = Run::start(&stage);
    let goes_on = run.until("canary_goes_on").await;
    let until = |line: &Value| line["words"].as_str().and_then(|words| words.rsplit(' ').next()).map(str::to_owned);
    assert_eq!(until(&goes_on), until(&waits));
    assert_eq!(left(&stage, 120), 20);
    until_consumed(&stage).await;
    stage.sandbox.advance(Duration::from_mins(21));
    run.until("canary_passed").await;
    let summary = run.end(0).await;
    assert_eq!((&summary["moved"], &summary["in_doubt"]), (&120.into(), &0.into()), "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_without_the_canary_says_why() {
    let stage = planned(60, "dead", "[guard]\ncanary = { messages = 20, wait = \"1h\" }").await;
    let arguments = [&APPLY[..], &["--skip-canary", "INC-4711"]].concat();
    let ran = stage.redrive(&arguments).await.expect(0);
    assert_eq!(ran.summary()["moved"], 60);
    assert!(ran.stdout.contains("goes without the canary: INC-4711"), "{}", ran.stdout);
}

/// Waits until so many messages are in a queue; gives the time by the sandbox's clock.
async fn until_holds(stage: &Stage, queue: &str, messages: usize) -> u64 {
    while stage.counts(queue).0 < messages {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stage.sandbox.log().last().map_or(0, |entry| entry.at_ms)
}

/// The bound in the documentation is `k / f + r (D + L) + P`: `k` messages have to come back, and then one look ends that began
/// before they had, and one more.
#[tokio::test(flavor = "multi_thread")]
async fn no_more_leave_before_a_stop_for_bounces_than_the_bound_says() {
    let guard = "[guard]\nmax_bounced = \"2%\"\n[limits]\nrate = \"200/s\"";
    for fails in [everything as fn(&str) -> bool, kind_b] {
        let stage = planned(6_000, "dead", guard).await;
        let _broken = Consumer::start(&stage, "orders", AT_ONCE, fails);
        let run = Run::start(&stage);
        let (enough, summary) = tokio::join!(until_holds(&stage, "dead", 21), run.end(5));
        assert!(
            summary["error"].as_str().is_some_and(|words| words.contains("came back from the consumer")),
            "{summary}"
        );
        let log = stage.sandbox.log();
        let looks = log.iter().filter(|of| of.resource == "dead" && of.action == "GetQueueAttributes");
        let late = looks.filter(|of| of.at_ms > enough).count();
        assert!(late <= 2, "it looked {late} times more once enough had come back");
        let (all, visible) = stage.counts("failed");
        assert_eq!(all, visible, "the others are given back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_bounces_of_one_rule_stop_that_rule_alone() {
    let guard = "[guard]\nmax_bounced = \"2%\"\nper_rule = true\n[limits]\nrate = \"10/s\"";
    let stage = planned(300, "dead", guard).await;
    let _broken = Consumer::start(&stage, "orders", AT_ONCE, kind_b);
    let mut run = Run::start(&stage);
    let stopped = run.until("rule_stopped").await;
    assert!(stopped["words"].as_str().is_some_and(|words| words.contains("kind b")), "{stopped}");
    let summary = run.end(0).await;
    assert_adds_up(&summary);
    let rows = summary["rules"].as_array().expect("rules");
    let of = |rule: &str, state: &str| {
        let rows = rows.iter().filter(|row| row["rule"] == rule && row["state"] == state);
        rows.map(|row| row["messages"].as_u64().expect("a number")).sum::<u64>()
    };
    assert_eq!(of("kind a", "done"), 270, "the other rule went on: {summary}");
    assert_eq!(of("kind b", "done") + of("kind b", "kept"), 30, "{summary}");
    assert!(of("kind b", "kept") > 0 && summary.to_string().contains("rule_stopped"), "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_is_behind_slows_the_run_and_does_not_halt_it() {
    let stage = planned(300, "dead", "[guard]\nmax_backlog = 50\n[limits]\nrate = \"100/s\"").await;
    let consumer = Consumer::start(&stage, "orders", Duration::from_millis(300), nothing);
    let mut run = Run::start(&stage);
    let slowed = run.until("slowed").await;
    let words = slowed["words"].as_str().unwrap_or_default();
    assert!(words.contains("waiting for the consumer: orders holds"), "{words}");
    assert!(words.contains("50 are the most it should"), "{words}");
    assert_eq!(run.end(0).await["moved"], 300);
    assert!(!consumer.processed().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_word_pauses_slows_and_stops_a_run_and_never_speeds_it_up() {
    let stage = planned(2_000, "dead", "[limits]\nrate = \"50/s\"").await;
    let mut run = Run::start(&stage);
    stage.until_requested("SendMessageBatch").await;
    let name = run_of(&stage);
    let told = stage.redrive(&["control", &name, "pause", "--reason", "INC-4711"]).await.expect(0);
    assert!(told.stdout.contains("paused: INC-4711"), "{}", told.stdout);
    let paused = run.until("paused").await;
    assert!(paused["who"].is_string() && paused["words"].as_str().is_some_and(|words| words.contains("INC-4711")));
    // A batch that was on its way arrives; nothing does after that.
    let mut sent = 0;
    while sent != stage.requests("SendMessageBatch") {
        sent = stage.requests("SendMessageBatch");
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    assert!(stage.counts("failed").0 > 0, "it did not stop before it had sent everything");
    let refused = stage.redrive(&["control", &name, "rate", "51/s"]).await.expect(1);
    assert!(refused.stderr.contains("50 messages a second were approved"), "{}", refused.stderr);
    stage.redrive(&["control", &name, "rate", "20/s"]).await.expect(0);
    stage.redrive(&["control", &name, "resume"]).await.expect(0);
    run.until("resumed").await;
    stage.redrive(&["control", "nothing", "pause"]).await.expect(2);
    stage.redrive(&["control", &name, "stop"]).await.expect(0);
    let summary = run.end(3).await;
    assert_eq!(summary["outcome"], "interrupted", "{summary}");
    let (all, visible) = stage.counts("failed");
    assert_eq!(all, visible, "what is left is given back");
    let nobody = stage.redrive(&["control", &name, "resume"]).await.expect(1);
    assert!(nobody.stderr.contains("no process is at work on run"), "{}", nobody.stderr);
    let report = stage.redrive(&["report", "--format", "text"]).await.expect(0).stdout;
    assert!(report.contains("paused: INC-4711") && report.contains("at most 20 messages a second"), "{report}");
}

#[cfg(unix)]
fn script(stage: &Stage, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    // Written beside and renamed: a program that is being written cannot be run.
    std::fs::write(stage.path("next"), format!("#!/bin/sh\n{text}\n")).expect("a script");
    std::fs::set_permissions(stage.path("next"), std::fs::Permissions::from_mode(0o755)).expect("a mode");
    std::fs::rename(stage.path("next"), stage.path("healthy")).expect("in place");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_halts_a_run_before_its_first_message_and_is_told_which_run_it_is() {
    let stage = planned(60, "dead", "[guard]\ncommand = [\"./healthy\"]").await;
    script(&stage, "echo \"run $REDRIVE_RUN, $REDRIVE_MOVED moved, $REDRIVE_BOUNCED back\" >&2; exit 2");
    let summary = stage.redrive(&APPLY).await.expect(5).summary();
    let words = format!(
        "the command ./healthy halts the run: run {}, 0 moved, 0 back",
        summary["run"].as_str().expect("a run")
    );
    assert_eq!((&summary["moved"], &summary["error"]), (&0.into(), &words.into()));
    script(&stage, "exit 1");
    let mut run = Run::start(&stage);
    run.until("command_pause").await;
    assert_eq!(left(&stage, 60), 0, "nothing left while it was paused");
    script(&stage, "exit 0");
    run.until("command_go").await;
    assert_eq!(run.end(0).await["moved"], 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_without_an_answer_is_dealt_with_as_the_job_says() {
    for (no_answer, code) in [("halt", 5), ("go", 0)] {
        let guard = format!("[guard]\ncommand = [\"./nowhere\"]\nno_answer = \"{no_answer}\"");
        let stage = planned(30, "dead", &guard).await;
        let ran: Ran = stage.redrive(&APPLY).await.expect(code);
        assert_eq!(ran.summary()["moved"], if code == 0 { 30 } else { 0 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_guards_looks_at_nothing() {
    let stage = planned(60, "dead", "").await;
    stage.sandbox.clear_log();
    stage.redrive(&APPLY).await.expect(0);
    let looks = |queue: &str| {
        let log = stage.sandbox.log();
        let of = log.iter().filter(|entry| entry.resource == queue && entry.action != "SendMessageBatch");
        of.map(|entry| entry.action.clone()).collect::<Vec<_>>()
    };
    assert_eq!(looks("orders"), ["GetQueueUrl", "GetQueueAttributes"], "once, when it is opened");
    assert!(looks("dead").is_empty());
}

/// A person slows a run, pauses it and lets it go on, as far as it comes.
async fn held_back(stage: &Stage, ended: &AtomicBool) {
    let run = run_of(stage);
    for order in [&["rate", "10/s"][..], &["pause"], &["resume"]] {
        let arguments = [&["control", &run], order].concat();
        while !ended.load(Ordering::Relaxed) && stage.redrive(&arguments).await.code != Some(0) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

const SWEPT: u64 = 40;

/// A run with a canary that a person holds back on its way, killed at one of its requests and applied again until it is
/// finished; gives whether it was killed.
async fn killed_at(at: impl FnOnce(Rule) -> Rule, when: When) -> bool {
    let stage = Stage::with_options(Options { signals: true, ..Options::default() }).await;
    let guard = "[guard]\ncanary = { messages = 5, wait = \"1s\" }\nmax_bounced = \"50%\"\n[limits]\nrate = \"20/s\"";
    let stage = planned_on(stage, SWEPT, "dead", guard).await;
    let consumer = Consumer::start(&stage, "orders", AT_ONCE, nothing);
    let (child, ended) = (stage.spawn(&APPLY), AtomicBool::new(false));
    let pid = child.id().expect("running");
    stage.sandbox.faults().add(at(Rule::new(Fault::Kill { pid, signal: Signal::Kill, when })));
    let run = async {
        let code = child.wait_with_output().await.expect("ended").status.code();
        ended.store(true, Ordering::Relaxed);
        code
    };
    let (code, ()) = tokio::join!(run, held_back(&stage, &ended));
    stage.sandbox.faults().clear();
    let report = stage.redrive(&["report", "--format", "json"]).await;
    if !report.stdout.contains("\"canary_passed\"") {
        assert!(left(&stage, SWEPT) <= 5, "no more than the canary: {}", report.stdout);
    }
    let mut summary = Value::Null;
    for _ in 0..6 {
        let ran = stage.redrive(&APPLY).await;
        assert!(matches!(ran.code, Some(0 | 3 | 5)), "{ran:?}");
        summary = ran.summary();
        if ran.code == Some(0) {
            break;
        }
    }
    assert_eq!((&summary["outcome"], &summary["moved"]), (&"finished".into(), &SWEPT.into()), "{summary}");
    until_consumed(&stage).await;
    let (processed, doubts) = (consumer.processed(), stage.doubts().await);
    assert_eq!(processed.len() as u64, SWEPT, "nothing is lost");
    let copies = processed.values().sum::<u64>() - SWEPT;
    assert!(copies <= doubts, "{copies} copies, and {doubts} sends in doubt");
    code.is_none()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_with_a_canary_a_pause_and_another_rate_it_loses_nothing_and_goes_on_where_it_was() {
    let source = [1, 2, 3, 5, 8, 12, 16].map(|nth| ("failed", nth));
    let (sends, looks) = ([1, 2, 3, 4].map(|nth| ("orders", nth)), [1, 2, 4].map(|nth| ("dead", nth)));
    let places: Vec<_> = source.into_iter().chain(sends).chain(looks).enumerate().collect();
    let all = places.len();
    let killed = each_of(5, places, |(case, (queue, nth))| async move {
        let when = if case % 2 == 0 { When::Before } else { When::After };
        let at = |rule: Rule| {
            let rule = rule.resource(queue).nth(nth);
            if queue == "orders" { rule.action("SendMessageBatch") } else { rule }
        };
        killed_at(at, when).await
    });
    let killed = killed.await.into_iter().filter(|killed| *killed).count();
    assert!(killed * 3 > all * 2, "only {killed} of {all} were killed before their end");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_after_the_end_joins_the_report_and_too_much_of_it_is_an_exit_code() {
    let stage = planned(40, "dead", "[guard]\nmax_bounced = \"20%\"").await;
    let mut run = Run::of(&stage, &[&APPLY[..], &["--watch", "30m"]].concat());
    until_finished(&stage).await;
    // Only now does the consumer fail some.
    let broken = Consumer::start(&stage, "orders", AT_ONCE, everything);
    let mut watched = Value::Null;
    while watched["type"] != "watched" {
        watched = run.line().await.expect("what the watching saw");
    }
    let summary = run.end(5).await;
    assert_eq!((&summary["type"], &summary["outcome"]), (&"summary".into(), &"finished".into()), "the last line");
    assert_eq!(
        (&watched["type"], &watched["moved"], &watched["limit"]),
        (&"watched".into(), &40.into(), &"20%".into())
    );
    assert!(watched["came_back"].as_u64().is_some_and(|back| back > 8), "{watched}");
    until_holds(&stage, "dead", 40).await;
    drop(broken);
    // What it had not seen by then another look finds; its end by the clock is another than that by the limit.
    let name = run_of(&stage);
    let again = stage.redrive(&["watch", &name, "--for", "1s", "--format", "json"]).await;
    let again: Value = serde_json::from_str(again.stdout.lines().last().unwrap_or_default()).expect("JSON");
    assert_eq!(
        (&again["came_back"], again["new"].as_u64()),
        (&40.into(), Some(40 - watched["came_back"].as_u64().expect("a number")))
    );
    let (all, visible) = stage.counts("dead");
    assert_eq!((all, visible), (40, 40), "all that was looked at is given back");
    let report = stage.redrive(&["report", "--format", "json"]).await.expect(0).stdout;
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let slices = report["timeline"]["slices"].as_array().expect("slices");
    let sum = |of: &str| slices.iter().filter_map(|slice| slice[of].as_u64()).sum::<u64>();
    assert_eq!([sum("left"), sum("came_back"), sum("guarded")], [40, 40, 2], "{report}");
    let report = stage.redrive(&["report", "--format", "text"]).await.expect(0).stdout;
    assert!(report.contains("of which 40 came back") && report.contains("watched for"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_which_nothing_comes_back_is_watched_until_its_time_is_over() {
    let stage = planned(20, "dead", "[guard]\nmax_bounced = \"2%\"").await;
    stage.redrive(&APPLY).await.expect(0);
    stage.sandbox.clear_log();
    let watched = stage.redrive(&["watch", &run_of(&stage), "--for", "1s"]).await.expect(0);
    assert!(watched.stdout.contains("0 of 20 messages came back"), "{}", watched.stdout);
    let log = stage.sandbox.log();
    assert!(log.iter().all(|of| of.action != "ReceiveMessage"), "a count is enough to see that there is nothing");
    stage.redrive(&["watch", &run_of(&stage), "--for", "soon"]).await.expect(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_is_watched_is_shown_until_the_run_has_ended() {
    let stage = planned(60, "dead", "[limits]\nrate = \"10/s\"").await;
    let run = Run::start(&stage);
    stage.until_requested("SendMessageBatch").await;
    let (watched, _) = tokio::join!(stage.redrive(&["status", "--watch", "--format", "json"]), run.end(0));
    let shown: Vec<Value> =
        watched.expect(0).stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(shown.first().map(|of| of["outcome"].clone()), Some("running".into()));
    assert_eq!(shown.last().map(|of| of["outcome"].clone()), Some("finished".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn awss_own_redrive_of_the_source_is_in_the_plan_and_refused_in_each_session_unless_accepted() {
    let stage = Stage::with_options(Options { signals: true, ..Options::default() }).await;
    let stage = planned_on(stage, 1_000, "failed", "[limits]\nconcurrency = 1").await;
    // It begins between two sessions of the run, with something to move.
    assert!(stage.killed_at(When::Before, |rule| rule.action("SendMessageBatch").nth(1)).await, "it was killed");
    let visible = async {
        while stage.counts("failed").1 < 1_000 {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(5), visible).await.expect("they come back");
    let (admin, source) = (Admin::at(&stage.sandbox.endpoint_url()), stage.queue("failed", &[]));
    let task = admin.sqs.start_message_move_task().source_arn(source).destination_arn(stage.queue("elsewhere", &[]));
    task.max_number_of_messages_per_second(1).send().await.expect("it begins");
    let before = stage.requests("ReceiveMessage");
    let said = stage.redrive(&APPLY).await.expect(4).stderr;
    assert!(said.contains("is moving messages out of failed") && said.contains("--accept-move-task"), "{said}");
    assert_eq!(stage.requests("ReceiveMessage"), before, "nothing was received");
    // Of a sample that leaves the task something to move: it ends when it finds nothing.
    stage.redrive(&["plan", "job.toml", "--out", "other.json", "--sample", "100"]).await.expect(0);
    let plan = std::fs::read_to_string(stage.path("other.json")).expect("a plan");
    assert!(plan.contains("move_task_at_work"), "{plan}");
    let accepted = stage.redrive(&[&APPLY[..], &["--accept-move-task", "INC-4711"]].concat()).await;
    // What was in doubt, and taken by the task before the run could look for it, counts as failed.
    assert!(matches!(accepted.code, Some(0 | 6)), "{:?} {}{}", accepted.code, accepted.stdout, accepted.stderr);
    let moved = accepted.summary()["moved"].as_u64().expect("a number");
    let places = ["failed", "orders", "elsewhere"].map(|queue| stage.counts(queue).0 as u64);
    assert!(moved == places[1] && places.iter().sum::<u64>() == 1_000, "{moved} {places:?}");
    let report = stage.redrive(&["report", "--format", "json"]).await.expect(0).stdout;
    assert!(report.contains("move_task_accepted") && report.contains("INC-4711"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_may_not_see_awss_own_redrive_says_so_and_goes_on() {
    let stage = planned(30, "dead", "").await;
    stage.sandbox.faults().add(Rule::new(Fault::AccessDenied).action("ListMessageMoveTasks"));
    stage.redrive(&["plan", "job.toml", "--out", "other.json"]).await.expect(0);
    let plan = std::fs::read_to_string(stage.path("other.json")).expect("a plan");
    assert!(plan.contains("move_task_unseen"), "{plan}");
    let said = stage.redrive(&APPLY).await.expect(0).stderr;
    assert!(said.contains("own redrive is at work on failed could not be seen"), "{said}");
    assert_eq!(stage.requests("ListMessageMoveTasks"), 3, "one of each plan, and one of the session");
}
