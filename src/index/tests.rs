//! The index as the watches fill it, and what this process writes meanwhile.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::api::{APPROVE_ANNOTATION, ZenlayerPortStatus};

fn at(second: u64) -> Monotonic {
    Monotonic::from_start(Duration::from_secs(second))
}

fn index() -> Index {
    let settings = IndexSettings {
        patience: Duration::from_secs(70),
        window: Duration::from_mins(10),
        most_deletions: 3,
    };
    Index::new(Arc::new(Sources::new(None, "zenlayer-system".to_owned())), settings, [None], at(0))
}

fn received(metadata: &Value, spec: &Value, status: &Value) -> Received {
    serde_json::from_value(json!({ "metadata": metadata, "spec": spec, "status": status }))
        .expect("an object")
}

fn object(name: &str, uid: &str, version: &str) -> Received {
    let metadata = json!({ "name": name, "namespace": "ports", "uid": uid, "resourceVersion": version });
    received(&metadata, &json!({ "portId": "port-1" }), &json!(null))
}

fn invalid(name: &str, uid: &str, version: &str) -> Received {
    let metadata = json!({ "name": name, "namespace": "ports", "uid": uid, "resourceVersion": version });
    received(&metadata, &json!({ "portId": "port-1", "deletionPolicy": "Obliterate" }), &json!(null))
}

fn names(references: &[Reference]) -> BTreeSet<&str> {
    references.iter().map(Reference::name).collect()
}

impl Index {
    /// Takes in a whole list; the objects that are to be looked at.
    fn list(&self, objects: Vec<Received>, began: Monotonic) -> Vec<Reference> {
        let mut unlisted: BTreeSet<Reference> = self.list_begins(None, began).into_iter().collect();
        let mut woken = Vec::new();
        for object in objects {
            unlisted.remove(&Reference::of(&object));
            woken.extend(self.put(object, ShownBy::List { began }, began).woken);
        }
        woken.extend(unlisted.iter().flat_map(|gone| self.remove(gone, began).woken));
        self.list_ends(None);
        woken
    }

    fn newest_version(&self, of: &Received) -> Option<String> {
        self.newest(&Reference::of(of))?.object().resource_version()
    }
}

#[test]
fn a_list_that_is_read_again_removes_what_vanished_and_tells_those_who_share_its_port() {
    let index = index();
    let listed = vec![object("a", "1", "1"), object("b", "2", "1"), invalid("c", "3", "1")];
    assert_eq!(names(&index.list(listed, at(1))), BTreeSet::from(["a", "b", "c"]));
    let a = object("a", "1", "1");
    let woken = index.list(vec![a.clone()], at(2));
    assert!(names(&woken).contains("a"), "it shares its port with those that are gone: {woken:?}");
    assert_eq!(index.list(vec![a.clone()], at(3)), [], "all is as it was");
    assert_eq!(index.lock().objects.keys().collect::<Vec<_>>(), [&Reference::of(&a)]);
}

#[test]
fn nobody_knows_who_uses_a_source_before_its_objects_are_listed() {
    let index = index();
    let source = Source::Secret { namespace: "ports".to_owned(), name: "secret-1".to_owned() };
    let shape =
        |name| Shape { name, uid: 0, port: 0, secret: 1, seen_by: vec![], deleted: false, is_valid: true };
    index.list_begins(None, at(1));
    index.put(shape(0).received(1), ShownBy::List { began: at(1) }, at(1));
    assert!(index.users().is_empty(), "others may be on the next page");
    assert!(index.may_be_used(&Source::Secret { namespace: "ports".to_owned(), name: "other".to_owned() }));
    index.put(shape(1).received(1), ShownBy::List { began: at(1) }, at(1));
    index.list_ends(None);
    assert_eq!(index.users().get(&source).map(Vec::len), Some(2));
    assert!(!index.may_be_used(&Source::Secret { namespace: "ports".to_owned(), name: "other".to_owned() }));
}

