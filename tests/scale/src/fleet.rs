//! Ports in the recycle bin with an object each, spread over accounts.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use kube::Api;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use test_support::objects::{SECRET, key_secret, manifest, spec};
use test_support::oracle::{Chronicle, Evidence, Expected, Limits, judge};
use test_support::witness::Life;
use zenlayer_port_operator::api::ZenlayerPort;
use zenlayer_simulator::{Port, PortStatus, Times};

use crate::cloud::AccessKey;
use crate::deletion::destroyed_once;
use crate::stats::log_normal;
use crate::{Bench, PATIENCE};

/// Requests of the bench to the API server at a time.
const AT_A_TIME: usize = 64;

/// How long the cloud takes from `DestroyPort` to DESTROYED.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DestroyTime {
    Fixed(Duration),
    /// Of this median, with sigma 0.5.
    LogNormal(Duration),
}

impl DestroyTime {
    const SIGMA: f64 = 0.5;

    /// Of the `n`-th port of so many.
    fn of(self, n: usize, ports: usize) -> Duration {
        match self {
            Self::Fixed(time) => time,
            // Scattered, so that neighbours differ: 7919 is a prime that no number of ports here is a multiple of.
            Self::LogNormal(median) => log_normal(median, Self::SIGMA, n * 7919 % ports, ports),
        }
    }

    /// The longest that a port takes.
    pub fn longest(self) -> Duration {
        match self {
            Self::Fixed(time) => time,
            Self::LogNormal(median) => median.mul_f64((2.0 * Self::SIGMA).exp()),
        }
    }
}

/// What a fleet is made of.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub ports: usize,
    pub accounts: usize,
    /// Requests per second that Zenlayer allows each account.
    pub rate: f64,
    pub destroy: DestroyTime,
}

/// An account with the namespace of its objects.
#[derive(Clone, Debug)]
pub struct Tenant {
    pub account: String,
    pub namespace: String,
}

/// Its objects are named like their ports.
pub struct Fleet {
    pub layout: Layout,
    pub tenants: Vec<Tenant>,
    created: Timestamp,
    pub ports: Vec<String>,
}

impl Fleet {
    /// Accounts, namespaces, Secrets and ports; no object yet.
    pub async fn lay_out(bench: &Bench, layout: Layout) -> Result<Self> {
        let run = bench.next_run();
        let tenants =
            try_join_all((0..layout.accounts).map(|number| tenant(bench, run, number, layout.rate)));
        let ports = (0..layout.ports).map(|number| format!("port-{run}-{number:05}")).collect();
        let fleet = Self { layout, tenants: tenants.await?, created: Timestamp::now(), ports };
        fleet.seed(bench, "uplink").await?;
        Ok(fleet)
    }

    /// Puts all ports into the recycle bin under this name.
    pub async fn seed(&self, bench: &Bench, port_name: &str) -> Result<()> {
        let Layout { ports, destroy, .. } = self.layout;
        let port = |(number, id): (usize, &String)| {
            let times = Times { destroy: destroy.of(number, ports), ..Times::default() };
            let port = Port::new(id).name(port_name).account(&self.tenant(number).account);
            port.status(PortStatus::Recycled).times(times).created(self.created)
        };
        bench.cloud.seed(&self.ports.iter().enumerate().map(port).collect::<Vec<_>>()).await
    }

    /// Makes all objects and waits until each has seen its port. How long that took.
    pub async fn create(&self, bench: &Bench) -> Result<Duration> {
        self.create_with(bench, &ObjectMeta::default()).await
    }

    /// The same, with this in the metadata of each.
    pub async fn create_with(&self, bench: &Bench, metadata: &ObjectMeta) -> Result<Duration> {
        let began = Instant::now();
        let creations = self.ports.iter().enumerate().map(|(number, id)| async move {
            let object = manifest(&self.tenant(number).namespace, id, &spec(id, "Destroy"));
            let object: ZenlayerPort = serde_json::from_value(object)?;
            let metadata = ObjectMeta { name: Some(id.clone()), ..metadata.clone() };
            let object = ZenlayerPort { metadata, ..object };
            self.api(bench, number).create(&PostParams::default(), &object).await?;
            anyhow::Ok(())
        });
        stream::iter(creations).buffer_unordered(AT_A_TIME).try_collect::<()>().await?;
        self.until_up_to_date(bench, "uplink").await?;
        Ok(began.elapsed())
    }

