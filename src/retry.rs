//! When to try again: backoff with full jitter, within a budget of retries that all workers share, so that a storm is not made
//! worse by those who wait in it.
//!
//! Calls that only look are repeated by [`Retries::repeat`]; a call that carries messages is never repeated here, because
//! whether that is safe depends on what it did.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::sqs::{CallError, Fault};

/// Tries to make of one thing before it is given up.
pub(crate) const MAX_TRIES: u32 = 8;

/// Tries to reach a server to which no connection can be made: a wrong endpoint is to be said soon.
const MAX_CONNECTS: u32 = 4;

/// No call is repeated after this time, so that a server that lets every call run into its time-out is given up within minutes.
const PATIENCE: Duration = Duration::from_mins(1);

/// Retries that may be made at once, after a time without any.
const STORE: f64 = 50.0;

/// How much of a retry each request earns: in the long run, one request in ten is a retry.
const EARNED_BY_REQUEST: f64 = 0.1;

/// How many retries each second earns, so that where nothing but retries is left the run goes on, slowly.
const EARNED_BY_SECOND: f64 = 5.0;

/// The wait before try number `tries` (from 1): a random time below a bound that doubles from 100 ms up to 10 s.
pub(crate) fn backoff(tries: u32, random: f64) -> Duration {
    let bound = Duration::from_millis(100) * 2_u32.saturating_pow(tries.saturating_sub(1).min(16));
    bound.min(Duration::from_secs(10)).mul_f64(random.clamp(0.0, 1.0))
}

/// The run's retries, and what they may cost: a token bucket.
pub(crate) struct Retries {
    /// How many requests were made until now.
    requests: Arc<dyn Fn() -> u64 + Send + Sync>,
    bucket: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    /// Below zero where retries were granted for later.
    tokens: f64,
    /// When and at how many requests they were counted.
    counted: (Instant, u64),
}

impl Retries {
    pub(crate) fn new(requests: Arc<dyn Fn() -> u64 + Send + Sync>) -> Self {
        let counted = (Instant::now(), requests());
        Self { requests, bucket: Mutex::new(Bucket { tokens: STORE, counted }) }
    }

    /// Waits before try number `tries`: for the backoff, or longer where too much is tried again already.
    pub(crate) async fn wait(&self, tries: u32) {
        let granted = {
            let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
            bucket.take(Instant::now(), (self.requests)())
        };
        tokio::time::sleep(backoff(tries, rand::random()).max(granted)).await;
    }

    /// Makes a call that has no effect, and makes it again as long as its failure may pass. The error of the last try says how
    /// many there were.
    pub(crate) async fn repeat<T, F>(&self, mut call: impl FnMut() -> F) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        let started = Instant::now();
        let mut tries = 0;
        loop {
            let error = match call().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            tries += 1;
            if is_worth_another_try(error.fault, tries, started.elapsed()) {
                self.wait(tries).await;
                continue;
            }
            return Err(match tries {
                1 => error,
                _ => CallError { message: format!("{} ({tries} tries)", error.message), ..error },
            });
        }
    }
}

/// Whether a call that has no effect is made again, after so many tries and so much time.
fn is_worth_another_try(fault: Fault, tries: u32, elapsed: Duration) -> bool {
    let most = if fault == Fault::Unreachable { MAX_CONNECTS } else { MAX_TRIES };
    fault.is_transient() && tries < most && elapsed < PATIENCE
}

impl Bucket {
    /// Takes one retry out; gives how long to wait until it is earned.
    fn take(&mut self, now: Instant, requests: u64) -> Duration {
        let (then, earlier) = std::mem::replace(&mut self.counted, (now, requests));
        let made = u32::try_from(requests.saturating_sub(earlier)).unwrap_or(u32::MAX);
        let earned = f64::from(made) * EARNED_BY_REQUEST + (now - then).as_secs_f64() * EARNED_BY_SECOND;
        self.tokens = (self.tokens + earned).min(STORE) - 1.0;
        Duration::from_secs_f64((-self.tokens / EARNED_BY_SECOND).max(0.0))
    }
}

