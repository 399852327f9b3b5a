//! What others see of the running operator: `/livez`, `/readyz`, `/metrics`, the log, and traces.

mod http;
mod metrics;
#[cfg_attr(not(feature = "otlp"), path = "no_otlp.rs")]
mod otlp;
mod telemetry;

pub use http::{Readiness, bind, serve};
pub use metrics::{LastHeard, Metrics, ReconcileResult, State};
pub use otlp::Traces;
pub use telemetry::{LogFormat, install as install_telemetry};
