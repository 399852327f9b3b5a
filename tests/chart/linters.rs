//! What the linters of others say of the renders.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use test_cluster::Linters;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::renders::{renders, renders_with};

/// As `kubeVersion` of the chart.
const OLDEST: &str = "1.30.0";

/// The best grade of kube-score.
const ALL_OK: i64 = 10;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Runs a linter with a manifest on its stdin; returns what it prints.
async fn lint(program: &Path, args: &[&str], manifest: &str) -> String {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let write = async move { stdin.write_all(manifest.as_bytes()).await };
    let (written, output) = tokio::join!(write, child.wait_with_output());
    let output = output.expect("it ends");
    written.expect("it reads all");
    assert!(!output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// What kube-score finds.
async fn scored(linters: &Linters, manifest: &str) -> BTreeSet<String> {
    let more = ["container-seccomp-profile", "container-ports-check"];
    let args = [
        "score",
        "--output-format=json",
        "--enable-optional-test",
        more[0],
        "--enable-optional-test",
        more[1],
        "-",
    ];
    let said = lint(&linters.kube_score(), &args, manifest).await;
    let objects: Vec<Value> = serde_json::from_str(&said).expect("JSON");
    let mut found = BTreeSet::new();
    for object in &objects {
        let checks = object["checks"].as_array().into_iter().flatten();
        let failed =
            checks.filter(|check| check["skipped"] == false && check["grade"].as_i64() < Some(ALL_OK));
        let comments = failed.flat_map(|check| check["comments"].as_array().expect("comments"));
        found.extend(comments.map(|comment| comment["summary"].as_str().expect("a summary").to_owned()));
    }
    found
}

/// The schemas of the CustomResourceDefinitions in a file, by `apiVersion` and kind.
fn schemas_of_definitions(file: &str) -> Vec<((String, String), Value)> {
    let text = std::fs::read_to_string(format!("{ROOT}/{file}")).expect("a file");
    let definitions: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
    let schemas = definitions.iter().map(|definition| {
        let spec = &definition["spec"];
        let version = &spec["versions"][0];
        let of = |value: &Value| value.as_str().expect("a text").to_owned();
        let api_version = format!("{}/{}", of(&spec["group"]), of(&version["name"]));
        let mut schema = version["schema"]["openAPIV3Schema"].clone();
        for field in ["apiVersion", "kind", "metadata"] {
            schema["properties"][field] = json!({});
        }
        close(&mut schema);
        ((api_version, of(&spec["names"]["kind"])), schema)
    });
    schemas.collect()
}

/// Refuses the fields that a schema does not name.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(close);
            let is_open = fields.contains_key("additionalProperties")
                || fields.contains_key("x-kubernetes-preserve-unknown-fields");
            if fields.get("properties").is_some_and(Value::is_object) && !is_open {
                fields.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The OpenAPI document of an `apiVersion`, as a schema of one of its kinds.
fn schema_in(document: &str, api_version: &str, kind: &str) -> Value {
    let mut document: Value = serde_json::from_str(document).expect("JSON");
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let meant = json!([{ "group": group, "kind": kind, "version": version }]);
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    let found = schemas.iter().find(|(_, schema)| schema["x-kubernetes-group-version-kind"] == meant);
    let name = found.unwrap_or_else(|| panic!("{api_version} has no {kind}")).0.clone();
    let mut components = document["components"].take();
    close(&mut components);
    json!({ "$ref": format!("#/components/schemas/{name}"), "components": components })
}

/// Where kubeconform looks for the schema of an object.
fn schema_file(api_version: &str, kind: &str) -> String {
    let (group, version) =
        api_version.split_once('/').map_or((api_version, None), |(group, version)| (group, Some(version)));
    let group = group.split('.').next().unwrap_or_default();
    let parts = [Some(kind), Some(group), version].into_iter().flatten();
    format!("{}.json", parts.collect::<Vec<_>>().join("-").to_lowercase())
}

/// Writes what kubeconform needs to know of these objects: of Kubernetes what its oldest version says, of other kinds what their
/// definitions say.
fn write_schemas(linters: &Linters, objects: &[Value], folder: &Path) {
    let files = ["tests/install/cilium.yaml", "tests/install/prometheus.yaml"];
    let others: BTreeMap<_, _> = files.into_iter().flat_map(schemas_of_definitions).collect();
    for object in objects {
        let [api_version, kind] = ["apiVersion", "kind"].map(|field| object[field].as_str().expect("a text"));
        let file = folder.join(schema_file(api_version, kind));
        if file.exists() {
            continue;
        }
        let of_kubernetes = linters.openapi(api_version).expect("it can be read");
        let of_kubernetes = of_kubernetes.map(|document| schema_in(&document, api_version, kind));
        let schema =
            of_kubernetes.or_else(|| others.get(&(api_version.to_owned(), kind.to_owned())).cloned());
        let schema = schema.unwrap_or_else(|| panic!("nobody knows {api_version} {kind}"));
        std::fs::write(file, schema.to_string()).expect("it can be written");
    }
}

/// What kubeconform says of a manifest.
async fn conforms(linters: &Linters, schemas: &Path, manifest: &str) -> Value {
    let location = format!("{}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json", schemas.display());
    let args = ["-strict", "-summary", "-output", "json", "-schema-location", &location];
    serde_json::from_str(&lint(&linters.kubeconform(), &args, manifest).await).expect("JSON")
}

#[tokio::test]
async fn the_oldest_kubernetes_knows_every_field_of_every_render() {
    let linters = Linters::find_or_build().await.expect("the linters");
    let schemas = tempfile::tempdir().expect("a folder");
    for (file, text, _) in renders_with(&["--kube-version", OLDEST]).await {
        // With the CustomResourceDefinition.
        let objects: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
        let objects: Vec<Value> = objects.into_iter().filter(|object| !object.is_null()).collect();
        write_schemas(&linters, &objects, schemas.path());
        let said = conforms(&linters, schemas.path(), &text).await;
        let counts = ["valid", "invalid", "errors", "skipped"].map(|count| &said["summary"][count]);
        assert_eq!(counts, [objects.len(), 0, 0, 0], "{file}: {said:#}");

        let unknown = text.replacen("revisionHistoryLimit:", "revisionHistoryLimits:", 1);
        let said = conforms(&linters, schemas.path(), &unknown).await;
        assert_eq!(said["summary"]["invalid"], 1, "a field that no version knows: {said:#}");
    }
}

/// The table in the chart's README: each finding, whether the example for production has it too, and why it is there.
fn explained() -> BTreeMap<String, bool> {
    let readme = std::fs::read_to_string(format!("{ROOT}/deploy/chart/README.md")).expect("a README");
    let (_, table) = readme.split_once("## What linters say").expect("a section");
    let (table, _) = table.split_once("## ").expect("another section");
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(1).map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [finding, in_production, why] = cells[..] else { panic!("three columns: {row}") };
        assert!(!why.is_empty(), "{row}");
        (finding.to_owned(), in_production == "yes")
    });
    rows.collect()
}

#[tokio::test]
async fn the_readme_of_the_chart_explains_each_finding_of_kube_score() {
    let linters = Linters::find_or_build().await.expect("the linters");
    let mut found = BTreeMap::new();
    for (file, text, _) in renders().await {
        let in_production = file.ends_with("/production.yaml");
        for finding in scored(&linters, &text).await {
            *found.entry(finding).or_insert(false) |= in_production;
        }
    }
    assert_eq!(found, explained());
}
