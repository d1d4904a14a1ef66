//! SQS and S3 in memory, on one port of this machine, so that the real SDKs talk to it. It behaves as SQS does
//! where SQS is awkward, and misbehaves on command.
//!
//! - [`Sandbox::start`] serves; a request with `X-Amz-Target` is SQS's, `/_sandbox/…` is the control endpoint, the rest is S3's.
//! - [`Scenario`] fills it with something to look at.
//! - [`Faults`] makes it misbehave, [`LogEntry`] says what it was asked, [`QueueState`] what is in its queues.
//!
//! Any credentials are accepted, unless the options name some. `ReceiveRequestAttemptId` is ignored, and so are queue policies.

mod answers;
mod control;
mod copy;
mod course;
mod error;
mod fault_text;
mod faults;
mod keys;
mod log;
mod permit;
mod policy;
mod query;
mod s3;
mod scenario;
mod server;
mod shared;
mod signature;
mod sqs;
mod state;
mod sts;
mod target;
#[cfg(test)]
mod tests;

/// The README's code, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use error::{Error, Result};
pub use faults::{Fault, Faults, Rule, Signal, When};
pub use keys::Credentials;
pub use log::{LogEntry, LoggedMessage};
pub use policy::Policy;
pub use scenario::{Scenario, ScenarioSummary, Seed};
pub use sqs::message::WireAttribute as MessageAttribute;
pub use state::{MessageState, QueueState, Whereabouts};

use keys::Keys;
use log::Log;
use s3::Store;
use shared::Shared;
use sqs::account::{Account, Setup};
use sqs::queue::Manner;

/// SQS's limit on a message and on a batch, in bytes.
const MESSAGE_LIMIT: usize = 1_048_576;

/// How a sandbox is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens. Anything but loopback opens it to others.
    pub address: IpAddr,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// What order of delivery and faults depend on.
    pub seed: u64,
    /// The region in ARNs.
    pub region: String,
    /// The account in ARNs and URLs.
    pub account: String,
    /// A directory that buckets are kept in too, and read from when the sandbox starts. Else they are in memory only.
    pub s3_root: Option<PathBuf>,
    /// Whether standard queues deliver out of order, and short polls miss messages.
    pub shuffle: bool,
    /// How likely a short poll leaves out each of the eight servers that a standard queue is spread over, from 0 to 1: how often a
    /// queue of one message seems to be empty. As likely a FIFO queue passes over the group whose turn it is.
    pub short_poll_miss: f64,
    /// How many messages of a queue may be in flight.
    pub in_flight_limit: usize,
    /// The most bytes in a message and in a batch; 262,144 makes it an older server.
    pub message_limit: usize,
    /// The keys it knows. Without any, every request is accepted, signed or not; with some, signatures are verified.
    pub credentials: Vec<Credentials>,
    /// The IAM policy that every caller is held to. Without one, everything is allowed.
    pub policy: Option<Policy>,
    /// Whether fault rules may send signals to processes of this machine.
    pub signals: bool,
    /// How long a connection may be idle or send its headers; a body may take half of it.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            seed: 1,
            region: "eu-west-1".to_owned(),
            account: "000000000000".to_owned(),
            s3_root: None,
            shuffle: true,
            short_poll_miss: 0.02,
            in_flight_limit: 120_000,
            message_limit: MESSAGE_LIMIT,
            credentials: Vec::new(),
            policy: None,
            signals: false,
            // Longer than clients keep idle connections, so that it is they who close.
            patience: Duration::from_mins(2),
        }
    }
}

/// A running endpoint. It stops when this is dropped.
pub struct Sandbox {
    shared: Arc<Shared>,
    url: String,
    s3_root: Option<PathBuf>,
    task: JoinHandle<()>,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sandbox({})", self.url)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sandbox {
    /// Starts to serve, on the current Tokio runtime.
    pub async fn start(options: Options) -> Result<Self> {
        if !(0.0..=1.0).contains(&options.short_poll_miss) {
            return Err(Error::usage(format!(
                "a short poll cannot miss with a probability of {}",
                options.short_poll_miss
            ))
            .hint("nothing was started; it is a number from 0 to 1, such as 0.25"));
        }
        let address = SocketAddr::new(options.address, options.port);
        let listener = TcpListener::bind(address).await.map_err(|error| {
            Error::failed(format!("the sandbox cannot listen on {address}: {error}"))
                .hint("nothing was started; choose another port, or 0 for a free one")
        })?;
        let bound =
            listener.local_addr().map_err(|error| Error::failed(format!("the sandbox has no port: {error}")))?;
        let account = Arc::new(Account::new(Setup {
            region: options.region,
            account: options.account,
            manner: Manner {
                seed: options.seed,
                shuffle: options.shuffle,
                short_poll_miss: options.short_poll_miss,
                in_flight_limit: options.in_flight_limit,
            },
            limit: options.message_limit,
        }));
        let url = format!("http://{bound}");
        // It was just made: nobody else can have set it.
        let _ = account.base_url.set(url.clone());
        let clock = Arc::clone(&account);
        let store = Store::open(options.s3_root.as_deref(), &account.setup.region, move || clock.now())?;
        let shared = Arc::new(Shared {
            account,
            store,
            faults: Faults::new(options.seed),
            log: Log::default(),
            keys: Keys::new(options.credentials),
            policy: RwLock::new(options.policy.map(Arc::new)),
            signals: options.signals,
            patience: options.patience,
        });
        let task = tokio::spawn(server::serve(listener, Arc::clone(&shared)));
        Ok(Self { shared, url, s3_root: options.s3_root, task })
    }

