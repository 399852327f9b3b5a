//! What the metrics tell of objects, deletions and requests.

use zenlayer_simulator::PortStatus;

use super::stage::{NAMESPACE, Stage};
use crate::api::{DeletionPolicy, ZenlayerPort};

/// Each of these lines is there, after the prefix of all metrics.
fn assert_told(stage: &Stage, lines: &[&str]) {
    let text = stage.metrics.classic();
    for line in lines {
        let line = format!("zenlayer_port_operator_{line}");
        assert!(text.lines().any(|told| told == line), "{line} is missing from\n{text}");
    }
}

#[tokio::test]
async fn only_the_leader_tells_what_the_objects_show() {
    let mut stage = Stage::new();
    stage.own("spare", PortStatus::Recycled);
    stage.reconcile_until_shown("spare", "PortRecycled").await;
    stage.own("edge", PortStatus::Running);
    stage.reconcile_until_shown("edge", "Running").await;
    stage.delete("edge");
    stage.reconcile_until_shown("edge", "NotInRecycleBin").await;
    stage.own("new", PortStatus::Running);

    let text = stage.metrics.classic();
    assert!(text.contains("\nzenlayer_port_operator_leader 0\n"), "{text}");
    assert!(!text.contains("zenlayer_port_operator_ports{"), "{text}");

    stage.metrics.observe_leadership(|| true);
    let deleted = stage.get("edge").and_then(|edge| edge.metadata.deletion_timestamp).expect("it is deleted");
    assert_told(
        &stage,
        &[
            "leader 1",
            "ports{status=\"False\",reason=\"PortRecycled\"} 1",
            "ports{status=\"False\",reason=\"NotInRecycleBin\"} 1",
            "ports{status=\"True\",reason=\"Running\"} 0",
            "ports{status=\"Unknown\",reason=\"Observing\"} 1",
            "stalled_ports{reason=\"NotInRecycleBin\"} 1",
            "stalled_ports{reason=\"MassDeletion\"} 0",
            "terminating_ports 1",
            &format!("oldest_deletion_timestamp_seconds {}", deleted.0.as_second()),
            "invalid_objects 0",
            "call_queue_length 0",
            "polled_keys 1",
            "polled_ports 2",
        ],
    );
    let text = stage.metrics.classic();
    let reading = text
        .lines()
        .find_map(|line| line.strip_prefix("zenlayer_port_operator_oldest_reading_timestamp_seconds "));
    let read: i64 = reading.and_then(|seconds| seconds.parse().ok()).expect("a number");
    let now = jiff::Timestamp::now().as_second();
    assert!((now - 300..=now).contains(&read), "Zenlayer answered a moment ago: {read}, and now is {now}");
}

#[tokio::test]
async fn requests_and_the_end_of_a_deletion_are_counted() {
    let mut stage = Stage::new();
    stage.own("edge", PortStatus::Recycled);
    stage.reconcile_until_shown("edge", "PortRecycled").await;
    stage.delete("edge");
    stage.reconcile_until_shown("edge", "Destroying").await;
    assert_told(
        &stage,
        &[
            "api_requests_total{action=\"DestroyPort\",result=\"ok\"} 1",
            "api_request_duration_seconds_count{action=\"DestroyPort\"} 1",
            "deletions_total{reason=\"PortRetained\"} 0",
        ],
    );
    stage.api.edit(Some(NAMESPACE), "edge", |object: &mut ZenlayerPort| {
        object.spec.deletion_policy = DeletionPolicy::Retain;
    });
    stage.reconcile_until("edge", "it is gone", |object| object.is_none()).await;
    assert_told(
        &stage,
        &[
            "deletions_total{reason=\"PortRetained\"} 1",
            "deletion_duration_seconds_count{policy=\"Retain\"} 1",
            "deletion_duration_seconds_count{policy=\"Destroy\"} 0",
        ],
    );
}
