//! zenlayer-port-operator: `kubectl delete zenlayerport NAME` releases a Zenlayer SDN port.
//!
//! ```text
//!    Kubernetes API server                              Zenlayer API
//!         │ watch                                          ▲ DescribePorts, up to 100 ids a call
//!         ▼                                                │
//!    index of ZenlayerPort objects              mirror of ports, one poller per credential
//!         └──────────────┐            ┌────────────────────┘
//!                        ▼            ▼
//!        decide(object, evidence, context, now) → Plan         pure: no IO, clock or randomness
//!                              │
//!                              ▼
//!        Reconcile::next(event) → Effect                       pure: the order of decision, writes and call
//!                              │
//!                              ▼
//!        write status · add/remove finalizer · TerminatePort · DestroyPort
//! ```
//!
//! `docs/architecture.md` has the table of the rooms, and follows one deletion through them. Imports run one way, from the bottom
//! of that table to its top (`tests/architecture.rs`).

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod answer;
pub mod api;
pub mod check;
pub mod cli;
pub mod clock;
pub mod controller;
pub mod credentials;
pub mod decision;
pub mod dispatch;
pub mod fingerprint;
pub mod index;
pub mod kubernetes;
pub mod lease;
pub mod manifest;
pub mod mirror;
pub mod plugin;
pub mod port;
pub mod reading;
pub mod reconcile;
pub mod server;
pub mod spans;
pub mod tasks;
pub mod text;
pub mod uninstall;
pub mod wakes;
pub mod zenlayer;
