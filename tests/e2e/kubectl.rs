//! What users see and type.

use serde_json::json;

use crate::world::{given, recycled, run, running, spec};

#[test]
fn the_columns_of_kubectl_get_tell_port_status_and_reason() {
    run(async {
        let world = given([running("port-1").name("uplink")]).start().await?;
        world.own_until("edge", "port-1", "Terminate", "Running").await?;
        let table = world.kubectl(&["get", "zlp"]).await?;
        let cells: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(cells[0], ["NAME", "PORT-ID", "PORT-NAME", "STATUS", "READY", "REASON", "AGE"], "{table}");
        assert_eq!(cells[1][..6], ["edge", "port-1", "uplink", "RUNNING", "True", "Running"], "{table}");
        let wide = world.kubectl(&["get", "zenlayer", "-o", "wide"]).await?;
        for column in ["POLICY", "TYPE", "DATACENTER", "MESSAGE"] {
            assert!(wide.contains(column), "{column} is missing: {wide}");
        }
        Ok(())
    });
}

#[test]
fn kubectl_wait_ends_when_the_object_is_ready_and_when_it_is_gone() {
    run(async {
        let world = given([running("port-1")]).start().await?;
        world.own("edge", "port-1", "TerminateAndDestroy").await?;
        world.kubectl(&["wait", "--for=condition=Ready", "zenlayerport/edge", "--timeout=60s"]).await?;
        world.delete("edge").await?;
        world.kubectl(&["wait", "--for=delete", "zenlayerport/edge", "--timeout=90s"]).await?;
        world.assert_only_destroyed(&["port-1"]);
        Ok(())
    });
}

#[test]
fn a_deletion_is_told_in_two_events() {
    run(async {
        let world = given([recycled("port-1")]).start_with_edge().await?;
        world.delete("edge").await?;
        world.until_gone("edge").await?;
        let reasons = world.event_reasons().await?;
        assert_eq!(
            reasons,
            ["Destroying", "PortDestroyed", "PortRecycled"],
            "the first two are of the deletion"
        );
        Ok(())
    });
}

#[test]
fn kubectl_explain_prints_what_each_field_means() {
    run(async {
        let world = given([]).start().await?;
        let policy = world.kubectl(&["explain", "zenlayerport.spec.deletionPolicy"]).await?;
        for word in ["Destroy", "TerminateAndDestroy", "Terminate", "Retain"] {
            assert!(policy.contains(word), "{word} is missing: {policy}");
        }
        let status = world.kubectl(&["explain", "zenlayerport.status.port.status"]).await?;
        assert!(status.contains("recycle bin"), "{status}");
        Ok(())
    });
}

#[test]
fn the_api_server_refuses_what_is_not_allowed_and_says_what_is() {
    run(async {
        let world = given([]).start().await?;
        let refused = async |spec, expected: &str| {
            let error = format!("{:?}", world.create("edge", spec).await.expect_err("it is refused"));
            assert!(error.contains(expected), "{expected:?} is missing: {error}");
        };
        refused(json!({ "portId": "port 1/../x" }), "1 to 64 letters, digits, '-' or '_'").await;
        refused(json!({ "portId": "" }), "spec.portId").await;
        refused(json!({ "portId": "p".repeat(65) }), "spec.portId").await;
        refused(json!({}), "spec.portId: Required value").await;
        refused(spec("port-1", "Obliterate"), "supported values: \"Destroy\", \"TerminateAndDestroy\"").await;
        refused(
            json!({ "portId": "port-1", "deletePolicy": "Retain" }),
            "unknown field \"spec.deletePolicy\"",
        )
        .await;
        let elsewhere =
            json!({ "portId": "port-1", "credentialsRef": { "name": "../../kube-system/secrets/x" } });
        refused(elsewhere, "credentialsRef.name is the name of a Secret").await;
        world.own("edge", "port-1", "Retain").await?;
        refused(spec("port-2", "Retain"), "portId cannot be changed: create another ZenlayerPort").await;
        Ok(())
    });
}
