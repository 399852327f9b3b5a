//! Proof that a port is gone (`docs/architecture.md`, proof): each history has its number of readings and its span.

use super::scenario::*;
use crate::api::CallAction::DestroyPort;
use crate::api::DeletionPolicy::Destroy;
use crate::api::Reason::{self, AbsenceUnproven, ConfirmingAbsence, PortDestroyed, PortGone, PortNeverFound};
use crate::decision::CredentialState;
use crate::port::PortStatus::{
    Creating, Deleting, Destroyed, Destroying, Recovering, Recycled, Running, Unknown, Updating,
};

/// So many readings over so long prove it, and nothing less does.
#[track_caller]
fn proven_by(history: &Scenario, readings: u32, span: u64, says: Reason) {
    let absent = |count, span| history.clone().absent(count, span);
    absent(readings, span).removes_finalizer(says);
    for (count, span) in [(readings - 1, span + HOUR), (readings + 9, span - 1)] {
        let plan = absent(count, span).plan();
        assert_eq!(plan.action, crate::decision::Action::None, "{count} readings over {span} s: {plan:#?}");
    }
}

#[test]
fn a_port_never_seen_needs_two_readings_thirty_seconds_apart() {
    proven_by(&Scenario::deleting(Destroy), 2, 30, PortNeverFound);
}

/// Nobody ever saw the port, the object was made so long before its deletion, and this process has known that for so long.
fn never_seen(lived: u64, deletion_known: u64) -> Scenario {
    let it = Scenario::deleting(Destroy).deleted_ago(deletion_known).absent(2, 30);
    it.with(|it| it.object.metadata.creation_timestamp = Some(time(HOUR + lived)))
}

#[test]
fn a_port_never_seen_needs_an_object_a_minute_old() {
    never_seen(20, 40).removes_finalizer(PortNeverFound);
    let plan = never_seen(20, 39).waits(ConfirmingAbsence);
    assert_eq!(plan.want.and_then(|want| want.fresh_after), Some(NOW + seconds(1)), "{plan:#?}");
    let undated = |known| never_seen(0, known).with(|it| it.object.metadata.creation_timestamp = None);
    undated(59).waits(ConfirmingAbsence);
    undated(60).removes_finalizer(PortNeverFound);
}

#[test]
fn a_port_never_seen_is_given_up_however_far_the_clocks_differ() {
    for hours in [-24, 24] {
        let skewed = |it: Scenario| it.with(|it| it.now.wall += jiff::SignedDuration::from_hours(hours));
        skewed(never_seen(0, 60)).removes_finalizer(PortNeverFound);
        skewed(never_seen(0, 59)).waits(ConfirmingAbsence);
        skewed(never_seen(HOUR, 0)).removes_finalizer(PortNeverFound);
    }
}

#[test]
fn a_port_whose_destroy_was_accepted_needs_two_readings_five_seconds_apart() {
    let accepted_then =
        Scenario::deleting(Destroy).remembers(Recycled).release(|it| it.destroy_accepted = true);
    proven_by(&accepted_then, 2, 5, PortDestroyed);
    let seen_live = Scenario::deleting(Destroy).remembers(Running).release(|it| it.destroy_accepted = true);
    proven_by(&seen_live, 2, 5, PortDestroyed);
}

#[test]
fn a_port_last_seen_on_its_way_out_needs_two_readings_five_seconds_apart() {
    for status in [Destroying, Destroyed] {
        let history = Scenario::deleting(Destroy).remembers(status);
        proven_by(&history, 2, 5, PortGone);
        proven_by(&history.called(DestroyPort, unclear(), 5), 2, 5, PortDestroyed);
    }
}

#[test]
fn a_port_last_seen_in_the_bin_needs_three_readings_over_two_minutes() {
    for status in [Recycled, Deleting] {
        let history = Scenario::deleting(Destroy).remembers(status);
        proven_by(&history, 3, 120, PortGone);
        proven_by(&history.clone().called(DestroyPort, refused("NO"), 5), 3, 120, PortGone);
        proven_by(&history.clone().called(DestroyPort, not_sent(), 5), 3, 120, PortGone);
        proven_by(&history.called(DestroyPort, unclear(), 5), 3, 120, PortDestroyed);
    }
}

