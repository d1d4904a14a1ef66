//! Under fire: one job with everything in it, brought into trouble on purpose, killed, resumed, and held against a reference
//! model afterwards. What is done to it is in the modules below and in `crash`; what must hold whatever is done is in `model`.

mod archives;
mod faults;
mod model;
mod schedules;
mod storm;
mod troubles;
mod window;

pub(crate) use model::Others;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use redrive_store_tests::server::Server;
use sqs_sandbox::{Fault, LogEntry, Options, Rule, Signal, When};
use tokio::process::Command;
use tokio::sync::Mutex;

use crate::end_to_end::{JOB, assert_adds_up, expected, message};
use crate::stops::{is_held, signal};
use crate::support::admin::Admin;
use crate::support::liar::liar;
use crate::support::stage::{Ran, Stage};
use crate::two::on_another_machine;

/// Says a figure, for who runs this with `--nocapture`.
#[expect(clippy::print_stderr, reason = "figures are half of what these tests are for")]
pub(crate) fn tell(figure: &str) {
    eprintln!("{figure}");
}

/// When the queues of every scene were made, so that one plan fits them all.
const CREATED: u64 = 1_700_000_000_000;

/// How many cases run at once: most of the time they wait.
pub(crate) const HANDS: usize = 32;

/// A plan for each job, made once.
static PLANS: Mutex<BTreeMap<String, String>> = Mutex::const_new(BTreeMap::new());

/// Where the job of a scene archives to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Archive {
    S3,
    File,
}

/// What becomes of messages in doubt, as a job says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InDoubt {
    Resend,
    Hold,
}

/// Where the journal of a scene is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    File,
    Server,
}

/// How a scene is set up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) messages: usize,
    pub(crate) in_doubt: InDoubt,
    pub(crate) archive: Archive,
    /// `max_messages`.
    pub(crate) limit: Option<u64>,
    pub(crate) journal: Kept,
}

/// What happens to the messages of a process that sleeps.
#[derive(Debug, Clone, Copy)]
enum Meanwhile {
    /// A consumer takes up to so many.
    Taken(usize),
    /// Another machine applies the same plan.
    Moved,
}

/// Where the process is ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Crash {
    /// By SIGKILL at its nth request, before or after the request's effect.
    Request(u64, When),
    /// By itself at its nth commit to the journal, before or after it.
    Commit(u64, When),
    /// By itself at its nth write to an archive file: `before`, in its `midst`, or `after`.
    Append(u64, &'static str),
}

/// A stage with the job, its messages, and a plan.
pub(crate) struct Scene {
    pub(crate) stage: Stage,
    setting: Setting,
    /// The message IDs in the source by the messages' numbers.
    ids: Vec<String>,
    /// Where the program finds the servers, if not at the sandbox itself.
    endpoint: Mutex<Option<String>>,
    /// Messages that this run had sent and not deleted when another machine began, which cannot know of them, and those whose send was
    /// on its way when the process fell asleep, and arrived when it woke.
    limbo: Mutex<BTreeSet<String>>,
}

impl Scene {
    pub(crate) async fn new(setting: Setting) -> Self {
        Self::with_options(setting, Options::default()).await
    }

    async fn with_options(setting: Setting, options: Options) -> Self {
        Self::build(setting, options, job(setting)).await
    }

    /// With another job: what an edit makes of the usual one.
    pub(crate) async fn with_job(setting: Setting, edit: impl FnOnce(String) -> String) -> Self {
        Self::build(setting, Options::default(), edit(job(setting))).await
    }

    async fn build(setting: Setting, options: Options, job: String) -> Self {
        let mut stage = Stage::with_options(Options { signals: true, ..options }).await;
        if setting.journal == Kept::Server {
            stage.journal = Some(Server::shared().database());
        }
        let create = |name, attributes: &[(&str, &str)]| {
            stage.sandbox.create_queue(name, attributes, Some(CREATED)).expect("a queue");
        };
        create("orders-dlq", &[]);
        let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:000000000000:orders-dlq","maxReceiveCount":"3"}"#;
        create("orders", &[("RedrivePolicy", policy)]);
        create("audit", &[]);
        stage.sandbox.create_bucket("archive").expect("a bucket");
        let aged = (0..setting.messages).map(|number| {
            let mut seed = message(number);
            // Older than the plan, whenever that was made.
            seed.age_ms = 24 * 60 * 60 * 1000;
            seed
        });
        let ids = stage.sandbox.seed("orders-dlq", aged).expect("seeded");
        plan(&stage, &job).await;
        Self { stage, setting, ids, endpoint: Mutex::default(), limbo: Mutex::default() }
    }

