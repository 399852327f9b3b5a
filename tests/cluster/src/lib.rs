//! A real Kubernetes control plane on loopback, for tests and the demo.
//!
//! [`Cluster::start`] runs etcd, kube-apiserver and kube-controller-manager as child processes: real RBAC,
//! `ServiceAccount` tokens, admission, namespace deletion and garbage collection. There is no kubelet and no
//! scheduler; [`Cluster::run_deployment`] and [`Cluster::run_job`] run the one container of a Deployment or a Job as a
//! local process instead.
//!
//! ```text
//!   test process ──spawns──▶ etcd ◀── kube-apiserver ◀── kube-controller-manager, kubectl, helm, pods
//!        │ pipe                    each in its own process group, each listed in FOLDER/pids
//!        ▼
//!     keeper ── at the end of the pipe, however it came: kills what is listed, removes FOLDER
//! ```
//!
//! The binaries come from `KUBEBUILDER_ASSETS` or are built once from the Go modules under `tools/`
//! (see [`Assets`]). A cluster starts in about 4 s and takes about 400 MiB, so share one per test binary: in a
//! `tokio::sync::OnceCell` if need be, as nothing depends on its being dropped.

mod assets;
mod audit;
mod client;
mod cluster;
mod folder;
mod host;
mod keys;
mod pod;
mod ports;
mod process;
mod prometheus;
mod registry;
mod shell;
mod tool;

pub use assets::{Assets, Binary, Linters, gitops_health, promtool, release_tools};
pub use audit::Access;
pub use client::client_for;
pub use cluster::Cluster;
pub use host::ExistingCluster;
pub use pod::{DeploymentRun, FinishedJob, RunningPod};
pub use process::Process;
pub use prometheus::{Alert, Prometheus, Rule, Sample, Target, as_grafana_sends};
pub use registry::Registry;
pub use rustix::process::Signal;
pub use tool::{Tool, stdout_of};
