//! What the journal knows of guards: what they and people did to a run, in order, and which of the messages that it sent came back.

use jiff::Timestamp;
use redrive_protocol::message::MessageId;
use redrive_protocol::protocol::{Bounce, CameBack, GuardEvent, Key, RunNo, State};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::Result;
use super::link::{Link, Parameter};
use super::reads::{self, value};

pub(super) fn note(link: &Link, run: &str, event: &GuardEvent) -> Result<()> {
    let GuardEvent { at, kind, who, words, data } = event;
    let at = at.as_millisecond();
    let parameters: [Parameter<'_>; 6] = [
        (&run, Type::TEXT),
        (&at, Type::INT8),
        (kind, Type::TEXT),
        (who, Type::TEXT),
        (words, Type::TEXT),
        (data, Type::TEXT),
    ];
    let sql = "INSERT INTO guard_event (run, number, at, kind, who, words, data)
        SELECT id, (SELECT coalesce(max(number), 0) + 1 FROM guard_event WHERE run = id), $2, $3, $4, $5, $6
        FROM run WHERE name = $1";
    link.run(sql, &parameters).map(drop)
}

/// What guards and people did to a run, in order.
pub(super) fn events(link: &Link, run: &str) -> Result<Vec<GuardEvent>> {
    let sql = "SELECT at, kind, who, words, data FROM guard_event
        WHERE run = (SELECT id FROM run WHERE name = $1) ORDER BY number";
    let event = |row: &Row| {
        let (kind, who, words) = (value(row, 1)?, value(row, 2)?, value(row, 3)?);
        Ok(GuardEvent { at: reads::time(value(row, 0)?), kind, who, words, data: value(row, 4)? })
    };
    link.rows(sql, &[(&run, Type::TEXT)])?.iter().map(event).collect()
}

/// Notes which of these messages a run sent, under these IDs. Answers by position.
pub(super) fn bounced(link: &Link, run: &str, messages: &[MessageId], now: Timestamp) -> Result<Vec<Option<Bounce>>> {
    let Some(row) = link.row("SELECT id FROM run WHERE name = $1", &[(&run, Type::TEXT)])? else {
        return Ok(vec![None; messages.len()]);
    };
    let run = RunNo(value(&row, 0)?);
    let keys: Vec<Key> = messages.iter().map(Key::of).collect();
    let (ids, now): (Vec<&[u8]>, _) = (keys.iter().map(Key::bytes).collect(), now.as_millisecond());
    let parameters: [Parameter<'_>; 2] = [(&run.0, Type::INT8), (&ids, Type::BYTEA_ARRAY)];
    let sql = "SELECT sent_as, rule, at FROM message WHERE run = $1 AND sent_as = ANY ($2)";
    let mut found = Vec::new();
    for row in link.rows(sql, &parameters)? {
        let rule = reads::rule(&row, 1)?;
        if !rule.is_parking() {
            found.push((reads::key(&row, 0)?, rule, value::<i64>(&row, 2)?));
        }
    }
    let mut bounces = Vec::new();
    for key in &keys {
        let Some((_, rule, sent)) = found.iter().find(|(id, ..)| id == key) else {
            bounces.push(None);
            continue;
        };
        let number = i32::from(rule.0);
        let parameters: [Parameter<'_>; 5] = [
            (&run.0, Type::INT8),
            (&key.bytes(), Type::BYTEA),
            (&number, Type::INT4),
            (sent, Type::INT8),
            (&now, Type::INT8),
        ];
        let sql = "INSERT INTO bounce (run, id, rule, sent, at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
        let is_new = link.run(sql, &parameters)? == 1;
        bounces.push(Some(Bounce { rule: *rule, sent: reads::time(*sent), is_new }));
    }
    Ok(bounces)
}

/// What came back of a run's messages, by rule.
pub(super) fn came_back(link: &Link, run: &str) -> Result<Vec<CameBack>> {
    let sql = "SELECT rule, count(*), min(bounce.at), max(bounce.at) FROM bounce JOIN run ON run.id = bounce.run
        WHERE run.name = $1 GROUP BY rule ORDER BY rule";
    let of = |row: &Row| {
        let seen = (reads::time(value(row, 2)?), reads::time(value(row, 3)?));
        Ok(CameBack { rule: reads::rule(row, 0)?, messages: reads::narrow(value(row, 1)?)?, seen })
    };
    link.rows(sql, &[(&run, Type::TEXT)])?.iter().map(of).collect()
}

/// How many of the last messages that a run sent came back, and of how many that is: of so many at the most.
pub(super) fn came_back_of_last(link: &Link, run: &str, most: u64) -> Result<(u64, u64)> {
    let (most, done) = (most.cast_signed(), State::Done as i16);
    let sql = "SELECT count(bounce.id), count(*) FROM
            (SELECT run, sent_as FROM message WHERE run = (SELECT id FROM run WHERE name = $1)
             AND sent_as IS NOT NULL AND state = $3 ORDER BY at DESC LIMIT $2) AS sent
        LEFT JOIN bounce ON bounce.run = sent.run AND bounce.id = sent.sent_as";
    let Some(row) = link.row(sql, &[(&run, Type::TEXT), (&most, Type::INT8), (&done, Type::INT2)])? else {
        return Ok((0, 0));
    };
    Ok((reads::narrow(value(&row, 0)?)?, reads::narrow(value(&row, 1)?)?))
}
