//! Numbers that a store gives, so that its rows stay small.

/// The number of a queue in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueNo(pub i64);

/// The number of a run in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunNo(pub i64);
