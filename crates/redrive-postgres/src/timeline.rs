//! How runs go over time, in the database.

use redrive_protocol::protocol::{Happened, RunNo, Timeline};
use tokio_postgres::types::Type;

use super::Result;
use super::link::{Link, Parameter};
use super::reads::{self, value};

/// What a run has noted of itself.
pub(super) fn read(link: &Link, run: i64) -> Result<Timeline> {
    let mut timeline = Timeline::default();
    let sql = "SELECT seconds, start, departed, in_doubt, throttled FROM timeline WHERE run = $1 ORDER BY start";
    for row in link.rows(sql, &[(&run, Type::INT8)])? {
        timeline.seconds = value(&row, 0)?;
        let number = |column| reads::narrow::<u64>(value(&row, column)?);
        let (left, in_doubt, throttled) = (number(2)?, number(3)?, number(4)?);
        let happened = Happened { left, in_doubt, throttled, ..Happened::default() };
        timeline.slices.push((value(&row, 1)?, happened));
    }
    Ok(timeline)
}

/// The timeline of a run for people: with what came back and what guards did.
pub(super) fn read_all(link: &Link, run: i64) -> Result<Timeline> {
    let mut timeline = read(link, run)?;
    for table in ["bounce", "guard_event"] {
        let sql = format!("SELECT at / 1000 AS second, count(*) FROM {table} WHERE run = $1 GROUP BY second");
        for row in link.rows(&sql, &[(&run, Type::INT8)])? {
            let count = reads::narrow(value(&row, 1)?)?;
            let (came_back, guarded) = if table == "bounce" { (count, 0) } else { (0, count) };
            timeline.mark(value(&row, 0)?, Happened { came_back, guarded, ..Happened::default() });
        }
    }
    timeline.shorten();
    Ok(timeline)
}

pub(super) fn write(link: &Link, run: RunNo, timeline: &Timeline) -> Result<()> {
    let sql = "DELETE FROM timeline WHERE run = $1 AND seconds <> $2";
    link.run(sql, &[(&run.0, Type::INT8), (&timeline.seconds, Type::INT8)])?;
    let starts: Vec<i64> = timeline.slices.iter().map(|(start, _)| *start).collect();
    let column = |of: fn(&Happened) -> u64| -> Vec<i64> {
        timeline.slices.iter().map(|(_, slice)| of(slice).cast_signed()).collect()
    };
    let (left, in_doubt) = (column(|slice| slice.left), column(|slice| slice.in_doubt));
    let throttled = column(|slice| slice.throttled);
    let parameters: [Parameter<'_>; 6] = [
        (&run.0, Type::INT8),
        (&timeline.seconds, Type::INT8),
        (&starts, Type::INT8_ARRAY),
        (&left, Type::INT8_ARRAY),
        (&in_doubt, Type::INT8_ARRAY),
        (&throttled, Type::INT8_ARRAY),
    ];
    let sql = "INSERT INTO timeline (run, seconds, start, departed, in_doubt, throttled)
        SELECT $1::int8, $2::int8, * FROM unnest($3::int8[], $4::int8[], $5::int8[], $6::int8[])
        ON CONFLICT (run, start) DO UPDATE
        SET departed = excluded.departed, in_doubt = excluded.in_doubt, throttled = excluded.throttled
        WHERE (timeline.departed, timeline.in_doubt, timeline.throttled)
            <> (excluded.departed, excluded.in_doubt, excluded.throttled)";
    link.run(sql, &parameters).map(drop)
}
