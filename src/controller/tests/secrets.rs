//! No part of a credential is told.

use std::cell::RefCell;
use std::io;
use std::sync::Once;

use zenlayer_simulator::{PortStatus, Rule};

use super::stage::{OTHER_KEY, OTHER_PASSWORD, PASSWORD, SECRET, Stage, port_of, secret, time_passes};
use crate::api::ZenlayerPort;

/// More than chance has in common.
const PART: usize = 5;

thread_local! {
    /// What is logged by this thread, once somebody listens.
    static LOG: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Writes to the log of the thread that it is on: each test has a thread of its own.
struct Log;

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.iter_mut().for_each(|log| log.extend_from_slice(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// From now on what this thread logs is kept, in every detail. Not by a subscriber of this thread alone: whether a line is
/// of interest to anybody is decided once for all threads.
fn listen() {
    static SUBSCRIBED: Once = Once::new();
    SUBSCRIBED.call_once(|| {
        let logged = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
        logged.with_writer(|| Log).init();
    });
    LOG.set(Some(Vec::new()));
}

fn heard() -> String {
    LOG.with_borrow(|log| String::from_utf8_lossy(log.as_deref().unwrap_or_default()).into_owned())
}

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
    stage.pass_until_shown("edge", "PortRecycled").await;
    stage.api.edit(Some("ports"), SECRET, |it| *it = secret(SECRET, OTHER_KEY, OTHER_PASSWORD));
    time_passes(stage.shared.timing.credentials_recheck).await;
    let rejected = stage.cloud.fault(Rule::any().refuse(401, "AUTHFAILURE_SIGNATURE_FAILURE"));
    stage.pass_until_shown("edge", "Unauthorized").await;
    stage.cloud.clear_fault(rejected);
    stage.pass_until_shown("edge", "PortRecycled").await;
    stage.delete("edge");
    stage.pass_until_shown("edge", "Destroying").await;
    stage.cloud.remove_port(&port_of("edge"));
    stage.pass_until("edge", "the object is gone", |object: Option<&ZenlayerPort>| object.is_none()).await;
    let log = heard();
    assert!(log.contains("Zenlayer answered DestroyPort"), "the log is heard: {log}");
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