#[test]
fn an_object_that_can_no_longer_be_parsed_keeps_its_claim_and_what_was_learnt_of_it() {
    let index = index();
    let edge = object("edge", "1", "1");
    index.put(edge.clone(), ShownBy::Watch, at(1));
    assert_eq!(index.failed(edge.object()), 1);
    let change = index.put(invalid("edge", "1", "2"), ShownBy::Watch, at(2));
    assert_eq!(change.ended, Some(Reference::of(&edge)), "nobody reads its port");
    assert!(!index.is_decided_about(edge.object()), "nothing is decided about it");
    assert_eq!(index.claims(object("other", "2", "1").object(), None, at(2)).len(), 1, "it claims its port");
    index.put(object("edge", "1", "3"), ShownBy::Watch, at(3));
    assert_eq!(index.failed(edge.object()), 2, "what was learnt is kept");
}

#[test]
fn an_object_made_again_under_its_name_is_another() {
    let index = index();
    let edge = object("edge", "1", "1");
    index.put(edge.clone(), ShownBy::Watch, at(1));
    index.failed(edge.object());
    index.wrote(object("edge", "1", "9").object(), at(1));
    let new = object("edge", "2", "3");
    let change = index.put(new.clone(), ShownBy::Watch, at(2));
    assert_eq!(change.ended, Some(Reference::of(&new)), "what is registered for the former ends");
    assert_eq!(
        index.newest_version(&new).as_deref(),
        Some("3"),
        "what was written to the former is forgotten"
    );
    assert_eq!(index.failed(new.object()), 1);
    index.failed(edge.object());
    assert_eq!(index.failed(new.object()), 2, "who still reconciles the former changes nothing of it");
}

#[test]
fn the_watch_counts_once_it_is_as_new_as_the_last_write() {
    let index = index();
    let edge = object("edge", "1", "9");
    let newest = || index.newest_version(&edge).unwrap_or_default();
    index.put(edge.clone(), ShownBy::Watch, at(1));
    index.wrote(object("edge", "1", "12").object(), at(1));
    index.wrote(object("edge", "1", "10").object(), at(1));
    assert_eq!(newest(), "12", "an answer that comes late does not replace a newer write");
    index.put(object("edge", "1", "11"), ShownBy::Watch, at(2));
    assert_eq!(newest(), "12", "11 is older");
    index.put(object("edge", "1", "13"), ShownBy::Watch, at(3));
    assert_eq!(newest(), "13");
    index.wrote(object("edge", "1", "13").object(), at(4));
    assert!(index.lock().objects.values().all(|entry| entry.written.is_none()), "the watch was faster");
}

#[test]
fn what_was_written_before_a_list_is_not_newer_than_the_list() {
    let index = index();
    let edge = object("edge", "1", "5");
    index.list(vec![edge.clone()], at(1));
    index.wrote(object("edge", "1", "900").object(), at(2));
    index.list(vec![edge.clone()], at(2));
    assert_eq!(index.newest_version(&edge).as_deref(), Some("900"), "the list may have been read before");
    // Somebody has restored etcd to an older snapshot, and versions begin anew from there.
    let woken = index.list(vec![edge.clone()], at(3));
    assert_eq!(index.newest_version(&edge).as_deref(), Some("5"));
    assert_eq!(woken, [Reference::of(&edge)], "what was written is undone");
}

#[test]
fn where_versions_are_no_numbers_the_watch_counts() {
    let index = index();
    index.put(object("edge", "1", "x1"), ShownBy::Watch, at(1));
    index.wrote(object("edge", "1", "x2").object(), at(1));
    assert_eq!(index.newest_version(&object("edge", "1", "x1")).as_deref(), Some("x1"));
}

#[test]
fn a_person_s_change_is_looked_at_and_the_operator_s_own_status_is_not() {
    let is_looked_at = |change: fn(&mut ZenlayerPort)| {
        let edge = object("edge", "1", "1").object().clone();
        let mut changed = edge.clone();
        change(&mut changed);
        is_asked_anew(&edge, &changed)
    };
    assert!(is_looked_at(|edge| {
        edge.metadata.annotations =
            Some([(APPROVE_ANNOTATION.to_owned(), "InUse-0123abcd".to_owned())].into());
    }));
    assert!(is_looked_at(|edge| edge.metadata.generation = Some(2)));
    assert!(is_looked_at(|edge| edge.metadata.finalizers = Some(Vec::new())));
    assert!(is_looked_at(|edge| edge.metadata.uid = Some("another".to_owned())));
    assert!(!is_looked_at(|edge| edge.status = Some(ZenlayerPortStatus::default())));
}

