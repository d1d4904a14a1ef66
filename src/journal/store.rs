//! The journal's database as a [`Store`]: each operation is a statement or two, and none decides anything.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::entries::Index;
use super::rested::json;
use super::schema::broken;
use super::table::{Table, state_column};
use crate::error::{Error, Result};
use redrive_protocol::message::{MessageId, ReceiptHandle};
use redrive_protocol::protocol::{
    Delivery, Glance, Key, Known, Lease, QueueNo, Resolution, Resolve, Row, RunNo, RunRef, RunSpec, RunState, SentAs,
    SessionEnd, State, Store, Tally, Which,
};
use redrive_protocol::target::{Reason, RuleId, TargetId};

/// The messages of a run (`?1`) that are neither done nor settled, by their index: without it all of them could be read.
const OPEN: &str = "rested INDEXED BY message_open WHERE run = ?1 AND state IN (1, 2, 4, 5, 6, 10)";

impl Store for Table {
    type Error = Error;

    fn queue_no(&mut self, arn: &str) -> Result<QueueNo> {
        if let Some(number) = self.queues.borrow().get(arn) {
            return Ok(QueueNo(*number));
        }
        let number = self.direct(|c| {
            c.prepare_cached("INSERT OR IGNORE INTO queue (arn) VALUES (?1)")?.execute([arn])?;
            c.prepare_cached("SELECT id FROM queue WHERE arn = ?1")?.query_row([arn], |row| row.get(0))
        })?;
        self.queues.borrow_mut().insert(arn.to_owned(), number);
        Ok(QueueNo(number))
    }

    fn queue_arn(&mut self, queue: QueueNo) -> Result<String> {
        self.direct(|c| c.prepare_cached("SELECT arn FROM queue WHERE id = ?1")?.query_row([queue.0], |row| row.get(0)))
    }

    fn glance(&mut self, queue: QueueNo, key: &Key) -> Result<Glance> {
        let front = self.front.borrow();
        let (is_here, is_sent_as) = (front.contains(key), front.knows_sent_as(key));
        let may_be_known = is_here || !self.candidates(Index::Ids, key)?.is_empty();
        let may_be_sent_as = is_sent_as || !self.candidates(Index::SentAs, key)?.is_empty();
        let is_leased = is_here
            || (may_be_known || self.may_have_leases.get())
                && self.direct(|c| {
                    c.prepare_cached("SELECT EXISTS (SELECT 1 FROM lease WHERE source = ?1 AND id = ?2)")?
                        .query_row(params![queue.0, key.bytes()], |row| row.get(0))
                })?;
        Ok(Glance { is_leased, may_be_known, may_be_sent_as })
    }

    fn rows(&mut self, queue: QueueNo, key: &Key) -> Result<Vec<Known>> {
        self.settle_front_about(key)?;
        let rows = self.candidates(Index::Ids, key)?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        self.direct(|c| {
            c.prepare_cached(
                "SELECT known.run, known.at, state, rule, target, exhausted, known.reason, known.doubts, since,
                 receive_count, origin, sent_as, coalesce(resolution.doubts, 0) FROM rested AS known
                 LEFT JOIN resolution ON resolution.run = known.run AND resolution.id = known.id
                 AND resolution.source = known.source AND decision = ?4
                 WHERE seq IN (SELECT value FROM json_each(?3)) AND known.source = ?1 AND known.id = ?2",
            )?
            .query_map(params![queue.0, key.bytes(), json(&rows), Resolution::Resend as u8], |row| {
                let content = Row {
                    state: state_column(row, 2)?,
                    rule: RuleId(row.get(3)?),
                    target: row.get::<_, Option<u16>>(4)?.map(TargetId),
                    exhausted: row.get(5)?,
                    reason: row.get::<_, Option<u8>>(6)?.and_then(Reason::from_number),
                    doubts: row.get(7)?,
                    since: row.get(8)?,
                    receive_count: row.get(9)?,
                    origin: row.get::<_, Option<i64>>(10)?.map(QueueNo),
                    sent_as: row.get::<_, Option<Vec<u8>>>(11)?.map(Key::from),
                };
                Ok(Known { run: RunNo(row.get(0)?), at: row.get(1)?, row: content, settled_doubts: row.get(12)? })
            })?
            .collect()
        })
    }

