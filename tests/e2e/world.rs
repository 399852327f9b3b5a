//! One control plane for all tests; for each test its own namespaces, simulator, Helm release and operator.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use test_cluster::{Cluster, RunningPod};
pub use test_support::objects::{SECRET, ready, spec};
pub use test_support::release::CHART;
use test_support::release::{Release, Values, serve_the_kind};
use test_support::witness::Witness;
use test_support::{sight, wait};
use tokio::sync::OnceCell;
use tokio::time::Instant;
use zenlayer_port_operator::api::ZenlayerPort;
use zenlayer_simulator::{Account, Config, DEFAULT_ACCOUNT, Port, PortStatus, Simulator, Times};

/// The longest that anything may take to happen. The machine may be busy: this is no measure of speed.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The chart of the release before this one.
pub const PREVIOUS_CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chart/previous");
pub const OPERATOR: &str = env!("CARGO_BIN_EXE_zenlayer-port-operator");

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
/// Its CustomResourceDefinition is wider than the one that is shipped.
static LATER_CLUSTER: OnceCell<Cluster> = OnceCell::const_new();

/// Whose the ports are.
pub const ACCOUNT: &str = DEFAULT_ACCOUNT;

/// The grace of a deletion, unless a test says otherwise.
const GRACE: Duration = Duration::from_secs(1);

pub fn run(test: impl Future<Output = Result<()>>) {
    test_support::run(test);
    crate::witness::assert_that_the_oracles_hold();
    crate::permissions::assert_that_none_was_missing();
}

/// The control plane that all tests share: it serves the kind as it is shipped.
async fn cluster() -> Result<&'static Cluster> {
    CLUSTER.get_or_try_init(serving_the_kind).await
}

/// Another one, whose kind knows words that this version of the operator does not.
async fn later_cluster() -> Result<&'static Cluster> {
    LATER_CLUSTER
        .get_or_try_init(|| async {
            let cluster = serving_the_kind().await?;
            crate::invalid::add_later_words(&cluster).await?;
            Ok(cluster)
        })
        .await
}

async fn serving_the_kind() -> Result<Cluster> {
    let cluster = Cluster::start_audited().await?;
    serve_the_kind(&cluster).await?;
    Ok(cluster)
}

/// Waits until `look` finds something, and returns it.
pub async fn until<T>(what: &str, look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    wait::until(PATIENCE, what, look).await
}

/// What a test starts with.
pub struct Setup {
    chart: &'static str,
    values: Vec<String>,
    env: Vec<(&'static str, String)>,
    ports: Vec<Port>,
    times: Times,
    own_credentials: bool,
    secret: bool,
    later_words: bool,
    permissions: Permissions,
}

/// What becomes of those that the chart grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permissions {
    Kept,
    /// The operator asks for something without one.
    Lost,
}

/// Installs the operator with one Zenlayer account, whose key is in a Secret beside the objects.
pub fn given(ports: impl IntoIterator<Item = Port>) -> Setup {
    Setup {
        chart: CHART,
        values: Vec::new(),
        env: Vec::new(),
        ports: ports.into_iter().collect(),
        times: quick(),
        own_credentials: false,
        secret: true,
        later_words: false,
        permissions: Permissions::Kept,
    }
}

/// How long Zenlayer takes.
pub fn quick() -> Times {
    Times {
        create: Duration::from_secs(1),
        terminate: Duration::from_secs(1),
        renew: Duration::from_secs(1),
        destroy: Duration::from_secs(2),
        destroyed_listed_for: Duration::ZERO,
    }
}

/// A port in the recycle bin.
pub fn recycled(id: &str) -> Port {
    Port::new(id).status(PortStatus::Recycled)
}

/// A live port.
pub fn running(id: &str) -> Port {
    Port::new(id).status(PortStatus::Running)
}

impl Setup {
    /// Another chart than that of today.
    pub fn chart(mut self, chart: &'static str) -> Self {
        self.chart = chart;
        self
    }

    /// A chart value.
    pub fn value(mut self, assignment: impl Into<String>) -> Self {
        self.values.push(assignment.into());
        self
    }

    /// A variable of the operator's process.
    pub fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    /// Kills the operator when it gets to this point.
    pub fn crash_at(self, point: &str) -> Self {
        self.env(zenlayer_port_operator::controller::CRASH_AT, point)
    }

