use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{demo, generate, smoke};

/// What this repository can do besides building and testing.
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
    Smoke(smoke::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Generate(options) => generate::run(&options).await,
        Command::Demo(options) => demo::run(options).await,
        Command::Smoke(options) => smoke::run(options).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ncargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
