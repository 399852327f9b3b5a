//! What `kubectl get`, kstatus clients and `kubectl get events` are told.

use super::scenario::*;
use crate::api::CallAction::DestroyPort;
use crate::api::DeletionPolicy::{Destroy, TerminateAndDestroy};
use crate::api::{EventType, READY, RECONCILING, Reason, STALLED};
use crate::decision::{Action, Turn};
use crate::port::PortStatus::{Destroying, Recycled, Running, Updating};

fn statuses(plan: &Planned) -> [&str; 3] {
    [READY, RECONCILING, STALLED]
        .map(|kind| condition(&plan.status, kind).map_or("", |it| it.status.as_str()))
}

#[test]
fn three_conditions_say_whether_it_is_well_moves_on_or_needs_a_person() {
    #[track_caller]
    fn says(scenario: &Scenario, expected: [&str; 3]) {
        let plan = scenario.plan();
        assert_eq!(statuses(&plan), expected, "{:?}", shown(&plan));
        assert_eq!(plan.status.conditions.len(), 3);
    }
    says(&Scenario::living().seen(Running), ["True", "False", "False"]);
    says(&Scenario::living().seen(Recycled), ["False", "False", "True"]);
    says(&Scenario::living().seen(Updating), ["False", "True", "False"]);
    says(&Scenario::living(), ["Unknown", "True", "False"]);
    says(&Scenario::living().without_credentials(), ["Unknown", "False", "True"]);
    says(&Scenario::deleting(Destroy).seen(Running), ["False", "False", "True"]);
    says(&Scenario::deleting(Destroy).seen(Destroying), ["False", "True", "False"]);
    says(&Scenario::deleting(Destroy).seen(Recycled), ["False", "True", "False"]);
}

#[test]
fn the_message_states_the_case_and_then_the_command_for_this_object() {
    let plan = Scenario::deleting(Destroy).seen(Running).plan();
    for kind in [READY, STALLED] {
        let message = &condition(&plan.status, kind).expect("a condition").message;
        assert!(message.starts_with("Port port-1 is RUNNING. The policy Destroy"), "{message}");
        let command = "kubectl patch zenlayerport edge-1 -n team-a --type=merge \
                       -p '{\"spec\":{\"deletionPolicy\":\"TerminateAndDestroy\"}}'";
        assert!(message.ends_with(command), "{message}");
    }
}

#[test]
fn a_wait_that_outlasts_its_time_is_also_stalled_and_is_looked_at_just_then() {
    let destroying_for =
        |ago| Scenario::deleting(Destroy).seen(Destroying).showing(Reason::Destroying, ago).plan();
    let plan = destroying_for(HOUR - 60);
    assert_eq!((statuses(&plan)[2], plan.deadline), ("False", Some(seconds(60))));
    let plan = destroying_for(HOUR);
    assert_eq!((statuses(&plan), plan.deadline), (["False", "True", "True"], None));
}

#[test]
fn each_wait_has_a_stall_time_of_its_own() {
    let scenario = Scenario::deleting(Destroy).seen(Destroying).showing(Reason::PortBusy, 24 * HOUR);
    let plan = scenario.plan();
    assert_eq!((statuses(&plan)[2], plan.deadline), ("False", Some(seconds(HOUR))));
}

#[test]
fn a_decision_that_finds_nothing_new_changes_nothing_however_late_it_comes() {
    for scenario in [
        Scenario::living().seen(Running),
        Scenario::deleting(Destroy).seen(Running),
        Scenario::deleting(Destroy).seen(Destroying),
        Scenario::deleting(Destroy).protected().seen(Recycled),
    ] {
        let written = scenario.written();
        let plan = written.clone().later(1800).plan();
        assert_eq!(Some(plan.status), written.object.status);
        assert_eq!(plan.event, None);
    }
}

#[test]
fn the_time_of_ready_moves_with_its_reason_and_that_of_the_others_with_their_status() {
    let first = Scenario::deleting(Destroy).seen(Destroying).showing(Reason::PortBusy, 600).written();
    let later = first.clone().later(60).seen(Updating).plan();
    let times =
        |status| [READY, RECONCILING].map(|kind| condition(status, kind).map(|it| it.last_transition_time.0));
    assert_eq!(times(first.object.status.as_ref().expect("a status")), [Some(wall()), Some(wall())]);
    assert_eq!(times(&later.status), [Some(wall() + seconds(60)), Some(wall())]);
}

#[test]
fn conditions_of_others_are_kept_and_ours_are_not_doubled() {
    let plan = Scenario::living()
        .seen(Running)
        .status(|it| {
            let mut theirs = ready(Reason::Running, HOUR);
            theirs.type_ = "example.com/Audited".to_owned();
            it.conditions = vec![theirs, ready(Reason::Running, HOUR)];
        })
        .plan();
    let kinds: Vec<_> = plan.status.conditions.iter().map(|it| it.type_.as_str()).collect();
    assert_eq!(kinds, [READY, RECONCILING, STALLED, "example.com/Audited"]);
}

#[test]
fn every_condition_names_the_generation_that_it_is_of() {
    let plan = Scenario::living().seen(Running).showing(Reason::Running, HOUR).plan();
    assert_eq!(plan.status.observed_generation, Some(GENERATION));
    assert!(plan.status.conditions.iter().all(|it| it.observed_generation == Some(GENERATION)), "{plan:#?}");
}

