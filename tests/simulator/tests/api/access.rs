//! Who is let in.

use serde_json::json;
use zenlayer_simulator::{Account, Port, RateLimit};

use crate::client::{Answered, Call, KEY, PASSWORD, call, now, simulator};

async fn refused(call: Call, status: u16, code: &str) -> Answered {
    let answered = call.send().await;
    assert_eq!((answered.status, answered.code()), (status, code), "{answered:?}");
    answered
}

#[tokio::test]
async fn a_signed_request_is_answered_in_the_documented_envelope() {
    let simulator = simulator();
    let answered = call(&simulator, "DescribePorts", &json!({})).send().await;
    assert_eq!(answered.status, 200, "{answered:?}");
    let id = answered.body["requestId"].as_str().expect("a request id");
    assert_eq!(answered.body["response"]["requestId"], id);
    let groups: Vec<usize> = id.strip_prefix('T').expect("T first").split('-').map(str::len).collect();
    assert_eq!(groups, [8, 4, 4, 4, 12], "{id} is not T and a UUID");
    assert_eq!(id, id.to_uppercase());
}

#[tokio::test]
async fn the_content_type_is_signed_as_it_came() {
    let content_type = "application/json; charset=utf-8";
    let simulator = simulator();
    let answered = Call { content_type, ..call(&simulator, "DescribePorts", &json!({})) }.send().await;
    assert_eq!(answered.status, 200, "{answered:?}");
}

#[tokio::test]
async fn a_wrong_password_key_or_body_fails_the_signature() {
    let simulator = simulator();
    let right = call(&simulator, "DescribePorts", &json!({}));
    refused(Call { password: "other", ..right.clone() }, 401, "AUTHFAILURE_SIGNATURE_FAILURE").await;
    refused(Call { key_id: "other", ..right.clone() }, 401, "AUTHFAILURE_SIGNATURE_FAILURE").await;
    let stolen = format!(
        "ZC2-HMAC-SHA256 Credential={KEY}, SignedHeaders=content-type;host, Signature={}",
        "0".repeat(64)
    );
    refused(Call { authorization: Some(stolen), ..right }, 401, "AUTHFAILURE_SIGNATURE_FAILURE").await;
}

#[tokio::test]
async fn a_malformed_authorization_is_told_from_a_wrong_one() {
    let simulator = simulator();
    for malformed in ["", "Basic a2V5", "ZC2-HMAC-SHA256 Credential=KEY", "Bearer unknown"] {
        let spoiled = Call {
            authorization: Some(malformed.to_owned()),
            ..call(&simulator, "DescribePorts", &json!({}))
        };
        refused(spoiled, 401, "AUTHFAILURE_INVALID_AUTHORIZATION").await;
    }
}

#[tokio::test]
async fn a_clock_may_be_five_minutes_off_and_no_more() {
    let simulator = simulator();
    let at = |timestamp| Call { timestamp, ..call(&simulator, "DescribePorts", &json!({})) };
    for off in [-290, 290] {
        assert_eq!(at(now() + off).send().await.status, 200, "{off} s off");
    }
    for off in [-310, 310] {
        refused(at(now() + off), 401, "AUTHFAILURE_SIGNATURE_EXPIRED").await;
    }
}

#[tokio::test]
async fn an_unknown_version_or_action_is_refused() {
    let simulator = simulator();
    let version = Call { version: "2020-01-01", ..call(&simulator, "DescribePorts", &json!({})) };
    refused(version, 400, "INVALID_PARAMETER_VALUE").await;
    refused(call(&simulator, "DropPorts", &json!({})), 401, "AUTHFAILURE_UNAUTHORIZED_OPERATION").await;
}

#[tokio::test]
async fn a_bearer_token_needs_no_signature() {
    let simulator = simulator();
    simulator.put_account(Account::new("acme").token("ci", "TOKEN"));
    simulator.seed(Port::new("port-1").account("acme"));
    let bearer = Some("Bearer TOKEN".to_owned());
    let answered =
        Call { authorization: bearer, ..call(&simulator, "DescribePorts", &json!({})) }.send().await;
    assert_eq!(answered.port_ids(), ["port-1"]);
    let journal = simulator.journal();
    let key = journal.requests().last().and_then(|request| request.key.as_deref());
    assert_eq!(key, Some("ci"), "the journal names the token and does not show it");
}

#[tokio::test]
async fn accounts_do_not_see_each_others_ports_and_keys_of_one_account_do() {
    let simulator = simulator();
    simulator.put_account(Account::new("acme").key("A1", PASSWORD).key("A2", PASSWORD));
    simulator.seed(Port::new("port-1").account("acme"));
    let as_key = |key_id, action, body| Call { key_id, ..call(&simulator, action, &body) };
    for key_id in ["A1", "A2"] {
        let answered = as_key(key_id, "DescribePorts", json!({})).send().await;
        assert_eq!(answered.port_ids(), ["port-1"], "as {key_id}");
    }
    let foreign = as_key(KEY, "DescribePorts", json!({ "portIds": ["port-1"] })).send().await;
    assert_eq!((foreign.status, foreign.total_count()), (200, 0), "simply not listed");
    let destroy = as_key(KEY, "DestroyPort", json!({ "portId": "port-1" }));
    refused(destroy, 404, "SELF_SERVICE_PORT_NOT_FOUND").await;
}

#[tokio::test]
async fn a_key_can_be_denied_a_single_action() {
    let simulator = simulator();
    simulator.put_account(Account::new("default").key(KEY, PASSWORD).denied("DestroyPort"));
    simulator.seed(Port::new("port-1"));
    let destroy = call(&simulator, "DestroyPort", &json!({ "portId": "port-1" }));
    refused(destroy, 401, "AUTHFAILURE_UNAUTHORIZED_OPERATION").await;
    assert_eq!(call(&simulator, "DescribePorts", &json!({})).send().await.status, 200);
}

#[tokio::test]
async fn replacing_an_account_revokes_its_keys() {
    let simulator = simulator();
    simulator.put_account(Account::new("default").key("NEW", PASSWORD));
    let old = call(&simulator, "DescribePorts", &json!({}));
    refused(old.clone(), 401, "AUTHFAILURE_SIGNATURE_FAILURE").await;
    assert_eq!(Call { key_id: "NEW", ..old }.send().await.status, 200);
}

#[tokio::test]
async fn a_rate_limit_holds_for_one_account_with_all_its_keys() {
    let simulator = simulator();
    let retry_after = Some("7".to_owned());
    let limit = RateLimit { per_second: 0.000_1, retry_after };
    simulator.put_account(Account::new("acme").key("A1", PASSWORD).key("A2", PASSWORD).rate_limit(limit));
    let as_key = |key_id| Call { key_id, ..call(&simulator, "DescribePorts", &json!({})) };
    assert_eq!(as_key("A1").send().await.status, 200);
    let answered = refused(as_key("A2"), 429, "REQUEST_LIMIT_EXCEEDED").await;
    assert_eq!(answered.headers["retry-after"], "7");
    assert_eq!(as_key(KEY).send().await.status, 200, "another account");
    simulator.set_rate_limit("acme", None);
    assert_eq!(as_key("A2").send().await.status, 200);
}
