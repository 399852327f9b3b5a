//! The operator's binary, and others of the workspace.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::{cargo, stdout_of};

/// The package, and its binary.
pub const NAME: &str = "zenlayer-port-operator";

/// Builds the operator as `cargo build` does, with cargo's own progress on stderr; returns its binary.
pub async fn build() -> Result<PathBuf> {
    build_binary(NAME, &[]).await
}

/// The same for the release build of a package with a binary of its name.
pub async fn build_release(package: &str) -> Result<PathBuf> {
    build_binary(package, &["--release"]).await
}

async fn build_binary(package: &str, profile: &[&str]) -> Result<PathBuf> {
    let arguments =
        ["build", "--package", package, "--bin", package, "--message-format=json-render-diagnostics"];
    let messages = stdout_of(cargo(), &[&arguments, profile].concat()).await?;
    let mut built = messages.lines().filter_map(executable);
    let found = built.find(|(name, _)| name == package).map(|(_, binary)| binary);
    found.with_context(|| format!("cargo has built no binary {package}"))
}

/// The name of a target and its binary, if this is cargo's message that tells of one.
pub(crate) fn executable(message: &str) -> Option<(String, PathBuf)> {
    #[derive(Deserialize)]
    struct Artifact {
        target: Target,
        executable: Option<PathBuf>,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    let artifact: Artifact = serde_json::from_str(message).ok()?;
    Some((artifact.target.name, artifact.executable?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binaries_are_found_among_the_messages_of_cargo() {
        let library =
            r#"{"reason":"compiler-artifact","target":{"name":"zenlayer_port_operator"},"executable":null}"#;
        let other = r#"{"reason":"compiler-artifact","target":{"name":"build-script"},"executable":"/b"}"#;
        let binary =
            r#"{"reason":"compiler-artifact","target":{"name":"zenlayer-port-operator"},"executable":"/o"}"#;
        let end = r#"{"reason":"build-finished","success":true}"#;
        let found = [library, other, binary, end].into_iter().filter_map(executable);
        let named = |name: &str, path: &str| (name.to_owned(), PathBuf::from(path));
        assert_eq!(found.collect::<Vec<_>>(), [named("build-script", "/b"), named(NAME, "/o")]);
    }
}
