//! What others see of the running operator: `/livez`, `/readyz`, `/metrics`, and the log.

mod http;
mod metrics;
mod telemetry;

pub use http::{Readiness, bind, serve};
pub use metrics::{LastHeard, Metrics, ReconcileResult, State};
pub use telemetry::{LogFormat, install as install_telemetry};
