//! A stage for a test: a sandbox of its own, a directory of its own, and the real program in its own process.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sqs_sandbox::{Fault, LogEntry, MessageAttribute, Options, Rule, Sandbox, Seed, Signal, When};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// What a run of the program gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: std::process::Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// The exit code, or a failed test that shows everything.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }

    /// All that it printed, as one value.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).expect("JSON")
    }

    /// The summary of an apply with `--format json`.
    #[track_caller]
    pub(crate) fn summary(&self) -> Value {
        let last = self.stdout.lines().last().unwrap_or_default();
        let summary: Value = serde_json::from_str(last).expect("a JSON line");
        assert_eq!(summary["type"], "summary", "{last}");
        summary
    }
}

/// A message as tests compare it: body, and attributes as `type:value`.
pub(crate) type Content = (String, BTreeMap<String, String>);

/// How many there are of each message.
pub(crate) type Inventory = BTreeMap<Content, usize>;

/// See the module.
pub(crate) struct Stage {
    pub(crate) sandbox: Sandbox,
    pub(crate) directory: tempfile::TempDir,
    /// The URL of the journal, if it is on a server.
    pub(crate) journal: Option<String>,
}

/// How often receives miss what is there, and pass over the message group whose turn it is, in tests of what must hold whatever a
/// receive finds: far more often than the sandbox's default has it, which follows what was recorded at AWS.
pub(crate) const HARSH: f64 = 0.25;

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with_options(Options::default()).await
    }

    pub(crate) async fn with_options(options: Options) -> Self {
        let sandbox = Sandbox::start(options).await.expect("a sandbox");
        Self { sandbox, directory: tempfile::tempdir().expect("a directory"), journal: None }
    }

    /// With what [`Stage::orders`] makes.
    pub(crate) async fn with_queues() -> Self {
        let stage = Self::new().await;
        stage.orders();
        stage
    }

    /// Makes `orders`, its dead-letter queue `orders-dlq`, `audit`, and the bucket `archive`.
    pub(crate) fn orders(&self) {
        let dlq = self.queue("orders-dlq", &[]);
        let policy = format!("{{\"deadLetterTargetArn\":\"{dlq}\",\"maxReceiveCount\":\"3\"}}");
        self.queue("orders", &[("RedrivePolicy", &policy)]);
        self.queue("audit", &[]);
        self.sandbox.create_bucket("archive").expect("a bucket");
    }

    /// Makes a queue; gives its ARN.
    pub(crate) fn queue(&self, name: &str, attributes: &[(&str, &str)]) -> String {
        self.sandbox.create_queue(name, attributes, None).expect("a queue");
        format!("arn:aws:sqs:eu-west-1:000000000000:{name}")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file of the stage's directory; gives its name.
    pub(crate) fn file<'n>(&self, name: &'n str, text: &str) -> &'n str {
        std::fs::write(self.path(name), text).expect("a file");
        name
    }

    /// The program with these arguments, in the stage's directory and against its sandbox.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_redrive"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .env("HOME", self.directory.path())
            .envs(self.sandbox.environment())
            .envs(self.journal.iter().map(|url| ("REDRIVE_JOURNAL", url)))
            // A process of a test lives for a fifth of a second, a tenth of which the kernel takes to clear huge pages.
            .env("MIMALLOC_ALLOW_THP", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().expect("the program starts")
    }

    /// How many sends the last run's report lists as in doubt: each can have made a copy, and one message can be in doubt
    /// more than once.
    pub(crate) async fn doubts(&self) -> u64 {
        let report = self.redrive(&["report", "--format", "json"]).await.expect(0).stdout;
        let report: Value = serde_json::from_str(&report).expect("JSON");
        let troubles = report["troubles"].as_array().expect("messages");
        troubles.iter().map(|one| one["doubts"].as_u64().expect("doubts")).sum()
    }

    /// Applies the plan with its process killed at the request that `at` names, before or after its effect; gives whether
    /// it came that far.
    pub(crate) async fn killed_at(&self, when: When, at: impl FnOnce(Rule) -> Rule) -> bool {
        self.signalled(Signal::Kill, when, at).await.code.is_none()
    }

    /// Applies the plan with this signal to its process at the request that `at` names, before or after its effect.
    pub(crate) async fn signalled(&self, signal: Signal, when: When, at: impl FnOnce(Rule) -> Rule) -> Ran {
        let child = self.spawn(&["apply", "plan.json", "--format", "json"]);
        let pid = child.id().expect("running");
        let rule = self.sandbox.faults().add(at(Rule::new(Fault::Kill { pid, signal, when })));
        let ran = Ran::of(child.wait_with_output().await.expect("ended"));
        self.sandbox.faults().remove(rule);
        ran
    }

    pub(crate) async fn redrive(&self, arguments: &[&str]) -> Ran {
        self.redrive_with(arguments, &[]).await
    }

    pub(crate) async fn redrive_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
        let output =
            self.command(arguments).envs(environment.iter().copied()).output().await.expect("the program runs");
        Ran::of(output)
    }

    /// What is in a queue, visible or not.
    pub(crate) fn inventory(&self, queue: &str) -> Inventory {
        let state = self.sandbox.queue(queue).expect("the queue");
        count(state.messages.into_iter().map(|message| {
            let attributes = message.attributes.iter().map(|(name, attribute)| (name.clone(), shown(attribute)));
            (message.body, attributes.collect())
        }))
    }

    /// How many messages a queue holds, and how many of them can be received now.
    pub(crate) fn counts(&self, queue: &str) -> (usize, usize) {
        let state = self.sandbox.queue(queue).expect("the queue");
        let visible = state.messages.iter().filter(|message| message.state == sqs_sandbox::Whereabouts::Visible);
        (state.messages.len(), visible.count())
    }

    /// The envelopes in a bucket; none if there is no such bucket.
    pub(crate) fn envelopes(&self, bucket: &str) -> Vec<Value> {
        let objects = self.sandbox.objects(bucket).unwrap_or_default();
        objects.values().map(|object| serde_json::from_slice(object).expect("JSON")).collect()
    }

    /// How many requests of this action the sandbox answered.
    pub(crate) fn requests(&self, action: &str) -> usize {
        self.sandbox.log().iter().filter(|entry| entry.action == action).count()
    }

    /// Waits until the sandbox has answered a request of this action.
    pub(crate) async fn until_requested(&self, action: &str) {
        let answered = async {
            while self.requests(action) == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), answered).await.expect("the request comes");
    }

    /// The requests after this one that had been signed before that time since 1970: between the look at a lease and the arrival of
    /// the request a process can fall asleep, and then the request arrives when it wakes.
    pub(crate) fn signed_before(&self, asleep_at: Duration, awake_from: u64) -> Vec<LogEntry> {
        let was_signed = |ms: u64| u128::from(ms) <= asleep_at.as_millis();
        let late = |entry: &LogEntry| entry.number > awake_from && entry.signed_ms.is_some_and(was_signed);
        self.sandbox.log().into_iter().filter(late).collect()
    }

    /// How many SQS requests the sandbox answered.
    pub(crate) fn sqs_requests(&self) -> usize {
        self.sandbox.log().iter().filter(|entry| entry.key.is_none() && entry.action != "HeadBucket").count()
    }
}

