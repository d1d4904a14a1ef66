//! `redrive sandbox`: serves the embedded SQS and S3 until it is stopped, or takes a tour: plans, applies, interrupts,
//! resumes and reports the job of the example on it, each by a command of its own, as a person would.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use sqs_sandbox::{Credentials, Fault, Options, Policy, Rule, Sandbox, Scenario};
use tokio::process::Command;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::SandboxArgs;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::journal::Reader;
use crate::view::output;
use redrive_protocol::protocol::State;

impl From<sqs_sandbox::Error> for Error {
    fn from(error: sqs_sandbox::Error) -> Self {
        let converted = if error.is_usage() { Self::usage(error.message()) } else { Self::failed(error.message()) };
        match error.hint_text() {
            Some(hint) => converted.hint(hint),
            None => converted,
        }
    }
}

/// The job of the tour.
const JOB: &str = include_str!("../../jobs/orders-dlq.toml");

/// How many messages are done when the tour kills the apply.
const KILL_AT: u64 = 60;

pub(super) async fn sandbox(args: SandboxArgs) -> Result<Exit> {
    if args.tour {
        return tour().await;
    }
    let scenario = match args.scenario.as_str() {
        "empty" => None,
        name => Some(name.parse::<Scenario>()?),
    };
    let rules = fault_rules(&args)?;
    let copies = args.load.iter().map(|text| copy(text)).collect::<Result<Vec<_>>>()?;
    let is_open = !args.address.is_loopback();
    let stop = Stop::listen()?;
    let sandbox = Sandbox::start(options(args)?).await?;
    for rule in rules {
        sandbox.faults().add(rule);
    }
    let summary = scenario.map(|scenario| sandbox.seed_scenario(scenario)).transpose()?;
    let mut lines = sandbox.welcome(summary.as_ref());
    for (queue, file) in copies {
        let count = sandbox.load(&queue, &file)?;
        lines.push(format!("queue {queue}: {count} messages from {}", file.display()));
        if count == 0 {
            output::note(&format!(
                "{} holds no messages: the queue {queue} is there, and nothing was put into it",
                file.display()
            ));
        }
    }
    lines.extend(sandbox.faults().list().iter().map(|(_, rule, _)| format!("fault {rule}")));
    for line in lines {
        output::line(&line)?;
    }
    let reach = if is_open { "OPEN TO OTHER MACHINES" } else { "listening on loopback only" };
    output::note(&format!("{reach}; Ctrl-C ends it, and what it holds is gone then"));
    stop.told().await;
    sandbox.stop().await;
    Ok(Exit::Done)
}

