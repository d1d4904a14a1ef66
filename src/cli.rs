//! The command line: clap types and nothing else. The help texts here are the reference page, by `redrive man` and the
//! generated `docs/reference/cli.md`.

mod control;
mod explain;
mod generate;
mod inspect;
mod journal;
mod policy;
mod resolve;
mod runs;
#[cfg(feature = "sandbox")]
mod sandbox;
mod watch;

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::control::{ControlArgs, OrderName};
pub use self::explain::ExplainArgs;
pub use self::generate::{CompletionsArgs, ManArgs, SchemaArgs, SchemaOf, Values};
pub use self::inspect::{InitArgs, InspectArgs, LookArgs};
pub use self::journal::{CheckJournalArgs, InitJournalArgs, JournalArgs, JournalCommand};
pub use self::policy::{PolicyArgs, PolicyFormat, PolicyPhase};
pub use self::resolve::{DecisionArgs, ResolveArgs};
pub use self::runs::{PruneArgs, ReportArgs, RunArgs, RunsArgs, RunsCommand};
#[cfg(feature = "sandbox")]
pub use self::sandbox::SandboxArgs;
pub use self::watch::WatchArgs;

/// Reviewed, resumable moves of Amazon SQS messages: a job file says what goes where, `plan` shows it, `apply` does it.
///
/// Exit codes: 0 done; 1 failed; 2 usage or invalid job; 3 stopped, resumable; 4 refused before anything moved (stale,
/// altered, expired, unapproved); 5 halted on the way by a bound or a guard (drift, in-flight limit), resumable; 6 done, but
/// some messages are blocked, held or failed; 7 `plan --detailed-exitcode`: something would move.
#[derive(Debug, Parser)]
#[command(name = "redrive", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Examples:\n  redrive plan job.toml --out plan.json\n  redrive apply plan.json")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// The journal: a file, or the URL of a `PostgreSQL` database, such as `postgres://user@host/database`.
    #[arg(long, global = true, env = "REDRIVE_JOURNAL", value_name = "FILE|URL", default_value = JOURNAL)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub journal: String,

    /// Show no progress. Errors, warnings and questions are shown all the same.
    #[arg(long, short, global = true)]
    pub quiet: bool,

    /// With --version: also what the program was built with.
    #[arg(long, requires = "version")]
    pub verbose: bool,
}

/// Where the journal is unless the command line says otherwise.
pub const JOURNAL: &str = ".redrive/journal.db";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look at a sample of a queue and show what is in it: groups of messages by what went wrong, with a rule for each.
    #[command(
        after_help = "Examples:\n  redrive inspect orders-dlq\n  redrive inspect orders-dlq --format html > groups.html\n  redrive inspect --from evidence.jsonl.gz --by '$.error.type'"
    )]
    Inspect(InspectArgs),
    /// Write a job for a queue from what is in it: a rule for each group, each of which keeps its messages.
    #[command(after_help = "Example:\n  redrive init orders-dlq --out orders-dlq.toml")]
    Init(InitArgs),
    /// Check job files, and show every error in them.
    #[command(after_help = "Example:\n  redrive check jobs/orders-dlq.toml")]
    Check(CheckArgs),
    /// Show for single messages what each condition finds, which rule takes them, and what becomes of them.
    #[command(
        after_help = "Examples:\n  redrive explain job.toml --message message.json\n  redrive explain job.toml --from-queue 5"
    )]
    Explain(ExplainArgs),
    /// Look at a sample of the source and show what a job would do. Sends and deletes nothing.
    #[command(after_help = "Example:\n  redrive plan job.toml --out plan.json")]
    Plan(PlanArgs),
    /// Show a saved plan.
    #[command(after_help = "Example:\n  redrive show plan.json --format markdown")]
    Show(ShowArgs),
    /// Approve a saved plan: writes an approval beside it, for `apply --require-approvals`.
    #[command(after_help = "Example:\n  redrive approve plan.json --by alice@example.com --sign ~/.ssh/id_ed25519")]
    Approve(ApproveArgs),
    /// Print the least IAM policy that a job needs, for one identity each. Only looks at queues.
    #[command(
        after_help = "Examples:\n  redrive policy job.toml --for plan\n  redrive policy job.toml --offline --format terraform"
    )]
    Policy(PolicyArgs),
    /// Carry out a plan, or plan a job and carry it out. The same command again resumes an unfinished run.
    #[command(
        after_help = "Examples:\n  redrive apply plan.json --require-approvals 1\n  redrive apply job.toml\n  redrive apply --run 3f2a9c0d1e4b"
    )]
    Apply(ApplyArgs),
    /// Pause a run that is under way, let it go on, slow it or stop it, from another terminal. Noted in its report.
    #[command(
        after_help = "Examples:\n  redrive control 3f2a9c0d1e4b pause --reason INC-4711\n  redrive control 3f2a9c0d1e4b rate 50/s"
    )]
    Control(ControlArgs),
    /// Go on looking for messages that come back after a run has ended. They join its figures and its report.
    #[command(after_help = "Example:\n  redrive watch 3f2a9c0d1e4b --for 30m")]
    Watch(WatchArgs),
    /// Decide about messages in doubt, or give up a run. Without a decision it lists what is in doubt.
    #[command(after_help = "Examples:\n  redrive resolve 3f2a9c0d1e4b\n  redrive resolve 3f2a9c0d1e4b --discard --all")]
    Resolve(ResolveArgs),
    /// List the runs in the journal.
    #[command(after_help = "Example:\n  redrive runs --format json")]
    Runs(RunsArgs),
    /// Make a journal ahead of its first run, or look at how it is.
    #[command(after_help = "Example:\n  redrive journal check --journal postgres://runner@localhost/redrive")]
    Journal(JournalArgs),
    /// Show how one run stands.
    #[command(after_help = "Examples:\n  redrive status\n  redrive status 3f2a9c0d1e4b --watch")]
    Status(RunArgs),
    /// Make the report of one run.
    #[command(after_help = "Example:\n  redrive report 3f2a9c0d1e4b --format html > report.html")]
    Report(ReportArgs),
    /// Print a JSON Schema: of the job file, or of what is printed or saved as JSON.
    #[command(after_help = "Examples:\n  redrive schema > job.schema.json\n  redrive schema --of events")]
    Schema(SchemaArgs),
    /// Serve a local SQS and S3 to try things on, or take a tour of it.
    #[cfg(feature = "sandbox")]
    #[command(
        after_help = "Examples:\n  redrive sandbox --tour\n  redrive sandbox --scenario empty --load orders-dlq=evidence.jsonl"
    )]
    Sandbox(SandboxArgs),
    /// Print a completion script for a shell. Those for bash, zsh and fish complete runs, plan files and queues too.
    #[command(after_help = "Example:\n  redrive completions bash > redrive.bash")]
    Completions(CompletionsArgs),
    /// Print the manual page, or write a page for each command.
    #[command(after_help = "Examples:\n  redrive man > redrive.1\n  redrive man --out man1")]
    Man(ManArgs),
}

