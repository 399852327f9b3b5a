//! Events, as the operator writes them and as people read them; and what a process asks about itself.

use serde_json::{Value, json};

use super::{of, scene, with};
use crate::step::{Scene, get, post};
use crate::steps;

fn event(name: &str) -> Value {
    json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": { "name": name, "namespace": "c-events" },
        "regarding": {
            "apiVersion": "sdn.zenlayer.com/v1alpha1", "kind": "ZenlayerPort", "name": "edge", "namespace": "c-events",
            "uid": "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
        },
        "action": "Reconcile", "reason": "Destroying", "type": "Normal", "note": "It is being destroyed.",
        "eventTime": "2020-01-01T00:00:00.000000Z",
        "reportingController": "zenlayer-port-operator", "reportingInstance": "pod-1",
    })
}

fn review(resource: &str) -> Value {
    json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "metadata": {},
        "spec": { "resourceAttributes": { "namespace": "c-events", "verb": "get", "resource": resource } },
    })
}

pub fn scenes() -> Vec<Scene> {
    let all = "/apis/events.k8s.io/v1/namespaces/c-events/events";
    let core = "/api/v1/namespaces/c-events/events";
    let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let steps = steps![
        post(all, event("edge.1")),
        post(all, event("edge.1")),
        get(of(all, "edge.1")),
        get(of(core, "edge.1")),
        post(all, with(event("edge.2"), "/type", json!("Warning"))),
        post(all, with(event("edge.3"), "/note", json!("x".repeat(1025)))),
        post(all, with(event("edge.4"), "/reportingController", json!(""))),
        post(all, with(event("edge.5"), "/action", json!(""))),
        post(all, with(event("edge.6"), "/type", json!("Loud"))),
        post(all, with(event("edge-.7"), "/reason", json!("Other"))),
        get(format!("{core}?fieldSelector=involvedObject.uid%3Daaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee")),
        get(format!("{core}?fieldSelector=involvedObject.uid%3Dnobody&limit=500")),
        post(
            "/apis/events.k8s.io/v1/namespaces/c-nowhere/events",
            with(event("edge.8"), "/metadata/namespace", json!("c-nowhere"))
        ),
        post(reviews, review("secrets")),
        post(reviews, review("zenlayerports")),
    ];
    vec![scene("c-events", steps)]
}
