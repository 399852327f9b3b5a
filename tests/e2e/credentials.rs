//! Where credentials come from, and what happens without.

use serde_json::json;
use zenlayer_simulator::Rule;

use crate::world::{SECRET, given, recycled, run};

#[test]
fn an_object_waits_for_its_secret_and_goes_on_once_it_is_there() {
    run(async {
        let world = given([recycled("port-1")]).without_secret().start().await?;
        world.own("edge", "port-1", "Destroy").await?;
        let message = world.until_reason("edge", "CredentialsUnavailable").await?;
        assert!(message.contains(SECRET), "the message names the Secret: {message}");
        world.delete("edge").await?;
        world.until_reason("edge", "CredentialsUnavailable").await?;
        world.put_secret("KEY", "PASSWORD").await?;
        world.until_gone("edge").await?;
        world.assert_only_destroyed(&["port-1"]);
        Ok(())
    });
}

#[test]
fn a_wrong_key_is_shown_as_unauthorized_and_a_corrected_secret_is_taken_up() {
    run(async {
        let world = given([recycled("port-1")]).without_secret().start().await?;
        world.put_secret("KEY", "WRONG-PASSWORD").await?;
        world.own("edge", "port-1", "Destroy").await?;
        let message = world.until_reason("edge", "Unauthorized").await?;
        assert!(!message.contains("WRONG-PASSWORD"), "{message}");
        world.delete("edge").await?;
        world.until_reason("edge", "Unauthorized").await?;
        world.assert_only_destroyed(&[]);
        world.put_secret("KEY", "PASSWORD").await?;
        world.until_gone("edge").await?;
        world.assert_only_destroyed(&["port-1"]);
        Ok(())
    });
}

#[test]
fn the_operators_own_credentials_serve_the_namespaces_that_are_listed() {
    run(async {
        let world = given([recycled("port-1")]).without_secret().own_credentials().start().await?;
        world.create("edge", json!({ "portId": "port-1" })).await?;
        world.until_alive("edge", "PortRecycled").await?;
        world.delete("edge").await?;
        world.until_gone("edge").await?;
        world.assert_only_destroyed(&["port-1"]);
        Ok(())
    });
}

#[test]
fn the_operators_own_credentials_serve_no_namespace_that_is_not_listed() {
    run(async {
        let elsewhere = "credentials.namespaces={somewhere-else}";
        let world =
            given([recycled("port-1")]).without_secret().own_credentials().value(elsewhere).start().await?;
        world.create("edge", json!({ "portId": "port-1" })).await?;
        world.until_reason("edge", "CredentialsUnavailable").await?;
        world.delete("edge").await?;
        let message = world.until_reason("edge", "CredentialsUnavailable").await?;
        assert!(message.contains("--credentials-namespaces"), "{message}");
        assert_eq!(world.journal().requests().len(), 0, "Zenlayer was asked\n{}", world.log());
        Ok(())
    });
}

#[test]
fn a_key_that_may_not_destroy_is_shown_as_permission_denied() {
    run(async {
        let world = given([recycled("port-1")]).start().await?;
        let denied = "AUTHFAILURE_UNAUTHORIZED_OPERATION";
        let rule = world.simulator.fault(Rule::on("DestroyPort").refuse(401, denied));
        world.own("edge", "port-1", "Destroy").await?;
        world.until_alive("edge", "PortRecycled").await?;
        world.delete("edge").await?;
        world.until_reason("edge", "PermissionDenied").await?;
        world.simulator.clear_fault(rule);
        world.until_gone("edge").await?;
        assert_eq!(world.journal().committed_destroys("port-1"), 1, "{}", world.log());
        Ok(())
    });
}
