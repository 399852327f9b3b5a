//! What the API server makes of writes: done, overtaken, gone or refused, and what follows of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::http::Method;
use zenlayer_simulator::PortStatus;

use super::api_server::{ApiServer, Failure};
use super::stage::{NAMESPACE, Stage, object, port_of, shown};
use crate::api::{DeletionPolicy, ZenlayerPort};
use crate::controller::error::ReconcileError;
use crate::decision::Plan;
use crate::server::ReconcileResult;

const DENIED: &str = "ValidatingAdmissionPolicy 'frozen' denied request: no changes today";

fn denied() -> Failure {
    Failure::new(422, "Invalid", DENIED)
}

/// A live port whose object keeps it and is deleted: only the finalizer is still to be removed.
async fn about_to_go(stage: &mut Stage) {
    stage.own("edge", PortStatus::Running);
    stage.reconcile_until_shown("edge", "Running").await;
    stage.api.edit(Some(NAMESPACE), "edge", |object: &mut ZenlayerPort| {
        object.spec.deletion_policy = DeletionPolicy::Retain;
    });
    stage.delete("edge");
}

/// The reasons of the Events so far.
fn told(stage: &Stage) -> Vec<String> {
    let events = stage.api.requests_for(&Method::POST, "/events");
    events.iter().filter_map(|event| Some(event.body["reason"].as_str()?.to_owned())).collect()
}

fn touch(api: &ApiServer) {
    api.edit(Some(NAMESPACE), "edge", |object: &mut ZenlayerPort| {
        object.metadata.labels = Some([("touched".to_owned(), "yes".to_owned())].into());
    });
}

#[track_caller]
fn assert_refused(ended: &Result<impl std::fmt::Debug, ReconcileError>) {
    assert!(matches!(ended, Err(error) if error.class() == ReconcileResult::Refused), "{ended:?}");
}

#[tokio::test]
async fn a_refusal_to_remove_the_finalizer_is_shown_in_its_own_words_and_the_end_is_told_once_it_is_off() {
    let mut stage = Stage::new();
    about_to_go(&mut stage).await;
    for _ in 0..3 {
        stage.api.fail(Method::PATCH, "/edge", denied());
        assert_refused(&stage.reconcile("edge").await);
    }
    let (reason, message) = shown(&stage.get("edge").expect("it stays"));
    assert_eq!(reason, "UpdateRefused", "{message}");
    assert!(message.contains(DENIED) && message.contains("to remove the operator's finalizer"), "{message}");
    assert_eq!(told(&stage), ["UpdateRefused"]);
    stage.reconcile("edge").await.expect("nothing is refused any more");
    assert_eq!(stage.get("edge"), None);
    assert_eq!(told(&stage), ["UpdateRefused", "PortRetained"]);
}

#[tokio::test]
async fn an_object_that_other_finalizers_keep_shows_its_end_and_no_other_is_written_once_more() {
    for others in [vec![], vec!["example.com/backup".to_owned()]] {
        let mut stage = Stage::new();
        let mut object = object("edge");
        object.metadata.finalizers.get_or_insert_default().extend(others.clone());
        stage.own_by(&object, PortStatus::Running);
        stage.reconcile_until_shown("edge", "Running").await;
        let before = stage.api.requests_for(&Method::PUT, "/edge/status").len();
        stage.api.edit(Some(NAMESPACE), "edge", |object: &mut ZenlayerPort| {
            object.spec.deletion_policy = DeletionPolicy::Retain;
        });
        stage.delete("edge");
        // The first write is overtaken: the finalizer stays for that moment.
        let api = stage.api.clone();
        stage.api.on(Method::PUT, "/edge/status", async move {
            touch(&api);
            None
        });
        stage.reconcile("edge").await.expect("the finalizer is off");
        let writes = stage.api.requests_for(&Method::PUT, "/edge/status").len() - before;
        let kept = stage.get("edge");
        assert_eq!((kept.is_some(), writes), (!others.is_empty(), 2 * others.len()), "{others:?}");
        if let Some(kept) = kept {
            assert_eq!(kept.metadata.finalizers, Some(others));
            assert_eq!(shown(&kept).0, "PortRetained");
        }
        assert_eq!(told(&stage), ["PortRetained"]);
    }
}

