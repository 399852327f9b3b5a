//! What Chart.yaml says about the chart.

use std::fs;

use kube::core::CustomResourceExt as _;
use serde_json::Value;
use zenlayer_port_operator::api::ZenlayerPort;

use crate::{CHART, helm};

/// The annotations that Artifact Hub knows; it passes over others in silence.
const KNOWN: [&str; 16] = [
    "alternativeName",
    "category",
    "changes",
    "containsSecurityUpdates",
    "crds",
    "crdsExamples",
    "images",
    "license",
    "links",
    "maintainers",
    "operator",
    "operatorCapabilities",
    "prerelease",
    "recommendations",
    "screenshots",
    "signKey",
];

fn chart() -> Value {
    let text = fs::read_to_string(format!("{CHART}/Chart.yaml")).expect("Chart.yaml");
    serde_saphyr::from_str(&text).expect("YAML")
}

/// The YAML in an annotation.
fn annotation(name: &str) -> Value {
    let chart = chart();
    let text = chart["annotations"][format!("artifacthub.io/{name}")].as_str().expect("an annotation");
    serde_saphyr::from_str(text).expect("YAML")
}

#[test]
fn artifact_hub_knows_every_annotation() {
    let chart = chart();
    for name in chart["annotations"].as_object().expect("annotations").keys() {
        let known = name.strip_prefix("artifacthub.io/").is_some_and(|key| KNOWN.contains(&key));
        assert!(known, "{name} means nothing to Artifact Hub");
    }
    let capabilities =
        ["Basic Install", "Seamless Upgrades", "Full Lifecycle", "Deep Insights", "Auto Pilot"];
    let capability = &chart["annotations"]["artifacthub.io/operatorCapabilities"];
    assert!(capabilities.contains(&capability.as_str().expect("a text")), "{capability}");
}

#[test]
fn the_annotations_tell_of_the_kind_that_the_operator_serves() {
    let crds = annotation("crds");
    let definition = ZenlayerPort::crd();
    assert_eq!(crds.as_array().map(Vec::len), Some(1));
    assert_eq!(crds[0]["name"], ZenlayerPort::crd_name());
    assert_eq!(crds[0]["kind"], definition.spec.names.kind);
    assert_eq!(crds[0]["version"], definition.spec.versions[0].name);
    let examples: Vec<ZenlayerPort> =
        serde_json::from_value(annotation("crdsExamples")).expect("objects that the operator takes");
    assert_eq!(examples.len(), 1);
}

#[test]
fn artifact_hub_knows_the_kind_of_every_change() {
    let changes = annotation("changes");
    let changes = changes.as_array().expect("a list");
    assert!(!changes.is_empty());
    for change in changes {
        let kind = change["kind"].as_str().expect("a kind");
        assert!(
            ["added", "changed", "deprecated", "removed", "fixed", "security"].contains(&kind),
            "{change}"
        );
        assert!(
            change["description"].as_str().is_some_and(|description| !description.is_empty()),
            "{change}"
        );
    }
}

#[test]
fn the_chart_is_of_the_version_of_the_operator() {
    let chart = chart();
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn a_cluster_that_is_too_old_is_refused() {
    for (version, taken) in [("1.29.9", false), ("1.30.0", true), ("1.30.2-gke.100", true), ("1.36.0", true)]
    {
        let output = helm(&["template", "zpo", CHART, "--kube-version", version]).await;
        assert_eq!(output.status.success(), taken, "{version}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
