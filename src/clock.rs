//! Time as a value: the decision is told what time it is, and only the shell looks at a clock.

use std::ops::{Add, Sub};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// A point on this process's monotonic clock, which also counts time spent suspended. It has no meaning in
/// another process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Monotonic(Duration);

impl Monotonic {
    pub const fn from_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// The time from `earlier` to here; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Monotonic {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

impl Sub<Duration> for Monotonic {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration))
    }
}

/// Both clocks, read together: `wall` compares with times that others wrote, `monotonic` measures durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    pub wall: Timestamp,
    pub monotonic: Monotonic,
}

/// Where the shell reads the time.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// Linux's `CLOCK_BOOTTIME`: monotonic, and it counts suspended time, so that a request is never sent long
    /// after the look that justified it. And the wall clock of the machine.
    System,
    /// tokio's clock, which tests pause, and a wall clock that showed `wall` at `start` and runs with it.
    Tokio { start: Instant, wall: Timestamp },
}

impl Clock {
    /// tokio's clock, from this moment on, with the wall clock at that time.
    pub fn tokio(wall: Timestamp) -> Self {
        Self::Tokio { start: Instant::now(), wall }
    }

    pub fn monotonic(&self) -> Monotonic {
        match self {
            Self::System => {
                let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
                let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
                let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
                Monotonic(Duration::new(seconds, nanoseconds))
            }
            Self::Tokio { start, .. } => Monotonic(start.elapsed()),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's wall clock")]
    pub fn wall(&self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            Self::Tokio { start, wall } => *wall + start.elapsed(),
        }
    }

    pub fn now(&self) -> Now {
        Now { wall: self.wall(), monotonic: self.monotonic() }
    }
}
