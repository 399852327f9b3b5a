//! A disruptive call: what precedes it, what it takes, and what becomes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::Method;
use futures::FutureExt;
use tokio::time::Instant;
use zenlayer_simulator::{PortStatus, Rule};

use super::api_server::Failure;
use super::stage::{
    KEY, NAMESPACE, OTHER_KEY, OTHER_PASSWORD, Stage, object, outcome, port_of, secret, shown, time_passes,
};
use crate::answer::NotSentCause;
use crate::api::{CallOutcome, CredentialsRef, DeletionPolicy, ZenlayerPort};
use crate::controller::error::ReconcileError;
use crate::dispatch::Ticket;
use crate::index::Reference;
use crate::mirror::Account;
use crate::port::PortId;
use crate::zenlayer::{Batch, Client, Priority};

/// A recycled port whose object is deleted, and which the next reconcile releases.
async fn about_to_be_released(stage: &mut Stage) -> Arc<Account<Client>> {
    stage.own("edge", PortStatus::Recycled);
    stage.reconcile_until_shown("edge", "PortRecycled").await;
    stage.delete("edge");
    let (_, gathered) = stage.decide_to_call("edge").await;
    gathered.account.expect("it has credentials")
}

fn accepted(object: Option<&ZenlayerPort>) -> bool {
    object.is_some_and(|object| matches!(outcome(object), Some(CallOutcome::Accepted { .. })))
}

/// The object as it is, which must not have a record of a call.
#[track_caller]
fn assert_nothing_on_record(stage: &Stage, why: &str) {
    let object = stage.get("edge").expect("the object is there");
    assert_eq!(outcome(&object), None, "{why}: {object:#?}");
    assert_eq!(stage.sends("edge"), 0, "{why}");
}

#[tokio::test]
async fn a_port_is_released_by_one_request_that_follows_its_record() {
    let mut stage = Stage::new();
    about_to_be_released(&mut stage).await;
    let (cloud, sent) = (stage.cloud.clone(), Arc::new(AtomicUsize::new(usize::MAX)));
    let before_the_record = Arc::clone(&sent);
    stage.api.on(Method::PUT, "/edge/status", async move {
        let sent = cloud.with_journal(|journal| journal.calls("DestroyPort").count());
        before_the_record.store(sent, Ordering::Relaxed);
        None
    });
    let object = stage.reconcile_until("edge", "the call is accepted", accepted).await.expect("it stays");
    assert_eq!((sent.load(Ordering::Relaxed), stage.sends("edge")), (0, 1));
    assert_eq!(shown(&object).0, "Destroying");
    stage.cloud.remove_port(&port_of("edge"));
    stage.reconcile_until("edge", "the object is gone", |object| object.is_none()).await;
    assert_eq!(stage.sends("edge"), 1);
}

#[tokio::test]
async fn what_has_grown_too_old_in_the_wait_for_the_rate_limit_justifies_no_call() {
    let mut stage = Stage::with(|setting| setting.timing.reading_valid = Duration::from_secs(5));
    let account = about_to_be_released(&mut stage).await;
    stage.cloud.fault(Rule::on("DescribePorts").port("port-other").throttle(Some("8")));
    let port = [PortId::new("port-other")];
    let client = account.client();
    let turn = client.read_permit(Priority::Release).await.expect("nothing is paused");
    let read = client.describe_ports(turn, Batch::new(&port).expect("a batch"), Priority::Release).await;
    read.expect_err("it is throttled");
    // The clock moves on to the end of the wait, as nothing else happens.
    tokio::time::pause();
    let began = Instant::now();
    stage.reconcile("edge").await.expect("the reconcile ends well");
    stage.until_turn("edge").await;
    assert!(began.elapsed() >= Duration::from_secs(7), "it had to wait: {:?}", began.elapsed());
    stage.reconcile("edge").await.expect("the reconcile ends well");
    assert_nothing_on_record(&stage, "the reading is older than 5 s by now");
}

/// So many calls of others of the account are under way.
fn calls_of_others(stage: &Stage, account: &Arc<Account<Client>>, number: usize) -> Vec<Ticket> {
    let others = (0..number).map(|other| Reference::of(&object(&format!("other-{other}"))));
    others.filter_map(|other| stage.registrations.turns.ask(&other, account)).collect()
}

#[tokio::test]
async fn whoever_waits_for_its_turn_between_two_failures_has_failed_twice_in_a_row() {
    let mut stage = Stage::new();
    let account = about_to_be_released(&mut stage).await;
    let _others = calls_of_others(&stage, &account, 8);
    let edge = stage.get("edge").expect("it is there");
    let failed = |stage: &Stage| stage.reconciler.pause_after(&edge, &ReconcileError::Contended);
    let first = failed(&stage);
    stage.reconcile_until_shown("edge", "Queued").await;
    stage.reconcile("edge").await.expect("it waits, and there is nothing to write");
    let second = failed(&stage);
    assert!(second > first, "{second:?} after {first:?}");
}

#[tokio::test]
async fn a_turn_that_comes_during_a_pause_is_followed_by_no_record() {
    let mut stage = Stage::new();
    let account = about_to_be_released(&mut stage).await;
    let mut others = calls_of_others(&stage, &account, 8);
    assert_eq!(others.len(), 8);
    stage.reconcile_until_shown("edge", "Queued").await;
    others.pop();
    stage.until_turn("edge").await;
    stage.cloud.fault(Rule::on("DescribePorts").port("port-other").throttle(Some("60")));
    let port = [PortId::new("port-other")];
    let client = account.client();
    let permit = client.read_permit(Priority::Release).await.expect("nothing is paused");
    let read = client.describe_ports(permit, Batch::new(&port).expect("a batch"), Priority::Release).await;
    read.expect_err("it is throttled");
    stage.reconcile("edge").await.expect("the reconcile ends well");
    assert_nothing_on_record(&stage, "Zenlayer asked for a pause");
    let (reason, message) = shown(&stage.get("edge").expect("it stays"));
    assert_eq!(reason, "Throttled", "{message}");
    assert!(message.contains("Zenlayer asked the operator to send no requests"), "{message}");
}

