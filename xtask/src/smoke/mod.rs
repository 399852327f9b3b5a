//! `cargo xtask smoke`: the images and the chart at work in a cluster with nodes.

mod image;
mod simulator;

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde_json::json;
use test_cluster::Binary;
use zenlayer_port_operator::api;

pub use self::image::Image;
use crate::chart::{self, RELEASE};
use crate::interrupt::{Interrupt, Interrupted};
use crate::play::{CASES, Stage, Wish};
use crate::tool::Tool;

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
    let simulator_image = options.simulator_image.or_else(|| options.image.sibling("zenlayer-simulator"));
    let simulator_image = simulator_image.context("--image has no tag, so say --simulator-image too")?;
    let kubectl = Tool::find(Binary::Kubectl, options.kubectl).await?.context(options.context.clone());
    let helm = Tool::find(Binary::Helm, options.helm).await?.context(options.context);

    let mut interrupt = Interrupt::listen()?;
    let smoke = Smoke::prepare(kubectl, helm).await?;
    let tried = interrupt.unless(smoke.try_out(&options.image, &simulator_image, &options.values)).await;
    if tried.as_ref().is_err_and(|error| !error.is::<Interrupted>()) {
        smoke.print_diagnostics().await;
    }
    println!("\nRemoving it all …");
    let removed = interrupt.unless(smoke.remove(tried.is_ok())).await.with_context(|| smoke.leftovers());
    match (tried, removed) {
        (Ok(()), removed) => {
            removed?;
            println!("Everything happened as expected.");
            Ok(())
        }
        (tried, removed) => {
            if let Err(error) = removed {
                eprintln!("{error:#}");
            }
            tried
        }
    }
}

/// A namespace of our own, for simulator, operator and objects.
struct Smoke {
    stage: Stage,
    helm: Tool,
}