    /// From its call number `honest` + 1 on, this action is answered with success and nothing in it, and has no effect.
    async fn empties(&self, action: &str, honest: usize) {
        *self.endpoint.lock().await = Some(liar(&self.stage.sandbox.endpoint_url(), action, honest, "{}").await);
    }

    /// All answers are honest again.
    async fn empties_nothing(&self) {
        *self.endpoint.lock().await = None;
    }

    /// Apply, with its servers.
    async fn command(&self) -> Command {
        let mut command = self.stage.command(&["apply", "plan.json", "--allow-drift", "--format", "json"]);
        command.envs(self.endpoint.lock().await.iter().map(|url| ("AWS_ENDPOINT_URL", url)));
        command
    }

    /// Runs apply until it is ended there; gives whether it came that far.
    pub(crate) async fn crash(&self, crash: Crash) -> bool {
        let mut command = self.command().await;
        if let Crash::Commit(nth, when) = crash {
            let moment = if when == When::Before { "before" } else { "after" };
            command.env("REDRIVE_CRASH_AT_COMMIT", format!("{nth}:{moment}"));
        }
        if let Crash::Append(nth, moment) = crash {
            command.env("REDRIVE_CRASH_AT_APPEND", format!("{nth}:{moment}"));
        }
        let child = command.spawn().expect("the program starts");
        let rule = if let Crash::Request(nth, when) = crash {
            let pid = child.id().expect("running");
            let kill = Fault::Kill { pid, signal: Signal::Kill, when };
            Some(self.stage.sandbox.faults().add(Rule::new(kill).nth(nth)))
        } else {
            None
        };
        let crashed = child.wait_with_output().await.expect("ended").status.code().is_none();
        if let Some(rule) = rule {
            self.stage.sandbox.faults().remove(rule);
        }
        crashed
    }

    /// Applies once. The exit code is one of those that a run can end with, and the figures add up.
    pub(crate) async fn apply(&self) -> Ran {
        let ran = Ran::of(self.command().await.output().await.expect("the program runs"));
        assert!(matches!(ran.code, Some(0 | 1 | 3 | 5 | 6)), "{}\n{}", ran.stdout, ran.stderr);
        if ran.stdout.is_empty() {
            // The trouble is met before a session begins: with 1 if no run has begun, else the run stays resumable.
            let is_resumable = ran.code == Some(3) && ran.stderr.contains("Nothing is lost");
            assert!(ran.code == Some(1) || is_resumable, "{:?}: {}", ran.code, ran.stderr);
            tell(&ran.stderr);
        } else if ran.code != Some(1) {
            assert_adds_up(&ran.summary());
        }
        ran
    }