    /// Waits until all objects tell that their ports lie in the recycle bin under this name.
    pub async fn until_up_to_date(&self, bench: &Bench, port_name: &str) -> Result<()> {
        let up_to_date = |life: &Life| {
            let port = life.port.as_ref().filter(|_| life.gone.is_none());
            port.is_some_and(|port| port.name.as_deref() == Some(port_name) && port.status == "RECYCLED")
        };
        bench.witness.until_all(&self.ports, "up to date", self.patience(), up_to_date).await
    }

    /// Asks for the deletion of all objects at once.
    pub async fn delete(&self, bench: &Bench) -> Result<()> {
        let deletions = self.ports.iter().enumerate().map(|(number, id)| async move {
            self.api(bench, number).delete(id, &DeleteParams::default()).await.map(drop)
        });
        stream::iter(deletions).buffer_unordered(AT_A_TIME).try_collect::<()>().await?;
        Ok(())
    }

    /// Waits until the objects of these ports are gone.
    pub async fn until_gone(&self, bench: &Bench, ports: &[String], extra: Duration) -> Result<()> {
        let Layout { ports: count, accounts, rate, destroy } = self.layout;
        let calls =
            Duration::from_secs_f64(crate::stats::small(count) / crate::stats::small(accounts) / rate);
        let within = self.patience() + extra + calls * 3 + destroy.longest();
        bench.witness.until_all(ports, "gone", within, |life| life.gone.is_some()).await
    }

    /// All objects must be gone by now, each after exactly one call that took effect and destroyed its port. How often a call is
    /// sent is measured.
    pub fn judge(&self, bench: &Bench, journal: &Chronicle) -> Result<()> {
        destroyed_once(journal, &self.ports)?;
        let account_of = |port: &str| {
            let number = self.ports.binary_search_by(|known| known.as_str().cmp(port)).ok()?;
            Some(self.tenant(number).account.as_str())
        };
        // Other fleets may have been at work on the same API server.
        let is_ours = |port: &String| account_of(port).is_some();
        let mut chronicle = journal.clone();
        chronicle.requests.retain(|request| request.port_ids.iter().any(is_ours));
        chronicle.moves.retain(|step| is_ours(&step.port_id));
        let mut subjects = bench.witness.subjects(bench.cloud.began().into(), |_, name| account_of(name));
        for subject in &mut subjects {
            subject.expected = Expected::Gone;
        }
        ensure!(
            subjects.len() == self.ports.len(),
            "{} of {} objects were seen",
            subjects.len(),
            self.ports.len()
        );
        let limits = Limits { sends: usize::MAX, reads: usize::MAX };
        let violations = judge(&Evidence { chronicle, subjects, limits, ..Evidence::default() });
        let violations: Vec<String> = violations.iter().map(ToString::to_string).collect();
        ensure!(violations.is_empty(), "{}", violations.join("\n"));
        Ok(())
    }

    /// The API server takes a few milliseconds for each write, of which there are about ten for an object.
    fn patience(&self) -> Duration {
        PATIENCE + Duration::from_millis(60) * u32::try_from(self.layout.ports).unwrap_or(u32::MAX)
    }

    /// Whose the `number`-th port is.
    pub fn tenant(&self, number: usize) -> &Tenant {
        &self.tenants[number % self.tenants.len()]
    }

    /// The ports of these accounts.
    pub fn ports_of(&self, accounts: impl Fn(&str) -> bool) -> Vec<String> {
        let theirs =
            |(number, id): (usize, &String)| accounts(&self.tenant(number).account).then(|| id.clone());
        self.ports.iter().enumerate().filter_map(theirs).collect()
    }

    pub fn namespaces(&self) -> Vec<String> {
        self.tenants.iter().map(|tenant| tenant.namespace.clone()).collect()
    }

    fn api(&self, bench: &Bench, number: usize) -> Api<ZenlayerPort> {
        Api::namespaced(bench.client.clone(), &self.tenant(number).namespace)
    }
}

async fn tenant(bench: &Bench, run: u32, number: usize, rate: f64) -> Result<Tenant> {
    let account = format!("acme-{run}-{number}");
    let key = AccessKey::of(&account);
    bench.cloud.put_account(&account, &key, Some(rate)).await?;
    let namespace = bench.cluster.create_namespace(&account).await?;
    let secret = serde_json::from_value(key_secret(&namespace, SECRET, (&key.id, &key.password)))?;
    let secrets = Api::<k8s_openapi::api::core::v1::Secret>::namespaced(bench.client.clone(), &namespace);
    secrets.create(&PostParams::default(), &secret).await.context("making a Secret")?;
    Ok(Tenant { account, namespace })
}
