//! Every combination of what a decision rests on, and the rules on all of them.
//!
//! A call is made exactly where no rule of [`rules::AGAINST_A_CALL`] forbids it, and the finalizer goes exactly where
//! [`rules::end`] says so. Exactly: a decision that did nothing would break it as much as one that did too much.

mod case;
mod input;
mod rules;

use std::thread;

use case::{Case, Crd, Credential, Finalizers, Life, Sighting, Space};
use input::{Next, Planned, Situation};
use zenlayer_port_operator::decision::Action;

use crate::Effort;

/// What was found in a part of a space.
#[derive(Clone, Copy, Default)]
struct Found {
    combinations: usize,
    calls: usize,
    ends: usize,
    /// How often each rule was the only one against a call.
    alone: [usize; rules::AGAINST_A_CALL.len()],
}

#[test]
fn a_call_is_made_exactly_where_no_rule_forbids_it_and_the_object_goes_exactly_where_its_port_is_done_with() {
    let effort = Effort::asked_for();
    let found = case::spaces(effort).iter().map(walk).fold(Found::default(), Found::and);
    println!("{} combinations of inputs, {effort:?}:", found.combinations);
    println!("{:>12} calls, {} ends; and of all rules against a call only", found.calls, found.ends);
    for ((rule, _), alone) in rules::AGAINST_A_CALL.iter().zip(found.alone) {
        println!("{alone:>12} times: {rule}");
        assert!(alone > 0, "the rule {rule:?} is never the only one: is it tried at all?");
    }
    assert!(found.calls > 0 && found.ends > 0);
}

#[test]
fn what_a_plan_says_of_a_deletion_is_what_the_operator_does() {
    let (mut calls, mut ends, mut pauses) = (0, 0, 0);
    // A number that shares no factor with the sizes of the dimensions reaches every value of each.
    let stride = match Effort::asked_for() {
        Effort::Short => 11,
        Effort::Deep => 1,
    };
    for space in case::spaces(Effort::Short) {
        for number in (0..space.size()).step_by(stride) {
            let case = space.case(number);
            if !is_told_by_the_status(&case) {
                continue;
            }
            let situation = Situation::of(&case);
            let Some(next) = situation.next() else { continue };
            match next {
                Next::Calls(_) => calls += 1,
                Next::Releases(_) => ends += 1,
                Next::Pauses(_) => pauses += 1,
            }
            assert_eq!(situation.forecast(), Some(next), "the plan, and what the operator does: {case:#?}");
        }
    }
    println!("{calls} calls, {ends} ends, {pauses} pauses");
    assert!(calls > 100 && ends > 100 && pauses > 100, "{calls} calls, {ends} ends, {pauses} pauses");
}

/// A plan knows no more than the status, and takes Zenlayer and the API server for reachable.
fn is_told_by_the_status(case: &Case) -> bool {
    let is_deleted = case.life == Life::Deleted && case.finalizers != Finalizers::Others;
    let seen = matches!(case.sighting, Sighting::Seen(_));
    let crd = matches!(case.crd, Crd::Stays | Crd::NotGranted);
    is_deleted && seen && crd && case.listed && case.credential == Credential::Signs
}

/// All combinations of `space`, on all processors.
fn walk(space: &Space) -> Found {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let parts: Vec<_> =
            (0..processors).map(|part| scope.spawn(move || walk_part(space, part, processors))).collect();
        parts
            .into_iter()
            .map(|part| part.join().expect("a rule is broken"))
            .fold(Found::default(), Found::and)
    })
}

fn walk_part(space: &Space, part: usize, of: usize) -> Found {
    let mut found = Found::default();
    for number in (part..space.size()).step_by(of) {
        let case = space.case(number);
        let plan = Situation::of(&case).plan();
        found.take_in(&case, &plan);
    }
    found
}

impl Found {
    fn and(mut self, other: Self) -> Self {
        self.combinations += other.combinations;
        self.calls += other.calls;
        self.ends += other.ends;
        for (sum, one) in self.alone.iter_mut().zip(other.alone) {
            *sum += one;
        }
        self
    }

    fn take_in(&mut self, case: &Case, plan: &Planned) {
        let against: Vec<usize> =
            (0..rules::AGAINST_A_CALL.len()).filter(|rule| rules::AGAINST_A_CALL[*rule].1(case)).collect();
        let due = case.action().filter(|_| against.is_empty());
        let (called, ended) = match &plan.action {
            Action::Call(intent) => (Some(intent.warrant.action()), None),
            Action::RemoveFinalizer(reason) => (None, Some(*reason)),
            Action::None | Action::AddFinalizer => (None, None),
        };
        let said = || {
            let names: Vec<_> = against.iter().map(|rule| rules::AGAINST_A_CALL[*rule].0).collect();
            format!("{case:#?}\nagainst a call: {names:?}\n{plan:#?}")
        };
        assert_eq!(called, due, "the call that is made, and the one that is due: {}", said());
        assert_eq!(ended, rules::end(case), "why the object goes, and why it should: {}", said());
        for (rule, is_kept) in rules::OF_EVERY_PLAN {
            assert!(is_kept(case, plan), "{rule}: {}", said());
        }
        self.combinations += 1;
        self.calls += usize::from(called.is_some());
        self.ends += usize::from(ended.is_some());
        if let ([rule], Some(_)) = (against.as_slice(), case.action()) {
            self.alone[*rule] += 1;
        }
    }
}
