mod copies;
mod looks;
mod told;

use serde_json::{Value, json};
use zenlayer_simulator::{Cause, PortStatus, Transition};

use super::{Call, Change, Oracle, Violation, open_books};
use crate::plan::{Act, Fault, On, Plan, Port, Trouble};
use crate::story;

const PLACE: &str = "zenlayerports.sdn.zenlayer.com";
const MINUTE: u64 = 60_000;

/// One port of team-a in the bin, and the objects that a test makes.
struct Scene {
    oracle: Oracle,
    found: Vec<Violation>,
}

impl Scene {
    fn new(change: impl FnOnce(&mut Plan)) -> Self {
        let mut plan = story::one_deletion().plan;
        plan.ports = vec![Port {
            id: "port-1".to_owned(),
            account: "team-a".to_owned(),
            status: PortStatus::Recycled,
            prepaid: false,
            in_use: false,
            loud: false,
        }];
        change(&mut plan);
        let mut scene = Self { oracle: Oracle::new(&plan), found: Vec::new() };
        scene.port(None, Some(PortStatus::Recycled), Cause::Control);
        scene
    }

    fn port(&mut self, from: Option<PortStatus>, to: Option<PortStatus>, cause: Cause) {
        self.port_at(0, from, to, cause);
    }

    fn port_at(&mut self, at_ms: u64, from: Option<PortStatus>, to: Option<PortStatus>, cause: Cause) {
        let step = Transition { at_ms, port_id: "port-1".into(), from, to, cause };
        self.found.extend(self.oracle.port_changes(&step, None));
    }

    fn change(&mut self, before: Option<&Value>, after: Option<&Value>, now: u64) {
        let change = Change { place: PLACE, path: "team-a/edge", before, after };
        self.found.extend(self.oracle.object_changes(&change, true, now));
    }

    /// Something else at the API server changes.
    fn other(&mut self, place: &str, path: &str, after: Option<&Value>, now: u64) {
        let change = Change { place, path, before: None, after };
        self.found.extend(self.oracle.object_changes(&change, place == "events", now));
    }

    fn secret(&mut self, is_there: bool, now: u64) {
        let secret = json!({ "data": { "accessKeyId": "a2V5" } });
        self.other("secrets", "team-a/zenlayer", is_there.then_some(&secret), now);
    }

    fn call(&mut self, now: u64) {
        let (action, port, key) = ("DestroyPort".to_owned(), "port-1".to_owned(), "KEY-team-a-1".to_owned());
        self.found.extend(self.oracle.call_leaves(&Call { action, port, key }, now));
    }

    /// What was found, and nothing else.
    fn finds(&self, wanted: &str) {
        let found: Vec<String> = self.found.iter().map(ToString::to_string).collect();
        assert!(
            found.len() == 1 && found[0].contains(wanted),
            "{wanted:?} is not all that is found: {found:#?}"
        );
    }
}

/// An object that is being deleted.
fn deleted(name: &str, policy: &str) -> Value {
    json!({
        "apiVersion": "sdn.zenlayer.com/v1alpha1", "kind": "ZenlayerPort",
        "metadata": {
            "name": name, "namespace": "team-a", "uid": format!("uid-of-{name}"), "generation": 1,
            "deletionTimestamp": "2030-01-01T00:01:00Z", "finalizers": ["sdn.zenlayer.com/destroy-port"],
        },
        "spec": { "portId": "port-1", "deletionPolicy": policy, "deletionProtection": false },
    })
}

/// The same with the record of a call.
fn recorded(object: &Value, action: &str) -> Value {
    let mut object = object.clone();
    object["status"] = json!({ "release": { "uid": object["metadata"]["uid"], "call": {
        "action": action, "attempt": 1, "requestedTime": "2030-01-01T00:02:00Z", "portStatusBefore": "RECYCLED",
        "credential": "0123456789ab", "outcome": { "pending": {} },
    } } });
    object
}

/// Over the first hour.
fn fault(on: On, trouble: Trouble) -> Fault {
    Fault { id: 1, from_ms: 0, until_ms: 60 * MINUTE, replica: None, on, trouble, one_in: 1 }
}

#[test]
fn a_call_with_its_record_is_right_and_the_second_one_is_not() {
    let mut scene = Scene::new(|_| ());
    let object = deleted("edge", "Destroy");
    scene.change(None, Some(&object), 0);
    scene.change(Some(&object), Some(&recorded(&object, "DestroyPort")), MINUTE);
    scene.call(MINUTE + 50);
    assert_eq!(scene.found, []);
    scene.call(MINUTE + 100);
    scene.finds("leaves 2 times for call 1");
}

