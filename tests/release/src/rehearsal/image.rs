//! A stand-in for what BuildKit makes of the Dockerfile: the operator alone, on no base.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use super::{Stage, VERSION};
use crate::archives::Arch;
use crate::chart::{NAME, PinnedImage};
use crate::{output_of, unpack};

/// Where the Dockerfile puts it.
const OPERATOR: &str = "usr/local/bin/zenlayer-port-operator";

/// Pushes an image for each processor, and the index of them. The binary is the same in each.
pub async fn push(stage: &Stage<'_>) -> Result<PinnedImage> {
    let files = stage.work.join("image");
    let operator = files.join(OPERATOR);
    fs::create_dir_all(operator.parent().context("a folder")?)?;
    fs::copy(stage.parts.operator, &operator)?;
    let layer = stage.work.join("layer.tar.gz");
    let tar = ["--create", "--gzip", "--owner=0", "--group=0", "--file"];
    output_of(Command::new("tar").args(tar).arg(&layer).arg("--directory").arg(&files).arg("usr")).await?;

    let (crane, layer) = (stage.crane(), layer.display().to_string());
    let tag = |suffix: &str| format!("{}:{VERSION}{suffix}", stage.repository(NAME));
    let mut index = vec!["index".to_owned(), "append".to_owned(), "--tag".to_owned(), tag("")];
    for arch in Arch::ALL.map(Arch::as_str) {
        let (one, platform) = (tag(&format!("-{arch}")), format!("linux/{arch}"));
        crane.run(&["append", "--oci-empty-base", "--new_layer", &layer, "--new_tag", &one]).await?;
        let entrypoint = format!("/{OPERATOR}");
        let settings = ["--set-platform", &platform, "--entrypoint", &entrypoint, "--user", "65532:65532"];
        crane.run(&[&["mutate", &one, "--tag", &one], &settings[..]].concat()).await?;
        index.extend(["--manifest".to_owned(), one]);
    }
    crane.run(&index).await?;
    stage.pinned(NAME, VERSION).await
}

/// Takes the operator out of an image, as a node of this machine's kind would get it.
pub async fn pull(stage: &Stage<'_>, reference: &str) -> Result<PathBuf> {
    let (into, files) = (stage.work.join("pulled"), stage.work.join("pulled.tar"));
    let platform = format!("linux/{}", Arch::here()?.as_str());
    let archive = files.display().to_string();
    stage.crane().run(&["export", "--platform", &platform, reference, &archive]).await?;
    fs::create_dir(&into)?;
    unpack(&files, &[OPERATOR], &into).await?;
    let operator = into.join(OPERATOR);
    let version = output_of(Command::new(&operator).arg("--version")).await?;
    ensure!(version.trim() == format!("{NAME} {VERSION}"), "the image holds {version}");
    Ok(operator)
}
