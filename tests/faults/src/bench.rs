//! What a case works with: a control plane, a simulated Zenlayer of two accounts, and the operator in processes that the
//! bench starts again when they end, as a kubelet does.

mod kubernetes;
mod objects;
mod pods;
mod secrets;
mod storage;

use std::fmt::Display;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::Client;
use test_cluster::Cluster;
use test_support::oracle::{Evidence, Limits, Subject, Violation, judge};
use test_support::proxy::Proxy;
use test_support::release::Release;
use test_support::tls::TlsServer;
use test_support::wait::{Look, until_wanted};
use test_support::witness::Witness;
use tokio::time::{Instant, sleep};
use zenlayer_simulator::{Account, Config, Rule, Simulator, Times};

pub use self::objects::Object;
use self::pods::Pod;
pub use self::secrets::Spoilt;
pub use self::storage::Revisions;

/// The longest that anything may take to happen once nothing stands in its way. The machine may be busy: this is no
/// measure of speed.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// Ends after every reading, and every Secret as it was read, from before the deletion has grown too old to act upon.
pub const LONG_GRACE: &str = "deletion.grace=130s";

/// A namespace with objects, and the account that their Secret is of.
#[derive(Clone, Debug)]
pub struct Tenant {
    pub namespace: String,
    pub account: &'static str,
    password: String,
}

pub struct Bench {
    pub cluster: Arc<Cluster>,
    pub cloud: Simulator,
    /// All chance of the case.
    pub chance: fastrand::Rng,
    /// Whom faults of one account or namespace hit.
    pub tenant: Tenant,
    /// Whom they must not concern.
    pub neighbour: Tenant,
    releases: Vec<Release>,
    values: Vec<String>,
    client: Client,
    binary: PathBuf,
    began: Instant,
    pods: Vec<Pod>,
    subjects: Vec<Subject>,
    witness: Witness,
    /// How much of what each object said was listened to.
    heard: Vec<usize>,
    texts: Vec<(String, String)>,
    secrets: Vec<String>,
    pub limits: Limits,
}

impl Bench {
    /// Lays out everything but the operator.
    pub async fn new(cluster: Arc<Cluster>, binary: PathBuf, seed: u64) -> Result<Self> {
        let mut chance = fastrand::Rng::with_seed(seed);
        let mut password = || (0..24).map(|_| chance.alphanumeric()).collect::<String>();
        let passwords = [password(), password()];
        let cloud = Simulator::start(Config {
            accounts: vec![
                Account::new("tenant").key("TENANT", &passwords[0]),
                Account::new("neighbour").key("NEIGHBOUR", &passwords[1]),
            ],
            times: Times {
                create: Duration::from_secs(1),
                terminate: Duration::from_millis(chance.u64(200..1500)),
                renew: Duration::from_secs(1),
                destroy: Duration::from_millis(chance.u64(200..2500)),
                destroyed_listed_for: Duration::from_secs(chance.u64(0..2)),
            },
            ..Config::default()
        })?;
        let began = Instant::now();
        let [password, other] = passwords;
        let tenant =
            Tenant { namespace: cluster.create_namespace("tenant").await?, account: "tenant", password };
        let namespace = cluster.create_namespace("neighbour").await?;
        let neighbour = Tenant { namespace, account: "neighbour", password: other };
        let client = cluster.client().await?;
        let witness = Witness::of(&client, [tenant.namespace.as_str(), neighbour.namespace.as_str()]);
        let bench = Self {
            values: Vec::new(),
            releases: Vec::new(),
            pods: Vec::new(),
            subjects: Vec::new(),
            witness,
            heard: Vec::new(),
            texts: Vec::new(),
            secrets: vec![tenant.password.clone(), neighbour.password.clone()],
            limits: Limits::default(),
            cluster,
            cloud,
            chance,
            tenant,
            neighbour,
            client,
            binary,
            began,
        };
        bench.put_secret(&bench.tenant, "TENANT", &bench.tenant.password).await?;
        bench.put_secret(&bench.neighbour, "NEIGHBOUR", &bench.neighbour.password).await?;
        Ok(bench)
    }

