//! The request log: what was asked of the sandbox, in order, for tests and benchmarks to count and to check. Bounded; bodies
//! never get into it, only their MD5s.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::sqs::Touched;
use super::sqs::message::hex;

/// How many requests are remembered.
const CAPACITY: usize = 200_000;

/// How many texts are shared between entries: actions, and the few queues and keys that most sandboxes see.
const NAMES: usize = 64;

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
    /// When it was signed, in milliseconds since the epoch by the client's clock, to the second.
    pub signed_ms: Option<u64>,
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

/// An entry as it is kept: some hundred thousand of them are, beside the messages.
struct Kept {
    number: u64,
    at_ms: u64,
    took_us: u64,
    action: Arc<str>,
    resource: Arc<str>,
    access_key: Option<Arc<str>>,
    region: Option<Arc<str>>,
    signed_ms: Option<u64>,
    code: Option<Arc<str>>,
    key: Option<Box<str>>,
    touched: Box<[Touched]>,
    faults: Box<[String]>,
    entries: u32,
    failed: u32,
    request_bytes: u32,
    status: u16,
}

/// Texts that come again and again, each kept once. Only the newest few: what a client can make up must not add up.
#[derive(Default)]
struct Names(VecDeque<Arc<str>>);

impl Names {
    fn shared(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.iter().find(|known| known.as_ref() == text) {
            return Arc::clone(known);
        }
        if self.0.len() == NAMES {
            self.0.pop_front();
        }
        let new: Arc<str> = text.into();
        self.0.push_back(Arc::clone(&new));
        new
    }

    fn optional(&mut self, text: Option<&str>) -> Option<Arc<str>> {
        text.map(|text| self.shared(text))
    }
}

impl Kept {
    fn new(entry: LogEntry, touched: Vec<Touched>, names: &mut Names) -> Self {
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            number: entry.number,
            at_ms: entry.at_ms,
            took_us: entry.took_us,
            action: names.shared(&entry.action),
            resource: names.shared(&entry.resource),
            access_key: names.optional(entry.access_key.as_deref()),
            region: names.optional(entry.region.as_deref()),
            signed_ms: entry.signed_ms,
            code: names.optional(entry.code.as_deref()),
            key: entry.key.map(String::into_boxed_str),
            touched: touched.into_boxed_slice(),
            faults: entry.faults.into_boxed_slice(),
            entries: small(entry.entries),
            failed: small(entry.failed),
            request_bytes: small(entry.request_bytes),
            status: entry.status,
        }
    }

    fn show(&self) -> LogEntry {
        let optional = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
        let message = |touched: &Touched| LoggedMessage {
            id: touched.id.to_string(),
            body_md5: touched.body_md5.map(|md5| hex(&md5)),
        };
        LogEntry {
            number: self.number,
            at_ms: self.at_ms,
            took_us: self.took_us,
            action: self.action.to_string(),
            resource: self.resource.to_string(),
            key: self.key.as_deref().map(str::to_owned),
            access_key: optional(&self.access_key),
            region: optional(&self.region),
            signed_ms: self.signed_ms,
            messages: self.touched.iter().map(message).collect(),
            entries: self.entries as usize,
            failed: self.failed as usize,
            request_bytes: self.request_bytes as usize,
            status: self.status,
            code: optional(&self.code),
            faults: self.faults.to_vec(),
        }
    }
}

#[derive(Default)]
struct Inner {
    entries: VecDeque<Kept>,
    names: Names,
}

#[derive(Default)]
pub(super) struct Log {
    last: AtomicU64,
    inner: Mutex<Inner>,
}

impl Log {
    /// The number of the next request.
    pub(super) fn next_number(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a request and the messages that it touched.
    pub(super) fn add(&self, entry: LogEntry, touched: Vec<Touched>) {
        let mut inner = self.lock();
        let Inner { entries, names } = &mut *inner;
        if entries.len() == CAPACITY {
            entries.pop_front();
        }
        entries.push_back(Kept::new(entry, touched, names));
    }

    /// The entries after a number, in the order in which they ended.
    pub(super) fn since(&self, number: u64) -> Vec<LogEntry> {
        self.lock().entries.iter().filter(|entry| entry.number > number).map(Kept::show).collect()
    }

    /// Forgets the entries; the numbers go on.
    pub(super) fn clear(&self) {
        self.lock().entries = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn entry(log: &Log, action: &str) -> LogEntry {
        LogEntry { number: log.next_number(), action: action.to_owned(), ..LogEntry::default() }
    }

    #[test]
    fn what_was_added_is_shown() {
        let log = Log::default();
        let full = LogEntry {
            number: log.next_number(),
            at_ms: 2,
            took_us: 3,
            action: "SendMessageBatch".to_owned(),
            resource: "orders".to_owned(),
            key: Some("a/b".to_owned()),
            access_key: Some("AK".to_owned()),
            region: Some("eu-west-1".to_owned()),
            signed_ms: Some(8_000),
            messages: Vec::new(),
            entries: 4,
            failed: 5,
            request_bytes: 6,
            status: 200,
            code: Some("Throttled".to_owned()),
            faults: vec!["throttle".to_owned()],
        };
        let touched = Touched { id: Uuid::from_u128(7), body_md5: Some([1; 16]) };
        log.add(full.clone(), vec![touched]);
        let message = LoggedMessage { id: touched.id.to_string(), body_md5: Some("01".repeat(16)) };
        assert_eq!(log.since(0), [LogEntry { messages: vec![message], ..full }]);
        assert!(log.since(1).is_empty());
        log.clear();
        assert!(log.since(0).is_empty());
    }

    #[test]
    fn it_is_bounded_whatever_is_asked() {
        let log = Log::default();
        for number in 0..CAPACITY + 5 {
            let entry = entry(&log, &format!("Made-up-{number}"));
            log.add(entry, Vec::new());
        }
        let inner = log.lock();
        assert_eq!((inner.entries.len(), inner.names.0.len()), (CAPACITY, NAMES));
        assert_eq!(inner.entries[0].action.as_ref(), "Made-up-5");
    }
}