#[test]
fn a_call_without_a_record_or_long_after_it_is_wrong() {
    let mut scene = Scene::new(|_| ());
    let object = deleted("edge", "Destroy");
    scene.change(None, Some(&object), 0);
    scene.call(MINUTE);
    scene.finds("no object has a record of it");
    let mut scene = Scene::new(|_| ());
    scene.change(None, Some(&object), 0);
    scene.change(Some(&object), Some(&recorded(&object, "DestroyPort")), MINUTE);
    scene.call(MINUTE + 11_000);
    scene.finds("11000 ms after the record");
}

#[test]
fn a_record_against_policy_protection_grace_or_a_brake_is_wrong() {
    let wrong = |plan: fn(&mut Plan), object: &Value, action: &str, now: u64, wanted: &str| {
        let mut scene = Scene::new(plan);
        scene.change(None, Some(object), 0);
        scene.change(Some(object), Some(&recorded(object, action)), now);
        scene.finds(wanted);
    };
    let object = deleted("edge", "Destroy");
    wrong(|_| (), &object, "TerminatePort", MINUTE, "its policy is Destroy");
    wrong(|_| (), &deleted("edge", "Retain"), "DestroyPort", MINUTE, "its policy is Retain");
    wrong(|_| (), &object, "DestroyPort", 9_000, "the grace is not over");
    wrong(
        |plan| plan.config.require_approval = true,
        &object,
        "DestroyPort",
        MINUTE,
        "nobody has approved it",
    );
    wrong(
        |plan| plan.ports[0].account = "team-b".to_owned(),
        &object,
        "DestroyPort",
        MINUTE,
        "is of account team-b",
    );
    let mut protected = object.clone();
    protected["spec"]["deletionProtection"] = json!(true);
    wrong(|_| (), &protected, "DestroyPort", MINUTE, "it is protected");
    let mut alive = object;
    alive["metadata"].as_object_mut().expect("fields").remove("deletionTimestamp");
    wrong(|_| (), &alive, "DestroyPort", MINUTE, "it is not deleted");
}

#[test]
fn one_of_many_is_not_called_for() {
    let mut scene = Scene::new(|plan| plan.config.mass_deletion_threshold = 3);
    let objects = ["a", "b", "c", "d"].map(|name| deleted(name, "Destroy"));
    for object in &objects {
        scene.change(None, Some(object), 0);
    }
    scene.change(Some(&objects[0]), Some(&recorded(&objects[0], "DestroyPort")), 5 * MINUTE);
    scene.finds("3 others of its account wait");
}

#[test]
fn an_object_that_goes_before_its_port_is_a_leak() {
    let goes = |policy: &str, status: Option<PortStatus>| {
        let mut scene = Scene::new(|_| ());
        let object = deleted("edge", policy);
        scene.change(None, Some(&object), 0);
        scene.port(Some(PortStatus::Recycled), status, Cause::Time);
        scene.change(Some(&object), None, MINUTE);
        scene
    };
    goes("Destroy", Some(PortStatus::Destroying))
        .finds("goes under Destroy while its port is Some(Destroying)");
    goes("Terminate", Some(PortStatus::Running)).finds("goes under Terminate");
    for (policy, status) in [
        ("Destroy", Some(PortStatus::Destroyed)),
        ("Destroy", None),
        ("Terminate", Some(PortStatus::Recycled)),
        ("Retain", Some(PortStatus::Running)),
    ] {
        assert_eq!(goes(policy, status).found, []);
    }
}

#[test]
fn a_port_that_is_restored_at_the_last_moment_is_no_leak_and_a_minute_before_it_is_one() {
    let goes_at = |now: u64, stall_ms: u64| {
        let mut scene = Scene::new(|_| ());
        let object = deleted("edge", "Terminate");
        scene.change(None, Some(&object), 0);
        let _ = scene.oracle.act(&Act::Restore { port: "port-1".to_owned() }, MINUTE);
        let _ = scene.oracle.act(&Act::Stall { ms: stall_ms }, MINUTE + 1_000);
        scene.port(Some(PortStatus::Recycled), Some(PortStatus::Recovering), Cause::Control);
        scene.change(Some(&object), None, now);
        scene
    };
    assert_eq!(goes_at(MINUTE + 3_000, 0).found, []);
    goes_at(2 * MINUTE, 0).finds("goes under Terminate while its port is Some(Recovering)");
    assert_eq!(goes_at(2 * MINUTE, 40_000).found, [], "what stood still is not late");
    goes_at(2 * MINUTE, 5_000).finds("goes under Terminate while its port is Some(Recovering)");
}

