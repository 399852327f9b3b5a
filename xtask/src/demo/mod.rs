//! `cargo xtask demo`: the operator at work with a simulated Zenlayer, on this machine or in a cluster that exists.

mod picture;
pub mod record;
mod world;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use test_cluster::Binary;
use zenlayer_simulator::Port;

use self::world::World;
use crate::interrupt::{Interrupt, Interrupted};
use crate::smoke::{self, Image};
use crate::tool::Tool;
use crate::trial::Trial;

/// Where the play takes place in a control plane of its own.
const NAMESPACE: &str = "demo";

/// Short, for those who watch.
const TIME_SCALE: f64 = 0.2;

/// Watch the operator work, with a simulated Zenlayer and a real Kubernetes control plane on this machine, or in your cluster.
///
/// Creates seven `ZenlayerPort` objects, deletes six of them with kubectl, shows what happens to each, and compares it with the
/// simulator's journal. Fails if a call was sent for a wrong port, or a second time.
///
/// Without --context it needs no cluster, no container runtime and no Zenlayer account. The first run builds what is missing: the
/// operator with cargo, and the control plane from its Go modules, which takes about 10 minutes (Go must be installed, or
/// `KUBEBUILDER_ASSETS` must be set). Later runs take about a minute.
///
/// With --context it uses a cluster that you have, such as one of kind or minikube, and a new namespace in it. The operator runs
/// here, with the token of its ServiceAccount, or with --image as a Pod. You need the right to create cluster-wide objects.
///
/// At the end, and on Ctrl-C, it stops and removes everything.
#[derive(Debug, Args)]
pub struct Options {
    /// Use the cluster of this context of your kubeconfig.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,

    /// Run the operator as a Pod of this image, with the real durations. The nodes must have the image or be able to pull it.
    #[arg(long, value_name = "REF", requires = "context", conflicts_with = "time_scale")]
    image: Option<Image>,

    /// The simulator's image (the Dockerfile's target `simulator`) [default: zenlayer-simulator, beside the
    /// operator's image, with its tag].
    #[arg(long, value_name = "REF", requires = "image")]
    simulator_image: Option<Image>,

    /// Leave everything running until Ctrl-C, so that you can try it.
    #[arg(long)]
    keep: bool,

    /// Then delete one more object, and draw what the terminal shows as an SVG, for the README.
    #[arg(long, value_name = "FILE", conflicts_with = "context")]
    svg: Option<PathBuf>,

    /// Multiplies all durations of the operator. With 1, the real ones, the demo takes about 2 minutes.
    #[arg(long, default_value_t = TIME_SCALE, value_parser = time_scale)]
    time_scale: f64,
}

pub async fn run(options: Options) -> Result<()> {
    let mut interrupt = Interrupt::listen()?;
    let Some(context) = &options.context else {
        let world = interrupt.unless(Box::pin(World::on_this_machine(options.time_scale))).await?;
        return show(&world, &options, &mut interrupt).await;
    };
    let kubectl = Tool::find(Binary::Kubectl, None).await?.context(Some(context.clone()));
    let helm = Tool::find(Binary::Helm, None).await?.context(Some(context.clone()));
    let trial = Trial::begin(kubectl, helm, "zenlayer-demo").await?;
    let world = interrupt.unless(Box::pin(start(&trial, context, &options))).await;
    let tried = match world {
        Ok(world) => show(&world, &options, &mut interrupt).await,
        Err(error) => Err(error),
    };
    trial.end(tried, false, &mut interrupt).await
}

async fn start(trial: &Trial, context: &str, options: &Options) -> Result<World> {
    match &options.image {
        None => World::outside(trial, context, options.time_scale).await,
        Some(image) => {
            let simulator_image = smoke::simulator_image(options.simulator_image.clone(), image)?;
            World::inside(trial, image, &simulator_image).await
        }
    }
}

async fn show(world: &World, options: &Options, interrupt: &mut Interrupt) -> Result<()> {
    let stage = &world.stage;
    let played = interrupt.unless(stage.play(async || world.journal().await)).await;
    match &played {
        Ok(()) => println!("Everything happened as expected."),
        Err(error) if error.is::<Interrupted>() => return played,
        Err(_) => {
            if let Some(log) = world.operator_log() {
                eprintln!("The operator's log:\n{log}");
            }
        }
    }
    if let Some(file) = &options.svg {
        world.seed(Port::new(picture::PORT_ID).name("sin1-edge"));
        interrupt.unless(Box::pin(picture::draw(&stage.kubectl, file))).await?;
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
