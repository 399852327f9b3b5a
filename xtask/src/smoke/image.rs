//! References to container images.

use std::fmt;
use std::str::FromStr;

use anyhow::{Error, Result, ensure};

/// `REPOSITORY[:TAG][@DIGEST]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    pub(super) repository: String,
    pub(super) tag: Option<String>,
    pub(super) digest: Option<String>,
}

impl FromStr for Image {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        // A colon before the last slash is that of a registry's port.
        let (repository, tag) = match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
            _ => (name, None),
        };
        ensure!(
            !repository.is_empty() && tag != Some("") && digest.is_none_or(|digest| digest.contains(':')),
            "{text:?} is no reference to an image; write it like registry.example.com/name:tag or name@sha256:…"
        );
        Ok(Self {
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl Image {
    /// The image `name` that was pushed beside this one, under the same tag. `None` if this one has no tag.
    pub(super) fn sibling(&self, name: &str) -> Option<Self> {
        let repository = match self.repository.rsplit_once('/') {
            Some((folder, _)) => format!("{folder}/{name}"),
            None => name.to_owned(),
        };
        Some(Self { repository, tag: Some(self.tag.clone()?), digest: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_falls_into_repository_tag_and_digest() {
        for (text, repository, tag, digest) in [
            ("zpo", "zpo", None, None),
            ("zpo:1", "zpo", Some("1"), None),
            ("localhost:5000/zpo", "localhost:5000/zpo", None, None),
            ("localhost:5000/team/zpo:1.2", "localhost:5000/team/zpo", Some("1.2"), None),
            ("zpo@sha256:ab", "zpo", None, Some("sha256:ab")),
            ("localhost:5000/zpo:1@sha256:ab", "localhost:5000/zpo", Some("1"), Some("sha256:ab")),
        ] {
            let image: Image = text.parse().expect(text);
            let parts = (image.repository.as_str(), image.tag.as_deref(), image.digest.as_deref());
            assert_eq!(parts, (repository, tag, digest), "of {text}");
            assert_eq!(image.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for text in ["", ":1", "zpo:", "zpo@latest", "@sha256:ab"] {
            let error = text.parse::<Image>().expect_err(text);
            assert!(error.to_string().contains("registry.example.com/name:tag"), "{error}");
        }
    }

    #[test]
    fn the_simulator_is_looked_for_beside_the_operator() {
        let sibling =
            |text: &str| text.parse::<Image>().expect(text).sibling("sim").map(|image| image.to_string());
        assert_eq!(sibling("localhost:5000/team/zpo:1").as_deref(), Some("localhost:5000/team/sim:1"));
        assert_eq!(sibling("zpo:1@sha256:ab").as_deref(), Some("sim:1"));
        assert_eq!(sibling("zpo@sha256:ab"), None);
    }
}
