//! The status of a ZenlayerPort, which is a subresource.

use serde_json::{Value, json};

use super::{at, held_port, of, port, ports, scene, with};
use crate::step::{Scene, delete, get, merge, patch, post, put};
use crate::steps;

pub fn scenes() -> Vec<Scene> {
    vec![written(), merged()]
}

fn reported(generation: i64) -> Value {
    json!({
        "observedGeneration": generation,
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "Running", "message": "The port is up.",
            "lastTransitionTime": "2020-01-01T00:00:00Z",
        }],
    })
}

fn written() -> Scene {
    let all = ports("c-status");
    let (edge, status) = (of(&all, "edge"), of(&all, "edge/status"));
    let new = |status: Value| with(port("edge"), "/status", status);
    let steps = steps![
        get(&status),
        put(&status, new(reported(1))),
        post(&all, port("edge")).named("first"),
        get(&status),
        put(&status, new(reported(1))),
        put(&status, at(new(reported(1)), "first")).named("second"),
        put(&status, at(new(reported(1)), "second")),
        put(&status, at(new(reported(1)), "first")),
        put(&status, with(at(new(reported(2)), "second"), "/metadata/labels", json!({ "team": "a" })))
            .named("third"),
        put(&status, with(at(new(reported(3)), "third"), "/metadata/finalizers", json!(["a.example.com/x"])))
            .named("fourth"),
        put(&status, with(at(new(reported(4)), "fourth"), "/spec/deletionPolicy", json!("Retain")))
            .named("fifth"),
        put(
            &status,
            with(
                at(new(reported(5)), "fifth"),
                "/metadata/uid",
                json!("11111111-2222-4333-8444-555555555555")
            )
        ),
        put(&status, at(new(json!({ "observedGeneration": "many" })), "fifth")),
        put(&status, at(new(json!({ "colour": "red" })), "fifth")).named("sixth"),
        put(&status, at(port("edge"), "sixth")).named("seventh"),
        put(&edge, with(at(new(reported(9)), "seventh"), "/spec/deletionProtection", json!(true))),
        post(&status, new(reported(1))),
        delete(&status),
        get(&edge),
    ];
    scene("c-status", steps)
}

fn merged() -> Scene {
    let all = ports("c-status-merged");
    let (edge, status) = (of(&all, "edge"), of(&all, "edge/status"));
    let steps = steps![
        merge(&status, json!({ "status": { "observedGeneration": 1 } })),
        post(&all, held_port("edge")).named("first"),
        merge(&status, json!({ "status": { "observedGeneration": 1 } })),
        merge(&status, json!({ "status": { "observedGeneration": 1 } })),
        merge(&status, json!({ "status": { "observedGeneration": null } })),
        merge(&status, json!({ "status": null })),
        merge(&status, json!({ "metadata": { "finalizers": null }, "status": { "observedGeneration": 3 } })),
        merge(
            &status,
            json!({ "metadata": { "resourceVersion": "{first/metadata/resourceVersion}" }, "status": { "observedGeneration": 4 } })
        ),
        merge(&status, json!({ "metadata": { "annotations": { "a": "1" } } })),
        patch(&status, json!([{ "op": "replace", "path": "/status/observedGeneration", "value": 5 }])),
        patch(&status, json!([{ "op": "remove", "path": "/status/conditions" }])),
        delete(&edge),
        merge(&status, json!({ "status": { "observedGeneration": 6 } })),
        merge(&edge, json!({ "metadata": { "finalizers": null } })),
        merge(&status, json!({ "status": { "observedGeneration": 7 } })),
    ];
    scene("c-status-merged", steps)
}
