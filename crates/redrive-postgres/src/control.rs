//! What people ask of a run that is under way, from any machine: they put it into the database, and the process at work takes it
//! from there and answers.

use redrive_protocol::protocol::RunNo;
use tokio_postgres::Config;
use tokio_postgres::types::Type;

use super::link::{Link, Parameter};
use super::reads::value;
use super::runs::NOW;
use super::{Error, Result};

/// Takes what was asked of a run; nobody can take it back from here on.
pub(super) fn take(link: &Link, run: RunNo) -> Result<Vec<(i64, String)>> {
    let sql = "UPDATE control SET taken = TRUE WHERE run = $1 AND NOT taken RETURNING at, number, request";
    let mut taken = Vec::new();
    for row in link.rows(sql, &[(&run.0, Type::INT8)])? {
        taken.push((value::<i64>(&row, 0)?, value(&row, 1)?, value(&row, 2)?));
    }
    taken.sort_unstable();
    Ok(taken.into_iter().map(|(_, number, request)| (number, request)).collect())
}

pub(super) fn answer(link: &Link, run: RunNo, number: i64, answer: &str) -> Result<()> {
    let sql = "UPDATE control SET answer = $3 WHERE run = $1 AND number = $2";
    let parameters: [Parameter<'_>; 3] = [(&run.0, Type::INT8), (&number, Type::INT8), (&answer, Type::TEXT)];
    link.run(sql, &parameters).map(drop)
}

/// Somebody who asks a run for something.
#[derive(Debug)]
pub struct Asker {
    link: Link,
    number: i64,
}

impl Asker {
    /// Puts a request for a run into the database.
    pub fn ask(config: &Config, run: &str, request: &str) -> Result<Self> {
        let (link, number) = (Link::open(config)?, rand::random_range(1..i64::MAX));
        let parameters: [Parameter<'_>; 3] = [(&run, Type::TEXT), (&number, Type::INT8), (&request, Type::TEXT)];
        let sql =
            format!("INSERT INTO control (run, number, at, request) SELECT id, $2, {NOW}, $3 FROM run WHERE name = $1");
        match link.run(&sql, &parameters)? {
            1 => Ok(Self { link, number }),
            _ => Err(Error::new("the run is not in the journal any more")),
        }
    }

    /// The answer, once there is one.
    pub fn answer(&self) -> Result<Option<String>> {
        let found = self.link.row("SELECT answer FROM control WHERE number = $1", &[(&self.number, Type::INT8)])?;
        found.map_or(Ok(None), |row| value(&row, 0))
    }

    /// Takes the request back, unless it was taken up.
    pub fn take_back(&self) -> Result<bool> {
        let sql = "DELETE FROM control WHERE number = $1 AND NOT taken";
        Ok(self.link.run(sql, &[(&self.number, Type::INT8)])? == 1)
    }
}
