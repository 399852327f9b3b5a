//! How GitOps tools judge an object in every reason: by the kstatus library itself, and by the health script for Argo CD.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Result, ensure};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Deserialize;
use serde_json::json;
use test_cluster::gitops_health;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use zenlayer_port_operator::api::{Actor, Readiness, Reason, ZenlayerPort};
use zenlayer_port_operator::clock::{Monotonic, Now};
use zenlayer_port_operator::decision;

const SCRIPT: &str = "deploy/argocd/health.lua";

#[derive(Debug, Deserialize)]
struct Verdict {
    kstatus: String,
    argocd: String,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Living,
    Deleted,
}

fn now(later: Duration) -> Now {
    let wall = Timestamp::UNIX_EPOCH + Duration::from_hours(490_932) + later;
    Now { wall, monotonic: Monotonic::from_start(later) }
}

/// An object that has shown this reason for as long.
fn showing(reason: Reason, life: Life, lasted: Duration) -> ZenlayerPort {
    let mut object: ZenlayerPort = serde_json::from_value(json!({
        "apiVersion": "sdn.zenlayer.com/v1alpha1", "kind": "ZenlayerPort",
        "metadata": { "name": "edge", "namespace": "team-a", "uid": "5f0c9a3e-0000", "generation": 2 },
        "spec": { "portId": "port-1" },
    }))
    .expect("a ZenlayerPort");
    if life == Life::Deleted {
        object.metadata.deletion_timestamp = Some(Time(now(Duration::ZERO).wall));
        object.metadata.finalizers = Some(vec!["sdn.zenlayer.com/destroy-port".to_owned()]);
    }
    for later in [Duration::ZERO, lasted] {
        object.status = Some(decision::show(&object, reason, "What is the case.", now(later)).0);
    }
    object
}

async fn judged(objects: &[ZenlayerPort]) -> Result<Vec<Verdict>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(SCRIPT);
    let mut child = Command::new(gitops_health().await?)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(&serde_json::to_vec(objects)?).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    ensure!(output.status.success(), "gitops-health ended with {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[tokio::test]
async fn kstatus_and_argo_cd_tell_service_progress_and_the_need_of_a_person_apart_in_every_reason() {
    let mut cases = Vec::new();
    for reason in Reason::ALL {
        for life in [Life::Living, Life::Deleted] {
            for is_late in [false, true] {
                let limit = reason.stalls_after().unwrap_or(Duration::from_hours(100));
                let lasted = if is_late { limit } else { Duration::ZERO };
                cases.push((*reason, life, is_late, showing(*reason, life, lasted)));
            }
        }
    }
    let objects: Vec<_> = cases.iter().map(|(.., object)| object.clone()).collect();
    let verdicts = judged(&objects).await.expect("verdicts");
    assert_eq!(verdicts.len(), cases.len());
    for ((reason, life, is_late, object), verdict) in cases.iter().zip(verdicts) {
        let needs_person = reason.actor() == Actor::Person;
        let is_overdue = *is_late && reason.stalls_after().is_some();
        let in_service = reason.readiness() == Readiness::True;
        let argocd = match (needs_person || is_overdue, in_service) {
            (true, _) => "Degraded",
            (false, true) => "Healthy",
            (false, false) => "Progressing",
        };
        // What still goes on is in progress to kstatus, however long it takes.
        let kstatus = match (life, needs_person, in_service) {
            (Life::Deleted, ..) => "Terminating",
            (Life::Living, true, _) => "Failed",
            (Life::Living, false, true) => "Current",
            (Life::Living, false, false) => "InProgress",
        };
        assert_eq!(verdict.kstatus, kstatus, "{reason:?}, {life:?}, late: {is_late}: {:#?}", object.status);
        // Argo CD does not ask the script about an object that is being deleted.
        if *life == Life::Deleted {
            continue;
        }
        assert_eq!(verdict.argocd, argocd, "{reason:?}, late: {is_late}: {:#?}", object.status);
        assert!(verdict.message.starts_with(reason.as_str()), "{reason:?}: {}", verdict.message);
    }
}

#[tokio::test]
async fn an_object_that_the_operator_has_not_seen_or_not_seen_as_it_is_now_is_in_progress() {
    let mut unseen = showing(Reason::Running, Life::Living, Duration::ZERO);
    unseen.status = None;
    let mut changed = showing(Reason::Running, Life::Living, Duration::ZERO);
    changed.metadata.generation = Some(3);
    for verdict in judged(&[unseen, changed.clone()]).await.expect("verdicts") {
        assert_eq!(verdict.argocd, "Progressing", "{verdict:?}");
    }
    let verdicts = judged(&[changed]).await.expect("verdicts");
    assert_eq!(verdicts[0].kstatus, "InProgress", "{verdicts:?}");
}
