//! Those that are compared: each moves a queue in a process of its own and is measured from its start to its last delete.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::process;
use crate::server::{Asked, Server};

/// How many requests the others have under way at once.
pub(crate) const WORKERS: usize = 48;

/// Who moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mover {
    /// The SDK alone.
    Bare,
    /// redrive's client, without journal and rules.
    Client,
    /// redrive with one of its jobs.
    Redrive(Job),
    /// Receive ten, send one, delete one.
    Classic,
    /// boto3 in batches and threads.
    Threaded,
    /// `sqs-mover` from the Python Package Index.
    Peer,
}

/// What redrive is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    /// Everything to one queue.
    Plain,
    /// Ten conditions, a transform, a cap, an archive.
    Rules,
    /// Three rules to three queues.
    Three,
    /// Everything to one queue, at this rate.
    Rate(u32),
}

/// A move, measured.
pub(crate) struct Run {
    pub(crate) messages: usize,
    /// From the start of the process to its last delete.
    pub(crate) moving: Duration,
    /// From the last delete to the end of the process.
    pub(crate) tail: Duration,
    /// Processor time of the mover and of the server.
    pub(crate) cpu: [Duration; 2],
    pub(crate) peak_kib: usize,
    pub(crate) asked: Asked,
    /// What redrive's own summary counts.
    pub(crate) requests: Option<u64>,
}

impl Run {
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    pub(crate) fn rate(&self) -> f64 {
        self.messages as f64 / self.moving.as_secs_f64()
    }

    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    pub(crate) fn requests_each(&self) -> f64 {
        let requests = self.requests.and_then(|count| usize::try_from(count).ok()).unwrap_or(self.asked.requests);
        requests as f64 / self.messages as f64
    }
}

impl Mover {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Bare => format!("a. the SDK alone, {WORKERS} workers"),
            Self::Client => format!("redrive's client alone, {WORKERS} workers"),
            Self::Redrive(Job::Plain) => "b. redrive, plain move".to_owned(),
            Self::Redrive(Job::Rules) => "c. redrive, ten conditions, transform, cap, archive".to_owned(),
            Self::Redrive(Job::Three) => "redrive, three rules to three queues".to_owned(),
            Self::Redrive(Job::Rate(rate)) => format!("redrive, rate = \"{rate}/s\""),
            Self::Classic => "d. boto3, receive ten, send one, delete one".to_owned(),
            Self::Threaded => format!("e. boto3, in tens, {WORKERS} threads"),
            Self::Peer => "f. sqs-mover 0.0.6 from PyPI".to_owned(),
        }
    }

    /// Moves a new queue of so many messages of so many bytes.
    pub(crate) fn run(self, server: &mut Server, messages: usize, bytes: usize) -> Run {
        let directory = tempfile::tempdir().expect("a directory");
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_millis();
        let (from, to) = (format!("from-{epoch}"), format!("to-{epoch}"));
        server.fill(&from, messages, bytes);
        for shard in ["", "-1", "-2"] {
            server.fill(&format!("{to}{shard}"), 0, 0);
        }
        let mut command = self.command(&server.endpoint, directory.path(), &from, &to, messages);
        at(&mut command, &server.endpoint);
        server.asked();
        let server_cpu = server.cpu();
        let (started, started_ms) = (Instant::now(), epoch_ms());
        let child: Child = command.stdin(Stdio::null()).spawn().expect("the mover starts");
        let cost = process::wait(child, started);
        let server_cpu = server.cpu().saturating_sub(server_cpu);
        assert!(cost.status.success(), "{} ended with {}", self.name(), cost.status);
        let asked = server.asked();
        let moving = match asked.last_delete_ms {
            // It deletes nothing.
            0 => cost.took,
            last => Duration::from_millis(last.saturating_sub(started_ms)),
        };
        let moved = if asked.last_delete_ms == 0 { messages } else { messages - server.left(&from) };
        // One that ends at the first empty answer may leave most of them: its rate is that of what it moved.
        if moved != messages {
            assert!(self == Self::Peer, "{} moved {moved} of {messages}", self.name());
            eprintln!("{} moved {moved} of {messages}", self.name());
        }
        let requests = matches!(self, Self::Redrive(_)).then(|| requests(directory.path(), messages));
        Run {
            messages: moved,
            moving,
            tail: cost.took.saturating_sub(moving),
            cpu: [cost.cpu, server_cpu],
            peak_kib: cost.peak_kib,
            asked,
            requests,
        }
    }

    fn command(self, endpoint: &str, directory: &Path, from: &str, to: &str, messages: usize) -> Command {
        let url = |queue: &str| format!("{endpoint}/000000000000/{queue}");
        match self {
            Self::Bare | Self::Client => {
                let mut command = Command::new(std::env::current_exe().expect("this program"));
                command.args([
                    if self == Self::Bare { "--bare" } else { "--client" },
                    endpoint,
                    from,
                    to,
                    &messages.to_string(),
                ]);
                command
            }
            Self::Redrive(job) => {
                let planned = plan(job, endpoint, directory, from, to).status().expect("a plan");
                assert!(planned.success(), "{} cannot be planned", self.name());
                let mut command = redrive(directory);
                let summary = std::fs::File::create(directory.join("summary")).expect("a file");
                command.args(["apply", "plan.json", "--format", "json"]).stdout(summary);
                command
            }
            Self::Classic => script(&["benches/mover/peers/classic.py", &url(from), &url(to)]),
            Self::Threaded => script(&["benches/mover/peers/threaded.py", &url(from), &url(to), &WORKERS.to_string()]),
            Self::Peer => script(&["-m", "sqs_mover.sqs_mover", "-s", from, "-d", to]),
        }
    }
}

