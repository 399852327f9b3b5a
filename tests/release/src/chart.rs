//! The chart as it is published: its values name the image that the release made, by its digest.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::output_of;

pub const NAME: &str = "zenlayer-port-operator";

/// An image that no tag can move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedImage {
    repository: String,
    digest: String,
}

impl PinnedImage {
    pub fn new(repository: &str, digest: &str) -> Result<Self> {
        let hash = digest.strip_prefix("sha256:").unwrap_or_default();
        let is_hash = hash.len() == 64 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        ensure!(is_hash, "{digest:?} is no digest: it is sha256: and 64 hexadecimal digits");
        let is_name =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"./:_-".contains(&byte);
        ensure!(
            repository.contains('/') && repository.bytes().all(is_name),
            "{repository:?} is no repository: it is HOST/NAME in small letters, without a tag"
        );
        Ok(Self { repository: repository.to_owned(), digest: digest.to_owned() })
    }

    /// `REPOSITORY@DIGEST`.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.repository, self.digest)
    }

    pub fn digest(&self) -> &str {
        &self.digest
    }
}

/// Packs the chart in the folder `chart` with this image, and checks that what it renders runs no other. `chart` stays as
/// it is.
pub async fn package(helm: &Path, chart: &Path, image: &PinnedImage, into: &Path) -> Result<PathBuf> {
    let folder = tempfile::tempdir()?;
    let copy = folder.path().join(NAME);
    output_of(Command::new("cp").arg("--recursive").arg(chart).arg(&copy)).await?;
    let values = copy.join("values.yaml");
    fs::write(&values, pin(&fs::read_to_string(&values)?, image)?)?;

    fs::create_dir_all(into)?;
    let said = output_of(Command::new(helm).arg("package").arg(&copy).arg("--destination").arg(into)).await?;
    let archive = said.trim().rsplit_once("saved it to: ").map(|(_, path)| PathBuf::from(path));
    let archive = archive.with_context(|| format!("helm package does not say where the chart is: {said}"))?;

    let rendered = output_of(Command::new(helm).arg("template").arg("release").arg(&archive)).await?;
    check_images(&rendered, image)?;
    Ok(archive)
}

/// The values with this image in place of the defaults.
fn pin(values: &str, image: &PinnedImage) -> Result<String> {
    let mut pinned = values.to_owned();
    for (default, new) in [
        (format!("\n  repository: {NAME}\n"), format!("\n  repository: {}\n", image.repository)),
        ("\n  digest: \"\"\n".to_owned(), format!("\n  digest: {}\n", image.digest)),
    ] {
        let found = pinned.matches(&default).count();
        ensure!(found == 1, "values.yaml has {:?} {found} times, not once", default.trim());
        pinned = pinned.replace(&default, &new);
    }
    Ok(pinned)
}

/// Every container runs this image, and there is one at least.
pub fn check_images(rendered: &str, image: &PinnedImage) -> Result<()> {
    let images =
        rendered.lines().filter_map(|line| line.trim_start_matches([' ', '-']).strip_prefix("image: "));
    let images: Vec<&str> = images.map(|image| image.trim_matches('"')).collect();
    ensure!(!images.is_empty(), "the chart renders no image");
    let reference = image.reference();
    let other = images.iter().find(|image| **image != reference);
    ensure!(other.is_none(), "the chart runs {}, not {reference}", other.unwrap_or(&""));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn image() -> PinnedImage {
        PinnedImage::new("registry.example.com/team/zpo", DIGEST).expect("an image")
    }

    #[test]
    fn the_values_of_a_release_name_its_image() {
        let values = include_str!("../../../deploy/chart/values.yaml");
        let pinned = pin(values, &image()).expect("it has both lines");
        let changed = pinned.lines().zip(values.lines()).filter(|(new, old)| new != old).map(|(new, _)| new);
        assert_eq!(
            changed.collect::<Vec<_>>(),
            ["  repository: registry.example.com/team/zpo", &format!("  digest: {DIGEST}")]
        );
    }

    #[test]
    fn values_with_another_default_are_not_guessed_at() {
        let error = pin("image:\n  repository: other\n", &image()).expect_err("it has no such line");
        assert!(error.to_string().contains("0 times"), "{error}");
    }

    #[test]
    fn a_tag_or_half_a_digest_is_no_image() {
        for (repository, digest) in [
            ("registry.example.com/zpo", "sha256:ab"),
            ("registry.example.com/zpo", "0.2.0"),
            ("registry.example.com/Zpo", DIGEST),
            ("zpo", DIGEST),
            ("registry.example.com/zpo\n  tag: x", DIGEST),
        ] {
            assert!(PinnedImage::new(repository, digest).is_err(), "{repository}@{digest}");
        }
    }

    #[test]
    fn a_chart_that_runs_another_image_or_none_is_refused() {
        let image = image();
        let ours = format!("        - image: \"{}\"\n", image.reference());
        check_images(&ours, &image).expect("only ours");
        let error = check_images(&format!("{ours}  image: busybox:1\n"), &image).expect_err("another");
        assert!(error.to_string().contains("runs busybox:1"), "{error}");
        assert!(check_images("kind: Service\n", &image).is_err());
    }
}
