//! `cargo xtask`: what this repository can do besides building and testing.
//!
//! | module | what it does |
//! |---|---|
//! | [`generate`] | writes the files that are made from the code, or says which are stale |
//! | [`alerts`], [`dashboard`] | what the chart gives to Prometheus and Grafana |
//! | [`demo`] | the operator at work with a simulated Zenlayer, on this machine or in a cluster that exists |
//! | [`smoke`] | the images and the chart at work in a cluster with nodes |
//! | [`faults`] | every fault of the matrix, and what must hold after it |
//! | [`model`] | the decision on all inputs, and in all states of its model |
//! | [`conformance`] | a real API server, asked what the tests ask of the one in memory |
//! | [`simulate`] | the operator in simulated time, through many seeds |
//! | [`mutants`] | the decision made wrong, and the tests that notice |
//! | `mutation` | a copy of the code, and the mistakes that are put into it |
//! | [`mod@bench`] | what the operator costs, and the document that tells |
//! | [`play`] | what `demo` and `smoke` have in common: seven objects, what is asked of them, and the verdict |
//! | [`docs`] | the documents as a book |
//! | `trial` | a namespace in a cluster that exists, for `demo` and `smoke`, and its removal |
//! | [`release`] | the steps of a release, and their rehearsal |
//! | [`screens`] | what `kubectl zenlayerport` prints and the dashboard shows, as a document |
//! | [`chart`], [`operator`], [`tool`], [`interrupt`], [`svg`] | the chart; the operator's binary; kubectl and helm; Ctrl-C; pictures |

pub mod alerts;
pub mod bench;
mod changes;
pub mod chart;
pub mod conformance;
pub mod dashboard;
pub mod demo;
pub mod docs;
pub mod faults;
pub mod generate;
pub mod interrupt;
pub mod model;
pub mod mutants;
mod mutation;
pub mod operator;
pub mod play;
mod reference;
pub mod release;
mod renders;
pub mod screens;
pub mod simulate;
pub mod smoke;
pub mod svg;
pub mod tool;
mod trial;
mod values;

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

pub use generate::{Generated, generated, stale};

/// The folder of the workspace.
pub fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// The cargo that runs this, else the one on `PATH`.
pub(crate) fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"))
}

/// The commit that is checked out, for documents that say what they were made from.
pub(crate) async fn commit() -> Result<String> {
    let commit = stdout_of("git", &["rev-parse", "--short=10", "HEAD"]).await?;
    let changed = stdout_of("git", &["status", "--porcelain", "--untracked-files=no"]).await?;
    let changed = if changed.is_empty() { "" } else { ", with changes that are not committed" };
    Ok(format!("{}{changed}", commit.trim()))
}

/// What a program says on stdout, run in the folder of the workspace. Its stderr is shown.
pub(crate) async fn stdout_of(program: impl AsRef<OsStr>, args: &[&str]) -> Result<String> {
    let program = program.as_ref();
    let output = Command::new(program)
        .args(args)
        .current_dir(root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("starting {}", program.display()))?;
    let line = format!("{} {}", program.display(), args.join(" "));
    ensure!(output.status.success(), "`{line}` failed; what it says stands above");
    Ok(String::from_utf8(output.stdout)?)
}
