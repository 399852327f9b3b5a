//! What a control plane does by itself: it establishes definitions, and empties what is terminating before that goes.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::kinds::{Kind, Rules};
use super::object::{finalizers, is_terminating, meta_text};
use super::state::State;
use super::store::Key;
use super::strategy::CLEANUP;

/// How long after its deletion the content of a namespace is deleted, and how long until it is looked at again.
const NAMESPACE: SignedDuration = SignedDuration::from_secs(5);
const NAMESPACE_AGAIN: SignedDuration = SignedDuration::from_secs(8);

/// How long until the objects of a terminating definition are looked at again.
const DEFINITION_AGAIN: SignedDuration = SignedDuration::from_secs(5);

const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";

pub(super) fn is_established(definition: &Value) -> bool {
    let mut conditions = definition["status"]["conditions"].as_array().into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Established" && condition["status"] == "True")
}

impl State {
    /// Does what is due. Returns when there is more to do.
    pub(super) fn work(&mut self) -> Option<Timestamp> {
        let now = (self.outside.now)();
        self.work_on_definitions(now);
        self.work_on_namespaces(now);
        // Whoever takes the finalizer off by hand leaves nothing to look at.
        let left = [DEFINITIONS, "namespaces"].map(|place| self.stored(place)).concat();
        self.due.retain(|uid, _| left.iter().any(|(_, object)| meta_text(object.value(), "uid") == uid));
        self.due.values().min().copied()
    }

    fn stored(&self, place: &str) -> Vec<(Key, Arc<super::object::Object>)> {
        self.store.of(place, "").map(|(key, object)| (key.clone(), Arc::clone(object))).collect()
    }

    /// Whether it is time; if so, when the next time is.
    fn is_due(&mut self, uid: &str, first: Timestamp, now: Timestamp, again: SignedDuration) -> bool {
        let due = *self.due.entry(uid.to_owned()).or_insert(first);
        if due <= now {
            self.due.insert(uid.to_owned(), now + again);
        }
        due <= now
    }

    fn work_on_definitions(&mut self, now: Timestamp) {
        let kind = self.kind("apiextensions.k8s.io", "v1", "customresourcedefinitions");
        let kind = kind.expect("a kind of its own");
        for (key, definition) in self.stored(DEFINITIONS) {
            let definition = definition.value();
            let uid = meta_text(definition, "uid").to_owned();
            if !is_terminating(definition) {
                if !is_established(definition) {
                    self.establish(key, definition.clone());
                }
                continue;
            }
            if !finalizers(definition).contains(&CLEANUP) || !self.is_due(&uid, now, now, DEFINITION_AGAIN) {
                continue;
            }
            let definition = &self.begin(&key, definition);
            let places: Vec<Arc<Kind>> = Kind::defined(definition).into_iter().take(1).collect();
            if self.empty(&places, "") {
                self.due.remove(&uid);
                let mut done = definition.clone();
                let kept: Vec<Value> = finalizers(definition)
                    .into_iter()
                    .filter(|name| *name != CLEANUP)
                    .map(|name| json!(name))
                    .collect();
                if kept.is_empty() {
                    self.store.remove(&key);
                    self.serve_changed(&kind, Some(definition), None);
                } else {
                    done["metadata"]["finalizers"] = kept.into();
                    let stored = self.store.put(key, done);
                    self.serve_changed(&kind, Some(definition), Some(stored.value()));
                }
            }
        }
    }

    /// Says that the objects are being deleted, and returns the definition as it is then.
    fn begin(&mut self, key: &Key, definition: &Value) -> Value {
        let mut begun = definition.clone();
        let conditions = begun["status"]["conditions"].as_array_mut();
        let pending = conditions.into_iter().flatten().find(|one| one["reason"] == "InstanceDeletionPending");
        let Some(condition) = pending else { return begun };
        condition["reason"] = json!("InstanceDeletionInProgress");
        condition["message"] = json!("CustomResource deletion is in progress");
        self.store.put(key.clone(), begun).value().clone()
    }

    fn establish(&mut self, key: Key, mut definition: Value) {
        let time = self.outside.time();
        let condition = |what: &str, reason: &str, message: &str| {
            json!({
                "type": what, "status": "True", "lastTransitionTime": time, "reason": reason, "message": message,
            })
        };
        definition["status"]["acceptedNames"] = definition["spec"]["names"].clone();
        definition["status"]["conditions"] = json!([
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ]);
        let stored = self.store.put(key, definition);
        self.serve(None, Some(stored.value()));
    }

