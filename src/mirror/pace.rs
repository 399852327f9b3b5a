//! When a port that is being destroyed is read again: seldom while it is far too early, often when many end.
//!
//! Nobody says how long a port takes, so each account learns it. The *age* of a port counts from the first reading that showed
//! it as DESTROYING. Ages are divided into bands, and of each band it is known how many of the last ports lived through it and
//! how many ended in it. This is the usual estimate of a hazard where most lives are not seen to the end. Each band forgets by
//! halves. So the memory is fixed, and an account that changes is learnt anew. A port that this process first sees while it is
//! being destroyed is older than its age: that teaches to read too often, never too seldom.
//!
//! Where many ports are destroyed and nothing is learnt yet, the ports that were seen first are read more often than the others:
//! they are the *scouts*. Their end tells when to look for the others. One call reads them all, however many others there are.
//!
//! How often it is worth to look was answered by J. B. Keller, "Optimum checking schedules for systems subject to random
//! failure", Management Science 21 (1974): as often as the root of the hazard.

use std::time::Duration;

use super::MirrorSettings;
use super::grid::Grid;
use crate::clock::Monotonic;
use crate::port::PortStatus;
use crate::reading::{Presence, Reading};

const BANDS: usize = 44;

/// Where the bands begin, in release intervals: four of half an interval, then each is a quarter of its beginning long. The last
/// one begins after 40 hours if the interval is 10 s, and has no end.
const BEGINS: [f64; BANDS] = {
    let mut begins = [0.0; BANDS];
    let mut band = 1;
    while band < BANDS {
        let before: f64 = begins[band - 1];
        begins[band] = before + if before < 2.0 { 0.5 } else { before / 4.0 };
        band += 1;
    }
    begins
};

/// About so many ports a band remembers.
const MEMORY: f64 = 128.0;
/// It is far too early for a port as long as not more than this share of the ports ends.
const FAR_TOO_EARLY: f64 = 0.02;
/// What is taken to have ended in each band though nobody saw it. It counts while few ports are known.
const UNSEEN: f64 = 0.03;
/// So many readings fit into a release interval at most.
const FASTEST: u32 = 4;
/// From this age on, in release intervals, the scouts are read more often than others.
const SCOUTS_FROM: f64 = 3.0;
/// Scouts are read so many times in a release interval for each port that is being destroyed.
const SCOUTING: f64 = 1.0 / 250.0;
/// The pause between two readings of the scouts is at least this share of their age: they cost few calls, however long ports take.
const SCOUTS_PATIENCE: f64 = 1.0 / 16.0;

/// A port as a reading showed it: it is being destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Destroying {
    /// Of the first reading that showed it so.
    since: Monotonic,
    at: Monotonic,
}

impl Destroying {
    pub(super) fn of(reading: &Reading) -> Option<Self> {
        status(reading).filter(|status| **status == PortStatus::Destroying)?;
        Some(Self { since: reading.since, at: reading.at })
    }

    fn age(self) -> Duration {
        self.at.since(self.since)
    }
}

/// What the ports of an account have taught, and what follows.
#[derive(Debug)]
pub(super) struct Pace {
    settings: MirrorSettings,
    grid: Grid,
    bands: [Band; BANDS],
    /// Ports that are being destroyed.
    destroying: usize,
    /// When the first of them were seen: the scouts.
    scouts: Option<Monotonic>,
}

/// Ports that lived through a band, counted in parts of its length, and those that ended in it.
#[derive(Clone, Copy, Debug, Default)]
struct Band {
    lived: f64,
    ended: f64,
}

impl Pace {
    pub(super) fn new(settings: MirrorSettings) -> Self {
        Self {
            settings,
            grid: Grid::new(settings.release / FASTEST, settings.coalesce),
            bands: [Band::default(); BANDS],
            destroying: 0,
            scouts: None,
        }
    }

    /// Takes in what became of a port between two readings. Says whether it ended.
    pub(super) fn learn(&mut self, before: Option<Destroying>, reading: Option<&Reading>) -> bool {
        let after = reading.and_then(Destroying::of);
        if self.destroying == 0 {
            self.scouts = after.map(|port| port.since);
        }
        self.destroying =
            (self.destroying + usize::from(after.is_some())).saturating_sub(before.map_or(0, |_| 1));
        let (Some(before), Some(reading)) = (before, reading) else { return false };
        let ended = match &reading.presence {
            Presence::Absent => true,
            Presence::Seen(port) => port.port_status == PortStatus::Destroyed,
        };
        // Else the reading was outdated, or somebody has another idea of what DESTROYING means.
        if reading.at > before.at && (ended || after.is_some()) {
            self.add(before.age(), reading.at.since(before.since), ended);
        }
        ended
    }

