//! One port and those who wait for it.

use std::time::Duration;

use super::grid::Grid;
use super::history::{Effect, History};
use super::pace::{Destroying, Pace};
use super::schedule::{Rank, Slot};
use super::{MirrorSettings, ReadPriority};
use crate::clock::Monotonic;
use crate::fingerprint::Fingerprint;
use crate::reading::{Cadence, Evidence, Failure, Presence, Reading, Unreadable, Want};

#[derive(Debug)]
pub(super) struct Watched<K> {
    /// One as a rule, to which a list of one is the smallest home.
    waiters: Vec<(K, Waiter)>,
    history: History,
    /// The shortest that a waiter asks for.
    interval: Option<Duration>,
    /// The pause instead of it while the port is being destroyed: shorter, or longer.
    pause: Option<Duration>,
    /// When the interval or the pause is over.
    tick: Option<Monotonic>,
    /// After a failure: not to be read before, however urgently it is wanted.
    rest_until: Monotonic,
    /// A batch with this port was refused, and no other reading has shown that it was not because of this port.
    pub(super) suspected: bool,
    pub(super) next: Next,
}

/// The next reading of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Nothing,
    Planned(Slot),
    InFlight,
}

#[derive(Debug)]
struct Waiter {
    since: Monotonic,
    cadence: Cadence,
    ask: Option<Ask>,
}

/// A fresh reading that a waiter asked for and has not got yet.
#[derive(Debug)]
struct Ask {
    /// The reading must have been sent no earlier.
    fresh_after: Monotonic,
    /// When to read at the latest: until then others may join.
    read_by: Monotonic,
}

impl Ask {
    /// `open` is what was asked for before and not got yet: if its reading will do, it is not put off.
    fn new(fresh_after: Monotonic, open: Option<&Ask>, grid: Grid, now: Monotonic) -> Self {
        let read_by = fresh_after.max(now) + grid.coalesce();
        let open = open.map(|ask| ask.read_by).filter(|read_by| fresh_after <= *read_by);
        Self { fresh_after, read_by: open.map_or(read_by, |open| open.min(read_by)) }
    }
}

impl<K: Clone + Ord> Watched<K> {
    pub(super) fn new(failure: Option<Failure>) -> Self {
        Self {
            waiters: Vec::new(),
            history: failure.map_or_else(History::default, History::failing),
            interval: None,
            pause: None,
            tick: None,
            rest_until: Monotonic::default(),
            suspected: false,
            next: Next::Nothing,
        }
    }

    pub(super) fn observe(
        &mut self,
        waiter: K,
        by: &Fingerprint,
        settings: &MirrorSettings,
        grid: Grid,
        now: Monotonic,
    ) -> Evidence {
        let at = self.waiters.iter().position(|(name, _)| *name == waiter).unwrap_or_else(|| {
            if self.waiters.is_empty() {
                self.waiters.reserve_exact(1);
            }
            let ask = Some(Ask::new(now, None, grid, now));
            self.waiters.push((waiter, Waiter { since: now, cadence: Cadence::Release, ask }));
            self.waiters.len() - 1
        });
        let (_, waiter) = &self.waiters[at];
        Evidence {
            by: by.clone(),
            good: self.history.good.clone(),
            failure: self.history.failure().cloned(),
            absences: self.history.absences,
            waiting_since: waiter.since,
            interval: settings
                .interval(waiter.cadence)
                .map(|interval| interval.max(self.pause.unwrap_or_default())),
        }
    }

    /// Says whether the fresh reading that is wanted is there already.
    pub(super) fn want(&mut self, waiter: &K, want: Want, grid: Grid, now: Monotonic) -> bool {
        let Some((_, waiter)) = self.waiters.iter_mut().find(|(name, _)| name == waiter) else {
            return false;
        };
        if waiter.cadence == Cadence::Paused && want.cadence != Cadence::Paused {
            waiter.since = now;
        }
        waiter.cadence = want.cadence;
        let good = self.history.good.as_ref().map(|reading| reading.at);
        let missing = want.fresh_after.filter(|fresh_after| good < Some(*fresh_after));
        waiter.ask = missing.map(|fresh_after| Ask::new(fresh_after, waiter.ask.as_ref(), grid, now));
        want.fresh_after.is_some() && missing.is_none()
    }

    /// Says whether anybody is left.
    pub(super) fn forget(&mut self, waiter: &K) -> bool {
        self.waiters.retain(|(name, _)| name != waiter);
        !self.waiters.is_empty()
    }

    /// Records a reading, and names those whom it wakes.
    pub(super) fn record(
        &mut self,
        sent: Monotonic,
        outcome: Result<Presence, Unreadable>,
    ) -> impl Iterator<Item = K> {
        let good = outcome.is_ok();
        let effect = self.history.record(sent, outcome);
        self.waiters.iter_mut().filter_map(move |(name, waiter)| {
            let answers = good && effect != Effect::Outdated;
            let answered = answers && waiter.ask.take_if(|ask| ask.fresh_after <= sent).is_some();
            (answered || effect == Effect::Changed).then(|| name.clone())
        })
    }

