//! An object that lives: told truly, and nothing is changed in the cloud.

use super::scenario::*;
use crate::api::DeletionPolicy::{Destroy, Retain, Terminate, TerminateAndDestroy};
use crate::api::Reason;
use crate::decision::{Action, CredentialState, Lack, Setback};
use crate::port::PortInfo;
use crate::port::PortStatus::{
    self, Creating, Deleting, Destroyed, Destroying, Recovering, Recycled, Running, Unknown, Updating,
};
use crate::reading::Cadence;

const EVERY_STATUS: [(PortStatus, Reason); 9] = [
    (Running, Reason::Running),
    (Recycled, Reason::PortRecycled),
    (Creating, Reason::PortBusy),
    (Updating, Reason::PortBusy),
    (Deleting, Reason::PortBusy),
    (Recovering, Reason::PortBusy),
    (Destroying, Reason::Destroying),
    (Destroyed, Reason::PortNotFound),
    (Unknown(String::new()), Reason::UnknownPortStatus),
];

#[test]
fn the_finalizer_comes_before_anything_is_said() {
    let plan = Scenario::living().with(|it| it.object.metadata.finalizers = None).seen(Running).plan();
    let shows_nothing = plan.status.conditions.is_empty() && plan.event.is_none();
    assert!(plan.action == Action::AddFinalizer && shows_nothing, "{plan:#?}");
}

fn setback(ago: u64) -> Lack {
    Lack::Unread(Setback {
        why: "Secret team-a/keys could not be read: a timeout.".to_owned(),
        since: NOW - seconds(ago),
        again_in: seconds(2),
    })
}

#[test]
fn an_object_whose_credentials_cannot_be_copied_says_so_and_has_no_finalizer_yet() {
    let without_finalizer = |lack| {
        Scenario::living().with(|it| {
            it.object.metadata.finalizers = None;
            it.context.not_copied = Some(lack);
        })
    };
    let plan = without_finalizer("The copy could not be written: exceeded quota.".into())
        .waits(Reason::CredentialsNotCopied);
    let ready = condition(&plan.status, "Ready").expect("Ready");
    assert_eq!(ready.status, "False", "{ready:?}");
    assert!(
        ready
            .message
            .starts_with("The copy could not be written: exceeded quota. The object has no finalizer yet"),
        "{ready:?}"
    );
    assert!(plan.event.is_some() && plan.deadline == Some(seconds(60)), "{plan:#?}");

    let unanswered = without_finalizer(setback(10)).waits(Reason::ClusterStateUnknown);
    assert_eq!(unanswered.deadline, Some(seconds(2)), "{unanswered:#?}");
    let fleeting = without_finalizer(setback(9)).plan();
    assert_eq!((shown(&fleeting), &fleeting.action), (None, &Action::None), "it may pass by itself");
}

#[test]
fn a_port_whose_credentials_are_no_longer_copied_is_read_on_and_is_not_ready() {
    let not_copied = |lack: Lack| Scenario::living().with(|it| it.context.not_copied = Some(lack));
    let plan =
        not_copied("The copy could not be written.".into()).seen(Running).waits(Reason::CredentialsNotCopied);
    let message = &condition(&plan.status, "Ready").expect("Ready").message;
    assert!(message.starts_with("Port port-1 is RUNNING. The copy could not be written. "), "{message}");
    assert_eq!(plan.want.map(|want| want.cadence), Some(Cadence::Slow), "{plan:#?}");
    not_copied("The copy could not be written.".into()).seen(Recycled).waits(Reason::PortRecycled);
    not_copied(setback(9)).seen(Running).waits(Reason::Running);
    let plan = not_copied(setback(10)).seen(Running).waits(Reason::Running);
    assert!(condition(&plan.status, "Ready").expect("Ready").message.contains("a timeout"), "{plan:#?}");
}

