//! Ties the index, the mirror of ports and the decision together, and carries out the effects of reconciles.
//!
//! ```text
//! watch ─▶ streams ─▶ index ─▶ wakes ─▶ dispatch ─▶ reconcile: gather ─▶ decide (pure) ─▶ write, call
//!                                ▲                      │ wrote · learnt                    │
//!                                └── mirror · credentials · turns · other claims ◀──────────┘
//! ```

mod crash;
mod crd;
mod error;
mod events;
mod gather;
mod invalid;
mod objects;
mod observe;
mod reconcile;
mod registrations;
mod run;
mod streams;
#[cfg(test)]
mod tests;
mod transitions;
mod watch;
mod writer;
mod writes;

pub use crash::CRASH_AT;
pub use run::{Clients, Settings, Surroundings, replica, run};
