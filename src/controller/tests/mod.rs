//! The shell, tried without a cluster: whole reconciles between an API server in memory and a simulated Zenlayer.

pub(in crate::controller) mod api_server;
pub(in crate::controller) mod stage;

mod calls;
mod events;
mod facts;
mod log;
mod metrics;
mod reconciles;
mod refusals;
mod registrations;
mod secrets;
mod watch;
mod writes;