    /// The operator has credentials of its own, which serve the objects' namespace.
    pub fn own_credentials(mut self) -> Self {
        self.own_credentials = true;
        self
    }

    /// There is no Secret beside the objects.
    pub fn without_secret(mut self) -> Self {
        self.secret = false;
        self
    }

    /// The API server admits words that only a later version of the operator knows.
    pub fn with_later_words(mut self) -> Self {
        self.later_words = true;
        self
    }

    /// The operator loses a permission.
    pub fn loses_permissions(mut self) -> Self {
        self.permissions = Permissions::Lost;
        self
    }

    pub fn times(mut self, change: impl FnOnce(&mut Times)) -> Self {
        change(&mut self.times);
        self
    }

    pub async fn start(self) -> Result<World> {
        let cluster = if self.later_words { later_cluster().await? } else { cluster().await? };
        let simulator = Simulator::start(Config {
            accounts: vec![
                Account::new(ACCOUNT).key("KEY", "PASSWORD"),
                Account::new("another").key("ANOTHER", "PASSWORD"),
            ],
            ports: self.ports,
            times: self.times,
            ..Config::default()
        })?;
        let began = Instant::now();
        let release = Release::new(cluster).await?;
        let namespace = cluster.create_namespace("ports").await?;
        let objects_seen = Witness::of(&cluster.client().await?, [namespace.as_str()]);
        let (audited_since, permissions) = (cluster.end_of_audit_log()?, self.permissions);
        let world = World {
            cluster,
            simulator,
            release,
            namespace,
            operator: None,
            began,
            objects_seen,
            audited_since,
            permissions,
        };
        if self.secret {
            world.put_secret("KEY", "PASSWORD").await?;
        }
        world.deploy("install", self.chart, &self.values, self.own_credentials).await?;
        world.start_operator(&self.env).await
    }
}

pub struct World {
    pub cluster: &'static Cluster,
    pub simulator: Simulator,
    pub release: Release,
    /// The objects' namespace.
    pub namespace: String,
    operator: Option<RunningPod>,
    /// When the time of the simulator's journal began.
    pub began: Instant,
    pub objects_seen: Witness,
    /// Where the cluster's audit log ended before.
    pub audited_since: u64,
    pub permissions: Permissions,
}

impl World {
    async fn deploy(
        &self,
        command: &str,
        chart: &str,
        values: &[String],
        own_credentials: bool,
    ) -> Result<()> {
        let mut settings = Values::at(&self.simulator.url()).quick().watching([self.namespace.as_str()]);
        if chart == CHART {
            // They are objects of the whole cluster, which `roles` tries.
            let off = "deletion.restrictApproval=false,rbac.aggregateRoles=false,flowSchema.enabled=false";
            settings = settings.set(off);
        }
        if own_credentials {
            self.secret_in(self.release(), "KEY", "PASSWORD").await?;
            settings = settings.set(format!("credentials.existingSecret={SECRET}"));
            settings = settings.set(format!("credentials.namespaces={{{}}}", self.namespace));
        }
        self.release.deploy(self.cluster, command, chart, &settings.set_all(values)).await
    }

