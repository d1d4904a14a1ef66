//! The journal of the real program: cut, full, lost, replaced, unusable. It goes on, or says what it cannot know; it never
//! begins afresh in silence.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use sqs_sandbox::{Fault, Options, Rule, When};

use crate::end_to_end::{JOB, assert_adds_up, assert_all_in_place, expected_at, message};
use crate::support::stage::{Ran, Stage, each};

const TOTAL: usize = 36;
const JOURNAL: &str = ".redrive/journal.db";

/// A stage with a plan whose apply was killed before its third delete: much is sent, some of it is deleted.
async fn killed() -> Stage {
    let stage = Stage::with_options(Options { signals: true, ..Options::default() }).await;
    stage.orders();
    stage.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    stage.file("job.toml", JOB);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    let is_killed = stage.killed_at(When::Before, |rule| rule.action("DeleteMessageBatch").nth(3)).await;
    assert!(is_killed, "it was killed");
    stage
}

/// What arrived more often than it should have; fails where something is lost.
fn surplus(stage: &Stage, at: &str) -> u64 {
    let mut surplus = 0;
    for queue in ["orders", "audit"] {
        let (found, expected) = (stage.inventory(queue), expected_at(queue, TOTAL));
        assert!(expected.iter().all(|(one, number)| found.get(one) >= Some(number)), "lost at {queue}: {at}");
        assert_eq!(found.len(), expected.len(), "{at}");
        surplus += (found.values().sum::<usize>() - expected.values().sum::<usize>()) as u64;
    }
    assert_eq!(stage.inventory("orders-dlq"), expected_at("orders-dlq", TOTAL), "{at}");
    let (all, visible) = stage.counts("orders-dlq");
    assert_eq!(all, visible, "{at}");
    surplus
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_log_was_cut_loses_nothing_and_repeats_no_more_than_the_cut_took() {
    let shares: Vec<u64> = (0..=12).collect();
    let repeated = each(shares, |share| async move {
        let stage = killed().await;
        let sent: u64 = ["orders", "audit"].iter().map(|queue| stage.counts(queue).0 as u64).sum();
        let log = stage.path(".redrive/journal.db-wal");
        let length = fs::metadata(&log).expect("a log").len();
        // An odd number of bytes, so that the cut is inside of a page.
        let cut = fs::File::options().write(true).open(&log).expect("open");
        cut.set_len(length * share / 12 - u64::from(share > 0 && share < 12)).expect("cut");
        // Its leases may be cut off: what it had received is waited for.
        stage.sandbox.advance(Duration::from_mins(1));
        let mut ran = stage.redrive(&["apply", "plan.json", "--format", "json"]).await;
        let at = format!("{share}/12 of {length} bytes: {}{}", ran.stdout, ran.stderr);
        if ran.code == Some(4) {
            assert!(ran.stderr.contains("--despite-lost-journal") && share < 12, "{at}");
            ran = stage.redrive(&["apply", "plan.json", "--despite-lost-journal", "--format", "json"]).await;
        }
        // Where the cut took the record of a delete, the message is gone from the source before its time.
        assert!(matches!(ran.code, Some(0 | 6)), "{at}");
        let summary = ran.summary();
        assert_adds_up(&summary);
        assert_eq!((&summary["outcome"], &summary["unfinished"]), (&"finished".into(), &0.into()), "{at}");
        let repeated = surplus(&stage, &at);
        assert!(repeated <= sent, "{repeated} of {sent} were sent again: {at}");
        if share == 12 {
            assert!(repeated <= summary["in_doubt"].as_u64().expect("a number"), "nothing was cut: {at}");
        }
        repeated
    })
    .await;
    assert!(repeated.iter().any(|repeated| *repeated > 0), "no cut took anything");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_journal_is_noticed_and_nothing_is_touched_until_somebody_accepts_it() {
    let stage = killed().await;
    fs::rename(stage.path(".redrive"), stage.path("elsewhere")).expect("moved away");
    let refused = stage.redrive(&["apply", "plan.json"]).await.expect(4);
    for words in ["is not finished", "knows nothing of it", "nothing was touched", "--despite-lost-journal"] {
        assert!(refused.stderr.contains(words), "{words}: {}", refused.stderr);
    }
    // Neither with another plan, nor from another directory.
    stage.redrive(&["plan", "job.toml", "--out", "other.json"]).await.expect(0);
    let other = stage.redrive(&["--journal", "another.db", "apply", "other.json"]).await.expect(4);
    assert!(other.stderr.contains(&stage.path(JOURNAL).display().to_string()), "{}", other.stderr);
    assert!(!stage.path("another.db").exists() && !stage.path(JOURNAL).exists(), "no journal was begun");

    fs::rename(stage.path("elsewhere"), stage.path(".redrive")).expect("put back");
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
    assert!(surplus(&stage, "put back") <= summary["in_doubt"].as_u64().expect("a number"), "{summary}");
    // It is finished: nothing hinders the next plan, with whichever journal.
    assert_eq!(fs::read_dir(stage.path(".local/state/redrive/runs")).expect("marks").count(), 0);
    // It was planned while the killed run held most of the queue.
    stage.redrive(&["--journal", "another.db", "apply", "other.json", "--allow-drift"]).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_the_journal_is_noticed() {
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    stage.file("job.toml", JOB);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    stage.sandbox.faults().add(Rule::new(Fault::AccessDenied).action("ReceiveMessage"));
    stage.redrive(&["apply", "plan.json"]).await.expect(3);
    stage.sandbox.faults().clear();
    fs::copy(stage.path(JOURNAL), stage.path("copy.db")).expect("a copy");
    // The run goes on, and is stopped once more.
    stage.sandbox.faults().add(Rule::new(Fault::AccessDenied).action("DeleteMessageBatch"));
    stage.redrive(&["apply", "plan.json"]).await.expect(3);
    stage.sandbox.faults().clear();
    fs::copy(stage.path("copy.db"), stage.path(JOURNAL)).expect("put back");
    let refused = stage.redrive(&["apply", "plan.json"]).await.expect(4);
    assert!(refused.stderr.contains("is older than run"), "{}", refused.stderr);
    stage.redrive(&["apply", "plan.json", "--despite-lost-journal"]).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_is_deleted_under_a_run_stops_it() {
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    stage.file("job.toml", &format!("{JOB}\n[limits]\nrate = \"1/s\"\nconcurrency = 1\n"));
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    let child = stage.spawn(&["apply", "plan.json", "--format", "json"]);
    stage.until_requested("SendMessageBatch").await;
    fs::remove_dir_all(stage.path(".redrive")).expect("deleted");
    let ran = Ran::of(child.wait_with_output().await.expect("ended")).expect(3);
    let summary = ran.summary();
    assert!(summary["error"].as_str().is_some_and(|error| error.contains("deleted or replaced")), "{summary}");
    let (all, visible) = stage.counts("orders-dlq");
    assert_eq!(all, visible, "what was received is given back");
    stage.redrive(&["apply", "plan.json"]).await.expect(4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_in_the_midst_stops_the_run_and_it_goes_on_with_room() {
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    stage.file("job.toml", JOB);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    // No file may pass so many blocks of 512 bytes; the signal that says so is ignored, so that the write fails.
    let mut stopped = 0;
    for blocks in [100, 200, 300, 400, 600] {
        let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" apply plan.json --format json");
        let mut shell = tokio::process::Command::new("sh");
        shell.arg("-c").arg(limited).arg(env!("CARGO_BIN_EXE_redrive")).current_dir(stage.directory.path()).env_clear();
        shell.env("HOME", stage.directory.path()).envs(stage.sandbox.environment());
        let ran = Ran::of(shell.output().await.expect("runs"));
        let said = format!("{blocks}: {}{}", ran.stdout, ran.stderr);
        // Before anything began it is a failure, later a stop.
        assert!(matches!(ran.code, Some(0 | 1 | 3)), "{said}");
        stopped += usize::from(ran.code == Some(3));
        assert!(ran.code == Some(0) || said.contains("the journal"), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        stage.sandbox.advance(Duration::from_mins(1));
    }
    assert!(stopped > 0, "no limit fell into the midst of the run");
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
    assert_adds_up(&summary);
    // A message can be in doubt at each of the stops, and sent again after each.
    let (copies, doubts) = (surplus(&stage, "with room"), stage.doubts().await);
    assert!(copies <= doubts, "{copies} copies more, {doubts} listed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_journal_is_refused_before_anything_is_received() {
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..4).map(message)).expect("seeded");
    stage.file("job.toml", JOB);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    stage.sandbox.clear_log();
    fs::create_dir(stage.path("directory.db")).expect("a directory");
    stage.file("file", "no directory");
    stage.file("text.db", &"this is no database ".repeat(50));
    for journal in ["directory.db", "file/journal.db", "text.db", "/proc/no/journal.db"] {
        let ran = stage.redrive(&["--journal", journal, "apply", "plan.json"]).await.expect(1);
        assert!(ran.stderr.contains(journal) && !ran.stderr.contains("panicked"), "{journal}: {}", ran.stderr);
        assert!(ran.stderr.lines().count() >= 2, "{journal}: it says what to do: {}", ran.stderr);
    }
    assert_eq!(stage.requests("ReceiveMessage"), 0);
    assert_eq!(fs::read_to_string(stage.path("text.db")).expect("there").len(), 20 * 50, "left as it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_may_not_be_written_is_refused_in_words() {
    let stage = killed().await;
    for (path, mode) in [(JOURNAL, 0o400), (".redrive", 0o500)] {
        let before = fs::metadata(stage.path(path)).expect("there").permissions();
        fs::set_permissions(stage.path(path), fs::Permissions::from_mode(mode)).expect("changed");
        // Permissions are nothing to root, who runs tests in a container.
        if may_write(&stage.path(path)) {
            fs::set_permissions(stage.path(path), before).expect("changed");
            continue;
        }
        let ran = stage.redrive(&["apply", "plan.json"]).await.expect(1);
        assert!(ran.stderr.contains("journal") && ran.stderr.contains("nothing was"), "{path}: {}", ran.stderr);
        fs::set_permissions(stage.path(path), before).expect("changed");
    }
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
    assert!(surplus(&stage, "writable") <= summary["in_doubt"].as_u64().expect("a number"), "{summary}");
}

fn may_write(path: &Path) -> bool {
    if path.is_dir() {
        tempfile::tempfile_in(path).is_ok()
    } else {
        fs::File::options().append(true).open(path).is_ok()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_runs_are_forgotten_and_the_journal_shrinks() {
    let stage = killed().await;
    let unfinished = stage.redrive(&["runs", "--format", "json"]).await.expect(0).stdout;
    let run = |line: &str| {
        serde_json::from_str::<serde_json::Value>(line).expect("JSON")["run"].as_str().expect("a run").to_owned()
    };
    let run = run(&unfinished);
    let kept = stage.redrive(&["runs", "prune", "--run", &run]).await.expect(2);
    assert!(kept.stderr.contains("is not finished") && kept.stderr.contains("sent again"), "{}", kept.stderr);
    let none = stage.redrive(&["runs", "prune", "--older-than", "0s"]).await.expect(0);
    assert!(none.stdout.contains("nothing was forgotten"), "{}", none.stdout);
    stage.redrive(&["runs", "prune"]).await.expect(2);

    stage.redrive(&["apply", "plan.json"]).await.expect(0);
    let none = stage.redrive(&["runs", "prune", "--older-than", "90d"]).await.expect(0);
    assert!(none.stdout.contains("nothing was forgotten"), "{}", none.stdout);
    // Every run that has ended is older than nothing, also the one that has just done so.
    fs::copy(stage.path(JOURNAL), stage.path("copy.db")).expect("a copy");
    let all = stage.redrive(&["--journal", "copy.db", "runs", "prune", "--older-than", "0s"]).await.expect(0);
    assert!(all.stdout.contains("1 run"), "{}", all.stdout);
    let pruned = stage.redrive(&["runs", "prune", "--run", &run, "--format", "json"]).await.expect(0).stdout;
    let pruned: serde_json::Value = serde_json::from_str(&pruned).expect("JSON");
    assert_eq!((&pruned["type"], &pruned["messages"]), (&"pruned".into(), &TOTAL.into()), "{pruned}");
    assert!(pruned["bytes_after"].as_u64() < pruned["bytes_before"].as_u64(), "{pruned}");
    assert!(stage.redrive(&["runs"]).await.expect(0).stdout.contains("No runs"));
    assert_eq!(stage.inventory("orders-dlq"), expected_at("orders-dlq", TOTAL), "a journal is no queue");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_not_disturbed_leaves_no_mark() {
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    stage.file("job.toml", JOB);
    stage.redrive(&["apply", "job.toml", "--auto-approve"]).await.expect(0);
    assert_all_in_place(&stage, TOTAL);
    assert_eq!(fs::read_dir(stage.path(".local/state/redrive/runs")).expect("marks").count(), 0);
}
