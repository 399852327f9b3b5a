//! The ticks: one grid for the whole process, so that all that is due is due together.

use std::time::Duration;

use crate::clock::Monotonic;

#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    tick: Duration,
    coalesce: Duration,
}

impl Grid {
    /// `coalesce` is cut to a quarter of a tick: a reading that much before or after a tick counts as that tick's.
    pub(super) fn new(tick: Duration, coalesce: Duration) -> Self {
        let tick = tick.max(Duration::from_millis(1));
        Self { tick, coalesce: coalesce.min(tick / 4) }
    }

    pub(super) fn tick(self) -> Duration {
        self.tick
    }

    pub(super) fn coalesce(self) -> Duration {
        self.coalesce
    }

    /// The tick at which to read again what was last read at `last`, if it is to be read every `interval`: counted
    /// from tick to tick, for from reading to reading each would be a little later and then miss its tick. It is
    /// not before the tick that `now` belongs to.
    pub(super) fn next(self, last: Option<Monotonic>, interval: Duration, now: Monotonic) -> Monotonic {
        let earliest = now - self.coalesce;
        self.ceil(last.map_or(earliest, |last| earliest.max(self.floor(last + self.coalesce) + interval)))
    }

    /// The last tick within `pause` after a reading, but not the one that the reading belongs to.
    pub(super) fn within(self, last: Monotonic, pause: Duration) -> Monotonic {
        self.floor(last + pause).max(self.floor(last + self.coalesce) + self.tick)
    }

    fn floor(self, time: Monotonic) -> Monotonic {
        let past = time.since(Monotonic::default()).as_nanos() % self.tick.as_nanos();
        time - Duration::from_nanos_u128(past)
    }

    fn ceil(self, time: Monotonic) -> Monotonic {
        let floor = self.floor(time);
        if floor == time { time } else { floor + self.tick }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    fn at(millis: u64) -> Monotonic {
        Monotonic::from_start(Duration::from_millis(millis))
    }

    fn grid() -> Grid {
        Grid::new(INTERVAL, Duration::from_millis(250))
    }

    #[test]
    fn a_reading_a_little_after_its_tick_does_not_miss_the_next_one() {
        assert_eq!(grid().next(Some(at(20_003)), INTERVAL, at(20_080)), at(30_000));
    }

    #[test]
    fn a_reading_a_little_before_a_tick_counts_as_that_ticks() {
        assert_eq!(grid().next(Some(at(19_800)), INTERVAL, at(19_850)), at(30_000));
        assert_eq!(grid().next(Some(at(19_700)), INTERVAL, at(19_720)), at(20_000));
    }

    #[test]
    fn ticks_that_passed_during_a_long_reading_are_skipped() {
        assert_eq!(grid().next(Some(at(20_000)), INTERVAL, at(55_000)), at(60_000));
    }

    #[test]
    fn what_was_never_read_is_due_at_the_coming_tick() {
        assert_eq!(grid().next(None, INTERVAL, at(3_000)), at(10_000));
    }

    #[test]
    fn an_interval_is_rounded_up_to_whole_ticks() {
        assert_eq!(grid().next(Some(at(20_000)), Duration::from_secs(15), at(20_000)), at(40_000));
    }

    #[test]
    fn a_tick_within_a_pause_is_never_after_it_and_never_the_tick_of_the_reading() {
        assert_eq!(grid().within(at(20_003), INTERVAL * 2), at(40_000));
        assert_eq!(grid().within(at(23_000), INTERVAL * 2), at(40_000));
        assert_eq!(grid().within(at(20_003), Duration::from_secs(3)), at(30_000));
        assert_eq!(grid().within(at(19_800), Duration::from_secs(3)), at(30_000));
    }

    #[test]
    fn a_tick_of_zero_is_no_division_by_zero() {
        let grid = Grid::new(Duration::ZERO, Duration::ZERO);
        assert_eq!(grid.next(Some(at(5)), Duration::ZERO, at(7)), at(7));
    }
}
