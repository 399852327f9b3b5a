//! Several replicas, of which one works: killed, paused, cut off and ended in order.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;
use test_cluster::RunningPod;
use test_support::metrics::metrics;
use test_support::proxy::{Line, Proxy};
use tokio_util::sync::CancellationToken;
use zenlayer_port_operator::clock::Clock;
use zenlayer_port_operator::lease::{Announced, Candidate, LeaseSettings, LeaseTiming, PodIdentity};

use crate::world::{PATIENCE, World, given, recycled, run, until};

/// What a replica logs once it leads.
const LEADS: &str = "this replica leads";

/// One that works, and another beside it that is ready to.
async fn two_replicas() -> Result<(World, RunningPod)> {
    let world = given([recycled("port-1")]).start().await?;
    until_leading(world.operator()).await?;
    let other = world.start_replica(&[]).await?;
    world.own_until("edge", "port-1", "Destroy", "PortRecycled").await?;
    Ok((world, other))
}

async fn until_leading(replica: &RunningPod) -> Result<()> {
    let leading = until("the replica leads", async || Ok(replica.logs().contains(LEADS).then_some(())));
    leading.await.with_context(|| replica.logs())
}

async fn holder(world: &World) -> Result<Option<String>> {
    let leases = Api::<Lease>::namespaced(world.cluster.client().await?, world.release());
    let lease = leases.get_opt(&world.deployment()).await?;
    Ok(lease.and_then(|lease| lease.spec?.holder_identity).filter(|holder| !holder.is_empty()))
}

async fn goes_by_one_destroy(world: &World, by: &RunningPod) -> Result<()> {
    world.until_gone("edge").await.with_context(|| by.logs())?;
    world.assert_only_destroyed(&["port-1"]);
    Ok(())
}

#[test]
fn of_two_replicas_one_works_and_the_other_watches_nothing() {
    run(async {
        let (world, other) = two_replicas().await?;
        world.delete("edge").await?;
        goes_by_one_destroy(&world, world.operator()).await?;
        let holder = holder(&world).await?.unwrap_or_default();
        assert!(holder.starts_with(world.operator().name()), "{holder} holds the Lease\n{}", world.log());
        let log = other.logs();
        assert!(log.contains("this one waits") && !log.contains(LEADS) && !log.contains("listed"), "{log}");
        let metrics = metrics(&other).await?;
        let waits = "zenlayer_port_operator_leader 0\n";
        assert!(metrics.contains(waits) && !metrics.contains("zenlayer_port_operator_ports"), "{metrics}");
        Ok(())
    });
}

#[test]
fn a_replica_takes_over_from_one_that_is_killed_and_repeats_no_call() {
    run(async {
        let (world, other) = two_replicas().await?;
        world.delete("edge").await?;
        world.until_alive("edge", "Destroying").await?;
        world.operator().kill()?;
        until_leading(&other).await?;
        goes_by_one_destroy(&world, &other).await
    });
}

/// Makes a Pod object in the operator's namespace; returns its uid.
async fn create_pod(pods: &Api<Pod>, name: &str) -> Result<String> {
    let pod = serde_json::from_value(json!({
        "metadata": { "name": name },
        "spec": { "containers": [{ "name": "operator", "image": "none" }] },
    }))?;
    let pod = pods.create(&PostParams::default(), &pod).await?;
    pod.metadata.uid.context("the API server made a Pod without a uid")
}

/// A replica with a Pod object, to which the Lease belongs while that replica holds it.
async fn replica_of_pod(world: &World, name: &str) -> Result<RunningPod> {
    let pods = Api::<Pod>::namespaced(world.cluster.client().await?, world.release());
    let uid = create_pod(&pods, name).await?;
    world.start_replica(&[("POD_NAME", name.to_owned()), ("POD_UID", uid)]).await
}

#[test]
fn a_replica_takes_the_lease_over_from_a_pod_that_is_still_there() {
    run(async {
        let world = given([recycled("port-1")]).start().await?;
        world.operator().terminate(PATIENCE).await?;
        let first = replica_of_pod(&world, "first").await?;
        until_leading(&first).await?;
        let second = replica_of_pod(&world, "second").await?;
        // The node of the first is gone, and its Pod object stays.
        first.kill()?;
        until_leading(&second).await?;
        world.own_until("edge", "port-1", "Destroy", "PortRecycled").await?;
        world.delete("edge").await?;
        goes_by_one_destroy(&world, &second).await
    });
}

#[test]
fn a_leader_that_was_paused_for_longer_than_its_lease_ends_itself_and_calls_nothing() {
    run(async {
        let (world, other) = two_replicas().await?;
        world.delete("edge").await?;
        world.operator().pause()?;
        until_leading(&other).await?;
        goes_by_one_destroy(&world, &other).await?;
        world.operator().resume()?;
        let status = world.operator().wait_exit(PATIENCE).await?;
        assert!(!status.success() && world.log().contains("lost the Lease"), "{status}\n{}", world.log());
        world.assert_only_destroyed(&["port-1"]);
        Ok(())
    });
}

