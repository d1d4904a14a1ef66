//! The figures of a run in the database: kept as counts, since to count millions of messages anew takes seconds.

use redrive_protocol::protocol::{Figures, RunNo, Tally};
use tokio_postgres::types::Type;

use super::Result;
use super::link::Parameter;
use super::reads::{self, value};
use super::runs::unknown;
use super::store::PostgresStore;

impl PostgresStore {
    /// Writes by how much the figures of a run changed.
    pub(super) fn count(&self, run: RunNo, (changes, doubted): &Figures) -> Result<()> {
        let states: Vec<i16> = changes.iter().map(|(key, _)| key.state as i16).collect();
        let rules: Vec<i32> = changes.iter().map(|(key, _)| i32::from(key.rule.0)).collect();
        let targets: Vec<i32> =
            changes.iter().map(|(key, _)| key.target.map_or(-1, |target| i32::from(target.0))).collect();
        let exhausted: Vec<bool> = changes.iter().map(|(key, _)| key.exhausted).collect();
        let reasons: Vec<i16> = changes.iter().map(|(key, _)| key.reason.map_or(0, |reason| reason as i16)).collect();
        let by: Vec<i64> = changes.iter().map(|(_, by)| *by).collect();
        let parameters: [Parameter<'_>; 7] = [
            (&run.0, Type::INT8),
            (&states, Type::INT2_ARRAY),
            (&rules, Type::INT4_ARRAY),
            (&targets, Type::INT4_ARRAY),
            (&exhausted, Type::BOOL_ARRAY),
            (&reasons, Type::INT2_ARRAY),
            (&by, Type::INT8_ARRAY),
        ];
        if !changes.is_empty() {
            let sql = "INSERT INTO tally (run, state, rule, target, exhausted, reason, messages)
                SELECT $1::int8, * FROM unnest($2::int2[], $3::int4[], $4::int4[], $5::bool[], $6::int2[], $7::int8[])
                ON CONFLICT (run, state, rule, target, exhausted, reason)
                DO UPDATE SET messages = tally.messages + excluded.messages";
            self.link.run(sql, &parameters)?;
        }
        if *doubted != 0 {
            let sql = "UPDATE run SET doubted = doubted + $2 WHERE id = $1";
            self.link.run(sql, &[(&run.0, Type::INT8), (doubted, Type::INT8)])?;
        }
        Ok(())
    }

    pub(super) fn tally_of(&self, run: RunNo) -> Result<Tally> {
        let sql = "SELECT doubted, deleted_for_others FROM run WHERE id = $1";
        let row = self.link.row(sql, &[(&run.0, Type::INT8)])?.ok_or_else(|| unknown(run))?;
        let (doubted, others) = (value::<i64>(&row, 0)?, value::<i64>(&row, 1)?);
        let (doubted, deleted_for_other_runs) = (doubted.cast_unsigned(), others.cast_unsigned());
        let mut tally = Tally { doubted, deleted_for_other_runs, ..Tally::default() };
        let sql = "SELECT state, rule, target, exhausted, reason, messages FROM tally WHERE run = $1 AND messages > 0";
        for row in self.link.rows(sql, &[(&run.0, Type::INT8)])? {
            reads::count(&mut tally, &row)?;
        }
        Ok(tally)
    }
}
