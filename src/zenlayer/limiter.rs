//! How often a credential may ask, and who goes first.
//!
//! The limit of the API is not published (`docs/zenlayer-api.md`, rate limits), so it is found: a token bucket halves its
//! rate when told to slow down, and recovers within a minute.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::answer::Pushback;
use super::settings::Rate;
use crate::clock::Clock;

/// Who goes first. A lower one is passed over four times at most, for a change is worth nothing without the
/// reading that justifies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    Change,
    /// A reading that a release waits for.
    Release,
    /// A reading of a port that is merely kept in sight.
    Upkeep,
}

/// The right to send one request. A change asks for it before its write-ahead record is made, so that the
/// call leaves right after the record.
#[must_use = "a permit that is not used is a request not sent"]
#[derive(Debug)]
pub struct Permit(());

/// Zenlayer asked for no requests until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    pub left: Duration,
    /// By the wall clock.
    pub until: Timestamp,
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zenlayer asked the operator to send no requests before {:.0}", self.until)
    }
}

/// The limiter of one credential. Its queues are as long as there are callers waiting.
#[derive(Debug)]
pub(super) struct Limiter {
    clock: Clock,
    state: Mutex<State>,
    /// The first of each priority holds its lock and looks at the state; the others queue for the lock.
    first: [tokio::sync::Mutex<()>; 3],
    /// Someone has got a permit, or given up.
    moved: Notify,
    /// How long each caller has waited.
    waits: Histogram,
}

#[derive(Debug)]
struct State {
    bucket: Bucket,
    queue: Queue,
}

/// What the first of a priority is told.
enum Turn {
    Granted,
    /// It is next, once a token is there.
    In(Duration),
    /// Another priority is next.
    Behind,
}

impl Limiter {
    pub(super) fn new(rate: Rate, waits: Histogram, clock: Clock) -> Self {
        Self {
            clock,
            state: Mutex::new(State { bucket: Bucket::new(rate, Instant::now()), queue: Queue::default() }),
            first: Default::default(),
            moved: Notify::new(),
            waits,
        }
    }

    /// Waits for a permit; those of one priority get theirs in the order they came. Dropping the future
    /// leaves the queue.
    pub(super) async fn acquire(&self, priority: Priority) -> Permit {
        let _waiting = Waiting::new(self, priority);
        let _first = self.first[priority as usize].lock().await;
        loop {
            let moved = self.moved.notified();
            // Apart from the match, which would hold the lock while it waits.
            let turn = self.state().turn(priority, Instant::now());
            match turn {
                Turn::Granted => return Permit(()),
                Turn::Behind => moved.await,
                Turn::In(wait) => tokio::select! {
                    biased;
                    () = sleep(wait) => {}
                    () = moved => {}
                },
            }
        }
    }

    /// A permit, if one is to be had at once and nobody of this priority waits for one.
    pub(super) fn try_acquire(&self, priority: Priority) -> Option<Permit> {
        let mut state = self.state();
        if state.queue.is_waiting(priority) {
            return None;
        }
        state.queue.enter(priority);
        let turn = state.turn(priority, Instant::now());
        state.queue.leave(priority);
        drop(state);
        matches!(turn, Turn::Granted).then(|| {
            // Another priority may be next by now.
            self.moved.notify_waiters();
            self.waits.observe(0.0);
            Permit(())
        })
    }

    /// Does as an answer asks.
    pub(super) fn heed(&self, pushback: Pushback) {
        let (now, wall) = (Instant::now(), self.clock.wall());
        match pushback {
            Pushback::None => {}
            Pushback::Pause(pause) => self.state().bucket.pause(now, wall, pause),
            Pushback::Throttled(pause) => self.state().bucket.slow_down(now, wall, pause),
        }
    }

    /// Whether nothing at all is to be sent, not even with a permit.
    pub(super) fn paused(&self) -> Option<Pause> {
        self.state().bucket.paused(Instant::now())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn turn(&mut self, priority: Priority, now: Instant) -> Turn {
        if self.queue.next() != Some(priority) {
            return Turn::Behind;
        }
        match self.bucket.take(now) {
            Ok(()) => {
                self.queue.granted(priority);
                Turn::Granted
            }
            Err(wait) => Turn::In(wait),
        }
    }
}

/// A caller's place in the queue, given up on drop.
struct Waiting<'a> {
    limiter: &'a Limiter,
    priority: Priority,
    since: Instant,
}

impl<'a> Waiting<'a> {
    fn new(limiter: &'a Limiter, priority: Priority) -> Self {
        limiter.state().queue.enter(priority);
        Self { limiter, priority, since: Instant::now() }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.limiter.state().queue.leave(self.priority);
        self.limiter.moved.notify_waiters();
        self.limiter.waits.observe(self.since.elapsed().as_secs_f64());
    }
}

