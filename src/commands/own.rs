//! No file destination may be one of redrive's own files, nor another destination's: by whatever spelling, link or hard link it
//! is named. What is there is compared by device and inode, what is not there yet by its real path.

use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};
use crate::journal::Location;
use redrive_rules::job::{Destination, Job};
use redrive_rules::rule::Rules;

/// Files of a command, each with what it is.
#[derive(Debug, Default)]
pub(super) struct Own(Vec<(String, PathBuf)>);

/// Which file a path leads to.
#[derive(Debug, PartialEq, Eq)]
enum Which {
    There { device: u64, inode: u64 },
    NotYet(PathBuf),
}

impl Own {
    /// The journal, and what lies beside it.
    pub(super) fn of_journal(journal: &Location) -> Self {
        let Some(file) = journal.file() else { return Self(Vec::new()) };
        let beside = |ending: &str| {
            let mut name = file.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        Self(["", "-wal", "-shm", "-lock"].map(|ending| (format!("the journal {journal}"), beside(ending))).into())
    }

    /// One more.
    #[must_use]
    pub(super) fn and(mut self, what: &str, path: &Path) -> Self {
        self.0.push((format!("{what} {}", path.display()), path.to_owned()));
        self
    }

    /// Refuses a job one of whose file destinations is among these, or is two. `run`: its identity, once that is known.
    pub(super) fn refuse(&self, job: &Job, rules: &Rules, run: Option<&str>) -> Result<()> {
        let mut seen: Vec<(String, Which)> =
            self.0.iter().map(|(what, path)| (what.clone(), Which::of(path))).collect();
        for (name, destination) in &job.destination {
            if !matches!(destination, Destination::File(_)) {
                continue;
            }
            let Some(path) = rules.file_path(name, run.unwrap_or("{run}")) else { continue };
            let which = Which::of(Path::new(&path));
            if let Some((what, _)) = seen.iter().find(|(_, own)| *own == which) {
                return Err(Error::usage(format!("destination {name:?} writes to {path}, and that is {what}"))
                    .hint("nothing was touched; name another file in the job"));
            }
            seen.push((format!("the file of destination {name:?}"), which));
        }
        Ok(())
    }
}

impl Which {
    fn of(path: &Path) -> Self {
        match path.metadata() {
            Ok(found) => Self::There { device: found.dev(), inode: found.ino() },
            Err(_) => Self::NotYet(real(path)),
        }
    }
}

/// The path with the links resolved of that part of it which is there.
fn real(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.components().fold(PathBuf::new(), |mut real, component| match component {
        Component::ParentDir => {
            real.pop();
            real
        }
        component => {
            real.push(component);
            real.canonicalize().unwrap_or(real)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_every_spelling_and_link_whether_it_is_there_or_not() {
        let directory = tempfile::tempdir().expect("directory");
        let at = |name: &str| directory.path().join(name);
        std::fs::create_dir(at("real")).expect("made");
        std::os::unix::fs::symlink(at("real"), at("link")).expect("linked");
        let spellings =
            ["real/x", "real/./x", "link/x", "link/../real/x", "real//x", "none/../real/x", "link/none/../x"];
        for there in [false, true] {
            for one in &spellings {
                assert_eq!(Which::of(&at(one)), Which::of(&at("real/x")), "{one}, there: {there}");
                assert_ne!(Which::of(&at(one)), Which::of(&at("real/y")), "{one}, there: {there}");
            }
            std::fs::create_dir_all(at("real/none")).expect("made");
            std::fs::create_dir_all(at("none")).expect("made");
            std::fs::write(at("real/x"), "x").expect("written");
        }
        std::fs::hard_link(at("real/x"), at("hard")).expect("linked");
        assert_eq!(Which::of(&at("hard")), Which::of(&at("link/x")));
    }
}
