//! The plugin: packed, checked as a user does, and installed by Krew itself.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use test_cluster::Binary;
use tokio::process::Command;

use super::{Stage, VERSION};
use crate::archives::{self, Arch, Extras, PLUGIN};
use crate::{output_of, unpack};

/// Returns what to tell.
pub async fn rehearse(stage: &Stage<'_>) -> Result<Vec<String>> {
    let folder = stage.work.join("archives");
    pack(stage, &folder).await?;
    let mut check = Command::new("sha256sum");
    output_of(check.args(["--check", "--strict", "checksums.txt"]).current_dir(&folder)).await?;

    let archive = folder.join(Arch::here()?.archive());
    let krew = Krew { stage, home: stage.work.join("home"), manifest: folder.join("zenlayerport.yaml") };
    let damaged = stage.work.join("damaged.tar.gz");
    fs::copy(&archive, &damaged)?;
    File::options().append(true).open(&damaged)?.write_all(b"x")?;
    let refusal = krew.install(&damaged).await.err().context("Krew installs a damaged archive")?;
    ensure!(format!("{refusal:#}").contains("checksum"), "Krew refuses a damaged archive: {refusal:#}");
    krew.install(&archive).await?;
    let version = krew.kubectl(&krew.bin(), &["zenlayerport", "--version"]).await?;
    ensure!(version.trim() == format!("{PLUGIN} {VERSION}"), "kubectl zenlayerport --version says {version}");

    let unpacked = stage.work.join("unpacked");
    fs::create_dir(&unpacked)?;
    unpack(&archive, &[], &unpacked).await?;
    let completed = krew.kubectl(&unpacked, &["__complete", "zenlayerport", "expl"]).await?;
    ensure!(completed.starts_with("explain\t"), "Tab after `kubectl zenlayerport expl` gives {completed}");
    ensure!(unpacked.join("LICENSE").is_file(), "the archive has no license");
    Ok(vec![
        "plugin: the checksums are right, and Krew refuses a damaged archive".to_owned(),
        format!("plugin: Krew installs it, and `kubectl zenlayerport --version` says {}", version.trim()),
        "plugin: Tab completes with what is in the archive".to_owned(),
    ])
}

/// All files of a release, but the notes. Without a machine of the other kind, both archives hold the same binary.
async fn pack(stage: &Stage<'_>, folder: &Path) -> Result<()> {
    let license = stage.parts.root.join("LICENSE");
    let extras = Extras { completion: stage.parts.completion, license: &license };
    let archive = archives::pack(stage.parts.plugin, extras, Arch::here()?, folder).await?;
    for other in Arch::ALL.into_iter().filter(|arch| folder.join(arch.archive()) != archive) {
        fs::copy(&archive, folder.join(other.archive()))?;
    }
    let address = "https://release.example.com";
    let manifest = archives::krew(VERSION, folder, address, address).await?;
    fs::write(folder.join("zenlayerport.yaml"), manifest)?;
    Ok(fs::write(folder.join("checksums.txt"), archives::checksums(folder).await?)?)
}

struct Krew<'a> {
    stage: &'a Stage<'a>,
    home: PathBuf,
    manifest: PathBuf,
}

impl Krew<'_> {
    async fn install(&self, archive: &Path) -> Result<()> {
        let program = self.stage.tools.path(Binary::Krew);
        let mut krew = self.command(&program, &self.bin())?;
        krew.env("KREW_NO_UPGRADE_CHECK", "1").arg("install").arg("--manifest").arg(&self.manifest);
        output_of(krew.arg("--archive").arg(archive)).await.map(drop)
    }

    /// Where Krew puts what it has installed.
    fn bin(&self) -> PathBuf {
        self.home.join(".krew/bin")
    }

    /// kubectl, with plugins from this folder.
    async fn kubectl(&self, plugins: &Path, args: &[&str]) -> Result<String> {
        let kubectl = self.stage.cluster.binary(Binary::Kubectl);
        output_of(self.command(&kubectl, plugins)?.args(args)).await
    }

    /// Of this process's environment it sees only the PATH, with kubectl and the plugins in it.
    fn command(&self, program: &Path, plugins: &Path) -> Result<Command> {
        let kubectl = self.stage.cluster.binary(Binary::Kubectl);
        let ours = [plugins, kubectl.parent().context("a folder")?].map(Path::to_owned);
        let path: OsString = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(ours.into_iter().chain(env::split_paths(&path)))?;
        let mut command = Command::new(program);
        command.env_clear().env("PATH", path).env("HOME", &self.home);
        Ok(command)
    }
}
