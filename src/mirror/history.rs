//! What the readings by one credential have told of one port.

use crate::clock::Monotonic;
use crate::reading::{Absences, Failure, Presence, Reading, Unreadable};

#[derive(Clone, Debug, Default)]
pub(super) struct History {
    pub(super) good: Option<Reading>,
    pub(super) absences: Option<Absences>,
    failing: Option<Box<Failing>>,
}

#[derive(Clone, Debug)]
struct Failing {
    newest: Failure,
    /// The failure that last counted as a change.
    told: Unreadable,
}

impl From<Failure> for Failing {
    fn from(newest: Failure) -> Self {
        Self { told: newest.why.clone(), newest }
    }
}

/// What a reading did to the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It was sent no later than a reading that is recorded already.
    Outdated,
    /// It says what was known.
    Unchanged,
    /// The port changed, or failures began, ended or have another cause.
    Changed,
}

impl History {
    /// Nothing is known but that readings fail.
    pub(super) fn failing(failure: Failure) -> Self {
        Self { failing: Some(Box::new(failure.into())), ..Self::default() }
    }

    pub(super) fn failure(&self) -> Option<&Failure> {
        self.failing.as_ref().map(|failing| &failing.newest)
    }

    /// When the newest recorded reading, good or failed, was sent.
    pub(super) fn newest(&self) -> Option<Monotonic> {
        let good = self.good.as_ref().map(|reading| reading.at);
        good.max(self.failure().map(|failure| failure.at))
    }

    pub(super) fn record(&mut self, sent: Monotonic, outcome: Result<Presence, Unreadable>) -> Effect {
        if self.newest().is_some_and(|newest| sent <= newest) {
            return Effect::Outdated;
        }
        let changed = match outcome {
            Ok(presence) => self.record_good(sent, presence),
            Err(why) => self.record_failure(sent, why),
        };
        if changed { Effect::Changed } else { Effect::Unchanged }
    }

    fn record_good(&mut self, sent: Monotonic, presence: Presence) -> bool {
        self.absences = match presence {
            Presence::Seen(_) => None,
            Presence::Absent => Some(match self.absences {
                Some(run) => Absences { count: run.count.saturating_add(1), last: sent, ..run },
                None => Absences { count: 1, first: sent, last: sent },
            }),
        };
        let recovered = self.failing.take().is_some();
        let known = self.good.as_ref();
        let changed = known.is_none_or(|known| known.presence != presence);
        let run = known.filter(|known| same_state(&known.presence, &presence));
        let since = run.map_or(sent, |known| known.since);
        self.good = Some(Reading { presence, at: sent, since });
        recovered || changed
    }

    /// Another kind of failure counts at once. Other words of the same kind count when two readings in a row say them, so
    /// that a failure whose words alternate does not wake the object again and again.
    fn record_failure(&mut self, sent: Monotonic, why: Unreadable) -> bool {
        let Some(failing) = &mut self.failing else {
            self.failing = Some(Box::new(Failing::from(Failure { why, since: sent, at: sent })));
            return true;
        };
        let changed = failing.told.kind() != why.kind()
            || failing.newest.why.has_same_cause(&why) && !failing.told.has_same_cause(&why);
        if changed {
            failing.told.clone_from(&why);
        }
        failing.newest = Failure { why, at: sent, ..failing.newest };
        changed
    }
}