/// Being told to end. Listened for before anything is printed, so that whoever reads the first line can end it.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).map_err(|error| Error::failed(format!("cannot listen for signals: {error}")));
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn told(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn fault_rules(args: &SandboxArgs) -> Result<Vec<Rule>> {
    let rules = args.fault.iter().map(|text| text.parse()).collect::<sqs_sandbox::Result<Vec<Rule>>>()?;
    if !args.allow_signals && rules.iter().any(|rule| matches!(rule.fault, Fault::Kill { .. })) {
        return Err(Error::usage("a fault sends a signal to a process, which this sandbox may not")
            .hint("nothing was started; say --allow-signals as well, if that is meant"));
    }
    Ok(rules)
}

/// `QUEUE=FILE`.
fn copy(text: &str) -> Result<(String, PathBuf)> {
    let parts = text.split_once('=').filter(|(queue, file)| !queue.is_empty() && !file.is_empty());
    let (queue, file) = parts.ok_or_else(|| {
        Error::usage(format!("--load {text:?} names no queue and file")).hint("such as --load orders-dlq=messages.json")
    })?;
    Ok((queue.to_owned(), PathBuf::from(file)))
}

fn options(args: SandboxArgs) -> Result<Options> {
    if !args.address.is_loopback() && !args.expose {
        return Err(Error::usage(format!("{} can be reached from other machines", args.address)).hint(
            "nothing was started; the sandbox lets in whoever reaches its port. If that is meant, say --expose as well, \
             and better with --access-key and --secret-key",
        ));
    }
    let credentials = args.access_key.zip(args.secret_key);
    let policy = args.policy.as_deref().map(policy).transpose()?;
    Ok(Options {
        address: args.address,
        port: args.port,
        seed: args.seed,
        region: args.region,
        account: args.account,
        s3_root: args.buckets,
        in_flight_limit: args.in_flight_limit,
        short_poll_miss: args.short_poll_miss,
        credentials: credentials
            .map(|(access_key, secret_key)| Credentials { access_key, secret_key })
            .into_iter()
            .collect(),
        policy,
        signals: args.allow_signals,
        ..Options::default()
    })
}

/// The IAM policy in a file.
fn policy(path: &Path) -> Result<Policy> {
    let about = |error: Error| error.about(&path.display().to_string());
    let text = super::text_of(path, super::read_bytes(path)?)?;
    Policy::parse(&text).map_err(|error| about(Error::from(error).and_hint("nothing was started")))
}

/// A sandbox with the orders scenario, on a free port, for one command.
pub(super) async fn start_seeded() -> Result<Sandbox> {
    let sandbox = Sandbox::start(Options { port: 0, ..Options::default() }).await?;
    sandbox.seed_scenario(Scenario::Orders)?;
    Ok(sandbox)
}

async fn tour() -> Result<Exit> {
    let failed = |error: std::io::Error| Error::failed(format!("the tour cannot go on: {error}"));
    let sandbox = Sandbox::start(Options { port: 0, ..Options::default() }).await?;
    let directory = tempfile::tempdir().map_err(failed)?;
    std::fs::write(directory.path().join("orders-dlq.toml"), JOB).map_err(failed)?;
    let guide = Guide { endpoint: sandbox.endpoint_url(), directory: directory.path() };

    say("A sandbox of SQS and S3 is up on this machine. A dead-letter queue is waiting on it:")?;
    for line in sandbox.seed_scenario(Scenario::Orders)?.lines() {
        output::out(&line)?;
    }
    say("1. Plan: look at a sample, give it back, and save what would happen, for a colleague to approve.")?;
    guide.run(&["plan", "orders-dlq.toml", "--out", "orders.plan.json"], &[0]).await?;
    say("2. Apply, and be killed halfway (SIGKILL, as if the power had gone).")?;
    guide.run_and_kill(&["apply", "orders.plan.json"]).await?;
    guide.run(&["status"], &[0]).await?;
    say("3. The same command again: it continues from the journal.")?;
    guide.run(&["apply", "orders.plan.json"], &[0, 6]).await?;
    say("4. The report, for the ticket.")?;
    guide.run(&["report"], &[0]).await?;
    say("And once more: a finished run does nothing.")?;
    guide.run(&["apply", "orders.plan.json"], &[0, 6]).await?;
    say(
        "That was the tour. `redrive sandbox` serves the same queues for you to try; `redrive plan JOB` is where your own begin.",
    )?;
    Ok(Exit::Done)
}

fn say(text: &str) -> Result<()> {
    output::out(&format!("\n== {text}\n"))
}

/// Runs this program's own commands against the sandbox, in a directory of their own.
struct Guide<'a> {
    endpoint: String,
    directory: &'a Path,
}

impl Guide<'_> {
    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let program = std::env::current_exe()
            .map_err(|error| Error::failed(format!("the program cannot find itself: {error}")))?;
        output::out(&format!("$ redrive {}", arguments.join(" ")))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.directory)
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env_remove("AWS_ENDPOINT_URL_SQS")
            .env_remove("AWS_ENDPOINT_URL_S3")
            .env_remove("AWS_PROFILE")
            .env_remove("REDRIVE_JOURNAL")
            .env("AWS_ACCESS_KEY_ID", "sandbox")
            .env("AWS_SECRET_ACCESS_KEY", "sandbox")
            .env("AWS_REGION", "eu-west-1")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        Ok(command)
    }

    async fn run(&self, arguments: &[&str], expected: &[i32]) -> Result<()> {
        let status = self.command(arguments)?.status().await;
        let status = status.map_err(|error| Error::failed(format!("the program cannot be run: {error}")))?;
        match status.code() {
            Some(code) if expected.contains(&code) => Ok(()),
            _ => Err(Error::failed(format!("`redrive {}` ended with {status}", arguments.join(" ")))),
        }
    }

    /// Runs a command and kills it when some messages are done.
    async fn run_and_kill(&self, arguments: &[&str]) -> Result<()> {
        let mut child = self.command(arguments)?.spawn();
        let child = child.as_mut().map_err(|error| Error::failed(format!("the program cannot be run: {error}")))?;
        let deadline = Instant::now() + Duration::from_mins(1);
        while self.done()? < KILL_AT && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        child.kill().await.map_err(|error| Error::failed(format!("the program cannot be killed: {error}")))?;
        output::out("(killed)\n")
    }

    fn done(&self) -> Result<u64> {
        let Some(reader) = Reader::open(&self.directory.join(".redrive/journal.db").into())? else { return Ok(0) };
        let Some(run) = reader.runs()?.into_iter().next() else { return Ok(0) };
        Ok(reader.tally(&run.name)?.count(|key| key.state == State::Done))
    }
}
