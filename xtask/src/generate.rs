//! The files that are made from the code, and committed.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use tempfile::TempDir;
use test_cluster::{Assets, Binary};
use zenlayer_port_operator::manifest;

use crate::chart::{self, RELEASE};
use crate::tool::Tool;
use crate::{alerts, changes, dashboard, reference, renders, root, screens, values};

const CRD: &str = "crds/zenlayerports.sdn.zenlayer.com.yaml";
const CHART: &str = "deploy/chart";
const CRD_IN_CHART: &str = "deploy/chart/files/zenlayerports.sdn.zenlayer.com.yaml";
const REASONS: &str = "docs/reasons.md";
const DECISION: &str = "docs/decision.md";
const REFERENCE: &str = "docs/api-reference.md";
const ALERTS: &str = "deploy/chart/files/alerts.yaml";
const DASHBOARD: &str = "deploy/chart/files/dashboard.json";
const SCREENS: &str = "docs/screens.md";
const INSTALL: &str = "deploy/install.yaml";
const CHART_YAML: &str = "deploy/chart/Chart.yaml";
const README: &str = "deploy/chart/README.md";

/// Where `deploy/install.yaml` installs to.
const NAMESPACE: &str = "zenlayer-system";

/// The oldest Kubernetes that the chart is for: what it renders for that one, every later one takes too.
const KUBE_VERSION: &str = "1.30.0";

const INSTALL_HEAD: &str = "\
# zenlayer-port-operator without Helm:
#
#   kubectl apply --server-side -f install.yaml
#
# First set the image of the Deployment. The operator has no key of its own, so each ZenlayerPort must name a Secret of its
# namespace in spec.credentialsRef.
#
# It works with Kubernetes 1.30 and newer. So it lacks the chart's policy that adds the operator's finalizer to a new
# ZenlayerPort, which needs 1.36. The operator adds it when it first sees the object. If an object may be deleted before that,
# write the finalizer into the manifest: finalizers: [sdn.zenlayer.com/destroy-port]
#
# `cargo xtask generate` writes this file from deploy/chart with its default values. Do not edit it.
---
apiVersion: v1
kind: Namespace
metadata:
  name: zenlayer-system
  labels:
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/enforce-version: latest
";

/// Write the files that are made from the code: the `CustomResourceDefinition` (in crds/ and in the chart), docs/reasons.md,
/// docs/decision.md, docs/api-reference.md, docs/screens.md, the chart's alerts and dashboard, deploy/install.yaml, the table in
/// deploy/chart/README.md, the changes in deploy/chart/Chart.yaml, and the snapshots of the chart's tests.
///
/// helm renders the chart. It comes from `KUBEBUILDER_ASSETS`, or is built once, as for the tests.
#[derive(Debug, Args)]
pub struct Options {
    /// Write nothing. List the files that are old, and fail if there are any.
    #[arg(long)]
    check: bool,
}

/// A file as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// In the workspace.
    pub path: String,
    pub content: String,
}

pub async fn run(options: &Options) -> Result<()> {
    let files = generated().await?;
    let stale = stale(&files);
    if options.check {
        if stale.is_empty() {
            return Ok(());
        }
        bail!("stale: {}; run `cargo xtask generate` and commit what it writes", stale.join(", "));
    }
    for file in files.iter().filter(|file| stale.contains(&file.path.as_str())) {
        write(file)?;
        println!("wrote {}", file.path);
    }
    Ok(())
}

/// All generated files as they should be. Nothing is written but a copy of the chart in a temporary folder.
pub async fn generated() -> Result<Vec<Generated>> {
    let crd = manifest::custom_resource_definition()?;
    let helm = Tool::new(Binary::Helm, Assets::find_or_build().await?.path(Binary::Helm));
    let file = |path: &str, content| Generated { path: path.to_owned(), content };
    let in_chart = [
        file(CRD_IN_CHART, crd.clone()),
        file(ALERTS, alerts::rules()?),
        file(DASHBOARD, dashboard::dashboard()?),
    ];
    let copy = chart_with(&in_chart)?;
    let chart = copy.path().display().to_string();
    let install = install(&helm, &chart).await.context("rendering deploy/chart")?;
    let read = |name: &str| fs::read_to_string(chart::folder().join(name)).context(name.to_owned());
    let readme = values::with_table(&read("README.md")?, &read("values.yaml")?).context(README)?;
    let log = fs::read_to_string(root().join("CHANGELOG.md")).context("CHANGELOG.md")?;
    let about = changes::with_changes(&read("Chart.yaml")?, &log, env!("CARGO_PKG_VERSION"));
    let mut files = vec![
        file(CHART_YAML, about.context(CHART_YAML)?),
        file(REFERENCE, reference::document(&crd).context(REFERENCE)?),
        file(CRD, crd),
        file(REASONS, manifest::reasons()),
        file(DECISION, manifest::decision()),
        file(SCREENS, screens::document()?),
        file(INSTALL, install),
        file(README, readme),
    ];
    files.extend(in_chart);
    let snapshots = renders::snapshots(&helm, &chart).await?;
    files.extend(snapshots.into_iter().map(|(path, content)| Generated { path, content }));
    Ok(files)
}

/// The paths of those that differ from what is in the workspace, or are missing there.
pub fn stale(files: &[Generated]) -> Vec<&str> {
    let root = root();
    let is_stale = |file: &&Generated| {
        fs::read_to_string(root.join(&file.path)).map_or(true, |committed| committed != file.content)
    };
    files.iter().filter(is_stale).map(|file| file.path.as_str()).collect()
}

fn write(file: &Generated) -> Result<()> {
    let path = root().join(&file.path);
    path.parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(&path, &file.content))
        .with_context(|| format!("writing {}", file.path))
}

/// The chart's rendering for kubectl: first the Namespace and the `CustomResourceDefinition`, which the rest needs.
async fn install(helm: &Tool, chart: &str) -> Result<String> {
    let template =
        ["template", RELEASE, chart, "--namespace", NAMESPACE, "--kube-version", KUBE_VERSION, "--no-hooks"];
    let definition = helm.run(&[&template[..], &["--show-only", "templates/crds.yaml"]].concat()).await?;
    let rest = helm.run(&[&template[..], &["--set", "crds.enabled=false"]].concat()).await?;
    let rendered = format!("{INSTALL_HEAD}{definition}{rest}");
    Ok(rendered.split_inclusive('\n').filter(|line| !is_of_helm(line)).collect())
}

/// A label that is true only of what Helm has installed.
fn is_of_helm(line: &str) -> bool {
    ["app.kubernetes.io/managed-by: Helm", "helm.sh/chart: "]
        .iter()
        .any(|label| line.trim().starts_with(label))
}

/// A copy of the chart that has these files of it, as those in the workspace may be stale.
fn chart_with(files: &[Generated]) -> Result<TempDir> {
    let copy = tempfile::tempdir()?;
    copy_folder(&chart::folder(), copy.path())?;
    for Generated { path, content } in files {
        let name = Path::new(path).strip_prefix(CHART).context("not a file of the chart")?;
        fs::write(copy.path().join(name), content)?;
    }
    Ok(copy)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir(&to)?;
            copy_folder(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), &to)?;
        }
    }
    Ok(())
}
