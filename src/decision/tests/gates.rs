//! Consent, the brake on mass deletions, and what else keeps a call back. Every test bears the reason of its gate at the
//! end of its name.

use super::scenario::*;
use crate::api::CallAction::{DestroyPort, TerminatePort};
use crate::api::DeletionPolicy::{self, Destroy, Retain, Terminate, TerminateAndDestroy};
use crate::api::Reason;
use crate::decision::{Action, CrdState, Listing};
use crate::port::PortInfo;
use crate::port::PortStatus::{self, Destroyed, Destroying, Recycled, Running};
use crate::reading::Cadence;

/// Each policy with the state of a port that it calls for.
const CALLED_FOR: [(DeletionPolicy, PortStatus); 4] = [
    (Destroy, Recycled),
    (TerminateAndDestroy, Recycled),
    (TerminateAndDestroy, Running),
    (Terminate, Running),
];

fn latched(plan: &Planned) -> bool {
    plan.status.release.as_ref().is_some_and(|release| release.latched)
}

#[track_caller]
fn calls_something(scenario: &Scenario) {
    let plan = scenario.plan();
    assert!(matches!(plan.action, crate::decision::Action::Call(_)), "{plan:#?}");
}

/// Held for `reason` under every policy that calls, and released by the consent to it and to nothing else.
#[track_caller]
fn holds_until_approved(shut: impl Fn(Scenario) -> Scenario, reason: Reason) {
    for (policy, status) in CALLED_FOR {
        let held = shut(Scenario::deleting(policy).seen(status));
        let plan = held.waits(reason);
        let message = &condition(&plan.status, "Ready").expect("Ready").message;
        assert!(message.contains(reason.as_str()), "the consent is to be read in {message}");
        calls_something(&held.clone().approved(reason));
        calls_something(&held.clone().annotated(&format!("Other-5f0c9a3e, {}", held.consent(reason))));
        for other in Reason::ALL.iter().filter(|other| **other != reason) {
            held.clone().approved(*other).waits(reason);
        }
        held.clone().annotated(&format!("{}-7d1b2c4f", reason.as_str())).waits(reason);
        held.annotated(reason.as_str()).waits(reason);
    }
}

// Mass deletion

#[test]
fn one_of_more_deletions_than_the_threshold_is_held_until_approved_mass_deletion() {
    holds_until_approved(Scenario::among_too_many, Reason::MassDeletion);
    for (policy, status) in CALLED_FOR {
        calls_something(&Scenario::deleting(policy).deleted_at_once(20).seen(status));
    }
}

#[test]
fn a_threshold_of_nothing_holds_nothing() {
    let unlimited = Scenario::deleting(Destroy).with(|it| it.context.deletions_at_once = u32::MAX);
    unlimited.seen(Recycled).calls(DestroyPort);
}

#[test]
fn what_is_latched_stays_held_when_the_others_are_forgotten_and_after_a_restart_mass_deletion() {
    let held = Scenario::deleting(Destroy).among_too_many().seen(Recycled).written();
    let alone = held.deleted_at_once(1);
    alone.waits(Reason::MassDeletion);
    let restarted = alone.with(|it| it.context.deletion_known_since = None).evidence(|it| it.good = None);
    let later = restarted.deleted_ago(10).seen(Recycled);
    later.waits(Reason::MassDeletion);
    later.approved(Reason::MassDeletion).calls(DestroyPort);
}

#[test]
fn an_object_is_latched_whatever_it_waits_for_so_that_it_is_held_later_mass_deletion() {
    let too_many = |policy| Scenario::deleting(policy).among_too_many();
    for waiting in [
        too_many(Destroy).seen(Running),
        too_many(TerminateAndDestroy).seen(PortStatus::Updating),
        too_many(Destroy).also_finalized_by("example.com/backup").seen(Recycled),
        too_many(Destroy),
        too_many(Destroy).deleted_ago(0).seen(Recycled),
    ] {
        let plan = waiting.plan();
        assert!(latched(&plan), "{plan:#?}");
    }
}

#[test]
fn the_grace_does_not_hide_that_it_is_one_of_many_mass_deletion() {
    Scenario::deleting(Destroy).among_too_many().deleted_ago(0).seen(Recycled).waits(Reason::MassDeletion);
}

