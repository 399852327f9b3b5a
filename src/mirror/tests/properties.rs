//! What holds for every order of events: the cohort is driven by random steps, beside the simplest model of it.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::mirror::cohort::{Batch, Cohort};
use crate::reading::Presence;

const PORTS: usize = 6;

#[derive(Clone, Debug)]
enum Step {
    Observe {
        waiter: usize,
    },
    Want {
        waiter: usize,
        cadence: Cadence,
        fresh_after: Option<i64>,
    },
    Forget {
        waiter: usize,
    },
    Pass {
        millis: u64,
    },
    Take,
    /// Ends one of the calls under way, not always the oldest.
    End {
        call: usize,
        answer: Answer,
    },
}

#[derive(Clone, Debug)]
enum Answer {
    /// The ports that are there, as bits.
    Good(u8),
    Failed(Unreadable),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let cadence = prop::sample::select(vec![Cadence::Release, Cadence::Held, Cadence::Slow, Cadence::Paused]);
    let failures = vec![unavailable(), refused("REQUEST_LIMIT_EXCEEDED"), refused("code")];
    let answer = prop_oneof![
        3 => any::<u8>().prop_map(Answer::Good),
        1 => prop::sample::select(failures).prop_map(Answer::Failed),
    ];
    let waiter = 0..PORTS * 2;
    let step = prop_oneof![
        2 => waiter.clone().prop_map(|waiter| Step::Observe { waiter }),
        2 => (waiter.clone(), cadence, prop::option::of(-20_000..20_000_i64))
            .prop_map(|(waiter, cadence, fresh_after)| Step::Want { waiter, cadence, fresh_after }),
        1 => waiter.prop_map(|waiter| Step::Forget { waiter }),
        3 => (0..12_000_u64).prop_map(|millis| Step::Pass { millis }),
        4 => Just(Step::Take),
        4 => (0..8_usize, answer).prop_map(|(call, answer)| Step::End { call, answer }),
    ];
    vec(step, 1..120)
}

/// A cohort and what it has been told.
struct Run {
    now: Monotonic,
    cohort: Cohort<usize>,
    waiting: BTreeSet<usize>,
    /// What each waiter asked for last and has not got yet.
    asks: BTreeMap<usize, Monotonic>,
    calls: Vec<(Batch, Monotonic)>,
}

/// Every second port is being destroyed.
fn status_of(id: &PortId) -> &'static str {
    if (0..PORTS).step_by(2).any(|number| port(number) == *id) { "RECYCLED" } else { "DESTROYING" }
}

/// Two waiters a port.
fn port_of(waiter: usize) -> PortId {
    port(waiter / 2)
}

impl Run {
    fn new() -> Self {
        let settings = MirrorSettings { batch: 4.try_into().expect("not zero"), ..MirrorSettings::default() };
        Self {
            now: at(1000.0),
            cohort: Cohort::new(settings, Fingerprint::new("account"), Monotonic::default()),
            waiting: BTreeSet::new(),
            asks: BTreeMap::new(),
            calls: Vec::new(),
        }
    }

    fn evidence(&mut self) -> BTreeMap<usize, Evidence> {
        let (cohort, now) = (&mut self.cohort, self.now);
        self.waiting.iter().map(|waiter| (*waiter, cohort.observe(*waiter, &port_of(*waiter), now))).collect()
    }

