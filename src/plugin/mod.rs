//! `kubectl zenlayerport`: who must act for which port, why a port is not gone, what a deletion would do, and approval.
//!
//! It reads with the rights of whoever types it, and decides with the operator's own tables, so that both say the same.

mod approve;
mod cli;
mod cluster;
mod completion;
mod definition;
mod explain;
mod kubeconfig;
mod neighbours;
mod operator;
mod output;
mod plan;
mod report;
mod screen;
mod status;
mod target;
mod trouble;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use cli::{Cli, Command};

pub use cluster::{Known, Reach};
pub use completion::SCRIPT as COMPLETION_SCRIPT;
pub use definition::Definition;
pub use explain::Explanation;
pub use operator::Operator;
pub use plan::PlanReport;
pub use report::PortReport;
pub use status::{StatusReport, View};

/// The version of what `-o json` and `-o yaml` print.
const SCHEMA: &str = "plugin.sdn.zenlayer.com/v1alpha1";

/// What is said of an empty answer. An error is never shown so.
const NO_PORTS: &str = "No ZenlayerPort matches. -n NAMESPACE looks in one namespace, -A in all.";

/// Somebody must act, and `--exit-code` asked to be told.
const NEEDS_YOU: u8 = 3;

/// Runs the command line. Errors go to stderr.
pub async fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.color.write_global();
    match run(cli).await {
        Ok(code) => code,
        Err(error) => {
            output::tell(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Status(options) => status::run(&cli.connection, &options).await,
        Command::Explain(options) => explain::run(&cli.connection, &options).await,
        Command::Plan(options) => plan::run(&cli.connection, &options).await,
        Command::Approve(options) => approve::run(&cli.connection, &options).await,
        Command::Completion => {
            output::print(completion::SCRIPT)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Complete { words } => {
            output::print(&completion::complete(&words).await)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
