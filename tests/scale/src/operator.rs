//! The operator as it is installed: the chart's Deployment, run as one process of the release build.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use test_cluster::{Cluster, RunningPod};

use crate::PATIENCE;
use crate::proc::{self, Memory};
use crate::prometheus;

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/chart");

/// A release of the chart with its one process, which ends with this.
pub struct Operator {
    pod: RunningPod,
    http: reqwest::Client,
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
        let home = cluster.create_namespace("operator").await?;
        let mut settings = vec![
            "crds.enabled=false".to_owned(),
            "deletion.admissionPolicy=false".to_owned(),
            "admission.addFinalizer=false".to_owned(),
            "deletion.massDeletionThreshold=0".to_owned(),
            format!("deletion.grace={}s", values.grace.as_secs()),
            format!("zenlayer.endpoint={}", values.endpoint),
            format!("zenlayer.requestsPerSecond={}", values.rate),
        ];
        if !values.namespaces.is_empty() {
            settings.push(format!("watchNamespaces={{{}}}", values.namespaces.join(",")));
        }
        let mut args = vec!["install", &home, CHART, "--namespace", &home];
        for setting in &settings {
            args.extend(["--set", setting]);
        }
        cluster.helm(&args).await?;
        let deployment = format!("{home}-zenlayer-port-operator");
        let pod = cluster.run_deployment(&home, &deployment, binary).start().await?;
        pod.wait_ready(PATIENCE).await?;
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
        Ok(Self { pod, http })
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
        let log = self.pod.logs();
        let lines: Vec<&str> = log.lines().collect();
        format!(
            "the operator {state}; the end of its log:\n{}",
            lines[lines.len().saturating_sub(20)..].join("\n")
        )
    }

    pub async fn usage(&self) -> Result<Usage> {
        let pid = self.pod.id().with_context(|| format!("the operator has ended: {}", self.pod.logs()))?;
        let metrics = self.http.get(format!("{}/metrics", self.pod.url()?)).send().await?.text().await?;
        Ok(Usage {
            cpu: proc::cpu(pid)?,
            reconciles: prometheus::sum(&metrics, "zenlayer_port_operator_reconciles_total"),
            memory: Memory::of(pid)?,
        })
    }
}
