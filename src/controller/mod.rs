//! Ties the two mirrors and the decision together, and carries plans out.
//!
//! ```text
//! streams ─ watch ─▶ Controller ─▶ pass: gather ─▶ decide (pure) ─▶ execute
//!    │                   ▲                 ▲
//!    └─ roster           └── wakes ────────┴── mirror, credentials, other claims
//! ```

mod crash;
mod crd;
mod events;
mod execute;
mod invalid;
mod objects;
mod observe;
mod pass;
mod run;
mod shared;
mod state;
mod streams;
#[cfg(test)]
mod tests;
mod transitions;
mod watch;
mod writes;

pub use crash::CRASH_AT;
pub use run::{Clients, Settings, Surroundings, replica, run};
