//! The simulator over TCP, as a client meets it.

mod access;
mod actions;
mod client;
mod control;
mod faults;
