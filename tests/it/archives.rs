//! Archive files: what was written is there, once; nothing that a run did not write is touched; and no run ends well whose
//! archive does not hold what the journal says.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use sqs_sandbox::{Fault, Options, Rule, When};

use crate::end_to_end::assert_adds_up;
use crate::support::stage::{Ran, Stage, each, failed};

const MESSAGES: usize = 40;

pub(crate) fn job(path: &str) -> String {
    format!(
        "version = 1\nname = \"archives\"\n[source]\nqueue = \"orders-dlq\"\nvisibility_timeout = \"10s\"\n\
         [destination.evidence]\nfile = {{ path = \"{path}\" }}\n[unmatched]\nto = \"evidence\"\n\
         [limits]\nconcurrency = 1\n"
    )
}

/// A stage with messages that all go to this file, and a plan; gives their IDs.
async fn ready(path: &str) -> (Stage, BTreeSet<String>) {
    let stage = Stage::with_options(Options { signals: true, ..Options::default() }).await;
    stage.orders();
    let body = |number: usize| format!("{{\"number\":{number},\"text\":\"{}\"}}", "x".repeat(200 + number));
    let ids = stage.sandbox.seed("orders-dlq", (0..MESSAGES).map(|number| failed(body(number)))).expect("seeded");
    stage.file("job.toml", &job(path));
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    (stage, ids.into_iter().collect())
}

/// Has each receive go to the archive by itself, so that there are several pieces.
fn slowly(stage: &Stage) {
    let slow = Fault::Latency { ms: 150, jitter_ms: 0, when: When::Before };
    stage.sandbox.faults().add(Rule::new(slow).action("ReceiveMessage"));
}

async fn apply(stage: &Stage) -> Ran {
    stage.redrive(&["apply", "plan.json", "--format", "json"]).await
}

/// The IDs of the lines of an archive, each of which is there once. Reads no further than the first damage.
pub(crate) fn archived(path: &Path) -> BTreeSet<String> {
    let bytes = fs::read(path).unwrap_or_default();
    let mut text = Vec::new();
    // What follows damage is not read.
    let _ = match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut text).map(drop),
        Some("zst") => zstd::Decoder::new(&bytes[..]).and_then(|mut decoder| decoder.read_to_end(&mut text)).map(drop),
        _ => {
            text = bytes;
            Ok(())
        }
    };
    let lines = text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let mut ids = BTreeSet::new();
    for line in lines {
        let Some(id) = line["message_id"].as_str().map(str::to_owned) else { continue };
        assert!(ids.insert(id.clone()), "{id} is archived twice");
    }
    ids
}

pub(crate) fn in_source(stage: &Stage) -> BTreeSet<String> {
    let messages = stage.sandbox.queue("orders-dlq").expect("the source").messages;
    messages.into_iter().map(|message| message.id).collect()
}

