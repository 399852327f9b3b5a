//! How many deletions there are at once, as the brake on mass deletions counts them.
//!
//! | counts | from | until |
//! |---|---|---|
//! | a deleted object whose port may still be called for | the watch shows its deletion | its DestroyPort is sent, it is gone, or a person approves or retains it |
//! | one whose DestroyPort was sent, or that is gone | this process sees that | the window is over, by the monotonic clock |
//!
//! So no clock but this process's own plays a part, and nothing is aged out while its object waits. Two deletions count
//! together if their objects name the same source of credentials, which is known before anything is read, or if one
//! credential has seen the ports of both. The latter stands in their status, written after a good reading: whoever merely
//! names another tenant's key does not count there, and after a restart it is known from the first list on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Reference;
use crate::api::ZenlayerPort;
use crate::clock::Monotonic;
use crate::credentials::Source;
use crate::decision::{DeletionProgress, deletion_progress};
use crate::fingerprint::Fingerprint;

/// Deletions that are remembered after their end.
const MOST_ENDED: usize = 100_000;

#[derive(Debug)]
pub(super) struct Deletions {
    window: Duration,
    /// Counting ends here: with ten thousand deletions at once, each of their reconciles would count them all.
    enough: usize,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    newest: Number,
    deletions: BTreeMap<Reference, Deletion>,
    groups: BTreeMap<Arc<Group>, BTreeMap<Number, Reference>>,
    /// In the order in which they stop to count.
    ended: VecDeque<Ended>,
}

/// Tells deletions apart, also those whose objects are gone.
type Number = u64;

/// What deletions have in common that count together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Source(Source),
    /// The credential has seen their ports.
    SeenBy(Fingerprint),
}

/// That of an object which is there.
#[derive(Debug)]
struct Deletion {
    uid: String,
    number: Number,
    groups: Vec<Arc<Group>>,
    called: bool,
}

/// A deletion that counts until then, and no longer.
#[derive(Debug)]
struct Ended {
    until: Monotonic,
    number: Number,
    groups: Vec<Arc<Group>>,
}

impl Deletions {
    /// Nobody asks whether there are more than `enough`.
    pub(super) fn new(window: Duration, enough: usize) -> Self {
        Self { window, enough, known: Mutex::default() }
    }

    /// The watch shows the object like this. Returns whom to look at again: all that count together, once they are too many.
    pub(super) fn put(
        &self,
        object: &ZenlayerPort,
        source: Option<&Source>,
        now: Monotonic,
    ) -> Vec<Reference> {
        let reference = Reference::of(object);
        let uid = object.metadata.uid.as_deref().unwrap_or_default();
        let mut known = self.lock(now);
        let until = now + self.window;
        if known.deletions.get(&reference).is_some_and(|deletion| deletion.uid != uid) {
            known.gone(&reference, until);
        }
        match deletion_progress(object) {
            DeletionProgress::NotCounted => known.forget(&reference),
            DeletionProgress::Released => known.gone(&reference, until),
            DeletionProgress::Due => {
                let groups = known.groups_of(object, source);
                return known.due(reference, uid, groups, self.enough);
            }
            DeletionProgress::Called => {
                let groups = known.groups_of(object, source);
                known.called(&reference, uid, groups, until);
            }
        }
        Vec::new()
    }

    /// The object is gone.
    pub(super) fn remove(&self, reference: &Reference, now: Monotonic) {
        self.lock(now).gone(reference, now + self.window);
    }

