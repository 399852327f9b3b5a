//! Events: those that are lost are counted, and no others.

use axum::http::Method;
use zenlayer_simulator::PortStatus;

use super::api_server::Failure;
use super::stage::Stage;

#[tokio::test]
async fn only_an_event_that_nobody_can_read_counts_as_lost() {
    let mut stage = Stage::new();
    let lost = |stage: &Stage| stage.metrics.events_lost.get();
    stage.api.fail(Method::POST, "/events", Failure::new(500, "InternalError", "no Events today"));
    stage.own("edge", PortStatus::Recycled);
    stage.reconcile_until_shown("edge", "PortRecycled").await;
    let tried = stage.api.requests_for(&Method::POST, "/events").len();
    assert_eq!((tried, lost(&stage)), (1, 1), "{:#?}", stage.api);
    stage.api.fail(Method::POST, "/events", Failure::new(409, "AlreadyExists", "it was told before"));
    stage.delete("edge");
    stage.reconcile_until_shown("edge", "Destroying").await;
    stage.cloud.remove_port("port-edge");
    stage.reconcile_until("edge", "the object is gone", |object| object.is_none()).await;
    let tried = stage.api.requests_for(&Method::POST, "/events").len();
    assert!(tried >= 3, "one was there already and another arrived: {:#?}", stage.api);
    assert_eq!(lost(&stage), 1);
}
