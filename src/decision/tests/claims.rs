//! Two objects, one port: who has to wait.

use super::scenario::*;
use crate::api::CallAction::DestroyPort;
use crate::api::DeletionPolicy::Destroy;
use crate::api::{PortIdentity, Reason};
use crate::decision::{Action, Claim};
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

fn created(created_time: Option<&str>) -> PortIdentity {
    PortIdentity { created_time: created_time.map(str::to_owned), seen_by: vec![key(OTHER_KEY)] }
}

#[test]
fn only_a_claim_whose_own_credential_has_seen_this_port_counts() {
    for (identity, same_credential, counts) in [
        (Some(created(Some(CREATED))), false, true),
        (Some(created(Some("2025-11-05T09:00:00+01:00"))), false, true),
        (Some(created(None)), false, true),
        (Some(created(Some(RECREATED))), false, false),
        (Some(created(Some(RECREATED))), true, false),
        (None, true, true),
        // Anyone may write any id.
        (None, false, false),
    ] {
        let claim = Claim { identity: identity.clone(), same_credential, ..claim() };
        assert_eq!(holds(claim), counts, "{identity:?}, same credential: {same_credential}");
    }
}

#[test]
fn a_port_without_a_creation_time_may_be_the_one_that_is_claimed() {
    Scenario::deleting(Destroy)
        .seen_as(PortInfo { created_time: None, ..port(Recycled) })
        .claimed_by(Claim { identity: Some(created(Some(RECREATED))), ..claim() })
        .waits(Reason::PortClaimed);
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
fn two_living_objects_of_one_port_both_say_so() {
    for terminating in [false, true] {
        let claim = Claim { terminating, ..claim() };
        let plan = Scenario::living().seen(Running).claimed_by(claim).waits(Reason::PortClaimed);
        assert_eq!(plan.action, Action::None);
    }
}