#[tokio::test]
async fn a_webhook_refuses_with_any_code() {
    let mut stage = Stage::new();
    about_to_go(&mut stage).await;
    for code in [403, 429, 500, 503] {
        let words = format!("admission webhook \"frozen.example.com\" denied the request: {code}");
        stage.api.fail(Method::PATCH, "/edge", Failure::new(code, "", &words));
        assert_refused(&stage.reconcile("edge").await);
        let (reason, message) = shown(&stage.get("edge").expect("it stays"));
        assert!(reason == "UpdateRefused" && message.contains(&words), "{reason}: {message}");
    }
}

#[tokio::test]
async fn a_refusal_to_add_the_finalizer_is_shown_in_its_own_words() {
    let mut stage = Stage::new();
    let mut bare = object("edge");
    bare.metadata.finalizers = None;
    stage.own_by(&bare, PortStatus::Running);
    stage.api.fail(Method::PATCH, "/edge", denied());
    assert_refused(&stage.reconcile("edge").await);
    let (reason, message) = shown(&stage.get("edge").expect("it stays"));
    assert_eq!(reason, "UpdateRefused", "{message}");
    assert!(message.contains(DENIED) && message.contains("to add the operator's finalizer"), "{message}");
    stage.reconcile_until_shown("edge", "Running").await;
    assert!(stage.get("edge").expect("it stays").has_finalizer());
}

#[tokio::test]
async fn a_refusal_of_the_status_itself_is_told_by_an_event() {
    let mut stage = Stage::new();
    stage.own("edge", PortStatus::Running);
    stage.api.fail(Method::PUT, "/edge/status", Failure::new(403, "Forbidden", DENIED));
    let began = Instant::now();
    while stage.reconcile("edge").await.is_ok() {
        assert!(began.elapsed() < Duration::from_secs(30), "the status is never written: {:#?}", stage.api);
    }
    assert_eq!(told(&stage), ["UpdateRefused"]);
}

#[tokio::test]
async fn what_was_read_of_a_port_is_kept_until_the_finalizer_is_off() {
    let mut stage = Stage::new();
    about_to_go(&mut stage).await;
    let (api, mirrors) = (stage.api.clone(), Arc::clone(&stage.registrations.mirrors));
    let read = Arc::new(AtomicUsize::new(usize::MAX));
    let at_the_write = Arc::clone(&read);
    stage.api.on(Method::PATCH, "/edge", async move {
        at_the_write.store(mirrors.ports.stats().ports, Ordering::Relaxed);
        touch(&api);
        None
    });
    stage.reconcile("edge").await.expect("it is looked at again");
    assert_eq!(stage.get("edge"), None, "the second write is of the newer version");
    assert_eq!(stage.api.requests_for(&Method::PATCH, "/edge").len(), 2);
    assert_eq!(read.load(Ordering::Relaxed), 1, "the port was still read when the first write was overtaken");
    assert_eq!(stage.registrations.mirrors.ports.stats().ports, 0, "it is read no longer");
}

#[tokio::test]
async fn another_object_of_the_same_name_keeps_its_finalizer() {
    let mut stage = Stage::new();
    about_to_go(&mut stage).await;
    let api = stage.api.clone();
    stage.api.on(Method::PATCH, "/edge", async move {
        api.edit(Some(NAMESPACE), "edge", |object: &mut ZenlayerPort| object.metadata.finalizers = None);
        api.create(&object("edge"));
        None
    });
    stage.reconcile("edge").await.expect("the object that was looked at is gone");
    let other = stage.get("edge").expect("the other stays");
    assert!(other.has_finalizer(), "{other:#?}");
    assert!(!told(&stage).contains(&"PortRetained".to_owned()), "{:?}", told(&stage));
}

