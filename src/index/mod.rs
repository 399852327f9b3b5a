//! The index: which objects there are, as the watches have shown them, with what this process has written and learnt of each
//! since. It is asked by reference, by port id, by source of credentials and by fingerprint; a reconcile never walks through
//! all objects.
//!
//! ```text
//! watch ─ put · remove ─▶ Index ─▶ Change: whom to look at again, and whose port nobody reads any more
//!                           ▲
//!     reconcile ─ wrote · learn · looked
//! ```
//!
//! Whatever is kept of an object is in its [`Entry`], under its uid, and goes with it.

mod claims;
mod contents;
mod deletions;
mod lists;
mod memory;
mod received;
mod reference;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::ResourceExt;

use self::claims::{Look, claims_the_same, identity};
use self::contents::{Contents, Entry};
use self::deletions::Deletions;
use self::lists::Lists;
use self::memory::Memory;
use crate::api::ZenlayerPort;
use crate::clock::Monotonic;
use crate::credentials::{Source, Sources, User};
use crate::decision::{Facts, Listing};
use crate::fingerprint::Fingerprint;
use crate::reading::{Evidence, Presence};

pub use self::memory::KnownSince;
pub use self::received::{Invalid, LONGEST_COMPLAINT, Received};
pub use self::reference::Reference;

/// What the index asks of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct IndexSettings {
    /// How long a call waits for what another object with the same port id has seen.
    pub patience: Duration,
    /// How long a deletion counts after its end.
    pub window: Duration,
    /// Nobody asks whether there are more deletions at once than this.
    pub most_deletions: usize,
}

#[derive(Debug)]
pub struct Index {
    sources: Arc<Sources>,
    patience: Duration,
    deletions: Deletions,
    lists: Lists,
    contents: Mutex<Contents>,
}

/// An object as it was shown last.
#[derive(Clone, Debug)]
pub enum Known {
    Parsed(Arc<ZenlayerPort>),
    /// This version cannot parse it. Nothing is decided about it. What can be understood of it counts for others: its claim on
    /// a port, and the credentials that it uses.
    Invalid(Arc<Invalid>),
}

/// What shows an object.
#[derive(Clone, Copy, Debug)]
pub enum ShownBy {
    /// A list that began at this time. So it is newer than everything that was written before, even if its version is lower
    /// because someone restored etcd from a snapshot.
    List {
        began: Monotonic,
    },
    Watch,
}

/// What a change of the index means for others.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Whom to look at again.
    pub woken: Vec<Reference>,
    /// Nothing is decided about the object that was known under this reference: it is gone, or cannot be parsed.
    pub ended: Option<Reference>,
}

impl Known {
    /// The object, or what could be understood of it.
    pub fn object(&self) -> &Arc<ZenlayerPort> {
        match self {
            Self::Parsed(object) => object,
            Self::Invalid(invalid) => &invalid.salvaged,
        }
    }

    fn parsed(&self) -> Option<&Arc<ZenlayerPort>> {
        match self {
            Self::Parsed(object) => Some(object),
            Self::Invalid(_) => None,
        }
    }
}

impl From<Received> for Known {
    fn from(Received(received): Received) -> Self {
        match received {
            Ok(object) => Self::Parsed(Arc::from(object)),
            Err(invalid) => Self::Invalid(Arc::new(invalid)),
        }
    }
}

impl ShownBy {
    /// Whether something else is asked of the operator than before. It knows its own status; but a list may show a status
    /// that someone restored.
    fn is_news(self, before: &ZenlayerPort, now: &ZenlayerPort) -> bool {
        match self {
            Self::List { .. } => before != now,
            Self::Watch => is_asked_anew(before, now),
        }
    }
}

fn is_asked_anew(before: &ZenlayerPort, now: &ZenlayerPort) -> bool {
    let (before, now) = (&before.metadata, &now.metadata);
    before.uid != now.uid
        || before.generation != now.generation
        || before.deletion_timestamp != now.deletion_timestamp
        || before.finalizers != now.finalizers
        || before.annotations != now.annotations
}

/// What is shown and told by the watches.
impl Index {
    /// At the start nothing is listed of any watch.
    pub fn new(
        sources: Arc<Sources>,
        settings: IndexSettings,
        watches: impl IntoIterator<Item = Option<String>>,
        now: Monotonic,
    ) -> Self {
        let IndexSettings { patience, window, most_deletions } = settings;
        let deletions = Deletions::new(window, most_deletions);
        Self { sources, patience, deletions, lists: Lists::of(watches, now), contents: Mutex::default() }
    }

