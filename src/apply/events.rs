//! What a run tells while it goes on: the whole interface between apply and whoever shows or records it. Telling never holds up the
//! work: where nobody listens, or not fast enough, an event is dropped, and the next progress says it all again.

use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::journal::GuardEvent;
use redrive_protocol::protocol::Tally;

/// Something worth showing.
#[derive(Debug, Clone)]
pub enum Event {
    /// The run goes on from an earlier session.
    Resumed {
        /// Whether that was ended in the midst of it.
        interrupted: bool,
        /// Sends whose answers were lost with it.
        in_doubt: u64,
        /// Messages safely elsewhere that are now deleted.
        to_delete: u64,
        /// Messages that are now given back.
        to_release: u64,
    },
    /// Messages are in flight that a killed process may have received; the run waits for them to come back.
    WaitingForOrphans {
        /// How many.
        messages: u64,
        /// Until when at the most.
        until: Timestamp,
    },
    /// A guard or a person did something to the run.
    Guard(GuardEvent),
    /// The figures as they are on disk.
    Progress(Progress),
}

/// The figures while the run goes on.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The journal's figures.
    pub tally: Tally,
    /// SQS requests, over all sessions.
    pub requests: u64,
    /// Milliseconds, over all sessions.
    pub elapsed_ms: u64,
}

/// Where events go.
#[derive(Debug, Clone, Default)]
pub struct Events {
    listeners: Vec<mpsc::Sender<Event>>,
}

impl Events {
    /// The events for one more listener. They end with the run.
    pub fn listen(&mut self) -> mpsc::Receiver<Event> {
        let (listener, events) = mpsc::channel(64);
        self.listeners.push(listener);
        events
    }

    pub(super) fn send(&self, event: &Event) {
        for listener in &self.listeners {
            let _ = listener.try_send(event.clone());
        }
    }
}
