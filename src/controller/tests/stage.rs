//! One replica's shell between an API server in memory and a simulated Zenlayer: a test makes its reconciles one by one.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::ObjectMeta;
use tokio_util::sync::{CancellationToken, DropGuard};
use zenlayer_simulator::{Account, Config, Port, PortStatus, Simulator, Times};

use super::api_server::ApiServer;
use crate::api::{
    CallOutcome, CredentialsRef, DeletionPolicy, FINALIZER, READY, ZenlayerPort, ZenlayerPortSpec,
    custom_resource_definition,
};
use crate::clock::{Clock, Monotonic};
use crate::controller::error::ReconcileError;
use crate::controller::gather::Gathered;
use crate::controller::reconcile::Reconciler;
use crate::controller::registrations::Registrations;
use crate::controller::run::{Parts, Settings, build};
use crate::credentials::{CredentialCopies, Credentials};
use crate::decision::{Action, GateSettings, Plan, Timing, Turn};
use crate::index::{Received, Reference, ShownBy};
use crate::lease::{Announced, Leadership, LeaseSettings, LeaseTiming};
use crate::mirror;
use crate::port::PortId;
use crate::server::Metrics;
use crate::tasks::{self, TaskFailures};
use crate::wakes::Wakes;
use crate::zenlayer::{self, ApiVersion, Client, Endpoint, InsecureEndpoint, Rate, Timeouts, Transport};

/// Where the objects and their Secret are.
pub(in crate::controller) const NAMESPACE: &str = "ports";
/// Where the operator is.
pub(in crate::controller) const HOME: &str = "zenlayer-system";
pub(in crate::controller) const SECRET: &str = "zenlayer";
pub(in crate::controller) const KEY: &str = "TENANT";
pub(in crate::controller) const PASSWORD: &str = "Vq7kWm2xZr9tLc4bHn6dJp3s";
/// Another key of the same account.
pub(in crate::controller) const OTHER_KEY: &str = "TENANT-2";
pub(in crate::controller) const OTHER_PASSWORD: &str = "Yg5fXe8uBw1jQa6vKt0hNz2m";

/// How long what must happen may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is different from the usual on a stage.
pub(in crate::controller) struct Setting {
    pub(in crate::controller) timing: Timing,
    pub(in crate::controller) gates: GateSettings,
    pub(in crate::controller) copies: CredentialCopies,
    pub(in crate::controller) requests_per_second: f64,
    /// How long this replica leads.
    pub(in crate::controller) leads_for: Duration,
    pub(in crate::controller) watched: Vec<String>,
}

impl Default for Setting {
    /// No grace, readings in quick succession, and a port that was destroyed is soon proven gone; the rest is as in
    /// production.
    fn default() -> Self {
        let short = Duration::from_millis(20);
        let mut timing = Timing {
            grace: Duration::ZERO,
            release_interval: short,
            held_interval: short,
            slow_interval: short,
            ..Timing::default()
        };
        timing.proof.destroyed = short;
        Self {
            timing,
            gates: GateSettings { mass_deletion_threshold: NonZeroU32::new(20), require_approval: false },
            copies: CredentialCopies::Keep,
            requests_per_second: 1000.0,
            leads_for: Duration::from_hours(10_000),
            watched: Vec::new(),
        }
    }
}

pub(in crate::controller) struct Stage {
    pub(in crate::controller) api: ApiServer,
    pub(in crate::controller) cloud: Simulator,
    pub(in crate::controller) reconciler: Arc<Reconciler>,
    pub(in crate::controller) registrations: Arc<Registrations>,
    pub(in crate::controller) credentials: Arc<Credentials>,
    pub(in crate::controller) timing: Timing,
    pub(in crate::controller) metrics: Metrics,
    pub(in crate::controller) clock: Clock,
    woken: Wakes<Reference>,
    _shutdown: DropGuard,
    _failures: TaskFailures,
}

impl Stage {
    pub(in crate::controller) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(in crate::controller) fn with(change: impl FnOnce(&mut Setting)) -> Self {
        let mut setting = Setting::default();
        change(&mut setting);
        let api = ApiServer::default();
        for name in [NAMESPACE, HOME] {
            api.create(&Namespace { metadata: named(None, name), ..Namespace::default() });
        }
        api.create(&custom_resource_definition());
        api.create(&secret(SECRET, KEY, PASSWORD));
        let cloud = Simulator::start(Config {
            accounts: vec![Account::new("tenant").key(KEY, PASSWORD).key(OTHER_KEY, OTHER_PASSWORD)],
            times: Times { destroy: Duration::from_hours(1), ..Times::INSTANT },
            ..Config::default()
        });
        let cloud = cloud.expect("a free port of loopback");
        let clock = Clock::tokio(jiff::Timestamp::now());
        let leadership = Leadership::until(Monotonic::default() + setting.leads_for, clock);
        let shutdown = CancellationToken::new();
        let (tasks, failures) = tasks::watched(&shutdown);
        let transport = transport(&cloud, setting.requests_per_second);
        let (kubernetes, metrics) = (api.client(), Metrics::new(transport.metrics()));
        let (parts, woken) =
            build(settings(setting), kubernetes, transport, leadership, clock, &metrics, &tasks);
        let Parts { reconciler, registrations, credentials, timing } = parts;
        registrations.index.list_ends(None);
        Self {
            api,
            cloud,
            reconciler,
            registrations,
            credentials,
            timing,
            metrics,
            clock,
            woken,
            _shutdown: shutdown.drop_guard(),
            _failures: failures,
        }
    }

