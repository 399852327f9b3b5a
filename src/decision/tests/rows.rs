//! The table of an object's deletion: each row, and the rows that it has to come before. Every test bears the reason of
//! its row at the end of its name.

use super::scenario::*;
use crate::api::CallAction::{DestroyPort, TerminatePort};
use crate::api::DeletionPolicy::{Destroy, Retain, Terminate, TerminateAndDestroy};
use crate::api::Reason;
use crate::port::PortInfo;
use crate::port::PortStatus::{
    self, Creating, Deleting, Destroyed, Destroying, Recovering, Recycled, Running, Unknown, Updating,
};
use crate::reading::Unreadable;

fn prepaid(status: PortStatus) -> PortInfo {
    PortInfo { port_charge_type: Some("PREPAID".to_owned()), ..port(status) }
}

fn recreated(status: PortStatus) -> PortInfo {
    PortInfo { created_time: Some(RECREATED.to_owned()), ..port(status) }
}

fn restored(scenario: Scenario) -> Scenario {
    scenario.release(|it| it.restorations = 1)
}

// 1

#[test]
fn retain_removes_the_finalizer_before_other_finalizers_are_gone_and_without_credentials_port_retained() {
    Scenario::deleting(Retain)
        .also_finalized_by("foregroundDeletion")
        .removes_finalizer(Reason::PortRetained);
    Scenario::deleting(Retain).without_credentials().removes_finalizer(Reason::PortRetained);
}

#[test]
fn retain_removes_the_finalizer_whatever_else_holds_the_deletion_port_retained() {
    let held = Scenario::deleting(Retain).remembers(Running).claimed().protected();
    held.clone().seen(Running).removes_finalizer(Reason::PortRetained);
    restored(held.clone()).seen_as(recreated(Recycled)).removes_finalizer(Reason::PortRetained);
    held.called(DestroyPort, pending(), 0).seen(Destroying).removes_finalizer(Reason::PortRetained);
}

#[test]
fn retain_names_a_call_that_it_comes_too_late_for_port_retained() {
    #[track_caller]
    fn says(scenario: &Scenario, words: &str) {
        let message = scenario.removes_finalizer(Reason::PortRetained).event.expect("an Event").message;
        assert!(message.contains(words), "{message}");
        assert_eq!(message.contains("as it is"), words.contains("as it is"), "{message}");
    }
    let retained = || Scenario::deleting(Retain).remembers(Running).seen(Running);
    says(&retained(), "leaves port port-1 as it is");
    says(&retained().called(TerminatePort, refused("OPERATION_DENIED"), 9), "leaves port port-1 as it is");
    says(&retained().called(TerminatePort, not_sent(), 9), "leaves port port-1 as it is");
    says(&retained().called(TerminatePort, accepted(), 9), "But Zenlayer had accepted TerminatePort already");
    let landed = retained().called(DestroyPort, unclear(), 9).call(|it| it.landed = true);
    says(&landed, "But Zenlayer had accepted DestroyPort already");
    for outcome in [pending(), unclear()] {
        says(
            &retained().called(DestroyPort, outcome, 9),
            "But the operator may have sent DestroyPort already",
        );
    }
}

#[test]
fn an_object_that_other_finalizers_keep_shows_its_end_port_retained() {
    let retained = Scenario::deleting(Retain).seen(Running).showing(Reason::WaitingForFinalizers, 60);
    assert_eq!(retained.decided().display, None, "it goes: one more write would be for nothing");
    let kept = retained.also_finalized_by("example.com/backup");
    let plan = kept.removes_finalizer(Reason::PortRetained);
    let ready = condition(&plan.status, "Ready").expect("Ready");
    assert_eq!(ready.reason, "PortRetained");
    assert!(
        ready.message.ends_with("Other finalizers keep the object: example.com/backup."),
        "{}",
        ready.message
    );
    assert_eq!(kept.written().decided().display, None, "it is shown already");
}

// 2

#[test]
fn other_finalizers_are_waited_for_before_any_act_waiting_for_finalizers() {
    let others = Scenario::deleting(Destroy).also_finalized_by("example.com/backup");
    others.clone().seen(Recycled).waits(Reason::WaitingForFinalizers);
    others.clone().seen(Destroyed).waits(Reason::WaitingForFinalizers);
    others.seen(Running).waits(Reason::WaitingForFinalizers);
}

