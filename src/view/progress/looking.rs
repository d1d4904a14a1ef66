//! Progress while messages are looked at, before there is a plan: a line that changes on a terminal, else one now and then.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::super::output;
use super::bars::Status;
use super::is_silent;
use super::lines::Every;
use crate::words::{count, thousands};

/// A log gets a line about it only if it takes this long.
const LINES_EVERY: Duration = Duration::from_secs(10);

/// Shows how many messages were looked at, until it is dropped.
#[derive(Debug)]
pub struct Looking {
    status: Option<Status>,
    every: Mutex<Every>,
}

impl Looking {
    /// On stderr.
    pub fn on_stderr() -> Self {
        let mut every = Every::new(LINES_EVERY);
        // The first line is due only after that time.
        every.hold(Instant::now(), Duration::ZERO);
        Self { status: Status::on_stderr(), every: Mutex::new(every) }
    }

    /// So many were looked at; `of` is how many that is to be, as far as anybody knows.
    pub fn show(&self, looked: u64, of: Option<u64>) {
        let line = words(looked, of);
        match &self.status {
            Some(status) => status.show(line),
            None if is_silent() => {}
            None if self.every.lock().unwrap_or_else(PoisonError::into_inner).is_due(Instant::now()) => {
                output::note(&line);
            }
            None => {}
        }
    }
}

fn words(looked: u64, of: Option<u64>) -> String {
    match of.filter(|of| *of >= looked) {
        Some(of) => format!("examined {} of about {}", thousands(looked), count(of, "message")),
        None => format!("examined {}", count(looked, "message")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_many_of_how_many_as_long_as_that_is_true() {
        assert_eq!(words(10, Some(4000)), "examined 10 of about 4,000 messages");
        // The count lags, and more have come.
        assert_eq!(words(11, Some(10)), "examined 11 messages");
        assert_eq!(words(1, None), "examined 1 message");
    }
}
