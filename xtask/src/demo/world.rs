//! The control plane, the simulator and the operator, all on loopback.

use std::time::Duration;

use anyhow::{Context as _, Result};
use test_cluster::{Binary, Cluster, RunningPod};
use zenlayer_simulator::{Account, Config, DEFAULT_ACCOUNT, Port, Simulator};

use super::{NAMESPACE, picture};
use crate::chart::{self, RELEASE};
use crate::operator;
use crate::play::{ACCESS_KEY, CASES, Case, Journal, TIMES};
use crate::tool::{Tool, on_path};

const OPERATOR_NAMESPACE: &str = "zenlayer-system";

/// Ends with its value: the operator, then the control plane with its folder, then the simulator.
pub(super) struct World {
    operator: RunningPod,
    cluster: Cluster,
    simulator: Simulator,
}

impl World {
    pub(super) async fn start(time_scale: f64) -> Result<Self> {
        eprintln!("Building the operator …");
        let binary = operator::build().await?;
        eprintln!("Starting a control plane …");
        let cluster = Cluster::start().await?;
        let simulator = start_simulator()?;

        println!("A control plane runs at {}, a simulated Zenlayer at {}.", cluster.url(), simulator.url());
        let mut values = vec![
            "--set".to_owned(),
            format!("zenlayer.endpoint={}", simulator.url()),
            "--set".to_owned(),
            "log.format=text".to_owned(),
        ];
        if time_scale < 1.0 {
            println!(
                "The operator's times are multiplied by {time_scale}; --time-scale 1 shows the real ones."
            );
            values.extend(["--set".to_owned(), format!("extraArgs[0]=--time-scale={time_scale}")]);
        }
        println!();
        let helm = tool(&cluster, Binary::Helm);
        chart::install(&helm, OPERATOR_NAMESPACE, &values).await?;
        let operator = cluster.run_deployment(OPERATOR_NAMESPACE, RELEASE, &binary).start().await?;
        let ready = operator.wait_ready(Duration::from_secs(30)).await;
        ready.with_context(|| format!("the operator's log:\n{}", operator.logs()))?;
        println!("The Deployment's container runs as a local process, with its ServiceAccount's token.\n");
        let world = Self { operator, cluster, simulator };
        world.kubectl().typed(&["create", "namespace", NAMESPACE]).await?;
        Ok(world)
    }

    pub(super) fn kubectl(&self) -> Tool {
        tool(&self.cluster, Binary::Kubectl)
    }

    pub(super) fn journal(&self) -> Result<Journal> {
        Ok(serde_json::from_value(serde_json::to_value(self.simulator.journal())?)?)
    }

    /// The port is live, and no object of the play has it.
    pub(super) fn seed_port_of_picture(&self) {
        self.simulator.seed(Port::new(picture::PORT_ID).name("sin1-edge").times(TIMES));
    }

    pub(super) fn operator_log(&self) -> String {
        self.operator.logs()
    }

    /// What one can do while it is kept.
    pub(super) fn invitation(&self) -> String {
        let path = match (on_path(Binary::Kubectl), self.cluster.binary(Binary::Kubectl).parent()) {
            (None, Some(folder)) => format!("  export PATH='{}':\"$PATH\"\n", folder.display()),
            _ => String::new(),
        };
        format!(
            "Everything keeps running. In another terminal:\n\n\
             \x20 export KUBECONFIG='{kubeconfig}'\n{path}\
             \x20 kubectl get zenlayerports --all-namespaces --output wide\n\
             \x20 kubectl explain zenlayerport.spec\n\
             \x20 kubectl get events --namespace {NAMESPACE}\n\
             \x20 kubectl delete zenlayerport untouched --namespace {NAMESPACE} --wait=false    # it is protected: read the message\n\
             \x20 curl {url}/control/ports    # what is left at the simulated Zenlayer\n\
             \x20 curl --data '{{\"portId\":\"port-1\"}}' {url}/control/ports    # one more port, for your own object\n\n\
             Ctrl-C here stops and removes everything.",
            kubeconfig = self.cluster.kubeconfig().display(),
            url = self.simulator.url(),
        )
    }
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