#[test]
fn a_destroy_that_was_sent_is_not_latched_and_one_that_changed_nothing_is() {
    for (outcome, sent) in [
        (pending(), true),
        (unclear(), true),
        (accepted(), true),
        (refused("NO"), false),
        (not_sent(), false),
    ] {
        let called = Scenario::deleting(Destroy).called(DestroyPort, outcome.clone(), HOUR).among_too_many();
        assert_eq!(!latched(&called.clone().seen(Recycled).plan()), sent, "{outcome:?}");
        assert_eq!(!latched(&called.seen(Destroying).plan()), sent, "{outcome:?}");
    }
}

#[test]
fn a_port_that_was_only_terminated_is_latched_before_its_destroy_mass_deletion() {
    let terminated = Scenario::deleting(TerminateAndDestroy).called(TerminatePort, accepted(), 60);
    terminated.among_too_many().seen(Recycled).waits(Reason::MassDeletion);
}

#[test]
fn approved_before_it_could_be_latched_it_never_is() {
    let approved = Scenario::deleting(Destroy).approved(Reason::MassDeletion).among_too_many().seen(Recycled);
    assert!(!latched(&approved.calls(DestroyPort)));
}

#[test]
fn consent_that_is_taken_back_holds_again_mass_deletion() {
    let latched = Scenario::deleting(Destroy).among_too_many().seen(Recycled).written();
    let approved = latched.approved(Reason::MassDeletion);
    approved.calls(DestroyPort);
    approved.annotated("").waits(Reason::MassDeletion);
}

#[test]
fn the_finalizer_of_one_of_many_is_removed_where_no_call_is_needed() {
    Scenario::deleting(Retain).among_too_many().seen(Recycled).removes_finalizer(Reason::PortRetained);
    Scenario::deleting(Retain)
        .release(|it| it.latched = true)
        .seen(Running)
        .removes_finalizer(Reason::PortRetained);
    Scenario::deleting(Terminate).among_too_many().seen(Recycled).removes_finalizer(Reason::PortRecycled);
    Scenario::deleting(Destroy).among_too_many().seen(Destroyed).removes_finalizer(Reason::PortGone);
}

#[test]
fn a_living_object_is_latched_by_nothing() {
    assert_eq!(Scenario::living().among_too_many().seen(Recycled).plan().status.release, None);
}

// A list of all objects

#[test]
fn nothing_is_called_while_other_objects_may_be_unknown_cluster_state_unknown() {
    let listing =
        |since| Scenario::deleting(Destroy).with(|it| it.context.listing = Listing::UnderWay { since });
    for (policy, status) in CALLED_FOR {
        let unlisted =
            listing(NOW - seconds(10)).with(|it| it.object.spec.deletion_policy = policy).seen(status);
        let plan = unlisted.waits(Reason::ClusterStateUnknown);
        assert_eq!(plan.deadline, Some(seconds(10)), "it is looked at again soon");
        calls_something(&unlisted.with(|it| it.context.listing = Listing::Complete));
    }
    let brief = listing(NOW - seconds(9)).seen(Recycled).plan();
    assert_eq!((shown(&brief), &brief.action), (None, &Action::None), "the wait is too short to be shown");
}

// Consent for each release

#[test]
fn each_release_waits_for_consent_where_that_is_configured_approval_required() {
    holds_until_approved(Scenario::approval_required, Reason::ApprovalRequired);
}

// The CustomResourceDefinition

#[test]
fn the_end_of_the_crd_releases_no_port_until_approved_crd_deleted() {
    holds_until_approved(|scenario| scenario.crd(CrdState::Terminating), Reason::CRDDeleted);
}

#[test]
fn an_object_that_went_with_its_crd_stays_held_when_the_crd_is_there_again_crd_deleted() {
    let held = Scenario::deleting(Destroy).crd(CrdState::Terminating).seen(Recycled).written();
    let applied_again = held.crd(CrdState::Stays { created: time(48 * HOUR).0 });
    applied_again.waits(Reason::CRDDeleted);
    let restarted = applied_again.clone().deleted_ago(0);
    restarted.waits(Reason::CRDDeleted);
    applied_again.clone().crd(CrdState::NotGranted).waits(Reason::CRDDeleted);
    applied_again.approved(Reason::CRDDeleted).calls(DestroyPort);
}

