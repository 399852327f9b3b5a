//! Starts the operator's parts and ends them in order.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use futures::{StreamExt, future};
use kube::runtime::Controller;
use kube::runtime::controller::Config;
use kube::runtime::reflector::Store;
use kube::{Api, runtime::controller};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::accounts::Accounts;
use super::credentials::{Credentials, OwnCredentials};
use super::events::Events;
use super::pass::{PassError, error_policy, guarded};
use super::shared::{Reference, Shared, Stores};
use super::streams;
use crate::api::ZenlayerPort;
use crate::clock::Clock;
use crate::decision::Timing;
use crate::mirror::{Mirror, MirrorSettings};
use crate::server::{self, Metrics, Readiness};
use crate::wakes::{self, Wakes};
use crate::zenlayer::Transport;

/// Passes under way at a time.
const CONCURRENCY: u16 = 16;

/// How long a shutdown waits for passes under way: long enough for a call that was sent to return, and shorter than the
/// chart's `terminationGracePeriodSeconds`.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(40);

/// What the operator was told.
pub struct Settings {
    /// None: all namespaces.
    pub watch_namespaces: Vec<String>,
    pub own_credentials: Option<OwnCredentials>,
    pub timing: Timing,
    /// The Pod's name, for Events.
    pub instance: Option<String>,
}

/// Two clients for one API server: an idle watch must live, and a request that hangs must not.
pub struct Clients {
    pub watch: kube::Client,
    pub request: kube::Client,
}

/// Runs the operator until `shutdown` is cancelled and its work has ended, or a part of it fails.
pub async fn run(
    settings: Settings,
    clients: Clients,
    transport: Transport,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let metrics = Metrics::default();
    let namespaces: Vec<Option<String>> = match settings.watch_namespaces.as_slice() {
        [] => vec![None],
        listed => listed.iter().cloned().map(Some).collect(),
    };
    let readiness = Readiness::after(namespaces.len());
    let stop_serving = CancellationToken::new();
    let http =
        tokio::spawn(server::serve(listener, metrics.clone(), readiness.clone(), stop_serving.clone()));

    let (shared, wakes) = share(settings, clients.request, transport, &metrics, &shutdown);
    let watched = namespaces.into_iter().map(|namespace| Watched::new(&clients.watch, namespace));
    let watched: Vec<Watched> = watched.collect();
    let stores: Stores = watched.iter().map(|one| (one.namespace.clone(), one.store.clone())).collect();
    anyhow::ensure!(shared.stores.set(stores).is_ok(), "the stores are set once");

    tokio::spawn(deliver(wakes, watched.iter().map(Watched::address).collect()));
    tokio::spawn(refresh_credentials(Arc::clone(&shared), shutdown.clone()));
    let controllers = watched.into_iter().map(|one| one.control(&shared, &readiness, &shutdown));
    let controllers = future::join_all(controllers);

    let deadline = async {
        shutdown.cancelled().await;
        tokio::time::sleep(SHUTDOWN_DEADLINE).await;
    };
    let ended = tokio::select! {
        _ = controllers => if shutdown.is_cancelled() { Ok(()) } else { Err(anyhow::anyhow!("a controller ended by itself")) },
        () = deadline => {
            tracing::warn!("passes were still under way at the end of the shutdown; their records tell the next process");
            Ok(())
        }
        served = http => served.context("the health endpoint failed")?.and_then(|()| Err(anyhow::anyhow!("the health endpoint ended by itself"))),
    };
    stop_serving.cancel();
    ended
}

