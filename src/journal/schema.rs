//! Opening the journal's file: its tables, its settings, its state of health.
//!
//! A journal of another format, a file that is not ours, and a damaged one are refused: the program never starts afresh over
//! what it cannot read. The file, like `-wal` and `-shm` beside it, is readable by its owner only. It must be on a local disk:
//! the database's locks and its write-ahead log do not work over a network file system.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::place;
use crate::error::{Error, Kind, Result};
use redrive_protocol::protocol::State;
use redrive_protocol::target::Reason;

const TABLES: &str = include_str!("tables.sql");

/// The format of the tables, kept as `user_version`; another number for each change of them that is released.
const FORMAT: i64 = 14;

/// Marks the file as redrive's: "rdrv".
const APPLICATION_ID: i64 = 0x7264_7276;

/// How long to wait for another program that has the database locked.
const BUSY: Duration = Duration::from_secs(5);

/// A journal of a hundred thousand messages; to check it takes a fraction of a second.
const CHECKED: u64 = 16 << 20;

/// No database file is smaller.
const SMALLEST_PAGE: u64 = 512;

/// Opens the journal for writing, creating it and its directory where there is none.
pub(super) fn open(path: &Path) -> Result<Connection> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(parent);
        made.map_err(|error| unusable(path, &format!("its directory cannot be made: {error}")))?;
    }
    place::check(path).map_err(|why| unusable(path, &why))?;
    let touched = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    touched.map_err(|error| unusable(path, &error.to_string()))?;
    // One thread uses it, so SQLite need not lock for each of its calls.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(|e| broken(path, &e))?;
    prepare(&mut connection, path)?;
    check(&connection, path)?;
    match super::front::clear_left_over(&mut connection) {
        Ok(true) => Ok(connection),
        Ok(false) => Err(damaged(path, "what was on its way cannot be read")),
        Err(error) => Err(broken(path, &error)),
    }
}

/// Compares the tables with what they should be, reads a journal of moderate size whole, and compares its tables with their
/// indexes: what is damaged is found before anything is done with it. A larger one is found to be damaged where it is read.
fn check(connection: &Connection, path: &Path) -> Result<()> {
    check_format(connection, path)?;
    let length = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    let page: u64 =
        connection.pragma_query_value(None, "page_size", |row| row.get(0)).map_err(|error| broken(path, &error))?;
    // A page that was cut short is read as if zeros followed, and may end with just that. As long as there is a write-ahead log,
    // the whole page may be in it.
    if length(path) % page != 0 && length(&wal(path)) == 0 {
        return Err(damaged(path, "it was cut"));
    }
    if length(path) > CHECKED {
        return Ok(());
    }
    let found: String = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(|error| broken(path, &error))?;
    if found != "ok" {
        return Err(damaged(path, &found));
    }
    // Our own indexes are nothing that the database knows of.
    match super::rested::are_found(connection) {
        Ok(true) => Ok(()),
        Ok(false) => Err(damaged(path, "its indexes do not have all messages")),
        Err(error) => Err(broken(path, &error)),
    }
}

/// Refuses a journal whose tables are not those of a new one, or that holds anything else: a trigger would change what we write,
/// and a view what we read.
fn check_format(connection: &Connection, path: &Path) -> Result<()> {
    let sql = |error: rusqlite::Error| broken(path, &error);
    let mut new = Connection::open_in_memory().map_err(sql)?;
    make(&mut new).map_err(sql)?;
    let (found, expected) = (objects(connection).map_err(sql)?, objects(&new).map_err(sql)?);
    if let Some((foreign, _)) = found.iter().find(|(name, _)| expected.iter().all(|(known, _)| known != name)) {
        return Err(damaged(path, &format!("it has the {foreign}, which is not redrive's")));
    }
    if found != expected {
        return Err(damaged(path, "its tables are not those of its format"));
    }
    Ok(())
}

/// All tables, indexes, triggers and views, by kind and name, with their declarations. One in which a letter is another is mostly
/// still one to the database: of a column that is no key any more, say.
fn objects(connection: &Connection) -> rusqlite::Result<Vec<(String, Option<String>)>> {
    let mut statement = connection
        .prepare("SELECT concat_ws(' ', type, name, 'of', tbl_name), sql FROM sqlite_schema ORDER BY type, name")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// The write-ahead log beside a journal.
fn wal(path: &Path) -> PathBuf {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    wal.into()
}

/// Opens an existing journal to read from; `None` where there is none.
pub(super) fn open_to_read(path: &Path) -> Result<Option<Connection>> {
    place::check(path).map_err(|why| unusable(path, &why))?;
    if !path.exists() {
        return Ok(None);
    }
    // Reading a write-ahead log needs to write its shared-memory file, so the connection is not opened read-only.
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|e| broken(path, &e))?;
    let sql = |error: rusqlite::Error| broken(path, &error);
    connection.busy_timeout(BUSY).map_err(sql)?;
    if is_empty(&connection, path)? {
        return Ok(None);
    }
    check_format(&connection, path)?;
    connection.pragma_update(None, "query_only", true).map_err(sql)?;
    Ok(Some(connection))
}

