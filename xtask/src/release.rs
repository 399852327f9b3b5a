//! `cargo xtask release`: what the release workflow needs besides building: the version, the notes, archives of the
//! plugin, and its Krew manifest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::root;

const PLUGIN: &str = "kubectl-zenlayerport";
const COMPLETION: &str = "kubectl_complete-zenlayerport";

/// What the release workflow does besides building.
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
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Arch {
    Amd64,
    Arm64,
}

impl Arch {
    const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    fn as_str(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    fn archive(self) -> String {
        format!("{PLUGIN}_linux_{}.tar.gz", self.as_str())
    }
}

pub fn run(options: &Options) -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    match &options.step {
        Step::Version { tag } => {
            agree(version, &read("deploy/chart/Chart.yaml")?)?;
            if let Some(tag) = tag {
                ensure!(
                    *tag == format!("v{version}"),
                    "the tag {tag} is not v{version}, the version in Cargo.toml"
                );
                notes(&read("CHANGELOG.md")?, version)?;
            }
            println!("{version}");
        }
        Step::Notes => print!("{}", notes(&read("CHANGELOG.md")?, version)?),
        Step::Pack { binary, arch, into } => {
            println!("{}", pack(binary, *arch, into)?.display());
        }
        Step::Krew { archives, url, homepage } => print!("{}", krew(version, archives, url, homepage)?),
    }
    Ok(())
}

fn read(file: &str) -> Result<String> {
    fs::read_to_string(root().join(file)).with_context(|| format!("reading {file}"))
}

/// The chart is of this version, and so is the image that it names.
fn agree(version: &str, chart: &str) -> Result<()> {
    for key in ["version", "appVersion"] {
        let line = chart.lines().find_map(|line| line.strip_prefix(&format!("{key}: ")));
        let found = line.with_context(|| format!("Chart.yaml has no {key}"))?.trim_matches('"');
        ensure!(
            found == version,
            "{key} in Chart.yaml is {found}, and the version in Cargo.toml is {version}"
        );
    }
    Ok(())
}

/// The section of the changelog, without its heading.
fn notes(changelog: &str, version: &str) -> Result<String> {
    let heading = format!("## {version}");
    let mut lines = changelog.lines().skip_while(|line| !is_heading(line, &heading));
    ensure!(lines.next().is_some(), "CHANGELOG.md has no section {heading:?}: rename Unreleased to it");
    let section: Vec<&str> = lines.take_while(|line| !line.starts_with("## ")).collect();
    let text = section.join("\n").trim().to_owned();
    ensure!(!text.is_empty(), "the section {heading:?} of CHANGELOG.md is empty");
    Ok(text + "\n")
}

