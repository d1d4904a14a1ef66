//! Archive files under fire, by a seed: spellings and links of one path, kills at any request, commit and append, other writers,
//! and damage. After each session the file, the source and what was said add up. `REDRIVE_SEED=N` runs that seed alone.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use sqs_sandbox::{Fault, Options, Rule, Signal, When};

use super::{Crash, HANDS, tell};
use crate::archives::{HARMS, Harm, archived, harm, in_source, job};
use crate::support::stage::{Ran, Stage, each_of, failed};

/// What happens to the file between two sessions.
#[derive(Debug, Clone, Copy)]
enum Act {
    Nothing,
    /// Somebody appends a line.
    Line,
    /// Another run with another journal archives to it under another name.
    OtherRun,
    /// Somebody has it open while the next session begins.
    Held,
    /// It is damaged, and put back after a session that met it so.
    Harm(Harm),
}

struct Schedule {
    /// The path in the job, and another one of the same file.
    paths: [String; 2],
    messages: usize,
    sessions: Vec<(Option<Crash>, Act)>,
}

impl Schedule {
    /// All that is random comes from the seed, and is drawn before anything runs.
    fn new(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let ending = ["jsonl", "jsonl.gz", "jsonl.zst"][random.random_range(0..3)];
        let mut spelling = || {
            let place = ["ev/", "./ev//", "link/", "ev/../ev/", "./link/./", "link/../link/"];
            format!("{}a.{ending}", place[random.random_range(0..place.len())])
        };
        let paths = [spelling(), spelling()];
        let sessions = (0..random.random_range(2..=4)).map(|_| (crash(&mut random), act(&mut random)));
        let sessions = sessions.collect();
        Self { paths, messages: random.random_range(12..=48), sessions }
    }

    async fn run(self, seed: u64) -> usize {
        let at = format!("REDRIVE_SEED={seed}: {:?}, {} messages, {:?}", self.paths, self.messages, self.sessions);
        let scene = Scene::new(&self, seed).await;
        let mut refused = 0;
        for (crash, act) in self.sessions {
            let ran = scene.apply(crash).await;
            scene.assert_adds_up(&ran, &at);
            refused += usize::from(scene.suffer(act, &at).await);
        }
        let mut said = String::new();
        for _ in 0..8 {
            let ran = scene.apply(None).await;
            scene.assert_adds_up(&ran, &at);
            if ran.code == Some(0) {
                return refused;
            }
            scene.follow(&ran);
            said = ran.stdout + &ran.stderr;
        }
        panic!("not finished after eight applies: {at}: {said}");
    }
}

fn crash(random: &mut SmallRng) -> Option<Crash> {
    let when = if random.random_bool(0.5) { When::Before } else { When::After };
    match random.random_range(0..5) {
        0 => None,
        1 => Some(Crash::Request(random.random_range(1..=30), when)),
        2 => Some(Crash::Commit(random.random_range(1..=30), when)),
        _ => Some(Crash::Append(random.random_range(1..=3), ["before", "midst", "after"][random.random_range(0..3)])),
    }
}

fn act(random: &mut SmallRng) -> Act {
    match random.random_range(0..8) {
        0 => Act::Nothing,
        1 => Act::Line,
        2 | 3 => Act::OtherRun,
        4 => Act::Held,
        _ => Act::Harm(HARMS[random.random_range(0..HARMS.len())]),
    }
}

struct Scene {
    stage: Stage,
    /// Of the messages in the source.
    ids: BTreeSet<String>,
    /// Where the file is.
    path: std::path::PathBuf,
}

impl Scene {
    async fn new(schedule: &Schedule, seed: u64) -> Self {
        let stage = Stage::with_options(Options { signals: true, seed, ..Options::default() }).await;
        stage.orders();
        let body = |number: usize| format!("{{\"number\":{number},\"text\":\"{}\"}}", "x".repeat(number * 17));
        let seeds = (0..schedule.messages).map(|number| failed(body(number)));
        let ids = stage.sandbox.seed("orders-dlq", seeds).expect("seeded").into_iter().collect();
        fs::create_dir(stage.path("ev")).expect("made");
        std::os::unix::fs::symlink("ev", stage.path("link")).expect("linked");
        stage.file("job.toml", &job(&schedule.paths[0]));
        stage.file("other.toml", &job(&schedule.paths[1]).replace("orders-dlq", "audit"));
        stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
        // Each receive is a piece of its own.
        let slow = Fault::Latency { ms: 120, jitter_ms: 0, when: When::Before };
        stage.sandbox.faults().add(Rule::new(slow).action("ReceiveMessage"));
        let name = schedule.paths[0].rsplit('/').next().expect("a name");
        let path = stage.path("ev").join(name);
        Self { stage, ids, path }
    }

    async fn apply(&self, crash: Option<Crash>) -> Ran {
        let mut command = self.stage.command(&["apply", "plan.json", "--format", "json"]);
        match crash {
            Some(Crash::Commit(nth, when)) => {
                let moment = if when == When::Before { "before" } else { "after" };
                command.env("REDRIVE_CRASH_AT_COMMIT", format!("{nth}:{moment}"));
            }
            Some(Crash::Append(nth, moment)) => {
                command.env("REDRIVE_CRASH_AT_APPEND", format!("{nth}:{moment}"));
            }
            _ => {}
        }
        let child = command.spawn().expect("the program starts");
        let rule = match crash {
            Some(Crash::Request(nth, when)) => {
                let kill = Fault::Kill { pid: child.id().expect("running"), signal: Signal::Kill, when };
                Some(self.stage.sandbox.faults().add(Rule::new(kill).nth(nth)))
            }
            _ => None,
        };
        let ran = Ran::of(child.wait_with_output().await.expect("ended"));
        if let Some(rule) = rule {
            self.stage.sandbox.faults().remove(rule);
        }
        ran
    }

