//! Releases of the chart on a real API server, by Helm and kubectl as people type them. The Job before an uninstall runs.

mod dry_run;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use test_cluster::{Cluster, FinishedJob};
use test_support::objects::manifest;
use test_support::release::{CHART, serve_the_kind};
use test_support::run;
use tokio::sync::OnceCell;
use zenlayer_port_operator::api::FINALIZER;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const OPERATOR: &str = env!("CARGO_BIN_EXE_zenlayer-port-operator");

/// The longest that anything may take to happen. The machine may be busy: this is no measure of speed.
const PATIENCE: Duration = Duration::from_secs(90);

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();

async fn cluster() -> Result<&'static Cluster> {
    CLUSTER
        .get_or_try_init(|| async {
            let cluster = Cluster::start().await?;
            serve_the_kind(&cluster).await?;
            Ok(cluster)
        })
        .await
}

/// A release, named like its namespace, in which its objects are too.
struct Release {
    cluster: &'static Cluster,
    name: String,
}

impl Release {
    async fn new() -> Result<Self> {
        let cluster = cluster().await?;
        Ok(Self { cluster, name: cluster.create_namespace("release").await? })
    }

    /// `helm COMMAND NAME OPTIONS`.
    async fn helm(&self, command: &str, options: &[&str]) -> Result<String> {
        let args = [&[command, &self.name], options, &["--namespace", &self.name]].concat();
        self.cluster.helm(&args).await
    }

    /// `helm install` or `helm upgrade`, with objects of this namespace alone.
    async fn deploy(&self, command: &str, options: &[&str]) -> Result<String> {
        let watched = format!("watchNamespaces={{{}}}", self.name);
        let values = ["--set", "crds.enabled=false,deletion.admissionPolicy=false", "--set", &watched];
        self.helm(command, &[&[CHART][..], &values, options].concat()).await
    }

    /// `helm uninstall`, with its Job.
    async fn uninstall(&self) -> Result<(Result<String>, FinishedJob)> {
        let check = "app.kubernetes.io/component=uninstall-check";
        let (helm, job) = tokio::join!(
            self.helm("uninstall", &[]),
            self.cluster.run_job(&self.name, check, Path::new(OPERATOR))
        );
        Ok((helm, job?))
    }

    /// `deployed`, `uninstalling`, …; `gone` if Helm knows no such release.
    async fn status(&self) -> Result<String> {
        let list = self.cluster.helm(&["list", "--namespace", &self.name, "--output=json"]).await?;
        let list: Value = serde_json::from_str(&list)?;
        Ok(list[0]["status"].as_str().unwrap_or("gone").to_owned())
    }

    async fn kubectl(&self, args: &[&str]) -> Result<String> {
        self.cluster.kubectl(&[args, &["--namespace", &self.name]].concat()).await
    }

    /// The policies that belong to no namespace.
    async fn policies(&self) -> Result<String> {
        let kinds = "mutatingadmissionpolicies,mutatingadmissionpolicybindings";
        let selector = format!("--selector=app.kubernetes.io/instance={}", self.name);
        self.cluster.kubectl(&["get", kinds, &selector, "--output=name"]).await
    }

    async fn has_deployment(&self) -> Result<bool> {
        Ok(!self.kubectl(&["get", "deployments", "--output=name"]).await?.is_empty())
    }

    /// An object as the operator has left it: with the finalizer.
    async fn own(&self, name: &str) -> Result<()> {
        let mut object = manifest(&self.name, name, &json!({ "portId": "port-1" }));
        object["metadata"]["finalizers"] = json!([FINALIZER]);
        self.cluster.apply(&object.to_string()).await.map(drop)
    }

    /// Does what the operator would do about a deleted object.
    async fn release_and_delete(&self, name: &str) -> Result<()> {
        self.kubectl(&[
            "patch",
            "zenlayerport",
            name,
            "--type=merge",
            "-p",
            r#"{"metadata":{"finalizers":null}}"#,
        ])
        .await?;
        self.kubectl(&["delete", "zenlayerport", name, "--timeout=60s"]).await.map(drop)
    }
}

#[test]
fn a_refused_uninstall_removes_nothing_and_the_printed_command_repairs_the_release() {
    run(async {
        let release = Release::new().await?;
        release.deploy("install", &[]).await?;
        release.own("edge").await?;

        let (helm, check) = release.uninstall().await?;
        helm.expect_err("an object is left, and helm uninstall succeeds");
        assert!(!check.status.success() && check.logs.contains("still have it: 1"), "{}", check.logs);
        assert!(release.has_deployment().await?, "the operator is removed");
        assert_eq!(release.policies().await?.lines().count(), 2, "the policy and its binding");
        assert_eq!(release.status().await?, "uninstalling");
        release.deploy("upgrade", &[]).await.expect_err("Helm does not upgrade a release in this state");

        let (_, command) = check.logs.trim().rsplit_once("To repair that: ").context(check.logs.clone())?;
        release.cluster.type_command(&[], command).await?;
        assert_eq!(release.status().await?, "deployed", "after {command}");
        release.deploy("upgrade", &[]).await?;

        release.release_and_delete("edge").await?;
        let (helm, check) = release.uninstall().await?;
        helm.with_context(|| check.logs.clone())?;
        assert_eq!(release.status().await?, "gone");
        assert!(!release.has_deployment().await?);
        assert_eq!(release.policies().await?, "", "nobody would take the finalizer off again");
        Ok(())
    });
}

