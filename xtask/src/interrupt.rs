//! Ctrl-C, SIGTERM, and the end of the terminal: the work under way is dropped, then cleaned up after.

use std::io;

use anyhow::Result;
use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The work was dropped: nothing went wrong, so there is nothing to look into.
#[derive(Clone, Copy, Debug, Error)]
#[error("interrupted")]
pub struct Interrupted;

/// Listens from its making on: from then the signals no longer end the process by themselves.
#[derive(Debug)]
pub struct Interrupt {
    ctrl_c: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Interrupt {
    /// Must be called inside of a tokio runtime.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            ctrl_c: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal.
    pub async fn wait(&mut self) {
        tokio::select! {
            _ = self.ctrl_c.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }

    /// Does `work`; [`Interrupted`] if a signal comes first, which drops the work where it is.
    pub async fn unless<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            result = work => result,
            () = self.wait() => Err(Interrupted.into()),
        }
    }
}