#[test]
fn other_finalizers_are_named_even_without_credentials_waiting_for_finalizers() {
    let plan = Scenario::deleting(Destroy)
        .also_finalized_by("example.com/backup")
        .without_credentials()
        .waits(Reason::WaitingForFinalizers);
    let message = &condition(&plan.status, "Ready").expect("Ready").message;
    assert!(message.contains("example.com/backup"), "{message}");
}

// 3

#[test]
fn without_credentials_nothing_is_called_and_the_finalizer_stays_credentials_unavailable() {
    Scenario::deleting(Destroy).without_credentials().waits(Reason::CredentialsUnavailable);
    for status in [Destroyed, Recycled, Running] {
        let evidence = Scenario::deleting(TerminateAndDestroy).seen(status).evidence;
        let read_before = Scenario::deleting(TerminateAndDestroy).without_credentials();
        read_before.with(|it| it.evidence = evidence).waits(Reason::CredentialsUnavailable);
    }
}

#[test]
fn a_credential_that_only_reads_shows_and_proves_what_it_sees_and_calls_nothing_credentials_unavailable() {
    let live = Scenario::deleting(TerminateAndDestroy).only_reads().seen(Running);
    let plan = live.waits(Reason::CredentialsUnavailable);
    let message = &condition(&plan.status, "Ready").expect("Ready").message;
    assert!(message.starts_with("Secret team-a/keys was deleted."), "{message}");
    Scenario::deleting(Destroy).only_reads().seen(Recycled).waits(Reason::CredentialsUnavailable);
    Scenario::deleting(Destroy).only_reads().seen(Destroying).waits(Reason::Destroying);
    Scenario::deleting(Destroy).only_reads().seen(Destroyed).removes_finalizer(Reason::PortGone);
    Scenario::deleting(Destroy).only_reads().protected().seen(Recycled).waits(Reason::DeletionProtected);
}

#[test]
fn nothing_is_called_by_one_key_on_what_another_has_read() {
    let by_another = |state| {
        let seen = Scenario::deleting(TerminateAndDestroy).seen(state);
        seen.evidence(|it| it.by = key(OTHER_KEY))
    };
    by_another(Running).asks_for_a_reading();
    by_another(Recycled).asks_for_a_reading();
}

// 4

#[test]
fn an_outdated_sighting_decides_nothing_observing() {
    for status in [Destroyed, Destroying, Creating, Unknown("ODD".to_owned()), Recycled, Running] {
        Scenario::deleting(TerminateAndDestroy).seen_ago(status, HOUR).waits(Reason::Observing);
    }
    Scenario::deleting(Destroy).waits(Reason::Observing);
}

#[test]
fn a_port_that_cannot_be_read_is_not_absent_whatever_was_seen_before_the_failures_reason() {
    let not_asked = "Zenlayer asked the operator to send no requests before 12:00:00Z";
    for (why, reason, told) in [
        (
            Unreadable::Unavailable("Zenlayer did not answer in time".to_owned()),
            Reason::CloudUnavailable,
            "Zenlayer did not answer in time",
        ),
        (Unreadable::NotAsked(not_asked.to_owned()), Reason::Throttled, not_asked),
        (reading_refused("REQUEST_LIMIT_EXCEEDED"), Reason::Throttled, "REQUEST_LIMIT_EXCEEDED"),
        (reading_refused("AUTHFAILURE_X"), Reason::Unauthorized, "AUTHFAILURE_X"),
        (
            reading_refused("AUTHFAILURE_UNAUTHORIZED_OPERATION"),
            Reason::PermissionDenied,
            "AUTHFAILURE_UNAUTHORIZED_OPERATION",
        ),
        (
            reading_refused("AUTHFAILURE_SIGNATURE_EXPIRED"),
            Reason::ClockSkew,
            "AUTHFAILURE_SIGNATURE_EXPIRED",
        ),
        (reading_refused("CODE"), Reason::DescribeRefused, "with CODE: words of Zenlayer (request T1)"),
        (reading_refused("INVALID_PORT_NOT_FOUND"), Reason::DescribeRefused, "INVALID_PORT_NOT_FOUND"),
    ] {
        let plan = Scenario::deleting(Destroy).failing(why.clone()).waits(reason);
        let message = &condition(&plan.status, "Ready").expect("Ready").message;
        assert!(message.contains(told) && !message.contains("private connect"), "{message}");
        Scenario::deleting(Destroy).seen_ago(Destroyed, HOUR).failing(why).waits(reason);
    }
}

