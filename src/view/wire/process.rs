//! The process at work on a run, in JSON.

use jiff::Timestamp;
use redrive_protocol::protocol::Process;
use serde::Serialize;

/// A process that was at work on a run when it was last heard of.
#[derive(Debug, Serialize)]
pub(super) struct ProcessObject<'a> {
    pid: u32,
    alive: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heard: Option<Timestamp>,
}

impl<'a> From<&'a Process> for ProcessObject<'a> {
    fn from(Process { pid, is_alive, elsewhere }: &'a Process) -> Self {
        let (host, heard) = elsewhere.as_ref().map(|(host, heard)| (host.as_str(), *heard)).unzip();
        Self { pid: *pid, alive: *is_alive, host, heard }
    }
}