    fn work_on_namespaces(&mut self, now: Timestamp) {
        for (key, namespace) in self.stored("namespaces") {
            let namespace = namespace.value();
            if !is_terminating(namespace) || !is_kept(namespace) {
                continue;
            }
            let uid = meta_text(namespace, "uid").to_owned();
            let deleted: Timestamp = meta_text(namespace, "deletionTimestamp").parse().unwrap_or(now);
            if !self.is_due(&uid, deleted + NAMESPACE, now, NAMESPACE_AGAIN) {
                continue;
            }
            let mut kinds: Vec<Arc<Kind>> = self.kinds().filter(|kind| kind.namespaced).cloned().collect();
            self.shuffle(&mut kinds);
            if self.empty(&kinds, &format!("{}/", key.path)) {
                self.due.remove(&uid);
                if finalizers(namespace).is_empty() {
                    self.store.remove(&key);
                } else {
                    let mut finalized = namespace.clone();
                    finalized["spec"] = json!({});
                    self.store.put(key, finalized);
                }
            } else {
                self.tell_what_is_left(key, namespace.clone(), &kinds);
            }
        }
    }

    /// The conditions of a namespace that is not empty yet.
    fn tell_what_is_left(&mut self, key: Key, mut namespace: Value, kinds: &[Arc<Kind>]) {
        let prefix = format!("{}/", key.path);
        let (mut kept, mut holding) = (BTreeMap::new(), BTreeMap::new());
        for kind in kinds {
            for (key, object) in self.stored(&kind.place()) {
                if key.path.starts_with(&prefix) {
                    *kept.entry(kind.resource()).or_insert(0) += 1;
                    for finalizer in finalizers(object.value()) {
                        *holding.entry(finalizer.to_owned()).or_insert(0) += 1;
                    }
                }
            }
        }
        let list = |counts: BTreeMap<String, u32>, verb: &str| {
            let counts =
                counts.iter().map(|(what, count)| format!("{what} {verb} {count} resource instances"));
            counts.collect::<Vec<_>>().join(", ")
        };
        let kept = format!("Some resources are remaining: {}", list(kept, "has"));
        let holding =
            format!("Some content in the namespace has finalizers remaining: {}", list(holding, "in"));
        let deleted = "All content successfully deleted, may be waiting on finalization";
        let parsed = "All legacy kube types successfully parsed";
        let discovered = "All resources successfully discovered";
        let before = namespace["status"]["conditions"].take();
        let conditions = [
            ("NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered", discovered),
            ("NamespaceDeletionGroupVersionParsingFailure", "False", "ParsedGroupVersions", parsed),
            ("NamespaceDeletionContentFailure", "False", "ContentDeleted", deleted),
            ("NamespaceContentRemaining", "True", "SomeResourcesRemain", &kept),
            ("NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain", &holding),
        ];
        let told = |at: usize, message: &str| before[at]["message"] == message;
        if conditions.iter().enumerate().all(|(at, (.., message))| told(at, message)) {
            return;
        }
        let time = self.outside.time();
        let conditions = conditions.map(|(what, status, reason, message)| {
            json!({
                "type": what, "status": status, "reason": reason, "message": message, "lastTransitionTime": time,
            })
        });
        namespace["status"]["conditions"] = json!(conditions);
        self.store.put(key, namespace);
    }

    /// The real server goes through the kinds of a namespace in no order.
    fn shuffle(&mut self, kinds: &mut [Arc<Kind>]) {
        for last in (1..kinds.len()).rev() {
            let other = self.outside.random() % (last as u64 + 1);
            kinds.swap(last, usize::try_from(other).unwrap_or_default());
        }
    }

    /// Deletes all objects of these kinds whose paths begin so. Whether none is left.
    fn empty(&mut self, kinds: &[Arc<Kind>], prefix: &str) -> bool {
        let mut left = false;
        for kind in kinds.iter().filter(|kind| !matches!(kind.rules, Rules::Namespace | Rules::Review)) {
            for (key, object) in self.stored(&kind.place()) {
                if key.path.starts_with(prefix) {
                    left |= self.remove_or_mark(kind, &key, &object).is_some();
                }
            }
        }
        !left
    }
}

/// A namespace that is not finalized yet.
fn is_kept(namespace: &Value) -> bool {
    namespace["spec"]["finalizers"].as_array().is_some_and(|all| !all.is_empty())
}
