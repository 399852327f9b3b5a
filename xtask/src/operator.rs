//! The operator's binary.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use tokio::process::Command;

use crate::root;

/// The package, and its binary.
const NAME: &str = "zenlayer-port-operator";

/// Builds the operator as `cargo build` does, with cargo's own progress on stderr; returns its binary.
pub async fn build() -> Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let output = Command::new(cargo)
        .args(["build", "--package", NAME, "--bin", NAME, "--message-format=json-render-diagnostics"])
        .current_dir(root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await
        .context("starting cargo")?;
    ensure!(output.status.success(), "cargo could not build the operator; what it says stands above");
    let messages = String::from_utf8(output.stdout)?;
    messages.lines().find_map(executable).with_context(|| format!("cargo has built no binary {NAME}"))
}

/// The operator's binary, if this is cargo's message that tells of it.
fn executable(message: &str) -> Option<PathBuf> {
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
    artifact.executable.filter(|_| artifact.target.name == NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_is_found_among_the_messages_of_cargo() {
        let library =
            r#"{"reason":"compiler-artifact","target":{"name":"zenlayer_port_operator"},"executable":null}"#;
        let other = r#"{"reason":"compiler-artifact","target":{"name":"build-script"},"executable":"/b"}"#;
        let binary =
            r#"{"reason":"compiler-artifact","target":{"name":"zenlayer-port-operator"},"executable":"/o"}"#;
        let end = r#"{"reason":"build-finished","success":true}"#;
        let found = [library, other, binary, end].into_iter().filter_map(executable).collect::<Vec<_>>();
        assert_eq!(found, [PathBuf::from("/o")]);
    }
}
