//! One file a command: load, do, show. Here things come together that do not know of each other: the command line, AWS, the
//! plan, apply, and the views.

mod apply;
mod approve;
mod check;
mod completions;
mod control;
mod earlier;
mod explain;
mod followers;
mod generate;
mod guarding;
mod init;
mod inspect;
mod job;
mod journal;
mod kind;
mod messages;
mod own;
mod plan;
mod planned;
mod policy;
mod prune;
mod resolve;
mod runs;
#[cfg(feature = "sandbox")]
mod sandbox;
mod show;
mod signals;
mod signature;
mod watch;
mod wiring;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::cli::{Cli, Command, JournalArgs, JournalCommand, RunsArgs, RunsCommand};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::journal::Location;
use crate::plan::Plan;
use crate::view;

pub use generate::reference as cli_reference;

/// Understands the command line and does what it says; errors are shown on stderr.
pub fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let asks = error.kind() == ErrorKind::DisplayVersion && std::env::args_os().any(|word| word == "--verbose");
            return if asks { generate::version().unwrap_or_else(|error| error.exit()) } else { error.exit() };
        }
    };
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = match threads {
        Ok(runtime) => runtime.block_on(dispatch(cli)),
        Err(error) => Err(Error::failed(format!("the program cannot start its threads: {error}"))),
    };
    match outcome {
        Ok(exit) => exit,
        Err(error) => {
            view::error::show(&error);
            error.exit()
        }
    }
}

async fn dispatch(cli: Cli) -> Result<Exit> {
    let journal = Location::from(cli.journal);
    if cli.quiet {
        view::progress::silence();
    }
    match cli.command {
        Command::Inspect(args) => Box::pin(inspect::inspect(args)).await,
        Command::Init(args) => Box::pin(init::init(args)).await,

        Command::Check(args) => check::check(&args, &journal),
        Command::Explain(args) => Box::pin(explain::explain(args)).await,
        Command::Plan(args) => Box::pin(plan::plan(args, &journal)).await,
        Command::Show(args) => show::show(&args),
        Command::Approve(args) => approve::approve(&args),
        Command::Policy(args) => Box::pin(policy::policy(args)).await,
        Command::Apply(args) => Box::pin(apply::apply(args, &journal)).await,
        Command::Control(args) => control::control(args, &journal).await,
        Command::Watch(args) => watch::watch(args, &journal).await,
        Command::Resolve(args) => resolve::resolve(args, &journal).await,
        Command::Runs(RunsArgs { command: Some(RunsCommand::Prune(args)), .. }) => prune::prune(&args, &journal),
        Command::Runs(args) => runs::runs(&args, &journal),
        Command::Journal(JournalArgs { command: JournalCommand::Init(args) }) => journal::init(&args, &journal),
        Command::Journal(JournalArgs { command: JournalCommand::Check(args) }) => journal::check(&args, &journal),
        Command::Status(args) => runs::status(&args, &journal).await,
        Command::Report(args) => runs::report(&args, &journal),
        Command::Schema(args) => generate::schema(&args),
        #[cfg(feature = "sandbox")]
        Command::Sandbox(args) => sandbox::sandbox(args).await,
        Command::Completions(args) => completions::completions(&args, &journal).await,
        Command::Man(args) => generate::man(&args),
    }
}

/// Reads a file that the command line names; what is longer than any file of ours is cut, for it is none.
fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(crate::plan::MAX_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|error| Error::usage(format!("{} cannot be read: {error}", path.display())))?;
    Ok(bytes)
}

/// Reads a job file's text, and refuses what is surely another kind of file.
fn read_job(path: &Path) -> Result<String> {
    let bytes = read_bytes(path)?;
    kind::expect(kind::FileKind::Job, &bytes, path)?;
    text_of(path, bytes)
}

/// Reads a saved plan.
fn read_plan(path: &Path) -> Result<Plan> {
    let bytes = read_bytes(path)?;
    kind::expect(kind::FileKind::Plan, &bytes, path)?;
    crate::plan::parse(&bytes, &path.display().to_string())
}

fn text_of(path: &Path, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Error::usage(format!("{} is not UTF-8 text: byte {at} is not part of a character", path.display()))
    })
}
