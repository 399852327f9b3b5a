//! `cargo xtask demo`: the operator at work on this machine, and nothing but this machine.

mod picture;
mod world;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use self::world::World;
use crate::interrupt::{Interrupt, Interrupted};
use crate::play::Stage;

/// Where the play takes place; it is the only namespace of the cluster that anybody cares about.
const NAMESPACE: &str = "demo";

/// Watch the operator work, with a real Kubernetes control plane and a simulated Zenlayer on this machine only.
///
/// Creates seven `ZenlayerPort` objects, deletes six of them with kubectl, shows what happens to each, and compares it with the
/// simulator's journal. Fails if a call was sent for a wrong port, or a second time.
///
/// The first run builds what is missing: the operator with cargo, and the control plane from its Go modules, which takes about 10
/// minutes (Go must be installed, or `KUBEBUILDER_ASSETS` must be set). Later runs take about a minute. It needs no Zenlayer
/// account, no container runtime and no cluster. Ctrl-C stops and removes everything.
#[derive(Debug, Args)]
pub struct Options {
    /// Leave everything running until Ctrl-C, so that you can try it.
    #[arg(long)]
    keep: bool,

    /// Then delete one more object, and draw what the terminal shows as an SVG, for the README.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,

    /// Multiplies all durations of the operator. With 1, the real ones, the demo takes about 2 minutes.
    #[arg(long, default_value_t = 0.2, value_parser = time_scale)]
    time_scale: f64,
}

pub async fn run(options: Options) -> Result<()> {
    let mut interrupt = Interrupt::listen()?;
    let world = interrupt.unless(Box::pin(World::start(options.time_scale))).await?;
    let stage = Stage { kubectl: world.kubectl(), namespace: NAMESPACE.to_owned() };
    let played = interrupt.unless(stage.play(async || world.journal())).await;
    match &played {
        Ok(()) => println!("Everything happened as expected."),
        Err(error) if error.is::<Interrupted>() => return played,
        Err(_) => eprintln!("The operator's log:\n{}", world.operator_log()),
    }
    if let Some(file) = &options.svg {
        world.seed_port_of_picture();
        interrupt.unless(Box::pin(picture::draw(&world.kubectl(), file))).await?;
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
