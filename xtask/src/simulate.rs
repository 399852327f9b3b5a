//! `cargo xtask simulate`: the operator in simulated time, through many seeds.

mod power;
mod table;

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use tokio::process::Command;

use crate::interrupt::Interrupt;
use crate::{cargo, commit, root};

/// Run the operator in simulated time, with faults and people that follow from a seed, and check that all promises hold.
///
/// A seed that finds something prints a page, and its plan, made as small as possible, is written to target/simulation. The first
/// run builds everything with optimization, which takes some minutes.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Options {
    /// How many seeds to run; 100, or 1,000 with --mutants.
    #[arg(long)]
    seeds: Option<u64>,

    /// The first seed. With --full, the only one.
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Print the whole journal of one seed.
    #[arg(long)]
    full: bool,

    /// Instead of seeds, put a crash and a lost answer at each effect of each story.
    #[arg(long, conflicts_with_all = ["seeds", "seed", "full"])]
    sweep: bool,

    /// Run the plan in this file, and print its journal.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeds", "seed", "full"])]
    plan: Option<String>,

    /// Write docs/simulation.md.
    #[arg(long, conflicts_with_all = ["full", "plan", "sweep"])]
    write: bool,

    /// Instead, put one mistake at a time into a copy of the code, and see after how many seeds the simulation notices it. Writes
    /// the table in docs/simulation.md, row by row.
    #[arg(long, conflicts_with_all = ["full", "plan", "sweep", "write"])]
    mutants: bool,

    /// Only the mistakes whose names contain this.
    #[arg(long, value_name = "NAME", requires = "mutants")]
    only: Option<String>,

    /// Only the mistakes that have no row yet, or one that says that no seed noticed them.
    #[arg(long, requires = "mutants")]
    missing: bool,

    /// How many seeds run at the same time.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

/// Seeds of a run.
const SEEDS: u64 = 100;

pub async fn run(options: Options) -> Result<()> {
    if options.mutants {
        return power::run(&options).await;
    }
    let seeds = options.seeds.unwrap_or(SEEDS);
    let mut simulate = Command::new(cargo());
    simulate
        .args([
            "run",
            "--quiet",
            "--profile",
            "simulate",
            "--manifest-path",
            "tests/simulation/Cargo.toml",
            "--bin",
        ])
        .args(["simulate", "--", "--found", "target/simulation", "--threads", &options.threads.to_string()])
        .args(["--seeds", &seeds.to_string(), "--seed", &options.seed.to_string()])
        .args(options.full.then_some("--full"))
        .args(options.sweep.then_some("--sweep"))
        .args(options.plan.iter().flat_map(|plan| ["--plan", plan]))
        .current_dir(root())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if options.write {
        let seed = options.seed;
        let about = format!(
            "Measured at commit `{}`: `cargo xtask simulate --seeds {seeds} --seed {seed} --write`.",
            commit().await?
        );
        simulate.args(["--write", "docs/simulation.md", "--about", &about]);
    }
    let ran = async { simulate.status().await.context("starting cargo") };
    let status = Interrupt::listen()?.unless(ran).await?;
    ensure!(status.success(), "something does not hold; what led there stands above");
    Ok(())
}
