//! Deployments run as local processes: `sh` for what a container sees, `kubectl proxy` for one that serves.

use std::path::Path;
use std::time::Duration;

use kube::config::Kubeconfig;
use serde_json::{Value, json};
use test_cluster::{Binary, Cluster, ExistingCluster, RunningPod};

use crate::cluster;

const MINUTE: Duration = Duration::from_mins(1);

/// A Deployment `app` with one container, in a namespace of its own, which is returned.
async fn deploy(cluster: &Cluster, container: Value, volumes: Value) -> String {
    let namespace = cluster.create_namespace("pods").await.unwrap();
    let mut container = container;
    container["name"] = json!("app");
    container["image"] = json!("example.invalid/app");
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "app", "namespace": namespace },
        "spec": {
            "selector": { "matchLabels": { "app": "app" } },
            "template": {
                "metadata": { "labels": { "app": "app" } },
                "spec": { "containers": [container], "volumes": volumes },
            },
        },
    });
    cluster.apply(&deployment.to_string()).await.unwrap();
    namespace
}

async fn run(cluster: &Cluster, namespace: &str, binary: &Path) -> RunningPod {
    cluster.run_deployment(namespace, "app", binary).env("EXTRA", "0.0.0.0:8080").start().await.unwrap()
}

#[tokio::test]
async fn a_container_sees_its_arguments_variables_and_volumes() {
    let cluster = cluster().await;
    let script = r#"echo "$0|$1|$LITERAL|$KEY|$ABSENT|$WHERE|$EXTRA|$CARGO_MANIFEST_DIR|"; cat "$2/id""#;
    let container = json!({
        "command": ["/app", "-c", script],
        "args": ["$(WHERE)", "--listen=0.0.0.0:$(PORT)", "/etc/keys"],
        "ports": [{ "containerPort": 8080 }],
        "env": [
            { "name": "PORT", "value": "8080" },
            { "name": "LITERAL", "value": "/etc/keys/id" },
            { "name": "KEY", "valueFrom": { "secretKeyRef": { "name": "keys", "key": "id" } } },
            { "name": "ABSENT", "valueFrom": { "configMapKeyRef": { "name": "no", "key": "no", "optional": true } } },
            { "name": "NAMESPACE", "valueFrom": { "fieldRef": { "fieldPath": "metadata.namespace" } } },
            { "name": "WHERE", "value": "in $(NAMESPACE)" },
        ],
        "volumeMounts": [{ "name": "keys", "mountPath": "/etc/keys", "readOnly": true }],
    });
    let volumes = json!([{ "name": "keys", "secret": { "secretName": "keys" } }]);
    let namespace = deploy(cluster, container, volumes).await;
    cluster
        .kubectl(&["create", "secret", "generic", "keys", "--from-literal=id=one", "-n", &namespace])
        .await
        .unwrap();

    let pod = run(cluster, &namespace, Path::new("/bin/sh")).await;
    let status = pod.wait_exit(MINUTE).await.unwrap();
    let logs = pod.logs();
    assert!(status.success(), "{status}: {logs}");
    let (line, file) = logs.split_once('\n').unwrap();
    let [zero, listen, literal, key, absent, place, extra, parent, _] = *line.split('|').collect::<Vec<_>>()
    else {
        panic!("{logs}")
    };
    let inside = format!("in {namespace}");
    assert_eq!(
        [zero, key, absent, place, extra, parent, file],
        [&inside, "one", "", &inside, "0.0.0.0:8080", "", "one"]
    );
    assert!(listen.starts_with("--listen=127.0.0.1:") && !listen.ends_with(":8080"), "{listen}");
    assert!(
        literal.ends_with("/id") && Path::new(literal).is_absolute() && literal != "/etc/keys/id",
        "{literal}"
    );
}

