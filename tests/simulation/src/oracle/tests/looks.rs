//! What a record of a call rests on.

use jiff::Timestamp;
use serde_json::json;
use zenlayer_simulator::{Cause, PortStatus, Transition};

use super::{MINUTE, Scene, deleted, fault, recorded};
use crate::plan::{Act, On, Trouble};

#[test]
fn a_record_rests_on_what_the_port_was_after_the_grace() {
    let records_after = |change_at: u64| {
        let mut scene = Scene::new(|_| ());
        let object = deleted("edge", "Destroy");
        scene.change(None, Some(&object), 0);
        scene.port_at(change_at, Some(PortStatus::Recycled), Some(PortStatus::Updating), Cause::Control);
        scene.change(Some(&object), Some(&recorded(&object, "DestroyPort")), 15_000);
        scene
    };
    // The grace ends after 10 s.
    records_after(9_000).finds("no status check since the grace can have shown the port as Recycled");
    assert_eq!(records_after(12_000).found, []);
}

#[test]
fn a_record_for_a_port_that_got_the_id_before_the_end_of_the_grace_is_wrong_unless_a_person_gave_the_object_that_port()
 {
    let records = |reissued_at: u64, approved_at: Option<u64>| {
        let mut scene = Scene::new(|_| ());
        let created = |second: i64| Timestamp::from_second(second).ok();
        let mut reissue = |at_ms, second| {
            let (port_id, to) = ("port-1".into(), Some(PortStatus::Recycled));
            let step = Transition { at_ms, port_id, from: None, to, cause: Cause::Control };
            let _ = scene.oracle.port_changes(&step, created(second));
        };
        reissue(0, 1_000);
        let mut object = deleted("edge", "Destroy");
        object["status"]["identity"] = json!({ "createdTime": "1970-01-01T00:16:40Z", "seenBy": ["a"] });
        let approve = |object: &mut serde_json::Value| {
            object["metadata"]["annotations"] =
                json!({ "sdn.zenlayer.com/approve": "IdentityChanged-uid-of-e-01234567" });
        };
        if approved_at == Some(0) {
            // For the port before, so it is spent.
            approve(&mut object);
        }
        scene.change(None, Some(&object), 0);
        let mut reissue = |at_ms, second| {
            let (port_id, to) = ("port-1".into(), Some(PortStatus::Recycled));
            let step = Transition { at_ms, port_id, from: None, to, cause: Cause::Control };
            let _ = scene.oracle.port_changes(&step, created(second));
        };
        reissue(reissued_at, 2_000);
        if approved_at.is_some_and(|at| at > 0) {
            approve(&mut object);
            scene.change(Some(&object.clone()), Some(&object), 12_000);
        }
        let mut record = recorded(&object, "DestroyPort");
        record["status"]["identity"] = object["status"]["identity"].clone();
        scene.change(Some(&object), Some(&record), 15_000);
        scene
    };
    records(9_000, None).finds("the id is that of another port now");
    records(9_000, Some(0)).finds("the id is that of another port now");
    assert_eq!(records(9_000, Some(12_000)).found, []);
    assert_eq!(records(12_000, None).found, [], "nobody could know it");
}

#[test]
fn an_object_takes_over_no_port_that_nobody_has_given_to_it() {
    let takes_over = |approved: bool, made_at: &str| {
        let mut scene = Scene::new(|_| ());
        let step = Transition {
            at_ms: 0,
            port_id: "port-1".into(),
            from: None,
            to: Some(PortStatus::Recycled),
            cause: Cause::Control,
        };
        let _ = scene.oracle.port_changes(&step, Timestamp::from_second(2_000).ok());
        let mut object = deleted("edge", "Destroy");
        object["status"]["identity"] = json!({ "createdTime": "1970-01-01T00:16:40Z", "seenBy": ["a"] });
        scene.change(None, Some(&object), 0);
        if approved {
            object["metadata"]["annotations"] =
                json!({ "sdn.zenlayer.com/approve": "IdentityChanged-uid-of-e-01234567" });
            scene.change(Some(&object.clone()), Some(&object), 1_000);
        }
        let before = object.clone();
        object["status"]["identity"]["createdTime"] = json!(made_at);
        scene.change(Some(&before), Some(&object), 2_000);
        scene
    };
    let (given, another) = ("1970-01-01T00:33:20Z", "1970-01-01T00:50:00Z");
    assert_eq!(takes_over(true, given).found, []);
    takes_over(false, given).finds("takes over a port that nobody has given to it");
    takes_over(true, another).finds("takes over a port that nobody has given to it");
}

#[test]
fn a_restoration_that_a_status_check_of_the_deletion_tells_of_stops_the_next_terminate() {
    let records = |shown_at: u64, action: &str| {
        let mut scene = Scene::new(|_| ());
        scene.secret(true, 0);
        let object = deleted("edge", "TerminateAndDestroy");
        scene.change(None, Some(&object), 0);
        assert_eq!(scene.oracle.zenlayer_shows("KEY-team-a-1", &["port-1".to_owned()], shown_at), []);
        let _ = scene.oracle.act(&Act::Restore { port: "port-1".to_owned() }, MINUTE);
        scene.port_at(MINUTE, Some(PortStatus::Recycled), Some(PortStatus::Running), Cause::Control);
        scene.change(Some(&object), Some(&recorded(&object, action)), MINUTE + 20_000);
        scene
    };
    records(30_000, "TerminatePort").finds("somebody has restored the port");
    assert_eq!(records(1_000, "TerminatePort").found, [], "the deletion may not have been known");
    assert_eq!(records(30_000, "DestroyPort").found, [], "it was restored just now");
}

