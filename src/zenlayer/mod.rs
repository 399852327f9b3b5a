//! The client of Zenlayer's SDN API (`docs/zenlayer-api.md`): asks what ports are, and moves them to their end.
//!
//! ```text
//! Settings ─ Transport ──────────────┐  one connection pool for all credentials
//!                                    ▼
//! Credential ── Client ── limiter ─ sign ─ POST /api/v2/sdn ─ classify ─▶ Vec<PortInfo> | Unreadable
//!               (one per credential, with its own limiter)                ChangeAnswer
//! ```
//!
//! Two rules make it safe to build on. A reading is `Ok` only if it is beyond doubt: complete, and about the
//! ports that were asked for. And a change is sent once: whatever leaves its fate in doubt is
//! [`ChangeAnswer::Unclear`], never retried here.

mod action;
mod answer;
mod attachments;
mod client;
mod credential;
mod endpoint;
mod http_client;
mod limiter;
mod metrics;
mod proxy;
mod settings;
mod signing;
#[cfg(test)]
mod testing;
mod transport;
mod wire;

pub use answer::ChangeAnswer;
pub use attachments::{Attachment, Owner};
pub use client::{Batch, Client};
pub use credential::{Credential, CredentialError, CredentialKey};
pub use endpoint::{Endpoint, EndpointError, InsecureEndpoint};
pub use http_client::{Failure, HttpClient, Post, Reply, TlsError};
pub use limiter::{Pause, Permit, Priority};
pub use metrics::RequestMetrics;
pub use proxy::{Proxy, ProxyError};
pub use settings::{ApiVersion, ApiVersionError, Rate, RateError, Settings, Timeouts};
pub use transport::Transport;
