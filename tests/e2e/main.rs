//! The operator as its users meet it: installed by Helm on a real API server, run as its Deployment says, driven by
//! kubectl; Zenlayer is the simulator, whose journal is the witness.

mod admission;
mod check;
mod crashes;
mod credentials;
mod documents;
mod health;
mod holds;
mod hostile;
mod invalid;
mod kubectl;
mod metrics;
mod namespaces;
mod people;
mod permissions;
mod plugin;
mod policies;
mod prometheus;
mod proof;
mod proxies;
mod replicas;
mod roles;
mod rollout;
mod secrets;
mod traces;
#[path = "../typed/mod.rs"]
mod typed;
mod uninstall;
mod upgrade;
mod waits;
mod witness;
mod world;
mod writes;
