//! A journal's database, looked at and made ready by somebody who is not at work on a run.

use tokio_postgres::Config;

use super::link::Link;
use super::reads::value;
use super::{Error, Result, prune, schema};

/// How a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Its version.
    pub version: String,
    /// The schema that the journal is in or is to be in.
    pub schema: String,
    /// Whether nothing can be written there.
    pub is_read_only: bool,
    /// Whether what is committed is on its disk.
    pub is_synced: bool,
    /// Whether a commit waits for standbys as well.
    pub waits_for_standbys: bool,
}

/// Looks at the server of a journal.
pub fn check(config: &Config) -> Result<Health> {
    health(&Link::open(config)?)
}

fn health(link: &Link) -> Result<Health> {
    let sql = "SELECT current_setting('server_version'), current_schema()::text, current_setting('search_path'),
        current_setting('transaction_read_only') = 'on', current_setting('fsync') = 'on',
        current_setting('synchronous_standby_names') <> '' AND current_setting('synchronous_commit') <> 'local'";
    let row = link.row(sql, &[])?.ok_or_else(|| Error::new("the server did not say what it is"))?;
    let schema: Option<String> = value(&row, 1)?;
    let schema = schema.ok_or_else(|| {
        Error::new(format!(
            "there is no schema {}, or this role may not use it: `redrive journal init` makes it, and prints the SQL that lets a role use it",
            value::<String>(&row, 2).unwrap_or_default()
        ))
    })?;
    Ok(Health {
        version: value(&row, 0)?,
        schema,
        is_read_only: value(&row, 3)?,
        is_synced: value(&row, 4)?,
        waits_for_standbys: value(&row, 5)?,
    })
}

/// Makes the tables where there are none. Gives the SQL that lets a role use them and do nothing else.
pub fn init(config: &Config, role: &str) -> Result<String> {
    let link = Link::open(config)?;
    let sql = "SELECT current_setting('search_path') WHERE current_schema() IS NULL";
    if let Some(row) = link.row(sql, &[])? {
        link.batch(&format!("CREATE SCHEMA {}", value::<String>(&row, 0)?))?;
    }
    let schema = quoted(&health(&link)?.schema);
    schema::make(&link)?;
    let role = quoted(role);
    let all = |tables: &[&str]| tables.iter().map(|table| format!("{schema}.{table}")).collect::<Vec<_>>().join(", ");
    Ok(format!(
        "GRANT USAGE ON SCHEMA {schema} TO {role};\n\
         GRANT SELECT ON {} TO {role};\n\
         GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO {role};\n",
        all(&["journal", "runs", "messages", "doubts"]),
        all(&[&prune::OF_RUNS[..], &["run", "queue"]].concat()),
    ))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
