//! What all passes share.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use futures::FutureExt;
use kube::runtime::reflector::Store;

use super::call_queue::CallQueue;
use super::crd::Crd;
use super::credentials::{Credentials, Source, User};
use super::deletions::Deletions;
use super::events::Events;
use super::invalid::Invalids;
use super::lists::Lists;
use super::memory::Memory;
use super::own_writes::OwnWrites;
use super::reference::{Reference, reference};
use super::roster::{Owner, Roster};
use crate::api::ZenlayerPort;
use crate::clock::{Clock, Monotonic};
use crate::decision::sighting::{Evidence, Presence};
use crate::decision::{Claim, GateSettings, Listing, Timing};
use crate::fingerprint::Fingerprint;
use crate::lease::Leadership;
use crate::mirror::{AccountKey, Mirror, Usage};
use crate::server::Metrics;
use crate::wakes::WakeSender;
use crate::zenlayer::Client;

pub(super) struct Shared {
    pub(super) kubernetes: kube::Client,
    pub(super) mirror: Mirror<Reference, Client>,
    /// What new credentials are shown that have not taken over yet.
    pub(super) probes: Mirror<Reference, Client>,
    pub(super) credentials: Credentials,
    pub(super) events: Events,
    pub(super) memory: Memory,
    pub(super) own_writes: OwnWrites,
    pub(super) roster: Roster,
    pub(super) invalids: Invalids,
    pub(super) wakes: Arc<WakeSender<Reference>>,
    pub(super) calls: CallQueue<Reference>,
    pub(super) deletions: Deletions,
    pub(super) lists: Lists,
    pub(super) crd: Crd,
    /// What uses the ports whose calls were refused.
    pub(super) usage: Usage<Reference, Client>,
    pub(super) clock: Clock,
    pub(super) timing: Timing,
    pub(super) gates: GateSettings,
    pub(super) metrics: Metrics,
    pub(super) leadership: Leadership,
    /// The mirrors of Kubernetes objects: one for all namespaces, or one for each that is watched.
    pub(super) stores: OnceLock<Stores>,
}

/// kube's stores, by namespace; the key of the only one that covers them all is none.
pub(super) type Stores = HashMap<Option<String>, Store<ZenlayerPort>>;

impl Shared {
    pub(super) fn forget(&self, reference: &Reference, uid: &str) {
        self.stop_reading(reference);
        self.memory.forget(uid);
        self.own_writes.forget(uid);
    }

    /// The API server has taken a write of this process, and `written` is the object since then.
    pub(super) fn wrote(&self, written: &ZenlayerPort) {
        self.own_writes.wrote(written, self.clock.monotonic());
        // The watch may have shown it before the answer came.
        if let Some(shown) = self.shown(written) {
            self.own_writes.shown(&shown);
        }
    }

    /// Whether all objects are known whose deletions and claims count for this one. The watch shows everything in order: with
    /// the deletion of this object it has shown what was before.
    pub(super) fn listing(&self, object: &ZenlayerPort, deletion_known_since: Option<Monotonic>) -> Listing {
        match (self.lists.state(), deletion_known_since) {
            (Listing::Complete, Some(since)) if object.is_terminating() => {
                let is_shown = self.shown(object).is_some_and(|shown| shown.is_terminating());
                if is_shown { Listing::Complete } else { Listing::Behind { since } }
            }
            (state, _) => state,
        }
    }

    /// The object, of this uid, as the watch shows it.
    fn shown(&self, object: &ZenlayerPort) -> Option<Arc<ZenlayerPort>> {
        let store = self.store_of(object.metadata.namespace.as_deref())?;
        store.get(&reference(object)).filter(|shown| shown.metadata.uid == object.metadata.uid)
    }

    /// A pass may outlive its object, and register again what was forgotten with it.
    pub(super) fn after_pass(&self, object: &ZenlayerPort) {
        if self.is_known(object) {
            return;
        }
        let reference = reference(object);
        let unparsed = self.invalids.salvaged(&reference);
        if unparsed.is_some_and(|unparsed| unparsed.metadata.uid == object.metadata.uid) {
            // Nothing is decided about it now; what was learnt of it counts again once it can be parsed.
            self.stop_reading(&reference);
        } else {
            self.forget(&reference, object.metadata.uid.as_deref().unwrap_or_default());
        }
    }

    /// Whether the object, of this uid, is one that is decided about.
    pub(super) fn is_known(&self, object: &ZenlayerPort) -> bool {
        self.shown(object).is_some()
    }

    /// Forgets what is still registered for objects that are not known, however it came about.
    pub(super) fn sweep(&self) {
        let objects = self.objects();
        let uids: HashSet<&str> =
            objects.iter().filter_map(|object| object.metadata.uid.as_deref()).collect();
        self.memory.retain(|uid| uids.contains(uid));
        self.own_writes.retain(|uid| uids.contains(uid));
        let waiting =
            self.mirror.waiters().into_iter().chain(self.probes.waiters()).chain(self.calls.waiters());
        let unknown: HashSet<Reference> = waiting
            .filter(|waiter| {
                self.store_of(waiter.namespace.as_deref()).is_none_or(|store| store.get(waiter).is_none())
            })
            .collect();
        for reference in &unknown {
            self.stop_reading(reference);
        }
    }

