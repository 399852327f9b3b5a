//! The simulated Zenlayer as a Pod and a Service.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use test_support::oracle::Chronicle;

use super::image::Image;
use crate::play::{ACCESS_KEY, CASES, Case, TIMES};
use crate::tool::Tool;

/// Of the Pod, its label and the Service.
const NAME: &str = "zenlayer-simulator";
const PORT: u16 = 8099;

/// Starts it in a namespace, and waits until it is ready; returns the endpoint for Pods of the cluster.
pub(crate) async fn start(kubectl: &Tool, namespace: &str, image: &Image) -> Result<String> {
    let objects = json!({ "apiVersion": "v1", "kind": "List", "items": [pod(image), service()] });
    let create = ["create", "--namespace", namespace, "--filename", "-"];
    kubectl.run_with_input(&create, &objects.to_string()).await?;
    let pod = format!("pod/{NAME}");
    let wait = ["wait", "--namespace", namespace, "--for=condition=Ready", &pod, "--timeout=120s"];
    kubectl.run(&wait).await.with_context(|| format!("the simulator, image {image}, is not ready"))?;
    Ok(format!("http://{NAME}.{namespace}.svc:{PORT}"))
}

/// What it was asked until now, read through the API server.
pub(crate) async fn journal(kubectl: &Tool, namespace: &str) -> Result<Chronicle> {
    let path = format!("/api/v1/namespaces/{namespace}/services/http:{NAME}:{PORT}/proxy/control/journal");
    let journal = kubectl.run(&["get", "--raw", &path]).await.context("reading the simulator's journal")?;
    serde_json::from_str(&journal).context("the simulator's journal")
}

fn pod(image: &Image) -> Value {
    let (id, password) = ACCESS_KEY;
    let mut args = vec![
        format!("--listen=0.0.0.0:{PORT}"),
        format!("--access-key={id}:{password}"),
        format!("--terminate-time={}s", TIMES.terminate.as_secs()),
        format!("--destroy-time={}s", TIMES.destroy.as_secs()),
    ];
    args.extend(CASES.iter().filter_map(seed));
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": NAME, "labels": { "app.kubernetes.io/name": NAME } },
        "spec": {
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "terminationGracePeriodSeconds": 5,
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": 65532,
                "runAsGroup": 65532,
                "seccompProfile": { "type": "RuntimeDefault" },
            },
            "containers": [{
                "name": "simulator",
                "image": image.to_string(),
                "imagePullPolicy": "IfNotPresent",
                "args": args,
                "ports": [{ "name": "http", "containerPort": PORT }],
                "readinessProbe": { "httpGet": { "path": "/healthz", "port": "http" }, "periodSeconds": 1 },
                "resources": { "requests": { "cpu": "10m", "memory": "16Mi" }, "limits": { "memory": "128Mi" } },
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "capabilities": { "drop": ["ALL"] },
                },
            }],
        },
    })
}

/// The simulator's argument for the port of a case.
fn seed(case: &Case) -> Option<String> {
    let status = case.port.as_ref()?.as_str();
    Some(format!("--port={}={status},name={}", case.port_id, case.port_name()))
}

fn service() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": NAME },
        "spec": {
            "selector": { "app.kubernetes.io/name": NAME },
            "ports": [{ "name": "http", "port": PORT, "targetPort": "http" }],
        },
    })
}
