//! A Kubernetes API server in memory.
//!
//! | module | what it holds |
//! |---|---|
//! | `http` | the tower service, and the bodies of answers |
//! | `ask` | a request, taken apart |
//! | `state` | everything that the server knows; which verb goes where |
//! | `store` | objects, versions, and the changes of the last while |
//! | `read`, `watch` | GET: objects, pages, watches |
//! | `write`, `delete` | POST, PUT, PATCH, DELETE |
//! | `kinds`, `strategy`, `names`, `schema` | what is particular about each kind |
//! | `admission` | what may refuse a write that is well formed |
//! | `controllers` | what a control plane does by itself |
//! | `failure`, `object` | refusals; an object and its text |

mod admission;
mod ask;
mod controllers;
mod delete;
mod failure;
mod http;
mod kinds;
mod names;
mod object;
mod read;
mod schema;
mod state;
mod store;
mod strategy;
mod watch;
mod write;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use self::state::{Outside, State};

pub use self::http::Body;
pub(crate) use self::object::Object;
pub(crate) use self::store::Change;

/// The server. Clones are handles of the same one.
///
/// It has no clock, no randomness and no task of its own: the same requests at the same times give the same answers,
/// byte for byte. Only watches sleep, by tokio's clock.
#[derive(Clone)]
pub struct ApiServer(Arc<Mutex<State>>);

impl ApiServer {
    /// `now` is the time that the server writes into objects; all that it makes up (uids, names) follows from `seed`.
    pub fn new(now: impl Fn() -> Timestamp + Send + 'static, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State::new(Outside::new(Box::new(now), seed)))))
    }

    /// A client of this server. It needs a tokio runtime.
    #[must_use]
    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.clone(), "default")
    }

    /// Does what the controllers of the control plane have to do by now: it establishes definitions, and empties
    /// namespaces and definitions that are terminating. Returns when there is more to do, as far as is known.
    pub fn work(&self) -> Option<Timestamp> {
        self.change(State::work)
    }

    /// As after a restart: the server no longer knows what has changed, so watches from before get 410.
    pub fn forget_history(&self) {
        self.change(|state| state.store.forget());
    }

    /// The version of the last change.
    pub(crate) fn version(&self) -> u64 {
        self.change_nothing(|state| state.store.version())
    }

    /// What has changed since a version, in order.
    pub(crate) fn changes_after(&self, version: u64) -> Vec<Change> {
        self.change_nothing(|state| state.store.after(version).cloned().collect())
    }

    /// Does something that may change objects, and wakes the watches if it does.
    fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let before = state.store.version();
        let done = act(&mut state);
        if state.store.version() != before {
            state.wake();
        }
        done
    }

    fn change_nothing<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lock().fmt(f)
    }
}
