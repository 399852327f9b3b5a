//! What a reconcile has learnt, whatever becomes of its plan.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use zenlayer_simulator::{PortStatus, Rule};

use super::api_server::Failure;
use super::stage::{NAMESPACE, Stage, object, outcome, port_of, time_passes};
use crate::api::{CallOutcome, DeletionPolicy, ZenlayerPort};
use crate::controller::error::ReconcileError;
use crate::dispatch::MOST_CALLS;
use crate::index::Reference;

/// The deleted object of a port in the recycle bin, whose DestroyPort is due.
async fn due() -> Stage {
    let mut stage = Stage::with(|setting| setting.timing.restored_apart = Duration::from_millis(50));
    stage.own("edge", PortStatus::Recycled);
    stage.reconcile_until_shown("edge", "PortRecycled").await;
    stage.delete("edge");
    stage.decide_to_call("edge").await;
    stage
}

fn knows_of_the_bin(object: Option<&ZenlayerPort>) -> bool {
    object.and_then(ZenlayerPort::release).is_some_and(|release| release.seen_recycled)
}

/// Somebody restores the port, and somebody else lets the object terminate a port that runs.
fn restore(stage: &Stage) {
    stage.cloud.set_status(&port_of("edge"), PortStatus::Running);
    stage.api.edit(Some(NAMESPACE), "edge", |object: &mut ZenlayerPort| {
        object.spec.deletion_policy = DeletionPolicy::TerminateAndDestroy;
    });
}

/// A DestroyPort that rests on the last look before the restoration may go out: Zenlayer refuses it for a port that runs.
#[track_caller]
fn assert_not_terminated(stage: &Stage) {
    let terminated = stage.cloud.with_journal(|it| it.calls_for("TerminatePort", &port_of("edge")).count());
    let status = stage.cloud.port(&port_of("edge")).map(|port| port.port_status);
    assert_eq!((terminated, status), (0, Some(PortStatus::Running)), "{:#?}", stage.get("edge"));
}

#[tokio::test]
async fn a_port_that_is_restored_while_its_call_takes_its_turn_is_not_terminated() {
    let mut stage = due().await;
    let account = stage.decide_to_call("edge").await.1.account.expect("it has credentials");
    let turns = Arc::clone(&stage.registrations.turns);
    let others: Vec<_> =
        (0..MOST_CALLS).map(|other| Reference::of(&object(&format!("other-{other}")))).collect();
    let tickets: Vec<_> = others.iter().filter_map(|other| turns.ask(other, &account)).collect();
    stage.reconcile_until_shown("edge", "Queued").await;
    assert!(knows_of_the_bin(stage.get("edge").as_ref()), "{:#?}", stage.get("edge"));

    restore(&stage);
    drop(tickets);
    for other in &others {
        turns.leave(other);
    }
    stage.reconcile_until_shown("edge", "RestoredElsewhere").await;
    assert_not_terminated(&stage);
}

#[tokio::test]
async fn what_could_not_be_written_is_known_to_the_next_reconcile() {
    let mut stage = due().await;
    stage.api.fail(Method::PUT, "/edge/status", Failure::new(500, "InternalError", "etcd is away"));
    stage.reconcile("edge").await.expect_err("the record is not written, and so nothing else either");
    assert!(!knows_of_the_bin(stage.get("edge").as_ref()), "nothing was written");

    restore(&stage);
    stage.reconcile_until_shown("edge", "RestoredElsewhere").await;
    assert_not_terminated(&stage);
}

#[tokio::test]
async fn what_was_learnt_survives_a_refusal_to_remove_the_finalizer() {
    let mut stage = Stage::with(|setting| setting.timing.restored_apart = Duration::from_millis(50));
    let mut edge = object("edge");
    edge.spec.deletion_policy = DeletionPolicy::Terminate;
    stage.own_by(&edge, PortStatus::Running);
    stage.reconcile_until_shown("edge", "Running").await;
    stage.cloud.set_status(&port_of("edge"), PortStatus::Recycled);
    stage.delete("edge");
    stage.api.fail(Method::PATCH, "/edge", Failure::new(422, "Invalid", "no changes today"));
    while !matches!(stage.reconcile("edge").await, Err(ReconcileError::Refused { .. })) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    // The next reconcile comes when the port is live again.
    stage.cloud.set_status(&port_of("edge"), PortStatus::Running);
    tokio::time::sleep(Duration::from_millis(200)).await;
    stage.reconcile_until_shown("edge", "RestoredElsewhere").await;
    assert_not_terminated(&stage);
}

