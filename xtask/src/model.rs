//! `cargo xtask model`: the decision checked on all inputs, and the model walked, as far as is feasible.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use tokio::process::Command;

use crate::interrupt::Interrupt;
use crate::{cargo, root};

/// Test the decision function with every possible input, explore the state model, and print how many states there were.
///
/// `cargo test --test model` does the same with smaller bounds, in seconds. This takes about five minutes on two cores, and an
/// optimized build before that.
#[derive(Debug, Args)]
pub struct Options {
    /// Explore only the scenarios whose names contain this, such as `faults` or `keys`.
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
}

pub async fn run(options: Options) -> Result<()> {
    let filter = options.scenario.map(|name| format!("world::{name}"));
    println!("| scenario | beginnings | faults | slips | acts | states | transitions | events | seconds |");
    let walk = Command::new(cargo())
        .args(["test", "--profile", "simulate", "--test", "model", "--", "--nocapture", "--test-threads=1"])
        .args(filter)
        .env("ZENLAYER_MODEL", "deep")
        .current_dir(root())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status();
    let status = Interrupt::listen()?.unless(async { walk.await.context("starting cargo") }).await?;
    ensure!(status.success(), "a promise is broken; what led there stands above");
    Ok(())
}
