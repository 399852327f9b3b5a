//! One control plane for all tests; for each test its own namespaces, simulator, Helm release and operator.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kube::Api;
use test_cluster::{Cluster, RunningPod};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;
use tokio::time::{Instant, interval, timeout};
use zenlayer_port_operator::api::ZenlayerPort;
use zenlayer_simulator::{Account, Config, Port, PortStatus, Simulator, Times};

/// Every duration of the operator is a tenth of what it is in production.
const TIME_SCALE: &str = "0.1";

/// The longest that anything may take to happen. The machine may be busy: this is no measure of speed.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The Secret that objects name, unless a test says otherwise.
pub const SECRET: &str = "zenlayer-credentials";

pub const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/chart");
/// The chart of the release before this one.
pub const PREVIOUS_CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chart/previous");
const CRD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crds/zenlayerports.sdn.zenlayer.com.yaml");
pub const OPERATOR: &str = env!("CARGO_BIN_EXE_zenlayer-port-operator");

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a tokio runtime"));
static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
/// Its CustomResourceDefinition is wider than the one that is shipped.
static LATER_CLUSTER: OnceCell<Cluster> = OnceCell::const_new();

/// The grace of a deletion, unless a test says otherwise.
const GRACE: Duration = Duration::from_secs(1);

/// Runs a test on the runtime that the cluster lives on.
pub fn run(test: impl Future<Output = Result<()>>) {
    if let Err(error) = RUNTIME.block_on(test) {
        panic!("{error:#}");
    }
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
    cluster.install_kind::<ZenlayerPort>(CRD).await?;
    Ok(cluster)
}

