//! Starts the operator's parts and ends them in order.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::crd::Crd;
use super::events::Events;
use super::gather::Observer;
use super::reconcile::Reconciler;
use super::registrations::{Mirrors, Registrations};
use super::streams::{self, Watch};
use super::writer::Writer;
use crate::clock::Clock;
use crate::credentials::{Accounts, CredentialCopies, Credentials, OwnCredentials, Source, Sources};
use crate::decision::{GateSettings, Timing};
use crate::dispatch::{self, Turns};
use crate::index::{Index, IndexSettings, Reference};
use crate::lease::{Candidate, Leadership, LeaseSettings, Loss};
use crate::mirror::{Mirror, MirrorSettings, Usage, UsageSettings};
use crate::server::{self, Metrics, Readiness};
use crate::tasks::{self, Tasks};
use crate::wakes::{self, WakeSender, Wakes};
use crate::zenlayer::Transport;

/// How long a shutdown waits for reconciles under way: long enough for a call that was sent to return, and shorter than the
/// chart's `terminationGracePeriodSeconds`.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(40);

/// What the operator was told.
pub struct Settings {
    /// None: all namespaces.
    pub watch_namespaces: Vec<String>,
    pub own_credentials: Option<OwnCredentials>,
    pub credential_copies: CredentialCopies,
    pub timing: Timing,
    pub gates: GateSettings,
    pub lease: LeaseSettings,
    /// The Pod's name, for Events and the Lease.
    pub instance: Option<String>,
}

impl Settings {
    /// The namespace of each watch; none: all of them.
    fn watches(&self) -> Vec<Option<String>> {
        match self.watch_namespaces.as_slice() {
            [] => vec![None],
            listed => listed.iter().cloned().map(Some).collect(),
        }
    }
}

/// A request is given up when the API server has sent nothing for so long.
const REQUEST_SILENCE: Duration = Duration::from_secs(15);

/// A list or a watch is given up when the API server has sent nothing for so long. It sends bookmarks about every minute,
/// and ends each watch after one.
const WATCH_SILENCE: Duration = Duration::from_secs(75);

/// Two clients for one API server: an idle watch must live, and a request that hangs must not.
pub struct Clients {
    watch: kube::Client,
    pub(crate) request: kube::Client,
}

impl Clients {
    pub fn new(config: kube::Config) -> kube::Result<Self> {
        Ok(Self { watch: client(config.clone(), WATCH_SILENCE)?, request: client(config, REQUEST_SILENCE)? })
    }

    /// One client for both, for an API server that is not reached over a network.
    pub fn one(client: kube::Client) -> Self {
        Self { watch: client.clone(), request: client }
    }
}

/// A client that gives up a connection on which nothing came for so long: it may be half-open.
pub(super) fn client(mut config: kube::Config, silence: Duration) -> kube::Result<kube::Client> {
    config.read_timeout = Some(silence);
    // The silence of a request begins with it, however long its connection was idle before.
    config.reset_reader_on_write = true;
    // A write that is sent twice is two writes.
    config.default_retry = false;
    config.try_into()
}

/// What a replica is given from outside: all that it reads of clocks, chance and networks comes through these.
pub struct Surroundings {
    pub clock: Clock,
    /// The holder's name in the Lease. No other process may have it.
    pub identity: String,
    pub clients: Clients,
    pub transport: Transport,
    pub metrics: Metrics,
    pub readiness: Readiness,
}

/// Runs one replica with its endpoint for health and metrics, until `shutdown` is cancelled and its work has ended, or a part
/// of it fails, or it leads no longer.
#[expect(clippy::disallowed_methods, reason = "the endpoint outlives the replica, and its end is waited for")]
pub async fn run(
    settings: Settings,
    clients: Clients,
    transport: Transport,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let metrics = Metrics::new(transport.metrics());
    let readiness = Readiness::after(settings.watches().len());
    let stop_serving = CancellationToken::new();
    let http =
        tokio::spawn(server::serve(listener, metrics.clone(), readiness.clone(), stop_serving.clone()));
    let identity = identity(settings.instance.as_deref().unwrap_or("zenlayer-port-operator"))?;
    let clock = Clock::System;
    let surroundings = Surroundings { clock, identity, clients, transport, metrics, readiness };
    let mut replica = pin!(replica(settings, surroundings, &shutdown));
    let ended = tokio::select! {
        biased;
        ended = &mut replica => ended,
        served = http => {
            // What is under way ends in order.
            shutdown.cancel();
            replica.await?;
            served
                .context("the health endpoint failed")
                .flatten()
                .and_then(|()| Err(anyhow::anyhow!("the health endpoint stopped by itself")))
        }
    };
    stop_serving.cancel();
    ended
}

