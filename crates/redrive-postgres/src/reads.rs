//! Rows as they come from the server.

use jiff::Timestamp;
use redrive_protocol::message::ReceiptHandle;
use redrive_protocol::protocol::{Key, Known, Lease, QueueNo, Row, RunNo, State, Tally, TallyKey};
use redrive_protocol::target::{Reason, RuleId, TargetId};
use tokio_postgres::types::FromSqlOwned;

use super::{Error, Result};

/// A value of a column; a server that answers with another type or a number beyond its range is not this journal's.
pub(super) fn value<T: FromSqlOwned>(row: &tokio_postgres::Row, column: usize) -> Result<T> {
    Ok(row.try_get(column)?)
}

pub(super) fn narrow<T: TryFrom<i64>>(number: i64) -> Result<T> {
    T::try_from(number).map_err(|_| Error::new(format!("a column of the journal holds {number}, which it cannot")))
}

pub(super) fn state(row: &tokio_postgres::Row, column: usize) -> Result<State> {
    let number: i16 = value(row, column)?;
    u8::try_from(number)
        .ok()
        .and_then(State::from_number)
        .ok_or_else(|| Error::new(format!("the journal knows no state {number}")))
}

pub(super) fn key(row: &tokio_postgres::Row, column: usize) -> Result<Key> {
    Ok(Key::from(value::<Vec<u8>>(row, column)?))
}

pub(super) fn reason(number: i16) -> Option<Reason> {
    u8::try_from(number).ok().and_then(Reason::from_number)
}

pub(super) fn rule(row: &tokio_postgres::Row, column: usize) -> Result<RuleId> {
    Ok(RuleId(narrow(i64::from(value::<i32>(row, column)?))?))
}

pub(super) fn target(row: &tokio_postgres::Row, column: usize) -> Result<Option<TargetId>> {
    value::<Option<i32>>(row, column)?.map(|number| Ok(TargetId(narrow(i64::from(number))?))).transpose()
}

/// The columns of [`super::store::KNOWN`].
pub(super) fn known(row: &tokio_postgres::Row) -> Result<Known> {
    let content = Row {
        state: state(row, 2)?,
        rule: rule(row, 3)?,
        target: target(row, 4)?,
        exhausted: value(row, 5)?,
        reason: value::<Option<i16>>(row, 6)?.and_then(reason),
        doubts: narrow(value(row, 7)?)?,
        since: value(row, 8)?,
        receive_count: value::<Option<i64>>(row, 9)?.map(narrow).transpose()?,
        origin: value::<Option<i64>>(row, 10)?.map(QueueNo),
        sent_as: value::<Option<Vec<u8>>>(row, 11)?.map(Key::from),
    };
    Ok(Known { run: RunNo(value(row, 0)?), at: value(row, 1)?, row: content, settled_doubts: narrow(value(row, 12)?)? })
}

pub(super) fn lease(row: &tokio_postgres::Row) -> Result<Lease> {
    Ok(Lease {
        id: key(row, 0)?.id(),
        receipt: ReceiptHandle::new(value::<String>(row, 1)?),
        received: time(value(row, 2)?),
        until: time(value(row, 3)?),
    })
}

/// Adds a row of `tally` to the figures.
pub(super) fn count(tally: &mut Tally, row: &tokio_postgres::Row) -> Result<()> {
    let key = TallyKey {
        state: state(row, 0)?,
        rule: rule(row, 1)?,
        target: u16::try_from(value::<i32>(row, 2)?).ok().map(TargetId),
        exhausted: value(row, 3)?,
        reason: reason(value(row, 4)?),
    };
    *tally.counts.entry(key).or_default() += narrow::<u64>(value(row, 5)?)?;
    Ok(())
}

pub(super) fn time(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}
