//! What people are told.

use serde_json::{Value, json};

use super::super::Call;
use super::{MINUTE, Scene, deleted};
use crate::plan::{On, Trouble};

const KEY: &str = "KEY-team-a-1";

/// The object with this reason and message.
fn showing(object: &Value, reason: &str, message: &str) -> Value {
    let mut object = object.clone();
    object["status"]["conditions"] = json!([{ "type": "Ready", "status": "False", "reason": reason,
        "message": message, "lastTransitionTime": "2030-01-01T00:00:00Z" }]);
    object
}

/// What is found where the object comes to show this; `before` happens before.
fn shows(reason: &str, outcome: &Value, before: impl FnOnce(&mut Scene)) -> Scene {
    let mut scene = Scene::new(|_| ());
    scene.secret(true, 0);
    let mut object = deleted("edge", "Destroy");
    object["status"] = json!({ "release": { "uid": "uid-of-edge", "call": {
        "action": "DestroyPort", "attempt": 1, "requestedTime": "2030-01-01T00:02:00Z", "portStatusBefore": "RECYCLED",
        "credential": "0123456789ab", "outcome": outcome,
    } } });
    if outcome.is_null() {
        object["status"] = json!({ "release": { "uid": "uid-of-edge" } });
    }
    scene.change(None, Some(&object), 0);
    before(&mut scene);
    scene.change(Some(&object), Some(&showing(&object, reason, "")), MINUTE);
    scene
}

fn refused() -> Value {
    json!({ "refused": { "kind": "Other", "code": "NO" } })
}

#[test]
fn what_zenlayer_did_not_do_is_not_the_cause_of_anything() {
    let nothing = Value::Null;
    let answers = |status: u16, is_clear: bool| {
        move |scene: &mut Scene| scene.oracle.zenlayer_answers(KEY, Some("port-1"), Some(status), is_clear, 1)
    };
    shows("CloudUnavailable", &nothing, answers(429, true)).finds("every answer of Zenlayer's was clear");
    assert_eq!(shows("CloudUnavailable", &nothing, answers(502, true)).found, []);
    assert_eq!(shows("CloudUnavailable", &nothing, answers(200, false)).found, []);
    shows("DescribeRefused", &nothing, answers(429, true)).finds("nothing but too many requests");
    assert_eq!(shows("DescribeRefused", &nothing, answers(400, true)).found, []);
    shows("Refused", &nothing, answers(400, true)).finds("no call was refused");
    shows("Refused", &refused(), answers(429, true)).finds("nothing but too many requests");
    assert_eq!(shows("Refused", &refused(), answers(400, true)).found, []);
    shows("Queued", &nothing, |scene| scene.oracle.zenlayer_pauses(KEY, 1, 2 * MINUTE))
        .finds("Zenlayer asked for a pause that lasts");
    assert_eq!(shows("Queued", &nothing, |scene| scene.oracle.zenlayer_pauses(KEY, 1, 9_000)).found, []);
    let unclear = |why: &str| json!({ "unclear": { "why": why } });
    shows("Confirming", &unclear("something"), answers(502, false)).finds("not that the answer was 502");
    assert_eq!(shows("Confirming", &unclear("502 with a body"), answers(502, false)).found, []);
}

#[test]
fn a_call_that_a_pause_kept_back_is_not_explained_by_the_answer_to_another_call() {
    let kept_back = json!({ "notSent": { "cause": "Throttled", "why": "a pause" } });
    let answer = |call_of: Option<&'static str>| {
        move |scene: &mut Scene| scene.oracle.zenlayer_answers(KEY, call_of, None, false, 1)
    };
    shows("CloudUnavailable", &kept_back, answer(Some("port-1"))).finds("its call waits for a pause");
    assert_eq!(shows("CloudUnavailable", &kept_back, answer(None)).found, [], "a status check failed");
}

#[test]
fn a_pause_is_known_soon_if_nothing_goes_wrong_and_later_while_a_fault_lasts() {
    let queued = |change: fn(&mut crate::plan::Plan)| {
        let mut scene = Scene::new(change);
        let object = deleted("edge", "Destroy");
        scene.secret(true, 0);
        scene.change(None, Some(&object), 0);
        scene.oracle.zenlayer_pauses(KEY, MINUTE, 3 * MINUTE);
        scene.change(Some(&object), Some(&showing(&object, "Queued", "")), MINUTE + 3_000);
        scene
    };
    queued(|_| ()).finds("Zenlayer asked for a pause that lasts");
    let late = queued(|plan| plan.faults.push(super::fault(On::Api(String::new()), Trouble::LostAfter)));
    assert_eq!(late.found, []);
}