#[tokio::test]
async fn whoever_is_overtaken_by_another_write_keeps_its_turn() {
    let mut stage = Stage::new();
    let account = about_to_be_released(&mut stage).await;
    let _others = calls_of_others(&stage, &account, 7);
    let (api, turns, late) =
        (stage.api.clone(), Arc::clone(&stage.registrations.turns), Arc::clone(&account));
    stage.api.on(Method::PUT, "/edge/status", async move {
        assert!(turns.ask(&Reference::of(&object("late")), &late).is_none(), "it waits for the slot of edge");
        api.edit(Some(NAMESPACE), "edge", |object: &mut ZenlayerPort| {
            object.metadata.labels = Some([("touched".to_owned(), "yes".to_owned())].into());
        });
        None
    });
    stage.reconcile("edge").await.expect("the reconcile ends well");
    assert_eq!(stage.sends("edge"), 1, "{:#?}", stage.get("edge"));
}

#[tokio::test]
async fn a_record_that_took_too_long_to_write_is_followed_by_no_call() {
    let mut stage = Stage::new();
    about_to_be_released(&mut stage).await;
    stage.api.on(Method::PUT, "/edge/status", async {
        time_passes(Duration::from_secs(6)).await;
        None
    });
    stage.reconcile("edge").await.expect("the call is not sent, and that is on record");
    let object = stage.get("edge").expect("it stays");
    let Some(CallOutcome::NotSent { cause, .. }) = outcome(&object) else { panic!("{object:#?}") };
    assert_eq!(*cause, NotSentCause::RecordTooSlow);
    assert_eq!(stage.sends("edge"), 0);
}

#[tokio::test]
async fn nothing_is_sent_by_another_credential_than_the_record_names() {
    let mut stage = Stage::new();
    about_to_be_released(&mut stage).await;
    stage.api.create(&secret("second", OTHER_KEY, OTHER_PASSWORD));
    let mut other = object("other");
    other.spec.credentials_ref = Some(CredentialsRef { name: "second".to_owned() });
    stage.own_by(&other, PortStatus::Running);
    let other = stage.get("other").expect("it was created just now");
    let second = stage.account_of(&other).await;
    // All places are taken, and then the object gets its turn to call by the other credential.
    let (edge, others) = (Reference::of(&object("edge")), calls_of_others(&stage, &second, 8));
    assert!(stage.registrations.turns.ask(&edge, &second).is_none(), "it waits");
    drop(others);
    stage.until_turn("edge").await;
    stage.reconcile("edge").await.expect("the reconcile ends well");
    let record = stage.get("edge").and_then(|object| object.release()?.call.clone()).expect("a record");
    assert_eq!(stage.signers("DestroyPort"), [KEY], "{record:#?}");
    assert_ne!(record.credential, second.fingerprint);
}

#[tokio::test]
async fn a_call_takes_one_permit_of_the_rate_limit() {
    let mut stage = Stage::with(|setting| {
        setting.requests_per_second = 20.0;
        // Readings must not take what is counted.
        setting.timing.release_interval = Duration::from_hours(1);
        setting.timing.slow_interval = Duration::from_hours(1);
    });
    let account = about_to_be_released(&mut stage).await;
    tokio::time::pause();
    while account.change_permit().now_or_never().is_some() {}
    // One that has to be waited for leaves nothing over.
    drop(account.change_permit().await);
    let began = Instant::now();
    stage.reconcile("edge").await.expect("it waits for its turn");
    stage.until_turn("edge").await;
    let refused = Failure::new(500, "InternalError", "no record today");
    stage.api.fail(Method::PUT, "/edge/status", refused);
    stage.reconcile("edge").await.expect_err("the record is not written");
    let waited = began.elapsed().as_millis();
    assert!((40..=60).contains(&waited), "a permit comes every 50 ms, and it waited {waited} ms");
}

#[tokio::test]
async fn a_replica_that_leads_no_longer_records_and_calls_nothing() {
    let minute = Duration::from_mins(1);
    let mut stage = Stage::with(|setting| setting.leads_for = minute);
    about_to_be_released(&mut stage).await;
    time_passes(minute).await;
    stage.decide_to_call("edge").await;
    let ended = stage.reconcile("edge").await;
    assert!(matches!(ended, Err(ReconcileError::NotLeading)), "{ended:?}");
    assert_nothing_on_record(&stage, "another replica may lead");
}

#[tokio::test]
async fn a_person_who_is_faster_than_the_record_is_heard() {
    let mut stage = Stage::new();
    about_to_be_released(&mut stage).await;
    let api = stage.api.clone();
    stage.api.on(Method::PUT, "/edge/status", async move {
        api.edit(Some(NAMESPACE), "edge", |object: &mut ZenlayerPort| {
            object.spec.deletion_policy = DeletionPolicy::Retain;
        });
        None
    });
    stage.reconcile("edge").await.expect("the reconcile ends well");
    assert!(stage.get("edge").is_none(), "the finalizer is off at once: {:#?}", stage.api);
    assert_eq!(stage.sends("edge"), 0);
}
