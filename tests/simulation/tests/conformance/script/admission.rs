//! Policies and quotas.

use serde_json::{Value, json};

use super::{NAMESPACES, at, held_port, of, port, ports, scene, secret, secrets, with};
use crate::step::{Scene, delete, delete_with, get, merge, post, put};
use crate::steps;

pub fn scenes() -> Vec<Scene> {
    vec![policies(), quotas()]
}

const POLICIES: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
const BINDINGS: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings";

fn policy(name: &str, operations: &[&str], resource: &str, reason: Option<&str>) -> Value {
    let mut validation = json!({ "expression": "false", "message": format!("{name} says no") });
    if let Some(reason) = reason {
        validation["reason"] = json!(reason);
    }
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": { "name": name },
        "spec": {
            "failurePolicy": "Fail", "validations": [validation],
            "matchConstraints": { "resourceRules": [{
                "apiGroups": ["*"], "apiVersions": ["*"], "operations": operations, "resources": [resource],
            }] },
        },
    })
}

fn binding(name: &str) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": { "name": name },
        "spec": {
            "policyName": name, "validationActions": ["Deny"],
            "matchResources": { "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "c-policies" } } },
        },
    })
}

fn policies() -> Scene {
    let all = ports("c-policies");
    let keys = secrets("c-policies");
    let (edge, status) = (of(&all, "edge"), of(&all, "edge/status"));
    let new = |name: &str, operations: &[&str], resource: &str, reason| {
        (
            post(POLICIES, policy(name, operations, resource, reason)).metadata(),
            post(BINDINGS, binding(name)).metadata(),
        )
    };
    let (create, create_bound) = new("c-create", &["CREATE"], "secrets", None);
    let (update, update_bound) = new("c-update", &["UPDATE"], "zenlayerports", Some("Forbidden"));
    let (report, report_bound) = new("c-report", &["UPDATE"], "zenlayerports/status", None);
    let (remove, remove_bound) = new("c-remove", &["DELETE"], "zenlayerports", Some("Forbidden"));
    let steps = steps![
        post(&all, held_port("edge")).named("first"),
        create,
        create_bound,
        post(format!("{keys}?dryRun=All"), secret("key")).until(422, "says no"),
        post(&keys, secret("key")),
        post(&keys, secret("Bad")),
        update,
        update_bound,
        merge(format!("{edge}?dryRun=All"), json!({ "metadata": { "labels": { "a": "b" } } }))
            .until(403, "says no"),
        merge(&edge, json!({ "metadata": { "labels": { "a": "b" } } })),
        put(&edge, with(at(port("edge"), "first"), "/metadata/resourceVersion", json!("1"))),
        put(&edge, with(at(port("edge"), "first"), "/spec/deletionPolicy", json!("Burn"))),
        put(&edge, at(port("edge"), "first")),
        put(&edge, at(held_port("edge"), "first")),
        merge(&status, json!({ "status": { "observedGeneration": 1 } })),
        report,
        report_bound,
        merge(format!("{status}?dryRun=All"), json!({ "status": { "observedGeneration": 2 } }))
            .until(422, "says no"),
        merge(&status, json!({ "status": { "observedGeneration": 2 } })),
        remove,
        remove_bound,
        delete_with(&edge, json!({ "kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"] }))
            .until(403, "says no"),
        delete(&edge),
        get(&edge),
        delete(of(POLICIES, "c-create")),
        delete(of(BINDINGS, "c-create")),
        delete(of(BINDINGS, "c-update")),
        delete(of(BINDINGS, "c-report")),
        delete(of(BINDINGS, "c-remove")),
        post(format!("{keys}?dryRun=All"), secret("key")).until(201, "key"),
        merge(&edge, json!({ "metadata": { "finalizers": null } })).until(200, "edge"),
    ];
    scene("c-policies", steps)
}

fn quotas() -> Scene {
    let keys = secrets("c-quotas");
    let quotas = of(NAMESPACES, "c-quotas/resourcequotas");
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "few" },
        "spec": { "hard": { "count/secrets": "1" } },
    });
    let steps = steps![
        post(&keys, secret("one")),
        post(&quotas, quota).metadata(),
        post(&keys, secret("two")).until(403, "exceeded quota"),
        post(&keys, secret("one")),
        post(&keys, secret("Bad")),
        put(of(&keys, "one"), secret("one")),
        merge(of(&keys, "one"), json!({ "data": { "more": "bW9yZQ==" } })),
    ];
    scene("c-quotas", steps)
}
