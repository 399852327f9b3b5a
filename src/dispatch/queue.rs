//! Which object is reconciled next: pure, told the time.
//!
//! Each namespace has its own line, and the lines take turns: one tenant with many objects does not hold up another. An object
//! is never reconciled twice at the same time; if it is woken meanwhile, it is reconciled once more.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::clock::Monotonic;
use crate::index::Reference;

/// A deletion takes one reconcile that calls, and about three that do not.
const OTHERS: u8 = 3;

#[derive(Debug, Default)]
pub(super) struct Queue {
    states: BTreeMap<Reference, State>,
    timers: BTreeSet<(Monotonic, Reference)>,
    /// Those that are ready and go before all namespaces, but between two of them [`OTHERS`] of the namespaces go.
    first: VecDeque<Reference>,
    /// How many of the namespaces may go before the next of these.
    others_left: u8,
    /// Those that are ready, by namespace, in the order in which they became so.
    lines: BTreeMap<Box<str>, VecDeque<Reference>>,
    /// The namespaces that have somebody ready, in the order of their turns.
    turns: VecDeque<Box<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is ready at that time.
    Planned(Monotonic),
    Ready,
    Running,
    /// It was woken while it was reconciled.
    RunningAgain,
}

impl Queue {
    /// The object is to be reconciled as soon as its turn comes.
    pub(super) fn wake(&mut self, reference: Reference) {
        match self.states.get(&reference) {
            Some(State::Ready | State::RunningAgain) => return,
            Some(State::Running) => {
                self.states.insert(reference, State::RunningAgain);
                return;
            }
            Some(State::Planned(at)) => {
                self.timers.remove(&(*at, reference.clone()));
            }
            None => {}
        }
        self.line_up(reference);
    }

    /// As [`wake`](Self::wake), but the object waits for [`OTHERS`] of the namespaces at most, and for those that were woken like
    /// this before.
    pub(super) fn wake_first(&mut self, reference: Reference) {
        self.wake(reference.clone());
        // Not if it is being reconciled, or goes first already.
        let Some(line) = self.lines.get_mut(reference.namespace()) else { return };
        let Some(at) = line.iter().rposition(|other| *other == reference) else { return };
        line.remove(at);
        if line.is_empty() {
            self.lines.remove(reference.namespace());
            self.turns.retain(|namespace| **namespace != *reference.namespace());
        }
        self.first.push_back(reference);
    }

