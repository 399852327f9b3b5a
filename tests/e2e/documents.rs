//! The commands in the documents, typed as they stand there. Their names are fixed, so each test has a control plane of its own.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Output;

use anyhow::{Context, Result, bail, ensure};
use kube::Api;
use serde_json::json;
use tempfile::TempDir;
use test_cluster::{Cluster, FinishedJob, RunningPod};
use test_support::objects::manifest;
use test_support::sight;
use tokio::time::timeout;
use zenlayer_port_operator::api::ZenlayerPort;
use zenlayer_simulator::{Account, Config, Port, Simulator};

use crate::typed::{in_sentences, typed};
use crate::world::{CHART, OPERATOR, PATIENCE, quick, recycled, run, running, until};

/// Names as the documents have them: of the release, of its namespace, and of that of the objects.
const RELEASE: &str = "zenlayer-port-operator";
const HOME: &str = "zenlayer-system";
const OBJECTS: &str = "network";

/// A person who types what a document says.
struct Reader {
    cluster: Cluster,
    simulator: Simulator,
    /// Where they type: `deploy/` is here, as in the repository.
    folder: TempDir,
    operator: Option<RunningPod>,
}

impl Reader {
    /// With a control plane that is empty, and ports that the key in `network/zenlayer` reaches.
    async fn new(ports: Vec<Port>) -> Result<Self> {
        let accounts = vec![Account::new("default").key("KEY", "PASSWORD")];
        let simulator = Simulator::start(Config { accounts, ports, times: quick(), ..Config::default() })?;
        let folder = tempfile::tempdir()?;
        symlink(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy"), folder.path().join("deploy"))?;
        symlink(env!("CARGO_BIN_EXE_kubectl-zenlayerport"), folder.path().join("kubectl-zenlayerport"))?;
        let cluster = Cluster::start().await?;
        cluster.kubectl(&["create", "namespace", OBJECTS]).await?;
        let secret = "--from-literal=accessKeyId=KEY --from-literal=accessKeyPassword=PASSWORD";
        let reader = Self { cluster, simulator, folder, operator: None };
        reader
            .types(&format!("kubectl create secret generic zenlayer --namespace {OBJECTS} {secret}"))
            .await?;
        Ok(reader)
    }

    /// A control plane where the operator works.
    async fn with_operator(ports: Vec<Port>, values: &str) -> Result<Self> {
        let reader = Self::new(ports).await?;
        let install = ["install", RELEASE, CHART, "--namespace", HOME, "--create-namespace", "--set", values];
        reader.cluster.helm(&install).await?;
        reader.starts_the_operator().await
    }

    /// What a node does: runs the Deployment. The release is told where the simulator is, and to be ten times as fast.
    async fn starts_the_operator(mut self) -> Result<Self> {
        let values = format!(
            "zenlayer.endpoint={},log.format=text,extraArgs={{--time-scale=0.1}}",
            self.simulator.url()
        );
        let options = ["--namespace", HOME, "--reset-then-reuse-values", "--set", &values];
        self.cluster.helm(&[&["upgrade", RELEASE, CHART][..], &options].concat()).await?;
        let operator = self.cluster.run_deployment(HOME, RELEASE, Path::new(OPERATOR)).start().await?;
        operator.wait_ready(PATIENCE).await.with_context(|| operator.logs())?;
        self.operator = Some(operator);
        Ok(self)
    }

    /// Types a command. It succeeds, or ends in a `grep` that finds nothing.
    async fn types(&self, command: &str) -> Result<String> {
        let Output { status, stdout, stderr } = self.tries(command).await?;
        let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        let is_error = |line: &str| line.to_lowercase().starts_with("error");
        let found_nothing =
            command.contains("| grep ") && status.code() == Some(1) && !stderr.lines().any(is_error);
        ensure!(status.success() || found_nothing, "{command}\n{stdout}{stderr}{}", self.log());
        Ok(stdout)
    }

    async fn tries(&self, command: &str) -> Result<Output> {
        let mut shell = self.cluster.shell(&[self.folder.path()], &with_names(command))?;
        // Whoever edits an object leaves it as it is.
        shell.current_dir(self.folder.path()).env("HOME", self.folder.path()).env("EDITOR", "true");
        timeout(PATIENCE, shell.output()).await.with_context(|| command.to_owned())?.context("no shell")
    }

    async fn types_all(&self, commands: &[String]) -> Result<()> {
        for command in commands {
            self.types(command).await?;
        }
        Ok(())
    }

    /// Makes an object as its owner does, as soon as the API server serves the kind.
    async fn owns(&self, name: &str, spec: serde_json::Value) -> Result<()> {
        let object = manifest(OBJECTS, name, &spec).to_string();
        until("the object is made", async || Ok(self.cluster.apply(&object).await.ok())).await.map(drop)
    }

    async fn owns_port(&self, name: &str, port: &str) -> Result<()> {
        self.owns(name, json!({ "portId": port, "credentialsRef": { "name": "zenlayer" } })).await
    }

    /// Waits until the object has this reason; returns its message.
    async fn until_reason(&self, name: &str, reason: &str) -> Result<String> {
        let objects = self.objects().await?;
        sight::until_reason(&objects, name, reason, PATIENCE).await.with_context(|| self.log())
    }

    async fn until_gone(&self, name: &str) -> Result<()> {
        let objects = self.objects().await?;
        sight::until_gone(&objects, name, PATIENCE).await.with_context(|| self.log())
    }

    async fn objects(&self) -> Result<Api<ZenlayerPort>> {
        Ok(Api::namespaced(self.cluster.client().await?, OBJECTS))
    }

    /// What a node does with the Job of `helm uninstall`.
    async fn checks_before_an_uninstall(&self) -> Result<FinishedJob> {
        let check = "app.kubernetes.io/component=uninstall-check";
        self.cluster.run_job(HOME, check, Path::new(OPERATOR)).await
    }

    /// What a node does with the Pod of `helm test`. `check` tries what this Pod does.
    async fn ends_the_test_pod(&self) -> Result<()> {
        let pod = format!("{RELEASE}-check");
        let end = r#"{"status":{"phase":"Succeeded"}}"#;
        let patch = ["patch", "pod", &pod, "-n", HOME, "--subresource=status", "--type=merge", "-p", end];
        until("helm has made the Pod", async || Ok(self.cluster.kubectl(&patch).await.ok())).await.map(drop)
    }

    fn assert_destroyed(&self, number: usize) -> Result<()> {
        let destroyed = self.simulator.journal().calls("DestroyPort").count();
        ensure!(destroyed == number, "{destroyed} ports are destroyed\n{}", self.log());
        Ok(())
    }

    fn log(&self) -> String {
        self.operator.as_ref().map(|operator| operator.logs()).unwrap_or_default()
    }
}

/// What a reader puts in place of the words in capital letters.
fn with_names(command: &str) -> String {
    let words = [("NAMESPACE", OBJECTS), ("NAME", "edge"), ("=ID", "=KEY")];
    words.into_iter().fold(command.to_owned(), |command, (word, name)| command.replace(word, name))
}

#[test]
fn a_release_is_installed_upgraded_and_uninstalled() {
    run(async {
        let reader = Reader::new(vec![recycled("port-1")]).await?;
        reader.types_all(&typed("README.md", "a_release_is_installed_upgraded_and_uninstalled")).await?;
        let reader = reader.starts_the_operator().await?;
        reader
            .types_all(&typed("docs/upgrade.md", "a_release_is_installed_upgraded_and_uninstalled"))
            .await?;
        reader.owns_port("edge", "port-1").await?;
        reader.until_reason("edge", "PortRecycled").await?;

        let commands = typed("docs/uninstall.md", "a_release_is_installed_upgraded_and_uninstalled");
        let [keep, delete, uninstall, delete_kind, refusal, repair] = &commands[..] else {
            bail!("other commands than these: {commands:#?}")
        };
        let (refused, job) = tokio::join!(reader.types(uninstall), reader.checks_before_an_uninstall());
        let job = job?.logs;
        ensure!(refused.is_err() && job.contains("still have it: 1"), "it is not refused: {job}");
        reader.types(refusal).await?;
        let revision = job.split("helm rollback zenlayer-port-operator ").nth(1).context(job.clone())?;
        let revision = revision.split_whitespace().next().context("no revision")?;
        reader.types(&repair.replace("REVISION", revision)).await?;

        reader.types(keep).await?;
        reader.types(delete).await?;
        let (uninstalled, job) = tokio::join!(reader.types(uninstall), reader.checks_before_an_uninstall());
        uninstalled.with_context(|| format!("{job:?}"))?;
        reader.types(delete_kind).await?;
        reader.assert_destroyed(0)
    });
}

#[test]
fn the_state_is_read_and_the_operator_gets_a_key_of_its_own() {
    run(async {
        let reader = Reader::with_operator(vec![running("port-1")], "").await?;
        reader.owns_port("edge", "port-1").await?;
        reader.owns_port("lost", "port-2").await?;
        reader.until_reason("lost", "PortNotFound").await?;
        let commands = typed("docs/operating.md", "the_state_is_read_and_the_operator_gets_a_key_of_its_own");
        reader.types_all(&commands).await?;
        let shown = reader.types("kubectl get zenlayerports --all-namespaces | grep PortNotFound").await?;
        ensure!(shown.lines().count() == 1, "{shown}");
        Ok(())
    });
}

#[test]
fn one_deletion_is_approved() {
    run(async {
        let reader = Reader::with_operator(vec![recycled("port-1")], "deletion.requireApproval=true").await?;
        reader.owns_port("edge", "port-1").await?;
        reader.until_reason("edge", "PortRecycled").await?;
        let commands = typed("docs/operating.md", "one_deletion_is_approved");
        let [delete, look, approve] = &commands[..] else { bail!("other commands: {commands:#?}") };
        reader.types(delete).await?;
        reader.until_reason("edge", "ApprovalRequired").await?;
        let message = reader.types(look).await?;
        // The document shows the uid of another object.
        let (command, uid) = approve.rsplit_once('-').context("no uid")?;
        ensure!(uid.len() == 8, "{approve}");
        let (_, printed) = message.split_once(command).context(message.clone())?;
        let uid: String = printed.trim_start_matches('-').chars().take(8).collect();
        reader.types(&format!("{command}-{uid}")).await?;
        reader.until_gone("edge").await?;
        reader.assert_destroyed(1)
    });
}

#[test]
fn many_deletions_are_approved_with_the_plugin_and_without() {
    run(async {
        let ids = ["port-1", "port-2", "port-3", "port-4"];
        let ports = ids.map(recycled).to_vec();
        let reader = Reader::with_operator(ports, "deletion.massDeletionThreshold=1").await?;
        for id in ids {
            reader.owns_port(id, id).await?;
            reader.until_reason(id, "PortRecycled").await?;
        }
        let commands = typed("docs/operating.md", "many_deletions_are_approved_with_the_plugin_and_without");
        let [with_plugin, list, read, approve] = &commands[..] else {
            bail!("other commands: {commands:#?}")
        };
        for (pair, way) in ids.chunks(2).zip(["with", "without"]) {
            reader
                .types(&format!("kubectl delete zenlayerport {} -n NAMESPACE --wait=false", pair.join(" ")))
                .await?;
            for id in pair {
                reader.until_reason(id, "MassDeletion").await?;
            }
            if way == "with" {
                // Nobody is there to be asked.
                reader.types(&format!("{with_plugin} --yes")).await?;
            } else {
                reader.types(list).await?;
                let listed = reader.types(read).await?;
                ensure!(listed.lines().count() == 2, "{listed}");
                reader.types(approve).await?;
            }
            for id in pair {
                reader.until_gone(id).await?;
            }
        }
        reader.assert_destroyed(4)
    });
}

#[test]
fn many_ports_are_imported() {
    run(async {
        let reader = Reader::with_operator(vec![running("port_A"), running("port-2")], "").await?;
        reader.types("printf 'port_A\\nport-2' > ids.txt").await?;
        let commands = typed("docs/operating.md", "many_ports_are_imported");
        let [write, apply] = &commands[..] else { bail!("other commands: {commands:#?}") };
        reader.types(write).await?;
        until("the API server serves the kind", async || Ok(reader.types(apply).await.ok())).await?;
        for name in ["port-a", "port-2"] {
            reader.until_reason(name, "Running").await?;
        }
        Ok(())
    });
}

#[test]
fn the_runbook_is_typed_from_the_first_alert_to_the_last() {
    run(async {
        let reader = Reader::with_operator(vec![running("port-1"), running("port-2")], "").await?;
        let kinds = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/install/prometheus.yaml");
        reader.cluster.kubectl(&["apply", "-f", kinds]).await?;
        reader.owns_port("edge", "port-1").await?;
        reader.owns_port("waiting", "port-2").await?;
        reader.until_reason("edge", "Running").await?;
        reader.types("kubectl delete zenlayerport waiting --namespace NAMESPACE --wait=false").await?;
        reader.until_reason("waiting", "NotInRecycleBin").await?;
        for command in typed("docs/runbook.md", "the_runbook_is_typed_from_the_first_alert_to_the_last") {
            if command.contains("rollout restart") {
                // kubectl refuses the second one within a second.
                until("it restarts", async || Ok(reader.types(&command).await.ok())).await?;
            } else {
                reader.types(&command).await?;
            }
        }
        reader.assert_destroyed(0)
    });
}

#[test]
fn a_release_is_tested_and_put_to_production_beside_argo_cd() {
    run(async {
        let reader = Reader::new(Vec::new()).await?;
        reader.cluster.kubectl(&["create", "namespace", "argocd"]).await?;
        let readme =
            typed("deploy/chart/README.md", "a_release_is_tested_and_put_to_production_beside_argo_cd");
        reader.types_all(&readme).await?;
        let commands = typed("docs/install.md", "a_release_is_tested_and_put_to_production_beside_argo_cd");
        let [test, production, without_hooks] = &commands[..] else { bail!("other commands: {commands:#?}") };
        let (tested, pod) = tokio::join!(reader.types(test), reader.ends_the_test_pod());
        pod?;
        tested?;
        reader.types(production).await?;
        reader
            .types_all(&typed("docs/gitops.md", "a_release_is_tested_and_put_to_production_beside_argo_cd"))
            .await?;
        reader.types(without_hooks).await.map(drop)
    });
}

#[test]
fn the_commands_inside_sentences_are_typed() {
    run(async {
        let reader = Reader::with_operator(vec![running("port-1")], "").await?;
        reader.owns_port("edge", "port-1").await?;
        reader.until_reason("edge", "Running").await?;
        for document in
            ["README.md", "docs/faq.md", "docs/operating.md", "docs/gitops.md", "docs/api-reference.md"]
        {
            for command in in_sentences(document) {
                let without_question = if command.contains("zenlayerport approve ") { " --yes" } else { "" };
                let typed = reader.types(&format!("{command}{without_question}")).await;
                typed.with_context(|| document.to_owned())?;
            }
        }
        Ok(())
    });
}

#[test]
fn two_releases_share_a_cluster_and_a_quota_limits_objects() {
    run(async {
        let reader = Reader::new(Vec::new()).await?;
        for namespace in ["team-a", "team-b", "team-c"] {
            reader.cluster.kubectl(&["create", "namespace", namespace]).await?;
        }
        let commands = typed("docs/scaling.md", "two_releases_share_a_cluster_and_a_quota_limits_objects");
        reader.types_all(&commands).await
    });
}