/// Polls until `look` finds something, and returns it.
pub async fn until<T>(what: &str, look: impl AsyncFn() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    let mut tick = interval(Duration::from_millis(50));
    loop {
        tick.tick().await;
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("waited {} s in vain until {what}", PATIENCE.as_secs());
        }
    }
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
                Account::new("default").key("KEY", "PASSWORD"),
                Account::new("another").key("ANOTHER", "PASSWORD"),
            ],
            ports: self.ports,
            times: self.times,
            ..Config::default()
        })?;
        let home = cluster.create_namespace("operator").await?;
        let namespace = cluster.create_namespace("ports").await?;
        let (audited_since, permissions) = (cluster.end_of_audit_log()?, self.permissions);
        let world = World { cluster, simulator, home, namespace, operator: None, audited_since, permissions };
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
    /// The operator's namespace, which also names its release.
    home: String,
    /// The objects' namespace.
    pub namespace: String,
    operator: Option<RunningPod>,
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
        let mut settings = vec![
            "crds.enabled=false".to_owned(),
            // What the operator itself does about protection must not rest on it.
            "deletion.admissionPolicy=false".to_owned(),
            "admission.addFinalizer=false".to_owned(),
            format!("watchNamespaces={{{}}}", self.namespace),
            format!("zenlayer.endpoint={}", self.simulator.url()),
            "zenlayer.requestsPerSecond=200".to_owned(),
            "log.format=text".to_owned(),
            format!("extraArgs={{--time-scale={TIME_SCALE}}}"),
        ];
        if chart == CHART {
            // They are objects of the whole cluster, which `roles` tries.
            settings.push(
                "deletion.restrictApproval=false,rbac.aggregateRoles=false,flowSchema.enabled=false"
                    .to_owned(),
            );
        }
        if own_credentials {
            self.secret_in(&self.home, "KEY", "PASSWORD").await?;
            settings.push(format!("credentials.existingSecret={SECRET}"));
            settings.push(format!("credentials.namespaces={{{}}}", self.namespace));
        }
        settings.extend_from_slice(values);
        let mut args = vec![command, &self.home, chart, "--namespace", &self.home];
        for setting in &settings {
            args.extend(["--set", setting]);
        }
        self.cluster.helm(&args).await.map(drop)
    }

    async fn start_operator(mut self, env: &[(&'static str, String)]) -> Result<Self> {
        self.operator = Some(self.start_replica(env).await?);
        Ok(self)
    }

    /// Starts another Pod of the operator's Deployment.
    pub async fn start_replica(&self, env: &[(&'static str, String)]) -> Result<RunningPod> {
        let name = self.deployment();
        let mut run = self.cluster.run_deployment(&self.home, &name, Path::new(OPERATOR));
        for (variable, value) in env {
            run = run.env(variable, value);
        }
        let replica = run.start().await?;
        replica.wait_ready(PATIENCE).await?;
        Ok(replica)
    }

    /// The name of the operator's Deployment, and of its Lease.
    pub fn deployment(&self) -> String {
        format!("{}-zenlayer-port-operator", self.home)
    }

    /// The name of the operator's release, and of its namespace.
    pub fn release(&self) -> &str {
        &self.home
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
        self.cluster.helm(&["rollback", &self.home, "1", "--namespace", &self.home]).await?;
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
        let log = self.operator.as_ref().map(|operator| operator.logs()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        format!("the operator's log ends:\n{}", lines[lines.len().saturating_sub(25)..].join("\n"))
    }

    pub async fn put_secret(&self, id: &str, password: &str) -> Result<()> {
        self.secret_in(&self.namespace, id, password).await
    }

    async fn secret_in(&self, namespace: &str, id: &str, password: &str) -> Result<()> {
        let secret = serde_json::json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": SECRET, "namespace": namespace },
            "stringData": { "accessKeyId": id, "accessKeyPassword": password },
        });
        self.cluster.apply(&secret.to_string()).await.map(drop)
    }

    /// Creates an object as a user would.
    pub async fn create(&self, name: &str, spec: serde_json::Value) -> Result<()> {
        self.cluster.apply(&self.manifest(name, &spec).to_string()).await.map(drop)
    }

    pub fn manifest(&self, name: &str, spec: &serde_json::Value) -> serde_json::Value {
        serde_json::json!({
            "apiVersion": "sdn.zenlayer.com/v1alpha1", "kind": "ZenlayerPort",
            "metadata": { "name": name, "namespace": self.namespace }, "spec": spec,
        })
    }

    /// Creates an object of this port and policy with the Secret of the namespace.
    pub async fn own(&self, name: &str, port: &str, policy: &str) -> Result<()> {
        self.create(name, spec(port, policy)).await
    }

    /// `kubectl delete`, without waiting for the end.
    pub async fn delete(&self, name: &str) -> Result<()> {
        self.kubectl(&["delete", "zenlayerport", name, "--wait=false"]).await.map(drop)
    }

    /// kubectl in the objects' namespace.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String> {
        let all = [&["--namespace", &self.namespace], args].concat();
        self.cluster.kubectl(&all).await
    }

    pub async fn objects(&self) -> Result<Api<ZenlayerPort>> {
        Ok(Api::namespaced(self.cluster.client().await?, &self.namespace))
    }

    /// Waits until the object's `Ready` condition has this reason; returns its message.
    pub async fn until_reason(&self, name: &str, reason: &str) -> Result<String> {
        let objects = self.objects().await?;
        let waiting = until("the reason appears", async || {
            let Some(object) = objects.get_opt(name).await? else {
                bail!("{name} is gone, before it was {reason}")
            };
            let ready = ready(&object);
            Ok(ready.filter(|(seen, _)| seen == reason).map(|(_, message)| message))
        });
        match waiting.await {
            Ok(message) => Ok(message),
            Err(error) => {
                let object = objects.get_opt(name).await?.map(|object| object.status);
                Err(error.context(format!("{name} was to be {reason}, and is {object:?}\n{}", self.log())))
            }
        }
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

    /// Makes an object for each of these recycled ports, deletes all at once, and waits until all are held as one of too many;
    /// returns what each of them says.
    pub async fn hold_as_mass_deletion(&self, ids: &[String]) -> Result<Vec<String>> {
        for id in ids {
            self.own(id, id, "Destroy").await?;
        }
        for id in ids {
            self.until_alive(id, "PortRecycled").await?;
        }
        self.kubectl(&["delete", "zenlayerports", "--all", "--wait=false"]).await?;
        let mut messages = Vec::new();
        for id in ids {
            messages.push(self.until_reason(id, "MassDeletion").await?);
        }
        Ok(messages)
    }

    /// Waits until the object is gone.
    pub async fn until_gone(&self, name: &str) -> Result<()> {
        let objects = self.objects().await?;
        let gone =
            until("the object is gone", async || Ok(objects.get_opt(name).await?.is_none().then_some(())))
                .await;
        if gone.is_ok() {
            return Ok(());
        }
        let object = objects.get_opt(name).await?.map(|object| (object.metadata.finalizers, object.status));
        bail!("{name} does not go: {object:?}\n{}", self.log())
    }

    pub async fn until_alive(&self, name: &str, reason: &str) -> Result<()> {
        self.until_reason(name, reason).await.map(drop)
    }

    /// Types the last command that a message prints, to the letter.
    pub async fn type_command_of(&self, message: &str) -> Result<()> {
        self.type_command_of_as("", message).await
    }

    /// The same with more options at its end, such as `--as=NAME`.
    pub async fn type_command_of_as(&self, options: &str, message: &str) -> Result<()> {
        let (_, command) = message.rsplit_once(": ").context(format!("no command in: {message}"))?;
        self.type_command(&format!("{command} {options}")).await
    }

    /// Types the command that follows these words of a message, up to the semicolon before the next.
    pub async fn type_command_after(&self, words: &str, message: &str) -> Result<()> {
        let (_, command) = message.split_once(words).context(format!("no {words:?} in: {message}"))?;
        self.type_command(command.split_once("; to ").map_or(command, |(command, _)| command)).await
    }

    pub async fn type_command(&self, command: &str) -> Result<()> {
        anyhow::ensure!(command.starts_with("kubectl "), "no command of kubectl: {command}");
        let kubectl = self.cluster.binary(test_cluster::Binary::Kubectl);
        let programs = kubectl.parent().context("kubectl stands in a folder")?;
        let plugin = Path::new(env!("CARGO_BIN_EXE_kubectl-zenlayerport")).parent().context("a folder")?;
        let path = std::env::join_paths([programs, plugin, "/usr/bin".as_ref(), "/bin".as_ref()])?;
        let mut shell = tokio::process::Command::new("sh");
        shell.args(["-c", command]).env("PATH", path).env("KUBECONFIG", self.cluster.kubeconfig());
        let typed = timeout(PATIENCE, shell.output()).await??;
        anyhow::ensure!(typed.status.success(), "{command}: {}", String::from_utf8_lossy(&typed.stderr));
        Ok(())
    }
}

/// A spec with the Secret of the namespace.
pub fn spec(port: &str, policy: &str) -> serde_json::Value {
    serde_json::json!({ "portId": port, "deletionPolicy": policy, "credentialsRef": { "name": SECRET } })
}

/// Reason and message of the `Ready` condition.
pub fn ready(object: &ZenlayerPort) -> Option<(String, String)> {
    let conditions = &object.status.as_ref()?.conditions;
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready")?;
    Some((ready.reason.clone(), ready.message.clone()))
}
