//! The Lease by which replicas choose who works.

use serde_json::{Value, json};

use super::{at, of, scene, with};
use crate::step::{Scene, delete, get, post, put};
use crate::steps;

fn lease(holder: &str, renewed: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": "operator" },
        "spec": { "holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 0, "renewTime": renewed },
    })
}

pub fn scenes() -> Vec<Scene> {
    let all = "/apis/coordination.k8s.io/v1/namespaces/c-leases/leases";
    let one = of(all, "operator");
    let (early, late) = ("2020-01-01T00:00:00.000001Z", "2020-01-01T00:00:02.000000Z");
    let steps = steps![
        get(&one),
        post(all, lease("a", early)).named("first"),
        post(all, lease("b", early)),
        get(&one),
        put(&one, at(lease("a", late), "first")).named("second"),
        put(&one, at(lease("b", late), "first")),
        put(&one, lease("b", late)),
        put(&one, at(lease("a", late), "second")),
        put(&one, with(at(lease("a", late), "second"), "/metadata/annotations", json!({ "a": "1" })))
            .named("third"),
        put(&one, with(at(lease("", late), "third"), "/spec/holderIdentity", json!(null))).named("fourth"),
        put(&one, with(at(lease("a", late), "fourth"), "/spec/leaseDurationSeconds", json!(0))),
        put(&one, with(at(lease("a", late), "fourth"), "/spec/leaseTransitions", json!(-1))),
        put(
            &one,
            with(
                at(lease("a", late), "fourth"),
                "/metadata/uid",
                json!("11111111-2222-4333-8444-555555555555")
            )
        ),
        delete(&one),
        get(&one),
        put(&one, at(lease("a", late), "fourth")),
        put(&one, with(lease("b", late), "/metadata/uid", json!("{first/metadata/uid}"))),
        put(&one, lease("b", late)),
        post(all, with(lease("c", late), "/metadata/name", json!("Operator"))),
        get(format!("{all}?labelSelector=app%3Da")),
        get("/apis/coordination.k8s.io/v1/namespaces/c-nowhere/leases"),
        post("/apis/coordination.k8s.io/v1/namespaces/c-nowhere/leases", lease("a", early)),
        put("/apis/coordination.k8s.io/v1/namespaces/c-nowhere/leases/operator", lease("a", early)),
    ];
    vec![scene("c-leases", steps)]
}