/// The command that plans a job.
pub(crate) fn plan(job: Job, endpoint: &str, directory: &Path, from: &str, to: &str) -> Command {
    std::fs::write(directory.join("job.toml"), job.text(from, to)).expect("a job");
    let mut command = redrive(directory);
    at(&mut command, endpoint);
    command.args(["plan", "job.toml", "--out", "plan.json"]).stdout(Stdio::null());
    command
}

/// Points a command at the server.
fn at(command: &mut Command, endpoint: &str) {
    command
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_ACCESS_KEY_ID", "bench")
        .env("AWS_SECRET_ACCESS_KEY", "bench")
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_DEFAULT_REGION", "eu-west-1");
}

pub(crate) fn redrive(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redrive"));
    command.current_dir(directory).stderr(Stdio::null());
    command
}

fn epoch_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    u64::try_from(since.as_millis()).expect("a date of this era")
}

/// The requests that redrive's summary counts; every message has to have gone.
fn requests(directory: &Path, messages: usize) -> u64 {
    let text = std::fs::read_to_string(directory.join("summary")).expect("a summary");
    let summary: serde_json::Value = serde_json::from_str(text.lines().last().unwrap_or_default()).expect("JSON");
    let count = |name: &str| summary[name].as_u64().expect("a count");
    assert_eq!(count("moved") + count("archived"), messages as u64, "{summary}");
    count("requests")
}

/// Python with what the peers need; installed once, beside the tests' servers.
pub(crate) fn python() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let place = root.join(".venv/movers");
    let python = place.join("bin/python");
    let ready = |python: &Path| {
        let imports = Command::new(python).args(["-c", "import boto3, sqs_mover"]).stderr(Stdio::null()).status();
        imports.is_ok_and(|status| status.success())
    };
    if ready(&python) {
        return Some(python);
    }
    eprintln!("installing the peers into {}", place.display());
    let pins = root.join("benches/mover/peers/requirements.txt");
    let made = Command::new("python3").arg("-m").arg("venv").arg(&place).status();
    let installed = Command::new(&python).args(["-m", "pip", "install", "-q", "-r"]).arg(pins).status();
    (made.is_ok() && installed.is_ok() && ready(&python)).then_some(python)
}

fn script(arguments: &[&str]) -> Command {
    let mut command = Command::new(python().expect("the peers are installed"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).stderr(Stdio::null());
    command
}

impl Job {
    fn text(self, from: &str, to: &str) -> String {
        let head = format!(
            "version = 1\nname = \"bench\"\n[source]\nqueue = \"{from}\"\n[destination.orders]\nsqs = {{ queue = \"{to}\" }}\n"
        );
        let rest = match self {
            Self::Plain => "[unmatched]\nto = \"orders\"\n".to_owned(),
            Self::Rate(rate) => format!("[unmatched]\nto = \"orders\"\n[limits]\nrate = \"{rate}/s\"\n"),
            Self::Rules => RULES.to_owned(),
            Self::Three => {
                let mut text = format!(
                    "[destination.one]\nsqs = {{ queue = \"{to}-1\" }}\n[destination.two]\nsqs = {{ queue = \"{to}-2\" }}\n"
                );
                for (shard, to) in ["orders", "one", "two"].iter().enumerate() {
                    let when = format!("{{ body = \"$.shard\", equals = {shard} }}");
                    let _ = write!(text, "[[rule]]\nname = \"shard {shard}\"\nwhen = [{when}]\nto = \"{to}\"\n");
                }
                text
            }
        };
        head + &rest
    }
}

const RULES: &str = r#"
[destination.evidence]
file = { path = "evidence.jsonl.gz" }
[retry]
attribute = "retryCount"
max = 3
exhausted = "evidence"
[[rule]]
name = "gateway timeouts"
when = [
  { body = "$.error.type", any_of = ["Timeout", "ConnectionReset"] },
  { body = "$.error.message", contains = "gateway" },
  { body = "$.order.id", exists = true },
  { body = "$.order.total", lt = 1000 },
  { body = "$.order.country", anything_but = ["US", "CA"] },
  { body = "$.note", regex = "second +chance" },
  { attribute = "tenant", prefix = "eu-" },
  { system = "SentTimestamp", older_than = "1m" },
  { message = "size", lt = 1000000 },
]
transform = [{ set = "$.replayed_by", value = "INC-4711" }]
to = "orders"
[[rule]]
name = "poison"
when = [{ body = "$.error.type", equals = "Poison" }]
to = "evidence"
"#;
