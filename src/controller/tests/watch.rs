//! The watch of the objects.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::http::Method;
use futures::StreamExt;
use zenlayer_simulator::PortStatus;

use super::api_server::Failure;
use super::stage::{NAMESPACE, Stage, object, port_of};
use crate::api::{APPROVE_ANNOTATION, ZenlayerPort, ZenlayerPortStatus};
use crate::controller::{pass, streams};
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

#[tokio::test]
async fn a_list_is_read_to_its_end_however_long_that_takes() {
    let mut stage = Stage::with(|setting| setting.timing.relist = std::time::Duration::from_millis(50));
    stage.own("edge", PortStatus::Recycled);
    for _ in 0..5 {
        stage.api.on(Method::GET, "/zenlayerports", async {
            tokio::time::sleep(std::time::Duration::from_millis(150)).await;
            None
        });
    }
    let (_store, writer) = kube::runtime::reflector::store();
    let (client, shared) = (stage.api.client(), Arc::clone(&stage.shared));
    let objects = streams::objects(client, None, writer, shared, Readiness::after(1));
    let first = std::pin::pin!(objects).next().await.expect("the watch goes on").expect("errors stay inside");
    assert_eq!(first.metadata.name.as_deref(), Some("edge"));
    assert_eq!(stage.api.requests_for(&Method::GET, "/zenlayerports").len(), 1, "it is not begun anew");
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

#[tokio::test]
async fn nothing_is_called_for_a_deletion_that_the_watch_has_not_shown() {
    const NAMES: [&str; 3] = ["edge-1", "edge-2", "edge-3"];
    let mut stage = Stage::with(|setting| {
        setting.gates.mass_deletion_threshold = NonZeroU32::new(2);
        setting.timing.quiet = std::time::Duration::ZERO;
    });
    for name in NAMES {
        stage.own(name, PortStatus::Running);
        stage.pass_until_shown(name, "Running").await;
    }
    // The watch stands still, and does not show that all three are deleted.
    let before = NAMES.map(|name| Arc::new(stage.get(name).expect("it is there")));
    for name in NAMES {
        stage.api.delete::<ZenlayerPort>(Some(NAMESPACE), name);
        stage.cloud.set_status(&port_of(name), PortStatus::Recycled);
    }
    for _ in 0..20 {
        for cached in &before {
            pass::guarded(Arc::clone(cached), Arc::clone(&stage.shared)).await.expect("it ends well");
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(NAMES.map(|name| stage.sends(name)), [0, 0, 0], "three deletions at once are too many");
    for name in NAMES {
        let object = stage.get(name).expect("it stays");
        assert_eq!(super::stage::shown(&object).0, "ClusterStateUnknown", "{name}");
    }
    for name in NAMES {
        stage.notice(name);
    }
    for name in NAMES {
        stage.pass_until_shown(name, "MassDeletion").await;
    }
}
