//! What people may do who have a role of Kubernetes in the objects' namespace.

use anyhow::{Context, Result};
use serde_json::json;
use zenlayer_port_operator::api::APPROVE_ANNOTATION;

use crate::world::{World, given, recycled, run, spec, until};

/// A world with a user for each role, who is called after it; a deletion needs an approval.
async fn with_users() -> Result<World> {
    let values = "deletion.requireApproval=true,deletion.restrictApproval=true,rbac.aggregateRoles=true";
    let world = given([recycled("port-1")]).value(values).start().await?;
    for user in ["view", "edit", "admin"] {
        let options = [format!("--clusterrole={user}"), format!("--user={user}")];
        world.kubectl(&["create", "rolebinding", user, &options[0], &options[1]]).await?;
    }
    until("the roles of Kubernetes have those of the chart", async || {
        Ok(may(&world, "admin", "approve").await.then_some(()))
    })
    .await?;
    Ok(world)
}

/// Whether `kubectl auth can-i` says yes.
async fn may(world: &World, user: &str, verb: &str) -> bool {
    let user = format!("--as={user}");
    world.kubectl(&["auth", "can-i", verb, "zenlayerports.sdn.zenlayer.com", &user]).await.is_ok()
}

#[test]
fn a_viewer_sees_an_editor_changes_and_deletes_and_an_admin_approves() {
    run(async {
        let world = with_users().await?;
        let verbs = ["get", "list", "watch", "create", "patch", "delete", "deletecollection", "approve"];
        for (user, allowed) in [("view", 3), ("edit", 7), ("admin", 8)] {
            for (index, verb) in verbs.into_iter().enumerate() {
                assert_eq!(may(&world, user, verb).await, index < allowed, "{user} may {verb}");
            }
            let status = ["auth", "can-i", "patch", "zenlayerports.sdn.zenlayer.com", "--subresource=status"];
            let forges = world.kubectl(&[&status[..], &[&format!("--as={user}")]].concat()).await;
            forges.expect_err("only the operator writes the status");
        }
        Ok(())
    });
}

#[test]
fn an_editor_deletes_and_only_an_admin_approves() {
    run(async {
        let world = with_users().await?;
        let kubectl = world.cluster.kubectl_as(&world.cluster.kubeconfig());
        let object = world.manifest("edge", &spec("port-1", "Destroy")).to_string();
        kubectl.run_with_input(&["create", "--as=edit", "-f", "-"], &object).await?;
        world.until_alive("edge", "PortRecycled").await?;
        world.kubectl(&["delete", "zenlayerport", "edge", "--wait=false", "--as=edit"]).await?;
        let message = world.until_reason("edge", "ApprovalRequired").await?;

        let refused = until("the policy is in force", async || {
            let dry_run = "--dry-run=server --as=edit";
            Ok(world.type_command_of_as(dry_run, &message).await.err().map(|error| error.to_string()))
        });
        let refused = refused.await?;
        assert!(refused.contains("you may not approve"), "{refused}");
        world.assert_only_destroyed(&[]);

        let advice = refused.trim().rsplit_once(": ").context(refused.clone())?.1;
        world.type_command(&format!("{advice} --as=admin")).await?;
        world.type_command(&format!("{advice} --as=edit")).await.expect_err("who is refused sees why");

        world.type_command_of_as("--as=admin", &message).await?;
        world.until_gone_with("edge", &["port-1"]).await
    });
}

#[test]
fn an_editor_withdraws_an_approval_and_changes_an_approved_object_but_adds_none() {
    run(async {
        let world = with_users().await?;
        world.own("edge", "port-1", "Destroy").await?;
        let annotate = async |value: serde_json::Value, user: &str| {
            let patch = json!({ "metadata": { "annotations": { APPROVE_ANNOTATION: value } } }).to_string();
            let user = format!("--as={user}");
            world.kubectl(&["patch", "zenlayerport", "edge", "--type=merge", "-p", &patch, &user]).await
        };
        until("the policy is in force", async || Ok(annotate(json!("One-1"), "edit").await.err())).await?;
        annotate(json!("One-1,Two-1"), "admin").await?;

        annotate(json!("One-1,Three-1"), "edit").await.expect_err("another approval");
        annotate(json!("One-1,Two-1,Three-1"), "edit").await.expect_err("one more");
        let policy = r#"{"spec":{"deletionPolicy":"Retain"}}"#;
        world.kubectl(&["patch", "zenlayerport", "edge", "--type=merge", "-p", policy, "--as=edit"]).await?;
        annotate(json!(" Two-1"), "edit").await.context("one approval is withdrawn")?;
        annotate(json!("Two-1,One-1"), "edit").await.expect_err("the one that was withdrawn");
        annotate(json!(null), "edit").await.context("the other one is withdrawn")?;
        Ok(())
    });
}
