//! Where tests end the process: at the Nth of something, before, in the midst of or after it, as `REDRIVE_CRASH_AT_COMMIT=7:before`
//! and `REDRIVE_CRASH_AT_APPEND=2:midst` say. Only a build with debug assertions reads that; a release has no such place.

use std::time::Duration;

/// Counts how often it is passed, and ends the process at the time that was named.
#[derive(Debug)]
pub(crate) struct CrashPoint {
    passed: u64,
    at: Option<(u64, Moment)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Before,
    Midst,
    After,
}

impl CrashPoint {
    /// The one that this environment variable names.
    pub(crate) fn from_environment(variable: &str) -> Self {
        let named = if cfg!(debug_assertions) { std::env::var(variable).ok() } else { None };
        Self { passed: 0, at: named.as_deref().and_then(parse) }
    }

    /// It is about to be done.
    pub(crate) fn before(&mut self) {
        self.passed += 1;
        if self.at == Some((self.passed, Moment::Before)) {
            // Whatever does not wait for it has the time to show that it does not.
            std::thread::sleep(Duration::from_millis(500));
            std::process::abort();
        }
    }

    /// Whether to do half of it, and then to call [`CrashPoint::end`].
    pub(crate) fn ends_in_midst(&self) -> bool {
        self.at == Some((self.passed, Moment::Midst))
    }

    /// It was done, and nobody has been told.
    pub(crate) fn after(&self) {
        if self.at == Some((self.passed, Moment::After)) {
            Self::end();
        }
    }

    /// Ends the process as a crash does.
    pub(crate) fn end() -> ! {
        std::process::abort()
    }
}

fn parse(text: &str) -> Option<(u64, Moment)> {
    let (number, moment) = text.split_once(':')?;
    let moment = match moment {
        "before" => Moment::Before,
        "midst" => Moment::Midst,
        "after" => Moment::After,
        _ => return None,
    };
    Some((number.parse().ok()?, moment))
}
