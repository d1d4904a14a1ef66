//! The connection, for a thread that waits for each answer.

use tokio::runtime::{Handle, Runtime};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, Row};

use super::{Error, Result};

/// A parameter of a statement, and its type: statements are not prepared, since behind a pooler the next may meet another
/// server process.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// A connection. It waits for each answer, on a thread of its own where the caller's belongs to asynchronous tasks.
#[derive(Debug)]
pub(super) struct Link {
    served: Served,
    client: Client,
}

/// What serves the connection. It may be dropped anywhere.
#[derive(Debug)]
struct Served(Option<Runtime>);

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Link {
    pub(super) fn open(config: &Config) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::new(format!("the connection cannot be served: {error}")))?;
        let served = Served(Some(runtime));
        let (client, connection) = served.wait(config.connect(NoTls))?;
        if let Some(runtime) = &served.0 {
            // It gets on while somebody waits for an answer. How it ends is told to whoever asks next.
            runtime.spawn(async move { drop(connection.await) });
        }
        Ok(Self { served, client })
    }

    /// Rows of a query.
    pub(super) fn rows(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>> {
        self.served.wait(self.client.query_typed(sql, parameters))
    }

    /// The first row of a query, where there is one.
    pub(super) fn row(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Option<Row>> {
        Ok(self.rows(sql, parameters)?.into_iter().next())
    }

    /// How many rows a statement changed.
    pub(super) fn run(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<u64> {
        self.served.wait(self.client.execute_typed(sql, parameters))
    }

    /// Statements without parameters.
    pub(super) fn batch(&self, sql: &str) -> Result<()> {
        self.served.wait(self.client.batch_execute(sql))
    }
}

impl Served {
    fn wait<T: Send>(
        &self,
        answer: impl Future<Output = std::result::Result<T, tokio_postgres::Error>> + Send,
    ) -> Result<T> {
        let runtime = self.0.as_ref().ok_or_else(|| Error::new("the connection is closed"))?;
        if Handle::try_current().is_err() {
            return Ok(runtime.block_on(answer)?);
        }
        let answer = std::thread::scope(|scope| scope.spawn(|| runtime.block_on(answer)).join());
        Ok(answer.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?)
    }
}
