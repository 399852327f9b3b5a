//! The watch of `ZenlayerPort` objects, with a backoff of its own: a watch that fails slows nothing else down.

use std::collections::HashSet;
use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt, future};
use kube::Api;
use kube::runtime::reflector::{Lookup, ObjectRef, store::Writer};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{Predicate, PredicateConfig, WatchStreamExt, predicates, watcher as watch};

use super::roster::Change;
use super::shared::Shared;
use crate::api::ZenlayerPort;
use crate::server::Readiness;

/// The server ends a watch after this many seconds, well before load balancers that cut idle connections do.
const WATCH_TIMEOUT_SECONDS: u32 = 220;

/// The objects of `api` whose spec, finalizers or annotations changed. Errors are logged, counted and retried here, and
/// never reach the controller.
pub(super) fn objects(
    api: Api<ZenlayerPort>,
    namespace: Option<String>,
    writer: Writer<ZenlayerPort>,
    shared: Arc<Shared>,
    readiness: Readiness,
) -> impl Stream<Item = Result<ZenlayerPort, watcher::Error>> + Send + 'static {
    let mut bookkeeper = Bookkeeper {
        shared: Arc::clone(&shared),
        namespace,
        relisted: HashSet::new(),
        readiness: Some(readiness),
    };
    let changed = predicates::generation.combine(predicates::finalizers).combine(predicates::annotations);
    watch(api, watcher::Config::default().timeout(WATCH_TIMEOUT_SECONDS))
        .default_backoff()
        .modify(prune)
        .reflect(writer)
        .inspect_ok(move |event| bookkeeper.take_in(event))
        .applied_objects()
        .predicate_filter(changed, PredicateConfig::default())
        .filter_map(move |object| {
            if let Err(error) = &object {
                shared.metrics.watch_errors.inc();
                tracing::warn!(error = %error, "watching ZenlayerPorts failed; it is tried again");
            }
            future::ready(object.ok().map(Ok))
        })
}

/// What no decision reads takes no memory.
fn prune(object: &mut ZenlayerPort) {
    object.metadata.managed_fields = None;
    if let Some(annotations) = object.metadata.annotations.as_mut() {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}

/// Keeps the roster, and forgets what is gone.
struct Bookkeeper {
    shared: Arc<Shared>,
    /// The only one that the watch shows; none: it shows all.
    namespace: Option<String>,
    /// The objects of a list that is not complete yet.
    relisted: HashSet<ObjectRef<ZenlayerPort>>,
    /// Told once, when the first list is complete.
    readiness: Option<Readiness>,
}

impl Bookkeeper {
    fn take_in(&mut self, event: &Event<ZenlayerPort>) {
        match event {
            Event::Init => self.relisted.clear(),
            Event::InitApply(object) => {
                self.relisted.insert(object.to_object_ref(()));
                self.settle(self.shared.roster.put(object));
            }
            Event::InitDone => {
                let relisted = std::mem::take(&mut self.relisted);
                for reference in self.shared.roster.within(self.namespace.as_deref()) {
                    if !relisted.contains(&reference) {
                        self.settle(self.shared.roster.remove(&reference));
                    }
                }
                if let Some(readiness) = self.readiness.take() {
                    readiness.one_more();
                    tracing::info!(namespace = self.namespace, "the ZenlayerPorts are listed");
                }
            }
            Event::Apply(object) => self.settle(self.shared.roster.put(object)),
            Event::Delete(object) => self.settle(self.shared.roster.remove(&object.to_object_ref(()))),
        }
    }

    fn settle(&self, change: Change) {
        if let Some((reference, entry)) = change.gone {
            self.shared.forget(&reference, &entry.uid);
        }
        self.shared.wakes.wake(change.others);
    }
}