    async fn start_operator(mut self, env: &[(&'static str, String)]) -> Result<Self> {
        self.operator = Some(self.start_replica(env).await?);
        Ok(self)
    }

    /// Starts another Pod of the operator's Deployment.
    pub async fn start_replica(&self, env: &[(&'static str, String)]) -> Result<RunningPod> {
        let replica = self.release.start_pod(self.cluster, Path::new(OPERATOR), env).await?;
        replica.wait_ready(PATIENCE).await?;
        Ok(replica)
    }

    /// The name of the operator's Deployment, and of its Lease.
    pub fn deployment(&self) -> String {
        self.release.deployment()
    }

    /// The name of the operator's release, and of its namespace.
    pub fn release(&self) -> &str {
        self.release.name()
    }

    pub fn operator(&self) -> &RunningPod {
        self.operator.as_ref().expect("the operator was started")
    }

    /// Waits until the operator has killed itself.
    pub async fn until_killed(&self) -> Result<()> {
        let status = self.operator().wait_exit(PATIENCE).await.context(self.log())?;
        anyhow::ensure!(!status.success(), "the operator ended by itself: {status}");
        Ok(())
    }

    /// Kills the operator as `kill -9` does, and starts it again.
    pub async fn killed_and_restarted(self) -> Result<Self> {
        self.operator().kill()?;
        self.restarted().await
    }

    /// `helm upgrade` to the chart of today, and the Pods that follow from it.
    pub async fn upgraded(self) -> Result<Self> {
        self.deploy("upgrade", CHART, &[], false).await?;
        self.replaced().await
    }

    /// `helm rollback` to the first revision, and the Pods that follow from it.
    pub async fn rolled_back(self) -> Result<Self> {
        self.cluster.helm(&["rollback", self.release(), "1", "--namespace", self.release()]).await?;
        self.replaced().await
    }

    /// As the Deployment does it: a Pod of its new template starts, and the old one ends once that is ready.
    pub async fn replaced(mut self) -> Result<Self> {
        let new = self.start_replica(&[]).await?;
        self.operator().terminate(PATIENCE).await?;
        self.operator = Some(new);
        Ok(self)
    }

    /// Starts the operator again, with no point to die at.
    pub async fn restarted(self) -> Result<Self> {
        self.start_operator(&[]).await
    }

    /// The end of the operator's log, for messages of failed tests.
    pub fn log(&self) -> String {
        self.operator.as_ref().map(|operator| operator.log_tail()).unwrap_or_default()
    }

    pub async fn objects(&self) -> Result<Api<ZenlayerPort>> {
        Ok(Api::namespaced(self.cluster.client().await?, &self.namespace))
    }

    /// Waits until the object's `Ready` condition has this reason; returns its message.
    pub async fn until_reason(&self, name: &str, reason: &str) -> Result<String> {
        let objects = self.objects().await?;
        sight::until_reason(&objects, name, reason, PATIENCE).await.with_context(|| self.log())
    }

    /// Waits until the object that is being deleted is held for this reason, and sees that it stays so for longer than the
    /// grace; returns the message. What it showed before its deletion does not count.
    pub async fn until_held(&self, name: &str, reason: &str) -> Result<String> {
        let objects = self.objects().await?;
        let since = std::cell::Cell::new(None);
        let held = until("the deletion is held for this reason", async || {
            let object = objects.get_opt(name).await?;
            let object = object.with_context(|| format!("{name} is gone, and was to be held as {reason}"))?;
            let observed = object.status.as_ref().and_then(|status| status.observed_generation);
            let is_decided = object.is_terminating() && observed == object.metadata.generation;
            let Some((_, message)) = ready(&object).filter(|(shown, _)| is_decided && shown == reason) else {
                since.set(None);
                return Ok(None);
            };
            let began = since.get().unwrap_or_else(Instant::now);
            since.set(Some(began));
            Ok((began.elapsed() > 2 * GRACE).then_some(message))
        });
        held.await.with_context(|| self.log())
    }

    /// The reasons of all events in the namespace.
    pub async fn event_reasons(&self) -> Result<Vec<String>> {
        let events = self.kubectl(&["get", "events", "-o", "jsonpath={.items[*].reason}"]).await?;
        let mut reasons: Vec<String> = events.split_whitespace().map(str::to_owned).collect();
        reasons.sort_unstable();
        Ok(reasons)
    }

    /// Waits until the object is gone.
    pub async fn until_gone(&self, name: &str) -> Result<()> {
        let objects = self.objects().await?;
        sight::until_gone(&objects, name, PATIENCE).await.with_context(|| self.log())?;
        let is_gone =
            async || Ok(self.objects_seen.newest(name).is_none_or(|life| life.gone.is_some()).then_some(()));
        until("the watch shows that it is gone", is_gone).await
    }

    /// Waits until the objects' namespace is gone.
    pub async fn until_namespace_is_gone(&self) -> Result<()> {
        let namespaces = Api::<Namespace>::all(self.cluster.client().await?);
        self.until("the namespace is gone", async || {
            Ok(namespaces.get_opt(&self.namespace).await?.is_none().then_some(()))
        })
        .await
    }

    /// As [`until`], with an error that shows the operator's log.
    pub async fn until<T>(&self, what: &str, look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
        until(what, look).await.with_context(|| self.log())
    }

    pub async fn until_alive(&self, name: &str, reason: &str) -> Result<()> {
        self.until_reason(name, reason).await.map(drop)
    }
}
