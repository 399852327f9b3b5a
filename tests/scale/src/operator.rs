//! The operator as it is installed: the chart's Deployment, run as one process of the release build.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use test_cluster::{Cluster, RunningPod};
use test_support::metrics::{metrics, sum};
use test_support::release::{self as chart, CHART, Release};

use crate::PATIENCE;
use crate::proc::{self, Memory};

/// A release of the chart with its one process, which ends with this.
pub struct Operator {
    pod: RunningPod,
}

/// Chart values that differ from the defaults, or depend on where things are.
#[derive(Clone, Debug)]
pub struct Values<'a> {
    pub endpoint: &'a str,
    /// Per second and credential.
    pub rate: f64,
    /// None: all.
    pub namespaces: &'a [String],
    pub grace: Duration,
}

/// What a process has used and done since it started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub cpu: Duration,
    pub reconciles: f64,
    pub memory: Memory,
}

impl Operator {
    /// Installs a release and waits until it is ready. The gate for mass deletions is off: nobody is here to approve.
    pub async fn install(cluster: &Cluster, binary: &Path, values: &Values<'_>) -> Result<Self> {
        let release = Release::new(cluster).await?;
        let settings = chart::Values::at(values.endpoint)
            .watching(values.namespaces.iter().map(String::as_str))
            .set("deletion.massDeletionThreshold=0")
            .set(format!("deletion.grace={}s", values.grace.as_secs()))
            .set(format!("zenlayer.requestsPerSecond={}", values.rate));
        release.deploy(cluster, "install", CHART, &settings).await?;
        let pod = release.start_pod::<&str>(cluster, binary, &[]).await?;
        pod.wait_ready(PATIENCE).await?;
        Ok(Self { pod })
    }

    /// Ends it as the kubelet does, with SIGTERM.
    pub async fn stop(&self) -> Result<()> {
        self.pod.terminate(PATIENCE).await.map(drop)
    }

    /// Starts it again.
    pub fn start(&self) -> Result<()> {
        self.pod.start()
    }

    /// Whether it still runs, and the end of its log.
    pub fn last_words(&self) -> String {
        let state = if self.pod.id().is_some() { "runs" } else { "has ended" };
        format!("the operator {state}; {}", self.pod.log_tail())
    }

    pub async fn usage(&self) -> Result<Usage> {
        let pid = self.pod.id().with_context(|| format!("the operator has ended: {}", self.pod.logs()))?;
        let metrics = metrics(&self.pod).await?;
        Ok(Usage {
            cpu: proc::cpu(pid)?,
            reconciles: sum(&metrics, "zenlayer_port_operator_reconciles_total"),
            memory: Memory::of(pid)?,
        })
    }
}