fn prepare(connection: &mut Connection, path: &Path) -> Result<()> {
    let sql = |error: rusqlite::Error| broken(path, &error);
    connection.busy_timeout(BUSY).map_err(sql)?;
    let is_empty = is_empty(connection, path)?;
    if is_empty {
        // So that free pages can be given back one by one.
        connection.pragma_update(None, "auto_vacuum", "incremental").map_err(sql)?;
    }
    connection.pragma_update(None, "journal_mode", "wal").map_err(sql)?;
    connection.pragma_update(None, "synchronous", "full").map_err(sql)?;
    // KiB, and bounded: what does not fit is in the operating system's cache, which proved as fast.
    connection.pragma_update(None, "cache_size", -2_048).map_err(sql)?;
    // All that the writer uses: one that had to make room for another would be parsed and planned anew.
    connection.set_prepared_statement_cache_capacity(64);
    // A plan is made once for each statement: without this, a new value for a parameter has it parsed and planned anew.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(sql)?;
    if is_empty { make(connection).map_err(sql) } else { Ok(()) }
}

/// Makes the tables, unless another process was faster.
fn make(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if transaction.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? != 0 {
        return Ok(());
    }
    transaction.execute_batch(TABLES)?;
    for state in State::ALL {
        transaction.execute("INSERT INTO state VALUES (?1, ?2)", (state as u8, state.code()))?;
    }
    for reason in Reason::ALL {
        transaction.execute("INSERT INTO reason VALUES (?1, ?2, ?3)", (*reason as u8, reason.code(), reason.text()))?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}

/// Whether nothing is in the file yet. Refuses what is not ours or has another format.
fn is_empty(connection: &Connection, path: &Path) -> Result<bool> {
    let sql = |error: rusqlite::Error| broken(path, &error);
    // All as of one moment: another process may be making the tables right now.
    let moment = connection.unchecked_transaction().map_err(sql)?;
    let number = |name: &str| moment.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(sql);
    let tables: i64 = moment.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(sql)?;
    let (application, version) = (number("application_id")?, number("user_version")?);
    drop(moment);
    if application == 0 && version == 0 && tables == 0 {
        // SQLite takes the first bytes of a database for an empty one, which has none.
        let length = fs::metadata(path).map_or(0, |file| file.len());
        return if (1..SMALLEST_PAGE).contains(&length) { Err(damaged(path, "it was cut")) } else { Ok(true) };
    }
    if application != APPLICATION_ID {
        return Err(Error::failed(format!("{} is a database, but not a redrive journal", path.display()))
            .hint("nothing was changed; name another file with --journal"));
    }
    if version == FORMAT {
        return Ok(false);
    }
    let age = if version < FORMAT { "an older" } else { "a newer" };
    Err(Error::failed(format!(
        "the journal {} has format {version}: {age} redrive wrote it, and this one reads format {FORMAT} only",
        path.display()
    ))
    .hint(format!(
        "nothing was changed. Finish its runs and look at their reports with {age} redrive; or start a new journal with \
         --journal, which knows nothing of what these runs have sent"
    )))
}

pub(super) fn unusable(path: &Path, why: &str) -> Error {
    Error::failed(format!("the journal {} cannot be used: {why}", path.display()))
        .hint("nothing was received or sent; free the path, or name another with --journal")
}

/// An error of the database in words, with what is safe.
pub(super) fn broken(path: &Path, error: &rusqlite::Error) -> Error {
    let shown = path.display();
    let kept = "what was committed is safe, and no message is deleted without a committed record";
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Error::new(Kind::Stopped, format!("the disk of the journal {shown} is full"))
            .hint(format!("{kept}; free some space and run the same command again")),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged(path, &error.to_string()),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            Error::failed(format!("the journal {shown} cannot be written: {error}"))
                .hint("check the file's and its directory's owner and mode, or name another with --journal")
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Error::new(Kind::Stopped, format!("the journal {shown} is locked by another program: {error}"))
                .hint("wait for it to finish; a journal on a network file system cannot be locked reliably, keep it on a local disk")
        }
        // A value that no redrive writes.
        None if !matches!(error, rusqlite::Error::QueryReturnedNoRows) => damaged(path, &error.to_string()),
        _ => Error::new(Kind::Stopped, format!("the journal {shown} failed: {error}"))
            .hint(format!("{kept}; the same command continues from there")),
    }
}

