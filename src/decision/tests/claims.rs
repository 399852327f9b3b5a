//! Two objects, one port: who has to wait.

use super::scenario::*;
use crate::api::CallAction::DestroyPort;
use crate::api::DeletionPolicy::Destroy;
use crate::api::Reason;
use crate::decision::{Action, Claim, ClaimBasis};
use crate::port::PortInfo;
use crate::port::PortStatus::{Recycled, Running};

fn holds(claim: Claim) -> bool {
    let plan = Scenario::deleting(Destroy).seen(Recycled).claimed_by(claim).plan();
    match shown(&plan) {
        Some("PortClaimed") => true,
        Some("Destroying") => false,
        other => panic!("{other:?}"),
    }
}

fn saw(created_time: Option<&str>) -> ClaimBasis {
    ClaimBasis::Saw { created_time: created_time.map(str::to_owned) }
}

#[test]
fn only_a_claim_whose_own_credential_sees_this_port_counts() {
    for (basis, counts) in [
        (saw(Some(CREATED)), true),
        (saw(Some("2025-11-05T09:00:00+01:00")), true),
        (saw(None), true),
        (saw(Some(RECREATED)), false),
        (ClaimBasis::SameCredential, true),
        // Anyone may write any id.
        (ClaimBasis::None, false),
    ] {
        assert_eq!(holds(Claim { basis: basis.clone(), ..claim() }), counts, "{basis:?}");
    }
}

#[test]
fn a_port_without_a_creation_time_may_be_the_one_that_is_claimed() {
    Scenario::deleting(Destroy)
        .seen_as(PortInfo { created_time: None, ..port(Recycled) })
        .claimed_by(Claim { basis: saw(Some(RECREATED)), ..claim() })
        .waits(Reason::PortClaimed);
}

#[test]
fn what_another_object_has_seen_is_waited_for_but_not_for_ever_observing() {
    let not_known = |until| Claim { basis: ClaimBasis::NotKnown { until }, ..claim() };
    let waiting = Scenario::deleting(Destroy).seen(Recycled).claimed_by(not_known(NOW + seconds(7)));
    assert_eq!(waiting.waits(Reason::Observing).deadline, Some(seconds(7)));
    waiting.clone().claimed().waits(Reason::PortClaimed);
    waiting
        .clone()
        .with(|it| it.context.claims[0].basis = ClaimBasis::SameCredential)
        .waits(Reason::PortClaimed);
    waiting.clone().with(|it| it.context.claims[0].basis = ClaimBasis::None).calls(DestroyPort);
    waiting.with(|it| it.context.claims[0] = not_known(NOW)).calls(DestroyPort);
    let younger = Claim { terminating: true, ..not_known(NOW + seconds(7)) };
    Scenario::deleting(Destroy).seen(Recycled).claimed_by(younger).calls(DestroyPort);
    Scenario::living().seen(Running).claimed_by(not_known(NOW + seconds(7))).waits(Reason::Running);
}

#[test]
fn of_several_owners_the_oldest_is_named_in_whatever_order_they_are_known() {
    let claims: Vec<Claim> = [3, 1, 2]
        .map(|age| Claim {
            name: format!("made-{age}-hours-ago"),
            uid: format!("uid-{age}"),
            creation: Some(time(age * HOUR).0),
            ..claim()
        })
        .into();
    for scenario in [Scenario::living().seen(Running), Scenario::deleting(Destroy).seen(Recycled)] {
        for first in 0..3 {
            let claims = claims.iter().cycle().skip(first).take(3).cloned().collect();
            let plan = scenario.clone().with(|it| it.context.claims = claims).waits(Reason::PortClaimed);
            let message = &condition(&plan.status, "Ready").expect("Ready").message;
            assert!(message.contains("made-3-hours-ago"), "{message}");
        }
    }
}

#[test]
fn of_two_that_are_deleted_the_older_goes_first_and_of_one_age_the_lesser_uid() {
    let (older, same, younger) = (time(48 * HOUR).0, time(24 * HOUR).0, time(HOUR).0);
    let lesser_uid = "00000000-0000-4000-8000-000000000000";
    for (terminating, creation, uid, precedes) in [
        (false, younger, OTHER_UID, true),
        (true, older, OTHER_UID, true),
        (true, younger, lesser_uid, false),
        (true, same, lesser_uid, true),
        (true, same, OTHER_UID, false),
    ] {
        let claim = Claim { terminating, creation: Some(creation), uid: uid.to_owned(), ..claim() };
        assert_eq!(holds(claim), precedes, "terminating: {terminating}, created {creation}, uid {uid}");
    }
}

#[test]
fn the_release_goes_on_when_the_claim_ends() {
    let held = Scenario::deleting(Destroy).seen(Recycled).claimed();
    held.waits(Reason::PortClaimed);
    held.with(|it| it.context.claims.clear()).calls(DestroyPort);
}

#[test]
fn the_other_object_is_named_only_within_the_namespace() {
    let message = |namespace: &str| {
        let claim = Claim { namespace: namespace.to_owned(), ..claim() };
        let plan = Scenario::deleting(Destroy).seen(Recycled).claimed_by(claim).waits(Reason::PortClaimed);
        condition(&plan.status, "Ready").expect("Ready").message.clone()
    };
    assert!(message(NAMESPACE).contains("edge-2"), "{}", message(NAMESPACE));
    let elsewhere = message("team-b");
    assert!(!elsewhere.contains("edge-2") && !elsewhere.contains("team-b"), "{elsewhere}");
}

#[test]
fn the_message_says_what_the_other_object_means_for_a_deletion() {
    let older = Some(time(48 * HOUR).0);
    let message = |terminating: bool| {
        let claim = Claim { terminating, creation: older, ..claim() };
        let plan = Scenario::deleting(Destroy).seen(Recycled).claimed_by(claim).waits(Reason::PortClaimed);
        condition(&plan.status, "Ready").expect("Ready").message.clone()
    };
    let (stays, goes) = (message(false), message(true));
    assert!(stays.contains("edge-2. To destroy the port, delete that object too. To remove only"), "{stays}");
    let waits = "edge-2, which is older and is being deleted too. The operator waits until that one is gone. To remove only";
    assert!(goes.contains(waits), "{goes}");
    for message in [stays, goes] {
        assert!(!message.contains("Decide") && message.contains("\"Retain\""), "{message}");
    }
}

#[test]
fn two_living_objects_of_one_port_both_say_so() {
    for terminating in [false, true] {
        let claim = Claim { terminating, ..claim() };
        let plan = Scenario::living().seen(Running).claimed_by(claim).waits(Reason::PortClaimed);
        assert_eq!(plan.action, Action::None);
    }
}
