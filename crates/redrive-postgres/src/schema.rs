//! The tables: made where there are none, and refused where they are somebody else's or of another format.

use redrive_protocol::protocol::State;
use redrive_protocol::target::Reason;

use super::link::Link;
use super::reads::value;
use super::{Error, Result};

/// The format of the tables; another number for each change of them that is released.
const FORMAT: i64 = 1;

/// Whether the database has a journal. Fails where it has tables of these names that are none.
pub(super) fn is_there(link: &Link) -> Result<bool> {
    let sql = "SELECT to_regclass('journal') IS NOT NULL, to_regclass('message') IS NOT NULL OR to_regclass('run') IS NOT NULL";
    let row = link.row(sql, &[])?.ok_or_else(|| Error::new("the server did not say what the database holds"))?;
    match (value(&row, 0)?, value(&row, 1)?) {
        (false, false) => return Ok(false),
        (true, true) => {}
        _ => return Err(Error::new("the database has tables of the same names, and is not a journal of redrive's")),
    }
    let found = link.row("SELECT max(format) FROM journal", &[])?;
    match found.map(|row| value::<Option<i64>>(&row, 0)).transpose()?.flatten() {
        Some(FORMAT) => Ok(true),
        other => Err(Error::new(format!(
            "the journal there is of format {}, and this redrive knows format {FORMAT}: another version wrote it",
            other.map_or("unknown".to_owned(), |format| format.to_string())
        ))),
    }
}

/// Views for people and dashboards. The program does not read them.
fn views() -> String {
    let states: Vec<String> =
        State::ALL.iter().map(|state| format!("WHEN {} THEN '{}'", *state as u8, state.code())).collect();
    let reasons: Vec<String> =
        Reason::ALL.iter().map(|reason| format!("WHEN {} THEN '{}'", *reason as u8, reason.code())).collect();
    include_str!("views.sql").replace("{states}", &states.join(" ")).replace("{reasons}", &reasons.join(" "))
}

/// Makes the tables where there are none.
pub(super) fn make(link: &Link) -> Result<()> {
    // Two that come at the same moment wait for each other here.
    link.batch("BEGIN; SELECT pg_advisory_xact_lock(7264726976)")?;
    if !is_there(link)? {
        link.batch(include_str!("tables.sql"))?;
        link.batch(&views())?;
    }
    link.batch("COMMIT")
}
