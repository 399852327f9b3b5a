//! The operator's processes.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result};
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use tempfile::TempPath;
use test_cluster::RunningPod;
use test_support::metrics::{metrics, samples};
use test_support::proxy::Proxy;
use test_support::release::{CHART, Release, Values};
use zenlayer_port_operator::controller::CRASH_AT;

use super::{Bench, PATIENCE};

/// A process, and whether it is to run.
pub(super) struct Pod {
    process: RunningPod,
    wanted: Wanted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Running,
    /// It was ended for good.
    Ended,
}

impl Bench {
    /// Installs one more release; all releases look after the same objects.
    pub async fn install(&mut self) -> Result<()> {
        let release = Release::new(&self.cluster).await?;
        let watched = [self.tenant.namespace.as_str(), &self.neighbour.namespace];
        let values =
            Values::at(&self.cloud.url()).quick().watching(watched).set("polling.resyncInterval=10s");
        release.deploy(&self.cluster, "install", CHART, &values.set_all(&self.values)).await?;
        self.releases.push(release);
        Ok(())
    }

    /// Runs the newest release in one more process, with these variables; waits until it is ready.
    pub async fn run(&mut self, env: &[(&str, &str)]) -> Result<usize> {
        let process = self.newest_release()?.start_pod(&self.cluster, &self.binary, env).await?;
        let ready = process.wait_ready(PATIENCE).await;
        self.pods.push(Pod { process, wanted: Wanted::Running });
        ready?;
        Ok(self.pods.len() - 1)
    }

    /// Installs a release whose only process kills itself when it gets to this point, each time it is started.
    pub async fn start_crashing_at(&mut self, point: &str) -> Result<usize> {
        self.install().await?;
        self.run(&[(CRASH_AT, point)]).await
    }

    /// Lets processes that are run from now on have so many open files each, as long as what is returned is kept.
    pub fn limit_open_files(&mut self, most: u32) -> Result<TempPath> {
        let operator = self.binary.display();
        let script = format!("#!/bin/sh\nulimit -n {most}\nexec {operator} \"$@\"\n");
        let mut file = tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempfile()?;
        file.write_all(script.as_bytes())?;
        let path = file.into_temp_path();
        self.binary = path.to_path_buf();
        Ok(path)
    }

    /// Installs a release whose only process reaches the API server through a proxy.
    pub async fn start_behind_proxy(&mut self) -> Result<Proxy> {
        self.install().await?;
        let (through, proxy) = self.newest_release()?.kubeconfig_behind_proxy(&self.cluster).await?;
        self.run(&[("KUBECONFIG", &through.display().to_string())]).await?;
        Ok(proxy)
    }

    /// Removes the newest release and ends all processes, in order.
    pub async fn uninstall(&mut self) -> Result<()> {
        let release = self.newest_release()?.name();
        self.cluster.helm(&["uninstall", release, "--namespace", release]).await?;
        for pod in &mut self.pods {
            pod.wanted = Wanted::Ended;
            pod.process.terminate(PATIENCE).await?;
        }
        Ok(())
    }

    /// Namespace and name of the newest release's Lease.
    pub fn lease(&self) -> Result<(String, String)> {
        let release = self.newest_release()?;
        Ok((release.name().to_owned(), release.deployment()))
    }

    fn newest_release(&self) -> Result<&Release> {
        self.releases.last().context("no release is installed")
    }

    pub fn operator(&self) -> &RunningPod {
        self.pod(0)
    }

    pub fn pod(&self, index: usize) -> &RunningPod {
        &self.pods[index].process
    }

    /// Ends a process for good, by SIGKILL.
    pub fn end(&mut self, index: usize) -> Result<()> {
        self.pods[index].wanted = Wanted::Ended;
        self.pods[index].process.kill()
    }

    /// Starts again what has ended by itself, as a kubelet does.
    pub(super) fn tend(&self) -> Result<()> {
        for pod in self.pods.iter().filter(|pod| pod.wanted == Wanted::Running) {
            if pod.process.exit_status()?.is_some() {
                pod.process.start()?;
            }
        }
        Ok(())
    }

    /// Waits until a process has ended by itself.
    pub async fn until_ended(&self, index: usize) -> Result<()> {
        self.pod(index).wait_exit(PATIENCE).await.map(drop)
    }

    /// What a process has written.
    pub fn logs(&self) -> String {
        self.pods.iter().map(|pod| pod.process.logs()).collect()
    }

    /// The end of what each process has written, for messages of failed cases.
    pub(super) fn tail(&self) -> String {
        self.pods.iter().map(|pod| pod.process.log_tail() + "\n").collect()
    }

    /// How many reconciles of the operator have failed since it was started.
    async fn failed_reconciles(&self) -> Result<f64> {
        let metrics = metrics(self.operator()).await?;
        let failed = samples(&metrics).filter(|sample| {
            sample.name == "zenlayer_port_operator_reconciles_total" && sample.label("result") != "ok"
        });
        Ok(failed.map(|sample| sample.value).sum())
    }

    /// The operator has tried, and could not do what it was to do.
    pub async fn until_a_reconcile_fails(&self) -> Result<()> {
        let before = self.failed_reconciles().await?;
        let failed = self.until("a reconcile fails", async |bench| {
            Ok((bench.failed_reconciles().await? > before).then_some(()))
        });
        failed.await.with_context(|| self.tail())
    }

    /// Warnings of the operator about its Lease so far: each is a write or a look that failed.
    pub fn lease_warnings(&self) -> usize {
        let logs = self.logs();
        let is_warning =
            |line: &&str| line.contains("Lease") && (line.contains("WARN") || line.contains("ERROR"));
        logs.lines().filter(is_warning).count()
    }

    /// Who holds the Lease of the newest release.
    pub async fn lease_holder(&self) -> Result<String> {
        let (namespace, name) = self.lease()?;
        let holder = "jsonpath={.spec.holderIdentity}";
        self.cluster.kubectl(&["get", "lease", &name, "-n", &namespace, "-o", holder]).await
    }

    /// The resident memory of a process in KiB.
    pub fn memory_kib(&self, index: usize) -> Result<u64> {
        let pid = self.pod(index).id().context("the operator does not run")?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim_end_matches("kB").trim().parse()?)
    }

    /// Logs, metrics, events and objects: where a secret must not stand.
    pub(super) async fn gather_texts(&mut self) -> Result<()> {
        for pod in &self.pods {
            self.texts.push((format!("the log of {}", pod.process.name()), pod.process.logs()));
            // One that has ended, or stands by, may have none.
            if let Ok(metrics) = metrics(&pod.process).await {
                self.texts.push((format!("the metrics of {}", pod.process.name()), metrics));
            }
        }
        for tenant in [&self.tenant, &self.neighbour] {
            for kind in ["zenlayerports", "events"] {
                let shown = self.cluster.kubectl(&["get", kind, "-n", &tenant.namespace, "-o", "json"]).await;
                match shown {
                    Ok(shown) => self.texts.push((format!("the {kind} of {}", tenant.namespace), shown)),
                    // Some cases end without the kind; kubectl may remember that it was served.
                    Err(error)
                        if ["doesn't have a resource type", "could not find the requested resource"]
                            .iter()
                            .any(|words| error.to_string().contains(words)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// The names of all namespaces, to see that the API server answers.
    pub async fn namespaces(&self) -> Result<Vec<String>> {
        let all = Api::<k8s_openapi::api::core::v1::Namespace>::all(self.client.clone());
        Ok(all.list(&ListParams::default()).await?.into_iter().map(|it| it.name_any()).collect())
    }
}
