//! How a run goes about it: from the job, with its defaults filled in. Plain data.

use std::sync::Arc;
use std::time::Duration;

use redrive_rules::job::InDoubt;

use crate::payload::Payloads;

/// For how long a received message stays invisible at first, where the job does not say. Short, since this is how long the next session
/// has to wait for what a killed one had received; long enough for most messages to be moved without an extension.
pub const VISIBILITY: Duration = Duration::from_mins(1);

/// How to go about it: from the job, with its defaults filled in.
#[derive(Debug, Clone)]
pub struct Options {
    /// Requests of each kind under way at once; without it as many as prove good.
    pub concurrency: Option<usize>,
    /// For how long a received message stays invisible before it is extended.
    pub visibility: Duration,
    /// What to do where the answer of a send to a standard queue never came.
    pub in_doubt: InDoubt,
    /// Messages that leave the source in a second.
    pub rate: Option<u32>,
    /// For how long the rate rises to that.
    pub ramp: Duration,
    /// No more than this many messages leave the source.
    pub max_messages: Option<u64>,
    /// Go on where a rule passes the plan's bound.
    pub allow_drift: bool,
    /// Messages in the pipeline at once.
    pub max_in_pipeline: usize,
    /// Bytes of messages in the pipeline at once.
    pub max_pipeline_bytes: usize,
    /// Where bodies are that the Extended Client keeps in S3, for a job that follows its pointers.
    pub payloads: Option<Arc<Payloads>>,
}
