//! Stopping: signals are counted, and what the count means is decided in one tested place; and for what a run halts.

use std::sync::Arc;

use tokio::sync::watch;

use crate::error::Error;

/// Why a run halts before its end.
#[derive(Debug)]
pub(super) enum Halt {
    /// Somebody asked for it.
    Signal,
    /// What it met is not what was planned.
    Drift(String),
    /// No more messages can be in flight.
    InFlight(String),
    /// A guard says so.
    Guard(String),
    /// Something failed for good.
    Failed(Error),
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// Nothing: go on.
    None,
    /// Stop receiving, finish what is under way, give the rest back.
    Finish,
    /// End at once; the journal knows where.
    Now,
}

impl Signal {
    /// What one more signal means.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::None => Self::Finish,
            Self::Finish | Self::Now => Self::Now,
        }
    }
}

/// A handle to ask for a stop and to hear of it.
#[derive(Debug, Clone)]
pub struct Stop {
    signal: Arc<watch::Sender<Signal>>,
}

impl Default for Stop {
    fn default() -> Self {
        Self { signal: Arc::new(watch::channel(Signal::None).0) }
    }
}

impl Stop {
    /// Counts a signal; gives what it means.
    pub fn signal(&self) -> Signal {
        self.signal.send_modify(|signal| *signal = signal.next());
        *self.signal.borrow()
    }

    /// Asks for a stop in order, unless one was asked for.
    pub fn finish(&self) {
        self.signal.send_modify(|signal| *signal = (*signal).max(Signal::Finish));
    }

    /// Whether a stop was asked for.
    pub fn is_asked(&self) -> bool {
        *self.signal.borrow() > Signal::None
    }

    /// Waits until a stop is asked for.
    pub async fn asked(&self) {
        let mut receiver = self.signal.subscribe();
        // The sender lives as long as `self`.
        let _ = receiver.wait_for(|signal| *signal > Signal::None).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_finishes_and_the_second_ends() {
        let stop = Stop::default();
        assert!(!stop.is_asked());
        assert_eq!(stop.signal(), Signal::Finish);
        assert!(stop.is_asked());
        assert_eq!(stop.signal(), Signal::Now);
        assert_eq!(stop.signal(), Signal::Now);
    }
}
