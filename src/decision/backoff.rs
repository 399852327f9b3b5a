//! Pauses that grow.

use std::time::Duration;

/// `min`, doubled for each of the `failures` before this one, at most `max`.
pub(super) fn exponential(min: Duration, max: Duration, failures: u32) -> Duration {
    min.saturating_mul(1_u32.checked_shl(failures.min(31)).unwrap_or(u32::MAX)).min(max)
}

/// The pause after the `failures`-th failed reconcile of one object: 1 s to 5 min, spread by up to a quarter so that
/// objects that failed together do not come back together. `spread` is any number that differs between objects.
pub fn error_backoff(failures: u32, spread: u64) -> Duration {
    let pause = exponential(Duration::from_secs(1), Duration::from_mins(5), failures.saturating_sub(1));
    let percent = u32::try_from(spread % 26).unwrap_or_default();
    pause + pause * percent / 100
}
