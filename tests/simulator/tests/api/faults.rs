//! Each kind of fault, as a client meets it.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use serde_json::json;
use zenlayer_simulator::{Answer, Apply, ListFault, Port, PortStatus, Reply, Rule, Simulator, Times};

use crate::client::{Answered, Call, call, eventually, simulator};

/// A simulator with a port in the bin that stays `DESTROYING` once destroyed.
fn with_recycled_port(rule: Rule) -> Simulator {
    let simulator = simulator();
    simulator.set_times(Times { destroy: Duration::from_hours(1), ..Times::INSTANT });
    simulator.seed(Port::new("port-1").status(PortStatus::Recycled));
    simulator.fault(rule);
    simulator
}

fn destroy(simulator: &Simulator) -> Call {
    call(simulator, "DestroyPort", &json!({ "portId": "port-1" }))
}

async fn list(simulator: &Simulator) -> Answered {
    call(simulator, "DescribePorts", &json!({ "portIds": ["port-1", "port-2"] })).send().await
}

fn destroys(simulator: &Simulator) -> usize {
    simulator.with_journal(|journal| journal.committed_destroys("port-1"))
}

fn last_reply(simulator: &Simulator) -> Reply {
    simulator.with_journal(|journal| journal.requests().last().expect("a request").reply.clone())
}

/// Whether the peer's RST is among the causes.
fn was_reset(error: &reqwest::Error) -> bool {
    std::iter::successors(error.source(), |&error| error.source())
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::ConnectionReset)
}

#[tokio::test]
async fn an_answer_can_be_lost_after_the_commit() {
    let simulator = with_recycled_port(Rule::on("DestroyPort").once().answer(Answer::Lost));
    let error = destroy(&simulator).response().await.expect_err("no answer");
    assert!(!was_reset(&error), "closed, not reset: {error:?}");
    assert_eq!((destroys(&simulator), last_reply(&simulator)), (1, Reply::Unanswered));
    let again = destroy(&simulator).send().await;
    assert_eq!(again.code(), "OPERATION_FAILED_FOR_RECYCLE_RESOURCE", "it had landed");
}

#[tokio::test]
async fn a_connection_can_be_reset_after_the_commit() {
    let simulator = with_recycled_port(Rule::on("DestroyPort").once().answer(Answer::Reset));
    let error = destroy(&simulator).response().await.expect_err("no answer");
    assert!(was_reset(&error), "{error:?}");
    assert_eq!((destroys(&simulator), last_reply(&simulator)), (1, Reply::Unanswered));
}

#[tokio::test]
async fn a_request_can_be_lost_before_the_commit() {
    let rule = Rule::on("DestroyPort").once().apply(Apply::Never).answer(Answer::Lost);
    let simulator = with_recycled_port(rule);
    destroy(&simulator).response().await.expect_err("no answer");
    assert_eq!(destroys(&simulator), 0);
    assert_eq!(destroy(&simulator).send().await.status, 200, "the rule is spent");
}

#[tokio::test]
async fn a_lost_request_can_be_applied_late() {
    let rule = Rule::on("DestroyPort").apply(Apply::Late(Duration::from_millis(50))).answer(Answer::Lost);
    let simulator = with_recycled_port(rule);
    destroy(&simulator).response().await.expect_err("no answer");
    eventually("the late commit", || destroys(&simulator) == 1).await;
}

#[tokio::test]
async fn a_delayed_request_is_applied_though_its_client_hung_up() {
    let rule = Rule::on("DestroyPort").apply(Apply::After(Duration::from_millis(200)));
    let simulator = with_recycled_port(rule);
    let client = tokio::spawn(destroy(&simulator).response());
    eventually("the arrival", || simulator.with_journal(|it| it.calls("DestroyPort").count() == 1)).await;
    client.abort();
    eventually("the commit", || destroys(&simulator) == 1).await;
}

