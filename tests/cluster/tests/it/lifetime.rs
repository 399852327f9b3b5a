//! How clusters end: dropped, kept, with their owner killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, test_kill_process};
use test_cluster::Cluster;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::eventually;

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_cluster_survives_the_death_of_its_parts_and_ends_when_dropped() {
    let cluster = Cluster::start().await.unwrap();
    let (folder, url) = (folder_of(&cluster.kubeconfig()), cluster.url().to_owned());
    cluster.kubectl(&["create", "configmap", "precious"]).await.unwrap();

    cluster.etcd().kill().unwrap();
    cluster.etcd().start().unwrap();
    cluster.apiserver().restart().unwrap();
    cluster.wait_ready(MINUTE).await.unwrap();
    cluster.kubectl(&["get", "configmap", "precious"]).await.unwrap();
    assert_eq!(cluster.url(), url);

    cluster.apiserver().pause().unwrap();
    let hung = cluster.kubectl(&["get", "configmaps", "--request-timeout=1s"]).await.unwrap_err().to_string();
    cluster.apiserver().resume().unwrap();
    assert!(hung.to_lowercase().contains("timeout"), "{hung}");
    cluster.kubectl(&["get", "configmap", "precious"]).await.unwrap();

    let pids = pids(&folder);
    assert_eq!(pids.len(), 3, "one of each, but found {pids:?} in {}", folder.display());
    drop(cluster);
    assert_eq!(remains(&folder, &pids), Ok(()));
}

#[tokio::test]
async fn a_kept_cluster_outlives_its_owner_until_it_is_stopped() {
    let cluster = Cluster::start().await.unwrap();
    let stop = cluster.stop_command();
    let folder = cluster.keep().unwrap();
    let pids = pids(&folder);
    assert!(pids.len() == 3 && pids.iter().all(|pid| runs(*pid)), "these still run: {pids:?}");

    let status = Command::new("sh").args(["-c", &stop]).status().await.unwrap();
    assert!(status.success(), "{stop}: {status}");
    eventually("a stopped cluster is gone", async || remains(&folder, &pids)).await;
}

#[tokio::test]
async fn nothing_is_left_of_a_cluster_whose_owner_was_killed() {
    let mut owner = Command::new(env!("CARGO_BIN_EXE_test-cluster"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().expect("the program says how to use the cluster");
    let path = line.strip_prefix("export KUBECONFIG='").and_then(|path| path.strip_suffix('\''));
    let folder = folder_of(Path::new(path.expect(&line)));
    let pids = pids(&folder);
    assert!(pids.len() == 3 && pids.iter().all(|pid| runs(*pid)), "these run: {pids:?}");

    owner.kill().await.unwrap();
    eventually("the keeper has cleaned up", async || remains(&folder, &pids)).await;
}

fn folder_of(kubeconfig: &Path) -> PathBuf {
    kubeconfig.parent().expect("a kubeconfig lies in the cluster's folder").to_owned()
}

fn pids(folder: &Path) -> Vec<Pid> {
    let names = fs::read_dir(folder.join("pids")).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| Pid::from_raw(name.to_str().unwrap().parse().unwrap()).unwrap()).collect()
}

/// A zombie, which nobody has waited for yet, does not run. (Where there is no /proc, init is quick.)
fn runs(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let zombie = stat.rsplit(')').next().is_some_and(|fields| fields.starts_with(" Z"));
    !zombie && test_kill_process(pid).is_ok()
}

fn remains(folder: &Path, pids: &[Pid]) -> Result<(), String> {
    let running: Vec<_> = pids.iter().filter(|pid| runs(**pid)).collect();
    if running.is_empty() && !folder.exists() {
        return Ok(());
    }
    Err(format!(
        "{} {}, processes {running:?} run",
        folder.display(),
        if folder.exists() { "is there" } else { "is gone" }
    ))
}
