//! Where the demo runs: a control plane of its own, or a cluster that exists, with the operator here or in a Pod.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use test_cluster::{Binary, Cluster, DeploymentRun, ExistingCluster, RunningPod, Target};
use test_support::oracle::Chronicle;
use zenlayer_simulator::{Account, Config, DEFAULT_ACCOUNT, Port, Simulator};

use super::NAMESPACE;
use crate::chart::{self, RELEASE};
use crate::operator;
use crate::play::{ACCESS_KEY, CASES, Case, Stage, TIMES};
use crate::smoke::{self, Image, simulator};
use crate::tool::{Tool, on_path};
use crate::trial::{REMOVE_CRD, Trial};

pub(super) const OPERATOR_NAMESPACE: &str = "zenlayer-system";

pub(super) struct World {
    pub(super) stage: Stage,
    site: Site,
    /// The folder of the plugin.
    binaries: Option<PathBuf>,
}

/// Ends with its value: the operator, then the simulator, then the cluster with its folder.
enum Site {
    OwnCluster { operator: RunningPod, simulator: Simulator, cluster: Box<Cluster> },
    Outside { operator: RunningPod, simulator: Simulator, _cluster: Box<ExistingCluster> },
    Inside,
}

impl World {
    /// A control plane, the simulator and the operator, all on loopback.
    pub(super) async fn on_this_machine(time_scale: f64) -> Result<Self> {
        let binary = build().await?;
        eprintln!("Starting a control plane …");
        let cluster = Box::new(Cluster::start().await?);
        let simulator = start_simulator()?;
        println!("A control plane runs at {}, a simulated Zenlayer at {}.", cluster.url(), simulator.url());
        tell_scale(time_scale);
        let helm = tool(&cluster, Binary::Helm);
        chart::install(&helm, OPERATOR_NAMESPACE, &values(&simulator, time_scale)).await?;
        let operator = run(cluster.run_deployment(OPERATOR_NAMESPACE, RELEASE, &binary)).await?;
        let stage = Stage { kubectl: tool(&cluster, Binary::Kubectl), namespace: NAMESPACE.to_owned() };
        stage.kubectl.typed(&["create", "namespace", NAMESPACE]).await?;
        let site = Site::OwnCluster { operator, simulator, cluster };
        Ok(Self { stage, site, binaries: folder(&binary) })
    }

    /// The simulator and the operator on this machine, for a cluster that exists.
    pub(super) async fn outside(trial: &Trial, context: &str, time_scale: f64) -> Result<Self> {
        let binary = build().await?;
        let simulator = start_simulator()?;
        println!("A simulated Zenlayer runs at {}.", simulator.url());
        tell_scale(time_scale);
        let namespace = &trial.stage.namespace;
        let mut values = values(&simulator, time_scale);
        // The Deployment stays without Pods: its container runs here.
        let of_namespace = trial.only_its_namespace();
        values
            .extend(["--set", "replicas=0", "--set", REMOVE_CRD, "--set", &of_namespace].map(str::to_owned));
        chart::install(&trial.helm, namespace, &values).await?;
        let cluster = Box::new(ExistingCluster::of_context(context)?);
        let operator = run(cluster.run_deployment(namespace, RELEASE, &binary)).await?;
        let site = Site::Outside { operator, simulator, _cluster: cluster };
        Ok(Self { stage: trial.stage.clone(), site, binaries: folder(&binary) })
    }

    /// The simulator and the operator as Pods of a cluster that exists.
    pub(super) async fn inside(trial: &Trial, image: &Image, simulator_image: &Image) -> Result<Self> {
        smoke::install(trial, image, simulator_image, &[trial.only_its_namespace()]).await?;
        Ok(Self { stage: trial.stage.clone(), site: Site::Inside, binaries: None })
    }

    pub(super) async fn journal(&self) -> Result<Chronicle> {
        match &self.site {
            Site::OwnCluster { simulator, .. } | Site::Outside { simulator, .. } => {
                Ok(simulator.with_journal(|journal| Chronicle::from(journal)))
            }
            Site::Inside => simulator::journal(&self.stage.kubectl, &self.stage.namespace).await,
        }
    }

    /// Adds a port that no object of the play has.
    pub(super) fn seed(&self, port: Port) {
        if let Site::OwnCluster { simulator, .. } = &self.site {
            simulator.seed(port.times(TIMES));
        }
    }