    /// A list of one namespace, or of all, begins; returns the objects that are known there.
    pub fn list_begins(&self, namespace: Option<&str>, now: Monotonic) -> Vec<Reference> {
        self.lists.begins(namespace, now);
        let contents = self.lock();
        let within =
            |reference: &&Reference| namespace.is_none_or(|namespace| reference.namespace() == namespace);
        contents.objects.keys().filter(within).cloned().collect()
    }

    /// All objects of the list are put, and those that it did not have are removed.
    pub fn list_ends(&self, namespace: Option<&str>) {
        self.lists.ends(namespace);
    }

    /// Whether every watch has listed its objects once.
    pub fn is_listed(&self) -> bool {
        self.lists.all_listed()
    }

    /// The object is there, and like this.
    pub fn put(&self, received: Received, by: ShownBy, now: Monotonic) -> Change {
        let reference = Reference::of(&received);
        let known = Known::from(received);
        let object = Arc::clone(known.object());
        let source = self.sources.of(&object).ok();
        let mut contents = self.lock();
        let mut is_undone = false;
        if let Some(entry) = contents.objects.get_mut(&reference) {
            is_undone = entry.drop_old_write(&object, by);
            if matches!((entry.known.parsed(), known.parsed()), (Some(before), Some(now)) if before == now) {
                return Change { woken: is_undone.then_some(reference).into_iter().collect(), ended: None };
            }
        }
        // Before it can be decided about: no deletion is decided about that is not counted.
        let mut woken = self.deletions.put(&object, source.as_ref(), now);
        let former = contents.remove(&reference, &self.sources);
        let others = match &former {
            Some(former) if claims_the_same(former.known.object(), &object) => Vec::new(),
            _ => contents.of_port(&object.spec.port_id),
        };
        woken.extend(others);
        let is_news = match (former.as_ref().and_then(|former| former.known.parsed()), known.parsed()) {
            (Some(before), Some(now)) => by.is_news(before, now),
            (None, _) | (_, None) => true,
        };
        if is_news || is_undone {
            woken.push(reference.clone());
        }
        let is_other = former.as_ref().is_some_and(|former| former.known.object().uid() != object.uid());
        let ended = (is_other || known.parsed().is_none()).then(|| reference.clone());
        let same = former.filter(|_| !is_other).unwrap_or_else(|| Entry::new(known.clone()));
        let look =
            identity(&object).is_none().then(|| same.look.unwrap_or_else(|| Box::new(Look::begun(now))));
        contents.insert(reference, Entry { known, look, ..same }, source);
        Change { woken, ended }
    }

    /// The object is gone.
    pub fn remove(&self, reference: &Reference, now: Monotonic) -> Change {
        self.deletions.remove(reference, now);
        let mut contents = self.lock();
        let Some(removed) = contents.remove(reference, &self.sources) else { return Change::default() };
        let woken = contents.of_port(&removed.known.object().spec.port_id);
        Change { woken, ended: Some(reference.clone()) }
    }

    /// No code between lock and unlock leaves it half changed.
    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of one object.
impl Index {
    /// The newest that is known of the object: as a watch has shown it, or as this process has written it since. A decision
    /// about an older one could conclude that there is nothing to write, and so leave a status that is no longer true.
    pub fn newest(&self, reference: &Reference) -> Option<Known> {
        let contents = self.lock();
        let entry = contents.objects.get(reference)?;
        Some(match &entry.written {
            Some(written) => Known::Parsed(Arc::clone(&written.object)),
            None => entry.known.clone(),
        })
    }

    /// The object, of this uid, as the watch shows it, if it can be parsed.
    fn shown(&self, object: &ZenlayerPort) -> Option<Arc<ZenlayerPort>> {
        self.with(object, |entry| entry.known.parsed().cloned()).flatten()
    }

    /// Whether the object, of this uid, is one that is decided about.
    pub fn is_decided_about(&self, object: &ZenlayerPort) -> bool {
        self.shown(object).is_some()
    }

    /// Whether the object of this name is one that is decided about.
    pub fn decides_about(&self, reference: &Reference) -> bool {
        self.lock().objects.get(reference).is_some_and(|entry| entry.known.parsed().is_some())
    }

    /// Whether all objects are known whose deletions and claims count for this one. The watch shows everything in order: with
    /// the deletion of this object it has shown what was before.
    pub fn listing(&self, object: &ZenlayerPort, deletion_known_since: Option<Monotonic>) -> Listing {
        match (self.lists.state(), deletion_known_since) {
            (Listing::Complete, Some(since)) if object.is_terminating() => {
                let is_shown = self.shown(object).is_some_and(|shown| shown.is_terminating());
                if is_shown { Listing::Complete } else { Listing::Behind { since } }
            }
            (state, _) => state,
        }
    }

    /// The API server has taken a write of this process, and `written` is the object since then.
    pub fn wrote(&self, written: &ZenlayerPort, now: Monotonic) {
        self.with(written, |entry| {
            entry.remember_write(written, now);
            if let Some(memory) = &mut entry.memory {
                memory.written(written);
            }
        });
    }