    /// A chart value for the release that [`Bench::start`] makes.
    pub fn value(&mut self, assignment: impl Into<String>) -> &mut Self {
        self.values.push(assignment.into());
        self
    }

    /// From now on the operator reaches Zenlayer through a proxy only.
    pub async fn proxy_to_cloud(&mut self) -> Result<Proxy> {
        let proxy = Proxy::to(self.cloud.url().trim_start_matches("http://")).await?;
        self.value(format!("zenlayer.endpoint=http://{}", proxy.address()));
        Ok(proxy)
    }

    /// Installs a release that reaches Zenlayer by TLS and through a proxy, and runs it in one process.
    pub async fn start_with_tls(&mut self) -> Result<(TlsServer, Proxy)> {
        let server = TlsServer::before(self.cloud.url().trim_start_matches("http://")).await?;
        let line = Proxy::to(&server.address().to_string()).await?;
        self.value(format!("zenlayer.endpoint=https://{}", line.address()));
        self.install().await?;
        let believed = tempfile::NamedTempFile::new()?;
        fs::write(&believed, server.authority())?;
        self.run(&[("SSL_CERT_FILE", &believed.path().display().to_string())]).await?;
        Ok((server, line))
    }

    /// Installs a release and runs it in one process.
    pub async fn start(&mut self) -> Result<()> {
        self.install().await?;
        self.run(&[]).await.map(drop)
    }

    /// Sets a fault of the tenant's account.
    pub fn fault(&self, rule: Rule) -> u64 {
        self.cloud.fault(rule.account(self.tenant.account))
    }

    /// Ends all faults at Zenlayer.
    pub fn calm(&self) {
        self.cloud.clear_faults();
    }

    /// How many requests for this action there were.
    pub fn sent(&self, action: &str) -> usize {
        self.cloud.with_journal(|journal| journal.calls(action).count())
    }

    /// How many of them named this port.
    pub fn sent_for(&self, action: &str, port_id: &str) -> usize {
        self.cloud.with_journal(|journal| journal.calls_for(action, port_id).count())
    }

    /// Lets up to so much time pass, as chance has it.
    pub async fn a_while(&mut self, at_most: Duration) {
        let milliseconds = u64::try_from(at_most.as_millis()).unwrap_or(u64::MAX);
        sleep(Duration::from_millis(self.chance.u64(0..=milliseconds))).await;
    }

    /// kubectl in the tenant's namespace.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String> {
        self.cluster.kubectl(&[&["--namespace", &self.tenant.namespace], args].concat()).await
    }

    /// Polls until `look` finds something; meanwhile processes that have ended are started again.
    pub async fn until<T>(
        &self,
        what: impl Display,
        look: impl AsyncFn(&Self) -> Result<Option<T>>,
    ) -> Result<T> {
        until_wanted(PATIENCE, what, async || {
            self.tend()?;
            Ok(match look(self).await {
                Ok(Some(found)) => Look::Wanted(found),
                Ok(None) => Look::Instead(String::new()),
                // The API server may be away.
                Err(error) => Look::Instead(format!("{error:#}")),
            })
        })
        .await
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Gathers what is to be judged, and judges it.
    pub async fn verdict(&mut self) -> Result<Vec<Violation>> {
        self.settle_accounts().await.context("reading how the objects ended")?;
        self.gather_texts().await.context("gathering what was written")?;
        let chronicle = self.cloud.with_journal(|journal| journal.into());
        Ok(judge(&Evidence {
            chronicle,
            subjects: self.subjects.clone(),
            texts: std::mem::take(&mut self.texts),
            secrets: self.secrets.clone(),
            limits: self.limits,
        }))
    }
}