#[test]
fn one_failed_reading_displaces_no_young_sighting_destroying() {
    let failing = |ago| {
        Scenario::deleting(Destroy)
            .seen_ago(Destroying, ago)
            .failing(reading_refused("REQUEST_LIMIT_EXCEEDED"))
    };
    failing(30).waits(Reason::Destroying);
    failing(31).waits(Reason::Throttled);
}

// 5

#[test]
fn a_port_listed_as_destroyed_is_gone_whatever_the_record_and_identity_say_port_gone() {
    Scenario::deleting(Destroy).seen(Destroyed).removes_finalizer(Reason::PortGone);
    let known = Scenario::deleting(Destroy).remembers(Running);
    known.clone().seen_as(recreated(Destroyed)).removes_finalizer(Reason::PortGone);
    known.called(TerminatePort, pending(), 0).claimed().seen(Destroyed).removes_finalizer(Reason::PortGone);
}

#[test]
fn a_port_destroyed_after_our_call_is_told_as_our_doing_port_destroyed() {
    let known = Scenario::deleting(Destroy).remembers(Recycled);
    known.clone().called(DestroyPort, accepted(), 5).seen(Destroyed).removes_finalizer(Reason::PortDestroyed);
    known.clone().called(DestroyPort, unclear(), 5).seen(Destroyed).removes_finalizer(Reason::PortDestroyed);
    known
        .clone()
        .release(|it| it.destroy_accepted = true)
        .seen(Destroyed)
        .removes_finalizer(Reason::PortDestroyed);
    known.called(DestroyPort, refused("NO"), 5).seen(Destroyed).removes_finalizer(Reason::PortGone);
}

#[test]
fn the_finalizer_of_a_port_that_nobody_ever_saw_is_removed_with_a_warning_port_never_found() {
    let plan = Scenario::deleting(Destroy).absent(2, 30).removes_finalizer(Reason::PortNeverFound);
    let event = plan.event.expect("an event");
    assert!(event.message.contains("destroyed nothing"), "{event:?}");
}

#[test]
fn the_removal_of_the_finalizer_needs_a_reading_of_the_last_thirty_seconds() {
    let slow = |status| {
        Scenario::deleting(Terminate).evidence(|it| it.interval = Some(seconds(300))).seen_ago(status, 31)
    };
    slow(Destroyed).asks_for_a_reading();
    slow(Recycled).asks_for_a_reading();
}

// 6

#[test]
fn an_absence_that_proves_nothing_yet_is_read_again_confirming_absence() {
    Scenario::deleting(Destroy).absent(2, 20).waits(Reason::ConfirmingAbsence);
    Scenario::deleting(Destroy).remembers(Running).absent(9, 599).waits(Reason::ConfirmingAbsence);
}

#[test]
fn an_absence_told_by_a_key_that_never_saw_the_port_is_held_absence_unproven() {
    Scenario::deleting(Destroy)
        .remembers(Recycled)
        .evidence(|it| it.by = key(OTHER_KEY))
        .with(|it| it.context.credential = crate::decision::CredentialState::Usable(key(OTHER_KEY)))
        .absent(99, HOUR)
        .waits(Reason::AbsenceUnproven);
}

// 7

#[test]
fn a_port_on_its_way_out_is_waited_for_whatever_the_record_and_identity_say_destroying() {
    let known = Scenario::deleting(Terminate).remembers(Running);
    known.clone().seen(Destroying).waits(Reason::Destroying);
    known.clone().called(TerminatePort, pending(), 0).seen(Destroying).waits(Reason::Destroying);
    known.seen_as(recreated(Destroying)).waits(Reason::Destroying);
}

// 8

#[test]
fn a_port_in_transition_is_waited_for_whatever_the_record_and_identity_say_port_busy() {
    for status in [Creating, Deleting, Updating, Recovering] {
        let known = Scenario::deleting(TerminateAndDestroy).remembers(Running);
        known.clone().seen(status.clone()).waits(Reason::PortBusy);
        known.clone().called(DestroyPort, pending(), 0).seen(status.clone()).waits(Reason::PortBusy);
        known.seen_as(recreated(status)).waits(Reason::PortBusy);
    }
}

