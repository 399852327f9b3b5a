//! The watch of the objects.

use std::sync::Arc;

use axum::http::Method;
use futures::StreamExt;
use zenlayer_simulator::PortStatus;

use super::api_server::Failure;
use super::stage::{Stage, object};
use crate::api::{APPROVE_ANNOTATION, ZenlayerPort, ZenlayerPortStatus};
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

#[test]
fn a_person_s_change_is_looked_at_and_the_operator_s_own_status_is_not() {
    let is_looked_at = |change: fn(&mut ZenlayerPort)| {
        let mut changed = object("edge");
        change(&mut changed);
        streams::is_asked_anew(&object("edge"), &changed)
    };
    assert!(is_looked_at(|edge| {
        edge.metadata.annotations =
            Some([(APPROVE_ANNOTATION.to_owned(), "InUse-0123abcd".to_owned())].into());
    }));
    assert!(is_looked_at(|edge| edge.metadata.generation = Some(2)));
    assert!(is_looked_at(|edge| edge.metadata.finalizers = None));
    assert!(is_looked_at(|edge| edge.metadata.uid = Some("another".to_owned())));
    assert!(!is_looked_at(|edge| edge.status = Some(ZenlayerPortStatus::default())));
}
