//! The request log: what was asked of the sandbox, in order, for tests and benchmarks to count and to check. Bounded; bodies
//! never get into it, only their MD5s.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// How many requests are remembered.
const CAPACITY: usize = 200_000;

/// One request of SQS or S3. Control requests are not logged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Its number, from 1, in the order of arrival.
    pub number: u64,
    /// When it arrived, in milliseconds since the epoch by the sandbox's clock.
    pub at_ms: u64,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// The action, such as `SendMessageBatch` or, of S3, `PutObject`.
    pub action: String,
    /// The queue or bucket, by name.
    pub resource: String,
    /// The object's key, of S3.
    pub key: Option<String>,
    /// The access key ID that signed it.
    pub access_key: Option<String>,
    /// The region it was signed for.
    pub region: Option<String>,
    /// The messages that it sent (their new IDs), delivered, deleted or changed.
    pub messages: Vec<LoggedMessage>,
    /// Entries of a batch, or messages received, or 1.
    pub entries: usize,
    /// How many of the entries failed.
    pub failed: usize,
    /// Bytes of the request's body.
    pub request_bytes: usize,
    /// The HTTP status; 0 where no answer was given.
    pub status: u16,
    /// The error's code.
    pub code: Option<String>,
    /// The faults that hit it.
    pub faults: Vec<String>,
}

/// A message in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedMessage {
    /// The message ID.
    pub id: String,
    /// The MD5 of its body: the same before and after an unchanged body moved.
    pub body_md5: Option<String>,
}

#[derive(Default)]
pub(super) struct Log {
    last: AtomicU64,
    entries: Mutex<VecDeque<LogEntry>>,
}

impl Log {
    /// The number of the next request.
    pub(super) fn next_number(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<LogEntry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, entry: LogEntry) {
        let mut entries = self.lock();
        if entries.len() == CAPACITY {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    /// The entries after a number, in the order in which they ended.
    pub(super) fn since(&self, number: u64) -> Vec<LogEntry> {
        self.lock().iter().filter(|entry| entry.number > number).cloned().collect()
    }

    /// Forgets the entries; the numbers go on.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }
}
