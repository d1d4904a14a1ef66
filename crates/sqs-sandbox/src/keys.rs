//! The keys that clients sign with: those that a sandbox was started with, and those of sessions.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::sqs::message::Millis;

/// A key that the sandbox knows.
#[derive(Clone)]
pub struct Credentials {
    /// The access key ID.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.access_key)
    }
}

/// What a role was assumed for.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) secret_key: String,
    /// Who it is.
    pub(super) arn: String,
    pub(super) role_id: String,
    pub(super) until: Millis,
}

/// The keys that the sandbox knows: those it was started with, and those of sessions. Without any of the former it lets in everybody.
pub(super) struct Keys {
    known: Vec<Credentials>,
    sessions: Mutex<HashMap<String, Session>>,
}

impl Keys {
    pub(super) fn new(known: Vec<Credentials>) -> Self {
        Self { known, sessions: Mutex::default() }
    }

    /// The first of the keys that it was started with.
    pub(super) fn first(&self) -> Option<&Credentials> {
        self.known.first()
    }

    /// The secret that belongs to an access key.
    pub(super) fn secret(&self, access_key: &str, now: Millis) -> Option<String> {
        if let Some(known) = self.known.iter().find(|known| known.access_key == access_key) {
            return Some(known.secret_key.clone());
        }
        self.session(access_key).filter(|session| session.until > now).map(|session| session.secret_key)
    }

    /// The session that an access key was issued for.
    pub(super) fn session(&self, access_key: &str) -> Option<Session> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).get(access_key).cloned()
    }

    /// Begins a session.
    pub(super) fn begin(&self, access_key: String, session: Session) {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).insert(access_key, session);
    }
}
