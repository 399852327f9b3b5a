//! The control API, with plain HTTP as curl sends it.

use reqwest::Method;
use serde_json::{Value, json};
use zenlayer_simulator::{Answer, Apply, PortStatus, Simulator};

use crate::client::{Call, PASSWORD, call, simulator};

async fn control(simulator: &Simulator, method: Method, path: &str, body: &Value) -> (u16, Value) {
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let url = format!("{}/control/{path}", simulator.url());
    let response = http.request(method, url).body(body.to_string()).send().await.expect("an answer");
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

async fn obeyed(simulator: &Simulator, method: Method, path: &str, body: Value) -> Value {
    let (status, answer) = control(simulator, method, path, &body).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

#[tokio::test]
async fn an_account_and_its_ports_can_be_set_up() {
    let simulator = simulator();
    let account = json!({ "name": "acme", "credentials": [{ "id": "A1", "secret": PASSWORD }] });
    obeyed(&simulator, Method::PUT, "accounts", account).await;
    let ports = json!([{ "portId": "port-1", "account": "acme" }, { "portId": "port-2" }]);
    obeyed(&simulator, Method::POST, "ports", ports).await;
    obeyed(&simulator, Method::POST, "ports", json!({ "portId": "port-3", "account": "acme" })).await;
    let listed = Call { key_id: "A1", ..call(&simulator, "DescribePorts", &json!({})) }.send().await;
    assert_eq!(listed.port_ids(), ["port-1", "port-3"]);
    let shown = obeyed(&simulator, Method::GET, "ports", Value::Null).await;
    assert_eq!(shown.as_array().map(Vec::len), Some(3));

    let none = json!({ "perSecond": 0.000_1 });
    obeyed(&simulator, Method::PUT, "accounts/acme/rate-limit", none).await;
    let limited = Call { key_id: "A1", ..call(&simulator, "DescribePorts", &json!({})) };
    assert_eq!((limited.clone().send().await.status, limited.send().await.status), (200, 429));
}

#[tokio::test]
async fn a_port_can_be_moved_frozen_and_taken_away() {
    let simulator = simulator();
    obeyed(&simulator, Method::POST, "ports", json!({ "portId": "port-1" })).await;
    let patch = json!({ "portStatus": "DESTROYING", "frozen": true });
    obeyed(&simulator, Method::PATCH, "ports/port-1", patch).await;
    let shown = obeyed(&simulator, Method::GET, "ports/port-1", Value::Null).await;
    assert_eq!((&shown["portStatus"], &shown["frozen"]), (&json!("DESTROYING"), &json!(true)));
    obeyed(&simulator, Method::DELETE, "ports/port-1", Value::Null).await;
    assert_eq!(control(&simulator, Method::GET, "ports/port-1", &Value::Null).await.0, 404);
}

#[tokio::test]
async fn times_are_written_as_people_write_them() {
    let simulator = simulator();
    obeyed(&simulator, Method::PUT, "times", json!({ "terminate": "1h 30m", "destroy": "0s" })).await;
    let port = json!({ "portId": "port-1", "times": { "destroy": "2h" } });
    obeyed(&simulator, Method::POST, "ports", port).await;
    let port = simulator.port("port-1").expect("the port");
    assert_eq!(port.times.map(|times| times.destroy.as_secs()), Some(7200));
}

#[tokio::test]
async fn rules_can_be_set_shown_and_cleared() {
    let simulator = simulator();
    for (apply, answer) in [
        (json!("never"), json!("lost")),
        (json!({ "after": "5s" }), json!({ "slow": "1s" })),
        (json!({ "late": "5m" }), json!({ "huge": 50_000_000 })),
        (
            json!("now"),
            json!({ "error": { "status": 429, "code": "REQUEST_LIMIT_EXCEEDED", "retryAfter": "30" } }),
        ),
        (json!("now"), json!({ "replaced": { "status": 502, "headers": [["content-type", "text/html"]] } })),
        (json!("now"), json!({ "list": ["stale", "empty", { "without": "port-1" }, { "totalCount": 7 }] })),
    ] {
        let rule = json!({ "action": "DestroyPort", "times": 1, "apply": apply, "answer": answer });
        obeyed(&simulator, Method::POST, "faults", rule).await;
    }
    let shown = obeyed(&simulator, Method::GET, "faults", Value::Null).await;
    assert_eq!(shown.as_array().map(Vec::len), Some(6), "{shown}");
    let rules: Vec<_> = simulator.faults().into_iter().map(|fault| fault.rule).collect();
    assert_eq!((&rules[0].apply, &rules[0].answer), (&Apply::Never, &Answer::Lost));
    obeyed(&simulator, Method::DELETE, "faults/1", Value::Null).await;
    assert_eq!(simulator.faults().len(), 5);
    obeyed(&simulator, Method::DELETE, "faults", Value::Null).await;
    assert!(simulator.faults().is_empty());
}

#[tokio::test]
async fn the_journal_tells_requests_and_transitions() {
    let simulator = simulator();
    obeyed(&simulator, Method::POST, "ports", json!({ "portId": "port-1", "portStatus": "RECYCLED" })).await;
    call(&simulator, "DestroyPort", &json!({ "portId": "port-1" })).send().await;
    let journal = obeyed(&simulator, Method::GET, "journal", Value::Null).await;
    let request = &journal["requests"][0];
    assert_eq!(request["action"], "DestroyPort", "{journal}");
    assert_eq!((&request["reply"], &request["status"]), (&json!("sent"), &json!(200)), "{request}");
    assert_eq!(request["portIds"], json!(["port-1"]));
    let transition = &journal["transitions"][1];
    assert_eq!((&transition["from"], &transition["to"]), (&json!("RECYCLED"), &json!("DESTROYING")));
    assert_eq!(transition["cause"], json!({ "request": 1 }));

    obeyed(&simulator, Method::POST, "reset", Value::Null).await;
    assert!(simulator.journal().requests().is_empty() && simulator.ports().is_empty());
    call(&simulator, "DescribePorts", &json!({})).send().await;
    let journal = simulator.journal();
    assert_eq!(journal.requests()[0].sequence, 2, "numbers are not used again");
    assert_eq!(journal.requests()[0].reply.status(), Some(200));
}

#[tokio::test]
async fn a_wrong_request_is_told_what_is_wrong() {
    let simulator = simulator();
    let (status, answer) =
        control(&simulator, Method::POST, "faults", &json!({ "acton": "DestroyPort" })).await;
    assert_eq!(status, 400);
    assert!(answer["message"].as_str().is_some_and(|message| message.contains("acton")), "{answer}");
    assert_eq!(control(&simulator, Method::GET, "nowhere", &Value::Null).await.0, 404);
    assert!(!simulator.set_status("port-1", PortStatus::Running), "no such port");
}

#[tokio::test]
async fn it_says_that_it_is_healthy() {
    let simulator = simulator();
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let response = http.get(format!("{}/healthz", simulator.url())).send().await.expect("an answer");
    assert_eq!(response.status(), 200);
}