/// How things are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// JSON Lines: one typed, versioned object a line.
    Json,
}

/// How a plan is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// For people.
    Text,
    /// The plan document.
    Json,
    /// For a pull request.
    Markdown,
    /// One page that stands alone, for a browser.
    Html,
}

/// How a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people.
    Text,
    /// One object a line, each with its type and version.
    Json,
    /// For a ticket.
    Markdown,
    /// One self-contained page.
    Html,
}

/// `redrive check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Job files.
    #[arg(required = true, value_name = "JOB")]
    pub jobs: Vec<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// What planning needs, alone or before an apply.
#[derive(Debug, Args)]
pub struct SampleArgs {
    /// How many messages to look at, at the most; `all` for as many as can be in flight at once, about 120,000. Without it,
    /// the whole queue if SQS counts no more than 10,000 messages, and else 10,000 of them.
    #[arg(long, value_name = "N|all", value_parser = sample_size)]
    pub sample: Option<SampleSize>,
    /// Look at every message once, and pin the plan to them: apply moves these and no others. For up to about 120,000
    /// messages, which are held in flight while they are looked at.
    #[arg(long, conflicts_with = "sample")]
    pub exact: bool,
    /// Sample although the source has a redrive policy of its own, so that receiving may move messages to its
    /// dead-letter queue.
    #[arg(long)]
    pub sample_despite_redrive_policy: bool,
}

/// How much of a plan is shown.
#[derive(Debug, Args)]
pub struct DetailArgs {
    /// Show everything: the notes as well, and the bodies of examples whole.
    #[arg(long)]
    pub full: bool,
    /// How many examples of each rule and outcome, at the most; of messages with different errors first. Without it 3, or 2 if
    /// nothing changes.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=100))]
    pub examples: Option<u16>,
}

/// How many messages to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleSize {
    /// So many at the most.
    Most(u64),
    /// As many as can be in flight at once.
    All,
}

/// As many messages as SQS lets be in flight.
const MAX_IN_FLIGHT: u64 = 120_000;

fn sample_size(text: &str) -> Result<SampleSize, String> {
    if text == "all" {
        return Ok(SampleSize::All);
    }
    let number = text.parse().ok().filter(|number| (1..=MAX_IN_FLIGHT).contains(number));
    number.map(SampleSize::Most).ok_or_else(|| format!("a number from 1 to {MAX_IN_FLIGHT}, or `all`"))
}

