//! Which objects there are, by port: who else claims a port, and who is gone. kube's store cannot be asked by port.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::credentials::Source;
use super::reference::{Reference, reference};
use crate::answer::RefusalKind;
use crate::api::ZenlayerPort;
use crate::clock::Monotonic;
use crate::decision::sighting::{Evidence, Presence};
use crate::decision::{Claim, ClaimBasis};
use crate::mirror::AccountKey;
use crate::port::PortId;

#[derive(Debug)]
pub(super) struct Roster {
    /// How long a call waits for what another object with the same port id has seen.
    patience: Duration,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    objects: HashMap<Reference, Entry>,
    /// One as a rule, to which a list of one is the smallest home.
    by_port: HashMap<PortId, Vec<Reference>>,
    /// Objects that are being deleted and wait, without a pause since then, for what others have seen.
    waiting: HashMap<Reference, Monotonic>,
}

/// The identity of an object that is, or was, there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) port: PortId,
    pub(super) uid: String,
    /// None once its status says which port it owns.
    look: Option<Box<Look>>,
}

/// How far an object is on its way to see its port.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    /// When this process first saw the object.
    since: Monotonic,
    account: Option<AccountKey>,
    seen: Seen,
}

/// What an object's own credential has seen of its port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Seen {
    #[default]
    NotYet,
    Nothing,
    Port {
        created_time: Option<String>,
    },
}

/// What a change of the roster means for others.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// An object that is no longer there.
    pub(super) gone: Option<(Reference, Entry)>,
    /// The other objects of the same port, if the change may concern them.
    pub(super) others: Vec<Reference>,
}

/// Whose port it is that others may claim.
pub(super) struct Owner<'a> {
    pub(super) object: &'a ZenlayerPort,
    pub(super) source: Option<Source>,
    pub(super) account: Option<AccountKey>,
}

impl Roster {
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, entries: Mutex::default() }
    }

    /// An object is there; `before` is how it was known. One of the same name with another uid is gone then.
    pub(super) fn put(&self, object: &ZenlayerPort, before: Option<&ZenlayerPort>, now: Monotonic) -> Change {
        let reference = reference(object);
        let uid = object.metadata.uid.clone().unwrap_or_default();
        let mut entries = self.lock();
        let replaced = entries.remove(&reference);
        let (same, gone) = match replaced {
            Some(known) if known.uid == uid => (Some(known), None),
            other => (None, other),
        };
        if same.is_none() {
            entries.waiting.remove(&reference);
        }
        let look = same.and_then(|known| known.look).unwrap_or_else(|| Box::new(Look::begun(now)));
        let look = identity(object).is_none().then_some(look);
        let entry = Entry { port: object.spec.port_id.clone(), uid, look };
        let others = match before {
            Some(before) if claims_the_same(before, object) => Vec::new(),
            _ => entries.of_port(&entry.port),
        };
        entries.insert(reference.clone(), entry);
        Change { gone: gone.map(|gone| (reference, gone)), others }
    }

    pub(super) fn remove(&self, reference: &Reference) -> Change {
        let mut entries = self.lock();
        entries.waiting.remove(reference);
        let removed = entries.remove(reference);
        let others = removed.as_ref().map(|removed| entries.of_port(&removed.port)).unwrap_or_default();
        Change { gone: removed.map(|removed| (reference.clone(), removed)), others }
    }

    /// Takes in what the object's own credential has seen; returns the others of its port if that is news to them.
    pub(super) fn looked(
        &self,
        object: &ZenlayerPort,
        account: Option<AccountKey>,
        evidence: Option<&Evidence>,
    ) -> Vec<Reference> {
        let own = reference(object);
        let mut entries = self.lock();
        let Some(entry) = entries.objects.get_mut(&own) else { return Vec::new() };
        let is_it = object.metadata.uid.as_deref() == Some(entry.uid.as_str());
        let Some(look) = entry.look.as_mut().filter(|_| is_it) else { return Vec::new() };
        let now = Look { since: look.since, account, seen: Seen::by(evidence) };
        if **look == now {
            return Vec::new();
        }
        **look = now;
        let mut others = entries.of_port(&object.spec.port_id);
        others.retain(|other| *other != own);
        others
    }

    /// The claims of others on the port of `owner`. `get` is how the others are known, and `source` where an object's
    /// credentials come from.
    pub(super) fn claims(
        &self,
        owner: &Owner<'_>,
        get: impl Fn(&Reference) -> Option<Arc<ZenlayerPort>>,
        source: impl Fn(&ZenlayerPort) -> Option<Source>,
        now: Monotonic,
    ) -> Vec<Claim> {
        let own = reference(owner.object);
        let others = self.lock().looks(&owner.object.spec.port_id, &own);
        let mut not_known_since = None;
        let mut claims = Vec::new();
        for (other, look) in others {
            let Some(other) = get(&other) else { continue };
            let basis = self.basis(owner, &other, look.as_deref(), &source);
            if matches!(basis, ClaimBasis::NotKnown { .. }) {
                not_known_since = Some(now);
            }
            claims.push(claim(&other, basis));
        }
        let waits_since = self.lock().wait(own, not_known_since.filter(|_| owner.object.is_terminating()));
        for claim in &mut claims {
            if let (ClaimBasis::NotKnown { until }, Some(since)) = (&mut claim.basis, waits_since) {
                // However many objects others make, one after the other, this one does not wait for ever.
                *until = (*until).min(since + self.patience);
            }
        }
        claims
    }

    fn basis(
        &self,
        owner: &Owner<'_>,
        other: &ZenlayerPort,
        look: Option<&Look>,
        source: impl Fn(&ZenlayerPort) -> Option<Source>,
    ) -> ClaimBasis {
        let created_time = match (identity(other), look.map(|look| &look.seen)) {
            (Some(created_time), _) | (None, Some(Seen::Port { created_time })) => Some(created_time.clone()),
            (None, _) => None,
        };
        let same_account =
            || look.and_then(|look| look.account).is_some_and(|its| owner.account == Some(its));
        let same_source = || owner.source.is_some() && source(other) == owner.source;
        match (created_time, look) {
            (Some(created_time), _) => ClaimBasis::Saw { created_time },
            (None, _) if same_account() || same_source() => ClaimBasis::SameCredential,
            (None, Some(Look { seen: Seen::NotYet, since, .. })) => {
                ClaimBasis::NotKnown { until: *since + self.patience }
            }
            (None, _) => ClaimBasis::None,
        }
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
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn insert(&mut self, reference: Reference, entry: Entry) {
        let same_port = self.by_port.entry(entry.port.clone()).or_default();
        if same_port.is_empty() {
            same_port.reserve_exact(1);
        }
        same_port.push(reference.clone());
        self.objects.insert(reference, entry);
    }

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

    /// The objects of the port, but for one, and how far they are on their way to see it.
    fn looks(&self, port: &PortId, but: &Reference) -> Vec<(Reference, Option<Box<Look>>)> {
        let others = self.of_port(port).into_iter().filter(|other| other != but);
        let look = |other: &Reference| self.objects.get(other).and_then(|entry| entry.look.clone());
        others.map(|other| (other.clone(), look(&other))).collect()
    }

    /// Since when the object waits, if it does.
    fn wait(&mut self, reference: Reference, now: Option<Monotonic>) -> Option<Monotonic> {
        let Some(now) = now else {
            self.waiting.remove(&reference);
            return None;
        };
        // A pass may outlive its object.
        if !self.objects.contains_key(&reference) {
            return Some(now);
        }
        Some(*self.waiting.entry(reference).or_insert(now))
    }
}

