//! What is registered for objects: checks of their ports, and places in the lines for calls. It ends with its object.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::api::{Reason, STALLED, ZenlayerPort, ZenlayerPortStatus};
use crate::clock::Now;
use crate::credentials::Source;
use crate::dispatch::Turns;
use crate::index::{Change, Index, Known, Reference};
use crate::mirror::{Mirror, Usage};
use crate::server::State;
use crate::wakes::WakeSender;
use crate::zenlayer::Client;

/// What reads ports for objects.
pub(super) struct Mirrors {
    pub(super) ports: Mirror<Reference, Client>,
    /// What new credentials are shown that have not taken over yet.
    pub(super) probes: Mirror<Reference, Client>,
    /// What uses the ports whose calls were refused.
    pub(super) usage: Usage<Reference, Client>,
}

impl Mirrors {
    /// Nobody waits for the object's port any more.
    pub(super) fn forget(&self, reference: &Reference) {
        self.ports.forget(reference);
        self.probes.forget(reference);
        self.usage.forget(reference);
    }
}

pub(super) struct Registrations {
    pub(super) index: Arc<Index>,
    pub(super) mirrors: Arc<Mirrors>,
    pub(super) turns: Arc<Turns>,
    pub(super) wakes: Arc<WakeSender<Reference>>,
}

impl Registrations {
    /// The index has changed.
    pub(super) fn follow(&self, change: Change) {
        if let Some(ended) = &change.ended {
            self.end(ended);
        }
        self.wakes.wake(change.woken);
    }

    /// The object waits for nothing any more.
    pub(super) fn end(&self, reference: &Reference) {
        self.turns.leave(reference);
        self.mirrors.forget(reference);
    }

    /// A reconcile may outlive its object, and register again what was forgotten with it.
    pub(super) fn after_reconcile(&self, object: &ZenlayerPort) {
        if !self.index.is_decided_about(object) {
            self.end(&Reference::of(object));
        }
    }

    /// Forgets what is still registered for objects that are not known, however it came about.
    pub(super) fn sweep(&self) {
        let unknown: BTreeSet<Reference> =
            self.waiters().into_iter().filter(|waiter| !self.index.decides_about(waiter)).collect();
        for reference in &unknown {
            self.end(reference);
        }
    }

    /// All that wait for something of a port.
    pub(super) fn waiters(&self) -> Vec<Reference> {
        let Mirrors { ports, probes, usage } = self.mirrors.as_ref();
        [ports.waiters(), probes.waiters(), usage.waiters(), self.turns.waiters()].concat()
    }

    /// Wakes the objects that take their credentials from one of `sources`.
    pub(super) fn wake_users_of(&self, sources: &BTreeSet<Source>) {
        let users: Vec<Reference> = sources.iter().flat_map(|source| self.index.users_of(source)).collect();
        self.wakes.wake(users);
    }

    /// What the objects are like, for the metrics: read when somebody asks, so that it is never old. None until every watch has
    /// listed its objects: nothing yet is not the same as no objects.
    pub(super) fn state(&self, now: Now) -> Option<State> {
        self.index.is_listed().then(|| self.state_of_objects(now))
    }

    fn state_of_objects(&self, now: Now) -> State {
        let mirror = self.mirrors.ports.stats();
        let mut state = State {
            call_queue: self.turns.waiting() as u64,
            oldest_reading: mirror.oldest_answer.map(|answered| now.wall - now.monotonic.since(answered)),
            mirror,
            ..State::default()
        };
        for known in self.index.objects() {
            state.invalid += u64::from(matches!(known, Known::Invalid(_)));
            add(&mut state, known.object());
        }
        state
    }
}

fn add(state: &mut State, object: &ZenlayerPort) {
    let conditions = object.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let ready = object.status.as_ref().and_then(ZenlayerPortStatus::ready);
    // A new object shows nothing yet, and one of a later version may show what this one does not know: both are looked at
    // soon.
    let reason = ready.and_then(|ready| Reason::parse(&ready.reason)).unwrap_or(Reason::Observing);
    *state.shown.entry(reason).or_default() += 1;
    if conditions.iter().any(|condition| condition.type_ == STALLED && condition.status == "True") {
        *state.stalled.entry(reason).or_default() += 1;
    }
    if let Some(deleted) = &object.metadata.deletion_timestamp {
        state.terminating += 1;
        let oldest = state.oldest_deletion.map_or(deleted.0, |oldest| oldest.min(deleted.0));
        state.oldest_deletion = Some(oldest);
    }
}
