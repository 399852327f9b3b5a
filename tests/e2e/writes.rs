//! What the operator writes to an object, on the real API server: it changes nothing else, and a refusal is shown.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::world::{World, given, recycled, run, spec, until};

async fn raw(world: &World, name: &str) -> Result<Value> {
    let object =
        world.kubectl(&["get", "zenlayerport", name, "--output=json", "--show-managed-fields"]).await?;
    Ok(serde_json::from_str(&object)?)
}

#[test]
fn what_users_and_others_wrote_stays_when_the_operator_writes() {
    run(async {
        let world = given([recycled("port-1")]).start().await?;
        let mut object = world.manifest("edge", &spec("port-1", "Destroy"));
        object["metadata"]["labels"] = json!({ "team": "network" });
        object["metadata"]["annotations"] =
            json!({ "example.com/note": "ours", "sdn.zenlayer.com/approve": "x" });
        object["metadata"]["finalizers"] = json!(["example.com/backup"]);
        world.apply(&object).await?;
        world.until_alive("edge", "PortRecycled").await?;
        let written = raw(&world, "edge").await?;
        let metadata = &written["metadata"];
        assert_eq!(metadata["labels"], json!({ "team": "network" }), "{written:#}");
        assert_eq!(metadata["annotations"]["example.com/note"], "ours", "{written:#}");
        assert_eq!(
            metadata["finalizers"],
            json!(["example.com/backup", "sdn.zenlayer.com/destroy-port"]),
            "{written:#}"
        );
        let managers = metadata["managedFields"].as_array().map_or(0, Vec::len);
        assert!(managers >= 2, "the user's fields are still the user's: {written:#}");
        Ok(())
    });
}

/// Refuses each change of finalizers in the namespace, with these words.
async fn freeze_finalizers(world: &World, words: &str) -> Result<()> {
    let name = format!("frozen-{}", world.namespace);
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": { "name": name },
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": { "resourceRules": [{
                "apiGroups": ["sdn.zenlayer.com"], "apiVersions": ["*"], "operations": ["UPDATE"],
                "resources": ["zenlayerports"],
            }] },
            "validations": [{
                "expression": "object.metadata.?finalizers.orValue([]) == oldObject.metadata.?finalizers.orValue([])",
                "message": words,
            }],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": { "name": name },
        "spec": {
            "policyName": name, "validationActions": ["Deny"],
            "matchResources": { "namespaceSelector": {
                "matchLabels": { "kubernetes.io/metadata.name": world.namespace },
            } },
        },
    });
    for object in [policy, binding] {
        world.apply(&object).await?;
    }
    let patch = r#"{"metadata":{"finalizers":["example.com/backup"]}}"#;
    let try_it = ["patch", "zenlayerport", "edge", "--type=merge", "-p", patch, "--dry-run=server"];
    until("the policy is in force", async || {
        let refused = world.kubectl(&try_it).await.err();
        Ok(refused.filter(|error| error.to_string().contains(words)).map(drop))
    })
    .await
}

#[test]
fn a_policy_that_keeps_the_finalizer_is_named_on_the_object_and_the_end_is_told_once() {
    run(async {
        const WORDS: &str = "finalizers are frozen until Monday";
        let world = given([recycled("port-1")]).start_with_edge().await?;
        freeze_finalizers(&world, WORDS).await?;
        world.delete("edge").await?;
        let message = world.until_reason("edge", "UpdateRefused").await?;
        assert!(message.contains(WORDS), "{message}");
        let binding = format!("frozen-{}", world.namespace);
        world.cluster.kubectl(&["delete", "validatingadmissionpolicybinding", &binding]).await?;
        world.until_gone_with("edge", &["port-1"]).await?;
        let told = world
            .until("the end is told", async || {
                let told = world.event_reasons().await?;
                Ok(told.contains(&"PortDestroyed".to_owned()).then_some(told))
            })
            .await?;
        for reason in ["UpdateRefused", "PortDestroyed"] {
            let times = told.iter().filter(|it| *it == reason).count();
            assert_eq!(times, 1, "{reason} in {told:?}\n{}", world.log());
        }
        let last =
            ["get", "events", "--field-selector=reason=PortDestroyed", "-o", "jsonpath={.items[0].message}"];
        let receipt = world.kubectl(&last).await?;
        let destroy = world.journal().calls("DestroyPort").map(|call| call.request_id.to_string()).last();
        let request_id = destroy.context("no DestroyPort")?;
        assert!(receipt.contains("port-1") && receipt.contains(&request_id), "{request_id} in {receipt}");
        Ok(())
    });
}
