//! Bodies that the Extended Client keeps in S3: read before a message is judged, for plan and apply alike. A pointer is other
//! people's data: what it leads to may be missing, forbidden, too long or no text, and then its message says so and stays.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use redrive_protocol::message::{Message, Payload};
use redrive_rules::rule::{MAX_PAYLOAD, Pointer, Rules};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;

use crate::error::{Error, Result};
use crate::sqs::{CallError, Fault};
use crate::store::{Bucket, Buckets};

/// Objects read at once.
const AT_ONCE: usize = 16;

/// How often one object is asked for before the store counts as gone.
const MAX_TRIES: u32 = 6;

/// The first wait before an object is asked for again; it doubles each time.
const PAUSE: Duration = Duration::from_millis(200);

/// Where such bodies are read from and written to.
#[derive(Debug)]
pub struct Payloads {
    store: Arc<dyn Buckets>,
    open: Mutex<HashMap<String, Arc<dyn Bucket>>>,
    hands: Semaphore,
}

impl Payloads {
    /// Reads from these buckets.
    pub fn new(store: Arc<dyn Buckets>) -> Self {
        Self { store, open: Mutex::default(), hands: Semaphore::new(AT_ONCE) }
    }

    /// The bucket of this name, opened once.
    pub async fn bucket(&self, name: &str) -> Result<Arc<dyn Bucket>> {
        let mut open = self.open.lock().await;
        if let Some(bucket) = open.get(name) {
            return Ok(Arc::clone(bucket));
        }
        let bucket = self.store.bucket(name).await?;
        open.insert(name.to_owned(), Arc::clone(&bucket));
        Ok(bucket)
    }

    /// Puts the bodies of those messages with them whose rules look at bodies. An error is one of the store or of the
    /// credentials, and of no message.
    pub async fn fetch(self: &Arc<Self>, rules: &Rules, messages: impl Iterator<Item = &mut Message>) -> Result<()> {
        let mut wanted = Vec::new();
        let mut reading = JoinSet::new();
        for message in messages {
            match rules.permitted_pointer(message) {
                None => {}
                Some(Err(why)) => message.payload = Some(Payload::Unreadable(why)),
                Some(Ok(pointer)) => {
                    let (payloads, position) = (Arc::clone(self), wanted.len());
                    let is_named = rules.names_buckets_of_bodies();
                    reading.spawn(async move { (position, payloads.read(&pointer, is_named).await) });
                    wanted.push(message);
                }
            }
        }
        while let Some(joined) = reading.join_next().await {
            let (position, payload) = joined.map_err(|error| Error::failed(error.to_string()))?;
            wanted[position].payload = Some(payload?);
        }
        Ok(())
    }

    /// `is_named`: the job itself names the bucket.
    async fn read(&self, pointer: &Pointer, is_named: bool) -> Result<Payload> {
        let _hand = self.hands.acquire().await;
        let at = format!("s3://{}/{}", pointer.bucket, pointer.key);
        let bucket = self.bucket(&pointer.bucket).await?;
        // Some clients give the length in characters.
        let most = pointer.size.saturating_mul(4).min(MAX_PAYLOAD);
        let mut tries = 1;
        loop {
            match bucket.get(&pointer.key, most).await {
                Ok(Some(content)) => {
                    let no_text = |_| Payload::Unreadable(format!("{at} is not UTF-8"));
                    return Ok(String::from_utf8(content).map_or_else(no_text, Payload::Fetched));
                }
                Ok(None) => return Ok(Payload::Unreadable(format!("{at} is not there"))),
                Err(error) if error.fault.is_transient() && tries < MAX_TRIES => {
                    tokio::time::sleep(PAUSE * 2_u32.pow(tries - 1)).await;
                    tries += 1;
                }
                // Any sender may name any bucket; of one that the job names, no body can be read.
                Err(error) if is_named && error.fault == Fault::Denied => return Err(error.into()),
                Err(error) => return unreadable(&at, most, error),
            }
        }
    }
}

/// What a failure means: for this one message, or for all.
fn unreadable(at: &str, most: usize, error: CallError) -> Result<Payload> {
    match error.fault {
        Fault::TooLong if most == MAX_PAYLOAD => {
            Ok(Payload::Unreadable(format!("{at} is longer than {MAX_PAYLOAD} bytes, the most that is read")))
        }
        Fault::TooLong => {
            Ok(Payload::Unreadable(format!("{at} is longer than {most} bytes, and so not what its message says")))
        }
        Fault::NotFound | Fault::Denied | Fault::Refused | Fault::OverLimit => {
            Ok(Payload::Unreadable(format!("{at}: {error}")))
        }
        Fault::Throttled | Fault::Unreachable | Fault::NoAnswer | Fault::Credentials => Err(error.into()),
    }
}