/// An attribute as tests compare it.
pub(crate) fn shown(attribute: &MessageAttribute) -> String {
    let value = attribute.string_value.clone().or_else(|| attribute.binary_value.clone()).unwrap_or_default();
    format!("{}:{value}", attribute.data_type)
}

/// The content of an envelope.
pub(crate) fn content(envelope: &Value) -> Content {
    let attributes = envelope["attributes"].as_object().expect("attributes").iter().map(|(name, attribute)| {
        let value =
            attribute.get("value").or_else(|| attribute.get("binary")).and_then(Value::as_str).expect("a value");
        (name.clone(), format!("{}:{value}", attribute["type"].as_str().expect("a type")))
    });
    (envelope["body"].as_str().expect("a body").to_owned(), attributes.collect())
}

pub(crate) fn count(contents: impl IntoIterator<Item = Content>) -> Inventory {
    let mut inventory = Inventory::new();
    for content in contents {
        *inventory.entry(content).or_default() += 1;
    }
    inventory
}

/// A message that came to a dead-letter queue from `orders`.
pub(crate) fn failed(body: impl Into<String>) -> Seed {
    let mut seed = Seed::new(body);
    seed.source_arn = Some("arn:aws:sqs:eu-west-1:000000000000:orders".to_owned());
    seed.age_ms = 60_000;
    seed.receive_count = 3;
    seed
}

/// Tries many cases, several at once, since most of their time is waiting; gives what each gave.
pub(crate) async fn each<C, F, T>(cases: Vec<C>, test: impl Fn(C) -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    each_of(12, cases, test).await
}

/// The same with this many at once.
pub(crate) async fn each_of<C, F, T>(hands: usize, cases: Vec<C>, test: impl Fn(C) -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let hands = Arc::new(Semaphore::new(hands));
    let mut tests = JoinSet::new();
    for case in cases {
        let (hands, test) = (Arc::clone(&hands), test(case));
        tests.spawn(async move {
            let _hand = hands.acquire_owned().await;
            test.await
        });
    }
    let mut given = Vec::new();
    while let Some(ended) = tests.join_next().await {
        given.push(ended.expect("the case holds"));
    }
    given
}
