//! Ties the two mirrors and the decision together, and carries plans out.
//!
//! ```text
//! streams ─ watch ─▶ Controller ─▶ pass: gather ─▶ decide (pure) ─▶ execute
//!    │                   ▲                 ▲
//!    └─ roster           └── wakes ────────┴── mirror, credentials, other claims
//! ```

mod accounts;
mod crash;
mod credentials;
mod events;
mod execute;
mod memory;
mod pass;
mod roster;
mod run;
mod shared;
mod streams;

pub use crash::CRASH_AT;
pub use credentials::{OwnCredentials, OwnCredentialsError};
pub use run::{Clients, Settings, run};