fn assert_archived(stage: &Stage, path: &str, ids: &BTreeSet<String>) {
    assert_eq!(archived(&stage.path(path)), *ids, "{path}");
    assert!(in_source(stage).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_somebody_else_is_refused_every_time_and_left_as_it_is() {
    let cases = [
        ("a.jsonl", "text without an end".to_owned()),
        ("a.jsonl.gz", "\u{1f}x".repeat(9)),
        ("a.zst", "no".to_owned()),
    ];
    each(cases.into(), |(name, text)| async move {
        let (stage, ids) = ready(name).await;
        fs::write(stage.path(name), &text).expect("written");
        for _ in 0..3 {
            let ran = stage.redrive(&["apply", "plan.json"]).await.expect(1);
            assert!(ran.stderr.contains("ends in the middle of a record"), "{}", ran.stderr);
            assert_eq!(fs::read_to_string(stage.path(name)).expect("there"), text);
            assert_eq!(stage.counts("orders-dlq"), (MESSAGES, MESSAGES));
        }
        assert_eq!(stage.redrive(&["runs", "--format", "json"]).await.expect(0).stdout, "", "no run was begun");
        fs::remove_file(stage.path(name)).expect("moved away");
        apply(&stage).await.expect(0);
        assert_archived(&stage, name, &ids);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_appended_between_two_sessions_is_never_cut() {
    let cases = [("{\"message_id\":\"theirs\"}\n", true), ("theirs, and torn", false)];
    each(cases.into(), |(theirs, is_whole)| async move {
        let (stage, mut ids) = ready("a.jsonl").await;
        slowly(&stage);
        assert!(stage.killed_at(When::After, |rule| rule.action("DeleteMessageBatch").nth(2)).await);
        let before = fs::read_to_string(stage.path("a.jsonl")).expect("there");
        let mut file = File::options().append(true).open(stage.path("a.jsonl")).expect("open");
        file.write_all(theirs.as_bytes()).expect("written");
        for _ in 0..2 {
            let ran = apply(&stage).await.expect(if is_whole { 0 } else { 3 });
            let after = fs::read_to_string(stage.path("a.jsonl")).expect("there");
            assert!(after.starts_with(&format!("{before}{theirs}")), "{}", ran.stderr);
            assert!(is_whole || ran.stderr.contains("ends in the middle of a record"), "{}", ran.stderr);
        }
        if is_whole {
            ids.insert("theirs".to_owned());
            assert_archived(&stage, "a.jsonl", &ids);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_destination_is_a_file_of_redrives_own() {
    type Link = fn(&Stage) -> &'static str;
    let cases: Vec<(&str, Link)> = vec![
        (".redrive/journal.db", |_| "the journal"),
        ("x/../.redrive/journal.db-wal", |_| "the journal"),
        ("./.redrive//journal.db-shm", |_| "the journal"),
        (".redrive/journal.db-lock", |_| "the journal"),
        ("job.toml", |_| "the job"),
        ("x/../job.toml", |_| "the job"),
        ("link/job.toml", |stage| {
            symlink(stage.directory.path(), stage.path("link")).expect("linked");
            "the job"
        }),
        ("hard.jsonl", |stage| {
            fs::hard_link(stage.path("job.toml"), stage.path("hard.jsonl")).expect("linked");
            "the job"
        }),
        ("plan.json", |_| "the plan"),
        ("x/../plan.json", |_| "the plan"),
    ];
    each(cases, |(path, link)| async move {
        let stage = Stage::with_queues().await;
        stage.sandbox.seed("orders-dlq", (0..4).map(|number| failed(format!("{number}")))).expect("seeded");
        fs::create_dir(stage.path("x")).expect("made");
        stage.file("job.toml", &job(path));
        let text = fs::read(stage.path("job.toml")).expect("there");
        let what = link(&stage);
        let plan = ["plan", "job.toml", "--out", "plan.json"];
        let commands: &[&[&str]] = &[&["check", "job.toml"], &plan, &["apply", "job.toml", "--auto-approve"]];
        for command in commands {
            let own_is_named = what != "the plan" || *command == plan;
            if own_is_named {
                let ran = stage.redrive(command).await.expect(2);
                assert!(ran.stderr.contains(what), "{path}, {command:?}: {}", ran.stderr);
            }
        }
        assert!(
            !stage.path(".redrive").exists()
                || fs::read_dir(stage.path(".redrive")).expect("read").count() == 0
                || what == "the plan"
        );
        assert_eq!(fs::read(stage.path("job.toml")).expect("there"), text);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_became_a_file_of_redrives_own_since_the_plan_is_refused() {
    for own in ["plan.json", "job.toml", "plan.json.bob.approval", ".redrive/journal.db", ".redrive/journal.db-lock"] {
        let (stage, _) = ready("out.jsonl").await;
        stage.redrive(&["approve", "plan.json", "--by", "bob"]).await.expect(0);
        // A journal that another run left.
        fs::create_dir_all(stage.path(".redrive")).expect("made");
        let other = ["--journal", ".redrive/journal.db", "runs"];
        stage.redrive(&other).await;
        if !stage.path(own).exists() {
            stage.file(own, "");
        }
        fs::hard_link(stage.path(own), stage.path("out.jsonl")).expect("linked");
        let before = fs::read(stage.path(own)).expect("there");
        let ran = stage.redrive(&["apply", "plan.json"]).await;
        // A journal with a second name is refused before anybody looks at destinations.
        let (code, words) = if own.starts_with(".redrive") {
            (1, "has another name as well, by a hard link")
        } else {
            (2, "writes to out.jsonl, and that is")
        };
        let ran = ran.expect(code);
        assert!(ran.stderr.contains(words), "{own}: {}", ran.stderr);
        assert_eq!(fs::read(stage.path(own)).expect("there"), before, "{own}");
        assert_eq!(stage.counts("orders-dlq"), (MESSAGES, MESSAGES), "{own}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_destinations_are_never_one_file() {
    let two = |one: &str, other: &str| {
        job(one).replace("[unmatched]", &format!("[destination.other]\nfile = {{ path = \"{other}\" }}\n[unmatched]"))
    };
    let stage = Stage::with_queues().await;
    for (one, other) in [
        ("x.jsonl", "./x.jsonl"),
        ("ev/../ev/x.jsonl", "ev/x.jsonl"),
        ("{job}.jsonl", "archives.jsonl"),
        ("{run}.gz", ".//{run}.gz"),
    ] {
        stage.file("job.toml", &two(one, other));
        let ran = stage.redrive(&["check", "job.toml"]).await.expect(2);
        assert!(ran.stderr.contains("two destinations write to one file"), "{one} {other}: {}", ran.stderr);
    }
    fs::create_dir(stage.path("ev")).expect("made");
    symlink("ev", stage.path("link")).expect("linked");
    stage.file("there.jsonl", "");
    fs::hard_link(stage.path("there.jsonl"), stage.path("hard.jsonl")).expect("linked");
    for (one, other) in [("ev/x.jsonl", "link/x.jsonl"), ("there.jsonl", "hard.jsonl")] {
        stage.file("job.toml", &two(one, other));
        for command in [&["check", "job.toml"][..], &["plan", "job.toml"], &["apply", "job.toml", "--auto-approve"]] {
            let ran = stage.redrive(command).await.expect(2);
            assert!(ran.stderr.contains("the file of destination"), "{one} {other}: {}", ran.stderr);
        }
    }
    // Made one since the plan.
    stage.sandbox.seed("orders-dlq", [failed("x")]).expect("seeded");
    stage.file("job.toml", &two("ev/x.jsonl", "ev/y.jsonl"));
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    stage.file("ev/x.jsonl", "");
    fs::hard_link(stage.path("ev/x.jsonl"), stage.path("ev/y.jsonl")).expect("linked");
    stage.redrive(&["apply", "plan.json"]).await.expect(2);
    assert_eq!(stage.counts("orders-dlq"), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_has_one_writer_at_a_time() {
    let (stage, ids) = ready("a.jsonl").await;
    let held = File::options().create(true).append(true).open(stage.path("a.jsonl")).expect("open");
    held.try_lock().expect("locked");
    for _ in 0..2 {
        let ran = stage.redrive(&["apply", "plan.json"]).await.expect(1);
        assert!(ran.stderr.contains("another redrive is writing to the archive a.jsonl"), "{}", ran.stderr);
        assert_eq!(stage.counts("orders-dlq"), (MESSAGES, MESSAGES));
    }
    drop(held);
    apply(&stage).await.expect(0);
    assert_archived(&stage, "a.jsonl", &ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_on_one_archive_never_lose_a_message() {
    each(vec!["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"], |name| async move {
        let (stage, mut ids) = ready(name).await;
        slowly(&stage);
        let seeds = (0..MESSAGES).map(|number| failed(format!("audit {number}")));
        ids.extend(stage.sandbox.seed("audit", seeds).expect("seeded"));
        stage.file("other.toml", &job(&format!("./{name}")).replace("orders-dlq", "audit"));
        let other = ["--journal", "other.db", "apply", "other.toml", "--auto-approve"];
        let mut codes = BTreeSet::new();
        // Whoever comes second is refused, and comes again.
        for _ in 0..20 {
            let (one, two) = tokio::join!(apply(&stage), stage.redrive(&other));
            codes.extend([one.code, two.code]);
            assert!(matches!((one.code, two.code), (Some(0 | 1 | 3), Some(0 | 1 | 3))), "{}{}", one.stderr, two.stderr);
            if (one.code, two.code) == (Some(0), Some(0)) {
                break;
            }
        }
        assert!(codes.contains(&Some(1)) || codes.contains(&Some(3)), "nobody was refused");
        assert_eq!(stage.counts("audit").0, 0);
        assert_archived(&stage, name, &ids);
    })
    .await;
}

/// What can come to a file between two sessions or in the midst of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Harm {
    Removed,
    Emptied,
    Cut,
    Flipped,
    Replaced,
}

pub(crate) const HARMS: [Harm; 5] = [Harm::Removed, Harm::Emptied, Harm::Cut, Harm::Flipped, Harm::Replaced];

pub(crate) fn harm(path: &Path, harm: Harm) {
    let mut bytes = fs::read(path).expect("there");
    let middle = bytes.len() / 3;
    match harm {
        Harm::Removed => return fs::remove_file(path).expect("removed"),
        Harm::Emptied => bytes.clear(),
        Harm::Cut => bytes.truncate(middle),
        Harm::Flipped => bytes[middle] ^= 0x10,
        Harm::Replaced => {
            fs::remove_file(path).expect("removed");
            bytes = b"{\"message_id\":\"theirs\"}\n".to_vec();
        }
    }
    fs::write(path, bytes).expect("written");
}

/// The messages that the last run's report lists as lost from their archive, before all others; the status counts as many.
async fn listed_as_lost(stage: &Stage) -> BTreeSet<String> {
    let read = async |command| -> Value {
        let ran = stage.redrive(&[command, "--format", "json"]).await.expect(0);
        serde_json::from_str(&ran.stdout).expect("JSON")
    };
    let (report, status) = (read("report").await, read("status").await);
    let troubles = report["troubles"].as_array().expect("messages");
    let is_lost = |trouble: &&Value| trouble["reason"] == "archive_lost";
    let first: Vec<&Value> = troubles.iter().take_while(is_lost).collect();
    assert_eq!(first.len(), troubles.iter().filter(is_lost).count(), "they come first: {report}");
    assert_eq!([&report["archive_lost"], &status["archive_lost"]], [first.len(), first.len()]);
    assert_adds_up(&report);
    let ids: BTreeSet<String> =
        first.into_iter().map(|one| one["message_id"].as_str().expect("an ID").into()).collect();
    let [report, status] = [stage.redrive(&["report"]).await.stdout, stage.redrive(&["status"]).await.stdout];
    assert!(ids.iter().all(|id| report.contains(id.as_str())), "{report}");
    assert_eq!(report.contains("Missing from the archive"), !ids.is_empty(), "{report}");
    assert_eq!(status.contains("no longer in their archive"), !ids.is_empty(), "{status}");
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_lost_something_between_two_sessions_is_named_with_what_it_lost_and_mended_by_putting_it_back()
{
    let names = ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"];
    let cases = names.into_iter().flat_map(|name| HARMS.map(|harm| (name, harm))).collect();
    each(cases, |(name, how)| async move {
        let (stage, ids) = ready(name).await;
        slowly(&stage);
        assert!(stage.killed_at(When::Before, |rule| rule.action("DeleteMessageBatch").nth(3)).await);
        let (path, at) = (stage.path(name), format!("{name} {how:?}"));
        let good = fs::read(&path).expect("there");
        let deleted: BTreeSet<String> = ids.difference(&in_source(&stage)).cloned().collect();
        assert!(!deleted.is_empty() && deleted.is_subset(&archived(&path)), "{at}");
        harm(&path, how);
        let harmed = fs::read(&path).ok();
        for _ in 0..2 {
            let said = apply(&stage).await.expect(1).stderr;
            assert_eq!(fs::read(&path).ok(), harmed, "{at}: nothing of it is cut or written");
            assert_eq!(ids.difference(&in_source(&stage)).cloned().collect::<BTreeSet<_>>(), deleted, "{at}");
            assert!(said.contains("does not hold what was written to it"), "{at}: {said}");
            // A line behind the damage is not read by the test.
            let is_gone = |id: &&String| !archived(&path).contains(*id);
            if how == Harm::Flipped {
                assert!(deleted.iter().any(|id| said.contains(id.as_str())), "{at}: {said}");
            } else {
                assert!(deleted.iter().filter(is_gone).all(|id| said.contains(id.as_str())), "{at}: {said}");
            }
            let told = deleted.iter().filter(|id| said.contains(id.as_str())).cloned().collect();
            assert_eq!(listed_as_lost(&stage).await, told, "{at}: {said}");
        }
        // A copy is as good as the file itself.
        let _ = fs::remove_file(&path);
        fs::write(&path, good).expect("put back");
        stage.sandbox.faults().clear();
        let summary = apply(&stage).await.expect(0).summary();
        assert_eq!((&summary["archived"], &summary["failed"]), (&MESSAGES.into(), &0.into()), "{at}: {summary}");
        assert_archived(&stage, name, &ids);
        assert!(listed_as_lost(&stage).await.is_empty(), "{at}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_harmed_in_the_midst_of_a_run_ends_it_and_what_is_missing_is_named() {
    each(HARMS.into(), |how| async move {
        let (stage, ids) = ready("a.jsonl").await;
        slowly(&stage);
        let path = stage.path("a.jsonl");
        let child = stage.spawn(&["apply", "plan.json", "--format", "json"]);
        let written = async {
            while stage.requests("DeleteMessageBatch") == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(2), written).await.expect("it deletes");
        let is_running = !in_source(&stage).is_empty();
        harm(&path, how);
        let ran = Ran::of(child.wait_with_output().await.expect("ended"));
        let said = format!("{how:?}: {}{}", ran.stdout, ran.stderr);
        assert!(!is_running || matches!(ran.code, Some(1 | 3)), "{said}");
        if ran.code == Some(0) {
            // It was over.
            return;
        }
        // Named at the end of that session, or when the next one begins.
        let next = apply(&stage).await.expect(1).stderr;
        let (kept, lines) = (in_source(&stage), archived(&path));
        for id in &ids {
            let is_named = said.contains(id.as_str()) || next.contains(id.as_str());
            assert!(kept.contains(id) || lines.contains(id) || is_named, "{id} is lost unsaid: {said}\n{next}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_at_any_append_archives_each_message_once() {
    if !cfg!(debug_assertions) {
        return;
    }
    let names = ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"];
    let moments =
        ["before", "midst", "after"].into_iter().flat_map(|moment| [1, 2, 3].map(|nth| format!("{nth}:{moment}")));
    let cases = moments.flat_map(|moment| names.map(|name| (name, moment.clone()))).collect();
    let torn = each(cases, |(name, moment)| async move {
        let (stage, ids) = ready(name).await;
        slowly(&stage);
        let ran = stage.redrive_with(&["apply", "plan.json"], &[("REDRIVE_CRASH_AT_APPEND", &moment)]).await;
        assert_eq!(ran.code, None, "{name} {moment}: {}", ran.stderr);
        let left = fs::metadata(stage.path(name)).expect("there").len();
        apply(&stage).await.expect(0);
        assert_archived(&stage, name, &ids);
        usize::from(moment.ends_with("midst") && left > 0)
    })
    .await;
    assert!(torn.iter().sum::<usize>() > 2, "hardly any was torn");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_leaves_an_archive_whole_and_the_run_goes_on_with_room() {
    each(vec!["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"], |name| async move {
        let (stage, mut ids) = ready(name).await;
        slowly(&stage);
        // So long that no other file passes the limit.
        let theirs = "{\"message_id\":\"theirs\"}\n";
        let length = 8 << 20;
        let filling = format!("{{\"message_id\":\"filling\",\"body\":\"{}\"}}\n", noise(length));
        let text = format!("{theirs}{filling}");
        let bytes = match name {
            "a.jsonl.gz" => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
                encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).expect("gzip")
            }
            "a.jsonl.zst" => zstd::encode_all(text.as_bytes(), 1).expect("zstd"),
            _ => text.into_bytes(),
        };
        fs::write(stage.path(name), &bytes).expect("written");
        let mut stopped = 0;
        for more in [300, 700, 1500, 3000] {
            let blocks = (bytes.len() + more).div_ceil(512);
            let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" apply plan.json --format json");
            let mut shell = tokio::process::Command::new("sh");
            shell.arg("-c").arg(limited).arg(env!("CARGO_BIN_EXE_redrive")).current_dir(stage.directory.path());
            shell.env_clear().env("HOME", stage.directory.path()).envs(stage.sandbox.environment());
            let ran = Ran::of(shell.output().await.expect("runs"));
            assert!(matches!(ran.code, Some(0 | 3)), "{name}: {}{}", ran.stdout, ran.stderr);
            stopped += usize::from(ran.code == Some(3));
            let lines = archived(&stage.path(name));
            assert!(lines.contains("theirs"), "{name}");
            assert!(ids.iter().all(|id| lines.contains(id) || in_source(&stage).contains(id)), "{name}");
            stage.sandbox.advance(Duration::from_mins(1));
        }
        assert!(stopped > 0, "{name}: the disk was never full");
        let summary = apply(&stage).await.expect(0).summary();
        assert_eq!(summary["archived"], MESSAGES, "{summary}");
        assert_eq!(summary["in_doubt"], 0, "what was cut off again is no doubt: {summary}");
        ids.extend(["theirs", "filling"].map(str::to_owned));
        assert_archived(&stage, name, &ids);
    })
    .await;
}

/// Text that does not get shorter.
fn noise(length: usize) -> String {
    let mut state = 1_u64;
    let mut text = String::with_capacity(length + 16);
    while text.len() < length {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        text.push_str(&state.to_string());
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_that_is_not_redrives_own_is_written_over() {
    let (stage, _) = ready("a.jsonl").await;
    let precious = "precious\n";
    // By `plan --out`.
    stage.file("precious", precious);
    symlink("plan.json", stage.path("link")).expect("linked");
    for out in ["job.toml", "precious", "link"] {
        let before = fs::read(stage.path(out)).expect("there");
        let ran = stage.redrive(&["plan", "job.toml", "--out", out]).await.expect(2);
        assert!(ran.stderr.contains("it is left as it is"), "{out}: {}", ran.stderr);
        assert_eq!(fs::read(stage.path(out)).expect("there"), before, "{out}");
    }
    stage.file("empty", "");
    for out in ["plan.json", "empty"] {
        stage.redrive(&["plan", "job.toml", "--out", out]).await.expect(0);
    }
    // By `approve`.
    for name in ["plan.json.bob.approval", "plan.json.bob.approval.sig"] {
        stage.file(name, precious);
        stage.redrive(&["approve", "plan.json", "--by", "bob"]).await.expect(2);
        assert_eq!(fs::read_to_string(stage.path(name)).expect("there"), precious);
        fs::remove_file(stage.path(name)).expect("removed");
    }
    for _ in 0..2 {
        stage.redrive(&["approve", "plan.json", "--by", "bob"]).await.expect(0);
    }
    // By the journal's lock.
    fs::create_dir_all(stage.path(".redrive")).expect("made");
    for link in [true, false] {
        let lock = stage.path(".redrive/journal.db-lock");
        if link {
            fs::hard_link(stage.path("precious"), &lock).expect("linked");
        } else {
            fs::write(&lock, precious).expect("written");
        }
        let ran = stage.redrive(&["apply", "plan.json"]).await.expect(1);
        let words = if link { "has another name as well, by a hard link" } else { "is left as it is" };
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
        assert_eq!(fs::read_to_string(&lock).expect("there"), precious);
        fs::remove_file(&lock).expect("removed");
    }
    assert_eq!(stage.counts("orders-dlq"), (MESSAGES, MESSAGES));
    stage.redrive(&["apply", "plan.json"]).await.expect(0);
}
