//! What the probes of the Pod see: `/livez` and `/readyz`.

use std::time::Duration;

use anyhow::{Context, Result};
use test_cluster::RunningPod;
use zenlayer_simulator::{Answer, Rule};

use crate::world::{PATIENCE, World, given, recycled, run};

/// The statuses of `/livez` and of `/readyz`.
async fn probes(pod: &RunningPod) -> Result<[u16; 2]> {
    // The Pod's probes give up after that too.
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
    let probe =
        async |path| anyhow::Ok(http.get(format!("{}{path}", pod.url()?)).send().await?.status().as_u16());
    Ok([probe("/livez").await?, probe("/readyz").await?])
}

/// Both probes succeed again and again, until the object shows this reason.
async fn healthy_until_reason(world: &World, name: &str, reason: &str) -> Result<()> {
    let healthy = async {
        loop {
            let [live, ready] = probes(world.operator()).await?;
            anyhow::ensure!([live, ready] == [200, 200], "/livez says {live}, /readyz says {ready}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        shown = world.until_reason(name, reason) => shown.map(drop),
        failed = healthy => failed.with_context(|| world.log()),
    }
}

#[test]
fn an_outage_of_zenlayer_restarts_no_pod_and_takes_none_out_of_service() {
    run(async {
        let world = given([recycled("port-1"), recycled("port-2")]).start_with_edge().await?;
        let process = world.operator().id();
        world.simulator.fault(Rule::default().answer(Answer::Reset));
        world.own("new", "port-2", "Destroy").await?;
        healthy_until_reason(&world, "new", "CloudUnavailable").await?;
        world.simulator.clear_faults();
        world.simulator.fault(Rule::default().answer(Answer::html(502)));
        world.delete("edge").await?;
        healthy_until_reason(&world, "edge", "CloudUnavailable").await?;
        world.simulator.clear_faults();
        world.until_gone("edge").await?;
        healthy_until_reason(&world, "new", "PortRecycled").await?;
        assert!(process.is_some() && world.operator().id() == process, "the process is another one");
        world.assert_only_destroyed(&["port-1"]);
        Ok(())
    });
}

#[test]
fn an_operator_that_may_not_list_the_objects_is_alive_and_not_ready_until_it_may() {
    run(async {
        let world = given([]).loses_permissions().start().await?;
        let binding = ["clusterrolebinding", &format!("{}.{}", world.deployment(), world.release())];
        let saved = world.cluster.kubectl(&[&["get"], &binding[..], &["--output=json"]].concat()).await?;
        world.cluster.kubectl(&[&["delete"], &binding[..]].concat()).await?;
        world.operator().terminate(PATIENCE).await?;
        world.operator().start()?;
        let said = |text: &str| world.operator().logs().contains(text);
        world
            .until("it has tried", async || Ok(said("the watch on ZenlayerPorts failed").then_some(())))
            .await?;
        assert_eq!(probes(world.operator()).await?, [200, 503], "{}", world.log());

        let mut saved: serde_json::Value = serde_json::from_str(&saved)?;
        saved["metadata"]
            .as_object_mut()
            .context("metadata")?
            .retain(|field, _| field == "name" || field == "labels");
        world.apply(&saved).await?;
        world.operator().wait_ready(PATIENCE).await.with_context(|| world.log())?;
        assert_eq!(probes(world.operator()).await?, [200, 200]);
        Ok(())
    });
}
