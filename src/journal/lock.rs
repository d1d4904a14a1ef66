//! The lock that keeps two writing processes off one journal: an exclusive lock on a file beside it, which the system
//! gives up when the process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use super::place::{LOCK, beside};
use crate::error::{Error, Kind, Result};

/// For how long somebody who only looks whether the lock is held may have it, and how often that is waited for.
const LOOK: Duration = Duration::from_millis(10);
const LOOKS: u32 = 100;

/// The lock, held as long as it lives.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a journal, or says who has it.
    pub(super) fn take(journal: &Path) -> Result<Self> {
        Self::take_by(journal, File::try_lock)
    }

    fn take_by(journal: &Path, try_lock: impl Fn(&File) -> Result<(), TryLockError>) -> Result<Self> {
        super::place::check(journal).map_err(|why| super::schema::unusable(journal, &why))?;
        // Beside SQLite's own `-wal` and `-shm`: another journal of the same stem has another lock.
        let path = beside(journal, LOCK);
        let failed = |error: std::io::Error| {
            Error::failed(format!("the journal's lock {} cannot be taken: {error}", path.display()))
                .hint("nothing was received or sent; the journal's directory must be on a local disk and writable")
        };
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            use std::os::unix::fs::DirBuilderExt;
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed)?;
        }
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed)?;
        let mut holder = String::new();
        // A hard link would lead to a file of somebody else, and so would a name that was taken.
        let is_ours = file.metadata().map_err(failed)?.nlink() == 1
            && (&file)
                .take(64)
                .read_to_string(&mut holder)
                .is_ok_and(|_| holder.trim().bytes().all(|c| c.is_ascii_digit()));
        if !is_ours {
            return Err(failed(std::io::Error::other("it belongs to something else and is left as it is")));
        }
        let mut tried = try_lock(&file);
        for _ in 0..LOOKS {
            if matches!(tried, Err(TryLockError::WouldBlock)) {
                std::thread::sleep(LOOK);
                tried = try_lock(&file);
            }
        }
        match tried {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = holder.trim().parse::<u32>().map_or(String::new(), |pid| format!(" (process {pid})"));
                return Err(Error::new(
                    Kind::Busy,
                    format!("another redrive{holder} is using the journal {}", journal.display()),
                )
                .hint("nothing was touched; wait for it to end, or use another journal with --journal"));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// Whether this process holds the lock of a journal. To know it one has to try for it, so whoever takes the lock has patience
/// with who only looks.
pub(super) fn is_held_by(journal: &Path, pid: u32) -> bool {
    let Ok(mut file) = File::open(beside(journal, LOCK)) else { return false };
    if !matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
        return false;
    }
    let mut holder = String::new();
    // One that is just writing its number is as good as the one that is asked about.
    file.read_to_string(&mut holder).is_ok_and(|_| holder.trim().parse().map_or(true, |holder: u32| holder == pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_looks_sees_who_holds_it_and_hinders_nobody() {
        let directory = tempfile::tempdir().expect("directory");
        let journal = directory.path().join("journal.db");
        assert!(!is_held_by(&journal, std::process::id()));
        let lock = Lock::take(&journal).expect("taken");
        assert!(is_held_by(&journal, std::process::id()) && !is_held_by(&journal, u32::MAX));
        assert!(Lock::take(&journal).expect_err("held").message().contains("another redrive"));
        drop(lock);
        assert!(!is_held_by(&journal, std::process::id()));
        let looks = File::open(beside(&journal, LOCK)).expect("open");
        looks.try_lock_shared().expect("looked at");
        let done = std::thread::spawn(move || {
            std::thread::sleep(LOOK);
            drop(looks);
        });
        Lock::take(&journal).expect("after a look");
        done.join().expect("ended");
    }

    #[test]
    fn a_file_system_without_locks_is_refused_in_words() {
        let directory = tempfile::tempdir().expect("directory");
        // ENOLCK, as NFS without its lock service says.
        let refused = |_: &File| Err(TryLockError::Error(std::io::Error::from_raw_os_error(37)));
        let error = Lock::take_by(&directory.path().join("journal.db"), refused).expect_err("refused");
        assert!(error.message().contains("cannot be taken"), "{error}");
        assert!(error.hint_text().is_some_and(|hint| hint.contains("local disk")), "{error:?}");
        assert!(!directory.path().join("journal.db").exists(), "nothing was begun");
    }
}