    /// What a Prometheus scrapes.
    pub(super) fn target(&self) -> Result<Target> {
        let (Site::OwnCluster { operator, .. } | Site::Outside { operator, .. }) = &self.site else {
            bail!("the operator does not run on this machine")
        };
        Target::of_pod(operator, RELEASE)
    }

    /// None of a Pod: whoever ends the trial prints it.
    pub(super) fn operator_log(&self) -> Option<String> {
        match &self.site {
            Site::OwnCluster { operator, .. } | Site::Outside { operator, .. } => Some(operator.logs()),
            Site::Inside => None,
        }
    }

    /// What one can do while it is kept.
    pub(super) fn invitation(&self) -> String {
        let Stage { kubectl, namespace } = &self.stage;
        let mut lines = vec!["Everything keeps running. In another terminal:\n".to_owned()];
        let mut folders: Vec<PathBuf> = self.binaries.clone().into_iter().collect();
        if let Site::OwnCluster { cluster, .. } = &self.site {
            lines.push(format!("  export KUBECONFIG='{}'", cluster.kubeconfig().display()));
            if on_path(Binary::Kubectl).is_none() {
                folders.extend(folder(&cluster.binary(Binary::Kubectl)));
            }
        }
        if !folders.is_empty() {
            let folders: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
            lines.push(format!("  export PATH='{}':\"$PATH\"", folders.join(":")));
        }
        if self.binaries.is_some() {
            // Options that stand before its name keep kubectl from finding the plugin.
            let context = kubectl.context_args().map(|context| format!(" {context}")).unwrap_or_default();
            lines.push(format!(
                "  kubectl zenlayerport status --all-namespaces{context}    # which ports need you"
            ));
            lines.push(format!("  kubectl zenlayerport explain untouched --namespace {namespace}{context}"));
        }
        let mut say = |args: &[&str], comment: &str| {
            lines.push(format!("  {}{comment}", kubectl.command_line(args)));
        };
        say(&["get", "zenlayerports", "--all-namespaces", "--output", "wide"], "");
        say(&["explain", "zenlayerport.spec"], "");
        say(&["get", "events", "--namespace", namespace], "");
        let delete = ["delete", "zenlayerport", "untouched", "--namespace", namespace, "--wait=false"];
        say(&delete, "    # it is protected: read the message");
        if let Site::OwnCluster { simulator, .. } | Site::Outside { simulator, .. } = &self.site {
            let url = simulator.url();
            lines.push(format!("  curl {url}/control/ports    # what is left at the simulated Zenlayer"));
            lines.push(format!(
                "  curl --data '{{\"portId\":\"port-1\"}}' {url}/control/ports    # one more port, for your own \
                 object in namespace {namespace}"
            ));
        }
        lines.push("\nCtrl-C here stops and removes everything.".to_owned());
        lines.join("\n")
    }
}

async fn build() -> Result<PathBuf> {
    eprintln!("Building the operator and the plugin …");
    operator::build().await
}

async fn run(deployment: DeploymentRun<'_>) -> Result<RunningPod> {
    let operator = deployment.start().await?;
    let ready = operator.wait_ready(Duration::from_secs(30)).await;
    ready.with_context(|| format!("the operator's log:\n{}", operator.logs()))?;
    println!("The Deployment's container runs as a local process, with its ServiceAccount's token.\n");
    Ok(operator)
}

fn tell_scale(time_scale: f64) {
    if time_scale < 1.0 {
        println!("The operator's times are multiplied by {time_scale}; --time-scale 1 shows the real ones.");
    }
    println!();
}

/// The chart's values, as helm's options.
fn values(simulator: &Simulator, time_scale: f64) -> Vec<String> {
    let mut values = vec![format!("zenlayer.endpoint={}", simulator.url()), "log.format=text".to_owned()];
    if time_scale < 1.0 {
        values.push(format!("extraArgs[0]=--time-scale={time_scale}"));
    }
    values.into_iter().flat_map(|value| ["--set".to_owned(), value]).collect()
}

fn folder(file: &Path) -> Option<PathBuf> {
    file.parent().map(Path::to_owned)
}

fn tool(cluster: &Cluster, binary: Binary) -> Tool {
    Tool::new(binary, cluster.binary(binary)).kubeconfig(cluster.kubeconfig())
}

fn start_simulator() -> Result<Simulator> {
    let (id, password) = ACCESS_KEY;
    Simulator::start(Config {
        accounts: vec![Account::new(DEFAULT_ACCOUNT).key(id, password)],
        ports: CASES.iter().filter_map(Case::seed).collect(),
        times: TIMES,
        ..Config::default()
    })
}