impl Look {
    fn begun(now: Monotonic) -> Self {
        Self { since: now, account: None, seen: Seen::NotYet }
    }
}

impl Seen {
    fn by(evidence: Option<&Evidence>) -> Self {
        let Some(evidence) = evidence else { return Self::NotYet };
        match (&evidence.good, &evidence.failure) {
            (Some(good), _) => match &good.presence {
                Presence::Seen(port) => Self::Port { created_time: port.created_time.clone() },
                Presence::Absent => Self::Nothing,
            },
            (None, Some(failure)) => match failure.why.kind() {
                Some(RefusalKind::NotFound | RefusalKind::Unauthorized | RefusalKind::PermissionDenied) => {
                    Self::Nothing
                }
                Some(RefusalKind::Throttled | RefusalKind::ClockSkew | RefusalKind::Other) | None => {
                    Self::NotYet
                }
            },
            (None, None) => Self::NotYet,
        }
    }
}

/// When the port that the object owns was created, as far as that was told; none: it has seen no port.
fn identity(object: &ZenlayerPort) -> Option<&Option<String>> {
    let identity = object.status.as_ref()?.identity.as_ref()?;
    Some(&identity.created_time)
}

/// Nothing has changed that the decisions about other objects of the port rest on.
fn claims_the_same(before: &ZenlayerPort, now: &ZenlayerPort) -> bool {
    before.metadata.uid == now.metadata.uid
        && before.metadata.creation_timestamp == now.metadata.creation_timestamp
        && before.is_terminating() == now.is_terminating()
        && before.spec.port_id == now.spec.port_id
        && before.spec.credentials_ref == now.spec.credentials_ref
        && identity(before) == identity(now)
}

fn claim(other: &ZenlayerPort, basis: ClaimBasis) -> Claim {
    let metadata = other.metadata.clone();
    Claim {
        namespace: metadata.namespace.unwrap_or_default(),
        name: metadata.name.unwrap_or_default(),
        uid: metadata.uid.unwrap_or_default(),
        creation: metadata.creation_timestamp.map(|time| time.0),
        terminating: other.is_terminating(),
        basis,
    }
}

#[cfg(test)]
mod tests;
