//! A release of the chart, and its Pods.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use test_cluster::{Cluster, RunningPod};
use zenlayer_port_operator::api::ZenlayerPort;

use crate::proxy::Proxy;

pub const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/chart");
/// The file of the CustomResourceDefinition.
pub const CRD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crds/zenlayerports.sdn.zenlayer.com.yaml");

/// Every duration of a quick operator is a tenth of what it is in production.
pub const TIME_SCALE: f64 = 0.1;

/// Has the cluster serve the kind, as it is shipped.
pub async fn serve_the_kind(cluster: &Cluster) -> Result<()> {
    cluster.install_kind::<ZenlayerPort>(CRD).await
}

/// Values of the chart.
#[derive(Clone, Debug)]
pub struct Values(Vec<String>);

impl Values {
    /// For an operator that calls this endpoint, in a cluster that serves the kind. What the operator itself does about
    /// protection does not rest on the API server's policies, which are off.
    pub fn at(endpoint: &str) -> Self {
        let off = ["crds.enabled", "deletion.admissionPolicy", "admission.addFinalizer"];
        let off = off.map(|value| format!("{value}=false"));
        Self([&off[..], &[format!("zenlayer.endpoint={endpoint}")]].concat())
    }

    /// With [`TIME_SCALE`], and no wait for the limit of requests.
    #[must_use]
    pub fn quick(self) -> Self {
        self.set("zenlayer.requestsPerSecond=200")
            .set("log.format=text")
            .set(format!("extraArgs={{--time-scale={TIME_SCALE}}}"))
    }

    /// For objects in these namespaces; none: in all.
    #[must_use]
    pub fn watching<'a>(self, namespaces: impl IntoIterator<Item = &'a str>) -> Self {
        let namespaces: Vec<&str> = namespaces.into_iter().collect();
        if namespaces.is_empty() {
            self
        } else {
            self.set(format!("watchNamespaces={{{}}}", namespaces.join(",")))
        }
    }

    /// A value as one gives it to `helm --set`. The last one of a name counts.
    #[must_use]
    pub fn set(mut self, assignment: impl Into<String>) -> Self {
        self.0.push(assignment.into());
        self
    }

    #[must_use]
    pub fn set_all<'a>(self, assignments: impl IntoIterator<Item = &'a String>) -> Self {
        assignments.into_iter().fold(self, Self::set)
    }
}

/// A release that has a namespace to itself, of the same name.
#[derive(Clone, Debug)]
pub struct Release(String);

impl Release {
    /// Makes the namespace. Nothing is installed yet.
    pub async fn new(cluster: &Cluster) -> Result<Self> {
        Ok(Self(cluster.create_namespace("operator").await?))
    }

    /// The name of the release and of its namespace.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The name of its Deployment, of its ServiceAccount and of its Lease.
    pub fn deployment(&self) -> String {
        format!("{}-zenlayer-port-operator", self.0)
    }

    /// `helm install` or `helm upgrade`.
    pub async fn deploy(&self, cluster: &Cluster, command: &str, chart: &str, values: &Values) -> Result<()> {
        let mut args = vec![command, &self.0, chart, "--namespace", &self.0];
        for value in &values.0 {
            args.extend(["--set", value]);
        }
        cluster.helm(&args).await.map(drop)
    }

    /// Starts a Pod of the Deployment as a process, with more variables. It may not be ready yet.
    pub async fn start_pod<V: AsRef<str>>(
        &self,
        cluster: &Cluster,
        binary: &Path,
        env: &[(&str, V)],
    ) -> Result<RunningPod> {
        let deployment = self.deployment();
        let run = cluster.run_deployment(&self.0, &deployment, binary);
        env.iter().fold(run, |run, (name, value)| run.env(name, value.as_ref())).start().await
    }

    /// A kubeconfig with the identity of its Pods. A test can break the connection to the API server.
    pub async fn kubeconfig_behind_proxy(&self, cluster: &Cluster) -> Result<(PathBuf, Proxy)> {
        let url = cluster.url();
        let proxy = Proxy::to(url.trim_start_matches("https://")).await?;
        let direct = cluster.token_kubeconfig(&self.0, &self.deployment()).await?;
        let through = direct.with_extension("proxied");
        let text = fs::read_to_string(&direct)?.replace(url, &format!("https://{}", proxy.address()));
        fs::write(&through, text)?;
        Ok((through, proxy))
    }
}
