//! No part of a credential is told.

use zenlayer_simulator::{PortStatus, Rule};

use super::log::{heard, listen};
use super::stage::{OTHER_KEY, OTHER_PASSWORD, PASSWORD, SECRET, Stage, port_of, secret, time_passes};
use crate::api::ZenlayerPort;

/// More than chance has in common.
const PART: usize = 5;

/// The parts of the passwords that stand in the text.
fn parts_in(text: &str) -> Vec<&'static str> {
    let parts = |password: &'static str| (0..=password.len() - PART).map(|at| &password[at..at + PART]);
    [PASSWORD, OTHER_PASSWORD].into_iter().flat_map(parts).filter(|part| text.contains(part)).collect()
}

#[tokio::test]
async fn no_part_of_a_password_is_logged_or_written_to_an_object_by_rotation_refusal_or_release() {
    listen();
    let mut stage = Stage::new();
    stage.own("edge", PortStatus::Recycled);
    stage.reconcile_until_shown("edge", "PortRecycled").await;
    stage.api.edit(Some("ports"), SECRET, |it| *it = secret(SECRET, OTHER_KEY, OTHER_PASSWORD));
    time_passes(stage.timing.credentials_recheck).await;
    let rejected = stage.cloud.fault(Rule::any().refuse(401, "AUTHFAILURE_SIGNATURE_FAILURE"));
    stage.reconcile_until_shown("edge", "Unauthorized").await;
    stage.cloud.clear_fault(rejected);
    stage.reconcile_until_shown("edge", "PortRecycled").await;
    stage.delete("edge");
    stage.reconcile_until_shown("edge", "Destroying").await;
    stage.cloud.remove_port(&port_of("edge"));
    stage
        .reconcile_until("edge", "the object is gone", |object: Option<&ZenlayerPort>| object.is_none())
        .await;
    let log = heard();
    assert!(log.contains("the answer to DestroyPort"), "the log is heard: {log}");
    assert_eq!(parts_in(&log), Vec::<&str>::new(), "{log}");
    for request in stage.api.requests() {
        if !request.path.contains("/secrets") {
            assert_eq!(parts_in(&request.body.to_string()), Vec::<&str>::new(), "{request:#?}");
        }
    }
}

#[test]
fn a_part_of_a_password_is_found() {
    assert_eq!(parts_in(&format!("its password begins with {}", &PASSWORD[..PART])), [&PASSWORD[..PART]]);
}
