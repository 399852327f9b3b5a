//! What a reconcile does when something gets in between, and what follows a reconcile that fails.

use std::collections::BTreeMap;

use axum::http::Method;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ListParams;
use zenlayer_simulator::{Account, PortStatus};

use super::api_server::Failure;
use super::stage::{
    HOME, NAMESPACE, OTHER_KEY, OTHER_PASSWORD, SECRET, Stage, object, outcome, port_of, secret,
};
use crate::api::{CallOutcome, ZenlayerPort};
use crate::controller::error::ReconcileError;

#[tokio::test]
async fn an_object_made_anew_under_the_name_is_left_to_a_reconcile_of_its_own() {
    let mut stage = Stage::new();
    stage.own("edge", PortStatus::Recycled);
    stage.reconcile_until_shown("edge", "PortRecycled").await;
    stage.delete("edge");
    stage.decide_to_call("edge").await;
    let api = stage.api.clone();
    stage.api.on(Method::PUT, "/edge/status", async move {
        // The last finalizer goes, and the object with it.
        api.edit(Some(NAMESPACE), "edge", |old: &mut ZenlayerPort| old.metadata.finalizers = None);
        let mut new = object("edge");
        new.metadata.finalizers = None;
        api.create(&new);
        None
    });
    stage.reconcile("edge").await.expect("the reconcile ends well");
    let new = stage.get("edge").expect("it was made anew");
    assert_eq!((new.metadata.finalizers, new.status), (None, None), "{:#?}", stage.api);
    assert_eq!(stage.sends("edge"), 0);
}

#[tokio::test]
async fn an_outcome_is_not_written_onto_the_record_of_a_newer_call() {
    let mut stage = Stage::new();
    stage.own("edge", PortStatus::Recycled);
    stage.reconcile_until_shown("edge", "PortRecycled").await;
    stage.delete("edge");
    stage.decide_to_call("edge").await;
    stage.api.on(Method::PUT, "/edge/status", async { None });
    let api = stage.api.clone();
    stage.api.on(Method::PUT, "/edge/status", async move {
        api.edit(Some(NAMESPACE), "edge", |object: &mut ZenlayerPort| {
            let release = object.status.as_mut().and_then(|status| status.release.as_mut());
            let call = release.and_then(|release| release.call.as_mut());
            call.expect("it is on record before its outcome").attempt = 9;
        });
        None
    });
    stage.reconcile("edge").await.expect("the reconcile ends well");
    let object = stage.get("edge").expect("it stays");
    assert_eq!(outcome(&object), Some(&CallOutcome::Pending {}), "another replica's call: {object:#?}");
}

#[tokio::test]
async fn the_finalizer_waits_until_the_credential_is_kept_as_a_copy() {
    let mut stage = Stage::new();
    let mut unowned = object("edge");
    unowned.metadata.finalizers = None;
    stage.own_by(&unowned, PortStatus::Recycled);
    let refused = Failure::new(403, "Forbidden", "exceeded quota");
    for method in [Method::POST, Method::PUT, Method::PATCH] {
        stage.api.fail(method, &format!("/{HOME}/secrets"), refused.clone());
    }
    stage.reconcile("edge").await.ok();
    let has_finalizer = |stage: &Stage| stage.get("edge").expect("it is there").has_finalizer();
    assert!(!has_finalizer(&stage), "{:#?}", stage.api);
    stage
        .reconcile_until("edge", "it is owned", |object| object.is_some_and(ZenlayerPort::has_finalizer))
        .await;
    let copies = Api::<Secret>::namespaced(stage.api.client(), HOME).list(&ListParams::default()).await;
    assert_eq!(copies.expect("a list").items.len(), 1, "the copy is there by then: {:#?}", stage.api);
}

#[tokio::test]
async fn a_key_that_zenlayer_rejects_is_looked_for_again_at_once() {
    let mut stage = Stage::new();
    stage.own("edge", PortStatus::Recycled);
    stage.reconcile_until_shown("edge", "PortRecycled").await;
    stage.cloud.put_account(Account::new("tenant").key(OTHER_KEY, OTHER_PASSWORD));
    stage.api.edit(Some(NAMESPACE), SECRET, |it| *it = secret(SECRET, OTHER_KEY, OTHER_PASSWORD));
    // What was read of a Secret counts for a minute, which does not pass here.
    let seen_by_both = |object: Option<&ZenlayerPort>| {
        let identity = object.and_then(|object| object.status.as_ref()?.identity.as_ref());
        identity.is_some_and(|identity| identity.seen_by.len() == 2)
    };
    stage.reconcile_until("edge", "the other key has shown the port", seen_by_both).await;
    assert_eq!(stage.sends("edge"), 0, "{}", port_of("edge"));
}

#[tokio::test]
async fn the_pause_grows_with_each_reconcile_that_fails_and_begins_again_after_one_that_does_not() {
    let mut stage = Stage::new();
    stage.own("edge", PortStatus::Recycled);
    let edge = stage.get("edge").expect("it is there");
    let failed = || stage.reconciler.pause_after(&edge, &ReconcileError::Contended);
    let (first, second) = (failed(), failed());
    assert_ne!(first, second, "the second pause is longer");
    stage.reconcile("edge").await.expect("the reconcile ends well");
    let again = stage.reconciler.pause_after(&edge, &ReconcileError::Contended);
    assert_eq!(again, first);
}

#[tokio::test]
async fn a_copy_stays_if_an_object_has_come_to_use_it_since_the_users_were_counted() {
    let mut stage = Stage::new();
    let mut unowned = object("edge");
    unowned.metadata.finalizers = None;
    stage.own_by(&unowned, PortStatus::Recycled);
    stage
        .reconcile_until("edge", "it is owned", |object| object.is_some_and(ZenlayerPort::has_finalizer))
        .await;
    let credentials = &stage.credentials;
    let nobody = BTreeMap::new();
    let snapshot = credentials.snapshot(&nobody).await.expect("the copies are listed");
    let deleted = |stage: &Stage| stage.api.requests_for(&Method::DELETE, "/secrets").len();
    credentials.drop_copies(&snapshot, &nobody, |source| stage.registrations.index.may_be_used(source)).await;
    assert_eq!(deleted(&stage), 0, "edge uses it: {:#?}", stage.api);
    credentials.drop_copies(&snapshot, &nobody, |_| false).await;
    assert_eq!(deleted(&stage), 1, "nobody uses it any more: {:#?}", stage.api);
}
