//! The API server itself refuses to delete what is protected.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use serde_json::json;
use test_support::objects::manifest;
use zenlayer_port_operator::api::FINALIZER;

use crate::world::{Permissions, SECRET, World, given, recycled, run, spec, until};

/// A world whose policy is in force: one object of it is protected, and its deletion is refused.
async fn guarded() -> Result<World> {
    let world = given([recycled("port-1"), recycled("port-2")])
        .value("deletion.admissionPolicy=true")
        .start()
        .await?;
    world.create("edge", protected()).await?;
    world.until_alive("edge", "PortRecycled").await?;
    until("the policy is in force", async || Ok(refusal(&world, &["--dry-run=server"]).await)).await?;
    Ok(world)
}

fn protected() -> serde_json::Value {
    json!({ "portId": "port-1", "deletionProtection": true, "credentialsRef": { "name": SECRET } })
}

/// What `kubectl delete` of the protected object is refused with; none: it is not.
async fn refusal(world: &World, options: &[&str]) -> Option<String> {
    let delete = [&["delete", "zenlayerport", "edge", "--wait=false"], options].concat();
    let error = world.kubectl(&delete).await.err()?.to_string();
    Some(
        error
            .split_once("denied request: ")
            .unwrap_or_else(|| panic!("another refusal: {error}"))
            .1
            .to_owned(),
    )
}

async fn patch(world: &World, spec: serde_json::Value) -> Result<()> {
    world.patch("edge", json!({ "spec": spec })).await
}

#[test]
fn a_protected_object_is_not_deleted_before_the_printed_command_takes_the_protection_off() {
    run(async {
        let world = guarded().await?;
        let message = refusal(&world, &[]).await.context("the deletion was accepted")?;
        let object = world.objects().await?.get("edge").await?;
        assert!(!object.is_terminating(), "it is refused, and not held");
        world.type_command_of(&message).await?;
        world.delete("edge").await?;
        world.until_gone_with("edge", &["port-1"]).await
    });
}

#[test]
fn an_object_without_protection_is_deleted_beside_a_protected_one() {
    run(async {
        let world = guarded().await?;
        world.own_until("other", "port-2", "Destroy", "PortRecycled").await?;
        world.delete("other").await?;
        world.until_gone("other").await?;
        world.assert_only_destroyed(&["port-2"]);
        Ok(())
    });
}

#[test]
fn what_is_being_deleted_may_be_deleted_again_and_its_finalizer_removed_though_it_is_protected_by_then() {
    run(async {
        let world = guarded().await?;
        patch(&world, json!({ "deletionProtection": false, "deletionPolicy": "Terminate" })).await?;
        let finalizers = r#"[{"op":"add","path":"/metadata/finalizers/-","value":"example.com/backup"}]"#;
        world.kubectl(&["patch", "zenlayerport", "edge", "--type=json", "-p", finalizers]).await?;
        world.delete("edge").await?;
        world.until_reason("edge", "WaitingForFinalizers").await?;
        patch(&world, json!({ "deletionProtection": true })).await?;
        assert_eq!(refusal(&world, &[]).await, None, "it is being deleted already");
        patch(&world, json!({ "deletionPolicy": "Retain" })).await?;
        world
            .until("the operator's finalizer is off", async || {
                let object = world.objects().await?.get("edge").await?;
                Ok((!object.has_finalizer()).then_some(()))
            })
            .await?;
        world.strip_finalizers("edge").await?;
        world.until_gone_with("edge", &[]).await
    });
}

