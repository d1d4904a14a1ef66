//! The database as a [`Store`]: each operation is a statement or a note of one, and none decides anything.

use foldhash::{HashMap, HashMapExt};
use jiff::Timestamp;
use redrive_protocol::message::{MessageId, ReceiptHandle};
use redrive_protocol::protocol::{
    Delivery, Glance, Key, Known, Lease, QueueNo, Resolution, Resolve, Row, RunNo, RunRef, RunSpec, RunState, SentAs,
    SessionEnd, State, Store, Tally, Which,
};
use redrive_protocol::target::{Reason, RuleId, TargetId};
use tokio_postgres::Config;
use tokio_postgres::types::Type;

use super::link::{Link, Parameter};
use super::pending::{Met, Pending};
use super::reads::{self, value};
use super::{Error, Result, schema};

/// What is read of a message, and the doubts that were settled when somebody decided to send it again.
const KNOWN: &str =
    "SELECT known.run, known.at, state, rule, target, exhausted, known.reason, known.doubts, since, receive_count,
    origin, sent_as, coalesce(resolution.doubts, 0) FROM message AS known
    LEFT JOIN resolution ON resolution.run = known.run AND resolution.id = known.id AND resolution.source = known.source
    AND decision = $3 WHERE known.source = $1 AND known.id = $2 ORDER BY known.run";

/// A journal on a server.
#[derive(Debug)]
pub struct PostgresStore {
    pub(super) link: Link,
    pub(super) pending: Pending,
    /// Messages that were looked at together, before each is asked about; of this transaction, and until something is written about them.
    pub(super) looked_at: HashMap<Key, (QueueNo, Glance)>,
    pub(super) queues: HashMap<String, QueueNo>,
    /// The number of the next lease.
    next_lease: i64,
    /// This process, among all that ever worked with the journal.
    pub(super) epoch: i64,
    /// The run that this process is at work on.
    pub(super) at_work: Option<RunNo>,
    /// What that has cost, as the next commit notes it: SQS requests and milliseconds.
    pub(super) effort: Option<(u64, u64)>,
}

impl PostgresStore {
    /// Connects to a database that has the journal's tables, or makes them where there are none.
    pub fn open(config: &Config) -> Result<Self> {
        let link = Link::open(config)?;
        schema::make(&link)?;
        let last = link.row("SELECT coalesce(max(number), 0) FROM lease", &[])?;
        let next_lease = last.map_or(Ok(0), |row| value::<i64>(&row, 0))? + 1;
        let (pending, looked_at, queues) = (Pending::new(), HashMap::new(), HashMap::new());
        let epoch = rand::random_range(1..i64::MAX);
        Ok(Self { link, pending, looked_at, queues, next_lease, epoch, at_work: None, effort: None })
    }

    /// Looks at many messages with one request.
    fn look_at(&mut self, queue: QueueNo, keys: &[Key]) -> Result<()> {
        self.pending.flush(&self.link)?;
        let ids: Vec<&[u8]> = keys.iter().map(Key::bytes).collect();
        let sql = "SELECT ids.id, EXISTS (SELECT 1 FROM lease WHERE lease.source = $1 AND lease.id = ids.id),
            EXISTS (SELECT 1 FROM message WHERE message.source = $1 AND message.id = ids.id),
            EXISTS (SELECT 1 FROM message WHERE message.sent_as = ids.id) FROM unnest($2::bytea[]) AS ids (id)";
        for row in self.link.rows(sql, &[(&queue.0, Type::INT8), (&ids, Type::BYTEA_ARRAY)])? {
            let (is_leased, may_be_known) = (value(&row, 1)?, value(&row, 2)?);
            let glance = Glance { is_leased, may_be_known, may_be_sent_as: value(&row, 3)? };
            self.looked_at.insert(reads::key(&row, 0)?, (queue, glance));
        }
        Ok(())
    }

    /// Rows, with all that was written before in view.
    fn rows_of(&mut self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<tokio_postgres::Row>> {
        self.pending.flush(&self.link)?;
        self.link.rows(sql, parameters)
    }
}

impl Store for PostgresStore {
    type Error = Error;