    fn apply(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Observe { waiter } => {
                self.cohort.observe(waiter, &port_of(waiter), self.now);
                if self.waiting.insert(waiter) {
                    self.asks.insert(waiter, self.now);
                }
            }
            Step::Want { waiter, cadence, fresh_after } if self.waiting.contains(&waiter) => {
                self.want(waiter, cadence, fresh_after)?;
            }
            Step::Forget { waiter } => {
                self.cohort.forget(&waiter, &port_of(waiter), self.now);
                self.waiting.remove(&waiter);
                self.asks.remove(&waiter);
            }
            Step::Pass { millis } => self.now = self.now + Duration::from_millis(millis),
            Step::Take => self.take()?,
            Step::End { call, answer } if !self.calls.is_empty() => {
                let (batch, sent) = self.calls.remove(call % self.calls.len());
                self.end(batch, sent, &answer)?;
            }
            Step::Want { .. } | Step::End { .. } => {}
        }
        Ok(())
    }

    fn want(&mut self, waiter: usize, cadence: Cadence, offset: Option<i64>) -> Result<(), TestCaseError> {
        let fresh_after = offset.map(|millis| match u64::try_from(millis) {
            Ok(later) => self.now + Duration::from_millis(later),
            Err(_) => self.now - Duration::from_millis(millis.unsigned_abs()),
        });
        let good = self.evidence()[&waiter].good.as_ref().map(|good| good.at);
        let woken = self.cohort.want(&waiter, &port_of(waiter), Want { cadence, fresh_after }, self.now);
        prop_assert_eq!(woken, fresh_after.is_some_and(|after| good.is_some_and(|good| good >= after)));
        match fresh_after.filter(|_| !woken) {
            Some(after) => self.asks.insert(waiter, after),
            None => self.asks.remove(&waiter),
        };
        Ok(())
    }

    fn take(&mut self) -> Result<(), TestCaseError> {
        let due = self.cohort.next_due().is_some_and(|due| due <= self.now);
        let batch = self.cohort.take(self.now);
        prop_assert_eq!(batch.is_some(), due, "the poller would spin, or sleep for ever");
        if let Some(batch) = batch {
            prop_assert!((1..=4).contains(&batch.ids.len()), "{batch:?}");
            self.calls.push((batch, self.now));
        }
        Ok(())
    }

    fn end(&mut self, batch: Batch, sent: Monotonic, answer: &Answer) -> Result<(), TestCaseError> {
        let before = self.evidence();
        let answer = match answer {
            Answer::Good(there) => {
                let there = |id: &&PortId| (0..PORTS).any(|n| port(n) == **id && there & (1 << n) != 0);
                Ok(batch.ids.iter().filter(there).map(|id| port_info(id.as_str(), status_of(id))).collect())
            }
            Answer::Failed(why) => Err(why.clone()),
        };
        let woken = self.cohort.record(batch, sent, answer, self.now);
        let after = self.evidence();
        for waiter in &self.waiting {
            let (before, after) = (&before[waiter], &after[waiter]);
            check_evidence(before, after)?;
            let read = after.good.as_ref().filter(|good| Some(good.at) != before.good.as_ref().map(|g| g.at));
            let answered = read.is_some_and(|good| self.asks.get(waiter).is_some_and(|ask| good.at >= *ask));
            if answered {
                self.asks.remove(waiter);
            }
            let times = woken.iter().filter(|other| *other == waiter).count();
            let reason = answered || news(before) != news(after);
            prop_assert_eq!(times, usize::from(reason), "waiter {} from {:?} to {:?}", waiter, before, after);
        }
        prop_assert!(woken.iter().all(|waiter| self.waiting.contains(waiter)), "{woken:?}");
        Ok(())
    }

    /// Somebody who waits for something is never lost: it is planned, or under way.
    fn check_nothing_lost(&self) -> Result<(), TestCaseError> {
        let idle = self.cohort.next_due().is_none() && self.calls.is_empty();
        prop_assert!(!idle || self.asks.is_empty(), "asked for and never read: {:?}", self.asks);
        let ports: BTreeSet<_> = self.waiting.iter().map(|waiter| waiter / 2).collect();
        prop_assert_eq!(self.cohort.len(), ports.len());
        Ok(())
    }
}

/// What of the evidence wakes its waiter when it changes.
fn news(evidence: &Evidence) -> (Option<&Presence>, bool, Option<RefusalKind>) {
    let failure = evidence.failure.as_ref();
    let kind = failure.and_then(|failure| failure.why.kind());
    (evidence.good.as_ref().map(|good| &good.presence), failure.is_some(), kind)
}

fn check_evidence(before: &Evidence, after: &Evidence) -> Result<(), TestCaseError> {
    let good = |evidence: &Evidence| evidence.good.as_ref().map(|good| good.at);
    prop_assert!(good(before) <= good(after), "time ran backwards: {before:?}, {after:?}");
    let count = |evidence: &Evidence| evidence.absences.map_or(0, |run| run.count);
    let absent = after.good.as_ref().is_some_and(|good| good.presence == Presence::Absent);
    let read = usize::from(good(before) != good(after));
    let expected = if absent { count(before) as usize + read } else { 0 };
    prop_assert_eq!(count(after) as usize, expected, "from {:?} to {:?}", before, after);
    prop_assert!(after.failure.as_ref().is_none_or(|failure| Some(failure.at) > good(after)));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_order_of_events_keeps_the_books(steps in steps()) {
        let mut run = Run::new();
        for step in steps {
            run.apply(step)?;
            run.check_nothing_lost()?;
        }
    }

    #[test]
    fn all_that_is_wanted_is_read_in_the_end_and_forgotten_with_its_waiters(steps in steps()) {
        let mut run = Run::new();
        for step in steps {
            run.apply(step)?;
        }
        for _ in 0..500 {
            while let Some((batch, sent)) = run.calls.pop() {
                run.end(batch, sent, &Answer::Good(0b10_1010))?;
            }
            run.take()?;
            if run.calls.is_empty() && run.asks.is_empty() {
                break;
            }
            run.now = run.now + Duration::from_secs(1);
        }
        prop_assert!(run.asks.is_empty(), "still not read: {:?}", run.asks);
        for waiter in std::mem::take(&mut run.waiting) {
            run.cohort.forget(&waiter, &port_of(waiter), run.now);
        }
        prop_assert!(run.cohort.is_empty());
        prop_assert_eq!(run.cohort.next_due(), None, "something is left behind");
    }
}