impl fmt::Debug for Retries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retries").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retries() -> Retries {
        Retries::new(Arc::new(|| 0))
    }

    fn error(fault: Fault) -> CallError {
        let (resource, message) = ("orders".to_owned(), "no".to_owned());
        CallError { fault, action: "GetQueueUrl", resource, code: None, message }
    }

    #[tokio::test]
    async fn a_call_is_repeated_until_it_succeeds_or_cannot() {
        let repeated = async |failures: u32, fault| {
            let mut calls = 0;
            let call = || {
                calls += 1;
                std::future::ready(if calls > failures { Ok(()) } else { Err(error(fault)) })
            };
            let answer = retries().repeat(call).await;
            (calls, answer)
        };
        for fault in [Fault::Throttled, Fault::NoAnswer, Fault::Unreachable] {
            assert_eq!(repeated(3, fault).await, (4, Ok(())), "{fault:?}");
        }
        let (calls, given_up) = repeated(u32::MAX, Fault::Unreachable).await;
        assert_eq!((calls, given_up.unwrap_err().message.as_str()), (MAX_CONNECTS, "no (4 tries)"));
        for fault in [Fault::Denied, Fault::Credentials, Fault::NotFound, Fault::Refused, Fault::TooLong] {
            assert_eq!(repeated(u32::MAX, fault).await, (1, Err(error(fault))), "{fault:?}");
        }
    }

    #[test]
    fn patience_has_an_end() {
        let soon = Duration::from_secs(1);
        assert!(is_worth_another_try(Fault::Throttled, MAX_TRIES - 1, soon));
        assert!(!is_worth_another_try(Fault::Throttled, MAX_TRIES, soon));
        assert!(!is_worth_another_try(Fault::NoAnswer, 2, PATIENCE), "each of two calls ran into its time-out");
    }

    #[test]
    fn waits_grow_and_are_bounded() {
        let longest: Vec<u128> = (1..=9).map(|tries| backoff(tries, 1.0).as_millis()).collect();
        assert_eq!(longest, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(backoff(u32::MAX, 1.0), Duration::from_secs(10));
        assert_eq!(backoff(5, 0.0), Duration::ZERO, "full jitter: from nothing on");
    }

    #[test]
    fn a_storm_is_not_multiplied() {
        // Everything fails, and everybody tries again as soon as they may: 64 at once, for ten minutes.
        let start = Instant::now();
        let mut bucket = Bucket { tokens: STORE, counted: (start, 0) };
        let mut next = vec![start; 64];
        let (mut requests, mut retries) = (64, 0_u32);
        while let Some(due) = next.iter_mut().min().filter(|due| **due < start + Duration::from_mins(10)) {
            let wait = bucket.take(*due, requests);
            // What it waited for is then done, which is a request.
            *due += wait.max(Duration::from_millis(1));
            requests += 1;
            retries += 1;
        }
        let most = (STORE + 64.0 * EARNED_BY_REQUEST + 600.0 * EARNED_BY_SECOND) / (1.0 - EARNED_BY_REQUEST) + 64.0;
        assert!(f64::from(retries) <= most, "{retries} retries, {most} are earned");
        assert!(retries > 3_000, "it goes on: {retries}");
    }

    #[test]
    fn in_good_times_one_request_in_ten_may_be_a_retry_and_no_store_grows_without_end() {
        let start = Instant::now();
        let mut bucket = Bucket { tokens: 0.0, counted: (start, 0) };
        for retry in 1..=1_000 {
            assert_eq!(bucket.take(start, retry * 10), Duration::ZERO, "retry {retry}");
        }
        assert!(bucket.take(start, 10_000) > Duration::ZERO, "nothing is left");
        // An hour and a million requests later there is the store, and no more.
        let later = start + Duration::from_hours(1);
        let at_once = (0..1_000).take_while(|_| bucket.take(later, 1_000_000).is_zero()).count();
        assert_eq!(at_once, 50);
    }
}
