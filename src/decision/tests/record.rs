//! The write-ahead record: what it says of a call, and how long it blocks the next.

use super::scenario::*;
use crate::answer::NotSentCause;
use crate::api::CallAction::{DestroyPort, TerminatePort};
use crate::api::DeletionPolicy::{Destroy, TerminateAndDestroy};
use crate::api::{Call, CallOutcome, Reason};
use crate::decision::{Action, Intent, error_backoff, with_outcome};
use crate::port::PortStatus::{Recycled, Running};

/// The first `DestroyPort` of a port that still lies in the bin, read so many seconds after the call became known.
fn still_in_bin(outcome: CallOutcome, known: u64, read_after: u64) -> Scenario {
    Scenario::deleting(Destroy).called(DestroyPort, outcome, known).seen_ago(Recycled, known - read_after)
}

#[test]
fn a_call_is_recorded_as_pending_before_it_is_made() {
    let scenario = Scenario::deleting(Destroy).seen(Recycled);
    let plan = scenario.calls(DestroyPort);
    let release = plan.status.release.as_ref().expect("a record");
    let recorded = Call {
        action: DestroyPort,
        attempt: 1,
        requested_time: time(0),
        port_status_before: "RECYCLED".to_owned(),
        credential: key(KEY),
        landed: false,
        settled: false,
        without_effect: false,
        outcome: pending(),
    };
    assert_eq!((release.uid.as_str(), release.call.as_ref()), (UID, Some(&recorded)));
}

#[test]
fn a_warrant_is_good_only_for_an_object_that_carries_its_pending_record() {
    let scenario = Scenario::deleting(Destroy).seen(Recycled);
    let Action::Call(Intent { warrant, .. }) = scenario.plan().action else {
        panic!("{:#?}", scenario.plan())
    };
    assert!(
        !warrant.is_recorded_in(&scenario.object) && !warrant.is_newest_of(&scenario.object),
        "not yet written"
    );

    let written = scenario.written();
    assert!(warrant.is_recorded_in(&written.object) && warrant.is_newest_of(&written.object), "written");

    let answered = written.clone().call(|call| call.outcome = accepted());
    assert!(!warrant.is_recorded_in(&answered.object), "sent already");
    assert!(warrant.is_newest_of(&answered.object), "its outcome may still be replaced");

    let next = written.clone().call(|call| call.attempt += 1);
    assert!(
        !warrant.is_recorded_in(&next.object) && !warrant.is_newest_of(&next.object),
        "of another attempt"
    );

    let recreated = written.with(|it| it.object.metadata.uid = Some(OTHER_UID.to_owned()));
    assert!(
        !warrant.is_recorded_in(&recreated.object) && !warrant.is_newest_of(&recreated.object),
        "of another uid"
    );
}

#[test]
fn a_call_without_an_answer_blocks_until_a_reading_a_minute_later() {
    for outcome in [pending(), unclear()] {
        let plan = still_in_bin(outcome.clone(), 80, 59).waits(Reason::Confirming);
        let fresh_after = plan.want.and_then(|want| want.fresh_after);
        assert_eq!(fresh_after, Some(NOW - seconds(20)), "a reading is asked for that settles it");
        still_in_bin(outcome.clone(), 59, 59).waits(Reason::Confirming);
        still_in_bin(outcome, 80, 60).calls(DestroyPort);
    }
}

#[test]
fn a_call_without_an_answer_that_this_process_did_not_make_blocks_a_minute_from_now() {
    for outcome in [pending(), unclear()] {
        let restarted =
            still_in_bin(outcome, 24 * HOUR, 24 * HOUR).with(|it| it.context.call_known_since = None);
        let plan = restarted.waits(Reason::Confirming);
        assert_eq!(plan.want.and_then(|want| want.fresh_after), Some(NOW + seconds(60)), "{plan:#?}");
    }
}

#[test]
fn an_accepted_call_is_given_up_only_by_a_reading_ten_minutes_later() {
    still_in_bin(accepted(), 620, 599).waits(Reason::Destroying);
    still_in_bin(accepted(), 600, 600).calls(DestroyPort);
    still_in_bin(accepted(), HOUR, HOUR)
        .with(|it| it.context.call_known_since = None)
        .waits(Reason::Destroying);
}

#[test]
fn a_call_that_landed_blocks_nothing() {
    for outcome in [pending(), unclear(), accepted(), refused("NO"), not_sent()] {
        Scenario::deleting(TerminateAndDestroy)
            .called(TerminatePort, outcome.clone(), 1)
            .call(|call| call.landed = true)
            .seen(Recycled)
            .calls(DestroyPort);
        let seen_to_land = Scenario::deleting(TerminateAndDestroy).called(TerminatePort, outcome, 1);
        seen_to_land.seen(Recycled).calls(DestroyPort);
    }
}

