//! Deletions, finalizers and preconditions.

use serde_json::{Value, json};

use super::{at, held_port, of, port, ports, scene, with};
use crate::step::{Scene, delete, delete_with, follow, get, lines, merge, patch, post, put};
use crate::steps;

pub fn scenes() -> Vec<Scene> {
    vec![at_once(), held(), preconditions()]
}

fn precondition(field: &str, value: &str) -> Value {
    json!({ "kind": "DeleteOptions", "apiVersion": "v1", "preconditions": { field: value } })
}

fn at_once() -> Scene {
    let all = ports("c-deleted");
    let edge = of(&all, "edge");
    let steps = steps![
        delete(&edge),
        post(&all, port("edge")).named("first"),
        follow("w", format!("{all}?watch=1&resourceVersion={{first/metadata/resourceVersion}}")),
        delete(&edge),
        get(&edge),
        delete(&edge),
        post(&all, port("edge")).named("second"),
        put(&edge, at(port("edge"), "first")),
        put(&edge, with(at(port("edge"), "second"), "/metadata/uid", json!("{first/metadata/uid}"))),
        delete_with(&edge, json!({ "kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 30 })),
        post(&all, port("edge")),
        delete_with(
            &edge,
            json!({ "kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background" })
        ),
        lines("w", 5),
    ];
    scene("c-deleted", steps)
}

fn held() -> Scene {
    let all = ports("c-held");
    let edge = of(&all, "edge");
    let finalizers = |names: Value| with(port("edge"), "/metadata/finalizers", names);
    let steps = steps![
        post(&all, held_port("edge")).named("first"),
        follow("w", format!("{all}?watch=1&resourceVersion={{first/metadata/resourceVersion}}")),
        delete(&edge).named("marked"),
        delete(&edge),
        get(&edge),
        post(&all, port("edge")),
        put(&edge, at(held_port("edge"), "first")),
        merge(
            &edge,
            json!({ "metadata": { "finalizers": ["sdn.zenlayer.com/port", "b.example.com/y", "a.example.com/x"] } })
        ),
        merge(&edge, json!({ "metadata": { "deletionTimestamp": null } })),
        merge(&edge, json!({ "metadata": { "deletionGracePeriodSeconds": 30 } })),
        merge(&edge, json!({ "spec": { "deletionPolicy": "Retain" } })).named("changed"),
        put(&edge, at(finalizers(json!([])), "marked")),
        put(&edge, at(finalizers(json!([])), "changed")),
        get(&edge),
        merge(&edge, json!({ "metadata": { "finalizers": null } })),
        post(
            &all,
            with(held_port("edge"), "/metadata/finalizers", json!(["a.example.com/x", "b.example.com/y"]))
        ),
        delete(&edge),
        patch(
            &edge,
            json!([{ "op": "test", "path": "/metadata/finalizers/0", "value": "a.example.com/x" }, { "op": "remove", "path": "/metadata/finalizers/0" }])
        ),
        patch(&edge, json!([{ "op": "remove", "path": "/metadata/finalizers" }])),
        get(&edge),
        lines("w", 7),
    ];
    scene("c-held", steps)
}

fn preconditions() -> Scene {
    let all = ports("c-preconditions");
    let edge = of(&all, "edge");
    let other = "11111111-2222-4333-8444-555555555555";
    let steps = steps![
        post(&all, held_port("edge")).named("first"),
        delete_with(&edge, precondition("uid", other)),
        delete_with(&edge, precondition("resourceVersion", "1")),
        delete_with(&edge, precondition("uid", "{first/metadata/uid}")),
        delete_with(&edge, precondition("uid", other)),
        delete_with(&edge, precondition("resourceVersion", "{first/metadata/resourceVersion}")),
        merge(&edge, json!({ "metadata": { "finalizers": null } })),
        post(&all, port("edge")).named("second"),
        delete_with(&edge, precondition("resourceVersion", "{second/metadata/resourceVersion}")),
        delete_with(&edge, precondition("uid", other)),
    ];
    scene("c-preconditions", steps)
}