/// `instance`, and a random part, so that no process takes another's Lease for its own.
fn identity(instance: &str) -> anyhow::Result<String> {
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random).context("cannot get random numbers from the system")?;
    Ok(format!("{instance}_{:016x}", u64::from_ne_bytes(random)))
}

/// One replica. To drop the future is to kill it: nothing of it goes on.
#[expect(
    clippy::disallowed_methods,
    reason = "the election goes on beside the work, and its end is waited for"
)]
pub async fn replica(
    settings: Settings,
    surroundings: Surroundings,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let watches = settings.watches().len();
    let (candidate, leadership) = Candidate::new(
        surroundings.clients.request.clone(),
        settings.lease.clone(),
        surroundings.identity.clone(),
        surroundings.clock,
    );
    let standing = leadership.clone();
    surroundings.metrics.observe_leadership(move || standing.is_current());
    let resign = CancellationToken::new();
    let mut election = AbortOnDropHandle::new(tokio::spawn(candidate.run(resign.clone())));

    let work = async {
        let stand_by = stand_by(leadership.clone(), &surroundings.readiness, watches);
        match shutdown.run_until_cancelled(stand_by).await {
            Some(()) => lead(settings, surroundings, leadership, shutdown).await,
            None => Ok(()),
        }
    };
    let ended = tokio::select! {
        biased;
        lost = &mut election => Err(leads_no_longer(lost)),
        worked = work => worked,
    };
    // Only now: whoever takes over finds no work of this process under way.
    resign.cancel();
    if !election.is_finished() {
        // What hinders a release is logged, and the Lease runs out by itself.
        let _ = election.await;
    }
    ended
}

/// Waits until this replica leads. One that stands by is ready, or a rolling update would wait for it forever.
async fn stand_by(mut leadership: Leadership, readiness: &Readiness, watches: usize) {
    leadership.decided().await;
    if !leadership.is_current() {
        (0..watches).for_each(|_| readiness.one_more());
    }
    leadership.won().await;
}

/// Others may lead from now on: this process ends at once, and what it has recorded tells them of calls under way.
fn leads_no_longer(ended: Result<Result<(), Loss>, JoinError>) -> anyhow::Error {
    let error = match ended {
        Ok(Ok(())) => anyhow::anyhow!("the election stopped by itself"),
        Ok(Err(loss)) => anyhow::anyhow!("this replica has lost the Lease: {loss}"),
        Err(failed) => anyhow::Error::new(failed).context("the election failed"),
    };
    tracing::error!(%error, "this process stops, so that two replicas never work at the same time");
    error
}

/// The work itself, until `shutdown` is cancelled and what was begun has ended.
async fn lead(
    settings: Settings,
    surroundings: Surroundings,
    leadership: Leadership,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let Surroundings { clock, identity: _, clients, transport, metrics, readiness } = surroundings;
    let (tasks, mut failures) = tasks::watched(shutdown);
    let namespaces = settings.watches();
    let (parts, wakes) = build(settings, clients.request, transport, leadership, clock, &metrics, &tasks);
    let Parts { reconciler, registrations, credentials, timing } = parts;
    let refresh = refresh_credentials(
        credentials,
        Arc::clone(&registrations),
        timing.credentials_recheck,
        shutdown.clone(),
    );
    tasks.spawn_endless("reads credentials", refresh);
    for namespace in namespaces {
        let (client, metrics) = (clients.watch.clone(), metrics.clone());
        let watch = Watch { client, namespace, relist: timing.relist, clock, metrics };
        let follow = streams::follow(watch, Arc::clone(&registrations), readiness.clone());
        tasks.spawn_endless("watches ZenlayerPorts", follow);
    }
    let reconcile = |reference| Arc::clone(&reconciler).reconcile(reference);
    let reconciles = dispatch::run(wakes, &registrations.turns, reconcile, clock, shutdown);

    let deadline = async {
        shutdown.cancelled().await;
        tokio::time::sleep(SHUTDOWN_DEADLINE).await;
    };
    tokio::select! {
        biased;
        failure = failures.first() => {
            tracing::error!(%failure, "this process stops; Kubernetes starts a new one");
            Err(failure.into())
        }
        () = reconciles => Ok(()),
        () = deadline => {
            tracing::warn!(
                "some reconciles did not finish before the shutdown; the next process continues from the status of \
                 the objects"
            );
            Ok(())
        }
    }
}

