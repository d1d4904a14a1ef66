//! `redrive apply`: checks the plan, opens the journal and everything the plan names, and carries it out.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::earlier::{Earlier, approvers, earlier};
use super::followers::{Followers, Named};
use super::job::Compiled;
use super::own::Own;
use super::planned::plan_of;
use super::{approve, guarding, job, read_bytes, runs, signals, watch, wiring};
use crate::apply::{self, Apply, Events, Guarding, Options, Stop, Summary};
use crate::cli::{ApplyArgs, Format, JOURNAL};
use crate::error::{Error, Kind, Result};
use crate::exit::Exit;
use crate::journal::{Journal, Location, Marks, Reader, system_clock};
use crate::plan::{self, Plan};
use crate::view::{output, progress, report};
use redrive_protocol::protocol::{Begun, RunSpec, SessionEnd, Totals};

pub(super) async fn apply(args: ApplyArgs, journal: &Location) -> Result<Exit> {
    let watched = args.watch.as_deref().map(|time| watch::time("--watch", time)).transpose()?;
    let reach = wiring::Reach::new(&args.reach).await?;
    // From the start: a sample that is being taken is to be given back, too.
    let stop = Stop::default();
    signals::listen(&stop)?;
    if let Some(allowed) = &args.allowed_signers {
        // Else it would be missed only once a job is planned.
        read_bytes(allowed)?;
    }
    let plan = match &args.file {
        Some(file) => match plan_of(&args, file, &reach, journal, &stop).await? {
            Some(plan) => plan,
            None => return Ok(Exit::Failed),
        },
        None => runs::plan(&runs::find(args.run.as_deref(), journal)?.1)?,
    };
    // What runs on a sandbox that goes with this process leaves nothing behind.
    let marks = if reach.is_embedded() { None } else { Marks::of_user() };
    let (run, asked) = (plan.id().to_owned(), stop.clone());
    let Ended { exit, untold } = Box::pin(carry_out(&args, &reach, plan, journal, marks, stop)).await?;
    let late = match watched {
        // Of a run that was halted or stopped, not all has been sent: whoever goes on with it watches it then.
        Some(time) if matches!(exit, Exit::Done | Exit::Partial) && !asked.is_asked() => {
            watch::after(&reach.aws, &run, time, args.format, journal, &asked).await
        }
        _ => Ok(Exit::Done),
    };
    // The run has ended, whatever became of the watching.
    if let Some(summary) = untold {
        output::out(&report::summary_json(&summary))?;
    }
    let late = late?;
    Ok(if late == Exit::Done { exit } else { late })
}

/// How a run ended.
struct Ended {
    exit: Exit,
    /// The summary, if it is not shown yet.
    untold: Option<Summary>,
}

async fn carry_out(
    args: &ApplyArgs,
    reach: &wiring::Reach,
    plan: Plan,
    journal_path: &Location,
    marks: Option<Marks>,
    stop: Stop,
) -> Result<Ended> {
    let earlier = earlier(journal_path, &plan)?;
    if let Earlier::Finished = earlier {
        return finished(args, journal_path, plan.id());
    }
    // Whatever fails from the moment that the run is in the journal: the same command continues.
    let is_begun = matches!(earlier, Earlier::Begun { .. });
    let name = plan.id().to_owned();
    let begun = Box::pin(begin(args, reach, plan, journal_path, marks, stop, earlier)).await;
    let Some(ready) = begun.map_err(|error| if is_begun { error.resumable() } else { error })? else {
        return finished(args, journal_path, &name);
    };
    let Ready { parts, listener, followers } = ready;
    let ran = Box::pin(run(args, parts, listener)).await.map_err(Error::resumable);
    let told = ran.as_ref().map_or(Ok(()), |summary| tell(args, journal_path, summary));
    followers.end(ran.as_ref()).await;
    let summary = ran?;
    told.map_err(|error| if summary.exit() == Exit::Stopped { error.resumable() } else { error })?;
    Ok(ended(args, summary))
}

/// A run that is begun, and who hears of it.
struct Ready {
    parts: Apply,
    listener: mpsc::Receiver<apply::Event>,
    followers: Followers,
}

