//! What holds for every input.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngSeed, TestRunner};

use super::oracle::{justified_call, justified_end};
use super::scenario::*;
use super::strategy::scenario;
use crate::api::{Actor, CallOutcome, READY, RECONCILING, Reason, STALLED};
use crate::decision::Action;
use crate::decision::sighting::Presence;
use crate::port::same_instant;

/// What advice leaves to be filled in.
const HOLES: [&str; 2] = ["{name}", "{namespace}"];

/// The same inputs at every run; raise `cases` to look further.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 2048,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    /// Never a disruptive call without a fresh sighting in the right state, a free record and open gates; and always
    /// one with them, or the port would never be released.
    #[test]
    fn a_call_is_made_exactly_where_it_is_justified(it in scenario()) {
        let called = match it.plan().action {
            Action::Call(warrant) => Some(warrant.action()),
            Action::None | Action::AddFinalizer | Action::LetGo(_) => None,
        };
        prop_assert_eq!(called, justified_call(&it));
    }

    #[test]
    fn the_finalizer_comes_off_exactly_where_the_rows_1_5_and_12_allow_it(it in scenario()) {
        let let_go = match it.plan().action {
            Action::LetGo(reason) => Some(reason),
            Action::None | Action::AddFinalizer | Action::Call(_) => None,
        };
        prop_assert_eq!(let_go, justified_end(&it));
    }

    #[test]
    fn a_call_goes_with_the_pending_record_of_the_next_attempt(it in scenario()) {
        let plan = it.plan();
        if let Action::Call(warrant) = &plan.action {
            let before = it.object.release().and_then(|release| release.call.as_ref()).map_or(0, |call| call.attempt);
            let recorded = plan.status.release.as_ref().and_then(|release| release.call.clone()).expect("a record");
            prop_assert_eq!(recorded.attempt, before.saturating_add(1));
            prop_assert_eq!(recorded.outcome, CallOutcome::Pending {});
            prop_assert_eq!(recorded.action, warrant.action());
            prop_assert_eq!(&recorded.credential, warrant.credential());
            prop_assert_eq!(&it.object.spec.port_id, warrant.port_id());
            let has_uid = it.object.metadata.uid.is_some();
            prop_assert_eq!(warrant.is_recorded_in(&it.clone().written().object), has_uid);
        }
    }

    #[test]
    fn the_same_decision_twice_writes_nothing_new_and_tells_nothing_twice(it in scenario()) {
        let plan = it.plan();
        let again = it.clone().written().plan();
        match &plan.action {
            Action::None | Action::AddFinalizer => {
                prop_assert_eq!(&again.status, &plan.status);
                prop_assert_eq!(&again.action, &plan.action);
                prop_assert_eq!((again.want, again.deadline, again.event), (plan.want, plan.deadline, None));
            }
            Action::LetGo(_) => prop_assert_eq!(again, plan),
            // A record can only be told to be an object's own by its uid, which the API server always gives.
            Action::Call(_) if it.object.metadata.uid.is_none() => {}
            Action::Call(_) => prop_assert_eq!(again.action, Action::None),
        }
    }

    #[test]
    fn conditions_are_left_alone_or_written_whole(it in scenario()) {
        let status = it.plan().status;
        let before = it.object.status.clone().unwrap_or_default();
        if status.conditions == before.conditions {
            prop_assert_eq!(status.observed_generation, before.observed_generation);
            return Ok(());
        }
        let kinds: Vec<_> = status.conditions.iter().map(|it| it.type_.as_str()).collect();
        prop_assert_eq!(kinds, [READY, RECONCILING, STALLED]);
        prop_assert_eq!(status.observed_generation, Some(GENERATION));
        for condition in &status.conditions {
            prop_assert_eq!(condition.observed_generation, Some(GENERATION));
            prop_assert!(Reason::parse(&condition.reason).is_some(), "{}", condition.reason);
            prop_assert!(["True", "False", "Unknown"].contains(&condition.status.as_str()), "{}", condition.status);
            prop_assert!(HOLES.iter().all(|hole| !condition.message.contains(hole)), "{}", condition.message);
        }
        let shown = Reason::parse(&status.conditions[0].reason).map(Reason::actor);
        let is_true = |kind| condition(&status, kind).is_some_and(|it| it.status == "True");
        prop_assert_eq!(is_true(STALLED), shown == Some(Actor::Person) || is_true(STALLED) && is_true(RECONCILING));
        prop_assert_eq!(is_true(RECONCILING), matches!(shown, Some(Actor::Operator | Actor::Zenlayer)));
    }

    #[test]
    fn ready_is_true_only_of_a_living_object_with_our_finalizer(it in scenario()) {
        let plan = it.plan();
        let before = it.object.status.as_ref().map(|status| &status.conditions);
        let ready = condition(&plan.status, READY).filter(|_| before != Some(&plan.status.conditions));
        if ready.is_some_and(|ready| ready.status == "True") {
            prop_assert!(!it.object.is_terminating() && it.object.has_finalizer());
        }
    }

    #[test]
    fn nothing_that_was_learned_is_forgotten(it in scenario()) {
        let plan = it.plan();
        let before = it.object.status.clone().unwrap_or_default();
        // Only another port, which a person lets the object own from now on, is known for itself alone.
        let same_port = before.identity.as_ref().and_then(|it| it.created_time.as_ref()).is_none_or(|created| {
            let after = plan.status.identity.as_ref().and_then(|it| it.created_time.as_ref());
            after.is_some_and(|after| same_instant(created, after))
        });
        prop_assert!(same_port || it.object.approves(Reason::IdentityChanged));
        if let Some(identity) = before.identity && same_port {
            let after = plan.status.identity.clone().expect("an identity");
            prop_assert!(identity.seen_by.iter().all(|key| after.seen_by.contains(key)));
        }
        prop_assert!(plan.status.identity.as_ref().is_none_or(|identity| identity.seen_by.len() <= 4));
        prop_assert!(before.port.is_none() || plan.status.port.is_some());
        if let Some(release) = it.object.release() {
            let after = plan.status.release.clone().expect("a record");
            prop_assert!(after.seen_recycled || !release.seen_recycled || !same_port);
            prop_assert!(after.restored || !release.restored || !same_port);
            prop_assert!(after.destroy_accepted || !release.destroy_accepted || !same_port);
            prop_assert!(after.latched || !release.latched);
            if let Some(call) = &release.call {
                let after = after.call.expect("a call");
                prop_assert!(after.attempt > call.attempt || call.attempt == i64::MAX
                    || (after.landed || !call.landed) && after.outcome == call.outcome);
            }
        }
    }

    #[test]
    fn an_event_tells_only_of_a_transition(it in scenario()) {
        let plan = it.plan();
        if let Some(event) = plan.event {
            let before = it.object.status.as_ref().and_then(|status| condition(status, READY));
            let is_new = before.is_none_or(|ready| ready.reason != event.reason.as_str());
            prop_assert!(is_new || matches!(plan.action, Action::LetGo(_)), "{event:?}");
        }
    }

    /// A wait that neither the mirror nor a deadline ends would last for ever; one that ends at once would spin.
    #[test]
    fn every_wait_is_woken_and_none_spins(it in scenario()) {
        let plan = it.plan();
        prop_assert!(plan.deadline.is_none_or(|deadline| !deadline.is_zero()), "{plan:#?}");
        let read_at = it.evidence.as_ref().and_then(|evidence| evidence.good.as_ref()).map(|good| good.at);
        let fresh_after = plan.want.and_then(|want| want.fresh_after);
        let is_told_of = fresh_after.is_some_and(|fresh_after| read_at >= Some(fresh_after));
        prop_assert!(!is_told_of || is_inconsistent(&it), "{plan:#?}");
        if plan.action == Action::None && it.object.has_finalizer() {
            prop_assert!(plan.want.is_some() || plan.deadline.is_some(), "{plan:#?}");
        }
    }
}

