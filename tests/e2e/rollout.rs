//! A rolling update while many ports are being destroyed.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::{DeleteParams, ListParams, PostParams};
use tokio::time::{Instant, sleep};
use zenlayer_simulator::Rule;

use crate::world::{PATIENCE, World, given, ready, recycled, run, spec};

const PORTS: usize = 1000;

/// Requests to the API server at a time.
const AT_A_TIME: usize = 32;

/// A list of all objects is long: this test must not be what keeps the machine busy.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// The API server may close a connection at the moment when a request is sent on it: then the request is sent again.
async fn again<T>(request: impl AsyncFn() -> kube::Result<T>) -> Result<T> {
    for _ in 0..3 {
        match request().await {
            Err(kube::Error::Service(_)) => {}
            answer => return Ok(answer?),
        }
    }
    Ok(request().await?)
}

async fn create(world: &World, ids: &[String]) -> Result<()> {
    let objects = world.objects().await?;
    let create = async |id: &String| {
        let object = serde_json::from_value(world.manifest(id, &spec(id, "Destroy")))?;
        again(async || match objects.create(&PostParams::default(), &object).await {
            // By the request that was sent before.
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            created => created.map(drop),
        })
        .await
    };
    stream::iter(ids).map(create).buffer_unordered(AT_A_TIME).try_collect().await
}

/// Waits until `count` is so many. It may take long, as long as it goes on.
async fn until_all(what: &str, all: usize, count: impl AsyncFn() -> Result<usize>) -> Result<()> {
    let (mut last, mut since) = (usize::MAX, Instant::now());
    loop {
        let now = count().await?;
        if now >= all {
            return Ok(());
        }
        if now != last {
            (last, since) = (now, Instant::now());
        }
        if since.elapsed() > PATIENCE {
            bail!("{now} of {all} {what}, and no more for {} s", PATIENCE.as_secs());
        }
        sleep(BETWEEN_LOOKS).await;
    }
}

#[test]
fn a_rolling_update_of_two_replicas_during_a_thousand_deletions_repeats_no_call() {
    run(async {
        let ids: Vec<String> = (0..PORTS).map(|number| format!("port-{number:04}")).collect();
        let setup = given(ids.iter().map(|id| recycled(id))).value("replicas=2");
        // The Lease has its usual times: so much work can delay its renewal.
        let setup = setup.value("extraArgs={--time-scale=1},deletion.grace=1s,polling.interval=1s");
        let world = setup.value("deletion.massDeletionThreshold=0").start().await?;
        let second = world.start_replica(&[]).await?;
        let objects = world.objects().await?;
        create(&world, &ids).await?;
        let seen = until_all("objects show their port", PORTS, async || {
            let listed = again(async || objects.list(&ListParams::default()).await).await?;
            let seen = |object| ready(object).is_some_and(|(reason, _)| reason == "PortRecycled");
            Ok(listed.iter().filter(|object| seen(object)).count())
        });
        seen.await.with_context(|| world.log())?;

        // No deletion ends before both replicas are new, and the calls outlast the update on a slow machine too.
        for id in &ids {
            world.simulator.set_frozen(id, true);
        }
        let slow = world.simulator.fault(Rule::on("DestroyPort").delay_answer(Duration::from_secs(1)));
        again(async || objects.delete_collection(&DeleteParams::default(), &ListParams::default()).await)
            .await?;
        until_all("calls are on their way", PORTS / 20, async || Ok(world.sent("DestroyPort")))
            .await
            .with_context(|| world.log())?;

        // As a Deployment does it: a new Pod starts, and an old one ends once that is ready.
        let world = world.replaced().await?;
        let third = world.start_replica(&[]).await?;
        ensure!(world.sent("DestroyPort") < PORTS, "all calls were over before the second Pod was replaced");
        second.terminate(PATIENCE).await?;
        world.simulator.clear_fault(slow);

        until_all("ports are being destroyed", PORTS, async || Ok(world.sent("DestroyPort")))
            .await
            .with_context(|| format!("{}\n{}", world.log(), third.logs()))?;
        let listed = async || {
            let list = again(async || objects.list_metadata(&ListParams::default()).await).await?;
            anyhow::Ok(list.items.len())
        };
        let left = listed().await?;
        assert_eq!(left, PORTS, "objects are left while no port is gone");
        for id in &ids {
            world.simulator.set_frozen(id, false);
        }
        until_all("objects are gone", PORTS, async || Ok(PORTS - listed().await?))
            .await
            .with_context(|| format!("{}\n{}", world.log(), third.logs()))?;
        world.assert_only_destroyed(&ids.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(world.simulator.ports().is_empty(), "ports are left: {:?}", world.simulator.ports());
        Ok(())
    });
}
