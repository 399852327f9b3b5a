//! The ports and how time moves them on.
//!
//! ```text
//! CREATING ──────────────► RUNNING ──TerminatePort──► DELETING ──► RECYCLED
//!                             ▲                                    │      │
//!                             └─── RECOVERING ◄──RenewPort─────────┘      │ DestroyPort
//!                                               gone ◄── DESTROYED ◄── DESTROYING
//! ```
//!
//! Nothing runs in the background: whoever looks first calls [`Ports::advance`], which makes all
//! transitions that have fallen due, in order, at the time at which they were due.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::journal::{Cause, Journal};
use crate::port::{Port, PortStatus};

/// How long a port stays in each passing state. In JSON: `{"destroy": "90s"}`; the rest as by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Times {
    /// `CREATING`; 5 s by default.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub create: Duration,
    /// `DELETING`; 5 s by default.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub terminate: Duration,
    /// `RECOVERING`; 5 s by default.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub renew: Duration,
    /// `DESTROYING`; 60 s by default.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub destroy: Duration,
    /// `DESTROYED`, still listed; zero by default: the port vanishes as the documentation says.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub destroyed_listed_for: Duration,
}

impl Default for Times {
    fn default() -> Self {
        let few_seconds = Duration::from_secs(5);
        Self {
            create: few_seconds,
            terminate: few_seconds,
            renew: few_seconds,
            destroy: Duration::from_mins(1),
            destroyed_listed_for: Duration::ZERO,
        }
    }
}

impl Times {
    /// Every passing state is over at once.
    pub const INSTANT: Self = Self {
        create: Duration::ZERO,
        terminate: Duration::ZERO,
        renew: Duration::ZERO,
        destroy: Duration::ZERO,
        destroyed_listed_for: Duration::ZERO,
    };

    /// What follows a passing state by itself, and when; `None` as the status: the port is gone.
    fn next(&self, status: &PortStatus) -> Option<(Option<PortStatus>, Duration)> {
        match status {
            PortStatus::Creating => Some((Some(PortStatus::Running), self.create)),
            PortStatus::Deleting => Some((Some(PortStatus::Recycled), self.terminate)),
            PortStatus::Recovering => Some((Some(PortStatus::Running), self.renew)),
            PortStatus::Destroying => Some((Some(PortStatus::Destroyed), self.destroy)),
            PortStatus::Destroyed => Some((None, self.destroyed_listed_for)),
            PortStatus::Running | PortStatus::Updating | PortStatus::Recycled | PortStatus::Other(_) => None,
        }
    }
}

/// All ports by id: single ids are looked up, the whole account is listed in order of id.
pub(crate) type PortIndex = BTreeMap<Arc<str>, Tracked>;

/// A port and what ends its status.
#[derive(Clone)]
pub(crate) struct Tracked {
    pub(crate) port: Port,
    timer: Option<Timer>,
}

/// When it is due, and its number: of several that are due, the one set first comes first.
type Timer = (Duration, u64);

/// The ports of all accounts.
pub(crate) struct Ports {
    by_id: PortIndex,
    timers: BTreeMap<Timer, Arc<str>>,
    times: Times,
    last_timer: u64,
}

impl Ports {
    pub(crate) fn new(times: Times) -> Self {
        Self { by_id: PortIndex::new(), timers: BTreeMap::new(), times, last_timer: 0 }
    }

    pub(crate) fn index(&self) -> &PortIndex {
        &self.by_id
    }

    /// For transitions that begin from now on.
    pub(crate) fn set_times(&mut self, times: Times) {
        self.times = times;
    }

    pub(crate) fn clear(&mut self) {
        self.by_id.clear();
        self.timers.clear();
    }

    /// When the next transition is due.
    pub(crate) fn next_change(&self) -> Option<Duration> {
        self.timers.keys().next().map(|(due, _)| *due)
    }

