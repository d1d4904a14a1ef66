//! What all connections share. Data only: what is done with it, `server` does, and `control` shows it.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use super::faults::Faults;
use super::keys::Keys;
use super::log::Log;
use super::policy::Policy;
use super::s3::Store;
use super::sqs::account::Account;

/// Everything that connections share.
pub(super) struct Shared {
    pub(super) account: Arc<Account>,
    pub(super) store: Store,
    pub(super) faults: Faults,
    pub(super) log: Log,
    /// The keys that signatures are verified with; without any they are not.
    pub(super) keys: Keys,
    /// What callers may do; without one, everything.
    pub(super) policy: RwLock<Option<Arc<Policy>>>,
    /// Whether rules may send signals to processes.
    pub(super) signals: bool,
    /// How long a connection may be idle or send its headers.
    pub(super) patience: Duration,
}
