//! `cargo xtask smoke`: the images and the chart at work in a cluster with nodes.

mod image;
pub(crate) mod simulator;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use test_cluster::Binary;

pub use self::image::Image;
use crate::chart::{self, RELEASE};
use crate::interrupt::Interrupt;
use crate::play::{CASES, Stage, Wish};
use crate::tool::Tool;
use crate::trial::{REMOVE_CRD, Trial};

/// Try an image and the chart in a real cluster, with a simulated Zenlayer in a Pod.
///
/// Makes a namespace under Pod Security "restricted", installs the chart in it, creates and deletes `ZenlayerPort`
/// objects as `cargo xtask demo` does, with the real durations (about 2 minutes), checks the simulator's journal, and removes
/// everything again, also after a failure. On failure it prints the operator's log.
///
/// Needs a cluster without a zenlayer-port-operator in it, and rights to create cluster-wide objects.
#[derive(Debug, Args)]
pub struct Options {
    /// The operator's image. The nodes must have it or be able to pull it.
    #[arg(long, value_name = "REF")]
    image: Image,

    /// The simulator's image (the Dockerfile's target `simulator`) [default: zenlayer-simulator, beside the
    /// operator's image, with its tag].
    #[arg(long, value_name = "REF")]
    simulator_image: Option<Image>,

    /// Further values of the chart, such as podSecurityContext.runAsUser=1000650000.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    values: Vec<String>,

    /// The context of the kubeconfig [default: the current one].
    #[arg(long, value_name = "NAME")]
    context: Option<String>,

    /// The program to use [default: that on PATH, else the test cluster's].
    #[arg(long, value_name = "PATH")]
    kubectl: Option<PathBuf>,

    /// The program to use [default: that on PATH, else the test cluster's].
    #[arg(long, value_name = "PATH")]
    helm: Option<PathBuf>,
}

pub async fn run(options: Options) -> Result<()> {
    let simulator_image = simulator_image(options.simulator_image, &options.image)?;
    let kubectl = Tool::find(Binary::Kubectl, options.kubectl).await?.context(options.context.clone());
    let helm = Tool::find(Binary::Helm, options.helm).await?.context(options.context);

    let mut interrupt = Interrupt::listen()?;
    let trial = Trial::begin(kubectl, helm, "zenlayer-smoke").await?;
    let tried = interrupt.unless(try_out(&trial, &options.image, &simulator_image, &options.values)).await;
    // If it failed, the image that the check needs is perhaps what went wrong.
    let check = tried.is_ok();
    trial.end(tried, check, &mut interrupt).await?;
    println!("Everything happened as expected.");
    Ok(())
}

async fn try_out(trial: &Trial, image: &Image, simulator_image: &Image, further: &[String]) -> Result<()> {
    install(trial, image, simulator_image, further).await?;
    let Stage { kubectl, namespace } = &trial.stage;
    trial.stage.play(async || simulator::journal(kubectl, namespace).await).await?;
    be_refused_to_uninstall(trial).await?;
    retain_the_rest(trial).await
}

/// The simulator's image, else the one beside the operator's.
pub(crate) fn simulator_image(given: Option<Image>, image: &Image) -> Result<Image> {
    let simulator_image = given.or_else(|| image.sibling("zenlayer-simulator"));
    simulator_image.context("--image has no tag, so say --simulator-image too")
}

/// Starts simulator and operator as Pods, and waits until they run.
pub(crate) async fn install(
    trial: &Trial,
    image: &Image,
    simulator_image: &Image,
    further: &[String],
) -> Result<()> {
    let Stage { kubectl, namespace } = &trial.stage;
    println!("Starting the simulator, {simulator_image} …");
    let endpoint = simulator::start(kubectl, namespace, simulator_image).await?;
    let mut values = values(image, &endpoint);
    values.extend(further.iter().flat_map(|value| ["--set".to_owned(), value.clone()]));
    chart::install(&trial.helm, namespace, &values).await?;
    let deployment = format!("deployment/{RELEASE}");
    let rollout = ["rollout", "status", &deployment, "--namespace", namespace, "--timeout=120s"];
    kubectl.typed(&rollout).await.with_context(|| format!("the operator, image {image}, does not start"))
}

/// While objects are left, the chart's Job refuses the uninstall, and prints the command that repairs the release.
async fn be_refused_to_uninstall(trial: &Trial) -> Result<()> {
    let Stage { kubectl, namespace } = &trial.stage;
    println!("\n$ helm uninstall {RELEASE} --namespace {namespace}");
    let uninstall = trial.helm.run(&["uninstall", RELEASE, "--namespace", namespace]).await;
    let refusal = uninstall.err().context("objects are left, and the uninstall is not refused")?;
    println!("{refusal:#}");
    let check = "--selector=app.kubernetes.io/component=uninstall-check";
    let said = kubectl.run(&["logs", "--namespace", namespace, check, "--tail=-1"]).await?;
    println!("The Job says:\n{}", said.trim_end());
    let (_, command) = said.trim().rsplit_once("To repair that: helm ").context("it prints no command")?;
    trial.helm.typed(&command.split_whitespace().collect::<Vec<_>>()).await
}

/// What one does before an uninstall to keep the ports: policy Retain, then delete, while the operator runs.
async fn retain_the_rest(trial: &Trial) -> Result<()> {
    let Stage { kubectl, namespace } = &trial.stage;
    println!();
    for case in CASES.iter().filter(|case| case.wish == Wish::LeaveAlone) {
        let object = ["zenlayerport", case.object, "--namespace", namespace];
        let retain = r#"{"spec":{"deletionPolicy":"Retain","deletionProtection":false}}"#;
        let retain = ["--type=merge", "-p", retain];
        kubectl.typed(&[&["patch"], &object[..], &retain].concat()).await?;
        kubectl.typed(&[&["delete"], &object[..], &["--timeout=60s"]].concat()).await?;
    }
    Ok(())
}

/// The chart's values, as helm's options.
fn values(image: &Image, endpoint: &str) -> Vec<String> {
    let Image { repository, tag, digest } = image;
    let image = [("repository", Some(repository)), ("tag", tag.as_ref()), ("digest", digest.as_ref())];
    let image = image.into_iter().filter_map(|(name, value)| Some(format!("image.{name}={}", value?)));
    let image = image.flat_map(|value| ["--set-string".to_owned(), value]);
    let endpoint = format!("zenlayer.endpoint={endpoint}");
    let rest = [&endpoint, "zenlayer.allowInsecureEndpoint=true", REMOVE_CRD];
    image.chain(rest.into_iter().flat_map(|value| ["--set".to_owned(), value.to_owned()])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_parts_that_an_image_has_are_set() {
        let image = "localhost:5000/zpo@sha256:ab".parse().expect("a reference");
        let values = values(&image, "http://simulator.ns.svc:8099").join(" ");
        assert!(values.contains("image.repository=localhost:5000/zpo "), "{values}");
        assert!(values.contains("image.digest=sha256:ab "), "{values}");
        assert!(!values.contains("image.tag"), "the chart's own tag stays: {values}");
    }
}
