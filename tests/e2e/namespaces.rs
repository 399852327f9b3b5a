//! The deletion of a whole namespace.

use anyhow::Result;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use serde_json::json;
use zenlayer_simulator::Port;

use crate::credentials::secrets_that_are_copies;
use crate::world::{SECRET, Setup, World, given, recycled, run, until};

/// The roles in the namespace go before the objects.
fn deleted_with_its_roles(ports: impl IntoIterator<Item = Port>) -> Setup {
    given(ports).loses_permissions()
}

async fn delete_namespace(world: &World) -> Result<()> {
    world.cluster.kubectl(&["delete", "namespace", &world.namespace, "--wait=false"]).await.map(drop)
}

async fn until_secret_is_gone(world: &World) -> Result<()> {
    let secrets = Api::<Secret>::namespaced(world.cluster.client().await?, &world.namespace);
    until("the Secret is gone", async || Ok(secrets.get_opt(SECRET).await?.is_none().then_some(()))).await
}

#[test]
fn a_namespace_goes_with_the_object_in_it_once_the_port_is_gone() {
    run(async {
        let world =
            deleted_with_its_roles([recycled("port-1")]).without_secret().own_credentials().start().await?;
        world.create("edge", json!({ "portId": "port-1" })).await?;
        world.until_alive("edge", "PortRecycled").await?;
        delete_namespace(&world).await?;
        world.until_namespace_is_gone().await?;
        assert!(world.simulator.port("port-1").is_none(), "{}", world.log());
        world.assert_only_destroyed(&["port-1"]);
        Ok(())
    });
}

#[test]
fn a_namespace_whose_secret_goes_first_is_released_by_the_copy() {
    run(async {
        let world = deleted_with_its_roles([recycled("port-1")]).start_with_edge().await?;
        delete_namespace(&world).await?;
        world.until_namespace_is_gone().await?;
        world.assert_only_destroyed(&["port-1"]);
        Ok(())
    });
}

#[test]
fn a_namespace_that_was_deleted_and_made_again_with_the_same_secret_is_released_too() {
    run(async {
        let world = deleted_with_its_roles([recycled("port-1"), recycled("port-2")])
            .value("polling.resyncInterval=10s")
            .start()
            .await?;
        world.own_until("edge", "port-1", "Destroy", "PortRecycled").await?;
        delete_namespace(&world).await?;
        world.until_namespace_is_gone().await?;

        world.cluster.kubectl(&["create", "namespace", &world.namespace]).await?;
        // The chart's Role went with the namespace.
        let account = format!("--serviceaccount={}:{}", world.release(), world.deployment());
        world.kubectl(&["create", "role", "again", "--verb=get", "--resource=secrets"]).await?;
        world.kubectl(&["create", "rolebinding", "again", "--role=again", &account]).await?;
        world.put_secret("KEY", "PASSWORD").await?;
        world.own_until("edge", "port-2", "Destroy", "PortRecycled").await?;
        let namespaces = Api::<Namespace>::all(world.cluster.client().await?);
        let uid = namespaces.get(&world.namespace).await?.metadata.uid;
        world
            .until("the copy is of the new namespace", async || {
                let made_for = secrets_that_are_copies(&world).await?.into_iter().filter_map(|copy| {
                    copy.metadata.annotations?.remove("sdn.zenlayer.com/copy-of-namespace-uid")
                });
                Ok((made_for.collect::<Vec<_>>() == uid.iter().cloned().collect::<Vec<_>>()).then_some(()))
            })
            .await?;
        delete_namespace(&world).await?;
        world.until_namespace_is_gone().await?;
        world.assert_only_destroyed(&["port-1", "port-2"]);
        Ok(())
    });
}

#[test]
fn a_namespace_that_lost_its_secret_while_no_operator_ran_is_released_by_the_copy_over_a_restart() {
    run(async {
        let world = deleted_with_its_roles([recycled("port-1")]).start_with_edge().await?;
        world.operator().kill()?;
        delete_namespace(&world).await?;
        until_secret_is_gone(&world).await?;
        world.simulator.set_frozen("port-1", true);
        let world = world.restarted().await?;
        world.until_reason("edge", "Destroying").await?;
        let world = world.killed_and_restarted().await?;
        world.simulator.set_frozen("port-1", false);
        world.until_namespace_is_gone().await?;
        world.assert_only_destroyed(&["port-1"]);
        Ok(())
    });
}
