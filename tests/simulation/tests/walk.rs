//! Whatever is asked, in whatever order: what a Kubernetes API server promises holds.

use std::collections::BTreeMap;

use http::{Method, Request};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use simulation::ApiServer;

const NAMES: [&str; 3] = ["a", "b", "c"];
const COLLECTION: &str = "/api/v1/namespaces/default/secrets";

/// What somebody does to one of three Secrets.
#[derive(Clone, Debug)]
enum Act {
    Create {
        held: bool,
    },
    /// In the version that the object has, or in an older one.
    Replace {
        data: u8,
        stale: bool,
    },
    Merge {
        data: u8,
    },
    Release,
    Delete,
}

fn acts() -> impl Strategy<Value = Vec<(usize, Act)>> {
    let act = prop_oneof![
        any::<bool>().prop_map(|held| Act::Create { held }),
        (0..3_u8, any::<bool>()).prop_map(|(data, stale)| Act::Replace { data, stale }),
        (0..3_u8).prop_map(|data| Act::Merge { data }),
        Just(Act::Release),
        Just(Act::Delete),
    ];
    prop::collection::vec((0..NAMES.len(), act), 1..60)
}

async fn asked(server: &ApiServer, method: Method, path: &str, format: &str, body: Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = Request::builder().method(method).uri(path).header("content-type", format);
    let answer = server.answer(&request.body(body.into()).expect("a request"));
    let code = answer.status().as_u16();
    let text = answer.into_body().collect().await.expect("a body").to_bytes();
    (code, serde_json::from_slice(&text).expect("JSON"))
}

fn secret(name: &str, data: u8) -> Value {
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "data": { "n": format!("MTA{data}") } })
}

async fn carried_out(server: &ApiServer, name: &str, act: &Act) -> (u16, Value) {
    let path = format!("{COLLECTION}/{name}");
    let merge = "application/merge-patch+json";
    match act {
        Act::Create { held } => {
            let mut object = secret(name, 0);
            if *held {
                object["metadata"]["finalizers"] = json!(["a.example.com/x"]);
            }
            asked(server, Method::POST, COLLECTION, "application/json", object).await
        }
        Act::Replace { data, stale } => {
            let (_, now) = asked(server, Method::GET, &path, "", Value::Null).await;
            let mut object = if now["kind"] == "Secret" { now } else { secret(name, 0) };
            object["data"]["n"] = json!(format!("MTA{data}"));
            if *stale {
                object["metadata"]["resourceVersion"] = json!("1");
            }
            asked(server, Method::PUT, &path, "application/json", object).await
        }
        Act::Merge { data } => {
            let change = json!({ "data": { "n": format!("MTA{data}") } });
            asked(server, Method::PATCH, &path, merge, change).await
        }
        Act::Release => {
            let change = json!({ "metadata": { "finalizers": null } });
            asked(server, Method::PATCH, &path, merge, change).await
        }
        Act::Delete => asked(server, Method::DELETE, &path, "", Value::Null).await,
    }
}

/// All lines of a watch from a version to now.
async fn watched(server: &ApiServer, version: &str) -> Vec<Value> {
    let path = format!("{COLLECTION}?watch=1&timeoutSeconds=1&resourceVersion={version}");
    let answer = server.answer(&Request::get(path).body(Vec::new().into()).expect("a request"));
    let text = answer.into_body().collect().await.expect("a body").to_bytes();
    text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"]
        .as_str()
        .and_then(|version| version.parse().ok())
        .expect("a version")
}

/// The objects of a list, but for their versions.
fn contents(list: &Value) -> Vec<Value> {
    let mut items = list["items"].as_array().cloned().unwrap_or_default();
    for item in &mut items {
        item["metadata"]["resourceVersion"] = Value::Null;
    }
    items
}

/// What a reader of the watch knows after these events.
fn known(events: &[Value]) -> BTreeMap<String, Value> {
    let mut known = BTreeMap::new();
    let mut last = 0;
    for event in events {
        let object = &event["object"];
        assert!(version(object) > last, "versions go up: {events:#?}");
        last = version(object);
        let name = object["metadata"]["name"].as_str().expect("a name").to_owned();
        let before =
            if event["type"] == "DELETED" { known.remove(&name) } else { known.insert(name, object.clone()) };
        assert_eq!(before.is_some(), event["type"] != "ADDED", "{event}");
    }
    known
}

fn walk(acts: &[(usize, Act)]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let server = ApiServer::new(|| Timestamp::UNIX_EPOCH, 1);
        let (_, list) = asked(&server, Method::GET, COLLECTION, "", Value::Null).await;
        let start = version(&list).to_string();
        let mut newest = version(&list);
        for (which, act) in acts {
            let (_, before) = asked(&server, Method::GET, COLLECTION, "", Value::Null).await;
            let (code, said) = carried_out(&server, NAMES[*which], act).await;
            let (_, after) = asked(&server, Method::GET, COLLECTION, "", Value::Null).await;
            assert!(matches!(code, 200 | 201 | 404 | 409), "{act:?}: {said}");
            if code > 201 {
                assert_eq!(before, after, "{act:?} was refused, and changed something");
            }
            if contents(&before) == contents(&after) {
                assert_eq!(version(&before), version(&after), "{act:?} changed nothing");
            }
            assert!(version(&after) >= newest);
            newest = version(&after);
        }
        let (_, list) = asked(&server, Method::GET, COLLECTION, "", Value::Null).await;
        let listed = list["items"].as_array().expect("items").iter().map(|item| {
            let mut item = item.clone();
            (item["kind"], item["apiVersion"]) = (json!("Secret"), json!("v1"));
            (item["metadata"]["name"].as_str().expect("a name").to_owned(), item)
        });
        let events = watched(&server, &start).await;
        assert_eq!(known(&events), listed.collect(), "a watch and a list tell the same: {events:#?}");
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn refusals_change_nothing_and_a_watch_tells_what_a_list_shows(acts in acts()) {
        walk(&acts);
    }
}
