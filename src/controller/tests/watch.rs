//! The watch of the objects.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::http::Method;
use kube::runtime::watcher::Event;
use zenlayer_simulator::PortStatus;

use super::api_server::Failure;
use super::stage::{NAMESPACE, Stage, object, port_of};
use crate::api::ZenlayerPort;
use crate::controller::streams::{self, Intake, Watch};
use crate::index::{Received, Reference};
use crate::server::Readiness;

/// Follows the objects until one is woken.
async fn first_woken(stage: &mut Stage) -> Reference {
    let watch = Watch {
        client: stage.api.client(),
        namespace: None,
        relist: stage.timing.relist,
        clock: stage.clock,
        metrics: stage.metrics.clone(),
    };
    let registrations = Arc::clone(&stage.registrations);
    let follow = std::pin::pin!(streams::follow(watch, registrations, Readiness::after(1)));
    let woken = std::pin::pin!(stage.woken());
    match futures::future::select(woken, follow).await {
        futures::future::Either::Left((woken, _)) => woken,
        futures::future::Either::Right(((), _)) => panic!("the watch goes on"),
    }
}

#[tokio::test]
async fn a_list_that_fails_is_counted_once_and_made_again() {
    let mut stage = Stage::new();
    stage.api.create(&object("edge"));
    stage.api.fail(Method::GET, "/zenlayerports", Failure::new(500, "InternalError", "no lists today"));
    // The pause before it is tried again is over as soon as nothing else happens.
    tokio::time::pause();
    assert_eq!(first_woken(&mut stage).await, Reference::of(&object("edge")));
    assert_eq!(stage.metrics.watch_errors.get(), 1);
    assert_eq!(stage.api.requests_for(&Method::GET, "/zenlayerports").len(), 2, "{:#?}", stage.api);
}

#[tokio::test]
async fn what_a_later_list_does_not_show_is_gone() {
    let stage = Stage::new();
    let index = &stage.registrations.index;
    let mut intake = Intake::new(Arc::clone(&stage.registrations), None, stage.clock, Readiness::after(1));
    for list in [&["edge-1", "edge-2"][..], &["edge-2"]] {
        intake.take_in(Event::Init);
        for name in list {
            intake.take_in(Event::InitApply(Received(Ok(Box::new(object(name))))));
        }
        intake.take_in(Event::InitDone);
    }
    let is_known = |name| index.newest(&Reference::of(&object(name))).is_some();
    assert_eq!(["edge-1", "edge-2"].map(is_known), [false, true]);
}

#[tokio::test]
async fn a_list_is_read_to_its_end_however_long_that_takes() {
    let mut stage = Stage::with(|setting| setting.timing.relist = std::time::Duration::from_millis(50));
    stage.api.create(&object("edge"));
    for _ in 0..5 {
        stage.api.on(Method::GET, "/zenlayerports", async {
            tokio::time::sleep(std::time::Duration::from_millis(150)).await;
            None
        });
    }
    assert_eq!(first_woken(&mut stage).await, Reference::of(&object("edge")));
    assert_eq!(stage.api.requests_for(&Method::GET, "/zenlayerports").len(), 1, "it is not begun anew");
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
        stage.reconcile_until_shown(name, "Running").await;
    }
    // The watch stands still, and does not show that all three are deleted.
    for name in NAMES {
        stage.api.delete::<ZenlayerPort>(Some(NAMESPACE), name);
        stage.cloud.set_status(&port_of(name), PortStatus::Recycled);
    }
    for _ in 0..20 {
        for name in NAMES {
            stage.reconcile_unwatched(name).await;
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
        stage.reconcile_until_shown(name, "MassDeletion").await;
    }
}
