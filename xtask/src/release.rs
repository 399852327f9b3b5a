//! `cargo xtask release`: the steps of a release, one by one as the workflow takes them, or all of them as a rehearsal.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Subcommand, ValueEnum};
use release_steps::archives::{self, Extras};
use release_steps::chart::{self, PinnedImage};
use release_steps::rehearsal::{self, Parts};
use release_steps::{changelog, components};
use zenlayer_port_operator::plugin::COMPLETION_SCRIPT;

use crate::chart::folder as chart_folder;
use crate::interrupt::Interrupt;
use crate::{operator, root};

/// The steps of a release, and their rehearsal on this machine.
#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    step: Step,
}

#[derive(Debug, Subcommand)]
enum Step {
    /// Print the version, if Cargo.toml, the chart and the tag agree about it.
    Version {
        /// The tag of the release, such as v0.2.0. It needs a section in CHANGELOG.md.
        #[arg(long)]
        tag: Option<String>,
    },
    /// Print the section of CHANGELOG.md for this version.
    Notes,
    /// Pack the plugin into an archive that is the same whenever it is made.
    Pack {
        #[arg(long)]
        binary: PathBuf,
        #[arg(long)]
        arch: Arch,
        /// The folder of the archives.
        #[arg(long)]
        into: PathBuf,
    },
    /// Print the checksums of the archives in a folder.
    Checksums {
        #[arg(long)]
        archives: PathBuf,
    },
    /// Print the Krew manifest for the archives in a folder.
    Krew {
        #[arg(long)]
        archives: PathBuf,
        /// Where the archives can be downloaded, without their names.
        #[arg(long)]
        url: String,
        #[arg(long)]
        homepage: String,
    },
    /// Print what is compiled into a binary, which `cargo auditable` has listed in it.
    Components {
        #[arg(long)]
        binary: PathBuf,
    },
    /// Pack the chart with an image as its default, and print the path of the archive.
    Chart {
        /// The name of the image, with its registry, without a tag.
        #[arg(long)]
        image: String,
        /// The digest of the image.
        #[arg(long, value_name = "sha256:…")]
        digest: String,
        /// The folder of the archive.
        #[arg(long)]
        into: PathBuf,
        /// The helm to use.
        #[arg(long, value_name = "PATH", default_value = "helm")]
        helm: PathBuf,
    },
    Rehearse(Rehearse),
}

/// Take all steps on this machine, with a registry and a Kubernetes control plane on 127.0.0.1, and check what comes out.
///
/// Packs the plugin and installs it with Krew. Pushes an image and the chart to the registry, signs them with a key made for
/// this run, and verifies the signatures. Installs the chart from the registry, and runs the operator out of the image that the
/// Deployment names, until it is ready. Publishes nothing.
#[derive(Debug, Args)]
struct Rehearse {
    /// The operator to release [default: a release build by cargo auditable, which takes some minutes].
    #[arg(long, value_name = "PATH", requires = "plugin")]
    operator: Option<PathBuf>,
    /// The plugin to release [default: a release build].
    #[arg(long, value_name = "PATH", requires = "operator")]
    plugin: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Arch {
    Amd64,
    Arm64,
}

impl From<Arch> for archives::Arch {
    fn from(arch: Arch) -> Self {
        match arch {
            Arch::Amd64 => Self::Amd64,
            Arch::Arm64 => Self::Arm64,
        }
    }
}

pub async fn run(options: Options) -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    match options.step {
        Step::Version { tag } => {
            changelog::agree(version, &read("deploy/chart/Chart.yaml")?)?;
            if let Some(tag) = tag {
                ensure!(
                    tag == format!("v{version}"),
                    "the tag {tag} is not v{version}, the version in Cargo.toml"
                );
                changelog::notes(&read("CHANGELOG.md")?, version)?;
            }
            println!("{version}");
        }
        Step::Notes => print!("{}", changelog::notes(&read("CHANGELOG.md")?, version)?),
        Step::Pack { binary, arch, into } => {
            let license = root().join("LICENSE");
            let extras = Extras { completion: COMPLETION_SCRIPT, license: &license };
            println!("{}", archives::pack(&binary, extras, arch.into(), &into).await?.display());
        }
        Step::Checksums { archives } => print!("{}", archives::checksums(&archives).await?),
        Step::Krew { archives, url, homepage } => {
            print!("{}", archives::krew(version, &archives, &url, &homepage).await?);
        }
        Step::Components { binary } => {
            for component in components::of(&binary)? {
                println!("{component}");
            }
        }
        Step::Chart { image, digest, into, helm } => {
            let image = PinnedImage::new(&image, &digest)?;
            println!("{}", chart::package(&helm, &chart_folder(), &image, &into).await?.display());
        }
        Step::Rehearse(options) => rehearse(options).await?,
    }
    Ok(())
}

fn read(file: &str) -> Result<String> {
    fs::read_to_string(root().join(file)).with_context(|| format!("reading {file}"))
}

async fn rehearse(options: Rehearse) -> Result<()> {
    let mut interrupt = Interrupt::listen()?;
    let given = options.operator.zip(options.plugin);
    let [operator, plugin] = if let Some((operator, plugin)) = given {
        [operator, plugin]
    } else {
        eprintln!("Building the operator and the plugin …");
        let built = interrupt.unless(operator::build_for_release()).await?;
        for binary in &built {
            println!("components: {} in {}", components::of(binary)?.len(), binary.display());
        }
        built
    };
    let root = root();
    let parts = Parts { root: &root, operator: &operator, plugin: &plugin, completion: COMPLETION_SCRIPT };
    interrupt.unless(rehearsal::run(parts, |line| println!("{line}"))).await?;
    println!("The release went well.");
    Ok(())
}