#[test]
fn a_call_that_landed_by_the_word_of_another_replica_blocks_until_a_reading_from_after_it() {
    let landed = Scenario::deleting(TerminateAndDestroy)
        .called(TerminatePort, accepted(), 1)
        .call(|call| call.landed = true);
    let plan = landed.clone().seen_ago(Running, 2).waits(Reason::Terminating);
    assert_eq!(plan.want.and_then(|want| want.fresh_after), Some(NOW - seconds(1)), "{plan:#?}");
    landed.seen_ago(Running, 1).calls(TerminatePort);
}

#[test]
fn an_accepted_call_may_still_be_carried_out_after_a_restoration_that_it_did_not_lead_to() {
    let restored = |known| {
        Scenario::deleting(TerminateAndDestroy)
            .remembers(Recycled)
            .called(TerminatePort, accepted(), known)
            .release(|it| it.seen_recycled = true)
            .seen(Running)
            .evidence(|it| it.good.as_mut().expect("a reading").since = NOW - seconds(10))
    };
    // The reading in the bin was from before the call: else that would have landed.
    restored(599).waits(Reason::RestoredElsewhere);
    restored(599).approved(Reason::RestoredElsewhere).waits(Reason::Terminating);
    let given_up = restored(599).approved(Reason::RestoredElsewhere).written().later(1);
    given_up.calls(TerminatePort);
    let release = given_up.plan().status.release.expect("a record");
    assert_eq!(release.restorations, 1, "counted once");
}

#[test]
fn a_terminate_without_a_clear_answer_is_not_repeated_after_a_long_time_in_which_nobody_looked() {
    for outcome in [pending(), unclear()] {
        let called = |known: u64| {
            Scenario::deleting(TerminateAndDestroy)
                .remembers(Running)
                .called(TerminatePort, outcome.clone(), known)
                .seen(Running)
        };
        let down_for = |down: u64| called(60).call(|call| call.requested_time = time(60 + down));
        down_for(600).calls(TerminatePort);
        called(600).calls(TerminatePort);
        for unwatched in [down_for(601), called(601)] {
            let plan = unwatched.waits(Reason::RestoredElsewhere);
            let message = &condition(&plan.status, "Ready").expect("Ready").message;
            assert!(message.contains("could not check the port for more than 10 minutes"), "{message}");
            assert_eq!(plan.status.release.as_ref().map(|release| release.restorations), Some(1));
            let held = unwatched.written().later(1);
            assert_eq!(held.plan().status.release, plan.status.release, "counted once");
            held.approved(Reason::RestoredElsewhere).calls(TerminatePort);
        }
    }
}

#[test]
fn a_terminate_that_a_reading_in_time_shows_to_be_without_effect_may_be_repeated_however_late() {
    let held = Scenario::deleting(TerminateAndDestroy)
        .remembers(Running)
        .called(TerminatePort, unclear(), 60)
        .protected()
        .seen(Running);
    held.waits(Reason::DeletionProtected);
    let freed = held.written().with(|it| it.object.spec.deletion_protection = false);
    freed.clone().later(HOUR).calls(TerminatePort);
    let restarted = freed.later(HOUR).called_again_ago(60).seen(Running);
    restarted.calls(TerminatePort);
}

#[test]
fn the_pause_after_a_call_that_changed_nothing_doubles_from_half_a_minute_to_ten_minutes() {
    for (attempt, pause) in
        [(1, 30), (2, 60), (3, 120), (4, 240), (5, 480), (6, 600), (7, 600), (i64::MAX, 600)]
    {
        for (outcome, reason) in [(refused("NO"), Reason::Refused), (not_sent(), Reason::CloudUnavailable)] {
            let called =
                |known| still_in_bin(outcome.clone(), known, known).call(|call| call.attempt = attempt);
            called(pause - 1).waits(reason);
            called(pause).calls(DestroyPort);
        }
    }
}

#[test]
fn after_a_refusal_the_port_is_read_before_it_is_called_again() {
    Scenario::deleting(Destroy)
        .called(DestroyPort, refused("NO"), 30)
        .evidence(|it| it.interval = Some(seconds(60)))
        .seen_ago(Recycled, 31)
        .waits(Reason::Refused);
}

#[test]
fn a_refusal_is_told_by_its_code() {
    for (code, reason) in [
        ("REQUEST_LIMIT_EXCEEDED", Reason::Throttled),
        ("AUTHFAILURE_SIGNATURE_EXPIRED", Reason::ClockSkew),
        ("AUTHFAILURE_UNAUTHORIZED_OPERATION", Reason::PermissionDenied),
        ("AUTHFAILURE_SIGNATURE_FAILURE", Reason::Unauthorized),
        ("OPERATION_FAILED_FOR_RECYCLE_RESOURCE", Reason::Refused),
        ("", Reason::Refused),
    ] {
        let plan = still_in_bin(refused(code), 1, 1).waits(reason);
        let message = &condition(&plan.status, "Ready").expect("Ready").message;
        let told = format!("refused DestroyPort for port port-1 with {}", refusal(code));
        assert!(message.contains(&told), "{message} says not: {told}");
    }
}

