//! The journal's rows: each look-up and each change as one statement. No logic: what may become what is the writer's
//! business, through the transition function.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::PathBuf;

use jiff::Timestamp;
use redrive_protocol::message::MessageId;
use redrive_protocol::target::{Reason, RuleId, TargetId};
use rusqlite::{Connection, ToSql, params};

use super::Resolution;
use super::filter::Segments;
use super::front::Front;
use super::key::{Packed, pack, unpack};
use super::schema::broken;
use super::state::State;
use super::tally::TallyKey;
use crate::error::Result;

/// The messages of a run (`?1`) that are neither done nor settled, by their index: without it all of them could be read.
const OPEN: &str = "rested INDEXED BY message_open WHERE run = ?1 AND state IN (1, 2, 4, 5, 6, 10)";

/// The row of a message in this run.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) state: State,
    pub(super) rule: RuleId,
    pub(super) target: Option<TargetId>,
    pub(super) exhausted: bool,
    pub(super) reason: Option<Reason>,
    pub(super) doubts: u32,
    pub(super) since: Option<i64>,
    /// The ID that its send returned.
    pub(super) sent_as: Option<Packed>,
    pub(super) receive_count: Option<u32>,
    pub(super) origin: Option<i64>,
}

impl Row {
    pub(super) fn key(&self) -> TallyKey {
        TallyKey {
            state: self.state,
            rule: self.rule,
            target: self.target,
            exhausted: self.exhausted,
            reason: self.reason,
        }
    }
}

/// The tables, as one run over one source sees them.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) path: PathBuf,
    pub(super) connection: Connection,
    pub(super) run: i64,
    /// The queue that messages are taken from: the run's source, or its parking queue once it turned to that.
    pub(super) source: i64,
    /// The run's source, where it has turned to its parking queue.
    pub(super) home: Option<i64>,
    /// Of the source that is taken from now.
    pub(super) front: RefCell<Front>,
    /// Of everything at rest.
    pub(super) segments: RefCell<Segments>,
    /// Whether there may be leases of messages that are neither in the front nor at rest.
    pub(super) may_have_leases: Cell<bool>,
    /// The numbers of queues by ARN, those that were asked for.
    pub(super) queues: RefCell<HashMap<String, i64>>,
}

impl Table {
    /// Looks up or changes whatever it likes: everything is moved on from the front before.
    pub(super) fn sql<T>(&self, action: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        self.clear_front()?;
        self.direct(action)
    }

    /// Looks up or changes what is known of one message of the source that is taken from now, in whichever run: the front is
    /// cleared where it is there, and stays as it is where it is not.
    pub(super) fn about<T>(
        &self,
        id: &MessageId,
        action: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        if self.front.borrow().contains(&pack(id)) {
            self.clear_front()?;
        }
        self.direct(action)
    }

    /// Looks up or changes what has nothing to do with messages that are in the front.
    pub(super) fn direct<T>(&self, action: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        action(&self.connection).map_err(|error| broken(&self.path, &error))
    }

    /// The run that sent this message of the source, if one did.
    pub(super) fn sent_by(&self, id: &MessageId) -> Result<Option<i64>> {
        let states: [&dyn ToSql; 2] = [&(State::Sent as u8), &(State::Done as u8)];
        self.known((self.source, &pack(id)), "run", "state IN (?4, ?5) LIMIT 1", &states, |row| row.get(0))
    }