/// Whether two readings belong to one run ([`Reading::since`]).
fn same_state(one: &Presence, other: &Presence) -> bool {
    match (one, other) {
        (Presence::Seen(one), Presence::Seen(other)) => one.port_status == other.port_status,
        (Presence::Absent, Presence::Absent) => true,
        (Presence::Seen(_), Presence::Absent) | (Presence::Absent, Presence::Seen(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::mirror::tests::{port_info, refused};

    fn at(seconds: u64) -> Monotonic {
        Monotonic::from_start(Duration::from_secs(seconds))
    }

    fn seen(status: &str) -> Presence {
        Presence::Seen(port_info("port-1", status))
    }

    fn unavailable(detail: &str) -> Result<Presence, Unreadable> {
        Err(Unreadable::Unavailable(detail.to_owned()))
    }

    const ABSENT: Result<Presence, Unreadable> = Ok(Presence::Absent);

    #[test]
    fn only_a_difference_is_a_change() {
        let mut history = History::default();
        let effects = [
            (Ok(seen("RUNNING")), Effect::Changed),
            (Ok(seen("RUNNING")), Effect::Unchanged),
            (Ok(seen("RECYCLED")), Effect::Changed),
            (ABSENT, Effect::Changed),
            (ABSENT, Effect::Unchanged),
            (unavailable("timeout"), Effect::Changed),
            (unavailable("HTTP 502"), Effect::Unchanged),
            (unavailable("HTTP 502"), Effect::Changed),
            (unavailable("timeout"), Effect::Unchanged),
            (unavailable("HTTP 502"), Effect::Unchanged),
            (Err(refused("REQUEST_LIMIT_EXCEEDED")), Effect::Changed),
            (ABSENT, Effect::Changed),
            (ABSENT, Effect::Unchanged),
        ];
        for (second, (outcome, expected)) in (0..).zip(effects) {
            let effect = history.record(at(second), outcome.clone());
            assert_eq!(effect, expected, "reading {second}: {outcome:?}");
        }
    }

    #[test]
    fn a_failure_touches_neither_the_good_reading_nor_the_run_of_absences() {
        let mut history = History::default();
        history.record(at(10), ABSENT);
        history.record(at(20), unavailable("timeout"));
        history.record(at(30), Err(refused("REQUEST_LIMIT_EXCEEDED")));
        assert_eq!(history.good, Some(Reading { presence: Presence::Absent, at: at(10), since: at(10) }));
        assert_eq!(history.absences, Some(Absences { count: 1, first: at(10), last: at(10) }));
        let failure = Failure { why: refused("REQUEST_LIMIT_EXCEEDED"), since: at(20), at: at(30) };
        assert_eq!(history.failure(), Some(&failure));
        history.record(at(40), ABSENT);
        assert_eq!(history.absences, Some(Absences { count: 2, first: at(10), last: at(40) }));
        assert_eq!(history.failure(), None);
    }

    #[test]
    fn a_sighting_ends_the_run_of_absences() {
        let mut history = History::default();
        history.record(at(10), ABSENT);
        history.record(at(20), Ok(seen("RECYCLED")));
        assert_eq!(history.absences, None);
        history.record(at(30), ABSENT);
        assert_eq!(history.absences, Some(Absences { count: 1, first: at(30), last: at(30) }));
    }

    #[test]
    fn a_reading_knows_since_when_the_port_is_in_this_state() {
        let mut renamed = port_info("port-1", "RUNNING");
        renamed.port_name = Some("another name".to_owned());
        let mut history = History::default();
        let readings = [
            (Ok(seen("RUNNING")), 0),
            (Ok(Presence::Seen(renamed)), 0),
            (unavailable("timeout"), 0),
            (Ok(seen("RUNNING")), 0),
            (Ok(seen("RECYCLED")), 4),
            (ABSENT, 5),
            (ABSENT, 5),
            (Ok(seen("RECYCLED")), 7),
        ];
        for (second, (outcome, since)) in (0..).zip(readings) {
            history.record(at(second), outcome.clone());
            let known = history.good.as_ref().map(|reading| reading.since);
            assert_eq!(known, Some(at(since)), "after reading {second}: {outcome:?}");
        }
    }

    #[test]
    fn an_answer_to_an_earlier_request_is_ignored() {
        let mut history = History::default();
        history.record(at(20), Ok(seen("DESTROYING")));
        for outcome in [ABSENT, Ok(seen("RECYCLED")), unavailable("timeout")] {
            assert_eq!(history.record(at(19), outcome), Effect::Outdated);
        }
        let good = history.good.as_ref().map(|reading| &reading.presence);
        assert_eq!(good, Some(&seen("DESTROYING")));
        assert_eq!((history.failure(), history.absences), (None, None));
    }
}