#[test]
fn a_call_that_was_not_sent_is_shown_with_its_cause() {
    for (cause, reason) in [
        (NotSentCause::Throttled, Reason::Throttled),
        (NotSentCause::NoConnection, Reason::CloudUnavailable),
        (NotSentCause::Unknown, Reason::CloudUnavailable),
        (NotSentCause::RecordTooSlow, Reason::Queued),
        (NotSentCause::CredentialsChanged, Reason::Queued),
    ] {
        let why = format!("the words of {cause:?}");
        let plan = still_in_bin(CallOutcome::NotSent { cause, why: why.clone() }, 1, 1).waits(reason);
        let message = &condition(&plan.status, "Ready").expect("Ready").message;
        assert!(
            message.contains(&format!("did not send DestroyPort for port port-1 (attempt 1): {why}.")),
            "{message}"
        );
    }
}

#[test]
fn a_call_without_a_clear_answer_says_what_came_instead() {
    let plan = still_in_bin(unclear(), 1, 1).waits(Reason::Confirming);
    let message = &condition(&plan.status, "Ready").expect("Ready").message;
    assert!(message.contains("got no clear answer: the connection was reset."), "{message}");
}

#[test]
fn an_outcome_is_written_without_the_record_of_the_call_that_it_frees_the_way_for() {
    let landed_meanwhile =
        Scenario::deleting(TerminateAndDestroy).called(TerminatePort, accepted(), 20).seen(Recycled);
    landed_meanwhile.calls(DestroyPort);
    let written = landed_meanwhile.decided().status_without_call(&landed_meanwhile.object);
    let call = written.release.and_then(|release| release.call);
    assert_eq!(
        call.map(|call| (call.action, call.attempt, call.landed)),
        Some((TerminatePort, 1, true)),
        "what was learnt is written, and no record of a call that is not made"
    );
    let waiting = Scenario::deleting(Destroy).seen(Running);
    assert_eq!(waiting.decided().status_without_call(&waiting.object), waiting.plan().status);
}

#[test]
fn attempts_count_on_and_what_the_deletion_knows_outlives_its_calls() {
    let plan = still_in_bin(refused("NO"), 999, 999)
        .call(|call| call.attempt = 41)
        .release(|it| it.destroy_accepted = true)
        .calls(DestroyPort);
    let release = plan.status.release.expect("a record");
    assert_eq!(release.call.map(|call| call.attempt), Some(42));
    assert!(release.destroy_accepted && release.seen_recycled);
}

#[test]
fn the_record_of_another_uid_neither_blocks_nor_counts_nor_restores() {
    let plan = Scenario::deleting(Destroy)
        .called(DestroyPort, pending(), 5)
        .call(|call| call.attempt = 41)
        .release(|it| {
            it.uid = OTHER_UID.to_owned();
            it.restorations = 1;
            it.destroy_accepted = true;
        })
        .seen(Recycled)
        .calls(DestroyPort);
    let release = plan.status.release.expect("a record");
    assert_eq!((release.uid.as_str(), release.call.map(|call| call.attempt)), (UID, Some(1)));
    assert!(release.restorations == 0 && !release.destroy_accepted);
}

#[test]
fn the_accepted_destroy_of_another_uid_shortens_no_proof() {
    Scenario::deleting(Destroy)
        .remembers(Running)
        .release(|it| {
            it.uid = OTHER_UID.to_owned();
            it.destroy_accepted = true;
        })
        .absent(2, 60)
        .waits(Reason::ConfirmingAbsence);
}

#[test]
fn only_an_accepted_destroy_is_remembered_as_such_and_for_good() {
    for (action, outcome, remembered) in [
        (DestroyPort, accepted(), true),
        (TerminatePort, accepted(), false),
        (DestroyPort, unclear(), false),
        (DestroyPort, refused("NO"), false),
        (DestroyPort, not_sent(), false),
    ] {
        let sent = Scenario::deleting(Destroy).called(action, pending(), 1);
        let release = with_outcome(&sent.object, outcome.clone()).release.expect("a record");
        assert_eq!(release.destroy_accepted, remembered, "{action:?} {outcome:?}");
        assert_eq!(release.call.map(|call| call.outcome), Some(outcome));

        let earlier = sent.release(|it| it.destroy_accepted = true);
        let release = with_outcome(&earlier.object, unclear()).release.expect("a record");
        assert!(release.destroy_accepted, "an earlier one is not forgotten");
    }
}

#[test]
fn passes_that_fail_are_retried_after_a_pause_from_a_second_to_five_minutes_and_a_quarter() {
    for spread in [0, 1, 25, 26, u64::MAX] {
        let pauses: Vec<_> = (1..=40).map(|failures| error_backoff(failures, spread)).collect();
        assert!(pauses.is_sorted(), "{pauses:?}");
        assert!(pauses[0] >= seconds(1) && pauses[39] <= seconds(375), "{pauses:?}");
        assert_eq!(error_backoff(u32::MAX, spread), pauses[39]);
    }
    assert_ne!(error_backoff(9, 1), error_backoff(9, 2), "two objects come back apart");
}
