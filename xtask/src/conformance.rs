//! `cargo xtask conformance`: the script of the API server in memory, asked of a real one.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use tokio::process::Command;

use crate::interrupt::Interrupt;
use crate::{cargo, root};

/// Ask a real API server what the tests of the API server in memory ask, and say where it no longer answers as recorded.
///
/// This takes about two minutes, and the time to build the control plane if this machine has none yet.
#[derive(Debug, Args)]
pub struct Options {
    /// Write the answers down, in `tests/simulation/golden.json`, instead of comparing them.
    #[arg(long)]
    record: bool,
}

pub async fn run(options: Options) -> Result<()> {
    let mut test = Command::new(cargo());
    test.args(["test", "--manifest-path", "tests/simulation/Cargo.toml", "--test", "conformance"])
        .args(["--", "--ignored", "--nocapture"])
        .current_dir(root())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if options.record {
        test.env("CONFORMANCE_RECORD", "1");
    }
    let status = Interrupt::listen()?.unless(async { test.status().await.context("starting cargo") }).await?;
    ensure!(status.success(), "the real API server does not answer as recorded; the differences stand above");
    Ok(())
}
