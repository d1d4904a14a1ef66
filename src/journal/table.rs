//! The database of a journal, as the store of one run over one source: rows at rest (rested.rs), messages on their way (front.rs),
//! and how errors of the database are told. What the protocol asks of it is in store.rs.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::PathBuf;

use rusqlite::{Connection, params};

use super::filter::Segments;
use super::front::Front;
use super::schema::broken;
use crate::error::Result;
use redrive_protocol::protocol::{Key, State, TallyKey};

/// The tables.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) path: PathBuf,
    pub(super) connection: Connection,
    /// Messages on their way, of one source and run.
    pub(super) front: RefCell<Front>,
    /// Of everything at rest.
    pub(super) segments: RefCell<Segments>,
    /// Whether there may be leases of messages that are neither in the front nor at rest.
    pub(super) may_have_leases: Cell<bool>,
    /// The numbers of queues by ARN, those that were asked for.
    pub(super) queues: RefCell<HashMap<String, i64>>,
}

impl Table {
    pub(super) fn new(path: PathBuf, connection: Connection) -> Result<Self> {
        let segments = Segments::load(&connection).map_err(|error| broken(&path, &error))?;
        Ok(Self {
            path,
            connection,
            front: RefCell::default(),
            segments: RefCell::new(segments),
            may_have_leases: Cell::new(true),
            queues: RefCell::default(),
        })
    }

    /// Looks up or changes whatever it likes: everything on its way is put to rest first.
    pub(super) fn sql<T>(&self, action: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        self.clear_front()?;
        self.direct(action)
    }

    /// Puts everything to rest if this message is on its way, so that it is found in the tables.
    pub(super) fn settle_front_about(&self, id: &Key) -> Result<()> {
        if self.front.borrow().contains(id) { self.clear_front() } else { Ok(()) }
    }

    /// Looks up or changes what has nothing to do with messages on their way.
    pub(super) fn direct<T>(&self, action: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        action(&self.connection).map_err(|error| broken(&self.path, &error))
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
