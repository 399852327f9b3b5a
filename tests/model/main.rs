//! The decision, checked on all of its inputs and under all schedules of faults.
//!
//! [`exhaustive`] puts every combination of what a decision rests on to [`decide`] and checks each rule on all of them.
//! [`world`] is a model of everything around it (API server, Zenlayer, replicas, people) in which the shipped [`decide`] and
//! [`Reconcile`] are the operator; stateright walks all of its states. `docs/guarantees.md` says what the two leave out.
//!
//! `cargo test` keeps to small bounds; `cargo xtask model` goes deep and prints the numbers.
//!
//! [`decide`]: zenlayer_port_operator::decision::decide
//! [`Reconcile`]: zenlayer_port_operator::reconcile::Reconcile

mod exhaustive;
mod facts;
mod world;

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effort {
    Short,
    Deep,
}

impl Effort {
    /// `ZENLAYER_MODEL=deep`, as `cargo xtask model` sets it; short without it.
    fn asked_for() -> Self {
        match std::env::var("ZENLAYER_MODEL").as_deref() {
            Ok("deep") => Self::Deep,
            _ => Self::Short,
        }
    }
}
