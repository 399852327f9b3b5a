//! All steps of a release, on this machine: the registry and the control plane listen on 127.0.0.1, and nothing is published.

mod image;
mod plugin;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use test_cluster::{Assets, Binary, Cluster, Registry, Tool, release_tools};

use crate::chart::{self, NAME, PinnedImage, check_images};

/// What is released.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The folder of the repository.
    pub root: &'a Path,
    pub operator: &'a Path,
    pub plugin: &'a Path,
    /// The script that kubectl runs for completion.
    pub completion: &'a str,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

const NAMESPACE: &str = "zenlayer-system";

/// The machine may be busy: this is no measure of speed.
const PATIENCE: Duration = Duration::from_secs(90);

/// Takes all steps, and tells of each that went well. The first time on a machine it builds the programs that it needs.
pub async fn run(parts: Parts<'_>, tell: impl Fn(&str)) -> Result<()> {
    let work = tempfile::tempdir()?;
    let tools = release_tools().await?;
    let cluster = Cluster::start().await?;
    let registry = cluster.start_registry(&tools).await?;
    let stage = Stage { parts, work: work.path(), cluster: &cluster, registry: &registry, tools: &tools };

    for line in plugin::rehearse(&stage).await.context("the plugin")? {
        tell(&line);
    }
    let image = image::push(&stage).await.context("the image")?;
    tell(&format!("image: pushed {}", image.reference()));
    let chart = stage.push_chart(&image).await.context("the chart")?;
    tell(&format!("chart: pushed {}, which runs the image by its digest", chart.reference()));
    for pushed in [&image, &chart] {
        stage.sign_and_verify(pushed).await.context("the signatures")?;
        tell(&format!("signature: {} is verified, and another key is refused", pushed.reference()));
    }
    stage.install(&image).await.context("the installation")?;
    tell("installation: the chart of the registry installs, and the operator of the image becomes ready");
    Ok(())
}

/// Where a release is rehearsed.
struct Stage<'a> {
    parts: Parts<'a>,
    work: &'a Path,
    cluster: &'a Cluster,
    registry: &'a Registry,
    tools: &'a Assets,
}

impl Stage<'_> {
    fn crane(&self) -> Tool {
        self.cluster.tool(self.tools, Binary::Crane)
    }

    fn repository(&self, name: &str) -> String {
        format!("{}/{name}", self.registry.address())
    }

    /// What is in the registry under this name and tag.
    async fn pinned(&self, name: &str, tag: &str) -> Result<PinnedImage> {
        let repository = self.repository(name);
        let digest = self.crane().run(&["digest", &format!("{repository}:{tag}")]).await?;
        PinnedImage::new(&repository, digest.trim())
    }

    async fn push_chart(&self, image: &PinnedImage) -> Result<PinnedImage> {
        let source = self.parts.root.join("deploy/chart");
        let helm = self.cluster.binary(Binary::Helm);
        let archive = chart::package(&helm, &source, image, &self.work.join("chart")).await?;
        let charts = format!("oci://{}", self.repository("charts"));
        self.cluster.helm(&["push", "--plain-http", &archive.display().to_string(), &charts]).await?;
        self.pinned(&format!("charts/{NAME}"), VERSION).await
    }

    /// As the workflow does, but with a key instead of an identity, and without a public log.
    async fn sign_and_verify(&self, pushed: &PinnedImage) -> Result<()> {
        let cosign = self.cluster.tool(self.tools, Binary::Cosign);
        let mut keys = Vec::new();
        for owner in ["ours", "other"] {
            let prefix = self.work.join(format!("{owner}-{}", &pushed.digest()[7..19])).display().to_string();
            cosign.run(&["generate-key-pair", "--output-key-prefix", &prefix]).await?;
            keys.push(prefix);
        }
        let reference = pushed.reference();
        let verify = async |key: &str| {
            let key = format!("--key={key}.pub");
            cosign.run(&["verify", &key, "--insecure-ignore-tlog", "--allow-http-registry", &reference]).await
        };
        ensure!(verify(&keys[0]).await.is_err(), "it is verified before it is signed");
        let key = format!("--key={}.key", keys[0]);
        let offline = ["--use-signing-config=false", "--tlog-upload=false", "--allow-http-registry", "--yes"];
        cosign.run(&[&["sign", &key], &offline[..], &[&reference]].concat()).await?;
        verify(&keys[0]).await?;
        ensure!(verify(&keys[1]).await.is_err(), "the key of somebody else verifies it");
        Ok(())
    }

    /// As a user does it: by the name of the chart in the registry. There is no node, so the operator is taken out of the
    /// image that the Deployment names, and runs as a process.
    async fn install(&self, image: &PinnedImage) -> Result<()> {
        let chart = format!("oci://{}", self.repository(&format!("charts/{NAME}")));
        let place = ["--namespace", NAMESPACE];
        let from_registry =
            ["install", NAME, &chart, "--version", VERSION, "--plain-http", "--create-namespace"];
        self.cluster.helm(&[&from_registry, &place[..]].concat()).await?;
        for what in ["manifest", "hooks"] {
            let rendered = self.cluster.helm(&[&["get", what, NAME], &place[..]].concat()).await?;
            check_images(&rendered, image).with_context(|| format!("helm get {what}"))?;
        }
        let path = "jsonpath={.spec.template.spec.containers[*].image}";
        let deployment = ["get", "deployment", NAME, "--output", path];
        let named = self.cluster.kubectl(&[&deployment, &place[..]].concat()).await?;
        let operator = image::pull(self, &named).await?;
        let pod = self.cluster.run_deployment(NAMESPACE, NAME, &operator).start().await?;
        pod.wait_ready(PATIENCE).await
    }
}
