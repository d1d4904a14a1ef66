//! How a session of a run ended, and what the run has cost: what is kept of it beside its messages.

/// How a session of a run ended.
#[derive(Debug, Clone)]
pub struct SessionEnd {
    /// Whether the run is finished.
    pub finished: bool,
    /// Whether messages may be in flight that no journal knows, so that the next session waits for them.
    pub has_orphans: bool,
    /// The outcome's code.
    pub outcome: String,
    /// Why it stopped before its end.
    pub cause: Option<Cause>,
    /// What belongs to the run's figures and is not counted by message.
    pub totals: Totals,
}

/// Why a session of a run stopped before its end, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// What happened.
    pub error: String,
    /// What is safe, and what to do next.
    pub hint: Option<String>,
}

/// The figures of a run that are not counts of messages in the journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// SQS requests, over all sessions.
    pub requests: u64,
    /// Milliseconds, over all sessions.
    pub elapsed_ms: u64,
    /// Messages that could not be given back and come back by themselves.
    pub not_released: u64,
    /// Messages that SQS said to be visible when receives came back empty.
    pub still_visible: u64,
    /// Messages in flight with somebody else at the end.
    pub in_flight_elsewhere: u64,
}