#[test]
fn a_port_is_not_read_for_an_object_that_is_long_gone() {
    let read_at = |now: u64, is_gone: bool| {
        let mut scene = Scene::new(|_| ());
        let object = deleted("edge", "Retain");
        scene.change(None, Some(&object), 0);
        if is_gone {
            scene.change(Some(&object), None, MINUTE);
        }
        scene.oracle.zenlayer_shows("KEY-team-a-1", &["port-1".to_owned()], now).len()
    };
    assert_eq!([read_at(2 * MINUTE, true), read_at(6 * MINUTE, true), read_at(6 * MINUTE, false)], [0, 1, 0]);
}

#[test]
fn a_terminate_that_was_accepted_is_not_called_again_without_a_person() {
    let mut scene = Scene::new(|_| ());
    scene.port(Some(PortStatus::Recycled), Some(PortStatus::Running), Cause::Control);
    let object = deleted("edge", "TerminateAndDestroy");
    scene.change(None, Some(&object), 0);
    let mut record = recorded(&object, "TerminatePort");
    scene.change(Some(&object), Some(&record), MINUTE);
    record["status"]["release"]["call"]["outcome"] = json!({ "accepted": { "requestId": "T1" } });
    scene.change(Some(&object), Some(&record), MINUTE + 100);
    let mut again = recorded(&object, "TerminatePort");
    again["status"]["release"]["call"]["attempt"] = json!(2);
    scene.change(Some(&record), Some(&again), 20 * MINUTE);
    scene.finds("Zenlayer has accepted a TerminatePort of this deletion before");
}

#[test]
fn an_object_of_another_namespace_with_the_same_key_that_was_there_before_the_deletion_must_be_known() {
    let records_with = |made_ms: u64, has_secret: bool, trouble: Option<Trouble>| {
        let mut scene = Scene::new(|plan| {
            plan.guests.insert("guest".to_owned(), "team-a".to_owned());
            plan.faults.extend(trouble.map(|trouble| fault(On::Zenlayer(String::new()), trouble)));
        });
        if has_secret {
            scene.other("secrets", "guest/zenlayer", Some(&json!({})), 0);
        }
        let object = deleted("edge", "Destroy");
        let mut heir = deleted("heir", "Destroy");
        heir["metadata"]["namespace"] = json!("guest");
        heir["metadata"].as_object_mut().expect("fields").remove("deletionTimestamp");
        let (first, second) = if made_ms == 0 { (&heir, &object) } else { (&object, &heir) };
        scene.change(None, Some(first), 0);
        scene.change(None, Some(second), 1_000);
        scene.change(Some(&object), Some(&recorded(&object, "DestroyPort")), 15_000);
        scene
    };
    let records = |made_ms: u64, has_secret: bool| records_with(made_ms, has_secret, None);
    records(0, true).finds("guest/heir has the same port and stays");
    records_with(0, true, Some(Trouble::Slow { ms: 9_000 })).finds("guest/heir has the same port and stays");
    assert_eq!(records_with(0, true, Some(Trouble::LostAfter)).found, [], "its status checks fail");
    assert_eq!(records(0, false).found, [], "it cannot look");
    assert_eq!(records(1_000, true).found, [], "it came later");
}

#[test]
fn a_wait_without_a_secret_that_the_deletion_was_written_with_is_not_right() {
    let ends = |written_while_there: bool| {
        let mut scene = Scene::new(|_| ());
        scene.secret(true, 0);
        let mut object = deleted("edge", "Destroy");
        scene.change(None, Some(&object), MINUTE);
        if !written_while_there {
            scene.secret(false, MINUTE + 1);
        }
        object["status"] = json!({
            "release": { "uid": "uid-of-edge" },
            "conditions": [{ "type": "Ready", "status": "Unknown", "reason": "CredentialsUnavailable", "message": "",
                "lastTransitionTime": "2030-01-01T00:00:00Z" }],
        });
        // Told of by others, so that only the end is judged.
        scene.oracle.tenant("team-a").lacked = true;
        scene.change(Some(&object.clone()), Some(&object), MINUTE + 2);
        scene.secret(false, MINUTE + 3);
        scene.oracle.end().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(ends(false), Vec::<String>::new());
    let wrong = ends(true);
    assert!(wrong.len() == 1 && wrong[0].contains("says CredentialsUnavailable"), "{wrong:?}");
}

#[test]
fn a_reissue_after_the_port_lay_in_the_bin_ends_what_was_known_of_its_restoration() {
    let records = |reissued: bool| {
        let mut scene = Scene::new(|_| ());
        let mut object = deleted("edge", "TerminateAndDestroy");
        object["status"] = json!({ "release": { "uid": "uid-of-edge", "seenRecycled": true } });
        scene.change(None, Some(&object), 0);
        if reissued {
            let _ = scene.oracle.act(&Act::Reissue { port: "port-1".to_owned() }, MINUTE);
        }
        let _ = scene.oracle.act(&Act::Restore { port: "port-1".to_owned() }, 2 * MINUTE);
        scene.port(Some(PortStatus::Recycled), Some(PortStatus::Running), Cause::Control);
        scene.change(Some(&object), Some(&recorded(&object, "TerminatePort")), 10 * MINUTE);
        scene.found.len()
    };
    assert_eq!((records(false), records(true)), (1, 0));
}
