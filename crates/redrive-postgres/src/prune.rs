//! Forgetting runs: their rows in every table, and what room that gives back.

use tokio_postgres::Config;
use tokio_postgres::types::Type;

use super::link::Link;
use super::reads::value;
use super::runs::{NOW, PATIENCE};
use super::{Error, Result};

/// What is kept of runs, beside themselves.
pub(super) const OF_RUNS: [&str; 11] = [
    "message",
    "tally",
    "note",
    "lease",
    "resolution",
    "piece",
    "guard_event",
    "control",
    "bounce",
    "timeline",
    "identity",
];

/// Forgets these runs. Gives how many messages were forgotten, and the bytes of the journal before and afterwards: the room that
/// became free is used by later runs.
pub fn prune(config: &Config, runs: &[String]) -> Result<(u64, u64, u64)> {
    let link = Link::open(config)?;
    let tables = [&OF_RUNS[..], &["run"]].concat();
    let size = || {
        let sql = "SELECT sum(pg_total_relation_size(name::regclass))::int8 FROM unnest($1::text[]) AS tables (name)";
        let row = link
            .row(sql, &[(&tables, Type::TEXT_ARRAY)])?
            .ok_or_else(|| Error::new("the server did not say how large the journal is"))?;
        Ok::<_, Error>(value::<i64>(&row, 0)?.cast_unsigned())
    };
    let before = size()?;
    link.batch("BEGIN")?;
    let sql =
        format!("SELECT name FROM run WHERE name = ANY ($1) AND in_session AND {NOW} - coalesce(beat, 0) < {PATIENCE}");
    if let Some(row) = link.row(&sql, &[(&runs, Type::TEXT_ARRAY)])? {
        return Err(Error::busy(format!("another redrive is at work on run {}", value::<String>(&row, 0)?)));
    }
    let mut messages = 0;
    for table in OF_RUNS {
        let sql = format!("DELETE FROM {table} WHERE run IN (SELECT id FROM run WHERE name = ANY ($1))");
        let gone = link.run(&sql, &[(&runs, Type::TEXT_ARRAY)])?;
        messages += if table == "message" { gone } else { 0 };
    }
    link.run("DELETE FROM run WHERE name = ANY ($1)", &[(&runs, Type::TEXT_ARRAY)])?;
    link.batch("COMMIT")?;
    Ok((messages, before, size()?))
}