#[tokio::test]
async fn nothing_is_called_while_the_api_server_does_not_keep_what_was_learnt() {
    let mut stage = due().await;
    stage.api.fail(Method::PUT, "/edge/status", Failure::new(500, "InternalError", "etcd is away"));
    stage.reconcile("edge").await.expect_err("the record is not written, and so nothing else either");
    stage.api.prune(["/status/release/restorations"]);
    restore(&stage);
    for pause in [Duration::ZERO, Duration::from_secs(40)] {
        time_passes(pause).await;
        for _ in 0..40 {
            stage.reconcile("edge").await.ok();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert_not_terminated(&stage);
    let events = stage.api.requests_for(&Method::POST, "/events");
    let told = events.iter().filter(|event| event.body["reason"] == "UpdateRefused");
    let told: Vec<_> = told.filter_map(|event| event.body["note"].as_str()).collect();
    assert!(told.iter().any(|note| note.contains("CustomResourceDefinition")), "{events:#?}");
}

#[tokio::test]
async fn what_was_learnt_with_the_outcome_of_a_call_survives_a_conflict_of_its_write() {
    let mut stage = Stage::with(|setting| setting.timing.restored_apart = Duration::from_millis(50));
    let mut edge = object("edge");
    edge.spec.deletion_policy = DeletionPolicy::TerminateAndDestroy;
    stage.own_by(&edge, PortStatus::Running);
    stage.reconcile_until_shown("edge", "Running").await;
    // The port lies in the bin when the answer comes.
    stage.cloud.fault(Rule::on("TerminatePort").delay_answer(Duration::from_millis(500)));
    stage.delete("edge");
    stage.decide_to_call("edge").await;
    let (api, cloud) = (stage.api.clone(), stage.cloud.clone());
    stage.api.on(Method::PUT, "/edge/status", async move {
        let of_the_outcome = api.clone();
        api.on(Method::PUT, "/edge/status", async move {
            // Somebody restores it, and somebody else writes the object first.
            cloud.set_status(&port_of("edge"), PortStatus::Running);
            tokio::time::sleep(Duration::from_millis(200)).await;
            of_the_outcome.edit(Some(NAMESPACE), "edge", |object: &mut ZenlayerPort| {
                object.metadata.labels = Some([("touched".to_owned(), "yes".to_owned())].into());
            });
            None
        });
        None
    });
    stage.reconcile("edge").await.expect("the reconcile ends well");
    stage.reconcile_until_shown("edge", "RestoredElsewhere").await;
    assert_eq!(stage.sends("edge"), 1, "{:#?}", stage.get("edge"));
}

#[tokio::test]
async fn the_outcome_of_a_call_is_known_however_the_reconcile_ends() {
    let mut stage = Stage::with(|setting| setting.timing.reading_valid = Duration::from_millis(400));
    stage.own("edge", PortStatus::Recycled);
    stage.reconcile_until_shown("edge", "PortRecycled").await;
    stage.cloud.fault(Rule::on("DestroyPort").delay_answer(Duration::from_millis(500)));
    stage.delete("edge");
    stage.decide_to_call("edge").await;
    let api = stage.api.clone();
    let (asked, hangs) = tokio::sync::oneshot::channel();
    stage.api.on(Method::PUT, "/edge/status", async move {
        api.on(Method::GET, "/customresourcedefinitions", async move {
            let _ = asked.send(());
            std::future::pending().await
        });
        None
    });
    let (ended, ()) = tokio::join!(stage.reconcile("edge"), async {
        hangs.await.expect("the CRD is read after the call");
        time_passes(Duration::from_mins(2)).await;
    });
    assert!(matches!(ended, Err(ReconcileError::Deadline)), "{ended:?}");
    let edge = stage.get("edge").expect("it stays");
    assert_eq!(outcome(&edge), Some(&CallOutcome::Pending {}), "the outcome is not written yet");
    let is_accepted = |object: &ZenlayerPort| matches!(outcome(object), Some(CallOutcome::Accepted { .. }));
    stage.reconcile_until("edge", "the outcome is written", |object| object.is_none_or(is_accepted)).await;
}
