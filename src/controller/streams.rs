//! Follows the `ZenlayerPort` objects of the API server, with a backoff of its own: a watch that fails slows nothing else down.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use kube::Client;
use kube::runtime::watcher::{self, Event};
use tokio::sync::Notify;

use super::registrations::Registrations;
use super::watch;
use crate::clock::{Clock, Monotonic};
use crate::decision::error_backoff;
use crate::index::{Change, Received, Reference, ShownBy};
use crate::server::{Metrics, Readiness};

/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A watch that has not failed for this long goes well: the next failure is the first.
const GOES_WELL: Duration = Duration::from_mins(2);

/// What is watched, and how.
pub(super) struct Watch {
    pub(super) client: Client,
    /// None: all namespaces.
    pub(super) namespace: Option<String>,
    /// The pause between two lists.
    pub(super) relist: Duration,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
}

/// Keeps the index as the watched objects are, for ever, and wakes those that are to be looked at. Errors are logged, counted and
/// retried here.
pub(super) async fn follow(watch: Watch, registrations: Arc<Registrations>, readiness: Readiness) {
    let (clock, metrics) = (watch.clock, watch.metrics.clone());
    let mut intake = Intake::new(registrations, watch.namespace.clone(), clock, readiness);
    let mut events = std::pin::pin!(events(watch));
    let (mut failures, mut failed_at) = (0_u32, None);
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => intake.take_in(event),
            Err(error) => {
                metrics.watch_errors.inc();
                let now = clock.monotonic();
                let in_a_row = failed_at.is_some_and(|before| now.since(before) < GOES_WELL);
                failures = if in_a_row { failures.saturating_add(1) } else { 1 };
                let pause = error_backoff(failures, 0).min(LONGEST_PAUSE);
                tracing::warn!(
                    %error, retry_in_seconds = pause.as_secs(),
                    "the watch on ZenlayerPorts failed; the operator tries again"
                );
                tokio::time::sleep(pause).await;
                failed_at = Some(clock.monotonic());
            }
        }
    }
}

/// The events of a watch that begins with a list again and again.
fn events(watch: Watch) -> impl Stream<Item = Result<Event<Received>, watcher::Error>> + Send {
    let Watch { client, namespace, relist, clock, metrics } = watch;
    let heard = metrics.watch(clock.wall());
    let from_the_list = move || {
        // A list may take longer than the pause before the next one.
        let listed = Arc::new(Notify::new());
        let is_listed = Arc::clone(&listed);
        watch::events(client.clone(), namespace.as_deref(), heard.clone(), clock)
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
    stream::repeat_with(from_the_list).flatten()
}

/// Takes what a watch shows into the index.
pub(super) struct Intake {
    registrations: Arc<Registrations>,
    clock: Clock,
    /// The only one that the watch shows; none: it shows all.
    namespace: Option<String>,
    /// Known objects that a list under way has not shown yet. Not those that it has: each would be named anew.
    unlisted: BTreeSet<Reference>,
    /// The objects of the first list. They are reconciled when it is complete: before that, the operator does not know all claims
    /// and deletions.
    first: BTreeSet<Reference>,
    /// When the newest list began.
    list_began: Monotonic,
    /// Told once, when the first list is complete.
    readiness: Option<Readiness>,
}

impl Intake {
    pub(super) fn new(
        registrations: Arc<Registrations>,
        namespace: Option<String>,
        clock: Clock,
        readiness: Readiness,
    ) -> Self {
        let (unlisted, first, list_began) = (BTreeSet::new(), BTreeSet::new(), Monotonic::default());
        Self { registrations, clock, namespace, unlisted, first, list_began, readiness: Some(readiness) }
    }

    pub(super) fn take_in(&mut self, event: Event<Received>) {
        let now = self.clock.monotonic();
        let index = &self.registrations.index;
        let change = match event {
            Event::Init => {
                self.list_began = now;
                self.unlisted = index.list_begins(self.namespace.as_deref(), now).into_iter().collect();
                Change::default()
            }
            Event::InitApply(object) => {
                self.unlisted.remove(&Reference::of(&object));
                index.put(object, ShownBy::List { began: self.list_began }, now)
            }
            Event::InitDone => return self.end_list(now),
            Event::Apply(object) => index.put(object, ShownBy::Watch, now),
            Event::Delete(object) => index.remove(&Reference::of(&object), now),
        };
        if self.readiness.is_some() {
            self.first.extend(change.woken);
        } else {
            self.registrations.follow(change);
        }
    }

    fn end_list(&mut self, now: Monotonic) {
        let index = &self.registrations.index;
        for reference in std::mem::take(&mut self.unlisted) {
            self.registrations.follow(index.remove(&reference, now));
        }
        index.list_ends(self.namespace.as_deref());
        if let Some(readiness) = self.readiness.take() {
            self.registrations.wakes.wake(std::mem::take(&mut self.first));
            readiness.one_more();
            tracing::info!(namespace = self.namespace, "listed the ZenlayerPorts");
        }
    }
}