    fn sends_as(&mut self, key: &Key) -> Result<Vec<SentAs>> {
        let is_on_its_way = self.front.borrow().knows_sent_as(key);
        if is_on_its_way {
            self.clear_front()?;
        }
        let rows = json(&self.candidates(Index::SentAs, key)?);
        self.direct(|c| {
            c.prepare_cached(
                "SELECT run, rule, origin FROM rested WHERE seq IN (SELECT value FROM json_each(?2)) AND sent_as = ?1",
            )?
            .query_map(params![key.bytes(), rows], |row| {
                let origin = row.get::<_, Option<i64>>(2)?.map(QueueNo);
                Ok(SentAs { run: RunNo(row.get(0)?), rule: RuleId(row.get(1)?), origin })
            })?
            .collect()
        })
    }

    fn put(&mut self, run: RunNo, queue: QueueNo, key: &Key, row: &Row, at: i64) -> Result<()> {
        self.write_row((queue.0, run.0), key, row, at)
    }

    fn put_of_other_run(&mut self, run: RunNo, queue: QueueNo, key: &Key, state: State, at: i64) -> Result<()> {
        let known = self.rows(queue, key)?.into_iter().find(|known| known.run == run);
        let (Some(known), Some((seq, _))) = (known, self.seq((queue.0, run.0), key)?) else { return Ok(()) };
        self.direct(|c| {
            c.execute("UPDATE rested SET state = ?2, at = ?3 WHERE seq = ?1", params![seq, state as u8, at])
        })?;
        self.recount(run.0, &known.row.key(), -1)?;
        self.recount(run.0, &Row { state, ..known.row }.key(), 1)
    }

    fn note(&mut self, run: RunNo, queue: QueueNo, key: &Key, text: &str) -> Result<()> {
        self.direct(|c| {
            c.prepare_cached(
                "INSERT INTO note (source, id, run, text) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET text = excluded.text",
            )?
            .execute(params![queue.0, key.bytes(), run.0, text])
        })?;
        Ok(())
    }

    fn open(&mut self, run: RunNo) -> Result<Vec<(QueueNo, Key, State)>> {
        self.sql(|c| {
            c.prepare(&format!("SELECT source, id, state FROM {OPEN}"))?
                .query_map([run.0], |row| {
                    Ok((QueueNo(row.get(0)?), Key::from(row.get::<_, Vec<u8>>(1)?), state_column(row, 2)?))
                })?
                .collect()
        })
    }

    fn doubtful(&mut self, run: RunNo) -> Result<Vec<(MessageId, Option<TargetId>)>> {
        self.sql(|c| {
            let mut rows = c.prepare(
                "SELECT id, target FROM rested INDEXED BY message_doubts
                 WHERE run = ?1 AND doubts > 0 AND state NOT IN (?2, ?3)",
            )?;
            rows.query_map(params![run.0, State::Sent as u8, State::Done as u8], |row| {
                Ok((Key::from(row.get::<_, Vec<u8>>(0)?).id(), row.get::<_, Option<u16>>(1)?.map(TargetId)))
            })?
            .collect()
        })
    }

    fn done_by(&mut self, run: RunNo, queue: QueueNo, rule: RuleId) -> Result<Vec<Key>> {
        self.sql(|c| {
            c.prepare("SELECT id FROM rested WHERE source = ?1 AND run = ?2 AND rule = ?3 AND state = ?4")?
                .query_map(params![queue.0, run.0, rule.0, State::Done as u8], |row| {
                    Ok(Key::from(row.get::<_, Vec<u8>>(0)?))
                })?
                .collect()
        })
    }

    fn archived(&mut self, run: RunNo, target: TargetId) -> Result<Vec<(QueueNo, Key, State)>> {
        let states = (State::Sent as u8, State::Done as u8, State::Failed as u8, Reason::ArchiveLost as u8);
        self.sql(|c| {
            c.prepare(
                "SELECT source, id, state FROM rested WHERE run = ?1 AND target = ?2
                 AND (state IN (?3, ?4) OR state = ?6 AND reason = ?7)
                 AND NOT EXISTS (SELECT 1 FROM resolution WHERE resolution.run = rested.run AND resolution.id = rested.id
                 AND resolution.source = rested.source AND decision = ?5)",
            )?
            .query_map(params![run.0, target.0, states.0, states.1, Resolution::Discard as u8, states.2, states.3], |row| {
                Ok((QueueNo(row.get(0)?), Key::from(row.get::<_, Vec<u8>>(1)?), state_column(row, 2)?))
            })?
            .collect()
        })
    }

