//! Objects that only a later version of the operator can parse.

use anyhow::Result;
use serde_json::json;
use test_cluster::Cluster;
use test_support::metrics::metrics;

use crate::world::{World, given, recycled, run, spec};

/// A deletionPolicy and the action of a call that the operator does not know.
pub const LATER_POLICY: &str = "Evaporate";
const LATER_ACTION: &str = "RenewPort";

/// Has the cluster know them, as if its CustomResourceDefinition were of a later version.
pub async fn add_later_words(cluster: &Cluster) -> Result<()> {
    let add = |of: &str, word| {
        let path = format!("/spec/versions/0/schema/openAPIV3Schema/properties/{of}/enum/-");
        json!({ "op": "add", "path": path, "value": word })
    };
    let call = "status/properties/release/properties/call/properties";
    let patch = json!([
        add("spec/properties/deletionPolicy", LATER_POLICY),
        add(&format!("{call}/action"), LATER_ACTION),
    ]);
    let definition = "zenlayerports.sdn.zenlayer.com";
    cluster.kubectl(&["patch", "crd", definition, "--type=json", "-p", &patch.to_string()]).await.map(drop)
}

/// Waits until the object says that it cannot be parsed; returns the message. It cannot be read as a ZenlayerPort.
pub async fn until_unparsed(world: &World, name: &str) -> Result<String> {
    let ready = "jsonpath={.status.conditions[?(@.type==\"Ready\")]}";
    let stalled = "jsonpath={.status.conditions[?(@.type==\"Stalled\")].status}";
    let message = world
        .until("the object is held as InvalidSpec", async || {
            let ready = world.kubectl(&["get", "zenlayerport", name, "--output", ready]).await?;
            let ready: serde_json::Value = serde_json::from_str(&ready).unwrap_or_default();
            Ok((ready["reason"] == "InvalidSpec")
                .then(|| ready["message"].as_str().unwrap_or_default().to_owned()))
        })
        .await?;
    assert_eq!(world.kubectl(&["get", "zenlayerport", name, "--output", stalled]).await?, "True");
    Ok(message)
}

pub async fn set_policy(world: &World, name: &str, policy: &str) -> Result<()> {
    world.patch(name, json!({ "spec": { "deletionPolicy": policy } })).await
}

async fn has_finalizer(world: &World, name: &str) -> Result<bool> {
    let finalizers =
        world.kubectl(&["get", "zenlayerport", name, "-o", "jsonpath={.metadata.finalizers}"]).await?;
    Ok(finalizers.contains("sdn.zenlayer.com/destroy-port"))
}

#[test]
fn an_object_that_cannot_be_parsed_says_so_and_disturbs_no_other() {
    run(async {
        let world = given([recycled("port-1"), recycled("port-2")]).with_later_words().start().await?;
        world.own("odd", "port-2", LATER_POLICY).await?;
        let message = until_unparsed(&world, "odd").await?;
        assert!(
            message.contains(LATER_POLICY) && message.contains("kubectl edit zenlayerport odd"),
            "{message}"
        );
        let metrics = metrics(world.operator()).await?;
        assert!(metrics.contains("zenlayer_port_operator_invalid_objects 1"), "{metrics}");

        let world = world.restarted().await?;
        world.own_until("edge", "port-1", "Destroy", "PortRecycled").await?;
        world.delete("edge").await?;
        world.until_gone_with("edge", &["port-1"]).await?;
        until_unparsed(&world, "odd").await.map(drop)
    });
}

#[test]
fn an_object_that_cannot_be_parsed_any_more_keeps_the_finalizer_until_it_can_be_again() {
    run(async {
        let world = given([recycled("port-1")]).with_later_words().start_with_edge().await?;
        set_policy(&world, "edge", LATER_POLICY).await?;
        until_unparsed(&world, "edge").await?;
        world.delete("edge").await?;

        let world = world.restarted().await?;
        until_unparsed(&world, "edge").await?;
        assert!(has_finalizer(&world, "edge").await?, "{}", world.log());
        world.assert_only_destroyed(&[]);
        set_policy(&world, "edge", "Destroy").await?;
        world.until_gone_with("edge", &["port-1"]).await
    });
}

#[test]
fn an_object_whose_status_alone_cannot_be_parsed_goes_on_once_that_can() {
    run(async {
        let world = given([recycled("port-1")]).with_later_words().start_with_edge().await?;
        let call = json!({
            "action": LATER_ACTION, "attempt": 1, "requestedTime": "2026-01-01T00:00:00Z",
            "portStatusBefore": "RECYCLED", "credential": "", "outcome": { "pending": {} },
        });
        let set_release = async |release: serde_json::Value| {
            let patch = json!({ "status": { "release": release } }).to_string();
            let edge =
                ["patch", "zenlayerport", "edge", "--subresource=status", "--type=merge", "-p", &patch];
            world.kubectl(&edge).await.map(drop)
        };
        set_release(json!({ "uid": "of a later version", "call": call })).await?;
        let message = until_unparsed(&world, "edge").await?;
        assert!(message.contains(LATER_ACTION), "{message}");
        set_release(json!(null)).await?;
        world.until_alive("edge", "PortRecycled").await
    });
}

#[test]
fn an_object_that_cannot_be_parsed_still_claims_its_port() {
    run(async {
        let world = given([recycled("port-1")]).with_later_words().start().await?;
        world.own_until("odd", "port-1", "Destroy", "PortRecycled").await?;
        set_policy(&world, "odd", LATER_POLICY).await?;
        until_unparsed(&world, "odd").await?;
        let world = world.restarted().await?;
        world.create("edge", spec("port-1", "Destroy")).await?;
        world.until_alive("edge", "PortClaimed").await?;
        world.delete("edge").await?;
        let message = world.until_reason("edge", "PortClaimed").await?;
        assert!(message.contains("odd"), "the message names the other object: {message}");
        world.assert_only_destroyed(&[]);
        Ok(())
    });
}