    /// How many deletions there are at once with that of `object`, itself included, but no more than enough. `seen_by` is the
    /// credential that has seen its port just now, if one has.
    pub(super) fn at_once(
        &self,
        object: &ZenlayerPort,
        source: Option<&Source>,
        seen_by: Option<&Fingerprint>,
        now: Monotonic,
    ) -> u32 {
        let mut groups = groups(object, source);
        groups.extend(seen_by.cloned().map(Group::SeenBy));
        let known = self.lock(now);
        let own = known.deletions.get(&Reference::of(object)).map(|deletion| deletion.number);
        let members: Vec<_> = groups.iter().filter_map(|group| known.groups.get(group)).collect();
        let count = if members.iter().any(|members| members.len() >= self.enough) {
            self.enough
        } else {
            let others = members.into_iter().flat_map(BTreeMap::keys).filter(|number| Some(**number) != own);
            (others.collect::<BTreeSet<_>>().len() + 1).min(self.enough)
        };
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// What is known, without what counts no longer. No code between lock and unlock leaves it half changed.
    fn lock(&self, now: Monotonic) -> MutexGuard<'_, Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        while known.ended.front().is_some_and(|ended| ended.until <= now) || known.ended.len() > MOST_ENDED {
            let Some(Ended { number, groups, .. }) = known.ended.pop_front() else { break };
            known.leave(number, &groups);
        }
        known
    }
}

impl Known {
    fn due(
        &mut self,
        reference: Reference,
        uid: &str,
        groups: Vec<Arc<Group>>,
        enough: usize,
    ) -> Vec<Reference> {
        if self.deletions.get(&reference).is_some_and(|known| !known.called && known.groups == groups) {
            return Vec::new();
        }
        self.forget(&reference);
        self.newest += 1;
        let number = self.newest;
        let mut too_many = Vec::new();
        for group in &groups {
            let members = self.groups.entry(Arc::clone(group)).or_default();
            members.insert(number, reference.clone());
            if members.len() == enough {
                too_many.extend(members.values().cloned());
            }
        }
        self.deletions.insert(reference, Deletion { uid: uid.to_owned(), number, groups, called: false });
        too_many
    }

    /// It has counted until now, or this process learns of it only now: in either case it counts on for the window.
    fn called(&mut self, reference: &Reference, uid: &str, groups: Vec<Arc<Group>>, until: Monotonic) {
        if !self.deletions.contains_key(reference) {
            self.due(reference.clone(), uid, groups, 0);
        }
        let Some(deletion) = self.deletions.get_mut(reference).filter(|known| !known.called) else { return };
        deletion.called = true;
        let Deletion { number, groups, .. } = &*deletion;
        self.ended.push_back(Ended { until, number: *number, groups: groups.clone() });
    }

    fn gone(&mut self, reference: &Reference, until: Monotonic) {
        let Some(Deletion { number, groups, called, .. }) = self.deletions.remove(reference) else { return };
        // Nothing was ever called for an object whose port nobody has seen.
        let was_seen = groups.iter().any(|group| matches!(**group, Group::SeenBy(_)));
        if called {
            // It counts until the window is over, as it did before.
        } else if was_seen {
            self.ended.push_back(Ended { until, number, groups });
        } else {
            self.leave(number, &groups);
        }
    }

    /// It counts no longer.
    fn forget(&mut self, reference: &Reference) {
        if let Some(Deletion { number, groups, .. }) = self.deletions.remove(reference) {
            self.leave(number, &groups);
        }
    }

    fn leave(&mut self, number: Number, groups: &[Arc<Group>]) {
        for group in groups {
            if let Some(members) = self.groups.get_mut(group) {
                members.remove(&number);
                if members.is_empty() {
                    self.groups.remove(group);
                }
            }
        }
    }

    /// Shared with the deletions that are of them already.
    fn groups_of(&self, object: &ZenlayerPort, source: Option<&Source>) -> Vec<Arc<Group>> {
        let shared = |group: Group| match self.groups.get_key_value(&group) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::new(group),
        };
        groups(object, source).into_iter().map(shared).collect()
    }
}

fn groups(object: &ZenlayerPort, source: Option<&Source>) -> Vec<Group> {
    let identity = object.status.as_ref().and_then(|status| status.identity.as_ref());
    let seen_by = identity.into_iter().flat_map(|identity| &identity.seen_by);
    source.cloned().map(Group::Source).into_iter().chain(seen_by.cloned().map(Group::SeenBy)).collect()
}

#[cfg(test)]
mod tests;
