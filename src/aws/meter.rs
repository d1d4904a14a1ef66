//! What every call leaves behind: a count of requests, and the server's clock as its `Date` headers show it. An SDK
//! interceptor, so that no call can be forgotten.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use aws_sdk_sqs::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_sqs::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sqs::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use jiff::{SignedDuration, Timestamp};

/// How many requests were sent. Each is one that AWS bills.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests {
    /// To SQS.
    pub sqs: u64,
    /// To S3.
    pub s3: u64,
}

/// Counts requests of one service.
#[derive(Debug, Clone, Default)]
pub(super) struct Counter(Arc<AtomicU64>);

impl Counter {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The newest `Date` of a server, and when it was read.
#[derive(Clone, Default)]
pub(super) struct Clock(Arc<Mutex<Option<(Timestamp, Instant)>>>);

impl Clock {
    /// The server's time at this instant, never before its real one: `Date` cuts the fraction of a second off, so one
    /// second is added.
    pub(super) fn now(&self, at: Instant) -> Option<Timestamp> {
        let (date, read) = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        let since = SignedDuration::try_from(at.saturating_duration_since(read)).ok()?;
        date.checked_add(since).ok()?.checked_add(SignedDuration::from_secs(1)).ok()
    }

    fn read(&self, date: &str, at: Instant) {
        // A header that is no date is no reason to fail a call.
        let Ok(date) = jiff::fmt::rfc2822::parse(date).map(|date| date.timestamp()) else { return };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((date, at));
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// The interceptor: one on each client.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    pub(super) requests: Counter,
    pub(super) clock: Clock,
}

#[dyn_dispatch_hint]
impl Intercept for Meter {
    fn name(&self) -> &'static str {
        "redrive-meter"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.requests.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date") {
            self.clock.read(date, Instant::now());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_clock_goes_on_between_answers_and_is_never_behind() {
        let clock = Clock::default();
        let read = Instant::now();
        assert_eq!(clock.now(read), None);
        clock.read("Sun, 22 Nov 2026 06:39:27 GMT", read);
        let shown = clock.now(read + Duration::from_millis(2500)).unwrap();
        assert_eq!(shown, "2026-11-22T06:39:30.5Z".parse().unwrap());
    }

    #[test]
    fn a_newer_date_replaces_the_older_even_when_the_server_was_set_back() {
        let clock = Clock::default();
        let read = Instant::now();
        clock.read("Sun, 22 Nov 2026 06:39:27 GMT", read);
        clock.read("Sun, 22 Nov 2026 05:00:00 GMT", read);
        assert_eq!(clock.now(read).unwrap(), "2026-11-22T05:00:01Z".parse().unwrap());
    }

    #[test]
    fn a_header_that_is_no_date_changes_nothing() {
        let clock = Clock::default();
        for date in ["", "yesterday", "9999999999", "Sun, 99 Nov 2026 06:39:27 GMT", "\u{0}"] {
            clock.read(date, Instant::now());
        }
        assert_eq!(clock.now(Instant::now()), None);
        clock.read("Fri, 31 Dec 9999 23:59:59 GMT", Instant::now());
        assert_eq!(clock.now(Instant::now() + Duration::from_hours(24)), None);
    }
}