    /// Makes all transitions that are due by now.
    pub(crate) fn advance(&mut self, now: Duration, journal: &mut Journal) {
        while let Some(timer) = self.timers.first_entry()
            && timer.key().0 <= now
        {
            let ((due, _), port_id) = timer.remove_entry();
            let port = self.by_id.get(&port_id).map(|tracked| &tracked.port);
            match port.and_then(|port| self.times_of(port).next(&port.port_status)) {
                Some((Some(to), _)) => {
                    self.set_status(&port_id, to, Cause::Time, due, journal);
                }
                Some((None, _)) => {
                    self.remove(&port_id, Cause::Time, due, journal);
                }
                None => {}
            }
        }
    }

    /// Adds a port, or replaces that with its id.
    pub(crate) fn put(&mut self, port: Port, cause: Cause, now: Duration, journal: &mut Journal) {
        self.remove(&port.port_id, cause, now, journal);
        let port_id: Arc<str> = port.port_id.as_str().into();
        journal.transition(&port_id, None, Some(port.port_status.clone()), cause, now);
        self.by_id.insert(Arc::clone(&port_id), Tracked { port, timer: None });
        self.changed(&port_id, now);
    }

    /// Takes a port away, as if it had never been. Whether it was there.
    pub(crate) fn remove(
        &mut self,
        port_id: &str,
        cause: Cause,
        now: Duration,
        journal: &mut Journal,
    ) -> bool {
        let Some((port_id, tracked)) = self.by_id.remove_entry(port_id) else {
            return false;
        };
        if let Some(timer) = tracked.timer {
            self.timers.remove(&timer);
        }
        journal.transition(&port_id, Some(tracked.port.port_status), None, cause, now);
        true
    }

    /// Forces a status. Whether the port was there.
    pub(crate) fn set_status(
        &mut self,
        port_id: &str,
        to: PortStatus,
        cause: Cause,
        now: Duration,
        journal: &mut Journal,
    ) -> bool {
        let Some(tracked) = self.by_id.get_mut(port_id) else {
            return false;
        };
        let from = std::mem::replace(&mut tracked.port.port_status, to.clone());
        journal.transition(port_id, Some(from), Some(to), cause, now);
        self.changed(port_id, now);
        true
    }

    /// Whether the port was there.
    pub(crate) fn detach(&mut self, port_id: &str) -> bool {
        let Some(tracked) = self.by_id.get_mut(port_id) else { return false };
        tracked.port.used_by.clear();
        true
    }

    /// What it is a part of goes to the recycle bin. Whether the port was there.
    pub(crate) fn recycle_users(&mut self, port_id: &str) -> bool {
        let Some(tracked) = self.by_id.get_mut(port_id) else { return false };
        tracked.port.users_recycled = true;
        true
    }

    /// Holds a port in its status, or lets it go on, for the whole time of its state again. Whether it was there.
    pub(crate) fn set_frozen(&mut self, port_id: &str, frozen: bool, now: Duration) -> bool {
        let Some(tracked) = self.by_id.get_mut(port_id) else {
            return false;
        };
        tracked.port.frozen = frozen;
        self.changed(port_id, now);
        true
    }

    /// Sets the timer for what follows, in place of the one that was set before.
    fn changed(&mut self, port_id: &str, now: Duration) {
        let Some(tracked) = self.by_id.get(port_id) else { return };
        let next = self.times_of(&tracked.port).next(&tracked.port.port_status);
        // A time too far to be written is as good as never.
        let due = next.and_then(|(_, after)| now.checked_add(after)).filter(|_| !tracked.port.frozen);
        let timer = due.map(|due| {
            self.last_timer += 1;
            (due, self.last_timer)
        });
        if let Some(timer) = timer {
            self.timers.insert(timer, port_id.into());
        }
        let tracked = self.by_id.get_mut(port_id);
        if let Some(before) = tracked.and_then(|tracked| std::mem::replace(&mut tracked.timer, timer)) {
            self.timers.remove(&before);
        }
    }

