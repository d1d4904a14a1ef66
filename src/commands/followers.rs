//! Who follows a run beside the one who started it: a webhook, and a monitoring system.

use std::sync::Arc;

use redrive_rules::job::Job;

use super::wiring::Reach;
use crate::apply::{Events, Stop, Summary};
use crate::cli::ApplyArgs;
use crate::error::{Error, Result};
use crate::journal::Journal;
use crate::metrics::{Following, Sink};
use crate::notify::{Notifier, Telling};
use crate::plan::Plan;
use crate::view::output;
use redrive_protocol::protocol::{Begun, Totals};

/// What the word `--metrics emf` asks for.
const LINES: &str = "emf";

/// The followers that the job and the command line name, found to be usable.
pub(super) struct Named {
    notifier: Option<Notifier>,
    metrics: Option<Sink>,
}

impl Named {
    /// Refuses what cannot be used, but for the webhook of a run that was begun: that goes on without.
    pub(super) fn of(args: &ApplyArgs, job: &Job, reach: &Reach, is_new: bool) -> Result<Self> {
        let metrics = args.metrics.as_ref().map(|path| match path.to_str() {
            Some(LINES) => Sink::Lines,
            _ => Sink::File(path.clone()),
        });
        metrics.as_ref().map(Sink::check).transpose()?;
        // Nothing leaves the machine then.
        let notifier = if reach.is_embedded() { Ok(None) } else { Notifier::of_job(job) };
        let notifier = match notifier {
            Err(error) if is_new => return Err(error.and_hint("nothing was received or sent")),
            Err(error) => {
                output::note(&format!("{}; the run goes on all the same", error.message()));
                None
            }
            Ok(notifier) => notifier,
        };
        Ok(Self { notifier, metrics })
    }

    /// Has them follow a run that begins.
    pub(super) fn begin(
        self,
        plan: &Plan,
        begun: &Begun,
        journal: &Arc<Journal>,
        events: &mut Events,
        stop: &Stop,
    ) -> Followers {
        let telling = self.notifier.map(|notifier| {
            output::note(&format!("notifying {}", notifier.place()));
            notifier.begin(plan, begun.resumed, output::note)
        });
        let totals = Totals { requests: begun.requests, elapsed_ms: begun.elapsed_ms, ..Totals::default() };
        let metrics = self.metrics.map(|sink| sink.follow(plan, &journal.tally(), totals, events.listen()));
        Followers { telling, metrics, journal: Arc::clone(journal), stop: stop.clone() }
    }
}

/// The followers of a run that is under way.
pub(super) struct Followers {
    telling: Option<Telling>,
    metrics: Option<Following>,
    journal: Arc<Journal>,
    stop: Stop,
}

impl Followers {
    /// Tells them how it ended, after its events have; no failure of this is one of the run.
    pub(super) async fn end(self, ended: Result<&Summary, &Error>) {
        if let Some(metrics) = self.metrics {
            metrics.end(ended).await;
        }
        let Some(telling) = self.telling else { return };
        // A stop that ended the run is no wish to end this as well; the next signal ends the process.
        let is_stopped = self.stop.is_asked();
        let cancelled = async { if is_stopped { std::future::pending().await } else { self.stop.asked().await } };
        let Some(untold) = telling.end(ended, cancelled).await else { return };
        if let Err(error) = self.journal.not_notified(untold).await {
            output::note(&format!("the report will not say that: {}", error.message()));
        }
    }
}
