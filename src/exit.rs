//! Every exit code of the program, and nothing else. They are part of the interface: scripts and pipelines branch on them.

/// How a command ended, as the shell sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// 0: done, or nothing to do.
    Done = 0,
    /// 1: failed. What happened, and what is safe, is on stderr.
    Failed = 1,
    /// 2: the command line or the job file is not valid. Nothing was touched.
    Usage = 2,
    /// 3: stopped before the end, and resumable: the same command continues.
    Stopped = 3,
    /// 4: refused before anything moved: a plan that is stale, altered, expired, unapproved or without bounds, or a guard.
    Refused = 4,
    /// 5: halted on the way by a bound or a guard (drift, the in-flight limit), and resumable.
    Halted = 5,
    /// 6: done, but some messages are blocked, held or failed.
    Partial = 6,
    /// 7: `plan --detailed-exitcode`: something would move.
    WouldMove = 7,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