    /// Takes in what is new on `object`.
    pub fn note(&self, object: &ZenlayerPort, now: Monotonic) -> KnownSince {
        if !Memory::is_worth(object) {
            return KnownSince::default();
        }
        let noted = self.with(object, |entry| entry.memory.get_or_insert_default().note(object, now));
        // A reconcile may outlive its object.
        noted.unwrap_or_else(|| Memory::default().note(object, now))
    }

    /// Keeps `facts` for the next decision about `object`, as long as the API server does not have them; none: it has them.
    pub fn learn(&self, object: &ZenlayerPort, facts: Option<&Facts>) {
        self.remember(object, |memory| memory.learn(object, facts));
    }

    /// What was learnt of `object` and is not written yet.
    pub fn learnt(&self, object: &ZenlayerPort) -> Option<Box<Facts>> {
        self.with(object, |entry| entry.memory.as_ref()?.learnt().cloned().map(Box::new)).flatten()
    }

    /// Counts a failed reconcile; returns how many there were in a row.
    pub fn failed(&self, object: &ZenlayerPort) -> u32 {
        self.remember(object, Memory::failed).unwrap_or(1)
    }

    pub fn succeeded(&self, object: &ZenlayerPort) {
        self.remember(object, Memory::succeeded);
    }

    fn remember<T>(&self, object: &ZenlayerPort, change: impl FnOnce(&mut Memory) -> T) -> Option<T> {
        self.with(object, |entry| {
            let mut memory = entry.memory.take().unwrap_or_default();
            let changed = change(&mut memory);
            entry.memory = (*memory != Memory::default()).then_some(memory);
            changed
        })
    }

    /// The entry of the object, if that is of the same uid.
    fn with<T>(&self, object: &ZenlayerPort, with: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let mut contents = self.lock();
        let entry = contents.objects.get_mut(&Reference::of(object))?;
        (object.metadata.uid == entry.known.object().metadata.uid).then(|| with(entry))
    }
}

/// What is known of many.
impl Index {
    /// How many deletions there are at once with that of the object, as far as anybody asks. `evidence` is what its own
    /// credential has read of its port.
    pub fn deletions_at_once(
        &self,
        object: &ZenlayerPort,
        evidence: Option<&Evidence>,
        now: Monotonic,
    ) -> u32 {
        if !object.is_terminating() {
            return 0;
        }
        let source = self.sources.of(object).ok();
        let has_seen =
            |evidence: &&Evidence| matches!(&evidence.good, Some(good) if good.presence != Presence::Absent);
        let seen_by = evidence.filter(has_seen).map(|evidence| &evidence.by);
        self.deletions.at_once(object, source.as_ref(), seen_by, now)
    }

    /// The fingerprints that have seen a port which `credential` has seen too: a port belongs to one account. Looked for only
    /// where the object's own witnesses do not include the credential.
    pub fn same_account(&self, object: &ZenlayerPort, credential: Option<&Fingerprint>) -> Vec<Fingerprint> {
        let own = contents::seen_by(object);
        match credential {
            Some(credential) if !own.is_empty() && !own.contains(credential) => self
                .lock()
                .seen_together
                .get(credential)
                .into_iter()
                .flat_map(BTreeMap::keys)
                .cloned()
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The objects that take their credentials from this source.
    pub fn users_of(&self, source: &Source) -> Vec<Reference> {
        self.lock().by_source.get(source).into_iter().flatten().cloned().collect()
    }

    /// The sources that objects use, each with its objects: of those sources whose objects are all listed, as whoever asks
    /// takes it that there are no others.
    pub fn users(&self) -> BTreeMap<Source, Vec<User>> {
        let contents = self.lock();
        let object = |reference| contents.objects.get(reference).map(|entry| User::of(entry.known.object()));
        let users = contents.by_source.iter().filter(|(source, _)| self.is_listed_for(source));
        users.map(|(source, users)| (source.clone(), users.iter().filter_map(object).collect())).collect()
    }

    /// Whether an object may use this source: not known before the objects of its namespace are listed, nor if they are
    /// another operator's.
    pub fn may_be_used(&self, source: &Source) -> bool {
        !self.is_listed_for(source) || self.lock().by_source.contains_key(source)
    }

    /// Whether all objects that may use this source are listed.
    fn is_listed_for(&self, source: &Source) -> bool {
        match source {
            Source::Secret { namespace, .. } => self.lists.has_listed(namespace),
            Source::Own => self.lists.all_listed(),
        }
    }

    /// All objects, those that cannot be parsed included.
    pub fn objects(&self) -> Vec<Known> {
        self.lock().objects.values().map(|entry| entry.known.clone()).collect()
    }
}
