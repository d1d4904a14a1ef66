//! `redrive plan`: looks at a sample of the source, and shows and saves what a job would do.

use std::sync::{Arc, Mutex, PoisonError};

use redrive_protocol::message::MessageId;
use tokio::sync::watch;

use super::job::{self, Compiled};
use super::own::Own;
use super::{read_job, read_plan, show, signals, wiring};
use crate::apply::Stop;
use crate::aws::Aws;
use crate::cli::{DetailArgs, PlanArgs, SampleArgs, SampleSize};
use crate::error::Result;
use crate::exit::Exit;
use crate::journal::{Location, Reader};
use crate::notify::Notifier;
use crate::plan::{self, Extent, Outcome, Plan, Request, SampleOptions};
use crate::view::progress::Looking;

pub(super) async fn plan(args: PlanArgs, journal: &Location) -> Result<Exit> {
    let file = args.job.display().to_string();
    let text = read_job(&args.job)?;
    let compiled = job::compile_or_show(&file, &text)?;
    let mut own = Own::of_journal(journal).and("the job", &args.job);
    if let Some(out) = &args.out {
        plan::check_out(out)?;
        plan::check_writable(out)?;
        own = own.and("the plan", out);
    }
    own.refuse(&compiled.job, &compiled.rules, None)?;
    let older = args.diff.as_deref().map(read_plan).transpose()?;
    let reach = wiring::Reach::new(&args.reach).await?;
    let stop = Stop::default();
    signals::listen(&stop)?;
    let plan =
        make(&reach.aws, &compiled, &file, &text, args.author.as_deref(), (&args.sample, &args.detail), journal, &stop)
            .await?;
    if let Some(out) = &args.out {
        plan::write(&plan, out)?;
    }
    let saved = args.out.as_ref().map(|out| out.display().to_string());
    match older {
        Some(older) => show::show_changes(&older, &plan, args.format)?,
        None => show::show_plan(&plan, args.format, saved.as_deref(), &[], show::detail(&args.detail))?,
    }
    Ok(if args.detailed_exitcode && would_move(&plan) { Exit::WouldMove } else { Exit::Done })
}

/// Plans a job. What is received is given back, on a stop too. The journal, where there is one, is only read.
#[expect(clippy::too_many_arguments, reason = "it is what two commands know, each from its own arguments")]
pub(super) async fn make(
    aws: &Arc<Aws>,
    compiled: &Compiled,
    file: &str,
    text: &str,
    author: Option<&str>,
    (sample, detail): (&SampleArgs, &DetailArgs),
    journal: &Location,
    stop: &Stop,
) -> Result<Plan> {
    let journal = Reader::open(journal)?.map(Mutex::new);
    let Compiled { job, rules } = compiled;
    let source = wiring::source(aws, job).await?;
    let destinations = wiring::places(aws, job).await?;
    let opener = wiring::Origins { aws, access: wiring::access(job.source.access()) };
    let (cancel, cancelled) = watch::channel(false);
    let asked = stop.clone();
    let watching = tokio::spawn(async move {
        asked.asked().await;
        cancel.send_replace(true);
        // Kept until the plan is made: a channel without a sender would read as one that may never be cancelled.
        cancel.closed().await;
    });
    let url = source.url().to_owned();
    let clock = || aws.server_time(&url).unwrap_or_else(jiff::Timestamp::now);
    // A message of which the journal cannot tell is taken as SQS gives it.
    let came_from = |id: &MessageId| {
        let journal = journal.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        journal.came_from(id).ok().flatten()
    };
    let looking = Looking::on_stderr();
    // That it cannot be used here, apply says where it is to be used.
    let notifier = Notifier::of_job(job).ok().flatten();
    let made = plan::make(Request {
        notifies: notifier.as_ref().map(Notifier::host),
        job,
        rules,
        file,
        text,
        author,
        source,
        destinations,
        opener: &opener,
        clock: &clock,
        came_from: &came_from,
        extent: match sample.sample {
            _ if sample.exact => Extent::Exact,
            Some(SampleSize::Most(messages)) => Extent::Sample(messages),
            Some(SampleSize::All) => Extent::All,
            None => Extent::Auto,
        },
        sample: SampleOptions::default(),
        examples: detail.examples.map(usize::from),
        progress: &|looked, of| looking.show(looked, of),
        callers: wiring::callers(aws, job).await?,
        sample_anyway: sample.sample_despite_redrive_policy,
        payloads: wiring::payloads(aws, job, rules),
        cancel: cancelled,
    })
    .await;
    watching.abort();
    drop(looking);
    made
}

fn would_move(plan: &Plan) -> bool {
    let leaves = |outcome: &Outcome| matches!(outcome, Outcome::To(_) | Outcome::Exhausted(_));
    plan.rules.iter().flat_map(|rule| &rule.outcomes).any(|one| leaves(&one.outcome) && one.estimate.sampled > 0)
}
