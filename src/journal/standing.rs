//! A journal, looked at and made ready by somebody who is not at work on a run.

pub use redrive_postgres::Health;

use super::lock::Lock;
use super::{Location, schema, server};
use crate::error::Result;

/// Looks at the server of a journal; a file has none.
pub fn check(location: &Location) -> Result<Option<Health>> {
    match location {
        Location::File(_) => Ok(None),
        Location::Server(url) => server::check(url).map(Some),
    }
}

/// Makes a journal where there is none. Gives the SQL that lets a role use one on a server and do nothing else.
pub fn init(location: &Location, role: &str) -> Result<Option<String>> {
    match location {
        Location::File(path) => {
            let _lock = Lock::take(path)?;
            schema::open(path).map(|_| None)
        }
        Location::Server(url) => server::init(url, role).map(Some),
    }
}
