//! `cargo xtask record-screens`: what the document of screens is made from.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use test_cluster::{Prometheus, as_grafana_sends};
use test_support::objects::{list, manifest};
use test_support::wait;
use zenlayer_port_operator::api::ZenlayerPort;
use zenlayer_simulator::{Port, PortStatus};

use super::world::{OPERATOR_NAMESPACE, World};
use super::{NAMESPACE, TIME_SCALE};
use crate::chart::RELEASE;
use crate::dashboard;
use crate::interrupt::Interrupt;
use crate::play::{SECRET, Stage};
use crate::root;
use crate::screens::{ANSWERS, Answered, LEASE, PORTS, Series};

/// The longest that any step takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// More than the operator destroys without an approval.
const MANY: usize = 21;

/// Record what docs/screens.md is made from (tests/screens): objects in several states, as a real API server has them, and the
/// answers of a real Prometheus to the queries of the dashboard.
///
/// Plays the demo on this machine first, so that there is something to show. Then run `cargo xtask generate`.
#[derive(Debug, Args)]
pub struct Options {}

pub async fn run(_: Options) -> Result<()> {
    Interrupt::listen()?.unless(Box::pin(record())).await
}

async fn record() -> Result<()> {
    let world = World::on_this_machine(TIME_SCALE).await?;
    // From before the first deletion: Prometheus sees what grows, not what there was.
    let prometheus = Prometheus::start(&[world.target()?], &[]).await?;
    world.stage.play(async || world.journal().await).await?;
    let scene = Scene { world: &world, stage: &world.stage };
    scene.create().await?;
    scene.delete().await?;
    until("Prometheus has scraped this state", async || scene.is_scraped(&prometheus).await).await?;
    write(ANSWERS, &answers(&prometheus).await?)?;
    write(PORTS, &scene.get(&["zenlayerports", "--namespace", NAMESPACE]).await?["items"])?;
    let now = Timestamp::now();
    let lease = ["lease", RELEASE, "--namespace", OPERATOR_NAMESPACE];
    until("the Lease is newer than the objects", async || {
        let lease = scene.get(&lease).await?;
        let renewed: Timestamp = lease["spec"]["renewTime"].as_str().context("renewTime")?.parse()?;
        Ok(renewed > now)
    })
    .await?;
    write(LEASE, &scene.get(&lease).await?)
}

/// The objects that the screens show.
struct Scene<'a> {
    world: &'a World,
    stage: &'a Stage,
}