/// What works as long as a replica leads.
pub(super) struct Parts {
    pub(super) reconciler: Arc<Reconciler>,
    pub(super) registrations: Arc<Registrations>,
    pub(super) credentials: Arc<Credentials>,
    pub(super) timing: Timing,
}

pub(super) fn build(
    settings: Settings,
    kubernetes: kube::Client,
    transport: Transport,
    leadership: Leadership,
    clock: Clock,
    metrics: &Metrics,
    tasks: &Tasks,
) -> (Parts, Wakes<Reference>) {
    let watches = settings.watches();
    let Settings { timing, gates, .. } = settings;
    let (wake, woken) = wakes::channel();
    let wakes = Arc::new(wake);
    let home = settings.lease.namespace.unwrap_or_else(|| kubernetes.default_namespace().to_owned());
    let sources = Arc::new(Sources::new(settings.own_credentials, home));
    let within = IndexSettings {
        patience: timing.grace + timing.claim_wait,
        window: timing.mass_deletion_window,
        most_deletions: beyond_threshold(gates),
    };
    let index = Arc::new(Index::new(Arc::clone(&sources), within, watches, clock.monotonic()));
    let credentials = Arc::new(Credentials::new(
        kubernetes.clone(),
        sources,
        settings.credential_copies,
        Accounts::new(transport),
        clock,
        timing.credentials_recheck,
    ));
    let mirrors = Arc::new(mirrors(&timing, clock, &wakes, tasks));
    let registrations = Arc::new(Registrations {
        index: Arc::clone(&index),
        mirrors: Arc::clone(&mirrors),
        turns: Turns::new(Arc::clone(&wakes), tasks),
        wakes: Arc::clone(&wakes),
    });
    let events = Events::new(kubernetes.clone(), settings.instance, metrics.clone(), clock);
    let crd = Crd::new(kubernetes.clone(), clock, timing.reading_valid);
    let reconciler = Reconciler {
        observer: Observer {
            index: Arc::clone(&index),
            mirrors,
            credentials: Arc::clone(&credentials),
            crd,
            wakes,
            timing: timing.clone(),
            gates,
            clock,
        },
        writer: Writer { kubernetes, index, events, metrics: metrics.clone(), clock },
        registrations: Arc::clone(&registrations),
        leadership,
        metrics: metrics.clone(),
    };
    let observed = Arc::downgrade(&registrations);
    metrics.observe_state(move || observed.upgrade().and_then(|observed| observed.state(clock.now())));
    let reconciler = Arc::new(reconciler);
    (Parts { reconciler, registrations, credentials, timing }, woken)
}

fn mirrors(timing: &Timing, clock: Clock, wakes: &Arc<WakeSender<Reference>>, tasks: &Tasks) -> Mirrors {
    let pace = MirrorSettings {
        release: timing.release_interval,
        held: timing.held_interval,
        slow: timing.slow_interval,
        max_backoff: timing.held_interval,
        ..MirrorSettings::default()
    };
    let usage = UsageSettings {
        interval: timing.attachments_recheck,
        max_backoff: timing.refused_max,
        timeout: pace.read_timeout,
    };
    let mirror = || Mirror::new(pace, clock, Arc::clone(wakes), tasks);
    Mirrors { ports: mirror(), probes: mirror(), usage: Usage::new(usage, clock, Arc::clone(wakes), tasks) }
}

/// The first number of deletions at once that the gate holds; it is asked about no other.
fn beyond_threshold(gates: GateSettings) -> usize {
    gates.mass_deletion_threshold.map_or(0, |threshold| threshold.get() as usize + 1)
}

/// Reads the credentials in use again, wakes those whose credentials are new, and deletes copies that nobody uses.
async fn refresh_credentials(
    credentials: Arc<Credentials>,
    registrations: Arc<Registrations>,
    recheck: Duration,
    shutdown: CancellationToken,
) {
    credentials.check_rights().await;
    let index = &registrations.index;
    let mut tick = tokio::time::interval(recheck);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while shutdown.run_until_cancelled(tick.tick()).await.is_some() {
        registrations.sweep();
        let users = index.users();
        let snapshot = credentials.snapshot(&users).await;
        let may_be_used = |source: &Source| index.may_be_used(source);
        let changed = credentials.refresh(&users, snapshot.as_ref(), may_be_used).await;
        if !changed.is_empty() {
            registrations.wake_users_of(&changed);
        }
        if let Some(snapshot) = snapshot {
            credentials.drop_copies(&snapshot, &users, may_be_used).await;
        }
    }
}