#[test]
fn an_object_that_nobody_can_read_is_not_judged() {
    let mut scene = Scene::new(|_| ());
    scene.change(None, Some(&deleted("edge", "Destroy")), 0);
    assert_eq!(scene.oracle.end().len(), 1);
    let namespace = json!({});
    for (before, after, judged) in [(Some(&namespace), None, 0), (None, Some(&namespace), 1)] {
        let change = Change { place: "namespaces", path: "team-a", before, after };
        assert_eq!(scene.oracle.object_changes(&change, false, MINUTE), []);
        assert_eq!(scene.oracle.end().len(), judged);
    }
}

#[test]
fn an_object_that_waits_for_nobody_is_not_settled() {
    let mut scene = Scene::new(|_| ());
    let mut object = deleted("edge", "Destroy");
    scene.change(None, Some(&object), 0);
    let condition = |reason: &str| {
        json!({ "conditions": [{ "type": "Ready", "status": "False", "reason": reason, "message": "",
            "lastTransitionTime": "2030-01-01T00:00:00Z" }] })
    };
    for (reason, right) in
        [("Observing", false), ("NotInRecycleBin", false), ("InUse", false), ("MassDeletion", false)]
    {
        object["status"] = condition(reason);
        scene.change(Some(&object.clone()), Some(&object), MINUTE);
        assert_eq!(scene.oracle.end().is_empty(), right, "{reason}: {:?}", scene.oracle.end());
    }
    object["status"] = condition("NotInRecycleBin");
    scene.change(Some(&object.clone()), Some(&object), MINUTE);
    scene.port(Some(PortStatus::Recycled), Some(PortStatus::Running), Cause::Control);
    assert_eq!(scene.oracle.end(), []);
}

#[test]
fn a_restored_port_is_not_terminated_again() {
    let mut scene = Scene::new(|_| ());
    let mut object = deleted("edge", "TerminateAndDestroy");
    object["status"] = json!({ "release": { "uid": "uid-of-edge", "seenRecycled": true } });
    scene.change(None, Some(&object), 0);
    let _ = scene.oracle.act(&Act::Restore { port: "port-1".to_owned() }, MINUTE);
    scene.port(Some(PortStatus::Recycled), Some(PortStatus::Running), Cause::Control);
    scene.change(Some(&object), Some(&recorded(&object, "TerminatePort")), 10 * MINUTE);
    scene.finds("somebody has restored the port");
}

#[test]
fn few_calls_by_one_key_are_under_way_at_a_time() {
    let scene = Scene::new(|_| ());
    assert_eq!(scene.oracle.calls_at_once("KEY-team-a-1", 8), []);
    assert_eq!(scene.oracle.calls_at_once("KEY-team-a-1", 9).len(), 1);
}

#[test]
fn writes_that_rest_on_what_their_writer_had_overwritten_are_few_unless_answers_are_lost() {
    let outdated = |change: fn(&mut Plan)| {
        let mut scene = Scene::new(change);
        scene.change(None, Some(&deleted("edge", "Destroy")), 0);
        (0..10).flat_map(|_| scene.oracle.writes_outdated("team-a/edge", MINUTE)).count()
    };
    assert_eq!(outdated(|_| ()), 1);
    assert_eq!(
        outdated(|plan| plan.faults.push(fault(On::Watch(String::new()), Trouble::Slow { ms: 20_000 }))),
        1,
        "a process knows its own writes"
    );
    assert_eq!(outdated(|plan| plan.faults.push(fault(On::Api(String::new()), Trouble::LostAfter))), 0);
}

#[test]
fn passwords_and_open_books_are_noticed() {
    let scene = Scene::new(|_| ());
    assert_eq!(scene.oracle.reads_log("INFO a line about hunter-1-of-team-a-secret").len(), 1);
    assert_eq!(scene.oracle.reads_log("INFO a line"), []);
    assert!(open_books("zenlayer_port_operator_polled_ports 2").is_some());
    assert_eq!(
        open_books("zenlayer_port_operator_polled_ports 0\nzenlayer_port_operator_polled_keys 1"),
        None
    );
}
