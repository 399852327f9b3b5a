//! The objects with their secondary indexes, which change only together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kube::ResourceExt;

use super::claims::Look;
use super::memory::Memory;
use super::{Known, Reference, ShownBy};
use crate::api::ZenlayerPort;
use crate::clock::Monotonic;
use crate::credentials::{Source, Sources};
use crate::fingerprint::Fingerprint;
use crate::port::PortId;

#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) objects: BTreeMap<Reference, Entry>,
    /// One as a rule, to which a list of one is the smallest home.
    by_port: BTreeMap<PortId, Vec<Reference>>,
    pub(super) by_source: BTreeMap<Source, BTreeSet<Reference>>,
    /// For each fingerprint those that have seen a port which it has seen too, and of how many objects.
    pub(super) seen_together: BTreeMap<Fingerprint, BTreeMap<Fingerprint, usize>>,
}

/// All that is kept of one object.
#[derive(Debug)]
pub(super) struct Entry {
    /// As it was shown last.
    pub(super) known: Known,
    /// What this process wrote and no watch has shown yet.
    pub(super) written: Option<Box<Write>>,
    /// None once its status says which port it owns.
    pub(super) look: Option<Box<Look>>,
    /// It is being deleted and waits, without a pause since then, for what others of its port have seen.
    pub(super) waits_since: Option<Monotonic>,
    pub(super) memory: Option<Box<Memory>>,
}

#[derive(Debug)]
pub(super) struct Write {
    /// As the API server returned it.
    pub(super) object: Arc<ZenlayerPort>,
    /// When that was.
    at: Monotonic,
}

impl Entry {
    pub(super) fn new(known: Known) -> Self {
        Self { known, written: None, look: None, waits_since: None, memory: None }
    }

    /// Keeps what was written, if it is newer than what is known.
    pub(super) fn remember_write(&mut self, written: &ZenlayerPort, at: Monotonic) {
        let newest = self.written.as_ref().map_or(self.known.object(), |newest| &newest.object);
        if is_newer(written, newest) {
            self.written = Some(Box::new(Write { object: Arc::new(written.clone()), at }));
        }
    }

    /// The object is shown like this: a write that it contains need not be kept. Says whether a write was undone.
    pub(super) fn drop_old_write(&mut self, shown: &ZenlayerPort, by: ShownBy) -> bool {
        let dropped = self.written.take_if(|written| {
            let is_other = written.object.uid() != shown.uid();
            let is_listed = matches!(by, ShownBy::List { began } if written.at < began);
            is_other || is_listed || !is_newer(&written.object, shown)
        });
        dropped.is_some_and(|written| is_newer(&written.object, shown))
    }
}

impl Contents {
    pub(super) fn insert(&mut self, reference: Reference, entry: Entry, source: Option<Source>) {
        let object = Arc::clone(entry.known.object());
        let same_port = self.by_port.entry(object.spec.port_id.clone()).or_default();
        if same_port.is_empty() {
            same_port.reserve_exact(1);
        }
        same_port.push(reference.clone());
        if let Some(source) = source {
            self.by_source.entry(source).or_default().insert(reference.clone());
        }
        for (one, other) in pairs(seen_by(&object)) {
            *self.seen_together.entry(one.clone()).or_default().entry(other.clone()).or_default() += 1;
        }
        self.objects.insert(reference, entry);
    }

    pub(super) fn remove(&mut self, reference: &Reference, sources: &Sources) -> Option<Entry> {
        let entry = self.objects.remove(reference)?;
        let object = entry.known.object();
        if let Some(same_port) = self.by_port.get_mut(&object.spec.port_id) {
            same_port.retain(|other| other != reference);
            if same_port.is_empty() {
                self.by_port.remove(&object.spec.port_id);
            }
        }
        if let Ok(source) = sources.of(object)
            && let Some(users) = self.by_source.get_mut(&source)
        {
            users.remove(reference);
            if users.is_empty() {
                self.by_source.remove(&source);
            }
        }
        for (one, other) in pairs(seen_by(object)) {
            self.forget_together(one, other);
        }
        Some(entry)
    }

    fn forget_together(&mut self, one: &Fingerprint, other: &Fingerprint) {
        let Some(others) = self.seen_together.get_mut(one) else { return };
        if let Some(count) = others.get_mut(other) {
            *count -= 1;
            if *count == 0 {
                others.remove(other);
            }
        }
        if others.is_empty() {
            self.seen_together.remove(one);
        }
    }

    #[cfg(test)]
    pub(super) fn by_port_sorted(&self) -> BTreeMap<&PortId, BTreeSet<&Reference>> {
        self.by_port.iter().map(|(port, references)| (port, references.iter().collect())).collect()
    }

    pub(super) fn of_port(&self, port: &PortId) -> Vec<Reference> {
        self.by_port.get(port).into_iter().flatten().cloned().collect()
    }
}

/// The fingerprints of the credentials that have seen the object's port.
pub(super) fn seen_by(object: &ZenlayerPort) -> &[Fingerprint] {
    let identity = object.status.as_ref().and_then(|status| status.identity.as_ref());
    identity.map_or(&[], |identity| &identity.seen_by)
}

/// Every fingerprint with every one, itself included.
fn pairs(seen_by: &[Fingerprint]) -> impl Iterator<Item = (&Fingerprint, &Fingerprint)> {
    let distinct: BTreeSet<&Fingerprint> = seen_by.iter().collect();
    let others = distinct.clone();
    distinct.into_iter().flat_map(move |one| others.clone().into_iter().map(move |other| (one, other)))
}

/// Versions of one object are compared as numbers: Kubernetes promises that of all API servers since 1.35, and etcd has
/// always counted so. Where one is no number nothing is newer than what the watch shows.
pub(super) fn is_newer(one: &ZenlayerPort, other: &ZenlayerPort) -> bool {
    let version = |object: &ZenlayerPort| object.resource_version()?.parse::<u128>().ok();
    version(one).zip(version(other)).is_some_and(|(one, other)| one > other)
}