fn share(
    settings: Settings,
    kubernetes: kube::Client,
    transport: Transport,
    metrics: &Metrics,
    shutdown: &CancellationToken,
) -> (Arc<Shared>, Wakes<Reference>) {
    let clock = Clock::Boottime;
    let timing = settings.timing;
    let (wake, wakes) = wakes::channel();
    let wake = Arc::new(wake);
    let pace = MirrorSettings {
        release: timing.release_interval,
        held: timing.held_interval,
        slow: timing.slow_interval,
        max_backoff: timing.held_interval,
        ..MirrorSettings::default()
    };
    let mirror = Mirror::new(pace, clock, Arc::clone(&wake), shutdown);
    let accounts = Accounts::new(transport);
    let shared = Arc::new(Shared {
        credentials: Credentials::new(
            kubernetes.clone(),
            settings.own_credentials,
            accounts,
            clock,
            timing.credentials_recheck,
        ),
        events: Events::new(kubernetes.clone(), settings.instance, metrics.clone()),
        kubernetes,
        mirror,
        memory: super::memory::Memory::default(),
        roster: super::roster::Roster::default(),
        wakes: wake,
        clock,
        timing,
        metrics: metrics.clone(),
        stores: OnceLock::new(),
    });
    let observed = Arc::downgrade(&shared);
    metrics
        .observe_mirror(move || observed.upgrade().map(|shared| shared.mirror.stats()).unwrap_or_default());
    (shared, wakes)
}

/// One watch with its controller.
struct Watched {
    namespace: Option<String>,
    api: Api<ZenlayerPort>,
    store: Store<ZenlayerPort>,
    writer: kube::runtime::reflector::store::Writer<ZenlayerPort>,
    wake: Arc<wakes::WakeSender<Reference>>,
    wakes: Wakes<Reference>,
}

impl Watched {
    fn new(client: &kube::Client, namespace: Option<String>) -> Self {
        let api = match &namespace {
            None => Api::all(client.clone()),
            Some(namespace) => Api::namespaced(client.clone(), namespace),
        };
        let (store, writer) = kube::runtime::reflector::store();
        let (wake, wakes) = wakes::channel();
        Self { namespace, api, store, writer, wake: Arc::new(wake), wakes }
    }

    fn address(&self) -> (Option<String>, Arc<wakes::WakeSender<Reference>>) {
        (self.namespace.clone(), Arc::clone(&self.wake))
    }

    async fn control(self, shared: &Arc<Shared>, readiness: &Readiness, shutdown: &CancellationToken) {
        let Self { namespace, api, store, writer, wake: _wake, wakes } = self;
        let objects = streams::objects(api, namespace, writer, Arc::clone(shared), readiness.clone());
        Controller::for_stream(objects, store)
            .with_config(Config::default().concurrency(CONCURRENCY))
            .reconcile_on(wakes)
            .graceful_shutdown_on(shutdown.clone().cancelled_owned())
            .run(guarded, error_policy, Arc::clone(shared))
            .for_each(|result| {
                report(result);
                future::ready(())
            })
            .await;
    }
}

fn report<T>(result: Result<T, controller::Error<PassError, kube::runtime::watcher::Error>>) {
    match result {
        // Failed passes are told of by the error policy; an object that is gone when its turn comes is no failure.
        Ok(_) | Err(controller::Error::ReconcilerFailed(..) | controller::Error::ObjectNotFound(_)) => {}
        Err(error) => tracing::warn!(%error, "the controller's queue reported an error"),
    }
}

/// Brings each wake to the controller of its namespace.
async fn deliver(
    mut wakes: Wakes<Reference>,
    controllers: Vec<(Option<String>, Arc<wakes::WakeSender<Reference>>)>,
) {
    while let Some(reference) = wakes.next().await {
        let its = |namespace: &Option<String>| namespace.is_none() || *namespace == reference.namespace;
        if let Some((_, controller)) = controllers.iter().find(|(namespace, _)| its(namespace)) {
            controller.wake([reference]);
        }
    }
}

/// Reads the credentials in use again, and wakes those whose credentials are new.
async fn refresh_credentials(shared: Arc<Shared>, shutdown: CancellationToken) {
    let mut tick = tokio::time::interval(shared.timing.credentials_recheck);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while shutdown.run_until_cancelled(tick.tick()).await.is_some() {
        let changed: HashSet<_> = shared.credentials.refresh(&shared.sources()).await.into_iter().collect();
        if !changed.is_empty() {
            shared.wake_users_of(&changed);
        }
    }
}
