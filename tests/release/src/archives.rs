//! The archives of the plugin, their checksums, and the manifest by which Krew finds them.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::process::Command;

use crate::output_of;

pub const PLUGIN: &str = "kubectl-zenlayerport";

/// What kubectl runs when somebody presses Tab.
pub const COMPLETION: &str = "kubectl_complete-zenlayerport";

/// The processors that there is an archive for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    Amd64,
    Arm64,
}

impl Arch {
    pub const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// That of this machine.
    pub fn here() -> Result<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Ok(Self::Amd64),
            "aarch64" => Ok(Self::Arm64),
            other => anyhow::bail!("there is no release for {other}"),
        }
    }

    pub fn archive(self) -> String {
        format!("{PLUGIN}_linux_{}.tar.gz", self.as_str())
    }
}

/// What goes into each archive besides the binary.
#[derive(Clone, Copy, Debug)]
pub struct Extras<'a> {
    pub completion: &'a str,
    pub license: &'a Path,
}

/// Packs the plugin into an archive that is the same whenever it is made.
pub async fn pack(binary: &Path, extras: Extras<'_>, arch: Arch, into: &Path) -> Result<PathBuf> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name);
    fs::copy(binary, file(PLUGIN)).with_context(|| format!("copying {}", binary.display()))?;
    fs::copy(extras.license, file("LICENSE"))?;
    fs::write(file(COMPLETION), extras.completion)?;
    for (name, mode) in [(PLUGIN, 0o755), (COMPLETION, 0o755), ("LICENSE", 0o644)] {
        fs::set_permissions(file(name), Permissions::from_mode(mode))?;
    }
    fs::create_dir_all(into)?;
    let archive = into.join(arch.archive());
    let mut tar = Command::new("tar");
    tar.args(["--create", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"])
        .args(["--use-compress-program=gzip --no-name --best", "--file"])
        .arg(&archive)
        .arg("--directory")
        .arg(folder.path())
        .args([PLUGIN, COMPLETION, "LICENSE"]);
    output_of(&mut tar).await?;
    Ok(archive)
}

/// The checksums of all archives, as `sha256sum --check` reads them.
pub async fn checksums(archives: &Path) -> Result<String> {
    let mut lines = String::new();
    for arch in Arch::ALL {
        let name = arch.archive();
        writeln!(lines, "{}  {name}", sha256(&archives.join(&name)).await?)?;
    }
    Ok(lines)
}

/// The manifest by which `kubectl krew install` finds the plugin. `url` is where the archives can be downloaded.
pub async fn krew(version: &str, archives: &Path, url: &str, homepage: &str) -> Result<String> {
    let mut platforms = Vec::new();
    for arch in Arch::ALL {
        let name = arch.archive();
        platforms.push(json!({
            "selector": { "matchLabels": { "os": "linux", "arch": arch.as_str() } },
            "uri": format!("{url}/{name}"),
            "sha256": sha256(&archives.join(&name)).await?,
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

/// In hexadecimal digits.
pub async fn sha256(file: &Path) -> Result<String> {
    let printed = output_of(Command::new("sha256sum").arg(file)).await?;
    let digest = printed.split_whitespace().next().unwrap_or_default();
    ensure!(digest.len() == 64, "sha256sum printed no checksum of {}: {printed}", file.display());
    Ok(digest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LICENSE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../LICENSE");

    #[tokio::test]
    async fn an_archive_made_twice_is_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let binary = folder.path().join("built");
        fs::write(&binary, "#!/bin/sh\n").expect("a file");
        let extras = Extras { completion: "#!/bin/sh\n", license: Path::new(LICENSE) };
        let mut made = Vec::new();
        for into in ["one", "two"] {
            let archive =
                pack(&binary, extras, Arch::Arm64, &folder.path().join(into)).await.expect("an archive");
            made.push(fs::read(archive).expect("an archive"));
        }
        assert!(made[0] == made[1], "the two archives differ");
    }

    #[tokio::test]
    async fn an_archive_that_is_missing_is_no_release() {
        let empty = tempfile::tempdir().expect("a folder");
        assert!(krew("0.2.0", empty.path(), "", "").await.is_err());
        assert!(checksums(empty.path()).await.is_err());
    }
}
