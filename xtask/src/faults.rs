//! `cargo xtask faults`: the fault matrix, and the table of what it came to.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail, ensure};
use clap::Args;
use fault_matrix::{CASES, Case, Matrix, Outcome, report, soak};
use jiff::SignedDuration;

use crate::interrupt::Interrupt;
use crate::{commit, operator, root};

/// Cause every fault that can be caused, and check that no port is leaked, wrongly destroyed, or destroyed twice.
///
/// Runs the operator's own process against a real API server and etcd and a simulated Zenlayer, on this machine only. A run of
/// all cases writes docs/faults.md. It takes about 20 minutes on two cores, and the first run builds what `demo` builds.
#[derive(Debug, Args)]
pub struct Options {
    /// Run only the cases whose names contain this, and do not write docs/faults.md.
    #[arg(long)]
    case: Option<String>,

    /// The seed of all random choices. Without it, the clock gives one.
    #[arg(long)]
    seed: Option<u64>,

    /// How often to run each case. Each round adds one to the seed.
    #[arg(long, default_value_t = 1)]
    rounds: u64,

    /// How many cases run at the same time.
    #[arg(long, default_value_t = 4)]
    jobs: usize,

    /// Run random faults over 200 objects for this long instead, such as 30m.
    #[arg(long, value_parser = soak_time, conflicts_with_all = ["case", "rounds", "jobs"])]
    soak: Option<Duration>,

    /// List the cases and what each must show, and run none.
    #[arg(long)]
    list: bool,
}

pub async fn run(options: Options) -> Result<()> {
    let chosen = chosen(options.case.as_deref())?;
    if options.list {
        for Case { name, faults, expectation, .. } in chosen {
            println!("{name} ({}): {expectation}", faults.join(", "));
        }
        return Ok(());
    }
    let mut interrupt = Interrupt::listen()?;
    eprintln!("Building the operator …");
    let operator = interrupt.unless(operator::build()).await?;
    let first = options.seed.unwrap_or_else(seed_of_the_clock);
    if let Some(duration) = options.soak {
        println!("Seed {first}");
        let soaked = interrupt.unless(soak(operator, first, duration)).await?;
        println!("{soaked}");
        return Ok(());
    }
    let seeds = (0..options.rounds).map(|round| first.wrapping_add(round));
    let runs: Vec<(&Case, u64)> =
        seeds.flat_map(|seed| chosen.iter().map(move |case| (*case, seed))).collect();
    let matrix = Matrix::new(operator);
    let outcomes = interrupt.unless(async { Ok(matrix.run(runs, options.jobs, tell).await) }).await?;
    if options.case.is_none() {
        fs::write(root().join("docs").join("faults.md"), report(&outcomes, &commit().await?))?;
    }
    let failed = outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
    ensure!(failed == 0, "{failed} of {} runs failed; what they say stands above", outcomes.len());
    println!("All {} runs held.", outcomes.len());
    Ok(())
}

fn chosen(name: Option<&str>) -> Result<Vec<&'static Case>> {
    let all = CASES.iter().copied().flatten();
    let chosen: Vec<_> = all.filter(|case| name.is_none_or(|name| case.name.contains(name))).collect();
    if chosen.is_empty() {
        bail!("no case is called so; `cargo xtask faults --list` names them");
    }
    Ok(chosen)
}

fn tell(outcome: &Outcome) {
    let Outcome { case, seed, took, result } = outcome;
    match result {
        Ok(()) => println!("held    {case} ({} s)", took.as_secs()),
        Err(error) => {
            println!(
                "FAILED  {case} ({} s); again: --case {case} --seed {seed}\n{error:#}\n",
                took.as_secs()
            );
        }
    }
}

fn seed_of_the_clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

fn soak_time(text: &str) -> Result<Duration, String> {
    let parsed: SignedDuration =
        text.parse().map_err(|_| format!("{text:?} is not a duration; write it like 30m"))?;
    Duration::try_from(parsed).map_err(|_| "a duration cannot be negative".to_owned())
}
