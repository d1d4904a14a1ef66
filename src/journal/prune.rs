//! Forgetting runs. What is forgotten is not recognised any more: a message that such a run had sent and that comes back under
//! its old ID is a new one then.

use std::path::Path;

use rusqlite::params;

use super::entries::Index;
use super::lock::Lock;
use super::schema::{broken, open};
use super::{Location, server};
use crate::error::{Error, Result};

/// What pruning did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// Messages that were forgotten.
    pub messages: u64,
    /// Bytes of the journal before.
    pub before: u64,
    /// Bytes of the journal afterwards.
    pub after: u64,
}

/// Forgets these runs, and gives the room they took back to the file system. Which of them may be forgotten is the caller's
/// business. The room is given back by writing what is left anew, which takes as much room again for as long as it lasts;
/// without it the runs are forgotten all the same, and an error says so.
pub fn prune(location: &Location, runs: &[String]) -> Result<Pruned> {
    match location {
        Location::File(path) => prune_file(path, runs),
        Location::Server(url) => {
            let (messages, before, after) = server::prune(url, runs)?;
            Ok(Pruned { messages, before, after })
        }
    }
}

fn prune_file(path: &Path, runs: &[String]) -> Result<Pruned> {
    let _lock = Lock::take(path)?;
    let mut connection = open(path)?;
    let sql = |error: rusqlite::Error| broken(path, &error);
    let before = size(path)?;
    let transaction = connection.transaction().map_err(sql)?;
    transaction.execute_batch("CREATE TEMP TABLE pruned (run INTEGER PRIMARY KEY)").map_err(sql)?;
    for run in runs {
        transaction.execute("INSERT INTO pruned SELECT id FROM run WHERE name = ?1", params![run]).map_err(sql)?;
    }
    let mut messages = 0;
    for index in Index::ALL {
        let gone = "(SELECT run FROM rested WHERE rested.seq = loose.seq) IN (SELECT run FROM pruned)";
        transaction.execute(&format!("DELETE FROM {} AS loose WHERE {gone}", index.table()), []).map_err(sql)?;
    }
    let gone = "(SELECT number FROM segment WHERE run IN (SELECT run FROM pruned))";
    transaction.execute(&format!("DELETE FROM entries WHERE segment IN {gone}"), []).map_err(sql)?;
    for table in [
        "rested",
        "segment",
        "note",
        "identity",
        "lease",
        "resolution",
        "tally",
        "piece",
        "effort",
        "timeline",
        "guard_event",
        "bounce",
    ] {
        let gone = transaction.execute(&format!("DELETE FROM {table} WHERE run IN (SELECT run FROM pruned)"), []);
        messages += if table == "rested" { gone.map_err(sql)? } else { gone.map(|_| 0).map_err(sql)? };
    }
    transaction.execute("DELETE FROM run WHERE id IN (SELECT run FROM pruned)", []).map_err(sql)?;
    transaction.commit().map_err(sql)?;
    let shrunk = connection.execute_batch("PRAGMA auto_vacuum = incremental; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)");
    shrunk.map_err(|error| {
        Error::failed(format!(
            "the runs are forgotten, but the journal {} could not be made smaller: {error}",
            path.display()
        ))
        .hint("that takes as much free disk space as what is left in it; later runs use the space that became free")
    })?;
    Ok(Pruned { messages: messages as u64, before, after: size(path)? })
}

fn size(path: &Path) -> Result<u64> {
    let metadata = std::fs::metadata(path);
    let length = metadata.map(|metadata| metadata.len());
    length.map_err(|error| Error::failed(format!("the journal {} cannot be looked at: {error}", path.display())))
}