/// Who is next: the highest priority, unless a lower one was passed over four times.
#[derive(Debug, Default)]
struct Queue([Class; 3]);

#[derive(Debug, Default)]
struct Class {
    waiting: usize,
    passed_over: u32,
}

impl Queue {
    const PRIORITIES: [Priority; 3] = [Priority::Change, Priority::Release, Priority::Upkeep];
    const PATIENCE: u32 = 4;

    fn is_waiting(&self, priority: Priority) -> bool {
        self.0[priority as usize].waiting > 0
    }

    fn enter(&mut self, priority: Priority) {
        self.0[priority as usize].waiting += 1;
    }

    fn leave(&mut self, priority: Priority) {
        let class = &mut self.0[priority as usize];
        class.waiting = class.waiting.saturating_sub(1);
        if class.waiting == 0 {
            class.passed_over = 0;
        }
    }

    fn next(&self) -> Option<Priority> {
        let waiting = || Self::PRIORITIES.into_iter().filter(|&p| self.0[p as usize].waiting > 0);
        let overdue = waiting().find(|&p| self.0[p as usize].passed_over >= Self::PATIENCE);
        overdue.or_else(|| waiting().next())
    }

    fn granted(&mut self, to: Priority) {
        for (priority, class) in Self::PRIORITIES.into_iter().zip(&mut self.0) {
            if priority == to {
                class.passed_over = 0;
            } else if class.waiting > 0 {
                class.passed_over += 1;
            }
        }
    }
}

/// A token bucket that holds half a second's worth, and at least one token.
#[derive(Debug)]
struct Bucket {
    /// Tokens per second as configured.
    full: f64,
    /// Tokens per second at present.
    rate: f64,
    tokens: f64,
    /// Up to when tokens have been counted; in the future while nothing may be sent.
    counted: Instant,
    /// When the newest pause ends, by the wall clock: for people.
    resumes: Timestamp,
    lowered: Option<Instant>,
}

impl Bucket {
    /// What it holds, in seconds at the rate. Less than a server that is likely to count by the second: two buckets of one
    /// size would now and then cost a refusal by jitter alone.
    const BURST: f64 = 0.5;
    /// The rate is never lowered beyond this part of the configured one.
    const FLOOR: f64 = 1.0 / 16.0;
    /// From nothing to the full rate, in seconds.
    const RECOVERY: f64 = 60.0;
    /// Answers to requests that were under way together lower the rate once.
    const LOWERED_ONCE_IN: Duration = Duration::from_secs(1);
    /// Rounding must not cost a round of waiting.
    const ONE: f64 = 1.0 - 1e-6;

    fn new(rate: Rate, now: Instant) -> Self {
        let full = rate.get();
        Self {
            full,
            rate: full,
            tokens: Self::size(full),
            counted: now,
            resumes: Timestamp::UNIX_EPOCH,
            lowered: None,
        }
    }

    fn size(rate: f64) -> f64 {
        (rate * Self::BURST).max(1.0)
    }

    /// Takes a token, or says how long it takes to come.
    fn take(&mut self, now: Instant) -> Result<(), Duration> {
        self.count(now);
        if self.paused(now).is_none() && self.tokens >= Self::ONE {
            self.tokens -= 1.0;
            return Ok(());
        }
        let missing = Duration::from_secs_f64((1.0 - self.tokens).max(0.0) / self.rate);
        Err(self.paused(now).map_or(Duration::ZERO, |pause| pause.left) + missing)
    }

    fn count(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.counted).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.rate).min(Self::size(self.rate));
        self.rate = (self.rate + elapsed * self.full / Self::RECOVERY).min(self.full);
        self.counted = self.counted.max(now);
    }

    fn slow_down(&mut self, now: Instant, wall: Timestamp, pause: Option<Duration>) {
        self.count(now);
        if self.lowered.is_none_or(|at| now.saturating_duration_since(at) >= Self::LOWERED_ONCE_IN) {
            self.rate = (self.rate / 2.0).max(self.full * Self::FLOOR);
            self.lowered = Some(now);
        }
        self.pause(now, wall, pause.unwrap_or_default());
    }

    fn pause(&mut self, now: Instant, wall: Timestamp, pause: Duration) {
        self.count(now);
        self.tokens = 0.0;
        let end = now + pause;
        if end > self.counted {
            self.counted = end;
            self.resumes = wall + pause;
        }
    }

    fn paused(&self, now: Instant) -> Option<Pause> {
        let left = self.counted.checked_duration_since(now).filter(|left| !left.is_zero())?;
        Some(Pause { left, until: self.resumes })
    }
}

#[cfg(test)]
mod tests;
