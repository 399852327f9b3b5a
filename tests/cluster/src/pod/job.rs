//! A stand-in for the kubelet where a Job is concerned: runs its Pod as a local process, to its end.

use std::path::Path;
use std::process::ExitStatus;

use anyhow::{Context as _, Result};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use super::template::Template;
use super::{Container, START_LIMIT, make_home};
use crate::cluster::Cluster;

/// How the one container of a Job's Pod ended, and what it said.
#[derive(Debug)]
pub struct FinishedJob {
    pub status: ExitStatus,
    pub logs: String,
}

impl Cluster {
    /// Waits for a Pod of a Job that `selector` selects, runs `binary` as its container would run (see
    /// [`DeploymentRun::start`](crate::DeploymentRun::start)), and tells the API server how it ended, as a kubelet does: the
    /// Job then completes or fails.
    pub async fn run_job(&self, namespace: &str, selector: &str, binary: &Path) -> Result<FinishedJob> {
        let client = self.client().await?;
        let pods = Api::<Pod>::namespaced(client.clone(), namespace);
        let pending = ListParams::default().labels(selector).fields("status.phase=Pending");
        let pod = self
            .controller_manager()
            .ready(START_LIMIT, async || {
                let pod = pods.list(&pending).await?.items.pop();
                pod.with_context(|| format!("no Job in {namespace} with {selector} has a Pod"))
            })
            .await?;
        let name = pod.name_any();
        let job = pod.labels().get("batch.kubernetes.io/job-name").context("its Pod is no Job's")?;
        let job = Api::<Job>::namespaced(client, namespace).get(job).await?;
        // Of the Job, as the API server has added a volume with the token to the Pod.
        let template = Template::of(job.spec.context("the Job has no spec")?.template)?;
        let container = template.container_name().to_owned();
        let home = make_home(self.host(), &name)?;
        let Container { process, .. } =
            Container::prepare(self.host(), namespace, &template, &home, binary, Vec::new()).await?;
        process.start()?;
        let status = process.wait_exit(START_LIMIT).await?;
        let end = json!({ "status": {
            "phase": if status.success() { "Succeeded" } else { "Failed" },
            "containerStatuses": [{
                "name": container, "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": { "terminated": { "exitCode": status.code().unwrap_or(-1) } },
            }],
        }});
        pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(&end)).await?;
        Ok(FinishedJob { status, logs: process.logs() })
    }
}
