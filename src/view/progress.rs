//! Progress while a run goes on: bars on a terminal, a quiet line now and then elsewhere, or JSON Lines.
//!
//! It listens to apply's events and holds nothing up: it works on a thread of its own, and apply drops events that nobody
//! takes in time. `bars` and its `terminal` are
//! the only importers of indicatif.

mod bars;
mod lines;
mod looking;
mod pace;
mod terminal;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::mpsc;

pub use self::looking::Looking;
use super::output;
use crate::apply::Event;
use crate::plan::Plan;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Bars on stderr, which is a terminal.
    Bars,
    /// A line on stderr now and then.
    Lines,
    /// JSON Lines on stdout.
    Json,
}

/// Whether nobody wants to see progress.
static SILENT: AtomicBool = AtomicBool::new(false);

/// Shows no progress from here on; JSON is data, and goes on.
pub fn silence() {
    SILENT.store(true, Ordering::Relaxed);
}

fn is_silent() -> bool {
    SILENT.load(Ordering::Relaxed)
}

/// Shows events until the last sender is gone, and leaves the terminal as it was.
pub async fn show(mode: Mode, plan: &Plan, mut events: mpsc::Receiver<Event>) {
    let plan = plan.clone();
    // A terminal or a pipe may block for as long as it likes; a worker of the runtime must not.
    let shown = tokio::task::spawn_blocking(move || {
        let mut screen = Screen::new(mode, plan);
        while let Some(event) = events.blocking_recv() {
            screen.show(&event, Instant::now());
        }
        screen.close();
    });
    // Where that thread panicked, the panic is on stderr already, and the run goes on without progress.
    let _ = shown.await;
}

enum Screen {
    Bars(Box<bars::Bars>),
    Lines(lines::Words),
    Json(Box<lines::Json>),
    /// Stdout is broken, or nobody wants to see it.
    Nobody,
}

impl Screen {
    fn new(mode: Mode, plan: Plan) -> Self {
        match mode {
            Mode::Bars | Mode::Lines if is_silent() => Self::Nobody,
            Mode::Bars => Self::Bars(Box::new(bars::Bars::on_stderr(&plan))),
            Mode::Lines => Self::Lines(lines::Words::new(&plan)),
            Mode::Json => Self::Json(Box::new(lines::Json::new(plan))),
        }
    }

    fn show(&mut self, event: &Event, now: Instant) {
        match self {
            Self::Bars(bars) => bars.show(event, now),
            Self::Lines(words) => {
                if let Some(line) = words.line(event, now) {
                    output::err(&line);
                }
            }
            Self::Json(json) => {
                if let Some(line) = json.line(event, now)
                    && output::out(&line).is_err()
                {
                    // The summary at the end meets the same stdout and says so; here it would only be said often.
                    *self = Self::Nobody;
                }
            }
            Self::Nobody => {}
        }
    }

    fn close(&self) {
        if let Self::Bars(bars) = self {
            bars.clear();
        }
    }
}

#[cfg(test)]
mod tests;