    /// Since when sends of it, by whichever runs, may have arrived, and whether all were this run's. What became of the
    /// message since settles no doubt, unless it was sent after all, or somebody decided that it is sent again. A process that
    /// died with a send under way lost the answer too, so an abandoned run's intents count; and a wrong digest says that
    /// something arrived.
    pub(super) fn doubted_since(&self, id: &MessageId) -> Result<Option<(Timestamp, bool)>> {
        let more: [&dyn ToSql; 7] = [
            &self.run,
            &(State::Sending as u8),
            &(State::Resending as u8),
            &(State::Sent as u8),
            &(State::Done as u8),
            &(Reason::DigestMismatch as u8),
            &(Resolution::Resend as u8),
        ];
        let found: Option<(Option<i64>, Option<bool>)> = self.known(
            (self.source, &pack(id)),
            "min(coalesce(since, at)), min(run = ?4)",
            "(state IN (?5, ?6) OR (state NOT IN (?7, ?8) AND (reason = ?9 OR (doubts > 0 AND NOT EXISTS (
                 SELECT 1 FROM resolution WHERE resolution.run = known.run AND resolution.id = known.id
                 AND resolution.source = known.source AND decision = ?10 AND resolution.doubts >= known.doubts)))))",
            &more,
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let Some((Some(since), Some(this_run))) = found else { return Ok(None) };
        Ok(Some((Timestamp::from_millisecond(since).unwrap_or(Timestamp::UNIX_EPOCH), this_run)))
    }

    /// Notes details in words; without any there is nothing to note.
    pub(super) fn note(&self, id: &MessageId, text: Option<&str>) -> Result<()> {
        let Some(text) = text else { return Ok(()) };
        self.direct(|c| {
            c.prepare_cached(
                "INSERT INTO note (source, id, run, text) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET text = excluded.text",
            )?
            .execute(params![self.source, pack(id), self.run, text])
        })?;
        Ok(())
    }

    /// The number of the queue with this ARN.
    pub(super) fn queue(&self, arn: &str) -> Result<i64> {
        if let Some(number) = self.queues.borrow().get(arn) {
            return Ok(*number);
        }
        let number = self.direct(|c| {
            c.prepare_cached("INSERT OR IGNORE INTO queue (arn) VALUES (?1)")?.execute([arn])?;
            c.prepare_cached("SELECT id FROM queue WHERE arn = ?1")?.query_row([arn], |row| row.get(0))
        })?;
        self.queues.borrow_mut().insert(arn.to_owned(), number);
        Ok(number)
    }

    /// Whether a run has ended with nothing left to do.
    pub(super) fn is_finished(&self, run: i64) -> Result<bool> {
        self.direct(|c| c.query_row("SELECT ended IS NOT NULL FROM run WHERE id = ?1", [run], |row| row.get(0)))
    }

    /// Moves a message of another run to this state, in its figures too.
    pub(super) fn move_of_other_run(&self, id: &MessageId, run: i64, row: &Row, state: State, at: i64) -> Result<()> {
        let seq: Option<i64> = self.known((self.source, &pack(id)), "seq", "run = ?4", &[&run], |row| row.get(0))?;
        self.direct(|c| {
            c.execute("UPDATE rested SET state = ?2, at = ?3 WHERE seq = ?1", params![seq, state as u8, at])
        })?;
        self.recount(run, &row.key(), -1)?;
        self.recount(run, &TallyKey { state, ..row.key() }, 1)
    }

    /// Changes a figure of a run.
    pub(super) fn recount(&self, run: i64, key: &TallyKey, by: i64) -> Result<()> {
        self.direct(|c| {
            c.prepare_cached(
                "INSERT INTO tally (run, state, rule, target, exhausted, reason, messages)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET messages = messages + excluded.messages",
            )?
            .execute(params![
                run,
                key.state as u8,
                key.rule.0,
                key.target.map_or(-1, |target| i64::from(target.0)),
                key.exhausted,
                key.reason.map_or(0, |reason| reason as u8),
                by
            ])
        })?;
        Ok(())
    }

    /// Counts deletions for other runs.
    pub(super) fn add_deleted_for_others(&self, more: u64) -> Result<()> {
        self.direct(|c| {
            c.prepare_cached("UPDATE run SET deleted_for_others = deleted_for_others + ?2 WHERE id = ?1")?
                .execute(params![self.run, more])
        })?;
        Ok(())
    }

    /// Messages of this run in one of these states, of those that are neither done nor settled, each with the queue it is in.
    pub(super) fn in_states(&self, states: [State; 2]) -> Result<Vec<(i64, MessageId)>> {
        self.sql(|c| {
            let mut rows = c.prepare(&format!("SELECT source, id FROM {OPEN} AND state IN (?2, ?3)"))?;
            rows.query_map(params![self.run, states[0] as u8, states[1] as u8], |row| {
                Ok((row.get(0)?, unpack(&row.get::<_, Vec<u8>>(1)?)))
            })?
            .collect()
        })
    }

    /// Messages of this run that are neither done nor at rest, nor in flight with us.
    pub(super) fn unfinished_and_not_leased(&self) -> Result<Vec<MessageId>> {
        self.sql(|c| {
            let mut rows = c.prepare(&format!(
                "SELECT id FROM {OPEN} AND state IN (?2, ?3, ?4) AND source = ?5
                 AND NOT EXISTS (SELECT 1 FROM lease WHERE source = rested.source AND id = rested.id)",
            ))?;
            let states = (State::InDoubt as u8, State::Returned as u8, State::Sent as u8);
            rows.query_map(params![self.run, states.0, states.1, states.2, self.source], |row| {
                Ok(unpack(&row.get::<_, Vec<u8>>(0)?))
            })?
            .collect()
        })
    }

    /// Messages of this run of which a send may have arrived, with where the last one went.
    pub(super) fn doubtful(&self) -> Result<Vec<(MessageId, Option<TargetId>)>> {
        self.sql(|c| {
            let mut rows = c.prepare(
                "SELECT id, target FROM rested INDEXED BY message_doubts
                 WHERE run = ?1 AND doubts > 0 AND state NOT IN (?2, ?3)",
            )?;
            let states = (State::Sent as u8, State::Done as u8);
            rows.query_map(params![self.run, states.0, states.1], |row| {
                Ok((unpack(&row.get::<_, Vec<u8>>(0)?), row.get::<_, Option<u16>>(1)?.map(TargetId)))
            })?
            .collect()
        })
    }
}

pub(super) fn state_column(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<State> {
    let number: u8 = row.get(column)?;
    State::from_number(number).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Integer,
            format!("no state has the number {number}").into(),
        )
    })
}