    /// Stops, and waits until the port is free again.
    pub async fn stop(mut self) {
        self.task.abort();
        // Aborted is how it is meant to end.
        let _ = (&mut self.task).await;
    }

    /// Where it serves, such as `http://127.0.0.1:4100`.
    pub fn endpoint_url(&self) -> String {
        self.url.clone()
    }

    /// The objects of a bucket by key, whole; nothing if there is no such bucket.
    pub fn objects(&self, bucket: &str) -> Option<BTreeMap<String, Vec<u8>>> {
        self.shared.store.contents(bucket)
    }

    /// The requests so far, in the order in which they ended.
    pub fn log(&self) -> Vec<LogEntry> {
        self.shared.log.since(0)
    }

    /// Forgets the log's entries.
    pub fn clear_log(&self) {
        self.shared.log.clear();
    }

    /// The fault rules.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Holds every caller to this policy from the next request on; without one, everything is allowed.
    pub fn set_policy(&self, policy: Option<Policy>) {
        *self.shared.policy.write().unwrap_or_else(PoisonError::into_inner) = policy.map(Arc::new);
    }

    /// All queues with all their messages.
    pub fn state(&self) -> Vec<QueueState> {
        let now = self.shared.account.now();
        self.shared.account.cells().iter().map(|cell| state::of(cell, now)).collect()
    }

    /// One queue with all its messages.
    pub fn queue(&self, name: &str) -> Option<QueueState> {
        Some(state::of(&*self.shared.account.by_name(name)?, self.shared.account.now()))
    }

    /// Sets the sandbox's clock forward.
    pub fn advance(&self, by: Duration) {
        self.shared.account.advance(u64::try_from(by.as_millis()).unwrap_or(u64::MAX));
    }

    /// Ends a message's visibility timeout, as if it had been received with a shorter one: its holder knows nothing of it. Answers
    /// whether it was in flight.
    pub fn reappear(&self, queue: &str, message_id: &str) -> bool {
        let (Some(cell), Ok(id)) = (self.shared.account.by_name(queue), message_id.parse()) else { return false };
        let was_in_flight = cell.lock().reappear(self.shared.account.now(), id);
        cell.wake.notify_one();
        was_in_flight
    }

    /// Makes a queue, as if created at this time (milliseconds since the epoch) or now; answers its URL. One that is there stays as it is.
    pub fn create_queue(&self, name: &str, attributes: &[(&str, &str)], created_ms: Option<u64>) -> Result<String> {
        scenario::create_queue(&self.shared.account, name, attributes, created_ms)
    }

    /// Makes a bucket.
    pub fn create_bucket(&self, name: &str) -> Result<()> {
        self.shared.store.create_bucket(name)
    }

    /// Encrypts a bucket with the KMS key of this ARN, ID or alias: who writes to it or reads from it needs a permission for the key, too.
    pub fn encrypt_bucket(&self, name: &str, key: &str) -> Result<()> {
        self.shared.store.encrypt_bucket(name, key)
    }

    /// Puts messages into a queue without sending them; answers their IDs.
    pub fn seed(&self, queue: &str, messages: impl IntoIterator<Item = Seed>) -> Result<Vec<String>> {
        scenario::seed(&self.shared.account, queue, messages)
    }

    /// Fills queues and buckets with a scenario.
    pub fn seed_scenario(&self, scenario: Scenario) -> Result<ScenarioSummary> {
        scenario.fill(self)
    }

    /// The environment that points the AWS CLI and the SDKs here.
    pub fn environment(&self) -> BTreeMap<&'static str, String> {
        let known = self.shared.keys.first();
        let (access_key, secret_key) =
            known.map_or(("sandbox", "sandbox"), |known| (&known.access_key, &known.secret_key));
        BTreeMap::from([
            ("AWS_ACCESS_KEY_ID", access_key.to_owned()),
            // By this one goes version 1 of the AWS CLI.
            ("AWS_DEFAULT_REGION", self.shared.account.setup.region.clone()),
            ("AWS_ENDPOINT_URL", self.url.clone()),
            ("AWS_REGION", self.shared.account.setup.region.clone()),
            ("AWS_SECRET_ACCESS_KEY", secret_key.to_owned()),
        ])
    }

    /// What to tell somebody who has started it: where it is, the environment to set, and what it holds.
    pub fn welcome(&self, summary: Option<&ScenarioSummary>) -> Vec<String> {
        let kept = self.s3_root.as_ref().map(|root| format!(", buckets in {}", root.display())).unwrap_or_default();
        let mut lines = vec![format!("Sandbox: SQS and S3 at {}{kept}", self.url)];
        lines.extend(self.environment().iter().map(|(name, value)| format!("export {name}={value}")));
        lines.extend(summary.iter().flat_map(|summary| summary.lines()));
        lines
    }

    fn seed_number(&self) -> u64 {
        self.shared.account.setup.manner.seed
    }

    fn account(&self) -> &Arc<Account> {
        &self.shared.account
    }
}