    /// Nobody waits for the port any more.
    pub(super) fn forget(&mut self, reading: Option<&Reading>) {
        self.destroying = self.destroying.saturating_sub(reading.and_then(Destroying::of).map_or(0, |_| 1));
    }

    /// How long after its last reading the port is to be read again.
    pub(super) fn pause(&self, port: Destroying) -> Duration {
        let age = self.intervals(port.age());
        let pause = self.worth_while(age).max(self.too_early(age));
        let pause = if self.is_scout(port, age) { pause.min(self.scouting(age)) } else { pause };
        self.settings.release.mul_f64(pause)
    }

    /// The tick of the account at which that pause ends.
    pub(super) fn tick(&self, port: Destroying, pause: Duration) -> Monotonic {
        self.grid.within(port.at, pause)
    }

    fn add(&mut self, from: Duration, to: Duration, ended: bool) {
        let (from, to) = (self.intervals(from), self.intervals(to));
        // Nobody knows when between the readings it ended. On average it lived half of that time.
        let (lived, ended) = if ended { (0.5, 1.0) } else { (1.0, 0.0) };
        for number in (band_of(from)..BANDS).take_while(|number| BEGINS[*number] < to) {
            let within = to.min(end(number)) - from.max(BEGINS[number]);
            self.bands[number].add(lived * (within / length(number)).min(1.0), ended * within / (to - from));
        }
    }

    /// How long it takes until a reading is worth its part of a call: at most a release interval. In intervals, like all below.
    fn worth_while(&self, age: f64) -> f64 {
        let shared = u32::try_from(self.destroying.min(self.settings.batch.get())).unwrap_or(u32::MAX);
        let price = (2.0 * self.intervals(self.settings.worth) / f64::from(shared.max(1))).max(f64::EPSILON);
        let (mut at, mut missing) = (age, 1.0);
        for number in band_of(age)..BANDS {
            let Band { lived, ended } = self.bands[number];
            let hazard = ended / lived.max(1.0) / length(number);
            let density = (hazard / price).sqrt().clamp(1.0, f64::from(FASTEST));
            let needed = missing / density;
            if at + needed <= end(number) {
                return at + needed - age;
            }
            missing -= (end(number) - at) * density;
            at = end(number);
        }
        at - age
    }

    /// How long it stays far too early: at most the held interval, and not beyond what was seen to end.
    fn too_early(&self, age: f64) -> f64 {
        let latest = self.bands.iter().rposition(|band| band.ended >= 0.5).unwrap_or(0);
        let (mut at, mut risk) = (0.0, FAR_TOO_EARLY);
        for number in 0..latest {
            let Band { lived, ended } = self.bands[number];
            let hazard = (ended + UNSEEN) / lived / length(number);
            let safe = risk / hazard;
            if at + safe < end(number) {
                at += safe;
                break;
            }
            risk -= (end(number) - at) * hazard;
            at = end(number);
        }
        (at - age).clamp(0.0, self.intervals(self.settings.held))
    }

    /// Whether the port is one of those seen first, and nothing is learnt that would tell more than they do.
    fn is_scout(&self, port: Destroying, age: f64) -> bool {
        self.scouts == Some(port.since)
            && age >= SCOUTS_FROM
            && self.bands.iter().all(|band| band.ended < 0.5)
    }

    /// How long after their last reading the scouts are read again.
    fn scouting(&self, age: f64) -> f64 {
        let destroying = f64::from(u32::try_from(self.destroying).unwrap_or(u32::MAX));
        let density = (destroying * SCOUTING).clamp(1.0, f64::from(FASTEST));
        density.recip().max(age * SCOUTS_PATIENCE)
    }

    fn intervals(&self, duration: Duration) -> f64 {
        duration.as_secs_f64() / self.settings.release.as_secs_f64().max(1e-3)
    }
}