impl Smoke {
    /// Makes the namespace. Refuses a cluster in which an operator may be at work already.
    async fn prepare(kubectl: Tool, helm: Tool) -> Result<Self> {
        let crd = crd_name();
        let found = kubectl.run(&["get", "crd", &crd, "--ignore-not-found", "--output=name"]).await?;
        ensure!(
            found.is_empty(),
            "this cluster has the CustomResourceDefinition {crd} already: an operator that is at work in it would \
             meddle, and removing ours would delete its ZenlayerPorts. Use another cluster, or, if nobody needs it \
             here: kubectl delete crd {crd}"
        );
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "generateName": "zenlayer-smoke-",
                "labels": { "pod-security.kubernetes.io/enforce": "restricted" },
            },
        });
        let create = ["create", "--filename", "-", "--output", "jsonpath={.metadata.name}"];
        let namespace = kubectl.run_with_input(&create, &namespace.to_string()).await?;
        println!("Namespace {namespace}, Pod Security restricted");
        Ok(Self { stage: Stage { kubectl, namespace }, helm })
    }

    async fn try_out(&self, image: &Image, simulator_image: &Image, further: &[String]) -> Result<()> {
        let Stage { kubectl, namespace } = &self.stage;
        println!("Starting the simulator, {simulator_image} …");
        let endpoint = simulator::start(kubectl, namespace, simulator_image).await?;
        let mut values = values(image, &endpoint);
        values.extend(further.iter().flat_map(|value| ["--set".to_owned(), value.clone()]));
        chart::install(&self.helm, namespace, &values).await?;
        let deployment = format!("deployment/{RELEASE}");
        let rollout = ["rollout", "status", &deployment, "--namespace", namespace, "--timeout=120s"];
        kubectl
            .typed(&rollout)
            .await
            .with_context(|| format!("the operator, image {image}, does not start"))?;
        self.stage.play(async || simulator::journal(kubectl, namespace).await).await?;
        self.be_refused_to_uninstall().await?;
        self.let_go_of_the_rest().await
    }

    /// While objects are left, the chart's Job refuses the uninstall, and prints the command that repairs the release.
    async fn be_refused_to_uninstall(&self) -> Result<()> {
        let Stage { kubectl, namespace } = &self.stage;
        println!("\n$ helm uninstall {RELEASE} --namespace {namespace}");
        let uninstall = self.helm.run(&["uninstall", RELEASE, "--namespace", namespace]).await;
        let refusal = uninstall.err().context("objects are left, and the uninstall is not refused")?;
        println!("{refusal:#}");
        let check = "--selector=app.kubernetes.io/component=uninstall-check";
        let said = kubectl.run(&["logs", "--namespace", namespace, check, "--tail=-1"]).await?;
        println!("The Job says:\n{}", said.trim_end());
        let (_, command) =
            said.trim().rsplit_once("To repair that: helm ").context("it prints no command")?;
        self.helm.typed(&command.split_whitespace().collect::<Vec<_>>()).await
    }

    /// What one does before an uninstall to keep the ports: policy Retain, then delete, while the operator runs.
    async fn let_go_of_the_rest(&self) -> Result<()> {
        let Stage { kubectl, namespace } = &self.stage;
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

    /// Prints what tells why it failed; what cannot be had is passed over with a word.
    async fn print_diagnostics(&self) {
        let deployment = format!("deployment/{RELEASE}");
        for what in [
            &["get", "pods", "--output=wide"][..],
            &["get", "events", "--sort-by=.lastTimestamp"],
            &["get", "zenlayerports", "--output=wide"],
            &["logs", &deployment, "--tail=200"],
        ] {
            let command = [what, &["--namespace", &self.stage.namespace]].concat();
            match self.stage.kubectl.run(&command).await {
                Ok(text) => eprintln!("\n$ kubectl {}\n{}", command.join(" "), text.trim_end()),
                Err(error) => eprintln!("\n{error:#}"),
            }
        }
    }

    /// If it was `tried` with success, nothing is left, and the chart's own check says so before the uninstall; else
    /// the image that it needs is perhaps what went wrong.
    async fn remove(&self, tried: bool) -> Result<()> {
        let Stage { kubectl, namespace } = &self.stage;
        let crd = crd_name();
        if !kubectl.run(&["get", "crd", &crd, "--ignore-not-found", "--output=name"]).await?.is_empty() {
            self.strip_objects().await?;
        }
        let uninstall = ["uninstall", RELEASE, "--namespace", namespace, "--ignore-not-found"];
        let without_check: &[&str] = if tried { &[] } else { &["--no-hooks"] };
        self.helm.run(&[&uninstall, without_check].concat()).await?;
        kubectl.run(&["delete", "namespace", namespace, "--timeout=120s"]).await?;
        kubectl.run(&["wait", "--for=delete", &format!("crd/{crd}"), "--timeout=60s"]).await?;
        Ok(())
    }

    /// Deletes objects that an operator which failed has left, by force: their ports are only simulated.
    async fn strip_objects(&self) -> Result<()> {
        let Stage { kubectl, namespace } = &self.stage;
        for object in self.stage.objects().await? {
            let name = object.metadata.name.unwrap_or_default();
            let object = ["zenlayerport", &name, "--namespace", namespace];
            let patch = [&["patch"], &object[..], &["--type=merge", "-p"]].concat();
            for command in [
                [&patch[..], &[r#"{"spec":{"deletionProtection":false}}"#]].concat(),
                [&["delete"], &object[..], &["--wait=false"]].concat(),
                [&patch[..], &[r#"{"metadata":{"finalizers":null}}"#]].concat(),
            ] {
                if let Err(error) = kubectl.run(&command).await {
                    // It may have gone by itself meanwhile; if not, the deletion of the namespace says so.
                    eprintln!("{error:#}");
                }
            }
        }
        Ok(())
    }

    fn leftovers(&self) -> String {
        format!("namespace {} or what is in it could not be removed", self.stage.namespace)
    }
}

/// `zenlayerports.sdn.zenlayer.com`.
fn crd_name() -> String {
    api::custom_resource_definition().metadata.name.unwrap_or_default()
}

/// The chart's values, as helm's options.
fn values(image: &Image, endpoint: &str) -> Vec<String> {
    let Image { repository, tag, digest } = image;
    let image = [("repository", Some(repository)), ("tag", tag.as_ref()), ("digest", digest.as_ref())];
    let image = image.into_iter().filter_map(|(name, value)| Some(format!("image.{name}={}", value?)));
    let image = image.flat_map(|value| ["--set-string".to_owned(), value]);
    let endpoint = format!("zenlayer.endpoint={endpoint}");
    // Ours alone to remove: no other operator is in this cluster.
    let rest = [&endpoint, "zenlayer.allowInsecureEndpoint=true", "crds.keep=false"];
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