    fn leases_of(&mut self, queue: QueueNo, key: &Key) -> Result<Vec<Lease>> {
        self.settle_front_about(key)?;
        self.direct(|c| {
            c.prepare_cached(
                "SELECT id, handle, received, until FROM lease WHERE source = ?1 AND id = ?2
                 ORDER BY received DESC, rowid DESC",
            )?
            .query_map(params![queue.0, key.bytes()], lease)?
            .collect()
        })
    }

    fn add_lease(&mut self, run: RunNo, queue: QueueNo, key: &Key, delivery: &Delivery, is_new: bool) -> Result<()> {
        if is_new {
            return self.meet((queue.0, run.0), delivery, key);
        }
        self.settle_front_about(key)?;
        let (received, until) = (delivery.received.as_millisecond(), delivery.until.as_millisecond());
        self.direct(|c| {
            c.prepare_cached(
                "INSERT INTO lease (source, id, run, handle, received, until) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![queue.0, key.bytes(), run.0, delivery.receipt.as_str(), received, until])
        })?;
        Ok(())
    }

    fn set_lease(
        &mut self,
        queue: QueueNo,
        key: &Key,
        receipt: &ReceiptHandle,
        until: Option<Timestamp>,
    ) -> Result<()> {
        if until.is_none() && self.front.borrow_mut().end_lease(queue.0, key, receipt) {
            return Ok(());
        }
        self.settle_front_about(key)?;
        self.direct(|c| match until {
            Some(until) => c
                .prepare_cached("UPDATE lease SET until = ?4 WHERE source = ?1 AND id = ?2 AND handle = ?3")?
                .execute(params![queue.0, key.bytes(), receipt.as_str(), until.as_millisecond()]),
            None => c
                .prepare_cached("DELETE FROM lease WHERE source = ?1 AND id = ?2 AND handle = ?3")?
                .execute(params![queue.0, key.bytes(), receipt.as_str()]),
        })?;
        Ok(())
    }

    fn leases(&mut self, queue: QueueNo, which: Which, before: Timestamp, most: usize) -> Result<Vec<Lease>> {
        let before = before.as_millisecond();
        let after = if let Which::Extendable(_, now) = which { now } else { i64::MIN };
        // Mostly nothing there is due.
        let is_due_on_its_way = self.front.borrow().has_lease_before(before);
        if is_due_on_its_way {
            self.clear_front()?;
        }
        let mut due = Vec::new();
        let error = |error| broken(&self.path, &error);
        let sql = "SELECT id, handle, received, until FROM lease WHERE source = ?1 AND until > ?2 AND until < ?3 ORDER BY until";
        let mut statement = self.connection.prepare_cached(sql).map_err(error)?;
        let mut rows = statement.query(params![queue.0, after, before]).map_err(error)?;
        while due.len() < most
            && let Some(row) = rows.next().map_err(error)?
        {
            let found = lease(row).map_err(error)?;
            let key = Key::of(&found.id);
            let is_left_out = match which {
                Which::All => false,
                Which::Releasable => self.has_row(queue, &key, "state", State::Sent as u8, None)?,
                Which::Extendable(run, _) => {
                    self.has_row(queue, &key, "reason", Reason::SentTooLate as u8, Some(run))?
                }
            };
            if !is_left_out {
                due.push(found);
            }
        }
        Ok(due)
    }

    fn leased(&mut self, queue: QueueNo, now: i64) -> Result<Vec<Key>> {
        self.sql(|c| {
            c.prepare("SELECT DISTINCT id FROM lease WHERE source = ?1 AND until > ?2")?
                .query_map([queue.0, now], |row| Ok(Key::from(row.get::<_, Vec<u8>>(0)?)))?
                .collect()
        })
    }

    fn begin_session(&mut self, spec: &RunSpec, source: QueueNo, at: i64) -> Result<RunState> {
        self.begin_run(spec, source, at)
    }

    fn end_session(&mut self, run: RunNo, end: &SessionEnd, at: i64) -> Result<()> {
        self.end_run(run, end, at)
    }

    fn find_run(&mut self, name: &str) -> Result<Option<RunRef>> {
        self.sql(|c| {
            c.query_row("SELECT id, source, ended IS NOT NULL, outcome FROM run WHERE name = ?1", [name], |row| {
                Ok(RunRef {
                    run: RunNo(row.get(0)?),
                    source: QueueNo(row.get(1)?),
                    ended: row.get(2)?,
                    outcome: row.get(3)?,
                })
            })
            .optional()
        })
    }

    fn is_finished(&mut self, run: RunNo) -> Result<bool> {
        self.direct(|c| c.query_row("SELECT ended IS NOT NULL FROM run WHERE id = ?1", [run.0], |row| row.get(0)))
    }

    fn set_drained(&mut self, run: RunNo, drained: bool) -> Result<()> {
        self.sql(|c| c.execute("UPDATE run SET drained = ?2 WHERE id = ?1", params![run.0, drained])).map(drop)
    }

    fn count_deleted_for_other(&mut self, run: RunNo) -> Result<()> {
        self.direct(|c| {
            c.prepare_cached("UPDATE run SET deleted_for_others = deleted_for_others + 1 WHERE id = ?1")?
                .execute([run.0])
        })
        .map(drop)
    }

    fn tally(&mut self, run: RunNo) -> Result<Tally> {
        self.direct(|c| super::query::tally(c, run.0))
    }

    fn resolution(&mut self, run: RunNo, queue: QueueNo, key: &Key) -> Result<Option<(Resolution, u32)>> {
        let found: Option<(u8, u32)> = self.sql(|c| {
            c.prepare_cached("SELECT decision, doubts FROM resolution WHERE run = ?1 AND id = ?2 AND source = ?3")?
                .query_row(params![run.0, key.bytes(), queue.0], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })?;
        Ok(found.and_then(|(number, doubts)| Some((Resolution::from_number(number)?, doubts))))
    }

    fn note_resolution(
        &mut self,
        run: RunNo,
        queue: QueueNo,
        message: Option<(&Key, u32)>,
        resolve: &Resolve,
        at: i64,
    ) -> Result<()> {
        let (id, doubts) = message.map_or((&[][..], 0), |(key, doubts)| (key.bytes(), doubts));
        let Resolve { resolution, who, reason, .. } = resolve;
        self.sql(|c| {
            c.prepare_cached(
                "INSERT OR REPLACE INTO resolution (run, id, decision, doubts, at, who, reason, source)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![run.0, id, *resolution as u8, doubts, at, who, reason, queue.0])
        })
        .map(drop)
    }

    fn is_given_up(&mut self, run: RunNo) -> Result<bool> {
        self.direct(|c| {
            let any = "SELECT EXISTS (SELECT 1 FROM resolution WHERE run = ?1 AND id = x'')";
            c.query_row(any, [run.0], |row| row.get(0))
        })
    }

    fn give_up(&mut self, run: RunNo, ended: Option<i64>) -> Result<()> {
        self.close_given_up(run, ended)
    }

    fn reopen(&mut self, run: RunNo, given_up: bool) -> Result<()> {
        self.reopen_run(run, given_up)
    }
}

impl Table {
    /// Whether this run, or any, has a row of a message with this in this column.
    fn has_row(&self, queue: QueueNo, key: &Key, column: &str, is: u8, run: Option<RunNo>) -> Result<bool> {
        self.settle_front_about(key)?;
        let rows = json(&self.candidates(Index::Ids, key)?);
        self.direct(|c| {
            c.prepare_cached(&format!(
                "SELECT EXISTS (SELECT 1 FROM rested WHERE seq IN (SELECT value FROM json_each(?3))
                 AND source = ?1 AND id = ?2 AND {column} = ?4 AND (?5 IS NULL OR run = ?5))",
            ))?
            .query_row(params![queue.0, key.bytes(), rows, is, run.map(|run| run.0)], |row| row.get(0))
        })
    }

    /// Notes whether any leases are left, now that many messages came to rest: if there are none, nobody has to look for one.
    pub(super) fn look_for_leases(&self) -> Result<()> {
        let any =
            self.direct(|c| c.prepare_cached("SELECT EXISTS (SELECT 1 FROM lease)")?.query_row([], |row| row.get(0)))?;
        self.may_have_leases.set(any);
        Ok(())
    }
}

fn lease(row: &rusqlite::Row<'_>) -> rusqlite::Result<Lease> {
    let time = |column: usize| -> rusqlite::Result<Timestamp> {
        Ok(Timestamp::from_millisecond(row.get(column)?).unwrap_or(Timestamp::UNIX_EPOCH))
    };
    Ok(Lease {
        id: Key::from(row.get::<_, Vec<u8>>(0)?).id(),
        receipt: ReceiptHandle::new(row.get::<_, String>(1)?),
        received: time(2)?,
        until: time(3)?,
    })
}
