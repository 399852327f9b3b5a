use serde_json::{Value, json};

use super::*;
use crate::objects::{manifest, spec};

/// An object of one uid, with a reason that it shows.
fn shown(uid: &str, policy: &str, reason: &str, change: impl FnOnce(&mut Value)) -> Shown {
    let mut object = manifest("ports", "edge", &spec("port-1", policy));
    object["metadata"]["uid"] = json!(uid);
    let condition = json!({
        "type": "Ready", "status": "False", "reason": reason, "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    object["status"] = json!({ "conditions": [condition] });
    change(&mut object);
    serde_json::from_value(object).expect("an object")
}

fn delete(object: &mut Value) {
    object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
}

fn wishes(life: &Life) -> Vec<(Deletion, DeletionPolicy)> {
    life.wishes.iter().map(|(_, deletion, policy)| (*deletion, *policy)).collect()
}

#[test]
fn each_change_of_what_is_asked_is_kept_and_each_word_that_differs_from_the_last() {
    let mut record = Record::default();
    record.shows(shown("1", "Destroy", "Observing", |_| {}));
    record.shows(shown("1", "Destroy", "PortRecycled", |_| {}));
    record.shows(shown("1", "Destroy", "PortRecycled", delete));
    record.shows(shown("1", "Retain", "PortRetained", delete));
    let history = &record.0["edge"][0];
    let said: Vec<&str> = history.said.iter().map(|(reason, _)| reason.as_str()).collect();
    assert_eq!(said, ["Observing", "PortRecycled", "PortRetained"]);
    let asked = [
        (Deletion::NotAsked, DeletionPolicy::Destroy),
        (Deletion::Asked, DeletionPolicy::Destroy),
        (Deletion::Asked, DeletionPolicy::Retain),
    ];
    assert_eq!(wishes(&history.lives[0]), asked);
}

#[test]
fn nothing_is_asked_of_an_object_whose_policy_nobody_knows() {
    let mut record = Record::default();
    record.shows(shown("1", "Evaporate", "InvalidSpec", delete));
    assert_eq!(wishes(&record.0["edge"][0].lives[0]), [(Deletion::NotAsked, DeletionPolicy::Retain)]);
}

#[test]
fn an_object_is_gone_when_the_watch_says_so_or_when_a_new_list_does_not_have_it() {
    let mut record = Record::default();
    let gone = |record: &Record| {
        record.0["edge"][0].lives.iter().map(|life| life.gone.is_some()).collect::<Vec<_>>()
    };
    record.shows(shown("1", "Destroy", "Observing", |_| {}));
    record.is_gone(&shown("1", "Destroy", "Observing", delete));
    record.shows(shown("2", "Destroy", "Observing", |_| {}));
    assert_eq!(gone(&record), [true, false], "the second one only has the same name");
    record.lists(Some("elsewhere"), &HashSet::new());
    assert_eq!(gone(&record), [true, false], "the list is of another namespace");
    record.lists(Some("ports"), &HashSet::from(["2".to_owned()]));
    assert_eq!(gone(&record), [true, false], "the list has it");
    record.lists(None, &HashSet::new());
    assert_eq!(gone(&record), [true, true]);
    record.shows(shown("1", "Destroy", "Observing", |_| {}));
    assert_eq!(gone(&record), [false, true], "a restored etcd has brought it back");
}

#[test]
fn an_object_that_lost_its_finalizer_before_it_was_deleted_may_go_without_its_port() {
    let own = |object: &mut Value| object["metadata"]["finalizers"] = json!([FINALIZER]);
    let excused = |states: &[&dyn Fn(&mut Value)]| {
        let mut record = Record::default();
        for state in states {
            record.shows(shown("1", "Destroy", "Observing", state));
        }
        record.is_gone(&shown("1", "Destroy", "Observing", delete));
        let life = &record.0["edge"][0].lives[0];
        assert_eq!(wishes(life).last(), Some(&(Deletion::Asked, DeletionPolicy::Destroy)));
        life.subject(("ports", "edge"), "default", Instant::now()).excused.is_some()
    };
    let bare = |_: &mut Value| ();
    let deleted = |object: &mut Value| {
        own(object);
        delete(object);
    };
    assert!(!excused(&[&bare, &own, &deleted]), "the operator removes its finalizer");
    assert!(!excused(&[&own, &deleted, &delete]), "the same, and another finalizer keeps it");
    assert!(!excused(&[&own]), "it was deleted while the watch was cut");
    assert!(excused(&[&bare]), "it never had one");
    assert!(excused(&[&own, &bare]), "a person took it off");
}
