//! Ties the two mirrors and the decision together, and carries plans out.
//!
//! ```text
//! streams ─ watch ─▶ Controller ─▶ pass: gather ─▶ decide (pure) ─▶ execute
//!    │                   ▲                 ▲
//!    └─ roster           └── wakes ────────┴── mirror, credentials, other claims
//! ```

mod accounts;
mod call_queue;
mod crash;
mod crd;
mod credentials;
mod deletions;
mod events;
mod execute;
mod invalid;
mod lists;
mod memory;
mod objects;
mod observe;
mod own_writes;
mod pass;
mod received;
mod reference;
mod roster;
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
pub use credentials::{CredentialCopies, OwnCredentials, OwnCredentialsError, delete_leftover_copies};
pub use run::{Clients, Settings, Surroundings, replica, run};