#[test]
fn a_port_that_follows_our_call_into_the_bin_is_not_just_busy_terminating() {
    let called = Scenario::deleting(Terminate).remembers(Running).called(TerminatePort, accepted(), 5);
    called.clone().seen(Deleting).waits(Reason::Terminating);
    called.seen(Updating).waits(Reason::PortBusy);
}

// 9

#[test]
fn a_status_of_a_later_version_is_held_whatever_the_record_and_identity_say_unknown_port_status() {
    for word in ["SUSPENDED", ""] {
        let known = Scenario::deleting(TerminateAndDestroy).remembers(Running);
        let unknown = Unknown(word.to_owned());
        known.clone().seen(unknown.clone()).waits(Reason::UnknownPortStatus);
        known
            .clone()
            .called(DestroyPort, pending(), 0)
            .seen(unknown.clone())
            .waits(Reason::UnknownPortStatus);
        known.seen_as(recreated(unknown)).waits(Reason::UnknownPortStatus);
    }
}

// 11

#[test]
fn a_call_without_an_answer_blocks_every_row_below_confirming() {
    for outcome in [pending(), unclear()] {
        let called =
            |policy| Scenario::deleting(policy).remembers(Recycled).called(DestroyPort, outcome.clone(), 5);
        called(Destroy).seen(Recycled).waits(Reason::Confirming);
        called(Destroy).seen_as(recreated(Recycled)).waits(Reason::Confirming);
        called(Terminate).seen(Recycled).waits(Reason::Confirming);
    }
}

#[test]
fn an_accepted_terminate_that_shows_no_effect_is_waited_for_terminating() {
    let called = Scenario::deleting(TerminateAndDestroy).called(TerminatePort, accepted(), 5);
    called.seen(Running).waits(Reason::Terminating);
}

#[test]
fn an_accepted_destroy_that_shows_no_effect_is_waited_for_destroying() {
    Scenario::deleting(Destroy).called(DestroyPort, accepted(), 5).seen(Recycled).waits(Reason::Destroying);
}

// 12

#[test]
fn another_port_under_the_id_is_held_before_any_call_and_any_removal_of_the_finalizer_identity_changed() {
    for policy in [Destroy, TerminateAndDestroy, Terminate] {
        let known = Scenario::deleting(policy).remembers(Recycled);
        known.clone().seen_as(recreated(Recycled)).waits(Reason::IdentityChanged);
        restored(known.clone()).seen_as(recreated(Running)).waits(Reason::IdentityChanged);
        known.claimed().seen_as(recreated(Running)).waits(Reason::IdentityChanged);
    }
}

#[test]
fn a_creation_time_that_is_missing_is_unknown_and_not_different_destroying() {
    let nameless = PortInfo { created_time: None, ..port(Recycled) };
    Scenario::deleting(Destroy).remembers(Recycled).seen_as(nameless).calls(DestroyPort);
    let same = PortInfo { created_time: Some("2025-11-05T09:00:00+01:00".to_owned()), ..port(Recycled) };
    Scenario::deleting(Destroy).remembers(Recycled).seen_as(same).calls(DestroyPort);
}

#[test]
fn another_port_that_is_live_where_this_one_lay_in_the_bin_is_not_looked_at_for_ever_identity_changed() {
    let in_bin = Scenario::deleting(Destroy).remembers(Recycled).release(|it| it.seen_recycled = true);
    let plan = in_bin.seen_as(recreated(Running)).later(10).waits(Reason::IdentityChanged);
    assert_eq!(
        plan.want.and_then(|want| want.fresh_after),
        None,
        "a reading that is there would wake it at once"
    );
}

// 13

#[test]
fn terminate_leaves_a_port_in_the_bin_though_it_was_restored_claimed_or_protected_port_recycled() {
    let in_bin = Scenario::deleting(Terminate).seen(Recycled);
    in_bin.removes_finalizer(Reason::PortRecycled);
    restored(in_bin.clone()).removes_finalizer(Reason::PortRecycled);
    in_bin.clone().claimed().removes_finalizer(Reason::PortRecycled);
    in_bin.clone().protected().removes_finalizer(Reason::PortRecycled);
    in_bin.clone().deleted_ago(0).removes_finalizer(Reason::PortRecycled);
    in_bin.called(DestroyPort, refused("NO"), 5).removes_finalizer(Reason::PortRecycled);
}

