//! Definitions: a kind that appears, and goes with its objects.

use serde_json::{Value, json};

use super::{of, scene};
use crate::step::{Scene, delete, follow, get, lines, merge, post, rest};
use crate::steps;

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const THINGS: &str = "/apis/conformance.example.com/v1/namespaces/c-things/things";

fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "things.conformance.example.com" },
        "spec": {
            "group": "conformance.example.com", "scope": "Namespaced",
            "names": { "kind": "Thing", "plural": "things" },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object", "properties": {
                    "spec": { "type": "object", "properties": { "size": { "type": "integer", "minimum": 1 } } },
                    "status": { "type": "object", "properties": { "size": { "type": "integer" } } },
                } } },
            }],
        },
    })
}

fn thing(name: &str, finalizers: &[&str]) -> Value {
    json!({
        "apiVersion": "conformance.example.com/v1", "kind": "Thing",
        "metadata": { "name": name, "finalizers": finalizers }, "spec": { "size": 1 },
    })
}

pub fn scenes() -> Vec<Scene> {
    let one = of(DEFINITIONS, "things.conformance.example.com");
    let everywhere = "/apis/conformance.example.com/v1/things";
    let held = ["a.example.com/x"];
    let mut sized = thing("sized", &[]);
    sized["status"] = json!({ "size": 3 });
    let mut small = thing("small", &[]);
    small["spec"]["size"] = json!(0);
    let steps = steps![
        get(&one).metadata(),
        get(THINGS),
        get(everywhere),
        post(DEFINITIONS, definition()).metadata(),
        post(DEFINITIONS, definition()).metadata(),
        get(THINGS).until(200, "items"),
        post(THINGS, sized),
        post(THINGS, small),
        merge(of(THINGS, "sized"), json!({ "status": { "size": 4 } })),
        get(of(THINGS, "sized/status")),
        post(THINGS, thing("held", &held)).named("held"),
        follow("w", format!("{THINGS}?watch=1&resourceVersion={{held/metadata/resourceVersion}}")),
        delete(&one).metadata(),
        get(of(THINGS, "held")).until(200, "deletionTimestamp"),
        get(of(THINGS, "sized")).until(404, "NotFound"),
        post(THINGS, thing("late", &[])).until(403, "terminating"),
        get(&one).metadata(),
        delete(&one).metadata(),
        lines("w", 2),
        merge(of(THINGS, "held"), json!({ "metadata": { "finalizers": null } })),
        get(&one).metadata().until(404, "NotFound"),
        rest("w"),
        get(of(THINGS, "held")).until(404, "page not found"),
        get(THINGS),
        get(everywhere),
        post(THINGS, thing("late", &[])),
        delete(of(THINGS, "held")),
        post(DEFINITIONS, definition()).metadata(),
        get(THINGS).until(200, "items"),
        post(THINGS, thing("again", &held)),
        merge(&one, json!({ "metadata": { "finalizers": null } })).metadata(),
        delete(&one).metadata(),
        get(of(THINGS, "again")).until(200, "deletionTimestamp"),
        merge(&one, json!({ "metadata": { "finalizers": null } })).metadata(),
        get(&one).metadata().until(404, "NotFound"),
        get(of(THINGS, "again")).until(404, "page not found"),
        post(DEFINITIONS, definition()).metadata(),
        get(THINGS).until(200, "items"),
        get(of(THINGS, "again")),
        merge(of(THINGS, "again"), json!({ "metadata": { "finalizers": null } })),
        get(of(THINGS, "again")),
        delete(&one).metadata(),
        get(&one).metadata().until(404, "NotFound"),
    ];
    vec![scene("c-things", steps)]
}
