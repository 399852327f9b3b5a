//! What holds of every render, whatever the values: those in `values/`, and the examples of the chart.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::{CHART, helm};

/// The files with values.
pub fn value_files() -> Vec<PathBuf> {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chart/values").into();
    let folders = [own, PathBuf::from(CHART).join("examples")];
    let entries = folders.into_iter().flat_map(|folder| fs::read_dir(folder).expect("a folder"));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// What `helm template` prints with a file of values, on an API server that knows every kind.
async fn render(values: &str) -> String {
    render_with(values, &NEWEST).await
}

const NEWEST: [&str; 2] = ["--api-versions", "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"];

async fn render_with(values: &str, options: &[&str]) -> String {
    let args = ["template", "zpo", CHART, "--namespace", "system", "--values", values];
    let output = helm(&[&args[..], options].concat()).await;
    assert!(output.status.success(), "{values}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Each render as its text and its objects, but for the CustomResourceDefinition, which is not the chart's work.
pub async fn renders() -> Vec<(String, String, Vec<Value>)> {
    renders_with(&NEWEST).await
}

/// The same with other options of `helm template`.
pub async fn renders_with(options: &[&str]) -> Vec<(String, String, Vec<Value>)> {
    let mut renders = Vec::new();
    for file in value_files() {
        let file = file.display().to_string();
        let text = render_with(&file, options).await;
        let objects: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
        let is_ours = |object: &Value| !object.is_null() && object["kind"] != "CustomResourceDefinition";
        renders.push((file, text, objects.into_iter().filter(is_ours).collect()));
    }
    assert!(renders.len() >= 7, "the values are gone: {}", renders.len());
    renders
}

#[tokio::test]
async fn two_renders_of_the_same_values_are_the_same() {
    for (file, text, _) in renders().await {
        assert!(text == render(&file).await, "{file} renders to another text the second time");
    }
}

fn empty(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Null => found.push(path.to_owned()),
        Value::Array(items) if items.is_empty() => found.push(path.to_owned()),
        Value::Object(fields) if fields.is_empty() => found.push(path.to_owned()),
        Value::Array(items) => items.iter().for_each(|item| empty(item, path, found)),
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| empty(value, &format!("{path}.{name}"), found));
        }
        Value::String(_) | Value::Number(_) | Value::Bool(_) => {}
    }
}

/// Argo CD compares what is rendered with what the API server has, which keeps neither.
#[tokio::test]
async fn no_render_has_a_null_or_an_empty_list_or_map() {
    for (file, _, objects) in renders().await {
        for object in objects {
            let mut found = Vec::new();
            empty(&object, object["kind"].as_str().expect("a kind"), &mut found);
            assert!(found.is_empty(), "{file}: {found:?}");
        }
    }
}

#[tokio::test]
async fn every_object_has_the_labels_and_annotations_that_all_objects_should_have() {
    for (file, _, objects) in renders().await {
        let is_extra =
            |object: &Value| object["metadata"]["labels"].is_null() && object["kind"] == "ConfigMap";
        for object in objects.iter().filter(|object| !is_extra(object)) {
            let metadata = &object["metadata"];
            let what = format!("{file}: {} {}", object["kind"], metadata["name"]);
            for label in ["name", "instance", "version", "component", "part-of", "managed-by"] {
                let value = &metadata["labels"][format!("app.kubernetes.io/{label}")];
                assert!(value.is_string(), "{what} has no label {label}");
            }
            if file.ends_with("/everything.yaml") {
                assert_eq!(metadata["labels"]["example.com/team"], "network", "{what}");
                assert_eq!(metadata["labels"]["example.com/tier"], "1", "{what}");
                assert_eq!(metadata["annotations"]["example.com/contact"], "network@example.com", "{what}");
            }
        }
    }
}

/// The values that `file` declares, as paths; what is in a list or has no comment of its own stays closed.
fn paths(values: &Value, properties: &Value, path: &str, found: &mut Vec<String>) {
    let Some(fields) = values.as_object() else { return };
    for (name, value) in fields {
        let path = format!("{path}.{name}");
        let inner = &properties[name]["properties"];
        if inner.is_object() {
            paths(value, inner, &path, found);
        } else {
            found.push(path);
        }
    }
}

/// A schema turned into values of the same shape.
fn shape(properties: &Value) -> Value {
    let fields = properties.as_object().into_iter().flatten();
    fields.map(|(name, property)| (name.clone(), shape(&property["properties"]))).collect()
}

#[tokio::test]
async fn the_values_and_their_schema_name_the_same_things() {
    let read = |name: &str| fs::read_to_string(format!("{CHART}/{name}")).expect("a file of the chart");
    let values: Value = serde_saphyr::from_str(&read("values.yaml")).expect("YAML");
    let schema: Value = serde_json::from_str(&read("values.schema.json")).expect("JSON");
    let mut declared = Vec::new();
    paths(&values, &schema["properties"], "", &mut declared);
    let mut known = Vec::new();
    paths(&shape(&schema["properties"]), &schema["properties"], "", &mut known);
    // For charts that depend on this one.
    known.retain(|path| path != ".global" && path != ".enabled");
    known.sort();
    declared.sort();
    assert_eq!(declared, known);
}

#[tokio::test]
async fn every_value_that_a_template_uses_is_declared() {
    let values = fs::read_to_string(format!("{CHART}/values.yaml")).expect("values");
    let values: Value = serde_saphyr::from_str(&values).expect("YAML");
    let mut used = Vec::new();
    for entry in fs::read_dir(format!("{CHART}/templates")).expect("templates") {
        let text = fs::read_to_string(entry.expect("an entry").path()).expect("a template");
        for rest in text.split(".Values.").skip(1) {
            let is_path = |character: char| character.is_ascii_alphanumeric() || character == '.';
            used.push(rest.split(|character| !is_path(character)).next().unwrap_or_default().to_owned());
        }
    }
    for path in &used {
        let pointer = format!("/{}", path.trim_end_matches('.').replace('.', "/"));
        assert!(values.pointer(&pointer).is_some(), "{path} is used and not declared in values.yaml");
    }
    for name in values.as_object().expect("values").keys() {
        let is_used = used.iter().any(|path| path.split('.').next() == Some(name));
        assert!(is_used, "{name} is declared in values.yaml and not used");
    }
}