#[tokio::test]
async fn a_deployment_of_a_cluster_that_exists_runs_here_with_its_own_token() {
    let cluster = cluster().await;
    let namespace = deploy(cluster, json!({ "args": ["auth", "whoami"] }), json!([])).await;
    let mut kubeconfig = Kubeconfig::read_from(cluster.kubeconfig()).unwrap();
    let mut elsewhere = kubeconfig.contexts[0].clone();
    elsewhere.name = "elsewhere".to_owned();
    kubeconfig.contexts.insert(0, elsewhere);
    kubeconfig.current_context = Some("elsewhere".to_owned());

    let existing = ExistingCluster::of_kubeconfig(kubeconfig.clone(), "test").unwrap();
    let kubectl = cluster.binary(Binary::Kubectl);
    let pod = existing.run_deployment(&namespace, "app", &kubectl).start().await.unwrap();
    pod.wait_exit(MINUTE).await.unwrap();
    let logs = pod.logs();
    assert!(logs.contains(&format!("system:serviceaccount:{namespace}:default")), "{logs}");

    let error = ExistingCluster::of_kubeconfig(kubeconfig, "no-such").unwrap_err().to_string();
    assert!(error.contains("no context \"no-such\"") && error.contains("get-contexts"), "{error}");
}

#[tokio::test]
async fn a_rotated_secret_reaches_the_files_of_a_running_container() {
    let cluster = cluster().await;
    let script = r#"until [ "$(cat /etc/keys/id)" = two ]; do sleep 0.05; done; echo rotated"#;
    let container = json!({
        "args": ["-c", script],
        "volumeMounts": [{ "name": "keys", "mountPath": "/etc/keys" }],
    });
    let namespace =
        deploy(cluster, container, json!([{ "name": "keys", "secret": { "secretName": "keys" } }])).await;
    let secret = |value| {
        json!({ "apiVersion": "v1", "kind": "Secret", "stringData": { "id": value },
                                 "metadata": { "name": "keys", "namespace": namespace } })
        .to_string()
    };
    cluster.apply(&secret("one")).await.unwrap();

    let pod = run(cluster, &namespace, Path::new("/bin/sh")).await;
    cluster.apply(&secret("two")).await.unwrap();
    pod.refresh_volumes().await.unwrap();
    let status = pod.wait_exit(MINUTE).await.unwrap();
    assert!(status.success() && pod.logs() == "rotated\n", "{status}: {}", pod.logs());
}

#[tokio::test]
async fn a_server_is_reached_at_its_readiness_probe_with_the_rights_of_its_service_account() {
    let cluster = cluster().await;
    let container = json!({
        "command": ["kubectl", "proxy"],
        "args": ["--address=$(POD_IP)", "--port=8001"],
        "env": [{ "name": "POD_IP", "valueFrom": { "fieldRef": { "fieldPath": "status.podIP" } } }],
        "ports": [{ "name": "http", "containerPort": 8001 }],
        "readinessProbe": { "httpGet": { "path": "/readyz", "port": "http" } },
    });
    let namespace = deploy(cluster, container, json!([])).await;
    let pod = run(cluster, &namespace, &cluster.binary(Binary::Kubectl)).await;
    pod.wait_ready(MINUTE).await.unwrap();

    let url = format!("{}/api/v1/namespaces/{namespace}/secrets", pod.url().unwrap());
    let answer = reqwest::get(&url).await.unwrap().text().await.unwrap();
    assert!(answer.contains(&format!("system:serviceaccount:{namespace}:default")), "{answer}");

    pod.restart().unwrap();
    pod.wait_ready(MINUTE).await.unwrap();
    pod.kill().unwrap();
    assert!(reqwest::get(&url).await.is_err(), "a killed server answers");
}

#[tokio::test]
async fn a_container_that_fails_is_reported_with_its_log() {
    let cluster = cluster().await;
    let container = json!({
        "args": ["-c", "echo no luck; exit 3"],
        "ports": [{ "containerPort": 8080 }],
        "readinessProbe": { "httpGet": { "port": 8080 } },
    });
    let namespace = deploy(cluster, container, json!([])).await;
    let pod = run(cluster, &namespace, Path::new("/bin/sh")).await;
    let error = pod.wait_ready(MINUTE).await.unwrap_err().to_string();
    assert!(error.contains("exit status: 3") && error.contains("no luck"), "{error}");
}

#[tokio::test]
async fn what_a_template_asks_for_beyond_the_stand_in_is_an_error() {
    let cluster = cluster().await;
    let container = json!({ "envFrom": [{ "secretRef": { "name": "keys" } }] });
    let namespace = deploy(cluster, container, json!([])).await;
    let error = cluster.run_deployment(&namespace, "app", Path::new("/bin/sh")).start().await.unwrap_err();
    assert!(format!("{error:#}").contains("envFrom"), "{error:#}");
}
