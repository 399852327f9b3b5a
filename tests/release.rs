//! A release is rehearsed (`tests/release`): `cargo xtask release rehearse` does the same with release builds.

use std::path::{Path, PathBuf};
use std::process::Command;

use release_steps::rehearsal::{Parts, run};
use zenlayer_port_operator::plugin::COMPLETION_SCRIPT;

/// As a release has it: without what a debugger reads, which is most of a debug build.
fn stripped(name: &str, binary: &str) -> PathBuf {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let strip = Command::new("strip").arg("-o").args([&copy, Path::new(binary)]).status().expect("strip");
    assert!(strip.success(), "strip {binary}: {strip}");
    copy
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_release_publishes_can_be_verified_and_installed() {
    let operator = stripped("released-operator", env!("CARGO_BIN_EXE_zenlayer-port-operator"));
    let plugin = stripped("released-plugin", env!("CARGO_BIN_EXE_kubectl-zenlayerport"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let parts = Parts { root, operator: &operator, plugin: &plugin, completion: COMPLETION_SCRIPT };
    if let Err(error) = run(parts, |line| println!("{line}")).await {
        panic!("{error:#}");
    }
}
