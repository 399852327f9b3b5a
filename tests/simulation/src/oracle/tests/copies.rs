//! Copies of Secrets.

use serde_json::{Value, json};

use super::{Scene, deleted};

const COPY: &str = "zenlayer-system/zenlayer-credentials-1";

fn copy(key: &str, uid: &str) -> Value {
    json!({
        "metadata": { "annotations": {
            "sdn.zenlayer.com/copy-of-namespace": "team-a", "sdn.zenlayer.com/copy-of-namespace-uid": uid,
        } },
        "data": { "accessKeyId": key },
    })
}

/// An object that lives and shows what is so, its Secret, its namespace, and this copy.
fn with(copy: Option<&Value>, has_object: bool) -> Vec<String> {
    let mut scene = Scene::new(|_| ());
    scene.secret(true, 0);
    scene.other("namespaces", "team-a", Some(&json!({ "metadata": { "uid": "uid-1" } })), 0);
    if has_object {
        let mut object = deleted("edge", "Destroy");
        object["metadata"].as_object_mut().expect("fields").remove("deletionTimestamp");
        object["status"] = json!({ "conditions": [{ "type": "Ready", "status": "False", "reason": "PortRecycled",
            "message": "", "lastTransitionTime": "2030-01-01T00:00:00Z" }] });
        scene.change(None, Some(&object), 0);
    }
    scene.other("secrets", COPY, copy, 0);
    assert_eq!(scene.oracle.is_settled(), scene.oracle.end().is_empty());
    scene.oracle.end().iter().map(ToString::to_string).collect()
}

#[test]
fn a_copy_that_would_not_serve_is_as_bad_as_none() {
    assert_eq!(with(Some(&copy("a2V5", "uid-1")), true), Vec::<String>::new());
    for (wrong, wanted) in [
        (None, "no copy of its Secret is kept"),
        (Some(copy("b2xk", "uid-1")), "holds another key"),
        (Some(copy("a2V5", "uid-0")), "is for an earlier namespace"),
    ] {
        let found = with(wrong.as_ref(), true);
        assert!(found.len() == 1 && found[0].contains(wanted), "{wanted}: {found:?}");
    }
}

#[test]
fn a_copy_that_nobody_uses_is_not_kept() {
    let found = with(Some(&copy("a2V5", "uid-1")), false);
    assert!(found.len() == 1 && found[0].contains("no object uses it"), "{found:?}");
    assert_eq!(with(None, false), Vec::<String>::new());
}