#[test]
fn a_namespace_stays_while_a_protected_object_is_in_it() {
    run(async {
        let mut world = guarded().await?;
        world.permissions = Permissions::Lost;
        world.cluster.kubectl(&["delete", "namespace", &world.namespace, "--wait=false"]).await?;
        let namespaces = Api::<Namespace>::all(world.cluster.client().await?);
        let told = until("the namespace says what holds it", async || {
            let conditions =
                namespaces.get(&world.namespace).await?.status.and_then(|status| status.conditions);
            let messages = conditions.into_iter().flatten().filter_map(|condition| condition.message);
            Ok(messages.into_iter().find(|message| message.contains("spec.deletionProtection is true")))
        });
        told.await?;
        assert!(!world.objects().await?.get("edge").await?.is_terminating(), "{}", world.log());
        world.assert_only_destroyed(&[]);
        patch(&world, json!({ "deletionProtection": false, "deletionPolicy": "Retain" })).await?;
        world.until_namespace_is_gone().await
    });
}

#[test]
fn a_release_guards_no_namespace_but_those_that_it_watches() {
    run(async {
        let world = guarded().await?;
        let elsewhere = world.cluster.create_namespace("elsewhere").await?;
        world.apply(&manifest(&elsewhere, "edge", &protected())).await?;
        world
            .cluster
            .kubectl(&["delete", "zenlayerport", "edge", "--namespace", &elsewhere, "--timeout=60s"])
            .await?;
        Ok(())
    });
}

/// Waits until the API server puts the finalizer on a new object.
async fn until_it_adds_the_finalizer(world: &World) -> Result<()> {
    let probe = world.manifest("probe", &spec("port-9", "Retain")).to_string();
    until("the API server adds the finalizer", async || {
        let kubectl = world.cluster.kubectl_as(&world.cluster.kubeconfig());
        let create = ["create", "--dry-run=server", "-o", "json", "-f", "-"];
        let created = kubectl.run_with_input(&create, &probe);
        Ok(created.await.is_ok_and(|object| object.contains(FINALIZER)).then_some(()))
    })
    .await
}

#[test]
fn an_object_that_is_made_and_deleted_while_no_operator_runs_stays_until_one_has_released_its_port() {
    run(async {
        let world = given([recycled("port-1")]).value("admission.addFinalizer=true").start().await?;
        until_it_adds_the_finalizer(&world).await?;
        world.operator().kill()?;
        world.own("edge", "port-1", "Destroy").await?;
        world.delete("edge").await?;
        let object = world.objects().await?.get("edge").await.context("it went, and its port stays")?;
        assert!(object.is_terminating() && object.has_finalizer(), "{object:?}");
        let world = world.restarted().await?;
        world.until_gone_with("edge", &["port-1"]).await
    });
}

#[test]
fn the_api_server_adds_the_finalizer_once_and_beside_others() {
    run(async {
        let world = given([]).value("admission.addFinalizer=true").start().await?;
        until_it_adds_the_finalizer(&world).await?;
        world.operator().kill()?;
        for (given, expected) in [
            (json!([]), json!([FINALIZER])),
            (json!([FINALIZER]), json!([FINALIZER])),
            (json!(["example.com/backup"]), json!(["example.com/backup", FINALIZER])),
        ] {
            world.create_with_finalizers("edge", spec("port-1", "Retain"), &given).await?;
            let object = world.objects().await?.get("edge").await?;
            assert_eq!(json!(object.metadata.finalizers), expected, "of {given}");
            world.strip_finalizers("edge").await?;
            world.kubectl(&["delete", "zenlayerport", "edge", "--timeout=60s"]).await?;
        }
        Ok(())
    });
}

/// Nobody would take it off again.
#[test]
fn an_object_in_a_namespace_that_is_not_watched_gets_no_finalizer() {
    run(async {
        let world = given([]).value("admission.addFinalizer=true").start().await?;
        until_it_adds_the_finalizer(&world).await?;
        let elsewhere = world.cluster.create_namespace("elsewhere").await?;
        world.apply(&manifest(&elsewhere, "edge", &spec("port-1", "Destroy"))).await?;
        world
            .cluster
            .kubectl(&["delete", "zenlayerport", "edge", "--namespace", &elsewhere, "--timeout=60s"])
            .await?;
        Ok(())
    });
}
