//! What is asked.

mod admission;
mod definitions;
mod deletions;
mod events;
mod leases;
mod lists;
mod namespaces;
mod ports;
mod secrets;
mod status;
mod watches;

use serde_json::{Value, json};

use crate::step::{Ask, Scene, Step, post};

pub const NAMESPACES: &str = "/api/v1/namespaces";

pub fn scenes() -> Vec<Scene> {
    [
        ports::scenes(),
        status::scenes(),
        deletions::scenes(),
        secrets::scenes(),
        leases::scenes(),
        events::scenes(),
        lists::scenes(),
        watches::scenes(),
        admission::scenes(),
        namespaces::scenes(),
        definitions::scenes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A scene in a namespace of its own.
fn scene(name: &'static str, steps: Vec<Step>) -> Scene {
    let mut all = vec![Step::from(new_namespace(name))];
    all.extend(steps);
    Scene { name, steps: all }
}

fn new_namespace(name: &str) -> Ask {
    post(NAMESPACES, json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } }))
}

/// The ZenlayerPorts of a namespace.
fn ports(namespace: &str) -> String {
    format!("/apis/sdn.zenlayer.com/v1alpha1/namespaces/{namespace}/zenlayerports")
}

fn secrets(namespace: &str) -> String {
    format!("{NAMESPACES}/{namespace}/secrets")
}

/// Adds the rest of a path.
fn of(collection: &str, rest: &str) -> String {
    format!("{collection}/{rest}")
}

fn port(name: &str) -> Value {
    json!({
        "apiVersion": "sdn.zenlayer.com/v1alpha1", "kind": "ZenlayerPort",
        "metadata": { "name": name }, "spec": { "portId": format!("port-{name}") },
    })
}

fn held_port(name: &str) -> Value {
    let mut port = port(name);
    port["metadata"]["finalizers"] = json!(["sdn.zenlayer.com/port"]);
    port
}

fn secret(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "data": { "token": "aHVudGVyMg==" },
    })
}

/// The object with another value at a pointer, whose parent is there or an object.
fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let mut place = &mut object;
    for part in pointer.trim_start_matches('/').split('/') {
        place = &mut place[part];
    }
    *place = value;
    object
}

/// The object in the version of an earlier answer.
fn at(object: Value, answer: &str) -> Value {
    with(object, "/metadata/resourceVersion", json!(format!("{{{answer}/metadata/resourceVersion}}")))
}
