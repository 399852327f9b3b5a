//! What a pass has learnt, whatever becomes of its plan.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use zenlayer_simulator::PortStatus;

use super::api_server::Failure;
use super::stage::{NAMESPACE, Stage, object, port_of};
use crate::api::{DeletionPolicy, ZenlayerPort};
use crate::controller::call_queue::MOST_CALLS;
use crate::controller::reference::reference;

/// The deleted object of a port in the recycle bin, whose DestroyPort is due.
async fn due() -> Stage {
    let mut stage = Stage::with(|setting| setting.timing.restored_apart = Duration::from_millis(50));
    stage.own("edge", PortStatus::Recycled);
    stage.pass_until_shown("edge", "PortRecycled").await;
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
    let account = stage.decide_to_call("edge").await.1.account.expect("it has credentials").key;
    let shared = Arc::clone(&stage.shared);
    let others: Vec<_> = (0..MOST_CALLS).map(|other| reference(&object(&format!("other-{other}")))).collect();
    let places: Vec<_> = others.iter().filter_map(|other| shared.calls.ask(other, account)).collect();
    stage.pass_until_shown("edge", "Queued").await;
    assert!(knows_of_the_bin(stage.get("edge").as_ref()), "{:#?}", stage.get("edge"));

    restore(&stage);
    drop(places);
    for other in &others {
        shared.calls.leave(other);
    }
    stage.pass_until_shown("edge", "RestoredElsewhere").await;
    assert_not_terminated(&stage);
}

#[tokio::test]
async fn what_could_not_be_written_is_known_to_the_next_pass() {
    let mut stage = due().await;
    stage.api.fail(Method::PUT, "/edge/status", Failure::new(500, "InternalError", "etcd is away"));
    stage.pass("edge").await.expect_err("the record is not written, and so nothing else either");
    assert!(!knows_of_the_bin(stage.get("edge").as_ref()), "nothing was written");

    restore(&stage);
    stage.pass_until_shown("edge", "RestoredElsewhere").await;
    assert_not_terminated(&stage);
}
