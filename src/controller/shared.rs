//! What all passes share.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use kube::runtime::reflector::{ObjectRef, Store};

use super::credentials::{Credentials, Source};
use super::events::Events;
use super::memory::Memory;
use super::roster::Roster;
use crate::api::{PortIdentity, ZenlayerPort};
use crate::clock::Clock;
use crate::decision::{Claim, Timing};
use crate::fingerprint::Fingerprint;
use crate::mirror::Mirror;
use crate::server::Metrics;
use crate::wakes::WakeSender;
use crate::zenlayer::Client;

pub(super) type Reference = ObjectRef<ZenlayerPort>;

pub(super) struct Shared {
    pub(super) kubernetes: kube::Client,
    pub(super) mirror: Mirror<Reference, Client>,
    pub(super) credentials: Credentials,
    pub(super) events: Events,
    pub(super) memory: Memory,
    pub(super) roster: Roster,
    pub(super) wakes: Arc<WakeSender<Reference>>,
    pub(super) clock: Clock,
    pub(super) timing: Timing,
    pub(super) metrics: Metrics,
    /// The mirrors of Kubernetes objects: one for all namespaces, or one for each that is watched.
    pub(super) stores: OnceLock<Stores>,
}

/// kube's stores, by namespace; the key of the only one that covers them all is none.
pub(super) type Stores = HashMap<Option<String>, Store<ZenlayerPort>>;

impl Shared {
    pub(super) fn forget(&self, reference: &Reference, uid: &str) {
        self.mirror.forget(reference);
        self.memory.forget(uid);
    }

    /// Who else owns the same port, and which credentials are known to be of one account with `credential`.
    pub(super) fn others(
        &self,
        object: &ZenlayerPort,
        credential: Option<&Fingerprint>,
    ) -> (Vec<Claim>, Vec<Fingerprint>) {
        let others: Vec<_> = self.roster.others(object).iter().filter_map(|other| self.get(other)).collect();
        let own_source = self.credentials.source(object).ok();
        let claims = others.iter().map(|other| self.claim(other, own_source.as_ref())).collect();
        let accounts = others.iter().filter_map(|other| other.status.as_ref()?.identity.as_ref());
        (claims, same_account(credential, accounts))
    }

    fn claim(&self, other: &ZenlayerPort, own_source: Option<&Source>) -> Claim {
        let metadata = other.metadata.clone();
        Claim {
            same_credential: own_source.is_some()
                && self.credentials.source(other).ok().as_ref() == own_source,
            identity: other.status.as_ref().and_then(|status| status.identity.clone()),
            terminating: other.is_terminating(),
            creation: metadata.creation_timestamp.map(|time| time.0),
            namespace: metadata.namespace.unwrap_or_default(),
            name: metadata.name.unwrap_or_default(),
            uid: metadata.uid.unwrap_or_default(),
        }
    }

    fn get(&self, reference: &Reference) -> Option<Arc<ZenlayerPort>> {
        let stores = self.stores.get()?;
        let store = stores.get(&None).or_else(|| stores.get(&reference.namespace))?;
        store.get(reference)
    }

    /// Wakes the objects that take their credentials from one of `sources`.
    pub(super) fn wake_users_of(&self, sources: &HashSet<Source>) {
        let objects = self.objects();
        let users = objects
            .iter()
            .filter(|object| self.credentials.source(object).is_ok_and(|source| sources.contains(&source)));
        self.wakes.wake(users.map(|object| ObjectRef::from_obj(object.as_ref())));
    }

    /// The sources that some object uses.
    pub(super) fn sources(&self) -> HashSet<Source> {
        self.objects().iter().filter_map(|object| self.credentials.source(object).ok()).collect()
    }

    fn objects(&self) -> Vec<Arc<ZenlayerPort>> {
        self.stores.get().into_iter().flat_map(HashMap::values).flat_map(Store::state).collect()
    }
}

/// The fingerprints that have seen a port which `credential` has seen too: a port belongs to one account.
fn same_account<'a>(
    credential: Option<&Fingerprint>,
    identities: impl Iterator<Item = &'a PortIdentity>,
) -> Vec<Fingerprint> {
    let Some(credential) = credential else { return Vec::new() };
    identities
        .filter(|identity| identity.seen_by.contains(credential))
        .flat_map(|identity| identity.seen_by.iter().cloned())
        .collect()
}
