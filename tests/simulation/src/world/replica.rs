//! Replicas: the shipped code, each one a future.

use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use zenlayer_port_operator::clock::Clock;
use zenlayer_port_operator::controller::{Clients, Settings, Surroundings, replica};
use zenlayer_port_operator::credentials::CredentialCopies;
use zenlayer_port_operator::decision::{GateSettings, Timing};
use zenlayer_port_operator::lease::{Announced, LeaseSettings, LeaseTiming};
use zenlayer_port_operator::server::{Metrics, Readiness};
use zenlayer_port_operator::tasks::panic_message;
use zenlayer_port_operator::zenlayer::{
    self, ApiVersion, Endpoint, InsecureEndpoint, Rate, Timeouts, Transport,
};

use super::World;
use super::kubernetes::ApiLink;
use super::state::Life;
use super::zenlayer::ZenlayerLink;
use crate::plan::{Config, HOME};

/// A replica that runs.
pub(super) struct Running {
    pub(super) life: Life,
    pub(super) shutdown: CancellationToken,
    pub(super) metrics: Metrics,
    pub(super) task: JoinHandle<()>,
}

/// How a replica ended that nobody killed.
pub(super) struct End {
    pub(super) life: Life,
    pub(super) how: String,
}

impl Running {
    pub(super) fn start(world: &World, life: Life) -> Self {
        let config = world.lock().config().clone();
        let surroundings = surroundings(world, life, &config);
        let metrics = surroundings.metrics.clone();
        let shutdown = CancellationToken::new();
        let (settings, stop, ends) = (settings(&config), shutdown.clone(), world.ends.clone());
        let task = tokio::spawn(async move {
            let ended = AssertUnwindSafe(replica(settings, surroundings, &stop)).catch_unwind().await;
            let how = match ended {
                Ok(Ok(())) => "has stopped".to_owned(),
                Ok(Err(error)) => format!("ends: {error:#}"),
                Err(panic) => format!("panics: {}", panic_message(panic.as_ref())),
            };
            // Nobody listens at the end of the run.
            let _ = ends.send(End { life, how });
        });
        Self { life, shutdown, metrics, task }
    }
}

fn surroundings(world: &World, life: Life, config: &Config) -> Surroundings {
    let ahead = config.clock_ahead_s.get(usize::from(life.replica)).copied().unwrap_or_default();
    let wall = world.lock().time.wall() + jiff::SignedDuration::from_secs(ahead);
    let clock = Clock::tokio(wall);
    let endpoint =
        Endpoint::parse("https://console.zenlayer.com", InsecureEndpoint::Refuse).expect("an endpoint");
    let settings = zenlayer::Settings {
        endpoint,
        proxy: None,
        api_version: ApiVersion::default(),
        requests_per_second: Rate::per_second(config.requests_per_second).unwrap_or_default(),
        timeouts: Timeouts::default(),
    };
    let transport = Transport::over(ZenlayerLink { world: world.clone(), life }, settings, clock);
    let metrics = Metrics::new(transport.metrics());
    Surroundings {
        clock,
        identity: format!("{}_{:016x}", pod(life), life.number),
        clients: Clients::one(kube::Client::new(ApiLink { world: world.clone(), life }, HOME)),
        transport,
        metrics,
        readiness: Readiness::after(config.watch_namespaces.len().max(1)),
    }
}

fn pod(life: Life) -> String {
    format!("operator-{}", char::from(b'a' + life.replica))
}

fn settings(config: &Config) -> Settings {
    let seconds = Duration::from_secs;
    Settings {
        watch_namespaces: config.watch_namespaces.clone(),
        own_credentials: None,
        credential_copies: if config.keep_copies { CredentialCopies::Keep } else { CredentialCopies::None },
        timing: Timing {
            release_interval: seconds(config.poll_s),
            held_interval: Timing::default()
                .held_interval
                .clamp(seconds(config.poll_s), seconds(config.resync_s)),
            slow_interval: seconds(config.resync_s),
            grace: seconds(config.grace_s),
            ..Timing::default()
        },
        gates: GateSettings {
            mass_deletion_threshold: NonZeroU32::new(config.mass_deletion_threshold),
            require_approval: config.require_approval,
        },
        lease: LeaseSettings {
            namespace: Some(HOME.to_owned()),
            name: "zenlayer-port-operator".to_owned(),
            timing: LeaseTiming::default(),
            pod: None,
            announced: Announced {
                version: "simulated".to_owned(),
                mass_deletion_threshold: config.mass_deletion_threshold,
                require_approval: config.require_approval,
                watch_namespaces: config.watch_namespaces.clone(),
            },
        },
        instance: Some("operator".to_owned()),
    }
}
