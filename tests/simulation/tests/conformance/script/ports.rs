//! ZenlayerPorts: made, read, changed.

use serde_json::json;

use super::{at, of, port, ports, scene, with};
use crate::step::{Scene, get, merge, patch, post, put};
use crate::steps;

pub fn scenes() -> Vec<Scene> {
    vec![made(), refused(), replaced(), merged(), patched()]
}

fn made() -> Scene {
    let all = ports("c-made");
    let steps = steps![
        get(of(&all, "edge")),
        post(&all, port("edge")),
        get(of(&all, "edge")),
        get(of(&all, "edge")).metadata(),
        post(&all, port("edge")),
        post(&all, with(port("labelled"), "/metadata/labels", json!({ "team": "a" }))),
        post(&all, with(port("annotated"), "/metadata/annotations", json!({ "note": "x" }))),
        post(&all, with(port("empty"), "/metadata/labels", json!({}))),
        post(&all, with(port("status"), "/status", json!({ "observedGeneration": 7 }))),
        post(&all, with(port("generation"), "/metadata/generation", json!(7))),
        post(&all, with(port("uid"), "/metadata/uid", json!("mine"))),
        post(&all, with(port("deleted"), "/metadata/deletionTimestamp", json!("2020-01-01T00:00:00Z"))),
        post(&all, with(port("unknown"), "/spec/colour", json!("red"))),
        post(&all, with(port("beside"), "/extra", json!({ "a": 1 }))),
        post(&all, with(port("null"), "/spec/credentialsRef", json!(null))),
        post(&all, with(port("nothing"), "/spec/deletionPolicy", json!(null))),
        post(&all, with(port("of"), "/metadata/namespace", json!("c-made"))),
        post(format!("{all}?dryRun=All"), port("rehearsed")),
        get(of(&all, "rehearsed")),
        get(of(&all, "edge?resourceVersion=0")),
    ];
    scene("c-made", steps)
}

fn refused() -> Scene {
    let all = ports("c-refused");
    let long = "p".repeat(65);
    let steps = steps![
        post(&all, with(port("edge"), "/spec", json!({}))),
        post(
            &all,
            json!({ "apiVersion": "sdn.zenlayer.com/v1alpha1", "kind": "ZenlayerPort", "metadata": { "name": "edge" } })
        ),
        post(&all, with(port("edge"), "/spec/portId", json!(""))),
        post(&all, with(port("edge"), "/spec/portId", json!("a b"))),
        post(&all, with(port("edge"), "/spec/portId", json!(long))),
        post(&all, with(port("edge"), "/spec/portId", json!(7))),
        post(&all, with(port("edge"), "/spec/portId", json!(null))),
        post(&all, with(port("edge"), "/spec/deletionPolicy", json!("Burn"))),
        post(&all, with(port("edge"), "/spec/deletionProtection", json!("yes"))),
        post(&all, with(port("edge"), "/spec/credentialsRef", json!({}))),
        post(&all, with(port("edge"), "/spec/credentialsRef", json!({ "name": "A" }))),
        post(&all, with(port("edge"), "/spec/credentialsRef", json!("zenlayer"))),
        post(&all, port("Edge")),
        post(&all, port("")),
        post(&all, port("edge-")),
        post(&all, with(port("edge"), "/metadata/labels", json!({ "a b": "c" }))),
        post(&all, with(port("edge"), "/metadata/labels", json!({ "a": "b c" }))),
        post(&all, with(port("edge"), "/metadata/finalizers", json!(["nonsense!"]))),
        post(&all, with(port("edge"), "/metadata/namespace", json!("default"))),
        post(&all, with(port("edge"), "/metadata/resourceVersion", json!("5"))),
        post(&all, with(port("edge"), "/apiVersion", json!("sdn.zenlayer.com/v2"))),
        post(of(&all, "edge"), port("edge")),
        post("/apis/sdn.zenlayer.com/v1alpha1/zenlayerports", port("edge")),
        get("/apis/sdn.zenlayer.com/v1alpha1/namespaces/c-refused/zenlayers"),
        get("/apis/sdn.zenlayer.com/v9/namespaces/c-refused/zenlayerports"),
        get("/apis/nobody.example.com/v1/namespaces/c-refused/things"),
        get(of(&all, "edge/scale")),
    ];
    scene("c-refused", steps)
}

