//! The deletion of a whole namespace.

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use serde_json::json;

use crate::world::{given, recycled, run, until};

#[test]
fn a_namespace_goes_with_the_object_in_it_once_the_port_is_gone() {
    run(async {
        let world = given([recycled("port-1")]).without_secret().own_credentials().start().await?;
        world.create("edge", json!({ "portId": "port-1" })).await?;
        world.until_alive("edge", "PortRecycled").await?;
        world.cluster.kubectl(&["delete", "namespace", &world.namespace, "--wait=false"]).await?;
        let namespaces = Api::<Namespace>::all(world.cluster.client().await?);
        let gone = until("the namespace is gone", async || {
            Ok(namespaces.get_opt(&world.namespace).await?.is_none().then_some(()))
        });
        gone.await.map_err(|error| error.context(world.log()))?;
        assert!(world.simulator.port("port-1").is_none(), "{}", world.log());
        world.assert_only_destroyed(&["port-1"]);
        Ok(())
    });
}
