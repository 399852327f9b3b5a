//! An object that lives: told truly, and nothing is changed in the cloud.

use super::scenario::*;
use crate::api::DeletionPolicy::{Destroy, Retain, Terminate, TerminateAndDestroy};
use crate::api::{Reason, ZenlayerPortStatus};
use crate::decision::Action;
use crate::decision::sighting::{Cadence, Unreadable};
use crate::port::PortInfo;
use crate::port::PortStatus::{
    self, Creating, Deleting, Destroyed, Destroying, Recovering, Recycled, Running, Unknown, Updating,
};

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
    assert_eq!(
        (&plan.action, &plan.status),
        (&Action::AddFinalizer, &ZenlayerPortStatus::default()),
        "{plan:#?}"
    );
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
    let unauthorized = Unreadable::Unauthorized("AUTHFAILURE_SIGNATURE_FAILURE".to_owned());
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
