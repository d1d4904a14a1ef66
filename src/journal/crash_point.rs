//! Where tests end the process: at its Nth commit, before or after it, as `REDRIVE_CRASH_AT_COMMIT=7:before` says. Only a build
//! with debug assertions reads that; a release has no such place. It knows nothing of what is committed.

use std::time::Duration;

const VARIABLE: &str = "REDRIVE_CRASH_AT_COMMIT";

/// Counts commits, and ends the process at the one that was named.
#[derive(Debug)]
pub(super) struct CrashPoint {
    commits: u64,
    at: Option<(u64, Moment)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Before,
    After,
}

impl CrashPoint {
    pub(super) fn from_environment() -> Self {
        let named = if cfg!(debug_assertions) { std::env::var(VARIABLE).ok() } else { None };
        Self { commits: 0, at: named.as_deref().and_then(parse) }
    }

    /// A commit is about to be made.
    pub(super) fn before_commit(&mut self) {
        self.commits += 1;
        if self.at == Some((self.commits, Moment::Before)) {
            // Whatever does not wait for the commit has the time to show that it does not.
            std::thread::sleep(Duration::from_millis(500));
            std::process::abort();
        }
    }

    /// It was made, and nobody has been told.
    pub(super) fn after_commit(&self) {
        if self.at == Some((self.commits, Moment::After)) {
            std::process::abort();
        }
    }
}

fn parse(text: &str) -> Option<(u64, Moment)> {
    let (commit, moment) = text.split_once(':')?;
    let moment = match moment {
        "before" => Moment::Before,
        "after" => Moment::After,
        _ => return None,
    };
    Some((commit.parse().ok()?, moment))
}