    /// Draws the conclusion from a reading that came instead of a refused batch: a port that was readable together
    /// with others, or was seen, is not to blame. One that is read alone and not seen may be.
    pub(super) fn suspect(&mut self, alone: bool, outcome: &Result<Presence, Unreadable>) {
        self.suspected = alone
            && match outcome {
                Ok(Presence::Seen(_)) => false,
                Err(why) if why.may_be_about_a_port() => true,
                Ok(Presence::Absent) | Err(_) => self.suspected,
            };
    }

    /// The reading is over: the interval, and after a failure the rest, start again.
    pub(super) fn arrive(&mut self, settings: &MirrorSettings, pace: &Pace, grid: Grid, now: Monotonic) {
        // Else the port was forgotten and asked for again meanwhile, and is planned already.
        if self.next == Next::InFlight {
            self.next = Next::Nothing;
        }
        self.start_interval(settings, pace, grid, now);
        self.rest_until = match self.history.failure() {
            Some(_) => grid.next(Some(now), grid.tick(), now),
            None => Monotonic::default(),
        };
    }

    /// Follows a change of the waiters' cadences. An interval that stays the same goes on running.
    pub(super) fn set_pace(&mut self, settings: &MirrorSettings, pace: &Pace, grid: Grid, now: Monotonic) {
        if self.interval != self.shortest_interval(settings) {
            self.start_interval(settings, pace, grid, now);
        }
    }

    fn shortest_interval(&self, settings: &MirrorSettings) -> Option<Duration> {
        self.waiters.iter().filter_map(|(_, waiter)| settings.interval(waiter.cadence)).min()
    }

    fn start_interval(&mut self, settings: &MirrorSettings, pace: &Pace, grid: Grid, now: Monotonic) {
        self.interval = self.shortest_interval(settings);
        let is_released = self.interval == Some(settings.release);
        let destroying = self.good().and_then(Destroying::of).filter(|_| is_released);
        // While readings fail, the last good one is still worth as much as it was.
        let pause =
            destroying.map(|port| self.pause.filter(|_| self.is_failing()).unwrap_or(pace.pause(port)));
        self.pause = pause;
        self.tick = match destroying.zip(pause).filter(|_| !self.is_failing()) {
            Some((port, pause)) => Some(pace.tick(port, pause)),
            None => self.interval.map(|interval| grid.next(self.history.newest(), interval, now)),
        };
    }

    fn is_failing(&self) -> bool {
        self.history.failure().is_some()
    }

    /// Follows what was learnt since the last reading, if the port is to be read earlier now.
    pub(super) fn hurry(&mut self, pace: &Pace) {
        let Some((port, before)) = self.good().and_then(Destroying::of).zip(self.pause) else { return };
        let pause = pace.pause(port).min(before);
        self.pause = Some(pause);
        self.tick = self.tick.min(Some(pace.tick(port, pause)));
    }

    /// The newest good reading.
    pub(super) fn good(&self) -> Option<&Reading> {
        self.history.good.as_ref()
    }

    /// When the port is to be read. What is wanted at once waits for others to join, and a tick close by is one
    /// reading with it. A port that is not being destroyed needs no tick if it gets its fresh reading within a tick anyway.
    pub(super) fn due(&self, grid: Grid) -> Option<Monotonic> {
        let asks = self.waiters.iter().filter_map(|(_, waiter)| waiter.ask.as_ref());
        let fresh = asks.map(|ask| ask.read_by).min().map(|read_by| read_by.max(self.rest_until));
        let newest = self.history.newest().filter(|_| self.pause.is_none());
        let soon = newest.map(|newest| newest + grid.tick());
        match (self.tick, fresh) {
            (Some(tick), Some(fresh)) if Some(fresh) <= soon.max(Some(tick + grid.coalesce() * 2)) => {
                Some(fresh)
            }
            (Some(tick), _) => Some(tick),
            (None, fresh) => fresh,
        }
    }

    /// The grace ends in a release, so a port in it is none of the upkeep.
    pub(super) fn priority(&self) -> ReadPriority {
        let releases = |waiter: &Waiter| matches!(waiter.cadence, Cadence::Release | Cadence::Paused);
        if self.waiters.iter().any(|(_, waiter)| releases(waiter)) {
            ReadPriority::Release
        } else {
            ReadPriority::Upkeep
        }
    }

    pub(super) fn rank(&self) -> Rank {
        match (self.suspected, self.priority()) {
            (true, _) => Rank::Alone,
            (false, ReadPriority::Release) if self.pause.is_some() && !self.is_failing() => Rank::Destroying,
            (false, ReadPriority::Release) => Rank::Release,
            (false, ReadPriority::Upkeep) => Rank::Upkeep,
        }
    }
}