#[test]
fn an_object_whose_deletion_is_older_than_its_crd_is_held_though_nobody_saw_the_crd_go_crd_deleted() {
    for created in [0, HOUR - 1, HOUR] {
        holds_until_approved(
            |scenario| scenario.crd(CrdState::Stays { created: time(created).0 }),
            Reason::CRDDeleted,
        );
    }
    Scenario::deleting(Destroy)
        .crd(CrdState::Stays { created: time(HOUR + 1).0 })
        .seen(Recycled)
        .calls(DestroyPort);
}

#[test]
fn a_deletion_is_marked_as_that_of_the_crd_whatever_it_waits_for() {
    for waiting in [
        Scenario::deleting(Destroy).seen(Running),
        Scenario::deleting(Destroy).seen(Recycled).claimed(),
        Scenario::deleting(Destroy).without_credentials(),
    ] {
        let plan = waiting.crd(CrdState::Terminating).plan();
        assert!(plan.status.release.as_ref().is_some_and(|release| release.crd_deleted), "{plan:#?}");
    }
}

#[test]
fn a_crd_that_could_not_be_read_is_not_taken_to_stay_cluster_state_unknown() {
    let unread = Scenario::deleting(Destroy).crd(CrdState::Unknown("a timeout".to_owned())).seen(Recycled);
    let plan = unread.waits(Reason::ClusterStateUnknown);
    assert_eq!(plan.deadline, Some(seconds(10)), "it is read again soon");
    unread.approved(Reason::CRDDeleted).waits(Reason::ClusterStateUnknown);
}

#[test]
fn a_crd_that_the_operator_may_not_read_shuts_no_gate() {
    Scenario::deleting(Destroy).crd(CrdState::NotGranted).seen(Recycled).calls(DestroyPort);
}

// All gates

#[test]
fn consent_opens_neither_protection_nor_the_grace() {
    let all = Reason::ALL.iter().map(|reason| consent(*reason, 1)).collect::<Vec<_>>().join(",");
    let approved = Scenario::deleting(Destroy).annotated(&all).seen(Recycled);
    approved.calls(DestroyPort);
    approved.clone().protected().waits(Reason::DeletionProtected);
    approved.deleted_ago(9).waits(Reason::GracePeriod);
}

#[test]
fn the_hold_that_needs_a_person_most_is_said_first_and_the_grace_after_it() {
    let all = Scenario::deleting(Destroy).protected().among_too_many().approval_required();
    let all = all.crd(CrdState::Terminating).deleted_ago(0).seen(Recycled);
    all.waits(Reason::DeletionProtected);
    let unprotected = all.with(|it| it.object.spec.deletion_protection = false);
    unprotected.waits(Reason::MassDeletion);
    unprotected.clone().annotated("MassDeletion-5f0c9a3e").waits(Reason::ApprovalRequired);
    let approved = unprotected.annotated("MassDeletion-5f0c9a3e,ApprovalRequired-5f0c9a3e");
    approved.waits(Reason::CRDDeleted);
    let unread = approved.crd(CrdState::Unknown("a timeout".to_owned()));
    let plan = unread.waits(Reason::GracePeriod);
    assert_eq!(plan.want.map(|want| want.cadence), Some(Cadence::Paused));
    unread.deleted_ago(10).waits(Reason::ClusterStateUnknown);
}

#[test]
fn a_shut_gate_comes_before_the_pause_after_a_refusal() {
    let refused = Scenario::deleting(Destroy).called(DestroyPort, refused("NO"), 5).seen(Recycled);
    refused.clone().among_too_many().waits(Reason::MassDeletion);
    refused.clone().approval_required().waits(Reason::ApprovalRequired);
    refused.crd(CrdState::Terminating).waits(Reason::CRDDeleted);
}

// In use

