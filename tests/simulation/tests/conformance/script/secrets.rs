//! Secrets: a kind of the server's own.

use serde_json::json;

use super::{at, of, scene, secret, secrets, with};
use crate::step::{Scene, delete, delete_with, get, merge, patch, post, put};
use crate::steps;

pub fn scenes() -> Vec<Scene> {
    let all = secrets("c-secrets");
    let one = of(&all, "key");
    let steps = steps![
        get(&one),
        put(&one, secret("key")),
        post(&all, secret("key")).named("first"),
        post(&all, secret("key")),
        post(&all, with(secret("text"), "/stringData", json!({ "word": "hunter2" }))),
        post(&all, with(secret("typed"), "/type", json!("example.com/typed"))),
        post(&all, json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "empty" } })),
        post(&all, with(secret("bad"), "/data", json!({ "a b": "aHVudGVyMg==" }))),
        post(&all, secret("Bad")),
        post(&all, with(secret("generation"), "/metadata/generation", json!(7))),
        get(&one).metadata(),
        put(&one, secret("key")),
        put(&one, with(secret("key"), "/data/token", json!("c2VjcmV0"))).named("second"),
        put(&one, at(secret("key"), "first")),
        put(&one, at(secret("key"), "second")),
        put(&one, with(secret("key"), "/type", json!("example.com/other"))),
        put(&one, with(secret("key"), "/metadata/uid", json!("11111111-2222-4333-8444-555555555555"))),
        put(&one, with(secret("key"), "/metadata/resourceVersion", json!("1"))),
        put(&one, secret("other")),
        merge(&one, json!({ "data": { "more": "bW9yZQ==" } })),
        merge(&one, json!({ "data": { "more": null } })),
        merge(&one, json!({ "stringData": { "word": "hunter2" } })),
        merge(&one, json!({ "metadata": { "labels": { "app": "a" } } })),
        merge(&one, json!({ "metadata": { "uid": "11111111-2222-4333-8444-555555555555" } })),
        merge(&one, json!({ "metadata": { "resourceVersion": "{first/metadata/resourceVersion}" } })),
        patch(&one, json!([{ "op": "remove", "path": "/data/word" }])),
        patch(&one, json!([{ "op": "remove", "path": "/data/nothing" }])),
        merge(&one, json!({ "metadata": { "finalizers": ["a.example.com/x"] } })),
        delete(&one),
        merge(&one, json!({ "data": { "late": "bGF0ZQ==" } })),
        merge(&one, json!({ "metadata": { "finalizers": null } })),
        get(&one),
        delete(&one),
        delete(of(&all, "text")),
        delete_with(
            of(&all, "typed"),
            json!({ "kind": "DeleteOptions", "apiVersion": "v1", "preconditions": { "uid": "11111111-2222-4333-8444-555555555555" } })
        ),
        post(&all, with(secret("fixed"), "/immutable", json!(true))),
        merge(of(&all, "fixed"), json!({ "data": { "token": "bGF0ZQ==" } })),
    ];
    vec![scene("c-secrets", steps)]
}
