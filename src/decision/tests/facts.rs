//! What is remembered of what was seen.

use super::scenario::*;
use crate::api::CallAction::{DestroyPort, TerminatePort};
use crate::api::DeletionPolicy::{Destroy, TerminateAndDestroy};
use crate::api::{PortIdentity, Reason, Release};
use crate::decision::CredentialState;
use crate::port::PortInfo;
use crate::port::PortStatus::{self, Deleting, Destroyed, Destroying, Recovering, Recycled, Running};

fn identity(scenario: &Scenario) -> PortIdentity {
    scenario.plan().status.identity.expect("an identity")
}

fn release(scenario: &Scenario) -> Release {
    scenario.plan().status.release.expect("a record")
}

#[test]
fn the_first_sighting_in_any_state_fixes_the_identity() {
    for status in [Running, Recycled, Destroying, PortStatus::Unknown("ODD".to_owned())] {
        let first = identity(&Scenario::living().seen(status));
        assert_eq!(first, PortIdentity { created_time: Some(CREATED.to_owned()), seen_by: vec![key(KEY)] });
    }
}

#[test]
fn a_creation_time_that_was_missing_is_taken_in_later_and_never_changes_then() {
    let seen = |created: Option<&str>, scenario: Scenario| {
        let created_time = created.map(str::to_owned);
        scenario.seen_as(PortInfo { created_time, ..port(Running) })
    };
    let nameless = seen(None, Scenario::living()).written();
    assert_eq!(identity(&nameless).created_time, None);
    let named = seen(Some(CREATED), nameless).written();
    assert_eq!(identity(&named).created_time.as_deref(), Some(CREATED));
    for later in [None, Some(RECREATED)] {
        assert_eq!(identity(&seen(later, named.clone())).created_time.as_deref(), Some(CREATED));
    }
}

#[test]
fn a_key_that_sees_another_port_under_the_id_is_no_witness_of_the_first() {
    let recreated = PortInfo { created_time: Some(RECREATED.to_owned()), ..port(Running) };
    let scenario =
        Scenario::living().remembers(Running).evidence(|it| it.by = key(OTHER_KEY)).seen_as(recreated);
    assert_eq!(identity(&scenario).seen_by, [key(KEY)]);
}

#[test]
fn each_key_that_sees_the_port_is_kept_once_and_four_at_most() {
    let mut scenario = Scenario::living().seen(Running);
    for digest in ["1", "2", "2", "3", "4", "5"] {
        scenario = scenario.evidence(|it| it.by = key(digest)).written();
    }
    let seen_by = identity(&scenario).seen_by;
    assert_eq!(seen_by.len(), 4, "{seen_by:?}");
    assert!(
        seen_by.iter().all(|one| seen_by.iter().filter(|other| one == *other).count() == 1),
        "{seen_by:?}"
    );
}

#[test]
fn credentials_that_could_sign_during_the_deletion_are_remembered() {
    let seen = |scenario: Scenario| release(&scenario).credentials_seen;
    let deleting = Scenario::deleting(Destroy);
    assert!(seen(deleting.clone().seen(Recycled)));
    assert!(seen(deleting.clone()), "before anything is read");
    assert!(!seen(deleting.clone().only_reads().seen(Recycled)));
    assert!(seen(deleting.written().only_reads().seen(Recycled)), "the Secret went after that");
}

#[test]
fn an_absence_takes_nothing_back() {
    let before = Scenario::deleting(Destroy).remembers(Recycled);
    let after = before.clone().absent(1, 0).plan().status;
    let before = before.object.status.expect("a status");
    assert_eq!((after.port, after.identity), (before.port, before.identity));
}

#[test]
fn a_living_objects_sightings_start_no_record() {
    assert_eq!(Scenario::living().seen(Recycled).plan().status.release, None);
}

#[test]
fn a_port_seen_in_the_bin_and_then_live_for_ten_seconds_was_restored() {
    let live_for = |span| {
        Scenario::deleting(TerminateAndDestroy)
            .remembers(Recycled)
            .release(|it| it.seen_recycled = true)
            .seen(Running)
            .evidence(|it| it.good.as_mut().expect("a reading").since = NOW - seconds(span))
    };
    assert_eq!(release(&live_for(0)).restorations, 0, "one reading may be a slip of the list");
    assert_eq!(release(&live_for(9)).restorations, 0, "two readings too close may be the same slip");
    let restored = live_for(10).written();
    assert_eq!(release(&restored).restorations, 1, "and once only, however often it is looked at");
    let then_in_bin = restored.seen(Recycled).written();
    assert_eq!(release(&then_in_bin).restorations, 1, "whatever its state later");
    let again = then_in_bin
        .seen(Running)
        .evidence(|it| it.good.as_mut().expect("a reading").since = NOW - seconds(10));
    assert_eq!(release(&again).restorations, 2, "restored a second time");
}

#[test]
fn a_port_that_was_live_before_it_came_into_the_bin_was_not_restored() {
    let live = Scenario::deleting(TerminateAndDestroy)
        .seen(Running)
        .evidence(|it| it.good.as_mut().expect("a reading").since = NOW - seconds(HOUR));
    assert_eq!((release(&live).seen_recycled, release(&live).restorations), (false, 0));
    let in_bin = live.written().seen(Recycled);
    assert_eq!((release(&in_bin).seen_recycled, release(&in_bin).restorations), (true, 0));
}

