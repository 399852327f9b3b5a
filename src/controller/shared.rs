//! What all reconciles share.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::crd::Crd;
use super::events::Events;
use crate::api::ZenlayerPort;
use crate::clock::Clock;
use crate::credentials::{Credentials, Source};
use crate::decision::{GateSettings, Timing};
use crate::dispatch::Turns;
use crate::index::{Change, Index, Reference};
use crate::lease::Leadership;
use crate::mirror::{Mirror, Usage};
use crate::server::Metrics;
use crate::wakes::WakeSender;
use crate::zenlayer::Client;

pub(super) struct Shared {
    pub(super) kubernetes: kube::Client,
    pub(super) mirror: Mirror<Reference, Client>,
    /// What new credentials are shown that have not taken over yet.
    pub(super) probes: Mirror<Reference, Client>,
    /// What uses the ports whose calls were refused.
    pub(super) usage: Usage<Reference, Client>,
    pub(super) credentials: Credentials,
    pub(super) events: Events,
    pub(super) index: Index,
    pub(super) wakes: Arc<WakeSender<Reference>>,
    pub(super) turns: Arc<Turns>,
    pub(super) crd: Crd,
    pub(super) clock: Clock,
    pub(super) timing: Timing,
    pub(super) gates: GateSettings,
    pub(super) metrics: Metrics,
    pub(super) leadership: Leadership,
}

impl Shared {
    /// The index has changed.
    pub(super) fn follow(&self, change: Change) {
        if let Some(ended) = &change.ended {
            self.stop_reading(ended);
        }
        self.wakes.wake(change.woken);
    }

    /// The API server has taken a write of this process, and `written` is the object since then.
    pub(super) fn wrote(&self, written: &ZenlayerPort) {
        self.index.wrote(written, self.clock.monotonic());
    }

    /// A reconcile may outlive its object, and register again what was forgotten with it.
    pub(super) fn after_reconcile(&self, object: &ZenlayerPort) {
        if !self.index.is_decided_about(object) {
            self.stop_reading(&Reference::of(object));
        }
    }

    /// Forgets what is still registered for objects that are not known, however it came about.
    pub(super) fn sweep(&self) {
        let unknown: BTreeSet<Reference> =
            self.waiters().into_iter().filter(|waiter| !self.index.decides_about(waiter)).collect();
        for reference in &unknown {
            self.stop_reading(reference);
        }
    }

    /// All that wait for something of a port.
    pub(super) fn waiters(&self) -> Vec<Reference> {
        [self.mirror.waiters(), self.probes.waiters(), self.usage.waiters(), self.turns.waiters()].concat()
    }

    /// Nobody waits for the object's port any more.
    pub(super) fn stop_reading(&self, reference: &Reference) {
        self.turns.leave(reference);
        self.mirror.forget(reference);
        self.probes.forget(reference);
        self.usage.forget(reference);
    }

    /// Wakes the objects that take their credentials from one of `sources`.
    pub(super) fn wake_users_of(&self, sources: &BTreeSet<Source>) {
        let users: Vec<Reference> = sources.iter().flat_map(|source| self.index.users_of(source)).collect();
        self.wakes.wake(users);
    }
}
