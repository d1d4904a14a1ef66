//! The lock that keeps two writing processes off one journal: an exclusive lock on a file beside it, which the system
//! gives up when the process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

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
        // Beside SQLite's own `-wal` and `-shm`: another journal of the same stem has another lock.
        let mut path = journal.as_os_str().to_owned();
        path.push("-lock");
        let path = PathBuf::from(path);
        let failed = |error: std::io::Error| {
            Error::failed(format!("the journal's lock {} cannot be taken: {error}", path.display()))
                .hint("nothing was received or sent; the journal's directory must be on a local disk and writable")
        };
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            use std::os::unix::fs::DirBuilderExt;
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed)?;
        }
        // The number of the process is written into it: not into what a link leads to.
        if std::fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file()) {
            return Err(failed(std::io::Error::other("it is not a regular file")));
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
            return Err(failed(std::io::Error::other("it is a file of something else, and is left as it is")));
        }
        match try_lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = holder.trim().parse::<u32>().map_or(String::new(), |pid| format!(" (process {pid})"));
                return Err(Error::failed(format!(
                    "another redrive{holder} is at work with the journal {}",
                    journal.display()
                ))
                .hint("nothing was touched; wait for it to end, or use another journal with --journal"));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