#[test]
fn a_port_last_seen_elsewhere_needs_three_readings_over_ten_minutes() {
    for status in [Creating, Running, Updating, Recovering, Unknown("ODD".to_owned()), Unknown(String::new())]
    {
        proven_by(&Scenario::deleting(Destroy).remembers(status), 3, 600, PortGone);
    }
    let state_unknown = Scenario::deleting(Destroy).remembers(Running).status(|it| it.port = None);
    proven_by(&state_unknown, 3, 600, PortGone);
}

#[test]
fn the_reading_that_would_complete_the_proof_is_asked_for() {
    let fresh_after = |scenario: Scenario| scenario.plan().want.and_then(|want| want.fresh_after);
    let known = |status| Scenario::deleting(Destroy).remembers(status);
    assert_eq!(fresh_after(Scenario::deleting(Destroy).absent(1, 0)), Some(NOW + seconds(30)));
    assert_eq!(fresh_after(known(Destroying).absent(1, 0)), Some(NOW + seconds(5)));
    assert_eq!(fresh_after(known(Recycled).absent(2, 20)), Some(NOW + seconds(100)));
    let one_more = fresh_after(known(Running).absent(2, HOUR)).expect("a reading");
    assert!(one_more > NOW && one_more < NOW + seconds(1), "any later reading will do, not {one_more:?}");
}

/// The object is read with a key that never saw the port.
fn read_by_another_key(history: Scenario) -> Scenario {
    history
        .with(|it| it.context.credential = CredentialState::Usable(key(OTHER_KEY)))
        .evidence(|it| it.by = key(OTHER_KEY))
}

#[test]
fn no_number_of_readings_by_a_key_that_never_saw_the_port_proves_anything() {
    for status in [Running, Recycled, Destroying, Destroyed] {
        let history = read_by_another_key(Scenario::deleting(Destroy).remembers(status));
        history.clone().absent(9999, 24 * HOUR).waits(AbsenceUnproven);
        let called = history.called(DestroyPort, accepted(), 5).release(|it| it.destroy_accepted = true);
        called.absent(9999, 24 * HOUR).waits(AbsenceUnproven);
    }
}

/// The object is read with a key that never saw the port, but another port that a key has seen which saw this one.
fn read_by_a_key_of_the_account(history: Scenario) -> Scenario {
    read_by_another_key(history).with(|it| it.context.same_account = vec![key(KEY)])
}

#[test]
fn a_key_of_the_same_account_tells_the_end_of_a_port_that_was_on_its_way_out() {
    for status in [Destroying, Destroyed] {
        proven_by(
            &read_by_a_key_of_the_account(Scenario::deleting(Destroy).remembers(status)),
            2,
            5,
            PortGone,
        );
    }
    for status in [Recycled, Running] {
        let accepted = Scenario::deleting(Destroy).remembers(status).release(|it| it.destroy_accepted = true);
        proven_by(&read_by_a_key_of_the_account(accepted), 2, 5, PortDestroyed);
    }
    let told_of_a_third = read_by_another_key(Scenario::deleting(Destroy).remembers(Destroying))
        .with(|it| it.context.same_account = vec![key("00000000000000cc")]);
    told_of_a_third.absent(2, 5).waits(AbsenceUnproven);
}

#[test]
fn a_key_of_the_same_account_that_is_limited_to_other_ports_does_not_prove_that_a_living_port_is_gone() {
    for status in [Creating, Running, Updating, Recovering, Recycled, Deleting, Unknown(String::new())] {
        let history = Scenario::deleting(Destroy).remembers(status);
        for history in [history.clone(), history.called(DestroyPort, unclear(), 5)] {
            read_by_a_key_of_the_account(history).absent(9999, 24 * HOUR).waits(AbsenceUnproven);
        }
    }
}

#[test]
fn an_absence_unproven_can_be_ended_by_the_command_that_its_message_prints() {
    let plan = read_by_another_key(Scenario::deleting(Destroy).remembers(Running))
        .absent(9, HOUR)
        .waits(AbsenceUnproven);
    let message = &condition(&plan.status, "Ready").expect("Ready").message;
    let command = "kubectl patch zenlayerport edge-1 -n team-a --type=merge -p '{\"spec\":{\"deletionPolicy\":\"Retain\"}}'";
    assert!(message.ends_with(command), "{message}");
}