    /// A port in this state, owned by an object of this name: [`port_of`] is its id.
    pub(in crate::controller) fn own(&mut self, name: &str, status: PortStatus) {
        self.own_by(&object(name), status);
    }

    /// As [`Stage::own`], by an object that a test makes from [`object`].
    pub(in crate::controller) fn own_by(&mut self, object: &ZenlayerPort, status: PortStatus) {
        self.cloud.seed(Port::new(object.spec.port_id.as_str()).account("tenant").status(status));
        self.api.create(object);
        self.notice(object.metadata.name.as_deref().expect("it has a name"));
    }

    /// Somebody deletes the object.
    pub(in crate::controller) fn delete(&mut self, name: &str) {
        self.api.delete::<ZenlayerPort>(Some(NAMESPACE), name);
        self.notice(name);
    }

    /// The object as the API server has it.
    pub(in crate::controller) fn get(&self, name: &str) -> Option<ZenlayerPort> {
        self.api.get(Some(NAMESPACE), name)
    }

    /// The watch shows the object as it is now, or that it is gone.
    pub(in crate::controller) fn notice(&mut self, name: &str) {
        let now = self.clock.monotonic();
        let change = match self.get(name) {
            Some(object) => self.registrations.index.put(Received(Ok(Box::new(object))), ShownBy::Watch, now),
            None => self.registrations.index.remove(&Reference::of(&object(name)), now),
        };
        self.registrations.follow(change);
    }

    /// One reconcile of the object as the watch shows it.
    pub(in crate::controller) async fn reconcile(
        &mut self,
        name: &str,
    ) -> Result<Option<Duration>, ReconcileError> {
        self.notice(name);
        let object = self.get(name).expect("the object is there");
        Box::pin(self.reconciler.guarded(Arc::new(object))).await
    }

    /// Reconciles the object as this process knows it, while the watch shows nothing new, until it shows this reason.
    pub(in crate::controller) async fn reconcile_unwatched_until_shown(&mut self, name: &str, reason: &str) {
        let began = Instant::now();
        while self.get(name).is_none_or(|object| shown(&object).0 != reason) {
            assert!(began.elapsed() < PATIENCE, "in vain until {reason}: {:#?}", self.api);
            self.reconcile_unwatched(name).await;
            self.breathe().await;
        }
    }

    pub(in crate::controller) async fn reconcile_unwatched(&self, name: &str) {
        Box::pin(Arc::clone(&self.reconciler).reconcile(Reference::of(&object(name)))).await;
    }

    /// Reconciles, one after the other, until the object is as it is to become: none is gone.
    pub(in crate::controller) async fn reconcile_until(
        &mut self,
        name: &str,
        what: &str,
        reached: impl Fn(Option<&ZenlayerPort>) -> bool,
    ) -> Option<ZenlayerPort> {
        let began = Instant::now();
        let mut last = None;
        loop {
            let now = self.get(name);
            if reached(now.as_ref()) {
                self.notice(name);
                return now;
            }
            assert!(began.elapsed() < PATIENCE, "in vain until {what}: {now:#?}, {last:?}, {:#?}", self.api);
            last = Some(self.reconcile(name).await);
            self.breathe().await;
        }
    }

    /// Reconciles until the object shows this reason; returns the message.
    pub(in crate::controller) async fn reconcile_until_shown(&mut self, name: &str, reason: &str) -> String {
        let shows = |object: Option<&ZenlayerPort>| object.is_some_and(|object| shown(object).0 == reason);
        let object = self.reconcile_until(name, reason, shows).await;
        object.map(|object| shown(&object).1).unwrap_or_default()
    }

    /// Decides, without carrying anything out, until a call is decided upon. So a reading that justifies it is there.
    pub(in crate::controller) async fn decide_to_call(
        &mut self,
        name: &str,
    ) -> (Arc<ZenlayerPort>, Gathered) {
        self.notice(name);
        self.decide_until(name, "a call", |plan, _| matches!(plan.action, Action::Call(_))).await
    }

