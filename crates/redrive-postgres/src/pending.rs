//! What was written and is not yet sent to the server: the last word about each message, in sets.

use foldhash::{HashMap, HashMapExt};
use redrive_protocol::protocol::{Key, QueueNo, Row, RunNo};
use tokio_postgres::types::Type;

use super::Result;
use super::link::{Link, Parameter};

const UPSERT: &str = "INSERT INTO message (source, id, run, state, rule, target, exhausted, reason, doubts, since, sent_as,
        receive_count, origin, at)
    SELECT * FROM unnest($1::int8[], $2::bytea[], $3::int8[], $4::int2[], $5::int4[], $6::int4[], $7::bool[], $8::int2[],
        $9::int8[], $10::int8[], $11::bytea[], $12::int8[], $13::int8[], $14::int8[])
    ON CONFLICT (source, id, run) DO UPDATE SET state = excluded.state, rule = excluded.rule, target = excluded.target,
        exhausted = excluded.exhausted, reason = excluded.reason, doubts = excluded.doubts, since = excluded.since,
        sent_as = excluded.sent_as, receive_count = excluded.receive_count, origin = excluded.origin, at = excluded.at";

/// A delivery that was noted.
#[derive(Debug)]
pub(super) struct Met {
    pub(super) run: RunNo,
    pub(super) queue: QueueNo,
    pub(super) key: Key,
    pub(super) number: i64,
    pub(super) handle: String,
    pub(super) received: i64,
    pub(super) until: i64,
}

/// Writes that wait for the next look or commit.
#[derive(Debug)]
pub(super) struct Pending {
    rows: HashMap<(QueueNo, Key, RunNo), (Row, i64)>,
    met: Vec<Met>,
    /// Leases that last longer, with their new ends.
    extended: HashMap<(QueueNo, Key, String), i64>,
    /// Leases that ended.
    ended: Vec<(QueueNo, Key, String)>,
}

impl Pending {
    pub(super) fn new() -> Self {
        Self { rows: HashMap::new(), met: Vec::new(), extended: HashMap::new(), ended: Vec::new() }
    }

    pub(super) fn put(&mut self, run: RunNo, queue: QueueNo, key: &Key, row: &Row, at: i64) {
        self.rows.insert((queue, key.clone(), run), (row.clone(), at));
    }

    pub(super) fn meet(&mut self, met: Met) {
        self.met.push(met);
    }

    /// Ends a lease. One that waits here never gets to the server.
    pub(super) fn end(&mut self, queue: QueueNo, key: &Key, handle: &str) {
        let is_it = |met: &Met| (met.queue, &met.key, &*met.handle) == (queue, key, handle);
        self.met.retain(|met| !is_it(met));
        let lease = (queue, key.clone(), handle.to_owned());
        self.extended.remove(&lease);
        self.ended.push(lease);
    }

    pub(super) fn extend(&mut self, queue: QueueNo, key: &Key, handle: &str, until: i64) {
        self.extended.insert((queue, key.clone(), handle.to_owned()), until);
    }

    /// Forgets all of it, as the server forgets what it was sent in a transaction that is undone.
    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    /// Sends what waits.
    pub(super) fn flush(&mut self, link: &Link) -> Result<()> {
        self.end_leases(link)?;
        self.add_leases(link)?;
        self.extend_leases(link)?;
        self.put_rows(link)
    }

