//! `cargo xtask demo`: the operator at work on this machine, and nothing but this machine.

mod world;

use anyhow::Result;
use clap::Args;

use self::world::World;
use crate::interrupt::{Interrupt, Interrupted};
use crate::play::Stage;

/// Where the play takes place; it is the only namespace of the cluster that anybody cares about.
const NAMESPACE: &str = "demo";

/// See the operator at work: a real Kubernetes control plane and a simulated Zenlayer on this machine's loopback.
///
/// Creates seven `ZenlayerPort` objects, deletes six of them with kubectl, shows what becomes of each, and checks it
/// against the simulator's journal: fails if any port was called for that should not have been, or twice.
///
/// What is missing is built first: the operator by cargo, and once for all, in about 7 minutes, the control plane
/// from its Go modules (Go must be installed, or `KUBEBUILDER_ASSETS` be set). After that it takes about 40 s. No
/// Zenlayer account, container runtime or cluster is needed or touched. Ctrl-C cleans up at any time.
#[derive(Debug, Args)]
pub struct Options {
    /// Leave all running, to play with it, until Ctrl-C.
    #[arg(long)]
    keep: bool,

    /// Multiplies the operator's times (grace, intervals, proofs); 1 for the real ones, which take about 2 minutes.
    #[arg(long, default_value_t = 0.2, value_parser = time_scale)]
    time_scale: f64,
}

pub async fn run(options: Options) -> Result<()> {
    let mut interrupt = Interrupt::listen()?;
    let world = interrupt.unless(Box::pin(World::start(options.time_scale))).await?;
    let stage = Stage { kubectl: world.kubectl(), namespace: NAMESPACE.to_owned() };
    let played = interrupt.unless(stage.play(async || world.journal())).await;
    match &played {
        Ok(()) => println!("All came as it was asked."),
        Err(error) if error.is::<Interrupted>() => return played,
        Err(_) => eprintln!("The operator's log:\n{}", world.operator_log()),
    }
    if options.keep {
        println!("\n{}", world.invitation());
        interrupt.wait().await;
    }
    played
}

fn time_scale(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(scale) if (0.05..=1.0).contains(&scale) => Ok(scale),
        _ => Err("a number from 0.05 to 1".to_owned()),
    }
}