pub(super) fn damaged(path: &Path, why: &str) -> Error {
    Error::failed(format!("the journal {} is damaged: {why}", path.display())).hint(
        "it is left as it is; restore it from a backup, or recover it with sqlite3's `.recover`. Without it, a run that was \
         interrupted would send again what it had sent but not yet deleted",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use redrive_protocol::message::MessageId;
    use redrive_protocol::protocol::Key;

    #[test]
    fn a_commit_is_on_disk_when_it_returns() {
        let directory = tempfile::tempdir().expect("directory");
        let connection = open(&directory.path().join("journal.db")).expect("open");
        let text = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, String>(0));
        let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        assert_eq!(text("journal_mode").expect("mode"), "wal");
        // 2 is FULL: the write-ahead log is synced at each commit. NORMAL would lose the last ones with the power.
        assert_eq!(number("synchronous").expect("synchronous"), 2);
    }

    #[test]
    fn a_declaration_in_which_a_letter_is_another_is_refused() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("journal.db");
        drop(open(&path).expect("open"));
        let change = "UPDATE sqlite_schema SET sql = replace(sql, 'seq INTEGER PRIMARY', 'seq INTEGER PRIMERY')";
        let changed = Connection::open(&path)
            .and_then(|connection| connection.execute_batch(&format!("PRAGMA writable_schema = ON; {change}")));
        changed.expect("changed");
        let error = open(&path).expect_err("refused");
        assert!(error.message().contains("its tables are not those of its format"), "{error}");
    }

    #[test]
    fn what_is_not_ours_in_a_journal_is_refused() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("journal.db");
        for (foreign, undone) in [
            ("TRIGGER t AFTER UPDATE ON run BEGIN DELETE FROM rested; END", "TRIGGER t"),
            ("VIEW more AS SELECT * FROM rested", "VIEW more"),
            ("TABLE more (a)", "TABLE more"),
            ("INDEX i ON run (started)", "INDEX i"),
        ] {
            drop(open(&path).expect("open"));
            let sql = |text: &str| Connection::open(&path).and_then(|connection| connection.execute_batch(text));
            sql(&format!("CREATE {foreign}")).expect("changed");
            for error in [open(&path).expect_err(foreign), open_to_read(&path).expect_err(foreign)] {
                assert!(error.message().contains("which is not redrive's"), "{error}");
            }
            sql(&format!("DROP {undone}")).expect("undone");
        }
        drop(open(&path).expect("open"));
        let sql = Connection::open(&path).expect("open");
        sql.execute_batch("DROP INDEX message_open").expect("changed");
        assert!(open(&path).expect_err("refused").message().contains("not those of its format"));
    }

    #[test]
    fn a_journal_of_another_format_and_a_file_of_another_program_are_refused_as_they_are() {
        let directory = tempfile::tempdir().expect("directory");
        for (statement, words) in [
            ("PRAGMA user_version = 13", "an older redrive wrote it"),
            ("PRAGMA user_version = 15", "a newer redrive wrote it"),
            ("PRAGMA application_id = 1", "is a database, but not a redrive journal"),
        ] {
            let path = directory.path().join("journal.db");
            drop(open(&path).expect("open"));
            Connection::open(&path).and_then(|connection| connection.execute_batch(statement)).expect("changed");
            let before = fs::read(&path).expect("readable");
            for error in [open(&path).expect_err(words), open_to_read(&path).expect_err(words)] {
                assert!(error.message().contains(words), "{error}");
            }
            assert!(fs::read(&path).expect("readable") == before, "nothing was changed");
            fs::remove_file(&path).expect("removed");
        }
    }

    #[test]
    fn what_is_at_rest_can_be_read_in_words() {
        let directory = tempfile::tempdir().expect("directory");
        let connection = open(&directory.path().join("journal.db")).expect("open");
        let uuid = "4f6d1b1e-0000-4c0e-9a3b-0123456789ab";
        let insert = "INSERT INTO rested (source, id, run, state, rule, exhausted, reason, doubts, at) VALUES (1, ?1, 1, ?2, 0, 0, ?3, 0, 0)";
        connection
            .execute_batch(
                "INSERT INTO queue VALUES (1, 'dlq'); INSERT INTO run (name, source, job_sha256, plan, started) VALUES ('r', 1, '', '', 0)",
            )
            .expect("a run");
        let id = |text: &str| Key::of(&MessageId::new(text)).bytes().to_vec();
        for state in State::ALL {
            connection.execute(insert, (id(uuid), state as u8, None::<u8>)).expect("a row");
        }
        connection.execute(insert, (id("short"), State::Failed as u8, Reason::Gone as u8)).expect("a row");
        let mut rows = connection.prepare("SELECT id, state, reason FROM messages").expect("a view");
        let words = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect("rows");
        let words: Vec<(String, String, Option<String>)> = words.collect::<Result<_, _>>().expect("text");
        let states = State::ALL.map(|state| (uuid.to_owned(), state.code().to_owned(), None));
        assert_eq!(words[..10], states);
        assert_eq!(words[10], ("short".to_owned(), "failed".to_owned(), Some("gone".to_owned())));
    }
}
