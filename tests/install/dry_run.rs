//! The API server takes every object of every render, without a word.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use test_cluster::Cluster;

use crate::{CHART, ROOT, cluster, run};

/// As `tests/chart/values` names them.
const NAMESPACES: [&str; 4] = ["system", "elsewhere", "team-a", "team-b"];

/// What the values name, and the chart does not make.
async fn surroundings(cluster: &Cluster) -> Result<()> {
    let restricted =
        ["enforce", "warn"].map(|mode| (format!("pod-security.kubernetes.io/{mode}"), "restricted"));
    let restricted: Value = restricted.into_iter().map(|(label, level)| (label, json!(level))).collect();
    let namespace = |name| json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": restricted } });
    let mut objects: Vec<Value> = NAMESPACES.into_iter().map(namespace).collect();
    let named = json!({ "name": "example" });
    objects.push(json!({ "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": named, "value": 1 }));
    objects.push(json!({ "apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": named, "handler": "example" }));
    for object in objects {
        cluster.apply(&object.to_string()).await?;
    }
    for kinds in ["cilium", "prometheus"] {
        let kinds = format!("{ROOT}/tests/install/{kinds}.yaml");
        cluster.kubectl(&["apply", "-f", &kinds]).await?;
        cluster.kubectl(&["wait", "--for=condition=Established", "-f", &kinds]).await?;
    }
    Ok(())
}

fn value_files() -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in [format!("{ROOT}/tests/chart/values"), format!("{CHART}/examples")] {
        for entry in fs::read_dir(folder)? {
            files.push(entry?.path());
        }
    }
    Ok(files)
}

/// `kubectl COMMAND` that changes nothing, and fails if the API server does not know a field, or has a warning.
async fn dry_run(cluster: &Cluster, command: &[&str], manifest: &str) -> Result<String> {
    let options = ["--dry-run=server", "--validate=strict", "--warnings-as-errors", "--filename", "-"];
    let kubectl = cluster.kubectl_as(&cluster.kubeconfig());
    kubectl.run_with_input(&[command, &options].concat(), manifest).await
}

/// The Pods, also those that the Deployment and the Job would make, and the other objects. The API server checks a Pod only
/// when it is made.
fn pods_and_others(objects: Vec<Value>) -> (Vec<Value>, Vec<Value>) {
    let (mut pods, others): (Vec<_>, Vec<_>) =
        objects.into_iter().filter(|object| !object.is_null()).partition(|object| object["kind"] == "Pod");
    for owner in others.iter().filter(|object| object["spec"]["template"].is_object()) {
        let mut pod = owner["spec"]["template"].clone();
        (pod["apiVersion"], pod["kind"]) = (json!("v1"), json!("Pod"));
        pod["metadata"]["generateName"] = json!("pod-");
        pod["metadata"]["namespace"] = owner["metadata"]["namespace"].clone();
        pods.push(pod);
    }
    for pod in &mut pods {
        // Its own is not there: the render is not applied.
        pod["spec"]["serviceAccountName"] = json!("default");
    }
    (pods, others)
}

#[test]
fn the_api_server_takes_every_object_of_every_render_without_a_warning() {
    run(async {
        // Of its own: another test may have put the CustomResourceDefinition there.
        let cluster = Cluster::start().await?;
        surroundings(&cluster).await?;
        let newest = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy";
        for file in value_files()? {
            let file = file.display().to_string();
            let options = ["--namespace", "system", "--values", &file, "--api-versions", newest];
            let rendered = cluster.helm(&[&["template", "zpo", CHART][..], &options].concat()).await?;
            let objects: Vec<Value> = serde_saphyr::from_multiple(&rendered)?;
            let (pods, objects) = pods_and_others(objects);
            let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects }).to_string();
            let applied =
                dry_run(&cluster, &["apply", "--server-side"], &list).await.context(file.clone())?;
            ensure!(applied.lines().count() == objects.len(), "{file}: {} objects, {applied}", objects.len());
            for pod in pods {
                dry_run(&cluster, &["create"], &pod.to_string()).await.context(file.clone())?;
            }
        }
        Ok(())
    });
}

#[test]
fn a_field_that_kubernetes_does_not_know_or_a_pod_that_is_not_restricted_is_noticed() {
    run(async {
        let cluster = cluster().await?;
        let namespace = cluster.create_namespace("strict").await?;
        let warn = "pod-security.kubernetes.io/warn=restricted";
        cluster.kubectl(&["label", "namespace", &namespace, warn]).await?;
        for (spec, complaint) in [
            (json!({ "containers": [], "hostUser": false }), "hostUser"),
            (json!({ "containers": [{ "name": "a", "image": "a" }] }), "restricted"),
        ] {
            let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "a", "namespace": namespace }, "spec": spec });
            let refused = dry_run(cluster, &["apply", "--server-side"], &pod.to_string()).await;
            let refused = format!("{:#}", refused.expect_err(complaint));
            assert!(refused.contains(complaint), "{refused}");
        }
        Ok(())
    });
}