#[test]
fn a_port_that_comes_out_of_the_bin_after_a_call_without_an_answer_was_in_it() {
    let recovering =
        Scenario::deleting(TerminateAndDestroy).called(TerminatePort, unclear(), 20).seen(Recovering);
    let known = release(&recovering);
    assert!(known.seen_recycled && known.call.as_ref().is_some_and(|call| call.landed), "{known:?}");
    let running = recovering
        .written()
        .seen(Running)
        .evidence(|it| it.good.as_mut().expect("a reading").since = NOW - seconds(10));
    assert_eq!(release(&running).restorations, 1, "someone restored it");
}

#[test]
fn another_port_in_the_bin_is_not_remembered_as_this_one() {
    let recreated = PortInfo { created_time: Some(RECREATED.to_owned()), ..port(Recycled) };
    assert!(!release(&Scenario::deleting(Destroy).remembers(Running).seen_as(recreated)).seen_recycled);
}

#[test]
fn a_port_that_is_adopted_by_consent_is_known_for_itself_alone() {
    let adopted = Scenario::deleting(Destroy)
        .remembers(Recycled)
        .called(DestroyPort, accepted(), HOUR)
        .release(|it| {
            (it.seen_recycled, it.restorations, it.destroy_accepted) = (true, 1, true);
            (it.latched, it.crd_deleted) = (true, true);
        })
        .approved(Reason::IdentityChanged)
        .with(|it| it.context.credential = CredentialState::Usable(key(OTHER_KEY)))
        .evidence(|it| it.by = key(OTHER_KEY))
        .seen_as(PortInfo { created_time: Some(RECREATED.to_owned()), ..port(Running) });
    let expected = PortIdentity { created_time: Some(RECREATED.to_owned()), seen_by: vec![key(OTHER_KEY)] };
    assert_eq!(identity(&adopted), expected);
    let after = release(&adopted);
    assert_eq!((after.seen_recycled, after.restorations, after.destroy_accepted), (false, 0, false));
    assert!(
        after.latched && after.crd_deleted && after.call.is_some(),
        "what holds of the deletion, and a call that may still arrive, stays"
    );
}

#[test]
fn a_consent_to_a_restoration_of_the_port_before_is_spent() {
    let seen_for = |scenario: Scenario, status, span| {
        let other = PortInfo { created_time: Some(RECREATED.to_owned()), ..port(status) };
        let seen = scenario.seen_as(other);
        seen.evidence(|it| it.good.as_mut().expect("a reading").since = NOW - seconds(span)).written()
    };
    let consents = [consent(Reason::RestoredElsewhere, 1), consent(Reason::IdentityChanged, 0)].join(",");
    let replaced = Scenario::deleting(TerminateAndDestroy)
        .remembers(Recycled)
        .release(|it| it.restorations = 1)
        .annotated(&consents);
    let adopted = seen_for(replaced, Running, 10);
    assert_eq!(identity(&adopted).created_time.as_deref(), Some(RECREATED));
    assert_ne!(shown(&adopted.plan()), Some("RestoredElsewhere"), "nobody has restored this port");
    let restored = seen_for(seen_for(adopted, Recycled, 0), Running, 10);
    assert_eq!(shown(&restored.plan()), Some("RestoredElsewhere"), "and a person has not been asked yet");
}

#[test]
fn a_call_landed_once_the_port_is_seen_to_follow_it() {
    for (action, status, lands) in [
        (TerminatePort, Running, false),
        (TerminatePort, Deleting, true),
        (TerminatePort, Recycled, true),
        (TerminatePort, Recovering, true),
        (DestroyPort, Recycled, false),
        (DestroyPort, Destroying, true),
        (DestroyPort, Running, false),
    ] {
        let called =
            Scenario::deleting(TerminateAndDestroy).called(action, accepted(), 5).seen(status.clone());
        let record = called.plan().status.release.and_then(|it| it.call).expect("a call");
        assert_eq!(record.landed || record.outcome == pending(), lands, "{action:?}, then {status:?}");
    }
}

#[test]
fn a_reading_older_than_the_call_does_not_show_it_to_have_landed() {
    let called = Scenario::deleting(Destroy).called(DestroyPort, pending(), 5).seen_ago(Destroying, 6);
    assert_eq!(release(&called).call.map(|call| call.landed), Some(false));
    let unknown = called.with(|it| it.context.call_known_since = None).seen(Destroying);
    assert_eq!(
        release(&unknown).call.map(|call| call.landed),
        Some(false),
        "nor one of before this process knew it"
    );
}

#[test]
fn one_absence_is_not_taken_for_a_call_that_landed() {
    let called =
        Scenario::deleting(Destroy).remembers(Recycled).called(DestroyPort, pending(), 5).absent(1, 0);
    assert_eq!(release(&called).call.map(|call| call.landed), Some(false));
}

#[test]
fn the_removal_of_the_finalizer_writes_no_last_status() {
    let scenario = Scenario::deleting(Destroy).remembers(Recycled).seen(Destroyed);
    assert_eq!(scenario.decided().display, None);
}
