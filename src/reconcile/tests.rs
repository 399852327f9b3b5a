//! The protocol alone: its effects are carried out by whoever writes a test, in any way that a world can go.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::answer::NotSentCause;
use crate::api::{CallAction, DeletionPolicy};
use crate::decision::tests::scenario::Scenario;
use crate::fingerprint::Fingerprint;
use crate::port::PortStatus;

type Effects = Effect<&'static str>;

const TICKET: &str = "the ticket";

/// The deleted object of a port in the recycle bin, and the plan to destroy that port.
fn due() -> (ZenlayerPort, Plan) {
    let scenario = Scenario::deleting(DeletionPolicy::Destroy).seen(PortStatus::Recycled);
    let plan = scenario.decided();
    assert!(matches!(plan.action, Action::Call(_)), "{plan:#?}");
    (scenario.object, plan)
}

/// The reconcile that has the turn of a call, and its effect: the write of the record.
fn recording() -> (Reconcile<&'static str>, ZenlayerPort, Box<ZenlayerPortStatus>) {
    let (object, plan) = due();
    let (mut reconcile, _) = Reconcile::begin(None);
    reconcile.next(&object, Event::Decided(Box::new(plan)));
    match reconcile.next(&object, Event::HasTurn(TICKET)) {
        Effect::WriteStatus { status, what: StatusWrite::Record, .. } => (reconcile, object, status),
        other => panic!("no record is written: {other:#?}"),
    }
}

fn with(object: &ZenlayerPort, status: ZenlayerPortStatus) -> ZenlayerPort {
    ZenlayerPort { status: Some(status), ..object.clone() }
}

fn rejected() -> WriteResult {
    let rejection = Rejection::Answered { code: 422, words: "no changes today".to_owned() };
    WriteResult::Refused(rejection, Scenario::living().now)
}

#[test]
fn a_call_follows_its_record_as_the_api_server_holds_it() {
    let (mut reconcile, object, status) = recording();
    let written = with(&object, *status);
    let effect = reconcile.next(&written, Event::Written(WriteResult::Done));
    let Effect::Call(recorded, TICKET) = effect else { panic!("no call: {effect:#?}") };
    assert_eq!(recorded.action(), CallAction::DestroyPort);
}

#[test]
fn no_call_follows_a_write_that_left_no_record() {
    let (mut reconcile, object, _) = recording();
    let effect = reconcile.next(&object, Event::Written(WriteResult::Done));
    assert_eq!(effect, Effects::Decide { outcome: None, turn: Turn::Free });
}

#[test]
fn whoever_is_overtaken_at_the_record_keeps_the_ticket_as_long_as_a_call_is_due() {
    let (mut reconcile, object, _) = recording();
    let (_, plan) = due();
    reconcile.next(&object, Event::Written(WriteResult::Overtaken));
    let effect = reconcile.next(&object, Event::Decided(Box::new(plan)));
    assert_eq!(effect, Effect::TakeTurn(Some(TICKET)));

    let (mut reconcile, object, _) = recording();
    let keeps = Scenario::deleting(DeletionPolicy::Retain).decided();
    reconcile.next(&object, Event::Written(WriteResult::Overtaken));
    reconcile.next(&object, Event::Decided(Box::new(keeps)));
    assert_eq!(reconcile.ticket, None, "others wait for it");
}

#[test]
fn an_outcome_is_written_again_after_a_conflict_but_not_onto_the_record_of_another_call() {
    let answered = || {
        let (mut reconcile, object, status) = recording();
        let object = with(&object, *status);
        reconcile.next(&object, Event::Written(WriteResult::Done));
        let outcome = CallOutcome::Accepted { request_id: None };
        let effect = reconcile.next(&object, Event::Answered(outcome.clone()));
        assert_eq!(effect, Effect::Decide { outcome: Some(outcome), turn: Turn::Free });
        reconcile.next(&object, Event::Decided(Box::new(Scenario::living().decided())));
        (reconcile, object)
    };
    let (mut reconcile, object) = answered();
    let effect = reconcile.next(&object, Event::Written(WriteResult::Overtaken));
    assert!(matches!(effect, Effect::Decide { outcome: Some(_), .. }), "{effect:#?}");

    let (mut reconcile, mut object) = answered();
    let release = object.status.as_mut().and_then(|status| status.release.as_mut());
    release.and_then(|release| release.call.as_mut()).expect("a record").attempt += 1;
    let effect = reconcile.next(&object, Event::Written(WriteResult::Overtaken));
    assert!(matches!(effect, Effect::Announce(_) | Effect::End(_)), "{effect:#?}");
}