/// Runs another Pod of the operator, which reaches the API server through a line that can be cut.
async fn replica_behind_a_line(world: &World) -> Result<(RunningPod, Proxy)> {
    let (through, line) = world.release.kubeconfig_behind_proxy(world.cluster).await?;
    let replica = world.start_replica(&[("KUBECONFIG", through.display().to_string())]).await?;
    Ok((replica, line))
}

#[test]
fn a_leader_that_is_cut_off_from_the_api_server_ends_itself_and_no_call_is_repeated() {
    run(async {
        let world = given([recycled("port-1"), recycled("port-2")]).start().await?;
        let (cut_off, line) = replica_behind_a_line(&world).await?;
        world.operator().terminate(PATIENCE).await?;
        until_leading(&cut_off).await?;
        let other = world.start_replica(&[]).await?;
        for (name, port) in [("edge", "port-1"), ("late", "port-2")] {
            world.own_until(name, port, "Destroy", "PortRecycled").await?;
        }
        world.simulator.set_frozen("port-1", true);
        world.delete("edge").await?;
        world.until_alive("edge", "Destroying").await?;

        // The leader is about to call, and can no longer record that.
        world.delete("late").await?;
        world.until_alive("late", "GracePeriod").await?;
        line.set(Line::Silent);
        until_leading(&other).await?;
        let status = cut_off.wait_exit(PATIENCE).await?;
        assert!(
            !status.success() && cut_off.logs().contains("lost the Lease"),
            "{status}\n{}",
            cut_off.logs()
        );
        world.simulator.set_frozen("port-1", false);
        for name in ["edge", "late"] {
            world.until_gone(name).await.with_context(|| other.logs())?;
        }
        world.assert_only_destroyed(&["port-1", "port-2"]);
        Ok(())
    });
}

#[test]
fn a_leader_that_ends_in_order_leaves_the_lease_free() {
    run(async {
        let (world, other) = two_replicas().await?;
        let status = world.operator().terminate(PATIENCE).await?;
        ensure!(status.success(), "{status}\n{}", world.log());
        let holder = holder(&world).await?.unwrap_or_default();
        assert!(!holder.starts_with(world.operator().name()), "it holds the Lease still\n{}", world.log());
        world.delete("edge").await?;
        goes_by_one_destroy(&world, &other).await
    });
}

#[test]
fn a_lease_that_somebody_deletes_is_put_back_by_its_holder() {
    run(async {
        let (world, other) = two_replicas().await?;
        let before = holder(&world).await?;
        world
            .cluster
            .kubectl(&["delete", "lease", &world.deployment(), "--namespace", world.release()])
            .await?;
        let after = until("there is a Lease", async || holder(&world).await).await?;
        assert_eq!(Some(after), before, "{}\n{}", world.log(), other.logs());
        world.delete("edge").await?;
        goes_by_one_destroy(&world, world.operator()).await
    });
}

#[test]
fn a_leader_that_may_no_longer_use_the_lease_ends_and_says_what_is_missing() {
    run(async {
        let world = given([recycled("port-1")]).loses_permissions().start().await?;
        until_leading(world.operator()).await?;
        let binding = format!("{}-lease", world.deployment());
        world.cluster.kubectl(&["delete", "rolebinding", &binding, "--namespace", world.release()]).await?;
        let status = world.operator().wait_exit(PATIENCE).await?;
        let log = world.operator().logs();
        assert!(!status.success() && log.contains("grant its ServiceAccount"), "{status}\n{log}");
        Ok(())
    });
}

#[test]
fn the_lease_goes_with_the_pod_of_its_holder_where_it_could_not_be_released() {
    run(async {
        let world = given([]).start().await?;
        let client = world.cluster.client().await?;
        let pods = Api::<Pod>::namespaced(client.clone(), world.release());
        let identity = PodIdentity { name: "holder".to_owned(), uid: create_pod(&pods, "holder").await? };
        let settings = LeaseSettings {
            namespace: Some(world.release().to_owned()),
            name: "held".to_owned(),
            timing: LeaseTiming::default(),
            pod: Some(identity),
            announced: Announced::default(),
        };
        let (candidate, mut leadership) =
            Candidate::new(client.clone(), settings, "holder".to_owned(), Clock::System);
        let election = tokio::spawn(candidate.run(CancellationToken::new()));
        leadership.won().await;
        // It may write no more, as after `helm uninstall`.
        election.abort();
        let leases = Api::<Lease>::namespaced(client, world.release());
        assert!(leases.get_opt("held").await?.is_some(), "it is held");
        pods.delete("holder", &DeleteParams::default().grace_period(0)).await?;
        until("the Lease is gone", async || Ok(leases.get_opt("held").await?.is_none().then_some(()))).await
    });
}
