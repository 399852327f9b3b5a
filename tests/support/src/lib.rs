//! What the tests that run the operator have in common.
//!
//! ```text
//!   release, objects ── set the scene ──▶ a control plane, a simulated Zenlayer, the operator's processes
//!                                              │ watch               │ journal
//!                                              ▼                     ▼
//!   wait ◀── witness: what objects showed, and when ──▶ oracle: data in, a verdict out
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`release`] | a release of the chart, with values for tests, and its Pods |
//! | [`objects`] | manifests, and what an object shows |
//! | [`metrics`] | what a process tells Prometheus |
//! | [`wait`], [`sight`] | waiting with a deadline, for anything and for what an object shows |
//! | [`witness`] | what a watch has shown |
//! | [`oracle`] | judges what happened |
//! | [`proxy`], [`tls`] | a connection that can be broken; Zenlayer behind TLS |
//!
//! It knows the operator by its API types and as a process, never by its decision. What a Kubernetes control plane is made of, and
//! knows nothing of the operator, is in `tests/cluster`.

pub mod metrics;
pub mod objects;
pub mod oracle;
pub mod proxy;
pub mod release;
pub mod sight;
pub mod tls;
pub mod wait;
pub mod witness;

use std::sync::LazyLock;

use anyhow::Result;
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a tokio runtime"));

/// Runs a test on a runtime that all tests of the process share, as a control plane that they share lives on it.
pub fn run(test: impl Future<Output = Result<()>>) {
    if let Err(error) = RUNTIME.block_on(test) {
        panic!("{error:#}");
    }
}