/// Checks everything that is known before the first message, and begins the run or goes on with it. `None`: somebody else
/// finished it meanwhile.
async fn begin(
    args: &ApplyArgs,
    reach: &wiring::Reach,
    plan: Plan,
    journal_path: &Location,
    marks: Option<Marks>,
    stop: Stop,
    earlier: Earlier,
) -> Result<Option<Ready>> {
    let (aws, is_embedded) = (&reach.aws, reach.is_embedded());
    let Compiled { job, rules } = job::compile_or_show(&plan.job.file, &plan.job.text)?;
    if let Some(refusal) = plan.refusals.first() {
        return Err(Error::new(Kind::Guarded, format!("the plan must not be applied: {}", refusal.text))
            .hint("nothing was touched; change the job or the queues, and plan again"));
    }
    if let Earlier::None = earlier {
        let file = args.file.as_deref().unwrap_or(Path::new(&plan.job.file)).display().to_string();
        plan::require_bounds(&plan, job.limits.max_messages, args.allow_drift, &file)?;
    }
    let reached = plan::reach(&job);
    let is_new = matches!(earlier, Earlier::None);
    if let Some(unsaid) = reached.iter().find(|hazard| is_new && !plan.hazards.contains(hazard)) {
        return Err(Error::plan_refused(format!("the plan does not say what its job says: {}", unsaid.text))
            .hint("nothing was touched; the plan was not made by this program from this job; make a new one"));
    }
    for hazard in &reached {
        output::note(&hazard.text);
    }
    let approvers = approvers(args, &plan, &earlier)?;
    let named = Named::of(args, &job, reach, is_new)?;
    let source = wiring::source(aws, &job).await?;
    if let Some(marks) = &marks {
        if args.despite_lost_journal {
            marks.forget(source.url());
        }
        marks.check(source.url(), journal_path)?;
    }
    let attributes =
        source.attributes().await.map_err(|error| Error::from(error).and_hint("nothing was received or sent"))?;
    let stage = match earlier {
        Earlier::Begun { given_up: true, .. } => wiring::Stage::GivenUp,
        Earlier::Begun { .. } => wiring::Stage::Begun,
        _ => wiring::Stage::New,
    };
    // A run that was begun can neither go on then nor be planned anew, as long as it is not given up.
    let give_up = |error: Error| {
        if stage == wiring::Stage::Begun && error.kind() == Kind::PlanRefused {
            let run = plan.id();
            return error.and_hint(&format!("to plan again, give up the run first: `redrive resolve {run} --abandon`"));
        }
        error
    };
    wiring::check(stage, &plan.source, &attributes).map_err(give_up)?;
    // A run that was begun in time may be finished; what is new must be in time.
    if let Earlier::None = earlier {
        plan::check_time(&plan, aws.server_time(source.url()).unwrap_or_else(jiff::Timestamp::now))?;
    }
    let beside = guarding::beside(source.as_ref(), &attributes, args.accept_move_task.as_deref()).await?;
    let mut own = Own::of_journal(journal_path).and("the job", Path::new(&plan.job.file));
    if let Some(file) = &args.file {
        own = own.and("the file", file);
        for approval in approve::files(file) {
            own = own.and("the approval", &approval);
        }
    }
    own.refuse(&job, &rules, Some(plan.id()))?;
    let opened = wiring::open(aws, &job, &rules, &plan, stage).await.map_err(give_up)?;
    let (meter, url) = (Arc::clone(aws), source.url().to_owned());
    let journal = Arc::new(Journal::open(journal_path, system_clock(move || meter.server_time(&url)))?);
    // Only now is it sure that nobody else is at work on it, or was until a moment ago.
    if let Earlier::Finished = self::earlier(journal_path, &plan)? {
        return Ok(None);
    }
    let spec = RunSpec {
        name: plan.id().to_owned(),
        source_arn: plan.source.arn.clone(),
        job_sha256: plan.job.sha256.clone(),
        plan: plan::to_kept_text(&plan)?,
        approvals: serde_json::to_string(&approvers)
            .map_err(|error| Error::failed(format!("the approvals cannot be written as JSON: {error}")))?,
        command: serde_json::to_string(&again(args, plan.id(), journal_path))
            .map_err(|error| Error::failed(format!("the command cannot be written as JSON: {error}")))?,
        directory: std::env::current_dir().unwrap_or_default().display().to_string(),
        sandbox: is_embedded,
    };
    let begun = journal.begin(spec).await?;
    if let Some(marks) = marks {
        match marks.begin(plan.id(), source.url(), journal_path, begun.requests) {
            Ok(mark) => journal.follow(mark),
            Err(error) => {
                output::note(&format!(
                    "a lost journal would not be noticed, because its mark cannot be written: {error}"
                ));
            }
        }
    }
    let mut events = Events::default();
    let listener = events.listen();
    let followers = named.begin(&plan, &begun, &journal, &mut events, &stop);
    // The journal is there by now, and so are all files that the destinations may be.
    let refused = own.refuse(&job, &rules, Some(plan.id())).err();
    let ready = async {
        refused.map_or(Ok(()), Err)?;
        let outlets = wiring::outlets(opened, &journal, &begun).await?;
        let skip = args.skip_canary.clone();
        let guarding = guarding::of(aws, (&job, &rules), &plan, &source, &outlets, skip, journal_path).await?;
        Ok::<_, Error>((outlets, Guarding { beside, ..guarding }))
    };
    let (outlets, guarding) = match ready.await {
        Ok(ready) => ready,
        Err(error) => {
            // A session that ended before it began: the next one has as much to wait for as this had.
            let Begun { requests, elapsed_ms, interrupted: has_orphans, .. } = begun;
            let totals = Totals { requests, elapsed_ms, ..Totals::default() };
            let outcome = apply::Outcome::Failed(error.clone());
            let (cause, outcome) = (outcome.cause(), outcome.code().to_owned());
            journal.end(SessionEnd { finished: false, has_orphans, outcome, cause, totals }).await?;
            let error = error.resumable();
            drop(events);
            followers.end(Err(&error)).await;
            return Err(error);
        }
    };
    let options = Options {
        concurrency: job.limits.concurrency.map(usize::from),
        visibility: job.source.visibility_timeout.map_or(apply::VISIBILITY, |age| age.0),
        in_doubt: job.retry.as_ref().map(|retry| retry.in_doubt).unwrap_or_default(),
        rate: job.limits.rate.map(|rate| rate.0),
        ramp: job.limits.ramp.map(|ramp| ramp.0).unwrap_or_default(),
        max_messages: job.limits.max_messages,
        allow_drift: args.allow_drift,
        max_in_pipeline: 4000,
        max_pipeline_bytes: 16 * 1024 * 1024,
        payloads: wiring::payloads(aws, &job, &rules),
    };
    let meter = Arc::clone(aws);
    let requests = Arc::new(move || meter.requests().sqs);
    let parts = Apply { plan, rules, source, outlets, journal, begun, options, guarding, stop, events, requests };
    Ok(Some(Ready { parts, listener, followers }))
}