#[test]
fn a_secret_that_was_there_all_the_time_is_not_said_to_be_missing() {
    shows("CredentialsUnavailable", &Value::Null, |_| ()).finds("its Secret was there all the time");
    let went = shows("CredentialsUnavailable", &Value::Null, |scene| scene.secret(false, 1));
    assert_eq!(went.found, []);
}

#[test]
fn a_message_prints_commands_that_act_on_its_object_alone() {
    let says = |message: &str| {
        let mut scene = Scene::new(|_| ());
        let object = deleted("edge", "Destroy");
        scene.change(None, Some(&object), 0);
        scene.change(Some(&object), Some(&showing(&object, "GracePeriod", message)), 1);
        scene
    };
    assert_eq!(says("To keep it: kubectl delete zenlayerport edge -n team-a && kubectl get zenlayerport edge -n team-a").found, []);
    says("kubectl delete zenlayerport --all -n team-a").finds("acts on other objects too");
    says("kubectl get zenlayerports -n team-a -o name | sh").finds("acts on other objects too");
    says("kubectl delete zenlayerport core -n team-a").finds("does not act on the object");
}

#[test]
fn what_steers_a_terminal_is_noticed() {
    let mut scene = Scene::new(|_| ());
    let object = deleted("edge", "Destroy");
    scene.change(None, Some(&showing(&object, "GracePeriod", "a \u{1b}[31mred word")), 0);
    scene.finds("holds a control character");
    assert_eq!(scene.oracle.reads_log("INFO a \u{7} bell\n").len(), 1);
    assert_eq!(scene.oracle.reads_log("INFO a line\n"), []);
}

fn event(reason: &str, note: &str) -> Value {
    json!({ "reason": reason, "note": note, "regarding": { "uid": "uid-of-edge" } })
}

#[test]
fn the_last_event_comes_when_the_finalizer_is_off_and_names_the_request() {
    let tells = |note: &str, is_gone: bool| {
        let mut scene = shows("Destroying", &json!({ "accepted": { "requestId": "T1" } }), |_| ());
        if is_gone {
            let object = deleted("edge", "Retain");
            scene.change(Some(&object), None, MINUTE);
        }
        scene.other("events", "team-a/edge.1", Some(&event("PortDestroyed", note)), MINUTE);
        scene
    };
    assert_eq!(tells("Port port-1 is gone (request T1)", true).found, []);
    tells("Port port-1 is gone", true).finds("does not name T1");
    tells("It is gone (request T1)", true).finds("does not name port-1");
    tells("Port port-1 is gone (request T1)", false).finds("which still has the finalizer");
}

#[test]
fn an_event_that_does_not_come_is_missed() {
    let refused_without_event = |event_at: Option<u64>, dies: bool| {
        let answers =
            |scene: &mut Scene| scene.oracle.zenlayer_answers(KEY, Some("port-1"), Some(400), true, 1);
        let mut scene = shows("Refused", &refused(), answers);
        if let Some(at) = event_at {
            scene.other("events", "team-a/edge.1", Some(&event("Refused", "")), at);
        }
        if dies {
            scene.oracle.dies(MINUTE + 1);
        }
        scene.other("leases", "a", None, 3 * MINUTE);
        scene
    };
    refused_without_event(None, false).finds("says Refused, and no Event does");
    assert_eq!(refused_without_event(Some(MINUTE + 100), false).found, []);
    assert_eq!(refused_without_event(None, true).found, []);
}

#[test]
fn one_of_few_is_not_held_as_one_of_many_and_refused_writes_are_few() {
    let mut scene = Scene::new(|_| ());
    let object = deleted("edge", "Destroy");
    scene.change(None, Some(&object), 0);
    let mut latched = object.clone();
    latched["status"] = json!({ "release": { "uid": "uid-of-edge", "latched": true } });
    scene.change(Some(&object), Some(&latched), MINUTE);
    scene.finds("is held as one of many, and there are 1 of its account");
    let refused = (0..200).flat_map(|_| scene.oracle.refuses("team-a/edge", MINUTE)).count();
    assert_eq!(refused, 1, "the rest adds nothing");
}

#[test]
fn a_call_by_a_key_of_another_account_has_no_record() {
    let mut scene = Scene::new(|plan| {
        plan.guests.insert("guest".to_owned(), "team-a".to_owned());
    });
    let call =
        |key: &str| Call { action: "DestroyPort".to_owned(), port: "port-1".to_owned(), key: key.to_owned() };
    let mut guest = deleted("edge", "Destroy");
    guest["metadata"]["namespace"] = json!("guest");
    scene.change(None, Some(&guest), 0);
    scene.change(Some(&guest), Some(&super::recorded(&guest, "DestroyPort")), MINUTE);
    assert_eq!(scene.oracle.call_leaves(&call(KEY), MINUTE + 50), []);
    assert_eq!(scene.oracle.call_leaves(&call("KEY-guest-1"), MINUTE + 60).len(), 1);
}
