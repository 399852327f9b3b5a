//! Which objects there are, by port: who else claims a port, and who is gone. kube's store cannot be asked by port.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::reference::{Reference, reference};
use crate::api::ZenlayerPort;
use crate::port::PortId;

#[derive(Debug, Default)]
pub(super) struct Roster(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    objects: HashMap<Reference, Entry>,
    /// One as a rule, to which a list of one is the smallest home.
    by_port: HashMap<PortId, Vec<Reference>>,
}

/// The identity of an object that is, or was, there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) port: PortId,
    pub(super) uid: String,
}

/// What a change of the roster means for others.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// An object that is no longer there.
    pub(super) gone: Option<(Reference, Entry)>,
    /// The other objects of the same port.
    pub(super) others: Vec<Reference>,
}

impl Roster {
    /// An object is there. One of the same name with another uid is gone then.
    pub(super) fn put(&self, object: &ZenlayerPort) -> Change {
        let reference = reference(object);
        let entry =
            Entry { port: object.spec.port_id.clone(), uid: object.metadata.uid.clone().unwrap_or_default() };
        let mut entries = self.lock();
        let replaced = entries.remove(&reference);
        let others = entries.of_port(&entry.port);
        let gone = replaced
            .filter(|replaced| replaced.uid != entry.uid)
            .map(|replaced| (reference.clone(), replaced));
        let same_port = entries.by_port.entry(entry.port.clone()).or_default();
        if same_port.is_empty() {
            same_port.reserve_exact(1);
        }
        same_port.push(reference.clone());
        entries.objects.insert(reference, entry);
        Change { gone, others }
    }

    pub(super) fn remove(&self, reference: &Reference) -> Change {
        let mut entries = self.lock();
        let removed = entries.remove(reference);
        let others = removed.as_ref().map(|removed| entries.of_port(&removed.port)).unwrap_or_default();
        Change { gone: removed.map(|removed| (reference.clone(), removed)), others }
    }

    /// Other objects with the port of `object`.
    pub(super) fn others(&self, object: &ZenlayerPort) -> Vec<Reference> {
        let own = reference(object);
        let mut others = self.lock().of_port(&object.spec.port_id);
        others.retain(|reference| *reference != own);
        others
    }

    /// All objects of one namespace, or of all.
    pub(super) fn within(&self, namespace: Option<&str>) -> Vec<Reference> {
        let entries = self.lock();
        let all = entries.objects.keys();
        all.filter(|reference| namespace.is_none() || reference.namespace.as_deref() == namespace)
            .cloned()
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn remove(&mut self, reference: &Reference) -> Option<Entry> {
        let entry = self.objects.remove(reference)?;
        if let Some(same_port) = self.by_port.get_mut(&entry.port) {
            same_port.retain(|other| other != reference);
            if same_port.is_empty() {
                self.by_port.remove(&entry.port);
            }
        }
        Some(entry)
    }

    fn of_port(&self, port: &PortId) -> Vec<Reference> {
        self.by_port.get(port).into_iter().flatten().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{DeletionPolicy, ZenlayerPortSpec};

    fn object(name: &str, port: &str, uid: &str) -> ZenlayerPort {
        let spec = ZenlayerPortSpec {
            port_id: PortId::new(port),
            deletion_policy: DeletionPolicy::Destroy,
            deletion_protection: false,
            credentials_ref: None,
        };
        let mut object = ZenlayerPort::new(name, spec);
        object.metadata.namespace = Some("default".to_owned());
        object.metadata.uid = Some(uid.to_owned());
        object
    }

    #[test]
    fn objects_of_one_port_know_each_other_until_one_goes() {
        let roster = Roster::default();
        let (a, b, c) = (object("a", "port-1", "1"), object("b", "port-1", "2"), object("c", "port-2", "3"));
        for object in [&a, &b, &c] {
            roster.put(object);
        }
        let references =
            |objects: &[&ZenlayerPort]| objects.iter().map(|&object| reference(object)).collect::<Vec<_>>();
        assert_eq!(roster.others(&a), references(&[&b]));
        assert_eq!(roster.others(&c), references(&[]));
        assert_eq!(roster.remove(&reference(&b)).others, references(&[&a]), "the one that stays is told");
        assert_eq!(roster.others(&a), references(&[]));
    }

    #[test]
    fn an_object_created_anew_under_the_same_name_replaces_the_one_that_is_gone() {
        let roster = Roster::default();
        roster.put(&object("a", "port-1", "1"));
        assert_eq!(roster.put(&object("a", "port-1", "1")).gone, None, "the same object again");
        let gone = roster.put(&object("a", "port-2", "2")).gone.map(|(_, entry)| entry.uid);
        assert_eq!(gone.as_deref(), Some("1"));
    }
}