/// What a watch may show of an object.
#[derive(Clone, Debug)]
struct Shape {
    name: usize,
    uid: usize,
    port: usize,
    secret: usize,
    seen_by: Vec<usize>,
    deleted: bool,
    is_valid: bool,
}

impl Shape {
    fn received(&self, version: usize) -> Received {
        let Self { name, uid, port, secret, seen_by, deleted, is_valid } = self;
        let metadata = json!({
            "name": format!("edge-{name}"), "namespace": "ports", "uid": format!("uid-{name}-{uid}"),
            "resourceVersion": version.to_string(), "finalizers": ["sdn.zenlayer.com/destroy-port"],
            "deletionTimestamp": deleted.then_some("2026-01-01T00:00:00Z"),
        });
        let policy = if *is_valid { "Destroy" } else { "Obliterate" };
        let spec = json!({
            "portId": format!("port-{port}"), "deletionPolicy": policy,
            "credentialsRef": { "name": format!("secret-{secret}") },
        });
        let seen_by: Vec<String> = seen_by.iter().map(|key| format!("key-{key}")).collect();
        let status = json!({ "identity": { "seenBy": seen_by } });
        received(&metadata, &spec, &if seen_by.is_empty() { json!(null) } else { status })
    }
}

#[derive(Clone, Debug)]
enum Step {
    Show(Shape),
    Delete(usize),
    /// The watch breaks, and lists again. Meanwhile these were deleted and others changed, unseen.
    Relist(Vec<Shape>, Vec<usize>),
}

fn shape() -> impl Strategy<Value = Shape> {
    let keys = prop::collection::vec(0..3_usize, 0..3);
    (0..5_usize, 0..2_usize, 0..3_usize, 0..2_usize, keys, any::<bool>(), prop::bool::weighted(0.8)).prop_map(
        |(name, uid, port, secret, seen_by, deleted, is_valid)| Shape {
            name,
            uid,
            port,
            secret,
            seen_by,
            deleted,
            is_valid,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => shape().prop_map(Step::Show),
        2 => (0..5_usize).prop_map(Step::Delete),
        1 => (prop::collection::vec(shape(), 0..4), prop::collection::vec(0..5_usize, 0..3))
            .prop_map(|(changed, deleted)| Step::Relist(changed, deleted)),
    ]
}

/// All that the index can be asked about the objects, whatever way it came to know of them.
fn answers(index: &Index) -> String {
    let contents = index.lock();
    let objects: Vec<_> =
        contents.objects.iter().map(|(reference, entry)| (reference, entry.known.object())).collect();
    format!(
        "{objects:#?}\n{:#?}\n{:#?}\n{:#?}",
        contents.by_port_sorted(),
        contents.by_source,
        contents.seen_together
    )
}

proptest! {
    #[test]
    fn whatever_the_watches_showed_the_index_is_what_a_fresh_list_would_give(
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let watched = index();
        let mut server: BTreeMap<usize, Received> = BTreeMap::new();
        for (version, step) in steps.into_iter().enumerate() {
            let now = at(version as u64 + 1);
            match step {
                Step::Show(shape) => {
                    let object = shape.received(version);
                    server.insert(shape.name, object.clone());
                    watched.put(object, ShownBy::Watch, now);
                }
                Step::Delete(name) => {
                    if let Some(gone) = server.remove(&name) {
                        watched.remove(&Reference::of(&gone), now);
                    }
                }
                Step::Relist(changed, deleted) => {
                    for shape in changed {
                        server.insert(shape.name, shape.received(version));
                    }
                    server.retain(|name, _| !deleted.contains(name));
                    watched.list(server.values().cloned().collect(), now);
                }
            }
        }
        let fresh = index();
        fresh.list(server.into_values().collect(), at(0));
        prop_assert_eq!(answers(&watched), answers(&fresh));
    }
}
