//! The watch of the objects.

use std::sync::Arc;

use axum::http::Method;
use futures::StreamExt;
use zenlayer_simulator::PortStatus;

use super::api_server::Failure;
use super::stage::Stage;
use crate::controller::streams;
use crate::server::Readiness;

#[tokio::test]
async fn a_list_that_fails_is_counted_once_and_made_again() {
    let mut stage = Stage::new();
    stage.own("edge", PortStatus::Recycled);
    stage.api.fail(Method::GET, "/zenlayerports", Failure::new(500, "InternalError", "no lists today"));
    let (_store, writer) = kube::runtime::reflector::store();
    let (client, shared) = (stage.api.client(), Arc::clone(&stage.shared));
    // The pause before it is tried again is over as soon as nothing else happens.
    tokio::time::pause();
    let objects = streams::objects(client, None, writer, shared, Readiness::after(1));
    let first = std::pin::pin!(objects).next().await.expect("the watch goes on").expect("errors stay inside");
    assert_eq!(first.metadata.name.as_deref(), Some("edge"));
    assert_eq!(stage.shared.metrics.watch_errors.get(), 1);
    assert_eq!(stage.api.requests_for(&Method::GET, "/zenlayerports").len(), 2, "{:#?}", stage.api);
}
