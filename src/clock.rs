//! Time as a value: the decision is told what time it is, and only the shell looks at a clock.

use std::ops::{Add, Sub};
use std::time::Duration;

use jiff::Timestamp;

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
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub wall: Timestamp,
    pub monotonic: Monotonic,
}

/// Where the shell reads the time.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// Linux's `CLOCK_BOOTTIME`: monotonic, and it counts suspended time, so that a request is never sent long
    /// after the look that justified it.
    Boottime,
    /// tokio's clock, which tests pause.
    Tokio(tokio::time::Instant),
}

impl Clock {
    /// tokio's clock, from this moment on.
    pub fn tokio() -> Self {
        Self::Tokio(tokio::time::Instant::now())
    }

    pub fn monotonic(&self) -> Monotonic {
        match self {
            Self::Boottime => {
                let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
                let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
                let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
                Monotonic(Duration::new(seconds, nanoseconds))
            }
            Self::Tokio(start) => Monotonic(start.elapsed()),
        }
    }

    pub fn now(&self) -> Now {
        Now { wall: Timestamp::now(), monotonic: self.monotonic() }
    }
}
