//! The watch of `ZenlayerPort` objects, with a backoff of its own: a watch that fails slows nothing else down.

use std::collections::HashSet;
use std::sync::Arc;

use futures::{Stream, StreamExt, future, stream};
use kube::Client;
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::{self, Event};
use tokio::sync::Notify;

use super::received::Received;
use super::reference::{Reference, reference};
use super::roster::Change;
use super::shared::Shared;
use super::watch;
use crate::api::ZenlayerPort;
use crate::clock::Monotonic;
use crate::server::Readiness;

/// The objects of `namespace` (none: of all) to be looked at, as something changed that a decision rests on. Errors are
/// logged, counted and retried here, and never reach the controller; nor do objects that cannot be parsed, each of which
/// would end a typed watch of them all.
pub(super) fn objects(
    client: Client,
    namespace: Option<String>,
    writer: Writer<ZenlayerPort>,
    shared: Arc<Shared>,
    readiness: Readiness,
) -> impl Stream<Item = Result<ZenlayerPort, watcher::Error>> + Send + 'static {
    let mut intake = Intake {
        writer,
        shared,
        namespace: namespace.clone(),
        unlisted: HashSet::new(),
        list_began: Monotonic::default(),
        readiness: Some(readiness),
    };
    let relist = intake.shared.timing.relist;
    let clock = intake.shared.clock;
    let heard = intake.shared.metrics.watch(clock.wall());
    let from_the_list = move || {
        // A list may take longer than the pause before the next one.
        let listed = Arc::new(Notify::new());
        let is_listed = Arc::clone(&listed);
        watch::events(client.clone(), namespace.as_deref(), heard.clone(), clock)
            .default_backoff()
            .inspect(move |event| {
                if matches!(event, Ok(Event::InitDone)) {
                    listed.notify_one();
                }
            })
            .take_until(async move {
                is_listed.notified().await;
                tokio::time::sleep(relist).await;
            })
    };
    stream::repeat_with(from_the_list).flatten().filter_map(move |event| {
        let object = match event {
            Ok(event) => intake.take_in(event),
            Err(error) => {
                intake.shared.metrics.watch_errors.inc();
                tracing::warn!(%error, "the watch on ZenlayerPorts failed; the operator tries again");
                None
            }
        };
        future::ready(object.map(Ok))
    })
}

/// Whether something else is asked of the operator than before; the status is its own.
pub(super) fn is_asked_anew(before: &ZenlayerPort, now: &ZenlayerPort) -> bool {
    let (before, now) = (&before.metadata, &now.metadata);
    before.uid != now.uid
        || before.generation != now.generation
        || before.deletion_timestamp != now.deletion_timestamp
        || before.finalizers != now.finalizers
        || before.annotations != now.annotations
}

/// Keeps kube's store, the roster and the invalid objects, and forgets what is gone.
struct Intake {
    writer: Writer<ZenlayerPort>,
    shared: Arc<Shared>,
    /// The only one that the watch shows; none: it shows all.
    namespace: Option<String>,
    /// Known objects that a list under way has not shown yet. Not those that it has: each would be named anew.
    unlisted: HashSet<Reference>,
    /// When the newest list began.
    list_began: Monotonic,
    /// Told once, when the first list is complete.
    readiness: Option<Readiness>,
}

impl Intake {
    /// Returns the object that the event is about, if the controller can and should look at it.
    fn take_in(&mut self, event: Event<Received>) -> Option<ZenlayerPort> {
        match event {
            Event::Init => {
                self.list_began = self.now();
                self.shared.lists.begins(self.namespace.as_deref(), self.list_began);
                self.unlisted = self.shared.roster.within(self.namespace.as_deref()).into_iter().collect();
                if self.is_first_list() {
                    self.writer.apply_watcher_event(&Event::Init);
                }
                None
            }
            Event::InitApply(object) => {
                self.unlisted.remove(&reference(&object));
                self.shared.own_writes.listed(object.object(), self.list_began);
                if self.is_first_list() {
                    self.put(object, Event::InitApply)
                } else {
                    // One by one, as changes: kube's store would hold all objects twice meanwhile. And whatever differs
                    // counts: a restored etcd brings back an older status, too.
                    self.apply(object, |before, now| before != now)
                }
            }
            Event::InitDone => {
                if self.is_first_list() {
                    self.writer.apply_watcher_event(&Event::InitDone);
                }
                self.end_list();
                None
            }
            Event::Apply(object) => self.apply(object, is_asked_anew),
            Event::Delete(object) => {
                self.remove(&reference(&object));
                None
            }
        }
    }