// 10

#[test]
fn a_port_that_a_person_restored_is_held_whatever_its_state_now_restored_elsewhere() {
    for policy in [Destroy, TerminateAndDestroy] {
        let held = restored(Scenario::deleting(policy));
        held.clone().seen(Running).waits(Reason::RestoredElsewhere);
        held.clone().seen(Recycled).waits(Reason::RestoredElsewhere);
        held.clone().claimed().seen(Recycled).waits(Reason::RestoredElsewhere);
        held.seen_as(prepaid(Running)).waits(Reason::RestoredElsewhere);
    }
}

#[test]
fn a_port_that_is_live_again_is_not_terminated_before_it_is_known_whether_it_was_restored_observing() {
    for policy in [TerminateAndDestroy, Terminate] {
        let live_again = Scenario::deleting(policy).release(|it| it.seen_recycled = true).seen(Running);
        let plan = live_again.plan();
        assert_eq!(plan.action, crate::decision::Action::None, "{plan:#?}");
        assert_eq!(plan.want.and_then(|want| want.fresh_after), Some(NOW + seconds(10)), "{plan:#?}");
        live_again.clone().later(10).waits(Reason::RestoredElsewhere);
        let approved_too_early = live_again.clone().approved(Reason::RestoredElsewhere);
        assert_eq!(approved_too_early.plan().action, crate::decision::Action::None);
        approved_too_early.later(10).calls(TerminatePort);
    }
}

#[test]
fn a_port_that_is_live_again_is_said_to_be_restored_while_a_call_is_awaited_restored_elsewhere() {
    for outcome in [pending(), unclear(), accepted()] {
        let called = Scenario::deleting(TerminateAndDestroy).called(TerminatePort, outcome, 30);
        restored(called.clone()).seen(Running).waits(Reason::RestoredElsewhere);
        let live_again = called.release(|it| it.seen_recycled = true).seen(Running).later(10);
        live_again.waits(Reason::RestoredElsewhere);
    }
}

#[test]
fn an_accepted_terminate_is_not_repeated_before_a_person_has_approved_it_restored_elsewhere() {
    for policy in [TerminateAndDestroy, Terminate] {
        let awaited =
            |known| Scenario::deleting(policy).called(TerminatePort, accepted(), known).seen(Running);
        awaited(599).waits(Reason::Terminating);
        let plan = awaited(600).waits(Reason::RestoredElsewhere);
        let message = &condition(&plan.status, "Ready").expect("Ready").message;
        assert!(
            message.contains("dropped the request") && message.contains("restored the port"),
            "{message}"
        );
        let known = awaited(600).written().called_again_ago(HOUR).later(10);
        known.waits(Reason::RestoredElsewhere);
        let approved = known.approved(Reason::RestoredElsewhere);
        let again = approved.calls(TerminatePort);
        let second = approved.with(|it| it.object.status = Some(again.status));
        let second = second.call(|call| call.outcome = accepted()).called_again_ago(600).later(0);
        second.waits(Reason::RestoredElsewhere);
    }
}

#[test]
fn an_accepted_destroy_is_repeated_while_the_port_lies_in_the_bin_destroying() {
    Scenario::deleting(Destroy).called(DestroyPort, accepted(), 600).seen(Recycled).calls(DestroyPort);
}

// 15

#[test]
fn a_port_of_another_object_is_held_whatever_its_state_port_claimed() {
    for policy in [Destroy, TerminateAndDestroy] {
        let claimed = Scenario::deleting(policy).claimed();
        claimed.clone().seen(Recycled).waits(Reason::PortClaimed);
        claimed.clone().seen(Running).waits(Reason::PortClaimed);
        claimed.clone().seen_as(prepaid(Running)).waits(Reason::PortClaimed);
        claimed.protected().seen(Recycled).waits(Reason::PortClaimed);
    }
}

// 16