#[test]
fn an_object_that_changes_before_every_write_is_left_to_a_later_reconcile() {
    let (object, plan) = due();
    let (mut reconcile, mut effect) = Reconcile::begin(None);
    for _ in 0..100 {
        let event = match effect {
            Effect::End(end) => return assert_eq!(end, End::Contended),
            Effect::Decide { .. } => Event::Decided(Box::new(plan.clone())),
            Effect::TakeTurn(_) => Event::HasTurn(TICKET),
            _ => Event::Written(WriteResult::Overtaken),
        };
        effect = reconcile.next(&object, event);
    }
    panic!("it goes on: {effect:#?}");
}

#[test]
fn what_cannot_be_written_because_the_api_server_refuses_it_is_told_and_ends_the_reconcile() {
    let (mut reconcile, object, _) = recording();
    let effect = reconcile.next(&object, Event::Written(rejected()));
    let Effect::Announce(event) = effect else { panic!("nobody is told: {effect:#?}") };
    assert!(event.message.contains("no changes today"), "{event:#?}");
    let end = reconcile.next(&object, Event::Announced);
    assert!(matches!(end, Effect::End(End::Refused { .. })), "{end:#?}");
}

#[test]
fn a_call_is_sent_soon_after_its_record_by_the_key_that_the_record_names_or_not_at_all() {
    let (mut reconcile, object, status) = recording();
    let object = with(&object, *status);
    let Effect::Call(recorded, _) = reconcile.next(&object, Event::Written(WriteResult::Done)) else {
        panic!("no call")
    };
    let key = object.release().and_then(|release| release.call.clone()).expect("a record").credential;
    assert_eq!(recorded.check(BEGIN_WITHIN, &key), Ok(()));
    let refused = |since_decision, key| recorded.check(since_decision, key).map_err(|(cause, _)| cause);
    let late = BEGIN_WITHIN + Duration::from_millis(1);
    assert_eq!(refused(late, &key), Err(NotSentCause::RecordTooSlow));
    let other: Fingerprint = serde_json::from_value("00000000000000bb".into()).expect("a fingerprint");
    assert_eq!(refused(Duration::ZERO, &other), Err(NotSentCause::CredentialsChanged));
}

/// How a world may take an effect.
#[derive(Clone, Copy, Debug)]
enum Luck {
    Good,
    Overtaken,
    Gone,
    Refused,
    /// The answer is to something else.
    Crossed,
}

fn luck() -> impl Strategy<Value = Luck> {
    prop_oneof![
        6 => Just(Luck::Good),
        2 => Just(Luck::Overtaken),
        1 => Just(Luck::Gone),
        1 => Just(Luck::Refused),
        1 => Just(Luck::Crossed),
    ]
}

/// What a decision may say of the same object.
fn plans() -> Vec<Plan> {
    let deleting = |policy, status| Scenario::deleting(policy).seen(status).decided();
    vec![
        deleting(DeletionPolicy::Destroy, PortStatus::Recycled),
        deleting(DeletionPolicy::TerminateAndDestroy, PortStatus::Running),
        deleting(DeletionPolicy::Retain, PortStatus::Running),
        deleting(DeletionPolicy::Destroy, PortStatus::Running),
        Scenario::living().decided(),
    ]
}

proptest! {
    #[test]
    fn each_reconcile_ends_and_calls_only_on_a_record_that_was_written_just_before(
        steps in prop::collection::vec((luck(), 0..5_usize), 200),
    ) {
        let (mut object, _) = due();
        let plans = plans();
        let (mut reconcile, mut effect) = Reconcile::begin(None);
        let mut record = None;
        let mut ended = false;
        for (luck, which) in steps {
            let result = match luck {
                Luck::Good | Luck::Crossed => WriteResult::Done,
                Luck::Overtaken => WriteResult::Overtaken,
                Luck::Gone => WriteResult::Gone,
                Luck::Refused => rejected(),
            };
            let event = match effect {
                Effect::End(_) => { ended = true; break; }
                _ if matches!(luck, Luck::Crossed) => Event::Announced,
                Effect::Decide { .. } => Event::Decided(Box::new(plans[which].clone())),
                Effect::TakeTurn(_) if matches!(luck, Luck::Good) => Event::HasTurn(TICKET),
                Effect::TakeTurn(_) => Event::MustWait(Turn::BehindOthers),
                Effect::WriteStatus { status, what, .. } => {
                    if result == WriteResult::Done {
                        object.status = Some(*status);
                        record = (what == StatusWrite::Record).then(|| object.clone());
                    }
                    Event::Written(result)
                }
                Effect::WriteFinalizers { .. } => Event::Written(result),
                Effect::Call(..) => {
                    let record = record.take();
                    prop_assert_eq!(record.as_ref(), Some(&object), "there is no record for this call");
                    Event::Answered(CallOutcome::Unclear { why: String::new() })
                }
                Effect::Announce(_) => Event::Announced,
            };
            effect = reconcile.next(&object, event);
        }
        prop_assert!(ended, "it goes on for ever: {effect:#?}");
    }
}
