//! The steps of a release, and a rehearsal that takes them all on loopback.
//!
//! | module | what it does |
//! |---|---|
//! | [`archives`] | the archives of the plugin, their checksums, and the Krew manifest |
//! | [`chart`] | the chart as it is published: with the digest of its image |
//! | [`changelog`] | the version, and the notes of a release |
//! | [`components`] | what is compiled into a binary |
//! | [`rehearsal`] | all of them in order, with a registry and a control plane on this machine |
//!
//! `cargo xtask release` offers each step, and the workflow `release.yml` calls them.

pub mod archives;
pub mod changelog;
pub mod chart;
pub mod components;
pub mod rehearsal;

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

/// Runs a command to its end and returns its stdout. The error has its command line and its stderr.
async fn output_of(command: &mut Command) -> Result<String> {
    let line = format!("{:?}", command.as_std());
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("starting {line}"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{line} ended with {}:\n{}", output.status, stderr.trim_end());
    Ok(String::from_utf8(output.stdout)?)
}

/// Unpacks a part of a `.tar.gz` or of a `.tar`.
async fn unpack(archive: &Path, parts: &[&str], into: &Path) -> Result<()> {
    let tar = [OsStr::new("--extract"), OsStr::new("--file"), archive.as_os_str()];
    output_of(Command::new("tar").args(tar).arg("--directory").arg(into).args(parts)).await.map(drop)
}