#[tokio::test]
async fn an_answer_can_be_held_back_after_the_commit() {
    let rule = Rule::on("DestroyPort").delay_answer(Duration::from_hours(1));
    let simulator = with_recycled_port(rule);
    let waiting = tokio::spawn(destroy(&simulator).response());
    eventually("the commit", || destroys(&simulator) == 1).await;
    assert_eq!(last_reply(&simulator), Reply::Pending);
    waiting.abort();
}

#[tokio::test]
async fn an_accepted_change_may_never_be_made() {
    let simulator = with_recycled_port(Rule::on("DestroyPort").apply(Apply::Never));
    assert_eq!(destroy(&simulator).send().await.status, 200);
    assert_eq!(destroys(&simulator), 0);
}

#[tokio::test]
async fn a_request_can_be_throttled_or_refused() {
    let simulator = with_recycled_port(Rule::on("DestroyPort").once().throttle(Some("30")));
    let throttled = destroy(&simulator).send().await;
    assert_eq!((throttled.status, throttled.code()), (429, "REQUEST_LIMIT_EXCEEDED"));
    assert_eq!(throttled.headers["retry-after"], "30");
    simulator.fault(Rule::on("DestroyPort").once().refuse(503, "SERVICE_TEMPORARY_UNAVAILABLE"));
    let refused = destroy(&simulator).send().await;
    assert_eq!((refused.status, refused.code()), (503, "SERVICE_TEMPORARY_UNAVAILABLE"));
    assert_eq!(last_reply(&simulator).code(), Some("SERVICE_TEMPORARY_UNAVAILABLE"));
    assert_eq!(destroys(&simulator), 0, "neither was applied");
}

#[tokio::test]
async fn a_code_can_hide_in_a_200() {
    let rule = Rule::any().answer(Answer::code_in_200("INTERNAL_SERVER_ERROR"));
    let answered = list(&with_recycled_port(rule)).await;
    assert_eq!((answered.status, answered.code()), (200, "INTERNAL_SERVER_ERROR"));
}

#[tokio::test]
async fn a_body_can_be_html_empty_wrong_or_elsewhere() {
    for (answer, status, body) in [
        (Answer::html(200), 200, "<!DOCTYPE html><html><body><h1>200</h1></body></html>"),
        (Answer::html(502), 502, "<!DOCTYPE html><html><body><h1>502</h1></body></html>"),
        (Answer::empty(), 200, ""),
        (Answer::json(200, "{\"response\":"), 200, "{\"response\":"),
        (Answer::redirect("http://127.0.0.1:9/"), 307, ""),
    ] {
        let simulator = with_recycled_port(Rule::any().answer(answer));
        let response = destroy(&simulator).response().await.expect("an answer");
        assert_eq!(response.status(), status);
        assert_eq!(response.text().await.expect("a body"), body);
        assert_eq!((destroys(&simulator), last_reply(&simulator).status()), (1, Some(status)));
    }
}

#[tokio::test]
async fn a_body_can_end_before_its_announced_length() {
    let simulator = with_recycled_port(Rule::any().answer(Answer::Truncated));
    let mut response = destroy(&simulator).response().await.expect("a head");
    let announced = response.content_length().expect("a content length");
    let mut received = 0;
    let ended = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => received += chunk.len() as u64,
            ended => break ended,
        }
    };
    ended.expect_err("broken off");
    assert_eq!(received, announced / 2);
}

#[tokio::test]
async fn a_body_can_come_byte_by_byte() {
    let simulator = with_recycled_port(Rule::any().answer(Answer::Slow(Duration::from_millis(1))));
    let mut response = destroy(&simulator).response().await.expect("a head");
    let first = response.chunk().await.expect("a chunk").expect("not the end");
    assert!((first.len() as u64) < response.content_length().expect("a length"), "{first:?}");
}