    /// Applies once, with the process held at its nth request for longer than its visibility timeout. Says whether somebody else took
    /// anything meanwhile.
    async fn sleep(&self, nth: u64, meanwhile: Meanwhile) -> bool {
        let child = self.command().await.spawn().expect("the program starts");
        let pid = child.id().expect("running");
        let stop = Fault::Kill { pid, signal: Signal::Stop, when: When::After };
        let rule = self.stage.sandbox.faults().add(Rule::new(stop).nth(nth));
        let ended = tokio::spawn(child.wait_with_output());
        while !ended.is_finished() && !is_held(pid) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.stage.sandbox.faults().remove(rule);
        let asleep_at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        let (mut were_taken, mut awake_from) = (false, 0);
        if is_held(pid) {
            let visible = async {
                while self.stage.counts("orders-dlq").0 != self.stage.counts("orders-dlq").1 {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            };
            // Some may have been extended for longer; they just stay in its hand.
            let _ = tokio::time::timeout(Duration::from_secs(20), visible).await;
            were_taken = match meanwhile {
                Meanwhile::Taken(most) => self.take(most).await,
                Meanwhile::Moved => self.moved_by_another_machine().await,
            };
            awake_from = self.stage.sandbox.log().last().map_or(0, |entry| entry.number);
            signal(pid, rustix::process::Signal::CONT);
        }
        let ran = Ran::of(ended.await.expect("waited for").expect("ended"));
        self.limbo.lock().await.extend(self.sent_in_sleep(asleep_at, awake_from));
        assert!(matches!(ran.code, Some(0 | 1 | 3 | 5 | 6)), "{}\n{}", ran.stdout, ran.stderr);
        were_taken
    }

    /// The messages of sends that were on their way when the process fell asleep, and arrived when it woke.
    fn sent_in_sleep(&self, asleep_at: Duration, awake_from: u64) -> Vec<String> {
        let entries = self.stage.signed_before(asleep_at, awake_from);
        let digests: BTreeSet<&str> = entries
            .iter()
            .flat_map(|entry| &entry.messages)
            .filter_map(|message| message.body_md5.as_deref())
            .collect();
        let is_in = |(number, id): &(usize, &String)| {
            let has_key = |entry: &LogEntry| entry.key.as_ref().is_some_and(|key| key.contains(id.as_str()));
            digests.contains(redrive::md5::of_body(&expected(*number).1.0).as_str()) || entries.iter().any(has_key)
        };
        self.ids.iter().enumerate().filter(is_in).map(|(_, id)| id.clone()).collect()
    }

    /// Another machine, with a journal of its own, applies the plan to what is visible.
    async fn moved_by_another_machine(&self) -> bool {
        self.stage.sandbox.faults().clear();
        // For longer than any fault holds back a request: what is on its way arrives before the other machine begins.
        tokio::time::sleep(Duration::from_secs(13)).await;
        let sent = self.sent_and_in_source();
        self.limbo.lock().await.extend(sent);
        let ran = on_another_machine(&self.stage).await;
        assert!(matches!(ran.code, Some(0 | 6)), "{}\n{}", ran.stdout, ran.stderr);
        true
    }

    /// Somebody else receives and deletes up to this many messages of the source; says whether there was one.
    async fn take(&self, most: usize) -> bool {
        let admin = Admin::at(&self.stage.sandbox.endpoint_url());
        let url = format!("{}/000000000000/orders-dlq", self.stage.sandbox.endpoint_url());
        let mut taken = 0;
        while taken < most {
            let received = admin.sqs.receive_message().queue_url(&url).max_number_of_messages(10).send().await;
            let messages = received.ok().and_then(|received| received.messages).unwrap_or_default();
            if messages.is_empty() {
                break;
            }
            for message in messages {
                let handle = message.receipt_handle.unwrap();
                // The server's faults are for everybody.
                drop(admin.sqs.delete_message().queue_url(&url).receipt_handle(handle).send().await);
                taken += 1;
            }
        }
        taken > 0
    }

    /// Applies again and again until the run is finished; gives the last answer.
    pub(crate) async fn finish(&self, at: &str) -> Ran {
        let mut said = String::new();
        for tries in 0..8 {
            let ran = self.apply().await;
            if matches!(ran.code, Some(0 | 6)) {
                return ran;
            }
            said = ran.stdout;
            if tries > 2 {
                // A message whose handle was refused is invisible for as long as it was extended last.
                self.stage.sandbox.advance(Duration::from_mins(30));
            }
        }
        panic!("not finished after eight applies: {at}: {}", said.lines().last().unwrap_or_default());
    }
}

fn job(setting: Setting) -> String {
    let policy = match setting.in_doubt {
        InDoubt::Resend => "resend",
        InDoubt::Hold => "hold",
    };
    let job = JOB.replace("10s", "10s\"\nsent_after = \"30d");
    let mut job = job.replace("exhausted = \"archive\"", &format!("exhausted = \"archive\"\nin_doubt = \"{policy}\""));
    if let Some(limit) = setting.limit {
        job = format!("{job}[limits]\nmax_messages = {limit}\n");
    }
    match setting.archive {
        Archive::S3 => job,
        Archive::File => {
            let s3 = r#"s3 = { bucket = "archive", key = "{date}/{message_id}.json" }"#;
            assert!(job.contains(s3));
            job.replace(s3, r#"file = { path = "archive.jsonl" }"#)
        }
    }
}

/// Puts the plan of a job on a stage; the first stage with the job makes it.
async fn plan(stage: &Stage, job: &str) {
    let mut plans = PLANS.lock().await;
    if let Some(plan) = plans.get(job) {
        stage.file("plan.json", plan);
        return;
    }
    stage.file("job.toml", job);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json", "--sample", "12"]).await.expect(0);
    plans.insert(job.to_owned(), std::fs::read_to_string(stage.path("plan.json")).expect("a plan"));
}
