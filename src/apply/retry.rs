//! Backoff: how long to wait before trying again, with full jitter.

use std::time::Duration;

/// Tries to make of one thing before it is given up.
pub(super) const MAX_TRIES: u32 = 8;

/// The wait before try number `tries` (from 1): a random time below a bound that doubles from 100 ms up to 10 s.
pub(super) fn backoff(tries: u32, random: f64) -> Duration {
    let bound = Duration::from_millis(100) * 2_u32.saturating_pow(tries.saturating_sub(1).min(16));
    bound.min(Duration::from_secs(10)).mul_f64(random.clamp(0.0, 1.0))
}

/// Waits before the next try.
pub(super) async fn wait(tries: u32) {
    tokio::time::sleep(backoff(tries, rand::random())).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_are_bounded() {
        let longest: Vec<u128> = (1..=9).map(|tries| backoff(tries, 1.0).as_millis()).collect();
        assert_eq!(longest, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(backoff(u32::MAX, 1.0), Duration::from_secs(10));
        assert_eq!(backoff(5, 0.0), Duration::ZERO);
    }
}