    fn put_rows(&mut self, link: &Link) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        // Always in the same order, so that two transactions about the same messages wait for each other and not in a circle.
        let mut rows: Vec<_> = self.rows.drain().collect();
        rows.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        macro_rules! column {
            (|$place:ident, $row:ident, $at:ident| $value:expr) => {
                rows.iter().map(|($place, ($row, $at))| $value).collect::<Vec<_>>()
            };
        }
        let sources = column!(|place, _row, _at| place.0.0);
        let ids = column!(|place, _row, _at| place.1.bytes());
        let runs = column!(|place, _row, _at| place.2.0);
        let states = column!(|_place, row, _at| row.state as i16);
        let rules = column!(|_place, row, _at| i32::from(row.rule.0));
        let targets = column!(|_place, row, _at| row.target.map(|target| i32::from(target.0)));
        let exhausted = column!(|_place, row, _at| row.exhausted);
        let reasons = column!(|_place, row, _at| row.reason.map(|reason| reason as i16));
        let doubts = column!(|_place, row, _at| i64::from(row.doubts));
        let since = column!(|_place, row, _at| row.since);
        let sent_as = column!(|_place, row, _at| row.sent_as.as_ref().map(Key::bytes));
        let receive_counts = column!(|_place, row, _at| row.receive_count.map(i64::from));
        let origins = column!(|_place, row, _at| row.origin.map(|origin| origin.0));
        let times = column!(|_place, _row, at| *at);
        let parameters: [Parameter<'_>; 14] = [
            (&sources, Type::INT8_ARRAY),
            (&ids, Type::BYTEA_ARRAY),
            (&runs, Type::INT8_ARRAY),
            (&states, Type::INT2_ARRAY),
            (&rules, Type::INT4_ARRAY),
            (&targets, Type::INT4_ARRAY),
            (&exhausted, Type::BOOL_ARRAY),
            (&reasons, Type::INT2_ARRAY),
            (&doubts, Type::INT8_ARRAY),
            (&since, Type::INT8_ARRAY),
            (&sent_as, Type::BYTEA_ARRAY),
            (&receive_counts, Type::INT8_ARRAY),
            (&origins, Type::INT8_ARRAY),
            (&times, Type::INT8_ARRAY),
        ];
        link.run(UPSERT, &parameters).map(drop)
    }

    fn end_leases(&mut self, link: &Link) -> Result<()> {
        if self.ended.is_empty() {
            return Ok(());
        }
        let ended = std::mem::take(&mut self.ended);
        let sources: Vec<i64> = ended.iter().map(|(queue, ..)| queue.0).collect();
        let ids: Vec<&[u8]> = ended.iter().map(|(_, key, _)| key.bytes()).collect();
        let handles: Vec<&str> = ended.iter().map(|(.., handle)| handle.as_str()).collect();
        let sql = "DELETE FROM lease USING unnest($1::int8[], $2::bytea[], $3::text[]) AS ended (source, id, handle)
            WHERE lease.source = ended.source AND lease.id = ended.id AND lease.handle = ended.handle";
        let parameters: [Parameter<'_>; 3] =
            [(&sources, Type::INT8_ARRAY), (&ids, Type::BYTEA_ARRAY), (&handles, Type::TEXT_ARRAY)];
        link.run(sql, &parameters).map(drop)
    }

    fn add_leases(&mut self, link: &Link) -> Result<()> {
        if self.met.is_empty() {
            return Ok(());
        }
        let met = std::mem::take(&mut self.met);
        let sources: Vec<i64> = met.iter().map(|met| met.queue.0).collect();
        let ids: Vec<&[u8]> = met.iter().map(|met| met.key.bytes()).collect();
        let numbers: Vec<i64> = met.iter().map(|met| met.number).collect();
        let runs: Vec<i64> = met.iter().map(|met| met.run.0).collect();
        let handles: Vec<&str> = met.iter().map(|met| met.handle.as_str()).collect();
        let received: Vec<i64> = met.iter().map(|met| met.received).collect();
        let until: Vec<i64> = met.iter().map(|met| met.until).collect();
        let sql = "INSERT INTO lease (source, id, number, run, handle, received, until)
            SELECT * FROM unnest($1::int8[], $2::bytea[], $3::int8[], $4::int8[], $5::text[], $6::int8[], $7::int8[])";
        let parameters: [Parameter<'_>; 7] = [
            (&sources, Type::INT8_ARRAY),
            (&ids, Type::BYTEA_ARRAY),
            (&numbers, Type::INT8_ARRAY),
            (&runs, Type::INT8_ARRAY),
            (&handles, Type::TEXT_ARRAY),
            (&received, Type::INT8_ARRAY),
            (&until, Type::INT8_ARRAY),
        ];
        link.run(sql, &parameters).map(drop)
    }

    fn extend_leases(&mut self, link: &Link) -> Result<()> {
        if self.extended.is_empty() {
            return Ok(());
        }
        let extended: Vec<_> = self.extended.drain().collect();
        let sources: Vec<i64> = extended.iter().map(|((queue, ..), _)| queue.0).collect();
        let ids: Vec<&[u8]> = extended.iter().map(|((_, key, _), _)| key.bytes()).collect();
        let handles: Vec<&str> = extended.iter().map(|((.., handle), _)| handle.as_str()).collect();
        let until: Vec<i64> = extended.iter().map(|(_, until)| *until).collect();
        let sql = "UPDATE lease SET until = longer.until
            FROM unnest($1::int8[], $2::bytea[], $3::text[], $4::int8[]) AS longer (source, id, handle, until)
            WHERE lease.source = longer.source AND lease.id = longer.id AND lease.handle = longer.handle";
        let parameters: [Parameter<'_>; 4] = [
            (&sources, Type::INT8_ARRAY),
            (&ids, Type::BYTEA_ARRAY),
            (&handles, Type::TEXT_ARRAY),
            (&until, Type::INT8_ARRAY),
        ];
        link.run(sql, &parameters).map(drop)
    }
}
