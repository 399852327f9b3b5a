//! The fault matrix: each case runs the operator's own process against a real API server and etcd and a simulated Zenlayer,
//! injects a fault, and is judged by the oracles ([`test_support::oracle`]).
//!
//! ```text
//!   case ── asks ──▶ bench: cluster, simulator of two accounts, operator processes, proxies
//!     │ injects faults   │ notes what people asked for, and when
//!     ▼                  ▼
//!   it ends ──▶ evidence: the simulator's journal, the objects, logs, events, metrics ──▶ judge ──▶ violations
//! ```
//!
//! `cargo xtask faults` runs them all and writes `docs/faults.md`; `tests/fault_matrix.rs` runs a subset in `cargo test`.
//! All chance of a case comes from one seed, which is printed when the case fails.

mod bench;
mod cases;
mod fault_list;
mod report;
mod soak;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use futures::stream::{self, StreamExt as _};
use test_cluster::Cluster;
use test_support::release::serve_the_kind;
use tokio::sync::OnceCell;

use crate::bench::Bench;
pub use crate::cases::{CASES, IN_CARGO_TEST};
pub use crate::report::report;
pub use crate::soak::{Soaked, soak};

/// No case may take longer.
const LIMIT: Duration = Duration::from_mins(8);

/// One fault, or a few of a kind, and what must come of it.
pub struct Case {
    pub name: &'static str,
    /// What it makes happen, by the numbers of `fault_list.rs`: `C1`, `K4`.
    pub faults: &'static [&'static str],
    /// In one sentence.
    pub expectation: &'static str,
    plane: Plane,
    run: for<'a> fn(&'a mut Bench) -> LocalBoxFuture<'a, Result<()>>,
}

/// Whose control plane a case works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plane {
    /// All share it: the fault concerns a namespace, a process or Zenlayer.
    Shared,
    /// Its own: the fault is in the API server, etcd or the kind itself.
    Own,
}

/// How a case came out.
#[derive(Debug)]
pub struct Outcome {
    pub case: &'static str,
    pub seed: u64,
    pub took: Duration,
    pub result: Result<()>,
}

/// Runs cases, most of them on one control plane.
pub struct Matrix {
    operator: PathBuf,
    shared: OnceCell<Arc<Cluster>>,
}

impl Matrix {
    /// `operator`: the binary, of a debug build, which can be told where to die.
    pub fn new(operator: PathBuf) -> Self {
        Self { operator, shared: OnceCell::new() }
    }

    /// Runs cases, so many at a time; `tell` hears of each at its end.
    pub async fn run(
        &self,
        cases: impl IntoIterator<Item = (&'static Case, u64)>,
        at_a_time: usize,
        tell: impl Fn(&Outcome),
    ) -> Vec<Outcome> {
        let outcomes = stream::iter(cases).map(|(case, seed)| self.run_case(case, seed));
        outcomes.buffer_unordered(at_a_time.max(1)).inspect(|outcome| tell(outcome)).collect().await
    }

    async fn run_case(&self, case: &'static Case, seed: u64) -> Outcome {
        let began = Instant::now();
        let run = AssertUnwindSafe(tokio::time::timeout(LIMIT, self.judged(case, seed))).catch_unwind();
        let result = match run.await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(anyhow!("it took longer than {} min", LIMIT.as_secs() / 60)),
            Err(_) => Err(anyhow!("the case itself panicked")),
        };
        Outcome { case: case.name, seed, took: began.elapsed(), result }
    }

    async fn judged(&self, case: &Case, seed: u64) -> Result<()> {
        let cluster = match case.plane {
            Plane::Shared => Arc::clone(self.shared.get_or_try_init(cluster).await?),
            Plane::Own => cluster().await?,
        };
        let mut bench = Bench::new(cluster, self.operator.clone(), seed).await?;
        let ran = (case.run)(&mut bench).await;
        bench.calm();
        let violations = bench.verdict().await.context("judging what happened")?;
        let listed: Vec<String> = violations.iter().map(ToString::to_string).collect();
        let listed = listed.join("\n");
        match ran {
            Ok(()) => {
                ensure!(listed.is_empty(), "{listed}");
                Ok(())
            }
            Err(error) if listed.is_empty() => Err(error),
            Err(error) => Err(error.context(listed)),
        }
    }
}

/// A control plane that serves the kind.
async fn cluster() -> Result<Arc<Cluster>> {
    let cluster = Cluster::start().await?;
    serve_the_kind(&cluster).await?;
    Ok(Arc::new(cluster))
}
