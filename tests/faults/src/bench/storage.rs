//! etcd's data: saved, and put back as it was.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use test_cluster::Binary;
use tokio::process::Command;

use super::{Bench, PATIENCE};

/// Whether a restored etcd counts on from where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revisions {
    /// They go back, and a watch never learns of it.
    GoBack,
    /// They jump ahead and all before is compacted: watches are told that they are too old.
    JumpAhead,
}

impl Bench {
    /// Saves all that etcd holds.
    pub async fn snapshot(&self) -> Result<PathBuf> {
        let folder = self.folder()?;
        let file = folder.join("snapshot.db");
        let mut command = Command::new(self.cluster.binary(Binary::Etcdctl));
        command.arg(format!("--endpoints=unix://{}", folder.join("etcd.sock").display()));
        run(command.args(["snapshot", "save"]).arg(&file)).await?;
        Ok(file)
    }

    /// Puts everything back as it was when the snapshot was taken. The API server and etcd are killed for that.
    pub async fn restore(&self, snapshot: &Path, revisions: Revisions) -> Result<()> {
        let data = self.folder()?.join("etcd");
        self.cluster.apiserver().kill()?;
        self.cluster.etcd().kill()?;
        fs::remove_dir_all(&data)?;
        let mut command = Command::new(self.cluster.binary(Binary::Etcdutl));
        command.args(["snapshot", "restore"]).arg(snapshot).arg("--data-dir").arg(&data);
        // As the cluster runs it.
        command.args([
            "--initial-cluster=default=http://127.0.0.1:1",
            "--initial-advertise-peer-urls=http://127.0.0.1:1",
        ]);
        if revisions == Revisions::JumpAhead {
            command.args(["--bump-revision=1000000", "--mark-compacted"]);
        }
        run(&mut command).await?;
        self.cluster.etcd().start()?;
        self.cluster.apiserver().start()?;
        self.cluster.wait_ready(PATIENCE).await
    }

    fn folder(&self) -> Result<PathBuf> {
        Ok(self.cluster.kubeconfig().parent().context("the cluster has a folder")?.to_owned())
    }
}

async fn run(command: &mut Command) -> Result<()> {
    let output = command.output().await?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