    fn is_first_list(&self) -> bool {
        self.readiness.is_some()
    }

    /// Takes in the object as it is now, and returns it if it is new or `changed` from what is known.
    fn apply(
        &mut self,
        object: Received,
        changed: fn(&ZenlayerPort, &ZenlayerPort) -> bool,
    ) -> Option<ZenlayerPort> {
        let reference = reference(&object);
        let before = self.writer.as_reader().get(&reference);
        let object = self.put(object, Event::Apply);
        self.release_parsed(&reference);
        object.filter(|now| before.is_none_or(|before| changed(&before, now)))
    }

    fn put(
        &mut self,
        object: Received,
        event: fn(ZenlayerPort) -> Event<ZenlayerPort>,
    ) -> Option<ZenlayerPort> {
        let reference = reference(&object);
        match object.0 {
            // A list repeats what is known; thousands of copies in place of their equals would scatter the memory.
            Ok(object) if self.is_known(&reference, &object) => Some(object),
            Ok(object) => {
                let before = self.known(&reference);
                self.shared.count_deletion(&object);
                self.writer.apply_watcher_event(&event(object.clone()));
                // After that: who writes it at this moment looks into the store.
                self.shared.own_writes.shown(&object);
                self.settle(self.shared.roster.put(&object, before.as_deref(), self.now()));
                Some(object)
            }
            Err(invalid) => {
                let before = self.known(&reference);
                self.shared.count_deletion(&invalid.salvaged);
                let change = self.shared.roster.put(&invalid.salvaged, before.as_deref(), self.now());
                self.shared.invalids.hold(reference.clone(), invalid);
                self.evict(&reference);
                self.shared.stop_reading(&reference);
                self.settle(change);
                None
            }
        }
    }

    fn now(&self) -> Monotonic {
        self.shared.clock.monotonic()
    }

    /// The object as it was shown last.
    fn known(&self, reference: &Reference) -> Option<Arc<ZenlayerPort>> {
        let parsed = self.writer.as_reader().get(reference);
        parsed.or_else(|| self.shared.invalids.salvaged(reference))
    }

    fn is_known(&self, reference: &Reference, object: &ZenlayerPort) -> bool {
        self.writer.as_reader().get(reference).is_some_and(|known| *known == *object)
    }

    fn end_list(&mut self) {
        for salvaged in self.shared.invalids.all_salvaged() {
            self.release_parsed(&reference(salvaged.as_ref()));
        }
        for reference in std::mem::take(&mut self.unlisted) {
            self.remove(&reference);
        }
        self.shared.lists.ends(self.namespace.as_deref());
        if let Some(readiness) = self.readiness.take() {
            readiness.one_more();
            tracing::info!(namespace = self.namespace, "listed the ZenlayerPorts");
        }
    }

    /// Once it is in the store, and not before: others must not miss it meanwhile.
    fn release_parsed(&self, reference: &Reference) {
        if self.writer.as_reader().get(reference).is_some() {
            self.shared.invalids.release(reference);
        }
    }

    fn remove(&mut self, reference: &Reference) {
        self.evict(reference);
        self.shared.invalids.release(reference);
        self.shared.deletions.remove(reference, self.now());
        self.settle(self.shared.roster.remove(reference));
    }

    /// To the controller the object is gone.
    fn evict(&mut self, reference: &Reference) {
        if let Some(object) = self.writer.as_reader().get(reference) {
            self.writer.apply_watcher_event(&Event::Delete(object.as_ref().clone()));
        }
    }

    fn settle(&self, change: Change) {
        if let Some((reference, entry)) = change.gone {
            self.shared.forget(&reference, &entry.uid);
        }
        self.shared.wakes.wake(change.others);
    }
}

#[cfg(test)]
mod tests {
    use kube::ResourceExt;
    use serde_json::{Value, json};

    use super::super::tests::stage::Stage;
    use super::*;

    fn object(name: &str, uid: &str, spec: &Value) -> Received {
        let metadata = json!({ "name": name, "namespace": "ports", "uid": uid, "resourceVersion": "1" });
        serde_json::from_value(json!({ "metadata": metadata, "spec": spec })).expect("an object")
    }

    fn valid(name: &str, uid: &str) -> Received {
        object(name, uid, &json!({ "portId": "port-1" }))
    }

    fn invalid(name: &str, uid: &str) -> Received {
        object(name, uid, &json!({ "portId": "port-1", "deletionPolicy": "Obliterate" }))
    }

