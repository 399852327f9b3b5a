//! What holds for every input.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::oracle::{justified_call, justified_end};
use super::scenario::*;
use super::strategy::{evidence, scenario};
use super::table::cases;
use crate::api::{
    Actor, CallOutcome, ObservedPort, READY, RECONCILING, Reason, STALLED, ZenlayerPort, ZenlayerPortStatus,
};
use crate::decision::{Action, Intent, Plan, Turn};
use crate::port::same_instant;
use crate::reading::{Evidence, Presence};

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

    /// Never a disruptive call without a fresh reading in the right state, a free record and open gates; and always
    /// one with them, or the port would never be released.
    #[test]
    fn a_call_is_made_exactly_where_it_is_justified(it in scenario()) {
        let called = match it.plan().action {
            Action::Call(intent) => Some(intent.warrant.action()),
            Action::None | Action::AddFinalizer | Action::RemoveFinalizer(_) => None,
        };
        prop_assert_eq!(called, justified_call(&it), "row {:?}", it.decided().row);
    }

    #[test]
    fn the_finalizer_is_removed_exactly_where_a_row_allows_it(it in scenario()) {
        let removed = match it.plan().action {
            Action::RemoveFinalizer(reason) => Some(reason),
            Action::None | Action::AddFinalizer | Action::Call(_) => None,
        };
        prop_assert_eq!(removed, justified_end(&it), "row {:?}", it.decided().row);
    }

    #[test]
    fn a_call_goes_with_the_pending_record_of_the_next_attempt(it in scenario()) {
        let plan = it.plan();
        if let Action::Call(Intent { warrant, .. }) = &plan.action {
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
            // What is learnt is not written any more.
            Action::RemoveFinalizer(_) => prop_assert_eq!(again.action, plan.action),
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
        let moves_on = shown.is_some_and(Actor::moves_on);
        let is_true = |kind| condition(&status, kind).is_some_and(|it| it.status == "True");
        prop_assert_eq!(is_true(STALLED), shown == Some(Actor::Person) || is_true(STALLED) && is_true(RECONCILING));
        prop_assert_eq!(is_true(RECONCILING), moves_on);
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
    fn nothing_that_was_learnt_is_forgotten(it in scenario()) {
        let before = ZenlayerPort { status: it.object.status.clone(), ..it.object.clone() };
        let stored = ZenlayerPortStatus { release: before.release().cloned(), ..before.status.clone().unwrap_or_default() };
        prop_assert_eq!(forgotten(&stored, &it.plan().status, &it.object), None);
    }

    /// The call is made, takes its turn, is not made in the end, or the plan is not carried out at all: a conflict, an error,
    /// a deadline, a panic. Meanwhile the port moves on, so that no reading says it again.
    #[test]
    fn what_a_decision_learns_is_in_the_next_status_or_in_the_next_decision(
        it in scenario().boxed().prop_map(Box::new),
        later in evidence().boxed().prop_map(Box::new),
    ) {
        let plan = Box::new(it.decided());
        let learnt = it.learning(&plan);
        for after in it.whatever_becomes_of(&plan, &later) {
            prop_assert_eq!(forgotten(&learnt, &after, &it.object), None, "{:#?}", after);
        }
    }

    #[test]
    fn the_port_of_the_newest_reading_is_in_the_status(it in scenario()) {
        let good = it.evidence.as_ref().and_then(|evidence| evidence.good.as_ref());
        if let Some(Presence::Seen(port)) = good.map(|good| &good.presence)
            && it.object.has_finalizer()
        {
            prop_assert_eq!(it.plan().status.port, Some(ObservedPort::from(port)));
        }
    }

    /// So most decisions copy nothing.
    #[test]
    fn what_is_written_is_not_learnt_again(it in scenario().boxed().prop_map(Box::new)) {
        let mut it = it;
        it.object.status = Some(it.decided().status_without_call(&it.object));
        it.context.learnt = None;
        prop_assert_eq!(it.decided().facts, None);
    }

    #[test]
    fn an_event_tells_only_of_a_transition(it in scenario()) {
        let plan = it.plan();
        if let Some(event) = plan.event {
            let before = it.object.status.as_ref().and_then(|status| condition(status, READY));
            let is_new = before.is_none_or(|ready| ready.reason != event.reason.as_str());
            prop_assert!(is_new || matches!(plan.action, Action::RemoveFinalizer(_)), "{event:?}");
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

impl Scenario {
    /// The statuses that `plan` may lead to: written at once, or after the next decision, with what is read `later`.
    fn whatever_becomes_of(&self, plan: &Plan, later: &Evidence) -> Vec<ZenlayerPortStatus> {
        let mut queued = self.clone();
        queued.context.turn = Turn::BehindOthers;
        let queued = queued.decided();
        let written =
            [plan.status(&self.object), plan.status_without_call(&self.object), queued.status(&self.object)];
        let mut next = Box::new(Self { evidence: Some(later.clone()), ..self.clone() });
        next.context.learnt = plan.facts.clone().map(Box::new);
        let mut after = vec![next.plan().status];
        next.context.learnt = None;
        for status in written {
            next.object.status = Some(status.clone());
            after.extend([status, next.plan().status]);
        }
        after
    }

    /// What `plan` has learnt, told as a status.
    fn learning(&self, plan: &Plan) -> ZenlayerPortStatus {
        let mut status = ZenlayerPortStatus::default();
        plan.known(&self.object).put_into(&mut status);
        status
    }
}

/// What `before` knows and `after` does not.
fn forgotten(
    before: &ZenlayerPortStatus,
    after: &ZenlayerPortStatus,
    object: &ZenlayerPort,
) -> Option<&'static str> {
    let created = |status: &ZenlayerPortStatus| status.identity.as_ref()?.created_time.clone();
    // Only another port, which a person lets the object own from now on, is known for itself alone.
    let same_port = created(before)
        .is_none_or(|before| created(after).is_some_and(|after| same_instant(&before, &after)));
    if !same_port {
        return (!object.approves_given(Reason::IdentityChanged, after)).then_some("which port it was");
    }
    let seen_by = |status: &ZenlayerPortStatus| status.identity.clone().unwrap_or_default().seen_by;
    let (witnesses, kept) = (seen_by(before), seen_by(after));
    if kept.len() > 4 || (kept.len() < 4 && !witnesses.iter().all(|key| kept.contains(key))) {
        return Some("who has seen the port");
    }
    if before.port.is_some() && after.port.is_none() {
        return Some("the port");
    }
    let release = before.release.as_ref()?;
    let Some(kept) = &after.release else { return Some("the deletion") };
    let restored_since = kept.restorations > release.restorations;
    let lost_facts = [
        (release.seen_recycled && !kept.seen_recycled && !restored_since, "that it was in the bin"),
        (kept.restorations < release.restorations, "a restoration"),
        (release.destroy_accepted && !kept.destroy_accepted, "that DestroyPort was accepted"),
        (release.latched && !kept.latched, "a latch"),
        (release.crd_deleted && !kept.crd_deleted, "that the CRD was deleted"),
    ];
    let lost_call = || {
        let call = release.call.as_ref()?;
        let Some(kept) = &kept.call else { return Some("a call") };
        let same = kept.attempt == call.attempt && kept.outcome == call.outcome;
        let newer = kept.attempt > call.attempt || call.attempt == i64::MAX;
        let forgets = (call.landed && !kept.landed)
            || (call.settled && !kept.settled)
            || (call.without_effect && !kept.without_effect);
        (!newer && (!same || forgets)).then_some("what became of a call")
    };
    lost_facts.into_iter().find_map(|(lost, what)| lost.then_some(what)).or_else(lost_call)
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
    let mut reasons = BTreeSet::new();
    let mut acts = BTreeSet::new();
    for it in cases() {
        let plan = it.decided();
        // Not what the object showed before.
        let conditions = plan.display.iter().flat_map(|display| &display.conditions);
        reasons.extend(conditions.filter_map(|condition| Reason::parse(&condition.reason)));
        match plan.action {
            Action::None => {}
            Action::AddFinalizer => _ = acts.insert("AddFinalizer"),
            Action::RemoveFinalizer(reason) => _ = reasons.insert(reason),
            Action::Call(intent) => _ = acts.insert(intent.warrant.action().as_str()),
        }
    }
    // What cannot be parsed, and what cannot be written, is not decided about.
    reasons.extend([Reason::InvalidSpec, Reason::UpdateRefused]);
    let missing: Vec<_> = Reason::ALL.iter().filter(|reason| !reasons.contains(reason)).collect();
    assert!(
        missing.is_empty(),
        "no decision gives {missing:?}: does `strategy.rs` draw such a case, or `table::cases` have one?"
    );
    assert_eq!(acts.into_iter().collect::<Vec<_>>(), ["AddFinalizer", "DestroyPort", "TerminatePort"]);
}
