//! `redrive sandbox`: serves the embedded SQS and S3 until it is stopped, or takes a tour: plans, applies, interrupts,
//! resumes and reports the job of the example on it, each by a command of its own, as a person would.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::Command;

use crate::cli::SandboxArgs;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::journal::{Reader, State};
use crate::sandbox::{Options, Sandbox, Scenario};
use crate::view::output;

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
    let sandbox = Sandbox::start(Options { port: args.port, ..Options::default() }).await?;
    let summary = scenario.map(|scenario| sandbox.seed_scenario(scenario)).transpose()?;
    for line in sandbox.welcome(summary.as_ref()) {
        output::out(&line)?;
    }
    output::note("listening on loopback only; Ctrl-C ends it, and what it holds is gone then");
    let stopped = tokio::signal::ctrl_c().await;
    stopped.map_err(|error| Error::failed(format!("signals cannot be listened for: {error}")))?;
    Ok(Exit::Done)
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
    say("2. Apply, and be killed in the midst of it (SIGKILL, as if the power had gone).")?;
    guide.run_and_kill(&["apply", "orders.plan.json"]).await?;
    guide.run(&["status"], &[0]).await?;
    say("3. The same command again: it goes on from the journal.")?;
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
        let Some(reader) = Reader::open(&self.directory.join(".redrive/journal.db"))? else { return Ok(0) };
        let Some(run) = reader.runs()?.into_iter().next() else { return Ok(0) };
        Ok(reader.tally(&run.name)?.count(|key| key.state == State::Done))
    }
}