/// A date may follow it.
fn is_heading(line: &str, heading: &str) -> bool {
    line.strip_prefix(heading).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

fn pack(binary: &Path, arch: Arch, into: &Path) -> Result<PathBuf> {
    let folder = tempfile::tempdir()?;
    let files = [PLUGIN, COMPLETION, "LICENSE"];
    fs::copy(binary, folder.path().join(PLUGIN)).with_context(|| format!("copying {}", binary.display()))?;
    fs::copy(root().join("LICENSE"), folder.path().join("LICENSE"))?;
    fs::write(folder.path().join(COMPLETION), zenlayer_port_operator::plugin::COMPLETION_SCRIPT)?;
    for (name, mode) in [(PLUGIN, 0o755), (COMPLETION, 0o755), ("LICENSE", 0o644)] {
        let mode: fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(folder.path().join(name), mode)?;
    }
    fs::create_dir_all(into)?;
    let archive = into.join(arch.archive());
    let packed = Command::new("tar")
        .args(["--create", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"])
        .args(["--use-compress-program=gzip --no-name --best", "--file"])
        .arg(&archive)
        .arg("--directory")
        .arg(folder.path())
        .args(files)
        .status()
        .context("starting tar")?;
    ensure!(packed.success(), "tar ended with {packed}");
    Ok(archive)
}

/// The manifest by which `kubectl krew install` finds the plugin.
fn krew(version: &str, archives: &Path, url: &str, homepage: &str) -> Result<String> {
    let mut platforms = Vec::new();
    for arch in Arch::ALL {
        let name = arch.archive();
        platforms.push(json!({
            "selector": { "matchLabels": { "os": "linux", "arch": arch.as_str() } },
            "uri": format!("{url}/{name}"),
            "sha256": sha256(&archives.join(&name))?,
            "bin": PLUGIN,
        }));
    }
    let manifest = json!({
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": { "name": "zenlayerport" },
        "spec": {
            "version": format!("v{version}"),
            "homepage": homepage,
            "shortDescription": "Show what holds Zenlayer ports, and what to do",
            "description": "Shows which ZenlayerPorts need you and what to type, explains why a port is not gone, says what \
                            a deletion would do, and approves paused deletions.\n",
            "caveats": "For completion with the Tab key: kubectl zenlayerport completion --help\n",
            "platforms": platforms,
        },
    });
    Ok(serde_saphyr::to_string(&manifest)?)
}

fn sha256(file: &Path) -> Result<String> {
    let output = Command::new("sha256sum").arg(file).output().context("starting sha256sum")?;
    let printed = String::from_utf8(output.stdout)?;
    match printed.split_whitespace().next() {
        Some(digest) if output.status.success() => Ok(digest.to_owned()),
        _ => bail!("no checksum of {}: {}", file.display(), String::from_utf8_lossy(&output.stderr)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGELOG: &str = "# Changelog\n\n## Unreleased\n\n- later\n\n## 0.2.0 - 2026-12-01\n\n### Added\n\n- this\n\n## 0.1.0\n\n- that\n";

    #[test]
    fn the_notes_are_the_section_of_the_version_and_nothing_else() {
        assert_eq!(notes(CHANGELOG, "0.2.0").expect("a section"), "### Added\n\n- this\n");
        assert_eq!(notes(CHANGELOG, "0.1.0").expect("a section"), "- that\n");
        for missing in ["0.2", "0.2.00", "0.3.0"] {
            let error = notes(CHANGELOG, missing).expect_err(missing).to_string();
            assert!(error.contains("rename Unreleased"), "{error}");
        }
    }

    #[test]
    fn a_chart_of_another_version_is_no_release() {
        assert!(agree("0.2.0", "version: 0.2.0\nappVersion: \"0.2.0\"\n").is_ok());
        let error =
            agree("0.2.0", "version: 0.2.0\nappVersion: 0.1.0\n").expect_err("it differs").to_string();
        assert!(error.contains("appVersion in Chart.yaml is 0.1.0"), "{error}");
        agree(env!("CARGO_PKG_VERSION"), &read("deploy/chart/Chart.yaml").expect("a chart"))
            .expect("they agree");
    }

    #[test]
    fn an_archive_made_twice_is_the_same_and_the_manifest_names_its_checksum() {
        let folder = tempfile::tempdir().expect("a folder");
        let binary = folder.path().join("built");
        fs::write(&binary, "#!/bin/sh\n").expect("a file");
        let [first, second] = ["one", "two"].map(|into| folder.path().join(into));
        for arch in Arch::ALL {
            for into in [&first, &second] {
                pack(&binary, arch, into).expect("an archive");
            }
            let bytes = |into: &Path| fs::read(into.join(arch.archive())).expect("an archive");
            assert_eq!(bytes(&first), bytes(&second), "{arch:?}");
        }
        let listed =
            Command::new("tar").arg("-tvzf").arg(first.join(Arch::Amd64.archive())).output().expect("tar");
        let listed = String::from_utf8(listed.stdout).expect("text");
        let executables = listed.lines().filter(|line| line.starts_with("-rwxr-xr-x")).count();
        assert_eq!((listed.lines().count(), executables), (3, 2), "{listed}");

        let manifest =
            krew("0.2.0", &first, "https://example.com/v0.2.0", "https://example.com").expect("YAML");
        let checksum = sha256(&first.join(Arch::Arm64.archive())).expect("a checksum");
        for words in [
            "version: v0.2.0",
            "uri: https://example.com/v0.2.0/kubectl-zenlayerport_linux_arm64.tar.gz",
            checksum.as_str(),
        ] {
            assert!(manifest.contains(words), "{words:?} is missing:\n{manifest}");
        }
        assert!(krew("0.2.0", folder.path(), "", "").is_err(), "an archive that is missing is no release");
    }
}
