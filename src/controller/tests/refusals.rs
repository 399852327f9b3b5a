//! What Zenlayer refuses: its words, and what the operator waits for because of them.

use std::time::Duration;

use axum::http::Method;
use zenlayer_simulator::{Port, PortStatus, PortUser, Rule};

use super::stage::{Stage, object, outcome, port_of, shown};
use crate::answer::{Refusal, RefusalKind};
use crate::api::CallOutcome;
use crate::port::PortId;
use crate::zenlayer::{Batch, Priority};

#[tokio::test]
async fn a_refused_call_is_told_in_status_condition_and_event_with_zenlayers_words() {
    let mut stage = Stage::new();
    stage.own("edge", PortStatus::Recycled);
    stage.reconcile_until_shown("edge", "PortRecycled").await;
    stage.cloud.fault(Rule::on("DestroyPort").refuse(400, "OPERATION_DENIED_PORT_IN_USE"));
    stage.delete("edge");
    let message = stage.reconcile_until_shown("edge", "Refused").await;
    let object = stage.get("edge").expect("it stays");
    let Some(CallOutcome::Refused(refusal)) = outcome(&object) else { panic!("{object:#?}") };
    let Refusal { kind: RefusalKind::Other, message: words, request_id: Some(_), .. } = refusal else {
        panic!("{refusal:?}")
    };
    assert!(!words.is_empty() && message.contains(&refusal.to_string()), "{message}");
    let events = stage.api.requests_for(&Method::POST, "/events");
    let notes = events.iter().filter(|event| event.body["reason"] == "Refused");
    let notes: Vec<_> = notes.map(|event| event.body["note"].as_str().unwrap_or_default()).collect();
    assert_eq!(notes, [message], "{events:#?}");
}

#[tokio::test]
async fn a_429_with_an_unknown_code_is_throttled_and_asks_nothing_else() {
    let mut stage = Stage::new();
    stage.own("edge", PortStatus::Recycled);
    stage.reconcile_until_shown("edge", "PortRecycled").await;
    stage.cloud.fault(Rule::on("DestroyPort").refuse(429, "TOO_FAST"));
    stage.delete("edge");
    let message = stage.reconcile_until_shown("edge", "Throttled").await;
    assert!(message.contains("refused DestroyPort") && message.contains("TOO_FAST"), "{message}");
    stage.reconcile("edge").await.expect("the reconcile ends well");
    let asked = stage.cloud.with_journal(|journal| journal.calls("DescribePrivateConnects").count());
    assert_eq!(asked, 0, "a throttled account is not asked what uses its ports");
}

#[tokio::test]
async fn what_uses_a_port_is_told_when_it_is_known_and_no_reconcile_waits_for_it() {
    let mut stage = Stage::new();
    stage.own("edge", PortStatus::Recycled);
    stage.reconcile_until_shown("edge", "PortRecycled").await;
    stage.cloud.fault(Rule::on("DestroyPort").refuse(400, "OPERATION_DENIED_PORT_IN_USE"));
    // Longer than the test would wait for a reconcile.
    let hangs = stage.cloud.fault(Rule::on("DescribePrivateConnects").delay_answer(Duration::from_hours(1)));
    stage.delete("edge");
    stage.reconcile_until_shown("edge", "Refused").await;
    stage.reconcile("edge").await.expect("it does not wait for the list");
    let edge = stage.get("edge").expect("it stays");
    assert_eq!(shown(&edge).0, "Refused", "what uses it is not known");
    stage.cloud.clear_fault(hangs);
}

#[tokio::test]
async fn a_port_that_zenlayer_refuses_to_release_is_shown_as_in_use_by_what_is_listed() {
    let mut stage = Stage::new();
    let port = Port::new(port_of("edge")).account("tenant").status(PortStatus::Recycled);
    stage.cloud.seed(port.used_by(PortUser::PrivateConnect("connect-1".to_owned())));
    stage.api.create(&object("edge"));
    stage.reconcile_until_shown("edge", "PortRecycled").await;
    stage.delete("edge");
    let message = stage.reconcile_until_shown("edge", "InUse").await;
    assert!(
        message.contains("in use by private connect connect-1. Zenlayer refused DestroyPort"),
        "{message}"
    );
}

#[tokio::test]
async fn a_call_that_waits_for_the_end_of_a_pause_is_shown_as_throttled_and_until_when() {
    let mut stage = Stage::new();
    stage.own("edge", PortStatus::Recycled);
    stage.reconcile_until_shown("edge", "PortRecycled").await;
    stage.delete("edge");
    let (_, gathered) = stage.decide_to_call("edge").await;
    let account = gathered.account.expect("it has credentials");
    stage.cloud.fault(Rule::on("DescribePorts").port("port-other").throttle(Some("240")));
    let port = [PortId::new("port-other")];
    let turn = account.client().read_permit(Priority::Release).await.expect("nothing is paused");
    let read =
        account.client().describe_ports(turn, Batch::new(&port).expect("a batch"), Priority::Release).await;
    read.expect_err("it is throttled");
    let until = account.paused().expect("a pause").until;
    stage.reconcile("edge").await.expect("the reconcile ends well");
    let (reason, message) = stage.get("edge").as_ref().map(shown).expect("it stays");
    assert_eq!(reason, "Throttled", "{message}");
    assert!(
        message.contains(&format!("Zenlayer asked the operator to send no requests before {until:.0}")),
        "{message}"
    );
    assert_eq!(stage.sends("edge"), 0);
}