/// Absent, and not counted as such: no mirror says so.
fn is_inconsistent(it: &Scenario) -> bool {
    let evidence = it.evidence.as_ref();
    evidence.is_some_and(|evidence| {
        let absent = evidence.good.as_ref().is_some_and(|good| good.presence == Presence::Absent);
        absent && evidence.absences.is_none_or(|absences| absences.count < 2)
    })
}

/// Else the properties above would hold of too little.
#[test]
fn the_situations_drawn_reach_every_reason_and_every_act() {
    let mut runner = TestRunner::deterministic();
    let mut reasons = BTreeSet::new();
    let mut acts = BTreeSet::new();
    for _ in 0..20_000 {
        let plan = scenario().new_tree(&mut runner).expect("a scenario").current().plan();
        reasons.extend(shown(&plan).and_then(Reason::parse));
        match plan.action {
            Action::None => {}
            Action::AddFinalizer => _ = acts.insert("AddFinalizer"),
            Action::LetGo(reason) => _ = reasons.insert(reason),
            Action::Call(warrant) => _ = acts.insert(warrant.action().as_str()),
        }
    }
    let missing: Vec<_> = Reason::ALL.iter().filter(|reason| !reasons.contains(reason)).collect();
    assert!(missing.is_empty(), "never reached: {missing:?}");
    assert_eq!(acts.into_iter().collect::<Vec<_>>(), ["AddFinalizer", "DestroyPort", "TerminatePort"]);
}
