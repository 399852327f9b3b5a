//! zenlayer-port-operator: `kubectl delete zenlayerport NAME` releases a Zenlayer SDN port.
//!
//! ```text
//!    Kubernetes API server                              Zenlayer API
//!         │ watch                                          ▲ DescribePorts, up to 100 ids a call
//!         ▼                                                │
//!    mirror of ZenlayerPort objects             mirror of ports, one poller per credential
//!         └──────────────┐            ┌────────────────────┘
//!                        ▼            ▼
//!        decide(object, evidence, context, now) → Plan         pure: no IO, clock or randomness
//!                              │
//!                              ▼
//!                   execute: status, then at most one act
//!        write status · add/remove finalizer · TerminatePort · DestroyPort
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`port`], [`answer`], [`text`], [`fingerprint`], [`clock`], [`wakes`], [`tasks`], [`spans`], [`kubernetes`] | words that several modules share |
//! | [`api`] | the Kubernetes API: spec, status, reasons |
//! | [`decision`] | pure: what to do about one object |
//! | [`zenlayer`] | the client of Zenlayer's API |
//! | [`mirror`] | what the cloud says of every port that somebody waits for |
//! | [`controller`] | streams, passes, execution, credentials, events |
//! | [`lease`] | which of several replicas works |
//! | [`server`] | health, metrics, log, traces |
//! | [`plugin`] | `kubectl zenlayerport` |
//! | [`cli`], [`manifest`], [`check`], [`uninstall`] | the command line, the texts that are generated, the checks after an install and before an end |
//!
//! Imports run one way, from the bottom of the table to its top (`tests/architecture.rs`).

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
pub mod server;
pub mod spans;
pub mod tasks;
pub mod text;
pub mod uninstall;
pub mod wakes;
pub mod zenlayer;
