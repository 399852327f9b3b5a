//! `cargo xtask`: what this repository can do besides building and testing.
//!
//! | module | what it does |
//! |---|---|
//! | [`generate`] | writes the files that are made from the code, or says which are stale |
//! | [`demo`] | the operator at work on this machine: a control plane and a simulated Zenlayer on loopback |
//! | [`smoke`] | the images and the chart at work in a cluster with nodes |
//! | [`play`] | what `demo` and `smoke` have in common: seven objects, what is asked of them, and the verdict |
//! | [`chart`], [`operator`], [`tool`], [`interrupt`] | the chart; the operator's binary; kubectl and helm; Ctrl-C |

pub mod chart;
pub mod demo;
pub mod generate;
pub mod interrupt;
pub mod operator;
pub mod play;
pub mod smoke;
pub mod tool;

use std::path::{Path, PathBuf};

pub use generate::{Generated, generated, stale};

/// The folder of the workspace.
pub fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}
