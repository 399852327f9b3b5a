//! The Helm chart, and one release of it.

use std::path::PathBuf;

use anyhow::Result;

use crate::root;
use crate::tool::Tool;

/// The release and, as the chart names things by it, its Deployment.
pub const RELEASE: &str = "zenlayer-port-operator";

/// The chart's folder in the workspace.
pub fn folder() -> PathBuf {
    root().join("deploy").join("chart")
}

/// `helm install` as one would type it; `values` are its `--set…` options.
pub async fn install(helm: &Tool, namespace: &str, values: &[String]) -> Result<()> {
    let chart = folder().display().to_string();
    let mut args =
        vec!["install", RELEASE, &chart, "--namespace", namespace, "--create-namespace", "--hide-notes"];
    args.extend(values.iter().map(String::as_str));
    helm.typed(&args).await
}