#[test]
fn a_live_prepaid_port_is_held_under_every_policy_that_calls_prepaid_port() {
    for policy in [Destroy, TerminateAndDestroy, Terminate] {
        Scenario::deleting(policy).seen_as(prepaid(Running)).waits(Reason::PrepaidPort);
        Scenario::deleting(policy).protected().seen_as(prepaid(Running)).waits(Reason::PrepaidPort);
    }
}

#[test]
fn a_prepaid_port_in_the_bin_is_destroyed_destroying() {
    Scenario::deleting(Destroy).seen_as(prepaid(Recycled)).calls(DestroyPort);
}

// 17

#[test]
fn a_live_port_under_destroy_is_held_before_any_gate_not_in_recycle_bin() {
    Scenario::deleting(Destroy).seen(Running).waits(Reason::NotInRecycleBin);
    Scenario::deleting(Destroy).protected().seen(Running).waits(Reason::NotInRecycleBin);
    Scenario::deleting(Destroy).deleted_ago(0).seen(Running).waits(Reason::NotInRecycleBin);
}

// 18

#[test]
fn protection_shuts_before_the_grace_and_before_a_refusals_pause_deletion_protected() {
    for (policy, status) in [(Destroy, Recycled), (TerminateAndDestroy, Running), (Terminate, Running)] {
        let protected = Scenario::deleting(policy).protected().seen(status);
        protected.waits(Reason::DeletionProtected);
        protected.clone().deleted_ago(0).waits(Reason::DeletionProtected);
        protected.called(DestroyPort, refused("NO"), 5).waits(Reason::DeletionProtected);
    }
}

#[test]
fn nothing_is_called_in_the_first_ten_seconds_that_this_process_knows_of_grace_period() {
    for (policy, status) in [(Destroy, Recycled), (TerminateAndDestroy, Running), (Terminate, Running)] {
        let deleted = Scenario::deleting(policy).seen(status);
        let plan = deleted.clone().deleted_ago(9).waits(Reason::GracePeriod);
        assert_eq!(plan.deadline, Some(seconds(1)), "decided again when the grace ends");
        deleted.clone().with(|it| it.context.deletion_known_since = None).waits(Reason::GracePeriod);
        deleted.clone().deleted_ago(0).called(DestroyPort, refused("NO"), 5).waits(Reason::GracePeriod);
        assert!(matches!(deleted.deleted_ago(10).plan().action, crate::decision::Action::Call(_)));
    }
}

// 20

#[test]
fn a_refused_call_is_not_repeated_before_its_pause_ends_refused() {
    let called = |known| Scenario::deleting(Destroy).called(DestroyPort, refused("NO"), known).seen(Recycled);
    let plan = called(29).waits(Reason::Refused);
    let fresh_after = plan.want.and_then(|want| want.fresh_after);
    assert_eq!(fresh_after, Some(NOW + seconds(1)), "read, and so decided again, when the pause ends");
    called(30).calls(DestroyPort);
}

// 24

#[test]
fn a_live_port_is_terminated_under_both_policies_that_say_so_terminating() {
    for policy in [TerminateAndDestroy, Terminate] {
        let plan = Scenario::deleting(policy).seen(Running).calls(TerminatePort);
        assert_eq!(shown(&plan), Some("Terminating"));
    }
}

// 25

#[test]
fn a_port_in_the_bin_is_destroyed_under_both_policies_that_say_so_destroying() {
    for policy in [Destroy, TerminateAndDestroy] {
        let plan = Scenario::deleting(policy).seen(Recycled).calls(DestroyPort);
        assert_eq!(shown(&plan), Some("Destroying"));
    }
}

#[test]
fn a_call_needs_a_reading_of_the_last_thirty_seconds() {
    for (status, action) in [(Running, TerminatePort), (Recycled, DestroyPort)] {
        let slow = Scenario::deleting(TerminateAndDestroy).evidence(|it| it.interval = Some(seconds(300)));
        slow.clone().seen_ago(status.clone(), 30).calls(action);
        slow.seen_ago(status, 31).asks_for_a_reading();
    }
}

// Beside the table

#[test]
fn an_object_that_is_no_longer_ours_is_left_alone() {
    let plan = Scenario::deleting(Destroy)
        .with(|it| it.object.metadata.finalizers = Some(vec!["example.com/backup".to_owned()]))
        .seen(Recycled)
        .plan();
    assert_eq!((plan.action, plan.want, plan.deadline), (crate::decision::Action::None, None, None));
}