    fn queue_no(&mut self, arn: &str) -> Result<QueueNo> {
        if let Some(number) = self.queues.get(arn) {
            return Ok(*number);
        }
        let parameters: [Parameter<'_>; 1] = [(&arn, Type::TEXT)];
        let number = loop {
            if let Some(row) = self.link.row("SELECT id FROM queue WHERE arn = $1", &parameters)? {
                break QueueNo(value(&row, 0)?);
            }
            // Somebody else may take the number at the same moment.
            let sql = "INSERT INTO queue SELECT coalesce(max(id), 0) + 1, $1 FROM queue ON CONFLICT DO NOTHING";
            self.link.run(sql, &parameters)?;
        };
        self.queues.insert(arn.to_owned(), number);
        Ok(number)
    }

    fn queue_arn(&mut self, queue: QueueNo) -> Result<String> {
        let found = self.link.row("SELECT arn FROM queue WHERE id = $1", &[(&queue.0, Type::INT8)])?;
        found.map_or_else(|| Err(Error::new(format!("the journal knows no queue {}", queue.0))), |row| value(&row, 0))
    }

    fn look_ahead(&mut self, queue: QueueNo, deliveries: &[Delivery]) -> Result<()> {
        let keys: Vec<Key> = deliveries.iter().map(|delivery| Key::of(&delivery.id)).collect();
        self.look_at(queue, &keys)
    }

    fn glance(&mut self, queue: QueueNo, key: &Key) -> Result<Glance> {
        let known = |store: &Self| store.looked_at.get(key).filter(|(of, _)| *of == queue).map(|(_, glance)| *glance);
        if let Some(glance) = known(self) {
            return Ok(glance);
        }
        self.look_at(queue, std::slice::from_ref(key))?;
        known(self).ok_or_else(|| Error::new("the server did not say what it knows of a message"))
    }

    fn rows(&mut self, queue: QueueNo, key: &Key) -> Result<Vec<Known>> {
        let resend = Resolution::Resend as i16;
        let parameters: [Parameter<'_>; 3] =
            [(&queue.0, Type::INT8), (&key.bytes(), Type::BYTEA), (&resend, Type::INT2)];
        self.rows_of(KNOWN, &parameters)?.iter().map(reads::known).collect()
    }

    fn sends_as(&mut self, key: &Key) -> Result<Vec<SentAs>> {
        let rows = self.rows_of(
            "SELECT run, rule, origin FROM message WHERE sent_as = $1 ORDER BY run",
            &[(&key.bytes(), Type::BYTEA)],
        )?;
        let sent = |row: &tokio_postgres::Row| -> Result<SentAs> {
            let origin = value::<Option<i64>>(row, 2)?.map(QueueNo);
            Ok(SentAs { run: RunNo(value(row, 0)?), rule: reads::rule(row, 1)?, origin })
        };
        rows.iter().map(sent).collect()
    }

    fn put(&mut self, run: RunNo, queue: QueueNo, key: &Key, row: &Row, at: i64) -> Result<()> {
        // What was seen of either is out of date.
        self.looked_at.remove(key);
        if let Some(sent_as) = &row.sent_as {
            self.looked_at.remove(sent_as);
        }
        self.pending.put(run, queue, key, row, at);
        Ok(())
    }

    fn put_of_other_run(&mut self, run: RunNo, queue: QueueNo, key: &Key, state: State, at: i64) -> Result<()> {
        let Some(known) = self.rows(queue, key)?.into_iter().find(|known| known.run == run) else { return Ok(()) };
        let (before, row) = (known.row.key(), Row { state, ..known.row });
        self.pending.put(run, queue, key, &row, at);
        self.count(run, &(vec![(before, -1), (row.key(), 1)], 0))
    }

    fn note(&mut self, run: RunNo, queue: QueueNo, key: &Key, text: &str) -> Result<()> {
        let sql = "INSERT INTO note (source, id, run, text) VALUES ($1, $2, $3, $4)
            ON CONFLICT (source, id, run) DO UPDATE SET text = excluded.text";
        let parameters: [Parameter<'_>; 4] =
            [(&queue.0, Type::INT8), (&key.bytes(), Type::BYTEA), (&run.0, Type::INT8), (&text, Type::TEXT)];
        self.link.run(sql, &parameters).map(drop)
    }

    fn open(&mut self, run: RunNo) -> Result<Vec<(QueueNo, Key, State)>> {
        let states: Vec<i16> =
            State::ALL.into_iter().filter(|state| state.is_open()).map(|state| state as i16).collect();
        let sql = "SELECT source, id, state FROM message WHERE run = $1 AND state = ANY ($2)";
        let rows = self.rows_of(sql, &[(&run.0, Type::INT8), (&states, Type::INT2_ARRAY)])?;
        rows.iter().map(placed).collect()
    }

    fn doubtful(&mut self, run: RunNo) -> Result<Vec<(MessageId, Option<TargetId>)>> {
        // The index leads to all that is not done.
        let settled = [State::Sent, State::Done];
        let states: Vec<i16> =
            State::ALL.into_iter().filter(|state| !settled.contains(state)).map(|state| state as i16).collect();
        let sql = "SELECT id, target FROM message WHERE run = $1 AND state = ANY ($2) AND doubts > 0";
        let rows = self.rows_of(sql, &[(&run.0, Type::INT8), (&states, Type::INT2_ARRAY)])?;
        rows.iter().map(|row| Ok((reads::key(row, 0)?.id(), reads::target(row, 1)?))).collect()
    }

    fn done_by(&mut self, run: RunNo, queue: QueueNo, rule: RuleId) -> Result<Vec<Key>> {
        let (rule, done) = (i32::from(rule.0), State::Done as i16);
        let parameters: [Parameter<'_>; 4] =
            [(&run.0, Type::INT8), (&queue.0, Type::INT8), (&rule, Type::INT4), (&done, Type::INT2)];
        let sql = "SELECT id FROM message WHERE run = $1 AND source = $2 AND rule = $3 AND state = $4";
        self.rows_of(sql, &parameters)?.iter().map(|row| reads::key(row, 0)).collect()
    }

    fn archived(&mut self, run: RunNo, target: TargetId) -> Result<Vec<(QueueNo, Key, State)>> {
        let target = i32::from(target.0);
        let [sent, done, failed] = [State::Sent, State::Done, State::Failed].map(|state| state as i16);
        let (lost, discard) = (Reason::ArchiveLost as i16, Resolution::Discard as i16);
        let parameters: [Parameter<'_>; 7] = [
            (&run.0, Type::INT8),
            (&target, Type::INT4),
            (&sent, Type::INT2),
            (&done, Type::INT2),
            (&failed, Type::INT2),
            (&lost, Type::INT2),
            (&discard, Type::INT2),
        ];
        let sql = "SELECT source, id, state FROM message WHERE run = $1 AND target = $2
            AND (state = $3 OR state = $4 OR state = $5 AND reason = $6)
            AND NOT EXISTS (SELECT 1 FROM resolution WHERE resolution.run = message.run AND resolution.id = message.id
                AND resolution.source = message.source AND decision = $7)";
        self.rows_of(sql, &parameters)?.iter().map(placed).collect()
    }

    fn leases_of(&mut self, queue: QueueNo, key: &Key) -> Result<Vec<Lease>> {
        let sql = "SELECT id, handle, received, until FROM lease WHERE source = $1 AND id = $2
            ORDER BY received DESC, number DESC";
        let rows = self.rows_of(sql, &[(&queue.0, Type::INT8), (&key.bytes(), Type::BYTEA)])?;
        rows.iter().map(reads::lease).collect()
    }

    fn add_lease(&mut self, run: RunNo, queue: QueueNo, key: &Key, delivery: &Delivery, _: bool) -> Result<()> {
        self.looked_at.remove(key);
        self.pending.meet(Met {
            run,
            queue,
            key: key.clone(),
            number: self.next_lease,
            handle: delivery.receipt.as_str().to_owned(),
            received: delivery.received.as_millisecond(),
            until: delivery.until.as_millisecond(),
        });
        self.next_lease += 1;
        Ok(())
    }

    fn set_lease(
        &mut self,
        queue: QueueNo,
        key: &Key,
        receipt: &ReceiptHandle,
        until: Option<Timestamp>,
    ) -> Result<()> {
        match until {
            Some(until) => self.pending.extend(queue, key, receipt.as_str(), until.as_millisecond()),
            None => self.pending.end(queue, key, receipt.as_str()),
        }
        Ok(())
    }

    fn leases(&mut self, queue: QueueNo, which: Which, before: Timestamp, most: usize) -> Result<Vec<Lease>> {
        let (after, run) = match which {
            Which::Extendable(run, now) => (now, run.0),
            Which::All | Which::Releasable => (i64::MIN, 0),
        };
        let left_out = match which {
            Which::All => "FALSE".to_owned(),
            Which::Releasable => format!("state = {}", State::Sent as u8),
            Which::Extendable(..) => format!("run = $5 AND reason = {}", Reason::SentTooLate as u8),
        };
        let sql = format!(
            "SELECT id, handle, received, until FROM lease WHERE source = $1 AND until > $2 AND until < $3
             AND NOT EXISTS (SELECT 1 FROM message WHERE source = lease.source AND id = lease.id AND {left_out})
             ORDER BY until, number LIMIT $4"
        );
        let (before, most) = (before.as_millisecond(), i64::try_from(most).unwrap_or(i64::MAX));
        let parameters: [Parameter<'_>; 5] = [
            (&queue.0, Type::INT8),
            (&after, Type::INT8),
            (&before, Type::INT8),
            (&most, Type::INT8),
            (&run, Type::INT8),
        ];
        self.rows_of(&sql, &parameters)?.iter().map(reads::lease).collect()
    }

    fn leased(&mut self, queue: QueueNo, now: i64) -> Result<Vec<Key>> {
        let sql = "SELECT DISTINCT id FROM lease WHERE source = $1 AND until > $2";
        let rows = self.rows_of(sql, &[(&queue.0, Type::INT8), (&now, Type::INT8)])?;
        rows.iter().map(|row| reads::key(row, 0)).collect()
    }

    fn begin_session(&mut self, spec: &RunSpec, source: QueueNo, at: i64) -> Result<RunState> {
        let state = self.begin_run(spec, source, at)?;
        self.at_work = Some(state.run);
        Ok(state)
    }

    fn end_session(&mut self, run: RunNo, end: &SessionEnd, at: i64) -> Result<()> {
        (self.at_work, self.effort) = (None, None);
        self.end_run(run, end, at)
    }

    fn find_run(&mut self, name: &str) -> Result<Option<RunRef>> {
        self.run_named(name)
    }

    fn is_finished(&mut self, run: RunNo) -> Result<bool> {
        self.is_ended(run)
    }

    fn set_drained(&mut self, run: RunNo, drained: bool) -> Result<()> {
        let sql = "UPDATE run SET drained = $2 WHERE id = $1";
        self.link.run(sql, &[(&run.0, Type::INT8), (&drained, Type::BOOL)]).map(drop)
    }

    fn count_deleted_for_other(&mut self, run: RunNo) -> Result<()> {
        let sql = "UPDATE run SET deleted_for_others = deleted_for_others + 1 WHERE id = $1";
        self.link.run(sql, &[(&run.0, Type::INT8)]).map(drop)
    }

    fn tally(&mut self, run: RunNo) -> Result<Tally> {
        self.tally_of(run)
    }

    fn resolution(&mut self, run: RunNo, queue: QueueNo, key: &Key) -> Result<Option<(Resolution, u32)>> {
        let sql = "SELECT decision, doubts FROM resolution WHERE run = $1 AND id = $2 AND source = $3";
        let parameters: [Parameter<'_>; 3] =
            [(&run.0, Type::INT8), (&key.bytes(), Type::BYTEA), (&queue.0, Type::INT8)];
        let Some(row) = self.link.row(sql, &parameters)? else { return Ok(None) };
        let decision = u8::try_from(value::<i16>(&row, 0)?).ok().and_then(Resolution::from_number);
        let doubts = u32::try_from(value::<i64>(&row, 1)?).ok();
        Ok(decision.zip(doubts))
    }

    fn note_resolution(
        &mut self,
        run: RunNo,
        queue: QueueNo,
        message: Option<(&Key, u32)>,
        resolve: &Resolve,
        at: i64,
    ) -> Result<()> {
        if self.at_work.is_none() {
            self.refuse_if_busy(queue)?;
        }
        let (id, doubts) = message.map_or((&[][..], 0), |(key, doubts)| (key.bytes(), i64::from(doubts)));
        let Resolve { resolution, who, reason, .. } = resolve;
        let decision = *resolution as i16;
        let parameters: [Parameter<'_>; 8] = [
            (&run.0, Type::INT8),
            (&id, Type::BYTEA),
            (&decision, Type::INT2),
            (&doubts, Type::INT8),
            (&at, Type::INT8),
            (who, Type::TEXT),
            (reason, Type::TEXT),
            (&queue.0, Type::INT8),
        ];
        let sql = "INSERT INTO resolution (run, id, decision, doubts, at, who, reason, source)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (run, id) DO UPDATE SET decision = excluded.decision,
            doubts = excluded.doubts, at = excluded.at, who = excluded.who, reason = excluded.reason, source = excluded.source";
        self.link.run(sql, &parameters).map(drop)
    }

    fn is_given_up(&mut self, run: RunNo) -> Result<bool> {
        let sql = "SELECT 1 FROM resolution WHERE run = $1 AND id = ''";
        Ok(self.link.row(sql, &[(&run.0, Type::INT8)])?.is_some())
    }

    fn give_up(&mut self, run: RunNo, ended: Option<i64>) -> Result<()> {
        self.close_given_up(run, ended)
    }

    fn reopen(&mut self, run: RunNo, given_up: bool) -> Result<()> {
        self.reopen_run(run, given_up)
    }
}

/// A message with its queue and its state.
fn placed(row: &tokio_postgres::Row) -> Result<(QueueNo, Key, State)> {
    Ok((QueueNo(value(row, 0)?), reads::key(row, 1)?, reads::state(row, 2)?))
}