impl Band {
    fn add(&mut self, lived: f64, ended: f64) {
        self.lived += lived;
        self.ended += ended;
        if self.lived.max(self.ended) > MEMORY {
            *self = Self { lived: self.lived / 2.0, ended: self.ended / 2.0 };
        }
    }
}

fn status(reading: &Reading) -> Option<&PortStatus> {
    match &reading.presence {
        Presence::Seen(port) => Some(&port.port_status),
        Presence::Absent => None,
    }
}

fn band_of(age: f64) -> usize {
    BEGINS.partition_point(|begin| *begin <= age).saturating_sub(1)
}

fn end(band: usize) -> f64 {
    BEGINS.get(band + 1).copied().unwrap_or(f64::INFINITY)
}

/// The last band is taken to be as long as one more would be.
fn length(band: usize) -> f64 {
    let end = end(band);
    if end.is_finite() { end - BEGINS[band] } else { BEGINS[band] / 4.0 }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::mirror::tests::port_info;

    const TICK: Duration = Duration::from_secs(10);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn at(age: u64) -> Monotonic {
        Monotonic::from_start(seconds(age))
    }

    fn aged(age: u64) -> Destroying {
        Destroying { since: at(0), at: at(age) }
    }

    fn reading(status: &str, age: u64) -> Reading {
        let presence = match status {
            "" => Presence::Absent,
            status => Presence::Seen(port_info("port-1", status)),
        };
        Reading { presence, at: at(age), since: at(0) }
    }

    /// After so many ports were read every ten seconds until they had lasted for so long.
    fn taught(ports: usize, lasted: u64) -> Pace {
        let mut pace = Pace::new(MirrorSettings::default());
        for _ in 0..ports {
            (0..lasted)
                .step_by(10)
                .for_each(|age| pace.add(seconds(age), seconds(age + 10), age + 10 >= lasted));
        }
        pace
    }

    #[test]
    fn while_nothing_is_learnt_a_port_is_read_at_every_tick() {
        let pace = Pace { destroying: 1000, ..Pace::new(MirrorSettings::default()) };
        for age in [0, 7, 60, 3600, 1_000_000] {
            assert_eq!(pace.pause(aged(age)), TICK, "at the age of {age} s");
        }
    }

    #[test]
    fn while_nothing_is_learnt_the_ports_seen_first_are_read_more_often_the_more_wait_for_their_end() {
        let scouts =
            |destroying| Pace { destroying, scouts: Some(at(0)), ..Pace::new(MirrorSettings::default()) };
        let pauses = [1, 250, 500, 1000, 10_000].map(|destroying| scouts(destroying).pause(aged(40)));
        assert_eq!(pauses, [TICK, TICK, TICK / 2, TICK / 4, TICK / 4]);
        let pauses = [0, 20, 40, 80, 160, 3600].map(|age| scouts(1000).pause(aged(age)));
        assert_eq!(pauses, [TICK, TICK, TICK / 4, TICK / 2, TICK, TICK], "by their age");
        let another = Destroying { since: at(1), at: at(40) };
        assert_eq!(scouts(1000).pause(another), TICK, "it waits for the scouts");
        let mut learnt = scouts(1000);
        (0..60).step_by(10).for_each(|age| learnt.add(seconds(age), seconds(age + 10), age == 50));
        assert_eq!(learnt.pause(aged(30)), TICK, "the first end tells more than any scout");
    }

    #[test]
    fn the_scouts_are_those_that_were_seen_first_since_none_was_being_destroyed() {
        let mut pace = Pace::new(MirrorSettings::default());
        let seen = |since: u64| Reading { since: at(since), ..reading("DESTROYING", since) };
        for (since, scouts) in [(10, 10), (10, 10), (20, 10)] {
            pace.learn(None, Some(&seen(since)));
            assert_eq!(pace.scouts, Some(at(scouts)), "after a port was seen at {since} s");
        }
        for since in [10, 10, 20] {
            pace.forget(Some(&seen(since)));
        }
        pace.learn(None, Some(&seen(70)));
        assert_eq!(pace.scouts, Some(at(70)));
    }

    #[test]
    fn far_too_early_a_port_is_read_once_a_minute_and_never_later_than_the_first_may_end() {
        let pace = taught(100, 300);
        assert_eq!(pace.pause(aged(0)), seconds(60));
        for age in 0..290 {
            let next = seconds(age) + pace.pause(aged(age));
            assert!(next <= seconds(290) + TICK, "at the age of {age} s it is read at {next:?}");
        }
        assert!(pace.pause(aged(290)) <= TICK);
        assert_eq!(
            pace.pause(aged(400)),
            TICK,
            "nobody knows how long a port lives that outlived all others"
        );
    }

    #[test]
    fn the_fewer_ports_are_known_the_sooner_it_may_not_be_too_early_any_more() {
        let pauses = [0, 1, 2, 5, 10, 100].map(|ports| taught(ports, 300).pause(aged(0)));
        assert!(pauses.is_sorted(), "{pauses:?}");
        assert_eq!(pauses[..3], [TICK; 3]);
        assert!(pauses[3] < 2 * TICK, "{pauses:?}");
    }

    #[test]
    fn the_more_ports_end_the_more_often_they_are_read_but_one_alone_is_read_at_ticks() {
        let pauses =
            [1, 50, 100, 1000].map(|destroying| Pace { destroying, ..taught(100, 60) }.pause(aged(50)));
        assert_eq!(pauses[0], TICK);
        assert!(pauses[1] < TICK && pauses[2] < pauses[1], "{pauses:?}");
        assert_eq!(pauses[2], pauses[3], "a call takes a hundred ports");
    }

    #[test]
    fn who_lives_on_counts_too() {
        let mut pace = Pace { destroying: 100, ..taught(0, 0) };
        (0..20).for_each(|_| pace.add(seconds(20), seconds(25), true));
        let all_end = pace.pause(aged(20));
        (0..100).for_each(|_| pace.add(seconds(20), seconds(25), false));
        assert!(all_end < pace.pause(aged(20)), "{all_end:?}, then {:?}", pace.pause(aged(20)));
    }

    #[test]
    fn a_reading_teaches_what_became_of_a_port_that_was_being_destroyed() {
        for (status, ended, learnt) in
            [("", true, 1.0), ("DESTROYED", true, 1.0), ("DESTROYING", false, 0.0), ("RECYCLED", false, 0.0)]
        {
            let mut pace = Pace::new(MirrorSettings::default());
            pace.learn(None, Some(&reading("DESTROYING", 10)));
            assert_eq!(pace.destroying, 1);
            assert_eq!(pace.learn(Some(aged(10)), Some(&reading(status, 20))), ended, "{status}");
            assert_eq!(pace.destroying, usize::from(status == "DESTROYING"), "{status}");
            assert!(
                (pace.bands.iter().map(|band| band.ended).sum::<f64>() - learnt).abs() < 1e-9,
                "{status}"
            );
        }
        let mut pace = Pace { destroying: 1, ..Pace::new(MirrorSettings::default()) };
        pace.learn(Some(aged(10)), Some(&reading("DESTROYING", 10)));
        assert!(pace.bands.iter().all(|band| band.lived <= 0.0), "a failed reading teaches nothing");
        pace.forget(Some(&reading("DESTROYING", 10)));
        assert_eq!(pace.destroying, 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_is_learnt_a_pause_and_the_memory_stay_within_bounds(
            lives in vec((any::<u32>(), 1..=u64::from(u32::MAX), any::<bool>(), 1..300_usize), 0..30),
            ages in vec(any::<u32>(), 1..30),
            destroying in any::<usize>(),
            worth in prop::sample::select(vec![Duration::ZERO, seconds(300), Duration::MAX]),
        ) {
            let mut pace = Pace { destroying, ..Pace::new(MirrorSettings { worth, ..MirrorSettings::default() }) };
            let mut latest = Duration::ZERO;
            for (from, lasts, ended, times) in lives {
                let (from, to) = (seconds(from.into()), seconds(u64::from(from) + lasts));
                (0..times).for_each(|_| pace.add(from, to, ended));
                latest = if ended { latest.max(to) } else { latest };
            }
            prop_assert!(pace.bands.iter().all(|band| band.lived <= MEMORY && band.ended <= MEMORY), "{pace:?}");
            for age in ages.into_iter().map(u64::from) {
                let pause = pace.pause(aged(age));
                let held = MirrorSettings::default().held;
                prop_assert!((TICK / FASTEST..=held).contains(&pause), "{pause:?} at {age} s: {pace:?}");
                let is_too_early = seconds(age) + pause <= latest;
                prop_assert!(pause <= TICK || is_too_early, "{pause:?} at {age} s: {pace:?}");
            }
        }
    }
}
