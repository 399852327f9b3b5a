//! Lists: selectors, pages, versions, metadata.

use serde_json::json;

use super::{NAMESPACES, new_namespace, of, port, ports, scene, secret, secrets, with};
use crate::step::{Scene, delete, get, merge, post};
use crate::steps;

pub fn scenes() -> Vec<Scene> {
    vec![selected(), paged(), of_secrets()]
}

fn selected() -> Scene {
    let all = ports("c-lists");
    let labelled = |name: &str, team: &str| {
        with(port(name), "/metadata/labels", json!({ "team": team, "set": "c-lists" }))
    };
    let everywhere = "/apis/sdn.zenlayer.com/v1alpha1/zenlayerports";
    let steps = steps![
        get(&all),
        post(&all, labelled("b", "one")).named("b"),
        post(&all, labelled("a", "two")),
        post(&all, labelled("a.b", "two")),
        post(&all, labelled("a-b", "two")),
        get(&all),
        get(&all).metadata_list(),
        get(format!("{all}?labelSelector=team%3Done")),
        get(format!("{all}?labelSelector=team%3Done,set%3Dc-lists")),
        get(format!("{all}?labelSelector=team!%3Done")),
        get(format!("{all}?labelSelector=team")),
        get(format!("{all}?labelSelector=!team")),
        get(format!("{all}?labelSelector=team%3Dthree")),
        get(format!("{all}?fieldSelector=metadata.name%3Da")),
        get(format!("{all}?fieldSelector=spec.portId%3Da")),
        get(format!("{all}?resourceVersion=0&labelSelector=team%3Done")),
        get(format!("{all}?resourceVersion={{b/metadata/resourceVersion}}&labelSelector=team%3Done")),
        new_namespace("c-lists-2"),
        new_namespace("c-lists-2-more"),
        post(ports("c-lists-2-more"), labelled("x", "one")),
        post(ports("c-lists-2"), labelled("x", "one")),
        get(format!("{everywhere}?labelSelector=set%3Dc-lists")),
        get(format!("{everywhere}?labelSelector=set%3Dc-lists&limit=3")),
        get(ports("c-nowhere")),
        get(format!("{NAMESPACES}?fieldSelector=metadata.name%3Dc-lists-2")),
        get(of(NAMESPACES, "c-lists-2")).metadata(),
        get(of(NAMESPACES, "c-nowhere")).metadata(),
    ];
    scene("c-lists", steps)
}

fn paged() -> Scene {
    let all = ports("c-pages");
    let next = |name: &str, rest: &str| format!("{all}?limit=2{rest}&continue={{{name}/metadata/continue}}");
    let steps = steps![
        post(&all, port("a")).named("a"),
        post(&all, port("b")),
        post(&all, port("c")),
        post(&all, port("d")),
        post(&all, port("e")),
        get(format!("{all}?limit=2")).named("first"),
        delete(of(&all, "d")),
        merge(of(&all, "c"), json!({ "spec": { "deletionProtection": true } })),
        post(&all, port("bb")),
        get(next("first", "")).named("second"),
        get(next("second", "")),
        get(next("first", "")),
        get(format!("{all}?limit=5")),
        get(format!("{all}?limit=4")),
        get(format!("{all}?limit=0")),
        get(format!("{all}?limit=2")).metadata_list(),
        get(format!("{all}?limit=2&labelSelector=team%3Done")),
        get(format!("{all}?limit=1&fieldSelector=metadata.name%3Dc")),
        get(format!("{all}?resourceVersionMatch=Exact&resourceVersion={{a/metadata/resourceVersion}}")),
        get(format!(
            "{all}?resourceVersionMatch=NotOlderThan&resourceVersion={{a/metadata/resourceVersion}}"
        )),
        get(format!("{all}?limit=2&resourceVersion=0")),
    ];
    scene("c-pages", steps)
}

fn of_secrets() -> Scene {
    let all = secrets("c-list-of-secrets");
    let labelled = |name: &str| with(secret(name), "/metadata/labels", json!({ "app": "a", "part": "copy" }));
    let steps = steps![
        post(&all, labelled("b")),
        post(&all, labelled("a")),
        post(&all, secret("c")),
        get(&all),
        get(&all).metadata_list(),
        get(format!("{all}?labelSelector=app%3Da%2Cpart%3Dcopy&limit=500")),
        get(format!("{all}?labelSelector=app%3Da%2Cpart%3Dcopy&limit=1")).named("first"),
        get(format!(
            "{all}?labelSelector=app%3Da%2Cpart%3Dcopy&limit=1&continue={{first/metadata/continue}}"
        )),
        get(format!("{all}?fieldSelector=metadata.name%3Dc")),
    ];
    scene("c-list-of-secrets", steps)
}
