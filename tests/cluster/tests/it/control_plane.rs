use std::fs;

use crate::{cluster, eventually};

#[tokio::test]
async fn kubectl_parses_the_version_of_the_server() {
    let version = cluster().await.kubectl(&["version", "--output=json"]).await.unwrap();
    let version: serde_json::Value = serde_json::from_str(&version).unwrap();
    assert_eq!(version["serverVersion"]["gitVersion"], version["clientVersion"]["gitVersion"], "{version}");
    assert_eq!(version["serverVersion"]["major"], "1", "{version}");
}

#[tokio::test]
async fn a_failed_command_says_what_was_run_and_why_it_failed() {
    let error = cluster().await.kubectl(&["get", "configmap", "nowhere"]).await.unwrap_err().to_string();
    assert!(error.starts_with("`kubectl get configmap nowhere` ended with exit status: 1"), "{error}");
    assert!(error.contains("not found"), "{error}");
}

#[tokio::test]
async fn rbac_refuses_an_unbound_service_account_and_admits_a_bound_one() {
    let cluster = cluster().await;
    let namespace = cluster.create_namespace("rbac").await.unwrap();
    let kubeconfig = cluster.token_kubeconfig(&namespace, "default").await.unwrap();
    let kubectl = cluster.kubectl_as(&kubeconfig);

    let refused = kubectl.run(&["get", "configmaps"]).await.unwrap_err().to_string();
    assert!(refused.to_lowercase().contains("forbidden"), "{refused}");

    let account = format!("--serviceaccount={namespace}:default");
    let binding = ["create", "rolebinding", "viewer", "--clusterrole=view", &account, "-n", &namespace];
    cluster.kubectl(&binding).await.unwrap();
    let get = ["get", "configmaps", "--output=name"];
    let names =
        eventually("the binding is in force", async || kubectl.run(&get).await.map_err(|e| e.to_string()));
    assert!(names.await.contains("configmap/kube-root-ca.crt"));
    let refused = kubectl.run(&["create", "configmap", "new"]).await.unwrap_err().to_string();
    assert!(refused.to_lowercase().contains("forbidden"), "{refused}");
}

#[tokio::test]
async fn a_deleted_namespace_goes_with_all_that_is_in_it() {
    let cluster = cluster().await;
    let namespace = cluster.create_namespace("doomed").await.unwrap();
    cluster.kubectl(&["create", "configmap", "inside", "-n", &namespace]).await.unwrap();
    cluster.kubectl(&["delete", "namespace", &namespace, "--timeout=60s"]).await.unwrap();
    let error =
        cluster.kubectl(&["get", "configmap", "inside", "-n", &namespace]).await.unwrap_err().to_string();
    assert!(error.contains("not found"), "{error}");
}

#[tokio::test]
async fn a_dependent_is_garbage_collected_after_its_owner() {
    let cluster = cluster().await;
    let namespace = cluster.create_namespace("garbage").await.unwrap();
    let kubectl = async |args: &[&str]| cluster.kubectl(&[args, &["-n", &namespace]].concat()).await.unwrap();
    kubectl(&["create", "configmap", "owner"]).await;
    let uid = kubectl(&["get", "configmap", "owner", "--output=jsonpath={.metadata.uid}"]).await;
    let manifest = format!(
        r#"{{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {{"name": "child", "namespace": "{namespace}",
            "ownerReferences": [{{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "{uid}"}}]}}}}"#
    );
    cluster.apply(&manifest).await.unwrap();
    kubectl(&["delete", "configmap", "owner"]).await;
    kubectl(&["wait", "--for=delete", "configmap/child", "--timeout=60s"]).await;
}

#[tokio::test]
async fn helm_installs_a_chart_that_asks_for_a_version_of_kubernetes() {
    let cluster = cluster().await;
    let namespace = cluster.create_namespace("helm").await.unwrap();
    let chart = tempfile::tempdir().unwrap();
    fs::create_dir(chart.path().join("templates")).unwrap();
    let about = "apiVersion: v2\nname: tiny\nversion: 0.1.0\nkubeVersion: '>= 1.30.0'\n";
    fs::write(chart.path().join("Chart.yaml"), about).unwrap();
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}'}\ndata: {a: '{{ .Values.a }}'}\n";
    fs::write(chart.path().join("templates/map.yaml"), map).unwrap();

    let chart = chart.path().to_str().unwrap();
    cluster.helm(&["install", "mine", chart, "--namespace", &namespace, "--set=a=b"]).await.unwrap();
    let read = ["get", "configmap", "mine", "--output=jsonpath={.data.a}", "-n", &namespace];
    assert_eq!(cluster.kubectl(&read).await.unwrap(), "b");
    cluster.helm(&["uninstall", "mine", "--namespace", &namespace]).await.unwrap();
}