/// Which AWS a command talks to. Empty in a program without the sandbox.
#[derive(Debug, Args)]
pub struct ReachArgs {
    /// Run on an embedded sandbox with a realistic dead-letter queue. Nothing leaves this machine.
    #[cfg(feature = "sandbox")]
    #[arg(long)]
    pub sandbox: bool,
}

/// `redrive plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The job file.
    pub job: PathBuf,
    /// Save the plan here, for review and for `redrive apply`.
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Who makes the plan: in the plan and its report, and not counted among those who approve it.
    #[arg(long, value_name = "NAME")]
    pub author: Option<String>,
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    pub format: PlanFormat,
    /// Show what changed since this older plan, instead of the plan itself.
    #[arg(long, value_name = "OLDPLAN")]
    pub diff: Option<PathBuf>,
    /// Exit with 7 if something would move, with 0 if nothing would.
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// What to sample.
    #[command(flatten)]
    pub sample: SampleArgs,
    /// How much is shown.
    #[command(flatten)]
    pub detail: DetailArgs,
    /// Which AWS it is.
    #[command(flatten)]
    pub reach: ReachArgs,
}

/// `redrive show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The plan file.
    pub plan: PathBuf,
    /// Show what changed since this older plan, instead of the plan itself.
    #[arg(long, value_name = "OLDPLAN")]
    pub diff: Option<PathBuf>,
    /// List only approvals whose signatures this file vouches for (`ssh-keygen`'s allowed signers).
    #[arg(long, value_name = "FILE")]
    pub allowed_signers: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    pub format: PlanFormat,
    /// How much is shown.
    #[command(flatten)]
    pub detail: DetailArgs,
}

/// `redrive approve`.
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// The plan file.
    pub plan: PathBuf,
    /// Who approves. With a signature: the name that the file of allowed signers has for the key.
    #[arg(long, value_name = "NAME")]
    pub by: String,
    /// What there is to say about it; it is in the report.
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// Sign the approval with this SSH key (`ssh-keygen -Y sign`, namespace `redrive-plan`).
    #[arg(long, value_name = "KEY")]
    pub sign: Option<PathBuf>,
    /// Say at once if the approval would not count by this file (`ssh-keygen`'s allowed signers).
    #[arg(long, value_name = "FILE", requires = "sign")]
    pub allowed_signers: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// `redrive apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// A saved plan, or a job file.
    #[arg(value_name = "PLAN|JOB", required_unless_present = "run")]
    pub file: Option<PathBuf>,
    /// Go on with this run by the plan that the journal holds, where the plan file is not at hand: by the run's identity, or the
    /// beginning of it.
    #[arg(long, value_name = "RUN", conflicts_with = "file")]
    pub run: Option<String>,
    /// Carry out the plan of a job without asking. Needed if there is no terminal to ask for approval.
    #[arg(long)]
    pub auto_approve: bool,
    /// Refuse a plan that fewer people approved than this. Approvals are beside the plan; one person is one name and one
    /// key, and the plan's author is none of them.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub require_approvals: u32,
    /// Count only approvals whose signatures this file vouches for (`ssh-keygen`'s allowed signers).
    #[arg(long, value_name = "FILE")]
    pub allowed_signers: Option<PathBuf>,
    /// Continue if a rule takes more messages than the plan allows.
    #[arg(long)]
    pub allow_drift: bool,
    /// Go without the canary that the job asks for; the reason is in the report.
    #[arg(long, value_name = "REASON")]
    pub skip_canary: Option<String>,
    /// Go on although AWS's own redrive (`StartMessageMoveTask`) is taking messages from the source; the reason is in the report.
    #[arg(long, value_name = "REASON")]
    pub accept_move_task: Option<String>,
    /// Once the run is finished, go on looking for messages that come back for so long, such as `30m`. Exits with 5 if more do than
    /// the job's `max_bounced` allows.
    #[arg(long, value_name = "TIME")]
    pub watch: Option<String>,
    /// Begin, or go on, although this journal does not know what it should of an unfinished run over the source: what that
    /// run had sent and not yet deleted is sent again.
    #[arg(long)]
    pub despite_lost_journal: bool,
    /// Write the run's figures for a monitoring system while it goes on and at its end: to this file in Prometheus' text format, or, if
    /// it is `emf`, to stderr in CloudWatch's embedded metric format.
    #[arg(long, value_name = "FILE|emf")]
    pub metrics: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
    /// What to sample, where a job is planned.
    #[command(flatten)]
    pub sample: SampleArgs,
    /// How much is shown.
    #[command(flatten)]
    pub detail: DetailArgs,
    /// Which AWS it is.
    #[command(flatten)]
    pub reach: ReachArgs,
}
