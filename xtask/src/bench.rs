//! `cargo xtask bench`: what the operator costs, and the document that tells.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;
use clap::builder::PossibleValuesParser;
use scale_bench::document::{Document, body};
use scale_bench::{Bench, Binaries, Findings, Machine, Scenario, quick};

use crate::interrupt::Interrupt;
use crate::{cargo, commit, operator, root, stdout_of};

/// Measure calls, latency, memory and processor time with up to 10,000 ports, and compare with the loops of other operators.
///
/// Runs release builds of the operator and of a simulated Zenlayer against a real API server, on this machine only. The machine
/// should do nothing else meanwhile. Writes docs/benchmarks.md and its plots. It takes about 45 minutes on two cores, and the
/// first run builds what `demo` builds.
#[derive(Debug, Args)]
pub struct Options {
    /// A short run of a few minutes with small numbers. It checks counts but no times, and writes nothing.
    #[arg(long)]
    quick: bool,

    /// Measure only this, and print it. Can be given several times. Does not write docs/benchmarks.md.
    #[arg(long, conflicts_with = "quick", value_parser = PossibleValuesParser::new(Scenario::ALL.map(Scenario::as_str)))]
    scenario: Vec<String>,
}

pub async fn run(options: Options) -> Result<()> {
    let mut interrupt = Interrupt::listen()?;
    interrupt.unless(Box::pin(measure(options))).await
}

async fn measure(options: Options) -> Result<()> {
    eprintln!("Building the operator and the simulator …");
    let binaries = Binaries {
        operator: operator::build_release(operator::NAME).await?,
        simulator: operator::build_release("zenlayer-simulator").await?,
    };
    if options.quick {
        let bench = Bench::start(binaries, Duration::from_secs(1)).await?;
        println!("{}\nAll counts held.", body(&quick(&bench).await?));
        return Ok(());
    }
    let chosen: Vec<Scenario> = Scenario::ALL
        .into_iter()
        .filter(|scenario| {
            options.scenario.is_empty() || options.scenario.iter().any(|name| name == scenario.as_str())
        })
        .collect();
    let bench = Bench::start(binaries, Duration::from_secs(10)).await?;
    let told = if options.scenario.is_empty() {
        let rustc = stdout_of("rustc", &["--version"]).await?;
        Some((Machine::of(&bench, rustc.trim().to_owned(), commit().await?).await?, decision().await?))
    } else {
        None
    };
    let mut findings = Findings::default();
    for scenario in chosen {
        let began = Instant::now();
        eprintln!("Measuring {} …", scenario.as_str());
        findings
            .measure(&bench, scenario)
            .await
            .with_context(|| format!("measuring {}", scenario.as_str()))?;
        eprintln!("… {} s", began.elapsed().as_secs());
        // After each, so that one that fails does not take the others along.
        if let Some((machine, decision)) = &told {
            write(&Document::of(&findings, machine, decision)?)?;
        }
    }
    println!("{}", body(&findings));
    Ok(())
}

fn write(document: &Document) -> Result<()> {
    let docs = root().join("docs");
    let plots = docs.join("benchmarks");
    fs::create_dir_all(&plots)?;
    for (file, svg) in &document.plots {
        fs::write(plots.join(file), svg)?;
    }
    fs::write(docs.join("benchmarks.md"), &document.markdown)?;
    Ok(())
}

/// What the benchmark of the decision alone prints.
async fn decision() -> Result<String> {
    eprintln!("Measuring the decision …");
    let printed = stdout_of(cargo(), &["bench", "--package", operator::NAME, "--bench", "decide"]).await?;
    Ok(printed.trim().to_owned())
}