impl Scene<'_> {
    async fn create(&self) -> Result<()> {
        let mut objects = Vec::new();
        let seed = |name: &str, port: &str, status| {
            self.world.seed(Port::new(port).name(format!("uplink-{name}")).status(status));
        };
        let mut add = |name: &str, port: &str, policy: &str, secret: &str| {
            let secret = json!({ "name": secret });
            let spec = json!({ "portId": port, "deletionPolicy": policy, "credentialsRef": secret });
            objects.push(manifest(NAMESPACE, name, &spec));
        };
        for name in many() {
            let port = format!("port-{name}");
            seed(&name, &port, PortStatus::Recycled);
            add(&name, &port, "Destroy", SECRET);
        }
        for (name, port, status, policy, secret) in [
            ("edge-hk-1", "p-hk1", PortStatus::Running, "Destroy", SECRET),
            ("edge-hk-2", "p-hk2", PortStatus::Recycled, "Destroy", SECRET),
            ("edge-sg-4", "p-sg4", PortStatus::Running, "TerminateAndDestroy", SECRET),
            ("kept", "p-kept", PortStatus::Recycled, "Retain", SECRET),
            ("lab", "p-lab", PortStatus::Running, "Destroy", "missing"),
        ] {
            seed(name, port, status);
            add(name, port, policy, secret);
        }
        add("edge-hk-2-copy", "p-hk2", "Destroy", SECRET);
        let list = list(&objects);
        self.stage.kubectl.run_with_input(&["create", "--filename", "-"], &list.to_string()).await?;
        let mut reasons: BTreeMap<String, &str> = many().map(|name| (name, "PortRecycled")).collect();
        reasons.extend(
            [
                ("edge-hk-1", "Running"),
                ("edge-hk-2", "PortClaimed"),
                ("edge-hk-2-copy", "PortClaimed"),
                ("edge-sg-4", "Running"),
                ("kept", "PortRecycled"),
                ("lab", "CredentialsUnavailable"),
            ]
            .map(|(name, reason)| (name.to_owned(), reason)),
        );
        self.until_shown(&reasons).await
    }

    /// Deletes many objects at the same time, then keeps the ports of all but three, one of which is protected; and deletes some
    /// that wait for other reasons.
    async fn delete(&self) -> Result<()> {
        let many: Vec<String> = many().collect();
        self.on("delete", &many, &["--wait=false"]).await?;
        self.until_shown(&many.iter().map(|name| (name.clone(), "MassDeletion")).collect()).await?;
        let (stay, go) = many.split_at(3);
        self.on("patch", go, &["--type=merge", "-p", r#"{"spec":{"deletionPolicy":"Retain"}}"#]).await?;
        let (approvable, protected) = stay.split_at(2);
        self.on("patch", protected, &["--type=merge", "-p", r#"{"spec":{"deletionProtection":true}}"#])
            .await?;
        self.on("wait", go, &["--for=delete", "--timeout=2m"]).await?;
        let others = ["edge-hk-1", "edge-hk-2", "lab"].map(str::to_owned);
        self.on("delete", &others, &["--wait=false"]).await?;
        let reasons = [
            (&approvable[0], "MassDeletion"),
            (&approvable[1], "MassDeletion"),
            (&protected[0], "DeletionProtected"),
            (&others[0], "NotInRecycleBin"),
            (&others[1], "PortClaimed"),
            (&others[2], "CredentialsUnavailable"),
        ];
        self.until_shown(&reasons.map(|(name, reason)| (name.clone(), reason)).into()).await
    }

    /// A command of kubectl about these objects.
    async fn on(&self, command: &str, names: &[String], options: &[&str]) -> Result<()> {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let args = [&[command, "zenlayerport", "--namespace", NAMESPACE], &names[..], options].concat();
        self.stage.kubectl.run(&args).await.map(drop)
    }

    async fn get(&self, what: &[&str]) -> Result<Value> {
        let got = self.stage.kubectl.run(&[&["get", "--output=json"], what].concat()).await?;
        Ok(serde_json::from_str(&got)?)
    }

    /// Waits until each of these objects shows its reason, after the operator has seen its last change.
    async fn until_shown(&self, reasons: &BTreeMap<String, &str>) -> Result<()> {
        let what = format!("these reasons are shown: {reasons:?}");
        until(&what, async || {
            let objects = self.stage.objects().await?;
            let shown = objects.iter().filter(|object| {
                let name = object.metadata.name.as_deref().unwrap_or_default();
                reason(object).is_some_and(|reason| reasons.get(name) == Some(&reason))
            });
            Ok(shown.count() == reasons.len())
        })
        .await
    }

    /// Whether Prometheus counts the objects by reason as the API server does.
    async fn is_scraped(&self, prometheus: &Prometheus) -> Result<bool> {
        let mut expected = BTreeMap::<String, f64>::new();
        for object in &self.stage.objects().await? {
            *expected.entry(reason(object).unwrap_or_default().to_owned()).or_default() += 1.0;
        }
        let counts = prometheus.query("sum by (reason) (zenlayer_port_operator_ports) > 0").await?;
        let counts: BTreeMap<String, f64> =
            counts.into_iter().map(|sample| (sample.labels["reason"].clone(), sample.value)).collect();
        Ok(counts == expected)
    }
}

fn many() -> impl Iterator<Item = String> {
    (1..=MANY).map(|number| format!("x{number}"))
}

/// What the object shows about its last change.
fn reason(object: &ZenlayerPort) -> Option<&str> {
    let status = object.status.as_ref()?;
    let ready = status.ready()?;
    (status.observed_generation == object.metadata.generation).then_some(ready.reason.as_str())
}

/// What Prometheus answers to the queries of each panel.
async fn answers(prometheus: &Prometheus) -> Result<Vec<Answered>> {
    let mut answers = Vec::new();
    for panel in dashboard::rows().into_iter().flat_map(|row| row.panels) {
        let mut series = Vec::new();
        for (query, legend) in &panel.queries {
            let mut samples = prometheus.query(&as_grafana_sends(query)).await?;
            // As Prometheus sorts them for a graph.
            samples.sort_by(|one, other| one.labels.cmp(&other.labels));
            for sample in samples {
                let filled = |legend: String, (label, value): (&String, &String)| {
                    legend.replace(&format!("{{{{{label}}}}}"), value)
                };
                let legend = sample.labels.iter().fold((*legend).to_owned(), filled);
                // JSON has no NaN.
                series.push(Series { legend, value: sample.value.is_finite().then_some(sample.value) });
            }
        }
        answers.push(Answered { title: panel.title.to_owned(), series });
    }
    Ok(answers)
}

async fn until(what: &str, reached: impl AsyncFn() -> Result<bool>) -> Result<()> {
    wait::until(PATIENCE, what, async || Ok(reached().await?.then_some(()))).await
}

fn write(path: &str, content: &impl Serialize) -> Result<()> {
    let content = serde_json::to_string_pretty(content)? + "\n";
    fs::write(root().join(path), content).with_context(|| format!("writing {path}"))?;
    println!("wrote {path}");
    Ok(())
}
