//! How runs go over time, in the database.

use redrive_protocol::protocol::{Happened, Timeline};
use rusqlite::{Connection, params};

use super::table::Table;
use crate::error::Result;

/// The timeline of a run for people: with what came back and what guards did.
pub(super) fn read_all(connection: &Connection, run: i64) -> rusqlite::Result<Timeline> {
    let mut timeline = read(connection, run)?;
    for table in ["bounce", "guard_event"] {
        let sql = format!("SELECT at / 1000 AS second, count(*) FROM {table} WHERE run = ?1 GROUP BY second");
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query([run])?;
        while let Some(row) = rows.next()? {
            let (second, count) = (row.get(0)?, row.get(1)?);
            let (came_back, guarded) = if table == "bounce" { (count, 0) } else { (0, count) };
            timeline.mark(second, Happened { came_back, guarded, ..Happened::default() });
        }
    }
    timeline.shorten();
    Ok(timeline)
}

/// What a run has noted of itself.
fn read(connection: &Connection, run: i64) -> rusqlite::Result<Timeline> {
    let mut timeline = Timeline::default();
    let mut statement = connection
        .prepare("SELECT seconds, start, departed, in_doubt, throttled FROM timeline WHERE run = ?1 ORDER BY start")?;
    let mut rows = statement.query([run])?;
    while let Some(row) = rows.next()? {
        timeline.seconds = row.get(0)?;
        let (left, in_doubt, throttled) = (row.get(2)?, row.get(3)?, row.get(4)?);
        let happened = Happened { left, in_doubt, throttled, ..Happened::default() };
        timeline.slices.push((row.get(1)?, happened));
    }
    Ok(timeline)
}

impl Table {
    pub(super) fn timeline_of(&self, run: i64) -> Result<Timeline> {
        self.direct(|c| read(c, run))
    }

    pub(super) fn write_timeline_of(&self, run: i64, timeline: &Timeline) -> Result<()> {
        self.direct(|c| {
            c.execute("DELETE FROM timeline WHERE run = ?1 AND seconds <> ?2", params![run, timeline.seconds])?;
            let mut statement = c.prepare_cached(
                "INSERT INTO timeline (run, seconds, start, departed, in_doubt, throttled) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO UPDATE SET departed = excluded.departed, in_doubt = excluded.in_doubt, throttled = excluded.throttled
                 WHERE (departed, in_doubt, throttled) <> (excluded.departed, excluded.in_doubt, excluded.throttled)",
            )?;
            for (start, Happened { left, in_doubt, throttled, .. }) in &timeline.slices {
                statement.execute(params![run, timeline.seconds, start, left, in_doubt, throttled])?;
            }
            Ok(())
        })
    }
}
