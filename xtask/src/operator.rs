//! The operator's binary, and others of the workspace.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};
use serde::Deserialize;

use crate::{cargo, stdout_of};

/// The package, and its binary.
pub const NAME: &str = "zenlayer-port-operator";

/// The other binary of the package.
const PLUGIN: &str = "kubectl-zenlayerport";

/// Builds the operator as `cargo build` does, with cargo's own progress on stderr, and the plugin beside it; returns the
/// operator's binary.
pub async fn build() -> Result<PathBuf> {
    let [operator, _plugin] = build_binaries(&["build"], NAME, [NAME, PLUGIN], &[]).await?;
    Ok(operator)
}

/// The release build of a package with a binary of its name; returns that binary.
pub async fn build_release(package: &str) -> Result<PathBuf> {
    let [binary] = build_binaries(&["build"], package, [package], &["--release"]).await?;
    Ok(binary)
}

/// The release builds of operator and plugin, with the list of their components.
pub async fn build_for_release() -> Result<[PathBuf; 2]> {
    let version = stdout_of(cargo(), &["auditable", "--version"]).await;
    version.context("the release needs cargo auditable: cargo install --locked cargo-auditable@0.7.7")?;
    build_binaries(&["auditable", "build"], NAME, [NAME, PLUGIN], &["--release", "--locked"]).await
}

async fn build_binaries<const N: usize>(
    command: &[&str],
    package: &str,
    names: [&str; N],
    profile: &[&str],
) -> Result<[PathBuf; N]> {
    let bins: Vec<&str> = names.iter().flat_map(|name| ["--bin", name]).collect();
    let arguments = ["--package", package, "--message-format=json-render-diagnostics"];
    let messages = stdout_of(cargo(), &[command, &arguments, &bins[..], profile].concat()).await?;
    let built: HashMap<String, PathBuf> = messages.lines().filter_map(executable).collect();
    let mut found = Vec::new();
    for name in names {
        found.push(built.get(name).with_context(|| format!("cargo has built no binary {name}"))?.clone());
    }
    found.try_into().map_err(|_| anyhow!("one for each name"))
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