/// Carries out what is begun, and shows how it goes.
async fn run(args: &ApplyArgs, parts: Apply, listener: mpsc::Receiver<apply::Event>) -> Result<Summary> {
    let mode = match args.format {
        Format::Json => progress::Mode::Json,
        Format::Text if output::is_stderr_a_terminal() => progress::Mode::Bars,
        Format::Text => progress::Mode::Lines,
    };
    let shown = parts.plan.clone();
    let showing = tokio::spawn(async move { progress::show(mode, &shown, listener).await });
    let summary = apply::run(parts).await;
    // The progress ends when its last sender has gone, with the run.
    let _ = showing.await;
    summary
}

/// A run that is finished: its report, and nothing else is done.
fn finished(args: &ApplyArgs, journal: &Location, run: &str) -> Result<Ended> {
    let nothing = Ended { exit: Exit::Done, untold: None };
    let Some(reader) = Reader::open(journal)? else { return Ok(nothing) };
    let Some(record) = reader.runs_like(run)?.pop() else { return Ok(nothing) };
    let run_now = runs::load(&reader, record)?;
    let summary = Summary { outcome: apply::Outcome::Finished, figures: run_now.figures };
    output::note(&format!("run {run} is finished already: nothing was done"));
    tell(args, journal, &summary)?;
    Ok(ended(args, summary))
}

/// The words of the command that goes on with the run.
fn again(args: &ApplyArgs, run: &str, journal: &Location) -> Vec<String> {
    let mut words = vec!["redrive".to_owned(), "apply".to_owned()];
    let mut option = |name: &str, value: Option<String>| words.extend([name.to_owned()].into_iter().chain(value));
    match &args.file {
        Some(file) => option(&file.display().to_string(), None),
        None => option("--run", Some(run.to_owned())),
    }
    if journal.file() != Some(Path::new(JOURNAL)) {
        option("--journal", Some(journal.to_string()));
    }
    if args.require_approvals > 0 {
        option("--require-approvals", Some(args.require_approvals.to_string()));
    }
    if let Some(allowed) = &args.allowed_signers {
        option("--allowed-signers", Some(allowed.display().to_string()));
    }
    if args.allow_drift {
        option("--allow-drift", None);
    }
    if let Some(time) = &args.watch {
        option("--watch", Some(time.clone()));
    }
    if let Some(metrics) = &args.metrics {
        option("--metrics", Some(metrics.display().to_string()));
    }
    words
}

/// Shows the summary, unless lines of JSON follow it: it is the last of them.
fn tell(args: &ApplyArgs, journal: &Location, summary: &Summary) -> Result<()> {
    match args.format {
        Format::Text => {
            output::out(&report::summary(summary, &again(args, &summary.figures.run, journal)).text(output::screen()))
        }
        Format::Json if shows_more(args) => Ok(()),
        Format::Json => output::out(&report::summary_json(summary)),
    }
}

fn ended(args: &ApplyArgs, summary: Summary) -> Ended {
    Ended { exit: summary.exit(), untold: shows_more(args).then_some(summary) }
}

/// Whether lines of JSON may follow the end of the run.
fn shows_more(args: &ApplyArgs) -> bool {
    args.format == Format::Json && args.watch.is_some()
}