/// Nothing runs a Pod here, so no image ever starts.
const NEVER_READY: [&str; 3] = ["--wait", "--timeout", "5s"];

#[test]
fn after_a_first_install_that_failed_the_next_one_works() {
    run(async {
        let release = Release::new().await?;
        release.deploy("install", &NEVER_READY).await.expect_err("no image starts");
        assert_eq!(release.status().await?, "failed");
        release.deploy("upgrade", &["--install"]).await?;
        assert_eq!(release.status().await?, "deployed");
        Ok(())
    });
}

#[test]
fn a_first_install_that_failed_and_was_rolled_back_without_hooks_can_be_repeated() {
    run(async {
        let release = Release::new().await?;
        let rolled_back = [&NEVER_READY[..], &["--rollback-on-failure", "--no-hooks"]].concat();
        release.deploy("install", &rolled_back).await.expect_err("no image starts");
        assert_eq!(release.status().await?, "gone");
        release.deploy("install", &[]).await?;
        let hooks =
            release.cluster.helm(&["get", "hooks", &release.name, "--namespace", &release.name]).await?;
        assert!(hooks.contains("uninstall-check"), "the uninstall is checked all the same: {hooks}");
        Ok(())
    });
}

#[test]
fn a_first_install_whose_rollback_failed_too_is_removed_without_hooks() {
    run(async {
        let release = Release::new().await?;
        let rolled_back = [&NEVER_READY[..], &["--rollback-on-failure"]].concat();
        release
            .deploy("install", &rolled_back)
            .await
            .expect_err("no image starts, that of the check neither");
        assert_eq!(release.status().await?, "uninstalling");
        release.deploy("install", &[]).await.expect_err("the name is in use");
        release.helm("uninstall", &["--no-hooks"]).await?;
        release.deploy("install", &[]).await?;
        assert_eq!(release.status().await?, "deployed");
        Ok(())
    });
}

#[test]
fn another_release_takes_over_the_kept_definition_and_the_objects_stay() {
    run(async {
        let (first, second) = (Release::new().await?, Release::new().await?);
        let with_crd = ["--set", "crds.enabled=true"];
        first.deploy("install", &[&with_crd[..], &["--take-ownership"]].concat()).await?;
        first.own("edge").await?;
        first.helm("uninstall", &["--no-hooks"]).await?;

        let refused = second.deploy("install", &with_crd).await.expect_err("it belongs to another release");
        assert!(refused.to_string().contains("invalid ownership metadata"), "{refused}");
        second.deploy("install", &[&with_crd[..], &["--take-ownership"]].concat()).await?;
        first.kubectl(&["get", "zenlayerport", "edge"]).await?;
        second.deploy("upgrade", &with_crd).await?;
        second.helm("uninstall", &["--no-hooks"]).await?;
        first
            .kubectl(&["get", "zenlayerport", "edge"])
            .await
            .context("the objects went with the second release")?;
        Ok(())
    });
}

#[test]
fn what_helm_renders_can_be_applied_by_kubectl_again_and_again() {
    run(async {
        let release = Release::new().await?;
        for tag in ["1", "2"] {
            let tag = format!("image.tag={tag}");
            let rendered = release.deploy("template", &["--set", &tag]).await?;
            release.cluster.apply(&rendered).await.with_context(|| tag.clone())?;
            let check = "app.kubernetes.io/component=uninstall-check";
            let check = release.cluster.run_job(&release.name, check, Path::new(OPERATOR)).await?;
            assert!(check.status.success(), "{}", check.logs);
            assert!(release.has_deployment().await?, "the check only reads");
        }
        Ok(())
    });
}

#[test]
fn the_manifest_for_kubectl_installs_an_operator_that_becomes_ready() {
    run(async {
        // Of its own: the manifest brings the definition, and a namespace whose name is fixed.
        let cluster = Cluster::start().await?;
        let manifest = format!("{ROOT}/deploy/install.yaml");
        cluster.kubectl(&["apply", "--server-side", "--filename", &manifest]).await?;
        let (namespace, name) = ("zenlayer-system", "zenlayer-port-operator");
        // Pod Security is enforced when the Pod is made.
        let exists =
            ["wait", "--for=create", "pods", "--selector=app.kubernetes.io/name=zenlayer-port-operator"];
        cluster.kubectl(&[&exists[..], &["--namespace", namespace, "--timeout=60s"]].concat()).await?;
        let operator = cluster.run_deployment(namespace, name, Path::new(OPERATOR)).start().await?;
        operator.wait_ready(PATIENCE).await.with_context(|| operator.logs())
    });
}
