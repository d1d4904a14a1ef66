//! A journal on a `PostgreSQL` server: how it is reached, and what its errors are in words.

use redrive_postgres::{Asker, Config, Health, PostgresReader, PostgresStore};

use super::Location;
use crate::error::{Error, Kind, Result};

/// How to connect. What the URL does not say is taken from the environment, as other programs do.
fn config(url: &str) -> Result<Config> {
    let unusable = |error: redrive_postgres::Error| {
        Error::usage(format!("the journal {}: {error}", Location::Server(url.to_owned())))
            .hint("a journal on a server is given as postgres://user@host:5432/database")
    };
    redrive_postgres::config(url).map_err(unusable)
}

pub(super) fn open(url: &str) -> Result<PostgresStore> {
    PostgresStore::open(&config(url)?)
        .map_err(|error| Error::from(error).about(&Location::Server(url.to_owned()).to_string()))
}

pub(super) fn open_to_read(url: &str) -> Result<Option<PostgresReader>> {
    PostgresReader::open(&config(url)?).map_err(|error| unusable(url, &error))
}

fn unusable(url: &str, error: &redrive_postgres::Error) -> Error {
    Error::failed(format!("the journal {} cannot be used: {error}", Location::Server(url.to_owned())))
        .hint("nothing was received or sent; check the URL (--journal, REDRIVE_JOURNAL), the server and the password")
}

/// How the server is.
pub(super) fn check(url: &str) -> Result<Health> {
    redrive_postgres::check(&config(url)?).map_err(|error| unusable(url, &error))
}

/// Makes the tables where there are none. Gives the SQL that lets a role use them.
pub(super) fn init(url: &str, role: &str) -> Result<String> {
    redrive_postgres::init(&config(url)?, role).map_err(|error| unusable(url, &error))
}

/// Asks the process at work on a run for something.
pub(super) fn ask(url: &str, run: &str, request: &str) -> Result<Asker> {
    Asker::ask(&config(url)?, run, request).map_err(|error| unusable(url, &error))
}

/// Forgets these runs. The room they took is the server's to use again. Gives the messages, and the bytes before and afterwards.
pub(super) fn prune(url: &str, runs: &[String]) -> Result<(u64, u64, u64)> {
    Ok(redrive_postgres::prune(&config(url)?, runs)?)
}

impl From<redrive_postgres::Error> for Error {
    fn from(error: redrive_postgres::Error) -> Self {
        if error.is_busy() {
            return Self::new(Kind::Busy, error.to_string())
                .hint("nothing was touched; wait for it to end, or for its machine to be given up");
        }
        Self::failed(format!("the journal's server: {error}"))
            .hint("nothing was deleted without proof; what was committed is where the same command goes on")
    }
}
