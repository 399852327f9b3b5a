//! Values that people set for a surrounding of their own.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use zenlayer_port_operator::zenlayer::{Endpoint, InsecureEndpoint};

use crate::{CHART, find, helm, render, render_chart, template};

/// What Helm takes, the operator must take too: else it would fail at its start, again and again.
#[tokio::test]
async fn helm_and_the_operator_agree_on_what_an_endpoint_is() {
    for (endpoint, taken) in [
        ("https://host", true),
        ("https://host.example:8443/", true),
        ("http://127.0.0.1:80", true),
        ("http://[::1]:80", true),
        ("https://host/path", false),
        ("https://host/path/", false),
        ("https://host//", false),
        ("https://host?x=1", false),
        ("https://host#top", false),
        ("https://key@host", false),
        ("https://:secret@host", false),
        ("https://host:999999", false),
        ("https://", false),
        ("https://a b", false),
        ("ftp://host", false),
        ("host:443", false),
    ] {
        let value = format!("zenlayer.endpoint={endpoint}");
        let output = helm(&["template", "zpo", CHART, "--set", &value]).await;
        assert_eq!(output.status.success(), taken, "helm, of {endpoint}");
        let parsed = Endpoint::parse(endpoint, InsecureEndpoint::Refuse);
        assert_eq!(parsed.is_ok(), taken, "the operator, of {endpoint}: {parsed:?}");
    }
}

/// The objects of the chart as a dependency of another one, with these values of that one.
async fn render_under_an_umbrella(values: &[&str]) -> Vec<Value> {
    let umbrella = tempfile::tempdir().expect("a folder");
    let chart = json!({
        "apiVersion": "v2", "name": "platform", "version": "1.0.0",
        "dependencies": [{
            "name": "zenlayer-port-operator", "version": "*", "condition": "zenlayer-port-operator.enabled",
            "repository": format!("file://{CHART}"),
        }],
    });
    fs::write(umbrella.path().join("Chart.yaml"), chart.to_string()).expect("a chart");
    let folder = umbrella.path().display().to_string();
    let built = helm(&["dependency", "update", &folder]).await;
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    render_chart(&folder, "system", values).await
}

#[tokio::test]
async fn an_umbrella_chart_turns_the_operator_on_and_off() {
    let on = "zenlayer-port-operator.enabled=true";
    let objects =
        render_under_an_umbrella(&[on, "global.region=eu", "zenlayer-port-operator.replicas=2"]).await;
    assert_eq!(find(&objects, "Deployment").expect("a Deployment")["spec"]["replicas"], 2);
    let objects =
        render_under_an_umbrella(&["zenlayer-port-operator.enabled=false", "global.region=eu"]).await;
    assert!(objects.is_empty(), "{objects:?}");
}

#[tokio::test]
async fn a_value_that_looks_like_a_number_is_taken_as_its_text() {
    let image = async |values: &[&str]| {
        let objects = render(values).await;
        template(&objects, "Deployment")["spec"]["containers"][0]["image"].clone()
    };
    for tag in ["1", "0", "1.10", "20261126", "v2"] {
        assert_eq!(image(&[&format!("image.tag={tag}")]).await, format!("zenlayer-port-operator:{tag}"));
    }
    let file = tempfile::NamedTempFile::new().expect("a file");
    let values = "image: { tag: 20261126 }\nnodeSelector: { rack: 20261126, ssd: true }\n\
                  deletion: { massDeletionThreshold: 1000000 }\n";
    fs::write(&file, values).expect("values");
    let output = helm(&["template", "zpo", CHART, "--values", &file.path().display().to_string()]).await;
    let text = String::from_utf8_lossy(&output.stdout);
    for line in [
        "image: \"zenlayer-port-operator:20261126\"",
        "rack: \"20261126\"",
        "ssd: \"true\"",
        "--mass-deletion-threshold=1000000",
    ] {
        assert!(text.contains(line), "{line} is not in: {text}{}", String::from_utf8_lossy(&output.stderr));
    }
    // YAML reads it as 1.1, another tag.
    fs::write(&file, "image: { tag: 1.10 }\n").expect("values");
    let output = helm(&["template", "zpo", CHART, "--values", &file.path().display().to_string()]).await;
    assert!(!output.status.success(), "1.10 without quotes is taken");
}

#[tokio::test]
async fn labels_and_annotations_of_pods_reach_the_uninstall_check_too() {
    let objects = render(&[
        r"podAnnotations.sidecar\.istio\.io/inject=true",
        "podLabels.team=network",
        "podLabels.tier=1",
        r"uninstall.podAnnotations.sidecar\.istio\.io/inject=false",
        "uninstall.podLabels.team=uninstall",
        r"podLabels.app\.kubernetes\.io/name=another",
    ])
    .await;
    let (operator, check) =
        (&template(&objects, "Deployment")["metadata"], &template(&objects, "Job")["metadata"]);
    let inject = "sidecar.istio.io/inject";
    assert_eq!(
        (&operator["annotations"][inject], &check["annotations"][inject]),
        (&json!("true"), &json!("false"))
    );
    assert_eq!(
        (&operator["labels"]["team"], &check["labels"]["team"]),
        (&json!("network"), &json!("uninstall"))
    );
    assert_eq!((&operator["labels"]["tier"], &check["labels"]["tier"]), (&json!("1"), &json!("1")));
    let name = "app.kubernetes.io/name";
    assert_ne!(check["labels"][name], "another", "the Service finds Pods by it");
    assert_eq!(operator["labels"][name], "zenlayer-port-operator");
}

#[tokio::test]
async fn on_openshift_the_platform_chooses_user_and_group() {
    let objects = render(&["podSecurityContext.runAsUser=null", "podSecurityContext.runAsGroup=null"]).await;
    for kind in ["Deployment", "Job", "Pod"] {
        let pod = &template(&objects, kind)["spec"]["securityContext"];
        let expected = json!({ "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } });
        assert_eq!(*pod, expected, "{kind}");
    }
}

#[tokio::test]
async fn the_finalizer_policy_is_there_where_the_api_server_knows_its_kind() {
    let kinds = async |options: &[&str]| {
        let output = helm(&[&["template", "zpo", CHART][..], options].concat()).await;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ["kind: MutatingAdmissionPolicy\n", "kind: MutatingAdmissionPolicyBinding\n"]
            .map(|kind| text.contains(kind))
    };
    let served = ["--api-versions", "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"];
    assert_eq!(kinds(&served).await, [true, true]);
    assert_eq!(kinds(&[]).await, [false, false], "the API server of helm template serves no such kind");
    assert_eq!(
        kinds(&[&served[..], &["--set", "admission.addFinalizer=false"]].concat()).await,
        [false, false]
    );
}

/// A Job cannot be changed. As an ordinary one, it must have another name in each version.
#[tokio::test]
async fn the_uninstall_check_has_another_name_for_another_pod() {
    let name = async |values: &[&str]| {
        let objects = render(values).await;
        find(&objects, "Job").expect("a Job")["metadata"]["name"].as_str().expect("a name").to_owned()
    };
    let long = "fullnameOverride=a234567890123456789012345678901234567890123456789012345678901";
    let names = [name(&[]).await, name(&["image.tag=2"]).await, name(&["resources.limits.memory=1Gi"]).await];
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    assert_eq!(name(&[]).await, names[0]);
    assert!(name(&[long]).await.len() <= 63);
}