#[tokio::test]
async fn a_404_is_no_proof_that_the_object_is_gone() {
    let mut stage = Stage::new();
    about_to_go(&mut stage).await;
    stage.api.fail(Method::PATCH, "/edge", Failure::new(404, "NotFound", "namespaces \"ports\" not found"));
    assert_refused(&stage.reconcile("edge").await);
    // The kind is not served: both are answered in plain text, which kube makes this of.
    let no_kind = || Failure::new(404, "Failed to parse error data", "404 page not found");
    stage.api.fail(Method::PATCH, "/edge", no_kind());
    stage.api.fail(Method::GET, "/edge", no_kind());
    let ended = stage.reconcile("edge").await;
    assert!(matches!(&ended, Err(ReconcileError::Kubernetes { .. })), "{ended:?}");
    assert!(!told(&stage).contains(&"PortRetained".to_owned()), "{:?}", told(&stage));
    assert!(stage.get("edge").is_some());
}

#[tokio::test]
async fn the_end_is_told_also_if_the_answer_to_the_last_write_is_lost() {
    let mut stage = Stage::new();
    about_to_go(&mut stage).await;
    let api = stage.api.clone();
    stage.api.on(Method::PATCH, "/edge", async move {
        api.edit(Some(NAMESPACE), "edge", |object: &mut ZenlayerPort| object.metadata.finalizers = None);
        Some(Failure::new(504, "Timeout", "no answer in time"))
    });
    stage.reconcile("edge").await.expect("the finalizer is off");
    assert_eq!(stage.get("edge"), None);
    assert_eq!(told(&stage), ["PortRetained"]);
}

#[tokio::test]
async fn a_cache_that_lags_behind_the_own_writes_leaves_no_status_that_is_wrong() {
    let mut stage = Stage::new();
    stage.own("edge", PortStatus::Recycled);
    stage.reconcile_until_shown("edge", "PortRecycled").await;
    stage.cloud.set_status(&port_of("edge"), PortStatus::Running);
    // From now on, the watch shows nothing.
    stage.reconcile_unwatched_until_shown("edge", "Running").await;
    stage.cloud.set_status(&port_of("edge"), PortStatus::Recycled);
    let is_recycled = |plan: &Plan, object: &ZenlayerPort| {
        let status = Some(plan.status(object));
        shown(&ZenlayerPort { status, ..object.clone() }).0 == "PortRecycled"
    };
    stage.decide_until("edge", "PortRecycled", is_recycled).await;
    stage.reconcile_unwatched("edge").await;
    let now = stage.get("edge").expect("it is there");
    assert_eq!(shown(&now).0, "PortRecycled", "the object that the watch showed said so already: {now:#?}");
}

#[tokio::test]
async fn the_last_event_names_the_port_and_the_request_that_destroyed_it() {
    let mut stage = Stage::new();
    stage.own("edge", PortStatus::Recycled);
    stage.reconcile_until_shown("edge", "PortRecycled").await;
    stage.delete("edge");
    stage.reconcile_until_shown("edge", "Destroying").await;
    let object = stage.get("edge").expect("it stays");
    let request_id = object.receipt().request_id.expect("an accepted call").to_owned();
    stage.cloud.set_status(&port_of("edge"), PortStatus::Destroyed);
    stage.reconcile_until("edge", "the object is gone", |object| object.is_none()).await;
    let events = stage.api.requests_for(&Method::POST, "/events");
    let last = &events.last().expect("an Event").body;
    let note = last["note"].as_str().unwrap_or_default();
    assert_eq!(last["reason"], "PortDestroyed", "{note}");
    assert!(note.contains("port-edge") && note.contains(&request_id), "{note}");
}