#[test]
fn what_passes_within_ten_seconds_is_not_written_and_then_looked_at_again() {
    let waiting_for = |ago| Scenario::deleting(Destroy).evidence(|it| it.waiting_since = NOW - seconds(ago));
    let absent_for = |ago| Scenario::deleting(Destroy).remembers(Running).absent(2, ago);
    let living_absent_for = |ago| Scenario::living().remembers(Running).absent(1, ago);
    for (reason, scenario) in [
        (Reason::Observing, &waiting_for as &dyn Fn(u64) -> Scenario),
        (Reason::ConfirmingAbsence, &absent_for),
        (Reason::ConfirmingAbsence, &living_absent_for),
    ] {
        let before = scenario(9).showing(Reason::Destroying, 60);
        let plan = before.plan();
        assert_eq!(plan.status.conditions, before.object.status.expect("a status").conditions, "{reason:?}");
        assert_eq!((plan.event, plan.deadline), (None, Some(seconds(1))), "{reason:?}");
        scenario(10).showing(Reason::Destroying, 60).waits(reason);
    }
}

#[test]
fn a_reading_too_old_to_act_on_is_replaced_in_silence() {
    let in_bin = |ago| {
        let slow = Scenario::deleting(Destroy).evidence(|it| it.interval = Some(seconds(300)));
        slow.seen_ago(Recycled, ago).showing(Reason::WaitingForFinalizers, 60)
    };
    let plan = in_bin(39).plan();
    assert_eq!((shown(&plan), &plan.event), (Some("WaitingForFinalizers"), &None));
    in_bin(40).waits(Reason::Observing);
}

#[test]
fn a_reading_that_is_made_once_the_grace_is_over_is_awaited_in_silence() {
    let in_bin = || Scenario::deleting(Destroy).deleted_ago(450).seen_ago(Recycled, 450);
    let unasked = || in_bin().evidence(|it| it.interval = None);
    let asked = |ago| in_bin().evidence(|it| it.waiting_since = NOW - seconds(ago));
    for (what, scenario) in [("not asked for yet", unasked()), ("asked for a moment ago", asked(9))] {
        let plan = scenario.showing(Reason::GracePeriod, 450).plan();
        assert_eq!((shown(&plan), &plan.event), (Some("GracePeriod"), &None), "{what}");
        assert_eq!(plan.want.and_then(|want| want.fresh_after), Some(NOW), "it is read at once: {plan:#?}");
    }
    asked(10).showing(Reason::GracePeriod, 450).waits(Reason::Observing);
}

#[test]
fn a_call_that_takes_its_turn_is_shown_as_queued_unless_the_grace_has_just_said_so() {
    let due = Scenario::deleting(Destroy).seen(Recycled);
    let queued = |due: Scenario| due.with(|it| it.context.turn = Turn::BehindOthers).plan().status;
    for (before, ago) in [(Reason::MassDeletion, 60), (Reason::GracePeriod, 300), (Reason::Queued, HOUR)] {
        let status = queued(due.clone().showing(before, ago));
        let shown = condition(&status, READY).map(|ready| ready.reason.as_str());
        assert_eq!(shown, Some("Queued"), "after {before:?}");
        assert_eq!(
            status.release.and_then(|release| release.call),
            None,
            "a record of a call that is not made"
        );
    }
    let from_grace = due.written().showing(Reason::GracePeriod, 299).release(|it| it.call = None);
    let status = from_grace.object.status.clone();
    assert_eq!(Some(queued(from_grace)), status, "no record, and nothing to write");
}

#[test]
fn a_call_that_a_pause_keeps_back_is_shown_as_throttled_with_its_end_also_in_the_grace() {
    for before in [Reason::GracePeriod, Reason::Queued] {
        let due = Scenario::deleting(Destroy).seen(Recycled).showing(before, 10);
        let pause = "Zenlayer asked the operator to send no requests before 2026-01-02T12:00:00Z";
        let plan = due.with(|it| it.context.turn = Turn::Paused(pause.to_owned())).plan();
        let ready = condition(&plan.status, READY).expect("Ready");
        assert_eq!(plan.event, None);
        assert_eq!((ready.reason.as_str(), &plan.action), ("Throttled", &Action::None));
        assert!(ready.message.contains(pause), "{}", ready.message);
    }
}

#[test]
fn an_event_tells_of_a_transition_once() {
    let held =
        Scenario::deleting(TerminateAndDestroy).protected().seen(Running).showing(Reason::Running, HOUR);
    let event = held.plan().event.expect("an event");
    assert_eq!((event.reason, event.event_type), (Reason::DeletionProtected, EventType::Warning));
    assert_eq!(Some(event.message), condition(&held.plan().status, READY).map(|it| it.message.clone()));
    assert_eq!(held.written().plan().event, None);
}

#[test]
fn a_reason_that_is_not_worth_an_event_sends_none() {
    assert_eq!(Scenario::living().seen(Updating).plan().event, None);
}

#[test]
fn a_call_and_the_removal_of_the_finalizer_are_told() {
    let plan = Scenario::deleting(Destroy).seen(Recycled).calls(DestroyPort);
    assert_eq!(plan.event.map(|event| event.reason), Some(Reason::Destroying));
    let plan = Scenario::deleting(Destroy).absent(2, 30).plan();
    assert_eq!(plan.action, Action::RemoveFinalizer(Reason::PortNeverFound));
    assert_eq!(plan.event.map(|event| event.event_type), Some(EventType::Warning));
}
