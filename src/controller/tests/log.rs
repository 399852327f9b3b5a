//! What is logged, and how a deletion is followed through it.

use std::cell::RefCell;
use std::io;
use std::sync::Once;

use zenlayer_simulator::PortStatus;

use super::stage::{Stage, port_of};

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
pub(in crate::controller) fn listen() {
    static SUBSCRIBED: Once = Once::new();
    SUBSCRIBED.call_once(|| {
        let logged = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
        logged.with_writer(|| Log).init();
    });
    LOG.set(Some(Vec::new()));
}

pub(in crate::controller) fn heard() -> String {
    LOG.with_borrow(|log| String::from_utf8_lossy(log.as_deref().unwrap_or_default()).into_owned())
}

#[tokio::test]
async fn a_deletion_is_followed_through_the_log_by_the_uid_of_its_object() {
    listen();
    let mut stage = Stage::new();
    stage.own("edge", PortStatus::Recycled);
    stage.own("other", PortStatus::Recycled);
    stage.reconcile_until_shown("other", "PortRecycled").await;
    stage.reconcile_until_shown("edge", "PortRecycled").await;
    stage.delete("edge");
    let object = stage.reconcile_until_shown("edge", "Destroying").await;
    let uid = stage.get("edge").and_then(|object| object.metadata.uid).expect(&object);
    let call = stage.get("edge").expect("it stays");
    let request_id = call.receipt().request_id.expect("an accepted call").to_owned();
    stage.cloud.remove_port(&port_of("edge"));
    stage.reconcile_until("edge", "the object is gone", |object| object.is_none()).await;
    let log = heard();
    let of_deletion: Vec<&str> = log.lines().filter(|line| line.contains(&uid)).collect();
    for words in ["calling DestroyPort", "the answer to DestroyPort", "row=25", "reason=\"PortDestroyed\""] {
        assert!(
            of_deletion.iter().any(|line| line.contains(words)),
            "{words:?} is missing: {of_deletion:#?}"
        );
    }
    let with_request = of_deletion.iter().filter(|line| line.contains(&request_id)).count();
    assert!(with_request >= 2, "the answer and the end name the request {request_id}: {of_deletion:#?}");
}