    fn times_of(&self, port: &Port) -> Times {
        port.times.unwrap_or(self.times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    struct World {
        ports: Ports,
        journal: Journal,
    }

    impl World {
        /// One port in this status; every passing state takes a minute.
        fn with(port: Port) -> Self {
            let times = Times {
                create: MINUTE,
                terminate: MINUTE,
                renew: MINUTE,
                destroy: MINUTE,
                destroyed_listed_for: MINUTE,
            };
            let mut world = Self { ports: Ports::new(times), journal: Journal::new() };
            world.ports.put(port, Cause::Control, Duration::ZERO, &mut world.journal);
            world
        }

        fn status_after(&mut self, minutes: u32) -> Option<PortStatus> {
            self.ports.advance(MINUTE * minutes, &mut self.journal);
            self.ports.index().get("port-1").map(|tracked| tracked.port.port_status.clone())
        }

        fn force(&mut self, minutes: u32, status: PortStatus) {
            let at = MINUTE * minutes;
            self.ports.set_status("port-1", status, Cause::Control, at, &mut self.journal);
        }
    }

    fn port(status: PortStatus) -> Port {
        Port::new("port-1").status(status)
    }

    #[test]
    fn passing_states_end_in_time() {
        for (from, to) in [
            (PortStatus::Creating, PortStatus::Running),
            (PortStatus::Deleting, PortStatus::Recycled),
            (PortStatus::Recovering, PortStatus::Running),
            (PortStatus::Destroying, PortStatus::Destroyed),
        ] {
            let mut world = World::with(port(from.clone()));
            assert_eq!(world.status_after(0), Some(from.clone()), "not before its time");
            assert_eq!(world.status_after(1), Some(to), "after {from:?}");
        }
    }

    #[test]
    fn other_states_last() {
        let word = PortStatus::Other("PAUSED".into());
        for status in [PortStatus::Running, PortStatus::Updating, PortStatus::Recycled, word] {
            assert_eq!(World::with(port(status.clone())).status_after(1000), Some(status));
        }
    }

    #[test]
    fn what_fell_due_unseen_is_journaled_at_its_time() {
        let mut world = World::with(port(PortStatus::Destroying));
        assert_eq!(world.status_after(60), None, "gone");
        let times: Vec<u64> = world.journal.transitions().iter().map(|it| it.at_ms).collect();
        assert_eq!(times, [0, 60_000, 120_000], "seeded, destroyed, gone");
    }

    #[test]
    fn a_forced_status_overtakes_the_timer() {
        let mut world = World::with(port(PortStatus::Destroying));
        world.force(0, PortStatus::Running);
        assert_eq!(world.status_after(60), Some(PortStatus::Running), "rolled back for good");
    }

    #[test]
    fn a_timer_of_a_former_port_does_not_touch_its_successor() {
        let mut world = World::with(port(PortStatus::Destroyed));
        let successor = port(PortStatus::Running);
        world.ports.put(successor, Cause::Control, Duration::ZERO, &mut world.journal);
        assert_eq!(world.status_after(60), Some(PortStatus::Running));
    }

    #[test]
    fn a_frozen_port_waits_and_then_takes_its_whole_time() {
        let mut world = World::with(port(PortStatus::Destroying).frozen());
        assert_eq!(world.status_after(60), Some(PortStatus::Destroying));
        world.ports.set_frozen("port-1", false, MINUTE * 60);
        assert_eq!(world.status_after(60), Some(PortStatus::Destroying));
        assert_eq!(world.status_after(61), Some(PortStatus::Destroyed));
    }

    #[test]
    fn a_port_may_have_times_of_its_own() {
        let mut world = World::with(port(PortStatus::Destroying).times(Times::INSTANT));
        assert_eq!(world.status_after(0), None, "gone at once");
    }
}
