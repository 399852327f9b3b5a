//! Watches.

use serde_json::json;

use super::{of, port, ports, scene, secret, secrets, with};
use crate::step::{Scene, delete, follow, get, lines, merge, post, rest};
use crate::steps;

pub fn scenes() -> Vec<Scene> {
    vec![followed(), selected(), begun()]
}

fn followed() -> Scene {
    let all = ports("c-watches");
    let edge = of(&all, "edge");
    let steps = steps![
        get(&all).named("list"),
        follow(
            "live",
            format!(
                "{all}?watch=true&resourceVersion={{list/metadata/resourceVersion}}&allowWatchBookmarks=true&timeoutSeconds=290"
            )
        ),
        post(&all, port("edge")).named("first"),
        lines("live", 1),
        merge(&edge, json!({ "metadata": { "annotations": { "a": "1" } } })),
        merge(&edge, json!({ "metadata": { "annotations": { "a": "1" } } })),
        merge(of(&edge, "status"), json!({ "status": { "observedGeneration": 1 } })),
        post(&all, port("other")),
        delete(&edge),
        lines("live", 4),
        follow(
            "later",
            format!("{all}?watch=true&resourceVersion={{first/metadata/resourceVersion}}&timeoutSeconds=1")
        ),
        rest("later"),
        follow(
            "soon",
            format!(
                "{all}?watch=true&resourceVersion={{first/metadata/resourceVersion}}&timeoutSeconds=2&allowWatchBookmarks=true"
            )
        ),
        rest("soon"),
        get(&all).named("now"),
        follow(
            "nothing",
            format!(
                "{all}?watch=true&resourceVersion={{now/metadata/resourceVersion}}&timeoutSeconds=1&allowWatchBookmarks=true"
            )
        ),
        rest("nothing"),
    ];
    scene("c-watches", steps)
}

fn selected() -> Scene {
    let all = ports("c-watched");
    let labels = |team: &str| json!({ "metadata": { "labels": { "team": team } } });
    let since = "watch=true&timeoutSeconds=1&resourceVersion={list/metadata/resourceVersion}";
    let keys = secrets("c-watched");
    let steps = steps![
        get(&all).named("list"),
        post(&all, with(port("edge"), "/metadata/labels", json!({ "team": "a" }))),
        post(&all, port("other")),
        merge(of(&all, "other"), labels("a")),
        merge(of(&all, "edge"), labels("b")),
        merge(of(&all, "edge"), json!({ "spec": { "deletionProtection": true } })),
        merge(of(&all, "edge"), labels("a")),
        delete(of(&all, "other")),
        follow("team", format!("{all}?{since}&labelSelector=team%3Da")),
        rest("team"),
        follow("name", format!("{all}?{since}&fieldSelector=metadata.name%3Dother")),
        rest("name"),
        get(&keys).named("list"),
        post(&keys, secret("key")),
        delete(of(&keys, "key")),
        follow("secrets", format!("{keys}?{since}")),
        rest("secrets"),
    ];
    scene("c-watched", steps)
}

fn begun() -> Scene {
    let all = ports("c-begun");
    let steps = steps![
        post(&all, port("b")),
        post(&all, port("a")).named("a"),
        follow("zero", format!("{all}?watch=true&resourceVersion=0&timeoutSeconds=1")),
        rest("zero"),
        follow("unset", format!("{all}?watch=true&timeoutSeconds=1")),
        rest("unset"),
        follow("old", format!("{all}?watch=true&resourceVersion=1&timeoutSeconds=1")),
        rest("old"),
        follow("nonsense", format!("{all}?watch=true&resourceVersion=nonsense&timeoutSeconds=1")),
        follow("future", format!("{all}?watch=true&resourceVersion=900000000&timeoutSeconds=1")),
        rest("future"),
        get(format!("{all}?resourceVersion=900000000")),
        get(of(&all, "a?resourceVersion=900000000")),
        get(format!("{all}?resourceVersion=nonsense")),
        follow("nowhere", format!("{}?watch=true&timeoutSeconds=1", ports("c-nowhere"))),
        rest("nowhere"),
    ];
    scene("c-begun", steps)
}
