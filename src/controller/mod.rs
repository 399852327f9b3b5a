//! Ties the index, the mirror of ports and the decision together, and carries plans out.
//!
//! ```text
//! watch ─▶ streams ─▶ index ─▶ wakes ─▶ dispatch ─▶ reconcile: gather ─▶ decide (pure) ─▶ execute
//!                                ▲                      │ wrote · learnt                    │
//!                                └── mirror · credentials · turns · other claims ◀──────────┘
//! ```

mod crash;
mod crd;
mod error;
mod events;
mod execute;
mod gather;
mod invalid;
mod objects;
mod observe;
mod reconcile;
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