#[tokio::test]
async fn a_body_can_be_huge() {
    let simulator = with_recycled_port(Rule::any().answer(Answer::Huge(1_000_000)));
    let response = destroy(&simulator).response().await.expect("a head");
    assert_eq!(response.content_length(), None, "the client must count");
    assert_eq!(response.bytes().await.expect("a body").len(), 1_000_000);
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_told_to_the_author_of_its_rule() {
    let simulator = with_recycled_port(Rule::any().answer(Answer::json(7105, "{}")));
    let response = destroy(&simulator).response().await.expect("an answer");
    assert_eq!(response.status(), 500);
    assert!(response.text().await.expect("a body").contains("not HTTP"));
}

#[tokio::test]
async fn a_list_can_lie() {
    use ListFault::{Empty, IgnoreIds, TotalCount, Twice, Without};
    let without = || Without("port-1".to_owned());
    for (lies, ids, total_count) in [
        (vec![Empty], vec![], 0),
        (vec![without()], vec!["port-2"], 1),
        (vec![Twice], vec!["port-1", "port-1", "port-2", "port-2"], 4),
        (vec![without(), Twice], vec!["port-2", "port-2"], 2),
        (vec![TotalCount(7)], vec!["port-1", "port-2"], 7),
        (vec![IgnoreIds], vec!["port-1", "port-2", "port-3"], 3),
    ] {
        let simulator = with_recycled_port(Rule::any().list(lies.clone()));
        simulator.seed(Port::new("port-2"));
        simulator.seed(Port::new("port-3"));
        let answered = list(&simulator).await;
        assert_eq!((answered.port_ids(), answered.total_count()), (ids, total_count), "{lies:?}");
    }
}

#[tokio::test]
async fn a_list_can_be_stale() {
    let simulator = with_recycled_port(Rule::on("DescribePorts").list([ListFault::Stale]));
    assert_eq!(destroy(&simulator).send().await.status, 200);
    simulator.remove_port("port-1");
    assert_eq!(list(&simulator).await.first_status(), "RECYCLED", "as when the rule was set");
    simulator.clear_faults();
    assert_eq!(list(&simulator).await.total_count(), 0);
}

#[tokio::test]
async fn a_rule_meets_only_what_it_names_and_only_as_often_as_it_says() {
    let rule = Rule::on("DescribePorts").key("KEY").account("default").port("port-2");
    let simulator = with_recycled_port(rule.skip(1).times(2).refuse(500, "INTERNAL_SERVER_ERROR"));
    let other = call(&simulator, "DescribePorts", &json!({ "portIds": ["port-1"] }));
    assert_eq!(other.send().await.status, 200, "another port");
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(list(&simulator).await.status);
    }
    assert_eq!(statuses, [200, 500, 500, 200]);
    let faults = simulator.faults();
    assert_eq!((faults[0].seen, faults[0].spoiled), (4, 2), "{faults:?}");
    let marked = simulator.journal().requests().iter().filter(|it| it.fault == Some(faults[0].id)).count();
    assert_eq!(marked, 2, "the journal names the rule");
}

#[tokio::test]
async fn a_rule_can_answer_an_action_that_the_simulator_does_not_know() {
    let body = r#"{"requestId":"T1","response":{"requestId":"T1","totalCount":0,"dataSet":[]}}"#;
    let rule = Rule::on("DescribePrivateConnects").answer(Answer::json(200, body));
    let simulator = with_recycled_port(rule);
    let answered = call(&simulator, "DescribePrivateConnects", &json!({})).send().await;
    assert_eq!((answered.status, answered.total_count()), (200, 0));
}

#[tokio::test]
async fn dropping_the_last_handle_closes_the_listener() {
    let simulator = simulator();
    let late = destroy(&simulator);
    let handle = simulator.clone();
    drop(simulator);
    assert_eq!(destroy(&handle).send().await.status, 404, "a handle keeps it up");
    drop(handle);
    late.response().await.expect_err("nobody listens");
}
