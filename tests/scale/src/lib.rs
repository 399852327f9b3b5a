//! What the operator costs at ten thousand ports: calls, latency, memory, processor time, measured on a real API server and
//! a simulated Zenlayer, each a process of its own on this machine.
//!
//! ```text
//!   bench ── makes and deletes objects ──▶ API server ◀── operator (release build) ──▶ simulator (release build)
//!     ▲  ▲                                     │ watch       │ /proc, /metrics            │ journal
//!     │  └─────────────────────────────────────┴─────────────┘                           │
//!     └──────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Durations are real: latency is what is measured. [`stats`], [`prometheus`] and [`document`] are pure.

mod baseline;
mod cloud;
mod deletion;
pub mod document;
mod fleet;
mod hostile;
mod isolation;
mod machine;
mod operator;
mod plan;
mod plots;
mod proc;
mod prometheus;
mod rest;
mod stats;
mod throughput;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Result;
use kube::Client;
use test_cluster::Cluster;
use test_support::release::serve_the_kind;
use test_support::witness::Witness;

use crate::cloud::Cloud;
pub use crate::machine::Machine;
pub use crate::plan::{Findings, Scenario, quick};

use crate::prometheus::Requests;

/// The longest that anything may take beyond the time that it takes by its nature.
const PATIENCE: Duration = Duration::from_mins(5);

/// Release builds of what runs as processes.
#[derive(Clone, Debug)]
pub struct Binaries {
    pub operator: PathBuf,
    pub simulator: PathBuf,
}

/// What all measurements share. It ends in the order of the fields: the cluster after those that use it.
pub struct Bench {
    witness: Witness,
    cloud: Cloud,
    client: Client,
    cluster: Cluster,
    binaries: Binaries,
    /// The operator's `deletion.grace`.
    grace: Duration,
    runs: AtomicU32,
}

impl Bench {
    pub async fn start(binaries: Binaries, grace: Duration) -> Result<Self> {
        let cluster = Cluster::start().await?;
        serve_the_kind(&cluster).await?;
        let client = cluster.client().await?;
        let cloud = Cloud::start(&binaries.simulator).await?;
        let witness = Witness::of_all(client.clone());
        Ok(Self { cluster, cloud, witness, client, binaries, grace, runs: AtomicU32::new(0) })
    }

    /// A number that no other fleet has.
    fn next_run(&self) -> u32 {
        self.runs.fetch_add(1, Ordering::Relaxed)
    }

    /// What the API server has answered so far.
    async fn requests(&self) -> Result<Requests> {
        let request = http::Request::get("/metrics").body(Vec::new())?;
        Ok(Requests::of(&self.client.request_text(request).await?))
    }
}