    /// How much is registered for objects, for tests.
    #[cfg(test)]
    pub(super) fn registered(&self) -> usize {
        let waiters = self.mirror.waiters().len() + self.probes.waiters().len() + self.calls.waiters().len();
        waiters + self.memory.len() + self.own_writes.len()
    }

    /// Nobody waits for the object's port any more.
    pub(super) fn stop_reading(&self, reference: &Reference) {
        self.calls.leave(reference);
        self.mirror.forget(reference);
        self.probes.forget(reference);
        self.usage.forget(reference);
    }

    /// The watch shows the object like this. To be called before the controller can look at it: no deletion is decided about
    /// that is not counted.
    pub(super) fn count_deletion(&self, object: &ZenlayerPort) {
        let source = self.credentials.source(object).ok();
        self.wakes.wake(self.deletions.put(object, source.as_ref(), self.clock.monotonic()));
    }

    /// How many deletions there are at once with that of the object, as far as anybody asks. `evidence` is what its own
    /// credential has read of its port.
    pub(super) fn deletions_at_once(&self, object: &ZenlayerPort, evidence: Option<&Evidence>) -> u32 {
        if !object.is_terminating() {
            return 0;
        }
        let source = self.credentials.source(object).ok();
        let has_seen =
            |evidence: &&Evidence| matches!(&evidence.good, Some(good) if good.presence != Presence::Absent);
        let seen_by = evidence.filter(has_seen).map(|evidence| &evidence.by);
        self.deletions.at_once(object, source.as_ref(), seen_by, self.clock.monotonic())
    }

    /// Who else claims the object's port, `account` being its own. What that has read of the port counts for the others.
    pub(super) fn claims(
        &self,
        object: &ZenlayerPort,
        account: Option<AccountKey>,
        evidence: Option<&Evidence>,
    ) -> Vec<Claim> {
        self.wakes.wake(self.roster.looked(object, account, evidence));
        let source = |object: &ZenlayerPort| self.credentials.source(object).ok();
        let owner = Owner { object, source: source(object), account };
        self.roster.claims(&owner, |other| self.get(other), source, self.clock.monotonic())
    }

    /// The fingerprints that have seen a port which `credential` has seen too: a port belongs to one account. Looked for only
    /// where the object's own witnesses do not include the credential.
    pub(super) fn same_account(
        &self,
        object: &ZenlayerPort,
        credential: Option<&Fingerprint>,
    ) -> Vec<Fingerprint> {
        let own = seen_by(object);
        let Some(credential) = credential.filter(|credential| !own.is_empty() && !own.contains(credential))
        else {
            return Vec::new();
        };
        let objects = self.objects();
        let witnesses = objects.iter().map(|other| seen_by(other));
        let of_one_account = witnesses.filter(|seen_by| seen_by.contains(credential)).flatten();
        // Thousands of objects have the same few.
        of_one_account.cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn get(&self, reference: &Reference) -> Option<Arc<ZenlayerPort>> {
        let store = self.store_of(reference.namespace.as_deref())?;
        store.get(reference).or_else(|| self.invalids.salvaged(reference))
    }

    fn store_of(&self, namespace: Option<&str>) -> Option<&Store<ZenlayerPort>> {
        let stores = self.stores.get()?;
        stores.get(&None).or_else(|| stores.get(&namespace.map(str::to_owned)))
    }

    /// Wakes the objects that take their credentials from one of `sources`.
    pub(super) fn wake_users_of(&self, sources: &HashSet<Source>) {
        let objects = self.objects();
        let users = objects
            .iter()
            .filter(|object| self.credentials.source(object).is_ok_and(|source| sources.contains(&source)));
        self.wakes.wake(users.map(|object| reference(object.as_ref())));
    }

    /// The sources that objects use, each with its objects.
    pub(super) fn users_of_credentials(&self) -> HashMap<Source, Vec<User>> {
        let mut users: HashMap<Source, Vec<User>> = HashMap::new();
        for object in self.objects() {
            if let Ok(source) = self.credentials.source(&object) {
                users.entry(source).or_default().push(User::of(&object));
            }
        }
        users
    }

    /// Whether an object may use this source: not known before the objects of its namespace are listed, nor if they are
    /// another operator's.
    pub(super) fn may_be_used(&self, source: &Source) -> bool {
        let Source::Secret { namespace, .. } = source else { return true };
        let listed = self
            .store_of(Some(namespace))
            .and_then(|store| store.wait_until_ready().now_or_never())
            .is_some_and(|ready| ready.is_ok());
        !listed || self.objects().iter().any(|object| self.credentials.source(object).as_ref() == Ok(source))
    }

    pub(super) fn objects(&self) -> Vec<Arc<ZenlayerPort>> {
        let parsed = self.stores.get().into_iter().flat_map(HashMap::values).flat_map(Store::state);
        parsed.chain(self.invalids.all_salvaged()).collect()
    }
}

/// The fingerprints of the credentials that have seen the object's port.
fn seen_by(object: &ZenlayerPort) -> &[Fingerprint] {
    let identity = object.status.as_ref().and_then(|status| status.identity.as_ref());
    identity.map_or(&[], |identity| &identity.seen_by)
}
