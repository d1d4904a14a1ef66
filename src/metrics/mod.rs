//! The figures of a run for a monitoring system, while it goes on and at its end: a file in Prometheus' text format, or lines in
//! CloudWatch's embedded metric format.
//!
//! It listens to apply's events on a thread of its own, and holds nothing up. What it cannot write is said once, and the run goes on.
//! `families` is what there is, `prometheus` and `emf` are the two forms, and `reference` is the page about them.

mod emf;
mod families;
mod prometheus;
mod reference;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use redrive_protocol::protocol::{Tally, Totals};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::apply::{Event, Figures, Progress, Summary};
use crate::error::{Error, Result};
use crate::plan::{Plan, refuse_foreign, try_to_write, write_atomically};
use crate::view::output;
use families::Snapshot;

pub use reference::reference_markdown;

/// How often a file is written anew while the run goes on: a scrape every few seconds sees something new each time.
const FILE_EVERY: Duration = Duration::from_secs(5);

/// How often a line is written. CloudWatch keeps a minute as one value.
const LINE_EVERY: Duration = Duration::from_mins(1);

/// Where metrics go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// A file in Prometheus' text format.
    File(PathBuf),
    /// Lines in the embedded metric format, on stderr.
    Lines,
}

impl Sink {
    /// Refuses a file that cannot be written, or that is not redrive's to replace.
    pub fn check(&self) -> Result<()> {
        let Self::File(path) = self else { return Ok(()) };
        check_own(path)?;
        try_to_write(path, prometheus::MODE).map_err(|error| {
            Error::usage(format!("metrics cannot be written to {}: {error}", path.display()))
                .hint("nothing was received or sent; give --metrics another place")
        })
    }

    /// Follows a run from here on: writes what is known of it now, and then whatever `events` tell.
    pub fn follow(self, plan: &Plan, tally: &Tally, totals: Totals, events: mpsc::Receiver<Event>) -> Following {
        let every = if self == Self::Lines { LINE_EVERY } else { FILE_EVERY };
        let recorder = Recorder {
            sink: self,
            plan: plan.clone(),
            started: Timestamp::now(),
            counted: prometheus::Counted::default(),
            before: Figures::new(plan, tally, totals),
            is_failing: false,
        };
        // A disk may take as long as it likes; a worker of the runtime must not.
        Following(tokio::task::spawn_blocking(move || recorder.follow(events, every)))
    }
}

/// A run whose metrics are written.
#[derive(Debug)]
pub struct Following(JoinHandle<Recorder>);

impl Following {
    /// Writes how the run ended; its events must have ended.
    pub async fn end(self, ended: Result<&Summary, &Error>) {
        let (figures, outcome) = match ended {
            Ok(Summary { outcome, figures }) => (Some(figures.clone()), outcome.code()),
            Err(_) => (None, "failed"),
        };
        // Where that thread panicked, the panic is on stderr already.
        let Ok(mut recorder) = self.0.await else { return };
        let written = tokio::task::spawn_blocking(move || {
            let figures = figures.unwrap_or_else(|| recorder.before.clone());
            recorder.write(figures, outcome, Some(Timestamp::now()));
        });
        let _ = written.await;
    }
}

/// What writes the metrics of one session of a run.
#[derive(Debug)]
struct Recorder {
    sink: Sink,
    plan: Plan,
    started: Timestamp,
    /// What counters have shown.
    counted: prometheus::Counted,
    /// The figures that were written last.
    before: Figures,
    /// Whether the last write failed.
    is_failing: bool,
}

impl Recorder {
    fn follow(mut self, mut events: mpsc::Receiver<Event>, every: Duration) -> Self {
        let mut written = Instant::now();
        self.write(self.before.clone(), families::RUNNING, None);
        while let Some(event) = events.blocking_recv() {
            let Event::Progress(Progress { tally, requests, elapsed_ms }) = event else { continue };
            if written.elapsed() >= every {
                written = Instant::now();
                let totals = Totals { requests, elapsed_ms, ..Totals::default() };
                let figures = Figures::new(&self.plan, &tally, totals);
                self.write(figures, families::RUNNING, None);
            }
        }
        self
    }

    fn write(&mut self, figures: Figures, outcome: &'static str, ended: Option<Timestamp>) {
        let snapshot = Snapshot { plan: &self.plan, figures: &figures, outcome, started: self.started, ended };
        match &self.sink {
            Sink::File(path) => {
                let text = prometheus::text(&snapshot, &mut self.counted);
                match write_file(path, &text) {
                    Ok(()) => self.is_failing = false,
                    Err(error) if !std::mem::replace(&mut self.is_failing, true) => {
                        output::note(&format!("{}; the run goes on without", error.message()));
                    }
                    Err(_) => {}
                }
            }
            Sink::Lines => output::json_note(&emf::line(&snapshot, &self.before, Timestamp::now())),
        }
        self.before = figures;
    }
}

/// Refuses to replace what is not a metrics file of redrive's.
fn check_own(path: &Path) -> Result<()> {
    refuse_foreign(path, "a metrics file of redrive", prometheus::HEAD)
}

/// Replaces the file as a whole: a reader sees the old one or the new one. Looks again first, since others may put a file there.
fn write_file(path: &Path, text: &str) -> Result<()> {
    check_own(path)?;
    write_atomically(path, text.as_bytes(), prometheus::MODE)
        .map_err(|error| Error::failed(format!("metrics cannot be written to {}: {error}", path.display())))
}