    /// Whatever became of the session: what left the source has a line, once, and it ended well only where all have.
    fn assert_adds_up(&self, ran: &Ran, at: &str) {
        let at = format!("{at}\n{}\n{}", ran.stdout, ran.stderr);
        assert!(matches!(ran.code, None | Some(0 | 1 | 3)), "{at}");
        let (lines, left) = (archived(&self.path), in_source(&self.stage));
        for id in &self.ids {
            assert!(lines.contains(id) || left.contains(id), "{id} is neither archived nor in the source: {at}");
        }
        if ran.code == Some(0) {
            assert!(left.is_empty(), "it ended well, and in the source are {left:?}: {at}");
            assert_eq!(ran.summary()["archived"], self.ids.len(), "{at}");
        }
    }

    /// Does what a person would whom apply tells that there is a torn line of which it cannot say whose it is: a file that was put back
    /// is another one than the run had written to.
    fn follow(&self, ran: &Ran) {
        let Some(size) = ran.stderr.split("`truncate --size=").nth(1).and_then(|rest| rest.split(' ').next()) else {
            return;
        };
        let file = File::options().write(true).open(&self.path).expect("there");
        file.set_len(size.parse().expect("a number")).expect("cut");
    }

    /// Says whether an apply was refused for it.
    async fn suffer(&self, act: Act, at: &str) -> bool {
        match act {
            Act::Nothing => false,
            Act::Line => {
                // A file that ends in the midst of a record is nobody's to append to.
                if self.path.extension().is_some_and(|ending| ending == "jsonl") && !self.is_torn() {
                    let mut file = File::options().create(true).append(true).open(&self.path).expect("open");
                    file.write_all(b"{\"theirs\":true}\n").expect("written");
                    assert!(!self.is_torn());
                }
                false
            }
            Act::OtherRun => {
                let seeds = (0..15).map(|number| failed(format!("audit {number}")));
                let ids: BTreeSet<String> =
                    self.stage.sandbox.seed("audit", seeds).expect("seeded").into_iter().collect();
                let other = ["--journal", "other.db", "apply", "other.toml", "--auto-approve", "--format", "json"];
                let (ran, own) = tokio::join!(self.stage.redrive(&other), self.apply(None));
                self.assert_adds_up(&own, at);
                if ran.code == Some(0) {
                    assert!(ids.is_subset(&archived(&self.path)), "{at}: {}", ran.stderr);
                }
                ran.code != Some(0) || own.code != Some(0)
            }
            Act::Held => {
                let held = File::options().create(true).append(true).open(&self.path).expect("open");
                held.try_lock().expect("locked");
                let before = fs::read(&self.path).expect("there");
                let ran = self.apply(None).await;
                self.assert_adds_up(&ran, at);
                assert_eq!(fs::read(&self.path).expect("there"), before, "{at}");
                ran.code != Some(0)
            }
            Act::Harm(how) => {
                let Ok(good) = fs::read(&self.path) else { return false };
                let left = in_source(&self.stage);
                if good.len() < 3 {
                    return false;
                }
                harm(&self.path, how);
                let harmed = fs::read(&self.path).ok();
                let ran = self.apply(None).await;
                let deleted: Vec<_> = self.ids.difference(&left).collect();
                let is_lost = |id: &&String| !archived(&self.path).contains(id.as_str());
                if deleted.iter().any(is_lost) {
                    // Nothing follows, and all that is lost is named.
                    assert!(matches!(ran.code, Some(0 | 1)), "{at}: {:?} {}", ran.code, ran.stderr);
                    if ran.code == Some(1) {
                        assert_eq!(fs::read(&self.path).ok(), harmed, "{at}");
                        assert_eq!(in_source(&self.stage), left, "{at}");
                    } else {
                        // Only of a run that was finished before.
                        assert!(left.is_empty() && ran.stderr.contains("finished already"), "{at}: {}", ran.stderr);
                    }
                    let _ = fs::remove_file(&self.path);
                    fs::write(&self.path, good).expect("put back");
                    return true;
                }
                // What others wrote, or nothing at all, was harmed; it is put back where no run has written since.
                if fs::read(&self.path).ok() == harmed {
                    let _ = fs::remove_file(&self.path);
                    fs::write(&self.path, good).expect("put back");
                }
                ran.code != Some(0)
            }
        }
    }

    fn is_torn(&self) -> bool {
        let plain = self.path.extension().is_some_and(|ending| ending == "jsonl");
        plain && fs::read(&self.path).is_ok_and(|bytes| bytes.last().is_some_and(|last| *last != b'\n'))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_done_to_an_archive_the_file_the_source_and_the_journal_add_up() {
    if !cfg!(debug_assertions) {
        return;
    }
    let seeds = match std::env::var("REDRIVE_SEED") {
        Ok(seed) => vec![seed.parse().expect("a number")],
        Err(_) => (1..=if std::env::var("REDRIVE_FAULTS").is_ok() { 300 } else { 32 }).collect(),
    };
    let all = seeds.len();
    let refused = each_of(HANDS, seeds, |seed| Schedule::new(seed).run(seed)).await;
    tell(&format!(
        "{all} schedules of archives; applies refused for damage or another writer: {}",
        refused.iter().sum::<usize>()
    ));
}