#[test]
fn a_refused_port_that_is_in_use_is_held_and_what_uses_it_is_named_in_use() {
    let used = |code| {
        let called = Scenario::deleting(Destroy).called(DestroyPort, refused(code), 599).seen(Recycled);
        called.used_by(&["private connect connect-1", "cloud router router-1"])
    };
    let plan = used("OPERATION_DENIED").waits(Reason::InUse);
    let message = &condition(&plan.status, "Ready").expect("Ready").message;
    assert!(message.contains("private connect connect-1, cloud router router-1"), "{message}");
    assert!(message.contains("OPERATION_DENIED: words of Zenlayer (request T1)"), "{message}");
    let fresh_after = plan.want.and_then(|want| want.fresh_after);
    assert_eq!(fresh_after, Some(NOW + seconds(1)), "read, and so decided again, when the call is due again");
    used("OPERATION_DENIED").used_by(&[]).calls(DestroyPort);
    for code in ["REQUEST_LIMIT_EXCEEDED", "AUTHFAILURE_SIGNATURE_FAILURE", "INVALID_PORT_NOT_FOUND"] {
        used(code).calls(DestroyPort);
    }
}

#[test]
fn a_port_that_is_in_use_is_called_again_after_the_longest_pause_though_it_is_still_listed_as_used() {
    for attempt in [1, 6, 99] {
        let used = |known| {
            let called = Scenario::deleting(Destroy).called(DestroyPort, refused("OPERATION_DENIED"), known);
            called.call(|call| call.attempt = attempt).seen(Recycled).used_by(&["private connect connect-1"])
        };
        used(599).waits(Reason::InUse);
        used(600).calls(DestroyPort);
    }
}

#[test]
fn of_many_that_use_a_port_a_few_are_named() {
    let users: Vec<String> = (0..900).map(|number| format!("cloud router router-{number}")).collect();
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    let called =
        Scenario::deleting(Destroy).called(DestroyPort, refused("OPERATION_DENIED"), 1).seen(Recycled);
    let plan = called.used_by(&users).waits(Reason::InUse);
    let message = &condition(&plan.status, "Ready").expect("Ready").message;
    assert!(message.contains("router-4 and 895 more") && !message.contains("router-5"), "{message}");
}

#[test]
fn what_uses_a_port_holds_only_what_zenlayer_refused() {
    let used = |scenario: Scenario| scenario.used_by(&["private connect connect-1"]).seen(Recycled);
    used(Scenario::deleting(Destroy)).calls(DestroyPort);
    used(Scenario::deleting(Destroy).called(DestroyPort, unclear(), 60)).calls(DestroyPort);
    used(Scenario::deleting(Destroy).called(DestroyPort, not_sent(), 60)).calls(DestroyPort);
    let terminated_by_hand = Scenario::deleting(TerminateAndDestroy).called(TerminatePort, refused("NO"), 60);
    used(terminated_by_hand).calls(DestroyPort);
}

#[test]
fn nothing_is_called_on_a_reading_from_before_the_end_of_the_grace() {
    for (policy, status) in CALLED_FOR {
        let read_ago = |ago| Scenario::deleting(policy).deleted_ago(20).seen_ago(status.clone(), ago);
        calls_something(&read_ago(10));
        read_ago(11).asks_for_a_reading();
        read_ago(25).asks_for_a_reading();
    }
}

#[test]
fn a_port_in_the_bin_is_left_there_only_on_a_reading_from_after_the_deletion() {
    let read_ago = |ago| Scenario::deleting(Terminate).deleted_ago(5).seen_ago(Recycled, ago);
    read_ago(5).removes_finalizer(Reason::PortRecycled);
    read_ago(6).asks_for_a_reading();
}

// Holds of the table that a person may pass

fn recreated(status: PortStatus) -> PortInfo {
    PortInfo { created_time: Some(RECREATED.to_owned()), ..port(status) }
}

#[test]
fn another_port_under_the_id_is_released_once_that_is_approved_identity_changed() {
    for (policy, status) in CALLED_FOR {
        let held = Scenario::deleting(policy).remembers(Running).seen_as(recreated(status));
        held.waits(Reason::IdentityChanged);
        held.clone().approved(Reason::RestoredElsewhere).waits(Reason::IdentityChanged);
        calls_something(&held.approved(Reason::IdentityChanged));
    }
}

#[test]
fn a_port_that_was_restored_is_released_once_that_is_approved_restored_elsewhere() {
    let restored = |policy| Scenario::deleting(policy).release(|it| it.restorations = 1);
    for (policy, status) in CALLED_FOR {
        let held = restored(policy).seen(status);
        held.waits(Reason::RestoredElsewhere);
        held.clone().approved(Reason::IdentityChanged).waits(Reason::RestoredElsewhere);
        calls_something(&held.approved(Reason::RestoredElsewhere));
    }
}
