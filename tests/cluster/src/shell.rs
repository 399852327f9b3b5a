//! A shell for commands as people type them.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::assets::Binary;
use crate::cluster::Cluster;

impl Cluster {
    /// A command in a shell whose kubectl and helm are those of this cluster, and reach it as the administrator. It also finds
    /// the programs in these folders.
    pub fn shell(&self, folders: &[&Path], command: &str) -> Result<Command> {
        let kubectl = self.binary(Binary::Kubectl);
        let programs = kubectl.parent().context("kubectl stands in a folder")?;
        let all = [folders, &[programs, "/usr/bin".as_ref(), "/bin".as_ref()]].concat();
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).kill_on_drop(true);
        shell.env("PATH", std::env::join_paths(all)?).env("KUBECONFIG", self.kubeconfig());
        Ok(shell)
    }

    /// Types such a command, which succeeds.
    pub async fn type_command(&self, folders: &[&Path], command: &str) -> Result<()> {
        let typed = self.shell(folders, command)?.output().await?;
        ensure!(typed.status.success(), "{command}: {}", String::from_utf8_lossy(&typed.stderr));
        Ok(())
    }
}