fn replaced() -> Scene {
    let all = ports("c-replaced");
    let edge = of(&all, "edge");
    let protected = || with(port("edge"), "/spec/deletionProtection", json!(true));
    let steps = steps![
        put(&edge, port("edge")),
        post(&all, port("edge")).named("first"),
        put(&edge, port("edge")),
        put(&edge, at(port("edge"), "first")).named("same"),
        put(&edge, at(protected(), "first")).named("second"),
        put(&edge, at(port("edge"), "first")),
        put(
            &edge,
            with(at(protected(), "second"), "/metadata/uid", json!("11111111-2222-4333-8444-555555555555"))
        ),
        put(&edge, with(at(protected(), "second"), "/metadata/uid", json!("{second/metadata/uid}"))),
        put(&edge, with(at(protected(), "second"), "/metadata/labels", json!({ "team": "a" })))
            .named("third"),
        put(&edge, with(at(protected(), "third"), "/metadata/generation", json!(99))).named("fourth"),
        put(
            &edge,
            with(at(protected(), "fourth"), "/metadata/creationTimestamp", json!("2020-01-01T00:00:00Z"))
        ),
        put(
            &edge,
            with(at(protected(), "fourth"), "/metadata/deletionTimestamp", json!("2020-01-01T00:00:00Z"))
        ),
        get(&edge).named("fifth"),
        put(&edge, with(at(protected(), "fifth"), "/status", json!({ "observedGeneration": 7 }))),
        put(&edge, with(at(protected(), "fifth"), "/spec/portId", json!("other"))),
        put(&edge, with(at(protected(), "fifth"), "/spec/deletionPolicy", json!("Burn"))),
        put(&edge, at(port("other"), "fifth")),
        put(&edge, with(at(protected(), "fifth"), "/metadata/namespace", json!("default"))),
        put(&edge, with(protected(), "/metadata/resourceVersion", json!("1"))),
        put(&edge, with(protected(), "/metadata/resourceVersion", json!("0"))),
        put(
            of(&all, "edge?dryRun=All"),
            with(at(protected(), "fifth"), "/metadata/labels", json!({ "dry": "1" }))
        ),
        get(&edge),
        put(&edge, with(at(protected(), "fifth"), "/metadata/finalizers", json!(["sdn.zenlayer.com/port"])))
            .named("held"),
        put(&edge, with(at(protected(), "held"), "/metadata/finalizers", json!([]))),
        get(&edge),
    ];
    scene("c-replaced", steps)
}

fn merged() -> Scene {
    let all = ports("c-merged");
    let edge = of(&all, "edge");
    let steps = steps![
        merge(&edge, json!({ "spec": { "deletionProtection": true } })),
        post(&all, port("edge")).named("first"),
        merge(&edge, json!({ "spec": { "deletionProtection": true } })).named("second"),
        merge(&edge, json!({ "spec": { "deletionProtection": true } })),
        merge(&edge, json!({})),
        merge(&edge, json!({ "spec": { "deletionProtection": null } })),
        merge(&edge, json!({ "spec": { "portId": null } })),
        merge(&edge, json!({ "spec": { "portId": "other" } })),
        merge(&edge, json!({ "spec": { "deletionPolicy": "Burn" } })),
        merge(&edge, json!({ "spec": { "colour": "red" } })),
        merge(&edge, json!({ "metadata": { "annotations": { "a": "1", "b": "2" } } })),
        merge(&edge, json!({ "metadata": { "annotations": { "a": null } } })),
        merge(&edge, json!({ "metadata": { "finalizers": ["sdn.zenlayer.com/port"] } })),
        merge(&edge, json!({ "metadata": { "finalizers": null } })),
        merge(
            &edge,
            json!({ "metadata": { "resourceVersion": "{first/metadata/resourceVersion}" }, "spec": { "deletionPolicy": "Retain" } })
        ),
        merge(
            &edge,
            json!({ "metadata": { "uid": "11111111-2222-4333-8444-555555555555" }, "spec": { "deletionPolicy": "Retain" } })
        ),
        merge(
            &edge,
            json!({ "metadata": { "uid": "{first/metadata/uid}" }, "spec": { "deletionPolicy": "Retain" } })
        ),
        merge(&edge, json!({ "metadata": { "generation": 99 } })),
        merge(&edge, json!({ "metadata": { "name": "other" } })),
        merge(&edge, json!({ "status": { "observedGeneration": 7 } })),
        merge(
            of(&all, "edge?dryRun=All&fieldManager=me"),
            json!({ "metadata": { "annotations": { "dry": "1" } } })
        )
        .metadata(),
        merge(&edge, json!({ "metadata": { "annotations": { "wet": "1" } } })).metadata(),
        get(&edge),
    ];
    scene("c-merged", steps)
}

fn patched() -> Scene {
    let all = ports("c-patched");
    let edge = of(&all, "edge");
    let test = |version: &str| json!({ "op": "test", "path": "/metadata/resourceVersion", "value": version });
    let steps = steps![
        post(&all, port("edge")).named("first"),
        patch(&edge, json!([{ "op": "replace", "path": "/spec/deletionPolicy", "value": "Retain" }])),
        patch(&edge, json!([{ "op": "replace", "path": "/spec/nowhere", "value": 1 }])),
        patch(&edge, json!([{ "op": "remove", "path": "/metadata/finalizers" }])),
        patch(&edge, json!([{ "op": "remove", "path": "/metadata/finalizers/0" }])),
        patch(&edge, json!([test("{first/metadata/resourceVersion}"), { "op": "remove", "path": "/spec" }])),
        patch(&edge, json!([{ "op": "test", "path": "/spec/portId", "value": "port-edge" }, { "op": "add", "path": "/metadata/finalizers", "value": ["a.example.com/x"] }])).named("held"),
        patch(&edge, json!([test("{held/metadata/resourceVersion}"), { "op": "add", "path": "/metadata/finalizers/-", "value": "b.example.com/y" }])),
        patch(&edge, json!([{ "op": "test", "path": "/metadata/finalizers/0", "value": "a.example.com/x" }, { "op": "remove", "path": "/metadata/finalizers/0" }])),
        patch(&edge, json!([])),
        patch(&edge, json!([{ "op": "remove", "path": "/spec/portId" }])),
        patch(&edge, json!([{ "op": "add", "path": "/spec/portId", "value": "other" }])),
        get(&edge),
    ];
    scene("c-patched", steps)
}
