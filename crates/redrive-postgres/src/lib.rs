//! The journal on `PostgreSQL`: a [`Store`](redrive_protocol::protocol::Store) of the protocol that outlives the machine it was
//! written from.
//!
//! One connection and one thread: whoever drives the protocol begins a transaction, lets the protocol work, and commits. What
//! the protocol writes is gathered and goes out in sets, one statement a table ([`pending`]); what it is about to ask for can be
//! fetched for a whole batch in one request ([`Store::look_ahead`](redrive_protocol::protocol::Store::look_ahead)). So a batch costs a few requests, however many messages
//! it has.

mod control;
mod guards;
mod health;
mod identity;
mod keeper;
mod link;
mod pending;
mod prune;
mod reader;
mod reads;
mod runs;
mod schema;
mod store;
mod tally;
mod timeline;
mod url;

use std::fmt;

pub use control::Asker;
pub use health::{Health, check, init};
pub use prune::prune;
pub use reader::PostgresReader;
pub use store::PostgresStore;
pub use tokio_postgres::Config;
pub use url::config;

/// Why the journal's database did not do what was asked.
#[derive(Debug, Clone)]
pub struct Error {
    message: String,
    /// Whether nobody can know if it was carried out.
    is_unclear: bool,
    /// Whether somebody else is at work.
    is_busy: bool,
}

impl Error {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_unclear: false, is_busy: false }
    }

    fn busy(message: String) -> Self {
        Self { is_busy: true, ..Self::new(message) }
    }

    /// Whether another process is at work, so that nothing was done.
    pub fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// Whether nobody can know if it was carried out: the connection ended before the answer came.
    pub fn is_unclear(&self) -> bool {
        self.is_unclear
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        let message = match error.as_db_error() {
            Some(said) => format!("{} (SQLSTATE {})", said.message(), said.code().code()),
            None => {
                std::error::Error::source(&error).map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
            }
        };
        Self { is_unclear: error.is_closed() || error.as_db_error().is_none(), ..Self::new(message) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

type Result<T> = std::result::Result<T, Error>;
