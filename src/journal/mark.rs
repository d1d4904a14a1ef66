//! Marks: what is known outside of a journal of a run that is not finished, so that a journal that was deleted, put back from
//! an older copy, or robbed of its last commits is noticed on this machine before anything is sent a second time.
//!
//! One small file a run, in the user's state directory: which source, which journal, and how many SQS requests the journal
//! knew of when it was last written. It is gone when the run is finished or given up. Best effort: without such a directory
//! nothing is marked, and nothing noticed.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Location, Reader};
use crate::error::{Error, Result};

/// The file of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Content {
    run: String,
    /// The URL of the source queue: unlike its ARN it tells a rehearsal from the real thing.
    source: String,
    journal: String,
    requests: u64,
}

/// The directory of marks.
#[derive(Debug, Clone)]
pub struct Marks {
    directory: PathBuf,
}

/// The mark of a run that is under way.
#[derive(Debug)]
pub struct Mark {
    path: PathBuf,
    content: Content,
}

impl Marks {
    /// The marks of the current user: `redrive/runs` in `$XDG_STATE_HOME`, else in `~/.local/state`; `None` without a home.
    pub fn of_user() -> Option<Self> {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
        Some(Self { directory: state.join("redrive/runs") })
    }

    /// Refuses a journal that does not know what it should of the unfinished runs over this source.
    pub fn check(&self, source: &str, journal: &Location) -> Result<()> {
        let reader = Reader::open(journal)?;
        let runs = reader.map(|reader| reader.runs()).transpose()?.unwrap_or_default();
        for mark in self.over(source) {
            let known = runs.iter().find(|run| run.name == mark.content.run);
            if known.is_some_and(|run| run.totals.requests >= mark.content.requests) {
                continue;
            }
            let Content { run, journal: its, requests, .. } = &mark.content;
            let what = match known {
                Some(known) => format!(
                    "the journal {journal} is older than run {run}, which is in it: it knows of {} SQS requests, and at least \
                     {requests} were made",
                    known.totals.requests
                ),
                None => format!(
                    "run {run} over this source is not finished, and the journal {journal} knows nothing of it: it was begun \
                     with {its}"
                ),
            };
            return Err(Error::guarded(what).hint(
                "nothing was touched. The journal was deleted, replaced by an older copy, lost its `-wal` file, or is another \
                 one. Go on with the right one (--journal), or put it back: without it, what that run had sent and not yet \
                 deleted would be sent again. --despite-lost-journal accepts that",
            ));
        }
        Ok(())
    }

    /// Forgets the unfinished runs over this source.
    pub fn forget(&self, source: &str) {
        self.over(source).for_each(Mark::remove);
    }

    /// Forgets a run: it is finished, given up or pruned.
    pub fn forget_run(&self, run: &str) {
        // One that is not there is as good.
        let _ = fs::remove_file(self.path(run));
    }

    /// Marks a run as begun.
    pub fn begin(&self, run: &str, source: &str, journal: &Location, requests: u64) -> io::Result<Mark> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        let journal = match journal {
            Location::File(path) => std::path::absolute(path)?.display().to_string(),
            Location::Server(_) => journal.to_string(),
        };
        let (run, source) = (run.to_owned(), source.to_owned());
        let mark = Mark { path: self.path(&run), content: Content { run, source, journal, requests } };
        mark.write()?;
        Ok(mark)
    }

    fn path(&self, run: &str) -> PathBuf {
        self.directory.join(format!("{run}.json"))
    }

    fn over(&self, source: &str) -> impl Iterator<Item = Mark> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten();
        let marks = entries.filter_map(|entry| {
            let path = entry.ok()?.path();
            path.extension().filter(|extension| *extension == "json")?;
            // What cannot be read is no mark: it must not hinder a run.
            let content: Content = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
            Some(Mark { path, content })
        });
        marks.filter(move |mark| mark.content.source == source)
    }
}

impl Mark {
    /// Notes what the journal knows by now. A mark that cannot be written stays as it was: it only says less.
    pub(super) fn note(&mut self, requests: u64) {
        self.content.requests = requests;
        let _ = self.write();
    }

    pub(super) fn remove(self) {
        let _ = fs::remove_file(self.path);
    }

    fn write(&self) -> io::Result<()> {
        let new = self.path.with_extension("new");
        // Left by a process that was killed; whatever else it may be, nothing is written through it.
        if let Err(error) = fs::remove_file(&new)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(&serde_json::to_vec(&self.content)?)?;
        fs::rename(new, &self.path)
    }
}
