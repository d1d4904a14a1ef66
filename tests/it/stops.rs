//! A run that is asked to stop, held, or left alone by whoever watches it: signals, a reader that goes away, a terminal.

use std::time::Duration;

use rustix::process::{Pid, kill_process};
use sqs_sandbox::{Fault, Options, Rule, Signal, When};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::end_to_end::{JOB, assert_adds_up, assert_all_in_place, expected_at, message};
use crate::support::stage::{Ran, Stage, each};
use crate::support::terminal::Terminal;

const TOTAL: usize = 36;

async fn planned(total: usize, job: &str) -> Stage {
    let stage = Stage::with_options(Options { signals: true, ..Options::default() }).await;
    stage.orders();
    stage.sandbox.seed("orders-dlq", (0..total).map(message)).expect("seeded");
    stage.file("job.toml", job);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    stage
}

pub(crate) fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = i32::try_from(pid).expect("a PID");
    kill_process(Pid::from_raw(pid).expect("a PID"), signal).expect("sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_at_any_moment_ends_the_run_in_order_and_leaves_nothing_in_doubt() {
    let cases = (1..=40_u64).step_by(3).flat_map(|nth| [(nth, Signal::Int), (nth + 1, Signal::Term)]);
    let stopped = each(cases.collect(), |(nth, signal)| async move {
        let stage = planned(TOTAL, JOB).await;
        let child = stage.spawn(&["apply", "plan.json", "--format", "json"]);
        let pid = child.id().expect("running");
        stage.sandbox.faults().add(Rule::new(Fault::Kill { pid, signal, when: When::Before }).nth(nth));
        let ran = Ran::of(child.wait_with_output().await.expect("ended"));
        let at = format!("{signal:?} at {nth}: {:?} {}{}", ran.code, ran.stdout, ran.stderr);
        assert!(matches!(ran.code, Some(0 | 3)), "{at}");
        let (all, visible) = stage.counts("orders-dlq");
        assert_eq!(all, visible, "what is left is given back: {at}");
        let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
        assert_adds_up(&summary);
        assert_eq!(summary["in_doubt"], 0, "{at}");
        assert_all_in_place(&stage, TOTAL);
        ran.code == Some(3)
    })
    .await;
    let stopped = stopped.into_iter().filter(|stopped| *stopped).count();
    assert!(stopped > 12, "only {stopped} came before the end of the run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once_and_nothing_is_lost() {
    each((4..=28_u64).step_by(4).collect(), |nth| async move {
        let stage = planned(TOTAL, JOB).await;
        let child = stage.spawn(&["apply", "plan.json"]);
        let pid = child.id().expect("running");
        for (nth, signal) in [(nth, Signal::Int), (nth + 1, Signal::Term)] {
            stage.sandbox.faults().add(Rule::new(Fault::Kill { pid, signal, when: When::After }).nth(nth));
        }
        let ran = Ran::of(child.wait_with_output().await.expect("ended"));
        assert!(matches!(ran.code, Some(0 | 3)), "{nth}: {}", ran.stderr);
        stage.sandbox.faults().clear();
        let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
        assert_adds_up(&summary);
        let arrived = |queue| stage.counts(queue).0 as u64;
        let expected = |queue| expected_at(queue, TOTAL).values().sum::<usize>() as u64;
        let surplus = arrived("orders") + arrived("audit") - expected("orders") - expected("audit");
        assert!(surplus <= summary["in_doubt"].as_u64().expect("a number"), "{nth}: {surplus} twice: {summary}");
        assert_eq!(arrived("orders-dlq"), expected("orders-dlq"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_does_not_stop_the_run() {
    for format in ["json", "text"] {
        let stage = planned(TOTAL, JOB).await;
        let mut child = stage.spawn(&["apply", "plan.json", "--format", format]);
        // As `head -1` does; a text comes whole at the end, so nobody is there for it.
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        if format == "json" {
            assert!(lines.next_line().await.expect("a line").is_some());
        }
        drop((lines, child.stderr.take()));
        let status = child.wait().await.expect("ended");
        assert_eq!(status.code(), Some(0), "{format}: its exit code is that of the run");
        assert_all_in_place(&stage, TOTAL);
    }
}

/// Whether a process is held.
pub(crate) fn is_held(pid: u32) -> bool {
    // The state is what follows the name, which stands in brackets.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") T "))
}

/// Waits until a process is held.
pub(crate) async fn until_held(pid: u32) {
    let held = async {
        while !is_held(pid) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), held).await.expect("it is held");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_slept_longer_than_the_visibility_timeout_goes_on_and_sends_nothing_twice() {
    each(vec!["ReceiveMessage", "SendMessageBatch", "DeleteMessageBatch"], |action| async move {
        let stage = planned(TOTAL, JOB).await;
        let child = stage.spawn(&["apply", "plan.json", "--format", "json"]);
        let pid = child.id().expect("running");
        let stop = Fault::Kill { pid, signal: Signal::Stop, when: When::After };
        stage.sandbox.faults().add(Rule::new(stop).action(action).nth(2));
        until_held(pid).await;
        // Everything that it had received is visible again when it wakes.
        stage.sandbox.advance(Duration::from_hours(1));
        signal(pid, rustix::process::Signal::CONT);
        let ran = Ran::of(child.wait_with_output().await.expect("ended")).expect(0);
        let summary = ran.summary();
        assert_adds_up(&summary);
        assert_eq!(summary["in_doubt"], 0, "{action}: {summary}");
        assert_all_in_place(&stage, TOTAL);
    })
    .await;
}

/// Slow enough to be stopped in the midst.
fn slow() -> String {
    format!("{JOB}\n[limits]\nrate = \"4/s\"\nconcurrency = 1\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_terminal_stops_the_run_in_order() {
    let stage = planned(TOTAL, &slow()).await;
    let terminal = Terminal::new();
    let mut child = terminal.spawn(&stage, &["apply", "plan.json"]);
    stage.until_requested("SendMessageBatch").await;
    drop(terminal);
    let status = tokio::time::timeout(Duration::from_mins(1), child.wait()).await.expect("it ends").expect("ended");
    // Its last words have nowhere to go, which is a failure of its own.
    assert!(matches!(status.code(), Some(1 | 3)), "it ends by itself: {status}");
    let (all, visible) = stage.counts("orders-dlq");
    assert_eq!(all, visible, "what is left is given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_stops_the_run_and_leaves_the_terminal_as_it_was() {
    let stage = planned(TOTAL, &slow()).await;
    let mut terminal = Terminal::new();
    let before = terminal.settings();
    let child = terminal.spawn(&stage, &["apply", "plan.json"]);
    stage.until_requested("SendMessageBatch").await;
    terminal.types("\u{3}");
    assert_eq!(terminal.ended(child).await, Some(3), "{}", terminal.shown);
    let after = terminal.settings();
    assert_eq!((before.local_modes, before.input_modes), (after.local_modes, after.input_modes));
    assert_eq!((before.output_modes, before.control_modes), (after.output_modes, after.control_modes));
    let shown = &terminal.shown;
    assert!(shown.contains("stopping") && shown.contains("interrupted"), "{shown}");
    // The cursor is shown as often as it was hidden, and the other screen left as often as entered.
    for (on, off) in [("\u{1b}[?25l", "\u{1b}[?25h"), ("\u{1b}[?1049h", "\u{1b}[?1049l")] {
        assert_eq!(shown.matches(on).count(), shown.matches(off).count(), "{shown:?}");
    }
    assert_no_bars(&terminal);
}

/// Nothing of what moved on the terminal is left on it.
fn assert_no_bars(terminal: &Terminal) {
    let screen = terminal.screen();
    assert!(terminal.shown.contains("all rules"), "there were bars: {screen}");
    assert!(!screen.contains(['█', '░']) && !screen.contains("all rules"), "{screen}\n{:?}", terminal.shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_ctrl_c_leaves_no_bars_either() {
    let stage = planned(TOTAL, &slow()).await;
    // It has something to wait for until the second one comes.
    let hangs = Fault::Latency { ms: 120_000, jitter_ms: 0, when: When::Before };
    stage.sandbox.faults().add(Rule::new(hangs).action("DeleteMessageBatch"));
    let mut terminal = Terminal::new();
    let child = terminal.spawn(&stage, &["apply", "plan.json"]);
    stage.until_requested("SendMessageBatch").await;
    terminal.types("\u{3}");
    terminal.until("stopping:").await;
    terminal.types("\u{3}");
    assert_eq!(terminal.ended(child).await, Some(3), "{}", terminal.shown);
    assert!(terminal.screen().contains("stopped at once"), "{}", terminal.screen());
    assert_no_bars(&terminal);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_looks_at_messages_says_how_far_it_is_and_ctrl_c_takes_that_off_the_terminal() {
    let looking: [&[&str]; 3] =
        [&["plan", "job.toml"], &["explain", "job.toml", "--from-queue", "36"], &["inspect", "orders-dlq"]];
    each(looking.to_vec(), |arguments| async move {
        let stage = planned(TOTAL, JOB).await;
        let slow = Fault::Latency { ms: 400, jitter_ms: 0, when: When::Before };
        stage.sandbox.faults().add(Rule::new(slow).action("ReceiveMessage"));
        let mut terminal = Terminal::new();
        let before = terminal.settings();
        let child = terminal.spawn(&stage, arguments);
        terminal.until("of about 36 messages").await;
        terminal.types("\u{3}");
        let code = terminal.ended(child).await;
        let after = terminal.settings();
        assert_eq!((before.local_modes, before.output_modes), (after.local_modes, after.output_modes));
        // It may have seen all by then; in either case the line is gone, and the last words stand alone.
        assert!(!terminal.screen().contains("of about 36 messages"), "{}", terminal.screen());
        assert!(matches!(code, Some(0 | 3)), "{code:?}: {}", terminal.shown);
        let (all, visible) = stage.counts("orders-dlq");
        assert_eq!((all, visible), (TOTAL, TOTAL), "all is given back");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_yes_is_taken_as_approval() {
    for (keys, code) in [("yes\n", 0), ("no\n", 1), ("y\n", 1), ("\u{4}", 1), ("\u{3}", 1)] {
        let stage = planned(12, JOB).await;
        let mut terminal = Terminal::new();
        let child = terminal.spawn(&stage, &["apply", "job.toml"]);
        terminal.until("Only 'yes' is taken as approval").await;
        terminal.types(keys);
        assert_eq!(terminal.ended(child).await, Some(code), "{keys:?}: {}", terminal.shown);
        if code == 0 {
            assert_all_in_place(&stage, 12);
        } else {
            assert!(terminal.shown.contains("nothing was moved"), "{keys:?}: {}", terminal.shown);
            assert_eq!(stage.counts("orders-dlq"), (12, 12), "{keys:?}");
        }
    }
}
