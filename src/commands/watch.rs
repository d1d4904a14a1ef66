//! `redrive watch`: goes on looking for messages of a run that come back after its end, and adds them to its figures and report.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use redrive_rules::job::{Age, Percent};
use tokio::time::{Instant, sleep};

use super::job::Compiled;
use super::{guarding, job, resolve, runs, signals, wiring};
use crate::apply::Stop;
use crate::aws::Aws;
use crate::cli::{Format, WatchArgs};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::guard::{self, AT_LEAST, DeadLetters, WINDOW};
use crate::journal::{GuardEvent, Journal, Location, system_clock};
use crate::sqs::CallError;
use crate::view::guards::{self as view, Watched};
use crate::view::output;

/// How often the dead-letter queues are counted.
const LOOK_EVERY: Duration = Duration::from_secs(5);

pub(super) async fn watch(args: WatchArgs, journal: &Location) -> Result<Exit> {
    let time = time("--for", &args.time)?;
    let (_, record) = runs::find(Some(&args.run), journal)?;
    let stop = Stop::default();
    signals::listen(&stop)?;
    after(&Arc::new(Aws::new()), &record.name, time, args.format, journal, &stop).await
}

/// A time as the command line has it.
pub(super) fn time(option: &str, text: &str) -> Result<Duration> {
    Age::from_str(text).map(|age| age.0).map_err(|error| Error::usage(format!("{option}: {error}")))
}

/// Watches a run that has ended for so long, until too many came back, or until somebody stops it.
pub(super) async fn after(
    aws: &Arc<Aws>,
    run: &str,
    time: Duration,
    format: Format,
    journal: &Location,
    stop: &Stop,
) -> Result<Exit> {
    let (reader, record) = runs::find(Some(run), journal)?;
    let report = runs::load(&reader, record)?;
    let Compiled { job, rules } = job::compile_or_show(&report.plan.job.file, &report.plan.job.text)?;
    let source = wiring::source(aws, &job).await?;
    let queues = guarding::dead_letters(aws, (&job, &rules), &report.plan, &source).await?;
    if queues.is_empty() {
        return Err(Error::usage(format!("nothing that run {run} sent can be seen to come back"))
            .hint("no destination of it had a redrive policy when it was planned; nothing was looked at"));
    }
    let (meter, url) = (Arc::clone(aws), source.url().to_owned());
    let journal = Journal::open(journal, system_clock(move || meter.server_time(&url)))?;
    let limit = job.guard.as_ref().and_then(|guard| guard.max_bounced);
    let (started, mut looks) = (Instant::now(), Looks::new(queues));
    let mut is_too_much = false;
    loop {
        let new = looks.look(&journal, run).await?;
        if new > 0 {
            output::note(&format!("{new} more came back"));
            let back = reader.came_back(run)?.iter().map(|of| of.messages).sum();
            let shares = [(back, report.figures.moved), reader.came_back_of_last(run, WINDOW)?];
            is_too_much = limit.is_some_and(|limit| shares.iter().any(|share| is_passed(limit, *share)));
        }
        let left = time.saturating_sub(started.elapsed());
        if is_too_much || left.is_zero() || stop.is_asked() {
            break;
        }
        tokio::select! {
            () = sleep(left.min(LOOK_EVERY)) => {}
            () = stop.asked() => {}
        }
    }
    let (reader, record) = runs::find(Some(run), journal.location())?;
    let report = runs::load(&reader, record)?;
    let (new, receives) = (looks.new, looks.receives);
    let watched = Watched { report: &report, new, receives, limit, is_too_much, seconds: started.elapsed().as_secs() };
    let (at, kind, who, words) =
        (journal.now(), "watched".to_owned(), Some(resolve::user()), view::watched_words(&watched));
    journal.guard(run, GuardEvent { at, kind, who, words, data: "null".to_owned() }).await?;
    output::out(&match format {
        Format::Text => view::watched(&watched).text(output::screen()),
        Format::Json => view::watched_json(&watched),
    })?;
    Ok(if is_too_much { Exit::Halted } else { Exit::Done })
}

fn is_passed(limit: Percent, (back, of): (u64, u64)) -> bool {
    back >= AT_LEAST && limit.is_passed_by(back, of)
}

/// The dead-letter queues of a run, and what looking at them brought.
struct Looks {
    /// Each with how much it held when it was counted last.
    queues: Vec<(DeadLetters, Option<u64>)>,
    new: u64,
    receives: usize,
    /// Whether every queue could be looked at once.
    has_begun: bool,
}

impl Looks {
    fn new(queues: Vec<DeadLetters>) -> Self {
        let queues = queues.into_iter().map(|queue| (queue, None)).collect();
        Self { queues, new: 0, receives: 0, has_begun: false }
    }

    /// Counts each queue, and looks at those that grew; gives how many messages came back that were not known. A look that
    /// fails is made again, unless it is the first: then it would fail for good.
    async fn look(&mut self, journal: &Journal, run: &str) -> Result<u64> {
        let mut found = 0;
        for (dead_letters, held) in &mut self.queues {
            let queue = dead_letters.queue.as_ref();
            let looked = async {
                let counted = guard::backlog(queue).await?;
                let grew = counted.is_none() || counted > *held;
                *held = counted;
                let seen = if grew && counted != Some(0) { Some(guard::look(queue).await?) } else { None };
                Ok::<_, CallError>(seen)
            };
            let seen = match looked.await {
                Ok(seen) => seen,
                Err(error) if self.has_begun => {
                    *held = None;
                    output::note(&format!("a look at {} failed, and is made again: {error}", dead_letters.name));
                    continue;
                }
                Err(error) => return Err(Error::from(error)),
            };
            let Some(seen) = seen else { continue };
            self.receives += seen.receives;
            let bounces = journal.bounced(run, seen.messages).await?;
            found += bounces.iter().flatten().filter(|bounce| bounce.is_new).count() as u64;
        }
        self.has_begun = true;
        self.new += found;
        Ok(found)
    }
}
