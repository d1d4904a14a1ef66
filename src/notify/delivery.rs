//! How often something is posted, and when that is given up.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::aws::Webhook;

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(5);

/// How long to wait before the second try; before each later one twice as long.
const PAUSE: Duration = Duration::from_secs(1);

/// Posts until it is taken, until it is refused for good, or until the time is over; then says why.
pub(super) async fn deliver(webhook: &Webhook, body: &str, until: Instant) -> Result<(), String> {
    for tries in 1.. {
        let answer = timeout_at(until.min(Instant::now() + ANSWER), webhook.post(body)).await;
        let answer = answer.unwrap_or_else(|_| Err("no answer came".to_owned()));
        match next(answer, tries, until.saturating_duration_since(Instant::now())) {
            Next::Delivered => break,
            Next::GivenUp(why) => return Err(why),
            Next::Again(pause) => sleep(pause).await,
        }
    }
    Ok(())
}

/// What to do after a try.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Delivered,
    GivenUp(String),
    Again(Duration),
}

/// Decides by the status of an answer, or by why there was none, what is next after so many tries and with so much time left.
fn next(answer: Result<u16, String>, tries: u32, left: Duration) -> Next {
    let (why, can_help) = match answer {
        Ok(200..=299) => return Next::Delivered,
        Ok(status @ (408 | 429 | 500..=599)) => (format!("it answered HTTP {status}"), true),
        Ok(status @ 300..=399) => (
            format!("it answered HTTP {status}: a redirect, and these are not followed. Is its URL an old one?"),
            false,
        ),
        Ok(status @ (401 | 403 | 404 | 410)) => {
            (format!("it answered HTTP {status}: its URL is not valid, or not any more"), false)
        }
        Ok(status) => (format!("it answered HTTP {status}"), false),
        Err(why) => (why, true),
    };
    let pause = PAUSE.saturating_mul(2_u32.saturating_pow(tries - 1));
    match (can_help && pause < left, tries) {
        (true, _) => Next::Again(pause),
        (false, 1) => Next::GivenUp(why),
        (false, _) => Next::GivenUp(format!("{why} (tried {tries} times)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn why(next: Next) -> String {
        match next {
            Next::GivenUp(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn it_is_tried_again_where_that_can_help() {
        for status in [200, 202, 204] {
            assert_eq!(next(Ok(status), 1, LONG), Next::Delivered);
        }
        for answer in [Ok(408), Ok(429), Ok(500), Ok(503), Err("connection refused".to_owned())] {
            assert_eq!(next(answer, 1, LONG), Next::Again(PAUSE));
        }
        for (status, words) in [(302, "a redirect"), (404, "not valid"), (400, "HTTP 400"), (101, "HTTP 101")] {
            assert!(why(next(Ok(status), 1, LONG)).contains(words), "{status}");
        }
    }

    #[test]
    fn the_pauses_grow_and_end_with_the_time() {
        let pauses: Vec<_> = (1..5).map(|tries| next(Ok(500), tries, LONG)).collect();
        assert_eq!(pauses, [1, 2, 4, 8].map(|seconds| Next::Again(Duration::from_secs(seconds))));
        assert_eq!(
            why(next(Ok(500), 5, LONG.saturating_sub(Duration::from_secs(15)))),
            "it answered HTTP 500 (tried 5 times)"
        );
        assert_eq!(why(next(Err("no answer came".to_owned()), 1, Duration::ZERO)), "no answer came");
        assert!(matches!(next(Ok(500), u32::MAX, LONG), Next::GivenUp(_)));
    }
}