#[test]
fn a_secret_that_the_api_server_did_not_tell_of_for_a_moment_is_asked_for_again_and_nobody_is_alarmed() {
    for scenario in [Scenario::living().showing(Reason::Running, HOUR), Scenario::deleting(Destroy)] {
        let unread = |ago| {
            let lack = setback(ago);
            scenario
                .clone()
                .without_credentials()
                .with(|it| it.context.credential = CredentialState::Unavailable(lack))
        };
        let before = shown(&unread(9).plan()).map(str::to_owned);
        assert_ne!(before.as_deref(), Some("CredentialsUnavailable"));
        assert_eq!(unread(9).plan().deadline, Some(seconds(1)), "it is shown then, if it lasts");
        let plan = unread(10).waits(Reason::ClusterStateUnknown);
        assert_eq!(
            condition(&plan.status, "Stalled").map(|it| it.status.as_str()),
            Some("False"),
            "{plan:#?}"
        );
        assert_eq!((plan.event, plan.deadline), (None, Some(seconds(2))));
    }
    let holds_a_call = Scenario::deleting(Destroy).seen(Recycled).with(|it| {
        it.context.credential = CredentialState::ReadOnly { fingerprint: key(KEY), why: setback(10) };
    });
    holds_a_call.waits(Reason::ClusterStateUnknown);
}

#[test]
fn each_status_has_its_word_and_no_policy_calls_for_a_living_object() {
    for policy in [Destroy, TerminateAndDestroy, Terminate, Retain] {
        for (status, reason) in EVERY_STATUS {
            let plan = Scenario::living()
                .with(|it| it.object.spec.deletion_policy = policy)
                .seen(status)
                .waits(reason);
            assert_eq!(
                plan.want.map(|want| want.cadence),
                Some(Cadence::Slow),
                "a living object is in no hurry"
            );
        }
    }
}

#[test]
fn what_was_seen_is_shown() {
    let status = Scenario::living().seen(Running).plan().status;
    let port = status.port.expect("a port");
    assert_eq!(
        (port.status.as_str(), port.name.as_deref(), port.data_center.as_deref()),
        ("RUNNING", Some("uplink"), Some("AMS1"))
    );
}

#[test]
fn a_data_centre_without_a_name_is_shown_by_its_id() {
    let nameless = PortInfo { dc_name: None, dc_id: Some("dc-7".to_owned()), ..port(Running) };
    let port = Scenario::living().seen_as(nameless).plan().status.port.expect("a port");
    assert_eq!(port.data_center.as_deref(), Some("dc-7"));
}

#[test]
fn a_port_that_two_readings_do_not_list_is_not_found_and_one_is_no_alarm() {
    Scenario::living().absent(2, 5).waits(Reason::PortNotFound);
    Scenario::living().absent(1, 60).waits(Reason::ConfirmingAbsence);
    let plan = Scenario::living().absent(2, 4).plan();
    assert_eq!(plan.want.and_then(|want| want.fresh_after), Some(NOW + seconds(1)), "{plan:#?}");
}

#[test]
fn another_port_under_the_id_is_told() {
    let recreated = PortInfo { created_time: Some(RECREATED.to_owned()), ..port(Running) };
    Scenario::living().remembers(Running).seen_as(recreated).waits(Reason::IdentityChanged);
}

#[test]
fn what_keeps_the_port_from_being_read_is_told_once_the_last_sighting_is_old() {
    let unauthorized = reading_refused("AUTHFAILURE_SIGNATURE_FAILURE");
    let failing = |ago| {
        let slow = Scenario::living().evidence(|it| it.interval = Some(seconds(300)));
        slow.seen_ago(Running, ago).failing(unauthorized.clone())
    };
    failing(900).waits(Reason::Running);
    let plan = failing(901).waits(Reason::Unauthorized);
    assert_eq!(plan.want.map(|want| want.cadence), Some(Cadence::Slow));
}

#[test]
fn without_credentials_the_secret_is_named_and_looked_at_again_in_a_minute() {
    let plan = Scenario::living().without_credentials().waits(Reason::CredentialsUnavailable);
    assert_eq!((plan.want, plan.deadline), (None, Some(seconds(60))));
    let message = &condition(&plan.status, "Ready").expect("Ready").message;
    assert!(message.starts_with("Secret team-a/keys does not exist."), "{message}");
}

#[test]
fn a_credential_that_only_reads_keeps_the_status_true_and_the_message_says_so() {
    let plan = Scenario::living().only_reads().seen(Running).waits(Reason::Running);
    let message = &condition(&plan.status, "Ready").expect("Ready").message;
    assert_eq!(message, "Port port-1 is RUNNING. Secret team-a/keys was deleted.");
}

#[test]
fn a_record_restored_from_a_backup_is_left_as_it_is() {
    let scenario = Scenario::living().seen(Running).release(|it| it.uid = OTHER_UID.to_owned());
    let before = scenario.object.status.clone().and_then(|it| it.release);
    assert_eq!(scenario.plan().status.release, before);
}