    fn intake(stage: &Stage) -> Intake {
        let (_, writer) = kube::runtime::reflector::store();
        let shared = Arc::clone(&stage.shared);
        let readiness = Some(Readiness::after(1));
        let (unlisted, list_began) = (HashSet::new(), Monotonic::default());
        Intake { writer, shared, namespace: None, unlisted, list_began, readiness }
    }

    impl Intake {
        /// Takes in a whole list; the names of the objects that are to be looked at.
        fn list(&mut self, objects: Vec<Received>) -> Vec<String> {
            let listed = objects.into_iter().map(Event::InitApply);
            let events = std::iter::once(Event::Init).chain(listed).chain([Event::InitDone]);
            events.filter_map(|event| self.take_in(event)).map(|object| object.name_any()).collect()
        }

        fn stored(&self) -> Vec<String> {
            let mut names: Vec<_> = self.writer.as_reader().state().iter().map(|it| it.name_any()).collect();
            names.sort();
            names
        }
    }

    #[tokio::test]
    async fn a_list_that_is_read_again_removes_what_vanished_and_tells_those_who_share_its_port() {
        let stage = Stage::new();
        let mut intake = intake(&stage);
        assert_eq!(intake.list(vec![valid("a", "1"), valid("b", "2"), invalid("c", "3")]), ["a", "b"]);
        assert_eq!(intake.stored(), ["a", "b"]);
        let a = valid("a", "1");
        assert_eq!(stage.shared.roster.within(None).len(), 3, "c is known, though it cannot be parsed");
        stage.shared.wrote(valid("b", "2").object());
        assert_eq!(intake.list(vec![a.clone()]), [""; 0], "a is as it was");
        assert_eq!(intake.stored(), ["a"]);
        assert_eq!(stage.shared.roster.within(None), [reference(&a)], "nothing of b and c is left");
        assert_eq!(stage.shared.own_writes.len(), 0, "nor what was written to them");
        assert_eq!(stage.shared.invalids.all_salvaged().len(), 0);
    }

    #[tokio::test]
    async fn an_object_made_again_under_its_name_is_another() {
        let stage = Stage::new();
        let mut intake = intake(&stage);
        intake.list(vec![valid("a", "1")]);
        stage.shared.wrote(valid("a", "1").object());
        assert_eq!(intake.list(vec![valid("a", "2")]), ["a"]);
        assert_eq!(stage.shared.own_writes.len(), 0, "what was written to the former is forgotten");
    }

    #[tokio::test]
    async fn an_object_that_can_no_longer_be_parsed_leaves_the_store_and_keeps_its_claim() {
        let stage = Stage::new();
        let mut intake = intake(&stage);
        intake.list(vec![valid("a", "1"), valid("b", "2")]);
        assert!(intake.take_in(Event::Apply(invalid("b", "2"))).is_none(), "nothing is decided about it");
        assert_eq!(intake.stored(), ["a"]);
        assert_eq!(stage.shared.roster.within(None).len(), 2, "it still claims its port");
        let parsed = intake.take_in(Event::Apply(valid("b", "2"))).map(|object| object.name_any());
        assert_eq!(parsed.as_deref(), Some("b"));
        assert_eq!(stage.shared.invalids.all_salvaged().len(), 0);
    }

    #[tokio::test]
    async fn an_own_write_is_remembered_until_the_watch_shows_it() {
        let stage = Stage::new();
        let mut intake = intake(&stage);
        intake.list(vec![valid("a", "1")]);
        let mut written = valid("a", "1").object().clone();
        written.metadata.resource_version = Some("2".to_owned());
        written.metadata.generation = Some(2);
        stage.shared.wrote(&written);
        intake.take_in(Event::Delete(valid("b", "9")));
        assert_eq!(stage.shared.own_writes.len(), 1);
        intake.take_in(Event::Apply(Received(Ok(written))));
        assert_eq!(stage.shared.own_writes.len(), 0);
    }

    #[tokio::test]
    async fn what_was_written_before_a_list_is_not_newer_than_the_list() {
        let stage = Stage::new();
        let mut intake = intake(&stage);
        intake.list(vec![valid("a", "1")]);
        let mut written = valid("a", "1").object().clone();
        written.metadata.resource_version = Some("900".to_owned());
        stage.shared.wrote(&written);
        // Somebody has restored etcd to an older snapshot, and versions begin anew from there.
        intake.list(vec![valid("a", "1")]);
        assert_eq!(stage.shared.own_writes.len(), 0);
    }
}
