//! Where a journal may be: not behind a link. What a link leads to is somebody else's, and must not be written to.
//!
//! It looks at names and at what they stand for; it opens nothing and makes nothing.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The journal's files: its database, what `SQLite` puts beside that, and the lock.
const ENDINGS: [&str; 4] = ["", "-wal", "-shm", LOCK];

/// How the name of the lock ends.
pub(super) const LOCK: &str = "-lock";

/// A file of the journal: `SQLite` puts the ending behind the whole name, and so do we.
pub(super) fn beside(journal: &Path, ending: &str) -> PathBuf {
    let mut path: OsString = journal.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

/// Refuses a journal whose directory is a symbolic link, and one of whose files is no plain file with this name alone. Of an
/// absolute path the directories are whoever gave it knows best; a relative one leads through what somebody may have put into
/// the working directory. Says why.
pub(super) fn check(journal: &Path) -> Result<(), String> {
    let directories = journal.ancestors().skip(1).filter(|_| journal.is_relative());
    for directory in directories.filter(|directory| !directory.as_os_str().is_empty()) {
        if fs::symlink_metadata(directory).is_ok_and(|found| found.is_symlink()) {
            let directory = directory.display();
            return Err(format!("{directory} is a symbolic link, which is not followed"));
        }
    }
    for ending in ENDINGS {
        let path = beside(journal, ending);
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        if !found.is_file() {
            return Err(format!("{} is not a regular file", path.display()));
        }
        if found.nlink() > 1 {
            return Err(format!("{} has another name as well, by a hard link", path.display()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_journal_is_its_own_file_under_one_name() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("journal.db");
        check(&path).expect("nothing is there yet");
        for ending in ENDINGS {
            let (file, other) = (beside(&path, ending), directory.path().join("other"));
            fs::write(&other, "precious").expect("a file");
            fs::hard_link(&other, &file).expect("a link");
            assert!(check(&path).expect_err(ending).contains("hard link"));
            fs::remove_file(&file).expect("removed");
            symlink(&other, &file).expect("a link");
            assert!(check(&path).expect_err(ending).contains("not a regular file"));
            fs::remove_file(&file).expect("removed");
            fs::write(&file, "").expect("a file");
            check(&path).expect("a plain file");
        }
    }
}
