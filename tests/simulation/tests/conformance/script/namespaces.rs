//! Namespaces: made, deleted with what is in them, made anew.

use serde_json::json;

use super::{NAMESPACES, held_port, new_namespace, of, port, ports, scene, secret, secrets};
use crate::step::{Scene, delete, delete_with, get, merge, post, put};
use crate::steps;

pub fn scenes() -> Vec<Scene> {
    vec![made(), emptied()]
}

fn made() -> Scene {
    let one = of(NAMESPACES, "c-spaces");
    let steps = steps![
        new_namespace("c-spaces"),
        new_namespace("C_spaces"),
        get(&one),
        merge(&one, json!({ "metadata": { "labels": { "team": "a" } } })),
        put(&one, json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "c-spaces" } })),
        merge(&one, json!({ "metadata": { "labels": { "kubernetes.io/metadata.name": "other" } } })),
        delete(of(NAMESPACES, "default")),
        delete(of(NAMESPACES, "c-nowhere")),
        delete_with(
            &one,
            json!({ "kind": "DeleteOptions", "apiVersion": "v1", "preconditions": { "uid": "11111111-2222-4333-8444-555555555555" } })
        ),
        post(ports("c-nowhere"), port("edge")),
        merge(of(&ports("c-nowhere"), "edge"), json!({ "metadata": { "labels": { "a": "b" } } })),
        delete(of(&ports("c-nowhere"), "edge")),
        post(secrets("c-nowhere"), secret("key")),
    ];
    scene("c-spaces", steps)
}

fn emptied() -> Scene {
    let one = of(NAMESPACES, "c-emptied");
    let all = ports("c-emptied");
    let keys = secrets("c-emptied");
    let steps = steps![
        post(&keys, secret("key")),
        post(&all, held_port("held")),
        post(&all, port("free")),
        delete(&one).metadata(),
        delete(&one).metadata(),
        new_namespace("c-emptied"),
        post(&all, port("late")),
        post(&keys, secret("late")),
        get(of(&all, "free")),
        merge(of(&all, "held"), json!({ "metadata": { "annotations": { "late": "1" } } })),
        get(of(&keys, "key")).until(404, "NotFound"),
        get(of(&all, "held")).until(200, "deletionTimestamp"),
        get(of(&all, "free")).until(404, "NotFound"),
        get(&one).until(200, "SomeFinalizersRemain"),
        merge(of(&all, "held"), json!({ "metadata": { "finalizers": null } })),
        get(&one).metadata().until(404, "NotFound"),
        get(of(&all, "held")),
        get(&all),
        new_namespace("c-emptied"),
        post(&all, port("held")),
        get(&one),
    ];
    scene("c-emptied", steps)
}
