use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{bench, conformance, demo, docs, faults, generate, model, mutants, release, simulate, smoke};

/// Tasks of this repository besides building and testing.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Generate(generate::Options),
    Demo(demo::Options),
    RecordScreens(demo::record::Options),
    Smoke(smoke::Options),
    Faults(faults::Options),
    Model(model::Options),
    Conformance(conformance::Options),
    Simulate(simulate::Options),
    Mutants(mutants::Options),
    Bench(bench::Options),
    Docs(docs::Options),
    Release(release::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Generate(options) => generate::run(&options).await,
        Command::Demo(options) => demo::run(options).await,
        Command::RecordScreens(options) => demo::record::run(options).await,
        Command::Smoke(options) => smoke::run(options).await,
        Command::Faults(options) => faults::run(options).await,
        Command::Model(options) => model::run(options).await,
        Command::Simulate(options) => simulate::run(options).await,
        Command::Conformance(options) => conformance::run(options).await,
        Command::Mutants(options) => mutants::run(options).await,
        Command::Bench(options) => bench::run(options).await,
        Command::Docs(options) => docs::run(&options),
        Command::Release(options) => release::run(options).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ncargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