    /// Decides about the object as the API server has it, and carries nothing out, until the decision is as it is to become.
    pub(in crate::controller) async fn decide_until(
        &mut self,
        name: &str,
        what: &str,
        reached: impl Fn(&Plan, &ZenlayerPort) -> bool,
    ) -> (Arc<ZenlayerPort>, Gathered) {
        let began = Instant::now();
        loop {
            let object = Arc::new(self.get(name).expect("the object is there"));
            let observer = &self.reconciler.observer;
            let gathered = observer.gather(&object).await;
            let plan = observer.decide(&gathered, &object, Turn::Free);
            if reached(&plan, &object) {
                return (object, gathered);
            }
            assert!(began.elapsed() < PATIENCE, "in vain until {what} is decided upon: {plan:#?}");
            self.breathe().await;
        }
    }

    /// What reads the port of the object.
    pub(in crate::controller) async fn account_of(
        &self,
        object: &ZenlayerPort,
    ) -> Arc<mirror::Account<Client>> {
        self.reconciler.observer.gather(object).await.account.expect("it has credentials")
    }

    /// The next that is woken.
    pub(in crate::controller) async fn woken(&mut self) -> Reference {
        self.woken.next().await.expect("the wakes go on")
    }

    /// Waits until it is the turn of the object to call.
    pub(in crate::controller) async fn until_turn(&mut self, name: &str) {
        let who = Reference::of(&object(name));
        while !self.registrations.turns.has_ticket(&who) {
            self.woken().await;
        }
    }

    /// The keys by which Zenlayer got these requests.
    pub(in crate::controller) fn signers(&self, action: &str) -> Vec<String> {
        let key = |call: &zenlayer_simulator::Request| call.key.as_deref().unwrap_or_default().to_owned();
        self.cloud.with_journal(|journal| journal.calls(action).map(key).collect())
    }

    /// Lets readings and other tasks move on.
    async fn breathe(&self) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    /// How many requests Zenlayer has got to change the port of this object.
    pub(in crate::controller) fn sends(&self, name: &str) -> usize {
        let port = port_of(name);
        let sends = |action| self.cloud.with_journal(|journal| journal.calls_for(action, &port).count());
        sends("TerminatePort") + sends("DestroyPort")
    }
}

/// Time passes, for timers and the operator's clock, and nobody has to wait for it.
pub(in crate::controller) async fn time_passes(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// The id of the port that the object of this name owns.
pub(in crate::controller) fn port_of(name: &str) -> String {
    format!("port-{name}")
}

/// Reason and message of the `Ready` condition.
pub(in crate::controller) fn shown(object: &ZenlayerPort) -> (String, String) {
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    let ready = conditions.clone().find(|condition| condition.type_ == READY);
    ready.map(|ready| (ready.reason.clone(), ready.message.clone())).unwrap_or_default()
}

/// What became of the newest call for the object.
pub(in crate::controller) fn outcome(object: &ZenlayerPort) -> Option<&CallOutcome> {
    Some(&object.release()?.call.as_ref()?.outcome)
}

/// A Secret with this key. [`SECRET`] is the one that objects name.
pub(in crate::controller) fn secret(name: &str, key: &str, password: &str) -> Secret {
    let data = [("accessKeyId", key), ("accessKeyPassword", password)];
    let data = data.map(|(name, value)| (name.to_owned(), ByteString(value.as_bytes().to_vec())));
    Secret { metadata: named(Some(NAMESPACE), name), data: Some(data.into()), ..Secret::default() }
}

/// An object as it is created, with the finalizer.
pub(in crate::controller) fn object(name: &str) -> ZenlayerPort {
    let spec = ZenlayerPortSpec {
        port_id: PortId::new(port_of(name)),
        deletion_policy: DeletionPolicy::Destroy,
        deletion_protection: false,
        credentials_ref: Some(CredentialsRef { name: SECRET.to_owned() }),
    };
    let metadata =
        ObjectMeta { finalizers: Some(vec![FINALIZER.to_owned()]), ..named(Some(NAMESPACE), name) };
    ZenlayerPort { metadata, spec, status: None }
}

fn named(namespace: Option<&str>, name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: namespace.map(str::to_owned),
        ..ObjectMeta::default()
    }
}

fn settings(setting: Setting) -> Settings {
    let Setting { timing, gates, copies, watched, .. } = setting;
    Settings {
        watch_namespaces: watched,
        own_credentials: None,
        credential_copies: copies,
        timing,
        gates,
        lease: LeaseSettings {
            namespace: Some(HOME.to_owned()),
            name: "zenlayer-port-operator".to_owned(),
            timing: LeaseTiming::default(),
            pod: None,
            announced: Announced::default(),
        },
        instance: Some("pod".to_owned()),
    }
}

fn transport(cloud: &Simulator, requests_per_second: f64) -> Transport {
    let settings = zenlayer::Settings {
        endpoint: Endpoint::parse(&cloud.url(), InsecureEndpoint::Refuse).expect("an endpoint of loopback"),
        proxy: None,
        api_version: ApiVersion::default(),
        requests_per_second: Rate::per_second(requests_per_second).expect("a valid rate"),
        timeouts: Timeouts::default(),
    };
    Transport::new(settings).expect("a transport")
}