    /// The next to be reconciled, if anybody is ready. Its end must be [told](Self::ended).
    pub(super) fn next(&mut self, now: Monotonic) -> Option<Reference> {
        while let Some((at, reference)) = self.timers.pop_first() {
            if at > now {
                self.timers.insert((at, reference));
                break;
            }
            self.line_up(reference);
        }
        if (self.others_left == 0 || self.turns.is_empty())
            && let Some(first) = self.first.pop_front()
        {
            self.others_left = OTHERS;
            self.states.insert(first.clone(), State::Running);
            return Some(first);
        }
        self.others_left = self.others_left.saturating_sub(1);
        let namespace = self.turns.pop_front()?;
        let line = self.lines.get_mut(&namespace)?;
        let next = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&namespace);
        } else {
            self.turns.push_back(namespace);
        }
        let next = next?;
        self.states.insert(next.clone(), State::Running);
        Some(next)
    }

    /// The reconcile of the object has ended. The next one is at `again`; none: when it is woken.
    pub(super) fn ended(&mut self, reference: Reference, again: Option<Monotonic>) {
        let was = self.states.remove(&reference);
        if was == Some(State::RunningAgain) {
            self.line_up(reference);
        } else if let Some(at) = again {
            self.states.insert(reference.clone(), State::Planned(at));
            self.timers.insert((at, reference));
        }
    }

    /// When the next object is ready without being woken.
    pub(super) fn next_timer(&self) -> Option<Monotonic> {
        self.timers.first().map(|(at, _)| *at)
    }

    fn line_up(&mut self, reference: Reference) {
        let namespace: Box<str> = reference.namespace().into();
        let line = self.lines.entry(namespace.clone()).or_default();
        if line.is_empty() {
            self.turns.push_back(namespace);
        }
        line.push_back(reference.clone());
        self.states.insert(reference, State::Ready);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn reference(namespace: usize, name: usize) -> Reference {
        Reference::named(&format!("team-{namespace}"), &format!("edge-{name}"))
    }

    fn at(second: u64) -> Monotonic {
        Monotonic::from_start(Duration::from_secs(second))
    }

    fn drain(queue: &mut Queue, now: Monotonic) -> Vec<Reference> {
        std::iter::from_fn(|| {
            let next = queue.next(now)?;
            queue.ended(next.clone(), None);
            Some(next)
        })
        .collect()
    }

    #[test]
    fn an_object_that_is_woken_while_it_is_reconciled_is_reconciled_once_more_and_not_at_the_same_time() {
        let mut queue = Queue::default();
        let edge = reference(0, 0);
        queue.wake(edge.clone());
        queue.wake(edge.clone());
        assert_eq!(queue.next(at(0)), Some(edge.clone()));
        queue.wake(edge.clone());
        queue.wake(edge.clone());
        assert_eq!(queue.next(at(0)), None, "it is under way");
        queue.ended(edge.clone(), Some(at(100)));
        assert_eq!(drain(&mut queue, at(0)), [edge], "once, and before its time");
        assert_eq!(queue.next_timer(), None);
    }

    #[test]
    fn a_wake_takes_the_place_of_a_plan() {
        let mut queue = Queue::default();
        let edge = reference(0, 0);
        queue.wake(edge.clone());
        queue.next(at(0));
        queue.ended(edge.clone(), Some(at(60)));
        assert_eq!((queue.next(at(59)), queue.next_timer()), (None, Some(at(60))));
        queue.wake(edge.clone());
        assert_eq!(drain(&mut queue, at(59)), [edge]);
        assert_eq!(drain(&mut queue, at(60)), [], "it is not planned any more");
    }

    #[test]
    fn whoever_is_woken_first_goes_before_all_others_once() {
        let mut queue = Queue::default();
        let (many, ticket) = ((0..5).map(|name| reference(0, name)).collect::<Vec<_>>(), reference(0, 9));
        queue.wake(reference(1, 0));
        many.iter().cloned().for_each(|one| queue.wake(one));
        queue.wake(ticket.clone());
        queue.wake_first(ticket.clone());
        let order = drain(&mut queue, at(0));
        assert_eq!(order.first(), Some(&ticket));
        assert_eq!(order.len(), 7, "each once: {order:?}");
        queue.wake(ticket.clone());
        queue.next(at(0));
        queue.wake_first(ticket.clone());
        assert_eq!(queue.next(at(0)), None, "it is under way");
        queue.ended(ticket.clone(), None);
        assert_eq!(drain(&mut queue, at(0)), [ticket]);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Wake(usize, usize),
        WakeFirst(usize, usize),
        Start,
        /// The oldest that is under way ends, and is planned for so many seconds later.
        End(Option<u64>),
        TimePasses(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..4_usize, 0..6_usize).prop_map(|(namespace, name)| Step::Wake(namespace, name)),
            1 => (0..4_usize, 0..6_usize).prop_map(|(namespace, name)| Step::WakeFirst(namespace, name)),
            5 => Just(Step::Start),
            5 => prop::option::of(0..50_u64).prop_map(Step::End),
            1 => (1..30_u64).prop_map(Step::TimePasses),
        ]
    }

    proptest! {
        /// From the moment when an object is ready until its turn, no other namespace has more turns than its own. Between two of
        /// these turns at most one object goes that was woken first, and between two of those [`OTHERS`] of the namespaces, if so
        /// many wait.
        #[test]
        fn every_namespace_has_its_turn(steps in prop::collection::vec(step(), 0..400)) {
            let mut queue = Queue::default();
            let mut under_way = VecDeque::new();
            let mut now = at(0);
            // Of each that is ready: the turns of each namespace since then.
            let mut ready: BTreeMap<Reference, BTreeMap<String, u32>> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Wake(namespace, name) => queue.wake(reference(namespace, name)),
                    Step::WakeFirst(namespace, name) => queue.wake_first(reference(namespace, name)),
                    Step::Start => {
                        let (left, others_wait) = (queue.others_left, !queue.turns.is_empty());
                        let is_first: BTreeSet<_> = queue.first.iter().cloned().collect();
                        if let Some(next) = queue.next(now) {
                            let went_first = is_first.contains(&next);
                            prop_assert!(!went_first || left == 0 || !others_wait, "{left} others were to go before {next}");
                            prop_assert!(!under_way.contains(&next), "{next} is under way twice");
                            for turns in ready.values_mut().filter(|_| !went_first) {
                                *turns.entry(next.namespace().to_owned()).or_default() += 1;
                            }
                            if let Some(turns) = ready.remove(&next).filter(|_| !went_first) {
                                let own = turns.get(next.namespace()).copied().unwrap_or_default();
                                for (namespace, others) in &turns {
                                    prop_assert!(*others <= own, "{next} waited for {namespace}: {turns:?}");
                                }
                            }
                            under_way.push_back(next);
                        }
                    }
                    Step::End(again) => {
                        if let Some(ended) = under_way.pop_front() {
                            queue.ended(ended, again.map(|seconds| now + Duration::from_secs(seconds)));
                        }
                    }
                    Step::TimePasses(seconds) => now = now + Duration::from_secs(seconds),
                }
                for (reference, state) in &queue.states {
                    if *state == State::Ready {
                        ready.entry(reference.clone()).or_default();
                    }
                }
                check(&queue, &under_way)?;
            }
        }
    }

    fn check(queue: &Queue, under_way: &VecDeque<Reference>) -> Result<(), TestCaseError> {
        let of = |wanted: fn(&State) -> bool| -> BTreeSet<&Reference> {
            queue.states.iter().filter(|(_, state)| wanted(state)).map(|(reference, _)| reference).collect()
        };
        let ready: Vec<&Reference> = queue.lines.values().flatten().chain(&queue.first).collect();
        prop_assert_eq!(ready.len(), ready.iter().collect::<BTreeSet<_>>().len(), "in line once");
        prop_assert_eq!(ready.into_iter().collect::<BTreeSet<_>>(), of(|it| *it == State::Ready));
        let running = of(|it| matches!(it, State::Running | State::RunningAgain));
        prop_assert_eq!(running, under_way.iter().collect::<BTreeSet<_>>());
        let planned: BTreeSet<&Reference> = queue.timers.iter().map(|(_, reference)| reference).collect();
        prop_assert_eq!(planned, of(|it| matches!(it, State::Planned(_))));
        let lines: BTreeSet<&Box<str>> = queue.lines.keys().collect();
        prop_assert_eq!(queue.turns.len(), lines.len());
        prop_assert_eq!(queue.turns.iter().collect::<BTreeSet<_>>(), lines);
        Ok(())
    }
}
